//! Stable memory.

use crate::host::{Call, Host, Result, Stop};
use crate::mode;
use crate::stable::WASM_PAGE;
use crate::types::Trap;
use crate::vm::{Caller, Error, Linker};

const ACCESS: u64 = 20;
const GROW: u64 = 100;
/// For each 4 KiB page first written in a message.
const NEW_PAGE: u64 = 1_000;
/// The functions without "64" know 4 GiB.
const MAX_PAGES_32: u64 = (4 << 30) / WASM_PAGE;

fn trap(text: &str) -> Error {
    Stop(Trap::Wasm(text.into())).into()
}

pub fn link(linker: &mut Linker<Host>) -> Result<()> {
    linker
        .func_wrap(
            "ic0",
            "stable64_size",
            |c: Caller<'_, Host>| -> Result<u64> {
                let mut call = Call::enter(c, "stable64_size", mode::ANYWHERE, 0)?;
                Ok(call.stable().wasm_pages())
            },
        )?
        .func_wrap(
            "ic0",
            "stable64_grow",
            |c: Caller<'_, Host>, pages: u64| -> Result<u64> {
                let mut call = Call::enter(c, "stable64_grow", mode::ANYWHERE, GROW)?;
                Ok(call.stable().grow(pages).unwrap_or(u64::MAX))
            },
        )?
        .func_wrap(
            "ic0",
            "stable64_read",
            |c: Caller<'_, Host>, dst: u64, offset: u64, size: u64| -> Result<()> {
                let mut call = Call::enter(
                    c,
                    "stable64_read",
                    mode::ANYWHERE,
                    ACCESS.saturating_add(size),
                )?;
                read(&mut call, dst, offset, size)
            },
        )?
        .func_wrap(
            "ic0",
            "stable64_write",
            |c: Caller<'_, Host>, offset: u64, src: u64, size: u64| -> Result<()> {
                let mut call = Call::enter(
                    c,
                    "stable64_write",
                    mode::ANYWHERE,
                    ACCESS.saturating_add(size),
                )?;
                write(&mut call, offset, src, size)
            },
        )?
        .func_wrap("ic0", "stable_size", |c: Caller<'_, Host>| -> Result<u32> {
            let mut call = Call::enter(c, "stable_size", mode::ANYWHERE, 0)?;
            small(&mut call)
        })?
        .func_wrap(
            "ic0",
            "stable_grow",
            |c: Caller<'_, Host>, pages: u32| -> Result<u32> {
                let mut call = Call::enter(c, "stable_grow", mode::ANYWHERE, GROW)?;
                let old = small(&mut call)?;
                if u64::from(old) + u64::from(pages) > MAX_PAGES_32 {
                    return Ok(u32::MAX);
                }
                Ok(call
                    .stable()
                    .grow(pages.into())
                    .map_or(u32::MAX, |old| old as u32))
            },
        )?
        .func_wrap(
            "ic0",
            "stable_read",
            |c: Caller<'_, Host>, dst: u32, offset: u32, size: u32| -> Result<()> {
                let cost = ACCESS + u64::from(size);
                let mut call = Call::enter(c, "stable_read", mode::ANYWHERE, cost)?;
                small(&mut call)?;
                read(&mut call, dst.into(), offset.into(), size.into())
            },
        )?
        .func_wrap(
            "ic0",
            "stable_write",
            |c: Caller<'_, Host>, offset: u32, src: u32, size: u32| -> Result<()> {
                let cost = ACCESS + u64::from(size);
                let mut call = Call::enter(c, "stable_write", mode::ANYWHERE, cost)?;
                small(&mut call)?;
                write(&mut call, offset.into(), src.into(), size.into())
            },
        )?;
    Ok(())
}

/// The size in pages, if 32-bit functions can still reach all of it.
fn small(call: &mut Call<'_>) -> Result<u32> {
    let pages = call.stable().wasm_pages();
    if pages > MAX_PAGES_32 {
        return Err(trap(
            "32 bit stable memory api used on a memory larger than 4GB",
        ));
    }
    Ok(pages as u32)
}

fn read(call: &mut Call<'_>, dst: u64, offset: u64, size: u64) -> Result<()> {
    if !call.stable().contains(offset, size) {
        return Err(trap("stable memory out of bounds"));
    }
    call.with_heap(|heap, host| {
        let to = heap_range(dst, size, heap.len())?;
        host.stable.read(offset, &mut heap[to]);
        Ok(())
    })
}

fn write(call: &mut Call<'_>, offset: u64, src: u64, size: u64) -> Result<()> {
    if !call.stable().contains(offset, size) {
        return Err(trap("stable memory out of bounds"));
    }
    let new_pages = call.stable().new_pages(offset, size);
    call.charge(NEW_PAGE * new_pages)?;
    call.with_heap(|heap, host| {
        let from = heap_range(src, size, heap.len())?;
        host.stable.write(offset, &heap[from]);
        Ok(())
    })
}

fn heap_range(
    start: u64,
    size: u64,
    len: usize,
) -> std::result::Result<std::ops::Range<usize>, Stop> {
    match start.checked_add(size) {
        Some(end) if end <= len as u64 => Ok(start as usize..end as usize),
        _ => Err(Stop(Trap::Wasm("heap out of bounds".into()))),
    }
}

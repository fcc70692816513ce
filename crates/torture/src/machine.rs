//! Runs programs: each step is one system call, made directly.

use crate::calls;
use crate::program::Op;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

thread_local! {
    static HEAP: RefCell<BTreeMap<String, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
    static PRE_UPGRADE: RefCell<Vec<Op>> = const { RefCell::new(Vec::new()) };
    static INSPECT: RefCell<Option<Vec<Op>>> = const { RefCell::new(None) };
    pub(crate) static PERFORMED: Cell<u32> = const { Cell::new(0) };
}

/// The program kept for pre_upgrade.
pub fn pre_upgrade_program() -> Vec<Op> {
    PRE_UPGRADE.with_borrow(Clone::clone)
}

/// The program kept for inspect_message, if any.
pub fn inspect_program() -> Option<Vec<Op>> {
    INSPECT.with_borrow(Clone::clone)
}

/// Runs a program with a fresh output buffer.
pub fn run(program: &[Op]) {
    run_with(program, &mut Vec::new());
}

fn run_with(program: &[Op], out: &mut Vec<u8>) {
    for op in program {
        step(op, out);
    }
}

fn step(op: &Op, out: &mut Vec<u8>) {
    match op {
        Op::Say(bytes) => out.extend_from_slice(bytes),
        Op::Fill(count, byte) => out.resize(out.len() + *count as usize, *byte),
        Op::Reply => {
            ic0::msg_reply_data_append(out);
            ic0::msg_reply();
            out.clear();
        }
        Op::Append => {
            ic0::msg_reply_data_append(out);
            out.clear();
        }
        Op::ReplyOnly => ic0::msg_reply(),
        Op::Reject(text) => ic0::msg_reject(text.as_bytes()),
        Op::RejectBuffer => ic0::msg_reject(out),
        Op::Print(text) => ic0::debug_print(text.as_bytes()),
        Op::Trap(text) => ic0::trap(text.as_bytes()),
        Op::TrapBuffer => ic0::trap(out),
        Op::Unreachable => unreachable_instruction(),
        Op::OutOfBounds => {
            // SAFETY: none; the address is outside the memory and the read traps, as asked.
            out.push(unsafe { core::ptr::read_volatile(0xffff_fff0_usize as *const u8) });
        }
        Op::WorkUntil(instructions) => work_until(*instructions),
        Op::Repeat(count, program) => (0..*count).for_each(|_| run_with(program, out)),
        Op::Call(spec) => PERFORMED.set(calls::perform(spec)),
        Op::Performed => out.extend(PERFORMED.get().to_le_bytes()),
        Op::OnPreUpgrade(program) => PRE_UPGRADE.set(program.clone()),
        Op::OnInspect(program) => INSPECT.set(Some(program.clone())),
        Op::After(nanos, program) => {
            let program = program.clone();
            ic_cdk_timers::set_timer(Duration::from_nanos(*nanos), async move { run(&program) });
        }
        Op::Every(nanos, program) => {
            let program = program.clone();
            ic_cdk_timers::set_timer_interval(Duration::from_nanos(*nanos), move || {
                let program = program.clone();
                async move { run(&program) }
            });
        }
        Op::CertifyHttp => crate::http::certify(),
        Op::Load(name) => HEAP.with_borrow(|heap| {
            out.extend(heap.get(name).map(Vec::as_slice).unwrap_or_default());
        }),
        Op::Save(name) => {
            HEAP.with_borrow_mut(|heap| heap.entry(name.clone()).or_default().append(out));
        }
        Op::Put(name, bytes) => {
            HEAP.with_borrow_mut(|heap| heap.insert(name.clone(), bytes.to_vec()));
        }
        other => read(other, out),
    }
}

/// The steps that ask the system something and append the answer.
fn read(op: &Op, out: &mut Vec<u8>) {
    match op {
        Op::Arg => copy(ic0::msg_arg_data_size(), ic0::msg_arg_data_copy, out),
        Op::ArgSize => out.extend((ic0::msg_arg_data_size() as u32).to_le_bytes()),
        Op::Caller => copy(ic0::msg_caller_size(), ic0::msg_caller_copy, out),
        Op::RejectCode => out.extend(ic0::msg_reject_code().to_le_bytes()),
        Op::RejectMessage => copy(ic0::msg_reject_msg_size(), ic0::msg_reject_msg_copy, out),
        Op::Deadline => out.extend(ic0::msg_deadline().to_le_bytes()),
        Op::MethodName => copy(ic0::msg_method_name_size(), ic0::msg_method_name_copy, out),
        Op::AcceptMessage => ic0::accept_message(),
        Op::CyclesAvailable => out.extend(ic0::msg_cycles_available128().to_le_bytes()),
        Op::CyclesRefunded => out.extend(ic0::msg_cycles_refunded128().to_le_bytes()),
        Op::CyclesAccept(max) => out.extend(ic0::msg_cycles_accept128(*max).to_le_bytes()),
        Op::CyclesBurn(max) => out.extend(ic0::cycles_burn128(*max).to_le_bytes()),
        Op::Balance => out.extend(ic0::canister_cycle_balance128().to_le_bytes()),
        Op::LiquidBalance => out.extend(ic0::canister_liquid_cycle_balance128().to_le_bytes()),
        Op::CostCall(name, payload) => out.extend(ic0::cost_call(*name, *payload).to_le_bytes()),
        Op::CostCreateCanister => out.extend(ic0::cost_create_canister().to_le_bytes()),
        Op::CostHttpRequest(request, response) => {
            out.extend(ic0::cost_http_request(*request, *response).to_le_bytes());
        }
        Op::CostSignWithEcdsa(key, curve) => {
            let (cycles, result) = ic0::cost_sign_with_ecdsa(key, *curve);
            out.extend(result.to_le_bytes());
            out.extend(cycles.to_le_bytes());
        }
        Op::CostSignWithSchnorr(key, algorithm) => {
            let (cycles, result) = ic0::cost_sign_with_schnorr(key, *algorithm);
            out.extend(result.to_le_bytes());
            out.extend(cycles.to_le_bytes());
        }
        Op::SelfId => copy(ic0::canister_self_size(), ic0::canister_self_copy, out),
        Op::Status => out.extend(ic0::canister_status().to_le_bytes()),
        Op::Version => out.extend(ic0::canister_version().to_le_bytes()),
        Op::SubnetSelf => copy(ic0::subnet_self_size(), ic0::subnet_self_copy, out),
        Op::NodeCount => out.extend(ic0::subnet_self_node_count().to_le_bytes()),
        Op::IsController(who) => out.extend(ic0::is_controller(who.as_slice()).to_le_bytes()),
        Op::InReplicated => out.extend(ic0::in_replicated_execution().to_le_bytes()),
        Op::RootKey => copy(ic0::root_key_size(), ic0::root_key_copy, out),
        Op::EnvCount => out.extend((ic0::env_var_count() as u32).to_le_bytes()),
        Op::EnvName(index) => {
            let index = *index as usize;
            let copy_name = |dst: &mut [u8], from| ic0::env_var_name_copy(index, dst, from);
            copy(ic0::env_var_name_size(index), copy_name, out);
        }
        Op::EnvExists(name) => out.extend(ic0::env_var_name_exists(name).to_le_bytes()),
        Op::EnvValue(name) => {
            let copy_value = |dst: &mut [u8], from| ic0::env_var_value_copy(name, dst, from);
            copy(ic0::env_var_value_size(name), copy_value, out);
        }
        Op::Time => out.extend(ic0::time().to_le_bytes()),
        Op::Counter(kind) => out.extend(ic0::performance_counter(*kind).to_le_bytes()),
        Op::GlobalTimerSet(at) => out.extend(ic0::global_timer_set(*at).to_le_bytes()),
        Op::CertifiedDataSet(data) => ic0::certified_data_set(data),
        Op::CertificatePresent => out.extend(ic0::data_certificate_present().to_le_bytes()),
        Op::Certificate => copy(
            ic0::data_certificate_size(),
            ic0::data_certificate_copy,
            out,
        ),
        Op::HeapSize => out.extend(heap_size().to_le_bytes()),
        Op::HeapGrow(pages) => out.extend(heap_grow(*pages).to_le_bytes()),
        Op::StableSize => out.extend(ic0::stable64_size().to_le_bytes()),
        Op::StableGrow(pages) => out.extend(ic0::stable64_grow(*pages).to_le_bytes()),
        Op::StableRead(offset, length) => {
            let mut bytes = vec![0; *length as usize];
            ic0::stable64_read(&mut bytes, *offset);
            out.append(&mut bytes);
        }
        Op::StableWrite(offset, bytes) => ic0::stable64_write(bytes, *offset),
        other => ic0::trap(format!("BUG: no step for {other:?}").as_bytes()),
    }
}

fn copy(size: usize, copy: impl FnOnce(&mut [u8], usize), out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + size, 0);
    copy(&mut out[start..], 0);
}

/// Burns instructions cheaply in real time: a bulk fill is charged by the byte.
fn work_until(instructions: u64) {
    let mut block = vec![0_u8; 32 * 1024];
    let mut value = 0_u8;
    while ic0::performance_counter(0) < instructions {
        value = value.wrapping_add(1);
        std::hint::black_box(&mut block).fill(value);
    }
}

#[cfg(target_arch = "wasm32")]
fn unreachable_instruction() -> ! {
    core::arch::wasm32::unreachable()
}

#[cfg(target_arch = "wasm32")]
fn heap_size() -> u32 {
    core::arch::wasm32::memory_size(0) as u32
}

#[cfg(target_arch = "wasm32")]
fn heap_grow(pages: u32) -> u32 {
    core::arch::wasm32::memory_grow(0, pages as usize) as u32
}

#[cfg(not(target_arch = "wasm32"))]
fn unreachable_instruction() -> ! {
    panic!("runs in a canister only")
}

#[cfg(not(target_arch = "wasm32"))]
fn heap_size() -> u32 {
    panic!("runs in a canister only")
}

#[cfg(not(target_arch = "wasm32"))]
fn heap_grow(_pages: u32) -> u32 {
    panic!("runs in a canister only")
}

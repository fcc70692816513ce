//! Stable memory: sparse, cheap to copy, with an undo log for one message.

use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of a WebAssembly page, the unit of growth.
pub const WASM_PAGE: u64 = 65_536;
/// Bytes of the page instructions are charged for.
pub const OS_PAGE: u64 = 4_096;
/// 500 GiB, the limit of a canister's stable memory.
const MAX_WASM_PAGES: u64 = 500 * (1 << 30) / WASM_PAGE;

/// Stable memory of one canister. Pages never written take no memory; a clone shares all pages until
/// one side writes.
#[derive(Clone, Debug, Default)]
pub struct StableMemory {
    wasm_pages: u64,
    /// One chunk a wasm page, up to the highest one written; `None` is all zero.
    chunks: Vec<Option<Arc<Vec<u8>>>>,
    undo: Undo,
}

#[derive(Clone, Debug, Default)]
struct Undo {
    wasm_pages: u64,
    /// What each 4 KiB page held before the message wrote it; `None` is all zero.
    pages: HashMap<u64, Option<Box<[u8]>>>,
}

impl StableMemory {
    /// Size in WebAssembly pages.
    pub fn wasm_pages(&self) -> u64 {
        self.wasm_pages
    }

    /// Size in bytes.
    pub fn len(&self) -> u64 {
        self.wasm_pages * WASM_PAGE
    }

    /// Starts a message: everything after it can be undone by [`Self::rollback`].
    pub fn begin(&mut self) {
        self.undo.wasm_pages = self.wasm_pages;
        self.undo.pages.clear();
    }

    /// Keeps what the message did.
    pub fn commit(&mut self) {
        self.undo.pages.clear();
    }

    /// Undoes what the message did.
    pub fn rollback(&mut self) {
        let pages = std::mem::take(&mut self.undo.pages);
        for (page, content) in pages {
            let start = page * OS_PAGE;
            match content {
                Some(bytes) => self.put(start, &bytes),
                None => self.put(start, &[0; OS_PAGE as usize]),
            }
        }
        self.wasm_pages = self.undo.wasm_pages;
        self.chunks
            .truncate(usize::try_from(self.wasm_pages).unwrap_or(usize::MAX));
    }

    /// Grows by `additional` pages; returns the old size, or `None` beyond the limit.
    pub fn grow(&mut self, additional: u64) -> Option<u64> {
        let old = self.wasm_pages;
        let new = old.checked_add(additional)?;
        if new > MAX_WASM_PAGES {
            return None;
        }
        self.wasm_pages = new;
        Some(old)
    }

    /// Whether `offset..offset + size` lies inside.
    pub fn contains(&self, offset: u64, size: u64) -> bool {
        offset
            .checked_add(size)
            .is_some_and(|end| end <= self.len())
    }

    /// How many 4 KiB pages a write would touch that this message has not written yet.
    pub fn new_pages(&self, offset: u64, size: u64) -> u64 {
        touched(offset, size)
            .filter(|page| !self.undo.pages.contains_key(page))
            .count() as u64
    }

    /// Fills `to` from `offset`; the caller has checked the bounds.
    pub fn read(&self, offset: u64, to: &mut [u8]) {
        let mut position = offset;
        let mut rest = to;
        while !rest.is_empty() {
            let within = (position % WASM_PAGE) as usize;
            let step = rest.len().min(WASM_PAGE as usize - within);
            let (head, tail) = rest.split_at_mut(step);
            match self.chunk(position) {
                Some(chunk) => head.copy_from_slice(&chunk[within..within + step]),
                None => head.fill(0),
            }
            position += step as u64;
            rest = tail;
        }
    }

    /// Writes `from` at `offset`, remembering what was there; the caller has checked the bounds.
    pub fn write(&mut self, offset: u64, from: &[u8]) {
        for page in touched(offset, from.len() as u64) {
            if !self.undo.pages.contains_key(&page) {
                let start = page * OS_PAGE;
                let within = (start % WASM_PAGE) as usize;
                let old = self
                    .chunk(start)
                    .map(|chunk| chunk[within..within + OS_PAGE as usize].into());
                self.undo.pages.insert(page, old);
            }
        }
        self.put(offset, from);
    }

    /// The whole content.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes =
            vec![0; usize::try_from(self.len()).expect("BUG: stable memory read out is small")];
        self.read(0, &mut bytes);
        bytes
    }

    /// A memory with this content, rounded up to whole WebAssembly pages.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut memory = Self {
            wasm_pages: (bytes.len() as u64).div_ceil(WASM_PAGE),
            ..Self::default()
        };
        memory.put(0, bytes);
        memory
    }

    fn chunk(&self, position: u64) -> Option<&[u8]> {
        let index = usize::try_from(position / WASM_PAGE).ok()?;
        self.chunks
            .get(index)?
            .as_ref()
            .map(|chunk| chunk.as_slice())
    }

    fn put(&mut self, offset: u64, from: &[u8]) {
        let mut position = offset;
        let mut rest = from;
        while !rest.is_empty() {
            let index = (position / WASM_PAGE) as usize;
            let within = (position % WASM_PAGE) as usize;
            let step = rest.len().min(WASM_PAGE as usize - within);
            let (head, tail) = rest.split_at(step);
            if self.chunks.len() <= index {
                self.chunks.resize(index + 1, None);
            }
            let chunk =
                self.chunks[index].get_or_insert_with(|| Arc::new(vec![0; WASM_PAGE as usize]));
            Arc::make_mut(chunk)[within..within + step].copy_from_slice(head);
            position += step as u64;
            rest = tail;
        }
    }
}

fn touched(offset: u64, size: u64) -> std::ops::Range<u64> {
    if size == 0 {
        return 0..0;
    }
    offset / OS_PAGE..(offset + size).div_ceil(OS_PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(memory: &StableMemory, offset: u64, size: usize) -> Vec<u8> {
        let mut to = vec![0xAA; size];
        memory.read(offset, &mut to);
        to
    }

    #[test]
    fn should_read_zeros_where_nothing_was_written() {
        let mut memory = StableMemory::default();
        assert_eq!(memory.grow(3), Some(0));
        assert_eq!(bytes(&memory, WASM_PAGE - 1, 4), [0; 4]);
        assert!(memory.contains(3 * WASM_PAGE, 0));
        assert!(!memory.contains(3 * WASM_PAGE, 1));
        assert!(!memory.contains(u64::MAX, 2));
    }

    #[test]
    fn should_undo_writes_and_growth() {
        let mut memory = StableMemory::default();
        memory.begin();
        memory.grow(2);
        memory.write(WASM_PAGE - 2, &[1, 2, 3, 4]);
        memory.commit();

        memory.begin();
        memory.grow(1);
        memory.write(WASM_PAGE - 2, &[9, 9, 9, 9]);
        memory.write(2 * WASM_PAGE, &[7]);
        memory.rollback();
        assert_eq!(memory.wasm_pages(), 2);
        assert_eq!(bytes(&memory, WASM_PAGE - 2, 4), [1, 2, 3, 4]);
        memory.grow(1);
        assert_eq!(
            bytes(&memory, 2 * WASM_PAGE, 1),
            [0],
            "a page grown again is zero"
        );
    }

    #[test]
    fn should_share_pages_with_a_clone_until_one_writes() {
        let mut memory = StableMemory::from_bytes(&[5; 10]);
        let saved = memory.clone();
        memory.begin();
        memory.write(0, &[6]);
        memory.commit();
        assert_eq!(bytes(&saved, 0, 2), [5, 5]);
        assert_eq!(bytes(&memory, 0, 2), [6, 5]);
    }

    #[test]
    fn should_count_pages_first_written() {
        let mut memory = StableMemory::default();
        memory.grow(1);
        memory.begin();
        assert_eq!(memory.new_pages(4_095, 2), 2);
        memory.write(0, &[1]);
        assert_eq!(memory.new_pages(4_095, 2), 1);
        assert_eq!(memory.new_pages(0, 0), 0);
        assert_eq!(memory.new_pages(0, WASM_PAGE), 15);
    }

    #[test]
    fn should_refuse_to_grow_beyond_the_limit_and_not_allocate_for_growth() {
        let mut memory = StableMemory::default();
        assert_eq!(memory.grow(MAX_WASM_PAGES), Some(0));
        assert_eq!(memory.grow(1), None);
        assert_eq!(memory.grow(u64::MAX), None);
    }
}

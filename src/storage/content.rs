//! Content in pieces, by blob and offset. A blob id is never reused.

use crate::{domain::route::ContentMeta, storage::memory};
use ic_stable_structures::{StableBTreeMap, Storable, storable::Bound};
use std::{borrow::Cow, cell::RefCell};

const PIECE_BYTES: usize = 64 * 1024;

/// A piece of content. The row is its bytes.
struct Piece(Vec<u8>);

impl Storable for Piece {
    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }

    fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn from_bytes(bytes: Cow<'_, [u8]>) -> Self {
        Piece(bytes.into_owned())
    }

    const BOUND: Bound = Bound::Unbounded;
}

type Pieces = StableBTreeMap<(u64, u64), Piece, memory::Memory>;

thread_local! {
    /// By blob and offset of the first byte.
    static PIECES: RefCell<Pieces> =
        RefCell::new(StableBTreeMap::init(memory::get(memory::CONTENT)));
}

pub fn write(blob: u64, offset: u64, bytes: &[u8]) {
    PIECES.with_borrow_mut(|pieces| {
        let mut at = offset;
        for piece in bytes.chunks(PIECE_BYTES) {
            pieces.insert((blob, at), Piece(piece.to_vec()));
            at += piece.len() as u64;
        }
    });
}

/// Calls `f` on the stored pieces of a blob, in order.
pub fn pieces(blob: u64, mut f: impl FnMut(&[u8])) {
    PIECES.with_borrow(|pieces| {
        for entry in pieces.range((blob, 0)..=(blob, u64::MAX)) {
            f(&entry.value().0);
        }
    });
}

/// The content, if all of it is still stored.
pub fn read(content: &ContentMeta) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(content.bytes).ok()?);
    pieces(content.blob, |piece| bytes.extend_from_slice(piece));
    (bytes.len() as u64 == content.bytes).then_some(bytes)
}

pub fn remove(blob: u64) {
    PIECES.with_borrow_mut(|pieces| {
        let keys: Vec<(u64, u64)> = pieces.keys_range((blob, 0)..=(blob, u64::MAX)).collect();
        for key in keys {
            pieces.remove(&key);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(blob: u64, bytes: u64) -> ContentMeta {
        ContentMeta {
            blob,
            bytes,
            sha256: [0; 32],
        }
    }

    #[test]
    fn content_is_read_back_however_it_was_cut() {
        let bytes: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
        for (blob, cut) in [(1, 1_000), (2, 65_536), (3, 70_001), (4, 200_000)] {
            let mut offset = 0;
            for chunk in bytes.chunks(cut) {
                write(blob, offset, chunk);
                offset += chunk.len() as u64;
            }
            assert_eq!(
                read(&meta(blob, 200_000)).as_deref(),
                Some(bytes.as_slice()),
                "{cut}"
            );
        }
        remove(2);
        assert_eq!(read(&meta(2, 200_000)), None);
        assert!(read(&meta(1, 200_000)).is_some());
        assert!(read(&meta(3, 200_000)).is_some());
    }

    #[test]
    fn half_a_content_is_none() {
        write(9, 0, &[1; 10]);
        assert_eq!(read(&meta(9, 11)), None);
        assert_eq!(read(&meta(8, 0)), Some(vec![]));
    }
}

//! Answers of other canisters that payers paid for, by the first half of the payment id: kept for the retention, then
//! removed.
//!
//! Nothing of an answer is on the heap, because there may be one for each payment. Each new answer removes a few old
//! ones, so that the table is bounded by sales and not by the timer.

use crate::{
    domain::{route::ContentMeta, work::Answer},
    storage::{
        codec::Bytes,
        content, counters, memory,
        works::{HeaderRow, half, header_rows, headers},
    },
    types::{PaymentId, Seconds, TimestampNs},
};
use ic_stable_structures::{StableBTreeMap, StableCell};
use minicbor::{Decode, Encode};
use std::cell::RefCell;

/// The most answers that are removed when one is added.
const MAX_REMOVED_AT_ONCE: usize = 2;

/// The bytes that an answer counts in addition to its body: its row and its place in the order of times.
const OVERHEAD: u64 = 512;

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct AnswerRow {
    /// The time from which it is kept.
    #[n(0)]
    at: u64,
    #[n(1)]
    status: u16,
    #[n(2)]
    headers: Vec<HeaderRow>,
    #[n(3)]
    mime_type: String,
    /// The body, in pieces.
    #[n(4)]
    blob: u64,
    #[n(5)]
    bytes: u64,
    /// The whole payment id: the halves of two may be equal.
    #[cbor(n(6), with = "minicbor::bytes")]
    id: [u8; 32],
}

struct Tables {
    rows: StableBTreeMap<[u8; 16], Bytes, memory::Memory>,
    by_time: StableBTreeMap<(u64, [u8; 16]), (), memory::Memory>,
    /// The bytes of all answers.
    bytes: StableCell<u64, memory::Memory>,
}

thread_local! {
    static TABLES: RefCell<Tables> = RefCell::new(Tables {
        rows: StableBTreeMap::init(memory::get(memory::ANSWERS)),
        by_time: StableBTreeMap::init(memory::get(memory::ANSWERS_BY_TIME)),
        bytes: StableCell::init(memory::get(memory::ANSWER_BYTES), 0),
    });
}

/// An answer as it is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub mime_type: String,
    pub body: Vec<u8>,
}

/// Stores the answer that this payment bought. `mime_type`: of an answer that names none.
pub fn put(
    id: &PaymentId,
    answer: Answer,
    mime_type: String,
    retention: Seconds,
    now: TimestampNs,
) -> StoredAnswer {
    sweep(now, retention, MAX_REMOVED_AT_ONCE);
    let mime_type = answer.mime_type.unwrap_or(mime_type);
    let row = AnswerRow {
        at: now.0,
        status: answer.status,
        headers: header_rows(&answer.headers),
        mime_type: mime_type.clone(),
        blob: counters::next_blob(),
        bytes: answer.body.len() as u64,
        id: id.0,
    };
    content::write(row.blob, 0, &answer.body);
    TABLES.with_borrow_mut(|tables| {
        let more = size(&row);
        tables.by_time.insert((row.at, half(id)), ());
        tables.rows.insert(half(id), Bytes::of(&row));
        let bytes = *tables.bytes.get();
        tables.bytes.set(bytes.saturating_add(more));
    });
    StoredAnswer {
        status: answer.status,
        headers: answer.headers,
        mime_type,
        body: answer.body,
    }
}

fn size(row: &AnswerRow) -> u64 {
    row.bytes.saturating_add(OVERHEAD)
}

/// The answer that this payment bought, if it is still kept.
pub fn get(id: &PaymentId) -> Option<StoredAnswer> {
    let row: AnswerRow = TABLES
        .with_borrow(|tables| tables.rows.get(&half(id)))?
        .row();
    if row.id != id.0 {
        return None;
    }
    let body = content::read(&ContentMeta {
        blob: row.blob,
        bytes: row.bytes,
        sha256: [0; 32],
    })?;
    Some(StoredAnswer {
        status: row.status,
        headers: headers(row.headers),
        mime_type: row.mime_type,
        body,
    })
}

/// Removes at most `limit` of the answers whose retention is over.
pub fn sweep(now: TimestampNs, retention: Seconds, limit: usize) {
    TABLES.with_borrow_mut(|tables| {
        for _ in 0..limit {
            let Some(((at, id), ())) = tables.by_time.first_key_value() else {
                return;
            };
            if TimestampNs(at).plus(retention) >= now {
                return;
            }
            tables.by_time.remove(&(at, id));
            if let Some(row) = tables.rows.remove(&id) {
                let row: AnswerRow = row.row();
                content::remove(row.blob);
                let bytes = *tables.bytes.get();
                tables.bytes.set(bytes.saturating_sub(size(&row)));
            }
        }
    });
}

/// The earliest time at which [`sweep`] may remove something.
pub fn next_sweep(retention: Seconds) -> Option<TimestampNs> {
    let first = TABLES.with_borrow(|tables| tables.by_time.first_key_value());
    first.map(|((at, _), ())| TimestampNs(at).plus(retention))
}

/// The bytes of all answers.
pub fn bytes() -> u64 {
    TABLES.with_borrow(|tables| *tables.bytes.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Seconds = Seconds::DAY;

    fn answer(body: usize) -> Answer {
        Answer {
            status: 201,
            headers: vec![("location".into(), "/b".into())],
            mime_type: None,
            body: vec![3; body],
        }
    }

    fn store(n: u8, body: usize, now: TimestampNs) -> StoredAnswer {
        put(&PaymentId([n; 32]), answer(body), "a/b".into(), DAY, now)
    }

    #[test]
    fn answers_are_given_again_byte_for_byte_and_swept_after_the_retention() {
        let now = TimestampNs(1);
        let stored = store(1, 150_000, now);
        assert_eq!(get(&PaymentId([1; 32])), Some(stored.clone()));
        assert_eq!((stored.status, stored.body.len()), (201, 150_000));
        assert_eq!(stored.mime_type, "a/b");
        store(2, 0, now.plus(Seconds(1)));
        assert_eq!(bytes(), 150_000 + 2 * OVERHEAD);
        assert_eq!(next_sweep(DAY), Some(now.plus(DAY)));
        sweep(now.plus(DAY), DAY, 9);
        assert!(get(&PaymentId([1; 32])).is_some());
        let after = TimestampNs(now.plus(DAY).0 + 1);
        sweep(after, DAY, 9);
        assert!(get(&PaymentId([1; 32])).is_none());
        assert!(get(&PaymentId([2; 32])).is_some());
        assert_eq!(bytes(), OVERHEAD);
    }

    #[test]
    fn old_answers_make_place_for_new_ones_without_the_timer() {
        for n in 1..=10 {
            store(n, 5, TimestampNs(n.into()));
        }
        let later = TimestampNs(100).plus(DAY);
        for n in 11..=15 {
            store(n, 5, later);
        }
        assert_eq!(bytes(), 5 * (5 + OVERHEAD));
        assert_eq!(next_sweep(DAY), Some(later.plus(DAY)));
    }
}

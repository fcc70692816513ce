//! Stored responses: a number for each combination of content and MIME type that was ever paid for.
//!
//! A response is current while a route delivers its content. When the content is replaced or the route removed, the
//! response is *released*: it is kept for the payers until the retention is over, and its bytes count in the limit.
//! Rows are few (one for each content that was paid for and is still kept), so all of them are on the heap, too.

use crate::{
    domain::route::ContentMeta,
    storable_row,
    storage::{content, counters, memory},
    types::{Seconds, TimestampNs},
};
use ic_stable_structures::StableBTreeMap;
use minicbor::{Decode, Encode};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub content: ContentMeta,
    /// The MIME type at the time of the purchase.
    pub mime_type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct ResponseRow {
    #[n(0)]
    blob: u64,
    #[n(1)]
    bytes: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    sha256: [u8; 32],
    #[n(3)]
    mime_type: String,
    /// The time of its release, or of the first delivery to a payer after it. Absent while the response is current.
    #[n(4)]
    released_at: Option<u64>,
}

storable_row!(ResponseRow);

struct Tables {
    rows: StableBTreeMap<u32, ResponseRow, memory::Memory>,
    by_number: BTreeMap<u32, ResponseRow>,
    /// Numbers by blob. A blob has one for each MIME type that it was sold with.
    by_blob: BTreeSet<(u64, u32)>,
    released: BTreeSet<(TimestampNs, u32)>,
}

thread_local! {
    static TABLES: RefCell<Tables> = RefCell::new(Tables::load());
}

/// The number of the response with this content and MIME type; a new one if there is none.
pub fn number(content: &ContentMeta, mime_type: &str) -> u32 {
    TABLES.with_borrow_mut(|tables| {
        if let Some(number) = tables.find(content.blob, mime_type) {
            return number;
        }
        // Never reused: settled payments refer to it for good.
        let number = counters::next_response();
        tables.put(
            number,
            ResponseRow {
                blob: content.blob,
                bytes: content.bytes,
                sha256: content.sha256,
                mime_type: mime_type.into(),
                released_at: None,
            },
        );
        number
    })
}

/// The response with this number, if it is still kept.
pub fn get(number: u32) -> Option<Response> {
    TABLES.with_borrow(|tables| {
        let row = tables.by_number.get(&number)?;
        Some(Response {
            content: ContentMeta {
                blob: row.blob,
                bytes: row.bytes,
                sha256: row.sha256,
            },
            mime_type: row.mime_type.clone(),
        })
    })
}

/// Records that this response is being delivered to a payer for the first time. The retention begins again.
pub fn note_delivery(number: u32, now: TimestampNs) {
    TABLES.with_borrow_mut(|tables| {
        // A current response is kept without it.
        if tables
            .by_number
            .get(&number)
            .is_some_and(|row| row.released_at.is_some())
        {
            tables.release(number, now);
        }
    });
}

/// Releases this content: no route delivers it any more. It is removed at once if no payment refers to it, else by
/// [`sweep`] after the retention.
pub fn release(blob: u64, now: TimestampNs) {
    TABLES.with_borrow_mut(|tables| {
        let numbers = tables.of_blob(blob);
        if numbers.is_empty() {
            content::remove(blob);
        }
        for number in numbers {
            tables.release(number, now);
        }
    });
}

/// Removes at most `limit` of the responses whose retention is over and that no open or undelivered payment refers to.
pub fn sweep(now: TimestampNs, retention: Seconds, limit: usize, awaited: impl Fn(u32) -> bool) {
    TABLES.with_borrow_mut(|tables| {
        let over: Vec<u32> = tables
            .released
            .iter()
            .take_while(|(since, _)| since.plus(retention) < now)
            .map(|(_, number)| *number)
            .filter(|number| !awaited(*number))
            .take(limit)
            .collect();
        for number in over {
            tables.remove(number);
        }
    });
}

/// The earliest time at which [`sweep`] may remove something.
pub fn next_sweep(retention: Seconds) -> Option<TimestampNs> {
    TABLES.with_borrow(|tables| {
        let (since, _) = tables.released.first()?;
        Some(since.plus(retention))
    })
}

/// The bytes of released responses.
pub fn kept_bytes() -> u64 {
    TABLES.with_borrow(|tables| {
        let rows = tables.released.iter();
        let blobs: BTreeMap<u64, u64> = rows
            .filter_map(|(_, number)| tables.by_number.get(number))
            .map(|row| (row.blob, row.bytes))
            .collect();
        blobs.values().sum()
    })
}

impl Tables {
    fn load() -> Self {
        let rows: StableBTreeMap<u32, ResponseRow, _> =
            StableBTreeMap::init(memory::get(memory::RESPONSES));
        let mut tables = Tables {
            by_number: BTreeMap::new(),
            by_blob: BTreeSet::new(),
            released: BTreeSet::new(),
            rows: StableBTreeMap::init(memory::get(memory::RESPONSES)),
        };
        for entry in rows.iter() {
            tables.remember(*entry.key(), entry.value());
        }
        tables
    }

    fn of_blob(&self, blob: u64) -> Vec<u32> {
        let range = self.by_blob.range((blob, 0)..=(blob, u32::MAX));
        range.map(|(_, number)| *number).collect()
    }

    fn find(&self, blob: u64, mime_type: &str) -> Option<u32> {
        let mut range = self.by_blob.range((blob, 0)..=(blob, u32::MAX));
        let found = range.find(|(_, number)| {
            let row = self.by_number.get(number);
            row.is_some_and(|row| row.mime_type == mime_type)
        });
        found.map(|(_, number)| *number)
    }

    fn put(&mut self, number: u32, row: ResponseRow) {
        self.rows.insert(number, row.clone());
        self.remember(number, row);
    }

    fn remember(&mut self, number: u32, row: ResponseRow) {
        self.by_blob.insert((row.blob, number));
        let since = row.released_at;
        let earlier = self.by_number.insert(number, row);
        if let Some(earlier) = earlier.and_then(|row| row.released_at) {
            self.released.remove(&(TimestampNs(earlier), number));
        }
        if let Some(since) = since {
            self.released.insert((TimestampNs(since), number));
        }
    }

    fn release(&mut self, number: u32, now: TimestampNs) {
        if let Some(mut row) = self.by_number.get(&number).cloned() {
            row.released_at = Some(now.0.max(row.released_at.unwrap_or_default()));
            self.put(number, row);
        }
    }

    fn remove(&mut self, number: u32) {
        self.rows.remove(&number);
        let Some(row) = self.by_number.remove(&number) else {
            return;
        };
        self.by_blob.remove(&(row.blob, number));
        if let Some(since) = row.released_at {
            self.released.remove(&(TimestampNs(since), number));
        }
        if self.of_blob(row.blob).is_empty() {
            content::remove(row.blob);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Seconds = Seconds::DAY;

    fn content(blob: u64) -> ContentMeta {
        content::write(blob, 0, &[blob as u8; 10]);
        meta(blob)
    }

    fn kept(blob: u64) -> bool {
        content::read(&meta(blob)).is_some()
    }

    fn meta(blob: u64) -> ContentMeta {
        ContentMeta {
            blob,
            bytes: 10,
            sha256: [blob as u8; 32],
        }
    }

    fn reload() {
        TABLES.with_borrow_mut(|tables| *tables = Tables::load());
    }

    #[test]
    fn content_has_a_number_for_each_mime_type() {
        let (a, b) = (content(1), content(2));
        let one = number(&a, "text/plain");
        assert_eq!(number(&a, "text/plain"), one);
        let html = number(&a, "text/html");
        assert_eq!(number(&b, "text/plain"), 3);
        reload();
        assert_eq!(number(&a, "text/html"), html);
        let response = get(html).unwrap();
        assert_eq!(
            (response.content, response.mime_type.as_str()),
            (a, "text/html")
        );
        assert_eq!(get(4), None);
        assert_eq!(kept_bytes(), 0);
        assert_eq!(next_sweep(DAY), None);
    }

    #[test]
    fn released_content_is_kept_for_the_retention_and_counted() {
        let day = |n: u32| TimestampNs(0).plus(Seconds(n * DAY.0));
        let (text, html) = (
            number(&content(1), "text/plain"),
            number(&meta(1), "text/html"),
        );
        content(2);
        release(2, day(1));
        assert!(!kept(2), "nobody paid for it");
        release(1, day(1));
        assert_eq!(kept_bytes(), 10);
        assert_eq!(next_sweep(DAY), Some(day(2)));
        sweep(day(2), DAY, 9, |_| false);
        assert!(kept(1) && get(text).is_some());
        // Fetched on the second day by its payer: kept for a day from then on.
        note_delivery(html, day(2));
        reload();
        let after = |n: u32| TimestampNs(day(n).0 + 1);
        sweep(after(2), DAY, 9, |number| number == text);
        assert!(get(text).is_some(), "a payment waits for it");
        sweep(after(2), DAY, 9, |_| false);
        assert_eq!(get(text), None);
        assert!(kept(1) && get(html).is_some());
        assert_eq!(kept_bytes(), 10);
        sweep(after(3), DAY, 9, |_| false);
        assert!(!kept(1) && get(html).is_none());
        assert_eq!(kept_bytes(), 0);
        reload();
        assert_eq!((get(html), next_sweep(DAY)), (None, None));
    }

    #[test]
    fn a_sweep_takes_small_steps() {
        for blob in 1..=5 {
            number(&content(blob), "a/b");
            release(blob, TimestampNs(blob));
        }
        sweep(TimestampNs(u64::MAX), DAY, 2, |_| false);
        let left: Vec<u64> = (1..=5).filter(|blob| kept(*blob)).collect();
        assert_eq!(left, [3, 4, 5]);
    }

    #[test]
    fn a_current_response_is_not_swept() {
        let number = number(&content(1), "a/b");
        note_delivery(number, TimestampNs(1));
        sweep(TimestampNs(u64::MAX), DAY, 9, |_| false);
        assert!(kept(1));
    }
}

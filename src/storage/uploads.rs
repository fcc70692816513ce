//! Uploads that are not committed yet: at most [`MAX_UPLOADS`](crate::domain::upload::MAX_UPLOADS).

use crate::{
    domain::upload::Upload,
    storable_row,
    storage::{codec::StoredPrincipal, content, memory},
    types::{RouteKey, TimestampNs},
};
use ic_stable_structures::StableBTreeMap;
use minicbor::{Decode, Encode};
use std::cell::RefCell;

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct UploadRow {
    #[n(0)]
    id: u64,
    #[n(1)]
    owner: StoredPrincipal,
    #[n(2)]
    method: String,
    #[n(3)]
    path: String,
    #[n(4)]
    bytes: u64,
    #[cbor(n(5), with = "minicbor::bytes")]
    sha256: [u8; 32],
    #[n(6)]
    received: u64,
    #[n(7)]
    touched: u64,
}

storable_row!(UploadRow);

impl From<&Upload> for UploadRow {
    fn from(upload: &Upload) -> Self {
        UploadRow {
            id: upload.id,
            owner: StoredPrincipal(upload.owner),
            method: upload.route.method.as_str().into(),
            path: upload.route.path.clone(),
            bytes: upload.bytes,
            sha256: upload.sha256,
            received: upload.received,
            touched: upload.touched.0,
        }
    }
}

impl From<UploadRow> for Upload {
    fn from(row: UploadRow) -> Self {
        let method = row
            .method
            .parse()
            .expect("BUG: a stored upload has an unknown method");
        Upload {
            id: row.id,
            owner: row.owner.0,
            route: RouteKey::new(method, row.path),
            bytes: row.bytes,
            sha256: row.sha256,
            received: row.received,
            touched: TimestampNs(row.touched),
        }
    }
}

type Rows = StableBTreeMap<u64, UploadRow, memory::Memory>;

thread_local! {
    static ROWS: RefCell<Rows> = RefCell::new(StableBTreeMap::init(memory::get(memory::UPLOADS)));
}

pub fn get(id: u64) -> Option<Upload> {
    ROWS.with_borrow(|rows| rows.get(&id).map(Upload::from))
}

/// Every upload, oldest first.
pub fn all() -> Vec<Upload> {
    ROWS.with_borrow(|rows| rows.values().map(Upload::from).collect())
}

/// Adds or replaces an upload.
pub fn put(upload: &Upload) {
    ROWS.with_borrow_mut(|rows| rows.insert(upload.id, upload.into()));
}

/// Removes an upload. The received bytes stay stored, as content.
pub fn finish(id: u64) {
    ROWS.with_borrow_mut(|rows| rows.remove(&id));
}

/// Removes an upload and the received bytes.
pub fn drop_upload(id: u64) {
    finish(id);
    content::remove(id);
}

/// Removes every upload that was idle for too long.
pub fn drop_expired(now: TimestampNs) {
    for upload in all() {
        if upload.expired(now) {
            drop_upload(upload.id);
        }
    }
}

/// Removes every upload for this route.
pub fn drop_for(route: &RouteKey) {
    for upload in all() {
        if upload.route == *route {
            drop_upload(upload.id);
        }
    }
}

/// The announced bytes of all unfinished uploads.
pub fn announced_bytes() -> u64 {
    all().iter().map(|upload| upload.bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::upload::UPLOAD_IDLE, types::Method};
    use candid::Principal;

    fn upload(id: u64, touched: u64) -> Upload {
        Upload {
            id,
            owner: Principal::from_slice(&[1]),
            route: RouteKey::new(Method::Post, format!("/{id}")),
            bytes: 10,
            sha256: [3; 32],
            received: 0,
            touched: TimestampNs(touched),
        }
    }

    #[test]
    fn uploads_are_read_back_and_expire_with_their_bytes() {
        put(&upload(1, 0));
        put(&upload(2, 5));
        content::write(1, 0, &[1; 5]);
        assert_eq!(get(1), Some(upload(1, 0)));
        assert_eq!(announced_bytes(), 20);
        drop_expired(TimestampNs(0).plus(UPLOAD_IDLE));
        assert_eq!(all().len(), 2);
        drop_expired(TimestampNs(1).plus(UPLOAD_IDLE));
        assert_eq!(all(), vec![upload(2, 5)]);
        let mut left = 0;
        content::pieces(1, |piece| left += piece.len());
        assert_eq!(left, 0);
        drop_for(&RouteKey::new(Method::Post, "/2"));
        assert!(all().is_empty());
    }
}

//! Uploads of content: bounded, expiring, checked at the end.

use crate::{
    domain::{config::MAX_CONTENT_BYTES, validate::InvalidArgument},
    types::{RouteKey, Seconds, TimestampNs},
};
use candid::Principal;

pub const MAX_UPLOADS: usize = 16;
/// The smallest chunk except the last, in bytes: each is an entry of a table.
pub const MIN_CHUNK_BYTES: u64 = 65_536;
/// How long an upload may be idle before it is dropped.
pub const UPLOAD_IDLE: Seconds = Seconds(3_600);

/// An upload that is not committed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its id, and the blob id of its content.
    pub id: u64,
    /// The principal that began it. No other can continue it.
    pub owner: Principal,
    pub route: RouteKey,
    /// The announced length.
    pub bytes: u64,
    /// The announced hash.
    pub sha256: [u8; 32],
    /// Bytes received.
    pub received: u64,
    /// The time of the last call about it.
    pub touched: TimestampNs,
}

/// A chunk that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkError {
    /// It does not continue where the last one ended.
    WrongOffset {
        /// The offset at which the last chunk ended.
        expected: u64,
    },
    /// It is empty, smaller than the minimum, or reaches beyond the announced length.
    Invalid(InvalidArgument),
}

impl Upload {
    /// Whether the upload was idle for too long.
    pub fn expired(&self, now: TimestampNs) -> bool {
        now > self.touched.plus(UPLOAD_IDLE)
    }

    /// Checks that a chunk of `length` bytes at `offset` comes next.
    pub fn check_chunk(&self, offset: u64, length: u64) -> Result<(), ChunkError> {
        if offset != self.received {
            return Err(ChunkError::WrongOffset {
                expected: self.received,
            });
        }
        if length == 0 {
            return Err(ChunkError::Invalid(InvalidArgument::new(
                "bytes", "is empty",
            )));
        }
        let rest = self.bytes.saturating_sub(self.received);
        if length > rest {
            return Err(ChunkError::Invalid(InvalidArgument::limit(
                "bytes",
                format!("reach beyond the announced length of {}", self.bytes),
                rest.into(),
            )));
        }
        if length < rest.min(MIN_CHUNK_BYTES) {
            return Err(ChunkError::Invalid(InvalidArgument::limit(
                "bytes",
                format!("are fewer than {MIN_CHUNK_BYTES} and not the last"),
                MIN_CHUNK_BYTES.into(),
            )));
        }
        Ok(())
    }
}

/// Checks the announced length of a content.
pub fn check_length(bytes: u64) -> Result<(), InvalidArgument> {
    if bytes > u64::from(MAX_CONTENT_BYTES) {
        return Err(InvalidArgument::limit(
            "bytes",
            format!("is greater than {MAX_CONTENT_BYTES}"),
            MAX_CONTENT_BYTES.into(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Method;

    fn upload(received: u64) -> Upload {
        Upload {
            id: 1,
            owner: Principal::from_slice(&[1]),
            route: RouteKey::new(Method::Get, "/a"),
            bytes: 100,
            sha256: [0; 32],
            received,
            touched: TimestampNs(0),
        }
    }

    #[test]
    fn chunks_come_in_order_and_end_at_the_announced_length() {
        assert_eq!(upload(40).check_chunk(40, 60), Ok(()));
        assert_eq!(
            upload(40).check_chunk(41, 1),
            Err(ChunkError::WrongOffset { expected: 40 })
        );
        assert_eq!(
            upload(40).check_chunk(0, 40),
            Err(ChunkError::WrongOffset { expected: 40 })
        );
        assert!(
            matches!(upload(40).check_chunk(40, 61), Err(ChunkError::Invalid(e)) if e.limit == Some(60))
        );
        assert!(matches!(
            upload(40).check_chunk(40, 0),
            Err(ChunkError::Invalid(_))
        ));
    }

    #[test]
    fn tiny_chunks_do_not_fill_the_table() {
        let large = Upload {
            bytes: 3 * MIN_CHUNK_BYTES,
            ..upload(0)
        };
        assert_eq!(large.check_chunk(0, MIN_CHUNK_BYTES), Ok(()));
        assert!(matches!(
            large.check_chunk(0, MIN_CHUNK_BYTES - 1),
            Err(ChunkError::Invalid(e)) if e.limit == Some(MIN_CHUNK_BYTES.into())
        ));
        let end = Upload {
            received: large.bytes - 1,
            ..large
        };
        assert_eq!(end.check_chunk(end.received, 1), Ok(()), "the last");
    }

    #[test]
    fn an_idle_upload_expires() {
        let an_hour = TimestampNs(0).plus(UPLOAD_IDLE);
        assert!(!upload(0).expired(an_hour));
        assert!(upload(0).expired(TimestampNs(an_hour.0 + 1)));
    }

    #[test]
    fn too_much_is_refused_before_it_comes() {
        assert!(check_length(1_900_000).is_ok());
        assert_eq!(check_length(1_900_001).unwrap_err().limit, Some(1_900_000));
    }
}

//! Content of routes, uploaded in chunks.
//!
//! The sequence is: begin (length and hash announced), chunks in order, commit (length and hash checked). The route
//! keeps its old content until the commit. The number of unfinished uploads, their idle time, the size of one content
//! and the size of all content are bounded. Unfinished uploads count with their announced size, and replaced content
//! counts as long as it is kept for payers.

use crate::{
    domain::{
        roles::Unauthorized,
        route::{ContentMeta, Route},
        upload::{ChunkError, MAX_UPLOADS, Upload, check_length},
        validate::InvalidArgument,
    },
    runtime::Runtime,
    service::{role, schedule},
    storage,
    types::RouteKey,
};
use sha2::{Digest, Sha256};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    #[error(transparent)]
    InvalidArgument(#[from] InvalidArgument),
    #[error("there is no such route")]
    UnknownRoute,
    /// The caller has no such upload; it may have expired.
    #[error("there is no such upload, or it has expired")]
    UnknownUpload,
    #[error("there are {limit} uploads, which is the limit")]
    TooManyUploads { limit: u32 },
    #[error("more than {limit} bytes of content")]
    StorageFull {
        /// The limit that would be exceeded, in bytes.
        limit: u64,
    },
    /// The chunk does not continue where the last one ended.
    #[error("the next chunk begins at {expected}")]
    WrongOffset {
        /// The offset at which the last chunk ended.
        expected: u64,
    },
    /// The content differs from what was announced.
    #[error("the content has another hash than announced")]
    HashMismatch {
        /// The announced hash.
        expected: [u8; 32],
        /// The hash of the received bytes.
        actual: [u8; 32],
    },
    /// Some bytes are missing.
    #[error("{received} of {expected} bytes have been received")]
    Incomplete {
        /// Bytes received.
        received: u64,
        /// Bytes announced.
        expected: u64,
    },
}

impl From<ChunkError> for ContentError {
    fn from(error: ChunkError) -> Self {
        match error {
            ChunkError::WrongOffset { expected } => ContentError::WrongOffset { expected },
            ChunkError::Invalid(error) => ContentError::InvalidArgument(error),
        }
    }
}

/// Announces content for a route. Returns the id of the upload.
pub fn begin<R: Runtime>(
    runtime: &R,
    route: RouteKey,
    bytes: u64,
    sha256: [u8; 32],
) -> Result<u64, ContentError> {
    let (caller, now) = (runtime.caller(), runtime.now());
    role(runtime, &caller).may_operate()?;
    check_length(bytes)?;
    let target = storage::routes::get(&route).ok_or(ContentError::UnknownRoute)?;
    check_stores(&target)?;
    storage::uploads::drop_expired(now);
    if storage::uploads::all().len() >= MAX_UPLOADS {
        return Err(ContentError::TooManyUploads {
            limit: MAX_UPLOADS as u32,
        });
    }
    let limit = storage::config::read().limits.max_content_total_bytes;
    if taken_bytes().saturating_add(bytes) > limit {
        return Err(ContentError::StorageFull { limit });
    }
    let id = storage::counters::next_blob();
    storage::uploads::put(&Upload {
        id,
        owner: caller,
        route,
        bytes,
        sha256,
        received: 0,
        touched: now,
    });
    Ok(id)
}

/// The bytes that count as content: of routes, unfinished uploads as announced, what is kept for payers, and works.
pub fn taken_bytes() -> u64 {
    storage::routes::content_bytes()
        .saturating_add(storage::uploads::announced_bytes())
        .saturating_add(storage::responses::kept_bytes())
        .saturating_add(work_bytes())
}

/// The bytes of works that are to be done, and of answers that are kept.
pub fn work_bytes() -> u64 {
    storage::works::bytes().saturating_add(storage::answers::bytes())
}

pub fn chunk<R: Runtime>(
    runtime: &R,
    id: u64,
    offset: u64,
    bytes: &[u8],
) -> Result<(), ContentError> {
    let mut upload = own_upload(runtime, id)?;
    upload.check_chunk(offset, bytes.len() as u64)?;
    storage::content::write(id, offset, bytes);
    upload.received += bytes.len() as u64;
    upload.touched = runtime.now();
    storage::uploads::put(&upload);
    Ok(())
}

/// Makes the uploaded content the route's. An upload with the wrong hash is dropped.
pub fn commit<R: Runtime>(runtime: &R, id: u64) -> Result<ContentMeta, ContentError> {
    let upload = own_upload(runtime, id)?;
    if upload.received != upload.bytes {
        return Err(ContentError::Incomplete {
            received: upload.received,
            expected: upload.bytes,
        });
    }
    let Some(route) = storage::routes::get(&upload.route) else {
        storage::uploads::drop_upload(id);
        return Err(ContentError::UnknownRoute);
    };
    if let Err(error) = check_stores(&route) {
        storage::uploads::drop_upload(id);
        return Err(error);
    }
    let mut hasher = Sha256::new();
    storage::content::pieces(id, |piece| hasher.update(piece));
    let actual: [u8; 32] = hasher.finalize().into();
    if actual != upload.sha256 {
        storage::uploads::drop_upload(id);
        return Err(ContentError::HashMismatch {
            expected: upload.sha256,
            actual,
        });
    }
    let content = ContentMeta {
        blob: id,
        bytes: upload.bytes,
        sha256: actual,
    };
    let old = route.content;
    let mut route = Route::clone(&route);
    route.content = Some(content);
    storage::routes::put(route);
    storage::uploads::finish(id);
    if let Some(old) = old {
        storage::responses::release(old.blob, runtime.now());
        schedule::arm(runtime);
    }
    let subject = upload.route.to_string();
    storage::audit::admin(upload.owner, "content_commit", &subject, runtime.now());
    Ok(content)
}

/// Refuses content for a route whose work a canister does.
fn check_stores(route: &Route) -> Result<(), ContentError> {
    match route.forward {
        Some(forward) => {
            let problem = format!("is served by the canister {}", forward.canister);
            Err(InvalidArgument::new("path", problem).into())
        }
        None => Ok(()),
    }
}

/// The caller's upload, if it has not expired.
fn own_upload<R: Runtime>(runtime: &R, id: u64) -> Result<Upload, ContentError> {
    let caller = runtime.caller();
    role(runtime, &caller).may_operate()?;
    storage::uploads::get(id)
        .filter(|upload| upload.owner == caller && !upload.expired(runtime.now()))
        .ok_or(ContentError::UnknownUpload)
}

#[cfg(test)]
mod tests;

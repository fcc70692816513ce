//! The records of the HTTP gateway protocol.

pub use tollkeeper_types::{HeaderField, HttpRequest, HttpResponse, HttpUpdateRequest};

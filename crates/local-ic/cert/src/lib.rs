//! Everything a local subnet signs and everything its clients sign: keys, state tree, certificates, query
//! signatures, and the authentication of ingress envelopes.
//!
//! Nothing here runs a canister or opens a socket. Formats are those of the IC Interface Specification
//! (<https://internetcomputer.org/docs/references/ic-interface-spec>), section names are quoted where a
//! rule comes from there.
#![deny(missing_docs)]

mod authority;
mod envelope;
mod field;
mod keys;
mod query;
mod registry;
mod signature;
mod tree;

pub use authority::{Authority, UnknownSubnet};
pub use envelope::{Content, EnvelopeError, Request, authenticate};
pub use field::{Field, hash_of_map};
pub use keys::{NodeKey, SubnetKeys, bls_public_key_der};
pub use query::{NodeSignature, QueryResult, query_response};
pub use registry::{RegistrySubnet, SubnetType};
pub use tree::{CanisterLeaves, RequestStatus, StateTree};

pub use candid::Principal;

/// A label path into the state tree.
pub type Path = Vec<Vec<u8>>;

/// Bytes as CBOR with the self-describing tag (55799), as every blob of the HTTPS interface carries it.
pub fn self_describing_cbor<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut serializer = serde_cbor::Serializer::new(Vec::new());
    serializer
        .self_describe()
        .expect("BUG: writing to a vector cannot fail");
    value
        .serialize(&mut serializer)
        .expect("BUG: these types always have a CBOR form");
    serializer.into_inner()
}

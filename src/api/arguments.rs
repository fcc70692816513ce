//! Decoding of the arguments of all methods: as the Candid crate does it, but never in part.
//!
//! Candid decodes an optional value of another type as if it were absent, and skips fields that it does not know. A
//! mistyped or misspelt account would then send payments to another one. Before an argument is decoded, its type is
//! therefore compared with the method's, field by field, at any depth. The error names the place of what would be lost,
//! and both types: `route_put.pay_to: expected opt Account (record …), found text`.
//!
//! | what | updates | installation, upgrade | queries |
//! |---|---|---|---|
//! | value of another type, optional or not | refused | refused | refused |
//! | tag of a variant that the method does not know | refused | refused | refused |
//! | field or argument that the method does not know | refused | refused | skipped |
//! | optional field left out | absent | absent | absent |
//! | optional argument left out | refused | absent | absent |
//!
//! Requests of HTTP gateways are decoded as Candid does it ([`read_request`]), within bounds.

mod compare;
mod describe;

#[cfg(test)]
mod tests;

use binrw::BinRead;
use candid::{
    CandidType, DecoderConfig,
    binary_parser::Header,
    types::{Type, TypeEnv, internal::TypeContainer},
    utils::{ArgumentDecoder, decode_args_with_config},
};
use serde::de::DeserializeOwned;
use std::io::Cursor;

/// The longest type table of an argument, in bytes; that of the largest method has 200.
const MAX_HEADER_BYTES: usize = 8_192;
/// The most types in it; the largest method has nine.
const MAX_TYPES: usize = 256;
/// The work for skipping unknown values, with the bound that ic-cdk uses for every method.
const SKIPPING_QUOTA: usize = 10_000;

/// Differences between an argument and the method's type that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// Fields and arguments that the method does not know.
    unknown: bool,
    /// Optional arguments at the end that are left out.
    missing: bool,
}

/// For methods that change something: a missing argument or a misspelt field is a mistake.
pub const UPDATE: Tolerance = Tolerance {
    unknown: false,
    missing: false,
};
/// For installation and upgrade, which may have no argument.
pub const INSTALLATION: Tolerance = Tolerance {
    unknown: false,
    missing: true,
};
/// For methods that change nothing.
pub const QUERY: Tolerance = Tolerance {
    unknown: true,
    missing: true,
};

pub trait Arguments: for<'a> ArgumentDecoder<'a> {
    /// Their types in Candid.
    fn types() -> Vec<Type>;

    /// The same, with the names of types that have one.
    fn named(names: &mut TypeContainer) -> Vec<Type>;
}

impl Arguments for () {
    fn types() -> Vec<Type> {
        vec![]
    }

    fn named(_: &mut TypeContainer) -> Vec<Type> {
        vec![]
    }
}

impl<A: CandidType + DeserializeOwned> Arguments for (A,) {
    fn types() -> Vec<Type> {
        vec![A::ty()]
    }

    fn named(names: &mut TypeContainer) -> Vec<Type> {
        vec![names.add::<A>()]
    }
}

impl<A: CandidType + DeserializeOwned, B: CandidType + DeserializeOwned> Arguments for (A, B) {
    fn types() -> Vec<Type> {
        vec![A::ty(), B::ty()]
    }

    fn named(names: &mut TypeContainer) -> Vec<Type> {
        vec![names.add::<A>(), names.add::<B>()]
    }
}

/// Decodes arguments, or describes what is wrong with them.
pub fn read<T: Arguments>(bytes: &[u8], tolerance: Tolerance) -> Result<T, String> {
    read_of("", bytes, tolerance)
}

/// Decodes the arguments of this method, or describes what is wrong with them. The error names the method.
pub fn read_of<T: Arguments>(
    method: &str,
    bytes: &[u8],
    tolerance: Tolerance,
) -> Result<T, String> {
    // As in ic-cdk: no argument at all is an empty list of arguments.
    let bytes = if bytes.is_empty() { b"DIDL\0\0" } else { bytes };
    if check(method, bytes, &TypeEnv::new(), &T::types(), tolerance).is_err() {
        // Names are looked up only for the error.
        let mut names = TypeContainer::new();
        let wanted = T::named(&mut names);
        check(method, bytes, &names.env, &wanted, tolerance)?;
    }
    let mut config = DecoderConfig::new();
    config.set_skipping_quota(SKIPPING_QUOTA);
    decode_args_with_config(bytes, &config)
        .map_err(|error| format!("the argument cannot be decoded: {error}"))
}

/// The most work for decoding a request: a byte costs one, a header another 15.
const REQUEST_QUOTA: usize = 10_000_000;

/// Decodes the request of an HTTP gateway. Gateways may send fields that the canister does not know, and the one
/// optional field decides nothing. Types are therefore not compared, which would cost instructions for each request.
pub fn read_request<T: CandidType + DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut config = DecoderConfig::new();
    config
        .set_decoding_quota(REQUEST_QUOTA)
        .set_skipping_quota(SKIPPING_QUOTA)
        .set_max_header_len(MAX_HEADER_BYTES)
        .set_max_type_len(MAX_TYPES)
        .set_full_error_message(false);
    candid::utils::decode_one_with_config(bytes, &config)
        .map_err(|error| format!("the request cannot be decoded: {error}"))
}

/// Whether nothing in the arguments is lost when they are decoded as `wanted`, whose names are in `names`.
fn check(
    method: &str,
    bytes: &[u8],
    names: &TypeEnv,
    wanted: &[Type],
    tolerance: Tolerance,
) -> Result<(), String> {
    let (table, given) = header(bytes)?;
    compare::Comparison {
        given: &table,
        wanted: names,
        tolerance,
    }
    .arguments(method, &given, wanted)
    .map_err(|mismatch| mismatch.to_string())
}

/// The types that the argument declares.
fn header(bytes: &[u8]) -> Result<(TypeEnv, Vec<Type>), String> {
    let front = &bytes[..bytes.len().min(MAX_HEADER_BYTES)];
    let header = Header::read_le_args(&mut Cursor::new(front), (Some(MAX_TYPES),));
    let Ok(header) = header else {
        return Err(format!(
            "not Candid, or types that take more than {MAX_HEADER_BYTES} bytes or are more than {MAX_TYPES}"
        ));
    };
    header
        .to_types()
        .map_err(|error| format!("the argument cannot be decoded: {error}"))
}

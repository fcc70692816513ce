//! What canisters answer HTTP requests with, as Candid.

use candid::types::TypeInner;
use candid::types::reference::FuncVisitor;
use candid::types::value::{IDLValue, IDLValueVisitor};
use candid::types::{Serializer, Type};
use candid::{CandidType, Deserialize, Func};
use serde::Deserializer;
use serde::ser::Error as _;

/// Name and value.
pub(super) type Header = (String, String);

#[derive(CandidType, Deserialize)]
pub(super) struct HttpResponse {
    pub status_code: u16,
    pub headers: Vec<Header>,
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    pub streaming_strategy: Option<StreamingStrategy>,
    pub upgrade: Option<bool>,
}

#[derive(CandidType, Deserialize)]
pub(super) enum StreamingStrategy {
    Callback(CallbackStrategy),
}

#[derive(CandidType, Deserialize)]
pub(super) struct CallbackStrategy {
    pub callback: Callback,
    pub token: Token,
}

#[derive(CandidType, Deserialize)]
pub(super) struct Chunk {
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    pub token: Option<Token>,
}

/// A function of any type: each canister has a type of its own for its tokens.
pub(super) struct Callback(pub Func);

/// A value of any type.
pub(super) struct Token(pub IDLValue);

/// Reads a value whatever its type is: `reserved` is what every type may be read as.
macro_rules! of_any_type {
    ($name:ident, $visitor:expr) => {
        impl CandidType for $name {
            fn _ty() -> Type {
                TypeInner::Reserved.into()
            }

            fn idl_serialize<S: Serializer>(&self, _: S) -> Result<(), S::Error> {
                Err(S::Error::custom("is only read"))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_ignored_any($visitor).map(Self)
            }
        }
    };
}
of_any_type!(Callback, FuncVisitor);
of_any_type!(Token, IDLValueVisitor);

//! The types of the REST protocol, as JSON: of those of the `pocket-ic` crate 16.1 the ones that this server uses. The
//! crate itself brings an HTTP client and a logger, which take long to compile; the tests compare with it.

mod config;
mod outcalls;
#[cfg(test)]
mod tests;
mod topology;

use candid::Principal;
pub(crate) use config::{
    AutoProgressConfig, Fields, HttpGatewayBackend, HttpGatewayConfig, InitialTime, InstanceConfig,
    InstanceHttpGatewayConfig, SubnetSpec,
};
pub(crate) use outcalls::{
    CanisterHttpHeader, CanisterHttpResponse, RawCanisterHttpRequest, RawMockCanisterHttpResponse,
};
use serde::{Deserialize, Serialize};
pub(crate) use topology::{CanisterIdRange, SubnetConfig, Topology};

/// Bytes as base64 text.
mod base64 {
    use ::base64::Engine;
    use ::base64::prelude::BASE64_STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        BASE64_STANDARD
            .decode(String::deserialize(deserializer)?)
            .map_err(Error::custom)
    }
}

/// A record with one field that holds a principal's bytes, by the name of the field.
macro_rules! raw_id {
    ($name:ident, $field:ident) => {
        #[doc = concat!("A principal, in a record with the field `", stringify!($field), "`.")]
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub(crate) struct $name {
            #[serde(with = "base64")]
            pub $field: Vec<u8>,
        }

        impl From<Principal> for $name {
            fn from(id: Principal) -> Self {
                Self {
                    $field: id.as_slice().to_vec(),
                }
            }
        }
    };
}
raw_id!(RawCanisterId, canister_id);
raw_id!(RawPrincipalId, principal_id);
raw_id!(RawSubnetId, subnet_id);

#[derive(Debug, Serialize)]
pub(crate) enum CreateInstanceResponse {
    Created {
        instance_id: usize,
        topology: Topology,
        http_gateway_info: Option<HttpGatewayInfo>,
    },
    Error {
        message: String,
    },
}

#[derive(Debug, Serialize)]
pub(crate) enum CreateHttpGatewayResponse {
    Created(HttpGatewayInfo),
    Error { message: String },
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct HttpGatewayInfo {
    pub instance_id: usize,
    pub port: u16,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct HttpGatewayDetails {
    pub instance_id: usize,
    pub port: u16,
    pub forward_to: HttpGatewayBackend,
    pub domains: Option<Vec<String>>,
    /// Never set: TLS is refused.
    pub https_config: Option<()>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct RawTime {
    pub nanos_since_epoch: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum RawEffectivePrincipal {
    None,
    SubnetId(#[serde(with = "base64")] Vec<u8>),
    CanisterId(#[serde(with = "base64")] Vec<u8>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RawMessageId {
    pub effective_principal: RawEffectivePrincipal,
    #[serde(with = "base64")]
    pub message_id: Vec<u8>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawIngressStatusArgs {
    pub raw_message_id: RawMessageId,
    pub raw_caller: Option<RawPrincipalId>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawCanisterCall {
    #[serde(with = "base64")]
    pub sender: Vec<u8>,
    #[serde(with = "base64")]
    pub canister_id: Vec<u8>,
    pub effective_principal: RawEffectivePrincipal,
    pub method: String,
    #[serde(with = "base64")]
    pub payload: Vec<u8>,
    /// Refused.
    pub sender_info: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Serialize)]
pub(crate) enum RawCanisterResult {
    Ok(#[serde(with = "base64")] Vec<u8>),
    Err(RejectResponse),
}

/// Codes go by the names that the protocol has for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RejectResponse {
    pub reject_code: &'static str,
    pub reject_message: String,
    pub error_code: String,
    pub certified: bool,
}

/// The protocol's name of a reject code.
pub(crate) fn reject_code(number: u32) -> Option<&'static str> {
    Some(match number {
        1 => "SysFatal",
        2 => "SysTransient",
        3 => "DestinationInvalid",
        4 => "CanisterReject",
        5 => "CanisterError",
        6 => "SysUnknown",
        _ => return None,
    })
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawSetStableMemory {
    #[serde(with = "base64")]
    pub canister_id: Vec<u8>,
    /// Its SHA-256.
    #[serde(with = "base64")]
    pub blob_id: Vec<u8>,
}

#[derive(Debug, Serialize)]
pub(crate) struct RawStableMemory {
    #[serde(with = "base64")]
    pub blob: Vec<u8>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawAddCycles {
    #[serde(with = "base64")]
    pub canister_id: Vec<u8>,
    pub amount: u128,
}

#[derive(Debug, Serialize)]
pub(crate) struct RawCycles {
    pub cycles: u128,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawTickConfigs {
    /// Refused.
    pub blockmakers: Option<serde::de::IgnoredAny>,
}

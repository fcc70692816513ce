//! The objects of the method `icrc1` (`docs/scheme_exact_icp_transfer.md`).

use super::ExactIcrc2Extra;
use crate::number;
use serde::{Deserialize, Serialize};
use std::fmt;

/// `extra` of an `exact` offer paid by the client's own transfer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExactIcrc1Extra {
    /// `icrc1`.
    pub asset_transfer_method: String,
    /// `upfront`.
    pub payment_flow: String,
    /// The token's symbol, for display.
    #[serde(default)]
    pub symbol: String,
    /// The token's decimals, for display.
    #[serde(deserialize_with = "number::deserialize", default)]
    pub decimals: u8,
    /// The ledger's transfer fee in atomic units, which the transfer costs in addition; for display.
    #[serde(default)]
    pub fee: String,
    /// The canister that made the offer, and reads the proof.
    pub canister: String,
    /// The route and price revision, see [`crate::offer::offer_id`].
    pub offer: String,
    /// The HTTP method that the offer is for, in upper case.
    pub method: String,
    /// The path template that the offer is for.
    pub route: String,
    /// The price revision, at most [`MAX_SAFE_INTEGER`](crate::number::MAX_SAFE_INTEGER).
    #[serde(deserialize_with = "number::deserialize")]
    pub revision: u64,
    /// How long after its block a transfer can be presented, in seconds.
    #[serde(deserialize_with = "number::deserialize", default)]
    pub max_proof_age_seconds: u32,
}

/// `extra` of an `exact` offer, by its method.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ExactExtra {
    /// [`METHOD_ICRC2`](super::METHOD_ICRC2).
    Icrc2(ExactIcrc2Extra),
    /// [`METHOD_ICRC1`](super::METHOD_ICRC1).
    Icrc1(ExactIcrc1Extra),
}

/// The proof of an `exact` payment by the client's own transfer. Everything is text.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExactIcrc1Payload {
    /// The ICRC-1 account that the money came from.
    pub from: String,
    /// The block of the transfer, decimal.
    pub block_index: String,
    /// 64 lower-case hexadecimal digits, random, see [`crate::transfer::commitment`].
    pub secret: String,
}

impl fmt::Debug for ExactIcrc1Payload {
    /// Without the secret: with it the payment is a bearer token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExactIcrc1Payload")
            .field("from", &self.from)
            .field("block_index", &self.block_index)
            .finish_non_exhaustive()
    }
}

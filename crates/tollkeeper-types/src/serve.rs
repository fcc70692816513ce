//! The method `x402_serve` of a forward target: the work of a route, after the payment.

use crate::{Account, HeaderField};
use candid::{CandidType, Nat, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// A request that was paid for.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct ServeArgs {
    /// The payment's id: 32 bytes, the same in every call for this payment.
    pub payment_id: ByteBuf,
    /// The account that paid.
    pub payer: Account,
    /// The amount that the merchant received, in atomic units.
    pub amount: Nat,
    /// The ledger of the payment.
    pub asset: Principal,
    /// The HTTP method.
    pub method: String,
    /// Path and query.
    pub url: String,
    /// Those headers of the request that describe its body, and the answer that is wanted.
    pub headers: Vec<HeaderField>,
    /// The request body.
    pub body: ByteBuf,
}

/// The answer. With a status below 400 it is delivered, else the payer is refunded.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Served {
    /// The HTTP status.
    pub status: u16,
    /// Response headers. Those that describe the body are delivered.
    pub headers: Vec<HeaderField>,
    /// The response body.
    pub body: ByteBuf,
    /// Reserved for metered prices; ignored.
    pub units: Option<Nat>,
}

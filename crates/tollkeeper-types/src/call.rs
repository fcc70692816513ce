//! Buying by a Candid call.

use crate::{AccountArg, InvalidArgument, Offer, Receipt};
use candid::{CandidType, Nat, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// The present terms of a resource.
#[derive(Clone, Debug, PartialEq, CandidType, Deserialize)]
pub struct Quote {
    /// A description for a reader.
    pub description: String,
    /// The MIME type of the body.
    pub mime_type: String,
    /// The current offers, in the seller's order of preference; none if it is not on sale.
    pub offers: Vec<Offer>,
}

/// What the caller buys, and the terms that the caller agrees to.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct PayArgs {
    /// 32 bytes that the caller has chosen. The same arguments again are the same payment.
    pub id: ByteBuf,
    /// The HTTP method.
    pub method: String,
    /// The path of the resource: decoded, without query, fragment and characters that cannot stand in a URL.
    pub path: String,
    /// The ledger of an offer.
    pub ledger: Principal,
    /// The amount of the offer.
    pub amount: Nat,
    /// The ledger's fee in the offer.
    pub fee: Nat,
    /// The recipient in the offer.
    pub pay_to: AccountArg,
    /// The caller's subaccount that pays; absent means the default one.
    pub from_subaccount: Option<ByteBuf>,
    /// `created_at_time` of the transfer, in nanoseconds: the present time, or a little less, in every repetition the
    /// same.
    pub created_at_time: u64,
}

/// A resource with the receipt of its payment.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Purchased {
    /// The receipt of the payment.
    pub receipt: Receipt,
    /// The MIME type of the body.
    pub mime_type: String,
    /// The body.
    pub body: ByteBuf,
}

/// The reason why nothing was delivered.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub enum PayError {
    /// The anonymous principal cannot pay by call.
    AnonymousCaller,
    /// An argument is malformed.
    InvalidArgument(InvalidArgument),
    /// This call moved nothing and stored nothing; an id that was free stays free. With the code
    /// `invalid_exact_icp_nonce_used` another payment of this caller has the id, and may have moved money.
    Refused {
        /// An error code of the binding.
        code: String,
        /// A message for a reader.
        message: String,
    },
    /// The ledger provably moved nothing. The id stays used.
    Failed {
        /// The payment's id.
        payment_id: ByteBuf,
        /// An error code of the binding.
        code: String,
        /// A message for a reader.
        message: String,
    },
    /// The outcome is not known yet. The same call again returns it once it is.
    Pending {
        /// The payment's id.
        payment_id: ByteBuf,
    },
    /// It was paid and delivered too long ago, or is refunded or to be refunded, by the canister or the merchant.
    Duplicate {
        /// The payment's id.
        payment_id: ByteBuf,
        /// The receipt of the payment, if it settled.
        receipt: Option<Box<Receipt>>,
    },
}

//! Buying by a Candid call.

use crate::{AccountArg, InvalidArgument, Offer, Receipt};
use candid::{CandidType, Nat, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// What a resource costs now.
#[derive(Clone, Debug, PartialEq, CandidType, Deserialize)]
pub struct Quote {
    /// What it is, for a reader.
    pub description: String,
    /// The MIME type of the body.
    pub mime_type: String,
    /// The ways to pay that are open now, in the seller's order of preference; none if it is not on sale.
    pub offers: Vec<Offer>,
}

/// What the caller agrees to pay, and for what.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct PayArgs {
    /// 32 bytes that the caller has chosen. The same arguments again are the same payment.
    pub id: ByteBuf,
    /// The method of the route.
    pub method: String,
    /// The path that is bought.
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
    /// `created_at_time` of the transfer; absent means the time of the first call.
    pub created_at_time: Option<u64>,
}

/// What was bought, and the proof of the payment.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Purchased {
    /// The proof of the payment.
    pub receipt: Receipt,
    /// The MIME type of the body.
    pub mime_type: String,
    /// The body.
    pub body: ByteBuf,
}

/// Why nothing was delivered.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub enum PayError {
    /// The anonymous principal pays nothing by call.
    AnonymousCaller,
    /// An argument is malformed.
    InvalidArgument(InvalidArgument),
    /// Nothing moved and the id is free.
    Refused {
        /// An error code of the binding.
        code: String,
        /// The same for a reader.
        message: String,
    },
    /// The ledger provably moved nothing. The id stays used.
    Failed {
        /// Which payment.
        payment_id: ByteBuf,
        /// An error code of the binding.
        code: String,
        /// The same for a reader.
        message: String,
    },
    /// The outcome is not known yet: the same call again learns it.
    Pending {
        /// Which payment.
        payment_id: ByteBuf,
    },
    /// It was paid and delivered too long ago, or paid back.
    Duplicate {
        /// Which payment.
        payment_id: ByteBuf,
        /// The proof of the payment, if it settled.
        receipt: Option<Box<Receipt>>,
    },
}

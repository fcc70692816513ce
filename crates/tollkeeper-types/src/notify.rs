//! What a seller's canister asks, and what it is told.

use crate::{Account, InvalidArgument, Receipt};
use candid::{CandidType, Nat, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// The argument of `x402_notify`, the method that the canister of `notify_set` has. An event may be sent more than
/// once, always with the same number, and not always in the order of the numbers.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct PaymentEvent {
    /// The number of the event: it grows, and no other event has it. A number that never comes was dropped.
    pub event_id: u64,
    /// What happened.
    pub kind: PaymentEventKind,
    /// When it happened.
    pub at: u64,
    /// The payment's id.
    pub payment_id: ByteBuf,
    /// The ledger.
    pub ledger: Principal,
    /// The block that shows the payment.
    pub block_index: Nat,
    /// The account that paid.
    pub payer: Account,
    /// The account that was paid.
    pub pay_to: Account,
    /// The amount that the merchant received.
    pub amount: Nat,
    /// The fee that the ledger took in addition.
    pub fee: Nat,
    /// The method of the request.
    pub method: String,
    /// The path of the request.
    pub path: String,
}

/// What happened to a payment. Each happens once at most.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub enum PaymentEventKind {
    /// The money moved.
    Settled,
    /// What was bought was handed out for the first time.
    Delivered,
    /// The payer got the money back.
    Refunded {
        /// The block that shows the refund.
        block_index: Nat,
    },
}

/// Where the events for the merchant's canister stand.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct NotifyStatus {
    /// The canister that is told of events.
    pub target: Option<Principal>,
    /// The events that wait.
    pub waiting: u64,
    /// The events that the canister has taken.
    pub sent: u64,
    /// The events that were dropped.
    pub dropped: u64,
    /// The number of the latest event.
    pub latest_event_id: u64,
    /// The failed rounds since the last success.
    pub failures: u16,
    /// The time of the next try.
    pub next_try: Option<u64>,
}

/// Which payment gives access to what.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct AccessArgs {
    /// The principal that claims to have paid.
    pub payer: Principal,
    /// The payment's id.
    pub payment_id: ByteBuf,
    /// The HTTP method of the item.
    pub method: String,
    /// The path of the item, as it was bought.
    pub path: String,
}

/// The principal has paid for the item.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Access {
    /// The receipt of the payment.
    pub receipt: Receipt,
    /// The end of the retention, from which on the canister does not deliver again.
    pub until: u64,
}

/// The reason why this payment gives the principal no access to the item.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub enum AccessError {
    /// The caller may not know who paid for what.
    Unauthorized,
    /// An argument is malformed.
    InvalidArgument(InvalidArgument),
    /// This principal has no settled payment with this id for this item.
    NotPaid,
    /// The money moved, and what was bought is still owed: a payment that is not fetched is refunded. The payer repeats
    /// the request first.
    NotDelivered,
    /// The payer got the money back, or gets it.
    Refunded,
    /// The retention is over.
    Expired {
        /// Its end.
        until: u64,
    },
}

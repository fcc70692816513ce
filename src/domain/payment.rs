//! The life of a payment.
//!
//! ```text
//!           Opened                      Moved
//!  (none) ─────────▶ Settling (try 1) ─────────▶ Settled          final
//!                      │        │ NotMoved
//!                      │        └──────────────▶ Failed           final
//!              InDoubt │
//!                      ▼   Retried
//!                    Unknown ◀────────▶ Settling (try 2, 3, …) ──▶ Settled
//!                            InDoubt,           Moved
//!                            NotMoved
//! ```
//! 1. `Opened`: the authorization was verified; nonce and `created_at_time` are journalled before the
//!    ledger is asked.
//! 2. `Moved`: the ledger proved that the money moved. Final.
//! 3. `NotMoved` on the first try: the ledger proved that it did not. Final: one authorization has one
//!    outcome, so that a payer who signs anew is not charged for both when somebody repeats the first.
//! 4. `InDoubt`: the answer proves neither (system errors, unreadable replies, an upgrade or a trap
//!    between the call and its answer).
//! 5. `Retried`: the same call again, with the same memo and `created_at_time`, so that the ledger itself
//!    finds out whether it was done before.
//! 6. `NotMoved` on a later try proves only that the later try did nothing: ledgers differ in what they
//!    check before they look for duplicates. The payment stays unknown until the ledger says `Ok` or
//!    `Duplicate`, or its block log is searched.
//! 7. Every other combination is refused and changes nothing. `Settled` and `Failed` never change.

use crate::types::{
    Account, Amount, BlockIndex, Fingerprint, PaymentId, Proof, RouteKey, TimestampNs,
};
use candid::Principal;

/// Where a payment stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The ledger has been asked and has not answered yet.
    Settling {
        /// Which try this is, from 1.
        attempt: u16,
    },
    /// The money moved.
    Settled {
        /// The block that shows it.
        block: BlockIndex,
        /// When we learnt it.
        at: TimestampNs,
    },
    /// The money provably did not move.
    Failed {
        /// Why.
        failure: Failure,
        /// When we learnt it.
        at: TimestampNs,
    },
    /// Nobody knows yet whether the money moved.
    Unknown {
        /// Why not.
        doubt: Doubt,
        /// Since when.
        since: TimestampNs,
        /// How often the ledger has been asked.
        attempts: u16,
    },
}

/// What happens to a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Journalled for the first time.
    Opened,
    /// The ledger is asked again.
    Retried,
    /// The ledger proved that the money moved.
    Moved {
        /// The block that shows it.
        block: BlockIndex,
    },
    /// The ledger proved that this try moved nothing.
    NotMoved(Failure),
    /// The answer proves nothing.
    InDoubt(Doubt),
}

/// Why a payment failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind.
    pub kind: FailureKind,
    /// For a reader, at most [`MAX_MESSAGE_BYTES`] long.
    pub message: String,
}

/// The longest message that is kept with a failure or a doubt, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 160;

/// The ways in which a ledger refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The ledger's fee is not the one in the offer.
    FeeChanged,
    /// The balance does not cover amount and fee.
    InsufficientFunds,
    /// The allowance does not cover amount and fee.
    InsufficientAllowance,
    /// The ledger refuses for another reason or cannot be reached.
    LedgerUnavailable,
}

impl FailureKind {
    /// Every kind, in the order of their numbers in storage.
    pub const ALL: [FailureKind; 4] = [
        FailureKind::FeeChanged,
        FailureKind::InsufficientFunds,
        FailureKind::InsufficientAllowance,
        FailureKind::LedgerUnavailable,
    ];

    /// The code that the payer is told.
    pub fn code(self) -> x402_icp::Code {
        match self {
            // The offer that was accepted is not the offer any more.
            FailureKind::FeeChanged => x402_icp::Code::OfferMismatch,
            FailureKind::InsufficientFunds => x402_icp::Code::InsufficientFunds,
            FailureKind::InsufficientAllowance => x402_icp::Code::InsufficientAllowance,
            FailureKind::LedgerUnavailable => x402_icp::Code::LedgerUnavailable,
        }
    }
}

/// Why nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The call ended with a reject that does not exclude that the ledger acted.
    Reject,
    /// The ledger's reply cannot be read.
    UnreadableReply,
    /// This canister trapped while it handled the answer.
    Trapped,
    /// This canister was upgraded before the answer came.
    Upgraded,
    /// A later try was refused; the first may still have been done.
    RetryRefused,
    /// The ledger named a block that was there before the call.
    ImplausibleBlock,
}

impl Doubt {
    /// Every doubt, in the order of their numbers in storage.
    pub const ALL: [Doubt; 6] = [
        Doubt::Reject,
        Doubt::UnreadableReply,
        Doubt::Trapped,
        Doubt::Upgraded,
        Doubt::RetryRefused,
        Doubt::ImplausibleBlock,
    ];

    /// For a reader.
    pub const fn text(self) -> &'static str {
        match self {
            Doubt::Reject => "the call was rejected without proof that the ledger did nothing",
            Doubt::UnreadableReply => "the ledger's reply could not be read",
            Doubt::Trapped => "this canister trapped while it handled the ledger's answer",
            Doubt::Upgraded => "this canister was upgraded before the ledger answered",
            Doubt::RetryRefused => "the ledger refused a later try of the same transfer",
            Doubt::ImplausibleBlock => "the ledger named a block that was there before the call",
        }
    }
}

/// The event does not fit the state. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{event:?} does not fit {state:?}")]
pub struct IllegalTransition {
    /// Where the payment stands; `None` if there is none.
    pub state: Option<State>,
    /// What was to happen.
    pub event: Event,
}

/// The state after `event`. Total: every pair of state and event has an answer.
pub fn step(
    state: Option<&State>,
    event: &Event,
    now: TimestampNs,
) -> Result<State, IllegalTransition> {
    match (state, event) {
        (None, Event::Opened) => Ok(State::Settling { attempt: 1 }),
        (Some(State::Unknown { attempts, .. }), Event::Retried) => Ok(State::Settling {
            attempt: attempts.saturating_add(1).max(2),
        }),
        (Some(State::Settling { .. }), Event::Moved { block }) => Ok(State::Settled {
            block: *block,
            at: now,
        }),
        (Some(State::Settling { attempt: 1 }), Event::NotMoved(failure)) => Ok(State::Failed {
            failure: failure.clone(),
            at: now,
        }),
        (Some(State::Settling { attempt }), Event::NotMoved(_)) => Ok(State::Unknown {
            doubt: Doubt::RetryRefused,
            since: now,
            attempts: *attempt,
        }),
        (Some(State::Settling { attempt }), Event::InDoubt(doubt)) => Ok(State::Unknown {
            doubt: *doubt,
            since: now,
            attempts: *attempt,
        }),
        (state, event) => Err(IllegalTransition {
            state: state.cloned(),
            event: event.clone(),
        }),
    }
}

/// A payment, as the books know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// SHA-256 of the signed message.
    pub id: PaymentId,
    /// CAIP-2 network id.
    pub network: String,
    /// The ledger.
    pub ledger: Principal,
    /// Who pays.
    pub from: Account,
    /// Who is paid.
    pub to: Account,
    /// What the merchant gets.
    pub amount: Amount,
    /// What the ledger gets, paid by the payer on top.
    pub fee: Amount,
    /// What was asked for: the method and the path of the request, not the template.
    pub request: RouteKey,
    /// The request, hashed.
    pub fingerprint: Fingerprint,
    /// The authorization as presented, hashed.
    pub proof: Proof,
    /// When it was journalled, and `created_at_time` of the transfer in every try.
    pub created_at: TimestampNs,
    /// Where it stands.
    pub state: State,
}

/// Proof of a settled payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which payment.
    pub payment_id: PaymentId,
    /// CAIP-2 network id.
    pub network: String,
    /// The ledger.
    pub ledger: Principal,
    /// The block that shows the transfer.
    pub block_index: BlockIndex,
    /// Who paid.
    pub payer: Account,
    /// Who was paid.
    pub pay_to: Account,
    /// What the merchant got.
    pub amount: Amount,
    /// What the ledger got on top.
    pub fee: Amount,
    /// Method and path of the request.
    pub request: RouteKey,
    /// When the canister learnt it.
    pub settled_at: TimestampNs,
}

impl Payment {
    /// The receipt, if the payment is settled.
    pub fn receipt(&self) -> Option<Receipt> {
        let State::Settled { block, at } = self.state else {
            return None;
        };
        Some(Receipt {
            payment_id: self.id,
            network: self.network.clone(),
            ledger: self.ledger,
            block_index: block,
            payer: self.from,
            pay_to: self.to,
            amount: self.amount,
            fee: self.fee,
            request: self.request.clone(),
            settled_at: at,
        })
    }
}

/// `text`, cut to [`MAX_MESSAGE_BYTES`] at a character's end.
pub fn message(text: impl Into<String>) -> String {
    let mut text = text.into();
    if text.len() > MAX_MESSAGE_BYTES {
        let end = (0..=MAX_MESSAGE_BYTES)
            .rev()
            .find(|i| text.is_char_boundary(*i))
            .unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
pub(crate) mod tests;

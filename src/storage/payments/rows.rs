//! The rows of payments. Networks, ledgers and paid accounts are stored as numbers, hashes are cut to half.
//!
//! A row of these tables may be unreadable ([`quarantine`](super::super::quarantine)). A value that this version does
//! not know is an error, never another value.

mod terms;

use super::Opening;
use crate::{
    domain::{
        payment::{
            Doubt, Failure, FailureKind, Payment, RefundCause, RefundProblem, State, WorkProblem,
        },
        rail::TxRef,
    },
    storage::codec::{StoredTxRef, number_in, of_number},
    types::{BlockIndex, ClaimKey, PaymentId, TimestampNs},
};
use minicbor::{Decode, Encode};
use terms::TermsRow;

/// A payment that is being settled or unknown.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OpenRow {
    #[n(0)]
    terms: TermsRow,
    /// From 1.
    #[n(1)]
    attempt: u16,
    /// Absent while the payment is being settled.
    #[n(2)]
    doubt: Option<u8>,
    /// The time of the doubt, or of the call that is under way.
    #[n(3)]
    since: u64,
    #[n(4)]
    valid_before: u64,
    #[n(5)]
    known_block: Option<u64>,
    #[n(6)]
    all_failed: bool,
}

impl OpenRow {
    /// `None` if the payment is neither being settled nor unknown, or its terms cannot be stored.
    pub fn new(payment: &Payment, opening: &Opening) -> Option<Self> {
        let (attempt, doubt, since, all_failed) = match &payment.state {
            State::Settling {
                attempt,
                all_failed,
            } => (*attempt, None, opening.tried_at, *all_failed),
            State::Unknown {
                doubt,
                since,
                attempts,
                all_failed,
            } => (*attempts, Some(doubt_number(*doubt)), *since, *all_failed),
            _ => return None,
        };
        Some(OpenRow {
            terms: TermsRow::new(payment)?,
            attempt,
            doubt,
            since: since.0,
            valid_before: opening.valid_before,
            known_block: opening.known_block.map(|block| block.0),
            all_failed,
        })
    }

    /// `None` if this version cannot read it.
    pub fn payment(self) -> Option<(Payment, Opening)> {
        let opening = Opening {
            valid_before: self.valid_before,
            known_block: self.known_block.map(BlockIndex),
            tried_at: TimestampNs(self.since),
        };
        let state = match self.doubt {
            None => State::Settling {
                attempt: self.attempt,
                all_failed: self.all_failed,
            },
            Some(number) => State::Unknown {
                doubt: of_number(&Doubt::ALL, number)?,
                since: opening.tried_at,
                attempts: self.attempt,
                all_failed: self.all_failed,
            },
        };
        Some((self.terms.payment(state)?, opening))
    }
}

/// A settled payment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SettledRow {
    #[n(0)]
    terms: TermsRow,
    #[n(1)]
    tx: StoredTxRef,
    #[n(2)]
    settled_at: u64,
}

impl SettledRow {
    /// `None` if the payment is not settled, or its terms cannot be stored.
    pub fn new(payment: &Payment) -> Option<Self> {
        let (tx, at) = payment.state.moved()?;
        Some(SettledRow {
            terms: TermsRow::new(payment)?,
            tx: StoredTxRef(tx),
            settled_at: at.0,
        })
    }

    pub fn ledger(&self) -> u16 {
        self.terms.asset
    }

    pub fn tx(&self) -> TxRef {
        self.tx.0
    }

    /// The payment with its delivery; without a delivery row it was delivered at once. `None` if this version cannot
    /// read it.
    pub fn payment(self, delivery: Option<DeliveryRow>) -> Option<Payment> {
        let (tx, settled_at) = (self.tx.0, TimestampNs(self.settled_at));
        let state = match delivery {
            Some(delivery) => delivery.state(tx, settled_at)?,
            None => State::Delivered {
                tx,
                settled_at,
                at: settled_at,
            },
        };
        self.terms.payment(state)
    }
}

/// The delivery of a settled payment that was not delivered at once.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DeliveryRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    key: [u8; 16],
    #[n(1)]
    delivery: Delivery,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
enum Delivery {
    #[n(0)]
    Undelivered,
    #[n(1)]
    Delivered(#[n(0)] u64),
    #[n(2)]
    Refunding {
        #[n(0)]
        since: u64,
        #[n(1)]
        attempts: u16,
        #[n(2)]
        cause: u8,
        #[n(3)]
        problem: u8,
    },
    #[n(3)]
    Refunded {
        #[n(0)]
        tx: StoredTxRef,
        #[n(1)]
        at: u64,
    },
    #[n(4)]
    Working {
        #[n(0)]
        since: u64,
        #[n(1)]
        attempt: u16,
    },
    #[n(5)]
    Undone {
        #[n(0)]
        since: u64,
        #[n(1)]
        attempts: u16,
        #[n(2)]
        problem: u8,
    },
}

impl DeliveryRow {
    /// Whether the payment is in a final state: delivered or refunded.
    pub fn is_final(&self) -> bool {
        matches!(
            self.delivery,
            Delivery::Delivered(_) | Delivery::Refunded { .. }
        )
    }

    /// `None` if the payment is not settled, or was delivered at once.
    pub fn new(key: &ClaimKey, state: &State) -> Option<Self> {
        let delivery = match state {
            State::Settled { .. } => Delivery::Undelivered,
            State::Delivered { settled_at, at, .. } if at != settled_at => {
                Delivery::Delivered(at.0)
            }
            State::Refunding {
                since,
                attempts,
                cause,
                problem,
                ..
            } => Delivery::Refunding {
                since: since.0,
                attempts: *attempts,
                cause: cause_number(*cause),
                problem: problem_number(*problem),
            },
            State::Working { since, attempt, .. } => Delivery::Working {
                since: since.0,
                attempt: *attempt,
            },
            State::Undone {
                since,
                attempts,
                problem,
                ..
            } => Delivery::Undone {
                since: since.0,
                attempts: *attempts,
                problem: work_number(*problem),
            },
            State::Refunded { refund_tx, at, .. } => Delivery::Refunded {
                tx: StoredTxRef(*refund_tx),
                at: at.0,
            },
            _ => return None,
        };
        Some(DeliveryRow {
            key: key.0,
            delivery,
        })
    }

    pub fn key(&self) -> ClaimKey {
        ClaimKey(self.key)
    }

    fn state(self, tx: TxRef, settled_at: TimestampNs) -> Option<State> {
        Some(match self.delivery {
            Delivery::Undelivered => State::Settled { tx, at: settled_at },
            Delivery::Delivered(at) => State::Delivered {
                tx,
                settled_at,
                at: TimestampNs(at),
            },
            Delivery::Refunding {
                since,
                attempts,
                cause,
                problem,
            } => State::Refunding {
                tx,
                settled_at,
                since: TimestampNs(since),
                attempts,
                cause: of_number(&RefundCause::ALL, cause)?,
                problem: of_number(&RefundProblem::ALL, problem)?,
            },
            Delivery::Working { since, attempt } => State::Working {
                tx,
                settled_at,
                since: TimestampNs(since),
                attempt,
            },
            Delivery::Undone {
                since,
                attempts,
                problem,
            } => State::Undone {
                tx,
                settled_at,
                since: TimestampNs(since),
                attempts,
                problem: of_number(&WorkProblem::ALL, problem)?,
            },
            Delivery::Refunded { tx: refund_tx, at } => State::Refunded {
                tx,
                settled_at,
                refund_tx: refund_tx.0,
                at: TimestampNs(at),
            },
        })
    }
}

/// A payment that failed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FailureRow {
    #[n(0)]
    terms: TermsRow,
    #[n(1)]
    kind: u8,
    #[n(2)]
    message: String,
    #[n(3)]
    failed_at: u64,
    #[n(4)]
    number: u64,
    #[n(5)]
    valid_before: u64,
}

impl FailureRow {
    /// `None` if the payment did not fail, or its terms cannot be stored.
    pub fn new(payment: &Payment, number: u64, valid_before: u64) -> Option<Self> {
        let State::Failed { failure, at } = &payment.state else {
            return None;
        };
        Some(FailureRow {
            terms: TermsRow::new(payment)?,
            kind: failure_number(failure.kind),
            message: failure.message.clone(),
            failed_at: at.0,
            number,
            valid_before,
        })
    }

    /// `None` if this version cannot read it.
    pub fn payment(self) -> Option<Payment> {
        let failure = Failure {
            kind: of_number(&FailureKind::ALL, self.kind)?,
            message: self.message,
        };
        self.terms.payment(State::Failed {
            failure,
            at: TimestampNs(self.failed_at),
        })
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn id(&self) -> PaymentId {
        PaymentId(self.terms.id)
    }

    /// Whether the authorization could be presented again if its failure were removed.
    pub fn is_valid(&self, now: TimestampNs) -> bool {
        now.seconds() < self.valid_before
    }
}

pub fn doubt_number(doubt: Doubt) -> u8 {
    number_in(&Doubt::ALL, doubt)
}

pub fn failure_number(kind: FailureKind) -> u8 {
    number_in(&FailureKind::ALL, kind)
}

pub fn problem_number(problem: RefundProblem) -> u8 {
    number_in(&RefundProblem::ALL, problem)
}

pub fn work_number(problem: WorkProblem) -> u8 {
    number_in(&WorkProblem::ALL, problem)
}

pub fn cause_number(cause: RefundCause) -> u8 {
    number_in(&RefundCause::ALL, cause)
}

//! How payments are written. The network and the ledger are numbers, hashes are half as long.

use super::Opening;
use crate::{
    domain::payment::{Doubt, Failure, FailureKind, Payment, RefundCause, RefundProblem, State},
    storable_row,
    storage::{
        codec::{StoredAccount, StoredU128},
        config, ledgers,
    },
    types::{BlockIndex, Fingerprint, Method, NonceKey, PaymentId, Proof, RouteKey, TimestampNs},
};
use candid::Principal;
use minicbor::{Decode, Encode};

/// What never changes about a payment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct TermsRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 32],
    #[n(1)]
    network: u8,
    #[n(2)]
    ledger: u8,
    #[n(3)]
    from: StoredAccount,
    #[n(4)]
    to: StoredAccount,
    #[n(5)]
    amount: StoredU128,
    #[n(6)]
    fee: StoredU128,
    #[n(7)]
    method: u8,
    #[n(8)]
    path: String,
    #[cbor(n(9), with = "minicbor::bytes")]
    fingerprint: [u8; 16],
    #[cbor(n(10), with = "minicbor::bytes")]
    proof: [u8; 16],
    #[n(11)]
    created_at: u64,
    /// Absent in rows older than stored responses.
    #[n(12)]
    response: Option<u32>,
}

impl TermsRow {
    /// `None` if the ledger is not registered.
    fn new(payment: &Payment) -> Option<Self> {
        Some(TermsRow {
            id: payment.id.0,
            network: config::network_number(&payment.network),
            ledger: ledgers::index(&payment.ledger)?,
            from: StoredAccount(payment.from),
            to: StoredAccount(payment.to),
            amount: payment.amount.into(),
            fee: payment.fee.into(),
            method: method_number(payment.request.method),
            path: payment.request.path.clone(),
            fingerprint: payment.fingerprint.0,
            proof: payment.proof.0,
            created_at: payment.created_at.0,
            response: payment.response,
        })
    }

    fn payment(self, state: State) -> Payment {
        Payment {
            id: PaymentId(self.id),
            network: config::network(self.network),
            ledger: ledgers::by_index(self.ledger).unwrap_or(Principal::management_canister()),
            from: self.from.0,
            to: self.to.0,
            amount: self.amount.into(),
            fee: self.fee.into(),
            request: RouteKey::new(method(self.method), self.path),
            fingerprint: Fingerprint(self.fingerprint),
            proof: Proof(self.proof),
            created_at: TimestampNs(self.created_at),
            response: self.response,
            state,
        }
    }
}

/// A payment that is being settled or unknown.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OpenRow {
    #[n(0)]
    terms: TermsRow,
    /// 0 before the ledger is asked.
    #[n(1)]
    attempt: u16,
    /// Absent while it is being settled.
    #[n(2)]
    doubt: Option<u8>,
    /// Of the doubt, or of the try that is under way.
    #[n(3)]
    since: u64,
    /// The route's template, in rows of older versions.
    #[n(4)]
    template: Option<String>,
    /// Absent in older rows, as is what follows.
    #[n(5)]
    valid_before: Option<u64>,
    #[n(6)]
    known_block: Option<u64>,
    #[n(7)]
    in_vain: bool,
}

storable_row!(OpenRow);

impl OpenRow {
    /// `None` if the ledger is not registered, or the payment not open.
    pub fn new(payment: &Payment, opening: &Opening) -> Option<Self> {
        let (attempt, doubt, since, in_vain) = match &payment.state {
            State::Reserved => (0, None, opening.tried_at, false),
            State::Settling { attempt, in_vain } => (*attempt, None, opening.tried_at, *in_vain),
            State::Unknown {
                doubt,
                since,
                attempts,
                in_vain,
            } => (*attempts, Some(doubt_number(*doubt)), *since, *in_vain),
            _ => return None,
        };
        Some(OpenRow {
            terms: TermsRow::new(payment)?,
            attempt,
            doubt,
            since: since.0,
            template: None,
            valid_before: opening.valid_before,
            known_block: opening.known_block.map(|block| block.0),
            in_vain,
        })
    }

    pub fn payment(self) -> Payment {
        let state = match (self.doubt, self.attempt) {
            (None, 0) => State::Reserved,
            (None, attempt) => State::Settling {
                attempt,
                in_vain: self.in_vain,
            },
            (Some(number), attempts) => State::Unknown {
                doubt: doubt(number),
                since: TimestampNs(self.since),
                attempts,
                in_vain: self.in_vain,
            },
        };
        self.terms.payment(state)
    }

    pub fn opening(&self) -> Opening {
        Opening {
            valid_before: self.valid_before,
            known_block: self.known_block.map(BlockIndex),
            tried_at: TimestampNs(self.since),
        }
    }
}

/// A settled payment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BookRow {
    #[n(0)]
    terms: TermsRow,
    #[n(1)]
    block: u64,
    #[n(2)]
    settled_at: u64,
}

storable_row!(BookRow);

impl BookRow {
    /// `None` if the ledger is not registered, or the payment not settled.
    pub fn new(payment: &Payment) -> Option<Self> {
        let (block, at) = payment.state.moved()?;
        Some(BookRow {
            terms: TermsRow::new(payment)?,
            block: block.0,
            settled_at: at.0,
        })
    }

    pub fn ledger(&self) -> u8 {
        self.terms.ledger
    }

    pub fn block(&self) -> u64 {
        self.block
    }

    /// The payment with what became of it; without a word on that it was delivered at once.
    pub fn payment(self, fate: Option<FateRow>) -> Payment {
        let (block, settled_at) = (BlockIndex(self.block), TimestampNs(self.settled_at));
        let state = match fate {
            Some(fate) => fate.state(block, settled_at),
            None => State::Delivered {
                block,
                settled_at,
                at: settled_at,
            },
        };
        self.terms.payment(state)
    }
}

/// What became of a payment in the books that was not delivered at once.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct FateRow {
    /// 0 undelivered, 1 delivered, 2 refunding, 3 refunded.
    #[n(0)]
    kind: u8,
    #[cbor(n(1), with = "minicbor::bytes")]
    key: [u8; 16],
    #[n(2)]
    at: u64,
    #[n(3)]
    attempts: u16,
    #[n(4)]
    cause: u8,
    #[n(5)]
    problem: u8,
    #[n(6)]
    refund_block: u64,
}

storable_row!(FateRow);

impl FateRow {
    /// Whether nothing more becomes of the payment: delivered or refunded.
    pub fn is_final(&self) -> bool {
        matches!(self.kind, 1 | 3)
    }

    /// `None` if the payment is not in the books, or was delivered at once.
    pub fn new(key: &NonceKey, state: &State) -> Option<Self> {
        let mut row = FateRow {
            kind: 0,
            key: key.0,
            at: 0,
            attempts: 0,
            cause: 0,
            problem: 0,
            refund_block: 0,
        };
        match state {
            State::Settled { .. } => {}
            State::Delivered { settled_at, at, .. } if at != settled_at => {
                (row.kind, row.at) = (1, at.0);
            }
            State::Refunding {
                since,
                attempts,
                cause,
                problem,
                ..
            } => {
                (row.kind, row.at, row.attempts) = (2, since.0, *attempts);
                row.cause = cause_number(*cause);
                row.problem = problem_number(*problem);
            }
            State::Refunded {
                refund_block, at, ..
            } => (row.kind, row.at, row.refund_block) = (3, at.0, refund_block.0),
            _ => return None,
        }
        Some(row)
    }

    pub fn key(&self) -> NonceKey {
        NonceKey(self.key)
    }

    fn state(self, block: BlockIndex, settled_at: TimestampNs) -> State {
        let at = TimestampNs(self.at);
        match self.kind {
            0 => State::Settled {
                block,
                at: settled_at,
            },
            1 => State::Delivered {
                block,
                settled_at,
                at,
            },
            2 => State::Refunding {
                block,
                settled_at,
                since: at,
                attempts: self.attempts,
                cause: of_number(&RefundCause::ALL, self.cause),
                problem: of_number(&RefundProblem::ALL, self.problem),
            },
            _ => State::Refunded {
                block,
                settled_at,
                refund_block: BlockIndex(self.refund_block),
                at,
            },
        }
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
    /// Absent in rows of older versions.
    #[n(5)]
    valid_before: Option<u64>,
}

storable_row!(FailureRow);

impl FailureRow {
    /// `None` if the ledger is not registered, or the payment did not fail.
    pub fn new(payment: &Payment, number: u64, valid_before: Option<u64>) -> Option<Self> {
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

    pub fn payment(self) -> Payment {
        let kind = FailureKind::ALL
            .get(usize::from(self.kind))
            .copied()
            .unwrap_or(FailureKind::LedgerUnavailable);
        self.terms.payment(State::Failed {
            failure: Failure {
                kind,
                message: self.message,
            },
            at: TimestampNs(self.failed_at),
        })
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether somebody could present the authorization again if its failure were forgotten.
    pub fn is_valid(&self, now: TimestampNs) -> bool {
        self.valid_before.is_some_and(|end| now.seconds() < end)
    }
}

fn number_in<T: PartialEq>(all: &[T], value: T) -> u8 {
    // The lists are short, and hold every value.
    all.iter()
        .position(|other| *other == value)
        .unwrap_or_default() as u8
}

/// The first for a number that a newer version wrote.
fn of_number<T: Copy>(all: &[T], number: u8) -> T {
    all.get(usize::from(number)).copied().unwrap_or(all[0])
}

pub fn doubt_number(doubt: Doubt) -> u8 {
    number_in(&Doubt::ALL, doubt)
}

fn doubt(number: u8) -> Doubt {
    of_number(&Doubt::ALL, number)
}

pub fn failure_number(kind: FailureKind) -> u8 {
    number_in(&FailureKind::ALL, kind)
}

pub fn problem_number(problem: RefundProblem) -> u8 {
    number_in(&RefundProblem::ALL, problem)
}

pub fn cause_number(cause: RefundCause) -> u8 {
    number_in(&RefundCause::ALL, cause)
}

/// In the order of the alphabet, from 0; new methods come after these.
fn method_number(method: Method) -> u8 {
    number_in(&Method::ALL, method)
}

fn method(number: u8) -> Method {
    of_number(&Method::ALL, number)
}

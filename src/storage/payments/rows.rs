//! How payments are written. The network and the ledger are numbers, hashes are half as long.

use super::Opening;
use crate::{
    domain::{
        fulfilment::Fulfilment,
        fulfilment::FulfilmentKind,
        payment::{Doubt, Failure, FailureKind, Payment, RefundCause, RefundProblem, State},
        purchase::Purchase,
        purchase::PurchaseKind,
        rail::Rail,
        rail::TxRef,
        scheme::Scheme,
    },
    storable_row,
    storage::{
        codec::StoredTxRef,
        codec::{StoredAccount, StoredU128},
        config, ledgers,
    },
    types::{
        BlockIndex, ClaimKey, Fingerprint, MerchantId, Method, PaymentId, Proof, RouteKey,
        TimestampNs,
    },
};
use candid::Principal;
use minicbor::{Decode, Encode};

/// What never changes about a payment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct TermsRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 32],
    #[n(1)]
    scheme: u8,
    #[n(2)]
    rail: u8,
    #[n(3)]
    network: u8,
    /// The index of the ledger.
    #[n(4)]
    asset: u8,
    #[n(5)]
    merchant: u32,
    #[n(6)]
    from: StoredAccount,
    #[n(7)]
    to: StoredAccount,
    #[n(8)]
    amount: StoredU128,
    #[n(9)]
    fee: StoredU128,
    /// The kind of purchase.
    #[n(10)]
    purchase: u8,
    #[n(11)]
    method: u8,
    #[n(12)]
    path: String,
    #[cbor(n(13), with = "minicbor::bytes")]
    fingerprint: [u8; 16],
    #[cbor(n(14), with = "minicbor::bytes")]
    proof: [u8; 16],
    #[n(15)]
    created_at: u64,
    /// The kind of fulfilment.
    #[n(16)]
    fulfilment: u8,
    /// The number of the stored response.
    #[n(17)]
    response: u32,
}

impl TermsRow {
    /// `None` if the ledger is not registered.
    fn new(payment: &Payment) -> Option<Self> {
        Some(TermsRow {
            id: payment.id.0,
            scheme: number_in(&Scheme::ALL, payment.scheme),
            rail: number_in(&Rail::ALL, payment.rail),
            network: config::network_number(&payment.network),
            asset: ledgers::index(&payment.ledger)?,
            merchant: payment.merchant.0,
            from: StoredAccount(payment.from),
            to: StoredAccount(payment.to),
            amount: payment.amount.into(),
            fee: payment.fee.into(),
            purchase: number_in(&PurchaseKind::ALL, payment.purchase.kind()),
            method: method_number(payment.purchase.request().method),
            path: payment.purchase.request().path.clone(),
            fingerprint: payment.fingerprint.0,
            proof: payment.proof.0,
            created_at: payment.created_at.0,
            fulfilment: number_in(&FulfilmentKind::ALL, payment.fulfilment.kind()),
            response: payment.fulfilment.response(),
        })
    }

    fn payment(self, state: State) -> Payment {
        Payment {
            id: PaymentId(self.id),
            scheme: of_number(&Scheme::ALL, self.scheme),
            rail: of_number(&Rail::ALL, self.rail),
            merchant: MerchantId(self.merchant),
            network: config::network(self.network),
            ledger: ledgers::by_index(self.asset).unwrap_or(Principal::management_canister()),
            from: self.from.0,
            to: self.to.0,
            amount: self.amount.into(),
            fee: self.fee.into(),
            purchase: Purchase::Route(RouteKey::new(method(self.method), self.path)),
            fingerprint: Fingerprint(self.fingerprint),
            proof: Proof(self.proof),
            created_at: TimestampNs(self.created_at),
            fulfilment: Fulfilment::Stored(self.response),
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
    #[n(4)]
    valid_before: u64,
    #[n(5)]
    known_block: Option<u64>,
    #[n(6)]
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
    tx: StoredTxRef,
    #[n(2)]
    settled_at: u64,
}

storable_row!(BookRow);

impl BookRow {
    /// `None` if the ledger is not registered, or the payment not settled.
    pub fn new(payment: &Payment) -> Option<Self> {
        let (tx, at) = payment.state.moved()?;
        Some(BookRow {
            terms: TermsRow::new(payment)?,
            tx: StoredTxRef(tx),
            settled_at: at.0,
        })
    }

    pub fn ledger(&self) -> u8 {
        self.terms.asset
    }

    pub fn tx(&self) -> TxRef {
        self.tx.0
    }

    /// The payment with what became of it; without a word on that it was delivered at once.
    pub fn payment(self, fate: Option<FateRow>) -> Payment {
        let (tx, settled_at) = (self.tx.0, TimestampNs(self.settled_at));
        let state = match fate {
            Some(fate) => fate.state(tx, settled_at),
            None => State::Delivered {
                tx,
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
    refund_tx: Option<StoredTxRef>,
}

storable_row!(FateRow);

impl FateRow {
    /// Whether nothing more becomes of the payment: delivered or refunded.
    pub fn is_final(&self) -> bool {
        matches!(self.kind, 1 | 3)
    }

    /// `None` if the payment is not in the books, or was delivered at once.
    pub fn new(key: &ClaimKey, state: &State) -> Option<Self> {
        let mut row = FateRow {
            kind: 0,
            key: key.0,
            at: 0,
            attempts: 0,
            cause: 0,
            problem: 0,
            refund_tx: None,
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
            State::Refunded { refund_tx, at, .. } => {
                (row.kind, row.at, row.refund_tx) = (3, at.0, Some(StoredTxRef(*refund_tx)));
            }
            _ => return None,
        }
        Some(row)
    }

    pub fn key(&self) -> ClaimKey {
        ClaimKey(self.key)
    }

    fn state(self, tx: TxRef, settled_at: TimestampNs) -> State {
        let at = TimestampNs(self.at);
        match self.kind {
            0 => State::Settled { tx, at: settled_at },
            1 => State::Delivered { tx, settled_at, at },
            2 => State::Refunding {
                tx,
                settled_at,
                since: at,
                attempts: self.attempts,
                cause: of_number(&RefundCause::ALL, self.cause),
                problem: of_number(&RefundProblem::ALL, self.problem),
            },
            _ => State::Refunded {
                tx,
                settled_at,
                refund_tx: self.refund_tx.map_or(tx, |stored| stored.0),
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
    #[n(5)]
    valid_before: u64,
}

storable_row!(FailureRow);

impl FailureRow {
    /// `None` if the ledger is not registered, or the payment did not fail.
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
        now.seconds() < self.valid_before
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

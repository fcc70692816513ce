//! How payments are written. The network and the ledger are numbers, hashes are half as long.

use crate::{
    domain::payment::{Doubt, Failure, FailureKind, Payment, State},
    storable_row,
    storage::{
        codec::{StoredAccount, StoredU128},
        config, ledgers,
    },
    types::{BlockIndex, Fingerprint, Method, PaymentId, Proof, RouteKey, TimestampNs},
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
            state,
        }
    }
}

/// A payment that is being settled or unknown.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OpenRow {
    #[n(0)]
    terms: TermsRow,
    #[n(1)]
    attempt: u16,
    /// Absent while it is being settled.
    #[n(2)]
    doubt: Option<u8>,
    #[n(3)]
    since: u64,
    /// The template, where it is not the path itself.
    #[n(4)]
    template: Option<String>,
}

storable_row!(OpenRow);

impl OpenRow {
    /// `None` if the ledger is not registered, or the payment not open.
    pub fn new(payment: &Payment, route: &RouteKey) -> Option<Self> {
        let (attempt, doubt, since) = match &payment.state {
            State::Settling { attempt } => (*attempt, None, payment.created_at),
            State::Unknown {
                doubt,
                since,
                attempts,
            } => (*attempts, Some(doubt_number(*doubt)), *since),
            State::Settled { .. } | State::Failed { .. } => return None,
        };
        Some(OpenRow {
            terms: TermsRow::new(payment)?,
            attempt,
            doubt,
            since: since.0,
            template: (route.path != payment.request.path).then(|| route.path.clone()),
        })
    }

    pub fn payment(self) -> Payment {
        let state = match self.doubt {
            None => State::Settling {
                attempt: self.attempt,
            },
            Some(number) => State::Unknown {
                doubt: doubt(number),
                since: TimestampNs(self.since),
                attempts: self.attempt,
            },
        };
        self.terms.payment(state)
    }

    pub fn route(&self) -> RouteKey {
        let path = self.template.as_ref().unwrap_or(&self.terms.path);
        RouteKey::new(method(self.terms.method), path.clone())
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
        let State::Settled { block, at } = payment.state else {
            return None;
        };
        Some(BookRow {
            terms: TermsRow::new(payment)?,
            block: block.0,
            settled_at: at.0,
        })
    }

    pub fn ledger(&self) -> u8 {
        self.terms.ledger
    }

    pub fn payment(self) -> Payment {
        self.terms.payment(State::Settled {
            block: BlockIndex(self.block),
            at: TimestampNs(self.settled_at),
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
}

storable_row!(FailureRow);

impl FailureRow {
    /// `None` if the ledger is not registered, or the payment did not fail.
    pub fn new(payment: &Payment, number: u64) -> Option<Self> {
        let State::Failed { failure, at } = &payment.state else {
            return None;
        };
        Some(FailureRow {
            terms: TermsRow::new(payment)?,
            kind: failure_number(failure.kind),
            message: failure.message.clone(),
            failed_at: at.0,
            number,
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

    pub fn kind(&self) -> u8 {
        self.kind
    }
}

fn number_in<T: PartialEq>(all: &[T], value: T) -> u8 {
    // The lists are short, and hold every value.
    all.iter()
        .position(|other| *other == value)
        .unwrap_or_default() as u8
}

pub fn doubt_number(doubt: Doubt) -> u8 {
    number_in(&Doubt::ALL, doubt)
}

fn doubt(number: u8) -> Doubt {
    Doubt::ALL
        .get(usize::from(number))
        .copied()
        .unwrap_or(Doubt::Reject)
}

pub fn failure_number(kind: FailureKind) -> u8 {
    number_in(&FailureKind::ALL, kind)
}

/// In the order of the alphabet, from 0; new methods come after these.
fn method_number(method: Method) -> u8 {
    number_in(&Method::ALL, method)
}

fn method(number: u8) -> Method {
    Method::ALL
        .get(usize::from(number))
        .copied()
        .unwrap_or(Method::Get)
}

//! The canister's books as an operator reads them.

use crate::{
    support::{
        interface::{InvalidArgument, PageArgs, PaymentsError},
        setup::controller,
    },
    world::World,
};
use candid::{CandidType, Nat, Principal, utils::ArgumentEncoder};
use icrc_ledger_types::icrc1::account::Account;
use serde::{Deserialize, de::DeserializeOwned};
use serde_bytes::ByteBuf;

/// Where a payment stands.
#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub enum Status {
    Settling,
    Unknown {
        reason: String,
        since: u64,
    },
    Failed {
        code: String,
        message: String,
        failed_at: u64,
    },
    Settled {
        block_index: Nat,
        settled_at: u64,
    },
    Delivered {
        block_index: Nat,
        settled_at: u64,
        delivered_at: u64,
    },
    Refunding {
        block_index: Nat,
        settled_at: u64,
        since: u64,
        attempts: u16,
        problem: String,
    },
    Refunded {
        block_index: Nat,
        settled_at: u64,
        refund_block_index: Nat,
        refunded_at: u64,
    },
}

impl Status {
    /// The block, if the money moved as far as the books know.
    pub fn block(&self) -> Option<u64> {
        match self {
            Status::Settling | Status::Unknown { .. } | Status::Failed { .. } => None,
            Status::Settled { block_index, .. }
            | Status::Delivered { block_index, .. }
            | Status::Refunding { block_index, .. }
            | Status::Refunded { block_index, .. } => u64::try_from(&block_index.0).ok(),
        }
    }

    /// Every block that is booked for it, and since when.
    pub fn booked(&self) -> Vec<(u64, u64)> {
        let settled = match self {
            Status::Settled { settled_at, .. }
            | Status::Delivered { settled_at, .. }
            | Status::Refunding { settled_at, .. }
            | Status::Refunded { settled_at, .. } => self.block().map(|block| (block, *settled_at)),
            Status::Settling | Status::Unknown { .. } | Status::Failed { .. } => None,
        };
        let refunded = match self {
            Status::Refunded {
                refund_block_index,
                refunded_at,
                ..
            } => u64::try_from(&refund_block_index.0)
                .ok()
                .map(|block| (block, *refunded_at)),
            _ => None,
        };
        settled.into_iter().chain(refunded).collect()
    }

    /// Whether nobody knows yet.
    pub fn is_open(&self) -> bool {
        matches!(self, Status::Settling | Status::Unknown { .. })
    }

    /// Whether the books may say `next` after they said this.
    pub fn may_become(&self, next: &Status) -> bool {
        match (self, next) {
            (Status::Failed { code, .. }, Status::Failed { code: later, .. }) => code == later,
            (Status::Failed { .. }, _) => false,
            (Status::Settling | Status::Unknown { .. }, _) => true,
            (Status::Refunded { .. }, next) => self == next,
            (_, next) if self.block() != next.block() => false,
            (Status::Settled { .. }, _) => true,
            // Goods again after money back, or money back after the goods, would be once too often.
            (Status::Delivered { .. }, next) => matches!(next, Status::Delivered { .. }),
            // While a refund waits for a controller, the goods are owed still.
            (Status::Refunding { problem, .. }, Status::Delivered { .. }) => {
                problem.contains("approve")
            }
            (Status::Refunding { .. }, next) => {
                matches!(next, Status::Refunding { .. } | Status::Refunded { .. })
            }
        }
    }
}

/// A payment.
#[derive(CandidType, Deserialize, Clone, Debug)]
pub struct Payment {
    pub id: ByteBuf,
    pub sequence: Option<u64>,
    pub ledger: Principal,
    pub payer: Option<Account>,
    pub pay_to: Account,
    pub amount: Nat,
    pub fee: Nat,
    pub status: Status,
}

/// What a controller wants to take out.
#[derive(CandidType, Clone, Debug)]
pub struct WithdrawArgs {
    pub ledger: Principal,
    pub from_subaccount: Option<ByteBuf>,
    pub to: Account,
    pub amount: Nat,
    pub created_at_time: Option<u64>,
}

/// Why it was not made, or nobody knows.
#[derive(CandidType, Deserialize, Clone, Debug)]
pub enum WithdrawError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
    UnknownLedger,
    InsufficientFree { available: Nat },
    InProgress { created_at_time: u64 },
    TooMany { limit: u32 },
    NotMoved { problem: String },
    Unknown { created_at_time: u64 },
}

/// What a controller says of a payment.
#[derive(CandidType, Clone, Debug)]
pub struct ResolveArgs {
    pub id: ByteBuf,
    pub outcome: Outcome,
}

#[derive(CandidType, Clone, Debug)]
pub enum Outcome {
    Moved { block_index: Nat },
    NotMoved,
}

/// Why it is not believed.
#[derive(CandidType, Deserialize, Clone, Debug)]
pub enum ResolveError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
    UnknownPayment,
    NotInDoubt,
    TooEarly { from: u64 },
    LogDecides { until: u64 },
    BooksFull,
}

/// What the canister says it has and owes.
#[derive(CandidType, Deserialize, Clone, Debug)]
pub struct Solvency {
    pub ledger: Principal,
    pub balance: Option<Nat>,
    pub owed_refunds: Nat,
    pub held: Nat,
    pub solvent: Option<bool>,
}

impl World {
    /// A query by a controller; `None` if the canister does not answer now.
    pub fn ask<A: ArgumentEncoder, T: CandidType + DeserializeOwned>(
        &self,
        method: &str,
        args: A,
    ) -> Option<T> {
        let arg = candid::encode_args(args).expect("Candid");
        let (pic, canister) = (&self.setup.pic, self.setup.canister);
        let reply = pic.query_call(canister, controller(), method, arg).ok()?;
        Some(candid::decode_one(&reply).unwrap_or_else(|error| panic!("{method}: {error}")))
    }

    /// Every payment in the books.
    pub fn books(&self) -> Option<Vec<Payment>> {
        let mut all = self.pages("payments")?;
        let mut skip = 0;
        loop {
            let page = PageArgs {
                after: Some(skip),
                limit: None,
            };
            let open: Result<Vec<Payment>, PaymentsError> =
                self.ask("payments_open", (Some(page),))?;
            let open = open.expect("controllers read the books");
            if open.is_empty() {
                break;
            }
            skip += open.len() as u64;
            all.extend(open);
        }
        all.extend(self.pages("payments_failed")?);
        Some(all)
    }

    fn pages(&self, method: &str) -> Option<Vec<Payment>> {
        let mut all: Vec<Payment> = Vec::new();
        loop {
            let page = PageArgs {
                after: all.last().and_then(|payment| payment.sequence),
                limit: None,
            };
            let page: Result<Vec<Payment>, PaymentsError> = self.ask(method, (page,))?;
            let page = page.expect("controllers read the books");
            if page.is_empty() {
                return Some(all);
            }
            all.extend(page);
        }
    }
}

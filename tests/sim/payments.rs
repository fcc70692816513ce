//! The canister's payments as an operator reads them.

use crate::{
    support::{
        interface::{PageArgs, Payment, PaymentStatus, PaymentsError},
        setup::controller,
    },
    world::World,
};
use candid::{CandidType, utils::ArgumentEncoder};
use serde::de::DeserializeOwned;

/// The model's conclusions from the status of a payment.
pub trait StatusFacts {
    /// The block, if the money moved according to the canister.
    fn block_number(&self) -> Option<u64>;

    /// Every block that is recorded for it, and the time of each.
    fn recorded(&self) -> Vec<(u64, u64)>;

    /// Whether the outcome is unknown.
    fn is_open(&self) -> bool;

    /// Whether the canister may report `next` after this status.
    fn may_become(&self, next: &PaymentStatus) -> bool;
}

impl StatusFacts for PaymentStatus {
    fn block_number(&self) -> Option<u64> {
        match self {
            PaymentStatus::Settling
            | PaymentStatus::Unknown { .. }
            | PaymentStatus::Failed { .. } => None,
            PaymentStatus::Settled { block_index, .. }
            | PaymentStatus::Delivered { block_index, .. }
            | PaymentStatus::Refunding { block_index, .. }
            | PaymentStatus::Refunded { block_index, .. } => u64::try_from(&block_index.0).ok(),
        }
    }

    fn recorded(&self) -> Vec<(u64, u64)> {
        let settled = match self {
            PaymentStatus::Settled { settled_at, .. }
            | PaymentStatus::Delivered { settled_at, .. }
            | PaymentStatus::Refunding { settled_at, .. }
            | PaymentStatus::Refunded { settled_at, .. } => {
                self.block_number().map(|block| (block, *settled_at))
            }
            PaymentStatus::Settling
            | PaymentStatus::Unknown { .. }
            | PaymentStatus::Failed { .. } => None,
        };
        let refunded = match self {
            PaymentStatus::Refunded {
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

    fn is_open(&self) -> bool {
        matches!(
            self,
            PaymentStatus::Settling | PaymentStatus::Unknown { .. }
        )
    }

    fn may_become(&self, next: &PaymentStatus) -> bool {
        match (self, next) {
            (PaymentStatus::Failed { code, .. }, PaymentStatus::Failed { code: later, .. }) => {
                code == later
            }
            (PaymentStatus::Failed { .. }, _) => false,
            (PaymentStatus::Settling | PaymentStatus::Unknown { .. }, _) => true,
            (PaymentStatus::Refunded { .. }, next) => self == next,
            (_, next) if self.block_number() != next.block_number() => false,
            (PaymentStatus::Settled { .. }, _) => true,
            // Content after a refund, or a refund after the content, would be once too often.
            (PaymentStatus::Delivered { .. }, next) => {
                matches!(next, PaymentStatus::Delivered { .. })
            }
            // While a refund waits for a controller, the content is still owed.
            (PaymentStatus::Refunding { problem, .. }, PaymentStatus::Delivered { .. }) => {
                problem.contains("approve")
            }
            (PaymentStatus::Refunding { .. }, next) => {
                matches!(
                    next,
                    PaymentStatus::Refunding { .. } | PaymentStatus::Refunded { .. }
                )
            }
        }
    }
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

    /// Every payment of the canister.
    pub fn payments(&self) -> Option<Vec<Payment>> {
        let mut all = self.pages("payments")?;
        let mut skip = 0;
        loop {
            let page = PageArgs {
                after: Some(skip),
                limit: None,
            };
            let open: Result<Vec<Payment>, PaymentsError> =
                self.ask("payments_open", (Some(page),))?;
            let open = open.expect("controllers read payments");
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
            let page = page.expect("controllers read payments");
            if page.is_empty() {
                return Some(all);
            }
            all.extend(page);
        }
    }
}

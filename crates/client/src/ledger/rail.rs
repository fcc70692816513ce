//! The calls that move the payer's own money, and find out whether it moved.

use super::{Block, Found};
use crate::{error::LedgerError, network::Network};
use candid::{CandidType, Nat, Principal, encode_one};
use icrc_ledger_types::icrc1::{
    account::Account,
    transfer::{TransferArg, TransferError},
};
use serde::Deserialize;
use std::{future::Future, pin::Pin};
use tollkeeper_types::RouteKey;
use x402_icp::Amount;

/// The result of a call, boxed so that the rail can be another one in a test.
pub(crate) type Called<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A transfer that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub from: Account,
    pub to: Account,
    pub amount: Amount,
    pub memo: [u8; 32],
    /// The time from which it may have been made, in nanoseconds since 1970-01-01.
    pub since: u64,
}

impl Wanted {
    /// Whether this is the transfer.
    pub fn is(&self, block: &Block) -> bool {
        block.from == self.from
            && block.to == self.to
            && block.amount == self.amount
            && block.spender.is_none()
            && block.memo.as_deref() == Some(&self.memo[..])
    }
}

/// An offer by the word of the canister that makes it.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub(crate) struct Promised {
    pub ledger: Principal,
    pub amount: Nat,
    pub pay_to: Account,
    pub offer: String,
}

/// The ledgers and canisters, as payments by transfer use them.
pub(crate) trait Rail: Send + Sync {
    /// [`super::Ledger::transfer`].
    fn transfer<'a>(
        &'a self,
        ledger: Principal,
        transfer: &'a TransferArg,
    ) -> Called<'a, Result<Result<u64, TransferError>, LedgerError>>;

    /// [`super::Ledger::find`].
    fn find<'a>(&'a self, ledger: Principal, wanted: &'a Wanted) -> Called<'a, Found>;

    /// The present offers of a route, by an update call to its canister: `like` is the one that is compared with them.
    fn offers<'a>(
        &'a self,
        canister: Principal,
        route: RouteKey,
        like: &'a Promised,
    ) -> Called<'a, Result<Vec<Promised>, String>>;

    /// [`super::Ledger::block`].
    fn block(&self, ledger: Principal, index: u64) -> Called<'_, Result<Block, LedgerError>>;
}

impl Rail for Network {
    fn transfer<'a>(
        &'a self,
        ledger: Principal,
        transfer: &'a TransferArg,
    ) -> Called<'a, Result<Result<u64, TransferError>, LedgerError>> {
        Box::pin(async move { self.ledger(ledger).transfer(transfer).await })
    }

    fn find<'a>(&'a self, ledger: Principal, wanted: &'a Wanted) -> Called<'a, Found> {
        Box::pin(async move { self.ledger(ledger).find(wanted).await })
    }

    fn offers<'a>(
        &'a self,
        canister: Principal,
        route: RouteKey,
        _: &'a Promised,
    ) -> Called<'a, Result<Vec<Promised>, String>> {
        Box::pin(async move {
            let argument = encode_one(route).map_err(|e| e.to_string())?;
            let called = self.update_one(canister, "offers", argument).await;
            let (offers, _) = called.map_err(|e| e.to_string())?;
            Ok(offers)
        })
    }

    fn block(&self, ledger: Principal, index: u64) -> Called<'_, Result<Block, LedgerError>> {
        Box::pin(async move { self.ledger(ledger).block(&Nat::from(index)).await })
    }
}

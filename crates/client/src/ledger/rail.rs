//! The calls that move the payer's own money, and find out whether it moved.

use super::{Block, Found};
use crate::{error::LedgerError, network::Network};
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::{
    account::Account,
    transfer::{TransferArg, TransferError},
};
use std::{future::Future, pin::Pin};
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

/// The ledgers, as payments by transfer use them.
pub(crate) trait Rail: Send + Sync {
    /// [`super::Ledger::transfer`].
    fn transfer<'a>(
        &'a self,
        ledger: Principal,
        transfer: &'a TransferArg,
    ) -> Called<'a, Result<Result<u64, TransferError>, LedgerError>>;

    /// [`super::Ledger::find`].
    fn find<'a>(&'a self, ledger: Principal, wanted: &'a Wanted) -> Called<'a, Found>;

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

    fn block(&self, ledger: Principal, index: u64) -> Called<'_, Result<Block, LedgerError>> {
        Box::pin(async move { self.ledger(ledger).block(&Nat::from(index)).await })
    }
}

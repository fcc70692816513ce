//! The calls that move the payer's own money, and find out whether it moved.

use super::{Block, Clean, Found, Search};
use crate::{
    error::LedgerError,
    network::{CallError, Network},
};
use candid::{CandidType, Nat, Principal, decode_one, encode_one};
use icrc_ledger_types::icrc1::{
    account::Account,
    transfer::{TransferArg, TransferError},
};
use serde::Deserialize;
use serde_bytes::ByteBuf;
use std::{future::Future, pin::Pin, time::Instant};
use tollkeeper_types::{Invoice, InvoiceError, PayArgs, PayError, Purchased, RouteKey};
use x402_icp::{Amount, PaymentId};

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
        block.from.is(&self.from)
            && block.to.is(&self.to)
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

/// An offer of what is sold under a path, by the word of the canister that collects.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub(crate) struct Quoted {
    pub ledger: Principal,
    pub amount: Nat,
    pub fee: Nat,
    pub pay_to: Account,
    pub spender: Principal,
    pub offer: String,
    pub max_timeout_seconds: u32,
}

/// The part of a quote that is read.
#[derive(CandidType, Deserialize)]
struct Quote {
    offers: Vec<Quoted>,
}

/// What became of a payment according to its canister.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub(crate) enum Status {
    Settling,
    Settled {
        block_index: Nat,
    },
    Failed {
        code: String,
    },
    Unknown {},
    Delivered {
        block_index: Nat,
    },
    Refunding {
        block_index: Nat,
    },
    Refunded {
        block_index: Nat,
        refund_block_index: Nat,
    },
}

/// What became of a payment according to its canister, and a time before which the canister did not say so, in
/// nanoseconds since 1970-01-01. `None`: the canister does not know the payment.
pub(crate) type Standing = (Option<Status>, u64);

/// An invoice, or why there is none, and the time that the subnet signed, in nanoseconds since 1970-01-01.
pub(crate) type Billed = (Result<Invoice, InvoiceError>, u64);

/// The part of a payment's record that is read: other collecting canisters may return fewer fields, and later versions
/// of this one more.
#[derive(CandidType, Deserialize)]
struct Payment {
    status: Status,
}

/// The ledgers and canisters, as payments use them.
pub(crate) trait Rail: Send + Sync {
    /// [`super::Ledger::transfer`].
    fn transfer<'a>(
        &'a self,
        ledger: Principal,
        transfer: &'a TransferArg,
    ) -> Called<'a, Result<Result<u64, TransferError>, LedgerError>>;

    /// [`super::Ledger::find`].
    fn find<'a>(&'a self, ledger: Principal, wanted: &'a Wanted) -> Called<'a, Found>;

    /// The present offers of a route, by an update call to its canister, and the time that its subnet signed. `like` is
    /// the one that is compared with them.
    fn offers<'a>(
        &'a self,
        canister: Principal,
        route: RouteKey,
        like: &'a Promised,
    ) -> Called<'a, Result<(Vec<Promised>, u64), String>>;

    /// [`super::Ledger::block`].
    fn block(&self, ledger: Principal, index: u64) -> Called<'_, Result<Block, LedgerError>>;

    /// What a path costs by the word of its canister, by an update call, and the time that its subnet signed; no offers
    /// if it sells nothing there. `like` is the offer that is compared with them.
    fn quote<'a>(
        &'a self,
        canister: Principal,
        key: RouteKey,
        like: &'a Quoted,
    ) -> Called<'a, Result<(Vec<Quoted>, u64), String>>;

    /// Calls `pay`. The network drops the call if it has not begun by `expires`, in nanoseconds since 1970-01-01. The
    /// outer error says nothing about the payment.
    fn pay<'a>(
        &'a self,
        canister: Principal,
        args: &'a PayArgs,
        expires: Option<u64>,
    ) -> Called<'a, Result<Result<Purchased, PayError>, String>>;

    /// What became of a payment, by an update call.
    fn payment(&self, canister: Principal, id: PaymentId) -> Called<'_, Result<Standing, String>>;

    /// [`super::Ledger::clean`].
    fn clean<'a>(&'a self, ledger: Principal, search: &'a Search<'a>) -> Called<'a, Clean>;

    /// [`super::Ledger::fee`].
    fn fee(&self, ledger: Principal) -> Called<'_, Result<Amount, LedgerError>>;

    /// Has the canister look for the money of an invoice, by an update call, and the time that its subnet signed.
    fn invoice(&self, canister: Principal, id: [u8; 32]) -> Called<'_, Result<Billed, String>>;
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
    ) -> Called<'a, Result<(Vec<Promised>, u64), String>> {
        Box::pin(async move {
            let argument = encode_one(route).map_err(|e| e.to_string())?;
            let called = self.update_one(canister, "offers", argument).await;
            called.map_err(|e| e.to_string())
        })
    }

    fn block(&self, ledger: Principal, index: u64) -> Called<'_, Result<Block, LedgerError>> {
        Box::pin(async move { self.ledger(ledger).block(&Nat::from(index)).await })
    }

    fn quote<'a>(
        &'a self,
        canister: Principal,
        key: RouteKey,
        _: &'a Quoted,
    ) -> Called<'a, Result<(Vec<Quoted>, u64), String>> {
        Box::pin(async move {
            let argument = encode_one(key).map_err(|e| e.to_string())?;
            let called = self.update_one(canister, "quote", argument).await;
            let (quote, time): (Option<Quote>, u64) = called.map_err(|e| e.to_string())?;
            Ok((quote.map(|quote| quote.offers).unwrap_or_default(), time))
        })
    }

    fn pay<'a>(
        &'a self,
        canister: Principal,
        args: &'a PayArgs,
        expires: Option<u64>,
    ) -> Called<'a, Result<Result<Purchased, PayError>, String>> {
        Box::pin(async move {
            let argument = encode_one(args).map_err(|e| e.to_string())?;
            let called = self.update_until(canister, "pay", argument, expires).await;
            let (reply, _) = called.map_err(|e| e.to_string())?;
            decode_one(&reply).map_err(|e| CallError::Unreadable(e.to_string()).to_string())
        })
    }

    fn payment(&self, canister: Principal, id: PaymentId) -> Called<'_, Result<Standing, String>> {
        Box::pin(async move {
            let argument = encode_one(ByteBuf::from(id.0.to_vec())).map_err(|e| e.to_string())?;
            let asked = Instant::now();
            let called = self.update_one(canister, "payment", argument).await;
            let (found, time): (Option<Payment>, u64) = called.map_err(|e| e.to_string())?;
            // The reply is signed after the canister has said it, at most as long as the call took.
            let took = u64::try_from(asked.elapsed().as_nanos()).unwrap_or(u64::MAX);
            Ok((found.map(|found| found.status), time.saturating_sub(took)))
        })
    }

    fn clean<'a>(&'a self, ledger: Principal, search: &'a Search<'a>) -> Called<'a, Clean> {
        Box::pin(async move { self.ledger(ledger).clean(search).await })
    }

    fn fee(&self, ledger: Principal) -> Called<'_, Result<Amount, LedgerError>> {
        Box::pin(async move { self.ledger(ledger).fee().await })
    }

    fn invoice(&self, canister: Principal, id: [u8; 32]) -> Called<'_, Result<Billed, String>> {
        Box::pin(async move {
            let argument = encode_one(ByteBuf::from(id.to_vec())).map_err(|e| e.to_string())?;
            let checked = self.update_one(canister, "invoice_check", argument.clone());
            let problem = match checked.await {
                Ok(billed) => return Ok(billed),
                Err(CallError::Failed(problem)) => problem,
                Err(other) => return Err(other.to_string()),
            };
            // A canister does not execute it for an id that it does not know, and says so when it is asked for it.
            let asked: Result<(Option<Invoice>, u64), _> =
                self.update_one(canister, "invoice", argument).await;
            let (found, at) = asked.map_err(|_| problem)?;
            Ok((found.ok_or(InvoiceError::UnknownInvoice), at))
        })
    }
}

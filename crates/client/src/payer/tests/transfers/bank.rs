//! A ledger in memory that finds repetitions, as ICRC-1 says, and whose answers can be lost.

use crate::{
    error::LedgerError,
    ledger::{Billed, Block, Clean, Found, Promised, Quoted, Rail, Search, Standing, Wanted},
};
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::transfer::{TransferArg, TransferError};
use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};
use tollkeeper_types::{
    Invoice, InvoiceError, InvoiceStatus, PayArgs, PayError, Purchased, RouteKey,
};
use x402_icp::{Account, Amount, PaymentId};

/// What becomes of one call of `icrc1_transfer`.
#[derive(Clone, Debug)]
pub enum Answer {
    /// As a ledger does.
    Made,
    /// It is made, and the answer is lost.
    LostAfter,
    /// It is not made, and no answer comes.
    LostBefore,
    /// It is made, and no answer ever comes.
    SilentAfter,
    /// It is made, and the answer comes after this many milliseconds.
    SlowAfter(u64),
    /// It is not made.
    Refused(TransferError),
}

/// Called before and after the ledger makes a transfer.
type Watch = Arc<dyn Fn(&str) + Send + Sync>;
type Script = dyn Fn(usize) -> Answer + Send + Sync;
type Called<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

pub struct Bank {
    owner: Principal,
    script: Box<Script>,
    watch: Watch,
    /// Every transfer as it arrived.
    sent: Mutex<Vec<TransferArg>>,
    made: Mutex<Vec<TransferArg>>,
    /// What a search finds, if the log cannot be read or has another time.
    pub search: Mutex<Option<Found>>,
    /// What the canister offers, if it is not what was sent over HTTP.
    pub offers: Mutex<Option<Result<Vec<Promised>, String>>>,
    /// The blocks of transfers that others have made, with the account that they are from.
    pub others: Mutex<BTreeMap<u64, Account>>,
    /// The invoice that the canister has; `None`: it does not answer.
    pub bill: Mutex<Option<Bill>>,
}

/// An invoice as its canister sees it.
#[derive(Clone, Debug)]
pub struct Bill {
    /// What it says, beside balance and status.
    pub invoice: Invoice,
    /// What others have sent.
    pub gift: u128,
    /// Its status, whatever arrives.
    pub status: Option<InvoiceStatus>,
    /// Whether the canister has forgotten it.
    pub forgotten: bool,
    /// The subnet's time, in nanoseconds since 1970-01-01.
    pub now: u64,
}

impl Bank {
    /// Answers the n-th call by the script.
    pub fn open(
        owner: Principal,
        script: impl Fn(usize) -> Answer + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::watched(owner, script, |_| {})
    }

    pub fn watched(
        owner: Principal,
        script: impl Fn(usize) -> Answer + Send + Sync + 'static,
        watch: impl Fn(&str) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Bank {
            owner,
            script: Box::new(script),
            watch: Arc::new(watch),
            sent: Mutex::default(),
            made: Mutex::default(),
            search: Mutex::default(),
            offers: Mutex::default(),
            others: Mutex::default(),
            bill: Mutex::default(),
        })
    }

    /// The transfers that moved money.
    pub fn made(&self) -> Vec<TransferArg> {
        self.made.lock().unwrap().clone()
    }

    /// The number of calls.
    pub fn sent(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    /// The different transfers that arrived.
    pub fn different(&self) -> usize {
        let mut memos: Vec<_> = self.sent.lock().unwrap().iter().map(memo).collect();
        memos.sort();
        memos.dedup();
        memos.len()
    }

    /// Makes a transfer unless it was made before, and returns its block.
    fn make(&self, transfer: &TransferArg) -> u64 {
        let mut made = self.made.lock().unwrap();
        let before = made.iter().position(|other| other == transfer);
        let block = before.unwrap_or(made.len());
        if before.is_none() {
            made.push(transfer.clone());
        }
        block.try_into().unwrap()
    }
}

pub fn memo(transfer: &TransferArg) -> Vec<u8> {
    transfer.memo.as_ref().unwrap().0.to_vec()
}

/// No canister answers.
fn silent<'a, T: 'a>(canister: Principal) -> Called<'a, Result<T, String>> {
    Box::pin(async move { Err(format!("canister {canister} does not answer")) })
}

fn lost(ledger: Principal) -> LedgerError {
    LedgerError::Call {
        ledger,
        method: "icrc1_transfer",
        problem: "the answer is lost".into(),
    }
}

impl Rail for Bank {
    fn transfer<'a>(
        &'a self,
        ledger: Principal,
        transfer: &'a TransferArg,
    ) -> Called<'a, Result<Result<u64, TransferError>, LedgerError>> {
        let number = {
            let mut sent = self.sent.lock().unwrap();
            sent.push(transfer.clone());
            sent.len() - 1
        };
        Box::pin(async move {
            tokio::task::yield_now().await;
            (self.watch)("before the transfer");
            match (self.script)(number) {
                Answer::LostBefore => Err(lost(ledger)),
                Answer::Refused(problem) => Ok(Err(problem)),
                Answer::LostAfter => {
                    self.make(transfer);
                    Err(lost(ledger))
                }
                Answer::SilentAfter => {
                    self.make(transfer);
                    std::future::pending().await
                }
                Answer::SlowAfter(pause) => {
                    let block = self.make(transfer);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    Ok(Ok(block))
                }
                Answer::Made => {
                    let block = self.make(transfer);
                    (self.watch)("after the transfer");
                    Ok(Ok(block))
                }
            }
        })
    }

    fn find<'a>(&'a self, _: Principal, wanted: &'a Wanted) -> Called<'a, Found> {
        let scripted = self.search.lock().unwrap().clone();
        let made = self.made();
        let found = made.iter().position(|one| memo(one) == wanted.memo);
        Box::pin(async move {
            match (scripted, found) {
                (Some(Found::Unknown(problem)), _) => Found::Unknown(problem),
                (_, Some(block)) => Found::Block(block.try_into().unwrap()),
                (Some(other), None) => other,
                (None, None) => Found::Missing {
                    as_of: crate::journal::now() * 1_000_000_000,
                },
            }
        })
    }

    fn offers<'a>(
        &'a self,
        _: Principal,
        _: RouteKey,
        like: &'a Promised,
    ) -> Called<'a, Result<(Vec<Promised>, u64), String>> {
        let scripted = self.offers.lock().unwrap().clone();
        Box::pin(async move { Ok((scripted.unwrap_or(Ok(vec![like.clone()]))?, 0)) })
    }

    fn quote<'a>(
        &'a self,
        canister: Principal,
        _: RouteKey,
        _: &'a Quoted,
    ) -> Called<'a, Result<(Vec<Quoted>, u64), String>> {
        silent(canister)
    }

    fn pay<'a>(
        &'a self,
        canister: Principal,
        _: &'a PayArgs,
        _: Option<u64>,
    ) -> Called<'a, Result<Result<Purchased, PayError>, String>> {
        silent(canister)
    }

    fn payment(&self, canister: Principal, _: PaymentId) -> Called<'_, Result<Standing, String>> {
        silent(canister)
    }

    fn clean<'a>(&'a self, _: Principal, _: &'a Search<'a>) -> Called<'a, Clean> {
        Box::pin(async { Clean::Unknown("its log is not read in these tests".into()) })
    }

    fn fee(&self, _: Principal) -> Called<'_, Result<Amount, LedgerError>> {
        Box::pin(async { Ok(Amount(10)) })
    }

    fn invoice(&self, canister: Principal, _: [u8; 32]) -> Called<'_, Result<Billed, String>> {
        let Some(bill) = self.bill.lock().unwrap().clone() else {
            return silent(canister);
        };
        if bill.forgotten {
            return Box::pin(async move { Ok((Err(InvoiceError::UnknownInvoice), bill.now)) });
        }
        let mut invoice = bill.invoice;
        let made = self.made();
        let sent = made.iter().filter(|one| one.to == invoice.account);
        let balance = sent.fold(Nat::from(bill.gift), |sum, one| sum + one.amount.clone());
        let paid = InvoiceStatus::Paid {
            block_index: 77u8.into(),
            settled_at: 0,
        };
        invoice.status = match bill.status {
            Some(status) => status,
            None if balance >= invoice.amount => paid,
            None => InvoiceStatus::Open,
        };
        invoice.balance = balance;
        Box::pin(async move { Ok((Ok(invoice), bill.now)) })
    }

    fn block(&self, ledger: Principal, index: u64) -> Called<'_, Result<Block, LedgerError>> {
        let made = self.made();
        let found = made.get(usize::try_from(index).unwrap()).cloned();
        let other = self.others.lock().unwrap().get(&index).copied();
        Box::pin(async move {
            if let Some(from) = other {
                return Ok(Block {
                    from: from.into(),
                    to: Account::from(Principal::from_slice(&[4])).into(),
                    spender: None,
                    amount: Amount(1),
                    memo: None,
                    fee: None,
                    timestamp: None,
                });
            }
            let transfer = found.ok_or(LedgerError::NoBlock {
                ledger,
                index: index.to_string(),
            })?;
            Ok(Block {
                from: Account {
                    owner: self.owner,
                    subaccount: transfer.from_subaccount,
                }
                .into(),
                to: transfer.to.into(),
                spender: None,
                amount: Amount(u128::try_from(&transfer.amount.0).unwrap()),
                memo: Some(memo(&transfer)),
                fee: None,
                timestamp: None,
            })
        })
    }
}

//! A ledger that keeps accounts and recognises duplicates, as the scripted system's calls ask for it.

use super::Shop;
use crate::{
    domain::settlement::CallOutcome,
    runtime::scripted::{MadeCall, poll},
    types::Account,
};
use candid::{Decode, Encode, Nat, Principal};
use icrc_ledger_types::icrc1::transfer::{TransferArg, TransferError};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::Future,
    pin::{Pin, pin},
    task::Poll,
};

type Key = (Principal, Principal, [u8; 32]);

pub struct Bank {
    balances: RefCell<BTreeMap<Key, u128>>,
    /// The blocks of transfers by ledger and argument.
    made: RefCell<BTreeMap<(Principal, Vec<u8>), u64>>,
    blocks: Cell<u64>,
    fee: Cell<u128>,
    fees: Cell<u128>,
    stopped: Cell<bool>,
    pub balance_first: Cell<bool>,
    /// Answers to transfers that are refused with this error.
    refuses: RefCell<Option<TransferError>>,
    /// What it says that every account has.
    claims: RefCell<Option<Nat>>,
}

fn key(ledger: Principal, account: Account) -> Key {
    (ledger, account.owner, *account.effective_subaccount())
}

impl Bank {
    pub fn new(fee: u128) -> Self {
        Bank {
            balances: RefCell::default(),
            made: RefCell::default(),
            blocks: Cell::new(1),
            fee: Cell::new(fee),
            fees: Cell::default(),
            stopped: Cell::default(),
            balance_first: Cell::default(),
            refuses: RefCell::default(),
            claims: RefCell::default(),
        }
    }

    pub fn stop(&self, stopped: bool) {
        self.stopped.set(stopped);
    }

    pub fn refuse(&self, error: Option<TransferError>) {
        self.refuses.replace(error);
    }

    pub fn claim(&self, balance: Option<Nat>) {
        self.claims.replace(balance);
    }

    pub fn charge(&self, fee: u128) {
        self.fee.set(fee);
    }

    pub fn fees(&self) -> u128 {
        self.fees.get()
    }

    pub fn give(&self, ledger: Principal, account: Account, amount: u128) {
        *self
            .balances
            .borrow_mut()
            .entry(key(ledger, account))
            .or_default() += amount;
        self.blocks.set(self.blocks.get() + 1);
    }

    pub fn balance(&self, ledger: Principal, account: Account) -> u128 {
        let balances = self.balances.borrow();
        balances.get(&key(ledger, account)).copied().unwrap_or(0)
    }

    /// Executes a call.
    pub fn answer(&self, call: &MadeCall, canister: Principal) -> CallOutcome {
        if self.stopped.get() {
            return reject(5);
        }
        let reply = match call.method.as_str() {
            "icrc1_balance_of" => {
                let account = Decode!(&call.argument, Account).unwrap();
                let known = Nat::from(self.balance(call.canister, account));
                Encode!(&self.claims.borrow().clone().unwrap_or(known)).unwrap()
            }
            "icrc1_transfer" => {
                let argument = Decode!(&call.argument, TransferArg).unwrap();
                let from = Account {
                    owner: canister,
                    subaccount: argument.from_subaccount,
                };
                Encode!(&self.transfer(call, from, &argument)).unwrap()
            }
            // No such canister or method.
            _ => return reject(3),
        };
        CallOutcome::Reply(reply)
    }

    fn transfer(
        &self,
        call: &MadeCall,
        from: Account,
        argument: &TransferArg,
    ) -> Result<Nat, TransferError> {
        let fee = self.fee.get();
        if argument.fee != Some(Nat::from(fee)) {
            let expected_fee = Nat::from(fee);
            return Err(TransferError::BadFee { expected_fee });
        }
        let name = (call.canister, call.argument.clone());
        let wanted = u128::try_from(&argument.amount.0)
            .unwrap()
            .saturating_add(fee);
        if self.balance_first.get() && wanted > self.balance(call.canister, from) {
            let balance = Nat::from(self.balance(call.canister, from));
            return Err(TransferError::InsufficientFunds { balance });
        }
        if let Some(block) = self.made.borrow().get(&name) {
            let duplicate_of = Nat::from(*block);
            return Err(TransferError::Duplicate { duplicate_of });
        }
        if let Some(error) = self.refuses.borrow().clone() {
            return Err(error);
        }
        let amount = u128::try_from(&argument.amount.0).unwrap();
        let balance = self.balance(call.canister, from);
        if amount.saturating_add(fee) > balance {
            let balance = Nat::from(balance);
            return Err(TransferError::InsufficientFunds { balance });
        }
        let mut balances = self.balances.borrow_mut();
        balances.insert(key(call.canister, from), balance - amount - fee);
        *balances.entry(key(call.canister, argument.to)).or_default() += amount;
        drop(balances);
        let block = self.blocks.get();
        self.blocks.set(block + 1);
        self.fees.set(self.fees.get() + fee);
        self.made.borrow_mut().insert(name, block);
        Ok(Nat::from(block))
    }
}

pub fn reject(code: u32) -> CallOutcome {
    CallOutcome::Rejected {
        code,
        message: "rejected".into(),
    }
}

/// Runs work, and has the bank answer its calls.
pub fn drive<T>(shop: &Shop, work: impl Future<Output = T>) -> T {
    let work = pin!(work);
    drive_some(shop, work, usize::MAX).expect("the work ends")
}

/// Runs work until the bank has answered so many calls; `None` if it has not ended by then.
pub fn drive_some<T>(
    shop: &Shop,
    mut work: Pin<&mut impl Future<Output = T>>,
    calls: usize,
) -> Option<T> {
    let runtime = &shop.runtime;
    runtime.hold.set(true);
    let (begin, mut seen) = (runtime.made(), runtime.made());
    let end = loop {
        if let Poll::Ready(end) = poll(work.as_mut()) {
            break Some(end);
        }
        let made: Vec<MadeCall> = runtime.calls.borrow()[seen..].to_vec();
        assert!(!made.is_empty(), "it waits for nothing");
        seen += made.len();
        if seen - begin > calls {
            break None;
        }
        for call in made {
            let answer = shop
                .bank
                .answer(&call, crate::runtime::Runtime::canister_id(runtime));
            runtime.will(answer);
        }
    };
    runtime.hold.set(false);
    end
}

//! Talking to a ledger, and telling the test ledger to misbehave.

use super::setup::{Setup, controller, minter};
use candid::{Nat, Principal};
use icrc_ledger_types::{
    icrc::generic_value::ICRC3Value,
    icrc1::{
        account::Account,
        transfer::{TransferArg, TransferError},
    },
    icrc2::approve::{ApproveArgs, ApproveError},
    icrc3::blocks::{GetBlocksRequest, GetBlocksResult},
};
use std::collections::BTreeMap;
use test_ledger::testing::{Fault, decode_queued, queue_fault};

/// The method payments use.
pub const TRANSFER_FROM: &str = "icrc2_transfer_from";

/// A ledger canister.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TestLedger(pub Principal);

/// A transfer that the canister under test pulled.
#[derive(Clone, Debug, PartialEq)]
pub struct Pulled {
    pub block: u128,
    pub memo: Vec<u8>,
    pub from: Account,
    pub to: Account,
    pub amount: u128,
    pub fee: u128,
}

impl TestLedger {
    pub fn mint(&self, setup: &Setup, to: Account, amount: u128) {
        self.transfer(setup, minter(), to, amount);
    }

    pub fn transfer(&self, setup: &Setup, from: Principal, to: Account, amount: u128) {
        let arg = TransferArg {
            from_subaccount: None,
            to,
            fee: None,
            created_at_time: None,
            memo: None,
            amount: Nat::from(amount),
        };
        let done: Result<Nat, TransferError> =
            setup.update_at(self.0, from, "icrc1_transfer", (arg,));
        done.expect("the transfer is made");
    }

    pub fn approve(&self, setup: &Setup, owner: Account, spender: Principal, amount: u128) {
        let arg = ApproveArgs {
            from_subaccount: owner.subaccount,
            spender: spender.into(),
            amount: Nat::from(amount),
            expected_allowance: None,
            expires_at: None,
            fee: None,
            memo: None,
            created_at_time: None,
        };
        let done: Result<Nat, ApproveError> =
            setup.update_at(self.0, owner.owner, "icrc2_approve", (arg,));
        done.expect("the approval is made");
    }

    pub fn balance(&self, setup: &Setup, account: Account) -> u128 {
        let balance: Nat = setup.query_at(
            self.0,
            Principal::anonymous(),
            "icrc1_balance_of",
            (account,),
        );
        number(&balance)
    }

    /// Every block of the ledger.
    pub fn blocks(&self, setup: &Setup) -> Vec<(u128, ICRC3Value)> {
        let mut all = Vec::new();
        loop {
            let page = GetBlocksRequest {
                start: Nat::from(all.len()),
                length: Nat::from(1_000_u32),
            };
            let page: GetBlocksResult = setup.query_at(
                self.0,
                Principal::anonymous(),
                "icrc3_get_blocks",
                (vec![page],),
            );
            all.extend(
                page.blocks
                    .into_iter()
                    .map(|block| (number(&block.id), block.block)),
            );
            if all.len() as u128 >= number(&page.log_length) {
                return all;
            }
        }
    }

    /// The transfers a spender pulled, oldest first.
    pub fn pulled_by(&self, setup: &Setup, spender: Principal) -> Vec<Pulled> {
        self.blocks(setup)
            .into_iter()
            .filter_map(|(block, value)| {
                let block_map = map(&value)?;
                let tx = map(block_map.get("tx")?)?;
                if text(tx.get("op")?)? == "approve"
                    || account(tx.get("spender")?)?.owner != spender
                {
                    return None;
                }
                Some(Pulled {
                    block,
                    memo: blob(tx.get("memo")?)?,
                    from: account(tx.get("from")?)?,
                    to: account(tx.get("to")?)?,
                    amount: nat(tx.get("amt")?)?,
                    fee: nat(block_map.get("fee").or(tx.get("fee"))?)?,
                })
            })
            .collect()
    }

    /// The next `calls` payments meet this fault.
    pub fn fault(&self, setup: &Setup, calls: u32, fault: &Fault) {
        self.fault_of(setup, TRANSFER_FROM, calls, fault);
    }

    /// The next `calls` calls of a method meet this fault.
    pub fn fault_of(&self, setup: &Setup, method: &str, calls: u32, fault: &Fault) {
        let (method, arg) = queue_fault(method, calls, fault);
        let reply = setup
            .pic
            .update_call(self.0, controller(), method, arg)
            .expect("the test interface is open");
        decode_queued(&reply).expect("the fault is taken");
    }

    /// Lets held replies go.
    pub fn release(&self, setup: &Setup) {
        let _: u32 = setup.update_at(self.0, controller(), "test_release", ());
        for _ in 0..6 {
            setup.pic.tick();
        }
    }

    pub fn set_fee(&self, setup: &Setup, fee: u128) {
        setup
            .pic
            .update_call(
                self.0,
                controller(),
                "test_set_fee",
                candid::encode_one(Nat::from(fee)).unwrap(),
            )
            .expect("the test interface is open");
    }
}

/// A number of the ledger as one of ours.
pub fn number(nat: &Nat) -> u128 {
    u128::try_from(&nat.0).expect("a number of the tests fits")
}

fn map(value: &ICRC3Value) -> Option<BTreeMap<String, ICRC3Value>> {
    match value {
        ICRC3Value::Map(map) => Some(map.clone()),
        _ => None,
    }
}

fn text(value: &ICRC3Value) -> Option<&str> {
    match value {
        ICRC3Value::Text(text) => Some(text),
        _ => None,
    }
}

fn blob(value: &ICRC3Value) -> Option<Vec<u8>> {
    match value {
        ICRC3Value::Blob(blob) => Some(blob.to_vec()),
        _ => None,
    }
}

fn nat(value: &ICRC3Value) -> Option<u128> {
    match value {
        ICRC3Value::Nat(nat) => Some(number(nat)),
        _ => None,
    }
}

fn account(value: &ICRC3Value) -> Option<Account> {
    let ICRC3Value::Array(parts) = value else {
        return None;
    };
    let owner = Principal::try_from_slice(&blob(parts.first()?)?).ok()?;
    let subaccount = match parts.get(1) {
        Some(part) => Some(blob(part)?.try_into().ok()?),
        None => None,
    };
    Some(Account { owner, subaccount })
}

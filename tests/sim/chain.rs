//! A ledger as an auditor sees it: its own blocks, each read once, as they appear.

use crate::support::{
    ledger::{account, blob, nat},
    setup::controller,
};
use candid::{Nat, Principal};
use icrc_ledger_types::{
    icrc::generic_value::ICRC3Value,
    icrc1::account::Account,
    icrc3::blocks::{GetBlocksRequest, GetBlocksResult},
};
use pocket_ic::PocketIc;
use std::collections::BTreeMap;

/// The most blocks in one request.
const PAGE: u64 = 500;

/// A block.
#[derive(Clone, Debug)]
pub struct Block {
    pub index: u64,
    pub op: String,
    pub from: Option<Account>,
    pub to: Option<Account>,
    pub spender: Option<Account>,
    pub amount: u128,
    pub fee: u128,
    pub memo: Option<Vec<u8>>,
    /// In nanoseconds, both.
    pub timestamp: u64,
    pub created_at: Option<u64>,
}

/// The blocks that were read from one ledger.
#[derive(Debug, Default)]
pub struct Chain {
    pub blocks: Vec<Block>,
}

impl Chain {
    /// Reads new blocks; `None` if the ledger does not answer now.
    pub fn read(&mut self, pic: &PocketIc, ledger: Principal) -> Option<usize> {
        let before = self.blocks.len();
        loop {
            let start = self.blocks.len() as u64;
            let result = get_blocks(pic, ledger, "icrc3_get_blocks", start)?;
            let length = u64::try_from(&result.log_length.0).ok()?;
            let mut found: BTreeMap<u64, ICRC3Value> = BTreeMap::new();
            // Older blocks may have been moved to archives.
            for archived in &result.archived_blocks {
                let callback = &archived.callback;
                for request in &archived.args {
                    let mut start = u64::try_from(&request.start.0).ok()?;
                    let end = start + u64::try_from(&request.length.0).ok()?;
                    while start < end {
                        let page = get_blocks(pic, callback.canister_id, &callback.method, start)?;
                        let before = start;
                        for block in page.blocks {
                            let id = u64::try_from(&block.id.0).ok()?;
                            start = start.max(id + 1);
                            found.insert(id, block.block);
                        }
                        if start == before {
                            return None;
                        }
                    }
                }
            }
            for block in result.blocks {
                found.insert(u64::try_from(&block.id.0).ok()?, block.block);
            }
            for (index, value) in found.range(start..) {
                assert_eq!(*index, self.blocks.len() as u64, "the log has a gap");
                self.blocks.push(parse(*index, value));
            }
            if self.blocks.len() as u64 >= length {
                return Some(before);
            }
            if self.blocks.len() as u64 == start {
                return None;
            }
        }
    }

    /// The number of blocks; `None` if the ledger does not answer now.
    pub fn length(&self, pic: &PocketIc, ledger: Principal) -> Option<u64> {
        let start = self.blocks.len() as u64;
        let result = get_blocks(pic, ledger, "icrc3_get_blocks", start)?;
        u64::try_from(&result.log_length.0).ok()
    }

    /// The balance according to the blocks.
    pub fn balance(&self, account: &Account) -> u128 {
        let mut balance = 0_i128;
        for block in &self.blocks {
            if block.op != "approve" && block.to.as_ref() == Some(account) {
                balance += block.amount as i128;
            }
            if block.from.as_ref() == Some(account) {
                let amount = if block.op == "approve" {
                    0
                } else {
                    block.amount
                };
                balance -= (amount + block.fee) as i128;
            }
        }
        u128::try_from(balance).expect("no balance is negative")
    }
}

fn get_blocks(
    pic: &PocketIc,
    canister: Principal,
    method: &str,
    start: u64,
) -> Option<GetBlocksResult> {
    let page = GetBlocksRequest {
        start: Nat::from(start),
        length: Nat::from(PAGE),
    };
    let arg = candid::encode_one(vec![page]).expect("Candid");
    // Hidden logs are visible to the controller.
    let reply = pic.query_call(canister, controller(), method, arg);
    candid::decode_one(&reply.ok()?).ok()
}

fn parse(index: u64, value: &ICRC3Value) -> Block {
    let block = map(value).expect("a block is a map");
    let tx = block.get("tx").and_then(map).expect("a block has a tx");
    let get_account = |key: &str| tx.get(key).and_then(account);
    Block {
        index,
        op: tx.get("op").and_then(text).unwrap_or_default(),
        from: get_account("from"),
        to: get_account("to"),
        spender: get_account("spender"),
        amount: tx.get("amt").and_then(nat).expect("a block has an amount"),
        fee: block
            .get("fee")
            .or(tx.get("fee"))
            .and_then(nat)
            .unwrap_or_default(),
        memo: tx.get("memo").and_then(blob),
        timestamp: block.get("ts").and_then(nat).unwrap_or_default() as u64,
        created_at: tx.get("ts").and_then(nat).map(|ts| ts as u64),
    }
}

fn map(value: &ICRC3Value) -> Option<&BTreeMap<String, ICRC3Value>> {
    match value {
        ICRC3Value::Map(map) => Some(map),
        _ => None,
    }
}

fn text(value: &ICRC3Value) -> Option<String> {
    match value {
        ICRC3Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

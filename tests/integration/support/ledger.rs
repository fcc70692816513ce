//! Calls to a ledger, and faults of the test ledger.

use super::{
    environment,
    setup::{CYCLES, Setup, controller, minter},
};
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
use test_ledger::domain::rules::CheckOrder;
use test_ledger::testing::{
    Fault, FaultStatus, LedgerInit, decode_moved, decode_queued, move_to_archive, queue_fault,
};

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

/// Any block that moves money.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    pub block: u128,
    pub memo: Vec<u8>,
    pub spender: Option<Account>,
    pub from: Option<Account>,
    pub to: Option<Account>,
    pub amount: u128,
    pub fee: u128,
}

impl Pulled {
    /// The transfers that this spender pulled.
    pub fn among(moves: &[Move], spender: Principal) -> Vec<Pulled> {
        let by_spender = |block: &&Move| block.spender.is_some_and(|by| by.owner == spender);
        let pulled = moves.iter().filter(by_spender).map(|block| Pulled {
            block: block.block,
            memo: block.memo.clone(),
            from: block.from.expect("a pulled transfer has a payer"),
            to: block.to.expect("a pulled transfer has a recipient"),
            amount: block.amount,
            fee: block.fee,
        });
        pulled.collect()
    }
}

impl TestLedger {
    /// Another ledger, not registered.
    pub fn install(setup: &Setup, init: LedgerInit) -> Self {
        let subnet = setup.pic.get_subnet(setup.ledger.0).unwrap();
        let owner = Some(controller());
        let id = setup.pic.create_canister_on_subnet(owner, None, subnet);
        setup.pic.add_cycles(id, CYCLES);
        let wasm = environment::test_ledger_wasm();
        setup
            .pic
            .install_canister(id, wasm, init.encode(), Some(controller()));
        Self(id)
    }

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

    /// Every block of the ledger, archived ones included.
    pub fn blocks(&self, setup: &Setup) -> Vec<(u128, ICRC3Value)> {
        let mut all = Vec::new();
        loop {
            let page = GetBlocksRequest {
                start: Nat::from(all.len()),
                length: Nat::from(1_000_u32),
            };
            let blocks = |canister, ranges: Vec<GetBlocksRequest>| -> GetBlocksResult {
                let anonymous = Principal::anonymous();
                setup.query_at(canister, anonymous, "icrc3_get_blocks", (ranges,))
            };
            let page = blocks(self.0, vec![page]);
            let mut found = page.blocks;
            for archived in page.archived_blocks {
                found.extend(blocks(archived.callback.canister_id, archived.args).blocks);
            }
            found.sort_by(|a, b| a.id.cmp(&b.id));
            all.extend(
                found
                    .into_iter()
                    .map(|block| (number(&block.id), block.block)),
            );
            if all.len() as u128 >= number(&page.log_length) {
                return all;
            }
        }
    }

    /// All transfers, mints and burns, oldest first.
    pub fn moves(&self, setup: &Setup) -> Vec<Move> {
        self.blocks(setup)
            .into_iter()
            .filter_map(|(block, value)| {
                let block_map = map(&value)?;
                let tx = map(block_map.get("tx")?)?;
                if text(tx.get("op")?)? == "approve" {
                    return None;
                }
                let fee = block_map.get("fee").or(tx.get("fee"));
                Some(Move {
                    block,
                    memo: tx.get("memo").and_then(blob).unwrap_or_default(),
                    spender: tx.get("spender").and_then(account),
                    from: tx.get("from").and_then(account),
                    to: tx.get("to").and_then(account),
                    amount: nat(tx.get("amt")?)?,
                    fee: fee.and_then(nat).unwrap_or_default(),
                })
            })
            .collect()
    }

    /// The transfers a spender pulled, oldest first.
    pub fn pulled_by(&self, setup: &Setup, spender: Principal) -> Vec<Pulled> {
        Pulled::among(&self.moves(setup), spender)
    }

    /// Sets this fault for the next `calls` payments.
    pub fn fault(&self, setup: &Setup, calls: u32, fault: &Fault) {
        self.fault_of(setup, TRANSFER_FROM, calls, fault);
    }

    /// Sets this fault for the next `calls` calls of a method.
    pub fn fault_of(&self, setup: &Setup, method: &str, calls: u32, fault: &Fault) {
        let (method, arg) = queue_fault(method, calls, fault);
        let reply = setup
            .pic
            .update_call(self.0, controller(), method, arg)
            .expect("the test interface is open");
        decode_queued(&reply).expect("the fault is set");
    }

    /// Releases replies that are held back.
    pub fn release(&self, setup: &Setup) {
        let _: u32 = setup.update_at(self.0, controller(), "test_release", ());
        for _ in 0..6 {
            setup.pic.tick();
        }
    }

    /// Moves the oldest `count` blocks to another canister, which is returned.
    pub fn archive(&self, setup: &Setup, count: u64) -> Principal {
        let subnet = setup.pic.get_subnet(self.0).unwrap();
        let id = setup
            .pic
            .create_canister_on_subnet(Some(controller()), None, subnet);
        setup.pic.add_cycles(id, CYCLES);
        let wasm = environment::test_ledger_wasm();
        let init = LedgerInit::archive().encode();
        setup
            .pic
            .install_canister(id, wasm, init, Some(controller()));
        let (method, arg) = move_to_archive(id, count);
        let reply = setup.pic.update_call(self.0, controller(), method, arg);
        decode_moved(&reply.expect("the test interface is open"))
            .expect("the archive accepts them");
        id
    }

    /// The number of calls of an update method.
    pub fn calls(&self, setup: &Setup, method: &str) -> u64 {
        let status: Vec<FaultStatus> =
            setup.query_at(self.0, controller(), "test_fault_status", ());
        let of_method = status.iter().find(|status| status.method == method);
        of_method.map_or(0, |status| status.calls)
    }

    /// Ends all faults; replies that are held back stay so.
    pub fn behave(&self, setup: &Setup) {
        let _: () = setup.update_at(self.0, controller(), "test_clear_faults", ());
    }

    /// Sets how far the ledger's clock is ahead of the network's.
    pub fn skew(&self, setup: &Setup, seconds: i64) {
        let nanoseconds = seconds * 1_000_000_000;
        let _: () = setup.update_at(self.0, controller(), "test_set_time_skew", (nanoseconds,));
    }

    /// Sets what the ledger checks first in transfers.
    pub fn check_order(&self, setup: &Setup, order: CheckOrder) {
        let _: () = setup.update_at(self.0, controller(), "test_set_check_order", (order,));
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

/// A number of the ledger as `u128`.
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

pub fn blob(value: &ICRC3Value) -> Option<Vec<u8>> {
    match value {
        ICRC3Value::Blob(blob) => Some(blob.to_vec()),
        _ => None,
    }
}

pub fn nat(value: &ICRC3Value) -> Option<u128> {
    match value {
        ICRC3Value::Nat(nat) => Some(number(nat)),
        _ => None,
    }
}

pub fn account(value: &ICRC3Value) -> Option<Account> {
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

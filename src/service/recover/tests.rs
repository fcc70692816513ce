mod block_log;
mod cycles;
mod fairness;
mod icp_log;
mod lapse;
mod odd_blocks;
mod resolved;
mod same_again;
mod short_logs;
mod stopped;

use super::*;
pub(crate) use crate::domain::block_log::tests::block_of as block;
use crate::{
    domain::{ledger::BLOCK_LOG_STANDARD, rail::TxRef, settlement::CallOutcome},
    runtime::{
        scripted::{ScriptedRuntime, poll, run},
        with_spare,
    },
    service::{
        lifecycle,
        log_search::MAX_CALLS,
        pay::tests::{ARCHIVE, NOW, PaymentRequest, Shop, id},
        payments,
    },
    storage::ledgers::tests::ledger,
    types::{Amount, BlockIndex},
};
use candid::{Decode, Encode, Nat};
use icrc_ledger_types::{
    icrc::generic_value::ICRC3Value,
    icrc2::transfer_from::TransferFromError,
    icrc3::{
        archive::QueryArchiveFn,
        blocks::{ArchivedBlocks, BlockWithId, GetBlocksRequest, GetBlocksResult},
    },
};

const HOUR: u32 = 3_600;
/// Long before every payment.
const LONG_AGO: TimestampNs = TimestampNs(NOW.0 - 1_000_000_000_000_000);

/// The blocks that a reading returns.
type Log = Vec<(u64, ICRC3Value)>;

/// A shop whose ledger has a block log.
fn shop() -> Shop {
    let shop = pay::tests::shop();
    let mut ledger = ledger(0);
    ledger.standards.push(BLOCK_LOG_STANDARD.into());
    storage::ledgers::put(&ledger).unwrap();
    shop
}

impl Shop {
    /// A payment whose first call ended without proof.
    fn unknown(&self, payer: u8, nonce: u8) -> PaymentRequest {
        let request = self.request(payer, nonce);
        self.will_reject(6);
        let _ = self.settle(&request);
        assert!(matches!(self.state(&request), State::Unknown { .. }));
        request
    }

    pub(crate) fn later(&self, seconds: u32) -> &Self {
        let now = self.runtime.now();
        self.runtime.now.set(now.plus(Seconds(seconds)));
        self
    }

    /// A time at which the authorization is no longer valid.
    fn after_expiry(&self) -> &Self {
        self.later(201)
    }

    pub(crate) fn tick(&self) {
        run(tick(&self.runtime));
    }

    /// An upgrade, which waits for no reply.
    pub(crate) fn upgrade(&self) {
        lifecycle::upgrade(&self.runtime, Default::default()).unwrap();
        read_again();
    }

    fn will_show(&self, log_length: u64, log: Log) -> &Self {
        self.runtime
            .will_reply(reply(log_length, log, Vec::<(Principal, u64, u64)>::new()));
        self
    }

    /// The block of this payment's transfer.
    fn block(&self, request: &PaymentRequest) -> ICRC3Value {
        let payment = payments::payment(&id(request)).unwrap();
        block(&transfer(&self.runtime, &payment))
    }

    /// Reads the log of an unknown payment for each canister that `names` has the ledger name as an archive.
    fn follows_no_impossible_archive(&self, names: impl Fn(Principal)) {
        storage::ledgers::put(&ledger(1)).unwrap();
        let told = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 60, 1, 1]);
        storage::notifications::set_target(Some(told));
        let request = self.unknown(1, 1);
        self.after_expiry();
        for archive in self.no_canisters().into_iter().chain([ledger(1).id, told]) {
            let made = self.runtime.made();
            names(archive);
            self.later(HOUR).tick();
            assert_eq!(self.runtime.made(), made + 1, "{archive}");
            assert!(is_unknown(&self.state(&request)));
        }
    }

    fn methods(&self) -> Vec<String> {
        let calls = self.runtime.calls.borrow();
        calls.iter().map(|call| call.method.clone()).collect()
    }
}

/// Reads the tables again, as after an upgrade.
fn read_again() {
    storage::payments::tests::reload();
    storage::liabilities::tests::reload();
    storage::works::tests::reload();
}

/// A block of another payer's transfer.
pub(crate) fn other_block(at: TimestampNs) -> ICRC3Value {
    block(&Transfer {
        memo: [0xee; 32],
        from: Account::from(Principal::from_slice(&[1])),
        to: Account::from(Principal::from_slice(&[2])),
        spender: None,
        amount: Amount(1),
        created_at: at,
    })
}

pub(crate) fn reply(
    log_length: u64,
    log: Log,
    archived: Vec<(Principal, u64, u64)>,
) -> GetBlocksResult {
    GetBlocksResult {
        log_length: log_length.into(),
        blocks: log
            .into_iter()
            .map(|(id, block)| BlockWithId {
                id: id.into(),
                block,
            })
            .collect(),
        archived_blocks: archived
            .into_iter()
            .map(|(archive, start, length)| ArchivedBlocks {
                args: vec![GetBlocksRequest {
                    start: start.into(),
                    length: length.into(),
                }],
                callback: QueryArchiveFn::new(archive, "get_them"),
            })
            .collect(),
    }
}

fn duplicate_of(block: u64) -> Result<Nat, TransferFromError> {
    Err(TransferFromError::Duplicate {
        duplicate_of: Nat::from(block),
    })
}

fn is_unknown(state: &State) -> bool {
    matches!(state, State::Unknown { .. })
}

fn settled_in(state: &State) -> Option<u64> {
    state.moved().map(|(TxRef::Block(block), _)| block.0)
}

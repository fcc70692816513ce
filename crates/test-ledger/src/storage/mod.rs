//! The books in stable memory. Stable structures are the truth: nothing is saved before an upgrade, nothing
//! is rebuilt after it.

mod keys;
mod rows;

use std::rc::Rc;

use candid::Principal;
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager, VirtualMemory};
use ic_stable_structures::{BTreeMap, Cell, DefaultMemoryImpl, Log, Storable};
use icrc_ledger_types::icrc1::account::Account;

use crate::domain::{Allowance, Block, Books, Config, Hash, TimestampNs, Tip, Tokens};
use keys::{AccountKey, AllowanceKey, TransactionKey};
use rows::{AllowanceRow, BalanceRow, BlockRow, ConfigRow, PlacesRow, TotalsRow, TransactionRow};

pub use rows::ArchivedRange;

type Memory = VirtualMemory<DefaultMemoryImpl>;

/// The token's constants.
const CONFIG: MemoryId = MemoryId::new(0);
/// Account to balance; no row for zero.
const BALANCES: MemoryId = MemoryId::new(1);
/// Owner and spender to allowance; no row for zero.
const ALLOWANCES: MemoryId = MemoryId::new(2);
/// Creation time and hash to block index, for the transactions of the last window.
const TRANSACTIONS: MemoryId = MemoryId::new(3);
/// Where the blocks begin in the memory below.
const BLOCK_INDEX: MemoryId = MemoryId::new(4);
/// The blocks.
const BLOCK_DATA: MemoryId = MemoryId::new(5);
/// Total supply and tip of the block log.
const TOTALS: MemoryId = MemoryId::new(6);
/// Which blocks are elsewhere.
const PLACES: MemoryId = MemoryId::new(7);

/// How many outdated transactions one new one sweeps away at most. More than one, so that the index shrinks
/// to the window even after a burst; bounded, so that no transaction pays for all of it.
const SWEEP: usize = 100;

/// The ledger's state.
pub struct Ledger {
    config: Cell<ConfigRow, Memory>,
    /// What `config` says, read once.
    current: Option<Rc<Config>>,
    balances: BTreeMap<AccountKey, BalanceRow, Memory>,
    allowances: BTreeMap<AllowanceKey, AllowanceRow, Memory>,
    transactions: BTreeMap<TransactionKey, TransactionRow, Memory>,
    blocks: Log<BlockRow, Memory, Memory>,
    totals: Cell<TotalsRow, Memory>,
    places: Cell<PlacesRow, Memory>,
}

/// Blocks that an archive cannot take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    #[error("the next block here is {expected}, not {offered}")]
    Gap { expected: u64, offered: u64 },
    #[error("a block is not readable")]
    Unreadable,
    #[error("a block does not name the hash of the one before it")]
    BrokenChain,
}

impl Ledger {
    /// Opens the books in `memory`, empty ones if there are none.
    pub fn open(memory: DefaultMemoryImpl) -> Self {
        let memory = MemoryManager::init(memory);
        let config = Cell::init(memory.get(CONFIG), ConfigRow::Empty);
        let current = match config.get().clone() {
            ConfigRow::Empty => None,
            ConfigRow::V1(row) => Some(Rc::new(row.into())),
        };
        Self {
            config,
            current,
            balances: BTreeMap::init(memory.get(BALANCES)),
            allowances: BTreeMap::init(memory.get(ALLOWANCES)),
            transactions: BTreeMap::init(memory.get(TRANSACTIONS)),
            blocks: Log::init(memory.get(BLOCK_INDEX), memory.get(BLOCK_DATA)),
            totals: Cell::init(memory.get(TOTALS), TotalsRow::empty()),
            places: Cell::init(memory.get(PLACES), PlacesRow::empty()),
        }
    }

    /// The token's constants. Must not be called before [`Self::set_config`].
    pub fn config(&self) -> Rc<Config> {
        let current = self.current.clone();
        current.expect("BUG: the ledger was never installed")
    }

    pub fn set_config(&mut self, config: Config) {
        self.config.set((&config).into());
        self.current = Some(Rc::new(config));
    }

    /// Number of blocks in the whole log, archived ones included; in an archive, the index after its last.
    pub fn log_length(&self) -> u64 {
        self.places.get().offset() + self.blocks.len()
    }

    /// The index of the oldest block that is still here.
    pub fn first_local(&self) -> u64 {
        let places = self.places.get();
        let archived = places.archived().last().map(|range| range.end);
        archived.unwrap_or(places.offset())
    }

    /// The block, unless it is in an archive.
    pub fn block(&self, index: u64) -> Option<Block> {
        if index < self.first_local() {
            return None;
        }
        let row = self.blocks.get(index - self.places.get().offset());
        row.map(Block::from)
    }

    /// What was moved to archives, oldest first, without gaps.
    pub fn archived(&self) -> Vec<ArchivedRange> {
        self.places.get().archived().to_vec()
    }

    /// The next `count` blocks that an archive can take, and the index of the first.
    pub fn to_archive(&self, count: u64) -> (u64, Vec<Vec<u8>>) {
        let (first, offset) = (self.first_local(), self.places.get().offset());
        let end = first.saturating_add(count).min(self.log_length());
        let rows = (first..end).filter_map(|index| self.blocks.get(index - offset));
        (first, rows.map(Storable::into_bytes).collect())
    }

    /// Notes that the blocks up to `end` are in `archive` now: they are not here any more. (The stable log
    /// cannot shrink, so their bytes stay, unseen.)
    pub fn moved_to(&mut self, archive: Principal, end: u64) {
        let start = self.first_local();
        if start < end && end <= self.log_length() {
            let row = self.places.get().with(ArchivedRange {
                archive: archive.as_slice().to_vec(),
                start,
                end,
            });
            self.places.set(row);
        }
    }

    /// Takes blocks over from a ledger, the first of which has the index `start`. All or none.
    pub fn receive(&mut self, start: u64, rows: &[Vec<u8>]) -> Result<(), ReceiveError> {
        let mut tip = self.tip().map(|tip| tip.hash);
        let expected = if tip.is_none() {
            start
        } else {
            self.log_length()
        };
        if start != expected {
            let offered = start;
            return Err(ReceiveError::Gap { expected, offered });
        }
        let mut blocks = Vec::with_capacity(rows.len());
        for row in rows {
            let block = BlockRow::read(row).ok_or(ReceiveError::Unreadable)?;
            // The first block of an archive follows one that is elsewhere.
            if tip.is_some() && block.parent_hash != tip {
                return Err(ReceiveError::BrokenChain);
            }
            tip = Some(block.hash());
            blocks.push(block);
        }
        if self.blocks.is_empty() {
            self.places.set(PlacesRow::starting_at(start));
        }
        for block in blocks {
            self.append(block);
        }
        Ok(())
    }

    /// How many transactions are remembered for deduplication.
    pub fn remembered(&self) -> u64 {
        self.transactions.len()
    }
}

impl Books for Ledger {
    fn balance(&self, account: &Account) -> Tokens {
        self.balances
            .get(&account.into())
            .map_or(0, |BalanceRow::V1(amount)| amount.into())
    }

    fn set_balance(&mut self, account: &Account, balance: Tokens) {
        if balance == 0 {
            self.balances.remove(&account.into());
        } else {
            self.balances
                .insert(account.into(), BalanceRow::V1(balance.into()));
        }
    }

    fn total_supply(&self) -> Tokens {
        self.totals.get().supply()
    }

    fn set_total_supply(&mut self, supply: Tokens) {
        let tip = self.tip();
        self.totals.set(TotalsRow::new(supply, tip));
    }

    fn stored_allowance(&self, from: &Account, spender: &Account) -> Option<Allowance> {
        self.allowances
            .get(&AllowanceKey::new(from, spender))
            .map(Allowance::from)
    }

    fn set_allowance(&mut self, from: &Account, spender: &Account, allowance: Allowance) {
        let key = AllowanceKey::new(from, spender);
        if allowance.amount == 0 {
            self.allowances.remove(&key);
        } else {
            self.allowances.insert(key, allowance.into());
        }
    }

    fn duplicate_of(&self, created_at_time: TimestampNs, transaction: &Hash) -> Option<u64> {
        self.transactions
            .get(&TransactionKey::new(created_at_time, transaction))
            .map(|TransactionRow::V1(index)| index)
    }

    fn remember(&mut self, created_at_time: TimestampNs, transaction: &Hash, index: u64) {
        let key = TransactionKey::new(created_at_time, transaction);
        self.transactions.insert(key, TransactionRow::V1(index));
    }

    fn forget_before(&mut self, oldest: TimestampNs) {
        for _ in 0..SWEEP {
            match self.transactions.first_key_value() {
                Some((key, _)) if key.created_at_time() < oldest => {
                    self.transactions.remove(&key);
                }
                _ => break,
            }
        }
    }

    fn tip(&self) -> Option<Tip> {
        self.totals.get().tip()
    }

    fn append(&mut self, block: Block) -> u64 {
        let hash = block.hash();
        let appended = self.blocks.append(&BlockRow::from(&block));
        let index = self.places.get().offset() + appended.expect("BUG: stable memory is full");
        self.totals.set(TotalsRow::new(
            self.total_supply(),
            Some(Tip { index, hash }),
        ));
        index
    }
}

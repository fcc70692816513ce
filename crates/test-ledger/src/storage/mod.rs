//! The books in stable memory. Stable structures are the truth: nothing is saved before an upgrade, nothing
//! is rebuilt after it.

mod keys;
mod rows;

use std::rc::Rc;

use ic_stable_structures::memory_manager::{MemoryId, MemoryManager, VirtualMemory};
use ic_stable_structures::{BTreeMap, Cell, DefaultMemoryImpl, Log};
use icrc_ledger_types::icrc1::account::Account;

use crate::domain::{Allowance, Block, Books, Config, Hash, TimestampNs, Tip, Tokens};
use keys::{AccountKey, AllowanceKey, TransactionKey};
use rows::{AllowanceRow, BalanceRow, BlockRow, ConfigRow, TotalsRow, TransactionRow};

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

    /// Number of blocks.
    pub fn log_length(&self) -> u64 {
        self.blocks.len()
    }

    pub fn block(&self, index: u64) -> Option<Block> {
        self.blocks.get(index).map(Block::from)
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
        let index = self
            .blocks
            .append(&BlockRow::from(&block))
            .expect("BUG: stable memory is full");
        self.totals.set(TotalsRow::new(
            self.total_supply(),
            Some(Tip { index, hash }),
        ));
        index
    }
}

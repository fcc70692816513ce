//! What the rules need to read and write. One implementation: `storage::Ledger`.

use icrc_ledger_types::icrc1::account::Account;

use super::{Block, Hash, TimestampNs, Tip, Tokens};

/// What a spender may still take from an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    pub amount: Tokens,
    pub expires_at: Option<TimestampNs>,
}

impl Allowance {
    /// No allowance at all.
    pub const NONE: Self = Self {
        amount: 0,
        expires_at: None,
    };

    /// An allowance is gone from the moment it expires at.
    pub fn is_expired(&self, now: TimestampNs) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

/// Balances, allowances, recent transactions and the block log. Accounts are equal when their effective
/// subaccounts are.
pub trait Books {
    fn balance(&self, account: &Account) -> Tokens;
    /// A balance of zero leaves no row behind.
    fn set_balance(&mut self, account: &Account, balance: Tokens);

    /// Sum of all balances.
    fn total_supply(&self) -> Tokens;
    fn set_total_supply(&mut self, supply: Tokens);

    /// The allowance as stored, expired or not.
    fn stored_allowance(&self, from: &Account, spender: &Account) -> Option<Allowance>;
    /// An allowance of zero leaves no row behind.
    fn set_allowance(&mut self, from: &Account, spender: &Account, allowance: Allowance);

    /// The block of a transaction with this creation time and hash, while it is remembered.
    fn duplicate_of(&self, created_at_time: TimestampNs, transaction: &Hash) -> Option<u64>;
    fn remember(&mut self, created_at_time: TimestampNs, transaction: &Hash, index: u64);
    /// Forgets transactions created before `oldest`, a bounded number a call.
    fn forget_before(&mut self, oldest: TimestampNs);

    fn tip(&self) -> Option<Tip>;
    /// Appends the block and moves the tip; returns the block's index.
    fn append(&mut self, block: Block) -> u64;

    /// The allowance that counts now: zero if there is none or it has expired.
    fn allowance(&self, from: &Account, spender: &Account, now: TimestampNs) -> Allowance {
        self.stored_allowance(from, spender)
            .filter(|allowance| !allowance.is_expired(now))
            .unwrap_or(Allowance::NONE)
    }
}

//! Accounts as blocks name them.

use crate::types::{Account, canonical};
use x402_icp::account::identifier;

/// An account in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// ICRC-3: owner and subaccount, in canonical form.
    Account(Account),
    /// The ICP ledger: a hash of owner and subaccount.
    Identifier([u8; 32]),
}

impl Party {
    /// Whether the block names this account.
    pub fn is(&self, account: &Account) -> bool {
        match self {
            Party::Account(named) => *named == canonical(*account),
            Party::Identifier(named) => *named == identifier(account),
        }
    }
}

impl From<Account> for Party {
    fn from(account: Account) -> Self {
        Party::Account(canonical(account))
    }
}

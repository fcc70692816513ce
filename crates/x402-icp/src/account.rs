//! Accounts in blocks, and account identifiers: how the ICP ledger names accounts in its own interface.

use candid::Principal;
use icrc_ledger_types::icrc1::account::Account;
use sha2::{Digest, Sha224};
use std::fmt;

/// The domain separator: its length and its name.
const DOMAIN: &[u8] = b"\x0aaccount-id";

/// The account identifier of an account: a CRC-32 checksum, big-endian, and the SHA-224 hash that it is of. An account
/// without a subaccount has that of the default subaccount, of 32 zeros.
///
/// ```
/// use x402_icp::account::identifier;
///
/// let anonymous = identifier(&candid::Principal::anonymous().into());
/// assert_eq!(hex::encode(anonymous), "1c7a48ba6a562aa9eaa2481a9049cdf0433b9738c992d698c31d8abf89cadc79");
/// ```
pub fn identifier(account: &Account) -> [u8; 32] {
    let hash = Sha224::new()
        .chain_update(DOMAIN)
        .chain_update(account.owner.as_slice())
        .chain_update(account.effective_subaccount())
        .finalize();
    let mut identifier = [0; 32];
    identifier[..4].copy_from_slice(&crc32fast::hash(&hash).to_be_bytes());
    identifier[4..].copy_from_slice(&hash);
    identifier
}

/// An account as a ledger's block names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// By owner and subaccount (ICRC-3).
    Account(Account),
    /// By its [`identifier`] (the ICP ledger).
    Identifier([u8; 32]),
}

impl Party {
    /// Whether the block names this account.
    pub fn is(&self, account: &Account) -> bool {
        match self {
            Party::Account(named) => named == account,
            Party::Identifier(named) => *named == identifier(account),
        }
    }

    /// Whether the block names the default account of this principal, or an account that shows it as the owner.
    pub fn is_of(&self, owner: &Principal) -> bool {
        match self {
            Party::Account(named) => named.owner == *owner,
            Party::Identifier(_) => self.is(&Account::from(*owner)),
        }
    }
}

impl From<Account> for Party {
    fn from(account: Account) -> Self {
        Party::Account(account)
    }
}

/// The text of the account, or the digits of the identifier.
impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Party::Account(account) => account.fmt(f),
            Party::Identifier(identifier) => f.write_str(&hex::encode(identifier)),
        }
    }
}

//! Accounts and argument errors.

use candid::{CandidType, Nat, Principal};
// Error messages name this type as `canister.did` does.
use icrc_ledger_types::icrc1::account::Account as LedgerAccount;
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// An ICRC-1 account as an argument. A subaccount of another length is answered with an error that names the field.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Account {
    /// The owner.
    pub owner: Principal,
    /// 32 bytes.
    pub subaccount: Option<ByteBuf>,
}

/// An error about an argument.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct InvalidArgument {
    /// The field, as a path from the top of the argument.
    pub field: String,
    /// The problem.
    pub problem: String,
    /// The limit that it exceeds.
    pub limit: Option<Nat>,
}

impl From<LedgerAccount> for Account {
    fn from(account: LedgerAccount) -> Self {
        Account {
            owner: account.owner,
            subaccount: account
                .subaccount
                .map(|bytes| ByteBuf::from(bytes.to_vec())),
        }
    }
}

impl From<Principal> for Account {
    /// The default account of a principal.
    fn from(owner: Principal) -> Self {
        Account {
            owner,
            subaccount: None,
        }
    }
}

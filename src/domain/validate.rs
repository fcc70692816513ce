//! Errors about arguments, and shared checks.

use crate::{
    domain::invoice::is_invoice_account,
    types::{Account, canonical},
};
use candid::{Nat, Principal};

/// An argument that is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidArgument {
    /// The field, as a path from the top of the argument.
    pub field: String,
    pub problem: String,
    /// The limit that it exceeds, if any.
    pub limit: Option<u128>,
}

impl InvalidArgument {
    /// An error without a limit.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        InvalidArgument {
            field: field.into(),
            problem: problem.into(),
            limit: None,
        }
    }

    /// An error about an exceeded limit.
    pub fn limit(field: impl Into<String>, problem: impl Into<String>, limit: u128) -> Self {
        InvalidArgument {
            field: field.into(),
            problem: problem.into(),
            limit: Some(limit),
        }
    }
}

/// `nat` as `u128`, at most `max`.
pub fn bounded_nat(field: &str, nat: &Nat, max: u128) -> Result<u128, InvalidArgument> {
    u128::try_from(&nat.0)
        .ok()
        .filter(|value| *value <= max)
        .ok_or_else(|| InvalidArgument::limit(field, format!("is greater than {max}"), max))
}

/// `blob` as 32 bytes.
pub fn bytes32(field: &str, blob: &[u8]) -> Result<[u8; 32], InvalidArgument> {
    blob.try_into().map_err(|_| {
        InvalidArgument::limit(
            field,
            format!("is {} bytes long, 32 are required", blob.len()),
            32,
        )
    })
}

/// An account in its stored form. Owners that can hold no tokens of their own are refused, and accounts of invoices,
/// which hold the money of payers.
pub fn account(
    field: &str,
    owner: Principal,
    subaccount: Option<&[u8]>,
) -> Result<Account, InvalidArgument> {
    principal(&format!("{field}.owner"), owner)?;
    let subaccount = subaccount
        .map(|blob| bytes32(&format!("{field}.subaccount"), blob))
        .transpose()?;
    let account = canonical(Account { owner, subaccount });
    match is_invoice_account(&account) {
        true => Err(InvalidArgument::new(field, "is the account of an invoice")),
        false => Ok(account),
    }
}

/// Refuses the anonymous principal and the management canister, because neither can own an account.
pub fn principal(field: &str, principal: Principal) -> Result<Principal, InvalidArgument> {
    if principal == Principal::anonymous() {
        return Err(InvalidArgument::new(field, "is the anonymous principal"));
    }
    if principal == Principal::management_canister() {
        return Err(InvalidArgument::new(field, "is the management canister"));
    }
    Ok(principal)
}

/// Refuses canisters that nobody may let this one call: the management canister and ledgers act on the caller's behalf,
/// and this canister would call itself.
pub fn target(
    field: &str,
    canister: Principal,
    own_id: Principal,
    is_ledger: impl FnOnce(&Principal) -> bool,
) -> Result<(), InvalidArgument> {
    principal(field, canister)?;
    if canister == own_id {
        return Err(InvalidArgument::new(field, "is this canister"));
    }
    if is_ledger(&canister) {
        return Err(InvalidArgument::new(field, "is a registered ledger"));
    }
    // The ids of canisters end with this byte, those of keys with another one.
    if canister.as_slice().last() != Some(&1) {
        return Err(InvalidArgument::new(field, "is not the id of a canister"));
    }
    Ok(())
}

/// Checks the length of a text in bytes.
pub fn text_length(field: &str, text: &str, max: usize) -> Result<(), InvalidArgument> {
    if text.len() > max {
        return Err(InvalidArgument::limit(
            field,
            format!("is {} bytes long, at most {max} are allowed", text.len()),
            max as u128,
        ));
    }
    Ok(())
}

/// The most items on a page.
pub const MAX_PAGE: u32 = 100;

/// The number of items on a page: [`MAX_PAGE`] unless fewer are requested.
pub fn page_limit(limit: Option<u32>) -> Result<usize, InvalidArgument> {
    match limit.unwrap_or(MAX_PAGE) {
        0 => Err(InvalidArgument::new("limit", "is zero")),
        n if n > MAX_PAGE => Err(InvalidArgument::limit(
            "limit",
            format!("is greater than {MAX_PAGE}"),
            MAX_PAGE.into(),
        )),
        n => Ok(n as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_u128_are_refused_with_the_limit() {
        let huge = Nat::from(u128::MAX) + Nat::from(1u8);
        let error = bounded_nat("amount", &huge, 10).unwrap_err();
        assert_eq!((error.field.as_str(), error.limit), ("amount", Some(10)));
        assert_eq!(bounded_nat("amount", &Nat::from(10u8), 10), Ok(10));
        assert!(bounded_nat("amount", &Nat::from(11u8), 10).is_err());
    }

    #[test]
    fn accounts_need_an_owner_and_32_bytes() {
        let owner = Principal::from_slice(&[1]);
        assert!(account("a", Principal::anonymous(), None).is_err());
        assert!(account("a", Principal::management_canister(), None).is_err());
        let error = account("a", owner, Some(&[0; 31])).unwrap_err();
        assert_eq!(
            (error.field.as_str(), error.limit),
            ("a.subaccount", Some(32))
        );
        assert_eq!(
            account("a", owner, Some(&[0; 32])).unwrap().subaccount,
            None
        );
    }

    #[test]
    fn pages_are_bounded() {
        assert_eq!(page_limit(None), Ok(100));
        assert_eq!(page_limit(Some(7)), Ok(7));
        assert!(page_limit(Some(0)).is_err());
        assert!(page_limit(Some(101)).is_err());
    }
}

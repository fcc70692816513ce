//! Invoices: the account that an invoice is paid to (`docs/invoices.md`). The canister computes it, and whoever pays
//! checks it: what the canister or a gateway shows could be another account.

use candid::Principal;
use icrc_ledger_types::icrc1::account::Account;
use sha2::{Digest, Sha256};

/// The first bytes of the subaccount of every invoice.
pub const TAG: [u8; 12] = *b"x402-invoice";

/// A hash that only those who know an invoice's id can compute: SHA-256 over a domain, the canister, the id and a
/// number, each with its length as 8 bytes before it.
pub fn hash(domain: &[u8], canister: &Principal, id: &[u8; 32], number: u8) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [domain, canister.as_slice(), id, &[number]] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The account that the invoice with this id is paid to, the same in every ledger: [`TAG`] and the first 20 bytes of
/// the hash for the domain `x402-icp-invoice`.
pub fn account(canister: Principal, id: &[u8; 32]) -> Account {
    let hash = hash(b"x402-icp-invoice", &canister, id, 0);
    let mut subaccount = [0; 32];
    let (tag, rest) = subaccount.split_at_mut(TAG.len());
    tag.copy_from_slice(&TAG);
    rest.copy_from_slice(&hash[..rest.len()]);
    Account {
        owner: canister,
        subaccount: Some(subaccount),
    }
}

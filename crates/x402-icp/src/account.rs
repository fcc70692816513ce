//! Account identifiers: how the ICP ledger names accounts in its own interface.

use icrc_ledger_types::icrc1::account::Account;
use sha2::{Digest, Sha224};

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

//! Offer ids (section 4.2).

use candid::Principal;
use ic_representation_independent_hash::{Value, representation_independent_hash};
use sha2::{Digest, Sha256};

const DOMAIN: &[u8] = b"\x0ex402-icp-offer";

/// Names one route at one price: 32 hexadecimal digits.
///
/// The first 16 bytes of SHA-256 over the length-prefixed domain `x402-icp-offer` and the
/// representation-independent hash of `{canister: bytes, method: text, route: text, revision: nat}`.
/// `price_revision` grows whenever any price of the route changes, so an authorization for the old
/// price never pays the new one. Clients echo the id and need not compute it.
pub fn offer_id(
    canister: Principal,
    method: &str,
    route_template: &str,
    price_revision: u64,
) -> String {
    let hash = representation_independent_hash(&[
        (
            "canister".into(),
            Value::Bytes(canister.as_slice().to_vec()),
        ),
        ("method".into(), Value::String(method.into())),
        ("route".into(), Value::String(route_template.into())),
        ("revision".into(), Value::Number(price_revision)),
    ]);
    let digest: [u8; 32] = Sha256::new()
        .chain_update(DOMAIN)
        .chain_update(hash)
        .finalize()
        .into();
    let mut id = hex::encode(digest);
    id.truncate(32);
    id
}

/// The key under which the whole world can find a settled payment: `network/asset/blockIndex`.
pub fn transaction_key(network: &str, asset: &str, block_index: &str) -> String {
    format!("{network}/{asset}/{block_index}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_changes_the_id() {
        let canister = Principal::from_slice(&[1, 2, 3]);
        let base = offer_id(canister, "GET", "/a", 1);
        assert_eq!(base.len(), 32);
        assert_eq!(base, offer_id(canister, "GET", "/a", 1));
        for other in [
            offer_id(Principal::from_slice(&[1, 2, 4]), "GET", "/a", 1),
            offer_id(canister, "POST", "/a", 1),
            offer_id(canister, "GET", "/b", 1),
            offer_id(canister, "GET", "/a", 2),
        ] {
            assert_ne!(base, other);
        }
    }
}

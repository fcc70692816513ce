//! The subnet that signs for a canister.

use crate::{pieces::*, support::*};
use ic_certification::{empty, fork, labeled, leaf, pruned};
use ic_verify_bls_signature::PrivateKey as BlsKey;

#[test]
fn a_delegation_hangs_on_the_root_alone() {
    let good = flat(ranges(&[range(0, 9)]));
    let inner = tagged(&map(&certificate(&good, &root_key())));
    // A subnet with a certificate that lets itself, or another, sign for the canister.
    let mut entries = certificate(&good, &subnet_key());
    entries.push((
        "delegation",
        map(&[
            ("subnet_id", bytes(subnet_id().as_slice())),
            ("certificate", bytes(&inner)),
        ]),
    ));
    refused(
        &delegated_by(&tagged(&map(&entries))),
        "multiple delegations",
    );
    let own = tagged(&map(&certificate(&good, &subnet_key())));
    refused(&delegated_by(&own), "BLS signature");
    let foreign = certificate(&state_tree(&sig_tree().digest()), &subnet_key());
    refused(&signature(&tagged(&map(&foreign))), "BLS signature");
    let mut unsigned = root_certificate();
    unsigned[0].1 = bytes(&[0; 48]);
    refused(&signature(&tagged(&map(&unsigned))), "BLS signature");
    unsigned[0].1 = bytes(&[]);
    refused(&signature(&tagged(&map(&unsigned))), "BLS signature");
}

#[test]
fn a_subnet_signs_for_the_canisters_in_its_ranges() {
    let outside = "not in canister_ranges";
    for (here, wanted) in [
        (vec![range(7, 7)], true),
        (vec![range(0, 3), range(5, 9)], true),
        (vec![range(0, 6), range(8, 9)], false),
        (vec![range(9, 0)], false),
        (vec![], false),
    ] {
        for tree in [flat(ranges(&here)), sharded(shard(0, ranges(&here)))] {
            match wanted {
                true => assert_eq!(check(&delegated(&tree)), Ok(())),
                false => refused(&delegated(&tree), outside),
            }
        }
    }
    // Ranges without the self-describing tag.
    let plain = ranges(&[range(0, 9)])[3..].to_vec();
    assert_eq!(check(&delegated(&flat(plain))), Ok(()));
}

#[test]
fn of_the_shards_the_last_that_can_have_the_canister_counts() {
    let outside = "not in canister_ranges";
    let (low, all) = (ranges(&[range(0, 3)]), ranges(&[range(0, 9)]));
    let hidden = pruned([7; 32]);
    for (shards, wanted) in [
        (fork(shard(0, low.clone()), shard(7, all.clone())), true),
        (fork(shard(0, all.clone()), shard(7, low.clone())), false),
        (fork(shard(0, all.clone()), shard(8, low.clone())), true),
        (fork(shard(0, low.clone()), shard(8, all.clone())), false),
        (
            fork(
                fork(shard(0, low.clone()), shard(5, all.clone())),
                shard(8, low.clone()),
            ),
            true,
        ),
        (fork(hidden.clone(), shard(5, all.clone())), true),
        (fork(shard(5, all.clone()), hidden.clone()), true),
        (shard(8, all.clone()), false),
        (hidden, false),
        (empty(), false),
    ] {
        match wanted {
            true => assert_eq!(check(&delegated(&sharded(shards))), Ok(())),
            false => refused(&delegated(&sharded(shards)), outside),
        }
    }
    // If there are shards, they take precedence.
    let both = fork(
        labeled(
            "canister_ranges",
            labeled(subnet_id().as_slice(), shard(0, low)),
        ),
        flat(all),
    );
    refused(&delegated(&both), outside);
}

#[test]
fn a_delegation_without_ranges_or_key_is_none() {
    refused(
        &delegated(&subnet_tree(None)),
        "canister_ranges-entry not found",
    );
    let shards = labeled(subnet_id().as_slice(), shard(0, ranges(&[range(0, 9)])));
    let keyless = labeled("canister_ranges", shards);
    refused(&delegated(&keyless), "subnet public key not found");
    let with_key = |der: &[u8]| {
        let key = labeled("public_key", leaf(der));
        let key = labeled("subnet", labeled(subnet_id().as_slice(), key));
        fork(keyless.clone(), key)
    };
    let der = bls_der(&subnet_key());
    assert_eq!(check(&delegated(&with_key(&der))), Ok(()));
    refused(&delegated(&with_key(&der[1..])), "invalid root pk length");
    refused(&delegated(&with_key(&der[37..])), "invalid root pk length");
    let other = bls_der(&BlsKey::deserialize(&[9; 32]).unwrap());
    refused(&delegated(&with_key(&other)), "BLS signature");
}

#[test]
fn ranges_are_pairs_of_principals() {
    let good = ranges(&[range(0, 9)]);
    for (bent, because) in [
        ([&good[..], &[0]].concat(), "invalid canister range"),
        (good[..good.len() - 1].to_vec(), "invalid canister range"),
        (Vec::new(), "invalid canister range"),
        (
            ranges(&[[head(4, 1), bytes(&id(0))].concat()]),
            "invalid canister range",
        ),
        (
            ranges(&[[head(4, 3), [bytes(&id(0)), bytes(&id(9))].concat(), vec![0]].concat()]),
            "invalid canister range",
        ),
        (
            ranges(&[[head(4, 2), bytes(&id(0)), bytes(&[1; 30])].concat()]),
            "invalid canister range",
        ),
        (map(&[]), "invalid canister range"),
    ] {
        refused(&delegated(&flat(bent.clone())), because);
        refused(&delegated(&sharded(shard(0, bent))), because);
    }
}

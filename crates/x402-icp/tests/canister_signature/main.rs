//! Canister signatures in pieces: each piece is changed once, and only unchanged signatures are valid.

mod delegations;
mod pieces;
#[path = "../support/mod.rs"]
mod support;

use ic_certification::{HashTree, empty, labeled, leaf, pruned};
use pieces::*;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use support::*;
use x402_icp::{signature::verify, signer::Signer};

#[test]
fn pieces_put_together_hold() {
    assert_eq!(
        check(&signature(&tagged(&map(&root_certificate())))),
        Ok(())
    );
    assert_eq!(check(&delegated(&flat(ranges(&[range(0, 9)])))), Ok(()));
    let mut turned = root_certificate();
    turned.reverse();
    assert_eq!(check(&signature(&tagged(&map(&turned)))), Ok(()));
}

#[test]
fn whatever_is_cut_off_is_refused() {
    for good in [
        signature(&tagged(&map(&root_certificate()))),
        delegated(&flat(ranges(&[range(0, 9)]))),
    ] {
        for length in 0..good.len() {
            assert!(check(&good[..length]).is_err(), "{length}");
        }
        refused(&[&good[..], &[0]].concat(), "failed to parse");
        refused(&good[3..], "a self-describing tag");
    }
    let certificate = map(&root_certificate());
    refused(&signature(&certificate), "a self-describing tag");
    let longer = tagged(&[&certificate[..], &[0]].concat());
    refused(&signature(&longer), "failed to parse");
    let shorter = tagged(&certificate[..certificate.len() - 1]);
    refused(&signature(&shorter), "failed to parse");
}

#[test]
fn keys_stand_once_each_and_none_is_missing() {
    let good = tagged(&map(&root_certificate()));
    for at in 0..2 {
        let mut missing = signature_entries(&good);
        missing.remove(at);
        refused(&tagged(&map(&missing)), "failed to parse");
        let mut twice = signature_entries(&good);
        twice.push(twice[at].clone());
        refused(&tagged(&map(&twice)), "failed to parse");

        let mut missing = root_certificate();
        missing.remove(at);
        refused(&signature(&tagged(&map(&missing))), "failed to parse");
        let mut twice = root_certificate();
        twice.push(twice[at].clone());
        refused(&signature(&tagged(&map(&twice))), "failed to parse");

        let delegation = tagged(&map(&certificate(
            &flat(ranges(&[range(0, 9)])),
            &root_key(),
        )));
        let whole = [
            ("subnet_id", bytes(subnet_id().as_slice())),
            ("certificate", bytes(&delegation)),
        ];
        for (bent, because) in [
            (whole[at..=at].to_vec(), "failed to parse"),
            ([&whole[..], &whole[at..=at]].concat(), "failed to parse"),
            (
                [&whole[..], &[("other", bytes(b""))]].concat(),
                "failed to parse",
            ),
        ] {
            let mut entries = certificate(&state_tree(&sig_tree().digest()), &subnet_key());
            entries.push(("delegation", map(&bent)));
            refused(&signature(&tagged(&map(&entries))), because);
        }
    }
    let mut more = root_certificate();
    more.push(("other", bytes(b"")));
    refused(&signature(&tagged(&map(&more))), "failed to parse");
    // Other entries beside certificate and tree are ignored.
    let mut more = signature_entries(&good);
    more.push(("other", [head(4, 1), map(&[("a", bytes(b""))])].concat()));
    assert_eq!(check(&tagged(&map(&more))), Ok(()));
}

#[test]
fn values_of_other_types_are_refused() {
    let good = tagged(&map(&root_certificate()));
    let others = [vec![0x07], vec![0xf6], map(&[])];
    for other in others {
        for at in 0..2 {
            let mut bent = signature_entries(&good);
            bent[at].1 = other.clone();
            refused(&tagged(&map(&bent)), "failed to parse");
            let mut bent = root_certificate();
            bent[at].1 = other.clone();
            refused(&signature(&tagged(&map(&bent))), "failed to parse");
        }
        let mut bent = root_certificate();
        bent.push(("delegation", other.clone()));
        refused(&signature(&tagged(&map(&bent))), "failed to parse");
        refused(&tagged(&other), "failed to parse");
        refused(&signature(&tagged(&other)), "failed to parse");
        refused(&delegated_by(&tagged(&other)), "failed to parse");
    }
    // A key that is not a text.
    refused(&tagged(&[0xa1, 0x41, 0x61, 0x00]), "failed to parse");
}

#[test]
fn nodes_of_a_tree_have_their_parts_and_no_more() {
    let node = |parts: &[&[u8]]| [head(4, parts.len()), parts.concat()].concat();
    let (value, none) = (bytes(b"x"), node(&[&[0]]));
    let good: [&[&[u8]]; 5] = [
        &[&[0]],
        &[&[1], &none, &none],
        &[&[2], &value, &none],
        &[&[3], &value],
        &[&[4], &bytes(&[7; 32])],
    ];
    for parts in good {
        refused(&with_sig_tree(&node(parts)), "certified_data doesn't match");
        for length in 0..parts.len() {
            refused(&with_sig_tree(&node(&parts[..length])), "failed to parse");
        }
        let more = [parts, &[&none]].concat();
        refused(&with_sig_tree(&node(&more)), "failed to parse");
    }
    for length in [0, 31, 33] {
        let digest = bytes(&vec![7; length]);
        refused(&with_sig_tree(&node(&[&[4], &digest])), "failed to parse");
    }
    refused(&with_sig_tree(&node(&[&[5], &value])), "failed to parse");
    refused(&with_sig_tree(&node(&[&[3], &[0x07]])), "failed to parse");
    refused(&with_sig_tree(&node(&[&[0x20]])), "failed to parse");
    refused(&with_sig_tree(&node(&[&[0x19, 1, 0]])), "failed to parse");
}

#[test]
fn trees_are_followed_to_a_depth_that_the_stack_allows() {
    let deep = |depth: usize| {
        let mut node = vec![0x81, 0x00];
        for _ in 1..depth {
            node = [&[0x83, 0x02, 0x41, b'a'], &node[..]].concat();
        }
        node
    };
    // A red-black map with 2^40 entries is at most 82 forks deep.
    refused(&with_sig_tree(&deep(120)), "certified_data doesn't match");
    for depth in [129, 10_000] {
        refused(&with_sig_tree(&deep(depth)), "failed to parse");
    }
    let forks = [0x83, 0x01].repeat(1_000_000);
    let endless = [TAG, &[0xa1], &text("tree"), &forks].concat();
    refused(&endless, "failed to parse");
    // Heads with a length beyond the input.
    let huge = [TAG, &[0xbb], &[0xff; 8], &text("tree")].concat();
    refused(&huge, "failed to parse");
    let huge = [TAG, &[0xa1], &text("tree"), &[0x9b], &[0xff; 8]].concat();
    refused(&huge, "failed to parse");
    let huge = [TAG, &[0xa1], &text("certificate"), &[0x5b], &[0xff; 8]].concat();
    refused(&huge, "failed to parse");
    let other = [TAG, &[0xa3], &text("other"), &[0x81; 1_000_000]].concat();
    refused(&other, "failed to parse");
    let tags = [TAG.repeat(300_000), vec![0xa0]].concat();
    refused(&tags, "failed to parse");
}

#[test]
fn arrays_and_maps_may_end_with_a_break() {
    let open = |cbor: &[u8], head: u8| [&[head], &cbor[1..], &[0xff]].concat();
    let certificate = tagged(&open(&map(&root_certificate()), 0xbf));
    let mut entries = signature_entries(&certificate);
    entries[1].1 = open(&entries[1].1, 0x9f);
    assert_eq!(check(&tagged(&map(&entries))), Ok(()));
    assert_eq!(check(&tagged(&open(&map(&entries), 0xbf))), Ok(()));
    let unfinished = [&[0x9f], &tree(&sig_tree())[1..]].concat();
    refused(&with_sig_tree(&unfinished), "failed to parse");
    refused(&with_sig_tree(&[0x9f, 0xff]), "failed to parse");
}

#[test]
fn the_tree_must_be_the_certified_one_and_have_the_message() {
    let path = |bytes: &[u8]| Sha256::digest(bytes).to_vec();
    let certified = |sig: HashTree| {
        let state = state_tree(&sig.digest());
        let certificate = tagged(&map(&certificate(&state, &root_key())));
        tagged(&map(&[
            ("certificate", bytes(&certificate)),
            ("tree", tree(&sig)),
        ]))
    };
    let entry = |seed: &[u8], message: &[u8], value: &str| {
        labeled(
            "sig",
            labeled(path(seed), labeled(path(message), leaf(value))),
        )
    };
    let seed = signer().seed;
    assert_eq!(check(&certified(entry(&seed, MESSAGE, ""))), Ok(()));
    refused(&certified(entry(&seed, MESSAGE, "x")), "not an empty leaf");
    let absent = "signature entry not found";
    refused(&certified(entry(&seed, b"other", "")), absent);
    refused(&certified(entry(b"other", MESSAGE, "")), absent);
    refused(&certified(pruned(sig_tree().digest())), absent);
    refused(&certified(empty()), absent);
    refused(
        &with_sig_tree(&tree(&empty())),
        "certified_data doesn't match",
    );

    let in_state = |state: &HashTree| signature(&tagged(&map(&certificate(state, &root_key()))));
    refused(&in_state(&empty()), "certified_data entry not found");
    let digest = sig_tree().digest();
    refused(
        &in_state(&pruned(state_tree(&digest).digest())),
        "certified_data entry not found",
    );
    let other = labeled("certified_data", leaf(digest));
    let other = labeled("canister", labeled(spender().as_slice(), other));
    refused(&in_state(&other), "certified_data entry not found");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..Default::default() })]

    /// If a signature with one changed byte is valid, then only for the same message.
    #[test]
    fn a_changed_signature_holds_for_no_other_message(at: prop::sample::Index, byte: u8) {
        let key = signer().public_key_der();
        let mut signature = delegated(&flat(ranges(&[range(0, 9)])));
        let at = at.index(signature.len());
        signature[at] = byte;
        let root_key = bls_der(&root_key());
        let other = verify(&key, b"other", &signature, &[], NOW_NS, spender(), &root_key);
        prop_assert!(other.is_err());
        let _ = check(&signature);
    }
}

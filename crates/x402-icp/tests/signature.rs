//! Verification of signers: every kind of key, every error in a chain, and mutations that are never valid.

mod support;

use candid::Principal;
use proptest::prelude::*;
use support::*;
use x402_icp::{
    authorization::signed_message,
    delegation::{SignedDelegation, delegation_message},
    key::KeyKind,
    signature::{
        MAX_CHAIN_COST, SignatureError, check_chain, verify, verify_delegations, verify_message,
    },
    signer::{Delegated, Signer},
};

impl Proof {
    fn verify(&self) -> Result<Principal, SignatureError> {
        self.verify_at(NOW_NS)
    }

    fn verify_at(&self, now_ns: u64) -> Result<Principal, SignatureError> {
        verify(
            &self.public_key,
            MESSAGE,
            &self.signature,
            &self.delegations,
            now_ns,
            spender(),
            &bls_der(&root_key()),
        )
    }
}

/// A signer that lets the next one sign, until a minute from now.
fn grant<S: Signer>(root: &dyn Signer, session: S) -> Delegated<S> {
    Delegated::grant(root, session, NOW_NS + 60_000_000_000, None).unwrap()
}

fn every_signer() -> Vec<(&'static str, Box<dyn Signer>)> {
    vec![
        ("Ed25519", Box::new(ed25519(1))),
        ("secp256k1", Box::new(secp256k1(2))),
        ("P-256", Box::new(p256(3))),
        ("canister", Box::new(CanisterSigner::new(false))),
        ("canister on a subnet", Box::new(CanisterSigner::new(true))),
        (
            "Ed25519 for Ed25519",
            Box::new(grant(&ed25519(1), ed25519(4))),
        ),
        (
            "P-256 for secp256k1",
            Box::new(grant(&secp256k1(2), p256(3))),
        ),
        (
            "P-256 for Internet Identity",
            Box::new(grant(&CanisterSigner::new(true), p256(3))),
        ),
        (
            "three in a row",
            Box::new(grant(&grant(&p256(3), ed25519(1)), secp256k1(2))),
        ),
    ]
}

#[test]
fn every_kind_of_signer_is_its_own_principal() {
    for (name, signer) in every_signer() {
        let payer = Principal::self_authenticating(signer.public_key_der());
        assert_eq!(Proof::by(&*signer).verify(), Ok(payer), "{name}");
    }
}

#[test]
fn no_signer_signs_for_another_message() {
    for (name, signer) in every_signer() {
        let mut proof = Proof::by(&*signer);
        proof.signature = signer.sign(b"another message").unwrap();
        let refused = proof.verify();
        assert!(
            matches!(
                refused,
                Err(SignatureError::Mismatch { .. } | SignatureError::CanisterSignature { .. })
            ),
            "{name}: {refused:?}"
        );
    }
}

#[test]
fn a_signature_does_not_pass_for_that_of_another_curve() {
    let signers: [Box<dyn Signer>; 3] = [
        Box::new(ed25519(1)),
        Box::new(secp256k1(1)),
        Box::new(p256(1)),
    ];
    for (i, a) in signers.iter().enumerate() {
        for (j, b) in signers.iter().enumerate() {
            let mut proof = Proof::by(&**a);
            proof.signature = b.sign(MESSAGE).unwrap();
            assert_eq!(proof.verify().is_ok(), i == j);
        }
    }
}

#[test]
fn a_payment_signature_is_not_a_request_or_a_delegation() {
    let key = ed25519(1);
    let payment = pay(&offer("icp:1"), &key);
    let message = signed_message(&(&payment.accepted).into(), &payment.payload);
    assert!(!message.starts_with(b"\x0aic-request"));
    // A delegation's message offered as a payment's, and the reverse.
    let delegation = delegation_message(&ed25519(4).public_key_der(), u64::MAX, None);
    assert_ne!(delegation.len(), message.len());
    assert_ne!(delegation[..27], message[..27]);
}

#[test]
fn the_session_key_must_sign_not_the_root() {
    let root = ed25519(1);
    let mut proof = Proof::by(&grant(&root, ed25519(4)));
    proof.signature = root.sign(MESSAGE).unwrap();
    assert_eq!(proof.verify(), Err(SignatureError::Mismatch { at: 1 }));
}

#[test]
fn a_delegation_must_be_signed_by_the_key_before_it() {
    let mut proof = Proof::by(&grant(&ed25519(1), ed25519(4)));
    // A stranger replaces the session's key by his own.
    proof.public_key = ed25519(9).public_key_der();
    assert_eq!(proof.verify(), Err(SignatureError::Mismatch { at: 0 }));

    let chain = grant(&grant(&ed25519(1), ed25519(4)), ed25519(5));
    let mut proof = Proof::by(&chain);
    proof.delegations.swap(0, 1);
    assert!(matches!(
        proof.verify(),
        Err(SignatureError::Mismatch { .. })
    ));

    let mut proof = Proof::by(&chain);
    proof.delegations.remove(0);
    assert_eq!(proof.verify(), Err(SignatureError::Mismatch { at: 0 }));
    let mut proof = Proof::by(&chain);
    proof.delegations.pop();
    assert_eq!(proof.verify(), Err(SignatureError::Mismatch { at: 1 }));
}

#[test]
fn what_a_delegation_says_is_signed() {
    let targets = Some(vec![spender()]);
    let delegated = Delegated::grant(&ed25519(1), ed25519(4), NOW_NS + 1, targets).unwrap();
    let proof = Proof::by(&delegated);
    assert!(proof.verify().is_ok());
    let changes: [fn(&mut SignedDelegation); 4] = [
        |d| d.expiration += 1,
        |d| d.targets = None,
        |d| {
            d.targets
                .as_mut()
                .unwrap()
                .push(Principal::management_canister())
        },
        |d| d.signature[0] ^= 1,
    ];
    for change in changes {
        let mut changed = proof.clone();
        change(&mut changed.delegations[0]);
        assert_eq!(changed.verify(), Err(SignatureError::Mismatch { at: 0 }));
    }
}

#[test]
fn delegations_expire_to_the_nanosecond() {
    let chain = grant(&ed25519(1), ed25519(4));
    let chain = Delegated::grant(&chain, ed25519(5), NOW_NS + 5, None).unwrap();
    let proof = Proof::by(&chain);
    assert!(proof.verify_at(NOW_NS + 4).is_ok());
    let expired = Err(SignatureError::DelegationExpired { index: 1 });
    assert_eq!(proof.verify_at(NOW_NS + 5), expired);
    assert_eq!(
        proof.verify_at(u64::MAX),
        Err(SignatureError::DelegationExpired { index: 0 })
    );
    let checked = check_chain(&proof.public_key, &proof.delegations, NOW_NS, spender()).unwrap();
    assert_eq!(checked.expiration(), Some(NOW_NS + 5));
}

#[test]
fn targets_must_name_this_canister_in_every_delegation() {
    let ledger = Principal::from_slice(&[1, 2, 3]);
    let with = |targets: Vec<Principal>| {
        let session = Delegated::grant(&ed25519(1), ed25519(4), NOW_NS + 9, Some(targets)).unwrap();
        Proof::by(&session).verify()
    };
    assert!(with(vec![ledger, spender()]).is_ok());
    let mismatch = Err(SignatureError::TargetMismatch { index: 0 });
    assert_eq!(with(vec![ledger]), mismatch);
    assert_eq!(with(vec![]), mismatch);
    assert_eq!(
        with(vec![spender(); 1_001]),
        Err(SignatureError::TooManyTargets {
            index: 0,
            limit: 1_000
        })
    );
}

#[test]
fn chains_have_at_most_twenty_delegations_and_no_loops() {
    let mut chain: Box<dyn Signer> = Box::new(ed25519(100));
    for i in 1..=20 {
        chain = Box::new(grant(&*chain, ed25519(100 + i)));
    }
    assert!(Proof::by(&*chain).verify().is_ok());
    let longer = grant(&*chain, ed25519(200));
    assert_eq!(
        Proof::by(&longer).verify(),
        Err(SignatureError::ChainTooLong {
            limit: 20,
            actual: 21
        })
    );

    let to_itself = grant(&ed25519(1), ed25519(1));
    assert_eq!(
        Proof::by(&to_itself).verify(),
        Err(SignatureError::DelegationLoop { at: 1 })
    );
    let back = grant(&grant(&ed25519(1), ed25519(4)), ed25519(1));
    assert_eq!(
        Proof::by(&back).verify(),
        Err(SignatureError::DelegationLoop { at: 2 })
    );
}

/// A chain of so many P-256 keys after another key, each signing for the next.
fn p256_behind(root: &dyn Signer, keys: u8) -> Delegated<ic_secp256r1::PrivateKey> {
    (1..keys).fold(grant(root, p256(10)), |chain, n| {
        grant(&chain, p256(10 + n))
    })
}

#[test]
fn attack_31_a_chain_that_costs_too_much_is_refused_before_any_cryptography() {
    let canister = CanisterSigner::new(true);
    assert!(Proof::by(&p256_behind(&canister, 2)).verify().is_ok());
    assert!(Proof::by(&p256_behind(&p256(3), 20)).verify().is_ok());
    for keys in [3, 20] {
        let mut proof = Proof::by(&p256_behind(&canister, keys));
        let too_expensive = Err(SignatureError::ChainTooExpensive {
            limit: MAX_CHAIN_COST,
            actual: KeyKind::Canister.cost() + u64::from(keys) * KeyKind::P256.cost(),
        });
        assert_eq!(proof.verify(), too_expensive);
        // If signatures were checked, the last would be the first error.
        proof.signature = vec![0; 64];
        assert_eq!(proof.verify(), too_expensive);
        proof.delegations[0].signature.clear();
        assert_eq!(proof.verify(), too_expensive);
        let checked = check_chain(&proof.public_key, &proof.delegations, NOW_NS, spender());
        assert_eq!(checked.map(|_| Principal::anonymous()), too_expensive);
    }
}

#[test]
fn a_chain_of_cheap_keys_behind_a_canisters_is_taken_at_any_length() {
    let mut chain: Box<dyn Signer> = Box::new(CanisterSigner::new(false));
    for i in 1..=20 {
        chain = Box::new(grant(&*chain, ed25519(100 + i)));
    }
    assert!(Proof::by(&*chain).verify().is_ok());
}

#[test]
fn the_digest_names_the_chain_with_all_that_is_signed() {
    let targets = Some(vec![spender()]);
    let chain = grant(&CanisterSigner::new(true), ed25519(4));
    let proof = Proof::by(&Delegated::grant(&chain, ed25519(5), NOW_NS + 9, targets).unwrap());
    let root = bls_der(&root_key());
    let digest = |proof: &Proof, root: &[u8]| {
        check_chain(&proof.public_key, &proof.delegations, NOW_NS, spender())
            .unwrap()
            .digest(root)
    };
    let good = digest(&proof, &root);
    let mut same = proof.clone();
    same.signature = vec![];
    assert_eq!(
        digest(&same, &root),
        good,
        "the signature over the message is not the chain's"
    );
    assert_ne!(
        digest(&proof, x402_icp::network::MAINNET_ROOT_KEY_DER),
        good
    );
    let changes: [fn(&mut Proof); 8] = [
        |p| p.public_key = ed25519(9).public_key_der(),
        |p| p.delegations[0].pubkey = ed25519(9).public_key_der(),
        |p| p.delegations[0].signature[9] ^= 1,
        |p| p.delegations[1].signature[63] ^= 1,
        |p| p.delegations[0].expiration += 1,
        |p| p.delegations[1].targets = None,
        |p| p.delegations[1].targets = Some(vec![spender(), spender()]),
        |p| p.delegations.truncate(1),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let mut other = proof.clone();
        change(&mut other);
        assert_ne!(digest(&other, &root), good, "change {n}");
    }
}

#[test]
fn only_the_first_key_may_be_a_canisters() {
    let proof = Proof::by(&grant(&ed25519(1), CanisterSigner::new(false)));
    assert_eq!(
        proof.verify(),
        Err(SignatureError::CanisterKeyNotFirst { at: 1 })
    );
}

#[test]
fn canister_signatures_hang_on_the_root_key() {
    for subnet in [false, true] {
        let proof = Proof::by(&CanisterSigner::new(subnet));
        let under = |root: &[u8]| {
            verify(
                &proof.public_key,
                MESSAGE,
                &proof.signature,
                &[],
                NOW_NS,
                spender(),
                root,
            )
        };
        assert!(under(&bls_der(&root_key())).is_ok());
        let mainnet = x402_icp::network::MAINNET_ROOT_KEY_DER;
        assert!(matches!(
            under(mainnet),
            Err(SignatureError::CanisterSignature { at: 0, .. })
        ));
        assert_eq!(under(&mainnet[1..]), Err(SignatureError::RootKey));
        assert_eq!(under(b""), Err(SignatureError::RootKey));
    }
}

#[test]
fn a_subnet_signs_for_its_own_canisters_only() {
    let mut signer = CanisterSigner::new(true);
    signer.canister = Principal::from_slice(&[0, 0, 0, 0, 0, 0x20, 0, 0, 1, 1]);
    let refused = Proof::by(&signer).verify();
    assert!(
        matches!(&refused, Err(SignatureError::CanisterSignature { problem, .. }) if problem.contains("range")),
        "{refused:?}"
    );
}

#[test]
fn a_canister_signs_with_the_seed_of_the_user() {
    let mut proof = Proof::by(&CanisterSigner::new(true));
    let other_user = CanisterSigner {
        seed: b"user 2".to_vec(),
        ..CanisterSigner::new(true)
    };
    proof.public_key = other_user.public_key_der();
    assert!(matches!(
        proof.verify(),
        Err(SignatureError::CanisterSignature { .. })
    ));
}

#[test]
fn the_steps_can_be_taken_one_by_one() {
    let proof = Proof::by(&grant(&CanisterSigner::new(true), ed25519(4)));
    let root = bls_der(&root_key());
    let chain = check_chain(&proof.public_key, &proof.delegations, NOW_NS, spender()).unwrap();
    assert_eq!(chain.kinds().count(), 2);
    assert_eq!(
        verify_message(&chain, MESSAGE, &proof.signature, &root),
        Ok(())
    );
    assert_eq!(verify_delegations(&chain, &root), Ok(()));
    assert_eq!(
        chain.payer(),
        Principal::self_authenticating(&proof.public_key)
    );
    // The message is checked before the expensive chain.
    assert_eq!(
        verify(
            &proof.public_key,
            b"x",
            &proof.signature,
            &proof.delegations,
            NOW_NS,
            spender(),
            &[]
        ),
        Err(SignatureError::Mismatch { at: 1 })
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// One changed bit anywhere in the proof never gives the payer's principal.
    #[test]
    fn no_mutation_verifies_for_the_payer(which in 0usize..9, part in 0usize..4, at: prop::sample::Index, bit in 0u8..8) {
        let (name, signer) = every_signer().swap_remove(which);
        // A canister signature is not unique (the certificate may contain other data), so its own bytes are not changed
        // here. Tests above cover them.
        prop_assume!(!name.contains("anister") && !name.contains("Identity"));
        let good = Proof::by(&*signer);
        let payer = good.verify().unwrap();
        let mut bad = good.clone();
        let target = match (part, bad.delegations.last_mut()) {
            (0, _) => &mut bad.public_key,
            (1, Some(delegation)) => &mut delegation.pubkey,
            (2, Some(delegation)) => &mut delegation.signature,
            _ => &mut bad.signature,
        };
        let at = at.index(target.len());
        target[at] ^= 1 << bit;
        prop_assert_ne!(bad.verify(), Ok(payer), "{} part {} byte {}", name, part, at);
    }

    #[test]
    fn garbage_never_panics_and_never_verifies(
        public_key in prop::collection::vec(any::<u8>(), 0..120),
        signature in prop::collection::vec(any::<u8>(), 0..120),
        expiration: u64,
    ) {
        let delegation = SignedDelegation { pubkey: public_key.clone(), expiration, targets: None, signature: signature.clone() };
        let proof = Proof { public_key, signature, delegations: vec![delegation] };
        prop_assert!(proof.verify().is_err());
    }
}

#[path = "../../../crates/x402-icp/tests/support/mod.rs"]
pub(crate) mod support;

use super::{budget::Exhausted, *};
use support::{
    CanisterSigner, Forged, MESSAGE, NOW_NS, Proof, bls_der, ed25519, p256, root_key, spender,
};
use x402_icp::{
    delegation::SignedDelegation,
    key::KeyKind,
    network::MAINNET_ROOT_KEY_DER,
    signature::check_chain,
    signer::{Delegated, Signer},
};

const NOW: TimestampNs = TimestampNs(NOW_NS);
/// The cycles for the budget of a day: more than these tests use.
const PLENTY: Cycles = Cycles(1_000_000_000_000_000);
const BUSY: Unproved = Unproved::Exhausted(Exhausted::Minute);
/// The expiry of the chains of these tests.
const UNTIL: TimestampNs = TimestampNs(NOW_NS + 3_600_000_000_000);

impl Proof {
    /// A payment whose signature by the last key is that of another message.
    fn tampered(mut self) -> Self {
        self.signature = ed25519(99).sign(MESSAGE).unwrap();
        self
    }

    fn check(&self, signatures: &mut ExpensiveSignatures, at: TimestampNs) -> Result<(), Unproved> {
        self.check_under(signatures, at, &bls_der(&root_key()))
    }

    fn check_under(
        &self,
        signatures: &mut ExpensiveSignatures,
        at: TimestampNs,
        root_key: &[u8],
    ) -> Result<(), Unproved> {
        let chain = check_chain(&self.public_key, &self.delegations, at.0, spender())?;
        let proved = Proved {
            message: MESSAGE,
            signature: &self.signature,
            root_key,
        };
        signatures.check(&chain, proved, ClaimKey([7; 16]), PLENTY, at)
    }
}

/// The n-th user of Internet Identity, and a session of that user.
fn identity(user: u8) -> Proof {
    session(&canister(user), user)
}

/// The same with a point of the signature replaced.
fn forged(user: u8) -> Proof {
    session(&Forged(canister(user)), user)
}

fn canister(user: u8) -> CanisterSigner {
    CanisterSigner {
        seed: vec![user],
        ..CanisterSigner::new(true)
    }
}

fn session(root: &dyn Signer, key: u8) -> Proof {
    Proof::by(&Delegated::grant(root, ed25519(key), UNTIL.0, None).unwrap())
}

/// A chain of so many P-256 keys.
fn p256_keys(keys: u8) -> Proof {
    let mut signer: Box<dyn Signer> = Box::new(p256(10));
    for n in 1..keys {
        signer = Box::new(Delegated::grant(&*signer, p256(10 + n), UNTIL.0, None).unwrap());
    }
    Proof::by(&*signer)
}

/// Uses the whole budget. Returns the number of chains that were verified.
pub(crate) fn exhaust(signatures: &mut ExpensiveSignatures, at: TimestampNs) -> usize {
    let mut verified = 0;
    for user in 100..=u8::MAX {
        let root = Forged(canister(user));
        let chain = Delegated::grant(&root, ed25519(user), u64::MAX, None).unwrap();
        match Proof::by(&chain).check(signatures, at) {
            Err(Unproved::Signature(SignatureError::CanisterSignature { .. })) => verified += 1,
            Err(Unproved::FailedBefore) => {}
            Err(BUSY) => return verified,
            other => panic!("{other:?}"),
        }
    }
    panic!("the budget is unlimited");
}

fn later(seconds: u32) -> TimestampNs {
    NOW.plus(Seconds(seconds))
}

#[test]
fn attack_31_forged_chains_take_no_more_than_the_budget_in_any_minute() {
    let signatures = &mut ExpensiveSignatures::default();
    let chain = KeyKind::Canister.cost() + KeyKind::Ed25519.cost();
    assert_eq!(exhaust(signatures, NOW) as u64, BUDGET / chain);
    for seconds in [0, 1, 30, 59] {
        assert_eq!(exhaust(signatures, later(seconds)), 0, "after {seconds} s");
    }
    // This comes before any cryptography: the signature over the message is not verified.
    assert_eq!(identity(1).tampered().check(signatures, NOW), Err(BUSY));
    assert_eq!(BUDGET, 5_150_000_000, "as the text of the error says");
    // A verification at the end of a minute does not make room for two in the next.
    let signatures = &mut ExpensiveSignatures::default();
    assert!(forged(1).check(signatures, NOW).is_err());
    assert_eq!(exhaust(signatures, later(59)) as u64, BUDGET / chain - 1);
    assert!(!matches!(forged(2).check(signatures, later(60)), Err(BUSY)));
    assert_eq!(forged(3).check(signatures, later(118)), Err(BUSY));
    assert!(!matches!(
        forged(3).check(signatures, later(119)),
        Err(BUSY)
    ));
}

#[test]
fn attack_31_an_empty_budget_keeps_out_neither_cheap_keys_nor_known_sessions() {
    let signatures = &mut ExpensiveSignatures::default();
    let known = identity(1);
    assert_eq!(known.check(signatures, NOW), Ok(()));
    exhaust(signatures, NOW);
    assert_eq!(identity(2).check(signatures, NOW), Err(BUSY));
    assert_eq!(p256_keys(2).check(signatures, NOW), Err(BUSY));

    assert_eq!(known.check(signatures, NOW), Ok(()));
    assert_eq!(Proof::by(&ed25519(1)).check(signatures, NOW), Ok(()));
    assert_eq!(p256_keys(1).check(signatures, NOW), Ok(()));
    assert_eq!(session(&p256(3), 4).check(signatures, NOW), Ok(()));
}

#[test]
fn attack_31_an_expensive_proof_that_failed_is_refused_for_nothing_for_a_while() {
    let signatures = &mut ExpensiveSignatures::default();
    let proof = forged(1);
    assert!(matches!(
        proof.check(signatures, NOW),
        Err(Unproved::Signature(SignatureError::CanisterSignature {
            at: 0,
            ..
        }))
    ));
    for at in [NOW, later(1), later(FAILED_FOR.0 - 1)] {
        assert_eq!(proof.check(signatures, at), Err(Unproved::FailedBefore));
        // With any signature of its session key: the chain is what is invalid.
        assert_eq!(
            proof.clone().tampered().check(signatures, at),
            Err(Unproved::FailedBefore)
        );
    }
    assert_eq!(
        signatures.budget.verifications(),
        1,
        "it used the budget once"
    );
    assert!(matches!(
        proof.check(signatures, NOW.plus(FAILED_FOR)),
        Err(Unproved::Signature(_))
    ));
    // The genuine chain of the same user is another one.
    assert_eq!(identity(1).check(signatures, NOW), Ok(()));
}

#[test]
fn attack_31_a_canister_that_signs_itself_is_remembered_when_it_fails_and_not_when_it_holds() {
    let signatures = &mut ExpensiveSignatures::default();
    let bad = Proof::by(&Forged(canister(1)));
    assert!(matches!(
        bad.check(signatures, NOW),
        Err(Unproved::Signature(_))
    ));
    assert_eq!(bad.check(signatures, NOW), Err(Unproved::FailedBefore));
    // Its failure does not affect another signature of the same key.
    let good = Proof::by(&canister(1));
    assert_eq!(good.check(signatures, NOW), Ok(()));
    assert_eq!(signatures.verified.len(), 0);
    exhaust(signatures, NOW);
    assert_eq!(good.check(signatures, NOW), Err(BUSY));
}

#[test]
fn a_bad_signature_of_a_session_key_takes_nothing_from_the_budget() {
    let signatures = &mut ExpensiveSignatures::default();
    for _ in 0..100 {
        assert_eq!(
            identity(1).tampered().check(signatures, NOW),
            Err(Unproved::Signature(SignatureError::Mismatch { at: 1 }))
        );
    }
    assert!(
        signatures.budget.verifications() + signatures.verified.len() + signatures.failed.len()
            == 0
    );
    // A known chain does not let another one through.
    assert_eq!(identity(1).check(signatures, NOW), Ok(()));
    assert_eq!(
        identity(1).tampered().check(signatures, NOW),
        Err(Unproved::Signature(SignatureError::Mismatch { at: 1 }))
    );
}

#[test]
fn attack_31_a_remembered_chain_is_believed_for_its_time_targets_and_root_key_only() {
    let signatures = &mut ExpensiveSignatures::default();
    let known = identity(1);
    assert_eq!(known.check(signatures, NOW), Ok(()));

    let expired = SignatureError::DelegationExpired { index: 0 };
    assert_eq!(known.check(signatures, UNTIL), Err(expired.into()));
    let last = TimestampNs(UNTIL.0 - 1);
    assert_eq!(known.check(signatures, last), Ok(()));

    assert!(matches!(
        known.check_under(signatures, NOW, MAINNET_ROOT_KEY_DER),
        Err(Unproved::Signature(
            SignatureError::CanisterSignature { .. }
        ))
    ));
    let mut elsewhere = known.clone();
    elsewhere.delegations[0].targets = Some(vec![support::offer("icp:1").asset.parse().unwrap()]);
    let mismatch = SignatureError::TargetMismatch { index: 0 };
    assert_eq!(elsewhere.check(signatures, NOW), Err(mismatch.into()));

    let changes: [fn(&mut SignedDelegation); 3] = [
        |d| d.targets = Some(vec![spender()]),
        |d| d.expiration += 1,
        |d| d.pubkey = ed25519(98).public_key_der(),
    ];
    for change in changes {
        let mut changed = known.clone();
        change(&mut changed.delegations[0]);
        assert!(matches!(
            changed.check(signatures, NOW),
            Err(Unproved::Signature(_))
        ));
    }
    // The key of another user, with the chain of the first.
    let mut other = known;
    other.public_key = canister(2).public_key_der();
    assert!(matches!(
        other.check(signatures, NOW),
        Err(Unproved::Signature(_))
    ));
}

#[test]
fn what_a_payment_took_is_given_back_when_its_money_moved() {
    let signatures = &mut ExpensiveSignatures::default();
    for user in 0..60 {
        assert_eq!(identity(user).check(signatures, NOW), Ok(()), "user {user}");
        signatures.paid(&ClaimKey([8; 16]), NOW);
        assert_eq!(signatures.budget.verifications(), 1, "another payment");
        signatures.paid(&ClaimKey([7; 16]), NOW);
        assert_eq!(signatures.budget.verifications(), 0);
    }
    // The budget of an invalid chain is not returned, whatever the same nonce pays for later.
    assert!(forged(1).check(signatures, NOW).is_err());
    assert_eq!(identity(1).check(signatures, NOW), Ok(()));
    signatures.paid(&ClaimKey([7; 16]), NOW);
    assert_eq!(signatures.budget.verifications(), 1);
}

/// Each verification before the last was for the same payment, which was then refused for want of a place.
#[test]
fn attack_31_one_payment_gives_back_one_verification_however_often_it_was_verified() {
    let signatures = &mut ExpensiveSignatures::default();
    let direct = Proof::by(&canister(1));
    for minute in 0..5 {
        let at = later(60 * minute);
        assert_eq!(direct.check(signatures, at), Ok(()));
        assert_eq!(direct.check(signatures, at), Ok(()));
    }
    assert_eq!(signatures.budget.verifications(), 10);
    for _ in 0..2 {
        signatures.paid(&ClaimKey([7; 16]), later(301));
        assert_eq!(signatures.budget.verifications(), 9);
    }
}

/// The chain with this number: two keys, which cost nothing, and the session's payment.
fn cheap_chain(signatures: &mut ExpensiveSignatures, n: u32) {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&n.to_be_bytes());
    let mut payment = [9; 16];
    payment[..4].copy_from_slice(&n.to_be_bytes());
    signatures
        .verified
        .insert(id, UNTIL, Some(ClaimKey(payment)), NOW);
}

#[test]
fn attack_31_cheap_chains_push_no_session_that_paid_out_of_memory() {
    let signatures = &mut ExpensiveSignatures::default();
    let payer = identity(1);
    assert_eq!(payer.check(signatures, NOW), Ok(()));
    signatures.paid(&ClaimKey([7; 16]), NOW);
    for n in 0..2 * MAX_VERIFIED as u32 {
        cheap_chain(signatures, n);
    }
    assert_eq!(signatures.verified.len(), MAX_VERIFIED);
    assert_eq!(signatures.paid.len(), 1);
    exhaust(signatures, NOW);
    assert_eq!(payer.check(signatures, NOW), Ok(()));
    // The chain does not outlive its delegation.
    let expired = SignatureError::DelegationExpired { index: 0 };
    assert_eq!(payer.check(signatures, UNTIL), Err(expired.into()));
}

#[test]
fn attack_31_a_session_is_kept_that_pays_with_a_later_payment() {
    let signatures = &mut ExpensiveSignatures::default();
    let payer = identity(1);
    // The first payment failed for want of funds; the second has a known chain.
    assert_eq!(payer.check(signatures, NOW), Ok(()));
    assert_eq!(payer.check(signatures, later(30)), Ok(()));
    assert_eq!((signatures.verified.len(), signatures.paid.len()), (1, 0));
    signatures.paid(&ClaimKey([7; 16]), later(31));
    assert_eq!((signatures.verified.len(), signatures.paid.len()), (0, 1));
    assert_eq!(payer.check(signatures, later(32)), Ok(()));
    signatures.paid(&ClaimKey([7; 16]), later(33));
    assert_eq!((signatures.verified.len(), signatures.paid.len()), (0, 1));
}

#[test]
fn memory_is_bounded() {
    let signatures = ExpensiveSignatures::default();
    let limits = [
        signatures.verified.limit,
        signatures.paid.limit,
        signatures.failed.limit,
    ];
    assert_eq!(limits, [MAX_VERIFIED, MAX_VERIFIED, MAX_FAILED]);
}

#[test]
fn attack_31_a_key_of_p256_is_ordinary_and_two_take_from_the_budget() {
    let signatures = &mut ExpensiveSignatures::default();
    for ordinary in [p256_keys(1), session(&p256(3), 4)] {
        assert_eq!(ordinary.check(signatures, NOW), Ok(()));
        assert_eq!(signatures.budget.verifications(), 0);
    }
    let two = p256_keys(2);
    assert_eq!(two.check(signatures, NOW), Ok(()));
    assert_eq!(signatures.budget.verifications(), 1);
    // Known from now on.
    assert_eq!(two.check(signatures, NOW), Ok(()));
    assert_eq!(signatures.budget.verifications(), 1);
}

#[test]
fn a_clock_that_goes_back_keeps_nobody_out_for_more_than_a_minute() {
    let signatures = &mut ExpensiveSignatures::default();
    exhaust(signatures, later(10_000));
    assert_eq!(identity(1).check(signatures, NOW), Err(BUSY));
    assert_eq!(identity(1).check(signatures, NOW.plus(MINUTE)), Ok(()));
}

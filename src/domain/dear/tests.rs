#[path = "../../../crates/x402-icp/tests/support/mod.rs"]
pub(crate) mod support;

use super::*;
use support::{CanisterSigner, Forged, NOW_NS, bls_der, root_key, spender};
use x402_icp::{
    delegation::SignedDelegation,
    key::KeyKind,
    network::MAINNET_ROOT_KEY_DER,
    signature::check_chain,
    signer::{Delegated, Signer},
};

const NOW: TimestampNs = TimestampNs(NOW_NS);
const MESSAGE: &[u8] = b"a message";
/// When the chains of these tests expire.
const UNTIL: TimestampNs = TimestampNs(NOW_NS + 3_600_000_000_000);

fn ed25519(seed: u8) -> ic_ed25519::PrivateKey {
    ic_ed25519::PrivateKey::deserialize_raw_32(&[seed; 32])
}

fn p256(seed: u8) -> ic_secp256r1::PrivateKey {
    ic_secp256r1::PrivateKey::deserialize_sec1(&[seed; 32]).unwrap()
}

/// What travels.
#[derive(Clone)]
struct Proof {
    public_key: Vec<u8>,
    signature: Vec<u8>,
    delegations: Vec<SignedDelegation>,
}

impl Proof {
    fn by(signer: &dyn Signer) -> Self {
        Proof {
            public_key: signer.public_key_der(),
            signature: signer.sign(MESSAGE).unwrap(),
            delegations: signer.delegations(),
        }
    }

    /// A payment whose signature by the last key is that of another message.
    fn bent(mut self) -> Self {
        self.signature = ed25519(99).sign(MESSAGE).unwrap();
        self
    }

    fn check(&self, dear: &mut DearSignatures, at: TimestampNs) -> Result<(), Unproved> {
        self.check_under(dear, at, &bls_der(&root_key()))
    }

    fn check_under(
        &self,
        dear: &mut DearSignatures,
        at: TimestampNs,
        root_key: &[u8],
    ) -> Result<(), Unproved> {
        let chain = check_chain(&self.public_key, &self.delegations, at.0, spender())?;
        let proved = Proved {
            message: MESSAGE,
            signature: &self.signature,
            root_key,
        };
        dear.check(&chain, proved, NonceKey([7; 16]), at)
    }
}

/// The n-th user of Internet Identity, and the session that signs for him.
fn identity(user: u8) -> Proof {
    session(&canister(user), user)
}

/// The same with a point swapped.
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

/// So many P-256 keys.
fn p256_keys(keys: u8) -> Proof {
    let mut signer: Box<dyn Signer> = Box::new(p256(10));
    for n in 1..keys {
        signer = Box::new(Delegated::grant(&*signer, p256(10 + n), UNTIL.0, None).unwrap());
    }
    Proof::by(&*signer)
}

/// Takes all that the budget gives; returns how many chains were verified for it.
pub(crate) fn exhaust(dear: &mut DearSignatures, at: TimestampNs) -> usize {
    let mut verified = 0;
    for user in 100..=u8::MAX {
        let root = Forged(canister(user));
        let chain = Delegated::grant(&root, ed25519(user), u64::MAX, None).unwrap();
        match Proof::by(&chain).check(dear, at) {
            Err(Unproved::Signature(SignatureError::CanisterSignature { .. })) => verified += 1,
            Err(Unproved::FailedBefore) => {}
            Err(Unproved::Busy) => return verified,
            other => panic!("{other:?}"),
        }
    }
    panic!("the budget has no end");
}

fn later(seconds: u32) -> TimestampNs {
    NOW.plus(Seconds(seconds))
}

#[test]
fn attack_31_forged_chains_take_no_more_than_the_budget_in_any_minute() {
    let dear = &mut DearSignatures::default();
    let chain = KeyKind::Canister.cost() + KeyKind::Ed25519.cost();
    assert_eq!(exhaust(dear, NOW) as u64, BUDGET / chain);
    for seconds in [0, 1, 30, 59] {
        assert_eq!(exhaust(dear, later(seconds)), 0, "after {seconds} s");
    }
    // Busy is said before any cryptography: the signature over the message is not looked at.
    assert_eq!(identity(1).bent().check(dear, NOW), Err(Unproved::Busy));
    assert_eq!(BUDGET, 5_150_000_000, "as the text of Busy says");
    // One that comes at the end of a minute does not make room for two in the next.
    let dear = &mut DearSignatures::default();
    assert!(forged(1).check(dear, NOW).is_err());
    assert_eq!(exhaust(dear, later(59)) as u64, BUDGET / chain - 1);
    assert!(!matches!(
        forged(2).check(dear, later(60)),
        Err(Unproved::Busy)
    ));
    assert_eq!(forged(3).check(dear, later(118)), Err(Unproved::Busy));
    assert!(!matches!(
        forged(3).check(dear, later(119)),
        Err(Unproved::Busy)
    ));
}

#[test]
fn attack_31_an_empty_budget_keeps_out_neither_cheap_keys_nor_known_sessions() {
    let dear = &mut DearSignatures::default();
    let known = identity(1);
    assert_eq!(known.check(dear, NOW), Ok(()));
    exhaust(dear, NOW);
    assert_eq!(identity(2).check(dear, NOW), Err(Unproved::Busy));
    assert_eq!(p256_keys(3).check(dear, NOW), Err(Unproved::Busy));

    assert_eq!(known.check(dear, NOW), Ok(()));
    assert_eq!(Proof::by(&ed25519(1)).check(dear, NOW), Ok(()));
    assert_eq!(p256_keys(2).check(dear, NOW), Ok(()));
    assert_eq!(session(&p256(3), 4).check(dear, NOW), Ok(()));
}

#[test]
fn attack_31_what_failed_dearly_is_refused_for_nothing_for_a_while() {
    let dear = &mut DearSignatures::default();
    let proof = forged(1);
    assert!(matches!(
        proof.check(dear, NOW),
        Err(Unproved::Signature(SignatureError::CanisterSignature {
            at: 0,
            ..
        }))
    ));
    for at in [NOW, later(1), later(FAILED_FOR.0 - 1)] {
        assert_eq!(proof.check(dear, at), Err(Unproved::FailedBefore));
        // Whatever is signed with its session key: it is the chain that does not hold.
        assert_eq!(
            proof.clone().bent().check(dear, at),
            Err(Unproved::FailedBefore)
        );
    }
    assert_eq!(dear.taken.len(), 1, "it took from the budget once");
    assert!(matches!(
        proof.check(dear, NOW.plus(FAILED_FOR)),
        Err(Unproved::Signature(_))
    ));
    // The genuine chain of the same user is another one.
    assert_eq!(identity(1).check(dear, NOW), Ok(()));
}

#[test]
fn attack_31_a_canister_that_signs_itself_is_remembered_when_it_fails_and_not_when_it_holds() {
    let dear = &mut DearSignatures::default();
    let bad = Proof::by(&Forged(canister(1)));
    assert!(matches!(bad.check(dear, NOW), Err(Unproved::Signature(_))));
    assert_eq!(bad.check(dear, NOW), Err(Unproved::FailedBefore));
    // Its failure says nothing about another signature of the same key.
    let good = Proof::by(&canister(1));
    assert_eq!(good.check(dear, NOW), Ok(()));
    assert!(dear.verified.order.is_empty());
    exhaust(dear, NOW);
    assert_eq!(good.check(dear, NOW), Err(Unproved::Busy));
}

#[test]
fn a_bad_signature_of_a_session_key_takes_nothing_from_the_budget() {
    let dear = &mut DearSignatures::default();
    for _ in 0..100 {
        assert_eq!(
            identity(1).bent().check(dear, NOW),
            Err(Unproved::Signature(SignatureError::Mismatch { at: 1 }))
        );
    }
    assert!(
        dear.taken.is_empty() && dear.verified.order.is_empty() && dear.failed.order.is_empty()
    );
    // Nor does a chain that is known let one through.
    assert_eq!(identity(1).check(dear, NOW), Ok(()));
    assert_eq!(
        identity(1).bent().check(dear, NOW),
        Err(Unproved::Signature(SignatureError::Mismatch { at: 1 }))
    );
}

#[test]
fn attack_31_a_remembered_chain_is_believed_for_its_time_targets_and_root_key_only() {
    let dear = &mut DearSignatures::default();
    let known = identity(1);
    assert_eq!(known.check(dear, NOW), Ok(()));

    let expired = SignatureError::DelegationExpired { index: 0 };
    assert_eq!(known.check(dear, UNTIL), Err(expired.into()));
    assert!(
        dear.verified
            .contains(&dear.verified.order[0], TimestampNs(UNTIL.0 - 1))
    );
    assert!(!dear.verified.contains(&dear.verified.order[0], UNTIL));

    assert!(matches!(
        known.check_under(dear, NOW, MAINNET_ROOT_KEY_DER),
        Err(Unproved::Signature(
            SignatureError::CanisterSignature { .. }
        ))
    ));
    let mut elsewhere = known.clone();
    elsewhere.delegations[0].targets = Some(vec![support::offer("icp:1").asset.parse().unwrap()]);
    let mismatch = SignatureError::TargetMismatch { index: 0 };
    assert_eq!(elsewhere.check(dear, NOW), Err(mismatch.into()));

    let changes: [fn(&mut SignedDelegation); 3] = [
        |d| d.targets = Some(vec![spender()]),
        |d| d.expiration += 1,
        |d| d.pubkey = ed25519(98).public_key_der(),
    ];
    for change in changes {
        let mut changed = known.clone();
        change(&mut changed.delegations[0]);
        assert!(matches!(
            changed.check(dear, NOW),
            Err(Unproved::Signature(_))
        ));
    }
    // The key of another user, with the chain of the first.
    let mut other = known;
    other.public_key = canister(2).public_key_der();
    assert!(matches!(
        other.check(dear, NOW),
        Err(Unproved::Signature(_))
    ));
}

#[test]
fn what_a_payment_took_is_given_back_when_its_money_moved() {
    let dear = &mut DearSignatures::default();
    for user in 0..60 {
        assert_eq!(identity(user).check(dear, NOW), Ok(()), "user {user}");
        dear.paid(&NonceKey([8; 16]));
        assert_eq!(dear.taken.len(), 1, "another payment");
        dear.paid(&NonceKey([7; 16]));
        assert!(dear.taken.is_empty());
    }
    // What did not hold is not given back, whatever the same nonce pays for later.
    assert!(forged(1).check(dear, NOW).is_err());
    assert_eq!(identity(1).check(dear, NOW), Ok(()));
    dear.paid(&NonceKey([7; 16]));
    assert_eq!(dear.taken.len(), 1);
}

#[test]
fn memory_is_bounded_and_the_oldest_goes() {
    let digest = |n: usize| -> [u8; 32] { Sha256::digest(n.to_be_bytes()).into() };
    let mut memory = Remembered::of(100);
    for n in 0..250 {
        // Every tenth expires soon.
        let until = if n % 10 == 0 { later(1) } else { UNTIL };
        memory.insert(digest(n), until, NOW);
        memory.insert(digest(n), until, NOW);
        assert!(memory.order.len() <= 100 && memory.until.len() == memory.order.len());
    }
    let known = |memory: &Remembered| {
        (0..251)
            .filter(|n| memory.contains(&digest(*n), NOW))
            .count()
    };
    assert_eq!(known(&memory), 100);
    assert!(!memory.contains(&digest(149), NOW) && memory.contains(&digest(151), NOW));
    // What has expired goes before what has not.
    memory.insert(digest(250), UNTIL, later(1));
    assert_eq!(memory.order.len(), 91);
    assert!(memory.contains(&digest(151), NOW) && !memory.contains(&digest(150), NOW));

    let dear = DearSignatures::default();
    assert_eq!(
        (dear.verified.limit, dear.failed.limit),
        (MAX_VERIFIED, MAX_FAILED)
    );
}

#[test]
fn a_clock_that_goes_back_keeps_nobody_out_for_more_than_a_minute() {
    let dear = &mut DearSignatures::default();
    exhaust(dear, later(10_000));
    assert_eq!(identity(1).check(dear, NOW), Err(Unproved::Busy));
    assert_eq!(identity(1).check(dear, NOW.plus(MINUTE)), Ok(()));
}

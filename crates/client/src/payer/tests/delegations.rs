//! Chains of keys that cannot pay.

use super::{
    seller::{CKUSDC, SPENDER, Seller, delivered, price},
    *,
};

/// An identity whose session key may sign until then, for these canisters.
fn delegated(seconds: u64, targets: Option<Vec<Principal>>) -> Identity {
    use ic_agent::{
        Identity as _,
        identity::{BasicIdentity, DelegatedIdentity, Delegation, SignedDelegation},
    };
    let root = BasicIdentity::from_raw_key(&[8; 32]);
    let session = BasicIdentity::from_raw_key(&[9; 32]);
    let delegation = Delegation {
        pubkey: session.public_key().unwrap(),
        expiration: (now() + seconds) * 1_000_000_000,
        targets,
        permissions: None,
    };
    let signature = root
        .sign_delegation(&delegation)
        .unwrap()
        .signature
        .unwrap();
    let chain = vec![SignedDelegation {
        delegation,
        signature,
    }];
    let identity = DelegatedIdentity::new(root.public_key().unwrap(), Box::new(session), chain);
    Identity::new(Arc::new(identity.unwrap())).unwrap()
}

#[tokio::test]
async fn a_delegation_that_does_not_reach_is_not_used() {
    let (spender, ledger) = (
        Principal::from_text(SPENDER).unwrap(),
        Principal::from_text(CKUSDC).unwrap(),
    );
    for (seconds, targets, good) in [
        (600, None, true),
        (600, Some(vec![ledger, spender]), true),
        (600, Some(vec![ledger]), false),
        (600, Some(vec![]), false),
        (50, None, false),
        (50, Some(vec![spender]), false),
    ] {
        let seller = Seller::open(|got, _| match got.payment {
            None => price(got),
            Some(_) => delivered(got),
        })
        .await;
        let payer = Payer {
            identity: delegated(seconds, targets.clone()),
            ..payer(memory())
        };
        let payer = Payer {
            account: payer.identity.account(),
            ..payer
        };
        match payer.pay(&get(&seller, "/a")).await {
            Ok(_) => assert!(good, "{seconds} {targets:?}"),
            Err(PayError::Delegation(_)) => assert!(!good, "{seconds} {targets:?}"),
            Err(other) => panic!("{other:?}"),
        }
        assert_eq!(seller.paid_requests() > 0, good);
    }
}

/// An identity with a canister's key and so many P-256 keys after it.
fn behind_a_canister(p256_keys: u8) -> Identity {
    use ic_agent::{
        Identity as _,
        identity::{BasicIdentity, DelegatedIdentity, Delegation, SignedDelegation},
    };
    let canister =
        hex::decode("301c300c060a2b0601040183b8430102030c000a00000000001000010101").unwrap();
    let frame = "3059301306072a8648ce3d020106082a8648ce3d03010703420004";
    let session = BasicIdentity::from_raw_key(&[9; 32]);
    let p256 = (0..p256_keys).map(|n| [hex::decode(frame).unwrap(), vec![n; 64]].concat());
    let chain = p256.chain([session.public_key().unwrap()]);
    let chain = chain.map(|pubkey| SignedDelegation {
        delegation: Delegation {
            pubkey,
            expiration: (now() + 600) * 1_000_000_000,
            targets: None,
            permissions: None,
        },
        signature: vec![0; 64],
    });
    let identity = DelegatedIdentity::new_unchecked(canister, Box::new(session), chain.collect());
    Identity::new(Arc::new(identity)).unwrap()
}

#[tokio::test]
async fn attack_31_keys_that_no_verifier_pays_for_sign_nothing() {
    for (keys, good) in [(0, true), (2, true), (3, false)] {
        let seller = Seller::open(|got, _| match got.payment {
            None => price(got),
            Some(_) => delivered(got),
        })
        .await;
        let identity = behind_a_canister(keys);
        let payer = Payer {
            account: identity.account(),
            identity,
            ..payer(memory())
        };
        match payer.pay(&get(&seller, "/a")).await {
            Ok(_) => assert!(good, "{keys}"),
            Err(PayError::Delegation(why)) => assert!(!good && why.contains("cost"), "{why}"),
            Err(other) => panic!("{other:?}"),
        }
        assert_eq!(seller.paid_requests() > 0, good);
    }
}

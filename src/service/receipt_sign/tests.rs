use super::*;
use crate::{
    domain::{
        payment::{Event, RefundCause},
        receipt_key::MAX_PER_MINUTE,
    },
    runtime::scripted::{ScriptedRuntime, run},
    service::pay::tests::{NOW, PaymentRequest, Shop, id},
    storage::payments::{Change, tests as stored},
    types::TimestampNs,
};
use ic_ed25519::PrivateKey;
use x402_icp::jws::{Keys, SignedReceipt};

/// The replies of the system.
#[derive(CandidType)]
struct PublicKey {
    public_key: ByteBuf,
}

#[derive(CandidType)]
struct Signature {
    signature: ByteBuf,
}

const PRICE: Cycles = ScriptedRuntime::SIGNATURE_COST;

fn key(n: u8) -> PrivateKey {
    PrivateKey::deserialize_raw_32(&[n; 32])
}

fn signing() -> Signing {
    Signing {
        key_name: ScriptedRuntime::KEY_NAME.into(),
        per_day: 100,
    }
}

fn set_by(shop: &Shop, caller: Principal, signing: Option<Signing>) -> Result<(), NotSet> {
    shop.runtime.caller.set(caller);
    run(set(&shop.runtime, signing))
}

/// A shop that signs with key 1.
fn shop() -> Shop {
    let shop = crate::service::pay::tests::shop();
    let public_key = ByteBuf::from(key(1).public_key().serialize_raw());
    shop.runtime.will_reply(PublicKey { public_key });
    set_by(&shop, shop.runtime.controller, Some(signing())).unwrap();
    shop
}

fn paid(shop: &Shop, nonce: u8) -> PaymentRequest {
    let request = shop.request(1, nonce);
    shop.will(Ok(candid::Nat::from(nonce)));
    shop.settle(&request);
    shop.runtime.caller.set(payer(&request));
    request
}

fn payer(request: &PaymentRequest) -> Principal {
    request.signed().authorization.from.owner
}

/// What is signed of this payment now.
fn input(shop: &Shop, request: &PaymentRequest) -> (SignedReceipt, String) {
    let (_, payment) = payments::settled_payment(&id(request)).unwrap();
    let site = site(&shop.runtime);
    let receipt = signed_receipt(&payment, &site, shop.runtime.now()).unwrap();
    let kid = format!("{}#key_1", jws::did_of(&site));
    let input = jws::signing_input(&kid, &receipt);
    (receipt, input)
}

/// The system will sign with this key.
fn will_sign(shop: &Shop, request: &PaymentRequest, by: u8) {
    let signature = key(by).sign_message(input(shop, request).1.as_bytes());
    shop.runtime.will_reply(Signature {
        signature: ByteBuf::from(signature),
    });
}

fn ask_for(shop: &Shop, request: &PaymentRequest) -> Result<String, NotSigned> {
    run(sign(&shop.runtime, &id(request)))
}

#[test]
fn a_receipt_is_signed_once_for_its_price_and_then_answered_from_the_store() {
    let shop = shop();
    let request = paid(&shop, 1);
    will_sign(&shop, &request, 1);
    let (calls, cycles) = (shop.runtime.made(), shop.runtime.cycles.get());
    let jws = ask_for(&shop, &request).unwrap();
    let call = shop.runtime.calls.borrow().last().cloned().unwrap();
    assert_eq!(
        (call.canister, &*call.method),
        (Principal::management_canister(), SIGN)
    );
    assert_eq!(shop.runtime.cycles.get().0, cycles.0 - PRICE.0);
    // Anybody who has the document verifies it.
    let keys = signatures::keys();
    let keys: Vec<_> = keys.iter().map(|(name, key)| (&**name, *key)).collect();
    let document = jws::did_document(&jws::did_of(&site(&shop.runtime)), &keys);
    let keys = Keys::read(document.as_bytes()).unwrap();
    let receipt = input(&shop, &request).0;
    assert_eq!(jws::verify(&jws, &keys), Ok(receipt.clone()));
    let (_, payment) = payments::settled_payment(&id(&request)).unwrap();
    assert_eq!(receipt.payer, payment.from.to_string());
    assert!(receipt.resource_url.ends_with(".icp0.io/a"), "{receipt:?}");
    // Later, by the merchant, and after it was switched off.
    shop.runtime.now.set(TimestampNs(NOW.0 + 1_000_000_000));
    for caller in [payment.to.owner, shop.runtime.controller] {
        shop.runtime.caller.set(caller);
        assert_eq!(ask_for(&shop, &request), Ok(jws.clone()));
    }
    set_by(&shop, shop.runtime.controller, None).unwrap();
    assert_eq!(ask_for(&shop, &request), Ok(jws));
    let other = paid(&shop, 2);
    assert_eq!(ask_for(&shop, &other), Err(NotSigned::Off));
    assert_eq!(
        shop.runtime.made(),
        calls + 2,
        "a signature, and the ledger's call"
    );
    assert_eq!((signatures::count(), signatures::keys().len()), (1, 1));
}

#[test]
fn strangers_burn_no_cycles_for_signatures() {
    let shop = shop();
    let request = paid(&shop, 1);
    let made = shop.runtime.made();
    assert!(may_sign(&shop.runtime, &id(&request)));
    for stranger in [Principal::anonymous(), Principal::from_slice(&[44; 29])] {
        shop.runtime.caller.set(stranger);
        assert!(!may_sign(&shop.runtime, &id(&request)));
        assert_eq!(ask_for(&shop, &request), Err(NotSigned::Unauthorized));
        let unknown = PaymentId([9; 32]);
        assert!(!may_sign(&shop.runtime, &unknown));
        let signed = run(sign(&shop.runtime, &unknown));
        assert_eq!(signed, Err(NotSigned::NotFound));
    }
    assert_eq!(shop.runtime.made(), made);
}

/// The extension has receipts of what was paid and delivered.
#[test]
fn what_is_not_delivered_or_was_refunded_is_not_signed() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.will_reject(5);
    shop.settle(&request);
    shop.runtime.caller.set(payer(&request));
    assert_eq!(ask_for(&shop, &request), Err(NotSigned::NotFound));
    let record = |event| {
        storage::payments::record(&request.claim_key(), Change::Event(event), NOW).unwrap();
    };
    record(stored::moved(9));
    assert_eq!(ask_for(&shop, &request), Err(NotSigned::NotDelivered));
    record(Event::RefundDue {
        cause: RefundCause::ALL[0],
        approved: true,
    });
    assert_eq!(ask_for(&shop, &request), Err(NotSigned::NotDelivered));
}

#[test]
fn a_signature_by_another_key_or_no_signature_is_not_stored_and_may_be_asked_again() {
    let shop = shop();
    let request = paid(&shop, 1);
    will_sign(&shop, &request, 2);
    assert!(matches!(
        ask_for(&shop, &request),
        Err(NotSigned::Failed(_))
    ));
    for lost in [
        CallOutcome::Reply(b"garbage".to_vec()),
        CallOutcome::Reply(vec![0; MAX_REPLY_BYTES + 1]),
        CallOutcome::NotSent("no".into()),
        CallOutcome::Rejected {
            code: 6,
            message: "x".repeat(10_000),
        },
    ] {
        shop.runtime.will(lost);
        let Err(NotSigned::Failed(problem)) = ask_for(&shop, &request) else {
            panic!("it is not signed");
        };
        assert!(problem.len() <= 200, "{problem}");
    }
    assert_eq!(signatures::count(), 0);
    will_sign(&shop, &request, 1);
    ask_for(&shop, &request).unwrap();
    assert_eq!(signatures::count(), 1);
}

#[test]
fn a_receipt_is_not_signed_twice_at_one_time() {
    let shop = shop();
    let request = paid(&shop, 1);
    shop.runtime
        .leave_waiting(sign(&shop.runtime, &id(&request)));
    assert_eq!(ask_for(&shop, &request), Err(NotSigned::Busy));
    // Another payment's is.
    let other = paid(&shop, 2);
    will_sign(&shop, &other, 1);
    ask_for(&shop, &other).unwrap();
}

#[test]
fn signatures_stop_at_the_cycles_floor_and_at_the_limits() {
    let shop = shop();
    let request = paid(&shop, 1);
    let floor = storage::config::read().limits.cycles_floor.0;
    let plenty = shop.runtime.cycles.get();
    let made = shop.runtime.made();
    shop.runtime.cycles.set(Cycles(floor + PRICE.0));
    assert_eq!(
        ask_for(&shop, &request),
        Err(NotSigned::TooFewCycles(PRICE))
    );
    assert_eq!(shop.runtime.made(), made);
    shop.runtime.cycles.set(plenty);
    // Nothing is counted of that.
    for n in 0..MAX_PER_MINUTE as u8 {
        let request = paid(&shop, 10 + n);
        will_sign(&shop, &request, 1);
        ask_for(&shop, &request).unwrap();
    }
    shop.runtime.caller.set(payer(&request));
    let Err(NotSigned::TooMany(too_many)) = ask_for(&shop, &request) else {
        panic!("a minute has so many");
    };
    assert_eq!(too_many.limit, MAX_PER_MINUTE as u32);
    shop.runtime.now.set(TimestampNs(NOW.0 + 61_000_000_000));
    will_sign(&shop, &request, 1);
    ask_for(&shop, &request).unwrap();
}

#[test]
fn controllers_alone_switch_it_on_and_the_key_is_learnt_from_the_system() {
    let shop = crate::service::pay::tests::shop();
    let operator = storage::config::read().operators[0];
    for caller in [operator, Principal::anonymous()] {
        for wanted in [None, Some(signing())] {
            let refused = set_by(&shop, caller, wanted);
            assert!(matches!(
                refused,
                Err(NotSet::Admin(AdminError::Unauthorized(_)))
            ));
        }
    }
    let controller = shop.runtime.controller;
    let mut bad = signing();
    bad.key_name = "key 1".into();
    let refused = set_by(&shop, controller, Some(bad));
    assert!(matches!(
        refused,
        Err(NotSet::Admin(AdminError::InvalidArgument(_)))
    ));
    assert_eq!(shop.runtime.made(), 0, "nobody was asked");
    shop.runtime.will(CallOutcome::Rejected {
        code: 3,
        message: "unknown threshold key".into(),
    });
    let refused = set_by(&shop, controller, Some(signing()));
    assert_eq!(refused, Err(NotSet::NoKey("unknown threshold key".into())));
    shop.runtime.will_reply(PublicKey {
        public_key: ByteBuf::from([7; 33]),
    });
    assert!(matches!(
        set_by(&shop, controller, Some(signing())),
        Err(NotSet::NoKey(_))
    ));
    assert_eq!((signatures::signing(), signatures::keys()), (None, vec![]));
    // Every key stays, up to a limit.
    for n in 0..MAX_KEYS as u8 + 1 {
        shop.runtime.will_reply(PublicKey {
            public_key: ByteBuf::from([n; 32]),
        });
        let key_name = format!("key_{n}");
        let done = set_by(
            &shop,
            controller,
            Some(Signing {
                key_name,
                per_day: 1,
            }),
        );
        assert_eq!(done.is_ok(), usize::from(n) < MAX_KEYS, "{n}");
    }
    assert_eq!(signatures::keys().len(), MAX_KEYS);
    assert_eq!(
        signatures::signing().unwrap().key_name,
        format!("key_{}", MAX_KEYS - 1)
    );
    let audited = storage::audit::admin_after(0, 100);
    let audited = audited
        .iter()
        .filter(|entry| entry.action == "receipt_signing_set");
    assert_eq!(audited.count(), MAX_KEYS);
}

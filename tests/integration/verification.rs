//! Every code of verification once, in the order of the binding. Nothing may be stored or moved.

use crate::support::{
    Payer, Request, Setup, Signed,
    interface::{CancelArgs, CancelError},
    setup::{FEE, FUNDS, stranger},
};
use candid::Nat;
use serde_bytes::ByteBuf;
use x402_icp::{Code, Nonce, encode_header, wire::PaymentRequirements};

const PRICE: u128 = 40_000;

/// Presents a payment that was changed, expects the code, and checks that the unchanged payment is still accepted.
fn refused(code: Code, change: impl FnOnce(Signed) -> Signed) {
    let setup = Setup::new();
    let payer = setup.payer(40);
    let sale = setup.sell("/article", PRICE);
    let good = payer.sign(&sale.offer(), setup.now());
    let before = setup.ledger.blocks(&setup).len();
    sale.present(change(good.clone()))
        .send()
        .expect_refused(code);
    assert!(setup.payments().is_empty());
    assert_eq!(setup.ledger.blocks(&setup).len(), before);
    sale.present(good).send().expect_settled();
}

fn accepted(code: Code, change: impl FnOnce(&mut PaymentRequirements)) {
    refused(code, |signed| signed.accept(change));
}

#[test]
fn payload_that_cannot_be_decoded_in_an_update() {
    let setup = Setup::new();
    setup.sell("/article", PRICE);
    let request = Request::get("/article").payment("e30=");
    let answer = setup.send(&request);
    assert!(answer.upgraded && answer.status == 402);
    let offers = answer.payment_required().unwrap();
    assert_eq!(offers.error.as_deref(), Some(Code::InvalidPayload.as_str()));
}

#[test]
fn wrong_x402_version() {
    refused(Code::InvalidX402Version, |mut signed| {
        signed.payload.x402_version = 1;
        signed
    });
}

#[test]
fn unsupported_scheme() {
    accepted(Code::UnsupportedScheme, |offer| {
        offer.scheme = "upto".into()
    });
}

#[test]
fn other_network() {
    accepted(Code::NetworkMismatch, |offer| {
        offer.network = "icp:1".into()
    });
}

#[test]
fn other_transfer_method() {
    accepted(Code::Method, |offer| {
        offer.extra.asset_transfer_method = "icrc7".into();
    });
}

#[test]
fn other_ledger() {
    accepted(Code::AssetMismatch, |offer| {
        offer.asset = "ryjl3-tyaaa-aaaaa-aaaba-cai".into();
    });
}

#[test]
fn other_amount() {
    accepted(Code::AmountMismatch, |offer| offer.amount = "1".into());
}

#[test]
fn other_recipient() {
    accepted(Code::RecipientMismatch, |offer| {
        offer.pay_to = stranger().to_text();
    });
}

#[test]
fn other_spender() {
    accepted(Code::SpenderMismatch, |offer| {
        offer.extra.spender = stranger().to_text();
    });
}

#[test]
fn other_offer() {
    accepted(Code::OfferMismatch, |offer| {
        offer.extra.offer = "00".repeat(16)
    });
}

#[test]
fn other_fee_in_the_offer() {
    accepted(Code::OfferMismatch, |offer| offer.extra.fee = "0".into());
}

#[test]
fn longer_timeout_in_the_offer() {
    accepted(Code::OfferMismatch, |offer| offer.max_timeout_seconds += 1);
}

fn window(code: Code, window: impl FnOnce(u64, u64) -> (u64, u64)) {
    let setup = Setup::new();
    let payer = setup.payer(41);
    let sale = setup.sell("/article", PRICE);
    let offer = sale.offer();
    let (after, before) = window(setup.now(), offer.max_timeout_seconds.into());
    let signed = payer.sign_with(&offer, Nonce([7; 32]), after, before);
    sale.present(signed).send().expect_refused(code);
    assert!(setup.payments().is_empty());
    sale.pay(&payer).send().expect_settled();
}

#[test]
fn too_early() {
    window(Code::NotYetValid, |now, _| (now + 20, now + 30));
}

#[test]
fn expired() {
    window(Code::Expired, |now, _| (now - 40, now - 5));
}

#[test]
fn window_of_no_time() {
    window(Code::Expired, |now, _| (now, now));
}

#[test]
fn too_long_a_window() {
    window(Code::WindowTooLong, |now, timeout| {
        (now - 30, now + timeout + 60)
    });
}

#[test]
fn window_of_an_evm_client() {
    window(Code::WindowTooLong, |now, timeout| (0, now + timeout));
}

#[test]
fn expires_between_signing_and_sending() {
    let setup = Setup::new();
    let payer = setup.payer(42);
    let sale = setup.sell("/article", PRICE);
    let offer = sale.offer();
    let signed = payer.sign(&offer, setup.now());
    setup.advance(u64::from(offer.max_timeout_seconds) + 1);
    sale.present(signed).send().expect_refused(Code::Expired);
}

#[test]
fn nonce_used_for_another_authorization() {
    let setup = Setup::new();
    let payer = setup.payer(43);
    let sale = setup.sell("/article", PRICE);
    let (offer, now) = (sale.offer(), setup.now());
    let first = payer.sign_with(&offer, Nonce([1; 32]), now - 30, now + 60);
    let second = payer.sign_with(&offer, Nonce([1; 32]), now - 29, now + 60);
    sale.present(first).send().expect_settled();
    sale.present(second).send().expect_refused(Code::NonceUsed);
}

#[test]
fn cancelled_by_the_payer() {
    let setup = Setup::new();
    let payer = setup.payer(44);
    let sale = setup.sell("/article", PRICE);
    let signed = payer.sign(&sale.offer(), setup.now());
    let nonce: Nonce = signed.payload.payload.nonce.parse().unwrap();
    let args = CancelArgs {
        nonce: ByteBuf::from(nonce.0.to_vec()),
        valid_before_seconds: signed.payload.payload.valid_before.parse().unwrap(),
    };
    // A stranger's cancellation of the same nonce does not affect this payer.
    let done: Result<(), CancelError> =
        setup.update(stranger(), "cancel_authorization", (args.clone(),));
    assert_eq!(done, Ok(()));
    let done: Result<(), CancelError> =
        setup.update(payer.account.owner, "cancel_authorization", (args,));
    assert_eq!(done, Ok(()));
    sale.present(signed).send().expect_refused(Code::Cancelled);
    sale.pay(&payer).send().expect_settled();
}

#[test]
fn cancellations_of_the_past_and_of_the_far_future_are_told_apart() {
    let setup = Setup::new();
    let payer = setup.payer(150).account.owner;
    let cancel = |valid_before_seconds| -> Result<(), CancelError> {
        let args = CancelArgs {
            nonce: ByteBuf::from(vec![1; 32]),
            valid_before_seconds,
        };
        setup.update(payer, "cancel_authorization", (args,))
    };
    for past in [0, setup.now() - 1, setup.now()] {
        match cancel(past) {
            Err(CancelError::Expired { now_seconds }) => assert!(now_seconds >= past, "{past}"),
            other => panic!("{past}: {other:?}"),
        }
    }
    for late in [setup.now() + 100_000_000, u64::MAX - 1, u64::MAX] {
        match cancel(late) {
            Err(CancelError::TooFarAhead { limit_seconds }) => {
                assert!((setup.now()..late).contains(&limit_seconds), "{late}");
            }
            other => panic!("{late}: {other:?}"),
        }
    }
}

#[test]
fn settled_payment_cannot_be_cancelled() {
    let setup = Setup::new();
    let payer = setup.payer(45);
    let settled = setup
        .sell("/article", PRICE)
        .pay(&payer)
        .send()
        .expect_settled();
    let payload = &settled.signed.payload.payload;
    let nonce: Nonce = payload.nonce.parse().unwrap();
    let args = CancelArgs {
        nonce: ByteBuf::from(nonce.0.to_vec()),
        valid_before_seconds: payload.valid_before.parse().unwrap(),
    };
    let done: Result<(), CancelError> =
        setup.update(payer.account.owner, "cancel_authorization", (args,));
    let payment_id = ByteBuf::from(settled.signed.id.0.to_vec());
    assert_eq!(done, Err(CancelError::AlreadyUsed { payment_id }));
}

#[test]
fn bad_signature() {
    refused(Code::Signature, |signed| {
        signed.tamper(|payload| payload.signature = encode(&[0; 64]))
    });
}

#[test]
fn truncated_signature() {
    refused(Code::Signature, |signed| {
        signed.tamper(|payload| payload.signature = encode(&[1; 63]))
    });
}

#[test]
fn nonce_changed_after_signing() {
    refused(Code::Signature, |signed| {
        signed.tamper(|payload| payload.nonce = "ab".repeat(32))
    });
}

#[test]
fn window_changed_after_signing() {
    refused(Code::Signature, |signed| {
        signed.tamper(|payload| {
            let before: u64 = payload.valid_before.parse().unwrap();
            payload.valid_before = (before - 1).to_string();
        })
    });
}

#[test]
fn signature_of_another_curve() {
    refused(Code::Signature, |signed| {
        let foreign = Payer::secp256k1(46).sign(&signed.payload.accepted, 1_700_000_000);
        signed.tamper(|payload| payload.signature = foreign.payload.payload.signature)
    });
}

#[test]
fn key_exchanged_after_signing() {
    refused(Code::PayerMismatch, |signed| {
        let foreign = Payer::ed25519(46).sign(&signed.payload.accepted, 1_700_000_000);
        signed.tamper(|payload| payload.public_key = foreign.payload.payload.public_key)
    });
}

#[test]
fn key_of_somebody_else() {
    let setup = Setup::new();
    let (victim, thief) = (setup.payer(47), Payer::ed25519(48));
    let sale = setup.sell("/article", PRICE);
    // All signatures are valid, but by the thief's key for the victim's account.
    let mut robber = thief;
    robber.account = victim.account;
    sale.pay(&robber).send().expect_refused(Code::PayerMismatch);
    sale.pay(&victim).send().expect_settled();
}

#[test]
fn delegation_that_expired() {
    let setup = Setup::new();
    let payer = setup.funded(Payer::delegated(49, setup.now_ns() - 1, None));
    setup
        .sell("/article", PRICE)
        .pay(&payer)
        .send()
        .expect_refused(Code::Signature);
}

#[test]
fn delegation_for_another_canister() {
    let setup = Setup::new();
    let until = setup.now_ns() + 86_400_000_000_000;
    let payer = setup.funded(Payer::delegated(50, until, Some(vec![setup.ledger.0])));
    setup
        .sell("/article", PRICE)
        .pay(&payer)
        .send()
        .expect_refused(Code::Signature);
}

#[test]
fn delegation_that_is_left_out() {
    let setup = Setup::new();
    let until = setup.now_ns() + 86_400_000_000_000;
    let payer = setup.funded(Payer::delegated(51, until, None));
    let sale = setup.sell("/article", PRICE);
    sale.pay(&payer)
        .tamper(|signed| signed.tamper(|payload| payload.delegations = None))
        .send()
        .expect_refused(Code::Signature);
}

#[test]
fn route_off_sale() {
    let setup = Setup::new();
    let payer = setup.payer(52);
    let sale = setup.sell("/article", PRICE);
    let paying = sale.pay(&payer);
    let mut route = setup.priced("GET", "/article", PRICE);
    route.on_sale = false;
    setup.route_put(route).unwrap();
    assert_eq!(setup.get("/article").status, 404);
    let answer = setup.send(&paying.request());
    // There is no offer any more, so there is no new 402 either.
    assert_eq!((answer.status, answer.payment_required()), (404, None));
    assert!(setup.payments().is_empty());
    setup.check_conservation();
}

#[test]
fn ledger_disabled() {
    let setup = Setup::new();
    let payer = setup.payer(53);
    let sale = setup.sell("/article", PRICE);
    let paying = sale.pay(&payer);
    let done: Result<crate::support::interface::Ledger, crate::support::interface::LedgerError> =
        setup.update(
            crate::support::setup::controller(),
            "ledger_enable",
            (setup.ledger.0, false),
        );
    assert!(!done.unwrap().enabled);
    assert_eq!(setup.get("/article").status, 404);
    assert_eq!(setup.send(&paying.request()).status, 404);
    assert!(setup.payments().is_empty());
    setup.check_conservation();
}

#[test]
fn allowance_too_small() {
    let setup = Setup::new();
    let payer = Payer::ed25519(54);
    let approve = |amount| {
        setup
            .ledger
            .approve(&setup, payer.account, setup.canister, amount);
    };
    setup.ledger.mint(&setup, payer.account, FUNDS);
    approve(PRICE + FEE - 1);
    setup.watch(payer.account, FUNDS - FEE);
    let sale = setup.sell("/article", PRICE);
    let first = payer.sign(&sale.offer(), setup.now());
    sale.present(first.clone())
        .send()
        .expect_failed(Code::InsufficientAllowance);
    approve(PRICE + FEE);
    setup.pay_fee(payer.account);
    // The failure stays, whoever repeats it; a new payment is accepted.
    sale.present(first)
        .send()
        .expect_failed(Code::InsufficientAllowance);
    sale.pay(&payer).send().expect_settled();
}

#[test]
fn no_allowance_at_all() {
    let setup = Setup::new();
    let payer = Payer::ed25519(55);
    setup.ledger.mint(&setup, payer.account, FUNDS);
    setup.watch(payer.account, FUNDS);
    setup
        .sell("/article", PRICE)
        .pay(&payer)
        .send()
        .expect_failed(Code::InsufficientAllowance);
}

#[test]
fn balance_too_small() {
    let setup = Setup::new();
    let payer = Payer::ed25519(56);
    setup
        .ledger
        .mint(&setup, payer.account, PRICE + FEE + FEE - 1);
    setup
        .ledger
        .approve(&setup, payer.account, setup.canister, FUNDS);
    setup.watch(payer.account, PRICE + FEE - 1);
    setup
        .sell("/article", PRICE)
        .pay(&payer)
        .send()
        .expect_failed(Code::InsufficientFunds);
}

#[test]
fn ledger_fee_changed() {
    let setup = Setup::new();
    let payer = setup.payer(57);
    let sale = setup.sell("/article", PRICE);
    let old = sale.offer();
    setup.ledger.set_fee(&setup, 2 * FEE);
    sale.pay(&payer).send().expect_failed(Code::OfferMismatch);
    // The certified offers have the new fee from then on, and can be paid.
    let new = sale.offer();
    assert_eq!(
        (old.extra.fee, new.extra.fee.clone()),
        ("10000".into(), "20000".into())
    );
    let settled = sale.pay(&payer).send().expect_settled();
    assert_eq!(
        setup.receipt(settled.signed.id.0).unwrap().fee,
        Nat::from(2 * FEE)
    );
}

fn encode(bytes: &[u8]) -> String {
    x402_icp::values::to_base64(bytes)
}

#[test]
fn codes_are_those_of_the_binding() {
    // `encode_header` and the codes are those of the crate that clients use; the texts are fixed.
    assert_eq!(encode_header(&serde_json::json!({})), "e30=");
    assert_eq!(Code::Signature.as_str(), "invalid_exact_icp_signature");
    assert_eq!(Code::SettlementPending.as_str(), "settlement_pending");
}

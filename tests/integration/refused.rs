//! The uses of a refused authorization afterwards (section 8.1 of the binding): none that its payer did not sign, and
//! none at all once its payer cancelled it or its window is over.

use crate::support::{
    Setup,
    flow::Sale,
    interface::{CancelArgs, CancelError, LimitsArg, PaymentIdentifier},
    payer::{Payer, Signed},
    setup::{FEE, stranger},
};
use serde_bytes::ByteBuf;
use x402_icp::{Code, Nonce, wire::PaymentRequirements};

const PRICE: u128 = 30_000;
/// More cycles than the canister has.
const ALL_CYCLES: u128 = 1 << 100;

/// The payer's own cancellation, as both clients make it after a refusal.
fn cancel(setup: &Setup, payer: &Payer, signed: &Signed) -> Result<(), CancelError> {
    let payload = &signed.payload.payload;
    let nonce: Nonce = payload.nonce.parse().unwrap();
    let args = CancelArgs {
        nonce: ByteBuf::from(nonce.0.to_vec()),
        valid_before_seconds: payload.valid_before.parse().unwrap(),
    };
    setup.update(payer.account.owner, "cancel_authorization", (args,))
}

fn charges(setup: &Setup) -> usize {
    setup.ledger.pulled_by(setup, setup.canister).len()
}

/// The payer signs, `change` changes the offer, and the payment is refused. An observer puts the new terms into
/// `accepted`, but the payer signed others. The payer buys for the new terms, once.
fn edited_by_an_observer_of_the_first(
    change: impl FnOnce(&Setup, &Sale<'_>),
    edit: impl FnOnce(&mut PaymentRequirements, &PaymentRequirements),
) {
    let setup = Setup::new();
    let payer = setup.payer(170);
    let sale = setup.sell("/article", PRICE);
    let first = payer.sign(&sale.offer(), setup.now());
    change(&setup, &sale);
    let fresh = sale.offer();
    sale.present(first.clone())
        .send()
        .expect_refused(Code::OfferMismatch);
    let edited = first.clone().accept(|accepted| edit(accepted, &fresh));
    assert_eq!(edited.payload.accepted, fresh);
    // Before the payer has bought again, and afterwards.
    sale.present(edited.clone())
        .send()
        .expect_refused(Code::Signature);
    assert_eq!(cancel(&setup, &payer, &first), Ok(()));
    sale.pay(&payer).send().expect_settled();
    for replayed in [first, edited] {
        let answer = sale.present(replayed).send().answer;
        assert_eq!((answer.status, answer.payment_response()), (402, None));
    }
    assert_eq!(charges(&setup), 1);
    setup.check_conservation();
}

#[test]
fn fee_edited_by_an_observer_of_the_first_charges_nothing() {
    edited_by_an_observer_of_the_first(
        |setup, _| {
            setup.ledger.set_fee(setup, FEE * 2);
            let refreshed: Result<
                crate::support::interface::Ledger,
                crate::support::interface::LedgerError,
            > = setup.update(stranger(), "ledger_refresh", (setup.ledger.0,));
            assert_eq!(refreshed.unwrap().fee, candid::Nat::from(FEE * 2));
        },
        |accepted, fresh| accepted.extra.fee.clone_from(&fresh.extra.fee),
    );
}

#[test]
fn timeout_edited_by_an_observer_of_the_first_charges_nothing() {
    edited_by_an_observer_of_the_first(
        |setup, _| {
            setup.set_limits(LimitsArg {
                max_timeout_seconds: Some(3_599),
                ..LimitsArg::default()
            });
        },
        |accepted, fresh| accepted.max_timeout_seconds = fresh.max_timeout_seconds,
    );
}

/// Signs, and presents while the canister accepts no payments: `ledger_unavailable` with current offers.
fn refused_for_a_while(setup: &Setup, sale: &Sale<'_>, payer: &Payer) -> Signed {
    let first = payer.sign(&sale.offer(), setup.now());
    setup.upgrade_with_floor(ALL_CYCLES);
    sale.present(first.clone())
        .send()
        .expect_refused(Code::LedgerUnavailable);
    assert!(setup.payments().is_empty(), "nothing is recorded");
    setup.upgrade_with_floor(0);
    first
}

#[test]
fn first_replayed_after_cancelling_and_buying_again_charges_nothing() {
    let setup = Setup::new();
    let payer = setup.payer(171);
    let sale = setup.sell("/article", PRICE);
    let first = refused_for_a_while(&setup, &sale, &payer);
    assert_eq!(cancel(&setup, &payer, &first), Ok(()));
    sale.pay(&payer).send().expect_settled();
    for _ in 0..2 {
        sale.present(first.clone())
            .send()
            .expect_refused(Code::Cancelled);
        setup.upgrade();
    }
    assert_eq!(charges(&setup), 1);
}

#[test]
fn first_replayed_after_its_window_and_buying_again_charges_nothing() {
    let setup = Setup::new();
    let payer = setup.payer(172);
    let sale = setup.sell("/article", PRICE);
    let first = refused_for_a_while(&setup, &sale, &payer);
    let window = u64::from(first.payload.accepted.max_timeout_seconds);
    setup.advance(window);
    // The payer can tell by the canister's clock that it has expired, and nothing was recorded.
    match cancel(&setup, &payer, &first) {
        Err(CancelError::Expired { now_seconds }) => assert!(now_seconds >= setup.now()),
        other => panic!("{other:?}"),
    }
    assert_eq!(setup.payment(first.id.0), None);
    sale.pay(&payer).send().expect_settled();
    sale.present(first).send().expect_refused(Code::Expired);
    assert_eq!(charges(&setup), 1);
}

#[test]
fn a_refused_payment_is_taken_later_unless_its_payer_cancels_it() {
    let setup = Setup::new();
    let payer = setup.payer(173);
    let sale = setup.sell("/article", PRICE);
    let first = refused_for_a_while(&setup, &sale, &payer);
    // The same authorization again is the purchase, and anybody who presents it buys for the payer.
    let settled = sale.present(first.clone()).send().expect_settled();
    assert_eq!(charges(&setup), 1);
    // It is too late to cancel: the payer is told so, and signs no other.
    let payment_id = ByteBuf::from(first.id.0.to_vec());
    let used = Err(CancelError::AlreadyUsed { payment_id });
    assert_eq!(cancel(&setup, &payer, &first), used);
    let again = sale.present(first).send().expect_settled();
    assert_eq!((again.block, charges(&setup)), (settled.block, 1));
}

#[test]
fn what_is_not_signed_can_be_put_right_until_the_payer_cancels() {
    let setup = Setup::new();
    let payer = setup.payer(174);
    let sale = setup.sell("/article", PRICE);
    let mut route = setup.priced("GET", "/article", PRICE);
    route.payment_identifier = Some(PaymentIdentifier::Required);
    setup.route_put(route).unwrap();
    let required = setup.get("/article").payment_required().unwrap();
    let mut extensions = required.extensions.expect("an advertised extension");
    extensions["payment-identifier"]["info"]["id"] = "pay_7d5d747be160e280".into();
    let named = |signed: &Signed| {
        let mut signed = signed.clone();
        signed.payload.extensions = Some(extensions.clone());
        signed
    };
    // Two payments without an identifier, and one of another version.
    let [nameless, cancelled, mut old] = [(); 3].map(|()| payer.sign(&sale.offer(), setup.now()));
    for signed in [&nameless, &cancelled] {
        let refused = sale.present(signed.clone()).send().answer;
        assert_eq!((refused.status, refused.payment_response()), (400, None));
    }
    old.payload.x402_version = 1;
    sale.present(named(&old))
        .send()
        .expect_not_charged(Code::InvalidX402Version);
    for signed in [&cancelled, &old] {
        assert_eq!(cancel(&setup, &payer, signed), Ok(()));
    }
    old.payload.x402_version = 2;
    for dead in [&cancelled, &old] {
        sale.present(named(dead))
            .send()
            .expect_refused(Code::Cancelled);
    }
    assert_eq!(charges(&setup), 0);
    sale.present(named(&nameless)).send().expect_settled();
    assert_eq!(charges(&setup), 1);
}

//! Routes whose work another canister does.

use crate::support::{
    Answer, Request, Setup, Signed, environment,
    flow::Sale,
    interface::*,
    setup::{CYCLES, controller, operator},
};
use candid::Principal;
use serde_bytes::ByteBuf;

const PRICE: u128 = 1_000_000;
/// How long after a try whose end is not known the payer is refunded.
const REFUND_AFTER: u64 = 600;

struct Shop {
    setup: Setup,
    seller: Principal,
}

impl Shop {
    /// A network with a target, and a treasury that pays refunds.
    fn open() -> Self {
        let setup = Setup::new();
        setup.ledger.mint(&setup, setup.treasury(), 20 * PRICE);
        let pic = &setup.pic;
        let subnet = pic.get_subnet(setup.ledger.0).unwrap();
        let seller = pic.create_canister_on_subnet(Some(controller()), None, subnet);
        pic.add_cycles(seller, CYCLES);
        let wasm = environment::test_seller_wasm();
        pic.install_canister(seller, wasm, vec![], Some(controller()));
        Shop { setup, seller }
    }

    fn target(&self) -> Forward {
        Forward {
            canister: self.seller,
            mode: ForwardMode::Serve,
            idempotent: false,
            on_failure: OnFailure::Refund,
        }
    }

    fn retrying(&self) -> Forward {
        Forward {
            idempotent: true,
            on_failure: OnFailure::Retry,
            ..self.target()
        }
    }

    fn try_sell(&self, path: &str, forward: Forward) -> Result<Route, RouteError> {
        self.setup.route_put(RouteArgs {
            forward: Some(forward),
            ..self.setup.priced("POST", path, PRICE)
        })
    }

    fn sell(&self, path: &str, forward: Forward) -> Sale<'_> {
        self.try_sell(path, forward).expect("a good route");
        self.setup.sale(Request::new("POST", path).body(b"please"))
    }

    /// The calls of `x402_serve` for this payment.
    fn works(&self, signed: &Signed) -> u32 {
        let id = ByteBuf::from(signed.id.0.to_vec());
        self.setup
            .query_at(self.seller, controller(), "works", (id,))
    }

    /// The reason why the work of a settled payment is not done.
    fn problem(&self, signed: &Signed) -> Option<String> {
        match self.setup.stands(signed) {
            PaymentStatus::Settled { work, .. } => work.and_then(|work| work.problem),
            other => panic!("{other:?}"),
        }
    }
}

fn delivered(answer: &Answer) {
    let outcome = answer.payment_response().expect("an outcome");
    assert!(outcome.success, "{outcome:?}");
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
}

/// The 402 is certified: `send` verifies it as a gateway does.
#[test]
fn a_canister_sells_by_either_method_and_the_answer_is_given_again_byte_for_byte() {
    let shop = Shop::open();
    let setup = &shop.setup;
    for (seed, mode) in [(40, ForwardMode::Serve), (41, ForwardMode::Http)] {
        let payer = setup.payer(seed);
        let target = Forward {
            mode,
            ..shop.target()
        };
        let sale = shop.sell("/shout", target);
        let paying = sale.pay(&payer);
        let request = paying.request();
        let outcome = paying.send();
        delivered(&outcome.answer);
        assert_eq!(outcome.answer.status, 200);
        assert_eq!(outcome.answer.body, b"PLEASE");
        assert_eq!(outcome.answer.header("content-type"), Some("text/plain"));
        assert!(setup.receipt(outcome.signed.id.0).is_some());
        assert_eq!(request.send(&setup.pic, setup.canister), outcome.answer);
        setup.upgrade();
        setup.route_remove("POST", "/shout").expect("it is there");
        assert_eq!(request.send(&setup.pic, setup.canister), outcome.answer);
        if mode == ForwardMode::Serve {
            assert_eq!(shop.works(&outcome.signed), 1);
        }
    }
    let charges = setup.ledger.pulled_by(setup, setup.canister).len();
    assert_eq!(charges, 2);
    setup.check_conservation();
}

#[test]
fn a_dapp_buys_the_work_of_a_canister_by_call() {
    let shop = Shop::open();
    let setup = &shop.setup;
    let buyer = setup.payer(42).account.owner;
    setup
        .route_put(RouteArgs {
            forward: Some(shop.target()),
            ..setup.priced("GET", "/shout", PRICE)
        })
        .expect("a good route");
    let key = RouteKey {
        method: "GET".into(),
        path: "/shout".into(),
    };
    let quote: Option<Quote> = setup.query(buyer, "quote", (&key,));
    let offer = quote.expect("on sale").offers.remove(0);
    let args = PayArgs {
        id: ByteBuf::from(vec![1; 32]),
        method: key.method,
        path: key.path,
        ledger: offer.ledger,
        amount: offer.amount,
        fee: offer.fee,
        pay_to: AccountArg::from(offer.pay_to),
        from_subaccount: None,
        created_at_time: setup.now_ns(),
    };
    let bought: Result<Purchased, PayError> = setup.update(buyer, "pay", (&args,));
    let bought = bought.expect("paid");
    // A call has no body.
    assert_eq!(
        (bought.mime_type.as_str(), bought.body.as_slice()),
        ("text/plain", &b""[..])
    );
    let again: Result<Purchased, PayError> = setup.update(buyer, "pay", (&args,));
    assert_eq!(again, Ok(bought));
    setup.check_conservation();
}

#[test]
fn attack_46_a_target_that_lies_about_headers_fools_nobody() {
    let shop = Shop::open();
    let payer = shop.setup.payer(43);
    for mode in [ForwardMode::Serve, ForwardMode::Http] {
        let target = Forward {
            mode,
            ..shop.target()
        };
        let outcome = shop.sell("/lie", target).pay(&payer).send();
        delivered(&outcome.answer);
        assert_eq!(outcome.answer.payment_required(), None);
        for name in [
            "set-cookie",
            "ic-certificate",
            "ic-certificateexpression",
            "connection",
            "content-length",
            "x-payment-response",
        ] {
            assert_eq!(outcome.answer.header(name), None, "{name}");
        }
    }
}

#[test]
fn attack_46_a_target_that_fails_traps_or_answers_2_mb_is_called_once_and_refunded() {
    let shop = Shop::open();
    let setup = &shop.setup;
    for (seed, path) in (44..).zip(["/error", "/trap", "/big"]) {
        let payer = setup.payer(seed);
        let outcome = shop.sell(path, shop.target()).pay(&payer).send();
        assert_eq!(outcome.answer.status, 402, "{path}");
        let body = String::from_utf8(outcome.answer.body.clone()).unwrap();
        assert!(body.contains("is refunded"), "{path}: {body}");
        let refund = setup.refunded(&outcome.signed);
        assert_eq!((refund.to, refund.amount), (Some(payer.account), PRICE));
        // A trap undoes the count.
        let works = u32::from(path != "/trap");
        assert_eq!(shop.works(&outcome.signed), works, "{path}");
    }
    let charges = setup.ledger.pulled_by(setup, setup.canister).len();
    assert_eq!(charges, 3);
}

#[test]
fn a_refused_request_goes_back_at_once_only_if_its_money_is_here() {
    let shop = Shop::open();
    let setup = &shop.setup;
    let payer = setup.payer(49);
    // The merchant has the money, and payers choose what is refused.
    let elsewhere = shop.sell("/refuse", shop.target()).pay(&payer).send();
    let body = String::from_utf8(elsewhere.answer.body).unwrap();
    assert!(body.contains("merchant decides"), "{body}");
    setup.elapse(60);
    let status = setup.stands(&elsewhere.signed);
    assert!(matches!(
        status,
        PaymentStatus::Refunding { attempts: 0, .. }
    ));
    let args = RouteArgs {
        forward: Some(shop.target()),
        pay_to: Some(setup.treasury().into()),
        ..setup.priced("POST", "/refuse", PRICE)
    };
    let route: Result<Route, RouteError> = setup.update(controller(), "route_put", (args,));
    route.expect("controllers name accounts");
    let sale = setup.sale(Request::new("POST", "/refuse").body(b"please"));
    let paid_here = sale.pay(&payer).send();
    setup.refunded(&paid_here.signed);
    assert_eq!(shop.works(&paid_here.signed), 1);
}

#[test]
fn attack_46_a_target_that_never_answers_is_called_once_and_refunded_later() {
    let shop = Shop::open();
    let setup = &shop.setup;
    let payer = setup.payer(50);
    let paying = shop.sell("/silent", shop.target()).pay(&payer);
    let (request, signed) = (paying.request(), paying.signed);
    let call = setup.under_way(&request);
    setup.elapse(10);
    assert_eq!(shop.works(&signed), 1);
    assert_eq!(shop.problem(&signed), None, "it works");
    // Meanwhile the same request waits for it.
    let again = request.send(&setup.pic, setup.canister);
    let outcome = again.payment_response().expect("an outcome");
    assert_eq!(outcome.error_reason.as_deref(), Some("settlement_pending"));
    setup.elapse(80);
    let answer = setup.collect(call);
    let outcome = answer.payment_response().expect("an outcome");
    assert_eq!(outcome.error_reason.as_deref(), Some("settlement_pending"));
    assert!(shop.problem(&signed).is_some());
    // An answer that comes too late changes nothing.
    let (): () = setup.update_at(shop.seller, controller(), "release", ());
    setup.elapse(REFUND_AFTER);
    setup.refunded(&signed);
    assert_eq!(shop.works(&signed), 1);
}

#[test]
fn attack_46_a_target_that_calls_back_sees_its_payment_settled_and_changes_nothing() {
    let shop = Shop::open();
    let payer = shop.setup.payer(51);
    let outcome = shop.sell("/back", shop.target()).pay(&payer).send();
    delivered(&outcome.answer);
    let seen = String::from_utf8(outcome.answer.body.clone()).unwrap();
    assert!(
        seen.starts_with("Settled") && seen.contains("attempts: 1"),
        "{seen}"
    );
    assert_eq!(shop.works(&outcome.signed), 1);
}

#[test]
fn attack_46_a_target_that_is_stopped_upgraded_or_deleted_costs_nobody_money() {
    let shop = Shop::open();
    let setup = &shop.setup;
    let (pic, seller, by) = (&setup.pic, shop.seller, Some(controller()));
    let payer = setup.payer(52);
    // A target that is idempotent is called again when it runs again.
    let sale = shop.sell("/shout", shop.retrying());
    pic.stop_canister(seller, by).unwrap();
    let signed = sale.pay(&payer).send().expect_pending();
    let wasm = environment::test_seller_wasm();
    pic.upgrade_canister(seller, wasm, vec![], by).unwrap();
    pic.start_canister(seller, by).unwrap();
    setup.wait(&signed, |s| matches!(s, PaymentStatus::Delivered { .. }));
    let done = sale.present(signed.clone()).send();
    assert_eq!(done.answer.body, b"PLEASE");
    assert_eq!(shop.works(&signed), 1);
    // Any other is refunded.
    pic.stop_canister(seller, by).unwrap();
    let once = shop.sell("/once", shop.target());
    let stopped = once.pay(&payer).send();
    setup.refunded(&stopped.signed);
    pic.delete_canister(seller, by).unwrap();
    let deleted = once.pay(&payer).send();
    setup.refunded(&deleted.signed);
    // Also one that is tried again in vain.
    let gone = sale.pay(&payer).send().expect_pending();
    setup.refunded(&gone);
}

/// An upgrade after each number of rounds is before, between and after the calls of ledger and target.
#[test]
fn attack_46_an_upgrade_at_any_moment_charges_once_and_has_the_work_done_once() {
    for (seed, retries) in [(53, false), (54, true)] {
        let shop = Shop::open();
        let setup = &shop.setup;
        let payer = setup.payer(seed);
        let target = if retries {
            shop.retrying()
        } else {
            shop.target()
        };
        let sale = shop.sell("/shout", target);
        for rounds in 0..9 {
            let paying = sale.pay(&payer);
            let call = setup.submit(&paying.request());
            for _ in 0..rounds {
                setup.pic.tick();
            }
            setup.upgrade_by_force();
            let _ = setup.pic.await_call(call);
            let signed = paying.signed;
            let _ = sale.present(signed.clone()).send();
            setup.elapse(60);
            let ended = |s: &PaymentStatus| {
                matches!(
                    s,
                    PaymentStatus::Delivered { .. } | PaymentStatus::Refunded { .. }
                )
            };
            let status = setup.wait(&signed, ended);
            let delivered = matches!(status, PaymentStatus::Delivered { .. });
            assert!(delivered || !retries, "after {rounds} rounds: {status:?}");
            let works = shop.works(&signed);
            assert!(
                works == 1 || retries,
                "after {rounds} rounds: {works} calls"
            );
            setup.check_conservation();
        }
        let charges = setup.ledger.pulled_by(setup, setup.canister).len();
        assert_eq!(charges, 9);
    }
}

#[test]
fn bad_targets_are_refused_by_name() {
    let shop = Shop::open();
    let setup = &shop.setup;
    for canister in [
        Principal::management_canister(),
        Principal::anonymous(),
        setup.canister,
        setup.ledger.0,
    ] {
        let target = Forward {
            canister,
            ..shop.target()
        };
        let Err(RouteError::InvalidArgument(error)) = shop.try_sell("/a", target) else {
            panic!("{canister} is no target");
        };
        assert_eq!(error.field, "forward.canister");
    }
    shop.sell("/a", shop.target());
    let added: Result<Ledger, LedgerError> =
        setup.update(controller(), "ledger_add", (shop.seller,));
    assert!(matches!(added, Err(LedgerError::InvalidArgument(error)) if error.field == "ledger"));
    let begin = ContentBegin {
        method: "POST".into(),
        path: "/a".into(),
        bytes: 1,
        sha256: ByteBuf::from(vec![0; 32]),
    };
    let begun: Result<u64, ContentError> = setup.update(operator(), "content_begin", (begin,));
    assert!(matches!(begun, Err(ContentError::InvalidArgument(error)) if error.field == "path"));
}

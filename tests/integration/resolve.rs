//! Payments and refunds whose outcome nothing proves: those of keys without money, and a controller's decisions.

use crate::support::{
    Request, Setup,
    flow::Sale,
    interface::*,
    ledger::number,
    payer::{Payer, Signed},
    setup::{FEE, controller, operator, stranger},
};
use candid::{Nat, Principal};
use icrc_ledger_types::{icrc1::account::Account, icrc2::transfer_from::TransferFromError};
use serde_bytes::ByteBuf;
use std::time::Duration;
use test_ledger::testing::{Answer, Fault};
use x402_icp::Code;

const PRICE: u128 = 1_000_000;
const TRANSFER: &str = "icrc1_transfer";
const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;
/// The time after which no ledger can make the transfer any more.
const WINDOW: u64 = DAY + 600;
const SUPPORTED: &str = "icrc1_supported_standards";

impl Setup {
    fn own(&self) -> Account {
        self.canister.into()
    }

    /// A route that pays to this account.
    fn sell_to(&self, path: &str, pay_to: Account) {
        let route = RouteArgs {
            pay_to: Some(pay_to.into()),
            ..self.priced("GET", path, PRICE)
        };
        let route: Result<Route, RouteError> = self.update(controller(), "route_put", (route,));
        route.expect("controllers name accounts");
        self.upload("GET", path, crate::support::flow::ARTICLE);
    }

    /// The ledger reports no block log, and the canister stores that.
    fn without_log(&self) {
        #[derive(Clone, candid::CandidType)]
        struct Standard {
            name: &'static str,
            url: &'static str,
        }
        let names = ["ICRC-1", "ICRC-2"];
        let standards = names.map(|name| Standard { name, url: "" });
        let reply = candid::encode_one(standards.to_vec()).unwrap();
        let fault = Fault::instead(Answer::Bytes(ByteBuf::from(reply)));
        self.ledger.fault_of(self, SUPPORTED, 1, &fault);
        let ledger = self.ledger_add(self.ledger.0).expect("it is a ledger");
        assert!(!ledger.standards.contains(&"ICRC-3".to_string()));
    }

    /// Lets time pass at once, and runs what is due then.
    fn after(&self, seconds: u64) {
        self.pic.advance_time(Duration::from_secs(seconds));
        for _ in 0..14 {
            self.pic.tick();
        }
    }

    fn stands_at(&self, signed: &Signed) -> PaymentStatus {
        self.payment(signed.id.0).expect("it is known").status
    }

    fn held(&self) -> u128 {
        number(&self.solvency().held)
    }

    fn resolve_as(
        &self,
        caller: Principal,
        signed: &Signed,
        outcome: ResolvedOutcome,
    ) -> Result<PaymentStatus, ResolveError> {
        let id = ByteBuf::from(signed.id.0.to_vec());
        self.update(caller, "payment_resolve", (ResolveArgs { id, outcome },))
    }

    fn pays(&self, path: &str, payer: &Payer, fault: &Fault) -> Signed {
        self.ledger.fault(self, 1, fault);
        let sale = self.sale(Request::get(path));
        sale.pay(payer).send().expect_pending()
    }

    fn audited(&self, action: &str) -> usize {
        let page = PageArgs {
            after: None,
            limit: None,
        };
        let all: Result<Vec<AdminAudit>, PaymentsError> =
            self.query(controller(), "audit_admin", (page,));
        let all = all.expect("controllers read the log");
        all.iter().filter(|entry| entry.action == action).count()
    }
}

fn moved(block: u64) -> ResolvedOutcome {
    ResolvedOutcome::Moved {
        block_index: Nat::from(block),
    }
}

fn has_lapsed(status: &PaymentStatus) -> bool {
    matches!(status, PaymentStatus::Unknown { reason, .. } if reason.contains("nothing is held"))
}

/// Keys that never had any money pay while the ledger is stopped; then it runs again.
fn keys_without_money(setup: &Setup) -> Vec<Signed> {
    setup.sell_to("/own", setup.own());
    let sale: Sale<'_> = setup.sale(Request::get("/own"));
    let (pic, ledger) = (&setup.pic, setup.ledger.0);
    pic.stop_canister(ledger, Some(controller())).unwrap();
    let poor: Vec<Signed> = (150..155)
        .map(|seed| {
            let outcome = sale.pay(&Payer::ed25519(seed)).send();
            let response = outcome.answer.payment_response().expect("an outcome");
            let pending = Code::SettlementPending.as_str();
            assert_eq!(response.error_reason.as_deref(), Some(pending));
            outcome.signed
        })
        .collect();
    pic.start_canister(ledger, Some(controller())).unwrap();
    setup.after(10);
    setup.after(10);
    assert_eq!(setup.held(), 5 * PRICE);
    poor
}

#[test]
fn keys_without_money_during_a_stop_leave_nothing_held_where_no_log_tells() {
    let setup = Setup::new();
    setup.without_log();
    let poor = keys_without_money(&setup);
    setup.after(DAY);
    assert_eq!(setup.held(), 5 * PRICE, "the window is not over");
    setup.after(HOUR);
    setup.after(HOUR);
    assert_eq!(setup.held(), 0);
    assert!(
        poor.iter()
            .all(|signed| has_lapsed(&setup.stands_at(signed)))
    );
    // The free balance can be taken out.
    setup.ledger.mint(&setup, setup.own(), PRICE);
    let args = WithdrawArgs {
        ledger: setup.ledger.0,
        from_subaccount: None,
        to: Principal::self_authenticating([8; 32]).into(),
        amount: Nat::from(PRICE - FEE),
        created_at_time: None,
    };
    let block: Result<Nat, WithdrawError> = setup.update(controller(), "withdraw", (args,));
    block.expect("nothing is held");
    // A controller resolves the open payments.
    for signed in &poor {
        let status = setup.resolve_as(controller(), signed, ResolvedOutcome::NotMoved);
        assert!(
            matches!(status, Ok(PaymentStatus::Failed { .. })),
            "{status:?}"
        );
    }
    setup.check_conservation();
}

#[test]
fn keys_without_money_during_a_stop_leave_nothing_held_where_a_log_tells() {
    let setup = Setup::new();
    let poor = keys_without_money(&setup);
    setup.after(WINDOW + HOUR);
    setup.after(HOUR);
    assert_eq!(setup.held(), 0);
    for signed in &poor {
        let status = setup.stands_at(signed);
        assert!(matches!(status, PaymentStatus::Failed { .. }), "{status:?}");
    }
    setup.check_conservation();
}

#[test]
fn a_controller_ends_what_no_log_can_tell() {
    let setup = Setup::new();
    setup.sell("/article", PRICE);
    setup.without_log();
    let payer = setup.payer(160);
    let made = setup.pays("/article", &payer, &Fault::lost_after_transfer());
    let not_made = setup.pays("/article", &payer, &Fault::reject());
    let block = setup.ledger.pulled_by(&setup, setup.canister)[0].block;
    // The repetition is refused, too, so nothing is proved before the expiry.
    let unavailable = Fault::transfer_from_error(TransferFromError::TemporarilyUnavailable);
    setup.ledger.fault(&setup, 100, &unavailable);
    setup.after(HOUR);
    for outcome in [moved(7), ResolvedOutcome::NotMoved] {
        for signed in [&made, &not_made] {
            let refused = setup.resolve_as(controller(), signed, outcome.clone());
            assert!(
                matches!(refused, Err(ResolveError::TooEarly { .. })),
                "{refused:?}"
            );
        }
    }
    setup.after(WINDOW);
    for caller in [operator(), stranger()] {
        let id = ByteBuf::from(made.id.0.to_vec());
        let outcome = moved(7);
        let arg = candid::encode_one(ResolveArgs { id, outcome }).unwrap();
        let dropped = setup.raw_update(caller, "payment_resolve", arg);
        dropped.expect_err("nobody but controllers");
    }
    let block = u64::try_from(block).unwrap();
    for _ in 0..2 {
        let status = setup.resolve_as(controller(), &made, moved(block));
        assert!(
            matches!(status, Ok(PaymentStatus::Settled { .. })),
            "{status:?}"
        );
        let status = setup.resolve_as(controller(), &not_made, ResolvedOutcome::NotMoved);
        assert!(
            matches!(status, Ok(PaymentStatus::Failed { .. })),
            "{status:?}"
        );
    }
    assert_eq!(setup.audited("payment_resolve"), 2, "recorded once each");
    let not_in_doubt = setup.resolve_as(controller(), &made, ResolvedOutcome::NotMoved);
    assert_eq!(not_in_doubt, Err(ResolveError::NotInDoubt));
    setup.check_conservation();
    // The resource waits for its payer.
    let sale = setup.sale(Request::get("/article"));
    sale.present(made).send().expect_settled();
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 1);
}

#[test]
fn a_controller_is_told_to_wait_where_a_log_decides() {
    let setup = Setup::new();
    setup.sell("/article", PRICE);
    let payer = setup.payer(161);
    let signed = setup.pays("/article", &payer, &Fault::reject());
    setup
        .ledger
        .fault_of(&setup, "icrc3_get_blocks", 1_000, &Fault::reject());
    let unavailable = Fault::transfer_from_error(TransferFromError::TemporarilyUnavailable);
    setup.ledger.fault(&setup, 100, &unavailable);
    setup.after(WINDOW + HOUR);
    let refused = setup.resolve_as(controller(), &signed, ResolvedOutcome::NotMoved);
    assert!(
        matches!(refused, Err(ResolveError::LogDecides { .. })),
        "{refused:?}"
    );
    setup.after(7 * DAY);
    let status = setup.resolve_as(controller(), &signed, ResolvedOutcome::NotMoved);
    assert!(
        matches!(status, Ok(PaymentStatus::Failed { .. })),
        "{status:?}"
    );
    let unknown = ResolveArgs {
        id: ByteBuf::from(vec![7; 32]),
        outcome: ResolvedOutcome::NotMoved,
    };
    let refused: Result<PaymentStatus, ResolveError> =
        setup.update(controller(), "payment_resolve", (unknown,));
    assert_eq!(refused, Err(ResolveError::UnknownPayment));
}

/// A payment that settled while no request waited.
fn settled(setup: &Setup, path: &str, payer: &Payer) -> Signed {
    let signed = setup.pays(path, payer, &Fault::lost_after_transfer());
    setup.after(10);
    let status = setup.stands_at(&signed);
    assert!(
        matches!(status, PaymentStatus::Settled { .. }),
        "{status:?}"
    );
    signed
}

fn refunds_sent(setup: &Setup, signed: &Signed) -> usize {
    let memo = crate::support::conservation::refund_memo(&signed.id.0);
    let moves = setup.ledger.moves(setup);
    moves.iter().filter(|block| block.memo == memo).count()
}

#[test]
fn a_refund_in_doubt_is_made_once_more_and_exactly_once_when_a_controller_says_so() {
    let setup = Setup::new();
    setup.sell("/article", PRICE);
    setup.without_log();
    setup.ledger.mint(&setup, setup.own(), 5 * PRICE);
    let payer = setup.payer(162);
    let signed = settled(&setup, "/article", &payer);
    // No refund is made, and its outcome is unknown.
    setup
        .ledger
        .fault_of(&setup, TRANSFER, 1_000, &Fault::reject());
    let id = ByteBuf::from(signed.id.0.to_vec());
    let due: Result<PaymentStatus, RefundError> =
        setup.update(controller(), "refund_payment", (id,));
    due.expect("it is owed");
    setup.after(10);
    let early = setup.resolve_as(controller(), &signed, ResolvedOutcome::NotMoved);
    assert!(
        matches!(early, Err(ResolveError::TooEarly { .. })),
        "{early:?}"
    );
    setup.after(WINDOW);
    setup.after(HOUR);
    setup.after(HOUR);
    setup.ledger.behave(&setup);
    assert_eq!(refunds_sent(&setup, &signed), 0, "it stays in doubt");
    let said = setup.resolve_as(controller(), &signed, ResolvedOutcome::NotMoved);
    assert!(
        matches!(said, Ok(PaymentStatus::Refunding { .. })),
        "{said:?}"
    );
    setup.after(10);
    for _ in 0..4 {
        let status = setup.stands_at(&signed);
        assert!(
            matches!(status, PaymentStatus::Refunded { .. }),
            "{status:?}"
        );
        // The decision that led to another try does so only once.
        let again = setup.resolve_as(controller(), &signed, ResolvedOutcome::NotMoved);
        assert_eq!(again, Err(ResolveError::NotInDoubt));
        setup.after(HOUR);
        assert_eq!(refunds_sent(&setup, &signed), 1);
    }
    assert_eq!(setup.audited("payment_resolve"), 1);
    setup.check_conservation();
}

#[test]
fn a_stranger_with_an_own_account_and_a_payer_who_never_fetches_do_not_drain_the_treasury() {
    let setup = Setup::new();
    let theirs = Principal::self_authenticating([66; 32]).into();
    setup.sell_to("/theirs", theirs);
    setup.ledger.mint(&setup, setup.own(), 5 * PRICE);
    let payer = setup.payer(163);
    let signed = settled(&setup, "/theirs", &payer);
    setup.after(8 * DAY);
    for _ in 0..4 {
        setup.after(DAY);
    }
    let status = setup.stands_at(&signed);
    assert!(
        matches!(&status, PaymentStatus::Refunding { problem, .. } if problem.contains("controller")),
        "{status:?}"
    );
    assert_eq!(setup.ledger.balance(&setup, setup.own()), 5 * PRICE);
    assert_eq!(number(&setup.solvency().owed_refunds), 0);
    setup.check_conservation();
    setup.upgrade();
    // A controller agrees: then the refund is made, once.
    let id = || ByteBuf::from(signed.id.0.to_vec());
    let approve = |caller| {
        let said: Result<PaymentStatus, RefundError> =
            setup.update(caller, "refund_payment", (id(),));
        said
    };
    let arg = candid::encode_one(id()).unwrap();
    let dropped = setup.raw_update(operator(), "refund_payment", arg);
    dropped.expect_err("nobody but controllers");
    approve(controller()).expect("it waits for this");
    assert_eq!(approve(controller()), Err(RefundError::NotRefundable));
    setup.after(10);
    setup.after(HOUR);
    assert!(matches!(
        setup.stands_at(&signed),
        PaymentStatus::Refunded { .. }
    ));
    assert_eq!(approve(controller()), Err(RefundError::NotRefundable));
    setup.after(DAY);
    assert_eq!(refunds_sent(&setup, &signed), 1);
    let left = setup.ledger.balance(&setup, setup.own());
    assert_eq!(left, 4 * PRICE - FEE);
    setup.check_conservation();
}

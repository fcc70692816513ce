//! Canisters that sell something else than stored content: `access`, and notifications.

use crate::support::{
    Request, Setup,
    interface::{
        Access, AccessArgs, AccessError, Account, AdminAudit, NotifyStatus, PageArgs,
        PaymentsError, RouteError,
    },
    setup::{CYCLES, FEE, controller, stranger},
};
use candid::{Encode, Principal};
use serde_bytes::ByteBuf;

const PRICE: u128 = 30_000;

/// A canister whose method `x402_notify` does this.
fn told(setup: &Setup, does: &str) -> Principal {
    let id = setup
        .pic
        .create_canister_with_settings(Some(controller()), None);
    setup.pic.add_cycles(id, CYCLES);
    let reply = r#"(import "ic0" "msg_reply" (func $reply))
        (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))"#;
    let wat = format!(
        r#"(module {reply} (memory 1) (data (i32.const 0) "DIDL\00\00")
            (func (export "canister_update x402_notify") {does}))"#
    );
    let wasm = wat::parse_str(wat).expect("a module");
    setup
        .pic
        .install_canister(id, wasm, vec![], Some(controller()));
    id
}

const TAKES: &str = "(call $append (i32.const 0) (i32.const 6)) (call $reply)";

fn notify(setup: &Setup, target: Option<Principal>) -> Result<(), RouteError> {
    setup.update(controller(), "notify_set", (target,))
}

fn status(setup: &Setup) -> NotifyStatus {
    let status: Result<NotifyStatus, PaymentsError> =
        setup.query(controller(), "notify_status", ());
    status.expect("for controllers")
}

fn pass(setup: &Setup, seconds: u64) {
    setup.advance(seconds);
    for _ in 0..8 {
        setup.pic.tick();
    }
}

/// Pays for the article, and returns payer and payment id.
fn buys(setup: &Setup, seed: u8) -> (Account, ByteBuf) {
    let payer = setup.payer(seed);
    let sale = setup.sale(Request::get("/article"));
    let paid = sale.pay(&payer).send().expect_settled();
    let id = paid.signed.id.0.to_vec();
    (payer.account, ByteBuf::from(id))
}

fn shop() -> Setup {
    let setup = Setup::with_any_ledger();
    setup.sell("/article", PRICE);
    setup
}

#[test]
fn a_merchants_canister_is_told_of_each_payment_and_upgrades_lose_none() {
    let setup = shop();
    let target = told(&setup, TAKES);
    buys(&setup, 70);
    assert_eq!(status(&setup).latest_event_id, 0, "before it was named");
    notify(&setup, Some(target)).expect("a canister");
    buys(&setup, 71);
    pass(&setup, 10);
    let after = status(&setup);
    assert_eq!(
        (after.sent, after.waiting, after.target),
        (2, 0, Some(target))
    );
    buys(&setup, 72);
    setup.upgrade();
    pass(&setup, 10);
    let after = status(&setup);
    assert_eq!((after.sent, after.waiting, after.dropped), (4, 0, 0));
    setup.check_conservation();
}

#[test]
fn attack_a_notified_canister_that_traps_is_stopped_or_deleted_delays_no_payment() {
    let setup = shop();
    let traps = told(&setup, "unreachable");
    let stopped = told(&setup, TAKES);
    let deleted = told(&setup, TAKES);
    setup
        .pic
        .stop_canister(stopped, Some(controller()))
        .unwrap();
    setup
        .pic
        .stop_canister(deleted, Some(controller()))
        .unwrap();
    setup
        .pic
        .delete_canister(deleted, Some(controller()))
        .unwrap();
    let mut sold = 0;
    for (seed, target) in [
        (70, traps),
        (71, setup.ledger_like()),
        (72, deleted),
        (73, stopped),
    ] {
        notify(&setup, Some(target)).expect("a canister");
        buys(&setup, seed);
        pass(&setup, 10);
        sold += 2;
        let after = status(&setup);
        assert_eq!((after.sent, after.waiting), (0, sold), "{target}");
        assert!(after.failures > 0 && after.next_try.is_some());
    }
    setup
        .pic
        .start_canister(stopped, Some(controller()))
        .unwrap();
    pass(&setup, 3_600);
    pass(&setup, 10);
    let after = status(&setup);
    assert_eq!((after.sent, after.waiting, after.failures), (sold, 0, 0));
    // Nobody else sets it, and the ledger is refused.
    let refused: Result<(), RouteError> =
        setup.update(controller(), "notify_set", (Some(setup.ledger.0),));
    assert!(matches!(refused, Err(RouteError::InvalidArgument(error)) if error.field == "target"));
    let argument = Encode!(&Some(stopped)).unwrap();
    assert!(
        setup
            .raw_update(stranger(), "notify_set", argument)
            .is_err()
    );
    let page: Result<Vec<AdminAudit>, PaymentsError> =
        setup.query(controller(), "audit_admin", (PageArgs::default(),));
    let actions = page.unwrap().into_iter().map(|entry| entry.action);
    assert_eq!(actions.filter(|action| action == "notify_set").count(), 4);
    setup.check_conservation();
}

impl Setup {
    /// A canister that has no method `x402_notify`.
    fn ledger_like(&self) -> Principal {
        self.another_canister()
    }
}

#[test]
fn a_canister_asks_who_has_bought_and_consensus_answers() {
    let setup = shop();
    let (payer, payment_id) = buys(&setup, 70);
    let args = AccessArgs {
        payer: payer.owner,
        payment_id,
        method: "GET".into(),
        path: "/article".into(),
    };
    let ask = |caller: Principal, args: &AccessArgs| -> Result<Access, AccessError> {
        setup.update(caller, "access", (args,))
    };
    let granted = ask(payer.owner, &args).expect("the payer may ask");
    assert_eq!(granted.receipt.payer, Some(payer));
    assert_eq!(granted.receipt.fee, FEE);
    let other = AccessArgs {
        path: "/other".into(),
        ..args.clone()
    };
    assert_eq!(ask(payer.owner, &other), Err(AccessError::NotPaid));
    let queried: Result<Access, AccessError> = setup.query(payer.owner, "access", (&args,));
    assert_eq!(queried, Ok(granted));
}

#[test]
fn a_stranger_learns_nothing_from_access() {
    let setup = shop();
    let (payer, payment_id) = buys(&setup, 70);
    let args = |path: &str| AccessArgs {
        payer: payer.owner,
        payment_id: payment_id.clone(),
        method: "GET".into(),
        path: path.into(),
    };
    let ask = |path: &str| -> Result<Access, AccessError> {
        setup.update(stranger(), "access", (args(path),))
    };
    for path in ["/article", "/other"] {
        assert_eq!(ask(path), Err(AccessError::Unauthorized));
    }
    let named: Result<(), RouteError> =
        setup.update(controller(), "access_readers_set", (vec![stranger()],));
    named.expect("controllers name readers");
    assert!(ask("/article").is_ok());
    setup.upgrade();
    assert!(ask("/article").is_ok());
    let readers: Vec<Principal> = setup.query(stranger(), "access_readers", ());
    assert_eq!(readers, [stranger()]);
}

//! Routes whose work another canister does.

use super::*;
use crate::domain::{
    forward::{Forward, Mode, OnFailure},
    payment::{RefundCause, RefundProblem, WorkProblem},
    route::RouteDraft,
    work::{MAX_ANSWER_BYTES, MAX_CALLS, REFUND_AFTER, WorkRequest},
};
use serde_bytes::ByteBuf;
use tollkeeper_types::{HeaderField, ServeArgs, Served};

/// The canister that does the work.
const TARGET: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 77, 1, 1];

pub(super) fn forward() -> Forward {
    Forward {
        canister: Principal::from_slice(&TARGET),
        mode: Mode::Serve,
        idempotent: false,
        on_failure: OnFailure::Refund,
    }
}

pub(super) fn retrying() -> Forward {
    Forward {
        idempotent: true,
        on_failure: OnFailure::Retry,
        ..forward()
    }
}

impl Shop {
    /// Replaces the stored content by a target.
    pub(super) fn forward(&self, forward: Option<Forward>) {
        self.runtime.caller.set(self.runtime.controller);
        let route = storage::routes::get(&self.route).unwrap();
        let draft = RouteDraft {
            prices: route.prices.clone(),
            forward,
            ..draft("/a")
        };
        catalogue::put(&self.runtime, draft).unwrap();
    }

    pub(super) fn work_request(&self, nonce: u8) -> PaymentRequest {
        let mut request = self.request(1, nonce);
        let headers = [("accept".to_string(), "*/*".to_string())];
        request.work = Some(WorkRequest::new("/a", "b=c", &headers, b"please"));
        request
    }

    pub(super) fn will_serve(&self, status: u16, body: &[u8]) -> &Self {
        self.runtime.will_reply(served(status, vec![], body));
        self
    }

    /// The calls of the target.
    pub(super) fn works(&self) -> usize {
        let calls = self.runtime.calls.borrow();
        let of_target = |call: &&crate::runtime::scripted::MadeCall| {
            call.canister == Principal::from_slice(&TARGET)
        };
        calls.iter().filter(of_target).count()
    }

    /// The calls that took money.
    pub(super) fn charges(&self) -> usize {
        let calls = self.runtime.calls.borrow();
        let charging = calls
            .iter()
            .filter(|call| call.method == "icrc2_transfer_from");
        charging.count()
    }
}

pub(super) fn served(status: u16, headers: Vec<HeaderField>, body: &[u8]) -> Served {
    Served {
        status,
        headers,
        body: ByteBuf::from(body.to_vec()),
        units: None,
    }
}

pub(super) fn shop_with(target: Forward) -> Shop {
    let shop = shop();
    shop.forward(Some(target));
    shop
}

fn problem(state: &State) -> WorkProblem {
    match state {
        State::Undone { problem, .. } => *problem,
        other => panic!("expected work that is not done, got {other:?}"),
    }
}

fn refund(state: &State) -> (RefundCause, RefundProblem) {
    match state {
        State::Refunding { cause, problem, .. } => (*cause, *problem),
        other => panic!("expected a refund, got {other:?}"),
    }
}

const DUE: (RefundCause, RefundProblem) = (RefundCause::NotDone, RefundProblem::NotTried);

const WAITS: (RefundCause, RefundProblem) = (RefundCause::NotDone, RefundProblem::NeedsController);

fn note(outcome: PayOutcome) -> &'static str {
    match outcome {
        PayOutcome::Duplicate { note, .. } => note.unwrap_or("no note"),
        other => panic!("expected no delivery, got {other:?}"),
    }
}

#[test]
fn a_payment_is_worked_for_once_and_the_answer_given_again_byte_for_byte() {
    let shop = shop_with(forward());
    let request = shop.work_request(1);
    shop.will(block(7)).will_serve(201, b"done");
    let first = shop.settle(&request);
    let PayOutcome::Paid { resource, .. } = &first else {
        panic!("{first:?}");
    };
    assert_eq!(
        (resource.status, resource.body.as_slice()),
        (201, &b"done"[..])
    );
    assert_eq!(
        resource.mime_type, "text/html; charset=utf-8",
        "the route's"
    );
    assert!(matches!(shop.state(&request), State::Delivered { .. }));
    let call = shop.runtime.calls.borrow()[1].clone();
    assert_eq!(call.method, "x402_serve");
    let args = Decode!(&call.argument, ServeArgs).unwrap();
    assert_eq!(args.payment_id.as_slice(), id(&request).0);
    assert_eq!(
        (args.url.as_str(), args.body.as_slice()),
        ("/a?b=c", &b"please"[..])
    );
    assert_eq!(args.method, "GET");
    // Again, also after an upgrade, and after the route was changed and removed.
    assert_eq!(shop.settle(&request), first);
    shop.upgrade();
    shop.forward(None);
    assert_eq!(shop.settle(&request), first);
    shop.runtime.caller.set(shop.runtime.controller);
    catalogue::remove(&shop.runtime, &shop.route).unwrap();
    assert_eq!(shop.settle(&request), first);
    assert_eq!((shop.charges(), shop.works()), (1, 1));
    assert_eq!(
        storage::works::bytes(),
        0,
        "the request is kept no longer than needed"
    );
    // After the retention it is gone.
    shop.later(8 * 86_400);
    assert!(matches!(
        shop.settle(&request),
        PayOutcome::Duplicate { .. }
    ));
    shop.tick();
    assert_eq!(storage::answers::bytes(), 0);
}

#[test]
fn nothing_is_called_if_no_money_moved() {
    let shop = shop_with(forward());
    let request = shop.work_request(1);
    let poor = TransferFromError::InsufficientFunds {
        balance: Nat::from(0u8),
    };
    shop.will(Err(poor));
    assert_eq!(failed(shop.settle(&request)), Code::InsufficientFunds);
    assert_eq!((shop.works(), storage::works::bytes()), (0, 0));
    // In doubt, too: the work begins when the money has moved.
    let doubtful = shop.work_request(2);
    shop.will_reject(6);
    assert!(is_pending(&shop.settle(&doubtful)));
    assert_eq!(shop.works(), 0);
    shop.will(block(9)).will_serve(200, b"late");
    shop.later(10);
    assert_eq!(shop.fetch(&doubtful), b"late");
}

/// Work for a payment that settles while no request waits begins when its request comes again.
#[test]
fn work_begins_when_somebody_is_there_to_get_it() {
    let shop = shop_with(forward());
    let request = shop.work_request(1);
    shop.will_reject(6);
    assert!(is_pending(&shop.settle(&request)));
    shop.later(10).will(block(9));
    shop.tick();
    assert!(matches!(shop.state(&request), State::Settled { .. }));
    assert_eq!(shop.works(), 0);
    shop.will_serve(200, b"here");
    assert_eq!(shop.fetch(&request), b"here");
    assert_eq!((shop.works(), storage::works::bytes()), (1, 0));
}

#[test]
fn work_that_nobody_comes_for_is_refunded_unbegun() {
    let shop = shop_with(forward());
    let request = shop.work_request(1);
    shop.will_reject(6);
    let _ = shop.settle(&request);
    shop.later(10).will(block(9));
    shop.tick();
    shop.later(7 * 86_400 + 1);
    retention::sweep(&shop.runtime);
    let (cause, _) = refund(&shop.state(&request));
    assert_eq!(cause, RefundCause::NotFetched);
    assert_eq!((shop.works(), storage::works::bytes()), (0, 0));
}

#[test]
fn attack_46_a_target_that_fails_is_refunded_and_not_called_twice() {
    let reject = |code| CallOutcome::Rejected {
        code,
        message: String::new(),
    };
    let reply = |status, body: &[u8]| {
        CallOutcome::Reply(candid::encode_one(served(status, vec![], body)).unwrap())
    };
    let cases = [
        ("error", reply(500, b"")),
        ("refusal", reply(404, b"")),
        ("trap", reject(5)),
        ("reject", reject(4)),
        ("deleted", reject(3)),
        ("2 MB", reply(200, &[0; MAX_ANSWER_BYTES + 1])),
    ];
    let mut n = 0;
    for (name, end) in cases {
        for target in [forward(), retrying()] {
            n += 1;
            let shop = shop_with(target);
            let request = shop.work_request(n);
            shop.will(block(u64::from(n)));
            shop.runtime.will(end.clone());
            let kept = storage::works::bytes();
            let outcome = shop.settle(&request);
            if target == retrying() && name != "refusal" {
                assert!(is_pending(&outcome), "{name}");
                continue;
            }
            let (due, told) = match name {
                "refusal" => (WAITS, "merchant decides"),
                _ => (DUE, "is refunded"),
            };
            assert!(note(outcome).contains(told), "{name}");
            assert_eq!(refund(&shop.state(&request)), due, "{name}");
            assert!(note(shop.settle(&request)).contains(told), "{name}");
            assert_eq!((shop.charges(), shop.works()), (1, 1), "{name}");
            assert_eq!(storage::works::bytes(), kept, "{name}");
        }
    }
}

#[test]
fn attack_46_a_target_that_never_answers_is_not_called_again_and_refunded_later() {
    let shop = shop_with(forward());
    let request = shop.work_request(1);
    shop.will(block(7)).will_reject(6);
    assert!(is_pending(&shop.settle(&request)));
    assert_eq!(problem(&shop.state(&request)), WorkProblem::NoAnswer);
    shop.later(REFUND_AFTER.0 - 1).tick();
    assert!(is_pending(&shop.settle(&request)));
    shop.later(1).tick();
    assert_eq!(refund(&shop.state(&request)), DUE);
    assert_eq!((shop.charges(), shop.works()), (1, 1));
}

#[test]
fn a_target_that_declares_itself_idempotent_is_called_again_with_the_same_argument() {
    let shop = shop_with(retrying());
    let request = shop.work_request(1);
    shop.will(block(7)).will_reject(6);
    assert!(is_pending(&shop.settle(&request)));
    for status in [500, 503] {
        shop.later(700).will_serve(status, b"");
        shop.tick();
        assert_eq!(problem(&shop.state(&request)), WorkProblem::Failed);
    }
    shop.later(700).will_serve(200, b"at last");
    shop.tick();
    assert!(matches!(shop.state(&request), State::Delivered { .. }));
    assert_eq!(shop.fetch(&request), b"at last");
    assert_eq!((shop.charges(), shop.works()), (1, 4));
    let calls = shop.runtime.calls.borrow();
    let tries: Vec<_> = calls
        .iter()
        .filter(|call| call.method == "x402_serve")
        .collect();
    assert!(tries.iter().all(|call| **call == *tries[0]));
}

#[test]
fn a_target_that_keeps_failing_is_called_a_bounded_number_of_times() {
    let shop = shop_with(retrying());
    let request = shop.work_request(1);
    shop.will(block(7)).will_serve(500, b"");
    let _ = shop.settle(&request);
    for _ in 1..MAX_CALLS {
        shop.later(3_600).will_serve(500, b"");
        shop.tick();
    }
    assert_eq!(refund(&shop.state(&request)), DUE);
    assert_eq!((shop.charges(), shop.works()), (1, usize::from(MAX_CALLS)));
}

/// A route that retries repeats for a target that is not idempotent only what provably did not run.
#[test]
fn attack_46_a_try_that_may_have_run_is_not_repeated() {
    let shop = shop_with(Forward {
        idempotent: false,
        ..retrying()
    });
    let request = shop.work_request(1);
    shop.will(block(7)).will_reject(2);
    assert!(is_pending(&shop.settle(&request)));
    assert_eq!(problem(&shop.state(&request)), WorkProblem::NotRun);
    shop.later(60).will_reject(6);
    shop.tick();
    assert_eq!(problem(&shop.state(&request)), WorkProblem::NoAnswer);
    shop.later(REFUND_AFTER.0).tick();
    assert_eq!(refund(&shop.state(&request)), DUE);
    assert_eq!(shop.works(), 2);
}

#[test]
fn attack_46_a_target_that_calls_back_meanwhile_finds_the_work_locked() {
    let shop = shop_with(retrying());
    let request = shop.work_request(1);
    shop.will(block(7));
    shop.runtime
        .leave_waiting(settle(&shop.runtime, request.clone()));
    assert!(matches!(
        shop.state(&request),
        State::Working { attempt: 1, .. }
    ));
    // The same payment, the timer, and a controller.
    assert!(is_pending(&shop.settle(&request)));
    shop.tick();
    shop.runtime.caller.set(shop.runtime.controller);
    let owed = crate::service::refund::owe(&shop.runtime, &id(&request));
    assert!(owed.is_err(), "nothing is refunded while the target works");
    assert_eq!((shop.charges(), shop.works()), (1, 1));
    assert_eq!(storage::works::in_progress(), 1);
}

/// At every await: before the ledger's answer, and before the target's.
#[test]
fn attack_46_an_upgrade_in_the_middle_leaves_the_work_unknown_and_the_timer_resolves_it() {
    for (n, target) in [(1, forward()), (3, retrying())] {
        let shop = shop_with(target);
        let paying = shop.work_request(n);
        shop.runtime
            .leave_waiting(settle(&shop.runtime, paying.clone()));
        shop.upgrade();
        assert!(matches!(shop.state(&paying), State::Unknown { .. }));
        shop.later(10)
            .will(block(n.into()))
            .will_serve(200, b"done");
        assert_eq!(shop.fetch(&paying), b"done");

        let working = shop.work_request(n + 1);
        shop.will(block(u64::from(n) + 1));
        shop.runtime
            .leave_waiting(settle(&shop.runtime, working.clone()));
        assert!(matches!(shop.state(&working), State::Working { .. }));
        shop.upgrade();
        assert_eq!(problem(&shop.state(&working)), WorkProblem::Upgraded);
        assert!(shop.runtime.woken.get().is_some());
        if target == retrying() {
            shop.will_serve(200, b"again");
            shop.later(60).tick();
            assert_eq!(shop.fetch(&working), b"again");
        } else {
            shop.later(REFUND_AFTER.0).tick();
            assert_eq!(refund(&shop.state(&working)), DUE);
        }
        let works = if target == retrying() { 3 } else { 2 };
        assert_eq!(
            (shop.charges(), shop.works()),
            (3, works),
            "one is repeated"
        );
    }
}

/// The reply is dropped without an upgrade, as after a trap: the guard records the doubt.
#[test]
fn a_trap_while_the_answer_is_handled_leaves_the_work_unknown() {
    let shop = shop_with(forward());
    let request = shop.work_request(1);
    shop.will(block(7));
    shop.runtime.hold.set(true);
    let mut work = Box::pin(settle(&shop.runtime, request.clone()));
    assert!(poll(work.as_mut()).is_pending());
    drop(work);
    assert_eq!(problem(&shop.state(&request)), WorkProblem::Trapped);
    assert!(shop.runtime.woken.get().is_some());
}

/// If no reply arrives at all, the work is unknown when none can arrive any more.
#[test]
fn an_answer_that_never_arrives_is_given_up() {
    let shop = shop_with(forward());
    let request = shop.work_request(1);
    shop.will(block(7));
    shop.runtime
        .leave_waiting(settle(&shop.runtime, request.clone()));
    shop.later(601).tick();
    assert_eq!(problem(&shop.state(&request)), WorkProblem::NoAnswer);
    shop.later(REFUND_AFTER.0).tick();
    assert_eq!(refund(&shop.state(&request)), DUE);
}

#[test]
fn a_refund_of_money_that_somebody_else_has_waits_for_a_controller() {
    let shop = shop_with(forward());
    let mut route = Route::clone(&storage::routes::get(&shop.route).unwrap());
    route.own_pay_to = Some(Account::from(Principal::from_slice(&[8; 29])));
    storage::routes::put(route);
    let request = shop.work_request(1);
    shop.will(block(7)).will_serve(500, b"");
    assert!(note(shop.settle(&request)).contains("merchant decides"));
    assert_eq!(refund(&shop.state(&request)), WAITS);
    assert!(note(shop.settle(&request)).contains("merchant decides"));
    assert_eq!(shop.works(), 1);
}

/// Payers choose which requests are refused. What they paid to `pay_to` is not taken out of the treasury for that.
#[test]
fn attack_46_requests_that_are_refused_on_purpose_do_not_move_the_treasury_to_the_merchant() {
    for (nonce, here) in [(1, false), (2, true)] {
        let shop = shop_with(forward());
        let mut settings = config();
        if here {
            settings.pay_to = Account::from(shop.runtime.canister_id());
        }
        storage::config::write(&settings).unwrap();
        let request = shop.work_request(nonce);
        shop.will(block(nonce.into())).will_serve(422, b"");
        let _ = shop.settle(&request);
        let expected = if here { DUE } else { WAITS };
        assert_eq!(refund(&shop.state(&request)), expected);
    }
}

/// Both calls have to be affordable before a payment is recorded.
#[test]
fn a_payment_whose_work_cannot_be_afforded_is_refused_uncharged() {
    let shop = shop_with(forward());
    let floor = storage::config::read().limits.cycles_floor;
    let call = ScriptedRuntime::CALL_COST.0;
    let one = Cycles(floor.0.max(with_spare(Cycles(call)).0) + call / 4);
    let both = with_spare(Cycles(2 * call));
    assert!(one < both || floor > both);
    if floor < both {
        shop.runtime.cycles.set(Cycles(both.0 - 1));
        let code = refused(shop.settle(&shop.work_request(1)));
        assert_eq!(code, Code::LedgerUnavailable);
    }
    assert_eq!(shop.runtime.made(), 0);
}

#[test]
fn answers_that_have_no_room_are_not_sold() {
    let shop = shop_with(forward());
    let mut config = config();
    config.limits.max_content_total_bytes = 2 * MAX_ANSWER_BYTES as u64;
    storage::config::write(&config).unwrap();
    let code = refused(shop.settle(&shop.work_request(1)));
    assert_eq!(code, Code::LedgerUnavailable, "the request has no room");
    config.limits.max_content_total_bytes += 1_000;
    storage::config::write(&config).unwrap();
    shop.will(block(7)).will_serve(200, b"small");
    assert_eq!(shop.fetch(&shop.work_request(2)), b"small");
    let full = shop.work_request(3);
    assert_eq!(refused(shop.settle(&full)), Code::LedgerUnavailable);
    assert_eq!((shop.charges(), shop.works()), (1, 1));
}

#[test]
fn attack_46_a_path_that_the_target_reads_otherwise_is_refused() {
    let shop = shop_with(forward());
    let mut request = shop.work_request(1);
    request.purchase = Purchase::Route(RouteKey::new(Method::Get, "/a/../dear"));
    assert_eq!(refused(shop.settle(&request)), Code::OfferMismatch);
    assert_eq!(shop.runtime.made(), 0);
}

/// The target that was chosen when the payment was opened does the work, whatever the route says later.
#[test]
fn a_route_that_changes_meanwhile_changes_no_work_that_was_sold() {
    let shop = shop_with(forward());
    let request = shop.work_request(1);
    shop.will_reject(6);
    let _ = shop.settle(&request);
    let other = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 78, 1, 1]);
    shop.forward(Some(Forward {
        canister: other,
        ..forward()
    }));
    shop.later(10).will(block(7)).will_serve(200, b"sold");
    assert_eq!(shop.fetch(&request), b"sold");
    assert_eq!(shop.works(), 1);
}

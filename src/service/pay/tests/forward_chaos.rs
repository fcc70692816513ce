//! Forward targets that do anything, in any order of requests, ticks, upgrades and time: the laws that hold whatever
//! happens.

use super::{
    forward::{forward as target, served, shop_with},
    *,
};
use crate::domain::forward::{Forward, OnFailure};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// How a call of the target ends.
#[derive(Clone, Debug)]
enum End {
    Served(u16, u8),
    Rejected(u32),
    NotSent,
    Garbage,
    /// The reply never comes, and the canister is upgraded meanwhile.
    Upgraded,
    /// The reply never comes.
    Never,
}

#[derive(Clone, Debug)]
enum Step {
    Request(End),
    Tick(End),
    Upgrade,
    Later(u32),
    Route,
    Owe,
}

fn arb_end() -> impl Strategy<Value = End> {
    prop_oneof![
        (
            prop::sample::select(vec![200, 201, 303, 404, 500, 304, 99]),
            any::<u8>()
        )
            .prop_map(|(status, body)| End::Served(status, body)),
        (1u32..=6).prop_map(End::Rejected),
        Just(End::NotSent),
        Just(End::Garbage),
        Just(End::Upgraded),
        Just(End::Never),
    ]
}

fn arb_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => arb_end().prop_map(Step::Request),
        4 => arb_end().prop_map(Step::Tick),
        1 => Just(Step::Upgrade),
        3 => (1u32..2_000).prop_map(Step::Later),
        1 => Just(Step::Route),
        1 => Just(Step::Owe),
    ]
}

/// What happened.
#[derive(Default)]
struct Seen {
    /// Calls of the target that may have run.
    runs: usize,
    bodies: BTreeSet<Vec<u8>>,
    refunding: bool,
}

impl Shop {
    /// Does this while the target's next call ends so.
    fn ends(&self, end: &End, seen: &mut Seen, act: impl Future<Output = Option<PayOutcome>>) {
        let before = self.works();
        let reject = |code| CallOutcome::Rejected {
            code,
            message: String::new(),
        };
        let outcome = match end {
            End::Served(status, body) => {
                let reply = candid::encode_one(served(*status, vec![], &[*body]));
                Some(CallOutcome::Reply(reply.unwrap()))
            }
            End::Rejected(code) => Some(reject(*code)),
            End::NotSent => Some(CallOutcome::NotSent(String::new())),
            End::Garbage => Some(CallOutcome::Reply(b"garbage".to_vec())),
            End::Upgraded | End::Never => None,
        };
        if let Some(outcome) = outcome {
            self.runtime.will(outcome);
        }
        self.runtime.hold.set(true);
        let mut act = Box::pin(act);
        let done = poll(act.as_mut());
        self.runtime.hold.set(false);
        self.runtime.forget_answers();
        let called = self.works() - before;
        assert!(called <= 1, "one message, one call");
        let ran = !matches!(end, End::NotSent | End::Rejected(1..=3));
        seen.runs += called * usize::from(ran);
        match done {
            Poll::Ready(Some(PayOutcome::Paid { resource, .. })) => {
                assert!(!seen.refunding, "delivered and refunded");
                seen.bodies.insert(resource.body);
            }
            Poll::Ready(_) => {}
            Poll::Pending => {
                std::mem::forget(act);
                if matches!(end, End::Upgraded) {
                    self.upgrade();
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A payment is charged once. Without the target's promise at most one call may have run, and with it at most ten.
    /// One body is delivered, byte for byte, or the payer is refunded, never both; and it does not stay open.
    #[test]
    fn attack_46_whatever_a_target_does_its_work_is_sold_once_or_refunded(
        idempotent: bool,
        retries: bool,
        steps in prop::collection::vec(arb_step(), 1..30),
    ) {
        std::thread::spawn(move || goes(idempotent, retries, &steps)).join().map_err(|_| {
            TestCaseError::fail("see the panic")
        })?;
    }
}

fn goes(idempotent: bool, retries: bool, steps: &[Step]) {
    let forward = Forward {
        idempotent,
        on_failure: if retries {
            OnFailure::Retry
        } else {
            OnFailure::Refund
        },
        ..target()
    };
    let shop = shop_with(forward);
    let request = shop.work_request(1);
    let mut seen = Seen::default();
    shop.will_reject(6);
    assert!(is_pending(&shop.settle(&request)));
    shop.runtime.now.set(NOW.plus(Seconds(6)));
    shop.will(block(7));
    run(crate::service::recover::tick(&shop.runtime));
    let key = request.claim_key();
    for step in steps {
        match step {
            Step::Request(end) => shop.ends(end, &mut seen, async {
                Some(settle(&shop.runtime, request.clone()).await)
            }),
            Step::Tick(end) => shop.ends(end, &mut seen, async {
                work::step(&shop.runtime, &key).await;
                None
            }),
            Step::Upgrade => shop.upgrade(),
            Step::Later(seconds) => {
                let now = shop.runtime.now();
                shop.runtime.now.set(now.plus(Seconds(*seconds)));
            }
            Step::Route => shop.forward(None),
            Step::Owe => {
                shop.runtime.caller.set(shop.runtime.controller);
                let _ = crate::service::refund::owe(&shop.runtime, &id(&request));
            }
        }
        check(&shop, &request, &mut seen, idempotent);
    }
    // The target answers nothing any more, and time passes.
    for _ in 0..40 {
        let now = shop.runtime.now();
        shop.runtime.now.set(now.plus(Seconds(3_600)));
        shop.ends(&End::Rejected(5), &mut seen, async {
            work::step(&shop.runtime, &key).await;
            None
        });
        check(&shop, &request, &mut seen, idempotent);
    }
    let state = shop.state(&request);
    let open = matches!(state, State::Working { .. } | State::Undone { .. });
    assert!(!open, "{state:?}");
    assert_eq!(storage::works::in_progress(), 0);
}

fn check(shop: &Shop, request: &PaymentRequest, seen: &mut Seen, idempotent: bool) {
    let state = shop.state(request);
    seen.refunding |= matches!(state, State::Refunding { .. });
    assert!(seen.bodies.len() <= 1, "{:?}", seen.bodies);
    assert!(seen.bodies.is_empty() || !seen.refunding);
    let most = if idempotent { 10 } else { 1 };
    assert!(seen.runs <= most, "{} calls may have run", seen.runs);
    let wanted = state.is_owed() && !state.waits_for_controller();
    assert_eq!(
        storage::works::get(&id(request)).is_some(),
        wanted,
        "{state:?}"
    );
}

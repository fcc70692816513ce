//! Random days in a shop whose ledger fails in every way it can: the conservation law holds after every
//! step, and in the end every payer has what was paid for.

use crate::support::{Request, Setup, Signed, flow::GOODS, ledger::number};
use proptest::prelude::*;
use test_ledger::testing::Fault;
use x402_icp::Code;

/// One step of a day.
#[derive(Clone, Debug)]
enum Step {
    /// A new payment, the ledger answering as told.
    Pay {
        payer: usize,
        route: usize,
        fault: usize,
    },
    /// An earlier payment again, the ledger answering as told.
    Repeat {
        payment: usize,
        fault: usize,
    },
    /// An earlier payment for another route.
    Misuse {
        payment: usize,
        route: usize,
    },
    /// The price changes.
    Reprice {
        route: usize,
        amount: u16,
    },
    /// The ledger's allowance or balance runs out, or comes back.
    Approve {
        payer: usize,
        amount: u32,
    },
    Upgrade,
    Wait {
        seconds: u16,
    },
}

const ROUTES: [&str; 3] = ["/one", "/two", "/data/{id}"];
const URLS: [&str; 3] = ["/one", "/two", "/data/5"];

fn faults() -> [Option<Fault>; 8] {
    [
        None,
        None,
        None,
        Some(Fault::reject()),
        Some(Fault::trap()),
        Some(Fault::lost_after_transfer()),
        Some(Fault::trap_after_transfer()),
        Some(Fault::garbage()),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_usize, 0..3_usize, 0..8_usize).prop_map(|(payer, route, fault)| Step::Pay { payer, route, fault }),
        4 => (0..50_usize, 0..8_usize).prop_map(|(payment, fault)| Step::Repeat { payment, fault }),
        2 => (0..50_usize, 0..3_usize).prop_map(|(payment, route)| Step::Misuse { payment, route }),
        1 => (0..3_usize, 1..9_999_u16).prop_map(|(route, amount)| Step::Reprice { route, amount }),
        1 => (0..3_usize, 0..100_000_u32).prop_map(|(payer, amount)| Step::Approve { payer, amount }),
        1 => Just(Step::Upgrade),
        1 => (1..60_u16).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

struct Made {
    signed: Signed,
    url: &'static str,
}

fn send(setup: &Setup, made: &Made, fault: usize) -> u16 {
    if let Some(fault) = &faults()[fault] {
        setup.ledger.fault(setup, 1, fault);
    }
    let answer = setup.send(&Request::get(made.url).payment(&made.signed.header()));
    let _: () = setup.update_at(
        setup.ledger.0,
        crate::support::setup::controller(),
        "test_clear_faults",
        (),
    );
    if let Some(outcome) = answer.payment_response() {
        assert_eq!(answer.payment_required(), None);
        assert_eq!(outcome.success, answer.status == 200);
        if outcome.error_reason.as_deref() == Some(Code::SettlementPending.as_str()) {
            assert_eq!(outcome.transaction, made.signed.id.to_string());
        }
    }
    if answer.status == 200 {
        assert_eq!(answer.body, GOODS);
    } else {
        assert_ne!(answer.body, GOODS);
    }
    answer.status
}

fn play(steps: &[Step]) {
    let setup = Setup::new();
    let payers: Vec<_> = (0..3).map(|seed| setup.payer(170 + seed)).collect();
    for route in ROUTES {
        drop(setup.sell(route, 1_000));
    }
    let mut made: Vec<Made> = Vec::new();
    for step in steps {
        match step {
            Step::Pay {
                payer,
                route,
                fault,
            } => {
                let url = URLS[*route];
                let offer = setup.sale(Request::get(url)).offer();
                let signed = payers[*payer].sign(&offer, setup.now());
                made.push(Made { signed, url });
                send(&setup, made.last().expect("just made"), *fault);
            }
            Step::Repeat { payment, fault } if !made.is_empty() => {
                send(&setup, &made[payment % made.len()], *fault);
            }
            Step::Misuse { payment, route } if !made.is_empty() => {
                let stolen = &made[payment % made.len()];
                if stolen.url != URLS[*route] {
                    let request = Request::get(URLS[*route]).payment(&stolen.signed.header());
                    assert_ne!(setup.send(&request).status, 200);
                }
            }
            Step::Reprice { route, amount } => {
                let args = setup.priced("GET", ROUTES[*route], (*amount).into());
                setup.route_put(args).expect("a good price");
            }
            Step::Approve { payer, amount } => {
                let account = payers[*payer].account;
                setup
                    .ledger
                    .approve(&setup, account, setup.canister, (*amount).into());
                setup.pay_fee(account);
            }
            Step::Upgrade => setup.upgrade(),
            Step::Wait { seconds } => setup.advance((*seconds).into()),
            Step::Repeat { .. } | Step::Misuse { .. } => {}
        }
        setup.check_books();
    }
    // Everybody whose money moved gets the goods by asking again, without paying again.
    let pulled = setup.ledger.pulled_by(&setup, setup.canister).len();
    for made in &made {
        let moved = setup
            .ledger
            .pulled_by(&setup, setup.canister)
            .iter()
            .any(|block| block.memo == made.signed.id.0);
        if moved {
            // A canister that met too many unclear answers gives the ledger a pause.
            let mut status = send(&setup, made, 0);
            for _ in 0..3 {
                if status != 200 {
                    setup.advance(301);
                    status = send(&setup, made, 0);
                }
            }
            assert_eq!(status, 200, "paid for and not delivered");
            let receipt = setup.receipt(made.signed.id.0).expect("a receipt");
            assert!(number(&receipt.amount) > 0);
        }
    }
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), pulled);
    setup.check_books();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn no_day_loses_money(steps in prop::collection::vec(step(), 10..30)) {
        play(&steps);
    }
}

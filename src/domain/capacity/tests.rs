use super::*;
use crate::{
    domain::{payment::Failure, rail::TxRef},
    types::BlockIndex,
};

const NOW: TimestampNs = TimestampNs(1_000_000_000_000);

const CYCLES: Cycles = Cycles(100_000_000_000_000);

/// The cost of a call on 13 nodes.
const CALL: Cycles = Cycles(42_102_673_000);

fn means(liquid: Cycles) -> Means {
    Means {
        liquid,
        call: CALL,
        spare: Cycles(CALL.0 / 8),
    }
}

fn at(limits: &Limits, load: &Load, liquid: Cycles, now: TimestampNs) -> Result<(), NoCapacity> {
    let capacity = check(limits, load, &means(liquid), now);
    capacity.public.and(capacity.of_payer)
}

fn checked(load: Load) -> Result<(), NoCapacity> {
    at(&Limits::default(), &load, CYCLES, NOW)
}

#[test]
fn every_limit_has_its_reason() {
    assert_eq!(checked(Load::default()), Ok(()));
    let none = Load::default();
    let few = Limits {
        max_payments: 7,
        ..Limits::default()
    };
    let floor = few.cycles_floor;
    // One call above the floor is enough, and less than one is too little.
    let one_call = Cycles(floor.0 + CALL.0 + CALL.0 / 8);
    assert_eq!(at(&few, &none, one_call, NOW), Ok(()));
    for less in [0, floor.0 - 1, floor.0, one_call.0 - 1] {
        let refused = at(&few, &none, Cycles(less), NOW);
        assert_eq!(refused, Err(NoCapacity::Cycles));
    }
    let mut busy = none;
    (busy.settling, busy.ledger.settling) = (1, 1);
    let refused = at(&few, &busy, Cycles(one_call.0 - 1), NOW);
    assert_eq!(refused, Err(NoCapacity::Places));
    let full = Load {
        settled: 5,
        open: 2,
        ..none
    };
    assert_eq!(at(&few, &full, CYCLES, NOW), Err(NoCapacity::Settled));
    let full_if_found = Load {
        settled: 5,
        lapsed: 2,
        ..none
    };
    let refused = at(&few, &full_if_found, CYCLES, NOW);
    assert_eq!(refused, Err(NoCapacity::Settled));
    assert_eq!(
        checked(Load {
            open: MAX_OPEN,
            ..none
        }),
        Err(NoCapacity::Open)
    );
    let of_ledger = Load {
        open_of_ledger: MAX_OPEN_PER_LEDGER,
        ..none
    };
    assert_eq!(checked(of_ledger), Err(NoCapacity::OpenOfLedger));
    let of_payer = Load {
        open_of_payer: MAX_OPEN_PER_PAYER,
        ..none
    };
    assert_eq!(checked(of_payer), Err(NoCapacity::OpenOfPayer));
    let failed = Load {
        failures_full: true,
        ..none
    };
    assert_eq!(checked(failed), Err(NoCapacity::Failures));
    let mut waiting = none;
    waiting.ledger.settling = MAX_SETTLING_PER_LEDGER;
    assert_eq!(checked(waiting), Err(NoCapacity::Ledger));
}

/// The places of an idle ledger that so many new keys get if each takes all that it can, while each payment holds back
/// the cycles of its call.
fn taken_by(keys: usize, cycles: Cycles) -> u32 {
    let mut load = Load::default();
    let mut liquid = cycles;
    for _ in 0..keys {
        (load.open_of_payer, load.settling_of_payer) = (0, 0);
        while at(&Limits::default(), &load, liquid, NOW).is_ok() {
            load.open_of_payer += 1;
            load.settling_of_payer += 1;
            load.settling += 1;
            load.ledger.settling += 1;
            liquid.0 -= CALL.0;
        }
    }
    load.ledger.settling
}

#[test]
fn three_throw_away_keys_do_not_take_all_places_of_a_ledger() {
    assert_eq!(taken_by(1, CYCLES), MAX_OPEN_PER_PAYER);
    assert!(taken_by(3, CYCLES) < 250);
    assert!(taken_by(20, CYCLES) < MAX_SETTLING_PER_LEDGER);
    assert_eq!(taken_by(1_000, CYCLES), MAX_SETTLING_PER_LEDGER);
}

#[test]
fn attack_33_with_five_trillion_cycles_one_key_takes_its_share_and_no_more() {
    const FIVE: Cycles = Cycles(5_000_000_000_000);
    // (5 T - 0.5 T) / 42.1 G = 106 places, 80 of them for one ledger.
    assert_eq!(taken_by(1, FIVE), 30);
    assert!(taken_by(3, FIVE) <= 50);
    assert_eq!(taken_by(1_000, FIVE), 80);
    // A second ledger has places when the first has none left.
    let mut load = Load {
        settling: 80,
        ..Load::default()
    };
    let left = Cycles(FIVE.0 - 80 * CALL.0);
    assert_eq!(at(&Limits::default(), &load, left, NOW), Ok(()));
    load.ledger.settling = 80;
    assert_eq!(
        at(&Limits::default(), &load, left, NOW),
        Err(NoCapacity::Ledger)
    );
}

#[test]
fn unknown_payments_hold_no_cycles_and_take_nothing_of_a_payers_share() {
    // Eleven places: nine for one ledger, and three of those for one payer.
    const ONE: Cycles = Cycles(1_000_000_000_000);
    let unknown = Load {
        open: 9,
        open_of_payer: 9,
        ..Load::default()
    };
    let small = |load: &Load| {
        let liquid = ONE.0 - u128::from(load.settling) * CALL.0;
        at(&Limits::default(), load, Cycles(liquid), NOW)
    };
    assert_eq!(small(&unknown), Ok(()));
    let mut busy = unknown;
    (busy.settling, busy.ledger.settling) = (3, 3);
    (busy.open, busy.open_of_payer) = (12, 12);
    busy.settling_of_payer = 2;
    assert_eq!(small(&busy), Ok(()));
    busy.settling_of_payer = 3;
    assert_eq!(small(&busy), Err(NoCapacity::OpenOfPayer));
    let many = Load {
        open_of_payer: MAX_OPEN_PER_PAYER,
        ..unknown
    };
    assert_eq!(small(&many), Err(NoCapacity::OpenOfPayer));
}

#[test]
fn places_follow_the_cycles_and_not_what_is_under_way() {
    let limits = Limits::default();
    for (trillions, all, of_ledger) in [(1, 11, 9), (5, 106, 80), (20, 463, 348), (100, 2_363, 400)]
    {
        let places = Places::new(
            &limits,
            &means(Cycles(trillions * 1_000_000_000_000)),
            0,
            false,
        );
        assert_eq!((places.all, places.of_ledger), (all, of_ledger));
        // The same with some of them taken.
        let taken = 7;
        let liquid = trillions * 1_000_000_000_000 - u128::from(taken) * CALL.0;
        let means = means(Cycles(liquid));
        assert_eq!(Places::new(&limits, &means, taken, false), places);
        let only = Places::new(&limits, &means, taken, true);
        assert_eq!(only.of_ledger, all.min(MAX_SETTLING_PER_LEDGER));
    }
    // The first payer gets the only place.
    let one = Places {
        all: 1,
        of_ledger: 1,
    };
    assert_eq!(one.share(0), 1);
    // On 34 nodes a call costs 110 G cycles.
    let dear = Means {
        call: Cycles(110_000_000_000),
        ..means(Cycles(5_000_000_000_000))
    };
    assert_eq!(Places::new(&limits, &dear, 0, false).all, 40);
}

#[test]
fn what_concerns_one_payer_is_no_public_fact() {
    let busy = Load {
        open_of_payer: MAX_OPEN_PER_PAYER,
        failing_payer: true,
        ..Load::default()
    };
    let capacity = check(&Limits::default(), &busy, &means(CYCLES), NOW);
    assert_eq!(capacity.public, Ok(()));
    assert_eq!(capacity.of_payer, Err(NoCapacity::OpenOfPayer));
}

#[test]
fn a_payer_who_only_fails_is_slowed_down_and_one_success_ends_it() {
    let payer = Principal::from_slice(&[1]);
    let failed = |kind| State::Failed {
        failure: Failure {
            kind,
            message: String::new(),
        },
        at: NOW,
    };
    let mut failing = FailingPayers::default();
    for _ in 0..MAX_FAILED_IN_A_ROW {
        assert!(!failing.contains(&payer, NOW));
        failing.note(payer, &failed(FailureKind::FeeChanged), NOW);
        failing.note(payer, &failed(FailureKind::InsufficientFunds), NOW);
    }
    assert!(failing.contains(&payer, NOW));
    assert!(!failing.contains(&payer, NOW.plus(FAILING_PAUSE)));
    let load = |open_of_payer| Load {
        failing_payer: true,
        open_of_payer,
        ..Load::default()
    };
    assert_eq!(checked(load(MAX_OPEN_OF_FAILING - 1)), Ok(()));
    assert_eq!(
        checked(load(MAX_OPEN_OF_FAILING)),
        Err(NoCapacity::FailingPayer)
    );
    let settled = State::Settled {
        tx: TxRef::Block(BlockIndex(1)),
        at: NOW,
    };
    failing.note(payer, &settled, NOW);
    assert!(!failing.contains(&payer, NOW));
    for n in 0..2 * MAX_FAILING as u32 {
        let payer = Principal::from_slice(&n.to_be_bytes());
        failing.note(payer, &failed(FailureKind::InsufficientAllowance), NOW);
    }
    assert!(failing.0.len() <= MAX_FAILING);
}

#[test]
fn a_ledger_that_answers_unclearly_gets_a_pause_and_then_one_payment() {
    let settling = State::Settling {
        attempt: 1,
        all_failed: true,
    };
    let unknown = State::Unknown {
        doubt: Doubt::Reject,
        since: NOW,
        attempts: 1,
        all_failed: false,
    };
    let mut load = Load::default();
    for _ in 0..MAX_DOUBTS {
        assert_eq!(checked(load), Ok(()));
        load.ledger.note(false, &settling, NOW);
        load.ledger.note(true, &unknown, NOW);
    }
    assert_eq!(load.ledger.settling, 0);
    assert_eq!(checked(load), Err(NoCapacity::Doubts));
    let later = NOW.plus(DOUBT_PAUSE);
    let check_later = |load: &Load| at(&Limits::default(), load, CYCLES, later);
    assert_eq!(check_later(&load), Ok(()));
    load.ledger.note(false, &settling, later);
    assert_eq!(
        check_later(&load),
        Err(NoCapacity::Doubts),
        "one test payment is enough"
    );
    load.ledger.note(
        true,
        &State::Settled {
            tx: TxRef::Block(BlockIndex(1)),
            at: later,
        },
        later,
    );
    assert_eq!(check_later(&load), Ok(()));
    assert_eq!(load.ledger.doubts, 0);

    // A refused repetition changes nothing: the system may have refused it.
    load.ledger.doubts = MAX_DOUBTS;
    let doubt = Doubt::RetryRefused;
    load.ledger.note(
        true,
        &State::Unknown {
            doubt,
            since: later,
            attempts: 2,
            all_failed: false,
        },
        later,
    );
    assert_eq!(load.ledger.doubts, MAX_DOUBTS);
}

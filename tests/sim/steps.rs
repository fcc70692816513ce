//! The choice of a world's steps.

use crate::{
    faults,
    kinds::{Kind, Kinds},
    plan::{Again, By, Mishap, Plan, Send, Step},
    rng::Rng,
};
use test_ledger::domain::rules::CheckOrder;

/// The world of this seed.
pub fn plan(seed: u64, length: usize) -> Plan {
    let mut rng = Rng::new(seed);
    let kinds = Kinds::of(seed, &mut rng);
    let ledgers = 2 + rng.index(2);
    // In some worlds, ledgers answer falsely.
    let lies = rng.percent(15);
    // Worlds with few and with many disturbances.
    let storm = rng.pick(&[4_u64, 12, 25]);
    let steps = (0..length)
        .map(|_| match rng.percent(storm) {
            true => storm_step(&mut rng, &kinds),
            false => match rng.percent(35).then(|| rng.pick(kinds.all())) {
                Some(kind) if kind != Kind::Usual => kind_step(&mut rng, kind),
                _ => step(&mut rng, lies),
            },
        })
        .collect();
    Plan {
        seed,
        kinds,
        ledgers,
        steps,
    }
}

fn send(rng: &mut Rng) -> Send {
    rng.pick(&[
        Send::AndWait,
        Send::AndWait,
        Send::AndWait,
        Send::AndGo,
        Send::AndGo,
        Send::Later,
    ])
}

fn by(rng: &mut Rng) -> By {
    rng.pick(&[By::Signature, By::Signature, By::Call])
}

/// The seconds for which it is valid. Some calls come too late, or name a time to come.
fn window(rng: &mut Rng, by: By) -> u64 {
    match by {
        By::Signature => rng.pick(&[20, 120, 600, 3_000]),
        By::Call => rng.pick(&[0, 20, 600, 600, 3_000, 3_600, 3_600, 3_605]),
    }
}

/// An ordinary step, including the ledger's faults.
fn step(rng: &mut Rng, lies: bool) -> Step {
    let any = |rng: &mut Rng| rng.index(1 << 20);
    // Mostly a recent one.
    let auth = any(rng);
    match rng.below(100) {
        10..=12 => Step::Transfer {
            payer: any(rng),
            route: any(rng),
            ledger: any(rng),
            variant: rng.below(4),
            edit: rng.below(16),
            send: send(rng),
        },
        0..=9 => {
            let by = by(rng);
            Step::Pay {
                payer: any(rng),
                route: any(rng),
                ledger: any(rng),
                variant: rng.below(4),
                window: window(rng, by),
                by,
                send: send(rng),
            }
        }
        13..=25 => buy(rng),
        26 => Step::PayOld {
            payer: any(rng),
            offer: any(rng),
            send: send(rng),
        },
        27 => Step::RefundPayment { auth },
        28 => Step::Recheck { auth },
        29 => Step::Withdraw {
            ledger: any(rng),
            account: any(rng),
            percent: 1 + rng.below(110),
            again: if rng.percent(30) {
                Again::Last
            } else {
                Again::No
            },
        },
        30..=44 => Step::Repeat {
            auth,
            copies: rng.pick(&[1, 1, 1, 2, 5]),
            send: send(rng),
        },
        45..=48 => Step::Replay {
            refused: any(rng),
            edit: rng.below(8),
            send: send(rng),
        },
        49..=50 => Step::Misuse {
            auth,
            variant: rng.below(8),
            send: send(rng),
        },
        51..=53 => Step::Cancel { auth },
        54..=55 => Step::Reprice {
            route: any(rng),
            amount: 1 + rng.below(60_000),
        },
        56..=57 => Step::Content { route: any(rng) },
        58 => Step::Approve {
            payer: any(rng),
            ledger: any(rng),
            amount: rng.pick(&[0, 15_000, 45_000, 1_000_000_000]),
        },
        59..=74 => Step::Fault {
            ledger: any(rng),
            planned: Box::new(faults::random(rng, lies)),
        },
        75..=76 => Step::ClearFaults { ledger: any(rng) },
        77..=80 => Step::Release { ledger: any(rng) },
        81..=85 => Step::UseIdAgain {
            call: any(rng),
            edit: rng.below(16),
            send: send(rng),
        },
        86..=89 => Step::Tick {
            rounds: 1 + rng.below(4),
        },
        _ => Step::Advance {
            seconds: rng.pick(&[1, 3, 6, 10, 30, 61, 61, 90, 305, 700]),
        },
    }
}

/// A disturbance of the network or its canisters.
fn storm_step(rng: &mut Rng, kinds: &Kinds) -> Step {
    let ledger = rng.index(1 << 20);
    let any = rng.index(1 << 20);
    match rng.below(41) {
        0..=3 => Step::Upgrade,
        4 | 5 => Step::UpgradeRunning,
        6 | 7 => Step::Stop,
        8..=10 => Step::Start,
        11..=13 => Step::Starve {
            liquid: rng.pick(&[
                0,
                1_000_000_000,
                30_000_000_000,
                60_000_000_000,
                400_000_000_000,
                700_000_000_000,
            ]),
        },
        14..=16 => Step::Feed,
        17 => Step::LedgerStop { ledger },
        18 | 19 => Step::LedgerStart { ledger },
        20 => Step::LedgerFreeze { ledger },
        21 => Step::Skew {
            ledger,
            seconds: rng.pick(&[-110, -70, -40, 0, 0, 40, 70]),
        },
        22 => Step::LedgerFee {
            ledger,
            fee: rng.pick(&[0, 5_000, 10_000, 20_000]),
        },
        23 => Step::LedgerEnable {
            ledger,
            enabled: rng.percent(70),
        },
        24 => Step::LedgerAdd { ledger },
        25 => Step::Operator {
            add: rng.percent(50),
        },
        26 => Step::OnSale {
            route: any,
            on_sale: rng.percent(60),
        },
        27 => Step::Remove { route: any },
        28 => Step::PayTo {
            route: any,
            account: rng.index(if kinds.has(Kind::Merchants) { 6 } else { 3 }),
        },
        29 => Step::Spend { payer: any, ledger },
        30 => Step::Mint { payer: any, ledger },
        31 | 32 => Step::Archive {
            ledger,
            keep: rng.below(6),
        },
        33 => Step::ArchiveStop { ledger },
        34 => Step::TopUp {
            ledger,
            account: any,
        },
        35 | 36 => Step::Trapping,
        37 => Step::LedgerOrder {
            ledger,
            order: rng.pick(&[
                CheckOrder::FeeFirst,
                CheckOrder::AllowanceFirst,
                CheckOrder::BalanceFirst,
            ]),
        },
        _ => Step::Advance {
            seconds: rng.pick(&[301, 1_800, 3_700, 20_000, 86_400, 90_000]),
        },
    }
}

fn buy(rng: &mut Rng) -> Step {
    Step::Buy {
        payer: rng.index(5),
        route: rng.index(1 << 20),
        ledger: rng.index(1 << 20),
        variant: rng.below(2),
        window: rng.pick(&[20, 120, 600, 3_000]),
        by: by(rng),
        send: send(rng),
        impatient: rng.percent(30),
        mishap: rng.pick(&[
            Mishap::No,
            Mishap::No,
            Mishap::No,
            Mishap::OffSale,
            Mishap::LedgerDisabled,
            Mishap::OtherFee,
        ]),
    }
}

/// A step that worlds of this kind are for.
fn kind_step(rng: &mut Rng, kind: Kind) -> Step {
    let (ledger, any) = (rng.index(1 << 20), rng.index(1 << 20));
    let pay = |rng: &mut Rng, payer| Step::Pay {
        payer,
        route: any,
        ledger,
        variant: rng.below(4),
        window: rng.pick(&[120, 600, 3_000]),
        by: by(rng),
        send: send(rng),
    };
    let again = |rng: &mut Rng| match rng.below(20) {
        0..=8 => Again::No,
        9..=16 => Again::Any(any),
        17 => Again::Last,
        _ => Again::OtherTerms(any),
    };
    let withdraw = |rng: &mut Rng, percent| Step::Withdraw {
        ledger,
        account: rng.index(2),
        percent,
        again: again(rng),
    };
    let chance = rng.below(100);
    match (kind, chance) {
        (Kind::Usual, _) => step(rng, false),
        (Kind::NoLog, 0..=49) => Step::Resolve { auth: any },
        (Kind::NoLog, 50..=59) => Step::Recheck { auth: any },
        (Kind::NoLog, 60..=69) => Step::Advance { seconds: 3_700 },
        (Kind::NoLog, 70..=76) => Step::Advance { seconds: 90_000 },
        (Kind::NoLog | Kind::Poor, 77..=84) => Step::LedgerStop { ledger },
        (Kind::NoLog | Kind::Poor, 85..) => Step::LedgerStart { ledger },
        (Kind::Forward, 0..=54) => Step::Pay {
            payer: rng.index(5),
            route: 4 + any % 2,
            ledger,
            variant: rng.below(4),
            window: rng.pick(&[120, 600, 3_000]),
            by: by(rng),
            send: send(rng),
        },
        (Kind::Forward, 55..=69) => Step::Transfer {
            payer: any,
            route: 4 + any % 2,
            ledger,
            variant: rng.below(4),
            edit: 3,
            send: send(rng),
        },
        (Kind::Forward, 70..=77) => Step::SellerStop { stop: any % 2 == 0 },
        (Kind::Forward, 78..=83) => Step::SellerRelease,
        (Kind::Forward, 84..) => Step::Upgrade,
        (Kind::Invoices, 0..=19) => Step::CreateInvoice {
            payer: any,
            route: rng.index(1 << 20),
            ledger,
            named: rng.percent(50),
            send: send(rng),
        },
        (Kind::Invoices, 20..=42) => Step::PayInvoice {
            invoice: any,
            percent: rng.pick(&[1, 50, 100, 100, 100, 100, 150, 230]),
            other: usize::from(rng.percent(10)),
        },
        (Kind::Invoices, 43..=57) => Step::CheckInvoice {
            invoice: any,
            send: send(rng),
        },
        (Kind::Invoices, 58..=69) => Step::FetchInvoice {
            invoice: any,
            copies: rng.pick(&[1, 1, 2, 4]),
            send: send(rng),
        },
        (Kind::Invoices, 70..=77) => Step::ReturnInvoice {
            invoice: any,
            other: usize::from(rng.percent(20)),
            to: usize::from(rng.percent(50)),
        },
        (Kind::Invoices, 78..=86) => Step::Fault {
            ledger,
            planned: Box::new(faults::of_transfers(rng)),
        },
        (Kind::Invoices, 87..=92) => Step::Advance { seconds: 3_700 },
        (Kind::Invoices, 93..=95) => Step::Release { ledger },
        (Kind::Invoices, _) => Step::UpgradeRunning,
        // Payers after the fifth have no money.
        (Kind::Poor, 0..=44) => pay(rng, 5 + any % 8),
        (Kind::Poor, 45..=54) => Step::Repeat {
            auth: any,
            copies: 1,
            send: send(rng),
        },
        (Kind::Poor, 55..=64) => Step::Withdraw {
            ledger,
            account: rng.index(2),
            percent: 1 + rng.below(110),
            again: Again::No,
        },
        (Kind::Poor, 65..=73) => Step::Advance { seconds: 305 },
        (Kind::Poor, _) => Step::Advance { seconds: 90_000 },
        (Kind::Tight, 0..=5) => Step::Crowd {
            payer: any,
            route: rng.index(1 << 20),
            ledger,
            count: rng.pick(&[20, 40, 120]),
        },
        (Kind::Tight, 6..=49) => pay(rng, any % 5),
        (Kind::Tight, 50..=61) => Step::Starve {
            liquid: rng.pick(&[
                300_000_000_000,
                600_000_000_000,
                1_000_000_000_000,
                2_000_000_000_000,
            ]),
        },
        (Kind::Tight, 62..=71) => Step::Feed,
        (Kind::Tight, 72..=84) => Step::Release { ledger },
        (Kind::Tight, _) => Step::Repeat {
            auth: any,
            copies: 1,
            send: send(rng),
        },
        (Kind::Merchants, 0..=39) => pay(rng, any % 5),
        (Kind::Merchants, 40..=52) => Step::PayTo {
            route: any,
            account: rng.index(6),
        },
        (Kind::Merchants, 53..=59) => Step::Remove { route: any },
        (Kind::Merchants, 60..=76) => Step::RefundPayment { auth: any },
        (Kind::Merchants, 77..=83) => Step::TopUp {
            ledger,
            account: any,
        },
        (Kind::Merchants, 84..=87) => Step::Advance { seconds: 700_000 },
        // A paid and undelivered payment is refunded later.
        (Kind::Merchants, _) => Step::Fault {
            ledger,
            planned: Box::new(faults::lost()),
        },
        (Kind::Withdrawals, 0..=9) => Step::WithdrawBetween {
            ledger,
            account: rng.index(2),
            fee: rng.pick(&[0, 5_000, 20_000]),
        },
        (Kind::Withdrawals, 10..=59) => withdraw(rng, 1 + any as u64 % 20),
        (Kind::Withdrawals, 60..=71) => Step::LedgerFee {
            ledger,
            fee: rng.pick(&[0, 5_000, 10_000, 20_000]),
        },
        (Kind::Withdrawals, 72..=89) => Step::Fault {
            ledger,
            planned: Box::new(faults::of_transfers(rng)),
        },
        (Kind::Withdrawals, _) => Step::Release { ledger },
        (Kind::Held, 0..=34) => Step::Fault {
            ledger,
            planned: Box::new(faults::held(rng)),
        },
        (Kind::Held, 35..=69) => Step::ReleaseOne {
            ledger,
            number: rng.below(8) as u32,
        },
        (Kind::Held, 70..=86) => pay(rng, any % 5),
        (Kind::Held, 87..=92) => withdraw(rng, 1 + any as u64 % 20),
        (Kind::Held, _) => Step::Repeat {
            auth: any,
            copies: 2,
            send: Send::AndGo,
        },
    }
}

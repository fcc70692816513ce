//! What happens in a world, decided before it begins: any part of the list can be played without the rest.

use crate::{
    faults::{self, Planned},
    rng::Rng,
};
use test_ledger::domain::rules::CheckOrder;

/// One thing that happens. Numbers choose among what is there when the step is played.
#[derive(Clone, Debug)]
pub enum Step {
    /// A payer signs for a route and, unless told to wait for later, presents it.
    Pay {
        payer: usize,
        route: usize,
        ledger: usize,
        variant: u64,
        window: u64,
        send: Send,
    },
    /// As [`Step::Pay`], for an offer that was seen earlier.
    PayOld {
        payer: usize,
        offer: usize,
        send: Send,
    },
    /// An authorization again, or for the first time, so many at once.
    Repeat {
        auth: usize,
        copies: usize,
        send: Send,
    },
    /// The same authorization with another request.
    Misuse {
        auth: usize,
        variant: u64,
        send: Send,
    },
    Cancel {
        auth: usize,
    },
    Reprice {
        route: usize,
        amount: u64,
    },
    /// New content under the same route.
    Content {
        route: usize,
    },
    /// Taken off sale, or put on sale.
    OnSale {
        route: usize,
        on_sale: bool,
    },
    Remove {
        route: usize,
    },
    /// Another account gets the money of the route.
    PayTo {
        route: usize,
        account: usize,
    },
    LedgerFee {
        ledger: usize,
        fee: u64,
    },
    /// What the ledger checks first in transfers.
    LedgerOrder {
        ledger: usize,
        order: CheckOrder,
    },
    LedgerEnable {
        ledger: usize,
        enabled: bool,
    },
    LedgerAdd {
        ledger: usize,
    },
    Operator {
        add: bool,
    },
    /// The payer allows this much.
    Approve {
        payer: usize,
        ledger: usize,
        amount: u64,
    },
    /// The payer spends almost everything elsewhere, or gets money.
    Spend {
        payer: usize,
        ledger: usize,
    },
    Mint {
        payer: usize,
        ledger: usize,
    },
    Fault {
        ledger: usize,
        planned: Box<Planned>,
    },
    ClearFaults {
        ledger: usize,
    },
    Release {
        ledger: usize,
    },
    LedgerStop {
        ledger: usize,
    },
    LedgerStart {
        ledger: usize,
    },
    LedgerFreeze {
        ledger: usize,
    },
    /// The ledger's clock is off.
    Skew {
        ledger: usize,
        seconds: i64,
    },
    /// Old blocks move to another canister, all but so many.
    Archive {
        ledger: usize,
        keep: u64,
    },
    /// The archive stops, or starts again.
    ArchiveStop {
        ledger: usize,
    },
    /// A controller takes a part of what an account of the canister has, or repeats the last withdrawal.
    Withdraw {
        ledger: usize,
        account: usize,
        percent: u64,
        again: bool,
    },
    /// Somebody gives the canister money for refunds.
    TopUp {
        ledger: usize,
        account: usize,
    },
    /// A controller wants a payment back with its payer.
    RefundPayment {
        auth: usize,
    },
    /// An operator wants to know now.
    Recheck {
        auth: usize,
    },
    Tick {
        rounds: u64,
    },
    Advance {
        seconds: u64,
    },
    /// Stop, upgrade, start.
    Upgrade,
    /// Upgrade without a stop.
    UpgradeRunning,
    /// Upgrade to a build in which messages trap now and then; the next upgrade ends it.
    Trapping,
    Stop,
    Start,
    /// So many cycles are left to spend.
    Starve {
        liquid: u128,
    },
    Feed,
}

/// What becomes of the request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Send {
    /// Signed only.
    Later,
    /// Sent; its answer is not waited for.
    AndGo,
    /// Sent and answered, if that takes only some rounds.
    AndWait,
}

/// A world.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub ledgers: usize,
    pub steps: Vec<Step>,
}

/// The world of this seed.
pub fn plan(seed: u64, length: usize) -> Plan {
    let mut rng = Rng::new(seed);
    let ledgers = 2 + rng.index(2);
    // In some worlds, ledgers say what is not so.
    let lies = rng.percent(15);
    // Calm and stormy worlds.
    let storm = rng.pick(&[4_u64, 12, 25]);
    let steps = (0..length)
        .map(|_| match rng.percent(storm) {
            true => storm_step(&mut rng),
            false => step(&mut rng, lies),
        })
        .collect();
    Plan {
        seed,
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

/// Something of the everyday kind, the ledger's faults included.
fn step(rng: &mut Rng, lies: bool) -> Step {
    let any = |rng: &mut Rng| rng.index(1 << 20);
    // Mostly what happened lately.
    let auth = any(rng);
    match rng.below(100) {
        0..=25 => Step::Pay {
            payer: any(rng),
            route: any(rng),
            ledger: any(rng),
            variant: rng.below(4),
            window: rng.pick(&[20, 120, 600, 3_000]),
            send: send(rng),
        },
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
            again: rng.percent(30),
        },
        30..=46 => Step::Repeat {
            auth,
            copies: rng.pick(&[1, 1, 1, 2, 5]),
            send: send(rng),
        },
        47..=50 => Step::Misuse {
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
        81..=89 => Step::Tick {
            rounds: 1 + rng.below(4),
        },
        _ => Step::Advance {
            seconds: rng.pick(&[1, 3, 6, 10, 30, 61, 61, 90, 305, 700]),
        },
    }
}

/// Something that shakes the world.
fn storm_step(rng: &mut Rng) -> Step {
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
            account: rng.index(4),
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

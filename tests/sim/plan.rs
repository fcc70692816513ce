//! What happens in a world, decided before it begins: any part of the list can be played without the rest.

use crate::{faults::Planned, kinds::Kinds};
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
    /// A payer who never has two good authorizations for one purchase wants something: goes on with what was
    /// begun, or begins. Who is impatient cancels. `mishap`: what happens to a new authorization.
    Buy {
        payer: usize,
        route: usize,
        ledger: usize,
        variant: u64,
        window: u64,
        send: Send,
        impatient: bool,
        mishap: Mishap,
    },
    /// Somebody else presents a payment that was refused, as it is or with other terms.
    Replay {
        refused: usize,
        edit: u64,
        send: Send,
    },
    /// A key without money presents so many payments at once, in a ledger that holds its answers back.
    Crowd {
        payer: usize,
        route: usize,
        ledger: usize,
        count: usize,
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
    /// One of the replies that are held back goes.
    ReleaseOne {
        ledger: usize,
        number: u32,
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
    /// A controller takes a part of what an account of the canister has, or asks again for that.
    Withdraw {
        ledger: usize,
        account: usize,
        percent: u64,
        again: Again,
    },
    /// A withdrawal; another one, which is refused; then a new fee, and the first one again.
    WithdrawBetween {
        ledger: usize,
        account: usize,
        fee: u64,
    },
    /// A controller says what became of a payment.
    Resolve {
        auth: usize,
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

/// What happens between a signature and its payment, so that it is refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mishap {
    No,
    /// The route is off sale for a while.
    OffSale,
    /// The ledger is disabled for a while.
    LedgerDisabled,
    /// The ledger's fee changes, and the canister knows.
    OtherFee,
}

/// Which withdrawal is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Again {
    /// A new one.
    No,
    /// The last one.
    Last,
    /// Any.
    Any(usize),
    /// Something else with the time of any.
    OtherTerms(usize),
}

/// A world.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub kinds: Kinds,
    pub ledgers: usize,
    pub steps: Vec<Step>,
}

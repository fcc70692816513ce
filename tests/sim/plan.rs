//! The steps of a world, decided before it begins: any part of the list can be played without the rest.

use crate::{faults::Planned, kinds::Kinds};
use test_ledger::domain::rules::CheckOrder;

/// One step. Its numbers select among what exists when the step is played.
#[derive(Clone, Debug)]
pub enum Step {
    /// A payer agrees to pay for a route and, unless `Later`, presents the payment.
    Pay {
        payer: usize,
        route: usize,
        ledger: usize,
        variant: u64,
        window: u64,
        by: By,
        send: Send,
    },
    /// A payer transfers for a route, and presents the block. `edit`: another amount, or somebody else is first.
    Transfer {
        payer: usize,
        route: usize,
        ledger: usize,
        variant: u64,
        edit: u64,
        send: Send,
    },
    /// As [`Step::Pay`], for an offer that was seen earlier.
    PayOld {
        payer: usize,
        offer: usize,
        send: Send,
    },
    /// Presents an authorization again, or for the first time, several times at once.
    Repeat {
        auth: usize,
        copies: usize,
        send: Send,
    },
    /// A payer who never has two valid authorizations for one purchase wants something, and continues or begins a
    /// purchase. An impatient payer cancels. `mishap`: an event that affects a new authorization.
    Buy {
        payer: usize,
        route: usize,
        ledger: usize,
        variant: u64,
        window: u64,
        by: By,
        send: Send,
        impatient: bool,
        mishap: Mishap,
    },
    /// A stranger presents a payment that was refused, unchanged or with other terms.
    Replay {
        refused: usize,
        edit: u64,
        send: Send,
    },
    /// A key without money presents several payments at once, in a ledger that holds its replies back.
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
    /// The id of a call with other terms, or by another payer; from 8 on, that call at the same time.
    UseIdAgain {
        call: usize,
        edit: u64,
        send: Send,
    },
    Cancel {
        auth: usize,
    },
    Reprice {
        route: usize,
        amount: u64,
    },
    /// New content of the same route.
    Content {
        route: usize,
    },
    /// Takes the route off sale, or puts it on sale.
    OnSale {
        route: usize,
        on_sale: bool,
    },
    Remove {
        route: usize,
    },
    /// Another account receives the payments of the route.
    PayTo {
        route: usize,
        account: usize,
    },
    LedgerFee {
        ledger: usize,
        fee: u64,
    },
    /// Sets what the ledger checks first in transfers.
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
    /// The payer approves this amount.
    Approve {
        payer: usize,
        ledger: usize,
        amount: u64,
    },
    /// The payer spends almost everything elsewhere, or receives money.
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
    /// Releases one of the replies that are held back.
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
    /// Old blocks move to another canister, all except the last ones.
    Archive {
        ledger: usize,
        keep: u64,
    },
    /// The archive stops, or starts again.
    ArchiveStop {
        ledger: usize,
    },
    /// A controller withdraws a part of the balance of a canister's account, or repeats a withdrawal.
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
    /// A controller decides about a payment in doubt.
    Resolve {
        auth: usize,
    },
    /// The canister receives money for refunds.
    TopUp {
        ledger: usize,
        account: usize,
    },
    /// A controller requests the refund of a payment.
    RefundPayment {
        auth: usize,
    },
    /// An operator checks a payment now.
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
    /// Upgrade to a build in which messages trap at times; the next upgrade ends it.
    Trapping,
    Stop,
    Start,
    /// The target of routes stops, or starts again.
    SellerStop {
        stop: bool,
    },
    /// The target ends its silence.
    SellerRelease,
    /// A buyer has an invoice made, or asks for a known one again.
    CreateInvoice {
        payer: usize,
        route: usize,
        ledger: usize,
        /// With an account for what buys nothing.
        named: bool,
        send: Send,
    },
    /// A transfer to an invoice, of this part of its amount; `other`: of another token.
    PayInvoice {
        invoice: usize,
        percent: u64,
        other: usize,
    },
    CheckInvoice {
        invoice: usize,
        send: Send,
    },
    /// Somebody who knows the id asks for what was bought.
    FetchInvoice {
        invoice: usize,
        copies: usize,
        send: Send,
    },
    /// Somebody who knows the id has the money given back; `to`: 0 is the payer.
    ReturnInvoice {
        invoice: usize,
        other: usize,
        to: usize,
    },
    /// Leaves this many cycles to spend.
    Starve {
        liquid: u128,
    },
    Feed,
}

/// How a payer agrees to a payment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum By {
    Signature,
    /// A call of the Candid method `pay`.
    Call,
}

impl By {
    pub const ALL: [By; 2] = [By::Signature, By::Call];
}

/// The handling of the request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Send {
    /// Signed only.
    Later,
    /// Sent; its response is not waited for.
    AndGo,
    /// Sent and answered, if that takes only some rounds.
    AndWait,
}

/// An event between a signature and its payment, so that it is refused.
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

/// The withdrawal that is requested.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Again {
    /// A new one.
    No,
    /// The last one.
    Last,
    /// Any earlier one.
    Any(usize),
    /// Other terms with the `created_at_time` of any.
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

//! The network, and what an outside observer knows about it.

use crate::{
    answers::content,
    calls::{Means, Sent, Wish},
    chain::Chain,
    invoices::{Asked, InvoiceModel},
    kinds::{Kind, Kinds},
    plan::Plan,
    stats::Stats,
    support::{
        Payer, Request, Setup,
        interface::{Ledger, LedgerError, PaymentStatus, Price, Route, RouteArgs, RouteError},
        ledger::TestLedger,
        setup::{CYCLES, FEE, FUNDS, controller, free, merchant, minter},
    },
    withdrawals::Withdrawal,
};
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::account::Account;
use pocket_ic::{RejectResponse, common::rest::RawMessageId};
use std::collections::{BTreeMap, BTreeSet};
use x402_icp::PaymentId;

/// Something that the canister must never do.
#[derive(Clone, Debug)]
pub struct Violation {
    pub kind: &'static str,
    pub text: String,
}

/// The result of everything that may find a violation.
pub type Checked<T = ()> = Result<T, Violation>;

/// A violation of this kind.
pub fn violation<T>(kind: &'static str, text: impl Into<String>) -> Checked<T> {
    let text = text.into();
    Err(Violation { kind, text })
}

/// The number of payers with money; those after them have none.
pub const WITH_MONEY: usize = 5;
/// The number of payers without money.
const WITHOUT_MONEY: u8 = 8;
/// The timeout of every route.
pub const MAX_TIMEOUT_SECONDS: u32 = 3_600;
/// The cycles of a canister with few.
const FEW_CYCLES: u128 = 5_000_000_000_000;

/// A ledger and its faults.
pub struct LedgerModel {
    pub id: Principal,
    pub chain: Chain,
    pub stopped: bool,
    pub frozen: bool,
    /// It may have answered falsely.
    pub lied: bool,
    /// It was added again after it answered falsely: claims on this block and those after it may be dropped.
    pub forgotten: Option<u64>,
    /// The archive with its old blocks.
    pub archive: Option<Principal>,
    pub archive_stopped: bool,
    /// It may hold replies back for a time that cannot be ended.
    pub holds_by_time: bool,
    /// It may make transfers long after the call.
    pub dawdles: bool,
    pub fee: u128,
    /// It reports no block log.
    pub hides_log: bool,
    /// The last step after which it was stopped or frozen.
    pub troubled: u64,
}

/// A route as the operator set it up.
pub struct RouteModel {
    pub method: &'static str,
    pub template: &'static str,
    /// The number of the newest content.
    pub version: u32,
    pub amount: u128,
    pub pay_to: Account,
    pub on_sale: bool,
    /// The target does the work; whether it declares itself idempotent.
    pub idempotent: Option<bool>,
}

/// A payment that a payer agreed to: an authorization that was signed, or a call of `pay`.
pub struct Auth {
    pub id: PaymentId,
    pub means: Means,
    /// The nonce of the signature, or the id that the caller chose.
    pub nonce: [u8; 32],
    pub payer: usize,
    pub ledger: usize,
    pub route: usize,
    pub request: Request,
    pub pay_to: Account,
    pub amount: u128,
    pub fee: u128,
    /// `created_at_time` of the transfer, in nanoseconds.
    pub created_at: u64,
    /// In seconds.
    pub valid_after: u64,
    pub valid_before: u64,
    /// The second after which no transfer is made: a caller may repeat a call later.
    pub deadline: u64,
    /// The step after which it was first presented, if it was.
    pub presented: Option<u64>,
    /// The purchase, if its payer keeps to the rule of one valid authorization for one purchase.
    pub purchase: Option<usize>,
    /// The ledger was stopped when it was presented first, and has been honest since: every try failed.
    pub all_failed: bool,
    /// A controller requested its refund.
    pub approved: bool,
    /// It was presented with another request, too: the first request decides what it pays for.
    pub misused: bool,
    /// The payer cancelled it, and the canister confirmed that it will never be used.
    pub cancelled: bool,
    /// The block of the ledger that shows the transfer.
    pub block: Option<u64>,
    /// The block that shows the refund.
    pub refund: Option<u64>,
    /// What was delivered for it: request and body.
    pub delivered: BTreeSet<(String, Vec<u8>)>,
    /// The last response to it.
    pub answered: String,
    /// The last status that the canister reported.
    pub last: Option<PaymentStatus>,
}

impl Auth {
    /// A payment that was not presented, with empty terms.
    pub fn new(id: PaymentId, means: Means, (payer, route, request): Wish) -> Self {
        Self {
            id,
            means,
            nonce: [0; 32],
            payer,
            ledger: 0,
            route,
            request,
            pay_to: Principal::anonymous().into(),
            amount: 0,
            fee: 0,
            created_at: 0,
            valid_after: 0,
            valid_before: 0,
            deadline: 0,
            presented: None,
            purchase: None,
            all_failed: false,
            approved: false,
            misused: false,
            cancelled: false,
            block: None,
            refund: None,
            delivered: BTreeSet::new(),
            answered: String::new(),
            last: None,
        }
    }
}

/// A request on its way.
pub struct Pending {
    pub message: RawMessageId,
    pub what: What,
    /// An event of the canister meanwhile explains a reject.
    pub excused: bool,
}

/// The kind of request.
pub enum What {
    /// A paid request: the authorization, and the request if it was not the right one.
    Http {
        auth: usize,
        request: Request,
        right: bool,
        /// Money had moved before it was sent.
        moved: bool,
    },
    /// A call of `pay`.
    Call {
        auth: usize,
        sent: Sent,
    },
    /// A stranger presents a transfer.
    Robbery,
    Cancel {
        auth: usize,
    },
    /// A controller requests the refund of a payment.
    Refund {
        auth: usize,
    },
    /// A controller decides about a payment in doubt.
    Resolve {
        auth: usize,
        moved: bool,
    },
    /// A withdrawal, by its number.
    Withdraw {
        number: usize,
    },
    /// An invoice, by its number.
    Invoice {
        number: usize,
        asked: Asked,
    },
    /// Any answer is accepted.
    Admin,
}

/// The state of a world.
pub struct World {
    pub setup: Setup,
    pub ledgers: Vec<LedgerModel>,
    pub payers: Vec<Payer>,
    pub routes: Vec<RouteModel>,
    /// The target of routes whose work another canister does.
    pub seller: Option<Principal>,
    pub auths: Vec<Auth>,
    pub by_id: BTreeMap<Vec<u8>, usize>,
    pub pending: Vec<Pending>,
    /// Requested withdrawals; each goes to an account of its own.
    pub withdrawals: Vec<Withdrawal>,
    pub invoices: Vec<InvoiceModel>,
    /// Failed payments that were checked.
    pub failures: BTreeSet<usize>,
    /// The purchases of payers who keep to the rule: the authorizations of each, the newest last.
    pub purchases: Vec<Vec<usize>>,
    /// Authorizations that were refused with new offers.
    pub refused: Vec<usize>,
    pub offers: Vec<(usize, Request, x402_icp::wire::PaymentRequirements)>,
    /// The canister is stopped, or about to be.
    pub stopped: bool,
    /// The cycles that it may spend a day while idle, as first measured.
    pub idle_burn: u128,
    pub starved: bool,
    /// Messages trap at times.
    pub trapping: bool,
    pub stats: Stats,
    pub senders: u32,
    pub nonces: u64,
    pub kinds: Kinds,
    /// The initial cycles of the canister.
    pub cycles: u128,
}

impl World {
    pub fn new(plan: &Plan) -> Self {
        let kinds = plan.kinds.clone();
        let cycles = match kinds.has(Kind::Tight) {
            true => FEW_CYCLES,
            false => CYCLES,
        };
        let setup = Setup::with_cycles(cycles);
        let mut ids = vec![setup.ledger.0];
        for number in 1..plan.ledgers {
            ids.push(setup.another_ledger(&format!("TOK{number}")).0);
        }
        let far = setup.now_ns() + 3_650 * 86_400_000_000_000;
        let mut payers = vec![
            Payer::ed25519(11),
            Payer::secp256k1(12),
            Payer::p256(13),
            Payer::delegated(14, far, None),
            Payer::ed25519(15).with_subaccount([7; 32]),
        ];
        if kinds.has(Kind::Poor) || kinds.has(Kind::Tight) {
            payers.extend((0..WITHOUT_MONEY).map(|number| Payer::ed25519(100 + number)));
        }
        let last = ids.len() - 1;
        let ledgers = ids.iter().enumerate().map(|(number, id)| LedgerModel {
            hides_log: match number {
                0 => kinds.has(Kind::NoLog) || kinds.has(Kind::Poor),
                number => kinds.has(Kind::NoLog) && (number == 1 || number != last),
            },
            troubled: 0,
            id: *id,
            chain: Chain::default(),
            stopped: false,
            frozen: false,
            lied: false,
            forgotten: None,
            archive: None,
            archive_stopped: false,
            holds_by_time: false,
            dawdles: false,
            fee: FEE,
        });
        let status = setup.canister_status();
        let mut world = Self {
            ledgers: ledgers.collect(),
            payers,
            routes: vec![],
            seller: None,
            auths: vec![],
            by_id: BTreeMap::new(),
            pending: vec![],
            withdrawals: vec![],
            invoices: vec![],
            failures: BTreeSet::new(),
            purchases: vec![],
            refused: vec![],
            offers: vec![],
            stopped: false,
            idle_burn: u128::try_from(status.idle_cycles_burned_per_day.0).unwrap_or(1),
            starved: false,
            trapping: false,
            stats: Stats::default(),
            senders: 0,
            nonces: 0,
            kinds,
            cycles,
            setup,
        };
        world.create();
        world
    }

    /// Creates routes, content, money and allowances.
    fn create(&mut self) {
        let own = self.accounts();
        for ledger in self.ledgers.iter().filter(|ledger| ledger.hides_log) {
            let setup = &self.setup;
            let _: () = setup.update_at(ledger.id, controller(), "test_hide_log", (true,));
            let again: Result<Ledger, LedgerError> =
                setup.update(controller(), "ledger_add", (ledger.id,));
            let standards = again.expect("the ledger is one").standards;
            assert!(!standards.contains(&"ICRC-3".to_string()), "it has no log");
        }
        let others = self.kinds.has(Kind::Merchants);
        let routes = [
            ("GET", "/one", own[0]),
            ("GET", "/own", own[1]),
            ("GET", "/data/{id}", own[if others { 3 } else { 0 }]),
            ("POST", "/submit", own[if others { 4 } else { 2 }]),
        ];
        for (method, template, pay_to) in routes {
            self.routes.push(RouteModel {
                method,
                template,
                version: 1,
                amount: 1_000,
                pay_to,
                on_sale: true,
                idempotent: None,
            });
            let args = self.route_args(self.routes.len() - 1);
            let put: Result<Route, RouteError> =
                self.setup.update(controller(), "route_put", (args,));
            put.expect("a good route");
            let content = self.content(self.routes.len() - 1);
            self.setup.upload(method, template, &content);
        }
        self.add_works();
        for ledger in &self.ledgers {
            let ledger = TestLedger(ledger.id);
            for (number, payer) in self.payers.iter().enumerate() {
                let money = match number {
                    ..WITH_MONEY => FUNDS,
                    // Just enough to approve everything and have nothing left.
                    _ if number % 2 == 0 => FEE,
                    _ => continue,
                };
                ledger.mint(&self.setup, payer.account, money);
                ledger.approve(&self.setup, payer.account, self.setup.canister, FUNDS);
            }
            if self.kinds.has(Kind::Withdrawals) {
                for account in &own[1..3] {
                    ledger.transfer(&self.setup, minter(), *account, 10_000_000);
                }
            }
        }
    }

    /// Accounts that routes pay to: `pay_to` of the settings, two of the canister itself, other merchants'.
    pub fn accounts(&self) -> [Account; 6] {
        let own = Account::from(self.setup.canister);
        [
            merchant(),
            own,
            Account {
                subaccount: Some([9; 32]),
                ..own
            },
            Principal::self_authenticating([33; 32]).into(),
            Principal::self_authenticating([34; 32]).into(),
            Account {
                subaccount: Some([35; 32]),
                ..merchant()
            },
        ]
    }

    /// Whether money that went to this account is neither the canister's nor its `pay_to`.
    pub fn is_strangers(&self, account: &Account) -> bool {
        account.owner != self.setup.canister && *account != merchant()
    }

    pub fn route_args(&self, route: usize) -> RouteArgs {
        let model = &self.routes[route];
        RouteArgs {
            prices: self
                .ledgers
                .iter()
                .map(|ledger| Price {
                    ledger: ledger.id,
                    amount: Nat::from(model.amount),
                })
                .collect(),
            max_timeout_seconds: Some(MAX_TIMEOUT_SECONDS),
            pay_to: Some(model.pay_to.into()),
            on_sale: model.on_sale,
            transfers: Some(true),
            invoices: Some(self.kinds.has(Kind::Invoices) && model.method == "GET"),
            forward: self.forward(model),
            ..free(model.method, model.template)
        }
    }

    /// The newest content of a route.
    pub fn content(&self, route: usize) -> Vec<u8> {
        let model = &self.routes[route];
        content(model.template, model.version)
    }

    /// A request for a route; `variant` selects one.
    pub fn request(&self, route: usize, variant: u64) -> Request {
        let model = &self.routes[route];
        if let Some(url) = model.work_url(variant) {
            return Request::new(model.method, &url).body(b"please");
        }
        let mut url = model.template.replace("{id}", &(variant % 3).to_string());
        if variant >= 2 {
            url.push_str(&format!("?q={}", variant % 2));
        }
        let request = Request::new(model.method, &url);
        match model.method {
            "POST" => request.body(&[variant as u8; 10]),
            _ => request,
        }
    }

    /// Whether the canister can be expected to answer queries.
    pub fn answers(&self) -> bool {
        !self.stopped && !self.starved
    }

    /// A new sender of requests.
    pub fn sender(&mut self) -> Principal {
        self.senders += 1;
        let mut key = [77; 32];
        key[..4].copy_from_slice(&self.senders.to_be_bytes());
        Principal::self_authenticating(key)
    }

    /// Sends an update to the canister; its response is checked when it arrives.
    pub fn send(&mut self, sender: Principal, method: &str, arg: Vec<u8>, what: What) -> bool {
        let canister = self.setup.canister;
        match self.setup.pic.submit_call(canister, sender, method, arg) {
            Ok(message) => {
                let excused = !self.answers() || self.trapping;
                self.pending.push(Pending {
                    message,
                    what,
                    excused,
                });
                true
            }
            Err(_) => false,
        }
    }

    /// Records an event that explains rejected requests.
    pub fn excuse(&mut self) {
        for pending in &mut self.pending {
            pending.excused = true;
        }
    }

    /// A call to a ledger, if it answers at once.
    pub fn ledger_call(
        &mut self,
        ledger: usize,
        sender: Principal,
        method: &str,
        arg: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let id = self.ledgers[ledger].id;
        let message = self.setup.pic.submit_call(id, sender, method, arg).ok()?;
        self.finished(message, 6)?.ok()
    }

    /// Lets rounds pass until the message has ended, at most this many.
    pub fn finished(
        &self,
        message: RawMessageId,
        rounds: u32,
    ) -> Option<Result<Vec<u8>, RejectResponse>> {
        for _ in 0..rounds {
            self.setup.pic.tick();
            let end = self.setup.pic.ingress_status(message.clone());
            if end.is_some() {
                return end;
            }
        }
        None
    }

    /// Lets rounds pass.
    pub fn tick(&self, rounds: u64) {
        for _ in 0..rounds {
            self.setup.pic.tick();
        }
    }
}

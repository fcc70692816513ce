//! Invoices with a ledger that keeps accounts, answers late, or not at all.

mod attacks;
mod bank;
mod bounds;
mod interrupted;
mod owners;
mod property;

use super::*;
use crate::{
    domain::{
        invoice::LIFETIME,
        payment::State,
        rail::{Rail, TxRef},
        request::Resource,
        route::{Price, RouteDraft, tests::draft},
    },
    runtime::scripted::ScriptedRuntime,
    service::{content as contents, lifecycle, recover},
    storage::{config::tests::config, ledgers::tests::ledger, liabilities},
    types::{BlockIndex, Seconds},
};
use bank::{Bank, drive};
use candid::{Nat, Principal};
use sha2::{Digest, Sha256};

pub(crate) const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);
const PRICE: u128 = 10_000;
const FEE: u128 = 10;
const ID: InvoiceId = InvoiceId([5; 32]);

/// Runs a part of a test with tables of its own: they belong to the thread.
fn apart(part: impl FnOnce() + Send + 'static) {
    if let Err(panic) = std::thread::spawn(part).join() {
        std::panic::resume_unwind(panic);
    }
}

struct Shop {
    runtime: ScriptedRuntime,
    bank: Bank,
}

fn merchant() -> Account {
    canonical(config().pay_to)
}

fn payer() -> Account {
    Account::from(Principal::from_slice(&[1; 29]))
}

fn shop() -> Shop {
    storage::config::write(&config()).unwrap();
    for n in 0..2 {
        storage::ledgers::put(&ledger(n)).unwrap();
    }
    let runtime = ScriptedRuntime::new(NOW);
    runtime.will_name_fee(Nat::from(FEE));
    liabilities::set_canister(runtime.canister_id());
    let shop = Shop {
        runtime,
        bank: Bank::new(FEE),
    };
    shop.put("/a", PRICE);
    shop.stock("/a", b"goods");
    shop
}

impl Shop {
    fn put(&self, path: &str, amount: u128) {
        self.runtime.caller.set(self.runtime.controller);
        let wanted = RouteDraft {
            prices: vec![Price {
                ledger: ledger(0).id,
                amount: Amount(amount),
            }],
            offers_invoices: true,
            ..draft(path)
        };
        catalogue::put(&self.runtime, wanted).unwrap();
    }

    fn stock(&self, path: &str, body: &[u8]) {
        let sha256 = Sha256::digest(body).into();
        let key = RouteKey::new(Method::Get, path);
        let bytes = body.len() as u64;
        let upload = contents::begin(&self.runtime, key, bytes, sha256).unwrap();
        contents::chunk(&self.runtime, upload, 0, body).unwrap();
        contents::commit(&self.runtime, upload).unwrap();
    }

    fn terms(&self, refund_to: Option<Account>) -> Terms {
        Terms {
            request: RouteKey::new(Method::Get, "/a"),
            ledger: ledger(0).id,
            price: None,
            refund_to,
        }
    }

    fn create(&self, refund_to: Option<Account>) -> View {
        create(&self.runtime, &ID, &self.terms(refund_to)).unwrap()
    }

    fn account(&self) -> Account {
        ID.account(self.runtime.canister_id())
    }

    /// The payer transfers this amount to the invoice's account.
    fn pay(&self, amount: u128) {
        self.bank.give(ledger(0).id, self.account(), amount);
    }

    fn later(&self, seconds: u32) -> &Self {
        let now = self.runtime.now();
        self.runtime.now.set(now.plus(Seconds(seconds)));
        self
    }

    fn expire(&self) -> &Self {
        self.later(LIFETIME.0)
    }

    fn check(&self) -> View {
        drive(self, check(&self.runtime, &ID)).unwrap()
    }

    /// What the timer does, until it has nothing left to do for a while.
    fn tick(&self) -> Option<View> {
        for _ in 0..4 {
            drive(self, recover::tick(&self.runtime));
        }
        view(&self.runtime, &ID)
    }

    fn give_back(&self, to: Option<Account>) -> Result<Returned, InvoiceError> {
        drive(self, give_back(&self.runtime, &ID, ledger(0).id, to))
    }

    fn fetch(&self) -> Option<Resource> {
        match drive(self, content(&self.runtime, &ID))? {
            PayOutcome::Paid { resource, .. } => Some(resource),
            other => panic!("{other:?}"),
        }
    }

    fn has(&self, account: Account) -> u128 {
        self.bank.balance(ledger(0).id, account)
    }

    /// Stops every message, and starts the canister with what stable memory holds.
    fn upgrade(&self) {
        storage::payments::tests::reload();
        invoices::tests::reload();
        self.runtime.caller.set(self.runtime.controller);
        lifecycle::upgrade(&self.runtime, Default::default()).unwrap();
    }

    fn stage(&self) -> Stage {
        view(&self.runtime, &ID).unwrap().invoice.stage
    }
}

#[test]
fn an_invoice_is_paid_and_what_it_bought_is_fetched_again_and_again() {
    let shop = shop();
    let made = shop.create(None);
    assert_eq!(made.amount, Amount(PRICE + FEE));
    assert_eq!(made.account, shop.account());
    assert_eq!(
        shop.create(None),
        made,
        "the same terms are the same invoice"
    );
    assert_eq!(shop.check().invoice.stage, Stage::Open);
    assert_eq!(shop.fetch(), None);
    shop.pay(PRICE + FEE);
    // Not read again at once.
    assert_eq!(shop.check().invoice.stage, Stage::Open);
    shop.later(5);
    let paid = shop.check();
    assert_eq!(paid.invoice.stage, Stage::Paid);
    let payment = paid.payment.unwrap();
    assert_eq!(
        (payment.rail, payment.from),
        (Rail::Invoice, shop.account())
    );
    assert_eq!(
        payment.state.moved().unwrap().0,
        TxRef::Block(BlockIndex(2))
    );
    assert_eq!((shop.has(merchant()), shop.has(shop.account())), (PRICE, 0));
    for _ in 0..2 {
        assert_eq!(shop.fetch().unwrap().body, b"goods");
        shop.upgrade();
    }
    let state = view(&shop.runtime, &ID).unwrap().payment.unwrap().state;
    assert!(matches!(state, State::Delivered { .. }));
    assert_eq!(storage::payments::settled_count(), 1);
    let (block, claimant) = (
        BlockIndex(2),
        crate::domain::settlement::Claimant::Payment(0),
    );
    assert_eq!(storage::claims::of(&ledger(0).id, block), Some(claimant));
}

#[test]
fn who_paid_and_closed_the_page_is_served_by_the_timer() {
    let shop = shop();
    shop.create(None);
    assert_eq!(shop.runtime.woken.get(), Some(NOW.plus(LIFETIME)));
    shop.pay(PRICE + FEE);
    assert_eq!(shop.tick().unwrap().invoice.stage, Stage::Open);
    shop.expire();
    assert_eq!(shop.tick().unwrap().invoice.stage, Stage::Paid);
    assert_eq!(shop.fetch().unwrap().body, b"goods");
}

#[test]
fn a_silent_ledger_is_asked_again_and_nothing_is_lost() {
    let shop = shop();
    shop.create(None);
    shop.pay(PRICE + FEE);
    shop.bank.stop(true);
    shop.expire();
    for _ in 0..5 {
        assert_eq!(shop.later(4_000).tick().unwrap().invoice.stage, Stage::Open);
    }
    shop.bank.stop(false);
    assert_eq!(shop.later(4_000).tick().unwrap().invoice.stage, Stage::Paid);
}

#[test]
fn what_is_bought_is_of_a_forward_target_too_and_a_failed_work_is_refunded_to_the_invoice() {
    let shop = shop();
    let target = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 3, 1, 1]);
    shop.runtime.caller.set(shop.runtime.controller);
    let forward = crate::domain::forward::Forward {
        canister: target,
        mode: crate::domain::forward::Mode::Serve,
        idempotent: false,
        on_failure: crate::domain::forward::OnFailure::Refund,
    };
    let own = Account {
        owner: shop.runtime.canister_id(),
        subaccount: Some([4; 32]),
    };
    let wanted = RouteDraft {
        prices: vec![Price {
            ledger: ledger(0).id,
            amount: Amount(PRICE),
        }],
        offers_invoices: true,
        forward: Some(forward),
        pay_to: Some(own),
        ..draft("/a")
    };
    catalogue::put(&shop.runtime, wanted).unwrap();
    shop.bank.give(ledger(0).id, own, 3 * FEE);
    shop.create(Some(payer()));
    shop.pay(PRICE + FEE);
    assert_eq!(shop.check().invoice.stage, Stage::Paid);
    // The target does not exist: the work fails, and the merchant's account pays back.
    let outcome = drive(&shop, content(&shop.runtime, &ID)).unwrap();
    assert!(
        matches!(outcome, PayOutcome::Duplicate { .. }),
        "{outcome:?}"
    );
    shop.later(60).tick();
    assert_eq!(shop.has(shop.account()), PRICE);
    shop.later(3_700).tick();
    shop.later(60).tick();
    assert_eq!(shop.has(payer()), PRICE - FEE);
}

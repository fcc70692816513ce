//! Invoices on real ledgers: paid, short, too much, late, given back, fetched twice, with another token, and with
//! upgrades in between.

use crate::support::{
    Setup,
    flow::ARTICLE,
    gateway::{Answer, Request},
    interface::{
        Invoice, InvoiceArgs, InvoiceError, InvoiceReturnArgs, InvoiceStatus, PaymentStatus,
        Returned, RouteArgs,
    },
    ledger::number,
    setup::{FEE, controller, merchant, stranger},
};
use candid::Principal;
use icrc_ledger_types::icrc1::account::Account;
use serde_bytes::ByteBuf;
use serde_json::{Value, json};

const PRICE: u128 = 30_000;

struct Shop {
    setup: Setup,
    buyer: Account,
}

fn shop() -> Shop {
    let setup = Setup::with_any_ledger();
    setup.sell("/a", PRICE);
    let args = RouteArgs {
        invoices: Some(true),
        ..setup.priced("GET", "/a", PRICE)
    };
    assert!(setup.route_put(args).expect("a good route").invoices);
    let buyer = Account::from(Principal::self_authenticating([80; 32]));
    setup.ledger.mint(&setup, buyer, 1_000_000);
    Shop { setup, buyer }
}

impl Shop {
    fn args(&self, id: u8, refund_to: bool) -> InvoiceArgs {
        InvoiceArgs {
            id: ByteBuf::from(vec![id; 32]),
            method: "GET".into(),
            path: "/a".into(),
            ledger: self.setup.ledger.0,
            price: None,
            refund_to: refund_to.then(|| self.buyer.into()),
        }
    }

    fn create(&self, id: u8, refund_to: bool) -> Invoice {
        let args = self.args(id, refund_to);
        let made: Result<Invoice, InvoiceError> =
            self.setup
                .update(Principal::anonymous(), "invoice_create", (args,));
        made.expect("an invoice")
    }

    fn check(&self, id: u8) -> Invoice {
        let id = ByteBuf::from(vec![id; 32]);
        let known: Result<Invoice, InvoiceError> =
            self.setup.update(stranger(), "invoice_check", (id,));
        known.expect("an invoice")
    }

    fn known(&self, id: u8) -> Invoice {
        let id = ByteBuf::from(vec![id; 32]);
        let known: Option<Invoice> = self.setup.query(stranger(), "invoice", (id,));
        known.expect("an invoice")
    }

    fn give_back(&self, id: u8, ledger: Principal) -> Result<Returned, InvoiceError> {
        let args = InvoiceReturnArgs {
            id: ByteBuf::from(vec![id; 32]),
            ledger,
            to: Some(self.buyer.into()),
        };
        self.setup.update(stranger(), "invoice_return", (args,))
    }

    /// As an exchange does: without a memo.
    fn pay(&self, invoice: &Invoice, amount: u128) {
        let (from, setup) = (self.buyer.owner, &self.setup);
        setup.ledger.transfer(setup, from, invoice.account, amount);
    }

    fn has(&self, account: Account) -> u128 {
        self.setup.ledger.balance(&self.setup, account)
    }

    fn content(&self, id: u8) -> Answer {
        let url = format!("/x402/invoices/{}/content", hex::encode([id; 32]));
        self.setup.get(&url)
    }

    /// Lets time pass, and the timer do what is due.
    fn wait(&self, seconds: u64) {
        self.setup.advance(seconds);
        for _ in 0..5 {
            self.setup.advance(6);
            for _ in 0..10 {
                self.setup.pic.tick();
            }
        }
    }

    /// The buyer's money and that of everybody else is what there was, less the fees of these transfers.
    fn lost(&self, fees: u128, others: &[Account]) {
        let others: u128 = others.iter().map(|account| self.has(*account)).sum();
        assert_eq!(self.has(self.buyer) + others, 1_000_000 - fees * FEE);
    }
}

#[test]
fn an_invoice_is_paid_by_a_plain_transfer_and_fetched_twice_with_an_upgrade_between() {
    let shop = shop();
    let invoice = shop.create(1, false);
    assert_eq!(number(&invoice.amount), PRICE + FEE);
    assert_eq!(invoice.status, InvoiceStatus::Open);
    assert_eq!(shop.create(1, false), invoice, "again");
    assert_eq!(shop.content(1).status, 402);
    shop.pay(&invoice, PRICE + FEE);
    shop.setup.upgrade();
    shop.setup.advance(6);
    let paid = shop.check(1);
    let InvoiceStatus::Paid { block_index, .. } = &paid.status else {
        panic!("{:?}", paid.status);
    };
    assert_eq!(shop.has(merchant()), PRICE);
    for _ in 0..2 {
        let answer = shop.content(1);
        assert_eq!((answer.status, &answer.body[..]), (200, ARTICLE));
        let response = answer.payment_response().expect("an outcome");
        assert_eq!(response.transaction, number(block_index).to_string());
        shop.setup.upgrade();
    }
    let payments = shop.setup.payments();
    assert_eq!(payments.len(), 1);
    assert_eq!(payments[0].rail, "invoice");
    assert_eq!(payments[0].payer, Some(invoice.account));
    assert!(matches!(
        payments[0].status,
        PaymentStatus::Delivered { .. }
    ));
    shop.lost(2, &[merchant()]);
}

#[test]
fn who_paid_and_closed_the_page_is_served_by_the_timer_and_what_was_too_much_goes_back() {
    let shop = shop();
    let invoice = shop.create(1, true);
    shop.pay(&invoice, 2 * (PRICE + FEE));
    shop.wait(3_700);
    assert!(matches!(shop.known(1).status, InvoiceStatus::Paid { .. }));
    shop.wait(60);
    let returned = shop.known(1).returned.expect("a return");
    assert_eq!(number(&returned.made.expect("made").amount), PRICE);
    assert_eq!(
        (shop.has(merchant()), shop.has(invoice.account)),
        (PRICE, 0)
    );
    assert_eq!(shop.content(1).body, ARTICLE);
    shop.lost(3, &[merchant()]);
}

#[test]
fn what_is_short_or_late_buys_nothing_and_goes_back() {
    let shop = shop();
    let short = shop.create(1, true);
    let late = shop.create(2, false);
    shop.pay(&short, PRICE);
    assert_eq!(shop.check(1).status, InvoiceStatus::Open);
    shop.wait(3_700);
    assert_eq!(shop.known(1).status, InvoiceStatus::Short);
    assert_eq!(shop.known(2).status, InvoiceStatus::Expired);
    shop.wait(60);
    assert_eq!(shop.has(short.account), 0);
    shop.pay(&late, PRICE + FEE);
    shop.setup.upgrade();
    let returned = shop
        .give_back(2, shop.setup.ledger.0)
        .expect("it goes back");
    assert_eq!(number(&returned.amount), PRICE);
    let again = shop.give_back(2, shop.setup.ledger.0);
    assert!(
        matches!(again, Err(InvoiceError::NothingToReturn { .. })),
        "{again:?}"
    );
    assert_eq!(shop.content(2).status, 402);
    assert_eq!(shop.has(merchant()), 0);
    shop.lost(4, &[]);
}

#[test]
fn tokens_of_another_ledger_buy_nothing_and_go_back() {
    let shop = shop();
    let setup = &shop.setup;
    let other = setup.another_ledger("OTHER");
    other.mint(setup, shop.buyer, 1_000_000);
    let invoice = shop.create(1, false);
    other.transfer(setup, shop.buyer.owner, invoice.account, PRICE + FEE);
    assert_eq!(shop.check(1).status, InvoiceStatus::Open);
    let returned = shop.give_back(1, other.0).expect("it goes back");
    assert_eq!(number(&returned.amount), PRICE);
    assert_eq!(other.balance(setup, shop.buyer), 1_000_000 - 2 * FEE);
    let open = shop.give_back(1, setup.ledger.0);
    assert!(
        matches!(open, Err(InvoiceError::NotEnded { .. })),
        "{open:?}"
    );
    assert_eq!(setup.solvency().invoices.open, 1);
}

#[test]
fn an_invoice_is_made_and_shown_over_http_and_no_query_answers() {
    let shop = shop();
    let setup = &shop.setup;
    let body = json!({
        "id": hex::encode([1; 32]), "path": "/a", "ledger": setup.ledger.0.to_text(),
        "refundTo": shop.buyer.to_string(),
    });
    let request = Request::new("POST", "/x402/invoices").body(body.to_string().as_bytes());
    let made = setup.send(&request);
    assert_eq!(made.status, 201);
    let json: Value = serde_json::from_slice(&made.body).expect("JSON");
    assert_eq!(json["amount"], (PRICE + FEE).to_string());
    let url = made.header("location").expect("a place").to_string();
    let query = Request::get(&url).query(&setup.pic, setup.canister);
    assert_eq!(query.upgrade, Some(true));
    let page = setup.get(&url);
    let text = String::from_utf8(page.body).expect("text");
    assert_eq!(page.status, 200);
    assert!(text.contains("<svg ") && text.contains(json["account"].as_str().unwrap()));
    assert_eq!(setup.get(&format!("{url}/more")).status, 404);
    assert_eq!(setup.get(&url.replace("01", "02")).status, 404);
    // A controller sees no account of an invoice as money of the canister.
    let account: Account = json["account"].as_str().unwrap().parse().unwrap();
    let refused: Result<(), crate::support::interface::RouteError> = setup.update(
        controller(),
        "pay_to_set",
        (crate::support::interface::AccountArg::from(account),),
    );
    assert!(refused.is_err());
}

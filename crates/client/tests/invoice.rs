//! The command pays invoices with a plain transfer, against a shop on a live network.

mod cli_support;
#[path = "cli_support/market.rs"]
mod market;
mod support;

use candid::{Decode, Encode, Principal};
use cli_support::words;
use market::{Market, account, refs};
use serde_bytes::ByteBuf;
use serde_json::Value;
use std::path::PathBuf;
use support::{CONTENT, FEE, FUNDS, PRICE, merchant};
use test_ledger::testing::{Answer, Effect, Fault, Hold};
use tollkeeper_client::{Account, Invoice, InvoiceError, InvoiceLink};

/// The amount of an invoice: the price, and the fee of the transfer to the merchant.
const AMOUNT: u128 = PRICE + FEE;

fn market(name: &str) -> Market {
    let market = Market::open(name, vec![]);
    market.shop.offer_invoices("/report");
    market
}

impl Market {
    fn create(&self, more: &[&str]) -> Value {
        let (url, ledger) = (self.url("/report"), self.shop.ledger.to_text());
        let args = ["invoice", "create", &url, "--asset", &ledger];
        let (status, made) = self.cli.json(&[&args[..], more].concat());
        assert_eq!(status, 0, "{made}");
        made
    }

    /// Arguments to pay an invoice.
    fn to_pay(&self, url: &str, more: &[&str]) -> Vec<String> {
        let (ledger, most) = (self.shop.ledger.to_text(), AMOUNT.to_string());
        let args = [
            "invoice",
            "pay",
            url,
            "--asset",
            &ledger,
            "--max-amount",
            &most,
        ];
        args.iter().chain(more).map(|a| a.to_string()).collect()
    }

    fn spent(&self) -> u128 {
        FUNDS - self.shop.balance(account())
    }

    /// The files of transfers that are recorded for invoices.
    fn records(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.cli.payments()) else {
            return vec![];
        };
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| path.to_str().unwrap().ends_with(".invoice.json"))
            .collect()
    }
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member]
        .as_str()
        .unwrap_or_else(|| panic!("{member}: {value}"))
}

fn kind(value: &Value) -> &str {
    value["error"]["kind"].as_str().unwrap_or_default()
}

#[test]
fn an_invoice_is_made_paid_once_and_what_is_too_much_goes_back() {
    let market = market("invoice");
    let made = market.create(&[]);
    let (url, id) = (text(&made, "url"), text(&made, "id"));
    assert!(url.ends_with(&format!("/x402/invoices/{id}")), "{url}");
    assert_eq!(text(&made, "amount"), AMOUNT.to_string());
    let link = InvoiceLink::parse(url, None).unwrap();
    assert_eq!(text(&made, "account"), link.account().to_string());
    // It cannot be given back while it can be paid.
    let own = account().to_string();
    let (status, value) = market.cli.json(&["invoice", "return", url, "--to", &own]);
    assert_eq!((status, kind(&value)), (1, "not_ended"), "{value}");
    // The ledger's answers are lost: the transfer is not made, then it is.
    for effect in [Effect::None, Effect::BeforeHold] {
        let fault = Fault {
            effect,
            hold: Hold::No,
            answer: Answer::Trap("lost".into()),
        };
        market.shop.misbehave_at("icrc1_transfer", 1, &fault);
        let (status, value) = market.json(&market.to_pay(url, &["--patience", "0"]));
        assert_eq!((status, kind(&value)), (6, "unsettled"), "{value}");
        assert_eq!(market.records().len(), 1);
    }
    assert_eq!(market.spent(), AMOUNT + FEE);
    let listed = market.cli.json(&["status"]).1;
    assert_eq!(text(&listed["invoices"][0], "url"), url, "{listed}");
    let ended = market.cli.run(&refs(&market.to_pay(url, &[])));
    assert_eq!(ended.stdout, CONTENT, "{}", words(&ended));
    assert!(words(&ended).contains("going on with the transfer"));
    assert_eq!(market.records(), [] as [PathBuf; 0]);
    // It is fetched again, and paid no more.
    let (status, paid) = market.json(&market.to_pay(url, &[]));
    assert_eq!(
        (status, text(&paid["content"], "text").as_bytes()),
        (0, CONTENT)
    );
    assert_eq!((market.spent(), market.blocks()), (AMOUNT + FEE, 1));

    // Somebody pays a second time.
    market.shop.fund(link.account(), 25_000);
    let canister = market.shop.canister.to_text();
    let (_, other) = market
        .cli
        .json(&["invoice", "return", id, "--canister", &canister]);
    assert_eq!(kind(&other), "invalid_argument", "{other}");
    let (status, back) = market.cli.json(&["invoice", "return", url, "--to", &own]);
    assert_eq!((status, text(&back, "to")), (0, own.as_str()), "{back}");
    assert_eq!(text(&back, "amount"), (25_000 - FEE).to_string());
    assert_eq!(market.spent(), AMOUNT + FEE - (25_000 - FEE));
    let (status, value) = market.cli.json(&["invoice", "return", url]);
    assert_eq!((status, kind(&value)), (1, "nothing_to_return"), "{value}");
    let (status, shown) = market
        .cli
        .json(&["invoice", "show", id, "--canister", &canister]);
    assert_eq!((status, text(&shown, "status")), (0, "paid"), "{shown}");
    assert_eq!(text(&shown["returned"], "to"), own);
    assert_eq!(market.shop.balance(merchant()), PRICE);
}

#[test]
fn an_invoice_is_paid_within_the_limits_only() {
    let market = market("invoice-limits");
    let own = account().to_string();
    let made = market.create(&["--refund-to", &own]);
    let url = text(&made, "url");
    assert_eq!(text(&made, "refundTo"), own);
    let ledger = market.shop.ledger.to_text();
    let below = (AMOUNT - 1).to_string();
    let args = [
        "invoice",
        "pay",
        url,
        "--asset",
        &ledger,
        "--max-amount",
        &below,
    ];
    let (status, value) = market.cli.json(&args);
    assert_eq!((status, kind(&value)), (3, "over_limit"), "{value}");
    let (status, value) = market.cli.json(&["invoice", "pay", url]);
    assert_eq!((status, kind(&value)), (3, "over_limit"), "{value}");
    // What was never made, what is not sold, and what is no invoice.
    let unknown = url.replace(text(&made, "id"), &"0".repeat(64));
    let (status, value) = market.json(&market.to_pay(&unknown, &[]));
    assert_eq!((status, kind(&value)), (1, "unknown_invoice"), "{value}");
    let about = market.url("/about");
    let (status, value) = market
        .cli
        .json(&["invoice", "create", &about, "--asset", &ledger]);
    assert_eq!((status, kind(&value)), (3, "not_sold"), "{value}");
    for wrong in [
        vec!["invoice", "pay", &about],
        vec!["invoice", "show", text(&made, "id")],
        vec!["invoice", "create", "https://shop.example/report"],
        vec!["invoice", "create", &format!("{about}?a=b")],
    ] {
        let (status, value) = market.cli.json(&wrong);
        assert_eq!((status, kind(&value)), (2, "usage"), "{wrong:?}: {value}");
    }
    assert_eq!((market.spent(), market.records().len()), (0, 0));
    assert_eq!(market.json(&market.to_pay(url, &[])).0, 0);
    assert_eq!((market.spent(), market.blocks()), (AMOUNT + FEE, 1));
}

/// A canister that answers every call with the same bytes, as the canister of another domain could.
fn liar(reply: &[u8]) -> Vec<u8> {
    let bytes: String = reply.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let length = reply.len();
    wat::parse_str(format!(
        r#"(module
            (import "ic0" "msg_reply" (func $reply))
            (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
            (func (export "canister_update invoice_check")
                (call $append (i32.const 0) (i32.const {length}))
                (call $reply))
            (memory 1)
            (data (i32.const 0) "{bytes}"))"#
    ))
    .unwrap()
}

#[test]
fn an_invoice_of_another_account_gets_nothing() {
    let market = market("invoice-account");
    let made = market.create(&[]);
    let link = InvoiceLink::parse(text(&made, "url"), None).unwrap();
    let id = ByteBuf::from(link.id().to_vec());
    let arg = Encode!(&id).unwrap();
    let reply = market.shop.call(market.shop.canister, "invoice_check", arg);
    let honest = Decode!(&reply, Result<Invoice, InvoiceError>).unwrap();
    // The same invoice from another canister: its account is the first one's.
    let forged = Invoice {
        path: "/cheap".into(),
        ..honest.unwrap()
    };
    let reply = Encode!(&Ok::<_, InvoiceError>(forged)).unwrap();
    let other = market.shop.install(liar(&reply));
    let url = text(&made, "url").replace(&market.shop.canister.to_text(), &other.to_text());
    let (status, value) = market.json(&market.to_pay(&url, &[]));
    assert_eq!((status, kind(&value)), (3, "wrong_account"), "{value}");
    assert_eq!((market.spent(), market.records().len()), (0, 0));
    let stranger: Account = Principal::anonymous().into();
    assert_eq!(market.shop.balance(stranger), 0);
}

//! The costs of invoices.

use super::{
    Bench, PRICE,
    support::{
        interface::{Invoice, InvoiceArgs, InvoiceError, InvoiceStatus, RouteArgs},
        ledger::number,
        setup::stranger,
    },
};
use candid::Principal;
use icrc_ledger_types::icrc1::account::Account;
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;

/// An invoice is made, looked at, shown, expires, and is paid.
pub fn invoices(figures: &mut BTreeMap<&str, u64>) {
    let bench = Bench::new();
    let setup = &bench.setup;
    setup.sell("/report", PRICE);
    let route = RouteArgs {
        invoices: Some(true),
        ..setup.priced("GET", "/report", PRICE)
    };
    setup.route_put(route).expect("a good route");
    let buyer = Account::from(Principal::self_authenticating([80; 32]));
    setup.ledger.mint(setup, buyer, 1_000_000);
    let blob = |id: u8| ByteBuf::from(vec![id; 32]);
    let create = |id: u8| -> Invoice {
        let args = InvoiceArgs {
            id: blob(id),
            method: "GET".into(),
            path: "/report".into(),
            ledger: setup.ledger.0,
            price: None,
            refund_to: Some(buyer.into()),
        };
        let made: Result<Invoice, InvoiceError> =
            setup.update(Principal::anonymous(), "invoice_create", (args,));
        made.expect("an invoice")
    };
    let check = |id: u8| -> Invoice {
        let known: Result<Invoice, InvoiceError> =
            setup.update(stranger(), "invoice_check", (blob(id),));
        known.expect("an invoice")
    };
    // The first ones touch fresh memory.
    create(1);
    check(1);
    let (_, made) = bench.spent(|| create(2));
    figures.insert("invoice.create_instructions", made.updates);
    figures.insert("invoice.create_cycles", made.cycles);
    let (_, checked) = bench.spent(|| check(2));
    figures.insert("invoice.check_cycles", checked.cycles);
    figures.insert("invoice.check_ledger_calls", checked.ledger_calls);
    setup.advance(6);
    let url = format!("/x402/invoices/{}", hex::encode([2; 32]));
    let (page, shown) = bench.spent(|| setup.get(&url));
    figures.insert("invoice.page_instructions", shown.updates);
    figures.insert("invoice.page_cycles", shown.cycles);
    figures.insert("invoice.page_bytes", page.body.len() as u64);

    let invoice = create(3);
    let amount = number(&invoice.amount);
    let paid = |id: u8| {
        let invoice = create(id);
        setup
            .ledger
            .transfer(setup, buyer.owner, invoice.account, amount);
        let (known, spent) = bench.spent(|| check(id));
        assert!(matches!(known.status, InvoiceStatus::Paid { .. }));
        spent
    };
    paid(4);
    let collected = paid(5);
    figures.insert("invoice.paid_instructions", collected.updates);
    figures.insert("invoice.paid_cycles", collected.cycles);
    figures.insert("invoice.paid_ledger_calls", collected.ledger_calls);

    // Three expire; what the timer spends for each, with a tick of its own.
    let (_, expired) = bench.spent(|| {
        setup.advance(3_700);
        for _ in 0..10 {
            setup.pic.tick();
        }
    });
    let known: Option<Invoice> = setup.query(stranger(), "invoice", (blob(3),));
    assert_eq!(known.expect("it is kept").status, InvoiceStatus::Expired);
    figures.insert("invoice.expiry_cycles", expired.cycles / 3);
}

use super::*;
use crate::{
    domain::route::{Price, RouteDraft, tests::draft},
    runtime::scripted::run,
    service::{
        catalogue,
        pay::tests::{Shop, shop},
    },
    storage::ledgers::tests::ledger,
    types::Amount,
};
use candid::Nat;
use x402_icp::Code;

fn put(shop: &Shop, path: &str, amounts: &[u128]) {
    let price = |amount: &u128| Price {
        ledger: ledger(0).id,
        amount: Amount(*amount),
    };
    let prices = amounts.iter().map(price).collect();
    let wanted = RouteDraft {
        prices,
        ..draft(path)
    };
    catalogue::put(&shop.runtime, wanted).unwrap();
}

/// A request for `path`, which matches `template`, with this payment.
fn buy(
    shop: &Shop,
    template: Option<&str>,
    path: &str,
    payment: &Result<Credential, Refusal>,
) -> PurchaseOutcome {
    let request = ResourceRequest {
        sent: Sent {
            query: "",
            headers: &[],
            body: &[],
        },
        method: Method::Get,
        template: template.map(str::to_string),
        path: path.to_string(),
        payment: payment.clone(),
        fingerprint: [1; 32],
    };
    run(execute(&shop.runtime, request))
}

fn payment(shop: &Shop, nonce: u8) -> Result<Credential, Refusal> {
    Ok(shop.request(1, nonce).credential)
}

/// Whether it was paid for and delivered.
fn is_delivered(outcome: &PurchaseOutcome) -> bool {
    matches!(outcome, PurchaseOutcome::Processed(paid, _) if matches!(**paid, PayOutcome::Paid { .. }))
}

#[test]
fn nothing_is_charged_where_nothing_is_sold() {
    let shop = shop();
    let payment = payment(&shop, 1);
    put(&shop, "/free", &[]);
    put(&shop, "/empty", &[10_000]);
    for template in [None, Some("/free"), Some("/empty"), Some("/gone")] {
        let outcome = buy(&shop, template, "/a", &payment);
        assert!(
            matches!(outcome, PurchaseOutcome::NothingToPay),
            "{template:?}: {outcome:?}"
        );
    }
    assert_eq!(shop.runtime.made(), 0);
    shop.will(Ok(Nat::from(7u8)));
    let outcome = buy(&shop, Some("/a"), "/a", &payment);
    let PurchaseOutcome::Processed(_, Some(route)) = &outcome else {
        panic!("{outcome:?}");
    };
    assert!(is_delivered(&outcome) && route.key.path == "/a");
}

#[test]
fn a_known_payment_is_answered_wherever_it_is_presented() {
    let shop = shop();
    let payment = payment(&shop, 1);
    shop.will(Ok(Nat::from(7u8)));
    assert!(is_delivered(&buy(&shop, Some("/a"), "/a", &payment)));
    put(&shop, "/free", &[]);
    put(&shop, "/empty", &[10_000]);
    for template in [Some("/a"), Some("/free"), Some("/empty"), None] {
        let outcome = buy(&shop, template, "/a", &payment);
        assert!(is_delivered(&outcome), "{template:?}: {outcome:?}");
    }
    assert_eq!(shop.runtime.made(), 1);
}

#[test]
fn what_cannot_be_read_is_shown_the_offers_where_something_is_sold() {
    let shop = shop();
    let unreadable = Err(Refusal::new(Code::InvalidPayload, "no base64"));
    let outcome = buy(&shop, Some("/a"), "/a", &unreadable);
    let PurchaseOutcome::Unreadable(route, refusal) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(Err(refusal), unreadable);
    assert_eq!(route.key.path, "/a");
    put(&shop, "/free", &[]);
    for template in [None, Some("/free")] {
        let outcome = buy(&shop, template, "/a", &unreadable);
        assert!(matches!(outcome, PurchaseOutcome::NothingToPay));
    }
}

#[test]
fn no_payment_is_taken_for_a_path_that_cannot_be_recorded() {
    let shop = shop();
    let path = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
    let payment = payment(&shop, 1);
    let outcome = buy(&shop, Some("/a"), &path(MAX_PATH_BYTES + 1), &payment);
    assert!(
        matches!(outcome, PurchaseOutcome::PathTooLong),
        "{outcome:?}"
    );
    assert_eq!(shop.runtime.made(), 0);
    shop.will(Ok(Nat::from(7u8)));
    let outcome = buy(&shop, Some("/a"), &path(MAX_PATH_BYTES), &payment);
    assert!(is_delivered(&outcome), "{outcome:?}");
}

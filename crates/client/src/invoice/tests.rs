use super::*;

const A: &str = "be2us-64aaa-aaaaa-qaabq-cai";
const B: &str = "ryjl3-tyaaa-aaaaa-aaaba-cai";

fn id(text: &str) -> Principal {
    Principal::from_text(text).unwrap()
}

#[test]
fn the_url_of_an_invoice_names_its_canister_and_id() {
    let digits = hex::encode([0xab; 32]);
    for (url, shown) in [
        (
            format!("https://{A}.icp0.io/x402/invoices/{digits}"),
            format!("https://{A}.icp0.io/x402/invoices/{digits}"),
        ),
        (
            format!("https://{A}.icp0.io/x402/invoices/{digits}/content?a=b#c"),
            format!("https://{A}.icp0.io/x402/invoices/{digits}"),
        ),
        (
            format!("http://127.0.0.1:4943/x402/invoices/{digits}?canisterId={A}&a=b"),
            format!("http://127.0.0.1:4943/x402/invoices/{digits}?canisterId={A}"),
        ),
    ] {
        let link = InvoiceLink::parse(&url, None).unwrap();
        assert_eq!((link.canister(), link.id()), (id(A), &[0xab; 32]), "{url}");
        assert_eq!(link.url(), Some(shown.as_str()));
        let content = link.content_url().unwrap();
        assert!(content.contains(&format!("{digits}/content")), "{content}");
        assert!(!format!("{link:?}").contains(&digits), "the id is a secret");
    }
}

#[test]
fn a_url_that_names_no_invoice_is_refused() {
    let digits = "ab".repeat(32);
    let at = |host: &str, digits: &str| format!("https://{host}/x402/invoices/{digits}");
    let own = format!("{A}.icp0.io");
    for url in [
        at(&own, &digits.to_uppercase()),
        at(&own, &digits[1..]),
        at(&own, ""),
        at(&own, &format!("{digits}/other")),
        at("shop.example", &digits),
        at(&format!("me@{own}"), &digits),
        format!("ftp://{own}/x402/invoices/{digits}"),
        format!("https://{own}/report"),
        String::new(),
    ] {
        assert!(InvoiceLink::parse(&url, None).is_err(), "{url}");
    }
    let shop = at("shop.example", &digits);
    let link = InvoiceLink::parse(&shop, Some(id(A))).unwrap();
    assert_eq!((link.canister(), link.url()), (id(A), Some(shop.as_str())));
    // A canister that is named does not replace the one of the host.
    assert!(InvoiceLink::parse(&at(&own, &digits), Some(id(B))).is_err());
    assert!(InvoiceLink::parse(&shop, Some(Principal::anonymous())).is_err());
}

#[test]
fn attack_an_invoice_for_other_terms_than_ordered_is_noticed() {
    let (ledger, back) = (id(B), Account::from(id(A)));
    let order = InvoiceOrder {
        url: format!("https://{A}.icp0.io/a"),
        canister: None,
        ledger,
        price: Some(Amount(5)),
        refund_to: Some(back),
    };
    let account = InvoiceLink::new(id(A), [7; 32]).account();
    let invoice = Invoice {
        account,
        account_text: account.to_string(),
        account_identifier: None,
        ledger,
        symbol: "T".into(),
        decimals: 6,
        amount: 6u8.into(),
        price: 5u8.into(),
        pay_to: back,
        offer: String::new(),
        method: "GET".into(),
        path: "/a".into(),
        refund_to: Some(back),
        created_at: 0,
        expires_at: 1,
        balance: 0u8.into(),
        read_at: None,
        status: InvoiceStatus::Open,
        payment_id: None,
        returned: None,
    };
    let differs = |change: fn(&mut Invoice)| {
        let mut other = invoice.clone();
        change(&mut other);
        order.differs("/a", &other)
    };
    assert_eq!(differs(|_| {}), None);
    assert_eq!(differs(|other| other.ledger = id(A)), Some("ledger"));
    assert_eq!(differs(|other| other.path = "/b".into()), Some("path"));
    assert_eq!(differs(|other| other.price = 6u8.into()), Some("price"));
    let refunds = Some("account for refunds");
    assert_eq!(differs(|other| other.refund_to = None), refunds);
    assert_eq!(
        differs(|other| other.refund_to = Some(id(B).into())),
        refunds
    );
}

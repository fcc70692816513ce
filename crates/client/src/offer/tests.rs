use super::*;
use serde_json::json;
use x402_icp::offer::offer_id;

const CKUSDC: &str = "xevnm-gaaaa-aaaar-qafnq-cai";
const SPENDER: &str = "ryjl3-tyaaa-aaaaa-aaaba-cai";

fn offer() -> Value {
    let spender = Principal::from_text(SPENDER).unwrap();
    json!({
        "scheme": "exact", "network": "icp:1", "amount": "10000", "asset": CKUSDC,
        "payTo": "aaaaa-aa", "maxTimeoutSeconds": 60,
        "extra": {
            "assetTransferMethod": "icrc2", "symbol": "ckUSDC", "decimals": 6, "fee": "10000",
            "spender": SPENDER, "offer": offer_id(spender, "GET", "/report", 3),
            "method": "GET", "route": "/report", "revision": 3, "unknown": {"kept": [null]},
        },
    })
}

fn expectations(controls: &SpendControls) -> Expectations<'_> {
    Expectations {
        network: "icp:1",
        spender: Some(Principal::from_text(SPENDER).unwrap()),
        method: "GET",
        path: "/report",
        controls,
        by: By::Allowance,
    }
}

fn by_transfer() -> Value {
    let mut offer = offer();
    let extra = offer["extra"].as_object_mut().unwrap();
    extra.insert("assetTransferMethod".into(), json!("icrc1"));
    extra.insert("paymentFlow".into(), json!("upfront"));
    extra.insert("maxProofAgeSeconds".into(), json!(86_400.0));
    let canister = extra.remove("spender").unwrap();
    extra.insert("canister".into(), canister);
    offer
}

fn judge_by(offer: &Value, by: By) -> Result<Offer, OfferProblem> {
    let controls = SpendControls::default();
    let expected = Expectations {
        by,
        ..expectations(&controls)
    };
    read(offer, &expected)
}

#[test]
fn an_offer_by_transfer_is_read_with_the_same_care() {
    let accepted = judge_by(&by_transfer(), By::Transfer).unwrap();
    assert_eq!(accepted.method(), Method::Transfer);
    assert_eq!(accepted.total(), Amount(20_000));
    assert_eq!(accepted.spender.to_text(), SPENDER);
    let verbatim = serde_json::to_value(accepted.verbatim).unwrap();
    assert_eq!(verbatim, by_transfer());
    let cases = [
        ("/network", json!("icp:0123456789abcdef"), "network"),
        ("/asset", json!(SPENDER), "not allowed"),
        ("/amount", json!("1000001"), "above the limit"),
        ("/payTo", json!("nobody"), "payTo"),
        ("/extra/canister", json!("aaaaa-aa"), "collected by"),
        ("/extra/canister", json!(null), "cannot be decoded"),
        ("/extra/paymentFlow", json!("authorization"), "payment flow"),
        ("/extra/paymentFlow", json!("escrow"), "payment flow"),
        ("/extra/route", json!("/other"), "not for this request"),
        ("/extra/method", json!("POST"), "not for this request"),
        ("/extra/fee", json!("1.0"), "fee"),
        ("/extra/maxProofAgeSeconds", json!(0), "maxProofAgeSeconds"),
        ("/extra/assetTransferMethod", json!("icrc7"), "decoded"),
    ];
    for (pointer, value, words) in cases {
        let mut odd = by_transfer();
        *odd.pointer_mut(pointer).unwrap() = value;
        let problem = judge_by(&odd, By::Transfer).unwrap_err();
        assert!(problem.to_string().contains(words), "{pointer}: {problem}");
    }
    assert_eq!(
        judge_by(&by_transfer(), By::Allowance),
        Err(OfferProblem::ByTransfer)
    );
    assert_eq!(
        judge_by(&offer(), By::Transfer),
        Err(OfferProblem::ByAllowance)
    );
}

#[test]
fn an_allowance_comes_before_a_transfer() {
    let controls = SpendControls::default();
    let expected = Expectations {
        by: By::Any,
        ..expectations(&controls)
    };
    let mut cheap = by_transfer();
    cheap["amount"] = json!("1");
    let (good, refused) = select(&[cheap.clone(), json!(1), offer()], &expected);
    assert_eq!(good.len(), 1);
    assert_eq!(good[0].method(), Method::Allowance);
    assert_eq!(refused.iter().map(|r| r.index).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(refused[0].problem, OfferProblem::NotNeeded);
    let (good, _) = select(&[by_transfer(), cheap], &expected);
    assert_eq!(
        good.iter().map(|o| o.amount).collect::<Vec<_>>(),
        [Amount(1), Amount(10_000)]
    );
    assert_eq!(why(&good, 0), "the cheapest in the ledger that comes first");
    assert_eq!(why(&good[..1], 0), "the only acceptable offer");
    assert_eq!(why(&good, 1), "the first one that can be paid");
}

fn judge(offer: Value) -> Result<Offer, OfferProblem> {
    read(&offer, &expectations(&SpendControls::default()))
}

#[test]
fn a_good_offer_is_accepted_and_kept_verbatim() {
    let accepted = judge(offer()).unwrap();
    assert_eq!(accepted.amount, Amount(10_000));
    assert_eq!(serde_json::to_value(accepted.verbatim).unwrap(), offer());
}

#[test]
fn every_misfit_is_named() {
    let cases = [
        ("/scheme", json!("upto"), "scheme"),
        ("/network", json!("icp:0123456789abcdef"), "network"),
        (
            "/extra/assetTransferMethod",
            json!("icrc1"),
            "your own transfer",
        ),
        ("/extra/paymentFlow", json!("escrow"), "payment flow"),
        ("/extra/offer", json!(7), "cannot be decoded"),
        ("/asset", json!(SPENDER), "not allowed"),
        ("/asset", json!("ckUSDC"), "asset"),
        ("/amount", json!("1000001"), "above the limit"),
        ("/amount", json!("1e3"), "amount"),
        ("/amount", json!("-1"), "amount"),
        ("/payTo", json!("nobody"), "payTo"),
        ("/extra/spender", json!("aaaaa-aa"), "collected by"),
    ];
    for (pointer, value, words) in cases {
        let mut offer = offer();
        match offer.pointer_mut(pointer) {
            Some(field) => *field = value,
            None => drop(
                offer["extra"]
                    .as_object_mut()
                    .unwrap()
                    .insert("paymentFlow".into(), value),
            ),
        }
        let problem = judge(offer).unwrap_err();
        assert!(problem.to_string().contains(words), "{pointer}: {problem}");
    }
}

#[test]
fn an_odd_entry_is_skipped_and_its_reason_told() {
    let with = |pointer: &str, value: Value| {
        let mut odd = offer();
        *odd.pointer_mut(pointer).unwrap() = value;
        odd
    };
    let mut without_extra = offer();
    without_extra.as_object_mut().unwrap().remove("extra");
    let mut version_1 = offer();
    version_1["maxAmountRequired"] = version_1["amount"].take();
    let odd = [
        (json!(null), "not an object"),
        (json!("exact"), "not an object"),
        (json!([]), "not an object"),
        (json!({}), "scheme is missing"),
        (without_extra, "extra is not an object"),
        (with("/extra", json!(null)), "extra is not an object"),
        (with("/maxTimeoutSeconds", json!(60.5)), "maxTimeoutSeconds"),
        (with("/maxTimeoutSeconds", json!("60")), "maxTimeoutSeconds"),
        (with("/maxTimeoutSeconds", json!(null)), "maxTimeoutSeconds"),
        (with("/maxTimeoutSeconds", json!(0)), "maxTimeoutSeconds"),
        (with("/maxTimeoutSeconds", json!(-60)), "maxTimeoutSeconds"),
        (with("/maxTimeoutSeconds", json!(86_401)), "at most 86400"),
        (
            with("/maxTimeoutSeconds", json!(4_294_967_295u32)),
            "at most 86400",
        ),
        (with("/maxTimeoutSeconds", json!(1e15)), "maxTimeoutSeconds"),
        (with("/amount", json!(10_000)), "amount is not a text"),
        (with("/asset", json!({})), "asset is not a text"),
        (version_1, "version 1"),
    ];
    let mut accepts: Vec<Value> = odd.iter().map(|(entry, _)| entry.clone()).collect();
    accepts.push(offer());
    let controls = SpendControls::default();
    let (good, refused) = select(&accepts, &expectations(&controls));
    assert_eq!(good.len(), 1);
    assert_eq!(refused.len(), odd.len());
    for (refused, (entry, words)) in refused.iter().zip(odd) {
        assert!(refused.to_string().contains(words), "{entry}: {refused}");
    }
}

#[test]
fn numbers_of_an_offer_count_by_their_value() {
    let mut by_value = offer();
    by_value["maxTimeoutSeconds"] = json!(300.0);
    by_value["extra"]["decimals"] = json!(6.0);
    by_value["extra"]["revision"] = json!(3.0);
    by_value["extra"]["paymentFlow"] = json!(null);
    let accepted = judge(by_value).unwrap();
    assert_eq!(accepted.max_timeout_seconds(), 300);
    match accepted.terms {
        OfferTerms::Icrc2(terms) => assert_eq!(terms.extra.decimals, 6),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_offer_of_another_request_is_refused() {
    let spender = Principal::from_text(SPENDER).unwrap();
    let with = |method: Value, route: Value, revision: Value, id: Option<String>| {
        let mut other = offer();
        let extra = &mut other["extra"];
        if let Some(id) = id {
            extra["offer"] = json!(id);
        }
        extra["method"] = method;
        extra["route"] = route;
        extra["revision"] = revision;
        other
    };
    let (get, report) = (json!("GET"), json!("/report"));
    for other in [
        // Of another resource of the same shop, of another method, of another price.
        with(
            get.clone(),
            json!("/other"),
            json!(3),
            Some(offer_id(spender, "GET", "/other", 3)),
        ),
        with(
            json!("POST"),
            report.clone(),
            json!(3),
            Some(offer_id(spender, "POST", "/report", 3)),
        ),
        with(get.clone(), report.clone(), json!(4), None),
        // With the terms of this request and the id of another.
        with(
            get.clone(),
            report.clone(),
            json!(3),
            Some(offer_id(spender, "GET", "/other", 3)),
        ),
        with(json!(null), report.clone(), json!(3), None),
        with(get.clone(), json!(null), json!(3), None),
        with(get, report, json!(null), None),
    ] {
        let problem = judge(other.clone()).unwrap_err();
        assert!(
            matches!(problem, OfferProblem::OtherRequest(_)),
            "{other}: {problem}"
        );
    }
}

#[test]
fn no_offer_is_accepted_where_the_serving_canister_is_unknown() {
    let controls = SpendControls::default();
    let expected = Expectations {
        spender: None,
        ..expectations(&controls)
    };
    let problem = read(&offer(), &expected).unwrap_err();
    assert!(matches!(problem, OfferProblem::UnknownServer(_)));
}

#[test]
fn words_of_sellers_are_made_plain() {
    let mut hostile = offer();
    hostile["scheme"] = json!("\u{1b}]52;c;AAAA\u{7}\nresume with: rm");
    let text = judge(hostile).unwrap_err().to_string();
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

#[test]
fn the_order_of_ledgers_comes_before_the_price() {
    let (ckusdc, ckusdt) = (KNOWN_TOKENS[0].principal(), KNOWN_TOKENS[1].principal());
    let mut cheap = offer();
    cheap["asset"] = json!(ckusdt.to_text());
    cheap["amount"] = json!("1");
    let accepts = [offer(), cheap];
    for (controls, first) in [
        (SpendControls::default(), ckusdc),
        (
            SpendControls::none()
                .allow(ckusdt, Amount(5))
                .allow(ckusdc, Amount(10_000)),
            ckusdt,
        ),
    ] {
        let (good, _) = select(&accepts, &expectations(&controls));
        assert_eq!(good[0].asset, first);
        assert_eq!(good[0].total().0, good[0].amount.0 + 10_000);
    }
}

#[test]
fn the_limit_itself_may_be_paid() {
    let mut at_limit = offer();
    at_limit["amount"] = json!("1000000");
    assert!(judge(at_limit).is_ok());
}

#[test]
fn the_cheapest_offer_comes_first() {
    let mut cheap = offer();
    cheap["amount"] = json!("1");
    let mut foreign = offer();
    foreign["network"] = json!("eip155:8453");
    foreign["extra"] = json!({"name": "USDC"});
    let accepts = [offer(), foreign, cheap];
    let controls = SpendControls::default();
    let (good, refused) = select(&accepts, &expectations(&controls));
    assert_eq!(
        good.iter().map(|o| o.amount.0).collect::<Vec<_>>(),
        [1, 10_000]
    );
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].index, 1);
}

#[test]
fn nothing_is_allowed_but_what_was_allowed() {
    let ledger = Principal::from_text(CKUSDC).unwrap();
    assert_eq!(SpendControls::none().max(ledger), None);
    assert_eq!(
        SpendControls::default().max(ledger),
        Some(Amount(1_000_000))
    );
    assert_eq!(
        SpendControls::none().allow(ledger, Amount(5)).max(ledger),
        Some(Amount(5))
    );
}

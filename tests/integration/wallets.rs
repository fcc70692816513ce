//! What wallets ask before they sign: ICRC-10, ICRC-21 and ICRC-28, by queries and by updates without a key.

use crate::support::{
    Setup,
    interface::{
        AccountArg, PayArgs, PayError, Purchased, Quote, RouteError, RouteKey, SupportedStandard,
        TrustedOrigins,
    },
    setup::{controller, stranger},
};
use candid::{Encode, Principal};
use icrc_ledger_types::icrc21::{
    errors::Icrc21Error,
    requests::{
        ConsentMessageMetadata, ConsentMessageRequest, ConsentMessageSpec, DisplayMessageType,
    },
    responses::{ConsentInfo, ConsentMessage},
};
use serde_bytes::ByteBuf;

const PRICE: u128 = 30_000;
const CONSENT: &str = "icrc21_canister_call_consent_message";

type Consented = Result<ConsentInfo, Icrc21Error>;

fn pay_args(setup: &Setup) -> PayArgs {
    let key = RouteKey {
        method: "GET".into(),
        path: "/article".into(),
    };
    let quote: Option<Quote> = setup.query(stranger(), "quote", (key,));
    let offer = &quote.expect("a route serves it").offers[0];
    PayArgs {
        id: ByteBuf::from(vec![7; 32]),
        method: "GET".into(),
        path: "/article".into(),
        ledger: offer.ledger,
        amount: offer.amount.clone(),
        fee: offer.fee.clone(),
        pay_to: AccountArg::from(offer.pay_to),
        from_subaccount: None,
        created_at_time: setup.now_ns(),
    }
}

fn request(method: &str, arg: Vec<u8>) -> ConsentMessageRequest {
    ConsentMessageRequest {
        method: method.into(),
        arg,
        user_preferences: ConsentMessageSpec {
            metadata: ConsentMessageMetadata {
                language: "en".into(),
                utc_offset_minutes: None,
            },
            device_spec: Some(DisplayMessageType::GenericDisplay),
        },
    }
}

/// A wallet asks by an update call, shows the message, and sends exactly the bytes that it asked about.
#[test]
fn a_wallet_shows_what_is_paid_and_the_payment_is_that() {
    let setup = Setup::with_any_ledger();
    let buyer = setup.payer(67).account.owner;
    setup.sell("/article", PRICE);
    let args = pay_args(&setup);
    let asked = request("pay", Encode!(&args).unwrap());
    let shown: Consented = setup.update(Principal::anonymous(), CONSENT, (asked.clone(),));
    let queried: Consented = setup.query(Principal::anonymous(), CONSENT, (asked.clone(),));
    assert_eq!(shown, queried);
    let ConsentMessage::GenericDisplayMessage(text) = shown.expect("described").consent_message
    else {
        panic!("text was asked for");
    };
    let first = text.lines().next();
    assert_eq!(first, Some("# Buy GET /article"));
    assert!(text.contains("your account"), "{text}");
    for value in [
        args.ledger.to_text(),
        setup.canister.to_text(),
        "07".repeat(32),
    ] {
        assert!(text.contains(&format!("`{value}`")), "no {value} in {text}");
    }
    let with_payer: Consented = setup.query(buyer, CONSENT, (asked,));
    let ConsentMessage::GenericDisplayMessage(text) = with_payer.unwrap().consent_message else {
        panic!("text was asked for");
    };
    assert!(text.contains(&buyer.to_text()), "{text}");

    let bought: Result<Purchased, PayError> = setup.update(buyer, "pay", (args.clone(),));
    assert_eq!(bought.expect("paid").receipt.amount, args.amount);
    setup.check_conservation();
}

#[test]
fn a_request_without_a_message_is_dropped_as_an_update_and_explained_as_a_query() {
    let setup = Setup::with_any_ledger();
    setup.sell("/article", PRICE);
    let valid = Encode!(&pay_args(&setup)).unwrap();
    for (method, arg) in [
        ("withdraw", valid.clone()),
        ("pay", valid[1..].to_vec()),
        ("pay", vec![0; 1_200]),
    ] {
        let asked = request(method, arg);
        let told: Consented = setup.query(Principal::anonymous(), CONSENT, (asked.clone(),));
        assert!(told.is_err());
        let argument = Encode!(&asked).unwrap();
        let sent = setup
            .pic
            .update_call(setup.canister, Principal::anonymous(), CONSENT, argument);
        assert!(sent.is_err(), "{method}");
    }
}

#[test]
fn trusted_origins_are_set_by_controllers_and_kept_by_upgrades() {
    let setup = Setup::with_any_ledger();
    let set = |caller, origins: &[&str]| -> Result<(), RouteError> {
        let origins: Vec<String> = origins.iter().map(|origin| origin.to_string()).collect();
        setup.update(caller, "trusted_origins_set", (origins,))
    };
    let trusted = |caller| -> Vec<String> {
        let answer: TrustedOrigins = setup.update(caller, "icrc28_trusted_origins", ());
        answer.trusted_origins
    };
    assert!(trusted(Principal::anonymous()).is_empty());
    set(controller(), &["https://dapp.example"]).unwrap();
    let own: Result<(), RouteError> =
        setup.update(controller(), "origin_set", (Some("https://shop.example"),));
    own.unwrap();
    setup.upgrade();
    let both = ["https://shop.example", "https://dapp.example"];
    assert_eq!(trusted(Principal::anonymous()), both);
    let refused = set(controller(), &["https://dapp.example/page"]);
    let Err(RouteError::InvalidArgument(error)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(error.field, "origins");
    assert_eq!(trusted(stranger()), both, "nothing changed");
}

/// Wallets ask for the standards first. Agents read the prose, which names methods that exist.
#[test]
fn standards_and_prose_are_public() {
    let setup = Setup::with_any_ledger();
    let standards: Vec<SupportedStandard> =
        setup.update(Principal::anonymous(), "icrc10_supported_standards", ());
    let names: Vec<_> = standards
        .iter()
        .map(|standard| &standard.name[..])
        .collect();
    assert_eq!(names, ["ICRC-10", "ICRC-21", "ICRC-28"]);
    let prose: String = setup.query(stranger(), "get_api_doc", ());
    for method in ["quote", "pay", "payment", "receipt", "routes", "config"] {
        assert!(prose.contains(&format!("`{method}")), "no {method}");
        let did = include_str!("../../canister.did");
        assert!(did.contains(&format!("\n  {method} :")), "no {method}");
    }
}

use super::*;
use icrc_ledger_types::icrc21::errors::Icrc21Error;
use icrc_ledger_types::icrc21::requests::{
    ConsentMessageMetadata, ConsentMessageRequest, ConsentMessageSpec, DisplayMessageType,
};
use icrc_ledger_types::icrc21::responses::{ConsentInfo, ConsentMessage};

#[derive(candid::CandidType, serde::Deserialize)]
struct Standard {
    name: String,
    url: String,
}

#[test]
fn should_claim_the_standards_it_has() {
    let ledger = Pocket::new();
    for method in ["icrc1_supported_standards", "icrc10_supported_standards"] {
        let standards: Vec<Standard> = ledger.query(method, ());
        for name in ["ICRC-1", "ICRC-2", "ICRC-3", "ICRC-10", "ICRC-21"] {
            let found = standards.iter().find(|standard| standard.name == name);
            assert!(found.is_some_and(|standard| standard.url.starts_with("https://")));
        }
    }
}

#[test]
fn should_tell_the_tokens_constants() {
    let ledger = Pocket::new();
    assert_eq!(ledger.query::<String>("icrc1_symbol", ()), "ckUSDC");
    assert_eq!(ledger.query::<String>("icrc1_name", ()), "ckUSDC");
    assert_eq!(ledger.query::<u8>("icrc1_decimals", ()), 6);
    assert_eq!(ledger.query::<Nat>("icrc1_fee", ()), Nat::from(FEE));
    assert_eq!(
        ledger.query::<Option<Account>>("icrc1_minting_account", ()),
        Some(minter().into())
    );
}

fn consent(method: &str, arg: Vec<u8>, offset: i16) -> Result<ConsentInfo, Icrc21Error> {
    let ledger = Pocket::new();
    let request = ConsentMessageRequest {
        method: method.to_string(),
        arg,
        user_preferences: ConsentMessageSpec {
            metadata: ConsentMessageMetadata {
                language: "en".to_string(),
                utc_offset_minutes: Some(offset),
            },
            device_spec: Some(DisplayMessageType::GenericDisplay),
        },
    };
    ledger.update(payer(), "icrc21_canister_call_consent_message", (request,))
}

#[test]
fn should_put_every_update_method_into_words() {
    let approve = candid::encode_one(approve_arg(shop(), 5_000_000)).expect("encodes");
    let transfer = candid::encode_one(transfer_arg(shop(), 5_000_000)).expect("encodes");
    let pull = candid::encode_one(transfer_from_arg(payer(), shop(), 5_000_000));
    let pull = pull.expect("encodes");
    for (method, arg) in [
        ("icrc2_approve", approve),
        ("icrc1_transfer", transfer),
        ("icrc2_transfer_from", pull),
    ] {
        let info = consent(method, arg, 60).expect("a message");
        let ConsentMessage::GenericDisplayMessage(text) = info.consent_message else {
            panic!("another kind of message was asked for");
        };
        assert!(text.contains("5 ckUSDC"), "{text}");
        assert!(text.contains(&shop().to_string()), "{text}");
    }
}

#[test]
fn should_refuse_to_word_what_it_does_not_know() {
    assert!(matches!(
        consent("icrc1_balance_of", vec![], 0),
        Err(Icrc21Error::UnsupportedCanisterCall(_))
    ));
}

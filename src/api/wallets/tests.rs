use super::*;
use crate::{
    api::types::AccountArg,
    runtime::scripted::ScriptedRuntime,
    storage::{config::tests::config, ledgers::tests::ledger},
    types::TimestampNs,
};
use candid::{Encode, Principal};
use icrc_ledger_types::icrc21::requests::ConsentMessageSpec;
use serde_bytes::ByteBuf;

fn runtime() -> ScriptedRuntime {
    storage::config::write(&config()).unwrap();
    storage::ledgers::put(&ledger(0)).unwrap();
    let runtime = ScriptedRuntime::new(TimestampNs(1));
    runtime.caller.set(Principal::from_slice(&[77]));
    runtime
}

fn pay_args() -> PayArgs {
    PayArgs {
        id: ByteBuf::from(vec![0xab; 32]),
        method: "GET".into(),
        path: "/report".into(),
        ledger: ledger(0).id,
        amount: 1_500_000u64.into(),
        fee: 10_000u64.into(),
        pay_to: AccountArg {
            owner: Principal::from_slice(&[8]),
            subaccount: None,
        },
        from_subaccount: None,
        created_at_time: 1,
    }
}

fn ask(
    runtime: &ScriptedRuntime,
    method: &str,
    arg: Vec<u8>,
    device_spec: Option<DisplayMessageType>,
) -> Result<ConsentMessage, Icrc21Error> {
    let request = ConsentMessageRequest {
        method: method.into(),
        arg,
        user_preferences: ConsentMessageSpec {
            metadata: ConsentMessageMetadata {
                language: "de".into(),
                utc_offset_minutes: Some(60),
            },
            device_spec,
        },
    };
    let info = consent_message(runtime, &request)?;
    assert_eq!(info.metadata.language, "en");
    Ok(info.consent_message)
}

#[test]
fn a_message_is_given_as_text_and_as_fields() {
    let runtime = runtime();
    let arg = Encode!(&pay_args()).unwrap();
    let text = ask(&runtime, "pay", arg.clone(), None).unwrap();
    let ConsentMessage::GenericDisplayMessage(text) = text else {
        panic!("{text:?}");
    };
    assert!(text.starts_with("# Buy GET /report\n"), "{text}");
    let fields = ask(
        &runtime,
        "pay",
        arg,
        Some(DisplayMessageType::FieldsDisplay),
    )
    .unwrap();
    let ConsentMessage::FieldsDisplayMessage(shown) = fields else {
        panic!("{fields:?}");
    };
    assert_eq!(shown.intent, "Buy GET /report");
    let amount = Value::TokenAmount {
        decimals: ledger(0).decimals,
        amount: 1_500_000,
        symbol: ledger(0).symbol,
    };
    assert_eq!(shown.fields[0], ("Amount".to_string(), amount));
    for (name, _) in &shown.fields {
        assert!(text.contains(&format!("**{name}:**")), "{name}");
    }
}

#[test]
fn an_amount_too_large_for_a_token_amount_is_text() {
    let runtime = runtime();
    let arg = Encode!(&PayArgs {
        amount: u128::MAX.into(),
        ..pay_args()
    })
    .unwrap();
    let fields = ask(
        &runtime,
        "pay",
        arg,
        Some(DisplayMessageType::FieldsDisplay),
    )
    .unwrap();
    let ConsentMessage::FieldsDisplayMessage(shown) = fields else {
        panic!("{fields:?}");
    };
    assert!(matches!(shown.fields[0].1, Value::Text { .. }));
}

/// A wallet shows no message for an argument that the method would refuse to read.
#[test]
fn attack_an_argument_that_the_message_does_not_describe_has_no_message() {
    let runtime = runtime();
    let valid = Encode!(&pay_args()).unwrap();
    #[derive(candid::CandidType)]
    struct Other {
        nonce: ByteBuf,
    }
    let unreadable: [Vec<u8>; 6] = [
        vec![],
        b"garbage".to_vec(),
        [&valid[..], &[0]].concat(),
        valid[..valid.len() - 1].to_vec(),
        Encode!(&pay_args(), &1u8).unwrap(),
        Encode!(&Other {
            nonce: ByteBuf::from(vec![1; 32])
        })
        .unwrap(),
    ];
    let wrong = |change: fn(&mut PayArgs)| {
        let mut args = pay_args();
        change(&mut args);
        Encode!(&args).unwrap()
    };
    let refused = [
        wrong(|args| args.id = ByteBuf::from(vec![1; 31])),
        wrong(|args| args.path = "/report?price=0".into()),
        wrong(|args| args.method = "get".into()),
        wrong(|args| args.ledger = Principal::from_slice(&[99])),
        wrong(|args| args.pay_to.subaccount = Some(ByteBuf::from(vec![1; 33]))),
    ];
    for arg in unreadable.into_iter().chain(refused) {
        for method in ["pay", "cancel_authorization"] {
            let asked = ask(&runtime, method, arg.clone(), None);
            let Err(Icrc21Error::ConsentMessageUnavailable(info)) = asked else {
                panic!("{method} {arg:?}: {asked:?}");
            };
            assert!(!info.description.is_empty());
        }
    }
    for method in [
        "withdraw",
        "",
        "pay ",
        "icrc21_canister_call_consent_message",
    ] {
        let asked = ask(&runtime, method, valid.clone(), None);
        assert!(matches!(
            asked,
            Err(Icrc21Error::UnsupportedCanisterCall(_))
        ));
    }
}

#[test]
fn a_cancellation_has_a_message() {
    let runtime = runtime();
    let cancel = CancelArgs {
        nonce: ByteBuf::from(vec![0xcd; 32]),
        valid_before_seconds: 7,
    };
    let arg = Encode!(&cancel).unwrap();
    let text = ask(&runtime, "cancel_authorization", arg, None).unwrap();
    let ConsentMessage::GenericDisplayMessage(text) = text else {
        panic!("{text:?}");
    };
    assert!(text.contains(&"cd".repeat(32)), "{text}");
}

#[test]
fn the_standards_name_themselves() {
    let names: Vec<String> = supported_standards()
        .into_iter()
        .map(|standard| standard.name)
        .collect();
    assert_eq!(names, ["ICRC-10", "ICRC-21", "ICRC-28"]);
}

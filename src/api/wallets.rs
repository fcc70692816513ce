//! What wallets ask before they sign a call for a user: ICRC-10, ICRC-21 and ICRC-28.

use crate::{
    api::{
        arguments::{self, Arguments},
        call,
        types::{CancelArgs, PayArgs, SupportedStandard, TrustedOrigins},
    },
    domain::{
        consent::{self, Consent, Field},
        validate::{self, InvalidArgument},
    },
    runtime::Runtime,
    storage,
};
use icrc_ledger_types::icrc21::{
    errors::{ErrorInfo, Icrc21Error},
    requests::{ConsentMessageMetadata, ConsentMessageRequest, DisplayMessageType},
    responses::{ConsentInfo, ConsentMessage, FieldsDisplay, Value},
};

/// The language of all messages, as BCP 47 has it.
const LANGUAGE: &str = "en";

/// The standards of the interface for wallets (ICRC-10).
pub fn supported_standards() -> Vec<SupportedStandard> {
    [
        (
            "ICRC-10",
            "https://github.com/dfinity/ICRC/blob/main/ICRCs/ICRC-10/ICRC-10.md",
        ),
        (
            "ICRC-21",
            "https://github.com/dfinity/wg-identity-authentication/blob/main/topics/ICRC-21/icrc_21_consent_msg.md",
        ),
        (
            "ICRC-28",
            "https://github.com/dfinity/wg-identity-authentication/blob/main/topics/icrc_28_trusted_origins.md",
        ),
    ]
    .map(|(name, url)| SupportedStandard {
        name: name.into(),
        url: url.into(),
    })
    .into()
}

/// The origins of pages that a wallet may trust with calls of this canister (ICRC-28).
pub fn trusted_origins() -> TrustedOrigins {
    TrustedOrigins {
        trusted_origins: storage::config::read().all_trusted_origins(),
    }
}

/// What a wallet shows before a call (ICRC-21). There is a message for the methods that payers call.
pub fn consent_message<R: Runtime>(
    runtime: &R,
    request: &ConsentMessageRequest,
) -> Result<ConsentInfo, Icrc21Error> {
    let consent = match request.method.as_str() {
        "pay" => purchase(runtime, &request.arg),
        "cancel_authorization" => cancellation(runtime, &request.arg),
        _ => {
            return Err(Icrc21Error::UnsupportedCanisterCall(ErrorInfo {
                description: "there are messages for pay and cancel_authorization only".into(),
            }));
        }
    };
    let consent = consent
        .map_err(|description| Icrc21Error::ConsentMessageUnavailable(ErrorInfo { description }))?;
    Ok(ConsentInfo {
        consent_message: match request.user_preferences.device_spec {
            Some(DisplayMessageType::FieldsDisplay) => {
                ConsentMessage::FieldsDisplayMessage(fields(consent))
            }
            Some(DisplayMessageType::GenericDisplay) | None => {
                ConsentMessage::GenericDisplayMessage(consent.markdown())
            }
        },
        metadata: ConsentMessageMetadata {
            language: LANGUAGE.into(),
            utc_offset_minutes: None,
        },
    })
}

fn purchase<R: Runtime>(runtime: &R, argument: &[u8]) -> Result<Consent, String> {
    let args: PayArgs = argument_of("pay", argument)?;
    let (request, terms) = call::read(runtime.caller(), &args).map_err(describe)?;
    let ledger = storage::ledgers::get(&terms.ledger)
        .ok_or("ledger: no payments are taken in this ledger")?;
    Ok(consent::of_purchase(
        &request,
        &terms,
        &ledger,
        runtime.canister_id(),
    ))
}

fn cancellation<R: Runtime>(runtime: &R, argument: &[u8]) -> Result<Consent, String> {
    let args: CancelArgs = argument_of("cancel_authorization", argument)?;
    let nonce = validate::bytes32("nonce", &args.nonce).map_err(describe)?;
    Ok(consent::of_cancellation(&nonce, runtime.canister_id()))
}

/// The argument, read as strictly as the method reads it.
fn argument_of<T>(method: &str, argument: &[u8]) -> Result<T, String>
where
    (T,): Arguments,
{
    let (args,) = arguments::read_of::<(T,)>(method, argument, arguments::UPDATE)?;
    Ok(args)
}

fn describe(error: InvalidArgument) -> String {
    error.to_string()
}

fn fields(consent: Consent) -> FieldsDisplay {
    let value = |field: Field| match field {
        Field::Tokens {
            amount,
            decimals,
            symbol,
        } if u64::try_from(amount.0).is_ok() => Value::TokenAmount {
            decimals,
            amount: amount.0 as u64,
            symbol,
        },
        // ICRC-21 has no larger amounts.
        field => Value::Text {
            content: field.text(),
        },
    };
    FieldsDisplay {
        intent: consent.intent,
        fields: consent
            .fields
            .into_iter()
            .map(|(name, field)| (name.to_string(), value(field)))
            .collect(),
    }
}

#[cfg(test)]
mod tests;

//! The parts of a 402 beside its offers, and the length of a client's echo of it.

use crate::domain::{
    identifier, offer::Offer, origin::MAX_ORIGIN_BYTES, route::Route, validate::InvalidArgument,
};
use serde_json::{Map, Value};
use x402_icp::{
    decode::MAX_HEADER_BYTES,
    number::MAX_SAFE_INTEGER,
    wire::{PaymentPayload, ResourceInfo, X402_VERSION},
};

/// The part of a payment header that is reserved for the authorization, in bytes of JSON. A chain with an Internet
/// Identity signature takes about 5,500.
pub const AUTHORIZATION_BYTES: usize = 9_792;
/// The longest echo of a 402 in a payment header, in bytes of JSON.
pub const MAX_ECHO_BYTES: usize = MAX_HEADER_BYTES / 4 * 3 - AUTHORIZATION_BYTES;
/// The longest text of an account.
const ACCOUNT_BYTES: usize = 136;
/// The digits of the largest fee.
const FEE_DIGITS: usize = 39;

/// The resource of a route at this URL.
pub fn resource(route: &Route, url: String) -> ResourceInfo {
    let text = |text: &str| Some(text.to_string()).filter(|text| !text.is_empty());
    ResourceInfo {
        url,
        description: text(&route.description),
        mime_type: text(&route.mime_type),
        ..ResourceInfo::default()
    }
}

/// The protocol extensions that a route advertises.
pub fn extensions(route: &Route) -> Option<Map<String, Value>> {
    let policy = route.payment_identifier?;
    let declaration = identifier::declaration(policy);
    Some(
        [(identifier::KEY.to_string(), declaration)]
            .into_iter()
            .collect(),
    )
}

/// Refuses a route whose 402 is so long that a client's echo of it leaves no room for the authorization.
///
/// Clients send resource, one offer and extensions back. Some write non-ASCII characters as `\uXXXX` and a space after
/// each colon and comma. Values that can change without the route (origin, account, fee) count with their greatest
/// length.
pub fn check_echo(route: &Route, offers: &[Offer]) -> Result<(), InvalidArgument> {
    let longest = offers.iter().map(|offer| echo_bytes(route, offer)).max();
    match longest {
        Some(bytes) if bytes > MAX_ECHO_BYTES => {
            let texts = [
                ("path", &route.key.path),
                ("description", &route.description),
                ("mime_type", &route.mime_type),
            ];
            let longest = texts.into_iter().max_by_key(|(_, text)| json_bytes(text));
            Err(InvalidArgument::limit(
                longest.map_or("path", |(field, _)| field),
                format!(
                    "makes payment headers too long: a client echoes up to {bytes} bytes of the 402, at most \
                     {MAX_ECHO_BYTES} are allowed"
                ),
                MAX_ECHO_BYTES as u128,
            ))
        }
        _ => Ok(()),
    }
}

fn echo_bytes(route: &Route, offer: &Offer) -> usize {
    let mut accepted = offer.requirements.clone();
    accepted.pay_to = "a".repeat(ACCOUNT_BYTES);
    accepted.extra.fee = "9".repeat(FEE_DIGITS);
    accepted.extra.revision = Some(MAX_SAFE_INTEGER);
    let url = format!("{}{}", "o".repeat(MAX_ORIGIN_BYTES), route.key.path);
    let identifier = route.payment_identifier.map_or(0, |_| {
        // `,"id":""` and the identifier.
        8 + identifier::LENGTH.end()
    });
    json_bytes(&PaymentPayload {
        x402_version: X402_VERSION,
        resource: Some(resource(route, url)),
        accepted,
        payload: Value::Null,
        extensions: extensions(route),
    }) + identifier
}

/// The bytes of a value in JSON, in the longest form that clients use.
fn json_bytes<T: serde::Serialize + ?Sized>(value: &T) -> usize {
    let json = serde_json::to_string(value).unwrap_or_default();
    json.chars()
        .map(|c| match c {
            ':' | ',' => 2,
            c if c.is_ascii() => 1,
            c => 6 * c.len_utf16(),
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            config::Limits,
            ledger::Ledger,
            offer::offers,
            route::{RouteDraft, tests::draft},
        },
        storage::config::tests::config,
        types::{Account, Amount},
    };
    use candid::Principal;
    use x402_icp::{
        encode_header,
        wire::{ExactIcrc2Payload, PaymentRequirements},
    };

    fn made(draft: RouteDraft) -> (Route, Vec<Offer>) {
        let ledger = Ledger {
            id: Principal::from_slice(&[0, 0, 0, 0, 2, 0x30, 0, 6, 1, 1]),
            symbol: "ckUSDC".into(),
            decimals: 6,
            fee: Amount(10),
            standards: vec![],
            answers_query_blocks: false,
            enabled: true,
        };
        let route = draft.apply(None, None, &Limits::default(), 1);
        let spender = Principal::from_slice(&[0, 0, 0, 0, 2, 0x30, 0, 7, 1, 1]);
        let offers = offers(&route, |_| Some(&ledger), &config(), spender);
        (route, offers)
    }

    fn long(description: &str) -> RouteDraft {
        RouteDraft {
            description: description.into(),
            mime_type: format!("text/{}", "m".repeat(123)),
            payment_identifier: Some(identifier::Policy::Required),
            ..draft(&format!("/{}", "p".repeat(255)))
        }
    }

    #[test]
    fn texts_that_json_writes_long_are_refused() {
        for (description, good) in [
            ("d".repeat(256), true),
            ("d".repeat(100) + &"\"".repeat(20), true),
            ("\u{fc}".repeat(128), false),
            ("\u{4e16}".repeat(85), false),
            ("\u{1f980}".repeat(64), false),
            ("\"\\".repeat(128), false),
        ] {
            let (route, offers) = made(long(&description));
            let checked = check_echo(&route, &offers);
            assert_eq!(checked.is_ok(), good, "{description}: {checked:?}");
            if let Err(error) = checked {
                assert_eq!(error.field, "description");
                assert_eq!(error.limit, Some(MAX_ECHO_BYTES as u128));
            }
        }
        let (route, offers) = made(draft("/a"));
        assert_eq!(check_echo(&route, &offers), Ok(()));
        let (route, _) = made(long(&"\u{fc}".repeat(128)));
        assert_eq!(
            check_echo(&route, &[]),
            Ok(()),
            "free routes are not echoed"
        );
    }

    #[test]
    fn the_longest_payment_of_a_route_that_is_taken_fits_into_the_header() {
        let (route, mut offers) = made(long(&"d".repeat(256)));
        check_echo(&route, &offers).unwrap();
        let account = Account {
            owner: Principal::self_authenticating([9; 32]),
            subaccount: Some([255; 32]),
        };
        let accepted = PaymentRequirements {
            pay_to: account.to_string(),
            ..offers.remove(0).requirements
        };
        assert_eq!(accepted.pay_to.len(), ACCOUNT_BYTES);
        let payment = PaymentPayload {
            x402_version: X402_VERSION,
            resource: Some(resource(
                &route,
                format!("{}{}", "o".repeat(255), route.key.path),
            )),
            accepted,
            payload: ExactIcrc2Payload {
                from: account.to_string(),
                nonce: "0".repeat(64),
                valid_after: "1".repeat(20),
                valid_before: "1".repeat(20),
                public_key: String::new(),
                // The rest of the reserved bytes.
                signature: "A".repeat(AUTHORIZATION_BYTES - 400),
                delegations: None,
            },
            extensions: extensions(&route),
        };
        assert!(encode_header(&payment).len() <= MAX_HEADER_BYTES);
    }
}

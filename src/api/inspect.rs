//! The filter on ingress messages: a message that it drops costs the canister nothing.
//!
//! One node decides, and calls by canisters are not filtered, so every method checks again.

use crate::{
    api::{
        arguments::{self, Arguments},
        http::{self, size::MAX_ARGUMENT_BYTES},
        invoices,
        types::{AccessArgs, CancelArgs, InvoiceReturnArgs, PageArgs, PayArgs, RouteKey},
        wallets,
    },
    domain::roles::Role,
    runtime::Runtime,
    service::{receipt_sign, role},
    storage,
    types::PaymentId,
};
use candid::Principal;
use serde_bytes::ByteBuf;

/// The longest argument of methods for controllers and operators, in bytes.
const SMALL_BYTES: usize = 16_384;
/// The longest argument of `content_chunk`: the largest ingress message has 2 MiB.
const CHUNK_BYTES: usize = 2_097_152;
/// The longest argument of a method that takes none.
const NO_BYTES: usize = 16;
/// The longest argument of a method that takes an id, a principal or a page; they take 50 bytes at most.
const ID_BYTES: usize = 100;
/// The longest argument of `cancel_authorization`, which takes 80 bytes.
const CANCEL_BYTES: usize = 200;
/// The longest argument of methods that take a method and a path, which has 256 bytes at most.
const KEY_BYTES: usize = 400;
/// The longest argument of `access`, which takes 363 bytes at most.
const ACCESS_BYTES: usize = 500;
/// The longest argument of `pay`, which takes 551 bytes at most.
const PAY_BYTES: usize = 1_000;
/// The longest argument of `invoice_create`, which takes 500 bytes at most.
const INVOICE_BYTES: usize = 800;
/// The longest argument of `invoice_return`, which takes 200 bytes at most.
const RETURN_BYTES: usize = 400;

/// The longest argument of `icrc21_canister_call_consent_message`, which has that of a method in it.
const CONSENT_BYTES: usize = PAY_BYTES + 500;

/// Whether to execute a call of `method` with this argument. `argument` is read only if the decision depends on it.
pub fn accept<R: Runtime>(
    runtime: &R,
    method: &str,
    length: usize,
    argument: impl FnOnce() -> Vec<u8>,
) -> bool {
    let caller = runtime.caller();
    match method {
        "http_request_update" => length <= MAX_ARGUMENT_BYTES && wants_update(&argument()),
        "pay_to_set"
        | "origin_set"
        | "trusted_origins_set"
        | "operator_add"
        | "operator_remove"
        | "ledger_add"
        | "ledger_enable"
        | "refund_payment"
        | "refund_by_merchant"
        | "payment_resolve"
        | "withdraw"
        | "access_readers_set"
        | "notify_set"
        | "receipt_signing_set" => {
            length <= SMALL_BYTES && role(runtime, &caller) == Role::Controller
        }
        "route_put" | "route_remove" | "content_begin" | "content_commit" | "payments"
        | "payments_waiting" | "payments_open" | "payments_failed" | "audit_payments"
        | "audit_admin" | "notify_status" | "solvency" | "payment_recheck" => {
            length <= SMALL_BYTES && role(runtime, &caller) != Role::Other
        }
        "content_chunk" => length <= CHUNK_BYTES && role(runtime, &caller) != Role::Other,
        // Wallets ask without a key, too, and want a response certified by consensus.
        "icrc21_canister_call_consent_message" => {
            length <= CONSENT_BYTES && has_consent_message(runtime, &argument())
        }
        "icrc10_supported_standards" | "icrc28_trusted_origins" | "get_api_doc" => {
            length <= NO_BYTES && is::<()>(&argument())
        }
        // Who pays by invoice needs no key.
        "invoice_create" => {
            length <= INVOICE_BYTES
                && arguments::read(&argument(), arguments::UPDATE)
                    .is_ok_and(|(args,)| invoices::accepts_new(runtime, &args))
        }
        "invoice_check" => {
            length <= ID_BYTES
                && arguments::read(&argument(), arguments::UPDATE)
                    .is_ok_and(|(id,): (ByteBuf,)| invoices::is_known(&id))
        }
        "invoice_return" => length <= RETURN_BYTES && is::<(InvoiceReturnArgs,)>(&argument()),
        _ if caller == Principal::anonymous() => false,
        // Methods that any key may call accept exactly their argument.
        "ledger_refresh" => length <= ID_BYTES && may_be_queried(runtime, &argument()),
        "cancel_authorization" => length <= CANCEL_BYTES && is::<(CancelArgs,)>(&argument()),
        "pay" => length <= PAY_BYTES && is::<(PayArgs,)>(&argument()),
        // Queries that may be called as updates, for a response certified by consensus.
        "config" | "origin" | "ledgers" | "access_readers" | "receipt_signing" => {
            length <= NO_BYTES && is::<()>(&argument())
        }
        // Only what can be signed for the caller is executed.
        "receipt_sign" => length <= ID_BYTES && may_be_signed(runtime, &argument()),
        "payment" | "receipt" | "receipt_proof" | "invoice" => {
            length <= ID_BYTES && is::<(ByteBuf,)>(&argument())
        }
        "routes" => length <= ID_BYTES && is::<(PageArgs,)>(&argument()),
        "access" => length <= ACCESS_BYTES && is::<(AccessArgs,)>(&argument()),
        "route" | "offers" | "quote" => length <= KEY_BYTES && is::<(RouteKey,)>(&argument()),
        _ => false,
    }
}

/// Whether there is a message for this request. Wallets ask without a key, so only what has an answer is executed.
fn has_consent_message<R: Runtime>(runtime: &R, argument: &[u8]) -> bool {
    arguments::read(argument, arguments::UPDATE)
        .is_ok_and(|(request,)| wallets::consent_message(runtime, &request).is_ok())
}

/// Whether the argument is exactly of these types.
fn is<T: Arguments>(argument: &[u8]) -> bool {
    arguments::read::<T>(argument, arguments::UPDATE).is_ok()
}

/// Whether the argument names a ledger that may be queried for its fee now.
fn may_be_queried<R: Runtime>(runtime: &R, argument: &[u8]) -> bool {
    arguments::read(argument, arguments::UPDATE).is_ok_and(|(id,)| {
        storage::ledgers::get(&id).is_some() && storage::fees::may_query(&id, runtime.now())
    })
}

/// Whether the argument is the id of a payment whose receipt is signed for the caller, or could be.
fn may_be_signed<R: Runtime>(runtime: &R, argument: &[u8]) -> bool {
    let id = arguments::read::<(ByteBuf,)>(argument, arguments::UPDATE);
    id.is_ok_and(|(id,)| {
        <[u8; 32]>::try_from(&id[..])
            .is_ok_and(|id| receipt_sign::may_sign(runtime, &PaymentId(id)))
    })
}

fn wants_update(argument: &[u8]) -> bool {
    arguments::read_request(argument).is_ok_and(|request| http::wants_update(&request))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::AccountArg;
    use crate::{
        runtime::scripted::ScriptedRuntime, storage::config::tests::config, types::TimestampNs,
    };
    use candid::Encode;
    use candid_parser::utils::CandidSource;

    const ADMINISTRATION: [&str; 14] = [
        "receipt_signing_set",
        "pay_to_set",
        "origin_set",
        "trusted_origins_set",
        "operator_add",
        "operator_remove",
        "ledger_add",
        "ledger_enable",
        "withdraw",
        "refund_payment",
        "refund_by_merchant",
        "payment_resolve",
        "access_readers_set",
        "notify_set",
    ];
    const OPERATION: [&str; 8] = [
        "notify_status",
        "route_put",
        "content_begin",
        "content_chunk",
        "payments",
        "payments_waiting",
        "solvency",
        "payment_recheck",
    ];

    /// The methods that any key may call, with the longest valid argument.
    fn public() -> Vec<(&'static str, Vec<u8>)> {
        let nothing = candid::encode_args(()).unwrap();
        let id = Encode!(&ByteBuf::from(vec![7; 32])).unwrap();
        let cancel = CancelArgs {
            nonce: ByteBuf::from(vec![7; 32]),
            valid_before_seconds: u64::MAX,
        };
        let page = PageArgs {
            after: Some(u64::MAX),
            limit: Some(u32::MAX),
        };
        let key = RouteKey {
            method: "DELETE".into(),
            path: format!("/{}", "x".repeat(255)),
        };
        let key = Encode!(&key).unwrap();
        let pay = PayArgs {
            id: ByteBuf::from(vec![7; 32]),
            method: "DELETE".into(),
            path: format!("/{}", "x".repeat(255)),
            ledger: Principal::from_slice(&[7; 29]),
            amount: u128::MAX.into(),
            fee: u128::MAX.into(),
            pay_to: AccountArg {
                owner: Principal::from_slice(&[7; 29]),
                subaccount: Some(ByteBuf::from(vec![7; 32])),
            },
            from_subaccount: Some(ByteBuf::from(vec![7; 32])),
            created_at_time: u64::MAX,
        };
        let access = AccessArgs {
            payer: Principal::from_slice(&[7; 29]),
            payment_id: ByteBuf::from(vec![7; 32]),
            method: "DELETE".into(),
            path: format!("/{}", "x".repeat(255)),
        };
        vec![
            ("access", Encode!(&access).unwrap()),
            ("access_readers", nothing.clone()),
            ("config", nothing.clone()),
            ("origin", nothing.clone()),
            ("receipt_signing", nothing.clone()),
            ("ledgers", nothing),
            ("payment", id.clone()),
            ("receipt", id.clone()),
            ("receipt_proof", id),
            ("cancel_authorization", Encode!(&cancel).unwrap()),
            ("routes", Encode!(&page).unwrap()),
            ("route", key.clone()),
            ("offers", key.clone()),
            ("quote", key),
            ("pay", Encode!(&pay).unwrap()),
        ]
    }

    /// A method that is not named is dropped for everybody.
    #[test]
    fn every_update_method_is_named() {
        let (env, service) = CandidSource::Text(include_str!("../../canister.did"))
            .load()
            .unwrap();
        let service = service.unwrap();
        let source = include_str!("inspect.rs");
        let filter = source.split("#[cfg(test)]").next().unwrap();
        let methods = env.as_service(&service).unwrap();
        let mut updates = 0;
        for (name, kind) in methods {
            if !env.as_func(kind).unwrap().is_query() {
                assert!(filter.contains(&format!("\"{name}\"")), "{name}");
                updates += 1;
            }
        }
        assert!(updates > 20, "{updates}");
    }

    #[test]
    fn the_longest_argument_of_pay_is_as_long_as_said() {
        let (_, longest) = public()
            .into_iter()
            .find(|(method, _)| *method == "pay")
            .unwrap();
        assert_eq!(longest.len(), 551);
        assert_eq!(public()[0].1.len(), 363);
    }

    fn taken_by(runtime: &ScriptedRuntime, method: &str, argument: &[u8]) -> bool {
        accept(runtime, method, argument.len(), || argument.to_vec())
    }

    #[test]
    fn junk_for_public_methods_is_dropped() {
        storage::config::write(&config()).unwrap();
        let runtime = ScriptedRuntime::new(TimestampNs(1));
        runtime.caller.set(Principal::from_slice(&[77]));
        let more = |argument: &[u8], bytes: usize| [argument, &vec![0; bytes]].concat();
        for (method, argument) in public() {
            assert!(taken_by(&runtime, method, &argument), "{method}");
            for junk in [
                // The type of a vector of bytes that is not used, and 16 KiB of it.
                [b"DIDL\x01\x6d\x7b\x01\x00\xf0\x7f", &vec![0; 16_368][..]].concat(),
                more(&argument, 16_000),
                more(&argument, 1),
                argument[..argument.len() - 1].to_vec(),
                vec![],
                b"garbage".to_vec(),
            ] {
                // A method without arguments accepts an empty argument.
                let taken = junk.is_empty() && argument.len() == 6;
                assert_eq!(
                    taken_by(&runtime, method, &junk),
                    taken,
                    "{method} {junk:?}"
                );
            }
        }
        // Further arguments, and fields that are not in canister.did.
        #[derive(candid::CandidType)]
        struct Padded {
            after: Option<u64>,
            limit: Option<u32>,
            padding: String,
        }
        let padded = Padded {
            after: None,
            limit: None,
            padding: "x".repeat(40),
        };
        assert!(!taken_by(&runtime, "routes", &Encode!(&padded).unwrap()));
        let id = ByteBuf::from(vec![7; 32]);
        assert!(!taken_by(
            &runtime,
            "payment",
            &Encode!(&id, &"more").unwrap()
        ));
    }

    fn accepted(runtime: &ScriptedRuntime, method: &str, length: usize) -> bool {
        accept(runtime, method, length, || {
            panic!("the argument is not needed")
        })
    }

    #[test]
    fn callers_without_the_role_are_dropped() {
        storage::config::write(&config()).unwrap();
        let runtime = ScriptedRuntime::new(TimestampNs(1));
        let stranger = Principal::from_slice(&[77]);
        let cases = [
            (runtime.controller, true, true, true),
            (config().operators[0], false, true, true),
            (stranger, false, false, true),
            (Principal::anonymous(), false, false, false),
        ];
        for (caller, administers, operates, pays) in cases {
            runtime.caller.set(caller);
            for method in ADMINISTRATION {
                assert_eq!(
                    accepted(&runtime, method, 100),
                    administers,
                    "{method} by {caller}"
                );
            }
            for method in OPERATION {
                assert_eq!(
                    accepted(&runtime, method, 100),
                    operates,
                    "{method} by {caller}"
                );
            }
            for (method, argument) in public() {
                assert_eq!(
                    taken_by(&runtime, method, &argument),
                    pays,
                    "{method} by {caller}"
                );
            }
            assert!(!accepted(&runtime, "no_such_method", 100));
        }
    }

    #[test]
    fn long_arguments_are_dropped_unread() {
        storage::config::write(&config()).unwrap();
        let runtime = ScriptedRuntime::new(TimestampNs(1));
        for method in ADMINISTRATION
            .iter()
            .chain(&OPERATION)
            .chain(&["http_request_update"])
        {
            assert!(!accepted(&runtime, method, 2_097_153), "{method}");
        }
        assert!(!accepted(&runtime, "route_put", SMALL_BYTES + 1));
        assert!(!accepted(
            &runtime,
            "http_request_update",
            MAX_ARGUMENT_BYTES + 1
        ));
        assert!(!accept(&runtime, "http_request_update", 7, || b"garbage".to_vec()));
    }

    fn taken(method: &str, url: &str, payment: Option<&str>) -> bool {
        let request = http::HttpUpdateRequest {
            method: method.into(),
            url: url.into(),
            headers: payment
                .map(|value| ("PAYMENT-SIGNATURE".to_string(), value.to_string()))
                .into_iter()
                .collect(),
            body: vec![],
        };
        let argument = candid::encode_one(request).unwrap();
        let length = argument.len();
        let runtime = ScriptedRuntime::new(TimestampNs(1));
        accept(&runtime, "http_request_update", length, || argument)
    }

    #[test]
    fn requests_that_no_query_can_refuse_are_taken() {
        for url in [
            "",
            "/%ff",
            "/a b",
            &"/x".repeat(40),
            &format!("/?{}", "z".repeat(5_000)),
        ] {
            assert!(taken("GET", url, None), "no query can refuse {url}");
            assert!(taken("GET", url, Some("e30=")), "{url} with a payment");
        }
    }

    #[test]
    fn requests_that_an_update_could_only_refuse_are_dropped() {
        assert!(!taken("GET", "/nothing", None), "a query proves it");
        let long = "A".repeat(82_000);
        assert!(!taken("GET", "/nothing", Some(&long)), "a query refuses it");
        assert!(
            !taken("GET", "/nothing", Some("garbage")),
            "a query proves it"
        );
        let receipt = format!("/x402/receipts/{}", "ab".repeat(32));
        assert!(taken("GET", &receipt, None), "no query proves it");
        assert!(!taken("OPTIONS", &receipt, None), "a query proves it");
    }
}

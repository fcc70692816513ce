//! The filter on ingress messages: what it drops costs the canister nothing.
//!
//! One node decides, and calls by canisters do not come this way, so every method checks again.

use crate::{
    api::http::{self, size::MAX_ARGUMENT_BYTES},
    domain::roles::Role,
    runtime::Runtime,
    service::role,
    storage,
};
use candid::{DecoderConfig, Principal};

/// The longest argument of methods that need but a few fields, in bytes.
const SMALL_BYTES: usize = 16_384;
/// The longest argument of `content_chunk`: the largest ingress message has 2 MiB.
const CHUNK_BYTES: usize = 2_097_152;

/// Whether a call of `method` with this argument is worth an execution. `argument` is read only where
/// the answer depends on it.
pub fn accept<R: Runtime>(
    runtime: &R,
    method: &str,
    length: usize,
    argument: impl FnOnce() -> Vec<u8>,
) -> bool {
    let caller = runtime.caller();
    match method {
        "http_request_update" => length <= MAX_ARGUMENT_BYTES && wants_update(&argument()),
        "pay_to_set" | "origin_set" | "operator_add" | "operator_remove" | "ledger_add"
        | "ledger_enable" | "refund_payment" | "payment_resolve" | "withdraw" => {
            length <= SMALL_BYTES && role(runtime, &caller) == Role::Controller
        }
        "route_put" | "route_remove" | "content_begin" | "content_commit" | "payments"
        | "payments_open" | "payments_failed" | "audit_payments" | "audit_admin" | "solvency"
        | "payment_recheck" => length <= SMALL_BYTES && role(runtime, &caller) != Role::Nobody,
        "content_chunk" => length <= CHUNK_BYTES && role(runtime, &caller) != Role::Nobody,
        "ledger_refresh" => {
            length <= SMALL_BYTES
                && caller != Principal::anonymous()
                && is_to_be_asked(runtime, &argument())
        }
        "cancel_authorization" => length <= SMALL_BYTES && caller != Principal::anonymous(),
        // Queries that somebody may want certified by consensus.
        "config" | "origin" | "ledgers" | "route" | "routes" | "offers" | "payment" | "receipt" => {
            length <= SMALL_BYTES && caller != Principal::anonymous()
        }
        _ => false,
    }
}

/// Whether the argument names a ledger that may be asked for its fee now.
fn is_to_be_asked<R: Runtime>(runtime: &R, argument: &[u8]) -> bool {
    let mut config = DecoderConfig::new();
    config.set_decoding_quota(10_000).set_skipping_quota(10_000);
    candid::utils::decode_one_with_config::<Principal>(argument, &config).is_ok_and(|id| {
        storage::ledgers::get(&id).is_some() && storage::fees::may_ask(&id, runtime.now())
    })
}

fn wants_update(argument: &[u8]) -> bool {
    http::wire::decode_update(argument).is_ok_and(|request| http::wants_update(&request))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        runtime::scripted::ScriptedRuntime, storage::config::tests::config, types::TimestampNs,
    };

    const ADMINISTRATION: [&str; 9] = [
        "pay_to_set",
        "origin_set",
        "operator_add",
        "operator_remove",
        "ledger_add",
        "ledger_enable",
        "withdraw",
        "refund_payment",
        "payment_resolve",
    ];
    const OPERATION: [&str; 6] = [
        "route_put",
        "content_begin",
        "content_chunk",
        "payments",
        "solvency",
        "payment_recheck",
    ];

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
            assert_eq!(accepted(&runtime, "cancel_authorization", 100), pays);
            assert_eq!(accepted(&runtime, "receipt", 100), pays);
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

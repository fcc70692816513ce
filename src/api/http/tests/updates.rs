//! Responses of updates that do not use the site: to requests that only canisters can send, and to payments of every
//! state.

use crate::{
    api::http::{
        http_request_update, response,
        types::{HttpResponse, HttpUpdateRequest},
    },
    domain::{
        fulfilment::Fulfilment,
        payment::{
            Doubt, Failure, FailureKind, Offered, Payment, RefundCause, RefundProblem, State,
        },
        purchase::Purchase,
        rail::Rail,
        rail::TxRef,
        scheme::Scheme,
    },
    runtime::scripted::{ScriptedRuntime, run},
    storage::{self, config::tests::config},
    types::{
        Amount, AuthorizationDigest, BlockIndex, Fingerprint, MerchantId, Method, PaymentId,
        RouteKey, TimestampNs,
    },
};
use candid::Principal;
use serde_json::{Value, json};

fn update(url: &str, body: usize) -> HttpResponse {
    storage::config::write(&config()).unwrap();
    let request = HttpUpdateRequest {
        method: "GET".into(),
        url: url.into(),
        headers: vec![("payment-signature".into(), "e30=".into())],
        body: vec![7; body],
    };
    run(http_request_update(
        &ScriptedRuntime::new(TimestampNs(1)),
        request,
    ))
}

#[test]
fn should_refuse_of_canisters_what_the_filter_keeps_out() {
    let receipt = format!("/x402/receipts/{}", "ab".repeat(32));
    assert_eq!(update(&receipt, 65_537).status_code, 413);
    assert_eq!(update("/nothing", 65_537).status_code, 404);
    for url in ["", "/%ff", "/a b"] {
        assert_eq!(update(url, 0).status_code, 400, "{url}");
    }
    for url in ["/x".repeat(2_000), format!("/?{}", "z".repeat(5_000))] {
        assert_eq!(update(&url, 0).status_code, 414);
    }
}

fn shown(state: State) -> Value {
    let account = Principal::from_slice(&[3]).into();
    let payment = Payment {
        id: PaymentId([5; 32]),
        scheme: Scheme::Exact,
        rail: Rail::Icrc2,
        merchant: MerchantId::DEPLOYER,
        network: "icp:1".into(),
        ledger: Principal::from_slice(&[7]),
        from: account,
        to: account,
        amount: Amount(10_000),
        fee: Amount(10),
        purchase: Purchase::Route(RouteKey::new(Method::Get, "/secret")),
        offered: Offered {
            id: [4; 16],
            symbol: "T0".into(),
            decimals: 6,
        },
        fingerprint: Fingerprint([1; 16]),
        authorization_digest: AuthorizationDigest([2; 16]),
        created_at: TimestampNs(1),
        fulfilment: Fulfilment::Stored(1),
        state,
    };
    let response = response::payment(&payment);
    assert_eq!(response.status_code, 200);
    let mut json: Value = serde_json::from_slice(&response.body).expect("JSON");
    let object = json.as_object_mut().expect("an object");
    for (key, expected) in [
        ("paymentId", payment.id.to_string()),
        ("network", payment.network),
        ("asset", payment.ledger.to_text()),
        ("amount", payment.amount.0.to_string()),
    ] {
        assert_eq!(object.remove(key), Some(json!(expected)), "{key}");
    }
    json
}

#[test]
fn should_say_where_a_payment_stands_and_no_more() {
    let (block, at) = (BlockIndex(7), TimestampNs(1));
    let (settled_at, since) = (at, at);
    for (state, expected) in [
        (State::Reserved, json!({ "status": "settling" })),
        (
            State::Settling {
                attempt: 2,
                all_failed: true,
            },
            json!({ "status": "settling" }),
        ),
        (
            State::Unknown {
                doubt: Doubt::Reject,
                since,
                attempts: 1,
                all_failed: false,
            },
            json!({ "status": "unknown" }),
        ),
        (
            State::Failed {
                failure: Failure {
                    kind: FailureKind::InsufficientFunds,
                    message: "what the ledger said".into(),
                },
                at,
            },
            json!({ "status": "failed", "error": "insufficient_funds" }),
        ),
        (
            State::Settled {
                tx: TxRef::Block(block),
                at,
            },
            json!({ "status": "settled", "transaction": "7" }),
        ),
        (
            State::Delivered {
                tx: TxRef::Block(block),
                settled_at,
                at,
            },
            json!({ "status": "delivered", "transaction": "7" }),
        ),
        (
            State::Refunding {
                tx: TxRef::Block(block),
                settled_at,
                since,
                attempts: 3,
                cause: RefundCause::ALL[0],
                problem: RefundProblem::ALL[0],
            },
            json!({ "status": "refunding", "transaction": "7" }),
        ),
        (
            State::Refunded {
                tx: TxRef::Block(block),
                settled_at,
                refund_tx: TxRef::Block(BlockIndex(9)),
                at,
            },
            json!({ "status": "refunded", "transaction": "7", "refundTransaction": "9" }),
        ),
    ] {
        assert_eq!(shown(state), expected);
    }
}

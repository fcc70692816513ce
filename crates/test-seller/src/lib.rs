//! A forward target for tests and the demo: the path says what happens after it was paid for.
//!
//! | path ends with | what happens |
//! |---|---|
//! | `/error`, `/refuse` | status 500, 404 |
//! | `/flaky` | status 500 for the first call of a payment, then as below |
//! | `/trap` | a trap |
//! | `/big` | a body of 1,950,000 bytes, which is more than is delivered |
//! | `/lie` | headers that could fool a client or a gateway |
//! | `/silent` | no answer before `release` was called |
//! | `/back` | the body is what the caller says about the payment meanwhile |
//! | anything else | the body is the request's, in capitals |
//!
//! `works` counts the calls for a payment.

use candid::Principal;
use ic_cdk::{
    api::{canister_self, msg_caller, trap},
    call::Call,
    query, update,
};
use serde_bytes::ByteBuf;
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};
use tollkeeper_types::{HttpResponse, HttpUpdateRequest, Payment, ServeArgs, Served};

thread_local! {
    static WORKS: RefCell<BTreeMap<Vec<u8>, u32>> = RefCell::default();
    static RELEASED: Cell<bool> = const { Cell::new(false) };
}

#[update]
async fn x402_serve(request: ServeArgs) -> Served {
    let (status, headers, body) = work(&request.payment_id, &request.url, &request.body).await;
    Served {
        status,
        headers,
        body: ByteBuf::from(body),
        units: None,
    }
}

#[update]
async fn http_request_update(request: HttpUpdateRequest) -> HttpResponse {
    let mut headers = request.headers.iter();
    let id = headers.find(|(name, _)| name == "x402-payment-id");
    let id = id.map_or(&b""[..], |(_, id)| id.as_bytes());
    let (status_code, headers, body) = work(id, &request.url, &request.body).await;
    HttpResponse {
        status_code,
        headers,
        body,
        upgrade: None,
    }
}

/// The calls of either method for this payment: its id in bytes, or as the header has it.
#[query]
fn works(id: ByteBuf) -> u32 {
    WORKS.with_borrow(|works| works.get(id.as_slice()).copied().unwrap_or_default())
}

/// Ends the silence.
#[update]
fn release() {
    RELEASED.set(true);
}

#[update]
fn wait() {}

async fn work(id: &[u8], url: &str, body: &[u8]) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let caller = msg_caller();
    let calls = WORKS.with_borrow_mut(|works| {
        let calls = works.entry(id.to_vec()).or_default();
        *calls += 1;
        *calls
    });
    let field = |name: &str, value: &str| (name.to_string(), value.to_string());
    let path = url.split('?').next().unwrap_or_default();
    let place = path.rsplit('/').next().unwrap_or_default();
    let text = |text: String| (200, vec![field("content-type", "text/plain")], text.into());
    match place {
        "error" => (500, vec![], b"failed".to_vec()),
        "flaky" if calls == 1 => (500, vec![], b"not yet".to_vec()),
        "refuse" => (404, vec![], b"there is no such thing".to_vec()),
        "trap" => trap("as wanted"),
        "big" => (200, vec![], vec![7; 1_950_000]),
        "lie" => {
            let lies = [
                "PAYMENT-RESPONSE",
                "PAYMENT-REQUIRED",
                "X-PAYMENT-RESPONSE",
                "IC-Certificate",
                "IC-CertificateExpression",
                "Set-Cookie",
                "Connection",
                "Content-Length",
                "Cache-Control",
            ];
            let headers = lies.iter().map(|name| field(name, "e30=")).collect();
            (200, headers, b"true".to_vec())
        }
        "silent" => {
            while !RELEASED.get() {
                let _ = Call::unbounded_wait(canister_self(), "wait").await;
            }
            text("at last".into())
        }
        "back" => text(back(caller, id).await),
        _ => text(String::from_utf8_lossy(body).to_uppercase()),
    }
}

/// What the caller says about the payment while it waits for this canister.
async fn back(caller: Principal, id: &[u8]) -> String {
    let answer = Call::unbounded_wait(caller, "payment")
        .with_arg(ByteBuf::from(id.to_vec()))
        .await;
    match answer.map(|answer| answer.candid::<Option<Payment>>()) {
        Ok(Ok(Some(payment))) => format!("{:?}", payment.status),
        other => format!("{other:?}"),
    }
}

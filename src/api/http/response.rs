//! Responses of update calls: those that depend on a payment.

use super::{
    catalogue::Seller,
    certification::plain_response,
    static_response::{PRIVATE, StaticResponse, cors, header},
    types::HttpResponse,
};
use crate::{
    domain::{
        payment::{Payment, Receipt, State},
        request::{PayOutcome, Resource},
        route::Route,
        verify::Refusal,
    },
    types::Account,
};
use serde::Serialize;
use std::rc::Rc;
use x402_icp::{
    Code, encode_header,
    wire::{PAYMENT_RESPONSE, SettleResponse},
};

/// A refusal in JSON that is the same for every client.
pub fn refusal(status: u16, json: &'static str) -> HttpResponse {
    uncertified(&StaticResponse::json(status, json))
}

/// A response that was prepared for the query. Its content may have been replaced since.
pub fn uncertified(answer: &StaticResponse) -> HttpResponse {
    plain_response(answer).unwrap_or_else(|| HttpResponse {
        status_code: 503,
        headers: cors().to_vec(),
        body: Vec::new(),
        upgrade: None,
    })
}

/// 402 with current offers and the reason why the payment was refused; 404 if there is no offer any more.
pub fn refused(seller: &Seller, route: &Route, refusal: &Refusal) -> HttpResponse {
    match seller.payment_required(route, Some(refusal.code.as_str())) {
        Some(offers) => HttpResponse {
            body: reason(refusal.code, Some(&refusal.message)),
            ..uncertified(&StaticResponse::payment_required(&offers))
        },
        None => uncertified(&StaticResponse::not_found()),
    }
}

/// 404 with the reason why a transfer was refused.
pub fn refused_where_nothing_is_sold(refusal: &Refusal) -> HttpResponse {
    HttpResponse {
        body: reason(refusal.code, Some(&refusal.message)),
        ..uncertified(&StaticResponse::json(404, "{}"))
    }
}

/// The longest message in the body of a refusal, in bytes before JSON escapes any.
pub const MAX_MESSAGE_BYTES: usize = 512;

#[derive(Serialize)]
struct ReasonJson<'a> {
    error: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

/// The body of a response to a payment that was not accepted.
fn reason(code: Code, message: Option<&str>) -> Vec<u8> {
    let message = message.map(|text| &text[..text.floor_char_boundary(MAX_MESSAGE_BYTES)]);
    let error = code.as_str();
    serde_json::to_vec(&ReasonJson { error, message }).unwrap_or_default()
}

/// 402 after an attempt to settle. It has no offer, because a client that signs again could pay twice. `transaction` is
/// the payment id while the outcome is open, the block of an earlier settlement for a duplicate, and else empty.
pub fn not_settled(
    seller: &Seller,
    code: Code,
    message: Option<String>,
    payer: &Account,
    transaction: String,
) -> HttpResponse {
    let body = reason(code, message.as_deref());
    let outcome = SettleResponse {
        success: false,
        error_reason: Some(code.as_str().to_string()),
        error_message: message,
        payer: Some(payer.to_string()),
        transaction,
        network: seller.network.clone(),
        ..SettleResponse::default()
    };
    let answer = StaticResponse::json(402, "{}").with(PAYMENT_RESPONSE, &encode_header(&outcome));
    HttpResponse {
        body,
        ..uncertified(&answer)
    }
}

/// The response to a payment that was processed, repeated or refused.
pub fn processed(
    seller: impl Fn() -> Seller,
    outcome: PayOutcome,
    route: Option<&Rc<Route>>,
) -> Option<HttpResponse> {
    Some(match outcome {
        PayOutcome::Paid { receipt, resource } => delivered(&receipt, resource),
        // An invalid payment for a route that requires none any more.
        PayOutcome::Refused(refusal) => refused(&seller(), route?, &refusal),
        PayOutcome::Failed {
            code,
            message,
            payer,
            ..
        } => not_settled(&seller(), code, Some(message), &payer, String::new()),
        PayOutcome::Pending { payment_id, payer } => {
            let transaction = payment_id.to_string();
            not_settled(
                &seller(),
                Code::SettlementPending,
                None,
                &payer,
                transaction,
            )
        }
        PayOutcome::Duplicate {
            payer,
            receipt,
            note,
            ..
        } => {
            let transaction = receipt.map(|receipt| receipt.tx.to_string());
            not_settled(
                &seller(),
                Code::DuplicateSettlement,
                note.map(str::to_string),
                &payer,
                transaction.unwrap_or_default(),
            )
        }
    })
}

/// The resource, with its status.
pub fn delivered(receipt: &Receipt, resource: Resource) -> HttpResponse {
    let outcome = SettleResponse {
        success: true,
        payer: Some(receipt.payer.to_string()),
        transaction: receipt.tx.to_string(),
        network: receipt.network.clone(),
        amount: Some(receipt.amount.0.to_string()),
        extra: Some(serde_json::json!({ "paymentId": receipt.payment_id.to_string() })),
        ..SettleResponse::default()
    };
    let mut headers = vec![
        header("content-type", &resource.mime_type),
        header("cache-control", PRIVATE),
        header("x-content-type-options", "nosniff"),
        header(PAYMENT_RESPONSE, &encode_header(&outcome)),
    ];
    headers.extend(cors());
    headers.extend(resource.headers);
    HttpResponse {
        status_code: resource.status,
        headers,
        body: resource.body,
        upgrade: None,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PaymentJson {
    payment_id: String,
    status: &'static str,
    network: String,
    asset: String,
    amount: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_transaction: Option<String>,
}

/// 200 with the state of a payment, as JSON. Everybody who knows a payment's id (it is the memo in the ledger) may see
/// this. It contains neither the payer nor the purchase.
pub fn payment(payment: &Payment) -> HttpResponse {
    let (status, refund_transaction) = status(&payment.state);
    let error = match &payment.state {
        State::Failed { failure, .. } => Some(failure.kind.code().as_str()),
        _ => None,
    };
    json(&PaymentJson {
        payment_id: payment.id.to_string(),
        status,
        network: payment.network.clone(),
        asset: payment.ledger.to_text(),
        amount: payment.amount.0.to_string(),
        transaction: payment.state.moved().map(|(tx, _)| tx.to_string()),
        error,
        refund_transaction,
    })
}

/// The name of a payment's state, and the block of the refund if there was one.
pub fn status(state: &State) -> (&'static str, Option<String>) {
    let name = match state {
        State::Reserved | State::Settling { .. } => "settling",
        State::Unknown { .. } => "unknown",
        State::Settled { .. } | State::Working { .. } | State::Undone { .. } => "settled",
        State::Delivered { .. } => "delivered",
        State::Failed { .. } => "failed",
        State::Refunding { .. } => "refunding",
        State::Refunded { refund_tx, .. } => return ("refunded", Some(refund_tx.to_string())),
    };
    (name, None)
}

/// 200 with JSON that no cache may keep.
pub fn json(body: &impl Serialize) -> HttpResponse {
    json_text(serde_json::to_vec(body).unwrap_or_default())
}

/// 200 with a JSON text that no cache may keep.
pub fn json_text(body: Vec<u8>) -> HttpResponse {
    let mut headers = vec![
        header("content-type", "application/json"),
        header("cache-control", PRIVATE),
    ];
    headers.extend(cors());
    HttpResponse {
        status_code: 200,
        headers,
        body,
        upgrade: None,
    }
}

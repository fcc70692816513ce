//! What an answer to a payment means: delivered, refused, or ask again.

use crate::{
    error::PayError,
    http::{Request, Response},
    payment::SignedPayment,
};
use candid::Principal;
use reqwest::Url;
use serde_json::Value;
use x402_icp::{
    Code,
    decode::decode_header,
    values::parse_principal,
    wire::{PAYMENT_REQUIRED, PAYMENT_RESPONSE, PaymentRequired, SettleResponse},
};

/// A delivered resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Paid {
    /// The resource.
    pub response: Response,
    /// The seller's receipt; `None` if the seller sent none that can be read.
    pub receipt: Option<SettleResponse>,
    /// What was sent.
    pub payment: SignedPayment,
    /// What in the receipt is not what was agreed; empty if all is well.
    pub problems: Vec<String>,
}

/// What to do after an answer.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The goods are here.
    Paid(Box<Paid>),
    /// It will not work, and no money has moved.
    Final(PayError),
    /// Not known: send the same again.
    Again(String),
    /// Not known, and asking again at once will not tell.
    Unclear(String),
}

/// Judges an answer to a request that carried a payment.
pub(crate) fn judge(response: Response, payment: &SignedPayment) -> Verdict {
    let receipt: Option<SettleResponse> = response
        .header(PAYMENT_RESPONSE)
        .and_then(|value| decode_header(PAYMENT_RESPONSE, value.as_bytes()).ok());
    match (response.status, receipt) {
        (_, Some(receipt)) if !receipt.success => {
            let reason = receipt.error_reason.unwrap_or_default();
            refused(reason, receipt.error_message)
        }
        (200..=299, receipt) => {
            let problems = receipt
                .as_ref()
                .map(|receipt| problems(receipt, payment))
                .unwrap_or_default();
            Verdict::Paid(Box::new(Paid {
                response,
                receipt,
                payment: payment.clone(),
                problems,
            }))
        }
        (402, None) => {
            let required: Option<PaymentRequired<Value>> = response
                .header(PAYMENT_REQUIRED)
                .and_then(|value| decode_header(PAYMENT_REQUIRED, value.as_bytes()).ok());
            match required.and_then(|required| required.error) {
                Some(reason) => refused(reason, None),
                None => refused("the seller did not take it for a payment".into(), None),
            }
        }
        // Settled, and yet no resource: the seller owes it, so ask for it again.
        (status, Some(_)) => Verdict::Again(format!("settled, but answered with HTTP {status}")),
        (status @ (408 | 425 | 429 | 500..=599), None) => Verdict::Again(format!("HTTP {status}")),
        // Nothing is said about the money, so nothing is known about it.
        (status, None) => Verdict::Unclear(format!("HTTP {status} without a receipt")),
    }
}

fn refused(reason: String, message: Option<String>) -> Verdict {
    let code = Code::from_text(&reason);
    if code == Some(Code::SettlementPending) {
        return Verdict::Again(reason);
    }
    Verdict::Final(PayError::Refused {
        code,
        reason,
        message,
    })
}

/// Where a receipt says something else than what was signed.
fn problems(receipt: &SettleResponse, payment: &SignedPayment) -> Vec<String> {
    let accepted = &payment.payment.accepted;
    let mut problems = Vec::new();
    let mut compare = |what: &str, said: &str, agreed: &str| {
        if said != agreed {
            problems.push(format!(
                "{what} is {said:?} in the receipt, {agreed:?} was agreed"
            ));
        }
    };
    compare("network", &receipt.network, &accepted.network);
    if let Some(amount) = &receipt.amount {
        compare("amount", amount, &accepted.amount);
    }
    if let Some(payer) = &receipt.payer {
        compare("payer", payer, &payment.payment.payload.from);
    }
    if receipt.transaction.is_empty() {
        problems.push("the receipt names no transaction".into());
    }
    problems
}

/// The canister that served a URL, as far as anybody can tell: named by `canisterId`, by the first
/// label of the host, or by the gateway in `x-ic-canister-id`.
pub fn serving_canister(request: &Request, response: &Response) -> Option<Principal> {
    let url = Url::parse(&request.url).ok()?;
    let in_query = url
        .query_pairs()
        .find(|(key, _)| key == "canisterId")
        .and_then(|(_, value)| parse_principal(&value).ok());
    let in_host = url
        .host_str()
        .and_then(|host| host.split('.').next())
        .and_then(|label| parse_principal(label).ok());
    let by_gateway = response
        .header("x-ic-canister-id")
        .and_then(|value| parse_principal(value).ok());
    in_query.or(in_host).or(by_gateway)
}

#[cfg(test)]
mod tests;

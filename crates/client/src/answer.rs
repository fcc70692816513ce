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
    /// It will not work, and asking again does not help; the error says what is known of the money.
    Final(PayError),
    /// The seller says that it was paid, and yet did not deliver: [`PayError::NotDelivered`].
    Owed {
        /// What to report if it is never delivered.
        error: PayError,
        /// Whether the seller says that it never will be.
        gone: bool,
    },
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
            let block = block(receipt.transaction);
            let reason = receipt.error_reason.unwrap_or_default();
            refused(payment, reason, receipt.error_message, block)
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
                // Words that are no code may be those that go with every 402, so they refuse nothing.
                Some(reason) if Code::from_text(&reason).is_some() => {
                    refused(payment, reason, None, None)
                }
                Some(reason) => Verdict::Unclear(format!("HTTP 402 without a receipt: {reason}")),
                // The answer to a request without a payment: one node can show it while others settle.
                None => Verdict::Unclear("HTTP 402 as if no payment had been sent".into()),
            }
        }
        // Settled, and yet no resource: the seller owes it.
        (status, Some(receipt)) => Verdict::Owed {
            gone: status == 410,
            error: PayError::NotDelivered {
                payment: Box::new(payment.clone()),
                status,
                problems: problems(&receipt, payment),
                receipt: Box::new(receipt),
            },
        },
        (status @ (408 | 425 | 429 | 500..=599), None) => Verdict::Again(format!("HTTP {status}")),
        // Nothing is said about the money, so nothing is known about it.
        (status, None) => Verdict::Unclear(format!("HTTP {status} without a receipt")),
    }
}

fn refused(
    payment: &SignedPayment,
    reason: String,
    message: Option<String>,
    block: Option<String>,
) -> Verdict {
    let code = Code::from_text(&reason);
    match code {
        Some(Code::SettlementPending) => Verdict::Again(reason),
        // Both say that this authorization is taken, and neither that it moved no money.
        Some(Code::DuplicateSettlement | Code::NonceUsed) => Verdict::Final(PayError::Used {
            payment: Box::new(payment.clone()),
            reason,
            message,
            block,
        }),
        _ => Verdict::Final(PayError::Refused {
            code,
            reason,
            message,
        }),
    }
}

/// The block in `transaction`, which may also be empty or hold a payment's id.
fn block(transaction: String) -> Option<String> {
    transaction.parse::<u128>().is_ok().then_some(transaction)
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

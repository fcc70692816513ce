//! The meaning of a response to a payment, or of a call's reply: delivered, refused, or send again.

mod called;

pub(crate) use called::{Reply, judge_reply};

use crate::{
    error::PayError,
    http::{Answer, HttpError, Response, retry_after},
    payment::SignedPayment,
    required,
};
use std::time::Duration;
use x402_icp::{
    Code,
    decode::decode_header,
    values::parse_account,
    wire::{PAYMENT_RESPONSE, SettleResponse},
};

/// A delivered resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Paid {
    /// The resource. Of a call: its content with its MIME type, as a response with status 200.
    pub response: Response,
    /// The seller's receipt; `None` if the seller sent none that can be decoded.
    pub receipt: Option<SettleResponse>,
    /// The payment that was sent.
    pub payment: SignedPayment,
    /// Differences between the receipt and the agreed terms; empty if there are none.
    pub problems: Vec<String>,
    /// Whether the receipt matches the payment, so that the purchase is complete. If not, the resource was delivered
    /// and the payment stays recorded: the same request sends it again until it is resolved or forgotten.
    pub proven: bool,
}

/// The next step after a response.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The resource was delivered; [`Paid::proven`] says whether the purchase is complete.
    Paid(Box<Paid>),
    /// The purchase failed, and sending again does not help. The error says what is known about the money.
    Final(PayError),
    /// The seller says that it was paid, but did not deliver: [`PayError::NotDelivered`].
    Owed {
        /// The error if it is never delivered.
        error: PayError,
        /// Whether sending again is useless: the resource is gone or too long.
        gone: bool,
    },
    /// Not known: send the same payment again, after this time if the seller names one.
    Again(String, Option<Duration>),
    /// Not known, and sending again at once does not help.
    Unclear(String),
}

/// Judges a response to a request that carried a payment. `now` is in seconds since 1970-01-01.
pub(crate) fn judge(answer: Answer, payment: &SignedPayment, now: u64) -> Verdict {
    let Answer { response, cut } = answer;
    let receipt = read_receipt(&response);
    let rule = identifier_rule(&response);
    let wait = retry_after(&response, now);
    match (response.status, receipt) {
        (_, Some(receipt)) if !receipt.success => {
            let block = block(receipt.transaction);
            let reason = receipt.error_reason.unwrap_or_default();
            refused(payment, reason, receipt.error_message, block, wait)
        }
        (200..=299, receipt) => delivered(response, cut, receipt, payment),
        (402, None) => {
            let error = required::read(&response)
                .ok()
                .and_then(|required| required.error);
            match error {
                // A text that is not a code may be one that is part of every 402, so it is not a refusal.
                Some(reason) if Code::from_text(&reason).is_some() => {
                    refused(payment, reason, None, None, wait)
                }
                Some(reason) => Verdict::Unclear(format!("HTTP 402 without a receipt: {reason}")),
                // The response to a request without a payment. One node can send it while others settle.
                None => Verdict::Unclear("HTTP 402 as if no payment had been sent".into()),
            }
        }
        // Settled, but without the resource: the seller owes it.
        (status, Some(receipt)) => owed(payment, status, receipt, status == 410),
        (status @ (408 | 425 | 429 | 500..=599), None) => {
            Verdict::Again(format!("HTTP {status}"), wait)
        }
        (400 | 409, None) if rule.is_some() => {
            refused(payment, rule.unwrap_or_default(), None, None, wait)
        }
        // The response says nothing about the money, so nothing is known about it.
        (status, None) => {
            let said = response.said().map(|said| format!(": {said}"));
            Verdict::Unclear(format!(
                "HTTP {status} without a receipt{}",
                said.unwrap_or_default()
            ))
        }
    }
}

/// The rule of `payment-identifier` that the payment breaks according to a response (section 10.1 of the binding).
fn identifier_rule(response: &Response) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(&response.body).ok()?;
    let rule = body.get("error")?.as_str()?;
    rule.starts_with("payment_identifier_")
        .then(|| rule.to_string())
}

fn delivered(
    response: Response,
    cut: Option<HttpError>,
    receipt: Option<SettleResponse>,
    payment: &SignedPayment,
) -> Verdict {
    if let Some(cut) = cut {
        // The headers arrived, so the receipt counts; the resource did not arrive.
        let too_long = matches!(cut, HttpError::TooLong { .. });
        return match receipt {
            Some(receipt) => owed(payment, response.status, receipt, too_long),
            None if too_long => Verdict::Unclear(cut.to_string()),
            None => Verdict::Again(cut.to_string(), None),
        };
    }
    let problems = match &receipt {
        Some(receipt) => problems(receipt, payment),
        None => vec!["the seller sent no receipt that can be decoded".into()],
    };
    Verdict::Paid(Box::new(Paid {
        response,
        receipt,
        payment: payment.clone(),
        proven: problems.is_empty(),
        problems,
    }))
}

fn owed(payment: &SignedPayment, status: u16, receipt: SettleResponse, gone: bool) -> Verdict {
    // A receipt for another payment says nothing about this one.
    if !problems(&receipt, payment).is_empty() {
        let reason = format!("HTTP {status} with a receipt that is not this payment's");
        return Verdict::Unclear(reason);
    }
    Verdict::Owed {
        gone,
        error: PayError::NotDelivered {
            payment: Box::new(payment.clone()),
            status,
            receipt: Box::new(receipt),
        },
    }
}

/// The receipt in a response. `None` if there is none that says whether the money moved.
pub(crate) fn read_receipt(response: &Response) -> Option<SettleResponse> {
    let header = response.header(PAYMENT_RESPONSE)?;
    decode_header(PAYMENT_RESPONSE, header.as_bytes()).ok()
}

fn refused(
    payment: &SignedPayment,
    reason: String,
    message: Option<String>,
    block: Option<String>,
    wait: Option<Duration>,
) -> Verdict {
    let code = Code::from_text(&reason);
    match code {
        Some(Code::SettlementPending) => Verdict::Again(reason, wait),
        // Both say that this authorization is used, and neither that it moved no money.
        Some(Code::DuplicateSettlement | Code::NonceUsed) => Verdict::Final(PayError::Used {
            payment: Box::new(payment.clone()),
            reason,
            message,
            block,
        }),
        _ => Verdict::Final(match payment.block() {
            // The money of a transfer has moved, whatever the seller says.
            Some(block) => PayError::ProofRefused {
                payment: Box::new(payment.clone()),
                block,
                reason,
                message,
            },
            None => PayError::Refused {
                code,
                reason,
                message,
            },
        }),
    }
}

/// The block in `transaction`, which may also be empty or contain a payment's id.
fn block(transaction: String) -> Option<String> {
    is_block(&transaction).then_some(transaction)
}

fn is_block(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Differences between a receipt and what was signed. Absent members are not compared.
fn problems(receipt: &SettleResponse, payment: &SignedPayment) -> Vec<String> {
    let accepted = &payment.payment.accepted;
    let mut problems = Vec::new();
    let mut compare = |what: &str, said: Option<&str>, agreed: &str| match said {
        Some(said) if said == agreed => {}
        Some(said) => problems.push(format!(
            "{what} is {said:?} in the receipt, {agreed:?} was agreed"
        )),
        None => problems.push(format!("the receipt names no {what}")),
    };
    compare("network", Some(&receipt.network), &accepted.network);
    compare("amount", receipt.amount.as_deref(), &accepted.amount);
    let from = payment.payment.payload.from();
    // Another text of the same account is the same account.
    let same = |said: &str| match (parse_account(said), parse_account(from)) {
        (Ok(said), Ok(from)) => said == from,
        _ => false,
    };
    match receipt.payer.as_deref() {
        Some(said) if same(said) => {}
        said => compare("payer", said, from),
    }
    let id = receipt
        .extra
        .as_ref()
        .and_then(|extra| extra.get("paymentId"));
    if let Some(id) = id.filter(|id| !id.is_null()) {
        compare("payment", id.as_str(), &payment.shown_id());
    }
    if !is_block(&receipt.transaction) {
        problems.push(match receipt.transaction.as_str() {
            "" => "the receipt names no transaction".into(),
            other => format!("transaction is {other:?} in the receipt, which is not a block"),
        });
    }
    problems
}

#[cfg(test)]
mod tests;

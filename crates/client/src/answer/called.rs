//! The meaning of the reply to a call of `pay`. The subnet has certified it, so it is the canister's own.

use super::Paid;
use crate::{error::PayError, http::Response, payment::SignedPayment, receipt::Receipt};
use serde_bytes::ByteBuf;
use tollkeeper_types::{PayError as Refusal, Purchased, Receipt as CandidReceipt};
use x402_icp::{Code, values::parse_account, wire::SettleResponse};

/// What a reply says.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The resource was delivered; [`Paid::proven`] says whether the purchase is complete.
    Paid(Box<Paid>),
    /// The money has moved or may have, and nothing is delivered: [`PayError::Used`].
    Used(PayError),
    /// The ledger moved nothing for this payment, and never will, according to the canister.
    Failed { code: String, message: String },
    /// This call did nothing. It says nothing about other calls of the same payment.
    Refused { code: String, message: String },
    /// Not known: make the same call again.
    Again(String),
}

/// Judges the reply to a call of this payment.
pub(crate) fn judge_reply(reply: Result<Purchased, Refusal>, payment: &SignedPayment) -> Reply {
    let ours = |id: &ByteBuf| hex::encode(id) == payment.payment_id;
    let other =
        |id: &ByteBuf| Reply::Again(format!("the canister names payment {}", hex::encode(id)));
    let refused = |code: &str, message: String| Reply::Refused {
        code: code.into(),
        message,
    };
    match reply {
        Ok(purchased) => Reply::Paid(Box::new(paid(purchased, payment))),
        // Another payment has the id, which was random, or the canister cannot read its own record.
        Err(Refusal::Refused { code, message })
            if Code::from_text(&code) == Some(Code::NonceUsed) =>
        {
            used(payment, Code::NonceUsed, Some(message), None)
        }
        Err(Refusal::Refused { code, message }) => Reply::Refused { code, message },
        Err(Refusal::AnonymousCaller) => {
            refused("anonymous_caller", "the caller has no identity".into())
        }
        Err(Refusal::InvalidArgument(problem)) => refused(
            "invalid_argument",
            format!("{} {}", problem.field, problem.problem),
        ),
        Err(
            Refusal::Failed { payment_id, .. }
            | Refusal::Pending { payment_id }
            | Refusal::Duplicate { payment_id, .. },
        ) if !ours(&payment_id) => other(&payment_id),
        Err(Refusal::Failed { code, message, .. }) => Reply::Failed { code, message },
        Err(Refusal::Pending { .. }) => Reply::Again(Code::SettlementPending.to_string()),
        Err(Refusal::Duplicate { receipt, .. }) => {
            let block = receipt.map(|receipt| receipt.block_index.0.to_string());
            used(payment, Code::DuplicateSettlement, None, block)
        }
    }
}

fn used(
    payment: &SignedPayment,
    code: Code,
    message: Option<String>,
    block: Option<String>,
) -> Reply {
    Reply::Used(PayError::Used {
        payment: Box::new(payment.clone()),
        reason: code.to_string(),
        message,
        block,
    })
}

fn paid(purchased: Purchased, payment: &SignedPayment) -> Paid {
    let Purchased {
        receipt,
        mime_type,
        body,
    } = purchased;
    let problems = problems(&receipt, payment);
    Paid {
        response: Response {
            url: payment.url.clone(),
            status: 200,
            headers: vec![("content-type".into(), mime_type)],
            body: body.into_vec(),
        },
        receipt: Some(SettleResponse {
            success: true,
            transaction: receipt.block_index.0.to_string(),
            network: receipt.network.clone(),
            payer: receipt.payer.as_ref().map(ToString::to_string),
            amount: Some(receipt.amount.0.to_string()),
            extra: Some(serde_json::json!({ "paymentId": hex::encode(&receipt.payment_id) })),
            ..Default::default()
        }),
        payment: payment.clone(),
        proven: problems.is_empty(),
        problems,
    }
}

/// Differences between a receipt and the payment. A payer gets every member.
fn problems(receipt: &CandidReceipt, payment: &SignedPayment) -> Vec<String> {
    let pay_to = parse_account(&payment.payment.accepted.pay_to);
    let (Some(args), Some(from), Ok(pay_to)) = (payment.call(), payment.from(), pay_to) else {
        return vec!["the payment cannot be decoded".into()];
    };
    let agreed = Receipt::from(CandidReceipt {
        payment_id: payment
            .id()
            .map(|id| id.0.to_vec())
            .unwrap_or_default()
            .into(),
        network: payment.payment.accepted.network.clone(),
        ledger: args.ledger,
        payer: Some(from),
        pay_to,
        amount: args.amount,
        fee: args.fee,
        method: Some(args.method),
        path: Some(args.path),
        ..receipt.clone()
    });
    let said = Receipt::from(receipt.clone());
    let pairs = said.members().into_iter().zip(agreed.members());
    let differ = pairs.filter(|((_, said), (_, agreed))| said != agreed);
    differ
        .map(|((member, said), (_, agreed))| match said {
            "" => format!("the receipt names no {member}"),
            _ => format!("{member} is {said:?} in the receipt, {agreed:?} was agreed"),
        })
        .collect()
}

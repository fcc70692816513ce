//! Sending a recorded payment until its outcome is known.

use super::{Payer, now, unsettled};
use crate::{
    answer::{Paid, Verdict, judge},
    confirm::Resolution,
    error::PayError,
    http::HttpError,
    journal::End,
    payment::SignedPayment,
    plain_text::plain_text,
    step::Step,
};
use std::time::{Duration, Instant};
use x402_icp::wire::SettleResponse;

/// The result of one try.
enum Tried {
    Over(Result<Box<Paid>, PayError>),
    Again(String, Option<Duration>),
}

/// The knowledge after the tries so far.
struct Known {
    /// Whether a try may have reached the seller.
    may_have_arrived: bool,
    /// Once the seller has said that it is paid, no later response makes it unpaid.
    owed: Option<PayError>,
    /// Whether canister and ledger were checked after the payment's end.
    asked_after_end: bool,
}

impl Payer {
    /// Sends a recorded payment; the caller holds the lock of its request.
    pub(super) async fn transmit(&self, payment: &SignedPayment) -> Result<Box<Paid>, PayError> {
        if payment.is_call() {
            return self.call(payment).await;
        }
        let payment = &self.moved(payment).await?;
        let started = Instant::now();
        let mut known = Known {
            // A stored payment may have been sent before it was stored, and the money of a transfer has moved.
            may_have_arrived: payment.stored || payment.is_transfer(),
            owed: None,
            asked_after_end: false,
        };
        for attempt in 1.. {
            self.tell(Step::Paying(attempt));
            let (reason, wait) = match self.try_once(payment, &mut known).await {
                Tried::Over(result) => return result,
                Tried::Again(reason, wait) => (reason, wait),
            };
            // After its end canister and ledger decide, whatever the HTTP response says.
            if !known.asked_after_end
                && known.owed.is_none()
                && payment.valid_before().is_some_and(|end| now() >= end)
            {
                known.asked_after_end = true;
                if let Resolution::Dead { reason } = self.settle(payment, true, &reason).await {
                    return Err(dead(reason));
                }
            }
            // A seller may request a longer pause, but not none.
            let pause = match wait {
                Some(wait) => wait.max(self.limits.first_pause),
                None => self.pause_after(attempt),
            };
            if started.elapsed().saturating_add(pause) > self.patience {
                return Err(match (known.owed, known.may_have_arrived) {
                    (Some(error), _) => error,
                    (None, true) => unsettled(payment, reason),
                    (None, false) => PayError::Unreachable(HttpError::NotSent(reason)),
                });
            }
            self.tell(Step::Waiting(pause, plain_text(&reason)));
            tokio::time::sleep(pause).await;
        }
        unreachable!("BUG: the attempts never end")
    }

    async fn try_once(&self, payment: &SignedPayment, known: &mut Known) -> Tried {
        let Some(request) = payment.request() else {
            let problem = "the stored request cannot be decoded".into();
            return Tried::Over(Err(unsettled(payment, problem)));
        };
        let answer = match self.http.pay(&request, payment.header()).await {
            Ok(answer) => answer,
            Err(error @ HttpError::Malformed(_)) => {
                return Tried::Over(Err(match known.may_have_arrived {
                    true => unsettled(payment, error.to_string()),
                    false => PayError::Unreachable(error),
                }));
            }
            Err(error) => {
                known.may_have_arrived |= !matches!(error, HttpError::NotSent(_));
                return Tried::Again(error.to_string(), None);
            }
        };
        known.may_have_arrived = true;
        let status = answer.response.status;
        match judge(answer, payment, now()) {
            Verdict::Paid(paid) => Tried::Over(Ok(self.delivered(*paid))),
            Verdict::Owed { error, gone: true } => Tried::Over(Err(error)),
            Verdict::Owed { error, gone: false } => {
                let reason = error.to_string();
                known.owed = Some(error);
                Tried::Again(reason, None)
            }
            Verdict::Again(reason, wait) => Tried::Again(reason, wait),
            Verdict::Final(_) | Verdict::Unclear(_) if known.owed.is_some() => {
                Tried::Over(Err(known.owed.take().expect("BUG: it was there")))
            }
            Verdict::Final(error) => Tried::Over(Err(self.last_word(error, payment, status).await)),
            Verdict::Unclear(reason) => {
                let error = unsettled(payment, reason);
                Tried::Over(Err(self.last_word(error, payment, status).await))
            }
        }
    }

    /// Ends the record of a payment that arrived with a matching receipt.
    pub(super) fn delivered(&self, mut paid: Paid) -> Box<Paid> {
        if let (true, Some(id)) = (paid.proven, paid.payment.id())
            && let Err(problem) = self.journal.release(id, End::Delivered)
        {
            // The resource was paid for and delivered: that is more important than the record.
            paid.proven = false;
            paid.problems
                .push(format!("the payment stays recorded: {problem}"));
        }
        Box::new(paid)
    }

    /// The final result after a response that ends the tries. A refusal counts if canister and ledger confirm it, and
    /// after the payment's end they are checked whatever the response was.
    async fn last_word(&self, error: PayError, payment: &SignedPayment, status: u16) -> PayError {
        let past = payment.valid_before().is_some_and(|end| now() >= end);
        let reason = match &error {
            PayError::Refused { reason, .. } => format!("refused as {reason}"),
            PayError::Used { reason, .. } if past => reason.clone(),
            PayError::Unsettled { reason, .. } if past => reason.clone(),
            _ => return error,
        };
        match self.settle(payment, true, &reason).await {
            Resolution::Dead { .. } if matches!(error, PayError::Refused { .. }) => error,
            Resolution::Dead { reason } => dead(reason),
            Resolution::Paid { block, .. } => match error {
                PayError::Used {
                    payment,
                    reason,
                    message,
                    ..
                } => PayError::Used {
                    payment,
                    reason,
                    message,
                    block: Some(block),
                },
                _ => PayError::NotDelivered {
                    payment: Box::new(payment.clone()),
                    status,
                    receipt: Box::new(proven_receipt(payment, block)),
                },
            },
            Resolution::Unknown { reason: problem } => match error {
                error @ PayError::Used { .. } => error,
                _ => unsettled(payment, format!("{reason}; {problem}")),
            },
        }
    }

    /// 1, 2, 4, 8, then 16 times the first pause.
    pub(super) fn pause_after(&self, attempt: u32) -> Duration {
        self.limits
            .first_pause
            .saturating_mul(1 << (attempt - 1).min(4))
    }
}

/// Proven dead, though no seller said so.
pub(super) fn dead(reason: String) -> PayError {
    PayError::Refused {
        code: None,
        reason,
        message: None,
    }
}

/// A receipt made from the ledger's block.
fn proven_receipt(payment: &SignedPayment, block: String) -> SettleResponse {
    SettleResponse {
        success: true,
        transaction: block,
        network: payment.payment.accepted.network.clone(),
        payer: Some(payment.payment.payload.from().into()),
        amount: Some(payment.payment.accepted.amount.clone()),
        extra: Some(serde_json::json!({ "paymentId": payment.shown_id() })),
        ..Default::default()
    }
}

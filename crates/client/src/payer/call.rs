//! Payments by a call of the canister's method `pay`: the arguments are fixed and recorded, and the same call is made
//! until the outcome is known.
//!
//! ```text
//!  recorded: id, terms, path, time
//!       │
//!       ▼
//!  call ──the canister refuses the first call, and the ledger shows nothing──▶ the record ends, nothing moved
//!       │  ▲
//!       │  └─ no answer, pending, or refused later (an earlier call may still arrive): the same call again
//!       ├─ failed, and the ledger shows nothing: the record ends, nothing moved
//!       ├─ past its time: a call that the canister does not know can begin no payment any more; the record ends if
//!       │      the ledger shows nothing, too
//!       └─ content and matching receipt: the record ends
//! ```
//!
//! No call that may begin a payment outlives its time: the network drops it if it has not begun by then.

use super::{Payer, now, send::dead, unsettled};
use crate::{
    answer::{Paid, Reply, judge_reply},
    confirm::Resolution,
    error::PayError,
    ledger::Status,
    payment::SignedPayment,
    plain_text::plain_text,
    step::Step,
};
use candid::Principal;
use std::time::Instant;
use tollkeeper_types::PayArgs;
use x402_icp::{Code, PaymentId};

/// How long a call may wait for its canister, in seconds, if its time is not over before.
const CALL_WAITS_SECONDS: u64 = 180;
const NANOSECONDS: u64 = 1_000_000_000;

/// Whether a call may be made now.
enum Turn {
    /// Yes. The network drops it if it has not begun by this time, in nanoseconds since 1970-01-01.
    Call(Option<u64>),
    /// Not known now.
    Wait(String),
    /// The payment is proven dead.
    Dead(String),
}

impl Payer {
    /// Makes a recorded call until its outcome is known or patience ends; the caller holds the lock of its request.
    pub(super) async fn call(&self, payment: &SignedPayment) -> Result<Box<Paid>, PayError> {
        let (canister, args) = self
            .call_of(payment)
            .map_err(|problem| unsettled(payment, problem))?;
        let started = Instant::now();
        // A payment that was read from a store may have been called before.
        let mut is_first = !payment.stored;
        for attempt in 1.. {
            let reason = match self.turn_of(payment, canister).await {
                Turn::Dead(reason) => return Err(dead(reason)),
                Turn::Wait(reason) => reason,
                Turn::Call(expires) => {
                    self.tell(Step::Calling { canister, attempt });
                    let replied = self.rail().pay(canister, &args, expires).await;
                    let reply = replied.map(|reply| judge_reply(reply, payment));
                    match self.heard(payment, reply, is_first).await {
                        Ok(outcome) => return outcome,
                        Err(reason) => {
                            is_first = false;
                            reason
                        }
                    }
                }
            };
            let pause = self.pause_after(attempt);
            if started.elapsed().saturating_add(pause) > self.patience {
                return Err(unsettled(payment, reason));
            }
            self.tell(Step::Waiting(pause, plain_text(&reason)));
            tokio::time::sleep(pause).await;
        }
        unreachable!("BUG: the attempts never end")
    }

    /// The outcome after a reply, or why the same call is made again.
    async fn heard(
        &self,
        payment: &SignedPayment,
        reply: Result<Reply, String>,
        is_first: bool,
    ) -> Result<Result<Box<Paid>, PayError>, String> {
        let (code, message) = match reply? {
            Reply::Paid(paid) => return Ok(Ok(self.delivered(*paid))),
            Reply::Used(error) => return Ok(Err(error)),
            Reply::Again(reason) => return Err(reason),
            Reply::Failed { code, message } => (code, message),
            Reply::Refused { code, message } if is_first => (code, message),
            // It is about this call alone: an earlier one may still arrive, or have begun a payment.
            Reply::Refused { code, message } => {
                return Err(format!(
                    "a repetition was refused ({code}: {message}), and an earlier call may have arrived or still arrive"
                ));
            }
        };
        Ok(Err(
            match self
                .settle_over(payment, format!("refused as {code}"))
                .await
            {
                Resolution::Dead { .. } => PayError::Refused {
                    code: Code::from_text(&code),
                    reason: code,
                    message: Some(message),
                },
                Resolution::Paid { .. } => unsettled(payment, code),
                Resolution::Unknown { reason } => unsettled(payment, reason),
            },
        ))
    }

    /// Whether the call may be made. After its time it may begin no payment, so the canister has to know the payment.
    async fn turn_of(&self, payment: &SignedPayment, canister: Principal) -> Turn {
        let (Some(id), Some(end)) = (payment.id(), payment.valid_before()) else {
            return Turn::Wait("its call cannot be decoded".into());
        };
        let end_ns = end.saturating_mul(NANOSECONDS);
        if now() < end {
            let waits = now().saturating_add(CALL_WAITS_SECONDS);
            return Turn::Call(Some(end_ns.min(waits.saturating_mul(NANOSECONDS))));
        }
        match self.rail().payment(canister, id).await {
            Err(problem) => Turn::Wait(problem),
            Ok((Some(Status::Failed { .. }), _)) => self.over(payment).await,
            Ok((Some(_), _)) => Turn::Call(None),
            // This machine's clock is ahead.
            Ok((None, at)) if at < end_ns => Turn::Call(Some(end_ns)),
            Ok((None, _)) => self.over(payment).await,
        }
    }

    async fn over(&self, payment: &SignedPayment) -> Turn {
        match self.settle(payment, false, "its time is over").await {
            Resolution::Dead { reason } => Turn::Dead(reason),
            Resolution::Paid { .. } => Turn::Call(None),
            Resolution::Unknown { reason } => Turn::Wait(reason),
        }
    }

    /// Canister and argument of the call, if this payer may make it.
    fn call_of(&self, payment: &SignedPayment) -> Result<(Principal, PayArgs), String> {
        payment.check()?;
        let network = &payment.payment.accepted.network;
        if network != self.network.id() {
            return Err(format!(
                "it is a payment on {network}, and this is {}",
                self.network.id()
            ));
        }
        let from = payment.from().ok_or("its payer cannot be decoded")?;
        if from.owner != self.identity.principal() {
            return Err(format!(
                "it is a call by {}, and this identity is {}",
                from.owner,
                self.identity.principal()
            ));
        }
        let canister = payment.spender().ok_or("its canister cannot be decoded")?;
        let args = payment.call().ok_or("its call cannot be decoded")?;
        Ok((canister, args))
    }

    /// A call that is not recorded here, if the canister knows its payment: then repeating it pays nothing new.
    pub(super) async fn known_call(
        &self,
        payment: &SignedPayment,
    ) -> Result<SignedPayment, PayError> {
        let (canister, _) = self
            .call_of(payment)
            .map_err(|problem| unsettled(payment, problem))?;
        let id = payment.id().unwrap_or(PaymentId([0; 32]));
        let problem = match self.rail().payment(canister, id).await {
            Ok((Some(Status::Failed { .. }) | None, _)) => {
                match self.settle(payment, false, "it is not recorded here").await {
                    Resolution::Dead { reason } => return Err(dead(reason)),
                    Resolution::Paid { .. } => return Ok(payment.clone()),
                    Resolution::Unknown { reason } => reason,
                }
            }
            Ok((Some(_), _)) => return Ok(payment.clone()),
            Err(problem) => problem,
        };
        let reason =
            format!("it is not recorded here, so it is not called from this file; {problem}");
        Err(unsettled(payment, reason))
    }

    /// Whether a call that another one made, and whose record that one ended, may have moved money.
    pub(super) async fn was_called(&self, payment: &SignedPayment) -> bool {
        let (Some(canister), Some(id)) = (payment.spender(), payment.id()) else {
            return true;
        };
        let asked = self.rail().payment(canister, id).await;
        !matches!(asked, Ok((None | Some(Status::Failed { .. }), _)))
    }
}

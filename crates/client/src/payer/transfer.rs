//! Payments by the payer's own transfer: the transfer is made once, its block is recorded, and the proof is sent.
//!
//! ```text
//!  recorded: secret, memo, time
//!       │
//!       ▼
//!  transfer ──the ledger refuses the first sending──▶ the record ends, nothing moved
//!       │  ▲
//!       │  └─ no answer: the same transfer again, within the ledger's 24 hours
//!       ├─ refused later, or after the 24 hours: look for the memo in the log
//!       │      └─ it is not there, and the ledger cannot make it any more: the record ends
//!       ▼
//!  block recorded ──▶ the proof is sent as any payment is
//! ```

use super::{Payer, now, send::dead, unsettled};
use crate::{
    confirm::{self, Resolution},
    error::{LedgerError, PayError},
    journal::End,
    ledger::{Found, Rail, Wanted},
    payment::SignedPayment,
    plain_text::plain_text,
    step::Step,
};
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::transfer::{TransferArg, TransferError};
use std::time::Instant;
use x402_icp::{
    Amount,
    values::{parse_account, parse_principal},
};

/// How far before the transfer the log is read, in seconds, because clocks differ.
const CLOCK_SKEW_SECONDS: u64 = 300;
const NANOSECONDS: u64 = 1_000_000_000;

/// What the ledger's log shows of a transfer whose block is not known.
enum Sought {
    Block(u64),
    /// It was not made, and cannot be made any more.
    Never(String),
    /// It is not in the log by now, and can still be made.
    NotYet(String),
    /// Not known, with the reason.
    Open(String),
}

impl Payer {
    pub(super) fn rail(&self) -> &dyn Rail {
        #[cfg(test)]
        if let Some(rail) = &self.test_rail {
            return &**rail;
        }
        &self.network
    }

    /// The payment with the block of its transfer: makes the transfer if its block is not known. The caller holds the
    /// lock of its request, and the payment is recorded.
    pub(super) async fn moved(&self, payment: &SignedPayment) -> Result<SignedPayment, PayError> {
        if !payment.has_no_block() {
            return Ok(payment.clone());
        }
        let (ledger, transfer) = self
            .transfer_of(payment)
            .map_err(|problem| unsettled(payment, problem))?;
        let started = Instant::now();
        let mut may_have_arrived = payment.stored;
        for attempt in 1.. {
            if payment.repeated_until().is_none_or(|end| now() >= end) {
                let reason = "its 24 hours are over";
                return self.sought(payment, reason).await;
            }
            self.tell(Step::Transferring {
                ledger,
                to: transfer.to,
                amount: payment.amount().unwrap_or_default(),
                attempt,
            });
            let reason = match self.rail().transfer(ledger, &transfer).await {
                Ok(Ok(block)) => return Ok(self.placed(payment, block)),
                Ok(Err(TransferError::TemporarilyUnavailable)) => {
                    "the ledger is temporarily unavailable".into()
                }
                // The first answer of all says what happened; a later one may be about the repetition alone.
                Ok(Err(problem)) if !may_have_arrived => {
                    return Err(self.not_made(payment, ledger, problem));
                }
                Ok(Err(problem)) => return self.sought(payment, &problem.to_string()).await,
                Err(problem) => {
                    may_have_arrived = true;
                    problem.to_string()
                }
            };
            let pause = self.pause_after(attempt);
            if started.elapsed().saturating_add(pause) > self.patience {
                return Err(match may_have_arrived {
                    true => unsettled(payment, reason),
                    false => self.not_made(payment, ledger, TransferError::TemporarilyUnavailable),
                });
            }
            self.tell(Step::Waiting(pause, plain_text(&reason)));
            tokio::time::sleep(pause).await;
        }
        unreachable!("BUG: the attempts never end")
    }

    /// Ledger and argument of the transfer, if this payer may make it.
    fn transfer_of(&self, payment: &SignedPayment) -> Result<(Principal, TransferArg), String> {
        payment.check()?;
        let accepted = &payment.payment.accepted;
        if accepted.network != self.network.id() {
            return Err(format!(
                "it is a payment on {}, and this is {}",
                accepted.network,
                self.network.id()
            ));
        }
        let from = payment.from().ok_or("its payer cannot be decoded")?;
        if from.owner != self.identity.principal() {
            return Err(format!(
                "it is a transfer from {from}, and this identity is {}",
                self.identity.principal()
            ));
        }
        let ledger = parse_principal(&accepted.asset).map_err(|e| format!("its asset {e}"))?;
        let transfer = payment
            .arguments()
            .ok_or("its transfer cannot be decoded")?;
        Ok((ledger, transfer))
    }

    /// A payment that is about to be sent and is not recorded here. A file could come from a stranger, so its transfer
    /// or call is not made: only a transfer that the ledger shows is presented, and only a call that the canister knows
    /// is repeated.
    pub(super) async fn known_to_be_made(
        &self,
        payment: &SignedPayment,
    ) -> Result<SignedPayment, PayError> {
        let made_here = !payment.stored;
        if made_here || !(payment.has_no_block() || payment.is_call()) {
            return Ok(payment.clone());
        }
        if let Some(id) = payment.id()
            && self.journal.with_id(id)?.is_some()
        {
            return Ok(payment.clone());
        }
        if payment.is_call() {
            return self.known_call(payment).await;
        }
        match self.seek(payment, "it is not recorded here").await {
            Sought::Block(block) => Ok(payment.clone().with_block(block)),
            Sought::Never(reason) => Err(dead(reason)),
            Sought::NotYet(reason) | Sought::Open(reason) => {
                let reason = format!(
                    "its transfer is not recorded here, so it is not made from this file; {reason}"
                );
                Err(unsettled(payment, reason))
            }
        }
    }

    /// A payment that another call made, and whose record that call ended; `None` if it is a transfer that the ledger
    /// did not make, or a call whose money did not move.
    pub(super) async fn was_made(&self, payment: SignedPayment) -> Option<SignedPayment> {
        if payment.is_call() {
            return self.was_called(&payment).await.then_some(payment);
        }
        if !payment.has_no_block() {
            return Some(payment);
        }
        match self.seek(&payment, "another call sent it").await {
            Sought::Block(block) => Some(payment.with_block(block)),
            Sought::Never(_) | Sought::NotYet(_) => None,
            Sought::Open(_) => Some(payment),
        }
    }

    /// The payment as it is recorded: with its block.
    pub(super) fn recorded(&self, payment: SignedPayment) -> Result<SignedPayment, PayError> {
        let entry = match payment.id() {
            Some(id) if payment.has_no_block() => self.journal.with_id(id)?,
            _ => None,
        };
        Ok(match entry.and_then(|entry| entry.payment.block()) {
            Some(block) => payment.with_block(block),
            None => payment,
        })
    }

    /// Records the block of a transfer. The proof is presented also if that fails: the ledger answers the same transfer
    /// with the same block.
    fn placed(&self, payment: &SignedPayment, block: u64) -> SignedPayment {
        let recorded = match payment.id() {
            Some(id) => self.journal.record_block(id, block),
            None => Ok(()),
        };
        self.tell(Step::Transferred {
            ledger: parse_principal(&payment.payment.accepted.asset)
                .unwrap_or(Principal::anonymous()),
            block,
            problem: recorded.err().map(|problem| problem.to_string()),
        });
        payment.clone().with_block(block)
    }

    /// Ends the record of a transfer that the ledger did not make.
    fn not_made(
        &self,
        payment: &SignedPayment,
        asset: Principal,
        problem: TransferError,
    ) -> PayError {
        self.ended(payment);
        let number = |nat: &Nat| Amount(u128::try_from(&nat.0).unwrap_or(u128::MAX));
        let fee = payment
            .arguments()
            .and_then(|transfer| transfer.fee)
            .map_or(Amount(0), |fee| number(&fee));
        match &problem {
            TransferError::BadFee { expected_fee } => PayError::FeeMismatch {
                asset,
                offered: fee,
                ledger: number(expected_fee),
            },
            TransferError::InsufficientFunds { balance } => PayError::InsufficientFunds {
                asset,
                needed: Amount(payment.amount().unwrap_or_default().0.saturating_add(fee.0)),
                balance: number(balance),
            },
            _ => PayError::Ledger(LedgerError::Transfer {
                ledger: asset,
                problem,
            }),
        }
    }

    fn ended(&self, payment: &SignedPayment) {
        if let Some(id) = payment.id()
            && let Err(problem) = self.journal.release(id, End::Dead)
        {
            // It is dead in any case; a remaining record is found dead again.
            self.tell(Step::Confirming(problem.to_string()));
        }
    }

    /// The payment with the block that the log shows.
    async fn sought(
        &self,
        payment: &SignedPayment,
        reason: &str,
    ) -> Result<SignedPayment, PayError> {
        match self.seek(payment, reason).await {
            Sought::Block(block) => Ok(self.placed(payment, block)),
            Sought::Never(reason) => {
                self.ended(payment);
                Err(dead(reason))
            }
            Sought::NotYet(problem) | Sought::Open(problem) => {
                Err(unsettled(payment, format!("{reason}; {problem}")))
            }
        }
    }

    /// Looks for a transfer in the ledger's log. Sends nothing.
    async fn seek(&self, payment: &SignedPayment, reason: &str) -> Sought {
        self.tell(Step::Seeking(plain_text(reason)));
        let (ledger, wanted) = match self.wanted(payment) {
            Ok(wanted) => wanted,
            Err(problem) => return Sought::Open(problem),
        };
        let impossible = payment.impossible_from();
        match self.rail().find(ledger, &wanted).await {
            Found::Block(block) => Sought::Block(block),
            Found::Missing { as_of }
                if impossible.is_some_and(|from| as_of / NANOSECONDS >= from) =>
            {
                Sought::Never(format!(
                    "the transfer is not in the log of ledger {ledger}, which can no longer make it"
                ))
            }
            Found::Missing { .. } => Sought::NotYet(format!(
                "ledger {ledger} has not made the transfer by now, and can make it until its 24 hours are over"
            )),
            Found::Unknown(problem) => Sought::Open(format!(
                "look in an explorer of the ledger for a transfer with this id as its memo, and name the block \
                 (--block): {problem}"
            )),
        }
    }

    /// What the ledger's block must show.
    fn wanted(&self, payment: &SignedPayment) -> Result<(Principal, Wanted), String> {
        payment.check()?;
        let accepted = &payment.payment.accepted;
        if accepted.network != self.network.id() {
            return Err(format!(
                "it is a payment on {}, and {} was asked",
                accepted.network,
                self.network.id()
            ));
        }
        let malformed = |what: &str| format!("its {what} cannot be decoded");
        let made_at = payment
            .transfer_made_at()
            .ok_or_else(|| malformed("time"))?;
        let wanted = Wanted {
            from: payment.from().ok_or_else(|| malformed("payer"))?,
            to: parse_account(&accepted.pay_to).map_err(|_| malformed("recipient"))?,
            amount: payment.amount().ok_or_else(|| malformed("amount"))?,
            memo: payment.id().ok_or_else(|| malformed("id"))?.0,
            since: made_at
                .saturating_sub(CLOCK_SKEW_SECONDS)
                .saturating_mul(NANOSECONDS),
        };
        let ledger = parse_principal(&accepted.asset).map_err(|_| malformed("asset"))?;
        Ok((ledger, wanted))
    }

    /// Records the block of a transfer that was found elsewhere, if the ledger shows that it is this transfer's.
    /// [`Payer::send`] then presents it.
    pub async fn name_block(
        &self,
        payment: &SignedPayment,
        block: u64,
    ) -> Result<SignedPayment, PayError> {
        let (ledger, wanted) = self
            .wanted(payment)
            .map_err(|problem| unsettled(payment, problem))?;
        let found = self.rail().block(ledger, block).await?;
        if !wanted.is(&found) {
            let problem = format!("block {block} of ledger {ledger} is another transfer's");
            return Err(unsettled(payment, problem));
        }
        let known = payment.clone().with_block(block);
        self.record(&known)?;
        if let Some(id) = payment.id() {
            self.journal.record_block(id, block)?;
        }
        Ok(known)
    }

    /// The outcome of a transfer. Sends nothing.
    pub(super) async fn settle_transfer(&self, payment: &SignedPayment) -> Resolution {
        let unknown = |reason: String| Resolution::Unknown { reason };
        let (ledger, wanted) = match self.wanted(payment) {
            Ok(wanted) => wanted,
            Err(problem) => return unknown(problem),
        };
        let payment = match payment.has_no_block() {
            false => payment.clone(),
            true => match self.seek(payment, "its block is not known").await {
                Sought::Block(block) => self.placed(payment, block),
                Sought::Never(reason) => {
                    self.ended(payment);
                    return Resolution::Dead { reason };
                }
                Sought::NotYet(reason) | Sought::Open(reason) => return unknown(reason),
            },
        };
        let (Some(block), Some(id)) = (payment.block(), payment.known_as()) else {
            return unknown("its block cannot be decoded".into());
        };
        match self.rail().block(ledger, block).await {
            Ok(found) if wanted.is(&found) => {}
            Ok(_) => {
                return unknown(format!(
                    "block {block} of ledger {ledger} is another transfer's"
                ));
            }
            Err(problem) => return unknown(problem.to_string()),
        }
        let Some(canister) = payment.spender() else {
            return unknown("its canister cannot be decoded".into());
        };
        match confirm::state_of(self.rail(), canister, id).await {
            Ok((state, refund_block)) => Resolution::Paid {
                block: block.to_string(),
                state: state.into(),
                refund_block,
            },
            Err(problem) => unknown(format!(
                "the transfer is in block {block} of ledger {ledger}, but {problem}"
            )),
        }
    }
}

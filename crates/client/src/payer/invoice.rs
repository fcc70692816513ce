//! Invoices are paid by a plain transfer, which is made once.
//!
//! ```text
//!  ask the canister, by update call: its account must be the one of canister and id
//!       │
//!       ├─ open, and a transfer was made for it whose record has ended ──▶ nothing is sent
//!       ├─ paid ─────────────────────────────────────────────────────────▶ the record ends, the content is fetched
//!       ├─ ended, and bought nothing: the record stays until the money went back
//!       ▼ open
//!  recorded: amount, fee, memo, time
//!       │
//!       ▼
//!  transfer ──the ledger refuses the first sending──▶ the record ends, nothing moved
//!       │  ▲
//!       │  └─ no answer: the same transfer again, until the expiry or the ledger's 24 hours
//!       ├─ refused later, or too late: look for the memo in the log
//!       ▼
//!  ask the canister until it says paid
//! ```

mod after;

use super::{LOCK_PAUSE, Payer};
use crate::{
    error::{LedgerError, PayError},
    invoice::{
        Invoice, InvoiceError, InvoiceLink, InvoicePayment, InvoiceProblem, PaidInvoice, Standing,
        Transfer, amount, standing,
    },
    journal::{Lock, RequestKey},
    plain_text::plain_text,
    step::Step,
};
use after::Sought;
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::transfer::TransferError;
use std::time::{Duration, Instant};
use x402_icp::Amount;

/// An invoice that expires sooner is not paid: the transfer could come too late. Nanoseconds.
const MIN_LEFT: u64 = 60 * 1_000_000_000;
/// The canister reads a balance once in five seconds: ten times the first pause.
const LOOKS: u32 = 10;

/// What the canister says of an invoice whose account is checked.
struct Look {
    invoice: Invoice,
    /// The time that the subnet signed, in nanoseconds since 1970-01-01, and when it arrived.
    at: u64,
    arrived: Instant,
}

impl Look {
    /// The time by the subnet's clock. The payer's own may be wrong.
    fn now(&self) -> u64 {
        let passed = u64::try_from(self.arrived.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.at.saturating_add(passed)
    }
}

/// A recorded transfer.
struct Recorded {
    transfer: Transfer,
    /// Whether an earlier call recorded it, and may have sent it.
    earlier: bool,
}

impl Payer {
    /// Pays an invoice from this payer's account, waits until it is paid, and fetches what it bought.
    ///
    /// The account must be the one that canister and id make, and the amount within the [`crate::SpendControls`]. The
    /// transfer is recorded before it is sent. Whatever ends this call, the next one for the same invoice goes on with
    /// the same transfer and makes no other. The record ends when the canister says, by update call, that the invoice
    /// is paid; when the ledger refused the first sending; or when the money went back ([`Payer::return_invoice`]). For
    /// an invoice whose money may have moved no other transfer is made, whatever the canister says.
    pub async fn pay_invoice(&self, link: &InvoiceLink) -> Result<PaidInvoice, InvoiceProblem> {
        let (invoice, block) = {
            let _turn = self.invoice_turn(link).await?;
            self.settle_invoice(link).await?
        };
        let response = self.fetch_invoice(link, &block).await?;
        Ok(PaidInvoice {
            invoice,
            block: block.0.to_string(),
            response,
        })
    }

    /// Waits until no other call pays this invoice.
    async fn invoice_turn(&self, link: &InvoiceLink) -> Result<Lock, PayError> {
        let (key, started) = (RequestKey::of_invoice(&link.account()), Instant::now());
        loop {
            if let Some(lock) = self.journal.try_lock(&key)? {
                return Ok(lock);
            }
            if started.elapsed() >= self.patience {
                return Err(PayError::InProgress);
            }
            self.tell(Step::WaitingForTurn);
            tokio::time::sleep(LOCK_PAUSE).await;
        }
    }

    /// Returns the invoice and the block of the transfer to the merchant, once it is paid.
    async fn settle_invoice(&self, link: &InvoiceLink) -> Result<(Invoice, Nat), InvoiceProblem> {
        let started = Instant::now();
        let recorded = self.recorded_transfer(link)?;
        self.tell(Step::AskingCanister(link.canister()));
        let look = match (self.look(link).await, &recorded) {
            // The money may have been sent before.
            (Err(InvoiceProblem::Silent { problem, .. }), Some(_)) => {
                return Err(InvoiceProblem::Unsettled(problem));
            }
            (Err(problem), Some(recorded)) => {
                return Err(self.forgotten(link, recorded, problem).await);
            }
            (Err(problem), None) => return Err(problem),
            (Ok(look), _) => look,
        };
        let recorded = match standing(&look.invoice.status) {
            Standing::Paid(block) => return Ok(self.paid_invoice(link, look.invoice, block)),
            Standing::Ended => return Err(self.ended_invoice(link, &look, recorded).await),
            Standing::Collecting => recorded,
            Standing::Open => {
                let recorded = match recorded {
                    Some(recorded) => Some(recorded),
                    None => self.new_transfer(link, &look).await?,
                };
                let missing = amount(&look.invoice.balance) < amount(&look.invoice.amount);
                if let (Some(recorded), true) = (&recorded, missing) {
                    self.send_transfer(link, recorded, &look).await?;
                }
                recorded
            }
        };
        for attempt in 1.. {
            self.tell(Step::AwaitingInvoice(attempt));
            let reason = match self.look(link).await {
                Ok(look) => match standing(&look.invoice.status) {
                    Standing::Paid(block) => {
                        return Ok(self.paid_invoice(link, look.invoice, block));
                    }
                    Standing::Ended => return Err(self.ended_invoice(link, &look, recorded).await),
                    Standing::Collecting => "the canister is transferring the money".into(),
                    Standing::Open => format!(
                        "the canister has seen {} of {} units",
                        amount(&look.invoice.balance),
                        amount(&look.invoice.amount)
                    ),
                },
                Err(InvoiceProblem::Silent { problem, .. }) => problem,
                Err(InvoiceProblem::Refused {
                    problem:
                        problem @ (InvoiceError::InProgress | InvoiceError::TooManyRequests { .. }),
                    canister,
                }) => InvoiceProblem::Refused { problem, canister }.to_string(),
                Err(problem) => return Err(InvoiceProblem::Unsettled(problem.to_string())),
            };
            self.pause(started, LOOKS, &reason)
                .await
                .map_err(InvoiceProblem::Unsettled)?;
        }
        unreachable!("BUG: the attempts never end")
    }

    /// The transfer that is recorded for the invoice, if this payer may send it.
    fn recorded_transfer(&self, link: &InvoiceLink) -> Result<Option<Recorded>, InvoiceProblem> {
        let account = link.account();
        let all = self.journal.invoices().map_err(PayError::from)?;
        let Some((payment, path)) = all
            .into_iter()
            .find(|(payment, _)| payment.account() == Some(account))
        else {
            return Ok(None);
        };
        let transfer = payment
            .read()
            .map_err(|what| InvoiceProblem::OtherPayer(format!("cannot be read: its {what}")))?;
        if payment.network != self.network.id() {
            let other = format!("is on {}", payment.network);
            return Err(InvoiceProblem::OtherPayer(other));
        }
        if transfer.from.owner != self.identity.principal() {
            let other = format!("is from {}", transfer.from);
            return Err(InvoiceProblem::OtherPayer(other));
        }
        self.tell(Step::InvoiceRecorded { path, again: true });
        Ok(Some(Recorded {
            transfer,
            earlier: true,
        }))
    }

    async fn look(&self, link: &InvoiceLink) -> Result<Look, InvoiceProblem> {
        let canister = link.canister();
        let asked = self.rail().invoice(canister, *link.id()).await;
        let (reply, at) = asked.map_err(|problem| InvoiceProblem::Silent { canister, problem })?;
        let invoice = reply.map_err(|problem| InvoiceProblem::Refused { canister, problem })?;
        link.check(&invoice)?;
        let arrived = Instant::now();
        Ok(Look {
            invoice,
            at,
            arrived,
        })
    }

    /// Records a transfer of what is missing; `None` if nothing is.
    async fn new_transfer(
        &self,
        link: &InvoiceLink,
        look: &Look,
    ) -> Result<Option<Recorded>, InvoiceProblem> {
        let invoice = &look.invoice;
        // A canister could say that it is paid, or that the money went back, and then that it is open again.
        let account = link.account();
        if self.journal.was_sent_to(&account).map_err(PayError::from)? {
            return Err(InvoiceProblem::SentBefore);
        }
        let (ledger, whole) = (invoice.ledger, amount(&invoice.amount));
        let limit = self.controls.max(ledger);
        if limit.is_none_or(|limit| whole > limit) {
            return Err(InvoiceProblem::OverLimit {
                ledger,
                amount: whole,
                limit,
            });
        }
        // Several transfers are added up.
        let missing = Amount(whole.0.saturating_sub(amount(&invoice.balance).0));
        if missing.0 == 0 {
            return Ok(None);
        }
        let fee = self.rail().fee(ledger).await.map_err(PayError::from)?;
        if look.now().saturating_add(MIN_LEFT) > invoice.expires_at {
            return Err(InvoiceProblem::Expired {
                at: invoice.expires_at,
            });
        }
        let network = self.network.id();
        let payment = InvoicePayment::new(
            link,
            network,
            ledger,
            self.account,
            (missing, fee),
            look.now(),
        );
        let path = self
            .journal
            .record_invoice(&payment)
            .map_err(PayError::from)?;
        self.tell(Step::InvoiceRecorded { path, again: false });
        let transfer = payment
            .read()
            .expect("BUG: a record that was just made cannot be read");
        Ok(Some(Recorded {
            transfer,
            earlier: false,
        }))
    }

    /// Sends the transfer until its block is known.
    async fn send_transfer(
        &self,
        link: &InvoiceLink,
        recorded: &Recorded,
        look: &Look,
    ) -> Result<(), InvoiceProblem> {
        let (transfer, started) = (&recorded.transfer, Instant::now());
        if transfer.ledger != look.invoice.ledger {
            let reason = format!("its canister names ledger {} now", look.invoice.ledger);
            return Err(InvoiceProblem::Unsettled(reason));
        }
        let argument = transfer.argument();
        let until = transfer.repeated_until().min(look.invoice.expires_at);
        let mut may_have_arrived = recorded.earlier;
        for attempt in 1.. {
            if look.now() >= until {
                return self
                    .sought_transfer(link, transfer, "it is too late to send it")
                    .await;
            }
            self.tell(Step::Transferring {
                ledger: transfer.ledger,
                to: argument.to,
                amount: transfer.amount,
                attempt,
            });
            let sent = self.rail().transfer(transfer.ledger, &argument).await;
            let reason = match sent {
                Ok(Ok(block)) => {
                    self.made(transfer.ledger, block);
                    return Ok(());
                }
                Ok(Err(TransferError::TemporarilyUnavailable)) => {
                    "the ledger is temporarily unavailable".into()
                }
                // The first answer of all says what happened; a later one may be about the repetition alone.
                Ok(Err(problem)) if !may_have_arrived => {
                    return Err(self.not_transferred(link, transfer, problem));
                }
                Ok(Err(problem)) => {
                    return self
                        .sought_transfer(link, transfer, &problem.to_string())
                        .await;
                }
                Err(problem) => {
                    may_have_arrived = true;
                    problem.to_string()
                }
            };
            if let Err(reason) = self
                .pause(started, 1 << (attempt - 1).min(4), &reason)
                .await
            {
                return Err(match may_have_arrived {
                    true => InvoiceProblem::Unsettled(reason),
                    false => {
                        let problem = TransferError::TemporarilyUnavailable;
                        self.not_transferred(link, transfer, problem)
                    }
                });
            }
        }
        unreachable!("BUG: the attempts never end")
    }

    fn made(&self, ledger: Principal, block: u64) {
        self.tell(Step::Transferred {
            ledger,
            block,
            problem: None,
        });
    }

    /// Waits so many times the first pause, within the patience; returns the reason if that is over.
    async fn pause(&self, started: Instant, times: u32, reason: &str) -> Result<(), String> {
        let pause: Duration = self.limits.first_pause.saturating_mul(times);
        if started.elapsed().saturating_add(pause) > self.patience {
            return Err(reason.into());
        }
        self.tell(Step::Waiting(pause, plain_text(reason)));
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Ends the record of a transfer that the ledger did not make.
    fn not_transferred(
        &self,
        link: &InvoiceLink,
        transfer: &Transfer,
        problem: TransferError,
    ) -> InvoiceProblem {
        self.end_invoice(link, false);
        let ledger = transfer.ledger;
        InvoiceProblem::Pay(match problem {
            TransferError::InsufficientFunds { balance } => PayError::InsufficientFunds {
                asset: ledger,
                needed: Amount(transfer.amount.0.saturating_add(transfer.fee.0)),
                balance: amount(&balance),
            },
            problem => PayError::Ledger(LedgerError::Transfer { ledger, problem }),
        })
    }

    /// Ends the record. A remaining one is found to be over the next time. `moved`: the money may have moved, so that no
    /// other transfer is made for the invoice.
    fn end_invoice(&self, link: &InvoiceLink, moved: bool) {
        if let Err(problem) = self.journal.release_invoice(&link.account(), moved) {
            self.tell(Step::Confirming(problem.to_string()));
        }
    }

    fn paid_invoice(&self, link: &InvoiceLink, invoice: Invoice, block: Nat) -> (Invoice, Nat) {
        self.end_invoice(link, true);
        (invoice, block)
    }

    /// Goes on if the log shows the transfer.
    async fn sought_transfer(
        &self,
        link: &InvoiceLink,
        transfer: &Transfer,
        reason: &str,
    ) -> Result<(), InvoiceProblem> {
        match self.seek_transfer(transfer, reason).await {
            Sought::Block(block) => {
                self.made(transfer.ledger, block);
                Ok(())
            }
            Sought::Never => {
                let problem = TransferError::TooOld;
                Err(self.not_transferred(link, transfer, problem))
            }
            Sought::Unknown(problem) => {
                Err(InvoiceProblem::Unsettled(format!("{reason}; {problem}")))
            }
        }
    }
}

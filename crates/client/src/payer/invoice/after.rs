//! What became of the transfer that pays an invoice, and what the invoice bought.

use super::{Look, Recorded};
use crate::{
    http::{HttpError, Request, Response},
    invoice::{InvoiceLink, InvoiceProblem, Sent, Transfer},
    ledger::Found,
    payer::Payer,
    plain_text::plain_text,
    step::Step,
};
use candid::{Nat, Principal};
use std::time::Instant;

/// What the ledger's log shows of a transfer.
pub enum Sought {
    Block(u64),
    /// It was not made, and cannot be made any more.
    Never,
    Unknown(String),
}

impl Payer {
    /// Looks for the transfer in the ledger's log. Sends nothing.
    pub(super) async fn seek_transfer(&self, transfer: &Transfer, reason: &str) -> Sought {
        self.tell(Step::Seeking(plain_text(reason)));
        let ledger = transfer.ledger;
        match self.rail().find(ledger, &transfer.wanted()).await {
            Found::Block(block) => Sought::Block(block),
            Found::Missing { as_of } if as_of >= transfer.impossible_from() => Sought::Never,
            Found::Missing { .. } => Sought::Unknown(format!(
                "ledger {ledger} has not made the transfer by now, and can make it until its 24 hours are over"
            )),
            Found::Unknown(problem) => Sought::Unknown(problem),
        }
    }

    /// An invoice that bought nothing. The record of a transfer that may have been made stays until the money is back.
    pub(super) async fn ended_invoice(
        &self,
        link: &InvoiceLink,
        look: &Look,
        recorded: Option<Recorded>,
    ) -> InvoiceProblem {
        let invoice = &look.invoice;
        let sent = match recorded {
            None => Sent::Nothing,
            Some(Recorded { transfer, .. }) => {
                match self.seek_transfer(&transfer, "the invoice has ended").await {
                    Sought::Block(block) => {
                        let known = invoice.returned.as_ref();
                        if let Some(made) = known.and_then(|known| known.made.as_ref())
                            && invoice.ledger == transfer.ledger
                            && self
                                .gave_back(link, &transfer, block, &made.block_index)
                                .await
                        {
                            self.end_invoice(link, true);
                        }
                        Sent::Block(block)
                    }
                    Sought::Never => {
                        self.end_invoice(link, false);
                        Sent::Nothing
                    }
                    Sought::Unknown(reason) => Sent::Unknown(reason),
                }
            }
        };
        let named = invoice.returned.as_ref().map(|known| known.to);
        InvoiceProblem::Ended {
            status: invoice.status.as_str(),
            sent,
            to: named.or(invoice.refund_to),
        }
    }

    /// What is known of a recorded transfer when the canister does not show the invoice.
    pub(super) async fn forgotten(
        &self,
        link: &InvoiceLink,
        recorded: &Recorded,
        problem: InvoiceProblem,
    ) -> InvoiceProblem {
        let reason = problem.to_string();
        match self.seek_transfer(&recorded.transfer, &reason).await {
            Sought::Block(block) => InvoiceProblem::Unsettled(format!(
                "{reason}; the transfer is in block {block}: what it bought may be at the URL with /content, and \
                 returning the invoice gives back what is left in the account"
            )),
            Sought::Never => {
                self.end_invoice(link, false);
                problem
            }
            Sought::Unknown(other) => InvoiceProblem::Unsettled(format!("{reason}; {other}")),
        }
    }

    /// The ledger of the transfer that is recorded for an invoice.
    pub(crate) fn paid_in(&self, link: &InvoiceLink) -> Option<Principal> {
        let recorded = self.recorded_transfer(link).ok().flatten()?;
        Some(recorded.transfer.ledger)
    }

    /// Ends the record of a transfer that was made before this block of the same ledger gave everything back, or can
    /// not be made any more.
    pub(crate) async fn went_back(&self, link: &InvoiceLink, ledger: Principal, block: &Nat) {
        let Ok(Some(Recorded { transfer, .. })) = self.recorded_transfer(link) else {
            return;
        };
        if transfer.ledger != ledger {
            return;
        }
        match self.seek_transfer(&transfer, "the money went back").await {
            Sought::Block(made) if self.gave_back(link, &transfer, made, block).await => {
                self.end_invoice(link, true);
            }
            Sought::Never => self.end_invoice(link, false),
            Sought::Block(_) | Sought::Unknown(_) => {}
        }
    }

    /// Whether `back` is a transfer out of the invoice's account, later than the one in block `made`. The canister's
    /// word alone does not end a record.
    async fn gave_back(&self, link: &InvoiceLink, sent: &Transfer, made: u64, back: &Nat) -> bool {
        let Ok(back) = u64::try_from(&back.0) else {
            return false;
        };
        let found = self.rail().block(sent.ledger, back).await;
        back > made && found.is_ok_and(|block| block.from.is(&link.account()))
    }

    /// Fetches what a paid invoice bought.
    pub(super) async fn fetch_invoice(
        &self,
        link: &InvoiceLink,
        block: &Nat,
    ) -> Result<Response, InvoiceProblem> {
        let missing = |problem: String| InvoiceProblem::NotDelivered {
            block: block.0.to_string(),
            problem,
        };
        let url = link.content_url();
        let url = url.ok_or_else(|| missing("the URL of the invoice is not known".into()))?;
        let request = Request::get(&url).map_err(|e| missing(e.to_string()))?;
        let started = Instant::now();
        for attempt in 1.. {
            self.tell(Step::Paying(attempt));
            let reason = match self.http.ask(&request).await {
                Ok(asked) => match (asked.answer.cut, asked.elsewhere) {
                    (_, Some(problem)) => return Err(missing(problem)),
                    (Some(problem @ HttpError::TooLong { .. }), _) => {
                        return Err(missing(problem.to_string()));
                    }
                    (Some(problem), _) => problem.to_string(),
                    (None, None) => {
                        let response = asked.answer.response;
                        match response.status {
                            200..=299 => return Ok(response),
                            402 | 409 | 429 | 500.. => format!("HTTP {}", response.status),
                            status => return Err(missing(format!("HTTP {status}"))),
                        }
                    }
                },
                Err(problem @ (HttpError::NotSent(_) | HttpError::NoAnswer(_))) => {
                    problem.to_string()
                }
                Err(problem) => return Err(missing(problem.to_string())),
            };
            self.pause(started, 1 << (attempt - 1).min(4), &reason)
                .await
                .map_err(missing)?;
        }
        unreachable!("BUG: the attempts never end")
    }
}

//! Money in the account of an invoice that bought nothing is given back.

use super::{
    InvoiceError,
    advance::{POLL, can_give, can_read, follow},
};
use crate::{
    domain::{
        invoice::{InvoiceId, MAX_ATTEMPTS, MAX_INVOICES, Made, Return, Stage, Step},
        lookups,
        outgoing::{Outgoing, TransferTerms},
        settlement::Claimant,
        validate::InvalidArgument,
        window::FORGOTTEN,
    },
    runtime::Runtime,
    service::{
        fees,
        payout::{self, Payout, PayoutRecord, Sent},
        schedule,
    },
    storage::{
        self,
        invoices::{self, Busy},
        payments::backoff,
    },
    types::{Account, Amount, BlockIndex, Seconds, TimestampNs, canonical},
};
use candid::Principal;

/// What was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned {
    pub to: Account,
    pub amount: Amount,
    pub block: BlockIndex,
}

/// A return whose payment is not decided is tried again after this.
const LATER: Seconds = Seconds(600);

/// Gives back what is in the account of an invoice that has ended, or that is not known, in this ledger. For whoever
/// knows the id. `to`: needed unless an account was named before.
pub async fn give_back<R: Runtime>(
    runtime: &R,
    id: &InvoiceId,
    ledger: Principal,
    to: Option<Account>,
) -> Result<Returned, InvoiceError> {
    if storage::ledgers::get(&ledger).is_none() {
        return Err(InvoiceError::UnknownLedger);
    }
    let to = to.map(canonical);
    let of_invoice = follow(runtime, id).and_then(|invoice| invoice.refund_to);
    let named = of_invoice.or_else(|| invoices::returned(id, &ledger).map(|known| known.to));
    let to = match (named, to) {
        (Some(account), Some(to)) if canonical(account) != to => {
            return Err(InvoiceError::OtherAccount { account });
        }
        (Some(account), _) => account,
        (None, Some(to)) => to,
        (None, None) => {
            let problem = "is missing, and no account was named before";
            return Err(InvalidArgument::new("to", problem).into());
        }
    };
    let returned = run(runtime, id, ledger, Some(to)).await;
    schedule::arm(runtime);
    returned
}

/// Does what is due for a return.
pub async fn step<R: Runtime>(runtime: &R, id: &InvoiceId, ledger: Principal) {
    // The stored state says what became of it.
    let _ = run(runtime, id, ledger, None).await;
}

/// `asker`: the account, if somebody asks for it; else the timer does.
async fn run<R: Runtime>(
    runtime: &R,
    id: &InvoiceId,
    ledger: Principal,
    asker: Option<Account>,
) -> Result<Returned, InvoiceError> {
    let now = runtime.now();
    let Some(mut busy) = Busy::begin(*id) else {
        if let Some(mut known) = invoices::returned(id, &ledger).filter(|_| asker.is_none()) {
            known.due = known.due.map(|_| now.plus(POLL));
            invoices::put_return(id, &ledger, &known);
        }
        return Err(InvoiceError::InProgress);
    };
    let known = invoices::returned(id, &ledger);
    let mut known = match (known, asker) {
        (Some(known), _) => known,
        (None, Some(to)) => Return::new(to, now),
        (None, None) => return Err(InvoiceError::UnknownInvoice),
    };
    let postpone = |known: &mut Return, until: TimestampNs| {
        if known.due.is_some_and(|due| due <= now) && asker.is_none() {
            known.due = Some(until);
            invoices::put_return(id, &ledger, known);
        }
    };
    if let Err(not_ended) = may_return(runtime, id, &ledger) {
        postpone(&mut known, now.plus(LATER));
        return Err(not_ended);
    }
    let step = known.step(now);
    if let Step::Wait(until) = step {
        postpone(&mut known, until);
        return Err(InvoiceError::InProgress);
    }
    let can_call = match asker {
        Some(_) => can_read(runtime, &ledger),
        None => can_give(runtime, &ledger),
    };
    if !can_call {
        postpone(&mut known, now.plus(LATER));
        let problem = "the ledger cannot be called at present".into();
        return Err(InvoiceError::LedgerUnavailable { problem });
    }
    if asker.is_some() && !busy.take_place(ledger, now) {
        let limit = lookups::BURST;
        return Err(InvoiceError::TooManyRequests { limit });
    }
    postpone(&mut known, now.plus(POLL));
    let (terms, fresh) = match step {
        Step::Again(terms) => (terms, false),
        _ => {
            // Before the invoice was made, another account may have been named.
            if let Some(to) = invoices::get(id).and_then(|invoice| invoice.refund_to) {
                known.to = canonical(to);
            }
            let account = id.account(runtime.canister_id());
            let balance = payout::balance(runtime, ledger, &account).await;
            let terms = fresh_terms(runtime, id, ledger, &mut known, balance)?;
            (terms, true)
        }
    };
    let sent = send(runtime, id, ledger, known, terms, fresh).await;
    if sent.is_ok() {
        busy.give_back();
    }
    sent
}

/// The terms of a new transfer for this balance; `known` has its amount, then.
fn fresh_terms<R: Runtime>(
    runtime: &R,
    id: &InvoiceId,
    ledger: Principal,
    known: &mut Return,
    balance: Option<Amount>,
) -> Result<TransferTerms, InvoiceError> {
    let now = runtime.now();
    let stored = invoices::returned(id, &ledger).is_some();
    // An invoice with this id may have been made meanwhile.
    let ended = may_return(runtime, id, &ledger);
    let result = match (ended, balance) {
        (Err(not_ended), _) => Err(not_ended),
        (Ok(()), None) => Err(InvoiceError::LedgerUnavailable {
            problem: "the ledger did not return the balance".into(),
        }),
        (Ok(()), Some(balance)) => {
            note_balance(id, &ledger, balance);
            let fee = payout::fee(&ledger);
            match balance.0.checked_sub(fee.0).filter(|amount| *amount > 0) {
                Some(amount) => Ok((Amount(amount), fee)),
                None => Err(InvoiceError::NothingToReturn { balance, fee }),
            }
        }
    };
    match result {
        Ok((amount, fee)) => {
            known.amount = amount;
            known.number = storage::counters::next_return();
            known.due = Some(now.plus(POLL));
            known.outgoing = Outgoing::default();
            // The row has to be there before the ledger is called.
            if !invoices::put_return(id, &ledger, known) {
                let limit = MAX_INVOICES;
                return Err(InvoiceError::TooManyInvoices { limit });
            }
            let created_at = now;
            Ok(TransferTerms { created_at, fee })
        }
        Err(error) => {
            if stored {
                match error {
                    InvoiceError::NothingToReturn { .. } => {
                        known.outgoing = Outgoing::default();
                        (known.due, known.failures) = (None, 0);
                    }
                    _ => known.failed(now, backoff(known.failures.saturating_add(1))),
                }
                invoices::put_return(id, &ledger, known);
            }
            Err(error)
        }
    }
}

/// Sends a transfer whose row is stored, and records what its end proves.
async fn send<R: Runtime>(
    runtime: &R,
    id: &InvoiceId,
    ledger: Principal,
    known: Return,
    terms: TransferTerms,
    fresh: bool,
) -> Result<Returned, InvoiceError> {
    let canister = runtime.canister_id();
    let payout = Payout {
        ledger,
        from: id.account(canister),
        to: known.to,
        amount: known.amount,
        memo: &id.return_memo(&canister),
        claimant: Claimant::Return(known.number),
    };
    let record = ReturnRecord {
        runtime,
        id,
        ledger,
        sent: &known,
    };
    let sent = payout::send(runtime, &payout, &record, known.outgoing, terms, fresh).await;
    let result = match sent {
        Sent::Moved(block) => Ok(Returned {
            to: known.to,
            amount: known.amount,
            block,
        }),
        Sent::NotMoved {
            failure,
            in_doubt: false,
        } => Err(InvoiceError::LedgerUnavailable {
            problem: failure.message,
        }),
        Sent::NotMoved { .. } | Sent::Unclear | Sent::Overtaken => Err(InvoiceError::Unknown),
    };
    match &result {
        Ok(_) => note_balance(id, &ledger, Amount(0)),
        Err(_) => {
            if let Some(mut known) = invoices::returned(id, &ledger) {
                let now = runtime.now();
                known.failed(now, backoff(known.failures.saturating_add(1)));
                invoices::put_return(id, &ledger, &known);
            }
        }
    }
    fees::renew(runtime, &ledger).await;
    result
}

/// The row of a return.
struct ReturnRecord<'a, R: Runtime> {
    runtime: &'a R,
    id: &'a InvoiceId,
    ledger: Principal,
    /// The return at the time of the call.
    sent: &'a Return,
}

impl<R: Runtime> PayoutRecord for ReturnRecord<'_, R> {
    fn load(&self) -> Option<Outgoing> {
        let known = invoices::returned(self.id, &self.ledger)?;
        // Another transfer has begun since.
        (known.number == self.sent.number).then_some(known.outgoing)
    }

    fn store(&self, outgoing: &Outgoing, made: Option<BlockIndex>) {
        let known = invoices::returned(self.id, &self.ledger);
        let mut row = known.unwrap_or_else(|| self.sent.clone());
        row.outgoing = *outgoing;
        if let Some(block) = made {
            row.outgoing = Outgoing::default();
            (row.due, row.failures) = (None, 0);
            row.made = Some(Made {
                block,
                amount: self.sent.amount,
                at: self.runtime.now(),
            });
        }
        invoices::put_return(self.id, &self.ledger, &row);
    }
}

/// Records what is in the account, if the invoice is of this ledger and kept.
fn note_balance(id: &InvoiceId, ledger: &Principal, balance: Amount) {
    if let Some(mut invoice) = invoices::get(id).filter(|known| known.ledger == *ledger) {
        invoice.balance = balance;
        invoices::put(id, &invoice);
    }
}

/// Whether all that is in the account in this ledger is to be given back: nothing will be bought with it any more, and
/// the ledger makes no transfer to the merchant.
fn may_return<R: Runtime>(
    runtime: &R,
    id: &InvoiceId,
    ledger: &Principal,
) -> Result<(), InvoiceError> {
    let now = runtime.now();
    let invoice = follow(runtime, id);
    if invoice
        .as_ref()
        .is_some_and(|known| known.ledger != *ledger)
    {
        // Tokens of another ledger.
        return Ok(());
    }
    let under_way = |key| {
        let (payment, _) = storage::payments::opened(&key)?;
        let ends = payment.created_at.plus(FORGOTTEN);
        (payment.ledger == *ledger && now <= ends).then_some(ends)
    };
    let attempts = invoice
        .as_ref()
        .map_or(MAX_ATTEMPTS, |known| known.attempts);
    let mut keys = id.claim_keys().take(attempts.into());
    match (&invoice, keys.find_map(under_way)) {
        (Some(known), None) if known.stage == Stage::Open => Err(InvoiceError::NotEnded {
            expires_at: known.expires_at(),
        }),
        (_, Some(expires_at)) => Err(InvoiceError::NotEnded { expires_at }),
        (_, None) => Ok(()),
    }
}

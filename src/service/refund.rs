//! Refunds: money that was paid and bought nothing goes back, once.
//!
//! Without a controller the canister refunds only what went to an account of its own, or to the `pay_to` of its
//! settings ([`due`]). Other recipients hold the money themselves. There a controller has to agree ([`owe`]), and no
//! money is owed until then; the resource is still owed.
//!
//! What is owed and the state of each refund are in `storage::liabilities`; `domain::outgoing` decides which transfer
//! may be made next. A try is recorded before the await, with its fee and `created_at_time`. A trap or an upgrade in
//! between leaves it in doubt, and the next try is the same transfer again. The only lock is the longest time that a
//! try takes.

use crate::{
    domain::{
        block_log::Transfer,
        liability::{is_paid_in, paying_account, refunds_automatically},
        outgoing::{LOCK, Outgoing, Step, TransferTerms, refund_memo},
        payment::{Event, FailureKind, Payment, RefundCause, RefundProblem, State},
        rail::{Rail, TxRef},
        roles::Unauthorized,
        settlement::Claimant,
    },
    runtime::Runtime,
    service::{
        fees,
        log_search::{self, End, READING, Search},
        payout::{self, Payout, PayoutRecord, Sent},
        role, schedule,
    },
    storage::{
        self, liabilities,
        payments::Change,
        recovery::{Progress, RefundProgress},
    },
    types::{Account, BlockIndex, ClaimKey, PaymentId, Seconds},
};

/// A search that had to stop continues after this.
const TURN: Seconds = Seconds(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefundError {
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    #[error("no payment has this id")]
    UnknownPayment,
    /// Nothing was paid, or it was delivered, or a refund is owed already.
    #[error("the payment is not one that is settled and not delivered")]
    NotRefundable,
}

/// The event for a settled payment that is to be refunded for this cause, unless a controller decides.
pub fn due<R: Runtime>(runtime: &R, payment: &Payment, cause: RefundCause) -> Event {
    let chosen = match payment.rail {
        // The payer chose the amount of a transfer of its own.
        Rail::Icrc1 => true,
        // Nothing is delivered when an invoice is paid: its payer can stay away on purpose.
        Rail::Invoice => cause == RefundCause::NotFetched,
        Rail::Icrc2 => false,
    };
    if chosen {
        return due_if_here(runtime, payment, cause);
    }
    let pay_to = storage::config::read().pay_to;
    let approved = refunds_automatically(&payment.to, &runtime.canister_id(), &pay_to);
    Event::RefundDue { cause, approved }
}

/// As [`due`], for a cause that payers can bring about on purpose: without a controller only money that is here goes
/// back. Else they could move the treasury to `pay_to`.
pub fn due_if_here<R: Runtime>(runtime: &R, payment: &Payment, cause: RefundCause) -> Event {
    let approved = is_paid_in(&payment.to, &runtime.canister_id());
    Event::RefundDue { cause, approved }
}

/// Makes the canister owe the refund of a settled payment that was not delivered, or agrees to a refund that waits for
/// a controller. For controllers.
pub fn owe<R: Runtime>(runtime: &R, id: &PaymentId) -> Result<Payment, RefundError> {
    let caller = runtime.caller();
    role(runtime, &caller).may_administer()?;
    let key = storage::payments::key_of(id).ok_or(RefundError::UnknownPayment)?;
    let due = Event::RefundDue {
        cause: RefundCause::Merchant,
        approved: true,
    };
    let agreed = |event| storage::payments::record(&key, Change::Event(event), runtime.now());
    let payment = agreed(due)
        .or_else(|_| agreed(Event::RefundApproved))
        .map_err(|_| RefundError::NotRefundable)?;
    storage::audit::admin(caller, "refund_payment", &id.to_string(), runtime.now());
    schedule::arm(runtime);
    Ok(payment)
}

/// Records that the merchant pays the payer back without the canister. For controllers. Nothing is delivered any more,
/// so that the payer cannot get both, and the refund waits for the controller's next decision: the block
/// (`recover::resolve`), or that the canister pays after all ([`owe`]). A second call changes nothing.
pub fn leave_to_merchant<R: Runtime>(runtime: &R, id: &PaymentId) -> Result<Payment, RefundError> {
    let caller = runtime.caller();
    role(runtime, &caller).may_administer()?;
    let key = storage::payments::key_of(id).ok_or(RefundError::UnknownPayment)?;
    let payment = storage::payments::by_key(&key).ok_or(RefundError::UnknownPayment)?;
    if let State::Refunding {
        problem: RefundProblem::MerchantPays,
        ..
    } = payment.state
    {
        return Ok(payment);
    }
    // The canister has that money, and refunds it itself.
    if payment.to.owner == runtime.canister_id() {
        return Err(RefundError::NotRefundable);
    }
    let change = Change::Event(Event::RefundLeftToMerchant);
    let payment = storage::payments::record(&key, change, runtime.now())
        .map_err(|_| RefundError::NotRefundable)?;
    storage::audit::admin(caller, "refund_by_merchant", &id.to_string(), runtime.now());
    schedule::arm(runtime);
    Ok(payment)
}

/// Takes the next step of this refund, due or not, and schedules the one after it.
pub async fn step<R: Runtime>(runtime: &R, key: &ClaimKey) {
    let now = runtime.now();
    let Some((payment, refund)) = owed(key) else {
        // The refund was made meanwhile, or its row cannot be read.
        storage::payments::postpone(key, now.plus(Seconds::DAY));
        return;
    };
    let Some(ledger) = storage::ledgers::get(&payment.ledger) else {
        return;
    };
    let terms = TransferTerms {
        created_at: now,
        fee: ledger.fee,
    };
    match refund.step(terms, now) {
        Step::Wait(until) => storage::payments::postpone(key, until),
        // Nothing is recorded for a call that cannot be made.
        _ if !payout::can_send(runtime, &payment.ledger) => {
            storage::payments::postpone(key, now.plus(TURN));
        }
        Step::Send { terms, fresh } => send(runtime, key, &payment, refund, terms, fresh).await,
        Step::LookUp(terms) => look_up(runtime, key, &payment, refund, terms).await,
    }
}

fn owed(key: &ClaimKey) -> Option<(Payment, Outgoing)> {
    let payment = storage::payments::by_key(key)?;
    let refunding = matches!(payment.state, State::Refunding { .. });
    Some((payment, liabilities::refund(key)?)).filter(|_| refunding)
}

fn source<R: Runtime>(runtime: &R, payment: &Payment) -> Account {
    paying_account(&payment.to, &runtime.canister_id())
}

async fn send<R: Runtime>(
    runtime: &R,
    key: &ClaimKey,
    payment: &Payment,
    mut refund: Outgoing,
    terms: TransferTerms,
    fresh: bool,
) {
    let tried = Change::Event(Event::RefundTried);
    if storage::payments::record(key, tried, runtime.now()).is_err() {
        return;
    }
    if fresh {
        // This keeps other messages out. Nothing is in doubt yet.
        refund.tries = refund.tries.saturating_add(1);
        refund.busy_until = runtime.now().plus(LOCK);
        liabilities::put_refund(key, payment, &refund);
        let covered = payout::covers_refund(runtime, payment, terms.fee).await;
        if owed(key).map(|(_, known)| known) != Some(refund) {
            return;
        }
        // Other messages may have spent the cycles meanwhile.
        let covered = covered.filter(|_| payout::can_send(runtime, &payment.ledger));
        if covered != Some(true) {
            refund.busy_until = runtime.now();
            liabilities::put_refund(key, payment, &refund);
            let problem = match covered {
                Some(_) => RefundProblem::InsufficientFunds,
                None => RefundProblem::Unclear,
            };
            let failed = Change::Event(Event::RefundFailed(problem));
            // Fails only if the payment is refunded already.
            let _ = storage::payments::record(key, failed, runtime.now());
            return;
        }
        refund.cursor = block_before(payment).map_or(0, |block| block.0.saturating_add(1));
    }
    let Some(index) = storage::payments::settled_index(key) else {
        return;
    };
    let payout = Payout {
        ledger: payment.ledger,
        from: source(runtime, payment),
        to: payment.from,
        amount: payment.refund_amount(),
        memo: &refund_memo(&payment.id),
        claimant: Claimant::Refund(index),
    };
    let record = RefundRow { key, payment };
    let change = match payout::send(runtime, &payout, &record, refund, terms, fresh).await {
        Sent::Moved(block) => Event::RefundMoved {
            tx: TxRef::Block(block),
        },
        Sent::Overtaken => return,
        Sent::NotMoved { failure, .. } if failure.kind == FailureKind::InsufficientFunds => {
            Event::RefundFailed(RefundProblem::InsufficientFunds)
        }
        Sent::NotMoved { .. } => Event::RefundFailed(RefundProblem::Refused),
        Sent::Unclear => Event::RefundFailed(RefundProblem::Unclear),
    };
    // Fails only if the payment is refunded already.
    let _ = storage::payments::record(key, Change::Event(change), runtime.now());
    fees::renew(runtime, &payment.ledger).await;
}

/// The row of a payment's refund.
struct RefundRow<'a> {
    key: &'a ClaimKey,
    payment: &'a Payment,
}

impl PayoutRecord for RefundRow<'_> {
    fn load(&self) -> Option<Outgoing> {
        owed(self.key).map(|(_, refund)| refund)
    }

    fn store(&self, refund: &Outgoing, _: Option<BlockIndex>) {
        liabilities::put_refund(self.key, self.payment, refund);
    }
}

/// A block that existed before a refund that is begun now.
fn block_before(payment: &Payment) -> Option<BlockIndex> {
    let of_payment = payment.state.moved().map(|(TxRef::Block(block), _)| block);
    of_payment.max(storage::claims::highest_block(&payment.ledger))
}

/// Searches the ledger's block log for a transfer that can no longer be sent.
async fn look_up<R: Runtime>(
    runtime: &R,
    key: &ClaimKey,
    payment: &Payment,
    mut refund: Outgoing,
    terms: TransferTerms,
) {
    let begun = runtime.now();
    refund.begin(terms, begun);
    refund.busy_until = begun.plus(READING);
    liabilities::put_refund(key, payment, &refund);
    storage::payments::postpone(key, refund.busy_until);
    let wanted = Transfer {
        memo: refund_memo(&payment.id),
        from: source(runtime, payment),
        to: payment.from,
        spender: None,
        amount: payment.refund_amount(),
        created_at: terms.created_at,
    };
    let known = storage::recovery::refund_progress(key)
        .filter(|known| known.created_at == terms.created_at)
        .map(|known| known.progress);
    // The ledger's answer says where the log ended. The log has to confirm it.
    let hint = refund.cursor.checked_sub(1).map(BlockIndex);
    let mut search = Search::resume(known.unwrap_or_default(), hint, wanted);
    let end = log_search::read(runtime, payment.ledger, std::slice::from_mut(&mut search)).await;
    let now = runtime.now();
    let over = search.found.is_some() || search.absent_at.is_some();
    let progress = RefundProgress {
        created_at: terms.created_at,
        progress: search.progress(Progress::default()),
    };
    storage::recovery::note_refund(key, Some(progress).filter(|_| !over));
    if let Some(block) = search.found {
        if let Some(index) = storage::payments::settled_index(key) {
            storage::claims::take(&payment.ledger, block, Claimant::Refund(index), now);
        }
        let moved = Change::Event(Event::RefundMoved {
            tx: TxRef::Block(block),
        });
        // Fails only if the payment is refunded already.
        let _ = storage::payments::record(key, moved, now);
        return;
    }
    // Unless another try has begun meanwhile.
    if liabilities::refund(key) != Some(refund) {
        return;
    }
    refund.busy_until = now;
    let pause = if search.absent_at.is_some() && log_search::has_log(&payment.ledger) {
        refund.never_made(now);
        Seconds(0)
    } else if end == End::OutOfCalls {
        TURN
    } else {
        storage::payments::backoff(refund.tries.min(100) as u16)
    };
    liabilities::put_refund(key, payment, &refund);
    storage::payments::postpone(key, now.plus(pause));
}

#[cfg(test)]
mod tests;

//! Finishing what was interrupted: the one periodic job.
//!
//! [`tick`] runs when something is due for a payment, and sets the timer for the next time. While nothing is due, there
//! is no timer. An unknown payment is handled in this order:
//! 1. While the authorization is valid, and the ledger recognises duplicates, the same transfer is sent again, with the
//!    same memo and time. The ledger answers `Ok` or `Duplicate`, and the payment is settled. A refusal proves nothing.
//! 2. After that no transfer is sent. The ledger's block log is read ([`log_search`]). If it holds the transfer, the
//!    payment is settled.
//! 3. If the complete log lacks the transfer at a time when the ledger can no longer make it, the payment has failed. A
//!    log that ends before a block which the ledger named is not complete.
//! 4. If no try can have moved money (every try was refused, or ended by an error of the ledger's own), or a repetition
//!    was refused because the payer had no funds, nothing is held for the payment from the end of the window on. Where
//!    the ledger has a log, three readings of it must have given no result before, and no block of it may be the
//!    transfer. If no log decides, a controller may ([`resolve`]).
//!
//! A tick does a bounded number of things, at most one at a time for each payment (the state of the payment is the
//! lock), and all of them concurrently: a ledger that does not answer delays no other ledger. Between tries there are
//! pauses that grow to an hour. Work in progress is finished below the floor of cycles, too. A call that cannot be paid
//! for is postponed and leaves no record.

mod join;
pub mod resolve;

use crate::{
    domain::{
        block_log::{LogKind, MAX_ARGUMENT_BYTES, Transfer},
        capacity::{DOUBT_PAUSE, MAX_DOUBTS},
        invoice::InvoiceId,
        payment::{Doubt, Event, Failure, FailureKind, Payment, State, message},
        rail::{Rail, TxRef},
        roles::Unauthorized,
        window::FORGOTTEN,
    },
    runtime::Runtime,
    service::{
        invoice,
        log_search::{self, End, Search, has_log, log_of},
        notify, pay, refund, retention, role,
        schedule::{SHARED, arm},
    },
    storage::{
        self,
        payments::{Change, Lane, Opening, backoff},
        recovery::{Progress, Reading},
    },
    types::{Account, ClaimKey, PaymentId, Seconds, TimestampNs},
};
use candid::Principal;
use std::collections::{BTreeMap, BTreeSet};

/// The most open payments that one tick handles.
const MAX_PER_TICK: usize = 64;
/// The most works of forward targets that one tick handles.
const MAX_WORKS: usize = 16;
/// The most transfers of one ledger that one tick sends again.
const MAX_RETRIES_PER_LEDGER: usize = 16;
/// The most searches that share one reading of a log.
const MAX_SEARCHES: usize = 500;
/// A payment lapses after so many readings without a result that began after the ledger could no longer make the
/// transfer.
const READINGS: u16 = 3;
/// The most invoices, and the most returns of their money, that one tick handles: each call holds cycles back that
/// payments need.
const MAX_INVOICES: usize = 8;
/// Work that exceeded a bound of the tick is due again after this.
const TURN: Seconds = Seconds(5);
/// Does what is due.
pub async fn tick<R: Runtime>(runtime: &R) {
    let work = gather(runtime);
    let tasks = work.into_iter().map(|work| perform(runtime, work));
    // The timer is set before the first await ends, so that no later failure can stop it.
    join::all(tasks, || arm(runtime)).await;
    arm(runtime);
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecheckError {
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    #[error("there is no payment with this id")]
    UnknownPayment,
}

/// Does now what the next tick would do for this payment, and returns the payment afterwards. No outcome is decided
/// that the ledger does not prove, but the payment may lapse.
pub async fn recheck<R: Runtime>(runtime: &R, id: &PaymentId) -> Result<Payment, RecheckError> {
    role(runtime, &runtime.caller()).may_operate()?;
    let known = || storage::payments::by_id(id).ok_or(RecheckError::UnknownPayment);
    known()?;
    if let Some(key) = storage::payments::open_key(id) {
        for _ in 0..2 {
            // A payment whose reply can no longer arrive becomes unknown in the first round, and the ledger is called
            // in the second.
            if let Some(work) = plan(runtime, &key) {
                perform(runtime, work).await;
                break;
            }
        }
    } else if let Some(key) = storage::payments::key_of(id) {
        pay::work::step(runtime, &key).await;
        refund::step(runtime, &key).await;
    }
    arm(runtime);
    known()
}

/// One item of work.
enum Work {
    /// Send the same transfer again.
    Retry(ClaimKey),
    Read(Principal),
    Refund(ClaimKey),
    /// Tell the merchant's canister of the event with this number.
    Notify(u64),
    /// Call a forward target again, or refund.
    Serve(ClaimKey),
    /// Look at an invoice.
    Invoice(InvoiceId),
    /// Give back what is in the account of an invoice.
    Return(InvoiceId, Principal),
}

async fn perform<R: Runtime>(runtime: &R, work: Work) {
    match work {
        Work::Retry(key) => {
            // If the payment's state does not allow it, another message is calling the ledger.
            let _ = pay::call_again(runtime, key).await;
        }
        Work::Read(ledger) => read(runtime, ledger).await,
        Work::Refund(key) => refund::step(runtime, &key).await,
        Work::Notify(number) => notify::send(runtime, number).await,
        Work::Serve(key) => pay::work::step(runtime, &key).await,
        Work::Invoice(id) => invoice::advance(runtime, &id, false).await,
        Work::Return(id, ledger) => invoice::step_return(runtime, &id, ledger).await,
    }
}

/// The work that is due, within the bounds of one tick. The rest is postponed a little.
fn gather<R: Runtime>(runtime: &R) -> Vec<Work> {
    let now = runtime.now();
    let mut work = Vec::new();
    let mut retries = BTreeMap::<Principal, usize>::new();
    let mut logs = BTreeSet::new();
    for key in storage::payments::due(Lane::Open, now, MAX_PER_TICK) {
        let Some((payment, _)) = storage::payments::opened(&key) else {
            continue;
        };
        match plan(runtime, &key) {
            Some(Work::Retry(key)) => {
                let ledger = payment.ledger;
                let health = storage::payments::load(&payment.from.owner, &ledger, now).ledger;
                let unclear = health.doubts >= MAX_DOUBTS;
                let sent = retries.entry(ledger).or_default();
                if *sent >= if unclear { 1 } else { MAX_RETRIES_PER_LEDGER } {
                    let pause = if unclear { DOUBT_PAUSE } else { TURN };
                    storage::payments::postpone(&key, now.plus(pause));
                    continue;
                }
                *sent += 1;
                work.push(Work::Retry(key));
            }
            Some(Work::Read(ledger)) => {
                // The reading postpones it further, unless one is running.
                storage::payments::postpone(&key, now.plus(TURN));
                if logs.insert(ledger) {
                    work.push(Work::Read(ledger));
                }
            }
            Some(_) | None => {}
        }
    }
    retention::sweep(runtime);
    for key in storage::payments::due(Lane::Refund, now, MAX_PER_TICK) {
        // The step postpones it further.
        storage::payments::postpone(&key, now.plus(TURN));
        work.push(Work::Refund(key));
    }
    work.extend(notify::due(runtime).into_iter().map(Work::Notify));
    for key in storage::payments::due(Lane::Work, now, MAX_WORKS) {
        work.push(Work::Serve(key));
    }
    let invoices = storage::invoices::due(now, MAX_INVOICES);
    work.extend(invoices.into_iter().map(Work::Invoice));
    let returns = storage::invoices::returns_due(now, MAX_INVOICES).into_iter();
    work.extend(returns.map(|(id, ledger)| Work::Return(id, ledger)));
    work
}

/// The work for this open payment now. Records that a reply can no longer arrive.
fn plan<R: Runtime>(runtime: &R, key: &ClaimKey) -> Option<Work> {
    let now = runtime.now();
    let (payment, opening) = storage::payments::opened(key)?;
    let overdue = storage::payments::is_due(key, now);
    if !has_log(&payment.ledger) {
        lapse(key, &payment, now, now);
    }
    let event = match &payment.state {
        State::Unknown { .. } if wants_log(key, &payment, &opening, now) => {
            return Some(Work::Read(payment.ledger));
        }
        State::Unknown { .. } => return Some(Work::Retry(*key)),
        State::Settling { .. } if overdue => Event::InDoubt(Doubt::NoAnswer),
        State::Reserved if overdue => Event::NotMoved(failure("the ledger was not called")),
        _ => return None,
    };
    if storage::payments::record(key, Change::Event(event), now).is_err() {
        storage::payments::postpone(key, now.plus(SHARED));
    }
    None
}

/// Ends holding anything for a payment that no try can have moved money for, and that the ledger can no longer make.
/// Anybody can have keys without money, and payments from these must not block resources. `looked_at`: the time at
/// which the latest possible evidence began to be read. Payments beyond the limit wait until fewer have lapsed. Nothing
/// lapses while a block of the log may be the transfer, because such a block costs money to make.
fn lapse(key: &ClaimKey, payment: &Payment, looked_at: TimestampNs, now: TimestampNs) {
    // The money of an invoice was there: a ledger that names a want of it may have made the transfer.
    if payment.rail == Rail::Invoice {
        return;
    }
    let too_late = looked_at > payment.created_at.plus(FORGOTTEN);
    let shown = || !storage::recovery::progress(key).doubtful.is_empty();
    let may_lapse = || storage::payments::may_lapse(&payment.ledger);
    if too_late && payment.state.can_lapse() && !shown() && may_lapse() {
        let due = storage::payments::due_at(key);
        let lapsed = storage::payments::record(key, Change::Event(Event::Lapsed), now);
        // The payment is due no earlier than it would have been.
        if let (Ok(_), Some(due)) = (lapsed, due) {
            storage::payments::postpone(key, due);
        }
    }
}

/// Whether the log is to be read for this unknown payment, instead of sending the same transfer again.
///
/// Always if no transfer may be sent. Before that, if the ledger refuses the repetition: one that checks the fee or the
/// allowance before duplicates would go on refusing a transfer that it has made, and one whose answer cannot be true
/// may show the truth in its log. If the log does not hold the transfer, the transfer is sent again next time.
fn wants_log(key: &ClaimKey, payment: &Payment, opening: &Opening, now: TimestampNs) -> bool {
    if !pay::may_retry(payment, opening.valid_before, now) {
        return true;
    }
    let searches = storage::recovery::progress(key).searches;
    match &payment.state {
        State::Unknown {
            doubt, attempts, ..
        } if doubt.is_refusal() || *doubt == Doubt::ImplausibleBlock => {
            searches.saturating_add(1) < *attempts && has_log(&payment.ledger)
        }
        _ => false,
    }
}

fn failure(text: &str) -> Failure {
    Failure {
        kind: FailureKind::LedgerUnavailable,
        message: message(text),
    }
}

/// Reads the log of this ledger for every payment that needs it about now.
async fn read<R: Runtime>(runtime: &R, ledger: Principal) {
    // If the first call cannot be made, no search begins.
    let method = log_of(&ledger).unwrap_or(LogKind::Icrc3).method();
    if !runtime.can_call(&ledger, method, MAX_ARGUMENT_BYTES) {
        return;
    }
    let begun = runtime.now();
    let Some(_reading) = Reading::begin(ledger, begun) else {
        return;
    };
    let (keys, mut searches) = begin_searches(runtime, &ledger);
    if searches.is_empty() {
        return;
    }
    let end = log_search::read(runtime, ledger, &mut searches).await;
    let now = runtime.now();
    for (key, search) in keys.iter().zip(&searches) {
        record_result(key, search, now);
        if end == End::OutOfCalls && search.absent_at.is_none() {
            storage::payments::postpone(key, now.plus(TURN));
        }
        let more_to_read = end == End::OutOfCalls && !search.held_up;
        if !more_to_read && search.found.is_none() {
            record_silence(key, begun, now);
        }
    }
}

/// The searches for payments in this ledger that are due about now. They are postponed until then.
fn begin_searches<R: Runtime>(runtime: &R, ledger: &Principal) -> (Vec<ClaimKey>, Vec<Search>) {
    let now = runtime.now();
    let has_log = has_log(ledger);
    let soon = storage::payments::due_in_ledger(ledger, now.plus(SHARED));
    let searches = soon.into_iter().filter_map(|key| {
        let (payment, opening) = storage::payments::opened(&key)?;
        let unknown = matches!(payment.state, State::Unknown { .. });
        if !unknown || !wants_log(&key, &payment, &opening, now) {
            return None;
        }
        if !has_log {
            lapse(&key, &payment, now, now);
        }
        let before = storage::recovery::progress(&key);
        let progress = Progress {
            searches: before.searches.saturating_add(1),
            ..before
        };
        storage::recovery::note(key, progress.clone());
        let mut next = now.plus(backoff(progress.searches));
        let provable = payment.created_at.plus(FORGOTTEN).plus(Seconds(1));
        if now < provable {
            next = next.min(provable);
        } else if !has_log {
            // Only a controller can decide, unless the ledger gets a log.
            next = now.plus(Seconds::DAY);
        }
        storage::payments::postpone(&key, next);
        let wanted = transfer(runtime, &payment);
        let search = Search::resume(progress, opening.known_block, wanted);
        has_log.then_some((key, search))
    });
    searches.take(MAX_SEARCHES).unzip()
}

/// Counts a reading that gave no result for this payment, if the payment is still open. The ledger may have been
/// stopped at that time, so the payment lapses only after several such readings.
fn record_silence(key: &ClaimKey, begun: TimestampNs, now: TimestampNs) {
    let Some((payment, _)) = storage::payments::opened(key) else {
        return;
    };
    if begun <= payment.created_at.plus(FORGOTTEN) {
        return;
    }
    let mut progress = storage::recovery::progress(key);
    progress.failed = progress.failed.saturating_add(1);
    let enough = progress.failed >= READINGS;
    storage::recovery::note(*key, progress);
    if enough {
        lapse(key, &payment, begun, now);
    }
}

/// The transfer of a payment.
fn transfer<R: Runtime>(runtime: &R, payment: &Payment) -> Transfer {
    Transfer {
        memo: payment.id.0,
        from: payment.from,
        to: payment.to,
        // The canister spends its own money without an allowance.
        spender: match payment.rail {
            Rail::Invoice => None,
            Rail::Icrc2 | Rail::Icrc1 => Some(Account::from(runtime.canister_id())),
        },
        amount: payment.amount,
        created_at: payment.created_at,
    }
}

/// Records what the log proves.
fn record_result(key: &ClaimKey, search: &Search, now: TimestampNs) {
    let too_late = |sent: TimestampNs| sent > search.wanted.created_at.plus(FORGOTTEN);
    let event = match (search.found, search.absent_at) {
        (Some(block), _) => Event::ProvedMoved {
            tx: TxRef::Block(block),
        },
        (None, Some(sent)) if too_late(sent) => {
            Event::ProvedNotMoved(failure("the ledger's block log does not hold the transfer"))
        }
        _ => {
            let before = storage::recovery::progress(key);
            storage::recovery::note(*key, search.progress(before));
            return;
        }
    };
    if storage::payments::record(key, Change::Event(event), now).is_ok() {
        storage::recovery::forget(key);
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! Finishing what was interrupted: the one periodic job.
//!
//! [`tick`] runs when something is due for a payment, and asks to be woken when the next thing is; while
//! nothing is left to do there is no timer. What it does for an unknown payment:
//! 1. While the authorization is valid, and the ledger remembers: the same transfer again, with the same
//!    memo and time. The ledger answers `Ok` or `Duplicate`, and the payment is settled; or it refuses,
//!    which proves nothing.
//! 2. After that no transfer is asked for. The ledger's block log is read ([`block_log`]): if it holds the
//!    transfer, the payment is settled.
//! 3. If the complete log lacks it at a time when the ledger takes it no more, the payment has failed. A log that ends
//!    before a block which the ledger named is not complete.
//! 4. If every try was in vain (refused, or ended by an error of the ledger's own), or a repetition was refused because
//!    the payer had no funds, nothing is held for it from that time on: where the ledger has a log, once three readings
//!    of it told nothing, and while no block of it might be the transfer. What no log tells a controller may decide
//!    ([`resolve`]).
//!
//! A tick does a bounded number of things, for each payment at most one at a time (the state of the
//! payment is the lock), and for all of them at one time: a ledger that does not answer holds up nobody
//! else's. Between tries there are pauses that grow to an hour. What is under way is finished below the floor of
//! cycles, too; a call that cannot be paid for at all is put off and leaves no trace.

mod join;
pub mod resolve;

use crate::{
    domain::{
        block_log::{self, Transfer},
        capacity::{DOUBT_PAUSE, MAX_DOUBTS},
        payment::{Doubt, Event, Failure, FailureKind, Payment, State, message},
        rail::TxRef,
        roles::Unauthorized,
        window::FORGOTTEN,
    },
    runtime::Runtime,
    service::{
        log_search::{self, End, Search, has_log},
        pay, refund, retention, role,
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

/// So many open payments are looked at in one tick.
const MAX_PER_TICK: usize = 64;
/// So many transfers of one ledger are asked for again in one tick.
const MAX_RETRIES_PER_LEDGER: usize = 16;
/// So many searches share one reading of a log.
const MAX_SEARCHES: usize = 500;
/// After so many readings that told nothing, and began when no ledger took the transfer any more, a payment lapses.
const READINGS: u16 = 3;
/// What had to wait for its turn is looked at again after this.
const TURN: Seconds = Seconds(5);
/// Does what is due.
pub async fn tick<R: Runtime>(runtime: &R) {
    let work = gather(runtime);
    let tasks = work.into_iter().map(|work| perform(runtime, work));
    // Armed before the first await ends, so that nothing that happens after it can stop the clock.
    join::all(tasks, || arm(runtime)).await;
    arm(runtime);
}

/// A payment cannot be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecheckError {
    /// The caller may not do this.
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    /// There is no payment with this id.
    #[error("there is no payment with this id")]
    UnknownPayment,
}

/// Does for this payment now what the next tick would do for it, and says how it stands then. No outcome is decided
/// this way that the ledger does not prove; but a payment may lapse.
pub async fn recheck<R: Runtime>(runtime: &R, id: &PaymentId) -> Result<Payment, RecheckError> {
    role(runtime, &runtime.caller()).may_operate()?;
    let known = || storage::payments::by_id(id).ok_or(RecheckError::UnknownPayment);
    known()?;
    if let Some(key) = storage::payments::open_key(id) {
        for _ in 0..2 {
            // An answer that can come no more makes the payment unknown, and the second round asks.
            if let Some(work) = plan(runtime, &key) {
                perform(runtime, work).await;
                break;
            }
        }
    } else if let Some(key) = storage::payments::key_of(id) {
        refund::step(runtime, &key).await;
    }
    arm(runtime);
    known()
}

/// One thing to do.
enum Work {
    /// Ask the ledger for the same transfer again.
    Retry(ClaimKey),
    /// Read the log of this ledger.
    Read(Principal),
    /// Take the next step of a refund.
    Refund(ClaimKey),
}

async fn perform<R: Runtime>(runtime: &R, work: Work) {
    match work {
        Work::Retry(key) => {
            // If the payment's state does not allow it, somebody else is asking.
            let _ = pay::call_again(runtime, key).await;
        }
        Work::Read(ledger) => read(runtime, ledger).await,
        Work::Refund(key) => refund::step(runtime, &key).await,
    }
}

/// What is due, within the bounds of one tick; the rest is put off a little.
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
                let asked = retries.entry(ledger).or_default();
                if *asked >= if unclear { 1 } else { MAX_RETRIES_PER_LEDGER } {
                    let pause = if unclear { DOUBT_PAUSE } else { TURN };
                    storage::payments::postpone(&key, now.plus(pause));
                    continue;
                }
                *asked += 1;
                work.push(Work::Retry(key));
            }
            Some(Work::Read(ledger)) => {
                // The reading puts it off further, unless one is under way.
                storage::payments::postpone(&key, now.plus(TURN));
                if logs.insert(ledger) {
                    work.push(Work::Read(ledger));
                }
            }
            Some(Work::Refund(_)) | None => {}
        }
    }
    retention::sweep(runtime);
    for key in storage::payments::due(Lane::Refund, now, MAX_PER_TICK) {
        // The step puts it off further.
        storage::payments::postpone(&key, now.plus(TURN));
        work.push(Work::Refund(key));
    }
    work
}

/// What is to be done for this open payment now. Notes that an answer can come no more.
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
        State::Reserved if overdue => Event::NotMoved(failure("the ledger was not asked")),
        _ => return None,
    };
    if storage::payments::record(key, Change::Event(event), now).is_err() {
        storage::payments::postpone(key, now.plus(SHARED));
    }
    None
}

/// Holds nothing any more for a payment that was tried in vain, and that no ledger makes any more: anybody can have keys
/// without money, and what they pay must not bind what is there. `looked_at`: when whatever could tell more of it began
/// to be looked at. What would be too many waits until fewer have lapsed. Nothing lapses while a block of the log might
/// be it: nobody makes such a block without money.
fn lapse(key: &ClaimKey, payment: &Payment, looked_at: TimestampNs, now: TimestampNs) {
    let too_late = looked_at > payment.created_at.plus(FORGOTTEN);
    let shown = || !storage::recovery::progress(key).doubtful.is_empty();
    let may_lapse = || storage::payments::may_lapse(&payment.ledger);
    if too_late && payment.state.can_lapse() && !shown() && may_lapse() {
        let due = storage::payments::due_at(key);
        let lapsed = storage::payments::record(key, Change::Event(Event::Lapsed), now);
        // It is looked at no sooner than it would have been.
        if let (Ok(_), Some(due)) = (lapsed, due) {
            storage::payments::postpone(key, due);
        }
    }
}

/// Whether the log is to be read for this unknown payment, and not the same transfer asked for again.
///
/// Always when no transfer may be asked for. Before, when the ledger refuses the repetition: one that looks
/// at the fee or the allowance before it looks for duplicates would go on refusing a transfer that it has
/// made, and one whose word cannot be true may show the truth. The log says so at once; if it does not hold the
/// transfer, the next turn is the transfer's again.
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
    // No search has begun if the first call cannot be made.
    if !runtime.can_call(&ledger, block_log::METHOD, block_log::MAX_ARGUMENT_BYTES) {
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

/// The searches of payments in this ledger that are due about now. They are put off until then.
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
            // Only a controller can say, unless the ledger gets a log.
            next = now.plus(Seconds::DAY);
        }
        storage::payments::postpone(&key, next);
        let wanted = transfer(runtime, &payment);
        let search = Search::resume(progress, opening.known_block, wanted);
        has_log.then_some((key, search))
    });
    searches.take(MAX_SEARCHES).unzip()
}

/// Counts a reading that told nothing of this payment, if it is still open. The ledger may have been stopped just then:
/// the payment lapses after a few such readings.
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

/// The transfer that a payment is.
fn transfer<R: Runtime>(runtime: &R, payment: &Payment) -> Transfer {
    Transfer {
        memo: payment.id.0,
        from: payment.from,
        to: payment.to,
        spender: Some(Account::from(runtime.canister_id())),
        amount: payment.amount,
        created_at: payment.created_at,
    }
}

/// Books what the log proves.
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

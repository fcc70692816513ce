//! A controller's word where no log can tell.
//!
//! The canister decides nothing that a ledger does not prove. Where a ledger has no block log, or none that
//! can be read, a payment or a refund in doubt would stay so for good: held or owed money that nobody gets.
//! A controller, who can look elsewhere (an index, the ledger's own dashboard, the accounts), says then what
//! happened. Not before the ledger's window is over, so that nothing can happen after it was said; and not
//! where the log decides. (A refund that waits for a controller, or is left to the merchant, is in no doubt; but the
//! merchant may have made it himself, and then nobody may make it again.) The books and the audit log show that it was said.

use crate::{
    domain::{
        payment::{Event, Failure, FailureKind, Payment, RefundProblem, State, message},
        rail::TxRef,
        roles::Unauthorized,
        window::FORGOTTEN,
    },
    runtime::Runtime,
    service::{
        log_search::{READING, has_log},
        role,
        schedule::arm,
    },
    storage::{
        self, liabilities,
        payments::{Change, RecordError},
        recovery::Reading,
    },
    types::{BlockIndex, ClaimKey, PaymentId, Seconds, TimestampNs},
};
use candid::Principal;

/// For how long after the ledger's window its log is waited for.
pub const LOG_DECIDES: Seconds = Seconds(7 * 86_400);

/// What a controller found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The ledger made the transfer.
    Moved {
        /// The block that shows it.
        block: BlockIndex,
    },
    /// It did not.
    NotMoved,
}

/// A doubt is not resolved. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The caller may not do this.
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    /// No payment has this id.
    #[error("no payment has this id")]
    UnknownPayment,
    /// The block is known, or was said, to show another transfer: the payment, if its refund is in doubt.
    #[error("the block is known, or was said, to show another transfer")]
    OtherBlock,
    /// Neither the payment nor its refund is in doubt.
    #[error("nothing of the payment is in doubt")]
    NotInDoubt,
    /// The ledger may still make the transfer, or its log is being read.
    #[error("the ledger may still make the transfer, or its log is being read")]
    TooEarly {
        /// From then on neither is so.
        from: TimestampNs,
    },
    /// The ledger has a log, which is waited for.
    #[error("the ledger's log decides")]
    LogDecides {
        /// So long.
        until: TimestampNs,
    },
    /// Stable memory has no room for one more payment in the books.
    #[error("there is no room in the books")]
    BooksFull,
}

impl From<RecordError> for ResolveError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Full => ResolveError::BooksFull,
            RecordError::Claimed => ResolveError::OtherBlock,
            // The ledger of a payment that is known was registered, and no ledger is removed.
            RecordError::Illegal(_) | RecordError::UnknownLedger | RecordError::Unreadable(_) => {
                ResolveError::NotInDoubt
            }
        }
    }
}

/// Ends the doubt about a payment, or about its refund, as a controller says. A refund that waits for a controller is
/// made when he says in which block the payer got the money back. What stands already as it is
/// said to be stays so.
pub fn resolve<R: Runtime>(
    runtime: &R,
    id: &PaymentId,
    outcome: Outcome,
) -> Result<Payment, ResolveError> {
    let caller = runtime.caller();
    role(runtime, &caller).may_administer()?;
    let payment = storage::payments::by_id(id).ok_or(ResolveError::UnknownPayment)?;
    if stands_so(&payment, outcome) {
        return Ok(payment);
    }
    if let Outcome::Moved { block } = outcome
        && (is_taken(&payment.ledger, block) || is_its_own(&payment, block))
    {
        return Err(ResolveError::OtherBlock);
    }
    let payment = match payment.state {
        State::Unknown { .. } => resolve_payment(runtime, &payment, outcome)?,
        State::Refunding { problem, .. } if problem.waits() => {
            refunded_elsewhere(runtime, &payment, outcome)?
        }
        State::Refunding { .. } => resolve_refund(runtime, &payment, outcome)?,
        _ => return Err(ResolveError::NotInDoubt),
    };
    if let Outcome::Moved { block } = outcome {
        storage::recovery::note_resolved(&payment.ledger, block);
    }
    // The whole id does not fit beside the outcome; entries about payments have this much of it, too.
    let half = &id.to_string()[..32];
    let subject = match outcome {
        Outcome::Moved { block } => format!("{half} moved in block {}", block.0),
        Outcome::NotMoved => format!("{half} not moved"),
    };
    storage::audit::admin(caller, "payment_resolve", &subject, runtime.now());
    arm(runtime);
    Ok(payment)
}

/// Whether the books say so already: the message was sent before, or the ledger has told meanwhile.
fn stands_so(payment: &Payment, outcome: Outcome) -> bool {
    match (&payment.state, outcome) {
        (State::Failed { .. }, Outcome::NotMoved) => true,
        (State::Refunding { attempts, .. }, Outcome::NotMoved) => {
            let refund =
                storage::payments::key_of(&payment.id).and_then(|key| liabilities::refund(&key));
            *attempts > 0 && refund.is_some_and(|refund| refund.doubt.is_none())
        }
        (
            State::Refunded {
                refund_tx: TxRef::Block(refund_block),
                ..
            },
            Outcome::Moved { block },
        ) if *refund_block == block => true,
        // What is said of it is said of the refund.
        (State::Refunding { .. }, Outcome::Moved { .. }) => false,
        (_, Outcome::Moved { block }) => is_its_own(payment, block),
        _ => false,
    }
}

fn resolve_payment<R: Runtime>(
    runtime: &R,
    payment: &Payment,
    outcome: Outcome,
) -> Result<Payment, ResolveError> {
    let now = runtime.now();
    let over = payment.created_at.plus(FORGOTTEN);
    may_be_said(&payment.ledger, over, now)?;
    let read = Reading::since(&payment.ledger).map(|since| since.plus(READING));
    if let Some(from) = read.filter(|until| now < *until) {
        // What it shows is not known yet.
        return Err(ResolveError::TooEarly { from });
    }
    let key = storage::payments::open_key(&payment.id).ok_or(ResolveError::NotInDoubt)?;
    let event = match outcome {
        Outcome::Moved { block } => Event::ResolvedMoved {
            tx: TxRef::Block(block),
        },
        Outcome::NotMoved => Event::ResolvedNotMoved(Failure {
            kind: FailureKind::LedgerUnavailable,
            message: message("a controller found that the ledger did not make the transfer"),
        }),
    };
    let resolved = recorded(&key, Change::Event(event), now)?;
    storage::recovery::forget(&key);
    Ok(resolved)
}

fn resolve_refund<R: Runtime>(
    runtime: &R,
    payment: &Payment,
    outcome: Outcome,
) -> Result<Payment, ResolveError> {
    let now = runtime.now();
    let key = storage::payments::key_of(&payment.id).ok_or(ResolveError::NotInDoubt)?;
    let mut refund = liabilities::refund(&key).ok_or(ResolveError::NotInDoubt)?;
    let terms = refund.doubt.ok_or(ResolveError::NotInDoubt)?;
    let over = terms.created_at.plus(FORGOTTEN);
    may_be_said(&payment.ledger, over, now)?;
    if now < refund.busy_until {
        // The log is being read for it.
        let from = refund.busy_until;
        return Err(ResolveError::TooEarly { from });
    }
    match outcome {
        Outcome::Moved { block } => {
            let moved = Change::Event(Event::RefundMoved {
                tx: TxRef::Block(block),
            });
            recorded(&key, moved, now)
        }
        Outcome::NotMoved => {
            let event = Event::RefundFailed(RefundProblem::NotTried);
            let resolved = recorded(&key, Change::Event(event), now)?;
            refund.never_made(now);
            liabilities::put_refund(&key, payment, &refund);
            storage::payments::postpone(&key, now);
            Ok(resolved)
        }
    }
}

/// A refund that waits for a controller, or is left to the merchant, was never asked for, so there is no window to wait
/// for: the merchant gave the money back himself. Nothing but `Moved` can be said of it.
fn refunded_elsewhere<R: Runtime>(
    runtime: &R,
    payment: &Payment,
    outcome: Outcome,
) -> Result<Payment, ResolveError> {
    let Outcome::Moved { block } = outcome else {
        return Err(ResolveError::NotInDoubt);
    };
    let key = storage::payments::key_of(&payment.id).ok_or(ResolveError::NotInDoubt)?;
    // In one write: it is never owed.
    let made = Change::Both(
        Event::RefundApproved,
        Event::RefundMoved {
            tx: TxRef::Block(block),
        },
    );
    recorded(&key, made, runtime.now())
}

/// Whether it is late enough, and no log tells, for a transfer that no ledger makes after `over`.
fn may_be_said(
    ledger: &Principal,
    over: TimestampNs,
    now: TimestampNs,
) -> Result<(), ResolveError> {
    if now <= over {
        let from = TimestampNs(over.0.saturating_add(1));
        return Err(ResolveError::TooEarly { from });
    }
    let until = over.plus(LOG_DECIDES);
    if has_log(ledger) && now < until {
        return Err(ResolveError::LogDecides { until });
    }
    Ok(())
}

/// Whether this block shows another transfer: a ledger said so, or a controller since the last upgrade. One block shows
/// one transfer. But a controller's word claims none: it may be mistyped.
fn is_taken(ledger: &Principal, block: BlockIndex) -> bool {
    storage::claims::of(ledger, block).is_some() || storage::recovery::was_resolved(ledger, block)
}

/// Whether this block shows the payment itself, and so not its refund. A payment that is booked by a controller's word
/// claims no block.
fn is_its_own(payment: &Payment, block: BlockIndex) -> bool {
    let moved = payment.state.moved();
    moved.is_some_and(|(known, _)| known == TxRef::Block(block))
}

fn recorded(key: &ClaimKey, change: Change, now: TimestampNs) -> Result<Payment, ResolveError> {
    Ok(storage::payments::record(key, change, now)?)
}

//! Decisions by a controller where no log decides.
//!
//! The canister decides nothing that a ledger does not prove. If a ledger has no readable block log, a payment or
//! refund in doubt would stay so for good, with money held or owed that reaches nobody. A controller can look elsewhere
//! (an index canister, the ledger's dashboard, the accounts) and then state what happened. That is possible only after
//! the ledger's window, so that nothing can happen afterwards, and only where the log does not decide. A refund that
//! waits for a controller, or is left to the merchant, is not in doubt. The merchant may have made it himself, though,
//! and then it must not be made again. The payment and the audit log show that a controller decided.

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

/// How long after the ledger's window its log has precedence.
pub const LOG_DECIDES: Seconds = Seconds(7 * 86_400);

/// The finding of a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Moved { block: BlockIndex },
    NotMoved,
}

/// A doubt is not resolved. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    #[error("no payment has this id")]
    UnknownPayment,
    /// Another transfer claims the block, or a controller named the block for one. In case of a refund, this may be the
    /// payment itself.
    #[error("the block shows another transfer")]
    OtherBlock,
    #[error("neither the payment nor its refund is in doubt")]
    NotInDoubt,
    #[error("the ledger may still make the transfer, or its log is being read")]
    TooEarly {
        /// The time from which neither is the case.
        from: TimestampNs,
    },
    /// The ledger has a log, which has precedence.
    #[error("the ledger's log decides")]
    LogDecides { until: TimestampNs },
    /// Stable memory has no room for one more settled payment.
    #[error("there is no room for another settled payment")]
    SettledPaymentsFull,
}

impl From<RecordError> for ResolveError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Full => ResolveError::SettledPaymentsFull,
            RecordError::Claimed => ResolveError::OtherBlock,
            // The ledger of a recorded payment was registered, and no ledger is removed.
            RecordError::Illegal(_) | RecordError::UnknownLedger | RecordError::Unreadable(_) => {
                ResolveError::NotInDoubt
            }
        }
    }
}

/// Resolves the doubt about a payment, or about its refund, as a controller says. A refund that waits for a controller
/// is resolved when the controller names the block in which the payer was paid back. If the stored state agrees
/// already, nothing changes.
pub fn resolve<R: Runtime>(
    runtime: &R,
    id: &PaymentId,
    outcome: Outcome,
) -> Result<Payment, ResolveError> {
    let caller = runtime.caller();
    role(runtime, &caller).may_administer()?;
    let payment = storage::payments::by_id(id).ok_or(ResolveError::UnknownPayment)?;
    if agrees(&payment, outcome) {
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
    let subject = match outcome {
        Outcome::Moved { block } => format!("{id} moved in block {}", block.0),
        Outcome::NotMoved => format!("{id} not moved"),
    };
    storage::audit::admin(caller, "payment_resolve", &subject, runtime.now());
    arm(runtime);
    Ok(payment)
}

/// Whether the stored state agrees already: the message was sent before, or the ledger has answered meanwhile.
fn agrees(payment: &Payment, outcome: Outcome) -> bool {
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
        // The finding is about the refund.
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
    check_may_resolve(&payment.ledger, over, now)?;
    let read = Reading::since(&payment.ledger).map(|since| since.plus(READING));
    if let Some(from) = read.filter(|until| now < *until) {
        // The content of the block is not known yet.
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
    check_may_resolve(&payment.ledger, over, now)?;
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

/// A refund that waits for a controller, or is left to the merchant, was never sent, so there is no window to wait for:
/// the merchant paid the payer back himself. Only `Moved` is possible.
fn refunded_elsewhere<R: Runtime>(
    runtime: &R,
    payment: &Payment,
    outcome: Outcome,
) -> Result<Payment, ResolveError> {
    let Outcome::Moved { block } = outcome else {
        return Err(ResolveError::NotInDoubt);
    };
    let key = storage::payments::key_of(&payment.id).ok_or(ResolveError::NotInDoubt)?;
    // In one write: the refund is never owed.
    let made = Change::Both(
        Event::RefundApproved,
        Event::RefundMoved {
            tx: TxRef::Block(block),
        },
    );
    recorded(&key, made, runtime.now())
}

/// Whether the window is over and no log decides, for a transfer that the ledger cannot make after `over`.
fn check_may_resolve(
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

/// Whether this block shows another transfer: the ledger named it, or a controller did since the last upgrade. One
/// block shows one transfer. A block that a controller named is not claimed, because it may be mistyped.
fn is_taken(ledger: &Principal, block: BlockIndex) -> bool {
    storage::claims::of(ledger, block).is_some() || storage::recovery::was_resolved(ledger, block)
}

/// Whether this block shows the payment itself, and so not its refund. A payment that a controller settled claims no
/// block.
fn is_its_own(payment: &Payment, block: BlockIndex) -> bool {
    let moved = payment.state.moved();
    moved.is_some_and(|(known, _)| known == TxRef::Block(block))
}

fn recorded(key: &ClaimKey, change: Change, now: TimestampNs) -> Result<Payment, ResolveError> {
    Ok(storage::payments::record(key, change, now)?)
}

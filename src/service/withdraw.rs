//! Withdrawals: a controller takes out money that is not owed, once for each `created_at_time`.
//!
//! The requests are in `storage::withdrawals`, and `domain::withdrawal` decides what may be done about each. A try is
//! recorded before the await. Its answer is recorded on its own withdrawal, even if others were requested since.

use crate::{
    domain::{
        invoice::is_invoice_account,
        outgoing::{Outgoing, TransferTerms},
        roles::Unauthorized,
        settlement::Claimant,
        validate::InvalidArgument,
        window::DEDUP_WINDOW,
        withdrawal::{MAX_WITHDRAWALS, Standing, WITHDRAWAL_MEMO, Withdrawal},
    },
    runtime::Runtime,
    service::{
        fees,
        payout::{self, Payout, PayoutRecord, Sent},
        role,
    },
    storage::{self, withdrawals},
    types::{Account, Amount, BlockIndex, TimestampNs, canonical},
};
use candid::Principal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WithdrawRequest {
    pub ledger: Principal,
    /// The subaccount of the canister to take from.
    pub from_subaccount: Option<[u8; 32]>,
    pub to: Account,
    /// The amount that arrives.
    pub amount: Amount,
    /// Identifies the withdrawal, so that it can be repeated.
    pub created_at: Option<TimestampNs>,
}

/// Nothing was taken out, or the outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WithdrawError {
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    #[error(transparent)]
    InvalidArgument(#[from] InvalidArgument),
    #[error("the ledger is not registered")]
    UnknownLedger,
    /// The rest of the balance is owed.
    #[error("only {available} can be taken out")]
    InsufficientFree {
        /// The largest amount that could be taken out now.
        available: Amount,
    },
    /// A withdrawal is in progress, or its outcome is unknown.
    #[error("a withdrawal is not finished")]
    InProgress {
        /// Its `created_at_time`.
        created_at: TimestampNs,
    },
    #[error("{limit} withdrawals were requested in a day, which is the limit")]
    TooMany {
        limit: u32,
        /// The time from which there is room for one more.
        from: TimestampNs,
    },
    /// The ledger provably did nothing.
    #[error("nothing was moved: {problem}")]
    NotMoved { problem: String },
    /// The outcome is unknown.
    #[error("it is not known whether the money moved")]
    Unknown {
        /// With this, the same withdrawal can be repeated.
        created_at: TimestampNs,
    },
}

/// The next step for a request.
enum Plan {
    /// The transfer was made.
    Made(BlockIndex),
    /// Call the ledger with these terms. `fresh`: the same transfer cannot have been made before.
    Send {
        withdrawal: Box<Withdrawal>,
        terms: TransferTerms,
        fresh: bool,
    },
}

/// The known state of a request.
enum Known {
    Plan(Plan),
    /// The ledger was never called for it, or nothing came of it: the free balance has to cover it.
    New(Box<Withdrawal>),
}

/// Takes out money that is not owed. Returns the block of the transfer.
pub async fn withdraw<R: Runtime>(
    runtime: &R,
    request: WithdrawRequest,
) -> Result<BlockIndex, WithdrawError> {
    let caller = runtime.caller();
    role(runtime, &caller).may_administer()?;
    let ledger = request.ledger;
    let (withdrawal, terms, fresh) = match plan(runtime, &request).await? {
        Plan::Made(block) => return Ok(block),
        Plan::Send {
            withdrawal,
            terms,
            fresh,
        } => (withdrawal, terms, fresh),
    };
    if !payout::can_send(runtime, &ledger) {
        // Nothing is recorded. A withdrawal in doubt stays so.
        let created_at = withdrawal.created_at;
        return Err(match fresh {
            true => cannot_be_sent(),
            false => WithdrawError::Unknown { created_at },
        });
    }
    let (amount, to) = (withdrawal.amount, withdrawal.to);
    let subject = format!("{ledger} {amount} to {to}");
    storage::audit::admin(caller, "withdraw", &subject, runtime.now());
    let payout = Payout {
        ledger,
        from: withdrawal.from,
        to,
        amount,
        memo: WITHDRAWAL_MEMO,
        claimant: Claimant::Withdrawal(terms.created_at),
    };
    let record = WithdrawalRow {
        ledger,
        sent: &withdrawal,
    };
    let outgoing = withdrawal.outgoing;
    let sent = payout::send(runtime, &payout, &record, outgoing, terms, fresh).await;
    let created_at = withdrawal.created_at;
    // Another try may have shown meanwhile that it was made.
    let made = withdrawals::get(&ledger, created_at).and_then(|known| known.block);
    let result = match (made, sent) {
        (Some(block), _) | (None, Sent::Moved(block)) => Ok(block),
        (
            None,
            Sent::NotMoved {
                failure,
                in_doubt: false,
            },
        ) => Err(WithdrawError::NotMoved {
            problem: failure.message,
        }),
        _ => Err(WithdrawError::Unknown { created_at }),
    };
    fees::renew(runtime, &ledger).await;
    result
}

/// The row of a withdrawal.
struct WithdrawalRow<'a> {
    ledger: Principal,
    /// The withdrawal at the time of the call.
    sent: &'a Withdrawal,
}

impl PayoutRecord for WithdrawalRow<'_> {
    /// `None` if the row was removed: the answer took more than a day.
    fn load(&self) -> Option<Outgoing> {
        let known = withdrawals::get(&self.ledger, self.sent.created_at)?;
        Some(known.outgoing)
    }

    fn store(&self, outgoing: &Outgoing, made: Option<BlockIndex>) {
        let known = withdrawals::get(&self.ledger, self.sent.created_at);
        let mut row = known.unwrap_or(*self.sent);
        row.outgoing = *outgoing;
        // A known block is never replaced.
        row.block = row.block.or(made);
        withdrawals::put(&self.ledger, &row);
    }
}

fn cannot_be_sent() -> WithdrawError {
    WithdrawError::NotMoved {
        problem: "the canister has too few cycles for the call at present, or too many calls to that ledger \
            are under way"
            .into(),
    }
}

/// The next step for this request, to be recorded in the same message.
async fn plan<R: Runtime>(runtime: &R, request: &WithdrawRequest) -> Result<Plan, WithdrawError> {
    let from = match known(runtime, request)? {
        Known::New(withdrawal) => withdrawal.from,
        Known::Plan(plan) => return Ok(plan),
    };
    let answer = payout::balance_and_owed(runtime, &request.ledger, &from).await;
    // Another withdrawal may have begun meanwhile, or this one.
    let withdrawal = match known(runtime, request)? {
        Known::New(withdrawal) => withdrawal,
        Known::Plan(plan) => return Ok(plan),
    };
    let (balance, owed) = answer.ok_or_else(|| WithdrawError::NotMoved {
        problem: "the ledger did not return the balance".into(),
    })?;
    let fee = payout::fee(&request.ledger);
    let free = balance.0.saturating_sub(owed.total(fee).0);
    let available = Amount(free.saturating_sub(fee.0));
    if request.amount > available {
        return Err(WithdrawError::InsufficientFree { available });
    }
    let created_at = withdrawal.created_at;
    Ok(Plan::Send {
        withdrawal,
        terms: TransferTerms { created_at, fee },
        fresh: true,
    })
}

/// The state of this request without calling the ledger.
fn known<R: Runtime>(runtime: &R, request: &WithdrawRequest) -> Result<Known, WithdrawError> {
    let (ledger, now) = (&request.ledger, runtime.now());
    if storage::ledgers::get(ledger).is_none() {
        return Err(WithdrawError::UnknownLedger);
    }
    let from = canonical(Account {
        owner: runtime.canister_id(),
        subaccount: request.from_subaccount,
    });
    let to = canonical(request.to);
    for (field, account) in [("from_subaccount", &from), ("to", &to)] {
        if is_invoice_account(account) {
            return Err(InvalidArgument::new(field, "is the account of an invoice").into());
        }
    }
    if request.amount.0 == 0 {
        return Err(InvalidArgument::new("amount", "is zero").into());
    }
    if to == from {
        return Err(InvalidArgument::new("to", "is the account that it comes from").into());
    }
    let known = request
        .created_at
        .and_then(|created_at| withdrawals::get(ledger, created_at));
    if let Some(known) = &known {
        if (known.from, known.to, known.amount) != (from, to, request.amount) {
            let problem = "is that of a withdrawal with other terms";
            return Err(InvalidArgument::new("created_at_time", problem).into());
        }
        match known.standing(now) {
            Standing::Made(block) => return Ok(Known::Plan(Plan::Made(block))),
            Standing::InDoubt(terms) => {
                return Ok(Known::Plan(Plan::Send {
                    withdrawal: Box::new(*known),
                    terms,
                    fresh: false,
                }));
            }
            Standing::Busy | Standing::Refused => {}
        }
    }
    if let Some(pending) = withdrawals::pending(ledger, now) {
        let created_at = pending.created_at;
        return Err(WithdrawError::InProgress { created_at });
    }
    if let Some(created_at) = request.created_at {
        check_time(created_at, now)?;
    }
    if known.is_none() {
        withdrawals::forget_old(ledger, now);
        if let Some(from) = withdrawals::full_until(ledger) {
            let limit = MAX_WITHDRAWALS;
            return Err(WithdrawError::TooMany { limit, from });
        }
    }
    let new = known.unwrap_or_else(|| {
        let created_at = request
            .created_at
            .unwrap_or_else(|| withdrawals::free_time(ledger, now));
        Withdrawal::new(from, to, request.amount, created_at)
    });
    Ok(Known::New(Box::new(new)))
}

/// Whether ledgers accept a transfer with this time, and recognise its duplicate later.
fn check_time(created_at: TimestampNs, now: TimestampNs) -> Result<(), InvalidArgument> {
    const FIELD: &str = "created_at_time";
    if created_at > now {
        return Err(InvalidArgument::new(FIELD, "is in the future"));
    }
    if created_at.plus(DEDUP_WINDOW) < now {
        let problem = "is more than 85,800 seconds (23 hours and 50 minutes) ago";
        return Err(InvalidArgument::limit(
            FIELD,
            problem,
            DEDUP_WINDOW.0.into(),
        ));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;

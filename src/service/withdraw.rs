//! Withdrawals: a controller takes money out that is owed to nobody, once for each `created_at_time`.
//!
//! What was ever asked for is in `storage::withdrawals`, and what may be done about it is decided by
//! `domain::withdrawal`. A try is put down before the await, and its answer is booked on the withdrawal that it is
//! of, whatever was asked for since.

use crate::{
    domain::{
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

/// What to take out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WithdrawRequest {
    /// The ledger.
    pub ledger: Principal,
    /// Out of which account of the canister.
    pub from_subaccount: Option<[u8; 32]>,
    /// To whom.
    pub to: Account,
    /// What arrives.
    pub amount: Amount,
    /// Given in order to repeat a withdrawal, or to be able to.
    pub created_at: Option<TimestampNs>,
}

/// Nothing was taken out, or nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WithdrawError {
    /// The caller may not do this.
    #[error(transparent)]
    Unauthorized(#[from] Unauthorized),
    /// A field is not acceptable.
    #[error(transparent)]
    InvalidArgument(#[from] InvalidArgument),
    /// The ledger is not registered.
    #[error("the ledger is not registered")]
    UnknownLedger,
    /// The rest is owed.
    #[error("only {available} can be taken out")]
    InsufficientFree {
        /// The largest amount that could be taken out now.
        available: Amount,
    },
    /// A withdrawal is under way or unknown.
    #[error("a withdrawal is not finished")]
    InProgress {
        /// Its `created_at_time`.
        created_at: TimestampNs,
    },
    /// So many are known already.
    #[error("{limit} withdrawals were asked for in a day, which is the limit")]
    TooMany {
        /// The limit that was reached.
        limit: u32,
        /// From then on there is room for one more.
        from: TimestampNs,
    },
    /// The ledger provably did nothing.
    #[error("nothing was moved: {problem}")]
    NotMoved {
        /// Why.
        problem: String,
    },
    /// Nobody knows whether the money moved.
    #[error("nobody knows whether the money moved")]
    Unknown {
        /// With this, the same withdrawal can be asked for again.
        created_at: TimestampNs,
    },
}

/// What is to be done.
enum Plan {
    /// Nothing: it was made.
    Made(BlockIndex),
    /// The ledger is asked for this; if it is `fresh`, nothing like it can have been made before.
    Ask {
        withdrawal: Box<Withdrawal>,
        terms: TransferTerms,
        fresh: bool,
    },
}

/// What is known of a request.
enum Known {
    /// What is to be done.
    Plan(Plan),
    /// Nobody has asked the ledger for it, or nothing came of that: what is free has to cover it.
    New(Box<Withdrawal>),
}

/// Takes money out that is nobody's. The block of the transfer.
pub async fn withdraw<R: Runtime>(
    runtime: &R,
    request: WithdrawRequest,
) -> Result<BlockIndex, WithdrawError> {
    let caller = runtime.caller();
    role(runtime, &caller).may_administer()?;
    let ledger = request.ledger;
    let (withdrawal, terms, fresh) = match plan(runtime, &request).await? {
        Plan::Made(block) => return Ok(block),
        Plan::Ask {
            withdrawal,
            terms,
            fresh,
        } => (withdrawal, terms, fresh),
    };
    if !payout::can_send(runtime, &ledger) {
        // Nothing is put down. What is in doubt stays so.
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
        asked: &withdrawal,
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

/// Where it stands how a withdrawal stands.
struct WithdrawalRow<'a> {
    ledger: Principal,
    /// The withdrawal as it was when the ledger was asked.
    asked: &'a Withdrawal,
}

impl PayoutRecord for WithdrawalRow<'_> {
    /// `None` if it was forgotten: the answer took more than a day.
    fn load(&self) -> Option<Outgoing> {
        let known = withdrawals::get(&self.ledger, self.asked.created_at)?;
        Some(known.outgoing)
    }

    fn store(&self, outgoing: &Outgoing, made: Option<BlockIndex>) {
        let known = withdrawals::get(&self.ledger, self.asked.created_at);
        let mut row = known.unwrap_or(*self.asked);
        row.outgoing = *outgoing;
        // Who knows the block learns nothing more.
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

/// What is to be done of this request. To be put down in this message.
async fn plan<R: Runtime>(runtime: &R, request: &WithdrawRequest) -> Result<Plan, WithdrawError> {
    let from = match known(runtime, request)? {
        Known::New(withdrawal) => withdrawal.from,
        Known::Plan(plan) => return Ok(plan),
    };
    let answer = payout::balance_and_owed(runtime, &request.ledger, &from).await;
    // Another one may have begun meanwhile, or this one.
    let withdrawal = match known(runtime, request)? {
        Known::New(withdrawal) => withdrawal,
        Known::Plan(plan) => return Ok(plan),
    };
    let (balance, owed) = answer.ok_or_else(|| WithdrawError::NotMoved {
        problem: "the ledger did not say what there is".into(),
    })?;
    let fee = payout::fee(&request.ledger);
    let free = balance.0.saturating_sub(owed.total(fee).0);
    let available = Amount(free.saturating_sub(fee.0));
    if request.amount > available {
        return Err(WithdrawError::InsufficientFree { available });
    }
    let created_at = withdrawal.created_at;
    Ok(Plan::Ask {
        withdrawal,
        terms: TransferTerms { created_at, fee },
        fresh: true,
    })
}

/// What is known of this request without the ledger.
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
    if request.amount.0 == 0 {
        return Err(InvalidArgument::new("amount", "is nothing").into());
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
                return Ok(Known::Plan(Plan::Ask {
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

/// Whether ledgers take a transfer of this time, and will know it again.
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

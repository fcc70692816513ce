//! Withdrawals: a controller takes money out that is owed to nobody, once for each `created_at_time`.
//!
//! What was ever asked for is in `storage::withdrawals`, and what may be done about it is decided by
//! `domain::withdrawal`. A try is put down before the await, and its answer is booked on the withdrawal that it is
//! of, whatever was asked for since.

use crate::{
    domain::{
        outgoing::{DEDUP_WINDOW, Written},
        payment::Event,
        roles::Unauthorized,
        settlement::OwnTransfer,
        validate::InvalidArgument,
        withdrawal::{MAX_WITHDRAWALS, Standing, WITHDRAWAL_MEMO, Withdrawal},
    },
    runtime::Runtime,
    service::{
        fees, role,
        treasury::{self, BALANCE_TRIES},
    },
    storage::{self, liabilities, withdrawals},
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

/// What comes next of a request.
enum Next {
    /// It was made.
    Made(BlockIndex),
    /// Nobody has asked the ledger for it, or nothing came of that: what is free has to cover it.
    First(Withdrawal),
    /// The ledger is asked for this; if it is `fresh`, nothing like it can have been made before.
    Ask {
        withdrawal: Withdrawal,
        written: Written,
        fresh: bool,
    },
}

/// Takes money out that is nobody's. The block of the transfer.
pub async fn withdraw<R: Runtime>(
    runtime: &R,
    request: WithdrawRequest,
) -> Result<BlockIndex, WithdrawError> {
    let caller = runtime.caller();
    role(runtime, &caller).may_administer()?;
    let ledger = request.ledger;
    let (mut withdrawal, written, fresh) = match plan(runtime, &request).await? {
        Next::Made(block) => return Ok(block),
        Next::First(_) => return Err(silent()),
        Next::Ask {
            withdrawal,
            written,
            fresh,
        } => (withdrawal, written, fresh),
    };
    let now = runtime.now();
    withdrawal.outgoing.begin(written, now);
    withdrawals::put(&ledger, &withdrawal);
    let (amount, to) = (withdrawal.amount, withdrawal.to);
    let subject = format!("{ledger} {amount} to {to}");
    storage::audit::admin(caller, "withdraw", &subject, now);

    let transfer = OwnTransfer {
        from: withdrawal.from,
        to,
        amount,
        fee: written.fee,
        memo: WITHDRAWAL_MEMO,
        created_at: written.created_at,
    };
    let event = treasury::send(runtime, ledger, &transfer).await;
    let result = book(runtime, &ledger, &withdrawal, fresh, event);
    fees::renew(runtime, &ledger).await;
    result
}

/// Books how this try ended on what is known of the withdrawal by now: other tries may have ended meanwhile.
fn book<R: Runtime>(
    runtime: &R,
    ledger: &Principal,
    tried: &Withdrawal,
    fresh: bool,
    event: Event,
) -> Result<BlockIndex, WithdrawError> {
    let created_at = tried.created_at;
    let Some(mut known) = withdrawals::get(ledger, created_at) else {
        // Forgotten: the answer took more than a day.
        return match event {
            Event::Moved { block } => Ok(block),
            _ => Err(WithdrawError::Unknown { created_at }),
        };
    };
    known.end(tried.outgoing.tries, fresh, &event, runtime.now());
    withdrawals::put(ledger, &known);
    match (known.block, event) {
        (Some(block), _) => Ok(block),
        (None, Event::NotMoved(failure)) if known.outgoing.doubt.is_none() => {
            let problem = failure.message;
            Err(WithdrawError::NotMoved { problem })
        }
        _ => Err(WithdrawError::Unknown { created_at }),
    }
}

/// What the ledger is to be asked for. To be put down in this message.
async fn plan<R: Runtime>(runtime: &R, request: &WithdrawRequest) -> Result<Next, WithdrawError> {
    let mut next = next(runtime, request)?;
    for _ in 0..BALANCE_TRIES {
        let Next::First(Withdrawal { from, .. }) = next else {
            break;
        };
        let outflows = liabilities::outflows();
        let Some(balance) = treasury::balance(runtime, request.ledger, &from).await else {
            break;
        };
        // Another one may have begun meanwhile, or this one.
        next = self::next(runtime, request)?;
        let Next::First(withdrawal) = next else {
            break;
        };
        if outflows != liabilities::outflows() {
            continue;
        }
        let fee = treasury::fee(&request.ledger);
        let owed = liabilities::owed_by(&request.ledger, &from).total(fee);
        let free = balance.0.saturating_sub(owed.0);
        let available = Amount(free.saturating_sub(fee.0));
        if request.amount > available {
            return Err(WithdrawError::InsufficientFree { available });
        }
        let created_at = withdrawal.created_at;
        next = Next::Ask {
            withdrawal,
            written: Written { created_at, fee },
            fresh: true,
        };
    }
    Ok(next)
}

fn silent() -> WithdrawError {
    WithdrawError::NotMoved {
        problem: "the ledger did not say what there is".into(),
    }
}

/// What comes next of this request, as far as that is known without the ledger.
fn next<R: Runtime>(runtime: &R, request: &WithdrawRequest) -> Result<Next, WithdrawError> {
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
            Standing::Made(block) => return Ok(Next::Made(block)),
            Standing::InDoubt(written) => {
                return Ok(Next::Ask {
                    withdrawal: *known,
                    written,
                    fresh: false,
                });
            }
            Standing::Busy | Standing::Refused => {}
        }
    }
    if let Some(pending) = withdrawals::pending(ledger, now) {
        let created_at = pending.created_at;
        return Err(WithdrawError::InProgress { created_at });
    }
    if let Some(created_at) = request.created_at
        && (created_at > now || created_at.plus(DEDUP_WINDOW) < now)
    {
        return Err(InvalidArgument::new("created_at_time", "is not in the last 24 hours").into());
    }
    if known.is_none() && !withdrawals::has_room(ledger, now) {
        return Err(WithdrawError::TooMany {
            limit: MAX_WITHDRAWALS,
        });
    }
    Ok(Next::First(known.unwrap_or_else(|| {
        let created_at = request
            .created_at
            .unwrap_or_else(|| withdrawals::free_time(ledger, now));
        Withdrawal::new(from, to, request.amount, created_at)
    })))
}

#[cfg(test)]
pub(crate) mod tests;

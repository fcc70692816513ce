//! The canister's own money: what it has, what it owes, and what may be taken out.

use crate::{
    domain::{
        liability::Owed,
        outgoing::{DEDUP_WINDOW, Outgoing, WITHDRAWAL_MEMO, Withdrawal, Written},
        payment::Event,
        roles::Unauthorized,
        settlement::{self, OwnTransfer},
        validate::InvalidArgument,
    },
    runtime::Runtime,
    service::{fees, ledgers, role},
    storage::{self, liabilities},
    types::{Account, Amount, BlockIndex, TimestampNs, canonical},
};
use candid::{Nat, Principal};

/// The most accounts of one ledger whose balance is asked for.
pub const MAX_ACCOUNTS: usize = 32;
/// How often a balance is asked for anew because money left meanwhile.
const BALANCE_TRIES: usize = 3;

/// What the canister has and owes in one ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solvency {
    /// The ledger.
    pub ledger: Principal,
    /// The treasury and the accounts out of which something is owed; `None` if the ledger did not say.
    pub balance: Option<Amount>,
    /// Refunds that are due, with fees.
    pub owed_refunds: Amount,
    /// Payments to accounts of the canister that are not delivered yet.
    pub held: Amount,
    /// Whether each account covers what is owed out of it; `None` if that cannot be said now.
    pub solvent: Option<bool>,
}

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
    /// Another withdrawal is under way or unknown.
    #[error("another withdrawal is not finished")]
    InProgress {
        /// Its `created_at_time`.
        created_at: TimestampNs,
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

/// Asks a ledger for a transfer, and judges the answer. Who calls this books the outcome, and calls
/// [`fees::renew`] then.
pub(super) async fn send<R: Runtime>(
    runtime: &R,
    ledger: Principal,
    transfer: &OwnTransfer<'_>,
) -> Event {
    let known_block = storage::payments::highest_block(&ledger);
    let outcome = runtime
        .call(ledger, settlement::TRANSFER, transfer.argument())
        .await;
    let verdict = settlement::judge(&outcome, known_block, None);
    fees::note(runtime, &ledger, &verdict);
    verdict.event
}

/// What the canister has and owes, ledger by ledger.
pub async fn solvency<R: Runtime>(runtime: &R) -> Result<Vec<Solvency>, Unauthorized> {
    role(runtime, &runtime.caller()).may_operate()?;
    let mut all = vec![];
    for ledger in storage::ledgers::all() {
        all.push(solvency_in(runtime, ledger.id).await);
    }
    Ok(all)
}

async fn solvency_in<R: Runtime>(runtime: &R, ledger: Principal) -> Solvency {
    let outflows = liabilities::outflows();
    let treasury = Account::from(runtime.canister_id());
    let mut accounts = vec![treasury];
    let owing = liabilities::owed(&ledger)
        .into_iter()
        .map(|(account, _)| account);
    accounts.extend(
        owing
            .filter(|account| *account != treasury)
            .take(MAX_ACCOUNTS),
    );
    let mut balances = vec![];
    for account in accounts {
        balances.push((account, balance(runtime, ledger, &account).await));
    }
    let fee = fee(&ledger);
    // What is owed now, when no money left since the first question, is covered by what was there.
    let mut solvent = (outflows == liabilities::outflows()).then_some(true);
    let (mut owed_refunds, mut held) = (0u128, 0u128);
    let owed = liabilities::owed(&ledger);
    for (account, owed) in &owed {
        owed_refunds = owed_refunds.saturating_add(owed.refunds_with(fee).0);
        held = held.saturating_add(owed.held.amount().0);
        let known = balances.iter().find(|(asked, _)| asked == account);
        let covered = known
            .and_then(|(_, balance)| *balance)
            .and_then(|balance| covers(runtime, &ledger, account, balance, owed, fee));
        solvent = match (solvent, covered) {
            (Some(false), _) | (Some(_), Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
    }
    let sum = |sum: Amount, balance: Amount| Amount(sum.0.saturating_add(balance.0));
    let asked = balances.iter().map(|(_, balance)| *balance);
    Solvency {
        ledger,
        balance: asked.reduce(|a, b| Some(sum(a?, b?))).flatten(),
        owed_refunds: Amount(owed_refunds),
        held: Amount(held),
        solvent,
    }
}

/// Whether the balance covers what is owed; `None` if that depends on a withdrawal whose end is not known.
fn covers<R: Runtime>(
    runtime: &R,
    ledger: &Principal,
    account: &Account,
    balance: Amount,
    owed: &Owed,
    fee: Amount,
) -> Option<bool> {
    let owed = owed.total(fee).0;
    let with_withdrawal = owed.saturating_add(reserved(runtime, ledger, account).0);
    match balance.0 {
        enough if enough >= with_withdrawal => Some(true),
        less if less < owed => Some(false),
        _ => None,
    }
}

/// Whether this account has all that is owed out of it, a withdrawal that is not finished included, so that nobody's
/// refund, nor its fee, is paid with the money of somebody else; `None` if the ledger does not say.
///
/// Asked before a refund is tried, even if nobody else is owed anything by then: a try that stays in doubt is
/// repeated without a question, when others may have paid into the account.
pub(super) async fn covers_what_it_owes<R: Runtime>(
    runtime: &R,
    ledger: &Principal,
    account: &Account,
) -> Option<bool> {
    let balance = balance(runtime, *ledger, account).await?;
    // What is owed by now: a payment counts from before its money can arrive.
    let owed = liabilities::owed_by(ledger, account);
    covers(runtime, ledger, account, balance, &owed, fee(ledger)).or(Some(false))
}

/// What a withdrawal that is not finished may still take out of this account.
fn reserved<R: Runtime>(runtime: &R, ledger: &Principal, account: &Account) -> Amount {
    liabilities::withdrawal(ledger)
        .filter(|withdrawal| withdrawal.from == *account)
        .and_then(|withdrawal| withdrawal.reserved(runtime.now()))
        .unwrap_or_default()
}

fn fee(ledger: &Principal) -> Amount {
    storage::ledgers::get(ledger)
        .map(|ledger| ledger.fee)
        .unwrap_or_default()
}

async fn balance<R: Runtime>(runtime: &R, ledger: Principal, account: &Account) -> Option<Amount> {
    let argument = settlement::balance_argument(account);
    let balance: Nat = ledgers::ask(runtime, ledger, "icrc1_balance_of", argument)
        .await
        .ok()?;
    // More than fits covers everything.
    Some(Amount(u128::try_from(&balance.0).unwrap_or(u128::MAX)))
}

/// Takes money out that is nobody's. The block of the transfer.
pub async fn withdraw<R: Runtime>(
    runtime: &R,
    request: WithdrawRequest,
) -> Result<BlockIndex, WithdrawError> {
    let caller = runtime.caller();
    role(runtime, &caller).may_administer()?;
    let from = canonical(Account {
        owner: runtime.canister_id(),
        subaccount: request.from_subaccount,
    });
    let (mut withdrawal, fresh) = match unfinished(runtime, &request, &from)? {
        Some(Withdrawal {
            block: Some(block), ..
        }) => return Ok(block),
        Some(withdrawal) => (withdrawal, false),
        None => (reserve(runtime, &request, from).await?, true),
    };
    let Some(written) = withdrawal.outgoing.doubt else {
        return Err(WithdrawError::UnknownLedger);
    };
    let now = runtime.now();
    withdrawal.outgoing.begin(written, now);
    liabilities::put_withdrawal(&request.ledger, Some(&withdrawal));
    let subject = format!("{} {} to {}", request.ledger, request.amount, request.to);
    storage::audit::admin(caller, "withdraw", &subject, now);

    let transfer = OwnTransfer {
        from,
        to: request.to,
        amount: request.amount,
        fee: written.fee,
        memo: WITHDRAWAL_MEMO,
        created_at: written.created_at,
    };
    let event = send(runtime, request.ledger, &transfer).await;
    let number = withdrawal.outgoing.tries;
    let same = |known: &Withdrawal| known.outgoing.doubt == Some(written);
    let known = liabilities::withdrawal(&request.ledger).filter(same);
    if let Some(mut known) = known {
        known.block = known
            .outgoing
            .end(number, fresh, &event, runtime.now())
            .or(known.block);
        let undone = known.outgoing.doubt.is_none();
        liabilities::put_withdrawal(&request.ledger, Some(&known).filter(|_| !undone));
    }
    fees::renew(runtime, &request.ledger).await;
    match event {
        Event::Moved { block } => Ok(block),
        Event::NotMoved(failure) if fresh => Err(WithdrawError::NotMoved {
            problem: failure.message,
        }),
        _ => Err(WithdrawError::Unknown {
            created_at: written.created_at,
        }),
    }
}

/// The earlier withdrawal that this request repeats, if it does.
fn unfinished<R: Runtime>(
    runtime: &R,
    request: &WithdrawRequest,
    from: &Account,
) -> Result<Option<Withdrawal>, WithdrawError> {
    if storage::ledgers::get(&request.ledger).is_none() {
        return Err(WithdrawError::UnknownLedger);
    }
    let Some(known) = liabilities::withdrawal(&request.ledger) else {
        return Ok(None);
    };
    let Some(Written { created_at, .. }) = known.outgoing.doubt else {
        return Ok(None);
    };
    let now = runtime.now();
    let same = (known.from, known.to, known.amount) == (*from, request.to, request.amount)
        && request.created_at == Some(created_at);
    if known.block.is_some() {
        return Ok(Some(known).filter(|_| same));
    }
    if known.reserved(now).is_none() {
        return Ok(None);
    }
    // Only so long does the ledger know that it is the same one.
    if same && now >= known.outgoing.busy_until && now <= created_at.plus(DEDUP_WINDOW) {
        return Ok(Some(known));
    }
    Err(WithdrawError::InProgress { created_at })
}

/// A new withdrawal, if what is free covers it. To be put down in this message.
async fn reserve<R: Runtime>(
    runtime: &R,
    request: &WithdrawRequest,
    from: Account,
) -> Result<Withdrawal, WithdrawError> {
    if request.amount.0 == 0 {
        return Err(InvalidArgument::new("amount", "is nothing").into());
    }
    if canonical(request.to) == from {
        return Err(InvalidArgument::new("to", "is the account that it comes from").into());
    }
    let now = runtime.now();
    let created_at = request.created_at.unwrap_or(now);
    if created_at > now || created_at.plus(DEDUP_WINDOW) < now {
        return Err(InvalidArgument::new("created_at_time", "is not in the last 24 hours").into());
    }
    let last = liabilities::withdrawal(&request.ledger).and_then(|last| last.outgoing.doubt);
    if let (Some(given), Some(last)) = (request.created_at, last)
        && given <= last.created_at
    {
        // It may be one that was made before the last one: nothing is known of those any more.
        let problem = "is not later than that of the last withdrawal";
        return Err(InvalidArgument::new("created_at_time", problem).into());
    }
    for _ in 0..BALANCE_TRIES {
        let outflows = liabilities::outflows();
        let Some(balance) = balance(runtime, request.ledger, &from).await else {
            break;
        };
        // Another withdrawal may have begun meanwhile.
        unfinished(
            runtime,
            &WithdrawRequest {
                created_at: None,
                ..*request
            },
            &from,
        )?;
        if outflows != liabilities::outflows() {
            continue;
        }
        let fee = fee(&request.ledger);
        let owed = liabilities::owed_by(&request.ledger, &from).total(fee);
        let free = balance.0.saturating_sub(owed.0);
        let available = Amount(free.saturating_sub(fee.0));
        if request.amount > available {
            return Err(WithdrawError::InsufficientFree { available });
        }
        let outgoing = Outgoing {
            doubt: Some(Written { created_at, fee }),
            ..Outgoing::default()
        };
        return Ok(Withdrawal {
            from,
            to: request.to,
            amount: request.amount,
            outgoing,
            block: None,
        });
    }
    Err(WithdrawError::NotMoved {
        problem: "the ledger did not say what there is".into(),
    })
}

#[cfg(test)]
mod tests;

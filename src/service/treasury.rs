//! The canister's own money: what it has and what it owes. What may be taken out is in [`withdraw`](super::withdraw).

use crate::{
    domain::{
        liability::Owed,
        payment::Event,
        roles::Unauthorized,
        settlement::{self, Claimant, OwnTransfer},
    },
    runtime::Runtime,
    service::{fees, ledgers, role},
    storage::{
        self,
        balance::{self, Moment},
        liabilities, withdrawals,
    },
    types::{Account, Amount},
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
    /// How many refunds wait for a controller or are left to a merchant: they are not owed.
    pub waiting: u64,
    /// Their amounts, without fees.
    pub waiting_amount: Amount,
    /// Whether each account covers what is owed out of it; `None` if that cannot be said now.
    pub solvent: Option<bool>,
}

/// Whether a ledger can be asked for a transfer now. If not, nothing may be written down for it.
pub(super) fn can_send<R: Runtime>(runtime: &R, ledger: &Principal) -> bool {
    runtime.can_call(ledger, settlement::TRANSFER, settlement::MAX_ARGUMENT_BYTES)
}

/// Asks a ledger for a transfer, and judges the answer. Who calls this books the outcome, and calls
/// [`fees::renew`] then. `asker`: what the transfer is; the block of another one proves nothing. Its own
/// block is claimed for it.
pub(super) async fn send<R: Runtime>(
    runtime: &R,
    ledger: Principal,
    transfer: &OwnTransfer<'_>,
    asker: Claimant,
) -> Event {
    let known_block = storage::claims::highest_block(&ledger);
    let outcome = runtime
        .call(ledger, settlement::TRANSFER, transfer.argument())
        .await;
    let verdict = settlement::judge(&outcome, known_block, None);
    fees::note(runtime, &ledger, &verdict);
    let Event::Moved { block } = verdict.event else {
        return verdict.event;
    };
    let claimed = storage::claims::of(&ledger, block);
    let event = settlement::unless_claimed(verdict.event, claimed, asker);
    if let Event::Moved { block } = event {
        storage::claims::take(&ledger, block, asker, runtime.now());
    }
    event
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
    let begun = Moment::now();
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
        let moment = Moment::now();
        let balance = balance(runtime, ledger, &account).await;
        balances.push((account, moment, balance));
    }
    let fee = fee(&ledger);
    // What is owed now, when no money left since the first question, is covered by what was there.
    let mut solvent = (!begun.is_past()).then_some(true);
    let (mut owed_refunds, mut held) = (0u128, 0u128);
    let (mut waiting, mut waiting_amount) = (0u64, 0u128);
    for (account, owed) in &liabilities::owed(&ledger) {
        owed_refunds = owed_refunds.saturating_add(owed.refunds_with(fee).0);
        held = held.saturating_add(owed.held.amount().0);
        waiting = waiting.saturating_add(owed.waiting);
        waiting_amount = waiting_amount.saturating_add(owed.waiting_amounts.amount().0);
        let known = balances.iter().find(|(asked, ..)| asked == account);
        let covered = known.and_then(|(_, moment, balance)| {
            let owed = balance::owed_at(*moment, &ledger, account);
            covers(runtime, &ledger, account, (*balance)?, &owed, fee)
        });
        solvent = match (solvent, covered) {
            (Some(false), _) | (Some(_), Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
    }
    let sum = |sum: Amount, balance: Amount| Amount(sum.0.saturating_add(balance.0));
    let asked = balances.iter().map(|(.., balance)| *balance);
    Solvency {
        ledger,
        balance: asked.reduce(|a, b| Some(sum(a?, b?))).flatten(),
        owed_refunds: Amount(owed_refunds),
        held: Amount(held),
        waiting,
        waiting_amount: Amount(waiting_amount),
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

/// What the account has, and what may be in that of what is owed out of it by now; asked anew while money leaves.
/// `None` if the ledger does not say, or money does not cease to leave.
pub(super) async fn balance_and_owed<R: Runtime>(
    runtime: &R,
    ledger: &Principal,
    account: &Account,
) -> Option<(Amount, Owed)> {
    for _ in 0..BALANCE_TRIES {
        let moment = Moment::now();
        let balance = balance(runtime, *ledger, account).await?;
        if !moment.is_past() {
            return Some((balance, balance::owed_at(moment, ledger, account)));
        }
    }
    None
}

/// Whether this account has the money for a refund of this amount and its fee, without what is held in it, what a
/// withdrawal that is not finished may take, and what other refunds in doubt may take; `None` if the ledger does not
/// say.
///
/// Refunds that were not tried do not count: one of them that is larger than the account must not hold up the others.
/// Asked before a refund is tried, even if nobody else is owed anything by then: a try that stays in doubt is
/// repeated without a question, when others may have paid into the account.
pub(super) async fn covers_refund<R: Runtime>(
    runtime: &R,
    ledger: &Principal,
    account: &Account,
    amount: Amount,
    fee: Amount,
) -> Option<bool> {
    let (balance, owed) = balance_and_owed(runtime, ledger, account).await?;
    let reserved = reserved(runtime, ledger, account).0;
    let others = owed.kept_from_a_refund().0.saturating_add(reserved);
    let itself = amount.0.saturating_add(fee.0);
    Some(balance.0 >= others.saturating_add(itself))
}

/// What a withdrawal that is not finished may still take out of this account.
fn reserved<R: Runtime>(runtime: &R, ledger: &Principal, account: &Account) -> Amount {
    let now = runtime.now();
    withdrawals::pending(ledger, now)
        .filter(|withdrawal| withdrawal.from == *account)
        .and_then(|withdrawal| withdrawal.reserved(now))
        .unwrap_or_default()
}

/// The ledger's fee.
pub(super) fn fee(ledger: &Principal) -> Amount {
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

#[cfg(test)]
pub(crate) mod tests;

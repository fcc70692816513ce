//! The canister's own money: what it has and what it owes. [`withdraw`](super::withdraw) decides what may be taken out.

use crate::{
    domain::{liability::Owed, roles::Unauthorized},
    runtime::Runtime,
    service::{payout, role},
    storage::{
        self,
        balance::{self, Moment},
        liabilities,
    },
    types::{Account, Amount},
};
use candid::Principal;

/// The most accounts of one ledger whose balance is queried.
pub const MAX_ACCOUNTS: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solvency {
    pub ledger: Principal,
    /// The balance of the treasury and of the accounts out of which something is owed; `None` if the ledger did not
    /// say.
    pub balance: Option<Amount>,
    /// Refunds that are due, with fees.
    pub owed_refunds: Amount,
    /// Payments to accounts of the canister that are not delivered yet.
    pub held: Amount,
    /// Refunds that wait for a controller or are left to a merchant. They are not owed.
    pub waiting: u64,
    /// Their amounts, without fees.
    pub waiting_amount: Amount,
    /// Whether each account covers what is owed out of it; `None` if that is not known now.
    pub solvent: Option<bool>,
    /// Invoices that wait for money or for their payment.
    pub open_invoices: u64,
    /// Returns of invoices' money that wait.
    pub open_returns: u64,
}

/// What the canister has and owes, by ledger.
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
        let balance = payout::balance(runtime, ledger, &account).await;
        balances.push((account, moment, balance));
    }
    let fee = payout::fee(&ledger);
    // If no money left since the first query, the queried balances are compared with what is owed now.
    let mut solvent = (!begun.is_past()).then_some(true);
    let (mut owed_refunds, mut held) = (0u128, 0u128);
    let (mut waiting, mut waiting_amount) = (0u64, 0u128);
    for (account, owed) in &liabilities::owed(&ledger) {
        owed_refunds = owed_refunds.saturating_add(owed.refunds_with(fee).0);
        held = held.saturating_add(owed.held.amount().0);
        waiting = waiting.saturating_add(owed.waiting);
        waiting_amount = waiting_amount.saturating_add(owed.waiting_amounts.amount().0);
        let known = balances.iter().find(|(queried, ..)| queried == account);
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
    let balances = balances.iter().map(|(.., balance)| *balance);
    let (open_invoices, open_returns) = storage::invoices::open_in(&ledger);
    Solvency {
        open_invoices,
        open_returns,
        ledger,
        balance: balances.reduce(|a, b| Some(sum(a?, b?))).flatten(),
        owed_refunds: Amount(owed_refunds),
        held: Amount(held),
        waiting,
        waiting_amount: Amount(waiting_amount),
        solvent,
    }
}

/// Whether the balance covers what is owed; `None` if that depends on a withdrawal whose outcome is unknown.
fn covers<R: Runtime>(
    runtime: &R,
    ledger: &Principal,
    account: &Account,
    balance: Amount,
    owed: &Owed,
    fee: Amount,
) -> Option<bool> {
    let owed = owed.total(fee).0;
    let with_withdrawal = owed.saturating_add(payout::reserved(runtime, ledger, account).0);
    match balance.0 {
        enough if enough >= with_withdrawal => Some(true),
        less if less < owed => Some(false),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! Learning that a ledger's fee has changed.
//!
//! A ledger that checks the fee first answers `BadFee` with the new one (`domain::settlement`). A ledger that checks
//! allowance or balance first answers `InsufficientAllowance` or `InsufficientFunds` to a payer who has exactly
//! what the offer asks for, and never names the new fee. So after a refusal that another fee would explain, the
//! ledger is asked for its fee ([`renew`]), in a request whose payment moved no money: what was paid for does not wait
//! for a second call. A payer without money can cause such refusals free of charge, and
//! anybody may call [`refresh`], so each ledger is asked at most once in [`PAUSE`](storage::fees::PAUSE).

use crate::{
    domain::{
        ledger::{self, Ledger},
        settlement::Judgement,
    },
    runtime::Runtime,
    service::ledgers::{self, LedgerError},
    storage,
};
use candid::{Nat, Principal};

/// The method that names the fee.
const METHOD: &str = "icrc1_fee";

/// Notes what a ledger's answer says of its fee. To be called before [`renew`].
pub fn note<R: Runtime>(runtime: &R, id: &Principal, judgement: &Judgement) {
    if let Some(fee) = judgement.fee {
        storage::ledgers::learn_fee(id, fee, runtime.now());
    }
    if judgement.fee_in_doubt {
        storage::fees::doubt(id);
    }
}

/// Asks the ledger for its fee, if there is reason to and it was not asked lately. To be called when the
/// refusal that raised the doubt is booked.
pub async fn renew<R: Runtime>(runtime: &R, id: &Principal) {
    if storage::fees::is_doubted(id) && storage::fees::may_query(id, runtime.now()) {
        // Without an answer the fee stays what it was.
        let _ = renew_now(runtime, id).await;
    }
}

/// Asks the ledger for its fee unless it was asked lately, for whoever sees that an offer names another one.
/// Returns what is known of the ledger then.
pub async fn refresh<R: Runtime>(runtime: &R, id: Principal) -> Result<Ledger, LedgerError> {
    let known = || storage::ledgers::get(&id).ok_or(LedgerError::UnknownLedger);
    known()?;
    if storage::fees::may_query(&id, runtime.now()) {
        renew_now(runtime, &id).await?;
    }
    known()
}

async fn renew_now<R: Runtime>(runtime: &R, id: &Principal) -> Result<(), LedgerError> {
    storage::fees::begin(id, runtime.now());
    let fee: Nat = ledgers::query(runtime, *id, METHOD, ledgers::nothing()).await?;
    let problem = || LedgerError::NotALedger {
        problem: "its fee is not a sensible number".into(),
    };
    let fee = ledger::fee(&fee).ok_or_else(problem)?;
    storage::ledgers::learn_queried_fee(id, fee, runtime.now());
    Ok(())
}

#[cfg(test)]
mod tests;

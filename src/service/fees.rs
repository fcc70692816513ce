//! Detection of changed ledger fees.
//!
//! A ledger that checks the fee first answers `BadFee` with the new one (`domain::settlement`). A ledger that checks
//! allowance or balance first answers `InsufficientAllowance` or `InsufficientFunds` to a payer who has exactly what
//! the offer asks for, and never names the new fee. After a refusal that another fee would explain, the ledger is
//! therefore queried for its fee ([`renew`]). That happens in a request whose payment moved no money, so that no
//! delivery waits for a second call. A payer without money can cause such refusals free of charge, and anybody may call
//! [`refresh`]. Each ledger is therefore queried at most once in [`PAUSE`](storage::fees::PAUSE).

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

const METHOD: &str = "icrc1_fee";

/// Records what a ledger's answer says about its fee. Call it before [`renew`].
pub fn note<R: Runtime>(runtime: &R, id: &Principal, judgement: &Judgement) {
    if let Some(fee) = judgement.fee {
        storage::ledgers::learn_fee(id, fee, runtime.now());
    }
    if judgement.fee_in_doubt {
        storage::fees::doubt(id);
    }
}

/// Queries the ledger's fee if it is in doubt and was not queried lately. Call it after the refusal that raised the
/// doubt is recorded.
pub async fn renew<R: Runtime>(runtime: &R, id: &Principal) {
    if storage::fees::is_doubted(id) && storage::fees::may_query(id, runtime.now()) {
        // Without an answer the known fee stays.
        let _ = renew_now(runtime, id).await;
    }
}

/// Queries the ledger's fee unless it was queried lately. Anybody may call this who sees that an offer names another
/// fee. Returns the ledger as it is known afterwards.
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
        problem: "its fee is implausible".into(),
    };
    let fee = ledger::fee(&fee).ok_or_else(problem)?;
    storage::ledgers::learn_queried_fee(id, fee, runtime.now());
    Ok(())
}

#[cfg(test)]
mod tests;

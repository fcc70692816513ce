//! What a payer may be told, beside identity and network.

use super::Payer;
use crate::{
    error::PayError,
    http::Http,
    journal::Journal,
    limits::Limits,
    offer::{By, SpendControls},
    step::Step,
};
use candid::Principal;
use std::{sync::Arc, time::Duration};
use x402_icp::Amount;

impl Payer {
    /// Pays from a subaccount.
    pub fn with_subaccount(mut self, subaccount: [u8; 32]) -> Self {
        self.account.subaccount = Some(subaccount);
        self
    }

    /// Sets the spend controls.
    pub fn with_spend_controls(mut self, controls: SpendControls) -> Self {
        self.controls = controls;
        self
    }

    /// Sets the ways of paying; by allowance only by default. A transfer moves the money before the canister checks
    /// anything, so it is never made unless it is allowed here. A call says method and path only; a request with more
    /// in it is refused ([`PayError::NotByCall`]).
    pub fn with_ways(mut self, by: By) -> Self {
        self.by = by;
        self
    }

    /// Accepts only offers that this canister collects, whatever host serves the resource. Without it, an offer must be
    /// collected by the canister that serves the resource, and none is accepted if that canister is not known.
    pub fn with_spender(mut self, spender: Principal) -> Self {
        self.spender = Some(spender);
        self
    }

    /// Approves the collecting canister if its allowance is too small: for `amount` units, or for exactly this payment.
    /// Only the canister of the typed host, or the one of [`Payer::with_spender`], gets an allowance; never more than
    /// may be paid at once and the ledger's fee; for one hour. An existing allowance is not lowered.
    pub fn with_approval(mut self, amount: Option<Amount>) -> Self {
        self.approve = Some(amount);
        self
    }

    /// Sets how long to send the same payment again while its outcome is not known.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets the journal that records payments before they are sent.
    pub fn with_journal(mut self, journal: Arc<dyn Journal>) -> Self {
        self.journal = journal;
        self
    }

    /// Sets the most unresolved payments to one canister; 100 by default.
    pub fn with_unresolved_limit(mut self, limit: usize) -> Self {
        self.max_unresolved = limit;
        self
    }

    /// Sets the limits on waiting and reading.
    pub fn with_limits(mut self, limits: Limits) -> Result<Self, PayError> {
        self.http = Http::new(limits).map_err(PayError::Unreachable)?;
        self.network = self.network.with_timeout(limits.agent);
        self.limits = limits;
        Ok(self)
    }

    /// Sets a function that is called with each step.
    pub fn with_watcher(mut self, watch: impl Fn(&Step) + Send + Sync + 'static) -> Self {
        self.watch = Some(Arc::new(watch));
        self
    }
}

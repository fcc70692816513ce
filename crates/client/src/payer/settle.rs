//! The outcome of a payment by the word of canister and ledger.

use super::Payer;
use crate::{
    confirm::{self, Resolution},
    error::PayError,
    journal::End,
    payment::SignedPayment,
    plain_text::plain_text,
    step::Step,
};
use x402_icp::PaymentId;

impl Payer {
    /// Checks with canister and ledger, and ends the record of a dead payment.
    pub(super) async fn settle(
        &self,
        payment: &SignedPayment,
        cancel: bool,
        reason: &str,
    ) -> Resolution {
        self.tell(Step::Confirming(plain_text(reason)));
        if payment.is_transfer() {
            return self.settle_transfer(payment).await;
        }
        let known = match self.known() {
            Ok(known) => known,
            Err(problem) => {
                let reason = problem.to_string();
                return Resolution::Unknown { reason };
            }
        };
        let (network, rail) = (&self.network, self.rail());
        let caller = self.identity.principal();
        let resolved = confirm::resolve(network, rail, caller, payment, &known, cancel).await;
        self.ended_if_dead(payment, &resolved);
        resolved
    }

    /// Compares with the ledger that a payment is over, as its canister says, and ends its record.
    pub(super) async fn settle_over(&self, payment: &SignedPayment, reason: String) -> Resolution {
        self.tell(Step::Confirming(plain_text(&reason)));
        let resolved = match self.known() {
            Ok(known) => confirm::over(&self.network, self.rail(), payment, &known, reason).await,
            Err(problem) => Resolution::Unknown {
                reason: problem.to_string(),
            },
        };
        self.ended_if_dead(payment, &resolved);
        resolved
    }

    fn ended_if_dead(&self, payment: &SignedPayment, resolution: &Resolution) {
        if let (Resolution::Dead { .. }, Some(id)) = (resolution, payment.id())
            && let Err(problem) = self.journal.release(id, End::Dead)
        {
            // It is dead in any case; a remaining record is found dead again.
            self.tell(Step::Confirming(problem.to_string()));
        }
    }

    /// The payments that the ledger's blocks may be for.
    fn known(&self) -> Result<Vec<PaymentId>, PayError> {
        let unresolved = self.journal.unresolved()?;
        let mut known = self.journal.ended()?;
        known.extend(unresolved.iter().filter_map(|entry| entry.payment.id()));
        Ok(known)
    }
}

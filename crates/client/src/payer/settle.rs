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
        let caller = self.identity.principal();
        let resolution = confirm::resolve(&self.network, caller, payment, &known, cancel).await;
        if let (Resolution::Dead { .. }, Some(id)) = (&resolution, payment.id())
            && let Err(problem) = self.journal.release(id, End::Dead)
        {
            // It is dead in any case; a remaining record is found dead again.
            self.tell(Step::Confirming(problem.to_string()));
        }
        resolution
    }

    /// The payments that the ledger's blocks may be for.
    fn known(&self) -> Result<Vec<PaymentId>, PayError> {
        let unresolved = self.journal.unresolved()?;
        let mut known = self.journal.ended()?;
        known.extend(unresolved.iter().filter_map(|entry| entry.payment.id()));
        Ok(known)
    }
}

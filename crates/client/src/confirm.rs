//! Confirmation of a payment's outcome by the collecting canister and the ledger.
//!
//! A response over HTTP can be forged by a gateway that forwards it. A gateway that reports "refused" has a payment
//! that is valid until its `validBefore`, and can present it while the payer signs another one. A payment is therefore
//! dead only if the collecting canister says so by an update call, whose reply the subnet signs, and the ledger shows
//! that the canister took nothing: the seller names the canister, so its reply alone is not enough.

use crate::{
    ledger::{Clean, Rail, Search, Status},
    network::{CallError, Network},
    payment::{Payload, SignedPayment},
};
use candid::{Nat, Principal, encode_one};
use serde_bytes::ByteBuf;
use tollkeeper_types::{CancelArgs, CancelError};
use x402_icp::{
    Account, Amount, Nonce, PaymentId,
    values::{parse_account, parse_principal},
};

/// How far before `validAfter` the ledger's log is read, in seconds, because clocks differ.
const CLOCK_SKEW_SECONDS: u64 = 120;

/// The outcome of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolution {
    /// It moved no money and never will: the canister says so by update call, and the ledger agrees; of a transfer the
    /// ledger alone. It is no longer recorded.
    Dead {
        /// The statement of the canister, or of the ledger.
        reason: String,
    },
    /// It was charged: the canister names the block, and the ledger's block is this payment's; or the payer's own
    /// transfer is in the block. The resource can be
    /// fetched with the same payment for at least a day after delivery; [`crate::Payer::forget`] ends the record.
    Paid {
        /// The ledger's block.
        block: String,
        /// The canister's name of the state: `settled`, `delivered`, `refunding` or `refunded`; `transferred` if the
        /// canister does not know the payment, so that the proof of the transfer has to be presented.
        state: String,
        /// The block of the refund, if the canister names one.
        refund_block: Option<String>,
    },
    /// Not known, or not proven. It stays recorded.
    Unknown {
        /// The reason.
        reason: String,
    },
}

/// The data of the payment that is checked.
struct Subject<'a> {
    network: &'a Network,
    rail: &'a dyn Rail,
    spender: Principal,
    ledger: Principal,
    from: Account,
    pay_to: Account,
    amount: Amount,
    id: PaymentId,
    /// `None` of a call, which cannot be cancelled.
    nonce: Option<Nonce>,
    valid_after: u64,
    valid_before: u64,
    allowance: Option<(Amount, Option<u64>)>,
}

/// The canister's statement.
enum Word {
    Dead(String),
    Paid {
        block: Nat,
        state: &'static str,
        refund: Option<Nat>,
    },
}

/// Checks a payment with canister and ledger. `cancel`: an authorization that is still valid is cancelled, because it
/// cannot be known to be dead before its `validBefore` otherwise. `known` are the payer's other payments.
pub(crate) async fn resolve(
    network: &Network,
    rail: &dyn Rail,
    caller: Principal,
    payment: &SignedPayment,
    known: &[PaymentId],
    cancel: bool,
) -> Resolution {
    let word = async {
        let subject = Subject::of(network, rail, payment)?;
        let word = match subject.nonce.filter(|_| cancel) {
            // The cancellation would be for another payer's nonce.
            Some(_) if subject.from.owner != caller => {
                return Err(format!("{} signed it, not {caller}", subject.from.owner));
            }
            Some(nonce) => subject.cancel(nonce).await?,
            None => subject.look().await?,
        };
        Ok((subject, word))
    };
    let resolved = match word.await {
        Err(problem) => Err(problem),
        Ok((subject, Word::Dead(reason))) => subject.agreed(reason, known).await,
        Ok((
            subject,
            Word::Paid {
                block,
                state,
                refund,
            },
        )) => subject.paid(block, state, refund).await,
    };
    resolved.unwrap_or_else(|reason| Resolution::Unknown { reason })
}

/// Whether a payment is dead that its canister says to be over for ever: the ledger has to agree.
pub(crate) async fn over(
    network: &Network,
    rail: &dyn Rail,
    payment: &SignedPayment,
    known: &[PaymentId],
    reason: String,
) -> Resolution {
    let resolved = match Subject::of(network, rail, payment) {
        Ok(subject) => subject.agreed(reason, known).await,
        Err(problem) => Err(problem),
    };
    resolved.unwrap_or_else(|reason| Resolution::Unknown { reason })
}

impl<'a> Subject<'a> {
    fn of(
        network: &'a Network,
        rail: &'a dyn Rail,
        payment: &SignedPayment,
    ) -> Result<Self, String> {
        payment.check()?;
        let accepted = &payment.payment.accepted;
        if accepted.network != network.id() {
            return Err(format!(
                "it is a payment on {}, and {} was asked",
                accepted.network,
                network.id()
            ));
        }
        let malformed = |what: &str| format!("its {what} cannot be decoded");
        let nonce = match &payment.payment.payload {
            Payload::Authorization(texts) => {
                Some(texts.nonce.parse().map_err(|_| malformed("nonce"))?)
            }
            Payload::Call(_) => None,
            Payload::Transfer(_) => return Err("it is a transfer of the payer's own".into()),
        };
        Ok(Subject {
            network,
            rail,
            spender: payment.spender().ok_or_else(|| malformed("spender"))?,
            ledger: parse_principal(&accepted.asset).map_err(|_| malformed("asset"))?,
            from: payment.from().ok_or_else(|| malformed("payer"))?,
            pay_to: parse_account(&accepted.pay_to).map_err(|_| malformed("recipient"))?,
            amount: payment.amount().ok_or_else(|| malformed("amount"))?,
            id: payment.id().ok_or_else(|| malformed("id"))?,
            nonce,
            valid_after: payment.valid_after().ok_or_else(|| malformed("time"))?,
            valid_before: payment.valid_before().ok_or_else(|| malformed("time"))?,
            allowance: standing(payment),
        })
    }

    async fn cancel(&self, nonce: Nonce) -> Result<Word, String> {
        let cancel = CancelArgs {
            nonce: ByteBuf::from(nonce.0.to_vec()),
            valid_before_seconds: self.valid_before,
        };
        let argument = encode_one(cancel).map_err(|e| e.to_string())?;
        let called = self
            .network
            .update_one(self.spender, "cancel_authorization", argument);
        let (cancelled, _): (Result<(), CancelError>, u64) =
            called.await.map_err(|error: CallError| {
                self.not_confirmed("cancel_authorization", &error.to_string())
            })?;
        match cancelled {
            Ok(()) => Ok(Word::Dead("it is cancelled".into())),
            Err(CancelError::AlreadyUsed { .. } | CancelError::Expired { .. }) => self.look().await,
            Err(CancelError::TooFarAhead { limit_seconds }) => Err(format!(
                "it ends after {limit_seconds}, too late to be cancelled yet"
            )),
            Err(CancelError::InvalidArgument(problem)) => {
                Err(format!("{} {}", problem.field, problem.problem))
            }
            Err(CancelError::AnonymousCaller) => Err("the payer is anonymous".into()),
            Err(CancelError::TooManyCancellations { limit }) => {
                Err(format!("there are more than {limit} cancellations"))
            }
        }
    }

    /// The canister's record. A missing record proves something only if the authorization has expired at the time that
    /// the subnet signed: nothing is charged after `validBefore`, and no payment by call begins then.
    async fn look(&self) -> Result<Word, String> {
        let asked = self.rail.payment(self.spender, self.id).await;
        let (found, time) = asked.map_err(|problem| self.not_confirmed("payment", &problem))?;
        let is_call = self.nonce.is_none();
        let past = time / 1_000_000_000 >= self.valid_before;
        let paid = |block, state| {
            Ok(Word::Paid {
                block,
                state,
                refund: None,
            })
        };
        match found {
            None if past => Ok(Word::Dead("it has expired, and was never used".into())),
            None if is_call => Err(
                "the canister does not know it by now, and a call that was sent may still arrive"
                    .into(),
            ),
            None => Err("the canister does not know it, and it is still valid".into()),
            // The id of a call stays used, so another call finds the failure.
            Some(Status::Failed { code }) if is_call => {
                Ok(Word::Dead(format!("it has failed ({code})")))
            }
            Some(Status::Failed { code }) if past => {
                Ok(Word::Dead(format!("it has failed ({code}) and expired")))
            }
            Some(Status::Failed { code }) => Err(format!(
                "it has failed ({code}), and its authorization is still valid"
            )),
            Some(Status::Settling) => Err("it is being settled".into()),
            Some(Status::Unknown {}) => Err("the canister does not know its outcome either".into()),
            Some(Status::Settled { block_index }) => paid(block_index, "settled"),
            Some(Status::Delivered { block_index }) => paid(block_index, "delivered"),
            Some(Status::Refunding { block_index }) => paid(block_index, "refunding"),
            Some(Status::Refunded {
                block_index,
                refund_block_index,
            }) => Ok(Word::Paid {
                block: block_index,
                state: "refunded",
                refund: Some(refund_block_index),
            }),
        }
    }

    /// Dead, if the ledger shows that nothing was taken.
    async fn agreed(&self, reason: String, known: &[PaymentId]) -> Result<Resolution, String> {
        let since = self.valid_after.saturating_sub(CLOCK_SKEW_SECONDS);
        let search = Search {
            payer: self.from,
            spender: self.spender,
            payment: self.id,
            known,
            since: since.saturating_mul(1_000_000_000),
            allowance: self.allowance,
        };
        match self.rail.clean(self.ledger, &search).await {
            Clean::Yes => Ok(Resolution::Dead { reason }),
            Clean::No(taken) if taken.by_this_payment => Err(format!(
                "the canister says that {reason}, but block {} of ledger {} charges it",
                taken.block, self.ledger
            )),
            Clean::No(taken) => Err(format!(
                "the canister says that {reason}, but took money in block {} of ledger {}, for no payment that is known",
                taken.block, self.ledger
            )),
            Clean::Unknown(problem) => Err(format!(
                "the canister says that {reason}, and the ledger does not confirm it: {problem}"
            )),
        }
    }

    /// Paid, if the block is this payment's.
    async fn paid(
        &self,
        block: Nat,
        state: &str,
        refund: Option<Nat>,
    ) -> Result<Resolution, String> {
        let index = u64::try_from(&block.0)
            .map_err(|_| format!("the canister says that it is {state} in no possible block"))?;
        let found = self.rail.block(self.ledger, index).await;
        let found = found.map_err(|e| format!("the canister says that it is {state}: {e}"))?;
        let ours = found.from.is(&self.from)
            && found.to.is(&self.pay_to)
            && found.amount == self.amount
            && found.memo.as_deref() == Some(&self.id.0[..])
            && found
                .spender
                .is_some_and(|spender| spender.is_of(&self.spender));
        match ours {
            true => Ok(Resolution::Paid {
                block: block.0.to_string(),
                state: state.into(),
                refund_block: refund.map(|refund| refund.0.to_string()),
            }),
            false => Err(format!(
                "the canister says that it is {state} in block {}, which is another transfer's",
                block.0
            )),
        }
    }

    fn not_confirmed(&self, method: &str, problem: &str) -> String {
        format!(
            "canister {} did not confirm: {method}: {problem}",
            self.spender
        )
    }
}

/// The state of a payment by transfer according to its canister, and the block of a refund.
pub(crate) async fn state_of(
    rail: &dyn Rail,
    canister: Principal,
    id: PaymentId,
) -> Result<(&'static str, Option<String>), String> {
    let asked = rail.payment(canister, id).await;
    let (found, _) = asked
        .map_err(|error| format!("canister {canister} did not say what became of it: {error}"))?;
    Ok(match found {
        None => ("transferred", None),
        Some(Status::Settling) => ("settling", None),
        Some(Status::Failed { .. }) => ("failed", None),
        Some(Status::Unknown {}) => ("unknown", None),
        Some(Status::Settled { .. }) => ("settled", None),
        Some(Status::Delivered { .. }) => ("delivered", None),
        Some(Status::Refunding { .. }) => ("refunding", None),
        Some(Status::Refunded {
            refund_block_index, ..
        }) => ("refunded", Some(refund_block_index.0.to_string())),
    })
}

/// The allowance before the payment was sent; `None` if its texts are not numbers.
fn standing(payment: &SignedPayment) -> Option<(Amount, Option<u64>)> {
    let amount = payment.allowance.as_ref()?.parse().ok()?;
    let ends = payment.allowance_ends.as_ref().map(|text| text.parse());
    Some((amount, ends.transpose().ok()?))
}

//! The money for an offer: balance, allowance and fee, and the approval that may be made.

use super::{Payer, Priced, now};
use crate::{
    error::{LedgerError, PayError},
    ledger::Approval,
    offer::{Method, Offer, why},
    payment::{Purchase, SignedPayment, named},
    serving::is_canister,
    step::Step,
};
use icrc_ledger_types::icrc2::approve::ApproveError;
use x402_icp::{
    Account, Amount,
    decode::MAX_HEADER_BYTES,
    encode_header,
    signer::Signer,
    wire::{DelegationText, ExactIcrc2Payload, PaymentPayload, X402_VERSION},
};

/// The duration of such an approval, in nanoseconds.
const APPROVAL_LASTS: u64 = 3_600 * 1_000_000_000;
/// The most tries of an approval when the allowance changes meanwhile.
const APPROVALS_TRIED: usize = 5;
/// The time that the calls of a transfer may take, in seconds.
const TRANSFER_SECONDS: u64 = 300;
/// The length of a signature in base64, of every kind of key except a canister's.
const SIGNATURE_TEXT_BYTES: usize = 88;

/// The ledger's answers about an offer.
struct Funds {
    fee: Amount,
    balance: Amount,
    allowance: Amount,
    /// Nanoseconds since 1970-01-01; `None` without an end.
    expires_at: Option<u64>,
    /// Whether the ledger reports an allowance that has ended.
    ended: bool,
}

impl Funds {
    /// The ledger's answers at a time in nanoseconds. Some ledgers go on reporting an allowance that has ended. It
    /// counts as none, and is no reason to approve as much again.
    fn new(fee: Amount, balance: Amount, allowance: (Amount, Option<u64>), now: u64) -> Self {
        let (allowance, expires_at) = allowance;
        let ended = expires_at.is_some_and(|at| at <= now);
        Funds {
            fee,
            balance,
            allowance: if ended { Amount(0) } else { allowance },
            expires_at: expires_at.filter(|_| !ended),
            ended,
        }
    }
}

impl Payer {
    /// Finds the first offer that the ledger will accept; makes an approval if allowed and necessary.
    pub async fn fund(&self, priced: &Priced) -> Result<Offer, PayError> {
        let mut approvable = None;
        let mut problem = None;
        for (place, offer) in priced.offers.iter().enumerate() {
            // An offer that cannot be signed needs no money.
            let checked = match self.signable(priced, offer) {
                Ok(()) => self.check_funds(offer).await,
                Err(problem) => Err(problem),
            };
            match checked {
                Ok(funded) => return Ok(self.chosen(funded, priced, place)),
                Err(e @ PayError::NeedsApproval { .. }) if approvable.is_none() => {
                    approvable = Some((place, offer, e));
                }
                Err(e) => problem = problem.or(Some(e)),
            }
        }
        match (approvable, problem, self.approve) {
            (Some((place, offer, _)), _, Some(amount)) => {
                self.chosen(offer.clone(), priced, place);
                self.approve(priced, offer, amount).await
            }
            (Some((_, _, problem)), _, None) | (None, Some(problem), _) => Err(problem),
            (None, None, _) => Err(PayError::NoAcceptableOffer(priced.refused.clone())),
        }
    }

    fn chosen(&self, offer: Offer, priced: &Priced, place: usize) -> Offer {
        self.tell(Step::Chosen {
            ledger: offer.asset,
            amount: offer.amount,
            fee: offer.fee,
            by: offer.method(),
            why: why(&priced.offers, place),
            of: priced.offers.len(),
        });
        offer
    }

    async fn ask_ledger(&self, offer: &Offer) -> Result<Funds, PayError> {
        let ledger = self.network.ledger(offer.asset);
        let allowance = async {
            match offer.method() {
                Method::Allowance => {
                    let spender = offer.spender.into();
                    ledger.allowance(self.account, spender).await
                }
                // The payer transfers by itself.
                Method::Transfer => Ok((Amount(0), None)),
            }
        };
        let (fee, balance, allowance) =
            tokio::try_join!(ledger.fee(), ledger.balance(self.account), allowance)?;
        if fee != offer.fee {
            // The seller finds out about a new fee from payments, and this one is not made, so its canister is told.
            // The call has no effect if the canister has no such method, or queried its ledger a short while ago.
            if let Ok(asset) = candid::encode_one(offer.asset) {
                let renewed = self.network.update(offer.spender, "ledger_refresh", asset);
                let _ = renewed.await;
            }
            return Err(PayError::FeeMismatch {
                asset: offer.asset,
                offered: offer.fee,
                ledger: fee,
            });
        }
        let now = now().saturating_mul(1_000_000_000);
        Ok(Funds::new(fee, balance, allowance, now))
    }

    async fn check_funds(&self, offer: &Offer) -> Result<Offer, PayError> {
        let offer = &match offer.method() {
            Method::Allowance => offer.clone(),
            Method::Transfer => self.confirmed(offer).await?,
        };
        #[cfg(test)]
        if !self.asks_ledgers {
            return Ok(offer.clone());
        }
        self.tell(Step::CheckingFunds(offer.asset));
        let funds = self.ask_ledger(offer).await?;
        let needed = offer.total();
        if funds.balance < needed {
            return Err(PayError::InsufficientFunds {
                asset: offer.asset,
                needed,
                balance: funds.balance,
            });
        }
        if offer.method() == Method::Transfer {
            return Ok(offer.clone());
        }
        // An allowance that ends before the payment can be settled counts as none.
        let last_moment = now().saturating_add(offer.max_timeout_seconds().into());
        let ends_at = funds.expires_at.map(|at| at / 1_000_000_000);
        let too_early = ends_at.filter(|&at| at <= last_moment && funds.allowance >= needed);
        if funds.allowance < needed || too_early.is_some() {
            return Err(PayError::NeedsApproval {
                asset: offer.asset,
                spender: offer.spender,
                needed,
                allowance: funds.allowance,
                ends_in: too_early.map(|at| at.saturating_sub(now())),
            });
        }
        Ok(Offer {
            allowance: Some((funds.allowance, funds.expires_at)),
            ..offer.clone()
        })
    }

    /// Approves enough for the collecting canister: never more than was requested or than one payment may cost, never
    /// less than the present allowance, and never for a shorter time.
    async fn approve(
        &self,
        priced: &Priced,
        offer: &Offer,
        asked: Option<Amount>,
    ) -> Result<Offer, PayError> {
        let refused = |problem| PayError::NoApproval {
            spender: offer.spender,
            problem,
        };
        if !is_canister(offer.spender) {
            return Err(refused("it is not a canister's id"));
        }
        if !priced.typed {
            return Err(refused("neither the URL as typed nor the user names it"));
        }
        let max = self.controls.max(offer.asset).unwrap_or_default();
        let ledger = self.network.ledger(offer.asset);
        for _ in 0..APPROVALS_TRIED {
            let funds = self.ask_ledger(offer).await?;
            let needed = offer.total();
            let asked = asked.unwrap_or(needed);
            let limit = Amount(max.0.saturating_add(funds.fee.0));
            if asked > limit {
                return Err(PayError::ApprovalOverLimit {
                    asset: offer.asset,
                    asked,
                    limit,
                });
            }
            // Never more than was requested, not even if that is too little.
            if asked < needed {
                return Err(PayError::NeedsApproval {
                    asset: offer.asset,
                    spender: offer.spender,
                    needed,
                    allowance: funds.allowance,
                    ends_in: None,
                });
            }
            let with_approval = Amount(needed.0.saturating_add(funds.fee.0));
            if funds.balance < with_approval {
                return Err(PayError::InsufficientFunds {
                    asset: offer.asset,
                    needed: with_approval,
                    balance: funds.balance,
                });
            }
            let amount = funds.allowance.max(asked);
            let expires_at = self.approval_end(offer, &funds);
            self.tell(Step::Approving {
                ledger: offer.asset,
                spender: offer.spender,
                amount,
                expires_at,
            });
            let approval = Approval {
                from_subaccount: self.account.subaccount,
                spender: offer.spender.into(),
                amount,
                // It is not known what such a ledger compares with.
                expected_allowance: (!funds.ended).then_some(funds.allowance),
                expires_at,
            };
            match ledger.approve(&approval).await {
                Ok(_) => {
                    return Ok(Offer {
                        allowance: Some((amount, expires_at)),
                        ..offer.clone()
                    });
                }
                // Another purchase approved or paid meanwhile: query again.
                Err(LedgerError::Approve {
                    problem: ApproveError::AllowanceChanged { .. },
                    ..
                }) => {}
                Err(problem) => return Err(problem.into()),
            }
            // The allowance may be enough by now.
            match self.check_funds(offer).await {
                Err(PayError::NeedsApproval { .. }) => {}
                decided => return decided,
            }
        }
        Err(refused("the allowance keeps changing"))
    }

    /// One hour from now, or later if the payment or the present allowance lasts longer.
    fn approval_end(&self, offer: &Offer, funds: &Funds) -> Option<u64> {
        let seconds = u64::from(offer.max_timeout_seconds()).saturating_add(120);
        let lasts = APPROVAL_LASTS.max(seconds.saturating_mul(1_000_000_000));
        let end = now().saturating_mul(1_000_000_000).saturating_add(lasts);
        match (funds.allowance, funds.expires_at) {
            // There is no allowance, so none is shortened.
            (Amount(0), _) => Some(end),
            // An allowance without an end stays so.
            (_, None) => None,
            (_, Some(standing)) => Some(end.max(standing)),
        }
    }

    fn purchase<'a>(&self, priced: &'a Priced, offer: &'a Offer) -> Purchase<'a> {
        let redirected = priced.asked_url != priced.request.url;
        Purchase {
            request: &priced.request,
            asked_url: redirected.then_some(priced.asked_url.as_str()),
            offer,
            resource: priced.resource.as_ref(),
            extensions: priced.extensions.as_ref(),
            from: self.account,
        }
    }

    /// Signs an offer, or fixes the transfer that pays it. One purchase needs one signature or transfer: to repeat it,
    /// [`Payer::send`] the result again.
    pub fn sign(&self, priced: &Priced, offer: &Offer) -> Result<SignedPayment, PayError> {
        self.signable(priced, offer)?;
        let purchase = self.purchase(priced, offer);
        if offer.method() == Method::Transfer {
            if !offer.confirmed {
                return Err(PayError::Unconfirmed {
                    canister: offer.spender,
                    problem: "it was not asked (fund)".into(),
                });
            }
            return Ok(SignedPayment::sign(&purchase, now(), &self.identity)?);
        }
        let seconds = offer.max_timeout_seconds();
        // A slow key (a hardware key that waits for its user) uses up the time. The first signature was not sent, so
        // only the second one leaves the process.
        for _ in 0..2 {
            let payment = SignedPayment::sign(&purchase, now(), &self.identity)?;
            let actual = payment.header().len();
            if actual > MAX_HEADER_BYTES {
                return Err(too_long(actual));
            }
            let left = payment
                .valid_before()
                .unwrap_or_default()
                .saturating_sub(now());
            if left >= u64::from(seconds).div_ceil(2) {
                return Ok(payment);
            }
        }
        Err(PayError::SlowSigner { seconds })
    }

    /// Whether the identity can make the transfer, and its proof can be sent: checked before any money moves.
    fn transferable(&self, priced: &Priced, offer: &Offer) -> Result<(), PayError> {
        let last_moment = now().saturating_add(TRANSFER_SECONDS);
        for delegation in self.identity.delegations() {
            let targets = delegation.targets.as_ref();
            if targets.is_some_and(|targets| !targets.contains(&offer.asset)) {
                let problem = format!("it does not allow ledger {}", offer.asset);
                return Err(PayError::Delegation(problem));
            }
            if delegation.expiration / 1_000_000_000 < last_moment {
                let problem = format!("it ends within {TRANSFER_SECONDS} s");
                return Err(PayError::Delegation(problem));
            }
        }
        let draft = SignedPayment::sign(&self.purchase(priced, offer), now(), &self.identity)?;
        match draft.with_block(u64::MAX).header().len() {
            actual if actual > MAX_HEADER_BYTES => Err(too_long(actual)),
            _ => Ok(()),
        }
    }

    /// Whether the identity can sign this offer so that the canister accepts it; checked without signing.
    fn signable(&self, priced: &Priced, offer: &Offer) -> Result<(), PayError> {
        if offer.method() == Method::Transfer {
            return self.transferable(priced, offer);
        }
        let last_moment = now().saturating_add(offer.max_timeout_seconds().into());
        let chain = self.identity.delegations();
        for delegation in &chain {
            let targets = delegation.targets.as_ref();
            if targets.is_some_and(|targets| !targets.contains(&offer.spender)) {
                return Err(PayError::Delegation(format!(
                    "it does not allow {}, which collects",
                    offer.spender
                )));
            }
            if delegation.expiration / 1_000_000_000 < last_moment {
                return Err(PayError::Delegation(format!(
                    "it ends before the payment does, which is good for {} s",
                    offer.max_timeout_seconds()
                )));
            }
        }
        let key = self.identity.public_key_der();
        x402_icp::signature::check_chain(
            &key,
            &chain,
            now().saturating_mul(1_000_000_000),
            offer.spender,
        )
        .map_err(|error| PayError::Delegation(error.to_string()))?;
        let name = priced.request.payment_identifier.as_deref();
        let draft = PaymentPayload {
            x402_version: X402_VERSION,
            resource: priced.resource.clone(),
            accepted: offer.verbatim.clone(),
            payload: ExactIcrc2Payload {
                from: Account::to_string(&self.account),
                nonce: "0".repeat(64),
                valid_after: last_moment.to_string(),
                valid_before: last_moment.to_string(),
                public_key: x402_icp::values::to_base64(&key),
                signature: "A".repeat(SIGNATURE_TEXT_BYTES),
                delegations: (!chain.is_empty())
                    .then(|| chain.iter().map(DelegationText::from).collect()),
            },
            extensions: priced
                .extensions
                .as_ref()
                .map(|all| named(all.clone(), name)),
        };
        match encode_header(&draft).len() {
            actual if actual > MAX_HEADER_BYTES => Err(too_long(actual)),
            _ => Ok(()),
        }
    }
}

fn too_long(actual: usize) -> PayError {
    PayError::TooLong {
        limit: MAX_HEADER_BYTES,
        actual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_that_has_ended_is_not_given_again() {
        let asked = Amount(10);
        for (expires_at, now, approved) in [
            (Some(100), 100, asked),
            (Some(100), u64::MAX, asked),
            (Some(101), 100, Amount(49)),
            (None, u64::MAX, Amount(49)),
        ] {
            let funds = Funds::new(Amount(1), Amount(99), (Amount(49), expires_at), now);
            assert_eq!(funds.allowance.max(asked), approved, "{expires_at:?}");
            assert_eq!(funds.ended, approved == asked);
        }
    }
}

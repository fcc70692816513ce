//! The money for an offer: balance, allowance and fee, and the approval that may be made.

use super::{Payer, Priced, now};
use crate::{
    error::{LedgerError, PayError},
    ledger::Approval,
    offer::{By, Method, Offer, why},
    serving::is_canister,
    step::Step,
};
use icrc_ledger_types::icrc2::approve::ApproveError;
use x402_icp::Amount;

/// The duration of such an approval, in nanoseconds.
const APPROVAL_LASTS: u64 = 3_600 * 1_000_000_000;
/// The most tries of an approval when the allowance changes meanwhile.
const APPROVALS_TRIED: usize = 5;

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
            // An offer that cannot be signed, or is not the canister's, needs no money.
            let confirmed = match self.possible(priced, offer) {
                Ok(offer) => self.confirmed(priced, &offer).await,
                Err(problem) => Err(problem),
            };
            let offer = match confirmed {
                Ok(offer) => offer,
                Err(e) => {
                    problem = problem.or(Some(e));
                    continue;
                }
            };
            match self.check_funds(&offer).await {
                Ok(funded) => return Ok(self.chosen(funded, priced, place)),
                Err(e @ PayError::NeedsApproval { .. }) if approvable.is_none() => {
                    approvable = Some((place, offer, e));
                }
                Err(e) => problem = problem.or(Some(e)),
            }
        }
        match (approvable, problem, self.approve) {
            (Some((place, offer, _)), _, Some(amount)) => {
                let offer = self.chosen(offer, priced, place);
                self.approve(priced, &offer, amount).await
            }
            (Some((_, _, problem)), _, None) | (None, Some(problem), _) => Err(problem),
            (None, None, _) => Err(PayError::NoAcceptableOffer(priced.refused.clone())),
        }
    }

    /// The offer as it can be paid. One whose authorization cannot be made or sent may be paid by a call.
    fn possible(&self, priced: &Priced, offer: &Offer) -> Result<Offer, PayError> {
        match self.signable(priced, offer) {
            Ok(()) => Ok(offer.clone()),
            Err(problem @ (PayError::Delegation(_) | PayError::TooLong { .. }))
                if self.by == By::Any && offer.method() == Method::Allowance =>
            {
                let called = offer.clone().by_call();
                match self.signable(priced, &called) {
                    Ok(()) => Ok(called),
                    Err(_) => Err(problem),
                }
            }
            Err(problem) => Err(problem),
        }
    }

    fn chosen(&self, offer: Offer, priced: &Priced, place: usize) -> Offer {
        let why = match (self.by, offer.method()) {
            (By::Any, Method::Call) => "an authorization of it can be neither signed nor sent",
            _ => why(&priced.offers, place),
        };
        self.tell(Step::Chosen {
            ledger: offer.asset,
            amount: offer.amount,
            fee: offer.fee,
            by: offer.method(),
            why,
            of: priced.offers.len(),
        });
        offer
    }

    async fn ask_ledger(&self, offer: &Offer) -> Result<Funds, PayError> {
        let ledger = self.network.ledger(offer.asset);
        let allowance = async {
            match offer.method() {
                Method::Allowance | Method::Call => {
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

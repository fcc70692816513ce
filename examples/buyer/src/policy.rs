//! What the canister may buy.

use candid::{CandidType, Nat, Principal};
use serde::Deserialize;
use tollkeeper_types::Offer;

/// The limits of one ledger, in atomic units, fees included.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Cap {
    /// The ledger.
    pub ledger: Principal,
    /// The most that one payment may cost.
    pub per_payment: Nat,
    /// The most that the payments of 24 hours may cost.
    pub per_day: Nat,
}

/// Who may be paid, in which ledgers, and how much.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Policy {
    /// The Tollkeepers that may be paid.
    pub sellers: Vec<Principal>,
    /// Ledgers without an entry are not used.
    pub caps: Vec<Cap>,
}

/// What a payment of this offer costs: the amount, the fee of the transfer, and the fee of the approval.
pub fn total(offer: &Offer) -> Nat {
    offer.amount.clone() + offer.fee.clone() + offer.fee.clone()
}

impl Policy {
    /// The first offer that may be paid, in the seller's order. `spent` is what was spent in a ledger in the last 24
    /// hours.
    pub fn choose(
        &self,
        seller: Principal,
        offers: Vec<Offer>,
        spent: impl Fn(&Principal) -> Nat,
    ) -> Result<Offer, String> {
        if !self.sellers.contains(&seller) {
            return Err("this seller is not allowed".into());
        }
        let mut problem = "the seller has no offer".to_string();
        for offer in offers {
            let cap = self.caps.iter().find(|cap| cap.ledger == offer.ledger);
            let total = total(&offer);
            problem = match cap {
                // Whoever is named here can take the allowance.
                _ if offer.spender != seller => "the offer names another spender".into(),
                None => format!("no payments in {}", offer.ledger),
                Some(cap) if total > cap.per_payment => {
                    format!("{total} is more than {} a payment", cap.per_payment)
                }
                Some(cap) if spent(&offer.ledger) + total.clone() > cap.per_day => {
                    format!("with {total} it would be more than {} a day", cap.per_day)
                }
                Some(_) => return Ok(offer),
            };
        }
        Err(problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollkeeper_types::Account;

    fn id(n: u8) -> Principal {
        Principal::from_slice(&[n, 1])
    }

    fn offer(ledger: u8, amount: u32) -> Offer {
        Offer {
            scheme: "exact".into(),
            network: "icp:1".into(),
            ledger: id(ledger),
            amount: Nat::from(amount),
            pay_to: Account::from(id(9)),
            spender: id(1),
            offer: "00".into(),
            fee: Nat::from(10u8),
            symbol: "T".into(),
            decimals: 6,
            max_timeout_seconds: 300,
        }
    }

    fn policy() -> Policy {
        let cap = |ledger, per_payment: u32, per_day: u32| Cap {
            ledger: id(ledger),
            per_payment: per_payment.into(),
            per_day: per_day.into(),
        };
        Policy {
            sellers: vec![id(1)],
            caps: vec![cap(5, 1_020, 2_000), cap(6, 100, 100)],
        }
    }

    fn chosen(offers: Vec<Offer>, spent: u32) -> Result<Principal, String> {
        let offer = policy().choose(id(1), offers, |_| Nat::from(spent));
        offer.map(|offer| offer.ledger)
    }

    #[test]
    fn the_first_offer_within_the_caps_is_taken() {
        assert_eq!(
            chosen(vec![offer(7, 1), offer(5, 1_000), offer(6, 1)], 0),
            Ok(id(5))
        );
        assert_eq!(chosen(vec![offer(5, 1_001), offer(6, 80)], 0), Ok(id(6)));
        assert_eq!(chosen(vec![offer(5, 1_000)], 980), Ok(id(5)));
    }

    #[test]
    fn nothing_beyond_the_policy_is_bought() {
        let says = |offers, spent, text: &str| {
            let refused = chosen(offers, spent).unwrap_err();
            assert!(refused.contains(text), "{refused}");
        };
        says(vec![], 0, "no offer");
        says(vec![offer(7, 1)], 0, "no payments in");
        says(vec![offer(5, 1_001)], 0, "a payment");
        says(vec![offer(5, 1_000)], 981, "a day");
        let stolen = Offer {
            spender: id(66),
            ..offer(5, 1)
        };
        says(vec![stolen], 0, "another spender");
        let stranger = policy().choose(id(2), vec![offer(5, 1)], |_| Nat::from(0u8));
        assert!(stranger.unwrap_err().contains("not allowed"));
    }
}

//! Amounts that the canister owes, by account.
//!
//! Money is owed in two ways. A *refund* that is due: the amount paid, and the ledger's fee for sending it. And an
//! amount that is *held*: a payment to an account of the canister itself that is not delivered yet (or whose outcome is
//! unknown), because it may have to be refunded.
//!
//! A refund is paid out of the account that the payment went to, if that is the canister's, else out of the canister's
//! default account: the treasury. It takes nothing that is held, nothing that a refund in doubt may take, and nothing
//! that was paid into the account and is to be refunded to others: its fee would make those refunds impossible. A refund
//! of money that went elsewhere holds up no other one, however large it is.
//!
//! The treasury pays only for accounts of the canister and the `pay_to` of its settings. If the money went to another
//! account, no money is owed before a controller has agreed. (What was bought is owed, and is kept.) Such refunds are
//! counted apart.

use crate::{
    domain::payment::State,
    types::{Account, Amount, canonical},
};
use candid::Principal;

/// The effect of a payment on what is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Burden {
    None,
    /// Its amount is held.
    Held,
    /// Its amount and a fee are owed.
    Refund,
    /// Nothing is owed; its refund waits for a controller, or is left to the merchant.
    Waiting,
}

/// The burden of a payment to `to` in this state on `canister`.
pub fn burden(state: &State, to: &Account, canister: &Principal) -> Burden {
    match state {
        // Only money that went to another account waits: see `refunds_automatically`.
        state if state.is_waiting() => Burden::Waiting,
        State::Refunding { .. } => Burden::Refund,
        State::Failed { .. } | State::Delivered { .. } | State::Refunded { .. } => Burden::None,
        state if state.has_lapsed() => Burden::None,
        _ if to.owner == *canister => Burden::Held,
        _ => Burden::None,
    }
}

/// Whether a payment to `to` would be refunded from the account that it went to.
pub fn is_paid_in(to: &Account, canister: &Principal) -> bool {
    to.owner == *canister
}

/// The account that a payment to `to` would be refunded from.
pub fn paying_account(to: &Account, canister: &Principal) -> Account {
    if is_paid_in(to, canister) {
        canonical(*to)
    } else {
        Account::from(*canister)
    }
}

/// Whether a payment to `to` is refunded without a controller's decision: if the money went to an account of the
/// canister, or to `pay_to`, the account of the settings. Any other recipient has the money. If the treasury paid
/// for it, that recipient and a payer of his could empty the treasury.
pub fn refunds_automatically(to: &Account, canister: &Principal, pay_to: &Account) -> bool {
    to.owner == *canister || canonical(*to) == canonical(*pay_to)
}

/// A sum of amounts. Amounts of 10^36 can add up to more than 128 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// The multiples of 2^128.
    pub high: u64,
    pub low: u128,
}

impl Sum {
    pub fn add(&mut self, amount: u128) {
        let (low, carry) = self.low.overflowing_add(amount);
        self.low = low;
        self.high = self.high.saturating_add(carry.into());
    }

    /// Never below zero.
    pub fn subtract(&mut self, amount: u128) {
        let (low, borrow) = self.low.overflowing_sub(amount);
        match self.high.checked_sub(borrow.into()) {
            Some(high) => *self = Sum { high, low },
            None => *self = Sum::default(),
        }
    }

    /// The sum, or the largest amount.
    pub fn amount(self) -> Amount {
        Amount(if self.high == 0 { self.low } else { u128::MAX })
    }
}

/// The amounts owed out of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owed {
    /// Refunds that are due.
    pub refunds: u64,
    /// Their amounts, without fees.
    pub refund_amounts: Sum,
    pub held: Sum,
    /// The amounts of those refunds, not in doubt, whose money was paid into this account.
    pub paid_in: Sum,
    /// Those of the refunds that may have been made.
    pub doubtful: Doubtful,
    /// Refunds that wait for a controller or are left to a merchant. They are not owed.
    pub waiting: u64,
    /// Their amounts, without fees.
    pub waiting_amounts: Sum,
}

/// Refunds that a ledger was called for, with an unknown outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubtful {
    pub refunds: u64,
    /// Their amounts, without fees.
    pub amounts: Sum,
    /// The largest fee of one of them since there were none.
    pub fee: Amount,
}

impl Doubtful {
    /// Adds a refund in doubt with this amount and this fee.
    pub fn add(&mut self, amount: Amount, fee: Amount) {
        self.refunds = self.refunds.saturating_add(1);
        self.amounts.add(amount.0);
        self.fee = self.fee.max(fee);
    }

    /// Removes a refund in doubt with this amount.
    pub fn remove(&mut self, amount: Amount) {
        self.refunds = self.refunds.saturating_sub(1);
        self.amounts.subtract(amount.0);
        if self.refunds == 0 {
            *self = Doubtful::default();
        }
    }

    /// The most that they take out of the account.
    pub fn with_fees(&self) -> Amount {
        let fees = u128::from(self.refunds).saturating_mul(self.fee.0);
        Amount(self.amounts.amount().0.saturating_add(fees))
    }
}

impl Owed {
    /// Adds a payment of this amount.
    pub fn add(&mut self, burden: Burden, amount: Amount) {
        match burden {
            Burden::None => {}
            Burden::Held => self.held.add(amount.0),
            Burden::Refund => {
                self.refunds = self.refunds.saturating_add(1);
                self.refund_amounts.add(amount.0);
            }
            Burden::Waiting => {
                self.waiting = self.waiting.saturating_add(1);
                self.waiting_amounts.add(amount.0);
            }
        }
    }

    /// Removes a payment of this amount.
    pub fn remove(&mut self, burden: Burden, amount: Amount) {
        match burden {
            Burden::None => {}
            Burden::Held => self.held.subtract(amount.0),
            Burden::Refund => {
                self.refunds = self.refunds.saturating_sub(1);
                self.refund_amounts.subtract(amount.0);
            }
            Burden::Waiting => {
                self.waiting = self.waiting.saturating_sub(1);
                self.waiting_amounts.subtract(amount.0);
            }
        }
    }

    /// The refunds that are due, with a fee for each. Those in doubt may be made with their old fee, or with the
    /// present one.
    pub fn refunds_with(&self, fee: Amount) -> Amount {
        let doubtful = self.doubtful.refunds.min(self.refunds);
        let untried = u128::from(self.refunds - doubtful).saturating_mul(fee.0);
        let tried = u128::from(doubtful).saturating_mul(fee.max(self.doubtful.fee).0);
        let fees = untried.saturating_add(tried);
        Amount(self.refund_amounts.amount().0.saturating_add(fees))
    }

    /// The amount that must stay in the account when a refund is tried for the first time: what is held, what those in
    /// doubt may take, and what others paid in and are to be refunded. `own`: the amount of the refund itself, if its
    /// money was paid into this account.
    pub fn kept_from_a_refund(&self, own: Option<Amount>) -> Amount {
        let mut others = self.paid_in;
        others.subtract(own.unwrap_or_default().0);
        let kept = self.held.amount().0.saturating_add(others.amount().0);
        Amount(kept.saturating_add(self.doubtful.with_fees().0))
    }

    /// Everything that is owed.
    pub fn total(&self, fee: Amount) -> Amount {
        let refunds = self.refunds_with(fee).0;
        Amount(refunds.saturating_add(self.held.amount().0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Adding and subtracting the same amounts leaves nothing, in any order and size.
        #[test]
        fn sums_never_lose_anything(amounts in prop::collection::vec(any::<u128>(), 0..20)) {
            let mut owed = Owed::default();
            for amount in &amounts {
                owed.add(Burden::Held, Amount(*amount));
                owed.add(Burden::Refund, Amount(*amount));
                owed.add(Burden::Waiting, Amount(*amount));
            }
            let sum = amounts.iter().try_fold(0u128, |sum, amount| sum.checked_add(*amount));
            prop_assert_eq!(owed.held.amount(), Amount(sum.unwrap_or(u128::MAX)));
            prop_assert_eq!(owed.refunds, amounts.len() as u64);
            prop_assert_eq!(owed.waiting_amounts, owed.held);
            prop_assert_eq!(owed.waiting, owed.refunds);
            for amount in amounts.iter().rev() {
                owed.remove(Burden::Refund, Amount(*amount));
                owed.remove(Burden::Waiting, Amount(*amount));
                owed.remove(Burden::Held, Amount(*amount));
            }
            prop_assert_eq!(owed, Owed::default());
        }
    }

    #[test]
    fn each_refund_needs_a_fee() {
        let mut owed = Owed::default();
        owed.add(Burden::Refund, Amount(100));
        owed.add(Burden::Refund, Amount(50));
        owed.add(Burden::Held, Amount(7));
        owed.add(Burden::None, Amount(9));
        owed.add(Burden::Waiting, Amount(1_000));
        assert_eq!(owed.refunds_with(Amount(10)), Amount(170));
        assert_eq!(owed.total(Amount(10)), Amount(177));
        assert_eq!(owed.total(Amount(u128::MAX)), Amount(u128::MAX));
    }

    #[test]
    fn a_refund_leaves_what_is_held_and_what_others_in_doubt_may_take() {
        let mut owed = Owed::default();
        owed.add(Burden::Held, Amount(7));
        owed.add(Burden::Refund, Amount(1_000));
        assert_eq!(owed.kept_from_a_refund(None), Amount(7), "that one waits");
        owed.add(Burden::Refund, Amount(50));
        owed.add(Burden::Refund, Amount(60));
        owed.doubtful.add(Amount(50), Amount(10));
        owed.doubtful.add(Amount(60), Amount(20));
        assert_eq!(owed.kept_from_a_refund(None), Amount(7 + 50 + 60 + 2 * 20));
        // The fees of the tries in doubt, or the present one for new tries.
        assert_eq!(owed.refunds_with(Amount(5)), Amount(1_110 + 5 + 2 * 20));
        assert_eq!(owed.refunds_with(Amount(30)), Amount(1_110 + 3 * 30));
        owed.doubtful.remove(Amount(60));
        // What others paid in is kept, too; its own amount is not.
        owed.paid_in.add(1_000);
        owed.paid_in.add(30);
        let kept = owed.kept_from_a_refund(Some(Amount(30)));
        assert_eq!(kept, Amount(7 + 50 + 20 + 1_000));
        owed.paid_in = Sum::default();
        assert_eq!(
            owed.kept_from_a_refund(Some(Amount(30))),
            Amount(7 + 50 + 20)
        );
        assert_eq!(owed.kept_from_a_refund(None), Amount(7 + 50 + 20));
        owed.doubtful.remove(Amount(50));
        assert_eq!(owed.doubtful, Doubtful::default());
    }

    #[test]
    fn refunds_come_out_of_the_account_that_was_paid() {
        let canister = Principal::from_slice(&[1]);
        let account = |owner, subaccount| Account { owner, subaccount };
        let own = account(canister, Some([7; 32]));
        assert_eq!(paying_account(&own, &canister), own);
        let merchant = account(Principal::from_slice(&[2]), Some([7; 32]));
        assert_eq!(
            paying_account(&merchant, &canister),
            Account::from(canister)
        );
        let default = account(canister, Some([0; 32]));
        assert_eq!(paying_account(&default, &canister), Account::from(canister));
    }
}

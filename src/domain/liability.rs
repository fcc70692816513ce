//! What the canister owes, and out of which of its accounts.
//!
//! Money is owed in two ways. A *refund* that is due: the amount paid, and the ledger's fee for sending
//! it. And what is *held*: a payment to an account of the canister itself that is not delivered yet (or of
//! which nobody knows yet whether it was made), because it may have to be refunded.
//!
//! A refund is paid out of the account that the payment went to, if that is the canister's, else out of
//! the canister's default account: the treasury. It takes nothing that is held, and nothing that a refund in doubt
//! may take. Refunds of which none was tried do not wait for each other: the one that is larger than the account
//! would hold up the others.
//!
//! The treasury answers for the canister and its host alone: for money that went to somebody else's account nothing
//! is owed before a controller has agreed. (But what was bought is, and is kept.) Such refunds are counted apart.

use crate::{
    domain::payment::State,
    types::{Account, Amount, canonical},
};
use candid::Principal;

/// How a payment burdens the canister.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Burden {
    /// Not at all.
    None,
    /// Its amount is held.
    Held,
    /// Its amount and a fee are owed.
    Refund,
    /// Nothing is owed; its refund waits for a controller, or is left to the merchant.
    Waiting,
}

/// How a payment to `to` in this state burdens `canister`.
pub fn burden(state: &State, to: &Account, canister: &Principal) -> Burden {
    match state {
        // Money of somebody else's account: see `refunds_by_itself`.
        state if state.is_waiting() => Burden::Waiting,
        State::Refunding { .. } => Burden::Refund,
        State::Failed { .. } | State::Delivered { .. } | State::Refunded { .. } => Burden::None,
        state if state.has_lapsed() => Burden::None,
        _ if to.owner == *canister => Burden::Held,
        _ => Burden::None,
    }
}

/// The account that a payment to `to` would be refunded from.
pub fn paying_account(to: &Account, canister: &Principal) -> Account {
    if to.owner == *canister {
        canonical(*to)
    } else {
        Account::from(*canister)
    }
}

/// Whether a payment to `to` is refunded without a controller's word: if the money went to an account of the
/// canister, or to the host's (`pay_to` of the configuration). Whoever else was paid has the money, and the
/// treasury is not his: he and a payer of his could empty it.
pub fn refunds_by_itself(to: &Account, canister: &Principal, host: &Account) -> bool {
    to.owner == *canister || canonical(*to) == canonical(*host)
}

/// A sum of amounts; amounts of 10^36 add up to more than 128 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many times 2^128.
    pub high: u64,
    /// The rest.
    pub low: u128,
}

impl Sum {
    fn add(&mut self, amount: u128) {
        let (low, carry) = self.low.overflowing_add(amount);
        self.low = low;
        self.high = self.high.saturating_add(carry.into());
    }

    fn subtract(&mut self, amount: u128) {
        let (low, borrow) = self.low.overflowing_sub(amount);
        self.low = low;
        self.high = self.high.saturating_sub(borrow.into());
    }

    /// The sum, or the most that there is.
    pub fn amount(self) -> Amount {
        Amount(if self.high == 0 { self.low } else { u128::MAX })
    }
}

/// What is owed out of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owed {
    /// How many refunds are due.
    pub refunds: u64,
    /// Their amounts, without fees.
    pub refund_amounts: Sum,
    /// What is held.
    pub held: Sum,
    /// Those of the refunds that may have been made.
    pub doubtful: Doubtful,
    /// How many refunds wait for a controller or are left to a merchant: they are not owed.
    pub waiting: u64,
    /// Their amounts, without fees.
    pub waiting_amounts: Sum,
}

/// Refunds that a ledger was asked for, and of which nothing proves yet what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubtful {
    /// How many.
    pub refunds: u64,
    /// Their amounts, without fees.
    pub amounts: Sum,
    /// The largest fee that was written in one of them since there were none.
    pub fee: Amount,
}

impl Doubtful {
    /// A refund of this amount, written with this fee, is in doubt from now on.
    pub fn add(&mut self, amount: Amount, fee: Amount) {
        self.refunds = self.refunds.saturating_add(1);
        self.amounts.add(amount.0);
        self.fee = self.fee.max(fee);
    }

    /// A refund of this amount is in doubt no longer.
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
    /// A payment of this amount burdens the account from now on.
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

    /// A payment of this amount burdens the account no longer.
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

    /// The refunds that are due, with a fee for each: those in doubt may be made with the fee that they had, or with
    /// the present one.
    pub fn refunds_with(&self, fee: Amount) -> Amount {
        let doubtful = self.doubtful.refunds.min(self.refunds);
        let untried = u128::from(self.refunds - doubtful).saturating_mul(fee.0);
        let tried = u128::from(doubtful).saturating_mul(fee.max(self.doubtful.fee).0);
        let fees = untried.saturating_add(tried);
        Amount(self.refund_amounts.amount().0.saturating_add(fees))
    }

    /// What stays in the account when a refund is tried for the first time: what is held, and what those in doubt may
    /// take.
    pub fn kept_from_a_refund(&self) -> Amount {
        let held = self.held.amount().0;
        Amount(held.saturating_add(self.doubtful.with_fees().0))
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
        /// What is added and taken away again leaves nothing, whatever the order and the size.
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
        assert_eq!(owed.kept_from_a_refund(), Amount(7), "that one waits");
        owed.add(Burden::Refund, Amount(50));
        owed.add(Burden::Refund, Amount(60));
        owed.doubtful.add(Amount(50), Amount(10));
        owed.doubtful.add(Amount(60), Amount(20));
        assert_eq!(owed.kept_from_a_refund(), Amount(7 + 50 + 60 + 2 * 20));
        // The fees that were written, or the present one if they are written anew.
        assert_eq!(owed.refunds_with(Amount(5)), Amount(1_110 + 5 + 2 * 20));
        assert_eq!(owed.refunds_with(Amount(30)), Amount(1_110 + 3 * 30));
        owed.doubtful.remove(Amount(60));
        assert_eq!(owed.kept_from_a_refund(), Amount(7 + 50 + 20));
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

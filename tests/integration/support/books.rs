//! The conservation law: what the books say is what the ledger shows.

use super::{
    interface::{Payment, PaymentStatus},
    ledger::{Pulled, number},
    setup::{Setup, merchant},
};
use icrc_ledger_types::icrc1::account::Account;
use std::collections::BTreeMap;

impl Setup {
    /// For the first ledger: every block the canister pulled belongs to one payment that says so (or is
    /// not known), every settled payment has its block, payers lost amount and fee of these blocks and
    /// nothing else, merchants got the amounts, the canister kept nothing.
    pub fn check_books(&self) {
        let payments: Vec<Payment> = self
            .payments()
            .into_iter()
            .filter(|payment| payment.ledger == self.ledger.0)
            .collect();
        let pulled = self.ledger.pulled_by(self, self.canister);
        let mut by_memo: BTreeMap<&[u8], &Pulled> = BTreeMap::new();
        for block in &pulled {
            let earlier = by_memo.insert(&block.memo, block);
            assert_eq!(earlier, None, "one payment was charged twice: {block:?}");
        }
        for payment in &payments {
            let block = by_memo.get(payment.id.as_slice());
            match (payment.status.block(), block) {
                (Some(block_index), Some(block)) => {
                    assert_eq!(number(block_index), block.block);
                    assert_eq!(number(&payment.amount), block.amount);
                    assert_eq!(
                        (payment.payer, payment.pay_to),
                        (block.from, block.to),
                        "{payment:?}"
                    );
                }
                (Some(_), None) => {
                    panic!("settled without a block: {payment:?}")
                }
                // Open ones may have moved money or not; the next message knows. A failure is a thing of
                // the past: the same authorization may have been good later.
                _ => {}
            }
        }
        for payment in &payments {
            if !matches!(payment.status, PaymentStatus::Failed { .. }) {
                by_memo.remove(payment.id.as_slice());
            }
        }
        assert!(
            by_memo.is_empty(),
            "taken without a payment in the books: {by_memo:?}"
        );
        self.check_balances(&pulled);
    }

    fn check_balances(&self, pulled: &[Pulled]) {
        let mut earned: BTreeMap<Account, u128> = BTreeMap::from([(merchant(), 0)]);
        for block in pulled {
            *earned.entry(block.to).or_default() += block.amount;
        }
        for (payer, funds) in self.payers.borrow().iter() {
            let spent: u128 = pulled
                .iter()
                .filter(|block| block.from == *payer)
                .map(|block| block.amount + block.fee)
                .sum();
            assert_eq!(
                self.ledger.balance(self, *payer),
                funds - spent,
                "of {payer}"
            );
        }
        for (account, amount) in earned {
            assert_eq!(self.ledger.balance(self, account), amount, "of {account}");
        }
        assert_eq!(self.ledger.balance(self, self.canister.into()), 0);
    }
}

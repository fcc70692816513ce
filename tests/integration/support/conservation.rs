//! The conservation law: the canister's payments agree with the ledger's blocks.

use super::{
    interface::{Ledger, Payment, PaymentStatus, PaymentsError, Solvency},
    ledger::{Move, Pulled, number},
    setup::{Setup, controller, merchant, stranger},
};
use icrc_ledger_types::icrc1::account::Account;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The memo of withdrawals.
pub const WITHDRAWAL: &[u8] = b"x402-icp-withdraw";

/// Every payment by a transfer of the payer's own has a block of its own, which shows that transfer.
fn check_transfers(payments: &[Payment], moves: &[Move]) {
    let mut claimed = BTreeMap::new();
    for payment in payments.iter().filter(|payment| payment.rail == "icrc1") {
        let block = number(payment.status.block().expect("it was proved"));
        let shown = moves.iter().find(|shown| shown.block == block);
        let shown = shown.expect("the ledger has the block");
        assert_eq!(shown.spender, None);
        assert_eq!(
            (shown.from, shown.to, shown.amount),
            (payment.payer, Some(payment.pay_to), number(&payment.amount)),
            "{payment:?}"
        );
        let earlier = claimed.insert(block, payment);
        assert_eq!(earlier, None, "one block was claimed twice: {payment:?}");
    }
}

/// The memo of a payment's refund.
pub fn refund_memo(payment: &[u8]) -> Vec<u8> {
    Sha256::new()
        .chain_update(b"x402-icp-refund")
        .chain_update(payment)
        .finalize()
        .to_vec()
}

impl Setup {
    /// For the first ledger: every block that the canister pulled belongs to one payment with that block (or an unknown
    /// one), every settled payment has its block, payers lost amount and fee of these blocks and nothing else, and
    /// merchants got the amounts. Every block that the canister sent is a withdrawal or the one refund of a payment,
    /// and the canister has what came in and did not go out. It owes what the payments say, and has it if it reports
    /// so.
    pub fn check_conservation(&self) {
        let moves = self.ledger.moves(self);
        let pulled: Vec<Pulled> = Pulled::among(&moves, self.canister);
        let sent: Vec<&Move> = moves
            .iter()
            .filter(|sent| sent.spender.is_none() && self.owns(sent.from))
            .collect();
        let payments = self.payments_in_the_ledger();
        check_charges(&payments, &pulled);
        check_transfers(&payments, &moves);
        check_refunds(&payments, &sent);
        self.check_balances(&moves, &pulled, &sent);
        self.check_owed();
    }

    fn payments_in_the_ledger(&self) -> Vec<Payment> {
        let mut payments = self.payments();
        payments.retain(|payment| payment.ledger == self.ledger.0);
        payments
    }

    fn owns(&self, account: Option<Account>) -> bool {
        account.is_some_and(|account| account.owner == self.canister)
    }

    fn check_balances(&self, moves: &[Move], pulled: &[Pulled], sent: &[&Move]) {
        let payers = self.payers.borrow();
        let mut expected: BTreeMap<Account, u128> =
            BTreeMap::from([(merchant(), 0), (self.canister.into(), 0)]);
        expected.extend(payers.iter().copied());
        for block in pulled {
            *expected.entry(block.to).or_default() += block.amount;
            if let Some(left) = expected.get_mut(&block.from) {
                *left -= block.amount + block.fee;
            }
        }
        // Payers transfer to merchants and to the canister by themselves, too.
        let own = moves.iter().filter(|own| own.spender.is_none());
        for block in own {
            let payer = block.from.and_then(|from| expected.get_mut(&from));
            let Some(left) = payer.filter(|_| payers.iter().any(|(of, _)| Some(*of) == block.from))
            else {
                continue;
            };
            *left -= block.amount + block.fee;
            let to = block.to.expect("not burnt");
            if !self.owns(Some(to)) {
                *expected.entry(to).or_default() += block.amount;
            }
        }
        for block in sent {
            let (from, to) = (block.from.expect("sent"), block.to.expect("not burnt"));
            *expected.entry(to).or_default() += block.amount;
            // Balances of the canister may be negative until all of this is added up.
            let left = expected.entry(from).or_default();
            *left = left.wrapping_sub(block.amount + block.fee);
        }
        // Others give the canister money, too.
        let given = moves.iter().filter(|given| {
            self.owns(given.to) && !self.owns(given.from) && given.spender.is_none()
        });
        for block in given {
            let account = expected.entry(block.to.expect("given")).or_default();
            *account = account.wrapping_add(block.amount);
        }
        for (account, amount) in expected {
            assert_eq!(self.ledger.balance(self, account), amount, "of {account}");
        }
    }

    /// What the canister reports as owed agrees with the payments.
    fn check_owed(&self) {
        let mut owed = self.owed();
        if owed.is_empty() {
            return;
        }
        // The query takes messages, and refunds are made meanwhile: then it is repeated.
        for _ in 0..10 {
            let said = self.solvency();
            let now = self.owed();
            if now != owed {
                owed = now;
                continue;
            }
            let sum = |amounts: &dyn Fn(&Owed) -> u128| owed.values().map(amounts).sum::<u128>();
            let (refunds, held) = (sum(&|owed| owed.refunds), sum(&|owed| owed.held));
            assert_eq!(number(&said.owed_refunds), refunds);
            assert_eq!(number(&said.held), held);
            for (account, owed) in &owed {
                let has = self.ledger.balance(self, *account);
                let covered = has >= owed.refunds + owed.held;
                assert!(
                    covered || said.solvent != Some(true),
                    "{said:?}, {account} has {has}"
                );
            }
            return;
        }
    }

    /// The amounts that the canister owes according to its payments, by the account they are paid from.
    fn owed(&self) -> BTreeMap<Account, Owed> {
        let ledgers: Vec<Ledger> = self.query(stranger(), "ledgers", ());
        let known = ledgers.iter().find(|ledger| ledger.ledger == self.ledger.0);
        let fee = known.map_or(0, |ledger| number(&ledger.fee));
        let mut all: BTreeMap<Account, Owed> = BTreeMap::new();
        for payment in self.payments_in_the_ledger() {
            let own = self.owns(Some(payment.pay_to));
            let account = if own {
                payment.pay_to
            } else {
                self.canister.into()
            };
            let amount = number(&payment.refund_amount);
            match payment.status {
                // A refund that waits for a controller or a merchant is not owed yet, and nothing is held for a lapsed
                // payment.
                PaymentStatus::Refunding { ref problem, .. } if waits(problem) => {}
                PaymentStatus::Unknown { ref reason, .. } if reason.contains("nothing is held") => {
                }
                PaymentStatus::Refunding { .. } => {
                    all.entry(account).or_default().refunds += amount + fee;
                }
                PaymentStatus::Settling
                | PaymentStatus::Unknown { .. }
                | PaymentStatus::Settled { .. }
                    if own =>
                {
                    all.entry(account).or_default().held += amount;
                }
                _ => {}
            }
        }
        all
    }

    /// The canister's solvency report of the first ledger.
    pub fn solvency(&self) -> Solvency {
        let all: Result<Vec<Solvency>, PaymentsError> = self.update(controller(), "solvency", ());
        let mut all = all.expect("controllers may ask");
        all.retain(|solvency| solvency.ledger == self.ledger.0);
        all.remove(0)
    }
}

fn waits(problem: &str) -> bool {
    problem.contains("approve") || problem.contains("merchant is to pay")
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Owed {
    refunds: u128,
    held: u128,
}

fn check_charges(payments: &[Payment], pulled: &[Pulled]) {
    let mut by_memo: BTreeMap<&[u8], &Pulled> = BTreeMap::new();
    for block in pulled {
        let earlier = by_memo.insert(&block.memo, block);
        assert_eq!(earlier, None, "one payment was charged twice: {block:?}");
    }
    for payment in payments.iter().filter(|payment| payment.rail == "icrc2") {
        let block = by_memo.get(payment.id.as_slice());
        match (payment.status.block(), block) {
            (Some(block_index), Some(block)) => {
                assert_eq!(number(block_index), block.block);
                assert_eq!(number(&payment.amount), block.amount);
                assert_eq!(
                    (payment.payer, payment.pay_to),
                    (Some(block.from), block.to),
                    "{payment:?}"
                );
            }
            (Some(_), None) => {
                panic!("settled without a block: {payment:?}")
            }
            // Open payments may have moved money or not; the next message finds out. A failure is about the past: the
            // same authorization may have been accepted later.
            _ => {}
        }
    }
    for payment in payments {
        if !matches!(payment.status, PaymentStatus::Failed { .. }) {
            by_memo.remove(payment.id.as_slice());
        }
    }
    assert!(by_memo.is_empty(), "taken without a payment: {by_memo:?}");
}

fn check_refunds(payments: &[Payment], sent: &[&Move]) {
    let mut by_memo: BTreeMap<&[u8], &Move> = BTreeMap::new();
    for block in sent.iter().filter(|block| block.memo != WITHDRAWAL) {
        let earlier = by_memo.insert(&block.memo, block);
        assert_eq!(earlier, None, "one payment was refunded twice: {block:?}");
    }
    for payment in payments {
        let block = by_memo.remove(refund_memo(&payment.id).as_slice());
        match (&payment.status, block) {
            (
                PaymentStatus::Refunded {
                    refund_block_index, ..
                },
                Some(block),
            ) => assert_eq!(number(refund_block_index), block.block),
            // The ledger has not answered yet.
            (PaymentStatus::Refunding { .. }, _) => {}
            (PaymentStatus::Refunded { .. }, None) => {
                panic!("refunded without a block: {payment:?}")
            }
            (_, None) => {}
            (_, Some(block)) => panic!("refunded without reason: {payment:?}, {block:?}"),
        }
        if let Some(block) = block {
            assert_eq!(block.to, payment.payer, "{payment:?}");
            assert_eq!(block.amount, number(&payment.refund_amount), "{payment:?}");
        }
    }
    assert!(by_memo.is_empty(), "sent without a reason: {by_memo:?}");
}

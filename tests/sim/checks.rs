//! The laws that hold after every step.

use crate::{
    calls::Means,
    chain::Block,
    invoices::Asked,
    payments::StatusFacts,
    support::interface::{Payment, PaymentStatus},
    world::{Checked, WITH_MONEY, What, World, violation},
};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The largest error of a ledger's clock.
const MAX_SKEW_SECONDS: u64 = 120;

impl World {
    /// Reads what can be read, and compares.
    pub fn check(&mut self) -> Checked {
        self.poll()?;
        for ledger in &mut self.ledgers {
            if ledger.stopped || ledger.frozen {
                ledger.troubled = self.stats.steps;
            }
        }
        let mut all_read = true;
        for ledger in 0..self.ledgers.len() {
            let id = self.ledgers[ledger].id;
            let Some(from) = self.ledgers[ledger].chain.read(&self.setup.pic, id) else {
                all_read = false;
                continue;
            };
            let new: Vec<Block> = self.ledgers[ledger].chain.blocks[from..].to_vec();
            for block in new {
                self.check_block(ledger, &block)?;
            }
        }
        if all_read {
            self.check_fetched()?;
            self.check_deliveries()?;
            self.check_ids()?;
            self.check_held()?;
            self.check_withdrawals()?;
        }
        match self.payments() {
            Some(payments) => self.check_records(&payments, all_read),
            None => Ok(()),
        }
    }

    /// The ledger's block agrees with what was signed, once.
    fn check_block(&mut self, ledger: usize, block: &Block) -> Checked {
        let canister = self.setup.canister;
        let ours = |account: &Option<icrc_ledger_types::icrc1::account::Account>| {
            account.is_some_and(|account| account.owner == canister)
        };
        if block.op == "approve" {
            return Ok(());
        }
        if ours(&block.spender) {
            return self.check_charge(ledger, block);
        }
        if ours(&block.from) {
            return self.check_payout(ledger, block);
        }
        Ok(())
    }

    fn check_charge(&mut self, ledger: usize, block: &Block) -> Checked {
        let memo = block.memo.clone().unwrap_or_default();
        let Some(auth) = self.by_id.get(&memo).copied() else {
            return violation("charged for nothing", format!("{block:?}"));
        };
        let payer = self.payer_of(&self.auths[auth]);
        let auth = &mut self.auths[auth];
        if auth.block.is_some() {
            return violation("double charge", format!("{:?} and {block:?}", auth.block));
        }
        auth.block = Some(block.index);
        self.stats.settled += 1;
        let signed = (
            auth.ledger,
            Some(payer),
            Some(auth.pay_to),
            auth.amount,
            auth.fee,
        );
        if signed != (ledger, block.from, block.to, block.amount, block.fee) {
            return violation("not as signed", format!("{signed:?}: {block:?}"));
        }
        if auth.presented.is_none() {
            return violation("charged before it was presented", format!("{block:?}"));
        }
        if auth.cancelled {
            return violation("charged after a cancellation", format!("{block:?}"));
        }
        // The fields by which the ledger recognises duplicates are signed, too.
        if block.created_at != Some(auth.created_at) {
            return violation("another created_at_time", format!("{block:?}"));
        }
        let (purchase, from_stranger) = (auth.purchase, auth.pay_to);
        let (valid_before, deadline) = (auth.valid_before, auth.deadline);
        let lied = self.ledgers[ledger].lied;
        if self.is_strangers(&from_stranger) {
            self.stats.note("paid to a stranger");
        }
        if let Some(purchase) = purchase
            && !lied
        {
            let mut charged = self.purchases[purchase].iter().filter(|auth| {
                let auth = &self.auths[**auth];
                auth.block.is_some() && auth.refund.is_none() && !self.ledgers[auth.ledger].lied
            });
            if let (Some(one), Some(other)) = (charged.next(), charged.next()) {
                let [one, other] = [one, other].map(|auth| self.auths[*auth].id);
                return violation("one purchase charged twice", format!("{one} and {other}"));
            }
        }
        let seconds = block.timestamp / 1_000_000_000;
        let late = seconds > deadline + MAX_SKEW_SECONDS;
        if !late && seconds > valid_before + MAX_SKEW_SECONDS {
            self.stats
                .note("charged when a call was repeated after its timeout");
        }
        if late && !self.ledgers[ledger].dawdles {
            return violation("charged after the expiry", format!("{block:?}"));
        }
        Ok(())
    }

    /// What leaves the canister's accounts is a refund of a payment, once.
    fn check_payout(&mut self, ledger: usize, block: &Block) -> Checked {
        if self.check_withdrawal(ledger, block)? || self.check_invoice_block(ledger, block)? {
            return Ok(());
        }
        let memo = block.memo.clone().unwrap_or_default();
        let mut auths = self.auths.iter();
        let Some(index) = auths.position(|auth| refund_memo(auth) == memo) else {
            return violation("unexplained payout", format!("{block:?}"));
        };
        let payer = self.payer_of(&self.auths[index]);
        let auth = &mut self.auths[index];
        auth.refund_seen(block);
        if auth.refund.is_some() {
            return violation("double refund", format!("{block:?}"));
        }
        auth.refund = Some(block.index);
        self.stats.refunded += 1;
        if auth.block.is_none() && !self.ledgers[ledger].lied {
            return violation("refund without a payment", format!("{block:?}"));
        }
        if (auth.ledger, Some(payer), auth.returns()) != (ledger, block.to, block.amount) {
            return violation("wrong refund", format!("{block:?}"));
        }
        if !auth.delivered.is_empty() {
            return violation("refund after delivery", format!("{block:?}"));
        }
        let pay_to = auth.pay_to;
        let asked_for = self.refund_asked_for(index);
        if !asked_for {
            self.stats.note("refunds by itself");
        }
        if self.is_strangers(&pay_to) && !asked_for && !self.ledgers[ledger].lied {
            let text = format!("{block:?} gives back what {pay_to} got");
            return violation("refunded for a stranger", text);
        }
        Ok(())
    }

    /// Nothing was delivered without a block that pays for it.
    fn check_deliveries(&self) -> Checked {
        for auth in &self.auths {
            auth.check_denial(&self.ledgers[auth.ledger])?;
            let lied = self.ledgers[auth.ledger].lied;
            if !auth.delivered.is_empty() && auth.block.is_none() && !lied {
                return violation("delivered unpaid", auth.id.to_string());
            }
            if !auth.delivered.is_empty() && auth.refund.is_some() {
                return violation("delivered and refunded", auth.id.to_string());
            }
        }
        Ok(())
    }

    /// What was paid to accounts of the canister itself stays there until it was delivered or refunded.
    fn check_held(&self) -> Checked {
        for account in &self.accounts()[1..3] {
            for (number, ledger) in self.ledgers.iter().enumerate() {
                let held: Vec<_> = (0..self.auths.len())
                    .filter(|index| {
                        let auth = &self.auths[*index];
                        // A transfer that is presented late may have been withdrawn: nobody knew of it.
                        (auth.ledger, auth.pay_to) == (number, *account)
                            && !auth.is_transfer()
                            && auth.block.is_some()
                            && auth.refund.is_none()
                            && auth.delivered.is_empty()
                            && !self.waits_for(*index)
                    })
                    .map(|index| (self.auths[index].amount, &self.auths[index].last))
                    .collect();
                let sum: u128 = held.iter().map(|(amount, _)| amount).sum();
                let balance = ledger.chain.balance(account);
                if balance < sum && !ledger.lied {
                    let text = format!("{account} has {balance} of {held:?} in ledger {number}");
                    return violation("owed money spent", text);
                }
            }
        }
        Ok(())
    }

    /// Whether a response to this payment is on its way.
    pub fn waits_for(&self, index: usize) -> bool {
        let mut waiting = self.pending.iter();
        waiting.any(|pending| match pending.what {
            What::Http { auth, .. } | What::Call { auth, .. } => auth == index,
            What::Invoice {
                number,
                asked: Asked::Content { .. },
            } => matches!(self.auths[index].means, Means::Invoice(of) if of == number),
            _ => false,
        })
    }

    /// The canister's payments agree with the ledgers, and never change back.
    fn check_records(&mut self, payments: &[Payment], all_read: bool) -> Checked {
        self.check_blocks(payments, all_read)?;
        let mut seen = BTreeSet::new();
        for payment in payments {
            let Some(auth) = self.attempt(&payment.id) else {
                return violation("a payment nobody signed", format!("{payment:?}"));
            };
            if !seen.insert(auth) {
                return violation("recorded twice", format!("{payment:?}"));
            }
            self.check_payment(auth, payment, all_read)?;
            self.check_failure(auth)?;
        }
        for (number, auth) in self.auths.iter().enumerate() {
            if seen.contains(&number) {
                continue;
            }
            let id = &auth.id;
            if let Some(last) = &auth.last {
                return violation("lost", format!("{id} was {last:?}"));
            }
            if auth.block.is_some() {
                return violation("paid and lost", id.to_string());
            }
        }
        Ok(())
    }

    /// No block is recorded for two payments. If a ledger answered falsely, the block is recorded again for the
    /// transfer in it; and for any, if the ledger was added again when it did not have that block.
    fn check_blocks(&self, payments: &[Payment], all_read: bool) -> Checked {
        let recorded = payments.iter().flat_map(|payment| {
            let recorded = payment.status.recorded().into_iter();
            recorded.map(move |(block, at)| (at, block, payment))
        });
        let mut recorded: Vec<_> = recorded.collect();
        recorded.sort_by_key(|(at, ..)| *at);
        let mut true_ones = BTreeMap::new();
        for (_, block, payment) in recorded {
            let auth = self.by_id.get(payment.id.as_slice());
            let is_true = auth.is_some_and(|auth| {
                let auth = &self.auths[*auth];
                [auth.block, auth.refund].contains(&Some(block))
            });
            let before = true_ones.insert((payment.ledger, block), is_true);
            let Some(was_true) = before else {
                continue;
            };
            let mut lied = self.ledgers.iter().filter(|ledger| ledger.lied);
            let excused = lied
                .find(|ledger| ledger.id == payment.ledger)
                .is_some_and(|ledger| {
                    let forgotten = ledger.forgotten.is_some_and(|from| block >= from);
                    !all_read || (!was_true && (is_true || forgotten))
                });
            if !excused {
                return violation("one block, recorded twice", format!("{payment:?}"));
            }
        }
        Ok(())
    }

    fn check_payment(&mut self, auth: usize, payment: &Payment, all_read: bool) -> Checked {
        self.check_transfer(auth, payment)?;
        let payer = self.payer_of(&self.auths[auth]);
        let auth = &mut self.auths[auth];
        let ledger = &self.ledgers[auth.ledger];
        let status = &payment.status;
        let recorded = (
            payment.ledger,
            payment.payer,
            payment.pay_to,
            payment.amount.clone(),
        );
        if recorded != (ledger.id, Some(payer), auth.pay_to, auth.amount.into()) {
            return violation("not recorded as signed", format!("{payment:?}"));
        }
        if let Some(last) = &auth.last
            && !last.may_become(status)
        {
            return violation("history changed", format!("{last:?}, then {payment:?}"));
        }
        if auth.last.as_ref() != Some(status) && matches!(status, PaymentStatus::Unknown { .. }) {
            self.stats.unknown += 1;
            if auth.payer >= WITH_MONEY {
                self.stats.note("in doubt without money");
            }
        }
        auth.check_duplicate(payment, self.setup.now_ns())?;
        auth.last = Some(status.clone());
        if ledger.lied || !all_read {
            return Ok(());
        }
        match (status.block_number(), auth.block) {
            (Some(recorded), block) if block != Some(recorded) => violation(
                "recorded without a block",
                format!("{payment:?}, but the ledger shows {block:?}"),
            ),
            (None, Some(block)) if !status.is_open() => violation(
                "paid and lost",
                format!("{payment:?}, but block {block} shows it"),
            ),
            _ => Ok(()),
        }
    }
}

/// The memo of a payment's refund.
fn refund_memo(auth: &crate::world::Auth) -> Vec<u8> {
    Sha256::new()
        .chain_update(b"x402-icp-refund")
        .chain_update(auth.id.0)
        .finalize()
        .to_vec()
}

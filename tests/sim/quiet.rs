//! The end of a world: nothing is left open, and every payer has the content or the money.

use crate::{
    payments::StatusFacts,
    plan::{By, Send, Step},
    support::{
        interface::{PaymentStatus, PaymentsError, Solvency},
        ledger::TestLedger,
        setup::{FUNDS, controller, minter},
    },
    world::{Auth, Checked, WITH_MONEY, World, violation},
};
use test_ledger::testing::{Fault, queue_fault};

/// After many unclear answers, the canister pauses payments in the ledger for this long, and a second.
const PAUSE_SECONDS: u64 = 301;
/// Ledgers recognise duplicates for a day; a day and two hours later the longest pause is over as well.
const HOURS: usize = 27;
/// How long content is kept for payers.
pub const RETENTION_DAYS: usize = 7;

impl World {
    /// Ends all faults, and checks what is left.
    pub fn come_to_rest(&mut self) -> Checked {
        self.end_trouble()?;
        self.check()?;
        self.claim_transfers()?;
        self.hiccup()?;
        let since = self.setup.now();
        // A timer that was due while the canister was frozen is lost; the next request sets it again.
        self.still_in_business()?;
        self.invoices_in_business()?;
        self.check_not_locked_out()?;
        self.resolve()?;
        self.check_free(since)?;
        self.resolve_by_hand()?;
        self.fetch_half()?;
        self.refund_the_rest()?;
        self.empty_invoices()?;
        self.check_ends()?;
        self.check_works()?;
        self.check_free(since)?;
        self.check_receipts()?;
        self.check_balances()
    }

    /// Whatever became of it, each settled payment has a receipt that proves itself.
    fn check_receipts(&self) -> Checked {
        match self.setup.receipts_that_prove_nothing().first() {
            None => Ok(()),
            Some(problem) => violation("receipt", problem),
        }
    }

    fn end_trouble(&mut self) -> Checked {
        self.feed()?;
        self.start()?;
        if self.trapping {
            self.upgrade_stopped(false)?;
        }
        self.seller_stop(false);
        self.seller_release();
        for ledger in 0..self.ledgers.len() {
            self.start_ledger(ledger);
            self.start_archive(ledger, false);
            self.test_call(ledger, "test_clear_faults", ());
            self.test_call(ledger, "test_set_time_skew", (0_i64,));
            self.test_call(ledger, "test_release", ());
            self.tick(2);
            let id = self.ledgers[ledger].id;
            self.add_again(ledger)?;
            self.admin(controller(), "ledger_enable", (id, true))?;
            for payer in 0..WITH_MONEY {
                let account = self.payers[payer].account;
                self.transfer(ledger, minter().into(), account, FUNDS);
                self.approve(payer, ledger, FUNDS as u64);
            }
        }
        self.advance(61)?;
        self.tick(6);
        self.poll()?;
        for ledger in 0..self.ledgers.len() {
            self.test_call(ledger, "test_release", ());
            let faults = self.fault_count(ledger);
            self.stats.faults += faults;
        }
        self.advance(121)?;
        self.tick(6);
        self.poll()?;
        if self.pending.is_empty() {
            return Ok(());
        }
        violation("no answer", format!("{} requests wait", self.pending.len()))
    }

    /// The number of calls of this ledger that met a fault.
    fn fault_count(&self, ledger: usize) -> u64 {
        let arg = candid::encode_args(()).expect("Candid");
        let (pic, id) = (&self.setup.pic, self.ledgers[ledger].id);
        let Ok(reply) = pic.query_call(id, controller(), "test_fault_status", arg) else {
            return 0;
        };
        let status: Vec<test_ledger::testing::FaultStatus> =
            candid::decode_one(&reply).expect("a status");
        status.iter().map(|method| method.faults_hit).sum()
    }

    /// Lets time pass, and timers fire.
    fn wait(&mut self, seconds: u64) -> Checked {
        self.advance(seconds)?;
        self.tick(10);
        self.check()
    }

    /// A payment with a wanted status; those in lying ledgers are excluded.
    fn find(&self, which: impl Fn(&PaymentStatus) -> bool) -> Option<&Auth> {
        self.auths
            .iter()
            .find(|auth| !self.ledgers[auth.ledger].lied && auth.last.as_ref().is_some_and(&which))
    }

    /// Every open payment in a ledger with a log ends by itself.
    fn resolve(&mut self) -> Checked {
        for _ in 0..HOURS {
            if self.find(StatusFacts::is_open).is_none() {
                return Ok(());
            }
            self.wait(3_600)?;
        }
        let open = |auth: &&Auth| auth.last.as_ref().is_some_and(StatusFacts::is_open);
        let mut left = self.auths.iter().filter(open).filter(|auth| {
            let ledger = &self.ledgers[auth.ledger];
            !ledger.lied && !ledger.hides_log
        });
        match left.next() {
            Some(auth) => violation("left open", format!("{}: {:?}", auth.id, auth.last)),
            None => Ok(()),
        }
    }

    /// Every second payer who is owed content requests it, and gets it without paying again.
    fn fetch_half(&mut self) -> Checked {
        for route in 0..self.routes.len() {
            self.new_content(route)?;
        }
        let owed: Vec<usize> = (0..self.auths.len())
            .filter(|auth| matches!(self.auths[*auth].last, Some(PaymentStatus::Settled { .. })))
            .filter(|auth| !self.auths[*auth].misused && !self.may_not_be_worked(*auth))
            .collect();
        self.fetch_works()?;
        for auth in owed.into_iter().step_by(2) {
            self.present(auth, 1, Send::AndWait)?;
            self.check()?;
            let auth = &self.auths[auth];
            if auth.delivered.is_empty() {
                let text = format!("{}: {:?}, {}", auth.id, auth.last, auth.answered);
                return violation("not delivered", text);
            }
        }
        Ok(())
    }

    /// The others are refunded once the retention is over.
    fn refund_the_rest(&mut self) -> Checked {
        for ledger in 0..self.ledgers.len() {
            for account in &self.accounts()[1..3] {
                self.transfer(ledger, minter().into(), *account, FUNDS);
            }
            // Until now most faults of the ledger concerned payments.
            let lost = Fault::lost_after_transfer();
            let (method, arg) = queue_fault("icrc1_transfer", 2, &lost);
            self.ledger_call(ledger, controller(), method, arg);
        }
        for _ in 0..=RETENTION_DAYS {
            self.wait(86_400)?;
        }
        let owed = |status: &PaymentStatus| {
            matches!(
                status,
                PaymentStatus::Settled { .. } | PaymentStatus::Refunding { .. }
            )
        };
        for _ in 0..HOURS {
            if self.find(owed).is_none() {
                return Ok(());
            }
            self.refund_by_hand()?;
            self.wait(3_600)?;
        }
        match self.find(owed) {
            Some(auth) => violation("still owed", format!("{}: {:?}", auth.id, auth.last)),
            None => Ok(()),
        }
    }

    /// Every payer whose money moved has the content or the money, and the canister agrees.
    fn check_ends(&mut self) -> Checked {
        for auth in &self.auths {
            if self.ledgers[auth.ledger].lied {
                continue;
            }
            let delivered = !auth.delivered.is_empty();
            let refunded = auth.refund.is_some();
            let fits = match &auth.last {
                Some(PaymentStatus::Delivered { .. }) => {
                    let done = delivered || self.was_worked_for(auth);
                    auth.block.is_some() && done && !refunded
                }
                Some(PaymentStatus::Refunded { .. }) => {
                    auth.block.is_some() && !delivered && refunded
                }
                Some(PaymentStatus::Failed { .. }) | None => {
                    auth.block.is_none() && !delivered && !refunded
                }
                Some(_) => false,
            };
            if !fits {
                let text = format!(
                    "{}: {:?}, block {:?}, delivered {delivered}, refund {:?}",
                    auth.id, auth.last, auth.block, auth.refund
                );
                return violation("bad end", text);
            }
        }
        let solvency: Result<Vec<Solvency>, PaymentsError> =
            self.setup.update(controller(), "solvency", ());
        for ledger in solvency.expect("controllers may ask") {
            if self
                .ledgers
                .iter()
                .any(|model| model.id == ledger.ledger && model.lied)
            {
                continue;
            }
            let owed = ledger.owed_refunds.clone() + ledger.held.clone();
            if owed != 0_u32 || ledger.solvent != Some(true) {
                return violation("liabilities", format!("{ledger:?}"));
            }
        }
        Ok(())
    }

    /// A new payment of every payer in every ledger succeeds.
    fn still_in_business(&mut self) -> Checked {
        for route in 0..self.routes.len() {
            self.routes[route].on_sale = true;
            self.put_route(route)?;
            self.new_content(route)?;
        }
        self.advance(PAUSE_SECONDS)?;
        for ledger in 0..self.ledgers.len() {
            for payer in 0..WITH_MONEY {
                let step = Step::Pay {
                    payer,
                    route: payer,
                    ledger,
                    variant: 0,
                    window: 600,
                    by: By::ALL[(payer + ledger) % 2],
                    send: Send::AndWait,
                };
                self.play(&step)?;
                self.pay_doubted(ledger)?;
                let last = self.auths.last();
                if last.is_none_or(|auth| auth.delivered.is_empty()) {
                    let last = last.map(|auth| (auth.presented, &auth.answered, &auth.last));
                    return violation("out of business", format!("{step:?}: {last:?}"));
                }
            }
        }
        self.check()
    }

    /// A ledger without a log that named an implausible block is not believed at once: nothing can show that the block
    /// does not exist. The same request again is answered.
    fn pay_doubted(&mut self, ledger: usize) -> Checked {
        let model = &self.ledgers[ledger];
        match self.auths.last() {
            Some(auth) if model.lied && model.hides_log && auth.delivered.is_empty() => {
                self.present(self.auths.len() - 1, 1, Send::AndWait)
            }
            _ => Ok(()),
        }
    }

    /// Balances agree with the blocks.
    fn check_balances(&mut self) -> Checked {
        let mut accounts = self.accounts().to_vec();
        accounts.extend(self.payers.iter().map(|payer| payer.account));
        for ledger in &self.ledgers {
            for account in &accounts {
                let says = TestLedger(ledger.id).balance(&self.setup, *account);
                if says != ledger.chain.balance(account) {
                    return violation("balance", format!("{account}: {says}"));
                }
            }
        }
        Ok(())
    }
}

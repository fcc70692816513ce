//! After the storm: nothing is left open, and everybody has what was paid for.

use crate::{
    plan::Send,
    support::setup::{FUNDS, controller},
    world::{Checked, World, violation},
};

/// A canister that met many unclear answers gives the ledger a pause; repetitions keep a distance.
const PAUSE_SECONDS: u64 = 301;

impl World {
    /// Ends all trouble, and sees what is left of it.
    pub fn come_to_rest(&mut self) -> Checked {
        self.end_trouble()?;
        self.check()?;
        self.resolve_by_repeating()?;
        self.deliver_everything()?;
        self.still_in_business()?;
        self.check_balances()
    }

    fn end_trouble(&mut self) -> Checked {
        self.feed()?;
        self.start()?;
        for ledger in 0..self.ledgers.len() {
            self.start_ledger(ledger);
            self.test_call(ledger, "test_clear_faults", ());
            self.test_call(ledger, "test_set_time_skew", (0_i64,));
            self.test_call(ledger, "test_release", ());
            self.tick(2);
            let id = self.ledgers[ledger].id;
            self.admin(controller(), "ledger_add", (id,))?;
            self.admin(controller(), "ledger_enable", (id, true))?;
            for payer in 0..self.payers.len() {
                let minter = crate::support::setup::minter().into();
                self.transfer(ledger, minter, self.payers[payer].account, FUNDS);
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

    /// How many calls of this ledger met a fault.
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

    /// Payers ask again for what is open, as long as what they signed is valid.
    fn resolve_by_repeating(&mut self) -> Checked {
        for _ in 0..4 {
            let now = self.setup.now();
            let open: Vec<usize> = (0..self.auths.len())
                .filter(|auth| {
                    let auth = &self.auths[*auth];
                    now + 10 < auth.valid_before
                        && auth.last.as_ref().is_some_and(|last| last.is_open())
                })
                .collect();
            if open.is_empty() {
                return Ok(());
            }
            for auth in open {
                self.present(auth, 1, Send::AndWait)?;
            }
            self.check()?;
            self.advance(6)?;
        }
        let now = self.setup.now();
        for auth in &self.auths {
            let open = auth.last.as_ref().is_some_and(|last| last.is_open());
            let ledger = &self.ledgers[auth.ledger];
            // Ledgers look at the fee before they look for duplicates.
            let answerable = !ledger.lied && auth.fee == ledger.fee;
            if open && now + 10 < auth.valid_before && answerable {
                let id = &auth.signed.id;
                return violation("left open", format!("{id}: {:?}", auth.last));
            }
        }
        Ok(())
    }

    /// Whose money moved gets the goods by asking again, without paying again.
    fn deliver_everything(&mut self) -> Checked {
        for route in 0..self.routes.len() {
            self.routes[route].on_sale = true;
            self.put_route(route)?;
            self.new_content(route)?;
        }
        let paid: Vec<usize> = (0..self.auths.len())
            .filter(|auth| {
                let auth = &self.auths[*auth];
                let settled = auth.last.as_ref().and_then(|last| last.block()).is_some();
                settled && auth.refund.is_none() && auth.delivered.is_empty()
            })
            .collect();
        for auth in paid {
            self.present(auth, 1, Send::AndWait)?;
            self.check()?;
        }
        Ok(())
    }

    /// A new payment of everybody in every ledger works.
    fn still_in_business(&mut self) -> Checked {
        self.advance(PAUSE_SECONDS)?;
        for ledger in 0..self.ledgers.len() {
            for payer in 0..self.payers.len() {
                let account = self.payers[payer].account;
                let minter = crate::support::setup::minter().into();
                self.transfer(ledger, minter, account, 10_000_000);
                let step = crate::plan::Step::Pay {
                    payer,
                    route: payer,
                    ledger,
                    variant: 0,
                    window: 600,
                    send: Send::AndWait,
                };
                self.play(&step)?;
                let last = self.auths.last();
                if last.is_none_or(|auth| auth.delivered.is_empty()) {
                    return violation("out of business", format!("payer {payer}: {step:?}"));
                }
            }
        }
        self.check()
    }

    /// Balances are what the blocks make of them.
    fn check_balances(&mut self) -> Checked {
        let mut accounts = self.accounts().to_vec();
        accounts.extend(self.payers.iter().map(|payer| payer.account));
        for ledger in &self.ledgers {
            for account in &accounts {
                let says =
                    crate::support::ledger::TestLedger(ledger.id).balance(&self.setup, *account);
                if says != ledger.chain.balance(account) {
                    return violation("balance", format!("{account}: {says}"));
                }
            }
        }
        Ok(())
    }
}

//! Controllers' decisions about payments, and balances that must be free when nothing is owed.

use crate::{
    calls::Means,
    kinds::Kind,
    payments::StatusFacts,
    plan::{By, Send, Step},
    support::{
        interface::{
            PaymentStatus, PaymentsError, RefundError, ResolveArgs, ResolveError, ResolvedOutcome,
            Solvency,
        },
        setup::{FUNDS, controller, minter},
    },
    world::{Checked, WITH_MONEY, What, World, violation},
};
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::account::Account;
use serde_bytes::ByteBuf;

/// After this time no ledger can make a transfer any more: a day and ten minutes.
pub const WINDOW_SECONDS: u64 = 87_000;
/// Within this time every open payment was tried again.
const PAUSES_SECONDS: u64 = 3 * 3_600;

impl World {
    /// A controller requests the refund of a payment.
    pub fn refund(&mut self, auth: usize) -> Checked {
        let id = ByteBuf::from(self.auths[auth].id.0);
        let arg = candid::encode_one(id).expect("Candid");
        self.send(controller(), "refund_payment", arg, What::Refund { auth });
        self.settle_down(Send::AndWait)
    }

    /// Whether a controller may have requested its refund.
    pub fn refund_asked_for(&self, auth: usize) -> bool {
        let asks = |what: &What| matches!(what, What::Refund { auth: other } if *other == auth);
        self.auths[auth].approved || self.pending.iter().any(|pending| asks(&pending.what))
    }

    /// A controller who knows the ledgers decides about a payment, mostly one in doubt.
    pub fn resolve_any(&mut self, number: usize) -> Checked {
        let open: Vec<usize> = (0..self.auths.len())
            .filter(|auth| matches!(self.auths[*auth].last, Some(PaymentStatus::Unknown { .. })))
            .filter(|auth| !self.waits_for(*auth))
            .collect();
        let auth = match open.as_slice() {
            [] => self.lately(number),
            open => open[number % open.len()],
        };
        self.tell(auth)
    }

    /// Reports what the ledger's blocks show about a payment, or about its refund.
    pub fn tell(&mut self, auth: usize) -> Checked {
        let model = &self.auths[auth];
        let ledger = &self.ledgers[model.ledger];
        // Without reading the ledger there is no decision.
        if ledger.chain.length(&self.setup.pic, ledger.id) != Some(ledger.chain.blocks.len() as u64)
        {
            return Ok(());
        }
        let block = match &model.last {
            Some(PaymentStatus::Refunding { .. }) => model.refund,
            _ => model.block,
        };
        let outcome = match block {
            Some(block) => ResolvedOutcome::Moved {
                block_index: Nat::from(block),
            },
            None => ResolvedOutcome::NotMoved,
        };
        let moved = block.is_some();
        let id = ByteBuf::from(model.id.0);
        let arg = candid::encode_one(ResolveArgs { id, outcome }).expect("Candid");
        let what = What::Resolve { auth, moved };
        self.send(controller(), "payment_resolve", arg, what);
        self.settle_down(Send::AndWait)
    }

    /// The canister's answer to that.
    pub fn resolved(&mut self, auth: usize, moved: bool, reply: &[u8]) -> Checked {
        let result: Result<PaymentStatus, ResolveError> =
            candid::decode_one(reply).expect("a reply of payment_resolve");
        let model = &self.auths[auth];
        let in_doubt = matches!(model.last, Some(PaymentStatus::Unknown { .. }));
        let early = self.setup.now() < model.valid_after + WINDOW_SECONDS;
        match result {
            Ok(PaymentStatus::Failed { .. }) if in_doubt && early && !moved => {
                let text = format!("{}: it may be charged yet", model.id);
                violation("resolved too early", text)
            }
            Ok(_) if in_doubt => {
                self.stats.note("resolved by a controller");
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(_) => {
                self.stats.note("resolving refused");
                Ok(())
            }
        }
    }

    /// A failed payment was sent to the ledger: one that cannot be sent is refused before it is recorded.
    pub fn check_failure(&mut self, auth: usize) -> Checked {
        let model = &self.auths[auth];
        let Some(PaymentStatus::Failed { code, .. }) = model.last.clone() else {
            return Ok(());
        };
        if self.failures.contains(&auth) {
            return Ok(());
        }
        let ledger = &self.ledgers[model.ledger];
        let (id, memo) = (ledger.id, ByteBuf::from(model.id.0));
        let arg = candid::encode_one(memo).expect("Candid");
        let reply = self
            .setup
            .pic
            .query_call(id, controller(), "test_was_asked", arg);
        let asked = reply
            .ok()
            .and_then(|reply| candid::decode_one::<bool>(&reply).ok());
        let Some(asked) = asked else {
            return Ok(());
        };
        self.failures.insert(auth);
        if code.contains("insufficient") {
            self.stats.note("failed for want of money");
        }
        let undisturbed = model.presented.is_some_and(|step| step > ledger.troubled);
        if !asked && undisturbed {
            let text = format!("{}: {:?}", model.id, model.last);
            return violation("failed without calling the ledger", text);
        }
        Ok(())
    }

    /// Payments that a ledger without a log leaves in doubt end with a controller's decision.
    pub fn resolve_by_hand(&mut self) -> Checked {
        for auth in 0..self.auths.len() {
            let model = &self.auths[auth];
            let ledger = &self.ledgers[model.ledger];
            let open = model.last.as_ref().is_some_and(StatusFacts::is_open);
            if !open || ledger.lied || !ledger.hides_log {
                continue;
            }
            self.stats.note("in doubt without a log");
            self.tell(auth)?;
            self.check()?;
            let model = &self.auths[auth];
            if model.last.as_ref().is_some_and(StatusFacts::is_open) {
                let text = format!("{}: {:?}", model.id, model.last);
                return violation("left open by a controller", text);
            }
        }
        Ok(())
    }

    /// Refunds of payments to strangers wait for a controller; others that a ledger without a log leaves in doubt end
    /// with a controller's decision.
    pub fn refund_by_hand(&mut self) -> Checked {
        for auth in 0..self.auths.len() {
            let model = &self.auths[auth];
            let due = matches!(model.last, Some(PaymentStatus::Refunding { .. }));
            if !due || self.ledgers[model.ledger].lied {
                continue;
            }
            // What came by a transfer or an invoice is the canister's own only if it has the money.
            let waits = match model.means {
                Means::Transfer(_) | Means::Invoice(_) => model.pay_to.owner != self.setup.canister,
                Means::Signed(_) | Means::Call(_) => self.is_strangers(&model.pay_to),
            };
            if waits && !self.refund_asked_for(auth) {
                self.stats.note("refunds that wait for a controller");
                self.refund(auth)?;
                if !self.auths[auth].approved {
                    let text = format!("{}: {:?}", self.auths[auth].id, self.auths[auth].last);
                    return violation("a refund that nobody can make", text);
                }
            } else if self.ledgers[model.ledger].hides_log {
                self.tell(auth)?;
            }
        }
        Ok(())
    }

    /// A ledger is stopped for a moment, and payers without money pay in it: no answer of the ledger proves that
    /// nothing is owed for these payments.
    pub fn hiccup(&mut self) -> Checked {
        let own = self.accounts();
        let mut routes = 0..self.routes.len();
        let route = routes.find(|route| own[1..3].contains(&self.routes[*route].pay_to));
        let Some(route) = route.filter(|_| self.kinds.has(Kind::Poor)) else {
            return Ok(());
        };
        // A payer needs an offer.
        self.routes[route].on_sale = true;
        self.put_route(route)?;
        self.new_content(route)?;
        let request = self.request(route, 0);
        let id = self.ledgers[0].id.to_text();
        let offers = self.offers_for(&request).unwrap_or_default();
        let Some(offer) = offers.into_iter().find(|offer| offer.asset == id) else {
            return violation("out of business", "nothing to buy in ledger 0");
        };
        self.stats.note("hiccups");
        self.play(&Step::LedgerStop { ledger: 0 })?;
        for payer in WITH_MONEY..self.payers.len() {
            let wish = (payer, route, request.clone());
            let auth = self.agree(By::ALL[payer % 2], wish, &offer, 3_000);
            self.auths[auth].all_failed = true;
            self.present(auth, 1, Send::AndWait)?;
        }
        self.play(&Step::LedgerStart { ledger: 0 })?;
        self.check()
    }

    /// Balances that are not owed can be withdrawn, although payments without money are in doubt. `since`: from then
    /// on, in seconds, no ledger had a fault.
    pub fn check_free(&mut self, since: u64) -> Checked {
        for ledger in 0..self.ledgers.len() {
            if self.ledgers[ledger].lied {
                continue;
            }
            let id = self.ledgers[ledger].id;
            let anybody = Principal::anonymous();
            let fee: Nat = self.setup.query_at(id, anybody, "icrc1_fee", ());
            let fee = u128::try_from(&fee.0).expect("a fee of the tests");
            for account in 1..3 {
                let from = self.accounts()[account];
                // So that there is something to withdraw.
                self.transfer(ledger, minter().into(), from, FUNDS);
                self.check()?;
                let mut owed = 0;
                let mut lapsed = 0;
                for auth in 0..self.auths.len() {
                    let model = &self.auths[auth];
                    if model.ledger != ledger || self.source(auth) != Some(from) {
                        continue;
                    }
                    let open = model.last.as_ref().is_some_and(StatusFacts::is_open);
                    let paid = model.block.is_some()
                        && model.refund.is_none()
                        && model.delivered.is_empty();
                    let poor = model.payer >= WITH_MONEY;
                    let forgotten = model.valid_after + WINDOW_SECONDS;
                    // After another answer than an error of the ledger only a repetition shows that there is no money,
                    // and none is made after the authorization expired: pauses double, so the next one comes before
                    // twice its age.
                    let age = since.saturating_sub(model.valid_after);
                    let tried = forgotten > since + PAUSES_SECONDS + 1_800
                        && model.valid_before > since.max(model.valid_after) + age + 900;
                    if open
                        && poor
                        && (model.all_failed || tried)
                        && forgotten + 3_700 < self.setup.now()
                    {
                        lapsed += 1;
                    } else if open || paid {
                        owed += model.amount + fee;
                    }
                }
                let balance = self.ledgers[ledger].chain.balance(&from);
                let free = balance.saturating_sub(owed + fee);
                if free > 0 && self.take_out(ledger, from, free)? && lapsed > 0 {
                    self.stats
                        .note("withdrawn while a payer without money is in doubt");
                    for _ in 0..lapsed {
                        self.stats.note("lapsed without money");
                    }
                }
            }
        }
        Ok(())
    }

    /// The account of the canister that refunds this payment, if any does by itself or has to.
    fn source(&self, auth: usize) -> Option<Account> {
        let to = self.auths[auth].pay_to;
        match to.owner == self.setup.canister {
            true => Some(to),
            false if self.is_strangers(&to) && !self.refund_asked_for(auth) => None,
            false => Some(self.accounts()[1]),
        }
    }

    /// Withdraws what must be free; false if another withdrawal is in doubt, which is possible.
    fn take_out(&mut self, ledger: usize, from: Account, free: u128) -> Checked<bool> {
        let now = self.setup.now_ns();
        let mut earlier = self.withdrawals.iter();
        let late = earlier.any(|model| {
            let asked = model.asked_at / 1_000_000_000;
            model.ledger == ledger && asked + WINDOW_SECONDS + 60 > now / 1_000_000_000
        });
        let number = self.new_withdrawal(ledger, from, free, Some(now));
        self.ask_to_withdraw(number)?;
        self.check()?;
        if self.withdrawals[number].block.is_some() {
            return Ok(true);
        }
        if late && self.withdrawals[number].busy {
            return Ok(false);
        }
        let solvency: Result<Vec<Solvency>, PaymentsError> =
            self.setup.update(controller(), "solvency", ());
        let args = &self.withdrawals[number].args;
        violation("money that is frozen", format!("{args:?}: {solvency:?}"))
    }

    /// One key takes all the places it gets in one ledger, and all other payers are served.
    pub fn check_not_locked_out(&mut self) -> Checked {
        if !self.kinds.has(Kind::Tight) {
            return Ok(());
        }
        self.crowd(WITH_MONEY, 0, 0, 120)?;
        self.tick(4);
        let before = self.auths.len();
        for payer in 0..WITH_MONEY {
            for ledger in 0..self.ledgers.len() {
                let request = self.request(payer % self.routes.len(), 0);
                let id = self.ledgers[ledger].id.to_text();
                let offers = self.offers_for(&request);
                let seen = format!("{offers:?}");
                let offers = offers.unwrap_or_default();
                let Some(offer) = offers.into_iter().find(|offer| offer.asset == id) else {
                    let balance = self.setup.pic.cycle_balance(self.setup.canister);
                    let text = format!("ledger {ledger}: {balance} cycles, {seen}");
                    return violation("out of business", text);
                };
                let route = payer % self.routes.len();
                let auth = self.agree(By::ALL[payer % 2], (payer, route, request), &offer, 600);
                self.present(
                    auth,
                    1,
                    if ledger == 0 {
                        Send::AndGo
                    } else {
                        Send::AndWait
                    },
                )?;
            }
        }
        self.check()?;
        for auth in before..self.auths.len() {
            let model = &self.auths[auth];
            let served = match model.ledger {
                // It waits behind the crowd, and is recorded.
                0 => model.last.is_some(),
                _ => !model.delivered.is_empty(),
            };
            if !served {
                let text = format!(
                    "ledger {}: {} {:?}",
                    model.ledger, model.answered, model.last
                );
                return violation("locked out", text);
            }
            self.stats.note("served beside a crowd");
        }
        for _ in 0..3 {
            self.test_call(0, "test_release", ());
            self.tick(8);
            self.poll()?;
        }
        self.test_call(0, "test_clear_faults", ());
        self.advance(61)?;
        self.tick(4);
        self.check()
    }
}

/// The answer of `refund_payment`; its payment is not needed.
pub type Refunded = Result<candid::Reserved, RefundError>;

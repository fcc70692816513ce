//! The laws of invoices: the price goes to the merchant once, and what bought nothing goes back.

use crate::{
    calls::Means,
    chain::Block,
    invoices::return_memo,
    kinds::Kind,
    plan::Send,
    support::{
        interface::{Invoice, InvoiceStatus},
        ledger::TestLedger,
        setup::minter,
    },
    world::{Auth, Checked, World, violation},
};
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::account::Account;

/// The pause between two readings of one balance, and a second.
const CHECK_PAUSE_SECONDS: u64 = 6;
/// The longest pause after a failed return, and more.
const RETURN_PAUSE_SECONDS: u64 = 3_700;

impl World {
    /// What leaves the account of an invoice is its price, once, to the merchant; or goes back, when that is not
    /// possible any more, to the account that was named.
    pub fn check_invoice_block(&mut self, ledger: usize, block: &Block) -> Checked<bool> {
        let mut invoices = self.invoices.iter();
        let Some(number) = invoices.position(|model| Some(model.account) == block.from) else {
            return Ok(false);
        };
        let (canister, lied) = (self.setup.canister, self.ledgers[ledger].lied);
        let model = &mut self.invoices[number];
        let memo = block.memo.clone().unwrap_or_default();
        let about = format!("invoice {number}: {block:?}, {:?}", model.last);
        if memo == return_memo(canister, &model.id) {
            let to = block.to.expect("a transfer has a receiver");
            let before = model.returned.insert(ledger, to);
            let own = model.args.refund_to.is_some();
            let named = match own {
                true => to == self.payers[model.payer].account,
                false => model.named.contains(&to) && before.is_none_or(|before| before == to),
            };
            self.stats.note("returns of invoices");
            return match named {
                true => Ok(true),
                false => violation("returned to another account", about),
            };
        }
        let returned = model.returned.contains_key(&ledger);
        let earlier = self.collected(number);
        let Some(auth) = self.attempt(&memo) else {
            return violation("unexplained payout", about);
        };
        let auth = &mut self.auths[auth];
        if auth.block.is_some() || (earlier.is_some() && !lied) {
            return violation("double charge", about);
        }
        auth.block = Some(block.index);
        self.stats.settled += 1;
        self.stats.note("invoices collected");
        let agreed = (auth.ledger, Some(auth.pay_to), auth.amount);
        if agreed != (ledger, block.to, block.amount) {
            return violation("not as agreed", format!("{agreed:?}: {about}"));
        }
        if returned && !lied {
            return violation("collected after it was given back", about);
        }
        Ok(true)
    }

    /// What was fetched was paid for, and counts as delivered for the payment that did.
    pub fn check_fetched(&mut self) -> Checked {
        for number in 0..self.invoices.len() {
            let model = &self.invoices[number];
            if model.fetched.is_empty() {
                continue;
            }
            let key = format!("{} {}", model.args.method, model.args.path);
            let lied = self.ledgers[model.ledger].lied;
            let fetched = model.fetched.clone();
            let Some(auth) = self.collected(number) else {
                if lied {
                    continue;
                }
                return violation("delivered unpaid", format!("invoice {number}"));
            };
            if fetched.len() > 1 {
                return violation("another answer than the first", format!("invoice {number}"));
            }
            let delivered = &mut self.auths[auth].delivered;
            delivered.extend(fetched.into_iter().map(|body| (key.clone(), body)));
        }
        Ok(())
    }

    /// The account that pays: the payer's, or that of the invoice.
    pub fn payer_of(&self, auth: &Auth) -> Account {
        match auth.means {
            Means::Invoice(number) => self.invoices[number].account,
            _ => self.payers[auth.payer].account,
        }
    }

    /// A new invoice in every ledger buys, in the end.
    pub fn invoices_in_business(&mut self) -> Checked {
        if !self.kinds.has(Kind::Invoices) {
            return Ok(());
        }
        for ledger in 0..self.ledgers.len() {
            let (payer, number) = (1 + ledger % 4, self.invoices.len());
            self.create_invoice([payer, ledger, ledger], ledger % 2 == 0, Send::AndWait)?;
            let Some(last) = self.invoices[number].last.clone() else {
                return violation("out of business", format!("no invoice in ledger {ledger}"));
            };
            let amount = u128::try_from(&last.amount.0).expect("a number of the tests");
            let account = self.invoices[number].account;
            self.transfer(ledger, minter().into(), account, amount);
            self.advance(CHECK_PAUSE_SECONDS)?;
            self.submit_content(number);
            self.settle_down(Send::AndWait)?;
            self.check()?;
            let model = &self.invoices[number];
            if model.fetched.is_empty() && !self.ledgers[ledger].lied {
                return violation("out of business", format!("{last:?}: {:?}", model.last));
            }
        }
        Ok(())
    }

    /// Every invoice has ended, and what bought nothing can be had back.
    pub fn empty_invoices(&mut self) -> Checked {
        for number in 0..self.invoices.len() {
            let model = &self.invoices[number];
            if model.last.is_none() {
                continue;
            }
            let (own, id) = (model.args.refund_to.is_some(), model.args.id.clone());
            let known: Option<Option<Invoice>> = self.ask("invoice", (id,));
            let Some(known) = known.flatten() else {
                return violation("an invoice lost", format!("invoice {number}"));
            };
            let lied = self.ledgers[model.ledger].lied;
            let open = matches!(
                known.status,
                InvoiceStatus::Open | InvoiceStatus::Collecting
            );
            if open && !lied {
                return violation("left open", format!("{known:?}"));
            }
            if !lied {
                self.invoice_seen(number, known)?;
            }
            for ledger in 0..self.ledgers.len() {
                if !self.ledgers[ledger].lied {
                    self.empty_invoice(number, ledger, own)?;
                }
            }
        }
        Ok(())
    }

    fn empty_invoice(&mut self, number: usize, ledger: usize, own: bool) -> Checked {
        let id = self.ledgers[ledger].id;
        let account = self.invoices[number].account;
        let rest = |world: &World| {
            let fee: Nat = world
                .setup
                .query_at(id, Principal::anonymous(), "icrc1_fee", ());
            let balance = TestLedger(id).balance(&world.setup, account);
            (fee < balance).then_some(balance)
        };
        let model = &self.invoices[number];
        let first = model.returned.get(&ledger).copied();
        let to = first.unwrap_or(self.payers[model.payer].account);
        if own && ledger == model.ledger && first.is_some() && rest(self).is_none() {
            self.stats.note("invoices given back by themselves");
        }
        for _ in 0..3 {
            if rest(self).is_none() {
                return Ok(());
            }
            self.ask_to_return(number, ledger, to, Send::AndWait)?;
            self.check()?;
            if rest(self).is_some() {
                self.advance(RETURN_PAUSE_SECONDS)?;
                self.tick(6);
                self.check()?;
            }
        }
        let model = &self.invoices[number];
        match rest(self) {
            None => Ok(()),
            Some(rest) => violation("money that stays", format!("{rest}: {:?}", model.last)),
        }
    }
}

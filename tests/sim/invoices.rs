//! Invoices: plain transfers to an account of the invoice's own, passed on to the merchant once, or given back.

use crate::{
    answers::content,
    calls::Means,
    plan::Send,
    support::{
        Answer, Request,
        interface::{
            Invoice, InvoiceArgs, InvoiceError, InvoiceReturnArgs, InvoiceStatus, Returned,
        },
    },
    world::{Auth, Checked, WITH_MONEY, What, World, violation},
};
use candid::Principal;
use icrc_ledger_types::icrc1::account::Account;
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use x402_icp::PaymentId;

/// The most transfers to the merchant that are begun for one invoice.
const MAX_ATTEMPTS: u8 = 6;
/// The highest fee of a ledger here.
const HIGHEST_FEE: u128 = 20_000;
/// A ledger's clock may be off, and a transfer be made before its balance is read.
const SKEW_NS: u64 = 300_000_000_000;

/// An invoice that a buyer asked for.
pub struct InvoiceModel {
    pub account: Account,
    pub args: InvoiceArgs,
    pub id: [u8; 32],
    pub payer: usize,
    route: usize,
    pub ledger: usize,
    /// The latest that the canister said of it.
    pub last: Option<Invoice>,
    /// The accounts that somebody named for what bought nothing.
    pub named: BTreeSet<Account>,
    /// Where returns went, by ledger.
    pub returned: BTreeMap<usize, Account>,
    /// What was delivered.
    pub fetched: BTreeSet<Vec<u8>>,
}

/// What was asked about an invoice.
pub enum Asked {
    Create,
    Check,
    /// What it bought; whether the merchant had the money when it was asked for.
    Content {
        moved: bool,
    },
    Return,
}

impl World {
    /// A buyer has an invoice made, or asks for a known one again. `named`: with an account for what buys nothing.
    pub fn create_invoice(&mut self, pick: [usize; 3], named: bool, send: Send) -> Checked {
        let [payer, route, ledger] = pick;
        let known = self.invoices.len();
        if payer.is_multiple_of(7) && known > 0 {
            return self.ask_invoice(route % known, Asked::Create, send);
        }
        let routes = (0..self.routes.len()).filter(|route| self.routes[*route].method == "GET");
        let routes: Vec<usize> = routes.collect();
        let (payer, route) = (payer % WITH_MONEY, routes[route % routes.len()]);
        let ledger = ledger % self.ledgers.len();
        let request = self.request(route, payer as u64 % 2);
        let id = self.new_nonce();
        let canister = self.setup.canister;
        let mut subaccount = [0; 32];
        subaccount[..12].copy_from_slice(b"x402-invoice");
        let hash = hash("x402-icp-invoice", canister, &id, 0);
        subaccount[12..].copy_from_slice(&hash[..20]);
        let payers_own = self.payers[payer].account;
        self.invoices.push(InvoiceModel {
            account: Account {
                owner: canister,
                subaccount: Some(subaccount),
            },
            args: InvoiceArgs {
                id: ByteBuf::from(id),
                method: request.method,
                path: request.url,
                ledger: self.ledgers[ledger].id,
                price: None,
                refund_to: named.then(|| payers_own.into()),
            },
            id,
            payer,
            route,
            ledger,
            last: None,
            named: named.then_some(payers_own).into_iter().collect(),
            returned: BTreeMap::new(),
            fetched: BTreeSet::new(),
        });
        self.ask_invoice(known, Asked::Create, send)
    }

    /// The payer sends this part of the amount, of the token, or of another one.
    pub fn pay_invoice(&mut self, number: usize, percent: u64, other: usize) -> Checked {
        let Some(number) = self.some_invoice(number) else {
            return Ok(());
        };
        let model = &self.invoices[number];
        let Some(last) = &model.last else {
            return Ok(());
        };
        let amount = u128::try_from(&last.amount.0).expect("a number of the tests");
        let ledger = (model.ledger + other) % self.ledgers.len();
        let (from, to) = (self.payers[model.payer].account, model.account);
        self.transfer(ledger, from, to, amount * u128::from(percent) / 100);
        self.stats.note("transfers to invoices");
        self.check()
    }

    pub fn check_invoice(&mut self, number: usize, send: Send) -> Checked {
        match self.some_invoice(number) {
            Some(number) => self.ask_invoice(number, Asked::Check, send),
            None => Ok(()),
        }
    }

    /// Asks for what an invoice bought, several times at once.
    pub fn fetch_invoice(&mut self, number: usize, copies: usize, send: Send) -> Checked {
        let Some(number) = self.some_invoice(number) else {
            return Ok(());
        };
        for _ in 0..copies {
            self.submit_content(number);
        }
        self.settle_down(send)
    }

    /// Has what is in the account given back: to the payer, or to somebody else who knows the id.
    pub fn return_invoice(&mut self, number: usize, ledger: usize, to: usize) -> Checked {
        let Some(number) = self.some_invoice(number) else {
            return Ok(());
        };
        let model = &self.invoices[number];
        let ledger = (model.ledger + ledger) % self.ledgers.len();
        let to = self.payers[(model.payer + to) % WITH_MONEY].account;
        self.ask_to_return(number, ledger, to, Send::AndWait)
    }

    pub fn ask_to_return(
        &mut self,
        number: usize,
        ledger: usize,
        to: Account,
        send: Send,
    ) -> Checked {
        let model = &mut self.invoices[number];
        model.named.insert(to);
        let args = InvoiceReturnArgs {
            id: model.args.id.clone(),
            ledger: self.ledgers[ledger].id,
            to: Some(to.into()),
        };
        let arg = candid::encode_one(args).expect("Candid");
        let (sender, asked) = (self.sender(), Asked::Return);
        let what = What::Invoice { number, asked };
        self.send(sender, "invoice_return", arg, what);
        self.settle_down(send)
    }

    /// Mostly one of the latest invoices that were made.
    fn some_invoice(&self, number: usize) -> Option<usize> {
        let all = 0..self.invoices.len();
        let made = all.filter(|number| self.invoices[*number].last.is_some());
        let made: Vec<usize> = made.collect();
        let span = match number.is_multiple_of(4) {
            true => made.len(),
            false => made.len().min(4),
        };
        (span > 0).then(|| made[made.len() - 1 - (number / 4) % span])
    }

    fn ask_invoice(&mut self, number: usize, asked: Asked, send: Send) -> Checked {
        let args = &self.invoices[number].args;
        let (method, arg) = match asked {
            Asked::Create => ("invoice_create", candid::encode_one(args)),
            _ => ("invoice_check", candid::encode_one(&args.id)),
        };
        let sender = self.sender();
        let what = What::Invoice { number, asked };
        self.send(sender, method, arg.expect("Candid"), what);
        self.settle_down(send)
    }

    /// Asks for what an invoice bought.
    pub fn submit_content(&mut self, number: usize) {
        let id = hex::encode(self.invoices[number].id);
        let request = Request::new("GET", &format!("/x402/invoices/{id}/content"));
        let moved = self.collected(number).is_some();
        let (sender, asked) = (self.sender(), Asked::Content { moved });
        let what = What::Invoice { number, asked };
        let argument = request.update_argument();
        self.send(sender, "http_request_update", argument, what);
    }

    /// The payment that brought the merchant the money.
    pub fn collected(&self, number: usize) -> Option<usize> {
        let paid = |auth: &Auth| {
            matches!(auth.means, Means::Invoice(of) if of == number) && auth.block.is_some()
        };
        self.auths.iter().position(paid)
    }

    /// The payment with this id, if it is the attempt of an invoice.
    pub fn attempt(&mut self, id: &[u8]) -> Option<usize> {
        if let Some(known) = self.by_id.get(id) {
            return Some(*known);
        }
        let canister = self.setup.canister;
        let number = self.invoices.iter().position(|model| {
            (1..=MAX_ATTEMPTS).any(|attempt| payment_id(canister, &model.id, attempt).0 == id)
        })?;
        let model = &self.invoices[number];
        let last = model.last.as_ref()?;
        let request = Request::new(&model.args.method, &model.args.path);
        let id = PaymentId(id.try_into().ok()?);
        Some(self.add(Auth {
            ledger: model.ledger,
            pay_to: last.pay_to,
            amount: u128::try_from(&last.price.0).expect("a number of the tests"),
            ..Auth::new(
                id,
                Means::Invoice(number),
                (model.payer, model.route, request),
            )
        }))
    }

    /// Checks an answer about an invoice.
    pub fn invoice_answered(&mut self, number: usize, asked: &Asked, reply: &[u8]) -> Checked {
        let made = self.invoices[number].last.is_some();
        match asked {
            Asked::Create => match candid::decode_one(reply).expect("a reply of invoice_create") {
                Ok(invoice) => {
                    if !made {
                        self.stats.note("invoices");
                    }
                    self.invoice_seen(number, invoice)
                }
                Err(InvoiceError::IdUsed) if made => violation(
                    "an invoice that changed",
                    format!("{:?}", InvoiceError::IdUsed),
                ),
                Err(_) => Ok(()),
            },
            Asked::Check => match candid::decode_one(reply).expect("a reply of invoice_check") {
                Ok(invoice) => self.invoice_seen(number, invoice),
                Err(InvoiceError::UnknownInvoice) => violation("an invoice lost", "asked for"),
                Err(_) => Ok(()),
            },
            Asked::Content { moved } => {
                self.content_answered(number, *moved, &Answer::from_update(reply))
            }
            Asked::Return => {
                let answer: Result<Returned, InvoiceError> =
                    candid::decode_one(reply).expect("a reply of invoice_return");
                if matches!(answer, Err(InvoiceError::OtherAccount { .. })) {
                    self.stats.note("returns to another account refused");
                }
                Ok(())
            }
        }
    }

    fn content_answered(&mut self, number: usize, moved: bool, answer: &Answer) -> Checked {
        let model = &mut self.invoices[number];
        let lied = self.ledgers[model.ledger].lied;
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        let about = format!("invoice {number}: status {}, {body}", answer.status);
        if answer.status == 200 {
            let route = &self.routes[model.route];
            let mut versions = 1..=route.version;
            if !versions.any(|version| content(route.template, version) == answer.body) {
                return violation("wrong content", about);
            }
            self.stats.delivered += 1;
            model.fetched.insert(answer.body.clone());
            return Ok(());
        }
        if answer.body.starts_with(b"content of ") {
            return violation("delivered unpaid", about);
        }
        let asks = ["open", "expired", "short", "refused", "not_sold", "no_room"];
        let asks = asks.map(|status| format!("\"status\":\"{status}\""));
        if moved && !lied && asks.iter().any(|status| body.contains(status)) {
            return violation("paid and denied", about);
        }
        Ok(())
    }

    /// What the canister says of an invoice agrees with what it said before, and with the ledger.
    pub fn invoice_seen(&mut self, number: usize, invoice: Invoice) -> Checked {
        let model = &self.invoices[number];
        let about = format!("invoice {number}: {:?}, then {invoice:?}", model.last);
        if invoice.account != model.account {
            return violation("another account", about);
        }
        if let Some(last) = &model.last {
            let terms = |one: &Invoice| (one.price.clone(), one.pay_to, one.expires_at);
            let ended = !matches!(last.status, InvoiceStatus::Open | InvoiceStatus::Collecting);
            if terms(last) != terms(&invoice) || (ended && last.status != invoice.status) {
                return violation("an invoice that changed", about);
            }
        }
        let unpaid = matches!(
            invoice.status,
            InvoiceStatus::Expired | InvoiceStatus::Short
        );
        let enough = u128::try_from(&invoice.price.0).unwrap_or(u128::MAX) + HIGHEST_FEE;
        let in_time = self.paid_before(number, invoice.expires_at.saturating_sub(SKEW_NS));
        if unpaid && in_time >= enough && !self.ledgers[model.ledger].lied {
            return violation("paid in time and not served", about);
        }
        self.invoices[number].last = Some(invoice);
        Ok(())
    }

    /// What came into the account in its ledger before this time.
    fn paid_before(&self, number: usize, time: u64) -> u128 {
        let model = &self.invoices[number];
        let blocks = &self.ledgers[model.ledger].chain.blocks;
        let came = blocks.iter().filter(|block| {
            block.op != "approve" && block.to == Some(model.account) && block.timestamp < time
        });
        came.map(|block| block.amount).sum()
    }
}

/// The id of this attempt, computed without the canister's code.
fn payment_id(canister: Principal, id: &[u8; 32], attempt: u8) -> PaymentId {
    PaymentId(hash("x402-icp-invoice-payment", canister, id, attempt))
}

/// The memo of what is given back.
pub fn return_memo(canister: Principal, id: &[u8; 32]) -> Vec<u8> {
    hash("x402-icp-invoice-return", canister, id, 0).to_vec()
}

/// A hash that those who know the id can compute.
fn hash(domain: &str, canister: Principal, id: &[u8; 32], number: u8) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [domain.as_bytes(), canister.as_slice(), id, &[number]] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

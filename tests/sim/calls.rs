//! Payments by the Candid method `pay`: the caller is the payer, and there is no signature.

use crate::{
    plan::Send,
    quiet::RETENTION_DAYS,
    support::{
        Request, Signed,
        interface::{AccountArg, PayArgs, PayError, Payment, PaymentStatus, Purchased, Receipt},
    },
    transfers::Own,
    world::{Auth, Checked, LedgerModel, MAX_TIMEOUT_SECONDS, WITH_MONEY, What, World, violation},
};
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::account::Account;
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use x402_icp::{Code, PaymentId, wire::PaymentRequirements};

/// How a payer agrees to a payment.
pub enum Means {
    Signed(Box<Signed>),
    Call(Box<Call>),
    Transfer(Box<Own>),
    /// An attempt to collect the money of this invoice.
    Invoice(usize),
}

/// A call of `pay`.
pub struct Call {
    pub args: PayArgs,
    /// It was made before its time was over: a repetition may be answered at any time.
    in_time: bool,
    /// The canister said that the ledger moved nothing.
    denied: bool,
    /// The canister said that nothing is delivered any more.
    duplicate: bool,
    /// It said so without a receipt.
    no_receipt: bool,
}

/// What was known when a call was sent.
pub struct Sent {
    /// Its time was over, and it had not been made before.
    stale: bool,
    /// Money had moved for it.
    moved: bool,
    /// Another payment of the caller had its id.
    taken: bool,
}

type Bought = Result<Purchased, PayError>;

/// The payer, the route, and the request for it.
pub type Wish = (usize, usize, Request);

impl World {
    /// The payer agrees to an offer by a call that will be sent. The call expires after `window` seconds.
    pub fn call(&mut self, wish: Wish, offer: &PaymentRequirements, window: u64) -> usize {
        let id = self.new_nonce();
        self.call_with(wish, id, offer, window)
    }

    fn call_with(
        &mut self,
        wish: Wish,
        id: [u8; 32],
        offer: &PaymentRequirements,
        window: u64,
    ) -> usize {
        let pay_to: Account = offer.pay_to.parse().expect("an account");
        let timeout = u64::from(offer.max_timeout_seconds);
        let args = PayArgs {
            id: ByteBuf::from(id),
            method: wish.2.method.clone(),
            path: wish.2.url.clone(),
            ledger: Principal::from_text(&offer.asset).expect("an offer names a ledger"),
            amount: Nat::from(offer.amount.parse::<u128>().expect("a number")),
            fee: Nat::from(offer.extra.fee.parse::<u128>().expect("a number")),
            pay_to: AccountArg::from(pay_to),
            from_subaccount: None,
            created_at_time: self.setup.now_ns() + window * 1_000_000_000 - timeout * 1_000_000_000,
        };
        self.add_call(wish, args)
    }

    /// Adds the payment that these arguments mean, unless it is there.
    fn add_call(&mut self, wish: Wish, mut args: PayArgs) -> usize {
        let payer = self.payers[wish.0].account;
        args.from_subaccount = AccountArg::from(payer).subaccount;
        let id = payment_id(self.setup.canister, payer.owner, &args);
        if let Some(known) = self.by_id.get(id.0.as_slice()) {
            return *known;
        }
        let ledger = self.ledgers.iter().position(|one| one.id == args.ledger);
        let created_at = args.created_at_time;
        let valid_before = created_at / 1_000_000_000 + u64::from(MAX_TIMEOUT_SECONDS);
        let call = Call {
            args,
            in_time: false,
            denied: false,
            duplicate: false,
            no_receipt: false,
        };
        self.add(Auth {
            nonce: bytes32(&call.args.id),
            ledger: ledger.expect("a ledger of this world"),
            pay_to: account(&call.args.pay_to),
            amount: number(&call.args.amount),
            fee: number(&call.args.fee),
            created_at,
            valid_after: created_at / 1_000_000_000,
            valid_before,
            deadline: valid_before,
            ..Auth::new(id, Means::Call(Box::new(call)), wish)
        })
    }

    /// The payer makes the call.
    pub fn submit_call(&mut self, index: usize) {
        let now = self.setup.now();
        let auth = &self.auths[index];
        let Means::Call(call) = &auth.means else {
            return;
        };
        let in_time = call.in_time || now < auth.valid_before;
        let argument = candid::encode_one(&call.args).expect("Candid");
        let mut others = self.of_the_same_id(index);
        let sent = Sent {
            stale: !in_time,
            moved: auth.block.is_some(),
            taken: others.any(|other| other.last.is_some()),
        };
        let again = auth.presented.is_some();
        let payer = self.payers[auth.payer].account.owner;
        drop(others);
        if !self.send(payer, "pay", argument, What::Call { auth: index, sent }) {
            return;
        }
        if again {
            let late = now >= self.auths[index].valid_before;
            self.stats.note("calls repeated");
            if late {
                self.stats.note("calls repeated after their timeout");
            }
        }
        let step = self.stats.steps;
        let auth = &mut self.auths[index];
        auth.presented.get_or_insert(step);
        if in_time {
            auth.deadline = auth.deadline.max(now);
        }
        if let Means::Call(call) = &mut auth.means {
            call.in_time = in_time;
        }
    }

    /// Other payments by calls with the id of this one, by the same payer.
    fn of_the_same_id(&self, index: usize) -> impl Iterator<Item = &Auth> {
        let one = &self.auths[index];
        let others = self.auths.iter().enumerate().filter(move |(other, auth)| {
            *other != index && (auth.payer, auth.nonce) == (one.payer, one.nonce)
        });
        let others = others.filter(|(_, auth)| matches!(auth.means, Means::Call(_)));
        others.map(|(_, auth)| auth)
    }

    /// A recent call's id is used again: by its caller for other terms, or by another payer. Every second time that
    /// call is made at the same moment.
    pub fn use_id_again(&mut self, number: usize, edit: u64, send: Send) -> Checked {
        let calls = (0..self.auths.len()).rev();
        let calls = calls.filter(|auth| matches!(self.auths[*auth].means, Means::Call(_)));
        let calls: Vec<usize> = calls.take(8).collect();
        match calls.as_slice() {
            [] => Ok(()),
            calls => {
                let call = calls[number % calls.len()];
                if edit >= 8 {
                    self.submit_call(call);
                }
                self.call_otherwise(call, edit, send)
            }
        }
    }

    /// The id of this call with other terms, or by another payer.
    pub fn call_otherwise(&mut self, index: usize, edit: u64, send: Send) -> Checked {
        let auth = &self.auths[index];
        let Means::Call(call) = &auth.means else {
            return Ok(());
        };
        let (payer, route, ledger) = (auth.payer, auth.route, auth.ledger);
        let (id, request, mut args) = (auth.nonce, auth.request.clone(), call.args.clone());
        let other = match edit % 8 {
            0 | 1 => {
                let payer = (payer + 1) % WITH_MONEY;
                self.stats.note("ids of another payer used");
                self.add_call((payer, route, request), args)
            }
            2 => {
                args.created_at_time = self.setup.now_ns();
                self.add_call((payer, route, request), args)
            }
            3 => {
                args.amount += 1_u32;
                self.add_call((payer, route, request), args)
            }
            edit => {
                let (route, request) = match edit {
                    4 | 5 => {
                        let route = (route + 1) % self.routes.len();
                        (route, plain(self.request(route, 0)))
                    }
                    _ => (route, request),
                };
                // The next ledger, or the newest terms.
                let ledger = (ledger + usize::from(edit == 6)) % self.ledgers.len();
                let asset = self.ledgers[ledger].id.to_text();
                let offers = self.offers_for(&request).unwrap_or_default();
                let Some(offer) = offers.into_iter().find(|offer| offer.asset == asset) else {
                    return Ok(());
                };
                let wish = (payer, route, request);
                self.call_with(wish, id, &offer, u64::from(MAX_TIMEOUT_SECONDS))
            }
        };
        self.present(other, 1, send)
    }

    /// Checks the answer to a call.
    pub fn called(&mut self, index: usize, sent: &Sent, answer: Bought) -> Checked {
        let auth = &self.auths[index];
        let about = format!("call {} ({}): {answer:?}", auth.id, auth.wanted());
        let lied = self.ledgers[auth.ledger].lied;
        self.auths[index].answered = about.clone();
        let code = match &answer {
            Err(PayError::Refused { code, .. }) => Some(code.as_str()),
            _ => None,
        };
        if sent.stale && code.is_none() {
            return violation("accepted after the expiry", about);
        }
        if sent.taken && code != Some(Code::NonceUsed.as_str()) {
            return violation("one id, two payments", about);
        }
        if let Some(code) = code {
            return self.call_refused(index, code, sent, about);
        }
        let about_this = |id: &ByteBuf| id.as_slice() == self.auths[index].id.0;
        match answer {
            Ok(bought) => {
                self.check_receipt(index, &bought.receipt, &about)?;
                if self.auths[index].delivered.is_empty() {
                    self.stats.note("bought by call");
                }
                let key = self.auths[index].wanted();
                self.delivered(index, &key, &bought.body, true, about)
            }
            Err(PayError::Pending { payment_id }) if about_this(&payment_id) => Ok(()),
            Err(PayError::Failed { payment_id, .. }) if about_this(&payment_id) => {
                if sent.moved && !lied {
                    return violation("paid and denied", about);
                }
                if let Means::Call(call) = &mut self.auths[index].means {
                    call.denied = true;
                }
                Ok(())
            }
            Err(PayError::Duplicate {
                payment_id,
                receipt,
            }) if about_this(&payment_id) => {
                if let Means::Call(call) = &mut self.auths[index].means {
                    call.duplicate = true;
                    call.no_receipt |= receipt.is_none();
                }
                match receipt {
                    Some(receipt) => self.check_receipt(index, &receipt, &about),
                    None => Ok(()),
                }
            }
            // An argument is malformed, or the answer is about another payment.
            Err(_) => violation("another answer than to this call", about),
        }
    }

    fn call_refused(&mut self, index: usize, code: &str, sent: &Sent, about: String) -> Checked {
        self.stats.note(&format!("refused: {code}"));
        // The payer would choose another id, and pay twice.
        if sent.moved {
            return violation("asked to pay again", about);
        }
        if code == Code::NonceUsed.as_str() {
            let mut others = self.of_the_same_id(index);
            if !others.any(|other| other.presented.is_some()) {
                return violation("an id that nobody used", about);
            }
            drop(others);
            self.stats.note("used ids with other terms refused");
        }
        if code == Code::Expired.as_str() && sent.stale {
            self.stats.note("calls refused as expired");
        }
        Ok(())
    }

    fn check_receipt(&self, index: usize, receipt: &Receipt, about: &str) -> Checked {
        let auth = &self.auths[index];
        let ledger = &self.ledgers[auth.ledger];
        let says = (
            receipt.payment_id.as_slice(),
            (receipt.ledger, receipt.payer, receipt.pay_to),
            (&receipt.amount, &receipt.fee),
            receipt.path.as_ref(),
        );
        let agreed = (
            auth.id.0.as_slice(),
            (
                ledger.id,
                Some(self.payers[auth.payer].account),
                auth.pay_to,
            ),
            (&Nat::from(auth.amount), &Nat::from(auth.fee)),
            Some(&auth.request.url),
        );
        let block = auth.block.map(Nat::from);
        let other = block.is_some_and(|block| block != receipt.block_index);
        if says != agreed || (other && !ledger.lied) {
            return violation("wrong receipt", format!("{agreed:?}: {about}"));
        }
        Ok(())
    }

    /// A caller's id belongs to one payment.
    pub fn check_ids(&self) -> Checked {
        let mut used = BTreeSet::new();
        for auth in &self.auths {
            let known = auth.block.is_some() || auth.last.is_some();
            if known
                && matches!(auth.means, Means::Call(_))
                && !used.insert((auth.payer, auth.nonce))
            {
                return violation("one id, two payments", auth.id.to_string());
            }
        }
        Ok(())
    }
}

impl Auth {
    /// What was said about a call agrees with the ledger.
    pub fn check_denial(&self, ledger: &LedgerModel) -> Checked {
        match &self.means {
            Means::Call(call) if call.denied && self.block.is_some() && !ledger.lied => {
                violation("failed and charged", self.id.to_string())
            }
            Means::Call(call) if call.duplicate && self.block.is_none() && !ledger.lied => {
                violation("duplicate of nothing", self.id.to_string())
            }
            _ => Ok(()),
        }
    }

    /// `Duplicate` withholds only what was delivered long ago, or goes back; and the receipt if it went back. `now` in
    /// nanoseconds.
    pub fn check_duplicate(&self, payment: &Payment, now: u64) -> Checked {
        let withheld = match &payment.status {
            PaymentStatus::Delivered { delivered_at, .. } => {
                now <= delivered_at + RETENTION_DAYS as u64 * 86_400_000_000_000
            }
            PaymentStatus::Refunding { .. } | PaymentStatus::Refunded { .. } => false,
            _ => true,
        };
        match &self.means {
            Means::Call(call) if call.duplicate && withheld => {
                violation("withheld as a duplicate", format!("{payment:?}"))
            }
            // What is refunded stays so.
            Means::Call(call)
                if call.no_receipt && !matches!(payment.status, PaymentStatus::Refunded { .. }) =>
            {
                violation("paid without a receipt", format!("{payment:?}"))
            }
            _ => Ok(()),
        }
    }

    /// The request in one line.
    fn wanted(&self) -> String {
        format!("{} {}", self.request.method, self.request.url)
    }
}

/// The request as far as a call can name it.
pub fn plain(request: Request) -> Request {
    let path = request.url.split('?').next().unwrap_or_default();
    Request::new(&request.method, path)
}

/// The id of a payment by call, which is the memo of its transfer, computed without the canister's code.
fn payment_id(canister: Principal, caller: Principal, args: &PayArgs) -> PaymentId {
    let subaccount = |blob: &Option<ByteBuf>| match blob {
        Some(blob) => blob.to_vec(),
        None => vec![0; 32],
    };
    let parts = [
        b"x402-icp-call".to_vec(),
        canister.as_slice().to_vec(),
        caller.as_slice().to_vec(),
        args.id.to_vec(),
        caller.as_slice().to_vec(),
        subaccount(&args.from_subaccount),
        args.pay_to.owner.as_slice().to_vec(),
        subaccount(&args.pay_to.subaccount),
        args.ledger.as_slice().to_vec(),
        number(&args.amount).to_be_bytes().to_vec(),
        number(&args.fee).to_be_bytes().to_vec(),
        args.created_at_time.to_be_bytes().to_vec(),
        args.method.clone().into_bytes(),
        args.path.clone().into_bytes(),
    ];
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    PaymentId(hash.finalize().into())
}

fn bytes32(blob: &ByteBuf) -> [u8; 32] {
    blob.to_vec().try_into().expect("32 bytes")
}

fn number(nat: &Nat) -> u128 {
    u128::try_from(&nat.0).expect("a number of the tests")
}

fn account(argument: &AccountArg) -> Account {
    Account {
        owner: argument.owner,
        subaccount: argument.subaccount.as_ref().map(bytes32),
    }
}

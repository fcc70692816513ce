//! The payers: those who keep to the rule of one valid authorization, those who do not, and strangers with their
//! payments.

use crate::{
    calls::{Means, Wish, plain},
    plan::{By, Mishap, Send, Step},
    support::{
        Answer, Request, Signed,
        interface::{CancelArgs, HttpRequest, HttpResponse, Payment, PaymentStatus},
        setup::controller,
    },
    world::{Auth, Checked, What, World},
};
use candid::Principal;
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use test_ledger::testing::{Fault, Hold, queue_fault};
use x402_icp::{Nonce, wire::PaymentRequirements};

/// Rounds in which an undisturbed payment ends.
const ROUNDS: u64 = 8;

impl World {
    /// Mostly one of the latest authorizations.
    pub fn lately(&self, number: usize) -> usize {
        let all = self.auths.len();
        let span = if number.is_multiple_of(5) {
            all
        } else {
            all.min(10)
        };
        all - 1 - (number / 5) % span
    }

    /// The offers of the 402 that are paid from an allowance; `None` if nothing is on sale or there is no response.
    pub fn offers_for(&self, request: &Request) -> Option<Vec<PaymentRequirements>> {
        let offers = self.unpaid_answer(request)?.payment_required()?.accepts;
        (!offers.is_empty()).then_some(offers)
    }

    /// The answer to a request without a payment, if there is one.
    pub fn unpaid_answer(&self, request: &Request) -> Option<Answer> {
        if self.stopped {
            return None;
        }
        let argument = HttpRequest {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
            certificate_version: Some(2),
        };
        let mut response: HttpResponse = self.ask("http_request", (argument,))?;
        if response.upgrade == Some(true) {
            let (pic, anybody) = (&self.setup.pic, Principal::anonymous());
            let (canister, arg) = (self.setup.canister, request.update_argument());
            let message = pic.submit_call(canister, anybody, "http_request_update", arg);
            let reply = self.finished(message.ok()?, 6)?.ok()?;
            response = candid::decode_one(&reply).expect("an HTTP response");
        }
        Some(Answer {
            status: response.status_code,
            headers: response.headers,
            body: response.body,
            upgraded: false,
        })
    }

    /// The payer agrees to an offer, by a signature or by a call that will be sent.
    pub fn agree(&mut self, by: By, wish: Wish, offer: &PaymentRequirements, window: u64) -> usize {
        match by {
            By::Signature => self.sign(wish, offer, window),
            By::Call => self.call((wish.0, wish.1, plain(wish.2)), offer, window),
        }
    }

    pub fn new_nonce(&mut self) -> [u8; 32] {
        self.nonces += 1;
        Sha256::digest(self.nonces.to_be_bytes()).into()
    }

    pub fn sign(&mut self, wish: Wish, offer: &PaymentRequirements, window: u64) -> usize {
        let nonce = self.new_nonce();
        let now = self.setup.now();
        let valid_before = now - 30 + window.clamp(40, u64::from(offer.max_timeout_seconds));
        let signed = self.payers[wish.0].sign_with(offer, Nonce(nonce), now - 30, valid_before);
        let asset = Principal::from_text(&offer.asset).expect("an offer names a ledger");
        let ledger = self.ledgers.iter().position(|ledger| ledger.id == asset);
        self.add(Auth {
            nonce,
            ledger: ledger.expect("a ledger of this world"),
            pay_to: offer.pay_to.parse().expect("an account"),
            amount: offer.amount.parse().expect("a number"),
            fee: offer.extra.fee.parse().expect("a number"),
            created_at: (now - 30) * 1_000_000_000,
            valid_after: now - 30,
            valid_before,
            deadline: valid_before,
            ..Auth::new(signed.id, Means::Signed(Box::new(signed)), wish)
        })
    }

    pub fn add(&mut self, auth: Auth) -> usize {
        let number = self.auths.len();
        self.by_id.insert(auth.id.0.to_vec(), number);
        self.auths.push(auth);
        number
    }

    /// Sends the payment with the request that it was agreed for, several times at once.
    pub fn present(&mut self, auth: usize, copies: usize, send: Send) -> Checked {
        if send == Send::Later {
            return Ok(());
        }
        for copy in 0..copies {
            self.submit_right(auth);
            // Some of them arrive a round later.
            if copy % 2 == 1 {
                self.tick(1);
            }
        }
        self.settle_down(send)
    }

    fn submit_right(&mut self, auth: usize) {
        match &self.auths[auth].means {
            Means::Signed(signed) => {
                let request = self.auths[auth].request.clone();
                self.submit(auth, request.payment(&signed.header()), true);
            }
            Means::Transfer(_) => {
                let request = self.proof(auth, &self.auths[auth].request);
                self.submit(auth, request.expect("a transfer"), true);
            }
            Means::Call(_) => self.submit_call(auth),
            Means::Invoice(number) => self.submit_content(*number),
        }
    }

    pub fn submit(&mut self, auth: usize, request: Request, right: bool) {
        let argument = request.update_argument();
        let sender = self.sender();
        let what = What::Http {
            auth,
            right,
            moved: self.auths[auth].block.is_some(),
            request,
        };
        if self.send(sender, "http_request_update", argument, what) {
            let step = self.stats.steps;
            self.auths[auth].presented.get_or_insert(step);
        }
    }

    /// Waits for responses, or lets one round pass.
    pub fn settle_down(&mut self, send: Send) -> Checked {
        let rounds = match send {
            Send::Later => 0,
            Send::AndGo => 1,
            Send::AndWait => ROUNDS,
        };
        for _ in 0..rounds {
            self.tick(1);
            self.poll()?;
            if self.pending.is_empty() {
                break;
            }
        }
        Ok(())
    }

    pub fn cancel(&mut self, auth: usize) -> Checked {
        let signed = &self.auths[auth];
        let args = CancelArgs {
            nonce: ByteBuf::from(signed.nonce.to_vec()),
            valid_before_seconds: signed.valid_before,
        };
        let payer = self.payers[signed.payer].account.owner;
        let arg = candid::encode_one(args).expect("Candid");
        // A call has nothing to cancel: it may be charged whatever the answer is.
        let what = match signed.means {
            Means::Signed(_) => What::Cancel { auth },
            Means::Call(_) | Means::Transfer(_) | Means::Invoice(_) => What::Admin,
        };
        self.send(payer, "cancel_authorization", arg, what);
        self.settle_down(Send::AndWait)
    }

    /// A payer wants this resource, and never has two valid authorizations for it.
    pub fn buy(
        &mut self,
        (payer, route, request): Wish,
        ledger: usize,
        how: (By, u64, Send, Mishap),
        impatient: bool,
    ) -> Checked {
        let begun = self.purchases.iter().rposition(|auths| {
            let newest = &self.auths[auths[auths.len() - 1]];
            (newest.payer, &newest.request) == (payer, &request) && newest.delivered.is_empty()
        });
        if let Some(number) = begun {
            let auths = &self.purchases[number];
            let newest = auths[auths.len() - 1];
            match self.outlook(newest) {
                Outlook::Over => {}
                Outlook::Good if impatient => return self.cancel(newest),
                Outlook::Good => return self.present(newest, 1, how.2),
                Outlook::Unknown => return Ok(()),
                Outlook::Dead => {
                    self.stats.note("signed again for a purchase");
                    return self.sign_for(Some(number), (payer, route, request), ledger, how);
                }
            }
        }
        self.sign_for(None, (payer, route, request), ledger, how)
    }

    fn sign_for(
        &mut self,
        purchase: Option<usize>,
        wish: Wish,
        ledger: usize,
        (by, window, send, mishap): (By, u64, Send, Mishap),
    ) -> Checked {
        let Some(offers) = self.offers_for(&wish.2) else {
            return Ok(());
        };
        let offer = offers[ledger % offers.len()].clone();
        let route = wish.1;
        let auth = self.agree(by, wish, &offer, window);
        let purchase = purchase.unwrap_or_else(|| {
            self.stats.note("purchases");
            self.purchases.push(vec![]);
            self.purchases.len() - 1
        });
        self.purchases[purchase].push(auth);
        self.auths[auth].purchase = Some(purchase);
        let ledger = self.auths[auth].ledger;
        let id = self.ledgers[ledger].id;
        match mishap {
            _ if send == Send::Later => Ok(()),
            Mishap::No => self.present(auth, 1, send),
            Mishap::OffSale => {
                let on_sale = std::mem::replace(&mut self.routes[route].on_sale, false);
                self.put_route(route)?;
                self.present(auth, 1, Send::AndWait)?;
                self.routes[route].on_sale = on_sale;
                self.put_route(route)
            }
            Mishap::LedgerDisabled => {
                self.admin(controller(), "ledger_enable", (id, false))?;
                self.present(auth, 1, Send::AndWait)?;
                self.admin(controller(), "ledger_enable", (id, true))
            }
            Mishap::OtherFee => {
                let fee = if self.ledgers[ledger].fee == 5_000 {
                    20_000
                } else {
                    5_000
                };
                self.play(&Step::LedgerFee { ledger, fee })?;
                self.add_again(ledger)?;
                self.present(auth, 1, Send::AndWait)
            }
        }
    }

    /// What the payer may know about an authorization: by a cancellation, or from the canister and the ledger after its
    /// end.
    fn outlook(&mut self, auth: usize) -> Outlook {
        let (cancelled, ledger) = (self.auths[auth].cancelled, self.auths[auth].ledger);
        if cancelled {
            self.stats.note("dead by a cancellation");
            return Outlook::Dead;
        }
        let id = self.auths[auth].id.0.to_vec();
        let known: Option<Option<Payment>> = self.ask("payment", (ByteBuf::from(id),));
        let Some(known) = known.filter(|_| self.answers()) else {
            return Outlook::Unknown;
        };
        match known.map(|payment| payment.status) {
            Some(PaymentStatus::Failed { .. }) => {
                self.stats.note("dead by a failure");
                Outlook::Dead
            }
            Some(PaymentStatus::Refunded { .. } | PaymentStatus::Refunding { .. }) => Outlook::Over,
            Some(_) => Outlook::Good,
            None if self.setup.now() <= self.auths[auth].valid_before + 1 => Outlook::Good,
            None => {
                // The canister does not know it, and accepts it no more; the ledger shows whether it ever did.
                let (pic, id) = (&self.setup.pic, self.ledgers[ledger].id);
                let read = self.ledgers[ledger].chain.length(pic, id);
                let all = Some(self.ledgers[ledger].chain.blocks.len() as u64);
                if read != all || self.auths[auth].block.is_some() {
                    return Outlook::Unknown;
                }
                self.stats.note("dead by its end");
                Outlook::Dead
            }
        }
    }

    /// A stranger who saw it presents a refused payment, unchanged or with other terms.
    pub fn replay(&mut self, refused: usize, edit: u64, send: Send) -> Checked {
        if self.refused.is_empty() {
            return Ok(());
        }
        let auth = self.refused[self.refused.len() - 1 - refused % self.refused.len().min(12)];
        let request = self.auths[auth].request.clone();
        if edit == 0 {
            self.stats.note("refused payments replayed");
            return self.present(auth, 1, send);
        }
        let Means::Signed(signed) = &self.auths[auth].means else {
            return Ok(());
        };
        let signed = signed.clone();
        let asset = &signed.payload.accepted.asset;
        let offers = self.offers_for(&request).unwrap_or_default();
        let Some(now) = offers.into_iter().find(|offer| offer.asset == *asset) else {
            return Ok(());
        };
        let edited = Signed::clone(&signed).accept(|accepted| match edit {
            // Makes it match the offer again.
            1 | 2 => accepted.extra.fee = now.extra.fee,
            3 => *accepted = now,
            4 => accepted.extra.fee = (now.extra.fee.parse::<u128>().unwrap_or(0) + 1).to_string(),
            5 => accepted.max_timeout_seconds = now.max_timeout_seconds / 2,
            6 => accepted.pay_to = self.accounts()[0].to_string(),
            _ => accepted.amount = now.amount,
        });
        if edited == *signed {
            return Ok(());
        }
        self.stats.note("replayed with other terms");
        self.submit(auth, request.payment(&edited.header()), false);
        self.settle_down(send)
    }

    /// One key without money takes as many places as it gets, in a ledger that holds its replies back.
    pub fn crowd(&mut self, payer: usize, route: usize, ledger: usize, count: usize) -> Checked {
        let request = self.request(route, 0);
        let id = self.ledgers[ledger].id.to_text();
        let offers = self.offers_for(&request).unwrap_or_default();
        let Some(offer) = offers.into_iter().find(|offer| offer.asset == id) else {
            return Ok(());
        };
        let refused = Fault::reject().held(Hold::UntilRelease);
        let (method, arg) = queue_fault("icrc2_transfer_from", count as u32, &refused);
        self.ledger_call(ledger, controller(), method, arg);
        self.stats.note("crowds");
        for number in 0..count {
            let by = By::ALL[number % 2];
            let auth = self.agree(by, (payer, route, request.clone()), &offer, 3_000);
            self.submit_right(auth);
            if number % 20 == 19 {
                self.tick(1);
            }
        }
        self.settle_down(Send::AndGo)
    }

    /// Releases one of the replies that a ledger holds back.
    pub fn release_one(&mut self, ledger: usize, number: u32) {
        let arg = candid::encode_one(number).expect("Candid");
        let reply = self.ledger_call(ledger, controller(), "test_release_one", arg);
        let older: Option<Option<u32>> = reply.and_then(|reply| candid::decode_one(&reply).ok());
        if let Some(Some(older)) = older {
            self.stats.note("released one by one");
            if older > 0 {
                self.stats.note("released out of order");
            }
        }
        self.tick(2);
    }
}

/// The outcome of an authorization, as far as its payer knows.
enum Outlook {
    /// The money moved and was refunded.
    Over,
    /// It may still buy something.
    Good,
    /// It never will.
    Dead,
    /// The outcome is unknown.
    Unknown,
}

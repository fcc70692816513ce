//! Routes whose work another canister does, once for each payment, whatever happens to it.

use crate::{
    kinds::Kind,
    plan::Send,
    support::{
        environment,
        interface::{Forward, ForwardMode, OnFailure, PaymentStatus, Route, RouteError},
        setup::{CYCLES, controller},
    },
    world::{Auth, Checked, RouteModel, World, violation},
};
use candid::Principal;
use serde_bytes::ByteBuf;

/// The most calls for one payment.
const MAX_CALLS: u32 = 10;
/// Work that is silent answers so when it is released.
const AT_LAST: &[u8] = b"at last";

/// Routes of worlds with a target: the template, whether the target declares itself idempotent, and what happens.
const ROUTES: [(&str, bool, [&str; 4]); 2] = [
    ("/work/{what}", false, ["done", "trap", "silent", "refuse"]),
    ("/again/{what}", true, ["done", "flaky", "error", "silent"]),
];

impl RouteModel {
    /// The URL of a request for a route with a target; `None` for other routes.
    pub fn work_url(&self, variant: u64) -> Option<String> {
        let (template, _, whats) = ROUTES.iter().find(|(known, ..)| *known == self.template)?;
        let what = whats[variant as usize % whats.len()];
        Some(template.replace("{what}", what))
    }
}

impl World {
    /// Adds a target, and routes that name it.
    pub fn add_works(&mut self) {
        if !self.kinds.has(Kind::Forward) {
            return;
        }
        let own = self.accounts();
        let setup = &self.setup;
        let subnet = setup.pic.get_subnet(setup.ledger.0);
        let seller = setup.pic.create_canister_on_subnet(
            Some(controller()),
            None,
            subnet.expect("a subnet"),
        );
        setup.pic.add_cycles(seller, CYCLES);
        let wasm = environment::test_seller_wasm();
        setup
            .pic
            .install_canister(seller, wasm, vec![], Some(controller()));
        self.seller = Some(seller);
        for (number, (template, idempotent, _)) in ROUTES.iter().enumerate() {
            self.routes.push(RouteModel {
                method: "POST",
                template,
                version: 0,
                amount: 1_000,
                pay_to: own[1 + number],
                on_sale: true,
                idempotent: Some(*idempotent),
            });
            let args = self.route_args(self.routes.len() - 1);
            let put: Result<Route, RouteError> =
                self.setup.update(controller(), "route_put", (args,));
            put.expect("a good route");
        }
    }

    /// The target of a route.
    pub fn forward(&self, route: &RouteModel) -> Option<Forward> {
        let idempotent = route.idempotent?;
        Some(Forward {
            canister: self.seller?,
            mode: ForwardMode::Serve,
            idempotent,
            // Of a target that is not idempotent only a call that did not run is repeated.
            on_failure: OnFailure::Retry,
        })
    }

    /// The target stops, or starts again.
    pub fn seller_stop(&mut self, stop: bool) {
        let Some(seller) = self.seller else { return };
        self.manage(
            seller,
            if stop {
                "stop_canister"
            } else {
                "start_canister"
            },
        );
        self.tick(2);
    }

    /// The target ends its silence.
    pub fn seller_release(&mut self) {
        let Some(seller) = self.seller else { return };
        let arg = candid::encode_args(()).expect("Candid");
        let sent = self
            .setup
            .pic
            .submit_call(seller, controller(), "release", arg);
        if let Ok(message) = sent {
            let _ = self.finished(message, 6);
        }
    }

    /// Whether another canister does the work of this payment.
    pub fn is_work(&self, auth: &Auth) -> bool {
        self.routes[auth.route].idempotent.is_some()
    }

    /// Whether its target was called in vain, or is one that does not always work.
    pub fn may_not_be_worked(&self, index: usize) -> bool {
        let auth = &self.auths[index];
        let called = matches!(
            &auth.last,
            Some(PaymentStatus::Settled { work: Some(_), .. })
        );
        self.is_work(auth) && (called || !auth.request.url.ends_with("/done"))
    }

    /// Whether this is the answer to a payment's request.
    pub fn is_answer(&self, auth: &Auth, body: &[u8]) -> bool {
        body == AT_LAST || body == auth.request.body.to_ascii_uppercase()
    }

    /// The calls of the target that were not undone.
    fn works(&self, auth: &Auth) -> Option<u32> {
        let id = ByteBuf::from(auth.id.0.to_vec());
        let arg = candid::encode_one(id).expect("Candid");
        let pic = &self.setup.pic;
        let reply = pic.query_call(self.seller?, Principal::anonymous(), "works", arg);
        Some(candid::decode_one(&reply.ok()?).expect("a number"))
    }

    /// What was worked for a payer that nobody told is there for them.
    pub fn fetch_works(&mut self) -> Checked {
        for index in 0..self.auths.len() {
            let auth = &self.auths[index];
            let done = matches!(auth.last, Some(PaymentStatus::Delivered { .. }));
            if !self.is_work(auth) || !done || !auth.delivered.is_empty() || auth.misused {
                continue;
            }
            self.present(index, 1, Send::AndWait)?;
            self.check()?;
            let auth = &self.auths[index];
            if auth.delivered.is_empty() {
                let text = format!("{}: {:?}, {}", auth.id, auth.last, auth.answered);
                return violation("work that nobody gets", text);
            }
            self.stats.note("works fetched later");
        }
        Ok(())
    }

    /// The target worked for paid payments only, and no more often than it may.
    pub fn check_works(&mut self) -> Checked {
        for index in 0..self.auths.len() {
            let auth = &self.auths[index];
            let Some(idempotent) = self.routes[auth.route].idempotent else {
                continue;
            };
            let Some(works) = self.works(auth) else {
                return violation("no answer", "the target of routes");
            };
            let about = format!("{works} calls, {}: {:?}", auth.id, auth.last);
            let lied = self.ledgers[auth.ledger].lied;
            if works > 0 && auth.block.is_none() && !lied {
                return violation("worked unpaid", about);
            }
            if works > if idempotent { MAX_CALLS } else { 1 } {
                return violation("worked twice", about);
            }
            if works == 0 && !auth.delivered.is_empty() {
                return violation("delivered without work", about);
            }
            match (works, &auth.last) {
                (0, _) => {}
                (1, Some(PaymentStatus::Refunded { .. })) => self.stats.note("works refunded"),
                (1, _) => self.stats.note("works done"),
                _ => self.stats.note("works repeated"),
            }
        }
        Ok(())
    }

    /// Whether a payment that ended as delivered was worked for, though its payer never came for it.
    pub fn was_worked_for(&self, auth: &Auth) -> bool {
        self.is_work(auth) && self.works(auth).is_some_and(|works| works > 0)
    }
}

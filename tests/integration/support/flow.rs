//! Steps from a route on sale to the outcome of a payment. Each step allows only those that can follow.

use super::{
    gateway::{Answer, Request},
    ledger::TRANSFER_FROM,
    payer::{Payer, Signed},
    setup::Setup,
};
use candid::Principal;
use pocket_ic::common::rest::RawMessageId;
use test_ledger::testing::Fault;
use x402_icp::{Code, wire::PaymentRequirements};

/// The content of every sold route of the tests.
pub const ARTICLE: &[u8] = b"the article";

/// A route on sale.
pub struct Sale<'a> {
    setup: &'a Setup,
    canister: Principal,
    request: Request,
}

/// A signed payment about to be sent.
pub struct Paying<'a> {
    setup: &'a Setup,
    canister: Principal,
    request: Request,
    pub signed: Signed,
}

/// The response to a payment.
#[must_use = "an outcome has to be checked"]
pub struct Outcome<'a> {
    setup: &'a Setup,
    canister: Principal,
    pub answer: Answer,
    pub signed: Signed,
}

/// A payment that was settled and delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    pub block: u128,
    pub answer: Answer,
    pub signed: Signed,
}

impl Setup {
    /// Publishes `GET path` for `amount` of the ledger's token.
    pub fn sell(&self, path: &str, amount: u128) -> Sale<'_> {
        self.sell_at("GET", path, amount)
    }

    /// Publishes a route of any method; the URL is its path.
    pub fn sell_at(&self, method: &str, path: &str, amount: u128) -> Sale<'_> {
        self.route_put(self.priced(method, path, amount))
            .expect("a good route");
        self.upload(method, path, ARTICLE);
        self.sale(Request::new(method, path))
    }

    /// Sends an update and does not wait for the response.
    pub fn submit(&self, request: &Request) -> RawMessageId {
        self.submit_as(Principal::anonymous(), request)
    }

    /// As [`submit`](Self::submit), by any gateway.
    pub fn submit_as(&self, sender: Principal, request: &Request) -> RawMessageId {
        let (method, argument) = ("http_request_update", request.update_argument());
        self.pic
            .submit_call(self.canister, sender, method, argument)
            .expect("the request is accepted")
    }

    /// As [`submit`](Self::submit), and waits until the ledger has the canister's call.
    pub fn under_way(&self, request: &Request) -> RawMessageId {
        let call = self.submit(request);
        for _ in 0..4 {
            self.pic.tick();
        }
        call
    }

    /// As [`under_way`](Self::under_way): the ledger has made the transfer, and keeps its answer until it is told to
    /// release it.
    pub fn debited(&self, paying: &Paying) -> RawMessageId {
        let before = self.ledger.pulled_by(self, self.canister).len();
        self.ledger
            .fault_of(self, TRANSFER_FROM, 1, &Fault::delayed_after_transfer());
        let call = self.under_way(&paying.request());
        let made = self.ledger.pulled_by(self, self.canister).len() - before;
        assert_eq!(made, 1, "debited");
        call
    }

    /// Waits for the response to an update.
    pub fn collect(&self, call: RawMessageId) -> Answer {
        Answer::from_update(&self.pic.await_call(call).expect("no trap"))
    }

    /// A route that was published in another way.
    pub fn sale(&self, request: Request) -> Sale<'_> {
        self.sale_of(self.canister, request)
    }

    /// A route of another canister.
    pub fn sale_of(&self, canister: Principal, request: Request) -> Sale<'_> {
        Sale {
            setup: self,
            canister,
            request,
        }
    }
}

impl<'a> Sale<'a> {
    /// The offers of the route's 402.
    pub fn offers(&self) -> Vec<PaymentRequirements> {
        let answer = self.request.send(&self.setup.pic, self.canister);
        assert_eq!(
            answer.status, 402,
            "{} {}",
            self.request.method, self.request.url
        );
        let offers = answer.payment_required().expect("a 402 has offers");
        assert_eq!((offers.x402_version, offers.error), (2, None));
        offers.accepts
    }

    /// The first offer.
    pub fn offer(&self) -> PaymentRequirements {
        self.offers().remove(0)
    }

    /// A valid payment.
    pub fn pay(&self, payer: &Payer) -> Paying<'a> {
        self.present(payer.sign(&self.offer(), self.setup.now()))
    }

    /// Any payment.
    pub fn present(&self, signed: Signed) -> Paying<'a> {
        Paying {
            setup: self.setup,
            canister: self.canister,
            request: self.request.clone(),
            signed,
        }
    }

    /// The same route with another URL.
    pub fn url(mut self, url: &str) -> Self {
        self.request.url = url.into();
        self
    }
}

impl<'a> Paying<'a> {
    pub fn tamper(mut self, change: impl FnOnce(Signed) -> Signed) -> Self {
        self.signed = change(self.signed);
        self
    }

    /// The request as it is sent.
    pub fn request(&self) -> Request {
        self.request.clone().payment(&self.signed.header())
    }

    /// Sends it through the gateway.
    pub fn send(self) -> Outcome<'a> {
        let answer = self.request().send(&self.setup.pic, self.canister);
        Outcome {
            setup: self.setup,
            canister: self.canister,
            answer,
            signed: self.signed,
        }
    }
}

impl Outcome<'_> {
    /// 200 with the content, a receipt, and a block on the ledger.
    pub fn expect_settled(self) -> Settled {
        let answer = &self.answer;
        assert_eq!(answer.status, 200, "{:?}", answer.payment_response());
        assert_eq!(answer.body, ARTICLE);
        assert!(answer.upgraded, "a query cannot take payments");
        assert_eq!(answer.header("cache-control"), Some("private, no-store"));
        assert_eq!(answer.payment_required(), None);
        let response = answer.payment_response().expect("a payment has an outcome");
        assert!(response.success && response.error_reason.is_none());
        let accepted = &self.signed.payload.accepted;
        assert_eq!(response.network, accepted.network);
        assert_eq!(response.amount.as_deref(), Some(accepted.amount.as_str()));
        assert_eq!(
            response.payer.as_deref(),
            Some(self.signed.payload.payload.from.as_str())
        );
        let block = response.transaction.parse().expect("a block index");
        if self.canister == self.setup.canister {
            let receipt = self.setup.receipt(self.signed.id.0).expect("a receipt");
            assert_eq!(receipt.block_index, candid::Nat::from(block));
            assert_eq!(receipt.amount.to_string().replace('_', ""), accepted.amount);
            assert_eq!(receipt.pay_to.to_string(), accepted.pay_to);
            self.setup.check_conservation();
        }
        Settled {
            block,
            answer: self.answer,
            signed: self.signed,
        }
    }

    /// 402 with current offers and the code; no payment is stored.
    pub fn expect_refused(self, code: Code) {
        assert_eq!(self.answer.status, 402);
        assert_eq!(self.answer.payment_response(), None);
        let offers = self.answer.payment_required().expect("fresh offers");
        assert_eq!(offers.error.as_deref(), Some(code.as_str()));
        assert!(!offers.accepts.is_empty());
        self.expect_no_content();
        self.setup.check_conservation();
    }

    /// 402 with current offers and the code, whatever payments are stored.
    pub fn expect_not_charged(self, code: Code) {
        assert_eq!(self.answer.status, 402);
        let offers = self.answer.payment_required().expect("fresh offers");
        assert_eq!(offers.error.as_deref(), Some(code.as_str()));
        self.expect_no_content();
    }

    /// 402 after an attempt to settle: the code, no offers, no block.
    pub fn expect_failed(self, code: Code) {
        let response = self.unsettled();
        assert_eq!(response.error_reason.as_deref(), Some(code.as_str()));
        assert_eq!(response.transaction, "");
        self.expect_no_content();
        self.setup.check_conservation();
    }

    /// 402 with `duplicate_settlement` and the block of the first settlement.
    pub fn expect_duplicate_of(self, block: u128) {
        let response = self.unsettled();
        let code = Code::DuplicateSettlement.as_str();
        assert_eq!(response.error_reason.as_deref(), Some(code));
        assert_eq!(response.transaction, block.to_string());
        self.expect_no_content();
        self.setup.check_conservation();
    }

    /// 402 with `settlement_pending` and the payment id.
    pub fn expect_pending(self) -> Signed {
        let response = self.unsettled();
        assert_eq!(
            response.error_reason.as_deref(),
            Some(Code::SettlementPending.as_str())
        );
        assert_eq!(response.transaction, self.signed.id.to_string());
        self.expect_no_content();
        self.setup.check_conservation();
        self.signed
    }

    fn unsettled(&self) -> x402_icp::wire::SettleResponse {
        assert_eq!(self.answer.status, 402);
        assert!(self.answer.upgraded);
        // A client that finds offers here signs again, and may pay twice.
        assert_eq!(self.answer.payment_required(), None);
        let response = self.answer.payment_response().expect("an outcome");
        assert!(!response.success);
        let body: serde_json::Value = serde_json::from_slice(&self.answer.body).expect("JSON");
        assert_eq!(body["error"].as_str(), response.error_reason.as_deref());
        response
    }

    fn expect_no_content(&self) {
        assert_eq!(
            self.answer.header("cache-control"),
            Some("private, no-store")
        );
        assert!(
            !self
                .answer
                .body
                .windows(ARTICLE.len())
                .any(|window| window == ARTICLE)
        );
    }
}

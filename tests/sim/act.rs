//! Plays the steps of a plan.

use crate::{
    plan::{Send, Step},
    support::{
        interface::{
            CancelArgs, ContentBegin, ContentChunk, ContentCommit, ContentError, InstallArgs,
            RouteKey, TollkeeperArgs,
        },
        setup::{FEE, FUNDS, controller, minter, operator},
    },
    world::{Auth, Checked, What, World, goods, violation},
};
use candid::{Nat, Principal};
use icrc_ledger_types::{
    icrc1::{account::Account, transfer::TransferArg},
    icrc2::approve::ApproveArgs,
};
use pocket_ic::CanisterSettings;
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use std::{collections::BTreeSet, time::Duration};
use test_ledger::testing::queue_fault;
use x402_icp::{Nonce, wire::PaymentRequirements};

/// The freezing threshold of canisters nobody meddles with, in seconds.
const USUAL_THRESHOLD: u64 = 2_592_000;
/// Rounds in which an undisturbed payment is over.
const ROUNDS: u64 = 8;
/// No call of the canister waits longer.
const PATIENCE_SECONDS: u64 = 61;

impl World {
    /// Plays one step.
    pub fn play(&mut self, step: &Step) -> Checked {
        self.stats.steps += 1;
        match step {
            Step::Pay {
                payer,
                route,
                ledger,
                variant,
                window,
                send,
            } => {
                let route = route % self.routes.len();
                let request = self.request(route, *variant);
                let Some(offers) = self.offers_for(&request) else {
                    return Ok(());
                };
                let offer = offers[ledger % offers.len()].clone();
                self.offers.push((route, request.clone(), offer.clone()));
                let auth = self.sign(payer % self.payers.len(), route, request, &offer, *window);
                self.present(auth, 1, *send)
            }
            Step::PayOld { payer, offer, send } if !self.offers.is_empty() => {
                let (route, request, offer) = self.offers[offer % self.offers.len()].clone();
                let auth = self.sign(payer % self.payers.len(), route, request, &offer, 600);
                self.present(auth, 1, *send)
            }
            Step::Repeat { auth, copies, send } if !self.auths.is_empty() => {
                let auth = self.lately(*auth);
                self.present(auth, *copies, *send)
            }
            Step::Misuse {
                auth,
                variant,
                send,
            } if !self.auths.is_empty() => {
                let auth = self.lately(*auth);
                let route = (*variant as usize) % self.routes.len();
                let request = self.request(route, variant / 2);
                let header = self.auths[auth].signed.header();
                if request != self.auths[auth].request {
                    self.submit(auth, request.payment(&header), false);
                    self.settle_down(*send)?;
                }
                Ok(())
            }
            Step::Cancel { auth } if !self.auths.is_empty() => {
                let auth = self.lately(*auth);
                self.cancel(auth)
            }
            Step::PayOld { .. }
            | Step::Repeat { .. }
            | Step::Misuse { .. }
            | Step::Cancel { .. } => Ok(()),
            Step::Reprice { route, amount } => {
                let route = route % self.routes.len();
                self.routes[route].amount = u128::from(*amount);
                self.put_route(route)
            }
            Step::OnSale { route, on_sale } => {
                let route = route % self.routes.len();
                self.routes[route].on_sale = *on_sale;
                self.put_route(route)
            }
            Step::PayTo { route, account } => {
                let route = route % self.routes.len();
                self.routes[route].pay_to = self.accounts()[*account];
                self.put_route(route)
            }
            Step::Content { route } => {
                let route = route % self.routes.len();
                self.new_content(route)
            }
            Step::Remove { route } => {
                let route = route % self.routes.len();
                let key = RouteKey {
                    method: self.routes[route].method.into(),
                    path: self.routes[route].template.into(),
                };
                self.admin(controller(), "route_remove", (key,))?;
                self.put_route(route)?;
                self.new_content(route)
            }
            Step::LedgerFee { ledger, fee } => {
                let ledger = ledger % self.ledgers.len();
                let arg = (Nat::from(*fee),);
                self.ledgers[ledger].fee = u128::from(*fee);
                self.test_call(ledger, "test_set_fee", arg);
                Ok(())
            }
            Step::LedgerEnable { ledger, enabled } => {
                let id = self.ledgers[ledger % self.ledgers.len()].id;
                self.admin(controller(), "ledger_enable", (id, *enabled))
            }
            Step::LedgerAdd { ledger } => {
                let id = self.ledgers[ledger % self.ledgers.len()].id;
                self.admin(controller(), "ledger_add", (id,))
            }
            Step::Operator { add } => {
                let method = if *add {
                    "operator_add"
                } else {
                    "operator_remove"
                };
                let other = Principal::self_authenticating([44; 32]);
                self.admin(controller(), method, (other,))
            }
            Step::Approve {
                payer,
                ledger,
                amount,
            } => {
                self.approve(
                    payer % self.payers.len(),
                    ledger % self.ledgers.len(),
                    *amount,
                );
                Ok(())
            }
            Step::Spend { payer, ledger } => {
                let account = self.payers[payer % self.payers.len()].account;
                let ledger = ledger % self.ledgers.len();
                let balance = self.ledgers[ledger].chain.balance(&account);
                let rest = balance.saturating_sub(30_000 + 2 * FEE);
                self.transfer(
                    ledger,
                    account,
                    Principal::management_canister().into(),
                    rest,
                );
                Ok(())
            }
            Step::Mint { payer, ledger } => {
                let account = self.payers[payer % self.payers.len()].account;
                self.transfer(ledger % self.ledgers.len(), minter().into(), account, FUNDS);
                Ok(())
            }
            Step::Fault { ledger, planned } => {
                let ledger = ledger % self.ledgers.len();
                let (method, arg) = queue_fault(planned.method, planned.calls, &planned.fault);
                let done = self
                    .ledger_call(ledger, controller(), method, arg)
                    .is_some();
                self.ledgers[ledger].lied |= planned.lie && done;
                Ok(())
            }
            Step::ClearFaults { ledger } => {
                self.test_call(ledger % self.ledgers.len(), "test_clear_faults", ());
                Ok(())
            }
            Step::Release { ledger } => {
                self.test_call(ledger % self.ledgers.len(), "test_release", ());
                Ok(())
            }
            Step::LedgerStop { ledger } => {
                let ledger = ledger % self.ledgers.len();
                self.manage(self.ledgers[ledger].id, "stop_canister");
                self.ledgers[ledger].stopped = true;
                self.tick(2);
                Ok(())
            }
            Step::LedgerStart { ledger } => {
                self.start_ledger(ledger % self.ledgers.len());
                Ok(())
            }
            Step::LedgerFreeze { ledger } => {
                let ledger = ledger % self.ledgers.len();
                self.ledgers[ledger].frozen = true;
                self.threshold(self.ledgers[ledger].id, 1 << 50)
            }
            Step::Skew { ledger, seconds } => {
                let skew = seconds * 1_000_000_000;
                self.test_call(ledger % self.ledgers.len(), "test_set_time_skew", (skew,));
                Ok(())
            }
            Step::Tick { rounds } => {
                self.tick(*rounds);
                self.poll()
            }
            Step::Advance { seconds } => self.advance(*seconds),
            Step::Upgrade => self.upgrade_stopped(),
            Step::UpgradeRunning => self.upgrade_running(),
            Step::Stop => {
                self.stop();
                self.poll()
            }
            Step::Start => self.start(),
            Step::Starve { liquid } => self.starve(*liquid),
            Step::Feed => self.feed(),
        }
    }

    /// Mostly one of the latest authorizations.
    fn lately(&self, number: usize) -> usize {
        let all = self.auths.len();
        let span = if number % 5 == 0 { all } else { all.min(10) };
        all - 1 - (number / 5) % span
    }

    /// The offers of the 402; none if nothing is on sale or nobody answers.
    fn offers_for(&self, request: &crate::support::Request) -> Option<Vec<PaymentRequirements>> {
        if self.stopped {
            return None;
        }
        let argument = crate::support::interface::HttpRequest {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.clone(),
            body: ByteBuf::from(request.body.clone()),
            certificate_version: Some(2),
        };
        let response: crate::support::interface::HttpResponse =
            self.ask("http_request", (argument,))?;
        let answer = crate::support::Answer {
            status: response.status_code,
            headers: response.headers,
            body: response.body.into_vec(),
            upgraded: false,
        };
        let offers = answer.payment_required()?.accepts;
        (!offers.is_empty()).then_some(offers)
    }

    fn sign(
        &mut self,
        payer: usize,
        route: usize,
        request: crate::support::Request,
        offer: &PaymentRequirements,
        window: u64,
    ) -> usize {
        self.nonces += 1;
        let nonce: [u8; 32] = Sha256::digest(self.nonces.to_be_bytes()).into();
        let now = self.setup.now();
        let valid_before = now - 30 + window.clamp(40, u64::from(offer.max_timeout_seconds));
        let signed = self.payers[payer].sign_with(offer, Nonce(nonce), now - 30, valid_before);
        let asset = Principal::from_text(&offer.asset).expect("an offer names a ledger");
        let ledger = self.ledgers.iter().position(|ledger| ledger.id == asset);
        let auth = self.auths.len();
        self.by_id.insert(signed.id.0.to_vec(), auth);
        self.auths.push(Auth {
            nonce,
            payer,
            ledger: ledger.expect("a ledger of this world"),
            route,
            request,
            pay_to: offer.pay_to.parse().expect("an account"),
            amount: offer.amount.parse().expect("a number"),
            fee: offer.extra.fee.parse().expect("a number"),
            valid_before,
            presented: false,
            cancelled: false,
            block: None,
            refund: None,
            delivered: BTreeSet::new(),
            last: None,
            signed,
        });
        auth
    }

    /// Sends the payment with the request it was signed for, so many times at once.
    pub fn present(&mut self, auth: usize, copies: usize, send: Send) -> Checked {
        if send == Send::Later {
            return Ok(());
        }
        let header = self.auths[auth].signed.header();
        let request = self.auths[auth].request.clone().payment(&header);
        for copy in 0..copies {
            self.submit(auth, request.clone(), true);
            // Some of them come a round later.
            if copy % 2 == 1 {
                self.tick(1);
            }
        }
        self.settle_down(send)
    }

    fn submit(&mut self, auth: usize, request: crate::support::Request, right: bool) {
        let argument = request.update_argument();
        let sender = self.sender();
        let what = What::Http {
            auth,
            right,
            moved: self.auths[auth].block.is_some(),
            version: self.routes[self.auths[auth].route].version,
            request,
        };
        self.auths[auth].presented |= self.send(sender, "http_request_update", argument, what);
    }

    /// Waits for answers, or lets one round pass.
    fn settle_down(&mut self, send: Send) -> Checked {
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

    fn cancel(&mut self, auth: usize) -> Checked {
        let signed = &self.auths[auth];
        let args = CancelArgs {
            nonce: ByteBuf::from(signed.nonce.to_vec()),
            valid_before_seconds: signed.valid_before,
        };
        let payer = self.payers[signed.payer].account.owner;
        let arg = candid::encode_one(args).expect("Candid");
        self.send(payer, "cancel_authorization", arg, What::Cancel { auth });
        self.settle_down(Send::AndWait)
    }

    /// A call of an operator or controller; whether it succeeds does not matter.
    pub fn admin<A: candid::utils::ArgumentEncoder>(
        &mut self,
        sender: Principal,
        method: &str,
        args: A,
    ) -> Checked {
        let arg = candid::encode_args(args).expect("Candid");
        self.send(sender, method, arg, What::Admin);
        self.settle_down(Send::AndWait)
    }

    pub fn put_route(&mut self, route: usize) -> Checked {
        let args = self.route_args(route);
        self.admin(controller(), "route_put", (args,))
    }

    /// New content, in three calls.
    pub fn new_content(&mut self, route: usize) -> Checked {
        if !self.answers() {
            return Ok(());
        }
        let model = &mut self.routes[route];
        // Counted before it is there: a request that comes meanwhile may get either.
        model.version += 1;
        let bytes = goods(model.template, model.version);
        let begin = ContentBegin {
            method: model.method.into(),
            path: model.template.into(),
            bytes: bytes.len() as u64,
            sha256: ByteBuf::from(Sha256::digest(&bytes).to_vec()),
        };
        let arg = candid::encode_one(begin).expect("Candid");
        let canister = self.setup.canister;
        let pic = &self.setup.pic;
        let Ok(message) = pic.submit_call(canister, operator(), "content_begin", arg) else {
            return Ok(());
        };
        let Some(Ok(reply)) = self.finished(message, 4) else {
            return Ok(());
        };
        let upload: Result<u64, ContentError> = candid::decode_one(&reply).expect("a reply");
        let Ok(upload) = upload else { return Ok(()) };
        let chunk = ContentChunk {
            upload,
            offset: 0,
            bytes: ByteBuf::from(bytes),
        };
        self.admin(operator(), "content_chunk", (chunk,))?;
        self.admin(operator(), "content_commit", (ContentCommit { upload },))
    }

    pub fn approve(&mut self, payer: usize, ledger: usize, amount: u64) {
        let account = self.payers[payer].account;
        let arg = ApproveArgs {
            from_subaccount: account.subaccount,
            spender: self.setup.canister.into(),
            amount: Nat::from(amount),
            expected_allowance: None,
            expires_at: None,
            fee: None,
            memo: None,
            created_at_time: None,
        };
        let arg = candid::encode_one(arg).expect("Candid");
        self.ledger_call(ledger, account.owner, "icrc2_approve", arg);
    }

    pub fn transfer(&mut self, ledger: usize, from: Account, to: Account, amount: u128) {
        let arg = TransferArg {
            from_subaccount: from.subaccount,
            to,
            fee: None,
            created_at_time: None,
            memo: None,
            amount: Nat::from(amount),
        };
        let arg = candid::encode_one(arg).expect("Candid");
        self.ledger_call(ledger, from.owner, "icrc1_transfer", arg);
    }

    /// Tells the test ledger something.
    pub fn test_call<A: candid::utils::ArgumentEncoder>(
        &mut self,
        ledger: usize,
        method: &str,
        args: A,
    ) {
        let arg = candid::encode_args(args).expect("Candid");
        self.ledger_call(ledger, controller(), method, arg);
    }

    pub fn start_ledger(&mut self, ledger: usize) {
        let id = self.ledgers[ledger].id;
        self.manage(id, "start_canister");
        self.tick(1);
        self.ledgers[ledger].stopped = false;
        if self.ledgers[ledger].frozen {
            self.ledgers[ledger].frozen = false;
            let _ = self.threshold(id, USUAL_THRESHOLD);
        }
    }

    /// A call to the management canister that is not waited for.
    fn manage(&self, canister: Principal, method: &str) {
        #[derive(candid::CandidType)]
        struct Id {
            canister_id: Principal,
        }
        let arg = candid::encode_one(Id {
            canister_id: canister,
        });
        let effective = pocket_ic::common::rest::RawEffectivePrincipal::CanisterId(
            canister.as_slice().to_vec(),
        );
        let _ = self.setup.pic.submit_call_with_effective_principal(
            Principal::management_canister(),
            effective,
            controller(),
            method,
            arg.expect("Candid"),
        );
    }

    fn threshold(&self, canister: Principal, seconds: u64) -> Checked {
        let settings = CanisterSettings {
            freezing_threshold: Some(Nat::from(seconds)),
            ..CanisterSettings::default()
        };
        let pic = &self.setup.pic;
        match pic.update_canister_settings(canister, Some(controller()), settings) {
            Ok(()) => Ok(()),
            Err(reject) => violation("simulator", format!("settings of {canister}: {reject}")),
        }
    }

    /// Lets time pass as a network does: what is on its way arrives before and after.
    pub fn advance(&mut self, seconds: u64) -> Checked {
        if seconds > 30 {
            self.tick(2);
        }
        self.setup.pic.advance_time(Duration::from_secs(seconds));
        self.tick(2);
        self.poll()
    }

    pub fn stop(&mut self) {
        self.excuse();
        self.stopped = true;
        self.manage(self.setup.canister, "stop_canister");
        self.tick(2);
    }

    pub fn start(&mut self) -> Checked {
        self.manage(self.setup.canister, "start_canister");
        self.tick(1);
        self.stopped = false;
        self.poll()
    }

    /// Whether the canister has come to rest.
    fn is_stopped(&self) -> bool {
        let pic = &self.setup.pic;
        pic.canister_status(self.setup.canister, Some(controller()))
            .is_ok_and(|status| format!("{:?}", status.status) == "Stopped")
    }

    /// As operators are told to upgrade.
    pub fn upgrade_stopped(&mut self) -> Checked {
        self.feed()?;
        self.stop();
        for _ in 0..6 {
            if self.is_stopped() {
                break;
            }
            // Nobody can keep it from being stopped for longer than its calls wait.
            self.advance(PATIENCE_SECONDS)?;
            self.tick(4);
        }
        if !self.is_stopped() {
            return violation("unstoppable", "it waits for something that never comes");
        }
        self.poll()?;
        self.install()?;
        self.start()
    }

    /// The system allows it; operators are told not to do it with calls in flight.
    fn upgrade_running(&mut self) -> Checked {
        self.feed()?;
        self.tick(1);
        self.poll()?;
        self.excuse();
        self.install()
    }

    fn install(&mut self) -> Checked {
        self.stats.upgrades += 1;
        let args = TollkeeperArgs::Upgrade(InstallArgs::default());
        let arg = candid::encode_one(Some(args)).expect("Candid");
        let wasm = crate::support::environment::tollkeeper_wasm();
        let pic = &self.setup.pic;
        match pic.upgrade_canister(self.setup.canister, wasm, arg, Some(controller())) {
            Ok(()) => Ok(()),
            Err(reject) => violation("upgrade", reject.to_string()),
        }
    }

    /// Leaves the canister so many cycles above the freezing threshold.
    fn starve(&mut self, liquid: u128) -> Checked {
        self.excuse();
        let balance = self.setup.pic.cycle_balance(self.setup.canister);
        let frozen = balance.saturating_sub(liquid);
        let seconds = frozen.saturating_mul(86_400) / self.idle_burn.max(1);
        self.starved = true;
        let seconds = u64::try_from(seconds)
            .unwrap_or(1 << 60)
            .max(USUAL_THRESHOLD);
        self.threshold(self.setup.canister, seconds)
    }

    pub fn feed(&mut self) -> Checked {
        self.starved = false;
        let canister = self.setup.canister;
        let balance = self.setup.pic.cycle_balance(canister);
        if balance < crate::support::setup::CYCLES / 2 {
            self.setup
                .pic
                .add_cycles(canister, crate::support::setup::CYCLES / 2);
        }
        self.threshold(canister, USUAL_THRESHOLD)
    }
}

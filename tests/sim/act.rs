//! Plays the steps of a plan.

use crate::{
    answers::content,
    calls::{Means, plain},
    plan::{By, Send, Step},
    support::{
        interface::{ContentBegin, ContentChunk, ContentCommit, ContentError, RouteKey},
        setup::{FEE, FUNDS, controller, minter, operator},
    },
    world::{Checked, WITH_MONEY, What, World},
};
use candid::{Nat, Principal};
use icrc_ledger_types::{
    icrc1::{account::Account, transfer::TransferArg},
    icrc2::approve::ApproveArgs,
};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use test_ledger::testing::{Effect, Hold, queue_fault};

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
                by,
                send,
            } => {
                let route = route % self.routes.len();
                let request = self.request(route, *variant);
                let Some(offers) = self.offers_for(&request) else {
                    return Ok(());
                };
                let offer = offers[ledger % offers.len()].clone();
                self.offers.push((route, request.clone(), offer.clone()));
                let wish = (payer % self.payers.len(), route, request);
                let auth = self.agree(*by, wish, &offer, *window);
                self.present(auth, 1, *send)
            }
            Step::Transfer {
                payer,
                route,
                ledger,
                variant,
                edit,
                send,
            } => {
                let route = route % self.routes.len();
                let request = self.request(route, *variant);
                let wish = (payer % WITH_MONEY, route, request);
                self.pay_by_transfer(wish, *ledger, *edit, *send)
            }
            Step::Buy {
                payer,
                route,
                ledger,
                variant,
                window,
                by,
                send,
                impatient,
                mishap,
            } => {
                let route = route % self.routes.len();
                let request = match by {
                    By::Signature => self.request(route, *variant),
                    By::Call => plain(self.request(route, *variant)),
                };
                let wish = (*payer, route, request);
                let how = (*by, *window, *send, *mishap);
                self.buy(wish, *ledger, how, *impatient)
            }
            Step::Replay {
                refused,
                edit,
                send,
            } => self.replay(*refused, *edit, *send),
            Step::Crowd {
                payer,
                route,
                ledger,
                count,
            } => {
                let payer = WITH_MONEY + payer % (self.payers.len() - WITH_MONEY);
                let ledger = ledger % self.ledgers.len();
                self.crowd(payer, route % self.routes.len(), ledger, *count)
            }
            Step::PayOld { payer, offer, send } if !self.offers.is_empty() => {
                let (route, request, offer) = self.offers[offer % self.offers.len()].clone();
                let wish = (payer % self.payers.len(), route, request);
                let auth = self.agree(By::ALL[payer % 2], wish, &offer, 600);
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
                let presented = match &self.auths[auth].means {
                    Means::Signed(signed) => request.clone().payment(&signed.header()),
                    Means::Transfer(_) => self.proof(auth, &request).expect("a transfer"),
                    Means::Call(_) => return self.call_otherwise(auth, *variant, *send),
                    // Its id is no proof for another request.
                    Means::Invoice(_) => return Ok(()),
                };
                if request != self.auths[auth].request {
                    self.auths[auth].misused = true;
                    self.submit(auth, presented, false);
                    self.settle_down(*send)?;
                }
                Ok(())
            }
            Step::UseIdAgain { call, edit, send } => self.use_id_again(*call, *edit, *send),
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
                let arg = candid::encode_args(arg).expect("Candid");
                if self
                    .ledger_call(ledger, controller(), "test_set_fee", arg)
                    .is_some()
                {
                    self.ledgers[ledger].fee = u128::from(*fee);
                }
                Ok(())
            }
            Step::LedgerOrder { ledger, order } => {
                let ledger = ledger % self.ledgers.len();
                self.test_call(ledger, "test_set_check_order", (*order,));
                Ok(())
            }
            Step::LedgerEnable { ledger, enabled } => {
                let id = self.ledgers[ledger % self.ledgers.len()].id;
                self.admin(controller(), "ledger_enable", (id, *enabled))
            }
            Step::LedgerAdd { ledger } => self.add_again(ledger % self.ledgers.len()),
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
                let fault = &planned.fault;
                self.ledgers[ledger].lied |= planned.lie && done;
                self.ledgers[ledger].holds_by_time |=
                    !matches!(fault.hold, Hold::No | Hold::UntilRelease);
                self.ledgers[ledger].dawdles |=
                    fault.effect == Effect::AfterHold && fault.hold != Hold::No;
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
            Step::ReleaseOne { ledger, number } => {
                self.release_one(ledger % self.ledgers.len(), *number);
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
            Step::Archive { ledger, keep } => {
                self.archive(ledger % self.ledgers.len(), *keep);
                Ok(())
            }
            Step::ArchiveStop { ledger } => {
                let ledger = ledger % self.ledgers.len();
                self.start_archive(ledger, !self.ledgers[ledger].archive_stopped);
                Ok(())
            }
            Step::Withdraw {
                ledger,
                account,
                percent,
                again,
            } => self.withdraw(ledger % self.ledgers.len(), *account, *percent, *again),
            Step::WithdrawBetween {
                ledger,
                account,
                fee,
            } => self.withdraw_between(ledger % self.ledgers.len(), *account, *fee),
            Step::TopUp { ledger, account } => {
                let account = self.accounts()[1 + account % 2];
                self.transfer(
                    ledger % self.ledgers.len(),
                    minter().into(),
                    account,
                    1_000_000,
                );
                Ok(())
            }
            Step::RefundPayment { auth } if !self.auths.is_empty() => {
                let auth = self.lately(*auth);
                self.refund(auth)
            }
            Step::Resolve { auth } if !self.auths.is_empty() => self.resolve_any(*auth),
            Step::Recheck { auth } if !self.auths.is_empty() => {
                let id = self.auths[self.lately(*auth)].id.0;
                self.admin(operator(), "payment_recheck", (ByteBuf::from(id),))
            }
            Step::RefundPayment { .. } | Step::Recheck { .. } | Step::Resolve { .. } => Ok(()),
            Step::Tick { rounds } => {
                self.tick(*rounds);
                self.poll()
            }
            Step::Advance { seconds } => self.advance(*seconds),
            Step::Upgrade => self.upgrade_stopped(false),
            Step::Trapping => self.upgrade_stopped(true),
            Step::UpgradeRunning => self.upgrade_running(),
            Step::Stop => {
                self.stop();
                self.poll()
            }
            Step::Start => self.start(),
            Step::SellerStop { stop } => {
                self.seller_stop(*stop);
                Ok(())
            }
            Step::SellerRelease => {
                self.seller_release();
                Ok(())
            }
            Step::CreateInvoice {
                payer,
                route,
                ledger,
                named,
                send,
            } => self.create_invoice([*payer, *route, *ledger], *named, *send),
            Step::PayInvoice {
                invoice,
                percent,
                other,
            } => self.pay_invoice(*invoice, *percent, *other),
            Step::CheckInvoice { invoice, send } => self.check_invoice(*invoice, *send),
            Step::FetchInvoice {
                invoice,
                copies,
                send,
            } => self.fetch_invoice(*invoice, *copies, *send),
            Step::ReturnInvoice { invoice, other, to } => {
                self.return_invoice(*invoice, *other, *to)
            }
            Step::Starve { liquid } => self.starve(*liquid),
            Step::Feed => self.feed(),
        }
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

    /// A controller adds a known ledger again.
    pub fn add_again(&mut self, ledger: usize) -> Checked {
        let model = &mut self.ledgers[ledger];
        if model.lied {
            let length = model.chain.blocks.len() as u64;
            model.forgotten = Some(model.forgotten.unwrap_or(length).min(length));
        }
        let id = model.id;
        self.admin(controller(), "ledger_add", (id,))
    }

    pub fn put_route(&mut self, route: usize) -> Checked {
        let args = self.route_args(route);
        self.admin(controller(), "route_put", (args,))
    }

    /// New content, in three calls.
    pub fn new_content(&mut self, route: usize) -> Checked {
        if !self.answers() || self.routes[route].idempotent.is_some() {
            return Ok(());
        }
        let model = &mut self.routes[route];
        // Counted before it is stored: a request meanwhile may get either.
        model.version += 1;
        let bytes = content(model.template, model.version);
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

    /// Calls the test interface of a ledger.
    pub fn test_call<A: candid::utils::ArgumentEncoder>(
        &mut self,
        ledger: usize,
        method: &str,
        args: A,
    ) {
        let arg = candid::encode_args(args).expect("Candid");
        self.ledger_call(ledger, controller(), method, arg);
    }
}

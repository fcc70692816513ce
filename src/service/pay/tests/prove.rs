//! Payments by the payer's own transfer.

use super::*;
use crate::{
    domain::block_log::Transfer,
    service::{
        purchase::{self, PurchaseOutcome, ResourceRequest, Sent},
        recover::tests::{block as block_of, other_block, reply as log},
    },
};
use x402_icp::{
    decode::DecodedTransfer,
    transfer::TransferProof,
    wire::{ExactExtra, ExactIcrc1Extra, ExactIcrc1Payload, PaymentRequirements},
};

pub(super) const BLOCK: u64 = 12;
/// The ledger's fee.
const FEE: u8 = 10;

/// A shop whose route offers transfers, in a ledger with a block log.
pub(super) fn transfer_shop() -> Shop {
    let shop = shop();
    let mut with_log = ledger(0);
    with_log.standards.push("ICRC-3".into());
    storage::ledgers::put(&with_log).unwrap();
    shop.reprice(10_000);
    shop
}

impl Shop {
    /// Puts the route again, at this price.
    pub(super) fn reprice(&self, amount: u128) {
        self.runtime.caller.set(self.runtime.controller);
        let wanted = crate::domain::route::RouteDraft {
            prices: vec![Price {
                ledger: ledger(0).id,
                amount: Amount(amount),
            }],
            offers_transfers: true,
            ..draft("/a")
        };
        catalogue::put(&self.runtime, wanted).unwrap();
    }

    pub(super) fn pays_itself(&self) {
        let mut settings = config();
        settings.pay_to = Account::from(self.runtime.canister_id());
        storage::config::write(&settings).unwrap();
        storage::liabilities::set_canister(self.runtime.canister_id());
    }

    /// The proof that the n-th payer paid the offer with this secret, in this block.
    pub(super) fn proof(&self, n: u8, secret: u8, block: u64) -> DecodedTransfer {
        let route = storage::routes::get(&self.route).unwrap();
        let offers = catalogue::all_methods(&route, self.runtime.canister_id());
        assert_eq!(offers.len(), 2);
        let offer = offers[1].clone();
        let ExactExtra::Icrc1(extra) = offer.extra.clone() else {
            panic!("the transfer is offered last");
        };
        decoded(offer.map_extra(|_| extra), n, secret, block)
    }

    /// Another proof for the offer of this one.
    fn proof_of(&self, n: u8, secret: u8, block: u64, other: &DecodedTransfer) -> DecodedTransfer {
        decoded(other.payload.accepted.clone(), n, secret, block)
    }

    pub(super) fn presented(&self, proof: DecodedTransfer) -> PaymentRequest {
        PaymentRequest {
            purchase: Purchase::Route(RouteKey::new(Method::Get, "/a")),
            route: self.route.clone(),
            credential: Credential::Transfer(Box::new(proof)),
            fingerprint: [1; 32],
            identifier: None,
            work: None,
        }
    }

    /// Presents it as the update of HTTP does. `template`: that of the route that serves the path.
    pub(super) fn presents(
        &self,
        proof: &DecodedTransfer,
        template: Option<&str>,
        path: &str,
    ) -> PurchaseOutcome {
        let request = ResourceRequest {
            method: Method::Get,
            template: template.map(str::to_string),
            path: path.into(),
            payment: Ok(Credential::Transfer(Box::new(proof.clone()))),
            fingerprint: [1; 32],
            sent: Sent {
                query: "b=c",
                headers: &[],
                body: b"please",
            },
        };
        run(purchase::execute(&self.runtime, request))
    }

    /// The transfer that this proof is of.
    pub(super) fn transfer_of(&self, proof: &DecodedTransfer, amount: u128) -> Transfer {
        Transfer {
            memo: proof.proof.memo,
            from: proof.proof.from,
            to: proof.proof.pay_to,
            spender: None,
            amount: Amount(amount),
            created_at: self.runtime.now(),
        }
    }

    /// Settles it in two messages at once; `answer` comes when both wait for the ledger.
    pub(super) fn settle_twice(
        &self,
        request: PaymentRequest,
        answer: impl FnOnce(),
    ) -> [PayOutcome; 2] {
        self.runtime.hold.set(true);
        let mut first = pin!(settle(&self.runtime, request.clone()));
        let mut second = pin!(settle(&self.runtime, request));
        assert!(poll(first.as_mut()).is_pending());
        assert!(poll(second.as_mut()).is_pending());
        answer();
        [first, second].map(|mut work| match poll(work.as_mut()) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => panic!("both are answered"),
        })
    }

    fn paid_block(&self, proof: &DecodedTransfer, amount: u128) -> (u64, ICRC3Value) {
        let mut block = block_of(&self.transfer_of(proof, amount));
        if let ICRC3Value::Map(block) = &mut block
            && let Some(ICRC3Value::Map(tx)) = block.get_mut("tx")
        {
            tx.insert("fee".into(), ICRC3Value::Nat(FEE.into()));
        }
        (proof.proof.block, block)
    }

    pub(super) fn will_prove(&self, proof: &DecodedTransfer, amount: u128) -> &Self {
        let block = self.paid_block(proof, amount);
        self.runtime
            .will_reply(log(block.0 + 1, vec![block], vec![]));
        self
    }
}

pub(super) fn decoded(
    accepted: PaymentRequirements<ExactIcrc1Extra>,
    n: u8,
    secret: u8,
    block: u64,
) -> DecodedTransfer {
    let payload = ExactIcrc1Payload {
        from: account_of(n).to_string(),
        block_index: block.to_string(),
        secret: Nonce([secret; 32]).to_string(),
    };
    let proof = TransferProof::parse(&accepted, &payload).unwrap();
    let payload = PaymentPayload {
        x402_version: 2,
        resource: None,
        accepted,
        payload,
        extensions: None,
    };
    DecodedTransfer { payload, proof }
}

pub(super) fn account_of(n: u8) -> Account {
    Account::from(Principal::from_slice(&[50, n]))
}

pub(super) fn of(proof: &DecodedTransfer) -> Payment {
    let id = crate::domain::transfer::payment_id(proof);
    payments::payment(&id).expect("it is recorded")
}

pub(super) fn is_recorded(proof: &DecodedTransfer) -> bool {
    let id = crate::domain::transfer::payment_id(proof);
    payments::payment(&id).is_some()
}

#[test]
fn a_transfer_that_was_made_buys_with_one_call_and_again_with_none() {
    let shop = transfer_shop();
    let proof = shop.proof(1, 7, BLOCK);
    let request = shop.presented(proof.clone());
    shop.will_prove(&proof, 10_000);
    assert_eq!(shop.fetch(&request), b"goods");
    let payment = of(&proof);
    assert!(matches!(payment.state, State::Delivered { .. }));
    assert_eq!((payment.from, payment.amount.0), (account_of(1), 10_000));
    assert_eq!(
        payment.receipt().unwrap().tx,
        TxRef::Block(BlockIndex(BLOCK))
    );
    assert_eq!(shop.fetch(&request), b"goods", "a repetition");
    assert_eq!(shop.runtime.made(), 1);
    assert_eq!(shop.runtime.woken.get(), None, "nothing is left to do");
    let claimant = storage::claims::of(&ledger(0).id, BlockIndex(BLOCK));
    assert_eq!(claimant, Some(Claimant::Payment(0)));
    // For another request it was used.
    let other = PaymentRequest {
        fingerprint: [2; 32],
        ..request
    };
    assert!(matches!(shop.settle(&other), PayOutcome::Duplicate { .. }));
}

/// Both read the block before either records it.
#[test]
fn a_transfer_that_is_claimed_twice_in_parallel_is_one_payment() {
    let shop = transfer_shop();
    let proof = shop.proof(1, 7, BLOCK);
    let request = shop.presented(proof.clone());
    for outcome in shop.settle_twice(request, || {
        shop.will_prove(&proof, 10_000).will_prove(&proof, 10_000);
    }) {
        let PayOutcome::Paid { resource, .. } = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(resource.body, b"goods");
    }
    assert_eq!(storage::payments::settled_count(), 1);
}

#[test]
fn a_stranger_who_saw_the_block_on_the_ledger_cannot_claim_it_or_keep_its_payer_from_it() {
    let shop = transfer_shop();
    let proof = shop.proof(1, 7, BLOCK);
    for secret in 8..20 {
        let stranger = shop.proof(1, secret, BLOCK);
        let block = shop.paid_block(&proof, 10_000);
        shop.runtime.will_reply(log(BLOCK + 1, vec![block], vec![]));
        assert_eq!(
            refused(shop.settle(&shop.presented(stranger))),
            Code::Transfer
        );
    }
    shop.will_prove(&proof, 10_000);
    assert_eq!(shop.fetch(&shop.presented(proof)), b"goods");
}

#[test]
fn a_claim_that_fails_releases_the_block() {
    let shop = transfer_shop();
    let proof = shop.proof(1, 7, BLOCK);
    let request = shop.presented(proof.clone());
    // The ledger does not answer, answers nonsense, hides the block, or names an archive that cannot be one.
    shop.will_reject(6);
    shop.runtime.will(CallOutcome::Reply(b"DIDL".to_vec()));
    shop.runtime.will_reply(log(BLOCK + 1, vec![], vec![]));
    for archive in shop.no_canisters() {
        shop.runtime
            .will_reply(log(BLOCK + 1, vec![], vec![(archive, 0, BLOCK + 1)]));
    }
    let odd = (BLOCK, other_block(NOW));
    shop.runtime.will_reply(log(
        BLOCK + 2,
        vec![odd.clone(), (BLOCK + 1, odd.1.clone())],
        vec![],
    ));
    for n in 0..7 {
        assert!(is_pending(&shop.settle(&request)), "{n}");
    }
    shop.runtime.will_reply(log(BLOCK, vec![], vec![]));
    assert_eq!(refused(shop.settle(&request)), Code::Transfer);
    shop.runtime.will_reply(log(BLOCK + 1, vec![odd], vec![]));
    assert_eq!(refused(shop.settle(&request)), Code::Transfer);
    assert!(!is_recorded(&proof));
    assert_eq!(storage::claims::highest_block(&ledger(0).id), None);
    shop.will_prove(&proof, 10_000);
    assert_eq!(shop.fetch(&request), b"goods");
}

#[test]
fn a_block_is_followed_into_its_archive() {
    let shop = transfer_shop();
    let proof = shop.proof(1, 7, BLOCK);
    shop.runtime
        .will_reply(log(100, vec![], vec![(ARCHIVE, 0, 50)]));
    let block = shop.paid_block(&proof, 10_000);
    shop.runtime.will_reply(log(0, vec![block], vec![]));
    assert_eq!(shop.fetch(&shop.presented(proof)), b"goods");
    let calls = shop.runtime.calls.borrow();
    assert_eq!(calls.len(), 2);
    assert_eq!(
        (calls[1].canister, calls[1].method.as_str()),
        (ARCHIVE, "get_them")
    );
}

/// The length of the log in its second reply means nothing, as in an archive's.
#[test]
fn a_ledger_that_is_its_own_archive_shows_the_block() {
    let shop = transfer_shop();
    let proof = shop.proof(1, 7, BLOCK);
    shop.runtime
        .will_reply(log(100, vec![], vec![(ledger(0).id, 0, 50)]));
    let block = shop.paid_block(&proof, 10_000);
    shop.runtime.will_reply(log(0, vec![block], vec![]));
    assert_eq!(shop.fetch(&shop.presented(proof)), b"goods");
}

/// A ledger must not be able to have this canister call what acts on its calls.
#[test]
fn attack_a_ledger_that_names_a_target_of_the_merchant_as_its_archive_causes_no_call_of_it() {
    let shop = transfer_shop();
    let proof = shop.proof(1, 7, BLOCK);
    let request = shop.presented(proof.clone());
    let worker = super::forward::retrying();
    let told = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 60, 1, 1]);
    storage::notifications::set_target(Some(told));
    shop.runtime.caller.set(shop.runtime.controller);
    let work = crate::domain::route::RouteDraft {
        prices: vec![Price {
            ledger: ledger(0).id,
            amount: Amount(10_000),
        }],
        forward: Some(worker),
        ..draft("/work")
    };
    catalogue::put(&shop.runtime, work).unwrap();
    for (n, target) in [worker.canister, told].into_iter().enumerate() {
        shop.runtime
            .will_reply(log(100, vec![], vec![(target, 0, 50)]));
        assert!(is_pending(&shop.settle(&request)), "{target}");
        assert_eq!(shop.runtime.made(), n + 1, "{target}");
    }
    assert!(!is_recorded(&proof));
}

/// Each archive names the other.
#[test]
fn archives_that_send_in_a_circle_are_left() {
    let shop = transfer_shop();
    let request = shop.presented(shop.proof(1, 7, BLOCK));
    let archive = |n| Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, n, 1, 1]);
    for n in 0..9 {
        shop.runtime
            .will_reply(log(100, vec![], vec![(archive(50 + n % 2), 0, 50)]));
    }
    assert!(is_pending(&shop.settle(&request)));
    assert_eq!(shop.runtime.made(), 3);
}

#[test]
fn a_block_that_another_payment_claims_is_refused() {
    let shop = transfer_shop();
    let proof = shop.proof(1, 7, BLOCK);
    storage::claims::take(&ledger(0).id, BlockIndex(BLOCK), Claimant::Refund(3), NOW);
    shop.will_prove(&proof, 10_000);
    assert_eq!(
        refused(shop.settle(&shop.presented(proof.clone()))),
        Code::Transfer
    );
    assert!(!is_recorded(&proof));
}

/// A transfer for another canister is none of ours: its presenter sees what everybody sees.
#[test]
fn a_transfer_for_another_canister_causes_no_call() {
    let shop = transfer_shop();
    let mut proof = shop.proof(1, 7, BLOCK);
    proof.payload.accepted.extra.canister = "aaaaa-aa".into();
    let outcome = shop.presents(&proof, None, "/nothing");
    assert!(matches!(outcome, PurchaseOutcome::NothingToPay));
    assert_eq!(
        refused(shop.settle(&shop.presented(proof))),
        Code::SpenderMismatch
    );
    assert_eq!(shop.runtime.made(), 0);
}

#[test]
fn strangers_cause_a_bounded_number_of_lookups() {
    let shop = transfer_shop();
    for n in 0..300 {
        shop.runtime.will_reply(log(0, vec![], vec![]));
        let _ = shop.settle(&shop.presented(shop.proof(1, 7, n)));
    }
    let made = shop.runtime.made();
    assert_eq!(made as u64, crate::domain::lookups::BURST);
    // Whoever has paid comes again.
    let proof = shop.proof(1, 7, BLOCK);
    assert!(is_pending(&shop.settle(&shop.presented(proof))));
}

#[test]
fn a_proof_with_the_same_secret_and_other_terms_is_told_nothing_of_the_payment() {
    let shop = transfer_shop();
    let proof = shop.proof(1, 7, BLOCK);
    shop.will_prove(&proof, 10_000);
    assert_eq!(shop.fetch(&shop.presented(proof.clone())), b"goods");
    let mut other = proof;
    other.payload.payload.from = account_of(2).to_string();
    assert_eq!(
        refused(shop.settle(&shop.presented(other))),
        Code::NonceUsed
    );
}

/// The work is done once, and paid by one transfer.
#[test]
fn a_transfer_has_another_canister_do_the_work_once() {
    let shop = transfer_shop();
    let proof = shop.proof(1, 7, BLOCK);
    shop.forward(Some(super::forward::retrying()));
    let request = shop.presented(proof.clone());
    shop.will_prove(&proof, 10_000).will_serve(200, b"done");
    assert_eq!(shop.fetch(&request), b"done");
    assert!(matches!(of(&proof).state, State::Delivered { .. }));
    assert_eq!(shop.fetch(&request), b"done", "a repetition");
    assert_eq!((shop.runtime.made(), shop.works()), (2, 1));
    let short = shop.proof_of(1, 8, BLOCK + 1, &proof);
    shop.will_prove(&short, 9_999);
    assert_eq!(
        failed(shop.settle(&shop.presented(short))),
        Code::OfferMismatch
    );
    assert_eq!(shop.works(), 1);
}

#[test]
fn attack_46_a_transfer_buys_no_path_that_the_target_reads_otherwise() {
    let mut shop = transfer_shop();
    shop.runtime.caller.set(shop.runtime.controller);
    let wanted = crate::domain::route::RouteDraft {
        prices: vec![Price {
            ledger: ledger(0).id,
            amount: Amount(10_000),
        }],
        forward: Some(super::forward::retrying()),
        offers_transfers: true,
        ..draft("/a/{x}")
    };
    shop.route = catalogue::put(&shop.runtime, wanted).unwrap().key.clone();
    let proof = shop.proof(1, 7, BLOCK);
    let mut request = shop.presented(proof.clone());
    request.purchase = Purchase::Route(RouteKey::new(Method::Get, "/a/.."));
    assert_eq!(refused(shop.settle(&request)), Code::OfferMismatch);
    assert_eq!((shop.runtime.made(), is_recorded(&proof)), (0, false));
}

/// The money has moved: offers in the answer would make its payer pay again.
#[test]
fn a_proof_that_cannot_be_taken_at_present_is_pending_and_good_later() {
    let shop = transfer_shop();
    let proof = shop.proof(1, 7, BLOCK);
    let request = shop.presented(proof.clone());
    let mut ledger = storage::ledgers::get(&ledger(0).id).unwrap();
    let standards = std::mem::take(&mut ledger.standards);
    storage::ledgers::put(&ledger).unwrap();
    assert!(is_pending(&shop.settle(&request)));
    ledger.standards = standards;
    storage::ledgers::put(&ledger).unwrap();
    let cycles = shop.runtime.cycles.replace(Cycles(0));
    assert!(is_pending(&shop.settle(&request)));
    assert_eq!(shop.runtime.made(), 0);
    shop.runtime.cycles.set(cycles);
    shop.will_prove(&proof, 10_000);
    assert_eq!(shop.fetch(&request), b"goods");
}

/// Its payer bought of the target, and another route has taken the path since.
#[test]
fn a_transfer_is_passed_on_to_the_route_that_it_was_made_for() {
    let shop = transfer_shop();
    let proof = shop.proof(1, 7, BLOCK);
    shop.forward(Some(super::forward::retrying()));
    shop.will_prove(&proof, 10_000).will_serve(200, b"done");
    let outcome = shop.presents(&proof, None, "/a");
    assert!(
        matches!(&outcome, PurchaseOutcome::Processed(paid, _) if matches!(**paid, PayOutcome::Paid { .. })),
        "{outcome:?}"
    );
    let calls = shop.runtime.calls.borrow();
    let sent = &calls.last().unwrap().argument;
    let body = b"please";
    assert!(sent.windows(body.len()).any(|bytes| bytes == body));
}

/// `/a/{x}` is cheap, and `/a/vip` has a dearer route of its own.
#[test]
fn attack_a_transfer_for_a_cheap_template_buys_no_dearer_path() {
    let mut shop = transfer_shop();
    let priced = |path: &str, amount: u128| crate::domain::route::RouteDraft {
        prices: vec![Price {
            ledger: ledger(0).id,
            amount: Amount(amount),
        }],
        offers_transfers: true,
        ..draft(path)
    };
    shop.runtime.caller.set(shop.runtime.controller);
    catalogue::put(&shop.runtime, priced("/a/vip", 1_000_000)).unwrap();
    let cheap = catalogue::put(&shop.runtime, priced("/a/{x}", 1)).unwrap();
    shop.route = cheap.key.clone();
    shop.stock(b"cheap");
    let proof = shop.proof(1, 7, BLOCK);
    let outcome = shop.presents(&proof, Some("/a/vip"), "/a/vip");
    let PurchaseOutcome::Processed(outcome, _) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(refused(*outcome), Code::OfferMismatch);
    assert_eq!((shop.runtime.made(), is_recorded(&proof)), (0, false));
    shop.will_prove(&proof, 100);
    let outcome = shop.presents(&proof, Some("/a/{x}"), "/a/other");
    let PurchaseOutcome::Processed(outcome, _) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(
        matches!(*outcome, PayOutcome::Paid { .. }),
        "the proof is good for its own route"
    );
}

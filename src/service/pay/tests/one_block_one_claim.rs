//! Attack 40: one block for two payments. Also replies that arrive late.

use super::*;
use crate::domain::payment::RefundCause;
use std::{future::Future, pin::Pin};

fn duplicate(of: u64) -> Reply {
    Err(TransferFromError::Duplicate {
        duplicate_of: Nat::from(of),
    })
}

fn is_implausible(state: &State) -> bool {
    matches!(
        state,
        State::Unknown {
            doubt: Doubt::ImplausibleBlock,
            ..
        }
    )
}

type Waiting<'a> = Pin<Box<dyn Future<Output = PayOutcome> + 'a>>;

fn answered(waiting: &mut Waiting<'_>) -> PayOutcome {
    match poll(Pin::new(waiting)) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("the request still waits"),
    }
}

fn resource_of(outcome: PayOutcome) -> (Vec<u8>, u64) {
    match outcome {
        PayOutcome::Paid { resource, receipt } => {
            let TxRef::Block(block) = receipt.tx;
            (resource.body, block.0)
        }
        other => panic!("expected the resource, got {other:?}"),
    }
}

impl Shop {
    /// A request that waits for the ledger.
    fn waiting(&self, request: &PaymentRequest) -> Waiting<'_> {
        let mut waiting: Waiting<'_> = Box::pin(settle(&self.runtime, request.clone()));
        assert!(poll(Pin::new(&mut waiting)).is_pending());
        waiting
    }

    /// Settles another payment in this block.
    fn sold(&self, nonce: u8, in_block: u64) {
        self.will(block(in_block));
        paid(self.settle(&self.request(9, nonce)));
    }

    fn claimant(&self, block: u64) -> Option<Claimant> {
        storage::claims::of(&ledger(0).id, BlockIndex(block))
    }

    /// Lets the canister settle the payment by itself.
    fn recovered(&self, request: &PaymentRequest, reply: Reply) -> State {
        self.will(reply);
        let key = request.claim_key();
        run(call_again(&self.runtime, key)).unwrap().state
    }
}

#[test]
fn attack_40_two_first_tries_answered_with_one_block_are_not_both_booked() {
    let shop = shop();
    let (a, b) = (shop.request(1, 1), shop.request(2, 2));
    shop.sold(1, 8);
    shop.runtime.hold.set(true);
    let (mut first, mut second) = (shop.waiting(&a), shop.waiting(&b));
    shop.will(block(9));
    paid(answered(&mut first));
    shop.will(block(9));
    let outcome = answered(&mut second);
    assert!(is_pending(&outcome), "{outcome:?}");
    assert!(is_implausible(&shop.state(&b)));
    assert_eq!(shop.claimant(9), Some(Claimant::Payment(1)));
    // The ledger answers truthfully when it is called again.
    shop.runtime.hold.set(false);
    shop.will(duplicate(9));
    assert!(is_pending(&shop.settle(&b)));
    shop.will(duplicate(10));
    assert_eq!(paid(shop.settle(&b)).tx, TxRef::Block(BlockIndex(10)));
    assert_eq!(shop.claimant(10), Some(Claimant::Payment(2)));
}

#[test]
fn answers_that_overtake_each_other_settle_both() {
    let shop = shop();
    shop.runtime.hold.set(true);
    let mut first = shop.waiting(&shop.request(1, 1));
    let mut second = shop.waiting(&shop.request(2, 2));
    for (waiting, index) in [(&mut second, 10), (&mut first, 9)] {
        shop.will(block(index));
        assert_eq!(paid(answered(waiting)).tx, TxRef::Block(BlockIndex(index)));
    }
}

#[test]
fn attack_40_the_block_of_another_payment_is_not_believed_for_a_duplicate() {
    let shop = shop();
    shop.sold(1, 7);
    let request = shop.request(1, 1);
    shop.will(duplicate(7));
    assert!(is_pending(&shop.settle(&request)));
    assert!(is_implausible(&shop.state(&request)), "it has not failed");
    assert!(is_implausible(&shop.recovered(&request, duplicate(7))));
    // A canister that lost payments gets duplicates of blocks that nothing claims.
    let forgotten = shop.request(2, 2);
    shop.will(duplicate(3));
    assert_eq!(
        paid(shop.settle(&forgotten)).tx,
        TxRef::Block(BlockIndex(3))
    );
    assert!(is_implausible(&shop.recovered(&request, duplicate(3))));
    let state = shop.recovered(&request, duplicate(5));
    assert_eq!(
        state.moved().map(|(tx, _)| tx),
        Some(TxRef::Block(BlockIndex(5)))
    );
}

#[test]
fn attack_40_the_block_of_a_refund_or_a_withdrawal_is_not_believed() {
    let shop = shop();
    let id = ledger(0).id;
    shop.sold(1, 7);
    storage::claims::take(&id, BlockIndex(9), Claimant::Withdrawal(NOW), NOW);
    storage::claims::take(&id, BlockIndex(11), Claimant::Refund(0), NOW);
    let request = shop.request(1, 1);
    shop.will(duplicate(9));
    assert!(is_pending(&shop.settle(&request)));
    for reply in [duplicate(11), block(11), block(10), duplicate(9)] {
        assert!(is_implausible(&shop.recovered(&request, reply)));
    }
    assert!(matches!(
        shop.recovered(&request, block(12)),
        State::Settled { .. }
    ));
}

/// The ledger named an implausible block, and a controller added it again.
#[test]
fn attack_40_claims_outlive_a_lie_that_was_forgotten() {
    let shop = shop();
    shop.sold(1, 7);
    shop.will(duplicate(916));
    paid(shop.settle(&shop.request(1, 1)));
    storage::claims::shorten(&ledger(0).id, 20);
    let request = shop.request(2, 2);
    shop.will(duplicate(7));
    assert!(is_pending(&shop.settle(&request)));
    assert!(is_implausible(&shop.state(&request)));
    shop.will(block(20));
    assert_eq!(
        paid(shop.settle(&shop.request(2, 3))).tx,
        TxRef::Block(BlockIndex(20))
    );
}

#[test]
fn attack_40_claims_outlive_an_upgrade() {
    let shop = shop();
    shop.sold(1, 7);
    lifecycle::upgrade(&shop.runtime, Default::default()).unwrap();
    storage::payments::tests::reload();
    storage::claims::tests::reload();
    let request = shop.request(1, 1);
    shop.will(duplicate(7));
    assert!(is_pending(&shop.settle(&request)));
    assert!(is_implausible(&shop.state(&request)));
}

/// A request that waits while its payment becomes unknown.
fn overdue<'a>(shop: &'a Shop, request: &PaymentRequest) -> Waiting<'a> {
    shop.runtime.hold.set(true);
    let waiting = shop.waiting(request);
    let later = shop.runtime.now().plus(storage::payments::NO_ANSWER);
    shop.runtime.now.set(later);
    let key = request.claim_key();
    known::payment(&key, shop.runtime.now()).unwrap();
    assert!(matches!(shop.state(request), State::Unknown { .. }));
    waiting
}

#[test]
fn a_late_success_delivers_in_the_same_message() {
    let shop = shop();
    let request = shop.request(1, 1);
    let mut waiting = overdue(&shop, &request);
    shop.will(block(7));
    assert_eq!(resource_of(answered(&mut waiting)), (b"goods".to_vec(), 7));
    assert!(matches!(shop.state(&request), State::Delivered { .. }));
    assert!(!storage::payments::has_work());
}

#[test]
fn a_waiting_request_delivers_what_another_message_settled() {
    let shop = shop();
    let lies = [Err(TransferFromError::TooOld), block(99), duplicate(50)];
    for n in 0..5 {
        let request = shop.request(1, n);
        let block_index = 100 + u64::from(n);
        let late = match n {
            0 => block(block_index),
            1 => duplicate(block_index),
            n => lies[usize::from(n) - 2].clone(),
        };
        let mut waiting = overdue(&shop, &request);
        let settled = shop.recovered(&request, duplicate(block_index));
        assert!(matches!(settled, State::Settled { .. }));
        shop.will(late);
        let got = resource_of(answered(&mut waiting));
        assert_eq!(got, (b"goods".to_vec(), block_index), "{n}");
        assert!(matches!(shop.state(&request), State::Delivered { .. }));
    }
}

#[test]
fn a_second_request_that_was_overtaken_gets_the_resource_too() {
    let shop = shop();
    let request = shop.request(1, 1);
    let mut first = overdue(&shop, &request);
    shop.runtime.now.set(NOW.plus(Seconds(100)));
    let mut second = shop.waiting(&request);
    assert_eq!(shop.runtime.made(), 2);
    for waiting in [&mut first, &mut second] {
        shop.will(duplicate(7));
        assert_eq!(resource_of(answered(waiting)), (b"goods".to_vec(), 7));
    }
}

/// Clients treat `duplicate_settlement` as final.
#[test]
fn a_late_lie_is_answered_as_pending_and_a_refund_as_used() {
    let shop = shop();
    shop.sold(1, 7);
    let request = shop.request(1, 1);
    let mut waiting = overdue(&shop, &request);
    shop.will(duplicate(7));
    let outcome = answered(&mut waiting);
    assert!(is_pending(&outcome), "{outcome:?}");
    assert!(matches!(shop.state(&request), State::Unknown { .. }));

    let request = shop.request(2, 2);
    let mut waiting = overdue(&shop, &request);
    let settled = shop.recovered(&request, duplicate(8));
    assert!(matches!(settled, State::Settled { .. }));
    let key = request.claim_key();
    let payment = storage::payments::by_key(&key).unwrap();
    let due = crate::service::refund::due(&shop.runtime, &payment, RefundCause::Merchant);
    storage::payments::record(&key, Change::Event(due), shop.runtime.now()).unwrap();
    shop.will(duplicate(8));
    let outcome = answered(&mut waiting);
    let used = matches!(outcome, PayOutcome::Duplicate { .. });
    assert!(used, "not both the money and the resource: {outcome:?}");
}

#[test]
fn what_is_owed_is_never_called_a_duplicate() {
    let shop = shop();
    let request = shop.request(1, 1);
    let payment = verified(
        &shop.runtime,
        &request.claim_key(),
        &request,
        request.authorization_digest(),
        false,
    )
    .unwrap();
    let (block, at) = (BlockIndex(1), NOW);
    for state in [
        State::Reserved,
        State::Settling {
            attempt: 1,
            all_failed: true,
        },
        State::Settled {
            tx: TxRef::Block(block),
            at,
        },
        State::Unknown {
            doubt: Doubt::NoAnswer,
            since: NOW,
            attempts: 1,
            all_failed: false,
        },
    ] {
        let payment = Payment {
            state,
            ..payment.payment.clone()
        };
        assert!(is_pending(&outcome(payment, None)));
    }
}

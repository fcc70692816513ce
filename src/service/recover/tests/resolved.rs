//! Decisions by a controller: when they are accepted.

use super::{resolve::LOG_DECIDES, *};
use crate::{
    service::log_search::READING,
    storage::{audit, liabilities},
};
use resolve::{Outcome, ResolveError, resolve};

const MOVED: Outcome = Outcome::Moved {
    block: BlockIndex(77),
};

/// A shop without a log, a payment whose outcome is unknown, and the time at which its window ends.
fn in_doubt(shop: &Shop) -> (PaymentRequest, TimestampNs) {
    let request = shop.unknown(1, 1);
    let created = payments::payment(&id(&request)).unwrap().created_at;
    (request, created.plus(FORGOTTEN))
}

fn at(shop: &Shop, now: TimestampNs) -> &Shop {
    shop.runtime.now.set(now);
    shop
}

fn after(time: TimestampNs) -> TimestampNs {
    TimestampNs(time.0 + 1)
}

fn resolved(
    shop: &Shop,
    request: &PaymentRequest,
    outcome: Outcome,
) -> Result<State, ResolveError> {
    resolve(&shop.runtime, &id(request), outcome).map(|payment| payment.state)
}

fn entries() -> Vec<String> {
    let all = audit::admin_after(0, 1_000).into_iter();
    all.filter(|entry| entry.action == "payment_resolve")
        .map(|entry| entry.subject)
        .collect()
}

#[test]
fn should_settle_what_moved_and_owe_what_was_bought() {
    let shop = pay::tests::shop();
    let (request, over) = in_doubt(&shop);
    let state = resolved(at(&shop, after(over)), &request, MOVED).unwrap();
    assert_eq!(settled_in(&state), Some(77));
    assert!(matches!(state, State::Settled { .. }));
    assert!(matches!(
        shop.settle(&request),
        pay::tests::PayOutcome::Paid { .. }
    ));
    assert_eq!(shop.runtime.made(), 1, "no call was made");
    let hex = id(&request).to_string();
    assert_eq!(entries(), [format!("{hex} moved in block 77")]);
}

#[test]
fn should_fail_what_did_not_move_and_hold_nothing_for_it() {
    let shop = pay::tests::shop();
    liabilities::set_canister(shop.runtime.canister_id());
    let (request, over) = in_doubt(&shop);
    let state = resolved(at(&shop, after(over)), &request, Outcome::NotMoved).unwrap();
    assert!(matches!(state, State::Failed { .. }));
    assert!(!storage::payments::has_work());
    assert_eq!(liabilities::owed(&ledger(0).id), vec![]);
    let hex = id(&request).to_string();
    assert_eq!(entries(), [format!("{hex} not moved")]);
    // A failed payment is not sent again.
    assert!(matches!(
        shop.settle(&request),
        pay::tests::PayOutcome::Failed { .. }
    ));
    assert_eq!(shop.runtime.made(), 1);
}

#[test]
fn should_resolve_what_has_lapsed() {
    let shop = pay::tests::shop();
    let (request, over) = in_doubt(&shop);
    let zero = Nat::from(0u8);
    shop.later(5)
        .will(Err(TransferFromError::InsufficientFunds { balance: zero }));
    shop.tick();
    at(&shop, after(over)).later(3_600).tick();
    assert!(shop.state(&request).has_lapsed());
    let state = resolved(&shop, &request, MOVED).unwrap();
    assert_eq!(settled_in(&state), Some(77));
}

#[test]
fn attack_40_a_controller_cannot_book_the_block_of_another_transfer() {
    let shop = pay::tests::shop();
    let (request, over) = in_doubt(&shop);
    shop.will(Ok(Nat::from(77u8)));
    let other = shop.settle(&shop.request(2, 2));
    assert!(matches!(other, pay::tests::PayOutcome::Paid { .. }));
    let state = resolved(at(&shop, after(over)), &request, MOVED);
    assert_eq!(state, Err(ResolveError::OtherBlock));
    // A block that a controller named does not affect the ledger's answers.
    let block = BlockIndex(1_000_000);
    let state = resolved(&shop, &request, Outcome::Moved { block }).unwrap();
    assert_eq!(settled_in(&state), Some(1_000_000));
    let highest = storage::claims::highest_block(&ledger(0).id);
    assert_eq!(highest, Some(BlockIndex(77)));
}

#[test]
fn should_refuse_while_the_ledger_may_still_make_the_transfer() {
    let shop = pay::tests::shop();
    let (request, over) = in_doubt(&shop);
    let from = after(over);
    for now in [NOW, over] {
        for outcome in [MOVED, Outcome::NotMoved] {
            let refused = resolved(at(&shop, now), &request, outcome);
            assert_eq!(refused, Err(ResolveError::TooEarly { from }));
        }
    }
    assert!(resolved(at(&shop, from), &request, Outcome::NotMoved).is_ok());
    assert_eq!(entries().len(), 1, "a refused decision is not recorded");
}

#[test]
fn should_let_the_log_decide_where_there_is_one() {
    let shop = shop();
    let (request, over) = in_doubt(&shop);
    let until = over.plus(LOG_DECIDES);
    for now in [after(over), TimestampNs(until.0 - 1)] {
        for outcome in [MOVED, Outcome::NotMoved] {
            let refused = resolved(at(&shop, now), &request, outcome);
            assert_eq!(refused, Err(ResolveError::LogDecides { until }));
        }
    }
    // The log did not decide in all that time.
    let state = resolved(at(&shop, until), &request, Outcome::NotMoved).unwrap();
    assert!(matches!(state, State::Failed { .. }));
}

/// The page that shows the transfer is in transit.
#[test]
fn attack_40_a_controller_does_not_overtake_a_reading_of_the_log() {
    let shop = shop();
    let (request, over) = in_doubt(&shop);
    let ours = shop.block(&request);
    at(&shop, over.plus(LOG_DECIDES));
    shop.runtime.hold.set(true);
    let mut reading = Box::pin(tick(&shop.runtime));
    assert!(poll(reading.as_mut()).is_pending());
    let from = shop.runtime.now().plus(READING);
    for outcome in [MOVED, Outcome::NotMoved] {
        let refused = resolved(&shop, &request, outcome);
        assert_eq!(refused, Err(ResolveError::TooEarly { from }));
    }
    shop.will_show(1, vec![(0, ours)]);
    assert!(poll(reading.as_mut()).is_ready());
    assert_eq!(settled_in(&shop.state(&request)), Some(0));
    assert_eq!(entries(), [""; 0]);
}

#[test]
fn should_accept_a_controllers_decision_when_the_reading_is_over() {
    let shop = shop();
    let (request, over) = in_doubt(&shop);
    at(&shop, over.plus(LOG_DECIDES)).will_reject(5);
    shop.tick();
    let state = resolved(&shop, &request, Outcome::NotMoved).unwrap();
    assert!(matches!(state, State::Failed { .. }));
}

#[test]
fn should_refuse_everybody_but_controllers() {
    let shop = pay::tests::shop();
    let (request, over) = in_doubt(&shop);
    let operator = storage::config::read().operators[0];
    let payer = request.signed().authorization.from.owner;
    for caller in [operator, payer, Principal::anonymous()] {
        shop.runtime.caller.set(caller);
        let refused = resolved(at(&shop, after(over)), &request, MOVED);
        assert_eq!(refused, Err(ResolveError::Unauthorized(Unauthorized)));
    }
    assert!(is_unknown(&shop.state(&request)));
}

#[test]
fn should_refuse_what_is_not_in_doubt() {
    let shop = pay::tests::shop();
    let unknown = PaymentId([9; 32]);
    let refused = resolve(&shop.runtime, &unknown, Outcome::NotMoved);
    assert_eq!(refused, Err(ResolveError::UnknownPayment));

    let delivered = shop.request(1, 1);
    shop.will(Ok(Nat::from(5u8)));
    shop.settle(&delivered);
    let settled = shop.unknown(2, 2);
    shop.later(5).will(Ok(Nat::from(6u8)));
    shop.tick();
    let failed = shop.request(3, 3);
    shop.will(Err(TransferFromError::TooOld));
    shop.settle(&failed);
    shop.runtime.hold.set(true);
    let settling = shop.request(4, 4);
    let mut waiting = Box::pin(pay::settle(&shop.runtime, settling.clone()));
    assert!(poll(waiting.as_mut()).is_pending());
    shop.later(3 * 86_400);
    for (request, outcome) in [
        (&delivered, Outcome::NotMoved),
        (&delivered, MOVED),
        (&settled, Outcome::NotMoved),
        (&settled, MOVED),
        (&failed, MOVED),
        (&settling, MOVED),
        (&settling, Outcome::NotMoved),
    ] {
        let before = shop.state(request);
        let refused = resolved(&shop, request, outcome);
        assert_eq!(refused, Err(ResolveError::NotInDoubt), "{before:?}");
        assert_eq!(shop.state(request), before);
    }
    assert_eq!(entries(), [""; 0]);
}

#[test]
fn should_say_the_same_again_and_change_nothing() {
    for outcome in [MOVED, Outcome::NotMoved] {
        // Each thread has its own tables.
        let twice = move || {
            let shop = pay::tests::shop();
            let (request, over) = in_doubt(&shop);
            let first = resolved(at(&shop, after(over)), &request, outcome).unwrap();
            shop.later(3_600);
            assert_eq!(resolved(&shop, &request, outcome), Ok(first.clone()));
            let other = match outcome {
                MOVED => Outcome::NotMoved,
                _ => MOVED,
            };
            assert_eq!(
                resolved(&shop, &request, other),
                Err(ResolveError::NotInDoubt)
            );
            assert_eq!(shop.state(&request), first);
            assert_eq!(entries().len(), 1);
        };
        std::thread::spawn(twice).join().unwrap();
    }
}

/// A block that a controller mistyped must not make the ledger's next blocks implausible.
#[test]
fn should_not_take_the_block_for_one_that_the_ledger_named() {
    let shop = pay::tests::shop();
    let (request, over) = in_doubt(&shop);
    let block = BlockIndex(u64::MAX);
    resolved(at(&shop, after(over)), &request, Outcome::Moved { block }).unwrap();
    assert_eq!(storage::claims::highest_block(&ledger(0).id), None);
    let next = shop.request(2, 2);
    shop.will(Ok(Nat::from(5u8)));
    assert!(matches!(
        shop.settle(&next),
        pay::tests::PayOutcome::Paid { .. }
    ));
}

#[test]
fn should_refuse_a_block_that_was_named_for_another_transfer() {
    let shop = pay::tests::shop();
    let (request, _) = in_doubt(&shop);
    let other = shop.unknown(2, 2);
    let created = payments::payment(&id(&other)).unwrap().created_at;
    let late = after(created.plus(FORGOTTEN));
    let first = resolved(at(&shop, late), &request, MOVED).unwrap();
    assert_eq!(
        resolved(&shop, &other, MOVED),
        Err(ResolveError::OtherBlock)
    );
    assert!(is_unknown(&shop.state(&other)));
    assert_eq!(resolved(&shop, &request, MOVED), Ok(first), "repeated");
    assert_eq!(entries().len(), 1);
    let block = BlockIndex(78);
    assert!(resolved(&shop, &other, Outcome::Moved { block }).is_ok());
}

#[test]
fn should_not_report_a_full_table_as_a_payment_without_doubt() {
    use crate::storage::payments::RecordError;
    assert_eq!(
        ResolveError::from(RecordError::Full),
        ResolveError::SettledPaymentsFull
    );
    assert_eq!(
        ResolveError::from(RecordError::Claimed),
        ResolveError::OtherBlock
    );
}

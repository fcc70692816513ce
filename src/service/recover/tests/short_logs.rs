//! Attack 39: absence that is proved too easily. Also claims on blocks that the log shows.

use super::*;
use crate::domain::settlement::Claimant;

const HOUR: u32 = 3_600;
const AFTER_THE_WINDOW: u32 = 86_400 + 3_600;

fn is_failed(state: &State) -> bool {
    matches!(state, State::Failed { .. })
}

fn others(blocks: std::ops::Range<u64>) -> Log {
    blocks.map(|n| (n, other_block(NOW))).collect()
}

#[test]
fn attack_39_a_log_that_ends_before_a_named_block_proves_no_absence() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    shop.will(Ok(Nat::from(5u8)));
    let _ = shop.settle(&shop.request(2, 2));
    let ours = shop.block(&request);
    shop.later(AFTER_THE_WINDOW);
    // Block 5 is missing, and perhaps the payment's block with it.
    shop.will_show(5, others(0..5)).tick();
    assert!(is_unknown(&shop.state(&request)));
    let made = shop.runtime.made();
    shop.later(HOUR).will_show(5, vec![]).tick();
    assert!(is_unknown(&shop.state(&request)));
    assert_eq!(shop.runtime.made(), made + 1, "one call for each search");
    // The log is complete, and is not the one that was read: it is read again from its beginning.
    shop.later(HOUR)
        .will_show(7, vec![(5, other_block(NOW)), (6, other_block(NOW))]);
    shop.will_show(7, vec![(0, other_block(NOW)), (1, ours)]);
    shop.tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(1));
}

#[test]
fn attack_39_a_whole_log_proves_the_absence_again() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    shop.will(Ok(Nat::from(2u8)));
    let _ = shop.settle(&shop.request(2, 2));
    shop.later(AFTER_THE_WINDOW);
    shop.will_show(2, others(0..2)).tick();
    assert!(is_unknown(&shop.state(&request)));
    shop.later(HOUR).will_show(3, others(2..3));
    shop.will_show(3, others(0..3)).tick();
    assert!(
        is_failed(&shop.state(&request)),
        "{:?}",
        shop.state(&request)
    );
}

#[test]
fn attack_39_blocks_of_refunds_and_withdrawals_count_as_named() {
    for (n, claimant) in [(1, Claimant::Refund(0)), (2, Claimant::Withdrawal(NOW))] {
        let shop = shop();
        let request = shop.unknown(n, n);
        let id = ledger(0).id;
        storage::claims::take(&id, BlockIndex(3), claimant, NOW);
        shop.later(AFTER_THE_WINDOW);
        shop.will_show(3, others(0..3)).tick();
        assert!(is_unknown(&shop.state(&request)));
        // The named block was false, and a controller added the ledger again.
        storage::claims::shorten(&id, 3);
        shop.later(HOUR).will_show(3, vec![]);
        shop.will_show(3, others(0..3)).tick();
        assert!(is_failed(&shop.state(&request)));
        storage::claims::shorten(&id, 0);
    }
}

/// Blocks that the ledger named after the log was requested need not be in it.
#[test]
fn a_shop_that_sells_meanwhile_proves_absences_too() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    shop.later(AFTER_THE_WINDOW);
    shop.runtime.hold.set(true);
    let mut reading = Box::pin(tick(&shop.runtime));
    assert!(poll(reading.as_mut()).is_pending());
    let id = ledger(0).id;
    storage::claims::take(&id, BlockIndex(2), Claimant::Payment(9), NOW);
    shop.will_show(2, others(0..2));
    assert!(poll(reading.as_mut()).is_ready());
    assert!(is_failed(&shop.state(&request)));
}

#[test]
fn attack_39_a_log_that_became_shorter_is_read_again() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    let ours = shop.block(&request);
    shop.after_expiry().will_show(4, others(0..4)).tick();
    shop.later(HOUR).will_show(2, vec![]).tick();
    assert!(is_unknown(&shop.state(&request)));
    shop.later(HOUR)
        .will_show(5, vec![(0, other_block(NOW)), (1, ours)]);
    shop.tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(1));
}

/// Attack 40: a transfer that is found in a block has better evidence than one that was told its number.
#[test]
fn attack_40_what_the_log_shows_takes_the_block_and_the_audit_log_says_so() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    let ours = shop.block(&request);
    // Another payment is settled in the block of this one.
    shop.will(Ok(Nat::from(4u8)));
    let other = shop.request(2, 2);
    let _ = shop.settle(&other);
    shop.later(5).will(duplicate_of(4));
    shop.tick();
    assert!(
        is_unknown(&shop.state(&request)),
        "its answer is not believed"
    );
    shop.after_expiry();
    let mut log = others(0..4);
    log.push((4, ours));
    shop.will_show(5, log).tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(4));
    let id = ledger(0).id;
    let claimant = storage::claims::of(&id, BlockIndex(4));
    assert_eq!(claimant, Some(Claimant::Payment(1)));
    let entries = storage::audit::admin_after(0, 99);
    let entry = entries.last().unwrap();
    assert_eq!(
        (entry.action.as_str(), entry.subject.as_str()),
        ("block_claim_moved", "block 4: payment 1 -> payment 2")
    );
}

/// A named block that is another transfer's causes a search in the log at once.
#[test]
fn attack_40_the_log_is_read_while_the_repetition_is_not_believed() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    shop.will(Ok(Nat::from(4u8)));
    let _ = shop.settle(&shop.request(2, 2));
    shop.later(5).will(duplicate_of(4));
    shop.tick();
    let ours = shop.block(&request);
    shop.later(10)
        .will_show(6, vec![(0, other_block(NOW)), (1, ours)]);
    shop.tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(1));
}

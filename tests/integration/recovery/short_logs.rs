//! Logs that lack transfers which the ledger made.

use super::{odd_blocks::shows_of, *};

/// Attack 39: the ledger named a block, and shows a log that ends before it. The payment was made in the part that is
/// missing.
#[test]
fn attack_39_a_log_that_ends_before_a_named_block_proves_no_absence() {
    let setup = Setup::new();
    let sale = setup.sell("/article", PRICE);
    let (payer, other) = (setup.payer(126), setup.payer(127));
    let before = setup.ledger.blocks(&setup);
    setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let signed = sale.pay(&payer).send().expect_pending();
    sale.pay(&other).send().expect_settled();
    for _ in 0..3 {
        shows_of(&setup, before.len(), before.clone());
    }
    setup.pass(WINDOW + HOUR);
    assert!(setup.is_unknown(&signed));
    setup.pass(HOUR);
    assert!(setup.is_unknown(&signed));
    // The complete log.
    setup.ledger.behave(&setup);
    setup.pass(HOUR + 1);
    setup.expect_settled_and_fetch(&sale, signed);
    assert_eq!(setup.transfers(), 2);
}

/// The same for a payment that was not made: it has failed when the log is complete.
#[test]
fn attack_39_a_whole_log_proves_the_absence_again() {
    let setup = Setup::new();
    let sale = setup.sell("/article", PRICE);
    let (payer, other) = (setup.payer(126), setup.payer(127));
    let before = setup.ledger.blocks(&setup);
    setup.ledger.fault(&setup, 1, &Fault::reject());
    let signed = sale.pay(&payer).send().expect_pending();
    sale.pay(&other).send().expect_settled();
    for _ in 0..2 {
        shows_of(&setup, before.len(), before.clone());
    }
    setup.pass(WINDOW + HOUR);
    assert!(setup.is_unknown(&signed));
    setup.ledger.behave(&setup);
    // The new blocks are read, and then the log from its beginning.
    setup.pass(HOUR + 1);
    setup.rounds(14);
    let status = setup.status(&signed);
    assert!(matches!(status, PaymentStatus::Failed { .. }), "{status:?}");
    assert_eq!(setup.transfers(), 1);
    setup.check_conservation();
}

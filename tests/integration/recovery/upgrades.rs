use super::*;

#[test]
fn timers_are_armed_again_by_an_upgrade() {
    let setup = Setup::new();
    let payer = setup.payer(130);
    let sale = setup.sell("/article", PRICE);
    setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let signed = sale.pay(&payer).send().expect_pending();
    setup.stop();
    setup.upgrade();
    setup.start();
    setup.pass(6);
    setup.expect_settled_and_fetch(&sale, signed);
}

/// A stop and an upgrade after each number of rounds of a recovery, and so at each of its awaits.
fn interrupted(seed: u8, fault: Fault, wait: u64, archived: bool) {
    let setup = Setup::new();
    let payer = setup.payer(seed);
    let sale = setup.sell("/article", PRICE);
    for rounds in 0..9 {
        setup.ledger.fault(&setup, 1, &fault);
        let signed = sale.pay(&payer).send().expect_pending();
        if archived {
            setup.ledger.archive(&setup, 1_000);
        }
        setup.pic.advance_time(Duration::from_secs(wait));
        setup.rounds(rounds);
        setup.stop();
        setup.upgrade();
        setup.start();
        assert!(!matches!(setup.status(&signed), PaymentStatus::Settling));
        setup.pass(HOUR);
        for _ in 0..3 {
            // Many archives take more than one tick.
            setup.pass(6);
        }
        let status = setup.status(&signed);
        assert!(
            matches!(status, PaymentStatus::Settled { .. }),
            "{rounds}: {status:?}"
        );
        setup.check_conservation();
    }
    assert_eq!(setup.transfers(), 9);
}

#[test]
fn attack_22_an_upgrade_during_the_same_transfer_again_loses_nothing() {
    interrupted(131, Fault::lost_after_transfer(), 6, false);
}

#[test]
fn attack_22_an_upgrade_while_the_log_is_read_loses_nothing() {
    interrupted(132, Fault::lost_after_transfer(), EXPIRY, false);
}

#[test]
fn attack_22_an_upgrade_while_an_archive_is_read_loses_nothing() {
    interrupted(133, Fault::lost_after_transfer(), EXPIRY, true);
}

#[test]
fn attack_22_an_upgrade_while_the_ledger_holds_the_answer_of_a_recovery() {
    let setup = Setup::new();
    let payer = setup.payer(134);
    let sale = setup.sell("/article", PRICE);
    setup.ledger.fault(&setup, 1, &Fault::reject());
    let signed = sale.pay(&payer).send().expect_pending();
    setup
        .ledger
        .fault(&setup, 1, &Fault::delayed_after_transfer());
    setup.pass(6);
    assert_eq!(setup.status(&signed), PaymentStatus::Settling);
    // The canister waits a minute at most, and so does a stop.
    setup.pass(70);
    setup.stop();
    setup.upgrade();
    setup.start();
    setup.ledger.release(&setup);
    setup.pass(60);
    assert_eq!(setup.transfers(), 1);
    setup.expect_settled_and_fetch(&sale, signed);
}

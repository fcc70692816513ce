//! Unknown payments in a ledger with the interface of the ICP ledger. No controller says what became of them.

use super::*;
use crate::support::{
    interface::{BlockLog, Ledger},
    ledger::TestLedger,
};

/// A shop with an unknown payment whose transfer was made or not.
fn unknown(seed: u8, made: bool) -> (Setup, Signed) {
    let setup = Setup::with_icp_ledger();
    let mut ledgers: Vec<Ledger> = setup.query(controller(), "ledgers", ());
    let ledger = ledgers.remove(0);
    assert_eq!(ledger.block_log, Some(BlockLog::QueryBlocks));
    assert!(!ledger.standards.contains(&"ICRC-3".to_string()));
    let payer = setup.payer(seed);
    let sale = setup.sell("/article", PRICE);
    let fault = match made {
        true => Fault::lost_after_transfer(),
        false => Fault::reject(),
    };
    setup.ledger.fault(&setup, 1, &fault);
    let signed = sale.pay(&payer).send().expect_pending();
    assert_eq!(setup.transfers(), usize::from(made));
    (setup, signed)
}

fn fetch(setup: &Setup, signed: Signed) {
    let sale = setup.sale(crate::support::Request::get("/article"));
    setup.expect_settled_and_fetch(&sale, signed);
}

/// Moves all blocks but the last one to two archives.
fn archive(setup: &Setup) -> [TestLedger; 2] {
    let account = Principal::self_authenticating([99; 32]).into();
    for amount in 1..=30 {
        setup.ledger.transfer(setup, minter(), account, amount);
    }
    let length = setup.ledger.blocks(setup).len() as u64;
    let archives = [2, length - 3].map(|count| TestLedger(setup.ledger.archive(setup, count)));
    assert_eq!(setup.ledger.blocks(setup).len() as u64, length);
    archives
}

#[test]
fn the_icp_ledgers_log_proves_the_transfer() {
    let (setup, signed) = unknown(170, true);
    let calls = setup.ledger.calls(&setup, TRANSFER_FROM);
    setup.pass(EXPIRY);
    assert_eq!(setup.ledger.calls(&setup, TRANSFER_FROM), calls);
    fetch(&setup, signed);
}

#[test]
fn the_icp_ledgers_log_proves_that_there_was_no_transfer() {
    let (setup, signed) = unknown(171, false);
    setup.pass(EXPIRY);
    assert!(setup.is_unknown(&signed), "the ledger may still make it");
    setup.pass(WINDOW + HOUR);
    setup.expect_failed(&signed);
}

#[test]
fn the_block_is_in_an_archive_of_the_icp_ledger() {
    let (setup, signed) = unknown(172, true);
    archive(&setup);
    setup.pass(EXPIRY);
    fetch(&setup, signed);
}

#[test]
fn the_block_is_in_no_archive_of_the_icp_ledger() {
    let (setup, signed) = unknown(173, false);
    archive(&setup);
    setup.pass(WINDOW + HOUR);
    setup.pass(HOUR);
    setup.expect_failed(&signed);
}

#[test]
fn attack_an_icp_ledger_or_archive_that_lies_about_its_log_proves_nothing() {
    let (setup, signed) = unknown(174, true);
    let archives = archive(&setup);
    for lie in [
        Fault::reject(),
        Fault::trap(),
        Fault::garbage(),
        Fault::huge_text(),
    ] {
        for archive in archives {
            archive.fault_of(&setup, "get_blocks", 1, &lie);
        }
        setup.pass(WINDOW + HOUR);
        assert!(setup.is_unknown(&signed), "{lie:?}");
        let _ = archives.map(|archive| archive.behave(&setup));
        setup.ledger.fault_of(&setup, "query_blocks", 1, &lie);
        setup.pass(WINDOW + HOUR);
        assert!(setup.is_unknown(&signed), "{lie:?}");
        for archive in archives {
            archive.fault_of(&setup, "get_blocks", 1, &lie);
        }
        setup.ledger.behave(&setup);
    }
    let _ = archives.map(|archive| archive.behave(&setup));
    setup.pass(HOUR + 1);
    fetch(&setup, signed);
}

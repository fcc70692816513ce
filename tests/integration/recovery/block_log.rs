use super::*;
use candid::Nat;
use icrc_ledger_types::icrc3::{
    archive::QueryArchiveFn, blocks::ArchivedBlocks, blocks::GetBlocksRequest,
};
use test_ledger::testing::log_reply;

const GET_BLOCKS: &str = "icrc3_get_blocks";

/// A shop with an unknown payment whose transfer was made or not.
fn unknown(seed: u8, made: bool) -> (Setup, Signed) {
    let setup = Setup::new();
    let payer = setup.payer(seed);
    let sale = setup.sell("/article", PRICE);
    let fault = if made {
        Fault::lost_after_transfer()
    } else {
        Fault::reject()
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

fn fill(setup: &Setup, blocks: u128) {
    for amount in 1..=blocks {
        setup
            .ledger
            .transfer(setup, minter(), fill_account(), amount);
    }
}

fn fill_account() -> icrc_ledger_types::icrc1::account::Account {
    Principal::self_authenticating([99; 32]).into()
}

#[test]
fn after_the_expiry_the_log_proves_the_transfer() {
    let (setup, signed) = unknown(110, true);
    let calls = setup.ledger.calls(&setup, TRANSFER_FROM);
    setup.pass(EXPIRY);
    assert_eq!(
        setup.ledger.calls(&setup, TRANSFER_FROM),
        calls,
        "no transfer after the expiry"
    );
    fetch(&setup, signed);
}

#[test]
fn absence_is_proved_only_when_the_ledger_takes_the_transfer_no_more() {
    let (setup, signed) = unknown(111, false);
    let calls = setup.ledger.calls(&setup, TRANSFER_FROM);
    setup.pass(EXPIRY);
    for _ in 0..24 {
        setup.pass(HOUR);
        if setup.now_ns() < setup.payment(signed.id.0).unwrap().created_at + WINDOW * 1_000_000_000
        {
            assert!(setup.is_unknown(&signed));
        }
    }
    setup.pass(HOUR);
    setup.expect_failed(&signed);
    assert_eq!(setup.ledger.calls(&setup, TRANSFER_FROM), calls);
    assert_eq!(setup.ledger.balance(&setup, merchant()), 0);
}

#[test]
fn attack_18_the_dedup_window_passed_and_the_transfer_was_made() {
    let (setup, signed) = unknown(112, true);
    setup.pass(WINDOW + HOUR);
    fetch(&setup, signed);
}

#[test]
fn attack_18_the_dedup_window_passed_and_the_transfer_was_not_made() {
    let (setup, signed) = unknown(113, false);
    setup.pass(WINDOW + HOUR);
    setup.expect_failed(&signed);
}

#[test]
fn attack_20_the_block_is_in_an_archive() {
    let (setup, signed) = unknown(114, true);
    fill(&setup, 130);
    let length = setup.ledger.blocks(&setup).len() as u64;
    setup.ledger.archive(&setup, 2);
    setup.ledger.archive(&setup, length - 12);
    assert_eq!(setup.ledger.blocks(&setup).len() as u64, length);
    setup.pass(EXPIRY);
    fetch(&setup, signed);
}

#[test]
fn attack_20_the_block_is_in_no_archive() {
    let (setup, signed) = unknown(115, false);
    fill(&setup, 130);
    setup.ledger.archive(&setup, 3);
    setup.ledger.archive(&setup, 120);
    setup.pass(WINDOW + HOUR);
    // A long log takes more than one tick.
    setup.pass(HOUR);
    setup.expect_failed(&signed);
}

#[test]
fn an_archive_that_lies_proves_nothing() {
    let (setup, signed) = unknown(116, true);
    let archive = setup.ledger.archive(&setup, 6);
    let archive = crate::support::ledger::TestLedger(archive);
    for lie in [
        Fault::reject(),
        Fault::garbage(),
        Fault::huge_text(),
        log_reply(Nat::from(6_u8), vec![], vec![]),
    ] {
        archive.fault_of(&setup, GET_BLOCKS, 1, &lie);
        setup.pass(WINDOW + HOUR);
        assert!(setup.is_unknown(&signed), "{lie:?}");
    }
    archive.behave(&setup);
    setup.pass(HOUR + 1);
    fetch(&setup, signed);
}

#[test]
fn attack_14_a_ledger_that_lies_about_its_log_proves_nothing() {
    let (setup, signed) = unknown(117, true);
    let archives = |canister: Principal| {
        let request = GetBlocksRequest {
            start: Nat::from(0_u8),
            length: Nat::from(100_u8),
        };
        vec![ArchivedBlocks {
            args: vec![request],
            callback: QueryArchiveFn::new(canister, GET_BLOCKS),
        }]
    };
    let huge = Nat::parse("9".repeat(10_000).as_bytes()).unwrap();
    for lie in [
        Fault::reject(),
        Fault::trap(),
        Fault::garbage(),
        Fault::huge_text(),
        log_reply(huge, vec![], vec![]),
        log_reply(Nat::from(u64::MAX), vec![], vec![]),
        log_reply(Nat::from(100_u8), vec![], archives(setup.canister)),
        log_reply(
            Nat::from(100_u8),
            vec![],
            archives(Principal::management_canister()),
        ),
        log_reply(Nat::from(100_u8), vec![], archives(merchant().owner)),
    ] {
        setup.ledger.fault_of(&setup, GET_BLOCKS, 1, &lie);
        setup.pass(DAY);
        assert!(setup.is_unknown(&signed), "{lie:?}");
    }
    setup.ledger.behave(&setup);
    setup.pass(HOUR + 1);
    fetch(&setup, signed);
}

/// The ledger's clock is behind by almost the minute that it permits: its block is older than the payment.
#[test]
fn attack_28_a_block_from_before_the_payment_is_found_in_a_long_log() {
    let setup = Setup::new();
    let payer = setup.payer(118);
    let sale = setup.sell("/article", PRICE);
    fill(&setup, 240);
    setup.advance(HOUR);
    // The payer's clock was half a minute behind.
    setup.ledger.skew(&setup, -88);
    setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let signed = sale.pay(&payer).send().expect_pending();
    setup.pass(EXPIRY);
    setup.expect_settled_and_fetch(&sale, signed);
}

#[test]
fn attack_28_beyond_the_permitted_drift_nothing_moves() {
    let setup = Setup::new();
    let payer = setup.payer(119);
    let sale = setup.sell("/article", PRICE);
    setup.ledger.skew(&setup, -95);
    let outcome = sale.pay(&payer).send();
    outcome.expect_failed(x402_icp::Code::LedgerUnavailable);
    assert_eq!(setup.transfers(), 0);
}

//! Blocks that cannot be read in the log of a ledger, and the payments that they keep unknown.

use super::*;
use candid::Nat;
use icrc_ledger_types::{icrc::generic_value::ICRC3Value, icrc3::blocks::BlockWithId};
use std::collections::BTreeMap;
use test_ledger::testing::log_reply;

const GET_BLOCKS: &str = "icrc3_get_blocks";

fn text(text: &str) -> ICRC3Value {
    ICRC3Value::Text(text.into())
}

/// The ledger shows its log with one more block at its end.
fn shows_besides(setup: &Setup, odd: ICRC3Value) {
    setup.ledger.behave(setup);
    let mut blocks = setup.ledger.blocks(setup);
    let next = blocks.len() as u128;
    blocks.push((next, odd));
    shows(setup, blocks);
}

fn shows(setup: &Setup, blocks: Vec<(u128, ICRC3Value)>) {
    let length = blocks.len();
    shows_of(setup, length, blocks);
}

/// The ledger shows these blocks of a log of that length.
pub(super) fn shows_of(setup: &Setup, length: usize, blocks: Vec<(u128, ICRC3Value)>) {
    let length = Nat::from(length);
    let blocks = blocks.into_iter().map(|(id, block)| BlockWithId {
        id: Nat::from(id),
        block,
    });
    let fault = log_reply(length, blocks.collect(), vec![]);
    setup.ledger.fault_of(setup, GET_BLOCKS, 1, &fault);
}

/// A payment that was not made. This is the ledger's last block when the transfer can no longer be made.
fn not_made(seed: u8, odd: impl FnOnce(&Signed) -> ICRC3Value) -> (Setup, Signed) {
    let setup = Setup::new();
    let payer = setup.payer(seed);
    let sale = setup.sell("/article", PRICE);
    setup.ledger.fault(&setup, 1, &Fault::reject());
    let signed = sale.pay(&payer).send().expect_pending();
    shows_besides(&setup, odd(&signed));
    setup.pass(WINDOW + HOUR);
    (setup, signed)
}

/// A block of this type whose transaction has these fields.
fn typed(btype: &str, tx: Vec<(&str, ICRC3Value)>) -> ICRC3Value {
    let map = |fields: Vec<(&str, ICRC3Value)>| {
        let fields = fields.into_iter();
        ICRC3Value::Map(BTreeMap::from_iter(
            fields.map(|(name, value)| (name.to_string(), value)),
        ))
    };
    map(vec![("btype", text(btype)), ("tx", map(tx))])
}

#[test]
fn one_block_of_an_unknown_shape_does_not_keep_a_payment_unknown() {
    let (setup, signed) = not_made(120, |_| text("a block of no shape"));
    setup.ledger.behave(&setup);
    setup.expect_failed(&signed);
}

#[test]
fn a_block_of_another_standard_does_not_keep_a_payment_unknown() {
    let (setup, signed) = not_made(121, |_| {
        let reason = text(&"a decision that has a long reason ".repeat(30));
        typed("122burn", vec![("reason", reason)])
    });
    setup.ledger.behave(&setup);
    setup.expect_failed(&signed);
}

#[test]
fn an_array_of_thousands_in_a_block_does_not_keep_a_payment_unknown() {
    let (setup, signed) = not_made(122, |_| {
        let numbers = (0..2_000u32).map(|n| ICRC3Value::Nat(Nat::from(n)));
        typed(
            "7update",
            vec![("meta", ICRC3Value::Array(numbers.collect()))],
        )
    });
    setup.ledger.behave(&setup);
    setup.expect_failed(&signed);
}

#[test]
fn a_block_that_might_be_the_payment_keeps_it_unknown_as_long_as_it_might() {
    let memo = |signed: &Signed| {
        let memo = ICRC3Value::Blob(ByteBuf::from(signed.id.0.to_vec()));
        typed("2xfer", vec![("memo", memo)])
    };
    let (setup, signed) = not_made(123, memo);
    setup.ledger.behave(&setup);
    let odd = setup.ledger.blocks(&setup).len();
    // It is read again, alone.
    for _ in 0..3 {
        shows_of(&setup, odd + 1, vec![(odd as u128, memo(&signed))]);
        setup.pass(HOUR);
        assert!(setup.is_unknown(&signed));
    }
    // The ledger now encodes that block so that it can be read.
    let clear = typed("1burn", vec![]);
    shows_of(&setup, odd + 1, vec![(odd as u128, clear)]);
    setup.pass(HOUR + 1);
    setup.ledger.behave(&setup);
    setup.expect_failed(&signed);
}

#[test]
fn a_payment_that_was_made_is_found_among_odd_blocks() {
    let setup = Setup::new();
    let payer = setup.payer(124);
    let sale = setup.sell("/article", PRICE);
    setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let signed = sale.pay(&payer).send().expect_pending();
    let mut blocks = setup.ledger.blocks(&setup);
    // Everything except the payment is unreadable.
    let last = blocks.len() - 1;
    for (_, block) in &mut blocks[..last] {
        *block = ICRC3Value::Array(vec![text(&"x".repeat(100))]);
    }
    shows(&setup, blocks);
    setup.pass(EXPIRY);
    setup.ledger.behave(&setup);
    setup.expect_settled_and_fetch(&sale, signed);
}

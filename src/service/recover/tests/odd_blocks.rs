//! Blocks that cannot be read: the payments that they keep unknown, and for how long.

use super::{
    lapse::{has_lapsed, held, own_shop},
    *,
};
use crate::service::log_search::MAX_DOUBTFUL;
use icrc_ledger_types::icrc::generic_value::ICRC3Value;

const HOUR: u32 = 3_600;
const AFTER_THE_WINDOW: u32 = 86_400 + 3_600;

fn text(text: &str) -> ICRC3Value {
    ICRC3Value::Text(text.into())
}

/// The block without the amount of its transfer.
fn without_amount(block: ICRC3Value) -> ICRC3Value {
    let ICRC3Value::Map(mut block) = block else {
        panic!("no map");
    };
    let Some(ICRC3Value::Map(mut tx)) = block.remove("tx") else {
        panic!("no transaction");
    };
    tx.remove("amt").unwrap();
    block.insert("tx".into(), ICRC3Value::Map(tx));
    ICRC3Value::Map(block)
}

fn is_failed(state: &State) -> bool {
    matches!(state, State::Failed { .. })
}

#[test]
fn one_block_of_an_unknown_shape_does_not_keep_a_payment_unknown() {
    let nested = (0..100).fold(text("deep"), |inner, _| ICRC3Value::Array(vec![inner]));
    let with_field = |value: ICRC3Value| {
        let ICRC3Value::Map(mut block) = other_block(NOW) else {
            panic!("no map");
        };
        block.insert("extra".into(), value);
        ICRC3Value::Map(block)
    };
    let typed = with_field(text("more"));
    for (n, odd) in [
        (1, text("odd")),
        (2, ICRC3Value::Array(vec![])),
        (3, ICRC3Value::Nat(Nat::from(7u8))),
        (4, without_amount(other_block(NOW))),
        (5, typed),
        (6, with_field(ICRC3Value::Array(vec![text("x"); 300]))),
    ] {
        let shop = shop();
        let request = shop.unknown(n, n);
        shop.later(AFTER_THE_WINDOW);
        let log = vec![(0, other_block(NOW)), (1, odd), (2, other_block(NOW))];
        shop.will_show(3, log).tick();
        assert!(is_failed(&shop.state(&request)), "{n}");
    }
    // A transfer of the payment's time with a value that is nested too deeply to be read may be the payment's.
    let shop = shop();
    let request = shop.unknown(7, 7);
    shop.later(AFTER_THE_WINDOW)
        .will_show(1, vec![(0, with_field(nested))])
        .tick();
    assert!(is_unknown(&shop.state(&request)));
}

#[test]
fn a_block_that_might_be_one_payment_keeps_no_other_unknown() {
    let shop = shop();
    let (held, free) = (shop.unknown(1, 1), shop.unknown(2, 2));
    let odd = without_amount(shop.block(&held));
    shop.later(AFTER_THE_WINDOW);
    shop.will_show(2, vec![(0, odd), (1, other_block(NOW))]);
    shop.tick();
    assert!(is_unknown(&shop.state(&held)));
    assert!(is_failed(&shop.state(&free)));
    assert_eq!(shop.runtime.made(), 3, "one reading for both");
}

#[test]
fn a_payment_is_found_behind_a_block_that_might_be_it() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    let ours = shop.block(&request);
    shop.after_expiry();
    let odd = (0, without_amount(ours.clone()));
    shop.will_show(3, vec![odd.clone(), (1, other_block(NOW))]);
    // The third block is in a page of its own.
    shop.will_show(3, vec![(2, other_block(NOW))]);
    shop.tick();
    assert!(is_unknown(&shop.state(&request)));
    // At the next search the odd block is read again, and so are the new ones.
    shop.later(HOUR).will_show(4, vec![odd]);
    shop.will_show(4, vec![(3, ours)]);
    shop.tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(3));
}

#[test]
fn a_payment_is_unknown_only_as_long_as_the_block_might_be_it() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    let odd = || without_amount(shop.block(&request));
    shop.later(AFTER_THE_WINDOW);
    shop.will_show(2, vec![(0, odd()), (1, other_block(NOW))]);
    shop.tick();
    assert!(is_unknown(&shop.state(&request)));
    for _ in 0..3 {
        let made = shop.runtime.made();
        shop.later(HOUR).will_show(2, vec![(0, odd())]).tick();
        assert!(is_unknown(&shop.state(&request)));
        assert_eq!(shop.runtime.made(), made + 1, "one call for each search");
    }
    // A reply without blocks proves nothing.
    shop.later(HOUR).will_show(2, vec![]).tick();
    assert!(is_unknown(&shop.state(&request)));
    shop.later(HOUR).will_reject(5);
    shop.will_show(2, vec![]).tick();
    assert!(is_unknown(&shop.state(&request)));
    // The ledger was upgraded, and encodes the block so that it can be read.
    shop.later(HOUR)
        .will_show(2, vec![(0, other_block(NOW))])
        .tick();
    assert!(is_failed(&shop.state(&request)));
}

/// Such a block costs money to make: the ledger moved the money, encoded the block in another way, and rejected the
/// call.
#[test]
fn attack_42_nothing_lapses_while_a_block_of_the_log_might_be_it() {
    let shop = own_shop(true);
    let (shown, other) = (shop.rejected(1, 1, 4), shop.rejected(2, 2, 4));
    let odd = || without_amount(shop.block(&shown));
    shop.later(AFTER_THE_WINDOW);
    shop.will_show(1, vec![(0, odd())]).tick();
    for _ in 0..2 * READINGS {
        shop.later(HOUR).will_show(1, vec![(0, odd())]).tick();
        shop.later(HOUR).will_reject(5);
        shop.will_reject(5).tick();
    }
    assert!(is_failed(&shop.state(&other)));
    assert!(is_unknown(&shop.state(&shown)) && !has_lapsed(&shop, &shown));
    assert_eq!(held(&shop), 10_000);
    // Nor when the ledger no longer lists the block log.
    storage::ledgers::put(&ledger(0)).unwrap();
    shop.later(HOUR).tick();
    shop.later(HOUR).tick();
    assert!(!has_lapsed(&shop, &shown));
    assert_eq!(held(&shop), 10_000);
}

#[test]
fn a_search_stops_at_more_doubtful_blocks_than_it_remembers() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    let odd = without_amount(shop.block(&request));
    shop.later(AFTER_THE_WINDOW);
    let many = MAX_DOUBTFUL as u64 + 2;
    let all = |block: &ICRC3Value| -> Log { (0..many).map(|n| (n, block.clone())).collect() };
    shop.will_show(many, all(&odd));
    // The search cannot continue.
    shop.will_show(many, all(&odd)[MAX_DOUBTFUL..].to_vec());
    shop.tick();
    assert!(is_unknown(&shop.state(&request)));
    // The remembered blocks are clear now. The search continues, and no block was skipped.
    let clear = all(&other_block(NOW));
    shop.later(HOUR)
        .will_show(many, clear[..MAX_DOUBTFUL].to_vec());
    shop.will_show(many, all(&odd)[MAX_DOUBTFUL..].to_vec());
    shop.tick();
    assert!(is_unknown(&shop.state(&request)));
    shop.later(HOUR)
        .will_show(many, clear[MAX_DOUBTFUL..].to_vec())
        .tick();
    assert!(is_failed(&shop.state(&request)));
}

//! Unknown payments in a ledger with the ICP ledger's own log.

use super::*;
use crate::{
    domain::block_log::icp_tests::{block_of, of_archive, response},
    storage::ledgers::tests::icp_ledger,
};
use test_ledger::domain::icp;

const QUERY_BLOCKS: &str = "query_blocks";

/// A shop whose ledger has no ICRC-3, and answers `query_blocks`.
fn icp_shop() -> Shop {
    let shop = pay::tests::shop();
    storage::ledgers::put(&icp_ledger()).unwrap();
    shop
}

fn other_at(at: TimestampNs) -> icp::Block {
    block_of(&Transfer {
        memo: [0xee; 32],
        from: Account::from(Principal::from_slice(&[1])),
        to: Account::from(Principal::from_slice(&[2])),
        spender: None,
        amount: Amount(1),
        created_at: at,
    })
}

impl Shop {
    fn icp_block(&self, request: &PaymentRequest) -> icp::Block {
        let payment = payments::payment(&id(request)).unwrap();
        block_of(&transfer(&self.runtime, &payment))
    }

    fn will_show_icp(&self, length: u64, first: u64, blocks: Vec<icp::Block>) -> &Self {
        self.runtime
            .will_reply(response(length, first, blocks, &[]));
        self
    }

    /// The first blocks that the last calls requested, and from whom.
    fn ranges_asked(&self, last: usize) -> Vec<(Principal, u64, u64)> {
        let calls = self.runtime.calls.borrow();
        let calls = calls[calls.len() - last..].iter();
        let asked = calls.map(|call| {
            let range = Decode!(&call.argument, icp::GetBlocksArgs).unwrap();
            (call.canister, range.start, range.length)
        });
        asked.collect()
    }
}

#[test]
fn should_settle_what_the_log_shows_without_a_controller() {
    let shop = icp_shop();
    let request = shop.unknown(1, 1);
    let ours = shop.icp_block(&request);
    shop.after_expiry()
        .will_show_icp(6, 0, vec![other_at(NOW), ours]);
    shop.tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(1));
    assert_eq!(shop.methods()[1..], [QUERY_BLOCKS], "one call");
    assert_eq!(shop.ranges_asked(1), [(ledger(0).id, 0, 1_000)]);
    assert_eq!(shop.fetch(&request), b"goods");
}

#[test]
fn should_fail_what_the_complete_log_lacks_only_after_the_window() {
    let shop = icp_shop();
    let request = shop.unknown(1, 1);
    shop.after_expiry()
        .will_show_icp(2, 0, vec![other_at(NOW), other_at(NOW)]);
    shop.tick();
    assert!(is_unknown(&shop.state(&request)), "the ledger may take it");
    // Its end is asked for again, and nothing was added.
    shop.later(25 * HOUR).will_show_icp(2, 2, vec![]);
    shop.tick();
    assert!(matches!(shop.state(&request), State::Failed { .. }));
    shop.tick();
    assert_eq!(shop.runtime.woken.get(), None, "nothing is left to do");
}

#[test]
fn should_follow_archives_that_number_no_blocks() {
    let shop = icp_shop();
    let request = shop.unknown(1, 1);
    let ours = shop.icp_block(&request);
    shop.after_expiry();
    let local = vec![other_at(NOW)];
    shop.runtime
        .will_reply(response(4, 3, local, &[(ARCHIVE, 0, 3)]))
        .will_reply(of_archive(vec![other_at(NOW), ours, other_at(NOW)]));
    shop.tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(1));
    assert_eq!(shop.ranges_asked(1), [(ARCHIVE, 0, 3)]);
    assert_eq!(shop.methods()[2], "get_blocks");
}

#[test]
fn should_call_no_canister_that_cannot_be_an_archive_of_the_icp_ledger() {
    let shop = icp_shop();
    shop.follows_no_impossible_archive(|archive| {
        let named = response(3, 0, vec![], &[(archive, 0, 3)]);
        shop.runtime.will_reply(named);
    });
}

/// An archive refuses, has too many blocks or too few, or answers as a ledger does; a ledger answers as an archive.
#[test]
fn should_take_no_lie_about_the_icp_log_for_absence() {
    let shop = icp_shop();
    let request = shop.unknown(1, 1);
    shop.later(2 * 86_400);
    let error = icp::GetBlocksError::Other {
        error_code: 1,
        error_message: "no".into(),
    };
    let blocks = |n: usize| of_archive(vec![other_at(NOW); n]);
    let encoded = |reply: &Result<icp::BlockRange, _>| Encode!(reply).unwrap();
    let lies = [
        encoded(&Err(error)),
        encoded(&blocks(0)),
        encoded(&blocks(4)),
        Encode!(&response(3, 0, vec![other_at(NOW); 3], &[])).unwrap(),
        b"DIDL".to_vec(),
        vec![0; 3_000_000],
    ];
    for (n, lie) in lies.into_iter().enumerate() {
        shop.later(HOUR)
            .runtime
            .will_reply(response(3, 0, vec![], &[(ARCHIVE, 0, 3)]))
            .will(CallOutcome::Reply(lie));
        shop.tick();
        assert!(is_unknown(&shop.state(&request)), "{n}");
    }
    shop.later(HOUR).runtime.will_reply(blocks(3));
    shop.tick();
    assert!(is_unknown(&shop.state(&request)), "an archive's answer");
    // The log without the transfer, read to its end.
    shop.later(HOUR)
        .will_show_icp(3, 0, vec![other_at(NOW); 3])
        .tick();
    assert!(matches!(shop.state(&request), State::Failed { .. }));
}

/// A block that cannot be read holds the payment up. It is read again, alone, also in an archive.
#[test]
fn should_read_doubtful_blocks_again_one_by_one() {
    let shop = icp_shop();
    let request = shop.unknown(1, 1);
    let ours = shop.icp_block(&request);
    let mut odd = ours.clone();
    odd.transaction.operation = None;
    shop.later(2 * 86_400)
        .will_show_icp(3, 0, vec![odd.clone(), other_at(NOW), odd.clone()]);
    shop.tick();
    assert!(is_unknown(&shop.state(&request)));
    shop.later(HOUR)
        .will_show_icp(3, 0, vec![odd])
        .runtime
        .will_reply(response(3, 0, vec![], &[(ARCHIVE, 2, 1)]))
        .will_reply(of_archive(vec![ours]));
    shop.tick();
    let id = ledger(0).id;
    let asked = [(id, 0, 1), (id, 2, 1), (ARCHIVE, 2, 1)];
    assert_eq!(shop.ranges_asked(3), asked);
    assert_eq!(settled_in(&shop.state(&request)), Some(2));
}

/// One call shows one range, so that the place to begin is found by halving.
#[test]
fn should_find_the_place_to_begin_in_a_long_icp_log() {
    let shop = icp_shop();
    let request = shop.unknown(1, 1);
    let ours = shop.icp_block(&request);
    shop.after_expiry();
    let length = 16_000;
    // Blocks up to 12,500 are of long ago. The first page is in an archive, and the block at 8,000 is, too.
    shop.runtime
        .will_reply(response(length, 0, vec![], &[(ARCHIVE, 0, 1_000)]));
    shop.runtime
        .will_reply(response(length, 0, vec![], &[(ARCHIVE, 8_000, 1)]))
        .will_reply(of_archive(vec![other_at(LONG_AGO)]));
    shop.will_show_icp(length, 12_000, vec![other_at(LONG_AGO)])
        .will_show_icp(length, 14_000, vec![other_at(NOW)]);
    let mut page = vec![other_at(LONG_AGO); 499];
    page.extend(vec![other_at(NOW); 400]);
    page.push(ours);
    shop.will_show_icp(length, 12_001, page);
    shop.tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(12_900));
    let id = ledger(0).id;
    assert_eq!(
        shop.ranges_asked(6),
        [
            (id, 0, 1_000),
            (id, 8_000, 1),
            (ARCHIVE, 8_000, 1),
            (id, 12_000, 1),
            (id, 14_000, 1),
            (id, 12_001, 1_000)
        ]
    );
}

/// What one reading found out is not found out again by the next one.
#[test]
fn should_go_on_where_a_reading_of_a_long_icp_log_ended() {
    let shop = icp_shop();
    let request = shop.unknown(1, 1);
    shop.after_expiry();
    let length = 1 << 20;
    shop.will_show_icp(length, 0, vec![other_at(LONG_AGO)]);
    let mut cursor = 1;
    for _ in 1..MAX_CALLS {
        let middle = cursor + (length - cursor) / 2;
        shop.will_show_icp(length, middle, vec![other_at(LONG_AGO)]);
        cursor = middle + 1;
    }
    shop.tick();
    assert!(is_unknown(&shop.state(&request)));
    let ours = shop.icp_block(&request);
    shop.later(TURN.0)
        .will_show_icp(length, cursor, vec![other_at(NOW), ours])
        .tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(cursor + 1));
    assert_eq!(shop.runtime.made(), 1 + MAX_CALLS + 1);
}

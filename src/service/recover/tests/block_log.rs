use super::*;

const GET_BLOCKS: &str = "icrc3_get_blocks";

#[test]
fn should_ask_for_no_transfer_after_the_expiry_and_read_the_log_instead() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    let ours = shop.block(&request);
    shop.after_expiry().will_show(6, vec![(5, ours)]);
    shop.tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(5));
    assert_eq!(shop.methods()[1..], [GET_BLOCKS], "one call, one recovery");
}

#[test]
fn should_prove_the_absence_only_when_the_ledger_takes_the_transfer_no_more() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    shop.after_expiry();
    let created = payments::payment(&id(&request)).unwrap().created_at;
    // At every search the log is complete and lacks the transfer.
    let mut searches = 0u64;
    while is_unknown(&shop.state(&request)) {
        let now = shop.runtime.now();
        assert!(now <= created.plus(FORGOTTEN).plus(Seconds(1)));
        // One block was added since the last search. Blocks that were read before are not read again.
        let new = searches.checked_sub(1).map(|n| (n, other_block(now)));
        shop.will_show(searches, new.into_iter().collect());
        shop.tick();
        searches += 1;
        shop.runtime
            .now
            .set(shop.runtime.woken.take().unwrap_or(now));
    }
    assert!(searches < 40, "{searches} searches in a day");
    let State::Failed { failure, at } = shop.state(&request) else {
        panic!("{:?}", shop.state(&request));
    };
    assert_eq!(failure.kind, FailureKind::LedgerUnavailable);
    assert!(at > created.plus(FORGOTTEN));
    assert!(
        shop.methods()[1..]
            .iter()
            .all(|method| method == GET_BLOCKS)
    );
    shop.tick();
    assert_eq!(shop.runtime.woken.get(), None, "nothing is left to do");
}

#[test]
fn should_follow_archives_that_the_ledger_names() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    shop.after_expiry();
    shop.runtime
        .will_reply(reply(4, vec![(3, other_block(NOW))], vec![(ARCHIVE, 0, 3)]));
    let log = vec![
        (0, other_block(NOW)),
        (1, shop.block(&request)),
        (2, other_block(NOW)),
    ];
    shop.runtime.will_reply(reply(3, log, vec![]));
    shop.tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(1));
    let calls = shop.runtime.calls.borrow();
    assert_eq!(
        (calls[2].canister, calls[2].method.as_str()),
        (ARCHIVE, "get_them")
    );
    let asked = Decode!(&calls[2].argument, Vec<GetBlocksRequest>).unwrap();
    assert_eq!(
        (asked[0].start.clone(), asked[0].length.clone()),
        (0u8.into(), 3u8.into())
    );
}

#[test]
fn should_call_no_canister_that_cannot_be_an_archive() {
    let shop = shop();
    shop.follows_no_impossible_archive(|archive| {
        let named = reply(3, vec![], vec![(archive, 0, 3)]);
        shop.runtime.will_reply(named);
    });
}

#[test]
fn attack_14_a_log_that_is_no_log_proves_nothing() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    let ours = shop.block(&request);
    shop.later(2 * 86_400);
    let many = |bytes: usize| CallOutcome::Reply(vec![0; bytes]);
    let rejected = |code| CallOutcome::Rejected {
        code,
        message: "rejected".into(),
    };
    let encoded = |value: GetBlocksResult| CallOutcome::Reply(Encode!(&value).unwrap());
    let mut endless = reply(1, vec![], vec![]);
    endless.log_length = "9".repeat(10_000).parse().unwrap();
    for answer in [
        many(10),
        many(3_000_000),
        rejected(2),
        rejected(4),
        rejected(5),
        rejected(6),
        CallOutcome::NotSent("no cycles".into()),
        CallOutcome::Reply(Encode!(&"x".repeat(2_000_000)).unwrap()),
        encoded(endless),
        // A gap before the end, a block that repeats, a block beyond the end.
        encoded(reply(
            7,
            vec![(0, other_block(NOW)), (2, other_block(NOW))],
            vec![],
        )),
        encoded(reply(7, vec![(0, ours.clone()), (0, ours.clone())], vec![])),
        encoded(reply(0, vec![(0, ours.clone())], vec![])),
    ] {
        shop.later(HOUR);
        shop.runtime.will(answer.clone());
        let gap = matches!(&answer, CallOutcome::Reply(_)) && shop.runtime.made() == 10;
        if gap {
            // The missing blocks are requested, and none is returned.
            shop.will_show(7, vec![]);
        }
        shop.tick();
        assert!(is_unknown(&shop.state(&request)), "{answer:?}");
    }
    shop.later(HOUR).will_show(1, vec![(0, ours)]);
    shop.tick();
    // Block 0 was passed when the log showed another one there.
    assert!(!matches!(shop.state(&request), State::Settled { .. }));
}

#[test]
fn should_not_believe_a_ledger_without_a_block_log() {
    let shop = shop();
    let mut without = ledger(0);
    without.standards.retain(|standard| standard != "ICRC-3");
    storage::ledgers::put(&without).unwrap();
    let request = shop.unknown(1, 1);
    shop.later(2 * 86_400).tick();
    shop.later(HOUR).tick();
    assert_eq!(shop.runtime.made(), 1);
    assert!(is_unknown(&shop.state(&request)));
    assert!(
        shop.runtime.woken.get().is_some(),
        "somebody may add the ledger again"
    );
}

/// A ledger named a block that never existed; the log shows that.
#[test]
fn should_restart_where_the_log_is_shorter_than_a_named_block() {
    let shop = shop();
    shop.will(Ok(Nat::from(999u32)));
    let _ = shop.settle(&shop.request(2, 2));
    let request = shop.unknown(1, 1);
    let ours = shop.block(&request);
    shop.after_expiry();
    shop.will_show(2, vec![]);
    shop.will_show(2, vec![(0, other_block(NOW)), (1, ours)]);
    shop.tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(1));
}

#[test]
fn should_find_the_place_to_begin_in_a_long_log_with_one_call_more() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    let ours = shop.block(&request);
    shop.after_expiry();
    // The first blocks are from long ago; the last 64 are not.
    shop.will_show(
        1_000_000,
        (0..100).map(|n| (n, other_block(LONG_AGO))).collect(),
    );
    let mut tail: Log = (999_936..1_000_000)
        .map(|n| (n, other_block(NOW)))
        .collect();
    tail[50].1 = ours;
    shop.will_show(1_000_000, tail);
    shop.tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(999_986));
    assert_eq!(shop.methods()[1..], [GET_BLOCKS, GET_BLOCKS]);
}

#[test]
fn should_read_long_logs_over_several_ticks() {
    let shop = shop();
    let request = shop.unknown(1, 1);
    shop.after_expiry();
    let ours = shop.block(&request);
    let log = |n: u64| {
        if n == 2_900 {
            ours.clone()
        } else {
            other_block(NOW)
        }
    };
    let mut served = 0;
    while is_unknown(&shop.state(&request)) {
        assert!(served < 3_000);
        for _ in 0..MAX_CALLS {
            let page = (served..served + 100).map(|n| (n, log(n))).collect();
            shop.will_show(3_000, page);
            served += 100;
        }
        shop.tick();
        shop.later(TURN.0);
    }
    assert_eq!(settled_in(&shop.state(&request)), Some(2_900));
    assert_eq!(shop.runtime.made(), 1 + 30);
}

#[test]
fn should_look_up_any_transfer() {
    let shop = shop();
    let wanted = Transfer {
        memo: [3; 32],
        from: Account::from(Principal::from_slice(&[1])),
        to: Account::from(Principal::from_slice(&[2])),
        spender: None,
        amount: Amount(5),
        created_at: NOW,
    };
    let looked_up = || {
        let mut search = Search::from(10, wanted.clone());
        let searches = std::slice::from_mut(&mut search);
        run(crate::service::log_search::read(
            &shop.runtime,
            ledger(0).id,
            searches,
        ));
        (search.found, search.absent_at.is_some())
    };
    shop.will_show(12, vec![(10, other_block(NOW)), (11, block(&wanted))]);
    assert_eq!(looked_up(), (Some(BlockIndex(11)), false));
    shop.will_show(11, vec![(10, other_block(NOW))]);
    assert_eq!(looked_up(), (None, true));
    shop.will_reject(5);
    assert_eq!(looked_up(), (None, false));
    // A log that ends before a block which was read is no evidence.
    shop.will_show(9, vec![]);
    assert_eq!(looked_up(), (None, false));
}

/// A canister that lost payments (an old snapshot, a reinstallation) may know a block that is younger than a transfer
/// which is requested again.
#[test]
fn should_not_trust_that_a_known_block_is_older_than_the_transfer() {
    let shop = shop();
    shop.will(Ok(Nat::from(500u32)));
    let _ = shop.settle(&shop.request(2, 2));
    let request = shop.unknown(1, 1);
    let ours = shop.block(&request);
    shop.later(86_400 + 3_600);
    shop.will_show(501, vec![(500, other_block(NOW))]);
    // That block is not old enough, so the last blocks determine where to begin: at 244.
    let mut tail: Log = (437..501).map(|n| (n, other_block(NOW))).collect();
    tail.extend([(373, other_block(NOW)), (245, other_block(LONG_AGO))]);
    shop.will_show(501, tail);
    let log = |n: u64| {
        if n == 400 {
            ours.clone()
        } else {
            other_block(NOW)
        }
    };
    shop.will_show(501, (246..346).map(|n| (n, log(n))).collect());
    shop.will_show(501, (346..446).map(|n| (n, log(n))).collect());
    shop.tick();
    assert_eq!(settled_in(&shop.state(&request)), Some(400));
    // With a block that is old enough, the search skips the blocks before it.
    let second = shop.unknown(3, 3);
    shop.later(86_400 + 3_600);
    let now = shop.runtime.now();
    shop.will_show(502, vec![(500, other_block(NOW)), (501, other_block(now))]);
    shop.tick();
    assert!(matches!(shop.state(&second), State::Failed { .. }));
}

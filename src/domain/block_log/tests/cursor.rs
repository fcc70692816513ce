//! Progress in a log: no block that may hold the transfer is passed unread.

use super::*;

/// One block with a time out of order has no effect: the times before and after it count.
#[test]
fn attack_39_a_block_out_of_time_hides_no_other_block() {
    let odd = || without(block_of(&wanted()), "tx", Some("amt"));
    let after = u64::from(FORGOTTEN.0 + BLOCK_DRIFT.0 + 1) * 1_000_000_000;
    // A block of the far future before the transfer's, one of long ago after it.
    let log = vec![
        (0, mint(CREATED.0 + after)),
        (1, odd()),
        (2, mint(5)),
        (3, mint(CREATED.0)),
    ];
    let page = read_all(&result(log)).unwrap();
    assert_eq!(first_possible(CREATED, &page), 0);
    assert_eq!(doubtful(&page, &wanted()), [1]);
    let log = vec![(0, mint(5)), (2, mint(CREATED.0)), (9, mint(6))];
    let page = read_all(&result(log)).unwrap();
    assert_eq!(
        advance(0, CREATED, &page),
        1,
        "blocks up to 9 were not shown"
    );
}

#[test]
fn the_cursor_never_jumps_over_a_block_that_may_be_ours() {
    let at = |seconds: u64| TimestampNs(0).plus(Seconds(seconds as u32)).0;
    let created = TimestampNs(at(1_000));
    let log = |blocks: Vec<(u64, u64)>| {
        let blocks = blocks.into_iter().map(|(id, ts)| (id, mint(at(ts))));
        read_all(&result(blocks.collect())).unwrap()
    };
    // Block 5 was not shown.
    assert_eq!(
        advance(3, created, &log(vec![(3, 1_000), (4, 1_001), (6, 1_002)])),
        5
    );
    // Block 9 is too old, and so are the blocks before it; 10 follows it, 12 does not.
    assert_eq!(
        advance(3, created, &log(vec![(9, 879), (10, 880), (12, 1_000)])),
        11
    );
    // Exactly two minutes before is not too old.
    assert_eq!(advance(3, created, &log(vec![(9, 880)])), 3);
    assert_eq!(
        advance(20, created, &log(vec![(9, 100)])),
        20,
        "the cursor never goes back"
    );
}

#[test]
fn the_tail_reaches_back_in_doubling_steps() {
    let length = |ranges: &[Range]| -> u64 { ranges.iter().map(|range| range.length).sum() };
    assert_eq!(
        tail(0, 0),
        vec![Range {
            start: 0,
            length: 0
        }]
    );
    assert_eq!(
        tail(10, 20),
        vec![Range {
            start: 10,
            length: 10
        }]
    );
    let long = tail(0, 1_000_000);
    assert_eq!(
        long[0],
        Range {
            start: 999_936,
            length: 64
        }
    );
    assert_eq!(
        long[1],
        Range {
            start: 999_872,
            length: 1
        }
    );
    assert!(
        length(&long) <= 100,
        "the page size of the ICRC ledger suite"
    );
    assert!(length(&tail(0, u64::MAX)) <= 128);
}

proptest! {
    /// A log is read in pages of any size, from any ledger time and with any archive: the cursor passes the transfer's
    /// block only if the block was shown, and then it was found.
    #[test]
    fn nothing_is_passed_unseen(
        pauses in prop::collection::vec(0u64..200, 1..60),
        ours in any::<prop::sample::Index>(),
        shown in prop::collection::vec((0u64..60, 1u64..20), 1..30),
    ) {
        let mut time = CREATED.0 / 1_000_000_000 - 2_000;
        let times: Vec<u64> = pauses.iter().map(|pause| { time += pause; time * 1_000_000_000 }).collect();
        let ours = ours.index(times.len());
        // Ledgers make a block at most a minute before its `created_at_time`.
        let created_at = TimestampNs(times[ours] + 60_000_000_000);
        let transfer = Transfer { created_at, ..wanted() };
        let blocks: Vec<ICRC3Value> = times.iter().enumerate().map(|(n, at)| {
            if n == ours {
                with(block_of(&transfer), "ts", ICRC3Value::Nat(Nat::from(*at)))
            } else {
                mint(*at)
            }
        }).collect();
        let (mut cursor, mut found) = (0, false);
        for (start, length) in shown {
            let asked = [Range { start, length }];
            let page: Vec<_> = (0u64..).zip(blocks.clone()).filter(|(n, _)| asked[0].holds(*n)).collect();
            let mut reply = result(page);
            reply.log_length = Nat::from(blocks.len());
            let page = read(LogKind::Icrc3, &Encode!(&reply).unwrap(), &asked, true).unwrap();
            found |= find(&page, &transfer) == Some(BlockIndex(ours as u64));
            cursor = advance(cursor, created_at, &page);
            prop_assert!(found || cursor <= ours as u64);
        }
    }
}

use super::*;
use crate::{
    domain::{
        config::Limits,
        forward::{Forward, tests::forward},
        route::{Route, tests::draft},
        settlement::Claimant,
    },
    runtime::scripted::{ScriptedRuntime, run},
    storage::config::tests::config,
    types::{Amount, BlockIndex, TimestampNs},
};
use candid::Encode;

#[derive(CandidType)]
struct FullStandard {
    name: String,
    url: String,
}

fn standards(names: &[&str]) -> Vec<FullStandard> {
    names
        .iter()
        .map(|name| FullStandard {
            name: name.to_string(),
            url: "https://example.org".into(),
        })
        .collect()
}

fn set_up() -> (ScriptedRuntime, Principal) {
    storage::config::write(&config()).unwrap();
    (
        ScriptedRuntime::new(TimestampNs(1)),
        Principal::from_slice(&[7, 7]),
    )
}

fn describe(runtime: &ScriptedRuntime, fee: u32) {
    runtime
        .will_reply(standards(&["ICRC-1", "ICRC-2", "ICRC-3"]))
        .will_reply("ckUSDC")
        .will_reply(6u8)
        .will_reply(Nat::from(fee));
}

#[test]
fn a_ledger_describes_itself_and_is_refreshed() {
    let (runtime, id) = set_up();
    describe(&runtime, 10_000);
    let ledger = run(add(&runtime, id)).unwrap();
    assert_eq!(
        (ledger.symbol.as_str(), ledger.decimals, ledger.fee),
        ("ckUSDC", 6, Amount(10_000))
    );
    assert_eq!(storage::ledgers::all(), vec![ledger]);

    enable(&runtime, id, false).unwrap();
    describe(&runtime, 20_000);
    let refreshed = run(add(&runtime, id)).unwrap();
    assert_eq!((refreshed.fee, refreshed.enabled), (Amount(20_000), false));
    assert_eq!(storage::ledgers::all().len(), 1);
    assert!(enable(&runtime, id, true).unwrap().enabled);
}

/// As a canister without the method.
fn lacks_query_blocks(runtime: &ScriptedRuntime) {
    runtime.will(CallOutcome::Rejected {
        code: 5,
        message: "has no query method 'query_blocks'".into(),
    });
}

/// A description with this symbol and these decimals.
fn describe_as(runtime: &ScriptedRuntime, symbol: &str, decimals: u8) {
    runtime
        .will_reply(standards(&["ICRC-1", "ICRC-2"]))
        .will_reply(symbol)
        .will_reply(decimals)
        .will_reply(Nat::from(1u8));
    lacks_query_blocks(runtime);
}

/// The ICP ledger lists no standard for its log.
#[test]
fn the_icp_ledgers_own_log_is_found_out_and_found_out_again() {
    use crate::domain::block_log::icp_tests::response;
    let (runtime, id) = set_up();
    let describes = || {
        runtime
            .will_reply(standards(&["ICRC-1", "ICRC-2"]))
            .will_reply("ICP")
            .will_reply(8u8)
            .will_reply(Nat::from(10_000u32));
    };
    let log = || run(add(&runtime, id)).map(|ledger| ledger.log());
    describes();
    runtime.will_reply(response(20_000_000, 0, vec![], &[]));
    assert_eq!(log(), Ok(Some(LogKind::Icp)));
    let calls = runtime.calls.borrow();
    assert_eq!(calls.last().unwrap().method, "query_blocks");
    drop(calls);
    assert_eq!(
        storage::ledgers::get(&id).unwrap().log(),
        Some(LogKind::Icp)
    );
    // Out of reach at present: nothing changes.
    for unclear in [
        CallOutcome::NotSent("no cycles".into()),
        CallOutcome::Rejected {
            code: 2,
            message: "overloaded".into(),
        },
        CallOutcome::Rejected {
            code: 6,
            message: "no answer in time".into(),
        },
    ] {
        describes();
        runtime.will(unclear);
        assert!(matches!(log(), Err(LedgerError::LedgerUnavailable { .. })));
        assert!(storage::ledgers::get(&id).unwrap().has_block_log());
    }
    // What is no log is none.
    for garbage in [
        Encode!(&5u8).unwrap(),
        b"not Candid".to_vec(),
        vec![0; 3_000_000],
    ] {
        describes();
        runtime.will(CallOutcome::Reply(garbage));
        assert_eq!(log(), Ok(None));
    }
    // A ledger with ICRC-3 is not asked.
    let made = runtime.made();
    describe(&runtime, 10_000);
    storage::ledgers::put(&Ledger {
        decimals: 6,
        ..storage::ledgers::get(&id).unwrap()
    })
    .unwrap();
    assert_eq!(log(), Ok(Some(LogKind::Icrc3)));
    assert_eq!(runtime.made(), made + 4);
}

/// As for ICRC-3: the end of the log shows that a block which the ledger named is absurd.
#[test]
fn an_absurd_block_of_the_icp_ledger_is_forgotten() {
    use crate::{domain::block_log::icp_tests::response, storage::claims};
    let (runtime, id) = set_up();
    describe_as(&runtime, "ICP", 8);
    run(add(&runtime, id)).unwrap();
    claims::take(&id, BlockIndex(5), Claimant::Payment(1), TimestampNs(1));
    claims::take(&id, BlockIndex(999), Claimant::Payment(2), TimestampNs(1));
    runtime
        .will_reply(standards(&["ICRC-1", "ICRC-2"]))
        .will_reply("ICP")
        .will_reply(8u8)
        .will_reply(Nat::from(10_000u32))
        .will_reply(response(6, 0, vec![], &[]))
        .will_reply(response(6, 0, vec![], &[]));
    run(add(&runtime, id)).unwrap();
    assert_eq!(claims::highest_block(&id), Some(BlockIndex(5)));
}

#[test]
fn no_symbol_keeps_a_ledger_from_being_added() {
    let (runtime, _) = set_up();
    let long = "USD".repeat(100_000);
    let longest = "\u{202e}".repeat(690_000);
    for (n, (symbol, shown)) in (1u8..).zip([
        ("USD₮0", "USD₮0"),
        ("", "?"),
        ("\u{202e}CDSU\u{202c}\u{0}", "CDSU"),
        ("a\r\nSet-Cookie: b", "a Set-Cookie: b"),
        (&long, "USDUSDUSDUSDUSDUSDUSDUS…"),
        (&longest, "?"),
    ]) {
        describe_as(&runtime, symbol, 6);
        let ledger = run(add(&runtime, Principal::from_slice(&[7, n])));
        assert_eq!(ledger.map(|ledger| ledger.symbol), Ok(shown.into()));
    }
}

#[test]
fn no_number_of_decimals_keeps_a_ledger_from_being_added() {
    let (runtime, _) = set_up();
    for decimals in [0, 18, 37, 255] {
        describe_as(&runtime, "T", decimals);
        let ledger = run(add(&runtime, Principal::from_slice(&[7, decimals])));
        assert_eq!(ledger.map(|ledger| ledger.decimals), Ok(decimals));
    }
}

#[test]
fn decimals_do_not_change_under_prices() {
    let (runtime, id) = set_up();
    describe(&runtime, 10_000);
    let ledger = run(add(&runtime, id)).unwrap();
    runtime
        .will_reply(standards(&["ICRC-1", "ICRC-2"]))
        .will_reply("ckUSDC")
        .will_reply(8u8)
        .will_reply(Nat::from(1u8));
    lacks_query_blocks(&runtime);
    assert!(matches!(
        run(add(&runtime, id)),
        Err(LedgerError::NotALedger { problem }) if problem.contains("decimals")
    ));
    assert_eq!(storage::ledgers::all(), vec![ledger]);
}

#[derive(CandidType)]
struct Log {
    log_length: Nat,
    blocks: Vec<Nat>,
    archived_blocks: Vec<Nat>,
}

#[test]
fn a_refresh_does_not_forget_blocks_that_the_ledger_still_has() {
    use crate::storage::{claims, payments};
    let (runtime, id) = set_up();
    describe(&runtime, 10_000);
    run(add(&runtime, id)).unwrap();
    payments::tests::settled_in(id, 41);
    assert_eq!(claims::highest_block(&id), Some(BlockIndex(41)));
    for (length, highest) in [(42u8, 41), (41, 40)] {
        describe(&runtime, 10_000);
        runtime.will_reply(Log {
            log_length: Nat::from(length),
            blocks: vec![],
            archived_blocks: vec![],
        });
        run(add(&runtime, id)).unwrap();
        assert_eq!(claims::highest_block(&id), Some(BlockIndex(highest)));
        let kept = claims::of(&id, BlockIndex(41)).is_some();
        assert_eq!(kept, length == 42);
    }
}

/// A false answer about one block does not free the others.
#[test]
fn attack_40_a_refresh_after_an_absurd_block_keeps_the_claims_of_real_ones() {
    use crate::storage::{claims, payments};
    let (runtime, id) = set_up();
    describe(&runtime, 10_000);
    run(add(&runtime, id)).unwrap();
    payments::tests::settled_in(id, 7);
    let (real, absurd) = (BlockIndex(7), BlockIndex(1_132));
    let claimant = claims::of(&id, real);
    assert!(claimant.is_some());
    claims::take(&id, absurd, Claimant::Payment(1), runtime.now());
    describe(&runtime, 10_000);
    runtime.will_reply(Log {
        log_length: Nat::from(20u8),
        blocks: vec![],
        archived_blocks: vec![],
    });
    run(add(&runtime, id)).unwrap();
    assert_eq!(claims::of(&id, real), claimant);
    assert_eq!(claims::of(&id, absurd), None);
    assert_eq!(claims::highest_block(&id), Some(BlockIndex(19)));
}

#[test]
fn what_is_no_ledger_is_not_registered() {
    let (runtime, id) = set_up();
    runtime.will(CallOutcome::Rejected {
        code: 3,
        message: "no canister".into(),
    });
    assert!(matches!(
        run(add(&runtime, id)),
        Err(LedgerError::LedgerUnavailable { .. })
    ));
    runtime.will(CallOutcome::NotSent("no cycles".into()));
    assert!(matches!(
        run(add(&runtime, id)),
        Err(LedgerError::LedgerUnavailable { .. })
    ));
    for garbage in [vec![], b"DIDL".to_vec(), vec![0; 1_000_000]] {
        runtime.will(CallOutcome::Reply(garbage));
        assert!(matches!(
            run(add(&runtime, id)),
            Err(LedgerError::NotALedger { .. })
        ));
    }
    runtime
        .will_reply(standards(&["ICRC-1"]))
        .will_reply("X")
        .will_reply(6u8)
        .will_reply(Nat::from(1u8));
    assert!(matches!(
        run(add(&runtime, id)),
        Err(LedgerError::NotALedger { problem }) if problem.contains("ICRC-2")
    ));
    for wrong in [
        Principal::anonymous(),
        Principal::management_canister(),
        runtime.canister_id(),
    ] {
        assert!(matches!(
            run(add(&runtime, wrong)),
            Err(LedgerError::InvalidArgument(_))
        ));
    }
    assert!(storage::ledgers::all().is_empty());
    assert_eq!(enable(&runtime, id, true), Err(LedgerError::UnknownLedger));
}

#[test]
fn controllers_only() {
    let (runtime, id) = set_up();
    for caller in [config().operators[0], Principal::anonymous()] {
        runtime.caller.set(caller);
        assert!(matches!(
            run(add(&runtime, id)),
            Err(LedgerError::Unauthorized(_))
        ));
        assert!(matches!(
            enable(&runtime, id, true),
            Err(LedgerError::Unauthorized(_))
        ));
    }
    assert_eq!(runtime.made(), 0);
}

/// A ledger that is a target would be called with what payers send, also if it became one during the registration.
#[test]
fn a_forward_target_is_not_registered_as_a_ledger() {
    let (runtime, id) = set_up();
    let route = draft("/a").apply(None, None, &Limits::default(), 1);
    let target = Forward {
        canister: id,
        ..forward()
    };
    storage::routes::put(Route {
        forward: Some(target),
        ..route
    });
    let refused = run(add(&runtime, id)).unwrap_err();
    assert!(matches!(refused, LedgerError::InvalidArgument(error) if error.field == "ledger"));
    assert_eq!(runtime.made(), 0);
}

//! A controller decides about a refund in doubt.

use super::*;
use crate::{
    domain::window::FORGOTTEN,
    service::recover::resolve::{LOG_DECIDES, Outcome, ResolveError, resolve},
};

fn resolved(runtime: &ScriptedRuntime, outcome: Outcome) -> Result<State, ResolveError> {
    let id = storage::payments::by_key(&KEY).unwrap().id;
    resolve(runtime, &id, outcome).map(|payment| payment.state)
}

/// A refund whose answer was lost, and the time at which no ledger can make it any more.
fn lost() -> (ScriptedRuntime, TimestampNs) {
    let runtime = owing(merchant());
    rejected(&runtime);
    let over = runtime.now().plus(FORGOTTEN);
    runtime.now.set(TimestampNs(over.0 + 1));
    (runtime, over)
}

fn notes() -> Vec<String> {
    let all = storage::audit::admin_after(0, 1_000).into_iter();
    all.filter(|entry| entry.action == "payment_resolve")
        .map(|entry| entry.subject)
        .collect()
}

#[test]
fn should_not_make_a_refund_whose_row_cannot_be_read() {
    let runtime = owing(merchant());
    let owed = || liabilities::owed(&ledger(0).id);
    let before = owed();
    assert_eq!(before[0].1.refunds, 1);
    liabilities::tests::corrupt(&KEY);
    run(step(&runtime));
    assert_eq!(runtime.made(), 0);
    assert_eq!(owed(), before);
    assert!(storage::payments::due_at(&KEY).unwrap() > runtime.now());
    liabilities::put_refund(
        &KEY,
        &storage::payments::by_key(&KEY).unwrap(),
        &Default::default(),
    );
    assert_eq!(liabilities::refund(&KEY), None, "it is unchanged");
}

#[test]
fn should_make_the_refund_once_more_and_exactly_once_when_it_was_not_made() {
    let (runtime, _) = lost();
    runtime.will(CallOutcome::Rejected {
        code: 5,
        message: "no such method".into(),
    });
    run(step(&runtime));
    assert_eq!(made(&runtime), 1, "without a log it stays in doubt");
    later(&runtime, Seconds(86_400));
    let state = resolved(&runtime, Outcome::NotMoved).unwrap();
    assert!(matches!(state, State::Refunding { .. }));
    assert_eq!(liabilities::refund(&KEY).unwrap().doubt, None);
    // Repeated before the next try: nothing changes.
    assert_eq!(resolved(&runtime, Outcome::NotMoved), Ok(state));
    assert_eq!(notes().len(), 1);
    assert_eq!(runtime.woken.get(), Some(runtime.now()), "due at once");
    // The second try's answer is lost, too. The decision about the first does not apply to it.
    covered(&runtime);
    runtime.will(CallOutcome::Rejected {
        code: 4,
        message: "lost".into(),
    });
    run(step(&runtime));
    assert_eq!(made(&runtime), 2);
    assert_ne!(asked(&runtime, 0), asked(&runtime, 1));
    let from = TimestampNs(runtime.now().plus(FORGOTTEN).0 + 1);
    let refused = resolved(&runtime, Outcome::NotMoved);
    assert_eq!(refused, Err(ResolveError::TooEarly { from }));
    let duplicate_of = Nat::from(9u8);
    answered(&runtime, Err(TransferError::Duplicate { duplicate_of }));
    assert_eq!(refunded_in(), BlockIndex(9));
    assert_eq!(asked(&runtime, 1), asked(&runtime, 2));
    assert_eq!(
        resolved(&runtime, Outcome::NotMoved),
        Err(ResolveError::NotInDoubt)
    );
    later(&runtime, Seconds::DAY);
    run(super::super::step(&runtime, &KEY));
    assert_eq!(made(&runtime), 3);
}

#[test]
fn should_take_the_refund_for_made_when_it_was() {
    let (runtime, _) = lost();
    let block = BlockIndex(40);
    let state = resolved(&runtime, Outcome::Moved { block }).unwrap();
    assert_eq!(refunded_in(), block);
    assert_eq!(resolved(&runtime, Outcome::Moved { block }), Ok(state));
    let hex = storage::payments::by_key(&KEY).unwrap().id.to_string();
    assert_eq!(notes(), [format!("{hex} moved in block 40")]);
    assert_eq!(liabilities::owed(&ledger(0).id), vec![]);
    later(&runtime, Seconds::DAY);
    run(step(&runtime));
    assert_eq!(made(&runtime), 1);
}

#[test]
fn attack_40_the_block_of_the_payment_is_not_that_of_a_refund_in_doubt() {
    let (runtime, _) = lost();
    let block = BlockIndex(3);
    let refused = resolved(&runtime, Outcome::Moved { block });
    assert_eq!(refused, Err(ResolveError::OtherBlock));
    assert_eq!(problem(), RefundProblem::Unclear);
    assert_eq!(notes(), [""; 0]);
}

#[test]
fn should_refuse_while_the_ledger_may_still_make_the_refund() {
    let (runtime, over) = lost();
    runtime.now.set(over);
    let from = TimestampNs(over.0 + 1);
    for outcome in [
        Outcome::NotMoved,
        Outcome::Moved {
            block: BlockIndex(40),
        },
    ] {
        let refused = resolved(&runtime, outcome);
        assert_eq!(refused, Err(ResolveError::TooEarly { from }));
    }
    assert_eq!(problem(), RefundProblem::Unclear);
}

#[test]
fn should_let_the_log_decide_about_a_refund() {
    let (runtime, over) = lost();
    let mut with_log = ledger(0);
    with_log.standards.push("ICRC-3".into());
    storage::ledgers::put(&with_log).unwrap();
    let until = over.plus(LOG_DECIDES);
    let refused = resolved(&runtime, Outcome::NotMoved);
    assert_eq!(refused, Err(ResolveError::LogDecides { until }));
    runtime.now.set(until);
    assert!(resolved(&runtime, Outcome::NotMoved).is_ok());
}

#[test]
fn should_refuse_refunds_that_are_not_in_doubt_and_everybody_but_controllers() {
    let runtime = owing(merchant());
    later(&runtime, Seconds(9 * 86_400));
    let block = BlockIndex(40);
    for outcome in [Outcome::NotMoved, Outcome::Moved { block }] {
        assert_eq!(resolved(&runtime, outcome), Err(ResolveError::NotInDoubt));
    }
    rejected(&runtime);
    later(&runtime, FORGOTTEN);
    later(&runtime, Seconds(1));
    for caller in [storage::config::read().operators[0], payer().owner] {
        runtime.caller.set(caller);
        let refused = resolved(&runtime, Outcome::NotMoved);
        assert_eq!(refused, Err(ResolveError::Unauthorized(Unauthorized)));
    }
    assert_eq!(problem(), RefundProblem::Unclear);
}

/// Its blocks name account identifiers. The refund is found, or made once more, without a controller.
#[test]
fn the_log_of_the_icp_ledger_proves_a_refund() {
    let runtime = shown_by_the_icp_ledger(true);
    assert_eq!((refunded_in(), made(&runtime)), (BlockIndex(4), 1));
}

#[test]
fn a_refund_that_the_log_of_the_icp_ledger_lacks_gets_new_terms() {
    shown_by_the_icp_ledger(false);
    assert_eq!(liabilities::refund(&KEY).unwrap().doubt, None);
}

fn shown_by_the_icp_ledger(is_made: bool) -> ScriptedRuntime {
    use crate::{
        domain::block_log::icp_tests::{block_of, response},
        storage::ledgers::tests::icp_ledger,
    };
    let runtime = in_doubt_and_forgotten(None);
    storage::ledgers::put(&icp_ledger()).unwrap();
    let refund = refund_in_doubt();
    let other = Transfer {
        memo: [0xee; 32],
        created_at: NOW,
        ..refund.clone()
    };
    let second = block_of(if is_made { &refund } else { &other });
    runtime.will_reply(response(5, 3, vec![block_of(&other), second], &[]));
    run(step(&runtime));
    runtime
}

use super::*;
use crate::{domain::rail::TxRef, storage::payments::tests::payment, types::PaymentId};
use candid::Encode;
use icrc_ledger_types::icrc1::transfer::TransferError;
use proptest::prelude::*;

fn reply(answer: Result<Nat, TransferFromError>) -> Verdict {
    judged(&CallOutcome::Reply(Encode!(&answer).unwrap())).verdict
}

fn argument_of(payment: &Payment) -> Vec<u8> {
    let Plan::Pull { argument, .. } = plan(payment) else {
        panic!("a plan without a call");
    };
    argument
}

fn judged(outcome: &CallOutcome) -> Judgement {
    judge(outcome, None)
}

fn kind(verdict: Verdict) -> FailureKind {
    match verdict {
        Verdict::NotMoved(failure) => failure.kind,
        other => panic!("expected a failure, got {other:?}"),
    }
}

#[test]
fn ok_and_duplicate_prove_that_money_moved() {
    let moved = Verdict::Moved(TxRef::Block(BlockIndex(12)));
    assert_eq!(reply(Ok(Nat::from(12u8))), moved);
    assert_eq!(
        reply(Err(TransferFromError::Duplicate {
            duplicate_of: Nat::from(12u8)
        })),
        moved
    );
}

#[test]
fn a_block_that_was_known_before_is_no_new_transfer() {
    let known = Some(BlockIndex(12));
    let judged = |answer: Result<Nat, TransferFromError>| {
        judge(&CallOutcome::Reply(Encode!(&answer).unwrap()), known).verdict
    };
    let doubt = Verdict::InDoubt(Doubt::ImplausibleBlock);
    assert_eq!(judged(Ok(Nat::from(12u8))), doubt);
    assert_eq!(judged(Ok(Nat::from(0u8))), doubt);
    let block = BlockIndex(13);
    assert_eq!(
        judged(Ok(Nat::from(13u8))),
        Verdict::Moved(TxRef::Block(block))
    );
    // The block of a duplicate is always an old one.
    let duplicate = Err(TransferFromError::Duplicate {
        duplicate_of: Nat::from(5u8),
    });
    assert_eq!(
        judged(duplicate),
        Verdict::Moved(TxRef::Block(BlockIndex(5)))
    );
}

#[test]
fn typed_errors_prove_that_it_did_not() {
    let n = || Nat::from(5u8);
    let cases = [
        (
            TransferFromError::BadFee { expected_fee: n() },
            FailureKind::FeeChanged,
        ),
        (
            TransferFromError::BadBurn {
                min_burn_amount: n(),
            },
            FailureKind::LedgerUnavailable,
        ),
        (
            TransferFromError::InsufficientFunds { balance: n() },
            FailureKind::InsufficientFunds,
        ),
        (
            TransferFromError::InsufficientAllowance { allowance: n() },
            FailureKind::InsufficientAllowance,
        ),
        (TransferFromError::TooOld, FailureKind::LedgerUnavailable),
        (
            TransferFromError::CreatedInFuture { ledger_time: 1 },
            FailureKind::LedgerUnavailable,
        ),
        (
            TransferFromError::TemporarilyUnavailable,
            FailureKind::LedgerUnavailable,
        ),
        (
            TransferFromError::GenericError {
                error_code: n(),
                message: "no".into(),
            },
            FailureKind::LedgerUnavailable,
        ),
    ];
    for (error, expected) in cases {
        assert_eq!(kind(reply(Err(error.clone()))), expected, "{error:?}");
    }
}

#[test]
fn replies_of_a_plain_transfer_are_read_alike() {
    let reply =
        |answer: Result<Nat, TransferError>| judged(&CallOutcome::Reply(Encode!(&answer).unwrap()));
    let n = || Nat::from(5u8);
    let block = BlockIndex(5);
    assert_eq!(reply(Ok(n())).verdict, Verdict::Moved(TxRef::Block(block)));
    let duplicate_of = n();
    assert_eq!(
        reply(Err(TransferError::Duplicate { duplicate_of })).verdict,
        Verdict::Moved(TxRef::Block(block))
    );
    let bad_fee = reply(Err(TransferError::BadFee { expected_fee: n() }));
    assert_eq!(bad_fee.fee, Some(Amount(5)));
    let errors = [
        (
            TransferError::BadFee { expected_fee: n() },
            FailureKind::FeeChanged,
        ),
        (
            TransferError::InsufficientFunds { balance: n() },
            FailureKind::InsufficientFunds,
        ),
        (
            TransferError::BadBurn {
                min_burn_amount: n(),
            },
            FailureKind::LedgerUnavailable,
        ),
        (TransferError::TooOld, FailureKind::LedgerUnavailable),
        (
            TransferError::CreatedInFuture { ledger_time: 1 },
            FailureKind::LedgerUnavailable,
        ),
        (
            TransferError::TemporarilyUnavailable,
            FailureKind::LedgerUnavailable,
        ),
        (
            TransferError::GenericError {
                error_code: n(),
                message: "no".into(),
            },
            FailureKind::LedgerUnavailable,
        ),
    ];
    for (error, expected) in errors {
        assert_eq!(
            kind(reply(Err(error.clone())).verdict),
            expected,
            "{error:?}"
        );
    }
}

#[test]
fn a_bad_fee_tells_the_new_one() {
    let answer = |fee: Nat| -> Result<Nat, TransferFromError> {
        Err(TransferFromError::BadFee { expected_fee: fee })
    };
    let verdict = judged(&CallOutcome::Reply(
        Encode!(&answer(Nat::from(9u8))).unwrap(),
    ));
    assert_eq!(verdict.fee, Some(Amount(9)));
    let huge = "1".repeat(60).parse::<Nat>().unwrap();
    let verdict = judged(&CallOutcome::Reply(Encode!(&answer(huge)).unwrap()));
    assert_eq!(verdict.fee, None);
}

#[test]
fn only_rejects_of_the_system_prove_that_the_ledger_did_not_run() {
    let rejected = |code| {
        judged(&CallOutcome::Rejected {
            code,
            message: "m".into(),
        })
        .verdict
    };
    for code in [1, 2, 3] {
        assert_eq!(kind(rejected(code)), FailureKind::LedgerUnavailable);
    }
    for code in [4, 5] {
        assert_eq!(rejected(code), Verdict::InDoubt(Doubt::LedgerError));
    }
    for code in [0, 6, 7, u32::MAX] {
        assert_eq!(rejected(code), Verdict::InDoubt(Doubt::Reject));
    }
    let not_sent = judged(&CallOutcome::NotSent("no cycles".into())).verdict;
    assert_eq!(kind(not_sent), FailureKind::LedgerUnavailable);
}

#[test]
fn unreadable_replies_prove_nothing() {
    let doubt = Verdict::InDoubt(Doubt::UnreadableReply);
    let long_error: Result<Nat, TransferFromError> = Err(TransferFromError::GenericError {
        error_code: Nat::from(1u8),
        message: "x".repeat(2_000_000),
    });
    let huge_index: Result<Nat, TransferFromError> = Ok("9".repeat(10_000).parse().unwrap());
    for bytes in [
        vec![],
        b"garbage".to_vec(),
        Encode!().unwrap(),
        Encode!(&"x".repeat(2_000_000)).unwrap(),
        Encode!(&long_error).unwrap(),
        Encode!(&huge_index).unwrap(),
        Encode!(&Some(1u64)).unwrap(),
    ] {
        assert_eq!(judged(&CallOutcome::Reply(bytes)).verdict, doubt);
    }
}

#[test]
fn a_reply_longer_than_the_limit_is_not_read() {
    let reply = |message: usize| {
        let answer: Result<Nat, TransferFromError> = Err(TransferFromError::GenericError {
            error_code: Nat::from(1u8),
            message: "x".repeat(message),
        });
        Encode!(&answer).unwrap()
    };
    let rest = reply(16_000).len() - 16_000;
    let longest = reply(MAX_REPLY_BYTES - rest);
    assert_eq!(longest.len(), MAX_REPLY_BYTES);
    let read = judged(&CallOutcome::Reply(longest)).verdict;
    assert_eq!(kind(read), FailureKind::LedgerUnavailable);
    let longer = reply(MAX_REPLY_BYTES - rest + 1);
    let unread = judged(&CallOutcome::Reply(longer)).verdict;
    assert_eq!(unread, Verdict::InDoubt(Doubt::UnreadableReply));
}

#[test]
fn a_long_message_is_cut() {
    let verdict = reply(Err(TransferFromError::GenericError {
        error_code: Nat::from(1u8),
        message: "x".repeat(10_000),
    }));
    let Verdict::NotMoved(failure) = verdict else {
        panic!("a typed error is a failure")
    };
    assert!(failure.message.len() <= crate::domain::payment::MAX_MESSAGE_BYTES);
}

proptest! {
    /// No reply makes the judge panic, and no random bytes prove anything.
    #[test]
    fn any_reply_is_judged(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let verdict = judged(&CallOutcome::Reply(bytes)).verdict;
        prop_assert_eq!(verdict, Verdict::InDoubt(Doubt::UnreadableReply));
    }

    #[test]
    fn any_mutation_of_an_answer_is_judged(at in 0usize..60, byte: u8) {
        let answer: Result<Nat, TransferFromError> = Err(TransferFromError::TooOld);
        let mut bytes = Encode!(&answer).unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = judged(&CallOutcome::Reply(bytes));
    }
}

#[test]
fn no_argument_is_longer_than_what_its_cost_is_computed_for() {
    let account = Account {
        owner: candid::Principal::from_slice(&[255; 29]),
        subaccount: Some([255; 32]),
    };
    let transfer = OwnTransfer {
        from: account,
        to: account,
        amount: Amount(u128::MAX),
        fee: Amount(u128::MAX),
        memo: &[255; 32],
        created_at: TimestampNs(u64::MAX),
    };
    assert!(transfer.argument().len() <= MAX_ARGUMENT_BYTES);
    let pulled = Payment {
        id: PaymentId([255; 32]),
        from: account,
        to: account,
        amount: Amount(u128::MAX),
        fee: Amount(u128::MAX),
        created_at: TimestampNs(u64::MAX),
        ..payment(1, 1)
    };
    assert!(argument_of(&pulled).len() <= MAX_ARGUMENT_BYTES);
}

#[test]
fn the_ledger_reads_the_payment_in_the_argument() {
    let payment = payment(1, 1);
    let read: TransferFromArgs = candid::decode_one(&argument_of(&payment)).unwrap();
    assert_eq!((read.from, read.to), (payment.from, payment.to));
    assert_eq!(read.spender_subaccount, None);
    assert_eq!(read.amount, Nat::from(payment.amount.0));
    assert_eq!(read.fee, Some(Nat::from(payment.fee.0)));
    assert_eq!(read.memo, Some(Memo::from(payment.id.0.to_vec())));
    assert_eq!(read.created_at_time, Some(payment.created_at.0));
}

#[test]
fn the_ledger_reads_whose_balance_is_asked_for() {
    let account = Account {
        owner: candid::Principal::from_slice(&[3; 10]),
        subaccount: Some([4; 32]),
    };
    let read: Account = candid::decode_one(&balance_argument(&account)).unwrap();
    assert_eq!(read, account);
}

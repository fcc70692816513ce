//! The fault queue and the dishonest answers, natively.

use candid::Nat;
use icrc_ledger_types::icrc2::allowance::Allowance;
use icrc_ledger_types::icrc2::transfer_from::TransferFromError;
use test_ledger::faults::{
    FaultBook, FaultError, MAX_DIGITS, MAX_TEXT_BYTES, Method, Reply, reply,
};
use test_ledger::testing::{Answer, Effect, Fault, Hold};

type Pulled = Result<Nat, TransferFromError>;

fn bytes(method: Method, answer: Answer) -> Vec<u8> {
    match reply(method, &answer, None, 41) {
        Reply::Bytes(bytes) => bytes,
        other => panic!("no bytes: {other:?}"),
    }
}

#[test]
fn should_use_up_update_faults_in_order() {
    let mut book = FaultBook::default();
    let name = Method::TransferFrom.name();
    book.queue(name, 2, Fault::reject()).expect("queued");
    book.queue(name, 1, Fault::trap()).expect("queued");
    assert_eq!(book.take(Method::Transfer), None);
    for expected in [
        Some(Fault::reject()),
        Some(Fault::reject()),
        Some(Fault::trap()),
        None,
    ] {
        assert_eq!(book.take(Method::TransferFrom), expected);
    }
    let status = book.status();
    let of = |name: &str| status.iter().find(|entry| entry.method == name).cloned();
    let pulled = of(name).expect("a status");
    assert_eq!((pulled.calls, pulled.faults_hit, pulled.queued), (4, 3, 0));
    let sent = of(Method::Transfer.name()).expect("a status");
    assert_eq!((sent.calls, sent.faults_hit), (1, 0));
}

#[test]
fn should_keep_query_faults_until_cleared() {
    let mut book = FaultBook::default();
    let (five, six) = (Nat::from(5_u8), Nat::from(6_u8));
    let fault = |value: &Nat| Fault::instead(Answer::Nat(value.clone()));
    book.queue("icrc1_fee", 1, fault(&five)).expect("queued");
    assert_eq!(book.standing(Method::Fee), Some(fault(&five)));
    assert_eq!(book.standing(Method::Fee), Some(fault(&five)));
    book.queue("icrc1_fee", 1, fault(&six)).expect("queued");
    assert_eq!(book.standing(Method::Fee), Some(fault(&six)));
    book.clear();
    assert_eq!(book.standing(Method::Fee), None);
}

#[test]
fn should_release_what_is_held() {
    let mut book = FaultBook::default();
    let first = book.begin_hold(Method::Transfer, true);
    let second = book.begin_hold(Method::Approve, true);
    assert!(!book.is_released(first) && !book.is_released(second));
    assert_eq!(book.release(), 2);
    assert!(book.is_released(first) && book.is_released(second));
    book.end_hold(first);
    book.end_hold(second);
    assert_eq!(book.release(), 0);
}

#[test]
fn should_release_one_reply_before_an_older_one() {
    let mut book = FaultBook::default();
    assert_eq!(book.release_one(0), None);
    let first = book.begin_hold(Method::Transfer, true);
    // Ends by itself.
    book.begin_hold(Method::Transfer, false);
    let second = book.begin_hold(Method::TransferFrom, true);
    assert_eq!(book.release_one(3), Some(1));
    assert!(book.is_released(second) && !book.is_released(first));
    assert_eq!(book.release_one(3), Some(0));
    assert!(book.is_released(first));
    assert_eq!(book.release_one(0), None);
}

#[test]
fn should_skew_the_clock_both_ways_without_overflow() {
    let mut book = FaultBook::default();
    assert_eq!(book.clock(10), 10);
    book.set_skew(5);
    assert_eq!(book.clock(10), 15);
    assert_eq!(book.clock(u64::MAX), u64::MAX);
    book.set_skew(-50);
    assert_eq!(book.clock(10), 0);
}

#[test]
fn should_put_numbers_where_the_method_has_them() {
    let seven = || Answer::Index(Nat::from(7_u8));
    for method in [Method::Transfer, Method::Approve, Method::TransferFrom] {
        let index: Pulled = candid::decode_one(&bytes(method, seven())).expect("a result");
        assert_eq!(index, Ok(Nat::from(7_u8)));
        let newest = bytes(method, Answer::RepeatIndex);
        let newest: Pulled = candid::decode_one(&newest).expect("a result");
        assert_eq!(newest, Ok(Nat::from(41_u8)));
    }
    let five = || Answer::Nat(Nat::from(5_u8));
    let fee: Nat = candid::decode_one(&bytes(Method::Fee, five())).expect("a number");
    assert_eq!(fee, 5_u8);
    let allowance = bytes(Method::Allowance, five());
    let allowance: Allowance = candid::decode_one(&allowance).expect("an allowance");
    assert_eq!(allowance.allowance, 5_u8);
}

#[test]
fn should_make_numbers_of_the_digits_asked_for() {
    for digits in [1, 2, 39, 10_000] {
        let answer = bytes(Method::Fee, Answer::NatOfDigits(digits));
        let nat: Nat = candid::decode_one(&answer).expect("a number");
        assert_eq!(nat.0.to_string().len(), digits as usize);
    }
}

#[test]
fn should_refuse_what_makes_no_sense() {
    let update = Method::TransferFrom;
    let held = Fault::reject().held(Hold::UntilRelease);
    assert_eq!(held.check(update), Ok(()));
    assert_eq!(
        held.check(Method::Fee),
        Err(FaultError::QueryCannotWait("icrc1_fee"))
    );
    let honest = Fault::instead(Answer::Honest);
    assert_eq!(honest.check(update), Err(FaultError::HonestWithoutEffect));
    let honest = Fault {
        effect: Effect::AfterHold,
        ..honest
    };
    assert_eq!(honest.check(update), Ok(()));
    for (answer, limit) in [
        (Answer::Text(MAX_TEXT_BYTES + 1), MAX_TEXT_BYTES),
        (Answer::NatOfDigits(MAX_DIGITS + 1), MAX_DIGITS),
    ] {
        assert_eq!(
            Fault::instead(answer).check(update),
            Err(FaultError::TooLarge {
                value: limit + 1,
                limit
            })
        );
    }
    let mut book = FaultBook::default();
    let unknown = book.queue("icrc1_nonsense", 1, Fault::reject());
    assert!(matches!(unknown, Err(FaultError::UnknownMethod(name)) if name == "icrc1_nonsense"));
    let none = book.queue(update.name(), 0, Fault::reject());
    assert_eq!(none, Err(FaultError::NoCalls));
}

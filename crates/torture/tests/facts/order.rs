//! Section E: the order of messages within a round, and who calls whom.

use crate::support::*;
use torture::program::{Op, call_run, say};

fn note(text: &str) -> [Op; 2] {
    [say(text), Op::Save("log".into())]
}

#[test]
fn starts_come_before_callees_and_callees_before_callbacks() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let message = |letter: char, digit: char| {
        let mut callee = note(&digit.to_string()).to_vec();
        callee.push(Op::Reply);
        let mut callback = note(&letter.to_ascii_uppercase().to_string()).to_vec();
        callback.push(Op::Reply);
        let mut program = note(&letter.to_string()).to_vec();
        program.push(call_run(canister.id, &callee).on_reply(callback).op());
        program
    };
    for (letter, digit) in [('a', '0'), ('b', '1'), ('c', '2')] {
        canister.submit(&message(letter, digit));
    }
    pic.tick();
    let log = canister.load_text("log");
    assert_eq!(log.len(), 9, "{log}");
    // Which of the three is first is not defined; that they advance together is.
    let matches = |part: &str, kind: fn(char) -> bool| part.chars().all(kind);
    assert!(matches(&log[..3], |c| c.is_ascii_lowercase()), "{log}");
    assert!(matches(&log[3..6], |c| c.is_ascii_digit()), "{log}");
    assert!(matches(&log[6..], |c| c.is_ascii_uppercase()), "{log}");
}

#[test]
fn all_messages_submitted_run_in_one_round() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    for letter in 'a'..='h' {
        let mut program = note(&letter.to_string()).to_vec();
        program.push(Op::Reply);
        canister.submit(&program);
    }
    pic.tick();
    let mut log: Vec<char> = canister.load_text("log").chars().collect();
    log.sort_unstable();
    assert_eq!(log, ('a'..='h').collect::<Vec<_>>());
}

#[test]
fn a_call_to_oneself_comes_from_oneself() {
    let pic = one_subnet();
    let canister = Canister::torture(&pic);
    let call = call_run(canister.id, &[Op::Caller, Op::Reply]).forward();
    assert_eq!(canister.run(&[call.op()]), canister.id.as_slice());
}

#[test]
fn calls_between_two_canisters_keep_their_order() {
    let pic = two_subnets();
    for subnet in [0, 1] {
        let caller = Canister::torture_on(&pic, 0);
        let callee = Canister::torture_on(&pic, subnet);
        let calls = ["1", "2", "3", "4", "5", "6", "7", "8"].map(|text| {
            let mut program = note(text).to_vec();
            program.push(Op::Reply);
            call_run(callee.id, &program).op()
        });
        let mut program = calls.to_vec();
        program.push(Op::Reply);
        caller.run(&program);
        (0..3).for_each(|_| pic.tick());
        assert_eq!(callee.load_text("log"), "12345678");
    }
}

#[test]
fn two_runs_of_the_same_messages_agree() {
    let log = || {
        let pic = one_subnet();
        let canister = Canister::torture(&pic);
        for letter in 'a'..='h' {
            let mut program = note(&letter.to_string()).to_vec();
            program.push(Op::Reply);
            canister.submit(&program);
        }
        pic.tick();
        canister.load_text("log")
    };
    assert_eq!(log(), log());
}

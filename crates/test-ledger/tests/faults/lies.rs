use super::*;

#[test]
fn should_say_ok_and_move_nothing() {
    let ledger = ledger();
    let arg = pull(&ledger);
    ledger.queue_fault(TRANSFER_FROM, 1, &Fault::lying_ok(999));
    assert_eq!(send(&ledger, &arg), Ok(Ok(Nat::from(999_u32))));
    ledger.queue_fault(TRANSFER_FROM, 1, &Fault::repeated_index());
    assert_eq!(send(&ledger, &arg), Ok(Ok(Nat::from(1_u8))));
    assert_nothing_moved(&ledger);
}

#[test]
fn should_say_something_else_than_what_it_did() {
    let ledger = ledger();
    let arg = pull(&ledger);
    let error = TransferFromError::TemporarilyUnavailable;
    let fault = Fault::afterwards(Answer::TransferFromError(error.clone()));
    ledger.queue_fault(TRANSFER_FROM, 1, &fault);
    assert_eq!(send(&ledger, &arg), Ok(Err(error)));
    assert_moved_once(&ledger);
}

#[test]
fn should_reply_garbage() {
    let ledger = ledger();
    let arg = pull(&ledger);
    ledger.queue_fault(TRANSFER_FROM, 1, &Fault::garbage());
    assert_eq!(send_raw(&ledger, &arg), b"not Candid");
    assert_nothing_moved(&ledger);
}

#[test]
fn should_reply_two_megabytes_of_text() {
    let ledger = ledger();
    let arg = pull(&ledger);
    ledger.queue_fault(TRANSFER_FROM, 1, &Fault::huge_text());
    let reply = send_raw(&ledger, &arg);
    assert!(reply.len() > 2_000_000);
    let text: String = candid::decode_one(&reply).expect("a text");
    assert_eq!(text.len(), 2_000_000);
    let largest = Fault::instead(Answer::Text(test_ledger::faults::MAX_TEXT_BYTES));
    ledger.queue_fault(TRANSFER_FROM, 1, &largest);
    assert!(send_raw(&ledger, &arg).len() <= 2 * 1024 * 1024);
}

#[test]
fn should_reply_a_number_of_ten_thousand_digits() {
    let ledger = ledger();
    let arg = pull(&ledger);
    ledger.queue_fault(TRANSFER_FROM, 1, &Fault::huge_nat());
    let index = send(&ledger, &arg).expect("a reply").expect("an index");
    assert_eq!(index.0.to_string().len(), 10_000);
    assert_nothing_moved(&ledger);
}

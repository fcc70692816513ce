use super::*;

#[test]
fn should_be_bounded_by_the_window() {
    let mut ledger = ledger();
    let before = ledger.remembered();
    for nanos in 0..250 {
        let mut request = ledger.transfer_request(ALICE, BOB, 0);
        request.created_at_time = Some(NOW + nanos);
        ledger.set_fee(0);
        ledger.apply(request).expect("a transfer");
    }
    assert_eq!(ledger.remembered(), before + 250);
    ledger.now = NOW + TRANSACTION_WINDOW_NS + 1_000;
    for _ in 0..3 {
        ledger.transfer(ALICE, BOB, 0).expect("a transfer");
    }
    assert_eq!(ledger.remembered(), 0);
}

use super::*;

/// Inside the window: whatever the first call did, there is one block in the end, without another request.
fn is_settled(fault: Fault) {
    let setup = Setup::new();
    let payer = setup.payer(100);
    let sale = setup.sell("/article", PRICE);
    setup.ledger.fault(&setup, 1, &fault);
    let signed = sale.pay(&payer).send().expect_pending();
    let calls = setup.ledger.calls(&setup, TRANSFER_FROM);
    setup.pass(6);
    let recovery = setup.ledger.calls(&setup, TRANSFER_FROM) - calls;
    assert_eq!(recovery, 1, "one call, and not one more");
    assert_eq!(setup.transfers(), 1);
    setup.expect_settled_and_fetch(&sale, signed);
}

#[test]
fn an_unknown_payment_that_was_made_is_settled() {
    is_settled(Fault::lost_after_transfer());
}

#[test]
fn an_unknown_payment_that_was_not_made_is_settled() {
    is_settled(Fault::reject());
}

#[test]
fn an_unreadable_answer_is_settled() {
    is_settled(Fault::garbage());
}

/// Attack 16: SYS_UNKNOWN after the transfer was and was not made.
fn silence_is_settled(fault: Fault) {
    let setup = Setup::new();
    let payer = setup.payer(101);
    let sale = setup.sell("/article", PRICE);
    let signed = payer.sign(&sale.offer(), setup.now());
    setup
        .ledger
        .fault(&setup, 1, &fault.held(Hold::UntilRelease));
    setup.pay_in_silence(&sale, &signed);
    setup.ledger.release(&setup);
    setup.pass(20);
    assert_eq!(setup.transfers(), 1);
    setup.expect_settled_and_fetch(&sale, signed);
}

#[test]
fn attack_16_silence_after_the_transfer_is_settled() {
    silence_is_settled(Fault::delayed_after_transfer());
}

#[test]
fn attack_16_silence_before_a_late_transfer_is_settled_once() {
    silence_is_settled(Fault::delayed_before_transfer());
}

#[test]
fn attack_16_silence_without_a_transfer_is_settled() {
    silence_is_settled(Fault::reject());
}

#[test]
fn attack_19_a_ledger_stopped_between_debit_and_reply_is_asked_until_it_runs() {
    let setup = Setup::new();
    let payer = setup.payer(102);
    let sale = setup.sell("/article", PRICE);
    setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let signed = sale.pay(&payer).send().expect_pending();
    let ledger = setup.ledger.0;
    let as_controller = Some(controller());
    setup.pic.stop_canister(ledger, as_controller).unwrap();
    for pause in [6, 11, 21] {
        setup.pass(pause);
        assert!(setup.is_unknown(&signed));
    }
    setup.pic.start_canister(ledger, as_controller).unwrap();
    setup.pass(41);
    setup.expect_settled_and_fetch(&sale, signed);
}

#[test]
fn recovery_goes_on_below_the_cycles_floor() {
    let setup = Setup::new();
    let payer = setup.payer(103);
    let sale = setup.sell("/article", PRICE);
    setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let signed = sale.pay(&payer).send().expect_pending();
    setup.upgrade_with_floor(u128::MAX);
    setup.pass(6);
    let status = setup.status(&signed);
    assert!(
        matches!(status, PaymentStatus::Settled { .. }),
        "{status:?}"
    );
    let refused = sale.pay(&payer).send();
    refused.expect_refused(x402_icp::Code::LedgerUnavailable);
    setup.expect_settled_and_fetch(&sale, signed);
}

#[test]
fn an_operator_can_have_it_looked_at_and_cannot_decide() {
    let setup = Setup::new();
    let payer = setup.payer(104);
    let sale = setup.sell("/article", PRICE);
    setup.ledger.fault(&setup, 2, &Fault::lost_after_transfer());
    let signed = sale.pay(&payer).send().expect_pending();
    let status = setup.recheck(&signed).expect("an operator may");
    assert!(matches!(status, PaymentStatus::Unknown { .. }));
    let status = setup.recheck(&signed).expect("an operator may");
    assert!(
        matches!(status, PaymentStatus::Settled { .. }),
        "{status:?}"
    );
    assert_eq!(setup.recheck(&signed), Ok(status));
    let nobody = ByteBuf::from(vec![0; 32]);
    let unknown: Result<PaymentStatus, RecheckError> =
        setup.update(operator(), "payment_recheck", (nobody,));
    assert_eq!(unknown, Err(RecheckError::UnknownPayment));
    let short: Result<PaymentStatus, RecheckError> =
        setup.update(operator(), "payment_recheck", (ByteBuf::from(vec![0; 31]),));
    assert!(matches!(short, Err(RecheckError::InvalidArgument(_))));
    setup.expect_settled_and_fetch(&sale, signed);
}

/// Attack 15: a ledger that never answers delays neither the payments of another nor a stop.
#[test]
fn attack_15_a_silent_ledger_starves_nobody() {
    let setup = Setup::new();
    let payer = setup.payer(105);
    let sale = setup.sell("/article", PRICE);
    let silent = setup.another_ledger("SILENT");
    silent.mint(&setup, payer.account, 1_000_000);
    silent.approve(&setup, payer.account, setup.canister, 1_000_000);
    setup
        .route_put(crate::support::interface::RouteArgs {
            prices: vec![crate::support::interface::Price {
                ledger: silent.0,
                amount: PRICE.into(),
            }],
            ..setup.priced("GET", "/other", PRICE)
        })
        .unwrap();
    setup.upload("GET", "/other", crate::support::flow::ARTICLE);
    let other = setup.sale(crate::support::Request::get("/other"));
    silent.fault(&setup, 50, &Fault::delayed_after_transfer());
    let stuck = payer.sign(&other.offer(), setup.now());
    setup.pay_in_silence(&other, &stuck);
    setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let signed = sale.pay(&payer).send().expect_pending();
    // Both are tried again now; one of the calls does not return.
    setup.pass(20);
    setup.pass(10);
    assert!(setup.transfers() == 1);
    setup.expect_settled_and_fetch(&sale, signed);
    assert!(!matches!(
        setup.status(&stuck),
        PaymentStatus::Settled { .. }
    ));
    setup.pass(70);
    setup.stop();
    setup.start();
    silent.behave(&setup);
    silent.release(&setup);
    setup.pass(HOUR);
    let status = setup.status(&stuck);
    assert!(
        matches!(status, PaymentStatus::Settled { .. }),
        "{status:?}"
    );
    assert_eq!(silent.pulled_by(&setup, setup.canister).len(), 1);
}

use super::*;
use crate::support::ledger::number;

/// The cost of an hour of waiting beyond the canister's memory, in cycles.
fn hour(setup: &Setup) -> u128 {
    let memory = number(&setup.canister_status().idle_cycles_burned_per_day) / 24;
    let before = setup.pic.cycle_balance(setup.canister);
    for _ in 0..60 {
        setup.pic.advance_time(Duration::from_secs(60));
        setup.rounds(2);
    }
    let burned = before - setup.pic.cycle_balance(setup.canister);
    burned.saturating_sub(memory)
}

#[test]
fn an_idle_canister_has_no_timer() {
    let setup = Setup::new();
    let payer = setup.payer(120);
    let sale = setup.sell("/article", PRICE);
    let new = hour(&setup);
    sale.pay(&payer).send().expect_settled();
    let after_a_payment = hour(&setup);
    setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let signed = sale.pay(&payer).send().expect_pending();
    setup.pass(6);
    sale.present(signed).send().expect_settled();
    // One firing of the timer that was set for the payment may be left.
    let _ = hour(&setup);
    let after_recovery = hour(&setup);
    println!("an idle hour costs {new}, {after_a_payment}, {after_recovery} cycles");
    for idle in [new, after_a_payment, after_recovery] {
        // The cost of the memory is rounded, and there is no other cost.
        assert!(idle <= 100_000, "{idle} cycles in an hour");
    }
}

#[test]
fn an_unknown_payment_costs_little_until_it_is_known() {
    let setup = Setup::new();
    let payer = setup.payer(121);
    let sale = setup.sell("/article", PRICE);
    setup.ledger.fault(&setup, 1, &Fault::reject());
    let signed = sale.pay(&payer).send().expect_pending();
    setup.pass(EXPIRY);
    assert!(setup.is_unknown(&signed));
    for _ in 0..4 {
        let _ = hour(&setup);
    }
    let waiting = hour(&setup);
    println!("an hour of waiting for one payment costs {waiting} cycles");
    assert!(waiting <= 40_000_000, "{waiting} cycles in an hour");
}

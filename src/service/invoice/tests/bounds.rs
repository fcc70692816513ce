//! What strangers can cause with invoices.

use super::{bank::drive_some, *};
use crate::{
    domain::{invoice::MAX_OPEN_IN_LEDGER, lookups},
    runtime::Runtime,
    types::Cycles,
};
use icrc_ledger_types::icrc1::transfer::TransferError;

#[test]
fn attack_53_returns_that_the_ledger_refuses_are_bounded() {
    let shop = shop();
    // The minting account, say: every transfer to it is refused.
    shop.pay(FEE + 1);
    shop.bank.refuse(Some(TransferError::BadBurn {
        min_burn_amount: Nat::from(1_000u32),
    }));
    let before = shop.runtime.made();
    for _ in 0..1_000 {
        let _ = shop.give_back(Some(payer()));
    }
    let calls = shop.runtime.made() - before;
    assert!(calls as u64 <= 2 * lookups::BURST);
}

#[test]
fn attack_53_a_look_does_not_begin_twenty_tries_again() {
    let shop = shop();
    shop.create(Some(payer()));
    shop.pay(100);
    shop.bank.refuse(Some(TransferError::BadBurn {
        min_burn_amount: Nat::from(1_000u32),
    }));
    shop.expire();
    for _ in 0..30 {
        shop.later(4_000).tick();
    }
    let before = shop.runtime.made();
    for _ in 0..5 {
        shop.later(4_000).tick();
    }
    assert_eq!(shop.runtime.made(), before, "it has given up");
    // Anybody who has the page open looks once.
    shop.later(4_000).check();
    let before = shop.runtime.made();
    for _ in 0..30 {
        shop.later(4_000).tick();
    }
    assert_eq!(shop.runtime.made(), before);
}

#[test]
fn attack_53_below_the_floor_no_stranger_has_ledgers_called() {
    let shop = shop();
    shop.create(Some(payer()));
    shop.pay(PRICE + FEE);
    let floor = storage::config::read().limits.cycles_floor;
    shop.runtime.cycles.set(Cycles(floor.0 - 1));
    let before = shop.runtime.made();
    shop.check();
    let asked = shop.runtime.made() - before;
    shop.expire();
    let before = shop.runtime.made();
    for _ in 0..60 * 24 {
        shop.later(60);
        drive(&shop, recover::tick(&shop.runtime));
    }
    println!(
        "asked {asked}; calls by the timer for one invoice in a day: {}",
        shop.runtime.made() - before
    );
    assert!(asked == 0 && shop.runtime.made() == before);
}

#[test]
fn attack_53_looks_while_there_is_no_room_count() {
    let shop = shop();
    let ids: Vec<InvoiceId> = (0..60u8).map(|n| InvoiceId([n + 1; 32])).collect();
    for id in &ids {
        create(&shop.runtime, id, &shop.terms(None)).unwrap();
        let account = id.account(shop.runtime.canister_id());
        shop.bank.give(ledger(0).id, account, PRICE + FEE);
    }
    let floor = storage::config::read().limits.cycles_floor;
    shop.runtime.cycles.set(Cycles(floor.0 - 1));
    let before = shop.runtime.made();
    for _ in 0..20 {
        shop.later(5);
        for id in &ids {
            drive(&shop, check(&shop.runtime, id)).unwrap();
        }
    }
    assert!(shop.runtime.made() - before <= 120 + 100);
}

#[test]
fn attack_53_a_silent_ledger_does_not_fill_the_table() {
    let shop = shop();
    shop.bank.stop(true);
    let mut made = 0;
    for n in 0..5_000_u32 {
        let mut id = [3; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        shop.later(2);
        made += u64::from(create(&shop.runtime, &InvoiceId(id), &shop.terms(None)).is_ok());
    }
    assert_eq!(made, MAX_OPEN_IN_LEDGER);
}

#[test]
fn attack_53_readings_of_the_timer_leave_the_cycles_of_payments() {
    let shop = shop();
    for n in 0..40u8 {
        create(&shop.runtime, &InvoiceId([n + 1; 32]), &shop.terms(None)).unwrap();
    }
    let floor = storage::config::read().limits.cycles_floor;
    shop.runtime.cycles.set(Cycles(floor.0 + 1_000_000_000_000));
    shop.expire();
    let mut work = Box::pin(recover::tick(&shop.runtime));
    assert!(drive_some(&shop, work.as_mut(), 0).is_none());
    let left = shop.runtime.liquid_cycles();
    assert!(left >= floor, "no payment is accepted while they wait");
}

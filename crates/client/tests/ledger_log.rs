//! What the ledger says of a payment that its canister calls dead: blocks, archives, and ledgers without a log.

mod support;

use std::time::Duration;
use support::{
    FEE, FUNDS, PRICE, Shop,
    handmade::{confirming, plain_ledger},
    merchant,
    sellers::{identity, refusing, signed, take},
};
use test_ledger::testing::{Fault, log_reply};
use tokio::runtime::Runtime;
use tollkeeper_client::{Amount, PayError, Request, Resolution, SpendControls};

#[test]
fn what_was_taken_is_found_in_the_archives() {
    let shop = Shop::open();
    shop.fund(identity(1).account(), FUNDS);
    let canister = shop.install(confirming(shop.ledger, Ok(()), None));
    Runtime::new().unwrap().block_on(async {
        let payer = shop
            .payer(identity(1))
            .await
            .with_approval(None)
            .with_patience(Duration::ZERO);
        // A payment that the shop's canister settled.
        let paid = signed(&payer, &shop.url("/report")).await;
        let block = payer
            .send(&paid)
            .await
            .unwrap()
            .receipt
            .unwrap()
            .transaction;
        // One that a hand-made canister took, and says that it did not.
        let gateway = refusing(shop.ledger, payer.network().id(), canister, 60);
        let stolen = signed(
            &payer,
            &gateway.url(&format!("{canister}.localhost"), "/report"),
        )
        .await;
        take(&shop, canister, &payer, None);
        // One that nobody took.
        let dead = signed(&payer, &shop.url("/report")).await;
        for archived in [0, 2, 3] {
            if archived > 0 {
                shop.archive(archived);
            }
            match payer.status(&paid).await {
                Resolution::Paid { block: found, .. } => assert_eq!(found, block),
                other => panic!("{archived}: {other:?}"),
            }
            assert!(matches!(
                payer.resolve(&stolen).await,
                Resolution::Unknown { .. }
            ));
        }
        assert!(matches!(
            payer.resolve(&dead).await,
            Resolution::Dead { .. }
        ));
    });
    assert_eq!(shop.balance(merchant()), 2 * PRICE);
}

#[test]
fn a_ledger_that_does_not_say_confirms_nothing() {
    let shop = Shop::open();
    shop.fund(identity(1).account(), FUNDS);
    Runtime::new().unwrap().block_on(async {
        let payer = shop.payer(identity(1)).await.with_approval(None);
        let payment = signed(&payer, &shop.url("/report")).await;
        payer.journal().record(&payment).unwrap();
        for (name, fault) in [
            ("rejects", Fault::reject()),
            ("answers nonsense", Fault::garbage()),
            ("keeps blocks back", log_reply(100u8.into(), vec![], vec![])),
            (
                "has a log without end",
                log_reply(u64::MAX.into(), vec![], vec![]),
            ),
        ] {
            shop.misbehave_at("icrc3_get_blocks", 1, &fault);
            // The second page of a log that is kept back.
            shop.misbehave_at("icrc3_get_blocks", 1, &fault);
            match payer.resolve(&payment).await {
                Resolution::Unknown { reason } => assert!(
                    reason.contains("icrc3_get_blocks") || reason.contains("block"),
                    "{name}: {reason}"
                ),
                other => panic!("{name}: {other:?}"),
            }
            assert_eq!(payer.unresolved().unwrap().len(), 1, "{name}");
            shop.clear_faults();
        }
        assert!(matches!(
            payer.resolve(&payment).await,
            Resolution::Dead { .. }
        ));
        assert_eq!(payer.unresolved().unwrap(), []);
    });
}

#[test]
fn without_a_log_the_allowance_has_to_be_what_it_was() {
    let shop = Shop::open();
    let enough = PRICE + FEE;
    for (certified, dead) in [
        (enough, true),
        (enough + 1, true),
        (enough - 1, false),
        (0, false),
    ] {
        let ledger = shop.install(plain_ledger(FEE, [enough, certified]));
        let canister = shop.install(confirming(ledger, Ok(()), None));
        Runtime::new().unwrap().block_on(async {
            let controls = SpendControls::none().allow(ledger, Amount(PRICE));
            let payer = shop.payer(identity(1)).await.with_spend_controls(controls);
            let gateway = refusing(ledger, payer.network().id(), canister, 60);
            let request = Request::get(&gateway.url(&format!("{canister}.localhost"), "/report"));
            match payer.pay(&request.unwrap()).await {
                Err(PayError::Refused { .. }) => assert!(dead, "{certified}"),
                Err(PayError::Unsettled { reason, .. }) => {
                    assert!(!dead, "{certified}");
                    assert!(reason.contains("no block log"), "{reason}");
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(payer.unresolved().unwrap().is_empty(), dead, "{certified}");
        });
    }
}

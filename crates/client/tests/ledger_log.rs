//! The ledger's evidence about a payment that its canister reports as dead: blocks, archives, and ledgers without a
//! log.

mod support;

use candid::Principal;
use icrc_ledger_types::icrc3::{archive::QueryArchiveFn, blocks::ArchivedBlocks};
use support::{
    FEE, FUNDS, PRICE, Shop,
    handmade::{confirming, plain_ledger, telling_callers},
    merchant,
    sellers::{identity, impatient, refusing, signed, take},
};
use test_ledger::testing::{Fault, log_reply};
use tokio::runtime::Runtime;
use tollkeeper_client::{Amount, PayError, Request, Resolution, SpendControls};

#[test]
fn what_was_taken_is_found_in_the_archives() {
    taken_is_found(&Shop::open());
}

#[test]
fn what_was_taken_is_found_in_the_icp_ledgers_log_and_archives() {
    taken_is_found(&Shop::open_with_icp_log());
}

fn taken_is_found(shop: &Shop) {
    shop.fund(identity(1).account(), FUNDS);
    let canister = shop.install(confirming(shop.ledger, Ok(()), None));
    Runtime::new().unwrap().block_on(async {
        let payer = impatient(shop, 1).await;
        // A payment that the shop's canister settled.
        let paid = signed(&payer, &shop.url("/report")).await;
        let block = payer
            .send(&paid)
            .await
            .unwrap()
            .receipt
            .unwrap()
            .transaction;
        // One that a hand-made canister took, and denies.
        let gateway = refusing(shop.ledger, payer.network().id(), canister, 60);
        let stolen = signed(
            &payer,
            &gateway.url(&format!("{canister}.localhost"), "/report"),
        )
        .await;
        take(shop, canister, &payer, None);
        // One that was never taken.
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
            // The second page of a log that is held back.
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
        // Approved again: what was taken before is hidden.
        (enough + 1, false),
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

#[test]
fn one_known_payment_does_not_explain_two_debits() {
    let shop = Shop::open();
    shop.fund(identity(1).account(), FUNDS);
    let canister = shop.install(confirming(shop.ledger, Ok(()), None));
    Runtime::new().unwrap().block_on(async {
        let payer = shop
            .payer(identity(1))
            .await
            .with_approval(Some(Amount(FUNDS / 2)));
        let gateway = refusing(shop.ledger, payer.network().id(), canister, 60);
        let url = gateway.url(&format!("{canister}.localhost"), "/report");
        let (known, asked) = (signed(&payer, &url).await, signed(&payer, &url).await);
        payer.journal().record(&known).unwrap();
        let memo = || known.id().map(|id| id.0.to_vec());
        // The debit that the known payment is for.
        take(&shop, canister, &payer, memo());
        assert!(matches!(
            payer.resolve(&asked).await,
            Resolution::Dead { .. }
        ));
        // Another one under its id.
        take(&shop, canister, &payer, memo());
        match payer.resolve(&asked).await {
            Resolution::Unknown { reason } => assert!(reason.contains("took money"), "{reason}"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn an_archive_elsewhere_gets_no_call_that_the_payer_signed() {
    let shop = Shop::open();
    shop.fund(identity(1).account(), FUNDS);
    // A stranger's ledger names as its archive a method of another canister that reports its callers.
    let other = shop.install(telling_callers());
    Runtime::new().unwrap().block_on(async {
        let payer = shop.payer(identity(1)).await.with_approval(None);
        let payment = signed(&payer, &shop.url("/report")).await;
        payer.journal().record(&payment).unwrap();
        let archived = || {
            vec![ArchivedBlocks {
                args: vec![],
                callback: QueryArchiveFn::new(other, "tell"),
            }]
        };
        let fault = log_reply(1u8.into(), vec![], archived());
        shop.misbehave_at("icrc3_get_blocks", 1, &fault);
        assert!(matches!(
            payer.resolve(&payment).await,
            Resolution::Unknown { .. }
        ));
        let callers = shop.call(other, "callers", vec![]);
        assert_eq!(callers, Principal::anonymous().as_slice());
    });
}

//! Allowances that a payer makes: for which spender, how much, for how long.

mod support;

use std::{
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};
use support::{CONTENT, FEE, FUNDS, PRICE, Shop, gateway::Gateway, merchant};
use tokio::runtime::Runtime;
use tollkeeper_client::{
    Amount, Approval, Identity, Outcome, PayError, Payer, Request, SpendControls, Step,
};
use x402_icp::{encode_header, offer::offer_id};

fn identity() -> Identity {
    let key = ic_ed25519::PrivateKey::deserialize_raw_32(&[7; 32]);
    Identity::from_pem(&key.serialize_pkcs8_pem(ic_ed25519::PrivateKeyFormat::Pkcs8v1)).unwrap()
}

fn nanoseconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_nanos()).unwrap()
}

async fn approve(shop: &Shop, payer: &Payer, amount: u128, expires_at: Option<u64>) {
    let ledger = payer.network().ledger(shop.ledger);
    let approval = Approval {
        from_subaccount: None,
        spender: shop.canister.into(),
        amount: Amount(amount),
        expected_allowance: None,
        expires_at,
    };
    ledger.approve(&approval).await.unwrap();
}

fn paid(outcome: Result<Outcome, PayError>) {
    match outcome {
        Ok(Outcome::Paid(paid)) => assert!(paid.proven),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_approval_stays_within_the_limit_of_a_payment() {
    let shop = Shop::open();
    shop.fund(identity().account(), 100 * FUNDS);
    let blocks = shop.blocks();
    Runtime::new().unwrap().block_on(async {
        let controls = SpendControls::none().allow(shop.ledger, Amount(PRICE));
        let payer = shop.payer(identity()).await.with_spend_controls(controls);
        let request = Request::get(&shop.url("/report")).unwrap();
        for asked in [PRICE + FEE + 1, 50 * FUNDS, u128::MAX] {
            let payer = payer.clone().with_approval(Some(Amount(asked)));
            match payer.pay(&request).await {
                Err(PayError::ApprovalOverLimit { limit, .. }) => assert_eq!(limit.0, PRICE + FEE),
                other => panic!("{asked}: {other:?}"),
            }
        }
        assert_eq!(shop.blocks(), blocks);
        // The limit itself, and the fee.
        paid(
            payer
                .with_approval(Some(Amount(PRICE + FEE)))
                .pay(&request)
                .await,
        );
    });
    assert_eq!(shop.blocks(), blocks + 2);
}

#[test]
fn an_allowance_that_ends_too_early_is_not_called_too_small() {
    let shop = Shop::open();
    shop.fund(identity().account(), 100 * FUNDS);
    Runtime::new().unwrap().block_on(async {
        let payer = shop.payer(identity()).await;
        let request = Request::get(&shop.url("/report")).unwrap();
        let needs = async |allowance: u128, seconds: u64| {
            let end = nanoseconds() + seconds * 1_000_000_000;
            approve(&shop, &payer, allowance, Some(end)).await;
            match payer.pay(&request).await {
                Err(error @ PayError::NeedsApproval { ends_in, .. }) => {
                    (ends_in, error.to_string())
                }
                other => panic!("{other:?}"),
            }
        };
        let (ends_in, message) = needs(FUNDS, 20).await;
        assert!(ends_in.is_some_and(|seconds| seconds <= 20), "{message}");
        assert!(
            message.contains(" s more, ") && message.contains(" for longer: approve"),
            "{message}"
        );
        // Too small, whenever it ends.
        for seconds in [20, 7_200] {
            let (ends_in, message) = needs(PRICE + FEE - 1, seconds).await;
            assert_eq!(ends_in, None, "{message}");
            assert!(!message.contains("longer"), "{message}");
        }
    });
}

#[test]
fn an_approval_is_shown_before_it_is_made_and_has_an_end() {
    let shop = Shop::open();
    shop.fund(identity().account(), FUNDS);
    let (before, shown) = (shop.blocks(), Arc::new(Mutex::new(Vec::new())));
    Runtime::new().unwrap().block_on(async {
        let seen = shown.clone();
        let payer = shop
            .payer(identity())
            .await
            .with_approval(None)
            .with_watcher(move |step| {
                if let Step::Approving {
                    spender,
                    amount,
                    expires_at,
                    ..
                } = step
                {
                    seen.lock().unwrap().push((*spender, amount.0, *expires_at));
                }
            });
        paid(
            payer
                .pay(&Request::get(&shop.url("/report")).unwrap())
                .await,
        );
    });
    let shown = shown.lock().unwrap().clone();
    let [(spender, amount, Some(end))] = shown[..] else {
        panic!("{shown:?}");
    };
    assert_eq!((spender, amount), (shop.canister, PRICE + FEE));
    let hour = 3_600 * 1_000_000_000;
    assert!(end > nanoseconds() + hour / 2 && end <= nanoseconds() + hour);
    assert_eq!(shop.blocks(), before + 2);
}

#[test]
fn a_larger_allowance_is_not_lowered_and_a_longer_one_not_shortened() {
    let shop = Shop::open();
    let account = identity().account();
    shop.fund(account, FUNDS);
    Runtime::new().unwrap().block_on(async {
        let payer = shop.payer(identity()).await.with_approval(None);
        let request = Request::get(&shop.url("/report")).unwrap();
        // Large, and ending before the payment could be settled.
        approve(
            &shop,
            &payer,
            500_000,
            Some(nanoseconds() + 30 * 1_000_000_000),
        )
        .await;
        paid(payer.pay(&request).await);
        let (left, end) = shop.allowance(account, shop.canister);
        assert_eq!(left, 500_000 - PRICE - FEE);
        assert!(end.unwrap() > nanoseconds() + 1_000 * 1_000_000_000);
        // Small, and lasting longer than such an approval would.
        let day = nanoseconds() + 86_400 * 1_000_000_000;
        approve(&shop, &payer, 1, Some(day)).await;
        paid(payer.pay(&request).await);
        approve(&shop, &payer, 1, Some(day)).await;
        let larger = payer.clone().with_approval(Some(Amount(300_000)));
        paid(larger.pay(&request).await);
        assert_eq!(
            shop.allowance(account, shop.canister),
            (300_000 - PRICE - FEE, Some(day))
        );
        // Small, and without an end.
        approve(&shop, &payer, 1, None).await;
        paid(larger.pay(&request).await);
        assert_eq!(
            shop.allowance(account, shop.canister),
            (300_000 - PRICE - FEE, None)
        );
    });
    assert_eq!(shop.balance(merchant()), 4 * PRICE);
}

#[test]
fn two_approvals_at_once_do_not_refuse_one_another() {
    let shop = Shop::open();
    for path in ["/one", "/two", "/three"] {
        shop.publish_for(path, Some(PRICE), CONTENT, None);
    }
    shop.fund(identity().account(), FUNDS);
    Runtime::new().unwrap().block_on(async {
        let mut calls = tokio::task::JoinSet::new();
        for path in ["/one", "/two", "/three"] {
            let payer = shop
                .payer(identity())
                .await
                .with_approval(Some(Amount(300_000)));
            let request = Request::get(&shop.url(path)).unwrap();
            calls.spawn(async move { payer.pay(&request).await });
        }
        while let Some(call) = calls.join_next().await {
            paid(call.unwrap());
        }
    });
    assert_eq!(shop.balance(merchant()), 3 * PRICE);
}

#[test]
fn only_a_named_canister_gets_an_allowance() {
    let shop = Shop::open();
    shop.fund(identity().account(), FUNDS);
    let blocks = shop.blocks();
    Runtime::new().unwrap().block_on(async {
        let key = identity().principal();
        for spender in [
            key,
            candid::Principal::anonymous(),
            candid::Principal::management_canister(),
        ] {
            let payer = shop.payer(identity()).await.with_approval(None).with_spender(spender);
            let offers = encode_header(&serde_json::json!({
                "x402Version": 2,
                "accepts": [{
                    "scheme": "exact", "network": payer.network().id(), "amount": PRICE.to_string(),
                    "asset": shop.ledger.to_text(), "payTo": merchant().to_string(), "maxTimeoutSeconds": 60,
                    "extra": {
                        "assetTransferMethod": "icrc2", "symbol": "ckUSDC", "decimals": 6, "fee": FEE.to_string(),
                        "spender": spender.to_text(), "offer": offer_id(spender, "GET", "/report", 1),
                        "method": "GET", "route": "/report", "revision": 1,
                    },
                }],
            }));
            let gateway = Gateway::open(move |_| {
                Some((402, vec![("PAYMENT-REQUIRED", offers.clone())], String::new()))
            });
            let url = gateway.url("localhost", "/report");
            match payer.pay(&Request::get(&url).unwrap()).await {
                Err(PayError::NoApproval { spender: refused, .. }) => assert_eq!(refused, spender),
                other => panic!("{other:?}"),
            }
            assert_eq!(gateway.payments(), Vec::<String>::new());
        }
    });
    assert_eq!(shop.blocks(), blocks);
}

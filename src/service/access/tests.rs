use super::*;
use crate::{
    service::{
        admin,
        pay::tests::{Shop, id, shop},
        payments, refund,
    },
    types::{Account, Method, Seconds},
};
use candid::Nat;

const RETENTION: Seconds = crate::domain::config::DEFAULT_RETENTION;

fn item(path: &str) -> RouteKey {
    RouteKey::new(Method::Get, path)
}

/// A shop whose first payment is in this state, the payment's id, and its payer.
fn sold(delivered: bool) -> (Shop, PaymentId, Principal) {
    let shop = shop();
    let request = shop.request(1, 1);
    if delivered {
        shop.will(Ok(Nat::from(7u8)));
        shop.fetch(&request);
    } else {
        // The ledger's answer does not arrive; the block is found while nobody waits.
        shop.will_reject(5);
        shop.settle(&request);
        shop.will(Ok(Nat::from(7u8)));
        let key = request.claim_key();
        crate::runtime::scripted::run(crate::service::pay::call_again(&shop.runtime, key)).unwrap();
    }
    let payment = payments::payment(&id(&request)).unwrap();
    (shop, payment.id, payment.from.owner)
}

fn ask(shop: &Shop, payer: &Principal, id: &PaymentId, path: &str) -> Result<Granted, NoAccess> {
    access(&shop.runtime, payer, id, &item(path))
}

#[test]
fn a_delivered_payment_gives_access_within_the_retention() {
    let (shop, id, payer) = sold(true);
    shop.runtime.caller.set(payer);
    let granted = ask(&shop, &payer, &id, "/a").unwrap();
    assert_eq!(granted.receipt.payment_id, id);
    assert_eq!(granted.until, shop.runtime.now.get().plus(RETENTION));
    shop.runtime.now.set(granted.until);
    assert_eq!(ask(&shop, &payer, &id, "/a"), Ok(granted.clone()));
    shop.runtime.now.set(granted.until.plus(Seconds(1)));
    let until = granted.until;
    assert_eq!(
        ask(&shop, &payer, &id, "/a"),
        Err(NoAccess::Expired { until })
    );
}

#[test]
fn access_to_another_item_by_another_payer_or_payment_was_not_paid() {
    let (shop, id, payer) = sold(true);
    let other = Principal::from_slice(&[9; 29]);
    shop.runtime.caller.set(shop.runtime.controller);
    for answer in [
        ask(&shop, &payer, &id, "/b"),
        ask(&shop, &other, &id, "/a"),
        ask(&shop, &payer, &PaymentId([0; 32]), "/a"),
        access(
            &shop.runtime,
            &payer,
            &id,
            &RouteKey::new(Method::Post, "/a"),
        ),
    ] {
        assert_eq!(answer, Err(NoAccess::NotPaid));
    }
}

#[test]
fn access_is_not_given_for_what_failed_is_owed_or_is_refunded() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.will(Err(
        icrc_ledger_types::icrc2::transfer_from::TransferFromError::InsufficientFunds {
            balance: Nat::from(0u8),
        },
    ));
    shop.settle(&request);
    let failed = payments::payment(&id(&request)).unwrap();
    let payer = failed.from.owner;
    shop.runtime.caller.set(payer);
    assert_eq!(ask(&shop, &payer, &failed.id, "/a"), Err(NoAccess::NotPaid));
    std::thread::spawn(|| {
        let (shop, id, payer) = sold(false);
        shop.runtime.caller.set(payer);
        assert_eq!(ask(&shop, &payer, &id, "/a"), Err(NoAccess::NotDelivered));
        shop.runtime.caller.set(shop.runtime.controller);
        refund::owe(&shop.runtime, &id).unwrap();
        assert_eq!(ask(&shop, &payer, &id, "/a"), Err(NoAccess::Refunded));
    })
    .join()
    .unwrap();
}

/// Payer and id are public in the ledger. Who may not know what was bought learns nothing about any item.
#[test]
fn a_stranger_cannot_find_out_with_access_what_a_principal_bought() {
    let (shop, id, payer) = sold(true);
    let [stranger, dapp] = [11, 12].map(|n| Principal::from_slice(&[n, 1]));
    for caller in [stranger, Principal::anonymous(), shop.runtime.canister_id()] {
        shop.runtime.caller.set(caller);
        for path in ["/a", "/b"] {
            for id in [id, PaymentId([0; 32])] {
                assert_eq!(ask(&shop, &payer, &id, path), Err(NoAccess::Unauthorized));
            }
        }
    }
    shop.runtime.caller.set(shop.runtime.controller);
    admin::set_readers(&shop.runtime, vec![dapp, dapp]).unwrap();
    assert_eq!(storage::config::read().readers, [dapp]);
    let many = (0..33).map(|n| Principal::from_slice(&[n, 1])).collect();
    assert!(admin::set_readers(&shop.runtime, many).is_err());
    let merchant: Account = storage::config::read().pay_to;
    for caller in [dapp, merchant.owner, storage::config::read().operators[0]] {
        shop.runtime.caller.set(caller);
        assert!(ask(&shop, &payer, &id, "/a").is_ok(), "{caller}");
    }
    // To be allowed to ask is not to be an operator.
    shop.runtime.caller.set(dapp);
    assert_eq!(role(&shop.runtime, &dapp), Role::Other);
    shop.runtime.caller.set(shop.runtime.controller);
    admin::set_readers(&shop.runtime, vec![]).unwrap();
    shop.runtime.caller.set(dapp);
    assert_eq!(ask(&shop, &payer, &id, "/a"), Err(NoAccess::Unauthorized));
}

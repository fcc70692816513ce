//! Payment identifiers, with scripted ledgers.

use super::*;
use crate::{
    domain::identifier::{self, Policy},
    service::identifiers::Rejection,
};
use serde_json::json;

const ID: &str = "pay_7d5d747be160e280504c099d984bcfe0";
const OTHER_ID: &str = "pay_00000000000000000000000000000000";

impl Shop {
    fn with(self, policy: Policy) -> Self {
        let mut route = Route::clone(&storage::routes::get(&self.route).unwrap());
        route.payment_identifier = Some(policy);
        storage::routes::put(route);
        self
    }

    fn named(&self, request: &PaymentRequest) -> Result<PayOutcome, Rejection> {
        let route = storage::routes::get(&self.route);
        run(crate::service::purchase::settle(
            &self.runtime,
            route.as_deref(),
            request.clone(),
        ))
    }

    /// Whether the identifier is bound to a payment of the first payer.
    fn bound(&self, id: &str) -> bool {
        let payer = self.request(1, 1).signed().authorization.from.owner;
        storage::identifiers::get(&identifier::key(&self.route, &payer, id)).is_some()
    }
}

fn with_id(mut request: PaymentRequest, id: &str) -> PaymentRequest {
    let extensions = json!({ identifier::KEY: { "info": { "required": false, "id": id } } });
    request.signed_mut().payload.extensions = extensions.as_object().cloned();
    request
}

#[test]
fn should_buy_once_under_one_identifier() {
    let shop = shop().with(Policy::Optional);
    let first = with_id(shop.request(1, 1), ID);
    shop.will(block(3));
    let receipt = paid(shop.named(&first).unwrap());
    // The same payment again gets the same answer; a newly signed one is a conflict.
    assert_eq!(paid(shop.named(&first).unwrap()), receipt);
    let other = with_id(shop.request(1, 2), ID);
    assert_eq!(shop.named(&other), Err(Rejection::Conflict));
    let elsewhere = PaymentRequest {
        fingerprint: [2; 32],
        ..first
    };
    assert_eq!(shop.named(&elsewhere), Err(Rejection::Conflict));
    assert_eq!(shop.runtime.made(), 1);
    // Another identifier, or none, is another purchase.
    shop.will(block(4)).will(block(5));
    paid(shop.named(&with_id(shop.request(1, 3), OTHER_ID)).unwrap());
    paid(shop.named(&shop.request(1, 4)).unwrap());
    assert_eq!(shop.runtime.made(), 3);
}

#[test]
fn should_scope_identifiers_by_payer() {
    let shop = shop().with(Policy::Optional);
    // A stranger without money: the outcome of the payment is unknown, and its identifier is bound.
    let theirs = with_id(shop.request(2, 1), ID);
    shop.will_reject(5);
    assert!(is_pending(&shop.named(&theirs).unwrap()));
    let again = with_id(shop.request(2, 2), ID);
    assert_eq!(shop.named(&again), Err(Rejection::Conflict));
    assert!(!shop.bound(ID));
    // It does not bind the same identifier of another payer.
    let mine = with_id(shop.request(1, 1), ID);
    shop.will(block(3));
    let receipt = paid(shop.named(&mine).unwrap());
    assert!(shop.bound(ID));
    assert_eq!(paid(shop.named(&mine).unwrap()), receipt);
    assert_eq!(shop.runtime.made(), 2);
}

#[test]
fn should_look_up_before_verifying() {
    let shop = shop().with(Policy::Optional);
    let first = with_id(shop.request(1, 1), ID);
    shop.will(block(3));
    paid(shop.named(&first).unwrap());
    // Expired by now: verification would refuse both.
    shop.runtime.now.set(NOW.plus(Seconds(3_600)));
    paid(shop.named(&first).unwrap());
    let mut other = with_id(shop.request(1, 2), ID);
    other.signed_mut().payload.accepted.amount = "1".into();
    assert_eq!(shop.named(&other), Err(Rejection::Conflict));
}

#[test]
fn should_never_process_an_identifier_twice_while_its_payment_is_in_flight() {
    let shop = shop().with(Policy::Optional);
    let first = with_id(shop.request(1, 1), ID);
    let route = storage::routes::get(&shop.route);
    shop.runtime.hold.set(true);
    let mut waiting = pin!(crate::service::purchase::settle(
        &shop.runtime,
        route.as_deref(),
        first.clone()
    ));
    assert!(poll(waiting.as_mut()).is_pending());
    assert!(is_pending(&shop.named(&first).unwrap()));
    let other = with_id(shop.request(1, 2), ID);
    assert_eq!(shop.named(&other), Err(Rejection::Conflict));
    shop.runtime.hold.set(false);
    shop.will_reject(4);
    assert!(matches!(poll(waiting.as_mut()), Poll::Ready(Ok(outcome)) if is_pending(&outcome)));
    // While the payment is unknown, only the same payment is accepted.
    assert_eq!(shop.named(&other), Err(Rejection::Conflict));
    assert_eq!(shop.runtime.made(), 1);
}

#[test]
fn should_free_an_identifier_whose_payment_provably_failed() {
    let shop = shop().with(Policy::Required);
    let first = with_id(shop.request(1, 1), ID);
    shop.will(Err(TransferFromError::InsufficientFunds {
        balance: Nat::from(0u8),
    }));
    assert_eq!(failed(shop.named(&first).unwrap()), Code::InsufficientFunds);
    assert!(!shop.bound(ID));
    // The payer tops up, signs a new authorization and keeps the identifier.
    shop.will(block(3));
    let second = with_id(shop.request(1, 2), ID);
    paid(shop.named(&second).unwrap());
    // The first stays failed and does not take the identifier back.
    assert_eq!(shop.named(&first), Err(Rejection::Conflict));
    paid(shop.named(&second).unwrap());
    assert_eq!(shop.runtime.made(), 2);
}

/// The first payment has failed, and waits for the ledger's fee while the payer uses the identifier again.
#[test]
fn a_failed_payment_does_not_free_an_identifier_that_is_bound_again() {
    let shop = shop().with(Policy::Optional);
    shop.runtime.fee.replace(None);
    shop.runtime.hold.set(true);
    let first = with_id(shop.request(1, 1), ID);
    let route = storage::routes::get(&shop.route);
    let mut waiting = pin!(crate::service::purchase::settle(
        &shop.runtime,
        route.as_deref(),
        first.clone()
    ));
    shop.will(Err(TransferFromError::InsufficientAllowance {
        allowance: Nat::from(0u8),
    }));
    assert!(poll(waiting.as_mut()).is_pending());
    assert!(matches!(shop.state(&first), State::Failed { .. }));
    // The outcome of the second stays unknown.
    let second = with_id(shop.request(1, 2), ID);
    shop.will_reject(6);
    assert!(is_pending(&shop.named(&second).unwrap()));
    shop.runtime.will_reply(Nat::from(10u8));
    assert!(
        matches!(poll(waiting.as_mut()), Poll::Ready(Ok(outcome)) if failed(outcome.clone()) == Code::InsufficientAllowance)
    );
    let third = with_id(shop.request(1, 3), ID);
    assert_eq!(shop.named(&third), Err(Rejection::Conflict));
    assert_eq!(shop.runtime.made(), 3, "two transfers and the fee");
}

#[test]
fn should_free_an_identifier_when_the_block_log_proves_that_nothing_moved() {
    let shop = shop().with(Policy::Optional);
    let first = with_id(shop.request(1, 1), ID);
    shop.will_reject(4).will(block(3));
    assert!(is_pending(&shop.named(&first).unwrap()));
    let second = with_id(shop.request(1, 2), ID);
    assert_eq!(shop.named(&second), Err(Rejection::Conflict));
    let proved = Event::ProvedNotMoved(crate::domain::payment::Failure {
        kind: FailureKind::LedgerUnavailable,
        message: String::new(),
    });
    let key = first.claim_key();
    storage::payments::record(&key, Change::Event(proved), NOW).unwrap();
    paid(shop.named(&second).unwrap());
    assert_eq!(shop.named(&first), Err(Rejection::Conflict));
}

#[test]
fn should_bind_nothing_to_a_payment_that_is_refused() {
    let shop = shop().with(Policy::Optional);
    let mut bad = with_id(shop.request(1, 1), ID);
    bad.signed_mut().authorization.signature[0] ^= 1;
    assert_eq!(refused(shop.named(&bad).unwrap()), Code::Signature);
    assert!(!shop.bound(ID));
    // A stranger cannot take the identifier with an invalid payment.
    shop.will(block(3));
    paid(shop.named(&with_id(shop.request(1, 1), ID)).unwrap());
    assert!(shop.bound(ID));
}

#[test]
fn should_want_an_identifier_only_where_the_route_does_and_only_of_new_payments() {
    let shop = shop();
    shop.will(block(3)).will(block(4)).will(block(5));
    let unnamed = shop.request(1, 1);
    paid(shop.named(&unnamed).unwrap());
    // The route has no policy: identifiers are ignored.
    paid(shop.named(&with_id(shop.request(1, 2), "short")).unwrap());
    let shop = shop.with(Policy::Required);
    assert_eq!(shop.named(&shop.request(1, 3)), Err(Rejection::Missing));
    let malformed = with_id(shop.request(1, 3), "short");
    assert_eq!(shop.named(&malformed), Err(Rejection::Malformed));
    // A payment from before is still delivered, with any identifier that is not bound to another payment.
    paid(shop.named(&unnamed).unwrap());
    paid(shop.named(&with_id(unnamed.clone(), "short")).unwrap());
    paid(shop.named(&with_id(unnamed, OTHER_ID)).unwrap());
    let shop = shop.with(Policy::Optional);
    paid(shop.named(&shop.request(1, 4)).unwrap());
    assert_eq!(shop.runtime.made(), 3);
    let malformed = with_id(shop.request(1, 5), "short");
    assert_eq!(shop.named(&malformed), Err(Rejection::Malformed));
}

#[test]
fn should_take_no_more_identifiers_than_there_is_room_for() {
    let shop = shop().with(Policy::Optional);
    let later = NOW.plus(Seconds(60));
    for n in 0..storage::identifiers::MAX_IDENTIFIERS {
        let bound = storage::identifiers::Bound {
            nonce: ClaimKey([n as u8; 16]),
            authorization_digest: AuthorizationDigest([0; 16]),
        };
        let name = crate::types::IdentifierKey([n as u8; 16]);
        storage::identifiers::put(name, bound, later);
    }
    let named = with_id(shop.request(1, 1), ID);
    assert_eq!(shop.named(&named), Err(Rejection::Full));
    // A payment without an identifier is not blocked. Identifiers that are due and no longer needed make room.
    shop.will(block(3)).will(block(4));
    paid(shop.named(&shop.request(1, 2)).unwrap());
    shop.runtime.now.set(later);
    paid(shop.named(&named).unwrap());
    assert_eq!(shop.runtime.made(), 2);
}

#[test]
fn should_scope_identifiers_by_route() {
    let shop = shop().with(Policy::Optional);
    shop.will(block(3)).will(block(4));
    paid(shop.named(&with_id(shop.request(1, 1), ID)).unwrap());
    let wanted = crate::domain::route::RouteDraft {
        key: RouteKey::new(Method::Get, "/b"),
        ..draft("/b")
    };
    let mut route = Route::clone(&storage::routes::get(&shop.route).unwrap());
    route.key = wanted.key;
    route.price_revision = 99;
    storage::routes::put(route.clone());
    let other = Shop {
        route: route.key,
        ..shop
    };
    paid(other.named(&with_id(other.request(1, 2), ID)).unwrap());
}

#[test]
fn should_free_identifiers_when_the_retention_is_over() {
    let shop = shop().with(Policy::Optional);
    let first = with_id(shop.request(1, 1), ID);
    shop.will(block(3)).will(block(4)).will(block(5));
    paid(shop.named(&first).unwrap());
    let retention = config().limits.retention;
    shop.runtime.now.set(NOW.plus(retention));
    let second = with_id(shop.request(1, 2), ID);
    assert_eq!(shop.named(&second), Err(Rejection::Conflict));
    shop.runtime.now.set(NOW.plus(Seconds(retention.0 + 1)));
    paid(shop.named(&with_id(shop.request(1, 3), ID)).unwrap());
    // They are also removed when others are added.
    let later = NOW.plus(Seconds(3 * retention.0));
    shop.runtime.now.set(later);
    paid(shop.named(&with_id(shop.request(1, 4), OTHER_ID)).unwrap());
    assert!(!shop.bound(ID) && shop.bound(OTHER_ID));
}

#[test]
fn should_keep_an_identifier_as_long_as_its_payment_is_unknown() {
    let shop = shop().with(Policy::Optional);
    let first = with_id(shop.request(1, 1), ID);
    shop.will_reject(4).will(block(4));
    assert!(is_pending(&shop.named(&first).unwrap()));
    let long = NOW.plus(Seconds(3 * config().limits.retention.0));
    shop.runtime.now.set(long);
    paid(shop.named(&with_id(shop.request(1, 2), OTHER_ID)).unwrap());
    assert!(shop.bound(ID));
    let other = with_id(shop.request(1, 3), ID);
    assert_eq!(shop.named(&other), Err(Rejection::Conflict));
}

//! Payments whose rows this version cannot read: their keys stay used.

use super::*;
use crate::storage::payments::tests::quarantine::corrupt;

#[test]
fn should_not_charge_again_for_a_payment_that_cannot_be_read() {
    let shop = shop();
    let [settled, failed, unknown] = [1, 2, 3].map(|nonce| shop.request(1, nonce));
    shop.will(block(1));
    assert_eq!(shop.fetch(&settled), b"goods");
    let refusal = TransferFromError::InsufficientAllowance {
        allowance: Nat::from(0u8),
    };
    shop.will(Err(refusal));
    failed_with(&shop, &failed);
    shop.will_reject(6);
    assert!(is_pending(&shop.settle(&unknown)));
    let made = shop.runtime.made();
    for request in [settled, failed, unknown] {
        corrupt(&request.claim_key());
        assert_eq!(refused(shop.settle(&request)), Code::NonceUsed);
    }
    assert_eq!(shop.runtime.made(), made);
}

fn failed_with(shop: &Shop, request: &PaymentRequest) {
    assert_eq!(
        super::failed(shop.settle(request)),
        Code::InsufficientAllowance
    );
}

#[test]
fn should_keep_what_a_payment_that_cannot_be_read_may_have_bought() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.will_reject(6);
    assert!(is_pending(&shop.settle(&request)));
    let payment = storage::payments::by_key(&request.claim_key()).unwrap();
    corrupt(&request.claim_key());
    catalogue::remove(&shop.runtime, &shop.route).unwrap();
    shop.runtime.now.set(NOW.plus(Seconds(30 * Seconds::DAY.0)));
    retention::sweep(&shop.runtime);
    assert_eq!(resource(&payment).unwrap().body, b"goods");
}

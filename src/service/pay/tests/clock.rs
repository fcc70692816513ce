//! The system promises a canister that its time never goes backwards. Payments are safe without that promise.

use super::*;

const HOUR_NS: u64 = 3_600_000_000_000;

#[test]
fn should_charge_once_when_time_goes_backwards_between_messages() {
    let shop = shop();
    let request = shop.request(1, 1);
    shop.will_reject(6);
    assert!(is_pending(&shop.settle(&request)));
    // Before the payment was recorded, and before it was valid.
    shop.runtime.now.set(TimestampNs(NOW.0 - HOUR_NS));
    shop.will(block(7));
    let receipt = paid(shop.settle(&request));
    assert_eq!(receipt.tx, TxRef::Block(BlockIndex(7)));
    assert_eq!(
        shop.asked(1),
        shop.asked(0),
        "the same transfer to the nanosecond"
    );
    for hours in [48, 1, 0] {
        shop.runtime.now.set(TimestampNs(NOW.0 - hours * HOUR_NS));
        assert_eq!(paid(shop.settle(&request)).tx, TxRef::Block(BlockIndex(7)));
    }
    shop.runtime.now.set(TimestampNs(0));
    shop.settle(&request);
    shop.runtime.now.set(TimestampNs(u64::MAX));
    shop.settle(&request);
    assert_eq!(
        shop.runtime.made(),
        2,
        "one payment, one transfer and its repetition"
    );
}

#[test]
fn should_refuse_new_payments_of_another_time() {
    let shop = shop();
    let (early, late) = (shop.request(1, 1), shop.request(1, 2));
    shop.runtime.now.set(TimestampNs(NOW.0 - HOUR_NS));
    assert_eq!(refused(shop.settle(&early)), Code::NotYetValid);
    shop.runtime.now.set(TimestampNs(u64::MAX));
    assert_eq!(refused(shop.settle(&late)), Code::Expired);
    assert_eq!(shop.runtime.made(), 0);
}

//! The canister is stopped while a ledger answers: it gets that answer, and calls nobody any more.

use super::{
    forward::{forward, shop_with},
    *,
};
use crate::runtime::scripted::poll;
use std::pin::pin;

/// A call that is not sent is no call that failed: the money is not returned, and the work is done after the start.
#[test]
fn stopping_the_canister_while_the_ledger_answers_loses_no_sale() {
    let shop = shop_with(forward());
    let request = shop.work_request(1);
    shop.runtime.hold.set(true);
    let mut paying = pin!(settle(&shop.runtime, request.clone()));
    assert!(poll(paying.as_mut()).is_pending());
    shop.runtime.hold.set(false);
    shop.runtime.stopping.set(true);
    shop.will(block(7));
    let outcome = run(paying.as_mut());
    assert!(is_pending(&outcome), "{outcome:?}");
    assert!(matches!(shop.state(&request), State::Settled { .. }));
    shop.runtime.stopping.set(false);
    shop.tick();
    shop.will_serve(200, b"after the start");
    assert_eq!(shop.fetch(&request), b"after the start");
    assert_eq!((shop.charges(), shop.works()), (1, 1));
}

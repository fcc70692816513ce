//! What a canister says when it is asked whether it is a ledger (`ledger_add`).
//!
//! Layout: the five replies, the last to `query_blocks`. What is accepted keeps its limits.

use crate::{bytes::Reader, world::Controller};
use candid::Principal;
use std::{pin::pin, task};
use tollkeeper::{
    domain::ledger::{
        MAX_AMOUNT, MAX_STANDARD_BYTES, MAX_STANDARDS, MAX_SYMBOL_CHARS, display_symbol,
    },
    service::ledgers,
};

pub fn run(data: &[u8]) {
    let mut reader = Reader(data);
    let replies = (0..5).map(|_| reader.chunk().to_vec()).collect();
    let world = Controller::answered(replies);
    let id = Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 5, 1, 1]);
    let mut future = pin!(ledgers::add(&world, id));
    let mut context = task::Context::from_waker(task::Waker::noop());
    let task::Poll::Ready(result) = future.as_mut().poll(&mut context) else {
        panic!("every call is answered at once");
    };
    if let Ok(ledger) = result {
        assert!((1..=MAX_SYMBOL_CHARS).contains(&ledger.symbol.chars().count()));
        assert_eq!(display_symbol(&ledger.symbol), ledger.symbol);
        assert!(ledger.fee.0 <= MAX_AMOUNT);
        assert!(ledger.standards.len() <= MAX_STANDARDS);
        assert!(
            ledger
                .standards
                .iter()
                .all(|name| name.len() <= MAX_STANDARD_BYTES)
        );
    }
}

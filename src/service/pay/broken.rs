//! Ways to break settlement on purpose, to show that the simulator notices: cargo features `broken-…`,
//! never in a canister that anybody uses. Without them, nothing here does anything of its own.

use crate::{
    domain::payment::{Event, Payment, State},
    storage::{
        self,
        payments::{Change, NewPayment, RecordError},
    },
    types::{BlockIndex, NonceKey, TimestampNs},
};

/// The payment is journalled when the ledger has answered.
const NO_JOURNAL: bool = cfg!(feature = "broken-no-journal");
/// Nothing keeps two requests with one nonce apart until the ledger has answered.
const LATE_NONCE: bool = NO_JOURNAL || cfg!(feature = "broken-late-nonce");

/// Journals that the ledger is about to be asked.
pub fn reserve(key: &NonceKey, new: NewPayment, now: TimestampNs) -> Result<Payment, RecordError> {
    if NO_JOURNAL {
        return Ok(new.payment);
    }
    let unguarded = LATE_NONCE.then(|| new.payment.clone());
    storage::payments::record(key, Change::Open(Box::new(new)), now)
        .or_else(|error| unguarded.ok_or(error))
}

/// Whether this payment is to be overlooked.
pub fn overlooks(payment: &Payment) -> bool {
    LATE_NONCE && payment.state.is_open()
}

/// Journals late, if the money moved.
pub fn journal_late(key: &NonceKey, asked: &Payment, event: &Event, now: TimestampNs) {
    if NO_JOURNAL && matches!(event, Event::Moved { .. }) {
        let late = NewPayment {
            payment: asked.clone(),
            valid_before: None,
            known_block: None,
        };
        let _ = storage::payments::record(key, Change::Open(Box::new(late)), now);
    }
}

/// A second payment with one nonce, as if it were the first.
pub fn settled_all_the_same(asked: &Payment, at: TimestampNs) -> Option<Payment> {
    LATE_NONCE.then(|| Payment {
        state: State::Settled {
            block: BlockIndex(0),
            at,
        },
        ..asked.clone()
    })
}

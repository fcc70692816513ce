//! How long a ledger accepts a transfer and recognises its duplicates: the two terms of ICRC-1, and limits derived from
//! them.
//!
//! A ledger refuses a transfer as `TooOld` when its time is more than [`TRANSACTION_WINDOW`] and [`PERMITTED_DRIFT`]
//! after `created_at_time`, and as `CreatedInFuture` when its time is more than the drift before it. In between it
//! answers the same transfer with `Duplicate`. ICRC-1 leaves both lengths to the ledger; the values here are those of
//! the ledgers of the Internet Computer. And how long to wait before another try of anything ([`backoff`]).

use crate::types::Seconds;

/// The transaction window of ICRC-1: duplicates are recognised for this long after `created_at_time`.
pub const TRANSACTION_WINDOW: Seconds = Seconds::DAY;
/// The permitted drift of ICRC-1: `created_at_time` may be this long after the ledger's time.
pub const PERMITTED_DRIFT: Seconds = Seconds(60);
/// The margin before and after the end of the window, for the drift, for the transit of a message to the ledger, and
/// for differing clocks of subnets.
const MARGIN: Seconds = Seconds(600);

/// How long after `created_at_time` the same transfer may be sent again. The call arrives at the ledger before it
/// forgets its duplicates. A ledger that has forgotten them refuses the transfer as too old, so a later call would be
/// useless but harmless.
pub const DEDUP_WINDOW: Seconds = Seconds(TRANSACTION_WINDOW.0 - MARGIN.0);
/// From this long after `created_at_time` no ledger can make the transfer any more, including calls in flight.
pub const FORGOTTEN: Seconds = Seconds(TRANSACTION_WINDOW.0 + MARGIN.0);
/// A transfer's block is at most this much older than its `created_at_time`: twice the permitted drift, for ledgers
/// that permit more.
pub const BLOCK_DRIFT: Seconds = Seconds(2 * PERMITTED_DRIFT.0);

/// How long after its block a transfer of a payer's own can be presented.
pub const MAX_PROOF_AGE: Seconds = Seconds::DAY;

/// The pause after the n-th try without a clear answer: 5 seconds after the first, then twice as long each time, up to
/// an hour.
pub fn backoff(tries: u16) -> Seconds {
    let doublings = tries.saturating_sub(1).min(10);
    Seconds((5u32 << doublings).min(3_600))
}

/// How long after its block such a transfer, presented too late to buy anything, is recorded and refunded.
pub const MAX_REFUND_AGE: Seconds = Seconds(30 * Seconds::DAY.0);

const _: () = assert!(
    MARGIN.0 > BLOCK_DRIFT.0,
    "the margin covers the drift of a ledger"
);

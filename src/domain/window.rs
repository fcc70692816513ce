//! How long a ledger takes a transfer, and knows it as a duplicate: the two terms of ICRC-1, and what follows from
//! them.
//!
//! A ledger refuses a transfer as `TooOld` when its time is more than [`TRANSACTION_WINDOW`] and [`PERMITTED_DRIFT`]
//! after `created_at_time`, and as `CreatedInFuture` when its time is more than the drift before it. Meanwhile it
//! answers the same transfer with `Duplicate`. ICRC-1 leaves both lengths to the ledger; the values here are those of
//! the ledgers of the Internet Computer.

use crate::types::Seconds;

/// The transaction window of ICRC-1: duplicates are known for so long after `created_at_time`.
pub const TRANSACTION_WINDOW: Seconds = Seconds::DAY;
/// The permitted drift of ICRC-1: `created_at_time` may be so far after the ledger's time.
pub const PERMITTED_DRIFT: Seconds = Seconds(60);
/// What is left, before and after the end of the window, for the drift, for the way of a message to the ledger, and for
/// clocks of subnets that differ.
const MARGIN: Seconds = Seconds(600);

/// For how long after `created_at_time` the same transfer may be asked for again. The call arrives at the ledger
/// before it forgets its duplicates. A ledger that has forgotten them refuses the transfer as too old, so a later call
/// would do no harm, and no good either.
pub const DEDUP_WINDOW: Seconds = Seconds(TRANSACTION_WINDOW.0 - MARGIN.0);
/// So long after `created_at_time` no ledger makes the transfer any more, and a call that is under way makes none.
pub const FORGOTTEN: Seconds = Seconds(TRANSACTION_WINDOW.0 + MARGIN.0);
/// A transfer's block is not older than its `created_at_time` less this: twice the permitted drift, for
/// ledgers that permit more.
pub const BLOCK_DRIFT: Seconds = Seconds(2 * PERMITTED_DRIFT.0);

const _: () = assert!(
    MARGIN.0 > BLOCK_DRIFT.0,
    "the margin covers the drift of a ledger"
);

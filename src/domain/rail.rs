//! Rails: how money moves, and the proof that it moved.
//!
//! On every rail the outcome of a try is one of three, and the state machine of a payment knows no others: moved with a
//! [`TxRef`] (`Event::Moved`), not moved (`Event::NotMoved`), in doubt (`Event::InDoubt`).

use crate::types::BlockIndex;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rail {
    /// The canister pulls it with `icrc2_transfer_from`, out of an allowance of the payer.
    Icrc2,
    /// The payer transfers it, and presents the block.
    Icrc1,
    /// The payer transfers it to an account of the canister that is the invoice's own, and the canister transfers it on
    /// to the merchant. The payer of the payment is that account.
    Invoice,
}

impl Rail {
    /// Every rail, in the order of their numbers in storage.
    pub const ALL: [Rail; 3] = [Rail::Icrc2, Rail::Icrc1, Rail::Invoice];

    /// The asset transfer method on the wire. There is none for invoices.
    pub const fn name(self) -> &'static str {
        match self {
            Rail::Icrc2 => x402_icp::wire::METHOD_ICRC2,
            Rail::Icrc1 => x402_icp::wire::METHOD_ICRC1,
            Rail::Invoice => "invoice",
        }
    }
}

/// The transaction that proves that money moved.
///
/// Storage keeps a number as a CBOR integer. A byte string of 32 bytes is reserved for the hash of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxRef {
    /// A block of the payment's ledger.
    Block(BlockIndex),
}

/// As on the wire: the member `transaction` of x402 responses.
impl fmt::Display for TxRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TxRef::Block(block) => write!(f, "{}", block.0),
        }
    }
}

//! Ledgers, routes, content and offers.

use crate::{Account, AccountArg, InvalidArgument};
use candid::{CandidType, Nat, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// A registered ledger.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Ledger {
    /// Its canister id.
    pub ledger: Principal,
    /// The token's symbol.
    pub symbol: String,
    /// The token's decimals.
    pub decimals: u8,
    /// The fee of one transfer.
    pub fee: Nat,
    /// The standards that it lists.
    pub standards: Vec<String>,
    /// The block log that payments are looked up in, if there is one.
    pub block_log: Option<BlockLog>,
    /// Whether new payments are accepted.
    pub enabled: bool,
}

/// The interface of a ledger's block log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub enum BlockLog {
    /// ICRC-3.
    Icrc3,
    /// That of the ICP ledger, `query_blocks`.
    QueryBlocks,
}

/// The reason why a ledger is not registered or changed.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum LedgerError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
    LedgerUnavailable { problem: String },
    NotALedger { problem: String },
    TooManyLedgers { limit: u32 },
    UnknownLedger,
}

/// One way to pay.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Price {
    /// The ledger.
    pub ledger: Principal,
    /// The amount, without the ledger's fee.
    pub amount: Nat,
}

/// The key of a route.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct RouteKey {
    /// The HTTP method.
    pub method: String,
    /// The path template.
    pub path: String,
}

/// A route's treatment of the x402 extension `payment-identifier`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub enum PaymentIdentifier {
    /// Identifiers are advertised, and used where given.
    Optional,
    /// A payment without one is refused.
    Required,
}

/// The canister that does the work of a route after the payment, instead of stored content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Forward {
    /// The canister that is called.
    pub canister: Principal,
    /// The method that is called.
    pub mode: ForwardMode,
    /// Whether the target does the work of one payment id once, however often it is called.
    pub idempotent: bool,
    /// What happens when the work fails.
    pub on_failure: OnFailure,
}

/// The method of a forward target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub enum ForwardMode {
    /// `http_request_update`.
    Http,
    /// `x402_serve`.
    Serve,
}

/// What happens when the work of a forward target fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub enum OnFailure {
    /// The payer is refunded.
    Refund,
    /// The target is called again if that cannot do the work twice; after the last try the payer is refunded.
    Retry,
}

/// The terms of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, CandidType, Deserialize)]
pub struct RouteArgs {
    /// The HTTP method.
    pub method: String,
    /// The path template.
    pub path: String,
    /// A description for a reader.
    pub description: String,
    /// The content's MIME type.
    pub mime_type: String,
    /// The ways to pay; none: free.
    pub prices: Vec<Price>,
    /// An account of the route's own.
    pub pay_to: Option<AccountArg>,
    /// The longest validity of an authorization, in seconds.
    pub max_timeout_seconds: Option<u32>,
    /// Whether it is on sale.
    pub on_sale: bool,
    /// The treatment of payment identifiers; none: they are ignored.
    pub payment_identifier: Option<PaymentIdentifier>,
    /// The canister that does the work; none: stored content is delivered.
    pub forward: Option<Forward>,
    /// Whether the 402 also offers to pay by a transfer of the client's own; none: no.
    pub transfers: Option<bool>,
    /// Whether it is sold by invoice, too; none: no.
    pub invoices: Option<bool>,
}

/// Stored content.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Content {
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: ByteBuf,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Route {
    /// The HTTP method.
    pub method: String,
    /// The path template.
    pub path: String,
    /// A description for a reader.
    pub description: String,
    /// The content's MIME type.
    pub mime_type: String,
    /// The ways to pay.
    pub prices: Vec<Price>,
    /// The account that is paid.
    pub pay_to: Account,
    /// The longest validity of an authorization, in seconds.
    pub max_timeout_seconds: u32,
    /// Whether it is on sale.
    pub on_sale: bool,
    /// Changes with the terms.
    pub price_revision: u64,
    /// The content that is delivered.
    pub content: Option<Content>,
    /// The treatment of payment identifiers.
    pub payment_identifier: Option<PaymentIdentifier>,
    /// The canister that does the work.
    pub forward: Option<Forward>,
    /// Whether the 402 also offers to pay by a transfer of the client's own.
    pub transfers: bool,
    /// Whether it is sold by invoice, too.
    pub invoices: bool,
}

/// The reason why a route or a setting is not changed.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum RouteError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
    UnknownRoute,
    UnknownLedger(Principal),
    TooManyRoutes { limit: u32 },
}

/// The announcement of content.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct ContentBegin {
    /// The route's HTTP method.
    pub method: String,
    /// The route's path template.
    pub path: String,
    /// The length in bytes.
    pub bytes: u64,
    /// The SHA-256 of the whole content.
    pub sha256: ByteBuf,
}

/// A chunk of content.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct ContentChunk {
    /// The id of the upload.
    pub upload: u64,
    /// The offset at which the last chunk ended.
    pub offset: u64,
    /// The bytes of the chunk.
    pub bytes: ByteBuf,
}

/// The end of an upload.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct ContentCommit {
    /// The id of the upload.
    pub upload: u64,
}

/// The reason why an upload does not continue.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
#[allow(missing_docs)]
pub enum ContentError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
    UnknownRoute,
    UnknownUpload,
    TooManyUploads { limit: u32 },
    StorageFull { limit: u64 },
    WrongOffset { expected: u64 },
    HashMismatch { expected: ByteBuf, actual: ByteBuf },
    Incomplete { received: u64, expected: u64 },
}

/// The terms of one offer.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Offer {
    /// `exact`.
    pub scheme: String,
    /// CAIP-2 network id.
    pub network: String,
    /// The ledger.
    pub ledger: Principal,
    /// The amount, without the ledger's fee.
    pub amount: Nat,
    /// The account that is paid.
    pub pay_to: Account,
    /// The canister that needs the allowance.
    pub spender: Principal,
    /// The offer id.
    pub offer: String,
    /// The ledger's fee.
    pub fee: Nat,
    /// The token's symbol.
    pub symbol: String,
    /// The token's decimals.
    pub decimals: u8,
    /// The longest validity of an authorization, in seconds.
    pub max_timeout_seconds: u32,
}

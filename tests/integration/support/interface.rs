//! The canister's Candid interface as a client sees it, written from `canister.did`.

use candid::{CandidType, Nat, Principal};
use icrc_ledger_types::icrc1::account::Account;
use serde::Deserialize;
use serde_bytes::ByteBuf;

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct InvalidArgument {
    pub field: String,
    pub problem: String,
    pub limit: Option<Nat>,
}

#[derive(CandidType, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct LimitsArg {
    pub max_routes: Option<u32>,
    pub max_content_total_bytes: Option<u64>,
    pub max_payments: Option<u64>,
    pub max_timeout_seconds: Option<u32>,
    pub cycles_floor: Option<Nat>,
    pub retention_seconds: Option<u32>,
}

#[derive(CandidType, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct InstallArgs {
    pub network: Option<String>,
    pub pay_to: Option<Account>,
    pub operators: Option<Vec<Principal>>,
    pub limits: Option<LimitsArg>,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub enum TollkeeperArgs {
    Init(InstallArgs),
    Upgrade(InstallArgs),
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct Config {
    pub network: String,
    pub version: String,
    pub pay_to: Account,
    pub operators: Vec<Principal>,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct Ledger {
    pub ledger: Principal,
    pub symbol: String,
    pub decimals: u8,
    pub fee: Nat,
    pub standards: Vec<String>,
    pub enabled: bool,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub enum LedgerError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
    LedgerUnavailable { problem: String },
    NotALedger { problem: String },
    TooManyLedgers { limit: u32 },
    UnknownLedger,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct Price {
    pub ledger: Principal,
    pub amount: Nat,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct RouteKey {
    pub method: String,
    pub path: String,
}

#[derive(CandidType, Deserialize, Clone, Copy, Debug, PartialEq)]
pub enum PaymentIdentifier {
    Optional,
    Required,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct RouteArgs {
    pub method: String,
    pub path: String,
    pub description: String,
    pub mime_type: String,
    pub prices: Vec<Price>,
    pub pay_to: Option<Account>,
    pub max_timeout_seconds: Option<u32>,
    pub on_sale: bool,
    pub payment_identifier: Option<PaymentIdentifier>,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct Content {
    pub bytes: u64,
    pub sha256: ByteBuf,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct Route {
    pub method: String,
    pub path: String,
    pub description: String,
    pub mime_type: String,
    pub prices: Vec<Price>,
    pub pay_to: Account,
    pub max_timeout_seconds: u32,
    pub on_sale: bool,
    pub price_revision: u64,
    pub content: Option<Content>,
    pub payment_identifier: Option<PaymentIdentifier>,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub enum RouteError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
    UnknownRoute,
    UnknownLedger(Principal),
    TooManyRoutes { limit: u32 },
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct ContentBegin {
    pub method: String,
    pub path: String,
    pub bytes: u64,
    pub sha256: ByteBuf,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct ContentChunk {
    pub upload: u64,
    pub offset: u64,
    pub bytes: ByteBuf,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct ContentCommit {
    pub upload: u64,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
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

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub enum PaymentStatus {
    Settling,
    Settled {
        block_index: Nat,
        settled_at: u64,
    },
    Failed {
        code: String,
        message: String,
        failed_at: u64,
    },
    Unknown {
        reason: String,
        since: u64,
    },
    Delivered {
        block_index: Nat,
        settled_at: u64,
        delivered_at: u64,
    },
    Refunding {
        block_index: Nat,
        settled_at: u64,
        since: u64,
        attempts: u16,
        problem: String,
    },
    Refunded {
        block_index: Nat,
        settled_at: u64,
        refund_block_index: Nat,
        refunded_at: u64,
    },
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub enum RecheckError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
    UnknownPayment,
}

impl PaymentStatus {
    /// The block of the payment, if the money moved, whatever came after.
    pub fn block(&self) -> Option<&Nat> {
        match self {
            PaymentStatus::Settled { block_index, .. }
            | PaymentStatus::Delivered { block_index, .. }
            | PaymentStatus::Refunding { block_index, .. }
            | PaymentStatus::Refunded { block_index, .. } => Some(block_index),
            _ => None,
        }
    }

    /// Whether the money moved and is the merchant's, or about to be given back.
    pub fn is_paid(&self) -> bool {
        self.block().is_some() && !matches!(self, PaymentStatus::Refunded { .. })
    }
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct Payment {
    pub id: ByteBuf,
    pub sequence: Option<u64>,
    pub network: String,
    pub ledger: Principal,
    /// Null for strangers, as method and path.
    pub payer: Option<Account>,
    pub pay_to: Account,
    pub amount: Nat,
    pub fee: Nat,
    pub method: Option<String>,
    pub path: Option<String>,
    pub created_at: u64,
    pub status: PaymentStatus,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct Receipt {
    pub payment_id: ByteBuf,
    pub network: String,
    pub ledger: Principal,
    pub block_index: Nat,
    pub payer: Option<Account>,
    pub pay_to: Account,
    pub amount: Nat,
    pub fee: Nat,
    pub method: Option<String>,
    pub path: Option<String>,
    pub settled_at: u64,
}

#[derive(CandidType, Deserialize, Clone, Debug, Default, PartialEq)]
pub struct PageArgs {
    pub after: Option<u64>,
    pub limit: Option<u32>,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub enum PaymentsError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub enum Transition {
    Opened,
    Retried,
    Settled { block_index: Nat },
    Delivered { block_index: Nat },
    Failed { code: String },
    Unknown { reason: String },
    RefundDue { cause: String },
    RefundTried,
    RefundFailed { problem: String },
    Refunded { block_index: Nat },
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct PaymentAudit {
    pub number: u64,
    pub at: u64,
    pub payment: ByteBuf,
    pub transition: Transition,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct AdminAudit {
    pub number: u64,
    pub at: u64,
    pub caller: Principal,
    pub action: String,
    pub subject: String,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct Solvency {
    pub ledger: Principal,
    pub balance: Option<Nat>,
    pub owed_refunds: Nat,
    pub held: Nat,
    pub waiting: Waiting,
    pub solvent: Option<bool>,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct Waiting {
    pub refunds: u64,
    pub amount: Nat,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct WithdrawArgs {
    pub ledger: Principal,
    pub from_subaccount: Option<ByteBuf>,
    pub to: Account,
    pub amount: Nat,
    pub created_at_time: Option<u64>,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub enum WithdrawError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
    UnknownLedger,
    InsufficientFree { available: Nat },
    TooMany { limit: u32, from: u64 },
    InProgress { created_at_time: u64 },
    NotMoved { problem: String },
    Unknown { created_at_time: u64 },
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub enum RefundError {
    Unauthorized,
    UnknownPayment,
    NotRefundable,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub enum ResolvedOutcome {
    Moved { block_index: Nat },
    NotMoved,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct ResolveArgs {
    pub id: ByteBuf,
    pub outcome: ResolvedOutcome,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub enum ResolveError {
    Unauthorized,
    InvalidArgument(InvalidArgument),
    UnknownPayment,
    NotInDoubt,
    TooEarly { from: u64 },
    LogDecides { until: u64 },
    BooksFull,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct CancelArgs {
    pub nonce: ByteBuf,
    pub valid_before_seconds: u64,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub enum CancelError {
    InvalidArgument(InvalidArgument),
    Expired { now_seconds: u64 },
    TooFarAhead { limit_seconds: u64 },
    AnonymousCaller,
    AlreadyUsed { payment_id: ByteBuf },
    TooManyCancellations { limit: u32 },
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct HttpRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: ByteBuf,
    pub certificate_version: Option<u16>,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct HttpUpdateRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: ByteBuf,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct HttpResponse {
    pub status_code: u16,
    pub headers: Vec<(String, String)>,
    pub body: ByteBuf,
    pub upgrade: Option<bool>,
}

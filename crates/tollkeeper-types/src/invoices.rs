//! Buying by invoice: with a plain transfer to an account of the invoice's own.

use crate::{Account, AccountArg, InvalidArgument};
use candid::{CandidType, Nat, Principal};
use serde::Deserialize;
use serde_bytes::ByteBuf;

/// What somebody wants an invoice for.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct InvoiceArgs {
    /// 32 random bytes that the caller has drawn, and keeps secret. The same arguments again are the same invoice.
    pub id: ByteBuf,
    /// `GET`.
    pub method: String,
    /// The path of the resource, as in [`PayArgs`](crate::PayArgs).
    pub path: String,
    /// The ledger of an offer.
    pub ledger: Principal,
    /// The amount of the offer; absent: the first one in this ledger.
    pub price: Option<Nat>,
    /// The account that gets back what buys nothing; absent: whoever knows the id names one later.
    pub refund_to: Option<AccountArg>,
}

/// How far an invoice has come.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub enum InvoiceStatus {
    /// It waits for money.
    Open,
    /// The money is there, and is being transferred to the merchant.
    Collecting,
    /// The merchant has the money.
    Paid {
        /// The block of the transfer to the merchant.
        block_index: Nat,
        /// When the canister found out.
        settled_at: u64,
    },
    /// No money came in time.
    Expired,
    /// Too little money came in time.
    Short,
    /// Enough money came, but the offer was gone.
    NotSold,
    /// Enough money came, but the canister had no room for another payment.
    NoRoom,
    /// Enough money came, but the ledger refused each transfer to the merchant.
    Refused,
}

impl InvoiceStatus {
    /// Its name, as in JSON over HTTP.
    pub fn as_str(&self) -> &'static str {
        match self {
            InvoiceStatus::Open => "open",
            InvoiceStatus::Collecting => "collecting",
            InvoiceStatus::Paid { .. } => "paid",
            InvoiceStatus::Expired => "expired",
            InvoiceStatus::Short => "short",
            InvoiceStatus::NotSold => "not_sold",
            InvoiceStatus::NoRoom => "no_room",
            InvoiceStatus::Refused => "refused",
        }
    }
}

/// A transfer that gave money back.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct ReturnMade {
    /// The amount that arrived.
    pub amount: Nat,
    /// The block of the transfer.
    pub block_index: Nat,
    /// When the canister found out.
    pub at: u64,
}

/// What is given back of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct InvoiceReturn {
    /// The account that gets it.
    pub to: Account,
    /// Whether the canister is about to transfer.
    pub pending: bool,
    /// The latest transfer.
    pub made: Option<ReturnMade>,
}

/// An invoice.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Invoice {
    /// The account to pay.
    pub account: Account,
    /// The same as text (ICRC-1).
    pub account_text: String,
    /// The same as an account identifier, on the ICP ledger.
    pub account_identifier: Option<String>,
    /// The ledger of the token.
    pub ledger: Principal,
    /// The token's symbol.
    pub symbol: String,
    /// The token's decimals.
    pub decimals: u8,
    /// The amount to send: the price, and the fee of the transfer to the merchant.
    pub amount: Nat,
    /// The amount that the merchant gets.
    pub price: Nat,
    /// The merchant's account.
    pub pay_to: Account,
    /// The id of the offer.
    pub offer: String,
    /// `GET`.
    pub method: String,
    /// The path of the resource.
    pub path: String,
    /// The account that gets back what buys nothing.
    pub refund_to: Option<Account>,
    /// When it was made.
    pub created_at: u64,
    /// Until when it can be paid.
    pub expires_at: u64,
    /// What is in the account, as far as is known.
    pub balance: Nat,
    /// When the ledger was asked for it.
    pub read_at: Option<u64>,
    /// How far it has come.
    pub status: InvoiceStatus,
    /// The payment of the latest attempt.
    pub payment_id: Option<ByteBuf>,
    /// What is given back, in this ledger.
    pub returned: Option<InvoiceReturn>,
}

/// What is to be given back.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct InvoiceReturnArgs {
    /// The id of the invoice.
    pub id: ByteBuf,
    /// The ledger whose tokens are in the account.
    pub ledger: Principal,
    /// The account that gets them; needed unless one was named before.
    pub to: Option<AccountArg>,
}

/// Money that was given back.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub struct Returned {
    /// The account that got it.
    pub to: Account,
    /// The amount that arrived.
    pub amount: Nat,
    /// The block of the transfer.
    pub block_index: Nat,
}

/// The reason why nothing is known to be done.
#[derive(Clone, Debug, PartialEq, Eq, CandidType, Deserialize)]
pub enum InvoiceError {
    /// An argument is malformed.
    InvalidArgument(InvalidArgument),
    /// There is no invoice with this id.
    UnknownInvoice,
    /// The ledger is not registered.
    UnknownLedger,
    /// Nothing is sold by invoice under this path, in this ledger and at this price, at present.
    NotSold,
    /// The id was used for something else.
    IdUsed,
    /// So many invoices are open.
    TooManyInvoices {
        /// The limit.
        limit: u32,
    },
    /// Too many requests at present.
    TooManyRequests {
        /// The requests that are accepted in a row.
        limit: u32,
    },
    /// It can still be paid, or what it buys is being paid for.
    NotEnded {
        /// When that will have ended.
        expires_at: u64,
    },
    /// Another account was named before.
    OtherAccount {
        /// That account.
        account: Account,
    },
    /// There is not more in the account than the ledger's fee.
    NothingToReturn {
        /// What is in the account.
        balance: Nat,
        /// The ledger's fee.
        fee: Nat,
    },
    /// Another message is at work.
    InProgress,
    /// The ledger does not answer, or refuses.
    LedgerUnavailable {
        /// The problem, for a reader.
        problem: String,
    },
    /// It is not known whether the money moved. The canister finds out by itself.
    Unknown,
}

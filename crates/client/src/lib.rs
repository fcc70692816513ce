//! Pays for x402 resources on the Internet Computer.
//!
//! A [`Payer`] requests a resource, selects an offer that its [`SpendControls`] allow, checks that the ledger will
//! accept the payment, and signs one authorization. It sends the same authorization until the outcome is known, and
//! never signs a second one for the same purchase, because the payer could be charged twice.
//!
//! ```no_run
//! use tollkeeper_client::{Identity, Network, Outcome, Payer, Request, SpendControls};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let identity = Identity::from_pem_file("key.pem")?;
//! let network = Network::mainnet(&identity)?;
//! let payer = Payer::new(identity, network)?.with_spend_controls(SpendControls::default());
//! let request = Request::get("https://be2us-64aaa-aaaaa-qaabq-cai.icp0.io/report")?;
//! match payer.pay(&request).await? {
//!     Outcome::Free(response) => println!("free: {} bytes", response.body.len()),
//!     Outcome::Paid(paid) => println!("{} bytes for block {:?}", paid.response.body.len(), paid.receipt),
//! }
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]

mod answer;
mod confirm;
mod error;
mod http;
mod identity;
mod invoice;
mod journal;
mod ledger;
mod limits;
mod network;
mod offer;
mod payer;
mod payment;
mod plain_text;
mod receipt;
mod required;
mod serving;
mod step;
mod tokens;

pub use answer::Paid;
pub use confirm::Resolution;
pub use error::{LedgerError, PayError};
pub use http::{HttpError, Request, Response};
pub use identity::{Identity, IdentityError};
pub use invoice::{
    Invoice, InvoiceError, InvoiceLink, InvoiceOrder, InvoicePayment, InvoiceProblem,
    InvoiceReturn, InvoiceStatus, PaidInvoice, Returned, Sent, invoice_id,
};
pub use journal::{
    ENDED_KNOWN_SECONDS, End, Entry, FileJournal, Journal, JournalError, Lock, MemoryJournal,
    RequestKey, remove_payment, save_payment,
};
pub use ledger::{Approval, Block, Ledger};
pub use limits::Limits;
pub use network::{Network, NetworkError};
pub use offer::{
    By, Expectations, MAX_TIMEOUT_SECONDS, MIN_PROOF_AGE_SECONDS, Method, Offer, OfferProblem,
    OfferTerms, RefusedOffer, SpendControls, select, why,
};
pub use payer::{Outcome, Payer, Priced, Quote};
pub use payment::{CallPayload, OwnTransfer, Payload, SignedPayment, TransferPayload};
pub use plain_text::{PLAIN_TEXT_CHARACTERS, plain_text};
pub use receipt::{
    Checked, CheckedField, Expected, MAX_RECEIPT_BYTES, ProvenBy, Receipt, ReceiptError,
    VerifiedReceipt, VerifyError, verify_receipt,
};
pub use serving::{is_canister, serving_canister};
pub use step::Step;
pub use tokens::{KNOWN_TOKENS, Token, UnitsError, format_units, parse_units, token_named};

pub use x402_icp::{Account, Amount, Code, PaymentId, account::Party};

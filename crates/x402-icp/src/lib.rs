//! The x402 payment scheme `exact` on the Internet Computer, as data and pure functions.
//!
//! The wire types ([`wire`]), the message that a payer signs ([`authorization`]), the verification of signatures
//! ([`signature`]) and the identifiers that both sides derive ([`network`], [`offer`]). The crate depends neither on a
//! clock nor on a canister nor on a client: time, canister id and root key are arguments, so canisters, command-line
//! clients and tests share the same code.
//!
//! The binding is specified in `docs/scheme_exact_icp.md`; section numbers in these docs refer to it. Fixed test
//! vectors for other implementations are in `tests/vectors.json`.
//!
//! ```
//! use x402_icp::{authorization::{authorize, payment_id, signed_message, Terms}, signature, values::Nonce};
//!
//! let key = ic_ed25519::PrivateKey::deserialize_raw_32(&[7; 32]);
//! let spender = candid::Principal::from_text("be2us-64aaa-aaaaa-qaabq-cai").unwrap();
//! let terms = Terms {
//!     scheme: "exact".into(),
//!     network: "icp:1".into(),
//!     asset: "xevnm-gaaaa-aaaar-qafnq-cai".into(),
//!     amount: "10000".into(),
//!     pay_to: "aaaaa-aa".into(),
//!     max_timeout_seconds: "60".into(),
//!     asset_transfer_method: "icrc2".into(),
//!     symbol: "ckUSDC".into(),
//!     decimals: "6".into(),
//!     fee: "10000".into(),
//!     spender: spender.to_text(),
//!     offer: "000102030405060708090a0b0c0d0e0f".into(),
//!     payment_flow: "authorization".into(),
//! };
//! let payload = authorize(&terms, None, Nonce([1; 32]), 1_700_000_000, 1_700_000_060, &key).unwrap();
//! let message = signed_message(&terms, &payload);
//! let parsed = payload.parse().unwrap();
//! let payer = signature::verify(
//!     &parsed.public_key, &message, &parsed.signature, &parsed.delegations,
//!     1_700_000_001_000_000_000, spender, x402_icp::network::MAINNET_ROOT_KEY_DER,
//! ).unwrap();
//! assert_eq!(payer, parsed.from.owner);
//! assert_eq!(payment_id(&message).to_string().len(), 64);
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]

pub mod account;
pub mod authorization;
pub mod call;
pub mod code;
pub mod decode;
pub mod delegation;
mod entropy;
pub mod invoice;
mod json;
pub mod jws;
pub mod key;
pub mod network;
pub mod number;
pub mod offer;
pub mod receipt;
pub mod signature;
pub mod signer;
pub mod template;
pub mod transfer;
pub mod values;
pub mod wire;

pub use authorization::{Authorization, PaymentId, Terms};
pub use code::Code;
pub use decode::{
    DecodeError, ExactPayment, MAX_HEADER_BYTES, decode_exact_payment, decode_payment,
    decode_payment_payload,
};
pub use icrc_ledger_types::icrc1::account::Account;
pub use values::{Amount, Nonce};
pub use wire::encode_header;

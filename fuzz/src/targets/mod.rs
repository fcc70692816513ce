//! The targets. Each checks what its module says, besides that nothing panics.

mod authorization;
mod block_log;
mod candid_arguments;
mod canister_signature;
mod headers;
mod invoice_request;
mod ledger_description;
mod ledger_reply;
mod payment_header;
pub mod signature;
mod stored_values;
mod target_reply;
mod template;
mod url;

type Target = fn(&[u8]);

/// Name and function of every target.
pub const ALL: &[(&str, Target)] = &[
    ("authorization", authorization::run),
    ("block_log", block_log::run),
    ("candid_arguments", candid_arguments::run),
    ("canister_signature", canister_signature::run),
    ("headers", headers::run),
    ("invoice_request", invoice_request::run),
    ("ledger_description", ledger_description::run),
    ("ledger_reply", ledger_reply::run),
    ("payment_header", payment_header::run),
    ("signature", signature::run),
    ("stored_values", stored_values::run),
    ("target_reply", target_reply::run),
    ("template", template::run),
    ("url", url::run),
];

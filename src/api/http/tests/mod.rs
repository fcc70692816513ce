//! Responses checked by the verifier that gateways use, with certificates made here.

mod adversary;
mod answers;
mod architecture;
mod invoices;
mod large;
mod limits;
mod paid;
mod prover;
mod receipts;
mod signed;
mod updates;

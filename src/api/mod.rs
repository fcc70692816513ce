//! Translation between callers and services: Candid here, HTTP in [`http`].

pub mod arguments;
pub mod call;
pub mod endpoints;
pub mod http;
pub mod inspect;
pub mod invoices;
pub mod plain;
pub mod seller;
pub mod signing;
pub mod types;
pub mod wallets;

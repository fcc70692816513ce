//! The canister on a network, with real ledgers, keys and certificates.

mod support;

mod attack_canister;
mod attack_ledger;
mod attack_protocol;
mod certification;
mod content;
mod cross_origin;
mod http_answers;
mod interrupted;
mod ledger_faults;
mod ledger_fees;
mod ledger_symbols;
mod limits;
mod live_gateway;
mod malformed_candid;
mod malformed_http;
mod malformed_install;
mod many_routes;
mod origin;
mod parallel;
mod payment;
mod payment_identifier;
mod payment_state;
mod receipts;
mod recovery;
mod refunds;
mod refused;
mod replay;
mod request_limits;
mod roles;
mod stored_responses;
mod tolerance;
mod upgrade;
mod verification;
mod withdrawals;

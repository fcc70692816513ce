//! Independent clients and the HTTP gateway, over an instance in live mode.

#[path = "../support/mod.rs"]
mod support;

mod agent;
mod gateway;
mod gateway_limits;
mod http;
mod identities;
mod local_gateway;
mod node_client;
mod shared;

//! Development only: an Internet Computer runtime behind the PocketIC server's protocol, the IC's HTTPS
//! interface and an HTTP gateway.
//!
//! Layers, each using only what stands to its left: `protocol` (types of the PocketIC server) <- `network` (one IC instance: replica, keys, time) <-
//! `agent_api` (`/api/v2|v3|v4`) <- `gateway` (browsers) <- `rest` (the PocketIC server). `http` serves them.

pub mod agent_api;
pub mod gateway;
pub mod http;
pub mod network;
mod protocol;
pub mod rest;

/// What `pocket-ic --version` says, and the version of the client the REST protocol was written for.
pub const POCKET_IC_VERSION: &str = "16.1.0";

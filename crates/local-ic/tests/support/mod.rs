//! What the tests of the servers share: a server of our own, and canisters made byte by byte.
// Each test binary uses its own part of this.
#![allow(dead_code)]

pub mod wasm;

use candid::{CandidType, Encode, Principal};
use pocket_ic::nonblocking::PocketIc;
use pocket_ic::{PocketIcBuilder, StartServerParams, start_server};
use std::path::PathBuf;

/// The binary under test.
pub fn server_binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_pocket-ic"))
}

/// An instance with one application subnet and an NNS subnet.
pub async fn instance() -> PocketIc {
    builder()
        .with_nns_subnet()
        .with_application_subnet()
        .build_async()
        .await
}

pub fn builder() -> PocketIcBuilder {
    PocketIcBuilder::new().with_server_binary(server_binary())
}

/// A server that is not shared with other tests; ends when the process is killed.
pub struct OwnServer {
    pub process: std::process::Child,
    pub url: reqwest::Url,
}

impl OwnServer {
    pub async fn start() -> Self {
        let (process, url) = start_server(StartServerParams {
            server_binary: Some(server_binary()),
            reuse: false,
            ..Default::default()
        })
        .await;
        Self { process, url }
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a canister answers over HTTP.
#[derive(CandidType, Clone, Default)]
pub struct HttpAnswer {
    pub status_code: u16,
    pub headers: Vec<(String, String)>,
    pub body: serde_bytes::ByteBuf,
    pub upgrade: Option<bool>,
}

impl HttpAnswer {
    pub fn new(status_code: u16, headers: &[(&str, &str)], body: &str) -> Self {
        Self {
            status_code,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: body.as_bytes().to_vec().into(),
            upgrade: None,
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        Encode!(self).expect("encodes")
    }
}

/// Creates a canister with cycles and this module.
pub async fn install(instance: &PocketIc, module: Vec<u8>) -> Principal {
    let canister = instance.create_canister().await;
    instance
        .install_canister(canister, module, Vec::new(), None)
        .await;
    canister
}

//! A subnet of one key that signs certificates, and a gateway that verifies responses with its root key.

use crate::api::http::{
    certification::certify_response,
    site::{Found, Site, SiteRoute},
    static_response::{Body, StaticResponse},
    types::HttpResponse,
};
use crate::{domain::route::ContentMeta, runtime::scripted::ScriptedRuntime};
use candid::Principal;
use ic_certification::{Certificate, HashTree, fork, labeled, leaf};
use ic_http_certification as http;
use ic_response_verification::verify_request_response_pair;
use ic_verify_bls_signature::PrivateKey;
use std::collections::HashMap;

/// The time of all certificates, in nanoseconds.
const NOW: u64 = 1_700_000_000_000_000_000;
const DER_PREFIX: &str =
    "308182301d060d2b0601040182dc7c0503010201060c2b0601040182dc7c05030201036100";

/// Content of the tests' free routes.
pub const CONTENT: &[u8] = b"free for all";

/// Signs and verifies.
pub struct Prover {
    key: PrivateKey,
    canister: Principal,
    certificates: std::cell::RefCell<HashMap<[u8; 32], Vec<u8>>>,
}

impl Default for Prover {
    fn default() -> Self {
        let mut bytes = [0; 32];
        bytes[31] = 7;
        Self {
            key: PrivateKey::deserialize(&bytes).expect("a small number is a key"),
            canister: Principal::from_slice(&ScriptedRuntime::CANISTER),
            certificates: Default::default(),
        }
    }
}

impl Prover {
    fn root_key(&self) -> Vec<u8> {
        let mut der = hex::decode(DER_PREFIX).expect("hexadecimal digits");
        der.extend(self.key.public_key().serialize());
        der
    }

    /// A certificate over the 32 bytes, as `data_certificate` returns it to a query.
    pub fn certificate(&self, certified_data: [u8; 32]) -> Vec<u8> {
        self.certificates
            .borrow_mut()
            .entry(certified_data)
            .or_insert_with(|| self.sign(certified_data))
            .clone()
    }

    fn sign(&self, certified_data: [u8; 32]) -> Vec<u8> {
        let mut time = Vec::new();
        leb128::write::unsigned(&mut time, NOW).expect("a vector takes bytes");
        let tree: HashTree = fork(
            labeled(
                "canister",
                labeled(
                    self.canister.as_slice(),
                    labeled("certified_data", leaf(certified_data.to_vec())),
                ),
            ),
            labeled("time", leaf(time)),
        );
        let mut message = b"\x0Dic-state-root".to_vec();
        message.extend(tree.digest());
        let certificate = Certificate {
            tree,
            signature: self.key.sign(&message).serialize().to_vec(),
            delegation: None,
        };
        serde_cbor::to_vec(&certificate).expect("a certificate is CBOR")
    }

    /// The query's response to a request without a payment; `None` for an upgrade.
    pub fn serve(
        &self,
        site: &Site,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Option<HttpResponse> {
        let found = site.lookup(method, path, !body.is_empty(), false)?;
        Some(self.prove(site, &found, path))
    }

    /// A found response with its proof.
    pub fn prove(&self, site: &Site, found: &Found<'_>, path: &str) -> HttpResponse {
        let mut response = plain(found.answer());
        let certificate = self.certificate(site.root_hash());
        certify_response(&mut response, site, found, path, &certificate)
            .expect("a found answer has a proof");
        response
    }

    /// The response of any node with the whole tree as witness, as a malicious node can send it.
    pub fn lie(&self, site: &Site, found: &Found<'_>) -> HttpResponse {
        let mut response = plain(found.answer());
        let certificate = self.certificate(site.root_hash());
        let (expression, proof) = found.with_whole_tree(site, &certificate);
        response.headers.push((
            http::CERTIFICATE_EXPRESSION_HEADER_NAME.to_string(),
            expression,
        ));
        response
            .headers
            .push((http::CERTIFICATE_HEADER_NAME.to_string(), proof));
        response
    }

    /// Whether a gateway accepts the response for the request without a payment.
    pub fn accepts(&self, method: &str, url: &str, body: &[u8], response: &HttpResponse) -> bool {
        self.accepts_with(method, url, &[], body, response)
    }

    /// Whether a gateway accepts the response for a request with these values of the payment header.
    pub fn accepts_with(
        &self,
        method: &str,
        url: &str,
        payments: &[&str],
        body: &[u8],
        response: &HttpResponse,
    ) -> bool {
        let headers = [("accept", "*/*")]
            .into_iter()
            .chain(payments.iter().map(|value| ("Payment-Signature", *value)))
            .map(|(name, value)| (name.to_string(), value.to_string()));
        let request = http::HttpRequest::builder()
            .with_method(http::Method::from_bytes(method.as_bytes()).expect("a method"))
            .with_url(url.to_string())
            .with_headers(headers.collect())
            .with_body(body.to_vec())
            .build();
        let response = http::HttpResponse::builder()
            .with_status_code(http::StatusCode::from_u16(response.status_code).expect("a status"))
            .with_headers(response.headers.clone())
            .with_body(response.body.clone())
            .build();
        verify_request_response_pair(
            request,
            response,
            self.canister.as_slice(),
            NOW.into(),
            300_000_000_000,
            &self.root_key(),
            2,
        )
        .is_ok()
    }
}

fn plain(answer: &StaticResponse) -> HttpResponse {
    HttpResponse {
        status_code: answer.status,
        headers: answer.headers.clone(),
        body: match &answer.body {
            Body::Empty => Vec::new(),
            Body::Json(text) => text.as_bytes().to_vec(),
            Body::Content(_) => CONTENT.to_vec(),
        },
        upgrade: None,
    }
}

/// A priced route whose offers name it.
pub fn priced(method: &'static str, path: &str) -> SiteRoute {
    SiteRoute {
        method,
        priced: true,
        unpaid: Some(StaticResponse::payment_required(&format!(
            "{method}+{path}"
        ))),
    }
}

pub fn free(method: &'static str) -> SiteRoute {
    use sha2::Digest;
    let content = ContentMeta {
        blob: 1,
        bytes: CONTENT.len() as u64,
        sha256: sha2::Sha256::digest(CONTENT).into(),
    };
    SiteRoute {
        method,
        priced: false,
        unpaid: Some(StaticResponse::content(content, "text/plain")),
    }
}

/// A priced route that is not on sale.
pub fn hidden(method: &'static str) -> SiteRoute {
    SiteRoute {
        method,
        priced: true,
        unpaid: None,
    }
}

//! A small HTTP gateway: query, verification of the certificate as production gateways do it, and an update call if the
//! canister requests one. Every certified response of every test passes here.

use super::interface::{HttpRequest, HttpResponse, HttpUpdateRequest};
use candid::Principal;
use ic_http_certification as http;
use ic_response_verification::verify_request_response_pair;
use pocket_ic::PocketIc;
use serde::de::DeserializeOwned;
use serde_json::Value;
use x402_icp::{
    decode::decode_header,
    wire::{
        METHOD_ICRC2, PAYMENT_REQUIRED, PAYMENT_RESPONSE, PAYMENT_SIGNATURE, PaymentRequired,
        SettleResponse,
    },
};

/// How far a certificate's time may be off, in nanoseconds: what gateways allow.
const TIME_OFFSET_NS: u128 = 300_000_000_000;

/// An HTTP request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A response.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Whether an update call responded.
    pub upgraded: bool,
}

impl Request {
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: vec![
                ("host".into(), "canister.localhost".into()),
                ("accept".into(), "*/*".into()),
            ],
            body: vec![],
        }
    }

    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// A GET on the raw domain of a canister, where no gateway verifies.
    pub fn get_raw(canister: Principal, url: &str) -> Self {
        let host = ("host".into(), format!("{canister}.raw.localhost"));
        let mut request = Self::get(url);
        request.headers[0] = host;
        request
    }

    fn is_raw(&self) -> bool {
        self.headers[0].1.ends_with(".raw.localhost")
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn payment(self, value: &str) -> Self {
        self.header(PAYMENT_SIGNATURE, value)
    }

    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// The query's raw response.
    pub fn query(&self, pic: &PocketIc, canister: Principal) -> HttpResponse {
        let request = HttpRequest {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
            certificate_version: Some(2),
        };
        let reply = pic
            .query_call(
                canister,
                Principal::anonymous(),
                "http_request",
                candid::encode_one(request).unwrap(),
            )
            .unwrap_or_else(|reject| panic!("{} {}: {reject}", self.method, self.url));
        candid::decode_one(&reply).expect("an HTTP response")
    }

    /// The argument of the update call.
    pub fn update_argument(&self) -> Vec<u8> {
        candid::encode_one(HttpUpdateRequest {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
        })
        .unwrap()
    }

    /// The update's response.
    pub fn update(&self, pic: &PocketIc, canister: Principal) -> Answer {
        let reply = pic
            .update_call(
                canister,
                Principal::anonymous(),
                "http_request_update",
                self.update_argument(),
            )
            .unwrap_or_else(|reject| panic!("{} {}: {reject}", self.method, self.url));
        Answer::from_update(&reply)
    }

    /// Whether a gateway accepts a query's response to this request.
    pub fn verifies(&self, pic: &PocketIc, canister: Principal, response: &HttpResponse) -> bool {
        self.verify(pic, canister, response).is_ok()
    }

    fn verify(
        &self,
        pic: &PocketIc,
        canister: Principal,
        response: &HttpResponse,
    ) -> Result<(), String> {
        let request = http::HttpRequest::builder()
            .with_method(
                http::Method::from_bytes(self.method.as_bytes()).map_err(|e| e.to_string())?,
            )
            .with_url(self.url.clone())
            .with_headers(self.headers.clone())
            .with_body(self.body.clone())
            .build();
        let status = http::StatusCode::from_u16(response.status_code).map_err(|e| e.to_string())?;
        let response = http::HttpResponse::builder()
            .with_status_code(status)
            .with_headers(response.headers.clone())
            .with_body(response.body.to_vec())
            .build();
        verify_request_response_pair(
            request,
            response,
            canister.as_slice(),
            pic.get_time().as_nanos_since_unix_epoch().into(),
            TIME_OFFSET_NS,
            &pic.root_key().expect("the network has a root key"),
            2,
        )
        .map_err(|error| error.to_string())
        .and_then(|info| match info.response {
            Some(_) => Ok(()),
            None => Err("the canister skips certification".into()),
        })
    }

    /// Query, verification, update.
    pub fn send(&self, pic: &PocketIc, canister: Principal) -> Answer {
        let response = self.query(pic, canister);
        if response.upgrade == Some(true) {
            return self.update(pic, canister);
        }
        if !self.is_raw()
            && let Err(problem) = self.verify(pic, canister, &response)
        {
            panic!(
                "{} {}: the gateway refuses: {problem}",
                self.method, self.url
            );
        }
        Answer {
            status: response.status_code,
            headers: response.headers,
            body: response.body,
            upgraded: false,
        }
    }
}

impl Answer {
    /// From the reply of `http_request_update`.
    pub fn from_update(reply: &[u8]) -> Self {
        let response: HttpResponse = candid::decode_one(reply).expect("an HTTP response");
        assert_ne!(response.upgrade, Some(true), "an update cannot be upgraded");
        Self {
            status: response.status_code,
            headers: response.headers,
            body: response.body,
            upgraded: true,
        }
    }

    /// The one value of a header; `None` if it is missing. Two are an error.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} occurs twice");
        value
    }

    fn decoded<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let value = self.header(name)?;
        assert!(value.len() < 10_240, "{name} is {} bytes long", value.len());
        Some(decode_header(name, value.as_bytes()).unwrap_or_else(|e| panic!("{name}: {e}")))
    }

    /// The offers, with those of `icrc2` only.
    pub fn payment_required(&self) -> Option<PaymentRequired> {
        let all: PaymentRequired<Value> = self.all_offers()?;
        let accepts = all.accepts.into_iter().filter_map(|offer| {
            let pulled = offer.extra["assetTransferMethod"] == METHOD_ICRC2;
            let extra = serde_json::from_value(offer.extra.clone());
            pulled.then(|| offer.map_extra(|_| extra.expect("of icrc2")))
        });
        Some(PaymentRequired {
            x402_version: all.x402_version,
            error: all.error,
            resource: all.resource,
            accepts: accepts.collect(),
            extensions: all.extensions,
        })
    }

    /// The offers of all methods.
    pub fn all_offers(&self) -> Option<PaymentRequired<Value>> {
        self.decoded(PAYMENT_REQUIRED)
    }

    /// The outcome of a settlement.
    pub fn payment_response(&self) -> Option<SettleResponse> {
        self.decoded(PAYMENT_RESPONSE)
    }
}

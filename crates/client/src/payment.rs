//! A signed payment, with everything that is needed to send it, now or later.

mod call;
mod transfer;

pub use call::CallPayload;
pub(crate) use call::{decoded_path, not_by_call};
pub use transfer::{OwnTransfer, TransferPayload};

use crate::{
    http::{Request, is_secret},
    journal::RequestKey,
    offer::{Method, Offer, OfferTerms},
};
use candid::Principal;
use reqwest::Url;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use std::fmt;
use x402_icp::{
    Account, Amount, Nonce, PaymentId, Terms,
    authorization::{authorize, payment_id, signed_message},
    decode::decode_header,
    encode_header,
    offer::{OfferParts, offer_matches},
    signer::{Signer, SignerError},
    values::{parse_account, parse_base64, parse_seconds, to_base64},
    wire::{
        ExactIcrc1Extra, ExactIcrc2Extra, ExactIcrc2Payload, PAYMENT_SIGNATURE, PaymentPayload,
        ResourceInfo, X402_VERSION,
    },
};

/// The x402 extension by which a payer identifies a purchase.
const PAYMENT_IDENTIFIER: &str = "payment-identifier";

/// The seller's extensions as a payer echoes them. The only change: the purchase gets the payer's own identifier if the
/// seller accepts one. It is stored with the payment, so it stays the same however often the payment is sent. An
/// identifier in the offer is not the payer's, and is replaced.
pub(crate) fn named(mut extensions: Map<String, Value>, id: Option<&str>) -> Map<String, Value> {
    if let Some(extension) = extensions
        .get_mut(PAYMENT_IDENTIFIER)
        .and_then(Value::as_object_mut)
    {
        let random = || format!("pay_{}", hex::encode(rand::random::<[u8; 16]>()));
        let id = id.map_or_else(random, String::from);
        let info = extension.entry("info").or_insert_with(|| Map::new().into());
        if info.is_null() {
            *info = Map::new().into();
        }
        if let Some(info) = info.as_object_mut() {
            info.insert("id".into(), id.into());
        }
    }
    extensions
}

/// How far the payer's clock may be ahead of the network's, in seconds.
const CLOCK_TOLERANCE: u64 = 30;

/// The payer's part of a payment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Payload {
    /// A signed authorization: the method `icrc2`.
    Authorization(ExactIcrc2Payload),
    /// The proof of the payer's own transfer: the method `icrc1`.
    Transfer(TransferPayload),
    /// The arguments of a call of `pay`: an offer of the method `icrc2`, without a signature.
    Call(CallPayload),
}

impl Payload {
    /// The account that pays, as text.
    pub fn from(&self) -> &str {
        match self {
            Payload::Authorization(authorization) => &authorization.from,
            Payload::Transfer(transfer) => &transfer.from,
            Payload::Call(call) => &call.from,
        }
    }

    /// The authorization, if it is one.
    pub fn authorization(&self) -> Option<&ExactIcrc2Payload> {
        match self {
            Payload::Authorization(authorization) => Some(authorization),
            Payload::Transfer(_) | Payload::Call(_) => None,
        }
    }
}

/// A request together with the payment that was made for it: an authorization that was signed, a transfer, or a call.
///
/// It can be stored and sent again: it is valid for this one purchase and no other, and is never charged twice. It is a
/// bearer token for the resource until it is used, so keep the file private. Headers that are secrets themselves
/// (`Authorization`, cookies) are not stored.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedPayment {
    /// The HTTP method.
    pub method: String,
    /// The URL that the payment is sent to.
    pub url: String,
    /// The requested URL, if it led to `url` by a redirect.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub asked_url: Option<String>,
    /// Headers besides the payment.
    #[serde(serialize_with = "without_secrets")]
    pub headers: Vec<(String, String)>,
    /// The body, in base64.
    body: String,
    /// The payment.
    pub payment: PaymentPayload<Value, Payload>,
    /// The value of the payment header; empty of a call, and while the block of a transfer is not known.
    header: String,
    /// The id under which it is recorded, in hex, and the memo of its block: of an authorization and a call the payment's
    /// id, of a transfer the commitment ([`SignedPayment::known_as`] is the payment's id).
    pub payment_id: String,
    /// The transfer that the payer makes; absent of an authorization.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transfer: Option<OwnTransfer>,
    /// The spender's allowance before this payment was sent, in atomic units.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) allowance: Option<String>,
    /// The end of that allowance, in nanoseconds since 1970-01-01; absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) allowance_ends: Option<String>,
    /// Whether it was read from a store: then it may have been sent before, whatever happens now.
    #[serde(skip_serializing, default = "stored")]
    pub(crate) stored: bool,
}

fn stored() -> bool {
    true
}

fn without_secrets<S: Serializer>(
    headers: &[(String, String)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(headers.iter().filter(|(name, _)| !is_secret(name)))
}

impl fmt::Debug for SignedPayment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedPayment")
            .field("payment_id", &self.payment_id)
            .field("method", &self.method)
            .field("url", &self.url)
            .field("amount", &self.payment.accepted.amount)
            .field("asset", &self.payment.accepted.asset)
            .field("valid_before", &self.valid_before())
            .finish_non_exhaustive()
    }
}

/// The input for signing one purchase.
pub(crate) struct Purchase<'a> {
    pub request: &'a Request,
    pub asked_url: Option<&'a str>,
    pub offer: &'a Offer,
    pub resource: Option<&'a ResourceInfo>,
    pub extensions: Option<&'a Map<String, Value>>,
    pub from: Account,
}

impl SignedPayment {
    /// Signs an offer, or fixes the transfer that pays it. `now` is in seconds since 1970-01-01.
    pub(crate) fn sign(
        purchase: &Purchase<'_>,
        now: u64,
        signer: &dyn Signer,
    ) -> Result<Self, SignerError> {
        let terms = match &purchase.offer.terms {
            OfferTerms::Icrc2(terms) => terms,
            OfferTerms::Icrc1(terms) => return Ok(Self::by_transfer(purchase, terms, now)),
        };
        let seconds = terms.max_timeout_seconds;
        let terms = Terms::from(terms);
        let payload = authorize(
            &terms,
            Some(purchase.from),
            Nonce(rand::random()),
            now.saturating_sub(CLOCK_TOLERANCE),
            now.saturating_add(seconds.into()),
            signer,
        )?;
        let id = payment_id(&signed_message(&terms, &payload));
        let mut signed = Self::of(purchase, Payload::Authorization(payload), id);
        signed.header = encode_header(&signed.payment);
        Ok(signed)
    }

    /// The payment of a purchase, without its header.
    fn of(purchase: &Purchase<'_>, payload: Payload, id: PaymentId) -> Self {
        let Purchase { request, offer, .. } = purchase;
        let name = request.payment_identifier.as_deref();
        SignedPayment {
            method: request.method.clone(),
            url: request.url.clone(),
            asked_url: purchase.asked_url.map(String::from),
            headers: request.headers.clone(),
            body: to_base64(&request.body),
            header: String::new(),
            payment: PaymentPayload {
                x402_version: X402_VERSION,
                resource: purchase.resource.cloned(),
                accepted: offer.verbatim.clone(),
                payload,
                extensions: purchase.extensions.map(|all| named(all.clone(), name)),
            },
            payment_id: id.to_string(),
            transfer: None,
            allowance: offer.allowance.map(|(amount, _)| amount.to_string()),
            allowance_ends: offer
                .allowance
                .and_then(|(_, ends)| Some(ends?.to_string())),
            stored: false,
        }
    }

    /// The keys of the requests that this payment is for: that of its URL, and that of the URL that led there.
    pub fn keys(&self) -> Vec<RequestKey> {
        let (Some(from), Some(request)) = (self.from(), self.request()) else {
            return Vec::new();
        };
        let network = &self.payment.accepted.network;
        let key = |url: &str| RequestKey::new(&from, network, &self.method, url, &request.body);
        let paid = key(&self.url);
        let asked = self.asked_url.as_deref().map(key);
        asked
            .filter(|asked| *asked != paid)
            .into_iter()
            .chain([paid])
            .collect()
    }

    /// The payment identifier, if the seller accepts one.
    pub fn identifier(&self) -> Option<&str> {
        let extension = self.payment.extensions.as_ref()?.get(PAYMENT_IDENTIFIER)?;
        extension.get("info")?.get("id")?.as_str()
    }

    /// The request to send; `None` if the stored body is malformed.
    pub fn request(&self) -> Option<Request> {
        Some(Request {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: parse_base64(self.body.as_bytes(), usize::MAX / 2).ok()?,
            payment_identifier: None,
        })
    }

    /// The value of the payment header: the same bytes whenever it is sent.
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The id under which it is recorded, which is the memo of its block.
    pub fn id(&self) -> Option<PaymentId> {
        self.payment_id.parse().ok()
    }

    /// The id by which the canister knows it; `None` while the block of a transfer is not known.
    pub fn known_as(&self) -> Option<PaymentId> {
        match self.payment.payload {
            Payload::Authorization(_) | Payload::Call(_) => self.id(),
            Payload::Transfer(_) => self.id_of_block(),
        }
    }

    /// The id to show: the canister's, or the record's while there is none.
    pub fn shown_id(&self) -> String {
        self.known_as()
            .map_or_else(|| self.payment_id.clone(), |id| id.to_string())
    }

    /// Whether this is one of its ids.
    pub fn is(&self, id: PaymentId) -> bool {
        self.id() == Some(id) || self.known_as() == Some(id)
    }

    /// The price, in atomic units.
    pub fn amount(&self) -> Option<Amount> {
        self.payment.accepted.amount.parse().ok()
    }

    /// The account that pays.
    pub fn from(&self) -> Option<Account> {
        parse_account(self.payment.payload.from()).ok()
    }

    /// The canister that collects the payment, or reads the proof of the transfer.
    pub fn spender(&self) -> Option<Principal> {
        let member = match self.payment.payload {
            Payload::Authorization(_) | Payload::Call(_) => "spender",
            Payload::Transfer(_) => "canister",
        };
        Principal::from_text(self.payment.accepted.extra.get(member)?.as_str()?).ok()
    }

    /// How it is paid.
    pub fn paid_by(&self) -> Method {
        match self.payment.payload {
            Payload::Authorization(_) => Method::Allowance,
            Payload::Transfer(_) => Method::Transfer,
            Payload::Call(_) => Method::Call,
        }
    }

    /// The time from which it is not charged any more, in seconds since 1970-01-01; of a call the time from which the
    /// canister begins no payment for it any more; `None` of a transfer.
    pub fn valid_before(&self) -> Option<u64> {
        match &self.payment.payload {
            Payload::Authorization(payload) => parse_seconds(&payload.valid_before).ok(),
            Payload::Call(_) => self.call_ends(),
            Payload::Transfer(_) => None,
        }
    }

    /// The time from which it may be charged, in seconds since 1970-01-01; `None` of a transfer.
    pub fn valid_after(&self) -> Option<u64> {
        match &self.payment.payload {
            Payload::Authorization(payload) => parse_seconds(&payload.valid_after).ok(),
            Payload::Call(_) => self.called_at(),
            Payload::Transfer(_) => None,
        }
    }

    /// Checks that id, header and terms belong together, which fails if the file was changed.
    pub(crate) fn check(&self) -> Result<(), String> {
        let unreadable = |e| format!("its terms cannot be decoded: {e}");
        let accepted = self.payment.accepted.clone();
        let raw = accepted.extra.clone();
        match &self.payment.payload {
            Payload::Authorization(payload) => {
                let extra: ExactIcrc2Extra = serde_json::from_value(raw).map_err(unreadable)?;
                let terms = accepted.map_extra(|_| extra.clone());
                let id = payment_id(&signed_message(&Terms::from(&terms), payload));
                self.is_of(id, &extra)?;
            }
            Payload::Transfer(payload) => {
                let extra: ExactIcrc1Extra = serde_json::from_value(raw).map_err(unreadable)?;
                let terms = accepted.map_extra(|_| extra.clone());
                self.is_of(self.commitment(payload, &terms)?, &extra)?;
            }
            Payload::Call(payload) => {
                let extra: ExactIcrc2Extra = serde_json::from_value(raw).map_err(unreadable)?;
                self.is_of(self.call_id(payload)?, &extra)?;
            }
        }
        if !self.is_call() && !self.has_no_block() {
            let sent: PaymentPayload<Value, Payload> =
                decode_header(PAYMENT_SIGNATURE, self.header.as_bytes())
                    .map_err(|e| e.to_string())?;
            if sent != self.payment {
                return Err("its header is another payment's".into());
            }
        }
        if self.request().is_none() {
            return Err("the stored request cannot be decoded".into());
        }
        Ok(())
    }

    /// Checks that this is the id of its terms, and that these are for its request.
    fn is_of<'a>(&self, id: PaymentId, extra: impl Into<OfferParts<'a>>) -> Result<(), String> {
        if self.id() != Some(id) {
            return Err(format!("its terms are those of payment {id}"));
        }
        let url = Url::parse(&self.url).map_err(|e| format!("its URL cannot be parsed: {e}"))?;
        offer_matches(extra, &self.method, url.path())
            .map_err(|e| format!("it was signed for another request: {e}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_purchase_is_named_where_the_seller_takes_names() {
        let declared = json!({
            "payment-identifier": { "info": { "required": true }, "schema": { "type": "object" } },
            "bazaar": { "info": { "input": {} } },
        });
        let echoed = || Value::Object(named(declared.as_object().unwrap().clone(), None));
        let (one, other) = (echoed(), echoed());
        let id = |echo: &Value| {
            let id = echo["payment-identifier"]["info"]["id"].as_str().unwrap();
            id.to_string()
        };
        assert!((16..=128).contains(&id(&one).len()));
        assert_ne!(id(&one), id(&other));
        // Apart from the identifier, everything is as the seller sent it.
        let mut unnamed = one;
        let info = unnamed["payment-identifier"]["info"]
            .as_object_mut()
            .unwrap();
        info.remove("id");
        assert_eq!(unnamed, declared);
    }

    #[test]
    fn nothing_is_named_where_the_seller_takes_no_names() {
        for declared in [
            json!({}),
            json!({ "payment-identifier": 1 }),
            json!({ "a": { "info": {} } }),
        ] {
            let declared = declared.as_object().unwrap().clone();
            assert_eq!(named(declared.clone(), None), declared);
        }
    }
}

//! One signed payment: everything needed to send it, now or tomorrow.

use crate::{http::Request, offer::Offer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use x402_icp::{
    Account, Amount, Nonce, PaymentId, Terms,
    authorization::{authorize, payment_id, signed_message},
    encode_header,
    signer::{Signer, SignerError},
    values::{parse_base64, to_base64},
    wire::{ExactIcrc2Payload, PaymentPayload, ResourceInfo, X402_VERSION},
};

/// The x402 extension by which a payer names a purchase.
const PAYMENT_IDENTIFIER: &str = "payment-identifier";

/// The seller's extensions as a payer echoes them: nothing is changed, and the purchase gets a name where
/// the seller takes one. It is stored with the payment, so that it stays the same however often the
/// payment is sent.
fn named(mut extensions: Map<String, Value>) -> Map<String, Value> {
    if let Some(info) = extensions
        .get_mut(PAYMENT_IDENTIFIER)
        .and_then(|extension| extension.get_mut("info"))
        .and_then(Value::as_object_mut)
    {
        let id = hex::encode(rand::random::<[u8; 16]>());
        info.entry("id")
            .or_insert_with(|| format!("pay_{id}").into());
    }
    extensions
}

/// How far the payer's clock may be ahead of the network's, in seconds.
const CLOCK_TOLERANCE: u64 = 30;

/// A request together with the payment that was signed for it.
///
/// Can be stored and sent again: it is good for this one purchase and no other, and is never charged
/// twice. It is a bearer token for the resource until it is used, so keep the file to yourself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedPayment {
    /// The HTTP method.
    pub method: String,
    /// The URL the payment goes to.
    pub url: String,
    /// Headers besides the payment.
    pub headers: Vec<(String, String)>,
    /// The body, in base64.
    body: String,
    /// The payment.
    pub payment: PaymentPayload<Value, ExactIcrc2Payload>,
    /// The payment's id, in hex.
    pub payment_id: String,
    /// Whether it was read from where it was stored: then it may have been sent before, whatever happens
    /// to it now.
    #[serde(skip_serializing, default = "stored")]
    pub(crate) stored: bool,
}

fn stored() -> bool {
    true
}

impl SignedPayment {
    /// Signs an offer. `now` is in seconds since 1970-01-01.
    pub(crate) fn sign(
        request: Request,
        offer: &Offer,
        resource: Option<ResourceInfo>,
        extensions: Option<Map<String, Value>>,
        from: Account,
        now: u64,
        signer: &dyn Signer,
    ) -> Result<Self, SignerError> {
        let terms = Terms::from(&offer.terms);
        let payload = authorize(
            &terms,
            Some(from),
            Nonce(rand::random()),
            now.saturating_sub(CLOCK_TOLERANCE),
            now.saturating_add(offer.terms.max_timeout_seconds.into()),
            signer,
        )?;
        let id = payment_id(&signed_message(&terms, &payload));
        Ok(SignedPayment {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: to_base64(&request.body),
            payment: PaymentPayload {
                x402_version: X402_VERSION,
                resource,
                accepted: offer.verbatim.clone(),
                payload,
                extensions: extensions.map(named),
            },
            payment_id: id.to_string(),
            stored: false,
        })
    }

    /// The identifier that names this purchase to the seller, if the seller takes any.
    pub fn identifier(&self) -> Option<&str> {
        let extension = self.payment.extensions.as_ref()?.get(PAYMENT_IDENTIFIER)?;
        extension.get("info")?.get("id")?.as_str()
    }

    /// The request to send; `None` if the stored body was tampered with.
    pub fn request(&self) -> Option<Request> {
        Some(Request {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: parse_base64(self.body.as_bytes(), usize::MAX / 2).ok()?,
        })
    }

    /// The value of the payment header.
    pub fn header(&self) -> String {
        encode_header(&self.payment)
    }

    /// The payment's id.
    pub fn id(&self) -> Option<PaymentId> {
        self.payment_id.parse().ok()
    }

    /// The price, in atomic units.
    pub fn amount(&self) -> Option<Amount> {
        self.payment.accepted.amount.parse().ok()
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
        let echoed = || Value::Object(named(declared.as_object().unwrap().clone()));
        let (one, other) = (echoed(), echoed());
        let id = |echo: &Value| {
            let id = echo["payment-identifier"]["info"]["id"].as_str().unwrap();
            id.to_string()
        };
        assert!((16..=128).contains(&id(&one).len()));
        assert_ne!(id(&one), id(&other));
        // Apart from the name, everything is as the seller sent it.
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
            assert_eq!(named(declared.clone()), declared);
        }
    }
}

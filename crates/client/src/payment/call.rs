//! Payments by a call of the Candid method `pay` (`docs/dapps.md`).
//!
//! All arguments are fixed and recorded before the first call, so that a repetition is the same payment. A call says
//! method and path, and nothing else of the request.

use super::{Payload, Purchase, SignedPayment};
use crate::{http::Request, serving::names_canister};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use tollkeeper_types::PayArgs;
use x402_icp::{
    Amount, Nonce, PaymentId,
    call::{CallParts, call_payment_id},
    values::{parse_account, parse_principal},
};

/// The payer's part of a payment by call. Whoever reads it cannot use it: the caller pays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallPayload {
    /// The account that pays.
    pub from: String,
    /// The id that the caller has chosen: 64 hexadecimal digits, random.
    pub call_id: String,
    /// The path that is bought, decoded.
    pub path: String,
    /// `created_at_time` of the transfer, in nanoseconds since 1970-01-01.
    pub created_at_time: String,
}

/// The part of a request that `pay` cannot send; `None` if it can send the whole request.
pub(crate) fn not_by_call(request: &Request) -> Option<&'static str> {
    let named = names_canister(&request.url);
    let matters = |url: Url| {
        url.query_pairs()
            .any(|(name, _)| !(named && name == "canisterId"))
    };
    match request {
        _ if !request.body.is_empty() => Some("a body"),
        _ if Url::parse(&request.url).is_ok_and(matters) => Some("a query"),
        _ if !request.headers.is_empty() => Some("headers"),
        _ if request.payment_identifier.is_some() => Some("a payment identifier"),
        _ => None,
    }
}

/// The path of a URL as the canister reads it: decoded once. The error says why there is none.
pub(crate) fn decoded_path(url: &str) -> Result<String, String> {
    let url = Url::parse(url).map_err(|e| format!("its URL cannot be parsed: {e}"))?;
    let path = percent_decode_str(url.path()).decode_utf8();
    path.map(String::from)
        .map_err(|_| "its path is not UTF-8 when it is decoded".into())
}

impl SignedPayment {
    /// Draws an id and fixes the arguments. `created_at` is in nanoseconds since 1970-01-01.
    pub(crate) fn by_call(purchase: &Purchase<'_>, created_at: u64) -> Result<Self, String> {
        let payload = CallPayload {
            from: purchase.from.to_string(),
            call_id: hex::encode(rand::random::<[u8; 32]>()),
            path: decoded_path(&purchase.request.url)?,
            created_at_time: created_at.to_string(),
        };
        let no_id = PaymentId([0; 32]);
        let mut payment = Self::of(purchase, Payload::Call(payload.clone()), no_id);
        payment.payment_id = payment.call_id(&payload)?.to_string();
        Ok(payment)
    }

    /// Whether it is paid by a call.
    pub fn is_call(&self) -> bool {
        matches!(self.payment.payload, Payload::Call(_))
    }

    /// The id of the payment that these arguments make; the error says what cannot be decoded.
    pub(super) fn call_id(&self, payload: &CallPayload) -> Result<PaymentId, String> {
        if decoded_path(&self.url)? != payload.path {
            return Err("its path is not that of its URL".into());
        }
        let malformed = || "its call cannot be decoded".to_string();
        self.id_of_call(payload).ok_or_else(malformed)
    }

    fn id_of_call(&self, payload: &CallPayload) -> Option<PaymentId> {
        let accepted = &self.payment.accepted;
        let from = parse_account(&payload.from).ok()?;
        Some(call_payment_id(&CallParts {
            canister: self.spender()?,
            caller: from.owner,
            id: &payload.call_id.parse::<Nonce>().ok()?,
            from: &from,
            pay_to: &parse_account(&accepted.pay_to).ok()?,
            ledger: parse_principal(&accepted.asset).ok()?,
            amount: self.amount()?,
            fee: self.fee()?,
            created_at_time: payload.created_at_time.parse().ok()?,
            method: &self.method,
            path: &payload.path,
        }))
    }

    /// The ledger's fee in the offer.
    fn fee(&self) -> Option<Amount> {
        let fee = self.payment.accepted.extra.get("fee")?;
        fee.as_str()?.parse().ok()
    }

    /// The argument of `pay`: the same whenever it is sent. `None` of other payments, or if a part cannot be decoded.
    pub(crate) fn call(&self) -> Option<PayArgs> {
        let Payload::Call(payload) = &self.payment.payload else {
            return None;
        };
        let accepted = &self.payment.accepted;
        let subaccount = parse_account(&payload.from).ok()?.subaccount;
        Some(PayArgs {
            id: ByteBuf::from(payload.call_id.parse::<Nonce>().ok()?.0.to_vec()),
            method: self.method.clone(),
            path: payload.path.clone(),
            ledger: parse_principal(&accepted.asset).ok()?,
            amount: self.amount()?.0.into(),
            fee: self.fee()?.0.into(),
            pay_to: parse_account(&accepted.pay_to).ok()?.into(),
            from_subaccount: subaccount.map(|bytes| ByteBuf::from(bytes.to_vec())),
            created_at_time: payload.created_at_time.parse().ok()?,
        })
    }

    /// `created_at_time` of a call, in seconds since 1970-01-01.
    pub(super) fn called_at(&self) -> Option<u64> {
        Some(self.call()?.created_at_time / 1_000_000_000)
    }

    /// The time from which the canister begins no payment for a call, in seconds since 1970-01-01.
    pub(super) fn call_ends(&self) -> Option<u64> {
        let seconds = self.payment.accepted.max_timeout_seconds;
        Some(self.called_at()?.saturating_add(seconds.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "be2us-64aaa-aaaaa-qaabq-cai";

    #[test]
    fn what_a_call_cannot_say_is_named() {
        let get = |url: &str| Request::get(url).unwrap();
        let here = format!("http://{A}.localhost/a");
        assert_eq!(not_by_call(&get(&here)), None);
        assert_eq!(not_by_call(&get(&format!("{here}#part"))), None);
        assert_eq!(not_by_call(&get(&format!("{here}?"))), None);
        let bare = format!("http://localhost/a?canisterId={A}");
        assert_eq!(not_by_call(&get(&bare)), None);
        for url in [
            format!("{here}?x=1"),
            format!("{here}?x"),
            format!("{here}?canisterId={A}"),
            format!("{bare}&x=1"),
            format!("https://shop.example/a?canisterId={A}"),
        ] {
            assert_eq!(not_by_call(&get(&url)), Some("a query"), "{url}");
        }
        let posted = Request::new("POST", &here, b"1".to_vec()).unwrap();
        assert_eq!(not_by_call(&posted), Some("a body"));
        for header in ["Authorization", "Cookie", "Accept"] {
            let with_header = get(&here).with_header(header, "x");
            assert_eq!(not_by_call(&with_header), Some("headers"), "{header}");
        }
        let named = get(&here).with_payment_identifier("0123456789abcdef");
        assert_eq!(not_by_call(&named.unwrap()), Some("a payment identifier"));
    }

    #[test]
    fn paths_are_decoded_once() {
        let path = |path: &str| decoded_path(&format!("http://{A}.localhost{path}"));
        assert_eq!(path("/caf%C3%A9/a+b?x=%2F#y"), Ok("/café/a+b".into()));
        assert_eq!(path("/a%2525"), Ok("/a%25".into()));
        assert_eq!(path(""), Ok("/".into()));
        assert!(path("/%FF").unwrap_err().contains("UTF-8"));
    }
}

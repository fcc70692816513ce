//! The request that a target gets.

use crate::domain::{
    forward::{Forward, Mode},
    payment::Payment,
};
use candid::Nat;
use serde_bytes::ByteBuf;
use tollkeeper_types::{HeaderField, HttpUpdateRequest, ServeArgs};

/// The request headers that a target gets, in lower case: those that describe the body, and the answer that is wanted.
/// All others stay here. Credentials and cookies are meant for this canister, payments are taken by it, and what
/// gateways and proxies add proves nothing.
const HEADERS: [&str; 5] = [
    "accept",
    "accept-language",
    "content-encoding",
    "content-language",
    "content-type",
];

/// Whether a target may read another path in this one: `.` and `..` are removed by many servers.
pub fn is_ambiguous(path: &str) -> bool {
    path.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// A URL with this decoded path. Everything that is not an ordinary character of a path is percent-encoded.
fn encoded(path: &str, query: &str) -> String {
    let mut url = String::with_capacity(path.len() + 1 + query.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte) {
            url.push(byte.into());
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    if !query.is_empty() {
        url.push('?');
        url.push_str(query);
    }
    url
}

/// The longest value of one of these, in bytes. A longer one is left out.
const MAX_VALUE_BYTES: usize = 1_024;

/// The most bytes of a call's argument beside URL, headers and body.
pub const MAX_ARGUMENT_OVERHEAD: usize = 2_048;

/// The payer's request as the target gets it. Method and path are those of the payment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkRequest {
    /// The path that was bought, percent-encoded, and the query as the client sent it.
    pub url: String,
    pub headers: Vec<HeaderField>,
    pub body: Vec<u8>,
}

impl WorkRequest {
    /// The part of a request that the target gets. `path` is decoded: the target must not read another path than the one
    /// that was paid for. A header that is there twice is left out after the first.
    pub fn new(path: &str, query: &str, headers: &[HeaderField], body: &[u8]) -> Self {
        let wanted = HEADERS.iter().filter_map(|name| {
            let (_, value) = headers
                .iter()
                .find(|(given, _)| given.eq_ignore_ascii_case(name))?;
            (value.len() <= MAX_VALUE_BYTES).then(|| (name.to_string(), value.clone()))
        });
        WorkRequest {
            url: encoded(path, query),
            headers: wanted.collect(),
            body: body.to_vec(),
        }
    }

    /// The bytes that it takes.
    pub fn bytes(&self) -> usize {
        let headers = self.headers.iter();
        let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
        self.url.len() + headers + self.body.len()
    }

    /// The encoded argument of the target's method. The same payment has the same argument in every try.
    pub fn argument(&self, forward: &Forward, payment: &Payment) -> Vec<u8> {
        let method = payment.purchase.request().method.to_string();
        let encoded = match forward.mode {
            Mode::Serve => candid::encode_one(ServeArgs {
                payment_id: ByteBuf::from(payment.id.0.to_vec()),
                payer: payment.from,
                amount: Nat::from(payment.amount.0),
                asset: payment.ledger,
                method,
                url: self.url.clone(),
                headers: self.headers.clone(),
                body: ByteBuf::from(self.body.clone()),
            }),
            Mode::Http => {
                let told = [
                    ("x402-payment-id", payment.id.to_string()),
                    ("x402-payer", payment.from.to_string()),
                    ("x402-amount", payment.amount.0.to_string()),
                    ("x402-asset", payment.ledger.to_text()),
                ];
                let told = told.map(|(name, value)| (name.to_string(), value));
                candid::encode_one(HttpUpdateRequest {
                    method,
                    url: self.url.clone(),
                    headers: self.headers.iter().cloned().chain(told).collect(),
                    body: self.body.clone(),
                })
            }
        };
        encoded.expect("BUG: every argument can be encoded")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::forward::tests::forward, storage::payments::tests};
    use candid::Decode;

    fn field(name: &str, value: &str) -> HeaderField {
        (name.into(), value.into())
    }

    fn request() -> WorkRequest {
        let headers = [
            field("Host", "shop.example"),
            field("Authorization", "Bearer secret"),
            field("Cookie", "session=1"),
            field("Payment-Signature", "signed"),
            field("X-PAYMENT", "old"),
            field("x402-payer", "somebody else"),
            field("X402-Payment-Id", "another"),
            field("x-forwarded-for", "10.0.0.1"),
            field("Connection", "accept"),
            field("Content-Type", "text/plain"),
            field("content-type", "text/html"),
            field("Accept", "*/*"),
            field("Accept-Language", &"x".repeat(MAX_VALUE_BYTES + 1)),
        ];
        WorkRequest::new("/a", "b=c", &headers, b"body")
    }

    #[test]
    fn the_target_gets_what_describes_the_request_and_no_credentials() {
        let request = request();
        let kept = [field("accept", "*/*"), field("content-type", "text/plain")];
        assert_eq!(request.headers, kept);
        let bytes = "/a?b=caccept*/*content-typetext/plainbody".len();
        assert_eq!(request.bytes(), bytes);
    }

    #[test]
    fn forward_target_reads_the_path_that_was_paid_for() {
        let url = |path, query| WorkRequest::new(path, query, &[], &[]).url;
        for (path, query, expected) in [
            ("/a/b", "", "/a/b"),
            ("/a/b", "c=/../d", "/a/b?c=/../d"),
            ("/a?b", "", "/a%3Fb"),
            ("/a#b", "", "/a%23b"),
            ("/a%2Fb", "", "/a%252Fb"),
            ("/a\\b c", "", "/a%5Cb%20c"),
            ("/é\r\n", "x", "/%C3%A9%0D%0A?x"),
        ] {
            assert_eq!(url(path, query), expected);
        }
        for ambiguous in ["/a/../b", "/./a", "/a/..", ".."] {
            assert!(is_ambiguous(ambiguous), "{ambiguous}");
        }
        assert!(!is_ambiguous("/a/...") && !is_ambiguous("/a.b/..c"));
    }

    #[test]
    fn both_methods_name_payment_and_payer() {
        let payment = tests::payment(1, 1);
        let serve = request().argument(&forward(), &payment);
        let serve = Decode!(&serve, ServeArgs).unwrap();
        assert_eq!(serve.payment_id.as_slice(), payment.id.0);
        assert_eq!((serve.payer, serve.asset), (payment.from, payment.ledger));
        assert_eq!(
            (serve.url.as_str(), serve.body.as_slice()),
            ("/a?b=c", &b"body"[..])
        );
        let http = Forward {
            mode: Mode::Http,
            ..forward()
        };
        let http = request().argument(&http, &payment);
        let http = Decode!(&http, HttpUpdateRequest).unwrap();
        let told = |name: &str| {
            let mut named = http.headers.iter().filter(|(given, _)| given == name);
            let (first, second) = (named.next(), named.next());
            assert!(second.is_none());
            first.map(|(_, value)| value.clone())
        };
        assert_eq!(told("x402-payment-id"), Some(payment.id.to_string()));
        assert_eq!(told("x402-payer"), Some(payment.from.to_string()));
        assert_eq!(told("authorization"), None);
        assert_eq!(
            (http.method.as_str(), http.body.as_slice()),
            ("GET", &b"body"[..])
        );
    }

    #[test]
    fn the_overhead_of_an_argument_is_bounded() {
        let mut payment = tests::payment(1, 1);
        let long = candid::Principal::from_slice(&[255; 29]);
        payment.from.owner = long;
        payment.from.subaccount = Some([255; 32]);
        payment.amount.0 = u128::MAX;
        payment.ledger = long;
        for mode in Mode::ALL {
            let forward = Forward { mode, ..forward() };
            let argument = request().argument(&forward, &payment);
            assert!(argument.len() <= request().bytes() + MAX_ARGUMENT_OVERHEAD);
        }
    }
}

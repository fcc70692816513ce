//! Limits on the size of a request: one rule for the query, `inspect_message` and the update, so that everything that
//! is offered can also be paid for.

use super::{static_response::StaticResponse, types::HeaderField};
use x402_icp::{decode::MAX_HEADER_BYTES, wire::PAYMENT_SIGNATURE};

/// The most bytes of a request without its payment header: method, URL, headers and body. Each byte of a message costs
/// the canister cycles, paid for or not, and no purchase needs a large body.
pub const MAX_REQUEST_BYTES: usize = 65_536;
/// The bytes that a header counts in addition to its name and value: about what Candid needs for their lengths.
const HEADER_OVERHEAD: usize = 4;
/// The most bytes of a payment header.
const PAYMENT_BYTES: usize = MAX_HEADER_BYTES + PAYMENT_SIGNATURE.len() + HEADER_OVERHEAD;
/// The longest argument of `http_request_update`: the largest request, the longest payment header, and Candid's
/// overhead (its type table, and a byte for each header name of 128 bytes or more).
pub const MAX_ARGUMENT_BYTES: usize = MAX_REQUEST_BYTES + PAYMENT_BYTES + 1_024;

/// The reason why a request is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLarge {
    /// The body is the larger part of it.
    Body,
    /// The headers are.
    Headers,
}

impl TooLarge {
    /// Both, in the order of [`Self::index`].
    pub const ALL: [TooLarge; 2] = [TooLarge::Body, TooLarge::Headers];

    /// The index in [`Self::ALL`].
    pub fn index(self) -> usize {
        usize::from(self == TooLarge::Headers)
    }

    pub fn answer(self) -> StaticResponse {
        match self {
            TooLarge::Body => {
                StaticResponse::json(413, r#"{"error":"request_too_large","limit":65536}"#)
            }
            TooLarge::Headers => {
                StaticResponse::json(431, r#"{"error":"headers_too_large","limit":65536}"#)
            }
        }
    }
}

/// Whether a request is small enough. A payment header up to its own limit does not count.
pub fn check(
    method: &str,
    url: &str,
    headers: &[HeaderField],
    body: usize,
) -> Result<(), TooLarge> {
    let (mut payment, mut others) = (0_usize, 0_usize);
    for (name, value) in headers {
        let bytes = name.len() + value.len() + HEADER_OVERHEAD;
        match name.eq_ignore_ascii_case(PAYMENT_SIGNATURE) {
            true => payment += bytes,
            false => others += bytes,
        }
    }
    let headers = others + payment.saturating_sub(PAYMENT_BYTES);
    if method.len() + url.len() + headers + body <= MAX_REQUEST_BYTES {
        return Ok(());
    }
    Err(match body >= headers {
        true => TooLarge::Body,
        false => TooLarge::Headers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(count: usize, bytes: usize) -> Vec<HeaderField> {
        vec![("x-name".into(), "v".repeat(bytes)); count]
    }

    #[test]
    fn should_count_everything_but_one_payment_header() {
        let room = MAX_REQUEST_BYTES - "POST".len() - "/a".len();
        assert_eq!(check("POST", "/a", &[], room), Ok(()));
        assert_eq!(check("POST", "/a", &[], room + 1), Err(TooLarge::Body));
        let longest = vec![("Payment-Signature".into(), "A".repeat(MAX_HEADER_BYTES))];
        assert_eq!(check("POST", "/a", &longest, room), Ok(()));
        let longer = vec![("Payment-Signature".into(), "A".repeat(MAX_HEADER_BYTES + 1))];
        assert_eq!(check("POST", "/a", &longer, room), Err(TooLarge::Body));
        assert_eq!(check("POST", "/a", &longer, room - 1), Ok(()));
        let two = [longest.clone(), longest].concat();
        assert_eq!(check("POST", "/a", &two, room), Err(TooLarge::Body));
        assert_eq!(check("POST", "/a", &two, 40_000), Ok(()));
    }

    #[test]
    fn should_say_whether_body_or_headers_are_too_large() {
        for (count, bytes, body, expected) in [
            (1, 70_000, 0, TooLarge::Headers),
            (7_000, 0, 0, TooLarge::Headers),
            (700, 100, 100, TooLarge::Headers),
            (1, 30_000, 40_000, TooLarge::Body),
            (1, 40_000, 30_000, TooLarge::Headers),
            (0, 0, 2_000_000, TooLarge::Body),
        ] {
            let headers = headers(count, bytes);
            assert_eq!(check("GET", "/a", &headers, body), Err(expected));
        }
        assert_eq!(check("GET", "/a", &headers(4_000, 5), 0), Ok(()));
    }
}

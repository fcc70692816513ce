//! Reading requests.

use super::types::HeaderField;
use candid::Principal;
use sha2::{Digest, Sha256};
use x402_icp::{
    PaymentId,
    wire::{PAYMENT_SIGNATURE, X_PAYMENT},
};

/// The path of receipts; followed by the payment id in hexadecimal digits.
pub const RECEIPTS: &str = "/x402/receipts/";

/// The path of payment states; followed by the payment id in hexadecimal digits.
pub const PAYMENTS: &str = "/x402/payments/";

/// The path of invoices; followed by the id in hexadecimal digits.
pub const INVOICES: &str = "/x402/invoices/";

/// The payment headers of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentHeader<'a> {
    None,
    One(&'a str),
    /// There are several. A proxy may have read another one than the canister would.
    Many,
    /// There is only an `X-PAYMENT`: a payment of version 1 of the protocol.
    Version1,
}

impl<'a> PaymentHeader<'a> {
    /// Finds the header `PAYMENT-SIGNATURE`, its name in any case. An `X-PAYMENT` beside it is ignored.
    pub fn find(headers: &'a [HeaderField]) -> Self {
        let mut values = headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(PAYMENT_SIGNATURE))
            .map(|(_, value)| value.as_str());
        let version_1 = || {
            headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case(X_PAYMENT))
        };
        match (values.next(), values.next()) {
            (None, _) if version_1() => Self::Version1,
            (None, _) => Self::None,
            (Some(value), None) => Self::One(value),
            (Some(_), Some(_)) => Self::Many,
        }
    }
}

/// Whether the request came to the raw domain of this canister (`<canister>.raw.icp0.io`, `<canister>.raw.localhost`),
/// where gateways verify nothing. It is another origin than the one where they do. Over HTTP/2 gateways send no `Host`.
pub fn is_raw(headers: &[HeaderField], canister: Principal) -> bool {
    let mut hosts = headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    let (Some((_, host)), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let host = host.to_ascii_lowercase();
    host.strip_prefix(&canister.to_text())
        .is_some_and(|domain| domain.starts_with(".raw."))
}

/// The payment id in a path below `place`: [`RECEIPTS`] or [`PAYMENTS`].
pub fn payment_id(place: &str, path: &str) -> Option<PaymentId> {
    let digits = path.strip_prefix(place)?;
    // Other spellings of the same id would be other paths with the same response.
    if digits.len() != 64 || digits.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut id = [0; 32];
    hex::decode_to_slice(digits, &mut id).ok()?;
    Some(PaymentId(id))
}

/// SHA-256 of every part of a request that its response may depend on. The same payment with another fingerprint is
/// another request, and refused.
pub fn fingerprint(method: &str, path: &str, query: &str, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [method.as_bytes(), path.as_bytes(), query.as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, value: &str) -> HeaderField {
        (name.to_string(), value.to_string())
    }

    #[test]
    fn should_find_the_payment_in_any_case_and_refuse_two() {
        let one = [field("accept", "*/*"), field("Payment-signature", "abc")];
        assert_eq!(PaymentHeader::find(&one), PaymentHeader::One("abc"));
        let two = [
            field("payment-signature", "abc"),
            field("PAYMENT-SIGNATURE", "abc"),
        ];
        assert_eq!(PaymentHeader::find(&two), PaymentHeader::Many);
        assert_eq!(PaymentHeader::find(&[]), PaymentHeader::None);
        for name in ["x-payment", "X-Payment", "X-PAYMENT"] {
            let old = field(name, "abc");
            assert_eq!(
                PaymentHeader::find(std::slice::from_ref(&old)),
                PaymentHeader::Version1
            );
            let both = [old, field("PAYMENT-SIGNATURE", "def")];
            assert_eq!(PaymentHeader::find(&both), PaymentHeader::One("def"));
        }
    }

    #[test]
    fn should_know_the_raw_domain_of_this_canister_alone() {
        let own = Principal::from_slice(&[1, 2, 3, 4, 5]);
        let other = Principal::from_slice(&[1, 2, 3, 4, 6]);
        let is_own = |host: &str| is_raw(&[field("accept", "*/*"), field("Host", host)], own);
        let upper = own.to_text().to_uppercase();
        for host in [
            format!("{own}.raw.icp0.io"),
            format!("{own}.raw.localhost:8000"),
            format!("{upper}.RAW.ic0.app"),
        ] {
            assert!(is_own(&host), "{host}");
        }
        for host in [
            String::new(),
            format!("{own}.icp0.io"),
            format!("{own}.raw"),
            format!("{own}.rawer.example"),
            format!("{other}.raw.icp0.io"),
            format!("x{own}.raw.icp0.io"),
            "shop.raw.example".into(),
        ] {
            assert!(!is_own(&host), "{host}");
        }
        let raw = field("host", &format!("{own}.raw.icp0.io"));
        assert!(!is_raw(&[], own));
        assert!(!is_raw(&[raw.clone(), raw], own), "two hosts");
    }

    #[test]
    fn should_read_payment_ids_in_one_spelling_only() {
        let digits = "ab".repeat(32);
        for place in [RECEIPTS, PAYMENTS] {
            let path = format!("{place}{digits}");
            assert_eq!(payment_id(place, &path), Some(PaymentId([0xab; 32])));
        }
        let path = format!("{PAYMENTS}{digits}");
        assert_eq!(payment_id(RECEIPTS, &path), None);
        for bad in [
            format!("{RECEIPTS}{}", digits.to_uppercase()),
            format!("{RECEIPTS}{}", &digits[2..]),
            format!("{RECEIPTS}{digits}/"),
            format!("{RECEIPTS}{}", "zz".repeat(32)),
            format!("{RECEIPTS}{}", "é".repeat(32)),
            RECEIPTS.to_string(),
            "/x402/receipts".to_string(),
        ] {
            assert_eq!(payment_id(RECEIPTS, &bad), None, "{bad}");
        }
    }

    #[test]
    fn should_tell_apart_requests_whose_parts_run_together() {
        let base = fingerprint("GET", "/a", "b", b"c");
        assert_eq!(base, fingerprint("GET", "/a", "b", b"c"));
        for other in [
            fingerprint("POST", "/a", "b", b"c"),
            fingerprint("GET", "/ab", "", b"c"),
            fingerprint("GET", "/a", "bc", b""),
            fingerprint("GET", "/a", "b", b"d"),
        ] {
            assert_ne!(base, other);
        }
    }
}

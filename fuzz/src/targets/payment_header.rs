//! The `PAYMENT-SIGNATURE` header, raw and with the base64 already made.
//!
//! What is read can be written, and is then read as the same; what is too long is never read. A payment
//! identifier that is taken has the form that it must have.

use serde_json::Value;
use tollkeeper::domain::identifier;
use x402_icp::{
    decode::{MAX_HEADER_BYTES, decode_payment},
    encode_header,
    values::{parse_base64, to_base64},
    wire::PaymentPayload,
};

pub fn run(data: &[u8]) {
    header(data);
    header(to_base64(data).as_bytes());
}

fn header(header: &[u8]) {
    let payment = match decode_payment(header) {
        Ok(payment) => payment,
        Err(error) => {
            assert!(!error.field().is_empty());
            let _ = (error.limit(), error.to_string());
            return;
        }
    };
    assert!(header.len() <= MAX_HEADER_BYTES);
    if let Ok(Some(id)) = identifier::given(payment.payload.extensions.as_ref()) {
        assert!(identifier::LENGTH.contains(&id.len()));
        assert!(
            id.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
    }
    // The reader by hand reads nothing else than the derived one, for which a member that is null is there.
    let json = parse_base64(header, MAX_HEADER_BYTES).expect("it was read");
    let mut json = serde_json::from_slice(&json).expect("it was read");
    drop_nulls(&mut json);
    let derived: PaymentPayload =
        serde_json::from_value(json).expect("the derived reader reads it");
    assert_eq!(
        PaymentPayload {
            extensions: None,
            ..derived
        },
        PaymentPayload {
            extensions: None,
            ..payment.payload.clone()
        }
    );
    // Extensions are handed through unread; floating-point numbers in them need not survive.
    let mut payload = payment.payload.clone();
    payload.extensions = None;
    let written = encode_header(&payload);
    if written.len() <= MAX_HEADER_BYTES {
        let again = decode_payment(written.as_bytes()).expect("what was read can be read again");
        assert_eq!(again.authorization, payment.authorization);
        assert_eq!(again.payload, payload);
    }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(values) => values.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

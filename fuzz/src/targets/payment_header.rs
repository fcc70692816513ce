//! The `PAYMENT-SIGNATURE` header, raw and with the base64 already made.
//!
//! What is read can be written, and is then read as the same; what is too long is never read. A payment
//! identifier that is taken has the form that it must have.

use tollkeeper::domain::identifier;
use x402_icp::{
    decode::{MAX_HEADER_BYTES, decode_payment},
    encode_header,
    values::to_base64,
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

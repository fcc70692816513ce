//! The headers that clients read from a seller they need not trust: offers and receipts.

use serde_json::Value;
use x402_icp::{
    Terms,
    decode::{decode_header, decode_json},
    values::to_base64,
    wire::{PaymentRequired, SettleResponse},
};

pub fn run(data: &[u8]) {
    let header = to_base64(data);
    let _ = decode_header::<PaymentRequired<Value>>("PAYMENT-REQUIRED", header.as_bytes());
    if let Ok(required) = decode_header::<PaymentRequired>("PAYMENT-REQUIRED", header.as_bytes()) {
        for offer in &required.accepts {
            let terms = Terms::from(offer);
            assert_eq!(terms.pay_to, offer.pay_to);
        }
    }
    let _ = decode_header::<SettleResponse>("PAYMENT-RESPONSE", header.as_bytes());
    let _ = decode_json::<SettleResponse>("body", data);
}

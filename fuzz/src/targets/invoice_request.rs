//! Requests for invoices over HTTP: JSON that the canister reads itself.
//!
//! What is read stands in the JSON as `serde_json` reads it, and is within the limits of `invoice_create`; the
//! same over Candid is the same. What is refused is answered with the reason, as JSON.

use candid::Encode;
use serde_json::Value;
use tollkeeper::{
    api::{
        arguments,
        http::invoices::{read, read_body},
        types::InvoiceArgs,
    },
    domain::template::MAX_PATH_BYTES,
    types::Method,
};
use x402_icp::Nonce;

pub fn run(data: &[u8]) {
    let args = match read_body(data) {
        Ok(args) => args,
        Err(response) => {
            assert_eq!(response.status_code, 400);
            let said: Value = serde_json::from_slice(&response.body).expect("JSON");
            assert!(said["error"].is_string() && said["message"].is_string());
            return;
        }
    };
    let given: Value = serde_json::from_slice(data).expect("it was read");
    // `serde` takes a list of the values for the object as well.
    if given.is_array() {
        return;
    }
    let id = args.id[..].try_into().expect("32 bytes");
    assert_eq!(given["id"], Nonce(id).to_string());
    assert_eq!(given["path"], args.path);
    assert_eq!(*given.get("method").unwrap_or(&"GET".into()), args.method);
    assert_eq!(given["ledger"], args.ledger.to_text());
    let price = args.price.as_ref().map(|price| price.0.to_string());
    assert_eq!(given["price"].as_str(), price.as_deref());
    let encoded = Encode!(&args).expect("can be encoded");
    let again: Result<(InvoiceArgs,), _> = arguments::read(&encoded, arguments::UPDATE);
    assert_eq!(again, Ok((args.clone(),)));
    let Ok((read_id, terms)) = read(&args) else {
        return;
    };
    assert_eq!(read_id.0, id);
    assert_eq!(terms.request.method, Method::Get);
    assert!(terms.request.path.len() <= MAX_PATH_BYTES);
    assert_eq!(terms.request.path, args.path);
    assert_eq!(terms.price.map(|price| price.0.to_string()), price);
    let refund_to = terms.refund_to.map(|account| account.to_string());
    assert_eq!(given["refundTo"].as_str(), refund_to.as_deref());
}

//! Receipts with their proofs: the same JSON for the Candid method `receipt_proof` and for `GET /x402/receipts/{id}`.

use super::{
    certification, proof as tree,
    request::{self, PaymentHeader, RECEIPTS},
    response, size,
    static_response::header,
    types::{HttpRequest, HttpResponse},
    url::RequestUrl,
};
use crate::{
    domain::payment::Payment, runtime::Runtime, service::payments, storage, types::PaymentId,
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use x402_icp::receipt::{DetailFields, Receipt, ReceiptFields, ReceiptProof, VERSION};

/// The receipt of a settled payment with its proof, as JSON. Callers who may know who paid for what get the details,
/// too. Without a certificate (in an update) there is no proof.
pub fn proof<R: Runtime>(runtime: &R, id: &PaymentId) -> Option<String> {
    let (index, payment) = payments::settled_payment(id)?;
    let receipt = storage::payments::receipt(&payment)?;
    let mut json = described(&payment, &receipt);
    if payments::knows_who_paid(runtime, &payment.from, &payment.to) {
        json.details = Some(DetailFields::from(&payment.receipt_details()));
    }
    let mut text = serde_json::to_string(&json).ok()?;
    if let Some(certificate) = runtime.data_certificate() {
        prove(&mut text, index, &receipt, &certificate);
    }
    Some(text)
}

/// What is public of a receipt, without a proof: for updates, which consensus proves.
pub(super) fn recorded(id: &PaymentId) -> Option<ReceiptProof> {
    let (_, payment) = payments::settled_payment(id)?;
    Some(described(&payment, &storage::payments::receipt(&payment)?))
}

/// The query's response to a request for a receipt that is certified; `None` for every other request.
pub(super) fn respond<R: Runtime>(runtime: &R, request: &HttpRequest) -> Option<HttpResponse> {
    if !matches!(&*request.method, "GET" | "HEAD")
        || !request.url.starts_with(RECEIPTS)
        || !request.body.is_empty()
        || PaymentHeader::find(&request.headers) != PaymentHeader::None
        || size::check(&request.method, &request.url, &request.headers, 0).is_err()
    {
        return None;
    }
    let url = RequestUrl::parse(&request.url)
        .ok()
        .filter(|url| url.plain)?;
    let id = request::payment_id(RECEIPTS, &url.path)?;
    let certificate = runtime.data_certificate()?;
    let (index, payment) = payments::settled_payment(&id)?;
    let receipt = storage::payments::receipt(&payment)?;
    let mut text = serde_json::to_string(&described(&payment, &receipt)).ok()?;
    prove(&mut text, index, &receipt, &certificate)?;
    let mut response = response::json_text(text.into_bytes());
    response
        .headers
        .push(header("x-content-type-options", "nosniff"));
    certification::skip_certification(&mut response, &url.path, &certificate)?;
    if request.method == "HEAD" {
        response.body.clear();
    }
    Some(response)
}

fn described(payment: &Payment, receipt: &Receipt) -> ReceiptProof {
    let (status, refund_transaction) = response::status(&payment.state);
    ReceiptProof {
        version: VERSION,
        receipt: ReceiptFields::from(receipt),
        details: None,
        index: None,
        witness: None,
        certificate: None,
        status: status.into(),
        refund_transaction,
    }
}

/// Adds the proof to the JSON of a receipt; `None` if the receipt is not certified yet. Most of the text is base64, in
/// which there is nothing to escape.
fn prove(json: &mut String, index: u64, receipt: &Receipt, certificate: &[u8]) -> Option<()> {
    let witness = tree::tree(&certification::receipt_witness(index, &receipt.hash())?);
    // Three bytes are four characters.
    json.reserve((witness.len() + certificate.len()) / 3 * 4 + 128);
    json.truncate(json.len() - "}".len());
    json.push_str(",\"index\":\"");
    json.push_str(&index.to_string());
    json.push_str("\",\"witness\":\"");
    BASE64.encode_string(witness, json);
    json.push_str("\",\"certificate\":\"");
    BASE64.encode_string(certificate, json);
    json.push_str("\"}");
    Some(())
}

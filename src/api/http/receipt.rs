//! Receipts with their proofs: the same JSON for the Candid method `receipt_proof` and for `GET /x402/receipts/{id}`.
//!
//! Only queries have a proof, and no answer that holds one can be certified ahead of time. So the query answers where
//! gateways verify nothing, on the raw domain. On every other host an update does, without a proof; nothing below
//! `/x402/receipts` is exempt from certification.

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
use x402_icp::{
    network::MAINNET,
    receipt::{DetailFields, ProofAt, Receipt, ReceiptFields, ReceiptProof, VERSION},
};

/// The receipt of a settled payment with its proof, as JSON. Callers who may know who paid for what get the details,
/// too. Without a certificate (in an update) there is no proof.
pub fn proof<R: Runtime>(runtime: &R, id: &PaymentId) -> Option<String> {
    let (index, payment) = payments::settled_payment(id)?;
    let receipt = storage::payments::receipt(&payment)?;
    let mut json = described(&payment, &receipt);
    if payments::knows_who_paid(runtime, &payment.from, &payment.to) {
        json.details = Some(DetailFields::from(&payment.receipt_details()));
    }
    let proven = runtime
        .data_certificate()
        .and_then(|certificate| proven(&json, index, &receipt, &certificate));
    proven.or_else(|| {
        json.proof_at = Some(proof_at(&receipt));
        serde_json::to_string(&json).ok()
    })
}

/// The update's response to a request for a receipt, with what is public. Consensus proves it to the client, and to
/// nobody else: so it names the places of the proof.
pub(super) fn recorded(id: &PaymentId) -> Option<HttpResponse> {
    let (_, payment) = payments::settled_payment(id)?;
    let receipt = storage::payments::receipt(&payment)?;
    let mut json = described(&payment, &receipt);
    json.proof_at = Some(proof_at(&receipt));
    Some(response(serde_json::to_vec(&json).ok()?))
}

/// The query's response to a request on the raw domain for a receipt that is certified; `None` for every other request.
pub(super) fn respond<R: Runtime>(runtime: &R, request: &HttpRequest) -> Option<HttpResponse> {
    if !matches!(&*request.method, "GET" | "HEAD")
        || !request.url.starts_with(RECEIPTS)
        || !request.body.is_empty()
        || PaymentHeader::find(&request.headers) != PaymentHeader::None
        || !request::is_raw(&request.headers, runtime.canister_id())
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
    let json = described(&payment, &receipt);
    let mut answer = response(proven(&json, index, &receipt, &certificate)?.into_bytes());
    if request.method == "HEAD" {
        answer.body.clear();
    }
    Some(answer)
}

/// 200 with a receipt. Browsers show it as JSON and as nothing else.
fn response(json: Vec<u8>) -> HttpResponse {
    let mut response = response::json_text(json);
    let nosniff = header("x-content-type-options", "nosniff");
    response.headers.push(nosniff);
    response
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
        proof_at: None,
        status: status.into(),
        refund_transaction,
    }
}

/// Where the proof of a receipt can be had. The raw domains of other networks than the mainnet are not known.
fn proof_at(receipt: &Receipt) -> ProofAt {
    let (canister, id) = (receipt.canister, receipt.payment_id);
    ProofAt {
        canister: canister.to_text(),
        query: "receipt_proof".into(),
        url: (receipt.network == MAINNET)
            .then(|| format!("https://{canister}.raw.icp0.io{RECEIPTS}{id}")),
    }
}

/// The JSON of a receipt with its proof; `None` if the receipt is not certified yet. Most of the text is base64, in
/// which there is nothing to escape.
fn proven(
    json: &ReceiptProof,
    index: u64,
    receipt: &Receipt,
    certificate: &[u8],
) -> Option<String> {
    let witness = tree::tree(&certification::receipt_witness(index, &receipt.hash())?);
    let mut text = serde_json::to_string(json).ok()?;
    // Three bytes are four characters.
    text.reserve((witness.len() + certificate.len()) / 3 * 4 + 128);
    text.truncate(text.len() - "}".len());
    text.push_str(",\"index\":\"");
    text.push_str(&index.to_string());
    text.push_str("\",\"witness\":\"");
    BASE64.encode_string(witness, &mut text);
    text.push_str("\",\"certificate\":\"");
    BASE64.encode_string(certificate, &mut text);
    text.push_str("\"}");
    Some(text)
}

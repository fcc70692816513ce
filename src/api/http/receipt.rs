//! Receipts with their proofs: the same JSON for the Candid method `receipt_proof` and for `GET /x402/receipts/{id}`.
//!
//! Only queries have a proof, and no answer that holds one can be certified ahead of time. So the query answers where
//! gateways verify nothing, on the raw domain. On every other host an update does, without a proof; nothing below
//! `/x402/receipts` is exempt from certification.

use super::{
    certification,
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
use serde::Serialize;
use x402_icp::{
    jws::Artifact,
    network::MAINNET,
    receipt::{DetailFields, ProofAt, Receipt, VERSION},
};

/// The receipt of a settled payment with its proof, as JSON. Callers who may know who paid for what get the details,
/// too. Without a certificate (in an update) there is no proof.
pub fn proof<R: Runtime>(runtime: &R, id: &PaymentId) -> Option<String> {
    let (index, payment) = payments::settled_payment(id)?;
    let receipt = storage::payments::receipt(&payment)?;
    let proof = runtime
        .data_certificate()
        .and_then(|certificate| Some((witness(index, &receipt)?, certificate)));
    let mut json = described(&payment, &receipt, proof.as_ref().map_or(0, length));
    if payments::knows_who_paid(runtime, &payment.from, &payment.to) {
        let details = DetailFields::from(&payment.receipt_details());
        member(&mut json, "details", &details)?;
        // It names payer and resource, so it is for the same callers.
        if let Some(jws) = storage::receipt_signatures::get(id) {
            member(&mut json, "signedReceipt", &Artifact::from(jws))?;
        }
    }
    match proof {
        Some(proof) => prove(&mut json, index, &proof),
        None => member(&mut json, "proofAt", &proof_at(&receipt))?,
    }
    json.push('}');
    Some(json)
}

/// The update's response to a request for a receipt, with what is public. Consensus proves it to the client, and to
/// nobody else: so it names the places of the proof.
pub(super) fn recorded(id: &PaymentId) -> Option<HttpResponse> {
    let (_, payment) = payments::settled_payment(id)?;
    let receipt = storage::payments::receipt(&payment)?;
    let mut json = described(&payment, &receipt, 0);
    member(&mut json, "proofAt", &proof_at(&receipt))?;
    Some(response(json))
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
    let proof = (witness(index, &receipt)?, certificate);
    let mut json = described(&payment, &receipt, length(&proof));
    prove(&mut json, index, &proof);
    let mut answer = response(json);
    if request.method == "HEAD" {
        answer.body.clear();
    }
    Some(answer)
}

/// 200 with a receipt. Browsers show it as JSON and as nothing else.
fn response(mut json: String) -> HttpResponse {
    json.push('}');
    let mut response = response::json_text(json.into_bytes());
    let nosniff = header("x-content-type-options", "nosniff");
    response.headers.push(nosniff);
    response
}

/// The beginning of the JSON of a receipt ([`x402_icp::receipt::ReceiptProof`]), without the brace at its end. `more`: the
/// length of what is still to come.
fn described(payment: &Payment, receipt: &Receipt, more: usize) -> String {
    let (status, refund_transaction) = response::status(&payment.state);
    let mut json = String::with_capacity(1_280 + more);
    json.push_str("{\"version\":");
    json.push_str(&VERSION.to_string());
    json.push_str(",\"receipt\":");
    receipt.write_json(&mut json);
    json.push_str(",\"status\":\"");
    json.push_str(status);
    json.push('"');
    if let Some(block) = refund_transaction {
        json.push_str(",\"refundTransaction\":\"");
        json.push_str(&block);
        json.push('"');
    }
    json
}

/// Appends a member.
fn member(json: &mut String, name: &str, value: &impl Serialize) -> Option<()> {
    json.push_str(",\"");
    json.push_str(name);
    json.push_str("\":");
    json.push_str(&serde_json::to_string(value).ok()?);
    Some(())
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

/// A witness and a certificate.
type Proof = (Vec<u8>, Vec<u8>);

/// The witness of this receipt, if it is certified.
fn witness(index: u64, receipt: &Receipt) -> Option<Vec<u8>> {
    certification::receipt_witness(index, &receipt.hash())
}

/// The bytes of a proof as JSON, or a few more. Three bytes are four characters.
fn length((witness, certificate): &Proof) -> usize {
    (witness.len() + certificate.len()) / 3 * 4 + 128
}

/// Appends the proof. Most of the text is base64, in which there is nothing to escape.
fn prove(json: &mut String, index: u64, (witness, certificate): &Proof) {
    json.push_str(",\"index\":\"");
    json.push_str(&index.to_string());
    json.push_str("\",\"witness\":\"");
    BASE64.encode_string(witness, json);
    json.push_str("\",\"certificate\":\"");
    BASE64.encode_string(certificate, json);
    json.push('"');
}

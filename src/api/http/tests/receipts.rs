//! Receipts that prove themselves, from the payment to the verified proof, with a scripted system.

use super::{paid::certified, prover::Prover};
use crate::{
    api::{
        endpoints,
        http::{
            certification::with_site, certify_all, certify_changes, http_request,
            http_request_update, types::*,
        },
    },
    domain::payment::{Event, RefundCause, State},
    runtime::{Runtime, scripted::run},
    service::pay::tests::{PaymentRequest, Shop, id},
    storage::{
        self,
        payments::{Change, tests as payments},
    },
};
use candid::{Nat, Principal};
use ic_certification::{Certificate, HashTree, LookupResult};
use ic_http_certification::DefaultCelBuilder;
use x402_icp::{encode_header, receipt::ReceiptProof};

fn get(shop: &Shop, url: &str) -> HttpResponse {
    ask(shop, "GET", url, vec![], b"")
}

fn ask(
    shop: &Shop,
    method: &str,
    url: &str,
    headers: Vec<HeaderField>,
    body: &[u8],
) -> HttpResponse {
    let request = HttpRequest {
        method: method.into(),
        url: url.into(),
        headers,
        body: body.to_vec(),
        certificate_version: Some(2),
    };
    http_request(&shop.runtime, request)
}

/// The `Host` of the shop's raw domain.
fn raw(shop: &Shop) -> HeaderField {
    let canister = shop.runtime.canister_id();
    ("host".into(), format!("{canister}.raw.icp0.io"))
}

fn get_raw(shop: &Shop, url: &str) -> HttpResponse {
    ask(shop, "GET", url, vec![raw(shop)], b"")
}

/// The answer of the update, as on a host whose gateway verifies.
fn recorded(shop: &Shop, request: &PaymentRequest) -> ReceiptProof {
    let update = HttpUpdateRequest {
        method: "GET".into(),
        url: url(request),
        headers: vec![],
        body: vec![],
    };
    let answer = run(http_request_update(&shop.runtime, update));
    assert_eq!(answer.status_code, 200);
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    serde_json::from_slice(&answer.body).unwrap()
}

fn pay(shop: &Shop, nonce: u8, block: u8) -> PaymentRequest {
    let request = shop.request(1, nonce);
    shop.will(Ok(Nat::from(block)));
    let header = encode_header(&request.signed().payload);
    let http = HttpUpdateRequest {
        method: "GET".into(),
        url: "/a".into(),
        headers: vec![("PAYMENT-SIGNATURE".into(), header)],
        body: vec![],
    };
    assert_eq!(
        run(http_request_update(&shop.runtime, http)).status_code,
        200
    );
    request
}

fn url(request: &PaymentRequest) -> String {
    format!("/x402/receipts/{}", id(request))
}

fn cbor<T: serde::de::DeserializeOwned>(text: Option<&String>) -> T {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let bytes = STANDARD.decode(text.expect("a proof")).unwrap();
    serde_cbor::from_slice(&bytes).unwrap()
}

/// Checks the proof, but for the signature of the certificate.
fn check(shop: &Shop, proof: &ReceiptProof) {
    let receipt = proof.receipt.parse().unwrap();
    let certificate: Certificate = cbor(proof.certificate.as_ref());
    let witness: HashTree = cbor(proof.witness.as_ref());
    let canister = shop.runtime.canister_id();
    assert_eq!(receipt.canister, canister);
    let path = [
        b"canister".as_slice(),
        canister.as_slice(),
        b"certified_data",
    ];
    let root = witness.digest();
    assert_eq!(
        certificate.tree.lookup_path(path),
        LookupResult::Found(&root)
    );
    let index: u64 = proof.index.as_ref().unwrap().parse().unwrap();
    let path = [b"log".as_slice(), &index.to_be_bytes()];
    let hash = receipt.hash();
    assert_eq!(witness.lookup_path(path), LookupResult::Found(&hash));
    if let Some(details) = &proof.details {
        assert_eq!(details.parse().unwrap().commitment(), receipt.commitment);
    }
}

/// The receipt as the raw domain hands it on. Elsewhere it is left to an update, and no gateway takes this answer.
fn fetched(shop: &Shop, request: &PaymentRequest) -> ReceiptProof {
    let (url, prover) = (url(request), Prover::default());
    assert_eq!(get(shop, &url).upgrade, Some(true));
    let response = get_raw(shop, &url);
    assert_eq!(response.status_code, 200);
    for (name, value) in [
        ("content-type", "application/json"),
        ("cache-control", "private, no-store"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(response.header(name), Some(value));
    }
    for place in [&*url, "/a", "/missing", "/x402/payments/1", "/x402", "/"] {
        assert!(!prover.accepts("GET", place, b"", &response), "{place}");
    }
    let proof: ReceiptProof = serde_json::from_slice(&response.body).unwrap();
    check(shop, &proof);
    assert_eq!(proof.proof_at, None);
    proof
}

fn proof(shop: &Shop, request: &PaymentRequest, caller: Principal) -> ReceiptProof {
    shop.runtime.caller.set(caller);
    let json = endpoints::receipt_proof(&shop.runtime, &id(request).0).expect("a receipt");
    serde_json::from_str(&json).unwrap()
}

fn still_offered(shop: &Shop) {
    let offered = get(shop, "/a");
    assert_eq!(offered.status_code, 402);
    assert!(Prover::default().accepts("GET", "/a", b"", &offered));
}

#[test]
fn a_receipt_proves_itself_and_tells_strangers_neither_payer_nor_purchase() {
    let shop = certified();
    still_offered(&shop);
    let requests: Vec<_> = (1..=5).map(|n| pay(&shop, n, n)).collect();
    still_offered(&shop);
    for (n, request) in requests.iter().enumerate() {
        let public = fetched(&shop, request);
        assert_eq!(public.receipt.transaction, (n + 1).to_string());
        assert_eq!((&*public.status, &public.details), ("delivered", &None));
        let payer = request.signed().authorization.from.owner;
        let full = proof(&shop, request, payer);
        check(&shop, &full);
        let details = full.details.clone().expect("details for the payer");
        assert_eq!((&*details.method, &*details.path), ("GET", "/a"));
        assert_eq!(details.payer, payer.to_text());
        let accepted = &request.signed().payload.accepted;
        assert_eq!(details.offer, accepted.extra.offer);
        assert_eq!(full.receipt.symbol, accepted.extra.symbol);
        for (caller, knows) in [
            (shop.runtime.controller, true),
            (Principal::from_slice(&[44; 29]), false),
            (Principal::anonymous(), false),
        ] {
            assert_eq!(proof(&shop, request, caller).details.is_some(), knows);
        }
        let text = serde_json::to_string(&public).unwrap();
        for secret in [
            &*details.payer,
            "\"/a\"",
            "GET",
            &details.offer,
            &details.salt,
        ] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    assert_eq!(endpoints::receipt_proof(&shop.runtime, &[7; 32]), None);
    assert_eq!(endpoints::receipt_proof(&shop.runtime, &[7; 31]), None);
}

/// The salt follows from the authorization, which a payer has, so that a payer can complete the public receipt.
#[test]
fn the_details_of_equal_purchases_have_other_commitments() {
    let shop = certified();
    let [first, second] = [1, 2].map(|n| fetched(&shop, &pay(&shop, n, n)).receipt);
    assert_ne!(first.commitment, second.commitment);
}

#[test]
fn what_is_not_certified_yet_is_left_to_an_update_and_the_rest_stays_proven() {
    let shop = certified();
    let before = pay(&shop, 1, 1);
    // A payment that settles in a message that waits for another call, which certifies at its end.
    let request = shop.request(1, 2);
    shop.will(Ok(Nat::from(2u8)));
    shop.settle(&request);
    still_offered(&shop);
    fetched(&shop, &before);
    assert_eq!(get_raw(&shop, &url(&request)).upgrade, Some(true));
    let payer = request.signed().authorization.from.owner;
    let unproven = proof(&shop, &request, payer);
    assert_eq!(
        (unproven.witness, unproven.proof_at.is_some()),
        (None, true)
    );
    certify_changes(&shop.runtime);
    fetched(&shop, &request);
    fetched(&shop, &before);
    // An update's answer is proven by consensus, has no certificate, and says where there is one.
    let recorded = recorded(&shop, &request);
    assert_eq!(recorded.certificate, None);
    let there = recorded.proof_at.unwrap();
    assert_eq!(there.canister, shop.runtime.canister_id().to_text());
    let raw = format!("https://{}.raw.icp0.io{}", there.canister, url(&request));
    assert_eq!((&*there.query, there.url), ("receipt_proof", Some(raw)));
    assert_eq!(recorded.receipt, fetched(&shop, &request).receipt);
}

#[test]
fn an_upgrade_certifies_the_same_log() {
    let shop = certified();
    let requests: Vec<_> = (1..=6).map(|n| pay(&shop, n, n)).collect();
    let before = shop.runtime.certified_data.get();
    payments::reload();
    certify_all(&shop.runtime);
    assert_eq!(shop.runtime.certified_data.get(), before);
    for request in &requests {
        fetched(&shop, request);
    }
}

/// A receipt proves the settlement, whatever becomes of the payment.
#[test]
fn a_refund_changes_the_state_and_not_the_receipt() {
    let shop = certified();
    let request = shop.request(1, 1);
    shop.will_reject(5);
    shop.settle(&request);
    let key = request.claim_key();
    let record = |event| {
        let now = crate::service::pay::tests::NOW;
        storage::payments::record(&key, Change::Event(event), now).unwrap();
        certify_changes(&shop.runtime);
    };
    record(payments::moved(9));
    let settled = fetched(&shop, &request);
    assert_eq!(settled.status, "settled");
    record(Event::RefundDue {
        cause: RefundCause::ALL[0],
        approved: true,
    });
    assert_eq!(fetched(&shop, &request).status, "refunding");
    record(Event::RefundTried);
    record(Event::RefundMoved {
        tx: crate::domain::rail::TxRef::Block(crate::types::BlockIndex(10)),
    });
    assert!(matches!(shop.state(&request), State::Refunded { .. }));
    let refunded = fetched(&shop, &request);
    assert_eq!(refunded.receipt, settled.receipt);
    assert_eq!(refunded.status, "refunded");
    assert_eq!(refunded.refund_transaction.as_deref(), Some("10"));
}

#[test]
fn a_request_for_a_receipt_that_is_more_than_that_goes_to_an_update() {
    let shop = certified();
    let url = url(&pay(&shop, 1, 1));
    let request = |method: &str, url: &str, more: Vec<HeaderField>, body: &[u8]| {
        let headers = [vec![raw(&shop)], more].concat();
        ask(&shop, method, url, headers, body)
    };
    let head = request("HEAD", &url, vec![], b"");
    assert_eq!((head.status_code, head.body.len()), (200, 0));
    let payment = vec![("payment-signature".to_string(), "e30=".to_string())];
    let upper = url.to_uppercase();
    for response in [
        request("POST", &url, vec![], b""),
        request("GET", &url, vec![], b"1"),
        request("GET", &url, payment, b""),
        request("GET", &format!("{url}/"), vec![], b""),
        request(
            "GET",
            &upper.replace("/X402/RECEIPTS", "/x402/receipts"),
            vec![],
            b"",
        ),
        request("GET", "/x402/receipts/7", vec![], b""),
        request(
            "GET",
            &format!("/x402/receipts/{}", "ab".repeat(32)),
            vec![],
            b"",
        ),
    ] {
        assert_eq!(response.upgrade, Some(true));
    }
}

/// A node that could show a page below the receipts would run its script on the shop's origin.
#[test]
fn a_page_forged_by_a_node_below_the_receipts_is_refused() {
    let shop = certified();
    let url = url(&pay(&shop, 1, 1));
    let prover = Prover::default();
    let mut expressions = vec![DefaultCelBuilder::skip_certification().to_string()];
    let mut proofs = vec![];
    // The node has the honest answers of all places, with their proofs.
    for (method, place) in [
        ("OPTIONS", &*url),
        ("OPTIONS", "/x402/receipts"),
        ("GET", "/a"),
        ("GET", "/missing"),
        ("GET", "/.well-known/ic-architecture"),
    ] {
        let honest = ask(&shop, method, place, vec![], b"");
        assert!(prover.accepts(method, place, b"", &honest), "{place}");
        expressions.push(honest.header("ic-certificateexpression").unwrap().into());
        proofs.push(honest.header("ic-certificate").unwrap().to_string());
    }
    for expression in &expressions {
        for proof in &proofs {
            let forged = HttpResponse {
                status_code: 200,
                headers: vec![
                    ("content-type".into(), "text/html".into()),
                    ("ic-certificateexpression".into(), expression.clone()),
                    ("ic-certificate".into(), proof.clone()),
                ],
                body: b"<script>alert(1)</script>".to_vec(),
                upgrade: None,
            };
            for place in [&*url, "/x402/receipts", "/x402/receipts/x"] {
                assert!(!prover.accepts("GET", place, b"", &forged), "{place}");
            }
        }
    }
    // Nor is there an entry that skips certification, whatever a witness shows.
    with_site(|site| {
        for (_, found) in site.everything_proven() {
            let mut lie = prover.lie(site, &found);
            lie.body = b"<script>alert(1)</script>".to_vec();
            for (name, value) in &mut lie.headers {
                if name.eq_ignore_ascii_case("ic-certificateexpression") {
                    value.clone_from(&expressions[0]);
                }
            }
            assert!(!prover.accepts("GET", &url, b"", &lie));
        }
    });
}

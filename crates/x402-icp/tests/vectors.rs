//! The fixed vectors of the binding, `vectors.json`: this code makes them from the keys in them, and decodes them as
//! another implementation would. `UPDATE_VECTORS=1` writes the file again.

#[path = "support/requests.rs"]
mod requests;
mod support;
#[path = "support/transfers.rs"]
mod transfers;

use candid::Principal;
use serde_json::{Value, json};
use support::*;
use x402_icp::{
    Code, DecodeError, Terms,
    account::identifier,
    authorization::{payment_id, signed_message},
    decode::{MAX_HEADER_BYTES, decode_payment},
    delegation::{SignedDelegation, delegation_message},
    invoice,
    network::{MAINNET_ROOT_KEY_DER, network_id},
    offer::offer_id,
    signature,
    signer::{Delegated, Signer},
    values::{parse_account, to_base64},
    wire::{PaymentPayload, PaymentRequirements, encode_header},
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors.json");

fn payment_vector(name: &str, keys: Value, signer: &dyn Signer) -> Value {
    let offer = offer(&network_id(&bls_der(&root_key())));
    payment_vector_of(&offer, name, keys, signer)
}

fn payment_vector_of(
    offer: &PaymentRequirements,
    name: &str,
    keys: Value,
    signer: &dyn Signer,
) -> Value {
    let payment = pay(offer, signer);
    let message = signed_message(&Terms::from(&payment.accepted), &payment.payload);
    json!({
        "name": name,
        "keys": keys,
        "payment": payment,
        "header": encode_header(&payment),
        "message": hex::encode(&message),
        "paymentId": payment_id(&message).to_string(),
        "payer": Principal::self_authenticating(signer.public_key_der()).to_text(),
    })
}

fn payments() -> Vec<Value> {
    let secp = ic_secp256k1::PrivateKey::deserialize_sec1(&[2; 32]).unwrap();
    let key = |kind: &str, byte: u8| json!({"kind": kind, "secret": hex::encode([byte; 32])});
    let later = NOW_NS + 3_600_000_000_000;
    let targets = Some(vec![Principal::management_canister(), spender()]);
    let session = || ed25519(4);
    let by_key = Delegated::grant(&p256(3), session(), later, targets).unwrap();
    let identity = Delegated::grant(&CanisterSigner::new(true), session(), later, None).unwrap();
    let mut upfront = offer(&network_id(&bls_der(&root_key())));
    upfront.extra.payment_flow = Some("upfront".into());
    vec![
        payment_vector("Ed25519", json!([key("Ed25519", 1)]), &ed25519(1)),
        payment_vector("secp256k1", json!([key("secp256k1", 2)]), &secp),
        payment_vector("P-256", json!([key("P-256", 3)]), &p256(3)),
        payment_vector(
            "P-256 delegates to Ed25519, for two targets",
            json!([key("P-256", 3), key("Ed25519", 4)]),
            &by_key,
        ),
        payment_vector(
            "Internet Identity delegates to Ed25519",
            json!([{"kind": "canister"}, key("Ed25519", 4)]),
            &identity,
        ),
        payment_vector_of(
            &upfront,
            "Ed25519, settled before the work",
            json!([key("Ed25519", 1)]),
            &ed25519(1),
        ),
    ]
}

/// Payments that decode and must be refused by the signature check: (the change, payment).
fn bad_signatures() -> Vec<(&'static str, PaymentPayload)> {
    let network = network_id(&bls_der(&root_key()));
    let good = |signer: &dyn Signer| pay(&offer(&network), signer);
    let key = ed25519(1);
    let mut amount = good(&key);
    amount.accepted.amount = "9999".into();
    let mut mainnet = good(&key);
    mainnet.accepted.network = "icp:1".into();
    let edited = |edit: fn(&mut PaymentRequirements)| {
        let mut payment = good(&key);
        edit(&mut payment.accepted);
        payment
    };
    let mut nonce = good(&key);
    nonce.payload.nonce = "ff".repeat(32);
    let mut window = good(&key);
    window.payload.valid_before = (NOW + 31).to_string();
    let mut other_key = good(&key);
    other_key.payload.public_key = to_base64(&ed25519(9).public_key_der());
    let mut curve = good(&key);
    curve.payload.public_key = to_base64(&p256(3).public_key_der());
    let mut chain = good(&Delegated::grant(&key, ed25519(4), NOW_NS, None).unwrap());
    let expired = chain.clone();
    let elsewhere = Some(vec![Principal::management_canister()]);
    let target = good(&Delegated::grant(&key, ed25519(4), u64::MAX, elsewhere).unwrap());
    chain.payload.delegations = None;
    let expensive = (11..13).fold(
        Delegated::grant(&CanisterSigner::new(true), p256(10), u64::MAX, None).unwrap(),
        |chain, n| Delegated::grant(&chain, p256(n), u64::MAX, None).unwrap(),
    );
    vec![
        ("the amount is not the one that was signed", amount),
        ("the network is not the one that was signed", mainnet),
        (
            "maxTimeoutSeconds is not the one that was signed",
            edited(|accepted| accepted.max_timeout_seconds = 61),
        ),
        (
            "the symbol is not the one that was signed",
            edited(|accepted| accepted.extra.symbol = "ckUSDT".into()),
        ),
        (
            "the decimals are not the ones that were signed",
            edited(|accepted| accepted.extra.decimals = 8),
        ),
        (
            "the fee is not the one that was signed",
            edited(|accepted| accepted.extra.fee = "10001".into()),
        ),
        (
            "the paymentFlow is not the one that was signed",
            edited(|accepted| accepted.extra.payment_flow = Some("upfront".into())),
        ),
        ("the nonce is not the one that was signed", nonce),
        ("the window is not the one that was signed", window),
        ("another key", other_key),
        ("a key of another curve", curve),
        ("the delegation is missing", chain),
        ("the delegation expires this very nanosecond", expired),
        ("the delegation is for another canister", target),
        ("the chain is genuine and costs too much", good(&expensive)),
    ]
}

/// Headers that must not decode: (the error, the field that the error names, header).
fn bad_headers() -> Vec<(&'static str, &'static str, String)> {
    let payment = pay(&offer("icp:1"), &ed25519(1));
    let text = serde_json::to_string(&payment).unwrap();
    let changed = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from} is not there");
        to_base64(changed.as_bytes())
    };
    let nonce = &payment.payload.nonce;
    let padded = ["https:///", "https:////"]
        .map(|other| changed("https://", other))
        .into_iter()
        .find(|header| header.ends_with('='));
    let unpadded = padded.unwrap().trim_end_matches('=').to_string();
    let whole = "PAYMENT-SIGNATURE";
    vec![
        ("empty", whole, String::new()),
        ("no base64", whole, "{}".into()),
        ("unpadded base64", whole, unpadded),
        ("longer than 16,384 bytes", whole, "A".repeat(16_388)),
        ("not an object", whole, to_base64(b"[]")),
        (
            "key twice",
            whole,
            changed("\"amount\":", "\"amount\":\"1\",\"amount\":"),
        ),
        (
            "33 levels deep",
            whole,
            to_base64(format!("{{\"a\":{}{}}}", "[".repeat(32), "]".repeat(32)).as_bytes()),
        ),
        (
            "amount as number",
            "accepted.amount",
            changed("\"amount\":\"10000\"", "\"amount\":10000"),
        ),
        (
            "no validAfter",
            "payload.validAfter",
            changed("\"validAfter\"", "\"validafter\""),
        ),
        (
            "nonce in upper case",
            "payload.nonce",
            changed(nonce, &nonce.to_uppercase()),
        ),
        (
            "nonce too short",
            "payload.nonce",
            changed(nonce, &nonce[2..]),
        ),
        (
            "time with a leading zero",
            "payload.validAfter",
            changed("\"validAfter\":\"", "\"validAfter\":\"0"),
        ),
        (
            "payer not an account",
            "payload.from",
            changed("\"from\":\"", "\"from\":\"x"),
        ),
        (
            "signature unpadded",
            "payload.signature",
            changed("==\"}}", "\"}}"),
        ),
    ]
}

fn vectors() -> Value {
    let root = bls_der(&root_key());
    let canister = Principal::from_slice(&[1, 2, 3, 4, 5]);
    let network = |root: &[u8]| json!({"rootKey": hex::encode(root), "network": network_id(root)});
    let offer_vector = |canister: Principal, method: &str, route: &str, revision: u64| {
        json!({
            "canister": canister.to_text(), "method": method, "route": route, "revision": revision,
            "offer": offer_id(canister, method, route, revision),
        })
    };
    let account = |owner: &[u8], subaccount: Option<[u8; 32]>| {
        let account = x402_icp::Account {
            owner: Principal::from_slice(owner),
            subaccount,
        };
        json!({
            "owner": account.owner.to_text(),
            "subaccount": subaccount.map(hex::encode),
            "text": account.to_string(),
        })
    };
    let invoice = |canister: Principal, id: [u8; 32]| {
        let account = invoice::account(canister, &id);
        json!({
            "canister": canister.to_text(),
            "id": hex::encode(id),
            "account": account.to_string(),
            "accountIdentifier": hex::encode(identifier(&account)),
        })
    };
    let delegation = |expiration: u64, targets: Option<Vec<Principal>>| {
        let pubkey = ed25519(4).public_key_der();
        json!({
            "pubkey": to_base64(&pubkey),
            "expiration": expiration.to_string(),
            "targets": targets.as_ref().map(|t| t.iter().map(Principal::to_text).collect::<Vec<_>>()),
            "message": hex::encode(delegation_message(&pubkey, expiration, targets.as_deref())),
        })
    };
    json!({
        "about": "Test vectors of the x402 scheme exact on the Internet Computer; see docs/scheme_exact_icp.md, section 11",
        "now": NOW.to_string(),
        "canister": spender().to_text(),
        "rootKey": hex::encode(&root),
        "networks": [network(MAINNET_ROOT_KEY_DER), network(&root)],
        "offers": [
            offer_vector(spender(), "GET", "/report", 1),
            offer_vector(spender(), "POST", "/report", 1),
            offer_vector(canister, "GET", "/items/{id}", u64::MAX),
        ],
        "limits": {"paymentHeaderBytes": MAX_HEADER_BYTES},
        "requests": requests::vectors(),
        "accounts": [
            account(&[1, 2, 3, 4, 5], None),
            account(&[1, 2, 3, 4, 5], Some([0xab; 32])),
            account(&[7; 29], Some(std::array::from_fn(|i| u8::from(i == 31)))),
        ],
        "invoices": [
            invoice(spender(), [0; 32]),
            invoice(spender(), std::array::from_fn(|i| i as u8)),
            invoice(Principal::from_slice(&[0, 0, 0, 0, 2, 0, 0, 5, 1, 1]), [0xff; 32]),
        ],
        "delegations": [
            delegation(NOW_NS, None),
            delegation(u64::MAX, Some(vec![canister, spender()])),
            delegation(1, Some(vec![])),
        ],
        "payments": payments(),
        "badSignatures": bad_signatures().into_iter().map(|(name, payment)| json!({
            "name": name, "code": Code::Signature.as_str(), "payment": payment,
        })).collect::<Vec<_>>(),
        "badHeaders": bad_headers().into_iter().map(|(name, field, header)| json!({
            "name": name, "field": field, "header": header,
        })).collect::<Vec<_>>(),
        "transfers": transfers::vectors(),
    })
}

fn read() -> Value {
    // While the file is being written, its other readers must wait.
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        return vectors();
    }
    serde_json::from_str(&std::fs::read_to_string(FILE).expect("vectors.json")).expect("JSON")
}

fn verify(payment: &PaymentPayload) -> Result<Principal, signature::SignatureError> {
    let authorization = payment.payload.parse().unwrap();
    signature::verify(
        &authorization.public_key,
        &signed_message(&Terms::from(&payment.accepted), &payment.payload),
        &authorization.signature,
        &authorization.delegations,
        NOW_NS,
        spender(),
        &bls_der(&root_key()),
    )
}

#[test]
fn the_file_is_what_this_code_makes() {
    let vectors = vectors();
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&vectors).unwrap() + "\n";
        std::fs::write(FILE, text).unwrap();
    }
    let file = read();
    for key in vectors.as_object().unwrap().keys() {
        assert_eq!(file[key], vectors[key], "{key}");
    }
    assert_eq!(
        file.as_object().unwrap().len(),
        vectors.as_object().unwrap().len()
    );
}

#[test]
fn the_payments_are_read_and_verified_as_a_stranger_would() {
    for vector in read()["payments"].as_array().unwrap() {
        let decoded = decode_payment(vector["header"].as_str().unwrap().as_bytes()).unwrap();
        let payment: PaymentPayload = serde_json::from_value(vector["payment"].clone()).unwrap();
        assert_eq!(decoded.payload, payment);
        let message = signed_message(&Terms::from(&payment.accepted), &payment.payload);
        assert_eq!(vector["message"], hex::encode(&message));
        assert_eq!(vector["paymentId"], payment_id(&message).to_string());
        let payer = verify(&payment).unwrap();
        assert_eq!(vector["payer"], payer.to_text());
        assert_eq!(decoded.authorization.from.owner, payer);
        assert_eq!(decoded.authorization.check_window(NOW_NS, 60), Ok(()));
    }
}

#[test]
fn offers_are_for_the_requests_they_say() {
    for vector in read()["requests"].as_array().unwrap() {
        assert_eq!(
            vector["mismatch"].as_str(),
            requests::mismatch(vector),
            "{}",
            vector["name"]
        );
    }
}

#[test]
fn the_bad_payments_are_refused() {
    let vectors = read();
    for vector in vectors["badSignatures"].as_array().unwrap() {
        let payment: PaymentPayload = serde_json::from_value(vector["payment"].clone()).unwrap();
        // A missing delegation results in another, unfunded payer, and the account does not belong to it.
        let refused =
            verify(&payment).map(|payer| payer == payment.payload.parse().unwrap().from.owner);
        assert!(matches!(refused, Err(_) | Ok(false)), "{}", vector["name"]);
    }
    for vector in vectors["badHeaders"].as_array().unwrap() {
        let error: DecodeError = decode_payment(vector["header"].as_str().unwrap().as_bytes())
            .expect_err(vector["name"].as_str().unwrap());
        assert_eq!(
            vector["field"],
            error.field(),
            "{}: {error}",
            vector["name"]
        );
    }
}

#[test]
fn the_transfers_are_read_as_a_stranger_would() {
    transfers::check(&read()["transfers"]);
}

#[test]
fn the_accounts_and_delegations_are_read_back() {
    let vectors = read();
    for vector in vectors["accounts"].as_array().unwrap() {
        let account = parse_account(vector["text"].as_str().unwrap()).unwrap();
        assert_eq!(vector["owner"], account.owner.to_text());
        assert_eq!(
            vector["subaccount"],
            json!(account.subaccount.map(hex::encode))
        );
    }
    let root = ed25519(1);
    for vector in vectors["delegations"].as_array().unwrap() {
        let message = hex::decode(vector["message"].as_str().unwrap()).unwrap();
        let session = SignedDelegation {
            pubkey: ed25519(4).public_key_der(),
            expiration: vector["expiration"].as_str().unwrap().parse().unwrap(),
            targets: vector["targets"].as_array().map(|targets| {
                targets
                    .iter()
                    .map(|t| t.as_str().unwrap().parse().unwrap())
                    .collect()
            }),
            signature: root.sign(&message).unwrap(),
        };
        assert_eq!(session.message(), message);
    }
}

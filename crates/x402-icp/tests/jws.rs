//! The vectors of signed receipts, `jws.json`: JWS that every verifier accepts with the keys in the file, and others that
//! it refuses. `UPDATE_VECTORS=1` writes the file again.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use ic_ed25519::PrivateKey;
use serde_json::{Value, json};
use x402_icp::jws::{
    self, JwsError, Keys, SignedReceipt, VERSION, compact, did_document, did_of, signing_input,
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/jws.json");
const SITE: &str = "https://shop.example";
const KEY: &str = "key_1";

fn key(n: u8) -> PrivateKey {
    PrivateKey::deserialize_raw_32(&[n; 32])
}

fn public(n: u8) -> [u8; 32] {
    key(n).public_key().serialize_raw()
}

fn receipt() -> SignedReceipt {
    SignedReceipt {
        version: VERSION,
        network: "icp:1".into(),
        resource_url: format!("{SITE}/report"),
        payer: "2vxsx-fae".into(),
        issued_at: 1_700_000_000,
        transaction: "81723".into(),
    }
}

fn kid() -> String {
    format!("{}#{KEY}", did_of(SITE))
}

/// A JWS of these two parts by a key.
fn signed(header: &Value, payload: &Value, by: u8) -> String {
    let part = |json: &Value| BASE64URL.encode(json.to_string());
    let input = format!("{}.{}", part(header), part(payload));
    compact(&input, &key(by).sign_message(input.as_bytes()))
}

fn header(more: Value) -> Value {
    let mut header = json!({"alg": "EdDSA", "kid": kid()});
    let more = more.as_object().unwrap().clone();
    header.as_object_mut().unwrap().extend(more);
    header
}

fn payload(field: &str, value: Value) -> Value {
    let mut payload = serde_json::to_value(receipt()).unwrap();
    payload[field] = value;
    payload
}

fn good() -> String {
    let input = signing_input(&kid(), &receipt());
    compact(&input, &key(1).sign_message(input.as_bytes()))
}

/// The same signature over other parts.
fn with_part(at: usize, part: &Value) -> String {
    let good = good();
    let mut parts: Vec<String> = good.split('.').map(String::from).collect();
    parts[at] = BASE64URL.encode(part.to_string());
    parts.join(".")
}

fn bad() -> Vec<(String, String)> {
    let whole = serde_json::to_value(receipt()).unwrap();
    let own = json!({"kty": "OKP", "crv": "Ed25519", "x": BASE64URL.encode(public(2))});
    let mut bad: Vec<(&str, String)> = vec![
        ("by another key", signed(&header(json!({})), &whole, 2)),
        (
            "by another key that its header names",
            signed(&header(json!({"jwk": own})), &whole, 2),
        ),
        (
            "alg none",
            signed(&header(json!({"alg": "none"})), &whole, 1),
        ),
        ("alg none without signature", {
            let unsigned = signed(&header(json!({"alg": "none"})), &whole, 1);
            format!("{}.", unsigned.rsplit_once('.').unwrap().0)
        }),
        (
            "alg HS256",
            signed(&header(json!({"alg": "HS256"})), &whole, 1),
        ),
        (
            "alg ES256K",
            signed(&header(json!({"alg": "ES256K"})), &whole, 1),
        ),
        (
            "alg in other letters",
            signed(&header(json!({"alg": "eddsa"})), &whole, 1),
        ),
        ("a kid of another site", {
            signed(
                &header(json!({"kid": "did:web:evil.example#key_1"})),
                &whole,
                1,
            )
        }),
        ("a kid that the document has not", {
            signed(
                &header(json!({"kid": "did:web:shop.example#key_2"})),
                &whole,
                1,
            )
        }),
        (
            "a critical extension",
            signed(&header(json!({"crit": ["b64"], "b64": false})), &whole, 1),
        ),
        (
            "another version",
            signed(&header(json!({})), &payload("version", json!(2)), 1),
        ),
        (
            "a member more",
            signed(&header(json!({})), &payload("amount", json!("1")), 1),
        ),
        ("no payer", {
            let mut without = whole.clone();
            without.as_object_mut().unwrap().remove("payer");
            signed(&header(json!({})), &without, 1)
        }),
        ("two parts", good().rsplit_once('.').unwrap().0.to_string()),
        ("four parts", format!("{}.", good())),
        ("padding", format!("{}==", good())),
        (
            "no signature",
            format!("{}.", good().rsplit_once('.').unwrap().0),
        ),
        ("empty", String::new()),
    ];
    for site in [
        "https://evil.example",
        "https://shop.example.evil.example",
        "https://shop.example:8443",
    ] {
        let other = payload("resourceUrl", json!(format!("{site}/report")));
        bad.push(("for another site", signed(&header(json!({})), &other, 1)));
    }
    // Clients that follow such a URL find another host in it than what stands after the first "://".
    for url in [
        "https:evil.example/://shop.example/report",
        "https:/evil.example/://shop.example/report",
        "https:\\\\evil.example/://shop.example/report",
        "evil.example/://shop.example/report",
        "//evil.example/://shop.example/report",
        "://shop.example/report",
        "shop.example/report",
        "https://evil.example\\@shop.example/report",
        "https://shop.example\\@evil.example/report",
        "https://shop.example@evil.example/report",
    ] {
        let other = payload("resourceUrl", json!(url));
        bad.push((
            "for a URL of another host",
            signed(&header(json!({})), &other, 1),
        ));
    }
    let mut bad: Vec<_> = bad
        .into_iter()
        .map(|(name, jws)| (name.to_string(), jws))
        .collect();
    for (field, value) in [
        ("network", json!("icp:2")),
        ("resourceUrl", json!("https://shop.example/other")),
        ("payer", json!("aaaaa-aa")),
        ("issuedAt", json!(1_700_000_001)),
        ("transaction", json!("81724")),
        ("transaction", json!("")),
        ("version", json!(2)),
    ] {
        bad.push((
            format!("another {field}"),
            with_part(1, &payload(field, value)),
        ));
    }
    bad.push((
        "another header".into(),
        with_part(0, &header(json!({"typ": "JWT"}))),
    ));
    bad
}

fn vectors() -> Value {
    let document = did_document(&did_of(SITE), &[("old_key", public(3)), (KEY, public(1))]);
    let document: Value = serde_json::from_str(&document).unwrap();
    let bad: Vec<_> = bad()
        .into_iter()
        .map(|(name, jws)| json!({"name": name, "jws": jws}))
        .collect();
    json!({
        "didDocument": document,
        "jwk": {"kty": "OKP", "crv": "Ed25519", "x": BASE64URL.encode(public(1))},
        "good": [{"jws": good(), "receipt": receipt()}],
        "bad": bad,
    })
}

fn keys() -> Keys {
    Keys::read(vectors()["didDocument"].to_string().as_bytes()).unwrap()
}

#[test]
fn the_vectors_are_those_of_this_crate() {
    let text = format!("{}\n", serde_json::to_string_pretty(&vectors()).unwrap());
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(FILE, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(FILE).unwrap(), text);
}

#[test]
fn a_signed_receipt_is_verified_by_the_document_and_by_the_key() {
    let jwk = Keys::read(vectors()["jwk"].to_string().as_bytes()).unwrap();
    for keys in [keys(), jwk] {
        assert_eq!(jws::verify(&good(), &keys), Ok(receipt()));
        let own = json!({"kty": "OKP", "crv": "Ed25519", "x": BASE64URL.encode(public(1))});
        let with_key = signed(&header(json!({"jwk": own})), &json!(receipt()), 1);
        assert_eq!(jws::verify(&with_key, &keys), Ok(receipt()));
    }
}

#[test]
fn a_jws_by_another_key_with_another_alg_or_with_one_changed_field_is_refused() {
    for (name, jws) in bad() {
        assert!(jws::verify(&jws, &keys()).is_err(), "{name}");
    }
    // One changed character anywhere.
    let good = good();
    for at in 0..good.len() {
        let other = if &good[at..=at] == "A" { "B" } else { "A" };
        let mut changed = good.clone();
        changed.replace_range(at..=at, other);
        assert!(jws::verify(&changed, &keys()).is_err(), "{at}");
    }
    let alg = signed(&header(json!({"alg": "HS256"})), &json!(receipt()), 1);
    assert_eq!(
        jws::verify(&alg, &keys()),
        Err(JwsError::Algorithm("HS256".into()))
    );
    let long = format!("{good}{}", "A".repeat(jws::MAX_JWS_BYTES));
    assert!(matches!(
        jws::verify(&long, &keys()),
        Err(JwsError::Unreadable(_))
    ));
}

/// A document lists keys for other purposes, too, and may list those of others.
#[test]
fn only_keys_that_make_assertions_for_the_site_are_believed() {
    let document = &vectors()["didDocument"];
    let changes: [fn(&mut Value); 6] = [
        |d| d["assertionMethod"] = json!([]),
        |d| d["id"] = json!("did:web:evil.example"),
        |d| d["verificationMethod"][1]["controller"] = json!("did:web:evil.example"),
        |d| d["verificationMethod"][1]["publicKeyJwk"]["crv"] = json!("X25519"),
        |d| d["verificationMethod"][1]["publicKeyJwk"]["kty"] = json!("EC"),
        |d| d["verificationMethod"][1]["publicKeyJwk"]["x"] = json!("AAAA"),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let mut other = document.clone();
        change(&mut other);
        let keys = Keys::read(other.to_string().as_bytes()).unwrap();
        let refused = jws::verify(&good(), &keys);
        assert!(
            matches!(refused, Err(JwsError::UnknownKey(_))),
            "{n}: {refused:?}"
        );
    }
    for none in [
        "",
        "null",
        "[]",
        "{}",
        "{\"kty\":\"RSA\"}",
        "{\"a\":1,\"a\":2}",
    ] {
        assert!(Keys::read(none.as_bytes()).is_err(), "{none}");
    }
    let mut named = vectors()["jwk"].clone();
    named["kid"] = json!("did:web:shop.example#key_2");
    let keys = Keys::read(named.to_string().as_bytes()).unwrap();
    assert!(matches!(
        jws::verify(&good(), &keys),
        Err(JwsError::UnknownKey(_))
    ));
}

#[test]
fn dids_are_those_of_the_method_web() {
    assert_eq!(did_of("https://shop.example"), "did:web:shop.example");
    assert_eq!(did_of("http://localhost:4943"), "did:web:localhost%3A4943");
}

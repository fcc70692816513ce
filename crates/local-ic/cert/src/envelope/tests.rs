use super::*;
use crate::SubnetKeys;
use ic_ed25519::PrivateKey;

const NOW: u64 = 1_700_000_000_000_000_000;
const MINUTE: u64 = 60_000_000_000;

fn root_key() -> Vec<u8> {
    SubnetKeys::derive(&[1; 32], 1).public_key_der().to_vec()
}

fn key(seed: u8) -> PrivateKey {
    PrivateKey::deserialize_raw_32(&[seed; 32])
}

fn der(key: &PrivateKey) -> Vec<u8> {
    key.public_key().serialize_rfc8410_der()
}

fn text(value: &str) -> Value {
    Value::Text(value.into())
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Fields {
    entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn value(fields: Fields) -> Value {
    Value::Map(
        fields
            .into_iter()
            .map(|(key, value)| (Value::Text(key), value))
            .collect(),
    )
}

fn canister() -> Principal {
    Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 1, 1, 1])
}

fn call(kind: &str, sender: Principal) -> Fields {
    map([
        ("request_type", text(kind)),
        ("sender", Value::Bytes(sender.as_slice().to_vec())),
        ("ingress_expiry", Value::Integer((NOW + 4 * MINUTE).into())),
        ("canister_id", Value::Bytes(canister().as_slice().to_vec())),
        ("method_name", text("greet")),
        ("arg", Value::Bytes(b"DIDL\0\0".to_vec())),
        ("nonce", Value::Bytes(vec![5; 16])),
    ])
}

fn sign_content(content: &Fields, signer: &PrivateKey) -> Vec<u8> {
    let id = hash_of_fields(content).expect("hashable");
    signer
        .sign_message(&[&b"\x0Aic-request"[..], &id].concat())
        .to_vec()
}

fn envelope(
    content: Fields,
    sender_key: &PrivateKey,
    signer: &PrivateKey,
    chain: Option<Value>,
) -> Vec<u8> {
    let mut envelope = map([
        ("sender_pubkey", Value::Bytes(der(sender_key))),
        ("sender_sig", Value::Bytes(sign_content(&content, signer))),
    ]);
    envelope.insert("content".into(), value(content));
    if let Some(chain) = chain {
        envelope.insert("sender_delegation".into(), chain);
    }
    crate::self_describing_cbor(&value(envelope))
}

fn delegation(from: &PrivateKey, to: &PrivateKey, extra: Fields) -> Value {
    let mut fields = map([
        ("pubkey", Value::Bytes(der(to))),
        ("expiration", Value::Integer((NOW + MINUTE).into())),
    ]);
    fields.extend(extra);
    let hash = hash_of_fields(&fields).expect("hashable");
    let signature = from.sign_message(&[&b"\x1Aic-request-auth-delegation"[..], &hash].concat());
    value(map([
        ("delegation", value(fields)),
        ("signature", Value::Bytes(signature.to_vec())),
    ]))
}

fn sender(key: &PrivateKey) -> Principal {
    Principal::self_authenticating(der(key))
}

fn check(bytes: &[u8]) -> Result<Request, EnvelopeError> {
    authenticate(bytes, NOW, &root_key())
}

#[test]
fn should_accept_a_signed_call() {
    let user = key(1);
    let request =
        check(&envelope(call("call", sender(&user)), &user, &user, None)).expect("authentic");
    assert_eq!(request.sender, sender(&user));
    assert!(matches!(request.content, Content::Call(call) if call.method_name == "greet"));
}

#[test]
fn should_refuse_another_signer_a_changed_content_and_a_foreign_sender() {
    let (user, thief) = (key(1), key(2));
    let forged = envelope(call("call", sender(&user)), &user, &thief, None);
    assert_eq!(
        check(&forged),
        Err(EnvelopeError::Signature(SignatureError::Invalid))
    );
    let foreign = envelope(call("call", sender(&user)), &thief, &thief, None);
    assert_eq!(check(&foreign), Err(EnvelopeError::WrongKey(sender(&user))));
    let content = call("call", sender(&user));
    let signature = sign_content(&content, &user);
    let mut changed = content;
    changed.insert("method_name".into(), text("steal"));
    let bytes = crate::self_describing_cbor(&value(map([
        ("content", value(changed)),
        ("sender_pubkey", Value::Bytes(der(&user))),
        ("sender_sig", Value::Bytes(signature)),
    ])));
    assert_eq!(
        check(&bytes),
        Err(EnvelopeError::Signature(SignatureError::Invalid))
    );
}

#[test]
fn should_take_the_anonymous_sender_without_signature_only() {
    let content = call("query", Principal::anonymous());
    let bare = crate::self_describing_cbor(&value(map([("content", value(content.clone()))])));
    assert!(check(&bare).is_ok());
    let user = key(1);
    assert!(matches!(
        check(&envelope(content, &user, &user, None)),
        Err(EnvelopeError::Presence(_))
    ));
    let unsigned = crate::self_describing_cbor(&value(map([(
        "content",
        value(call("call", sender(&user))),
    )])));
    assert!(matches!(check(&unsigned), Err(EnvelopeError::Presence(_))));
}

#[test]
fn should_hold_to_the_expiry_window() {
    let user = key(1);
    for (offset, accepted) in [(0, true), (6 * MINUTE, true), (6 * MINUTE + 1, false)] {
        let mut content = call("call", sender(&user));
        content.insert(
            "ingress_expiry".into(),
            Value::Integer((NOW + offset).into()),
        );
        assert_eq!(
            check(&envelope(content, &user, &user, None)).is_ok(),
            accepted,
            "{offset}"
        );
    }
    let mut content = call("call", sender(&user));
    content.insert("ingress_expiry".into(), Value::Integer((NOW - 1).into()));
    assert!(matches!(
        check(&envelope(content, &user, &user, None)),
        Err(EnvelopeError::Expiry { .. })
    ));
}

#[test]
fn should_follow_a_chain_of_delegations() {
    let (user, session, leaf) = (key(1), key(2), key(3));
    let chain = Value::Array(vec![
        delegation(&user, &session, Fields::new()),
        delegation(&session, &leaf, Fields::new()),
    ]);
    assert!(
        check(&envelope(
            call("call", sender(&user)),
            &user,
            &leaf,
            Some(chain.clone())
        ))
        .is_ok()
    );
    // The chain ends in `leaf`: nobody else may sign.
    assert!(
        check(&envelope(
            call("call", sender(&user)),
            &user,
            &session,
            Some(chain)
        ))
        .is_err()
    );
    let broken = Value::Array(vec![delegation(&leaf, &session, Fields::new())]);
    assert!(
        check(&envelope(
            call("call", sender(&user)),
            &user,
            &session,
            Some(broken)
        ))
        .is_err()
    );
    let circle = Value::Array(vec![
        delegation(&user, &session, Fields::new()),
        delegation(&session, &user, Fields::new()),
    ]);
    assert_eq!(
        check(&envelope(
            call("call", sender(&user)),
            &user,
            &user,
            Some(circle)
        )),
        Err(EnvelopeError::Delegation("chain has a loop"))
    );
}

#[test]
fn should_hold_to_the_limits_of_a_delegation() {
    let (user, session) = (key(1), key(2));
    let with = |kind: &str, extra: Fields| {
        let chain = Value::Array(vec![delegation(&user, &session, extra)]);
        check(&envelope(
            call(kind, sender(&user)),
            &user,
            &session,
            Some(chain),
        ))
    };
    let targets = |id: Principal| {
        map([(
            "targets",
            Value::Array(vec![Value::Bytes(id.as_slice().to_vec())]),
        )])
    };
    assert!(with("call", targets(canister())).is_ok());
    assert!(matches!(
        with("call", targets(Principal::anonymous())),
        Err(EnvelopeError::Delegation(_))
    ));
    assert!(with("query", map([("permissions", text("queries"))])).is_ok());
    assert!(matches!(
        with("call", map([("permissions", text("queries"))])),
        Err(EnvelopeError::Delegation(_))
    ));
    assert!(matches!(
        with(
            "call",
            map([("expiration", Value::Integer((NOW - 1).into()))])
        ),
        Err(EnvelopeError::Delegation("expired"))
    ));
    assert_eq!(
        with("call", map([("surprise", text("x"))])),
        Err(EnvelopeError::Unsupported("surprise".into()))
    );
}

#[test]
fn should_verify_ecdsa_on_both_curves() {
    let message = b"\x0Aic-request and so on";
    let k1 = ic_secp256k1::PrivateKey::generate_from_seed(b"seed");
    let signature = k1.sign_message_with_ecdsa(message);
    let public = k1.public_key().serialize_der();
    assert_eq!(
        signature::verify(&public, message, &signature, &root_key()),
        Ok(())
    );
    assert_eq!(
        signature::verify(&public, b"other", &signature, &root_key()),
        Err(SignatureError::Invalid)
    );
    let r1 = ic_secp256r1::PrivateKey::generate_insecure_key_for_testing(7);
    let signature = r1.sign_message(message);
    let public = r1.public_key().serialize_der();
    assert_eq!(
        signature::verify(&public, message, &signature, &root_key()),
        Ok(())
    );
    assert_eq!(
        signature::verify(&public, b"other", &signature, &root_key()),
        Err(SignatureError::Invalid)
    );
    assert_eq!(
        signature::verify(b"rubbish", message, b"", &root_key()),
        Err(SignatureError::UnknownKey)
    );
}

#[test]
fn should_refuse_what_is_not_an_envelope() {
    for bytes in [
        &b""[..],
        b"\xff\xff",
        b"\xa0",
        b"\xa1\x67content\xa0",
        &[0x81; 300],
    ] {
        assert!(
            matches!(check(bytes), Err(EnvelopeError::Malformed(_))),
            "{bytes:?}"
        );
    }
}

//! The texts of an authorization: as JSON, and as lines so that each text is mutated on its own.
//!
//! Each value has one text: what is read is written back as the same text.

use std::str::FromStr;
use x402_icp::{
    Amount, Authorization, Nonce, PaymentId, Terms,
    authorization::{payment_id, signed_message},
    values::to_base64,
    wire::{DelegationText, ExactIcrc2Payload},
};

pub fn run(data: &[u8]) {
    if let Ok(payload) = serde_json::from_slice::<ExactIcrc2Payload>(data) {
        check(&payload);
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.split('\n').map(str::to_string);
    let mut line = || lines.next().unwrap_or_default();
    let mut payload = ExactIcrc2Payload {
        from: line(),
        nonce: line(),
        valid_after: line(),
        valid_before: line(),
        public_key: line(),
        signature: line(),
        delegations: None,
    };
    let mut delegations = Vec::new();
    loop {
        let pubkey = line();
        if pubkey.is_empty() {
            break;
        }
        delegations.push(DelegationText {
            pubkey,
            expiration: line(),
            targets: match line().as_str() {
                "" => None,
                targets => Some(targets.split(',').map(str::to_string).collect()),
            },
            signature: line(),
        });
    }
    if !delegations.is_empty() {
        payload.delegations = Some(delegations);
    }
    check(&payload);
}

fn check(payload: &ExactIcrc2Payload) {
    one_text(&payload.from, Amount::from_str);
    one_text(&payload.nonce, PaymentId::from_str);
    one_text(&payload.nonce, Nonce::from_str);
    let Ok(authorization) = Authorization::parse(payload) else {
        return;
    };
    assert_eq!(authorization.from.to_string(), payload.from);
    assert_eq!(authorization.nonce.to_string(), payload.nonce);
    assert_eq!(authorization.valid_after.to_string(), payload.valid_after);
    assert_eq!(authorization.valid_before.to_string(), payload.valid_before);
    assert_eq!(to_base64(&authorization.public_key), payload.public_key);
    assert_eq!(to_base64(&authorization.signature), payload.signature);
    let texts = payload.delegations.as_deref().unwrap_or_default();
    assert_eq!(authorization.delegations.len(), texts.len());
    for (delegation, text) in authorization.delegations.iter().zip(texts) {
        assert_eq!(DelegationText::from(delegation), *text);
        let _ = delegation.message();
    }
    for now_ns in [0, 1_767_225_600_000_000_000, u64::MAX] {
        if authorization.check_window(now_ns, 300).is_ok() {
            let now = now_ns / 1_000_000_000;
            assert!(authorization.valid_after <= now && now < authorization.valid_before);
            assert!(authorization.valid_before - authorization.valid_after <= 360);
        }
    }
    // Every text of the payer is signed.
    let id = |payload: &ExactIcrc2Payload| payment_id(&signed_message(&terms(), payload));
    let changes: [fn(&mut ExactIcrc2Payload); 4] = [
        |payload| payload.from.push('0'),
        |payload| payload.nonce.push('0'),
        |payload| payload.valid_after.push('0'),
        |payload| payload.valid_before.push('0'),
    ];
    for change in changes {
        let mut other = payload.clone();
        change(&mut other);
        assert_ne!(id(&other), id(payload));
    }
}

fn one_text<T: ToString, E>(text: &str, read: impl Fn(&str) -> Result<T, E>) {
    if let Ok(value) = read(text) {
        assert_eq!(value.to_string(), text);
    }
}

fn terms() -> Terms {
    Terms {
        scheme: "exact".into(),
        network: "icp:1".into(),
        asset: "xevnm-gaaaa-aaaar-qafnq-cai".into(),
        amount: "10000".into(),
        pay_to: "aaaaa-aa".into(),
        max_timeout_seconds: "60".into(),
        asset_transfer_method: "icrc2".into(),
        symbol: "ckUSDC".into(),
        decimals: "6".into(),
        fee: "10000".into(),
        spender: "be2us-64aaa-aaaaa-qaabq-cai".into(),
        offer: "000102030405060708090a0b0c0d0e0f".into(),
        payment_flow: "authorization".into(),
    }
}

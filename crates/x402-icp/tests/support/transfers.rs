//! Test vectors of payments by the client's own transfer (`docs/scheme_exact_icp_transfer.md`).

use crate::support::{NOW, bls_der, offer, root_key, spender};
use candid::Principal;
use serde_json::{Value, json};
use x402_icp::{
    Account, Nonce,
    decode::{DecodedTransfer, ExactPayment, decode_exact_payment},
    network::network_id,
    offer::offer_id,
    transfer::{TransferTerms, commitment, transfer_id},
    values::to_base64,
    wire::{
        ExactIcrc1Extra, ExactIcrc1Payload, PaymentPayload, PaymentRequirements, ResourceInfo,
        X402_VERSION, encode_header,
    },
};

type Payment = PaymentPayload<ExactIcrc1Extra, ExactIcrc1Payload>;

fn terms(network: &str, route: &str) -> PaymentRequirements<ExactIcrc1Extra> {
    offer(network).map_extra(|extra| ExactIcrc1Extra {
        asset_transfer_method: "icrc1".into(),
        payment_flow: "upfront".into(),
        symbol: extra.symbol,
        decimals: extra.decimals,
        fee: extra.fee,
        canister: spender().to_text(),
        offer: offer_id(spender(), "GET", route, 1),
        method: "GET".into(),
        route: route.into(),
        revision: 1,
        max_proof_age_seconds: 86_400,
    })
}

fn proof(
    accepted: PaymentRequirements<ExactIcrc1Extra>,
    from: Account,
    block: u64,
    secret: Nonce,
) -> Payment {
    PaymentPayload {
        x402_version: X402_VERSION,
        resource: Some(ResourceInfo {
            url: "https://shop.example/report".into(),
            ..Default::default()
        }),
        accepted,
        payload: ExactIcrc1Payload {
            from: from.to_string(),
            block_index: block.to_string(),
            secret: hex::encode(secret.0),
        },
        extensions: None,
    }
}

fn vector(name: &str, payment: &Payment) -> Value {
    let accepted = &payment.accepted;
    let secret: Nonce = payment.payload.secret.parse().unwrap();
    let block = payment.payload.block_index.parse().unwrap();
    let memo = commitment(&TransferTerms::from(accepted), &secret);
    json!({
        "name": name,
        "payment": payment,
        "header": encode_header(payment),
        "secret": payment.payload.secret,
        "memo": hex::encode(memo),
        "blockIndex": payment.payload.block_index,
        "paymentId": transfer_id(&accepted.network, &accepted.asset, block, &memo).to_string(),
    })
}

fn payments() -> Vec<Value> {
    let local = network_id(&bls_der(&root_key()));
    let payer = Account::from(Principal::self_authenticating([1; 44]));
    let counted = Nonce(std::array::from_fn(|i| i as u8));
    let subaccount = Account {
        subaccount: Some([0xab; 32]),
        ..payer
    };
    let mut dear = terms(&local, "/items/{id}");
    dear.amount = u128::MAX.to_string();
    vec![
        vector(
            "mainnet",
            &proof(terms("icp:1", "/report"), payer, 81_723, counted),
        ),
        vector(
            "local network, block 0, from a subaccount",
            &proof(terms(&local, "/report"), subaccount, 0, Nonce([0xff; 32])),
        ),
        vector(
            "route with a parameter, the largest amount and block",
            &proof(dear, payer, u64::MAX, Nonce([0; 32])),
        ),
    ]
}

/// Headers that must not decode: (the error, the field that the error names, header).
fn bad_headers() -> Vec<(&'static str, &'static str, String)> {
    let payer = Account::from(Principal::self_authenticating([1; 44]));
    let payment = proof(terms("icp:1", "/report"), payer, NOW, Nonce([0xab; 32]));
    let text = serde_json::to_string(&payment).unwrap();
    let changed = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from} is not there");
        to_base64(changed.as_bytes())
    };
    let (secret, block) = (&payment.payload.secret, NOW.to_string());
    vec![
        (
            "secret in upper case",
            "payload.secret",
            changed(secret, &secret.to_uppercase()),
        ),
        (
            "secret too short",
            "payload.secret",
            changed(secret, &secret[2..]),
        ),
        (
            "no secret",
            "payload.secret",
            changed("\"secret\"", "\"Secret\""),
        ),
        (
            "block as number",
            "payload.blockIndex",
            changed(&format!("\"{block}\""), &block),
        ),
        (
            "block with a leading zero",
            "payload.blockIndex",
            changed(&block, &format!("0{block}")),
        ),
        (
            "block of 2^64",
            "payload.blockIndex",
            changed(&block, "18446744073709551616"),
        ),
        (
            "sender not an account",
            "payload.from",
            changed("\"from\":\"", "\"from\":\"x"),
        ),
        (
            "no canister",
            "accepted.extra.canister",
            changed("\"canister\"", "\"spender\""),
        ),
        (
            "no paymentFlow",
            "accepted.extra.paymentFlow",
            changed("\"paymentFlow\"", "\"flow\""),
        ),
        (
            "amount not below 2^128",
            "accepted.amount",
            changed(
                "\"amount\":\"10000\"",
                "\"amount\":\"340282366920938463463374607431768211456\"",
            ),
        ),
        (
            "payload as a list",
            "payload",
            changed("\"payload\":{", "\"payload\":[],\"other\":{"),
        ),
        (
            "payload of an authorization",
            "payload.blockIndex",
            changed("\"blockIndex\"", "\"nonce\""),
        ),
    ]
}

/// The member `transfers` of `vectors.json`.
pub fn vectors() -> Value {
    json!({
        "payments": payments(),
        "badHeaders": bad_headers().into_iter().map(|(name, field, header)| json!({
            "name": name, "field": field, "header": header,
        })).collect::<Vec<_>>(),
    })
}

fn decode(vector: &Value) -> Result<DecodedTransfer, x402_icp::DecodeError> {
    match decode_exact_payment(vector["header"].as_str().unwrap().as_bytes())? {
        ExactPayment::Icrc1(transfer) => Ok(*transfer),
        ExactPayment::Icrc2(other) => panic!("read as icrc2: {other:?}"),
    }
}

/// Reads the member `transfers` as a stranger would.
pub fn check(transfers: &Value) {
    for vector in transfers["payments"].as_array().unwrap() {
        let decoded = decode(vector).unwrap();
        let payment: Payment = serde_json::from_value(vector["payment"].clone()).unwrap();
        assert_eq!(decoded.payload, payment);
        let proof = decoded.proof;
        assert_eq!(vector["memo"], hex::encode(proof.memo));
        assert_eq!(vector["secret"], hex::encode(proof.secret.0));
        assert_eq!(vector["blockIndex"], proof.block.to_string());
        let accepted = &payment.accepted;
        let id = transfer_id(&accepted.network, &accepted.asset, proof.block, &proof.memo);
        assert_eq!(vector["paymentId"], id.to_string());
        let url = match accepted.extra.route.as_str() {
            "/report" => "/report",
            _ => "/items/7",
        };
        assert_eq!(
            x402_icp::offer::offer_matches(&accepted.extra, "GET", url),
            Ok(())
        );
    }
    for vector in transfers["badHeaders"].as_array().unwrap() {
        let error = decode(vector).expect_err(vector["name"].as_str().unwrap());
        assert_eq!(
            vector["field"],
            error.field(),
            "{}: {error}",
            vector["name"]
        );
    }
}

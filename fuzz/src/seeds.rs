//! The inputs that every run starts from: good ones, which mutation then spoils. `scripts/fuzz --seeds`
//! writes them to `fuzz/corpus` again, beside what was found since.

#[path = "../../crates/x402-icp/tests/support/mod.rs"]
pub mod support;

mod arguments;
mod icp;

use crate::{
    bytes::chunk,
    targets::signature::{MESSAGE, MINUTE_NS},
};
use candid::{Encode, Nat, Principal};
use icrc_ledger_types::{
    icrc::generic_value::ICRC3Value,
    icrc2::transfer_from::TransferFromError,
    icrc3::{
        archive::QueryArchiveFn,
        blocks::{ArchivedBlocks, BlockWithId, GetBlocksRequest, GetBlocksResult},
    },
};
use serde_bytes::ByteBuf;
use std::{fs, path::Path, sync::OnceLock};
use support::{CanisterSigner, NOW_NS, offer, pay};
use tollkeeper::storage::codec::{StoredAccount, StoredU128, to_bytes};
use x402_icp::{
    encode_header,
    signer::{Delegated, Signer},
    wire::{PaymentRequired, ResourceInfo, SettleResponse},
};

/// Whether this is the key of one of the seeds' signers.
pub fn is_known(public_key: &[u8]) -> bool {
    static KEYS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| signers().iter().map(|s| s.public_key_der()).collect());
    keys.iter().any(|key| key == public_key)
}

fn signers() -> Vec<Box<dyn Signer>> {
    let ed25519 = |seed| ic_ed25519::PrivateKey::deserialize_raw_32(&[seed; 32]);
    let secp256k1 =
        || ic_secp256k1::PrivateKey::deserialize_sec1(&[2; 32]).expect("a number below the order");
    let p256 =
        || ic_secp256r1::PrivateKey::deserialize_sec1(&[3; 32]).expect("a number below the order");
    let expiration = NOW_NS + MINUTE_NS;
    let targets = Some(vec![support::spender()]);
    let internet_identity =
        Delegated::grant(&CanisterSigner::new(true), ed25519(5), expiration, targets)
            .expect("test keys sign");
    vec![
        Box::new(ed25519(1)),
        Box::new(secp256k1()),
        Box::new(p256()),
        Box::new(CanisterSigner::new(false)),
        Box::new(CanisterSigner::new(true)),
        Box::new(Delegated::grant(&p256(), secp256k1(), expiration, None).expect("test keys sign")),
        Box::new(internet_identity),
    ]
}

/// Writes the seeds of every target to a folder of its name.
pub fn write(corpus: &Path) {
    for (target, seeds) in all() {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder).expect("the folder can be made");
        for (number, seed) in seeds.iter().enumerate() {
            let file = folder.join(format!("seed-{number:02}"));
            fs::write(file, seed).expect("the file can be written");
        }
    }
}

fn all() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    vec![
        ("authorization", authorizations()),
        ("block_log", block_logs()),
        ("candid_arguments", arguments::candid_arguments()),
        ("canister_signature", canister_signatures()),
        ("headers", headers()),
        ("invoice_request", invoice_requests()),
        ("ledger_description", ledger_descriptions()),
        ("ledger_reply", ledger_replies()),
        ("payment_header", payment_headers()),
        ("signature", signatures()),
        ("stored_values", stored_values()),
        ("target_reply", target_replies()),
        (
            "template",
            lines(&[
                "/",
                "/a/{id}/b.txt\n/a/{x}/{y}",
                "/a/\n/x402",
                "/a/{*rest}\n/{id}",
            ]),
        ),
        (
            "url",
            lines(&[
                "/a/b?x=/y&z=%2F#frag",
                "//a/../b/./c/",
                "https://example.com/a?b=c",
                "/caf%C3%A9/%7Bid%7D/%3C%24%3E",
                "/http_expr/x",
                "*",
            ]),
        ),
    ]
}

/// Bodies of `POST /x402/invoices`: the least and the most that one says.
fn invoice_requests() -> Vec<Vec<u8>> {
    let id = "07".repeat(32);
    let ledger = "xevnm-gaaaa-aaaar-qafnq-cai";
    let account = "k2t6j-2nvnp-4zjm3-25dtz-6xhaa-c7boj-5gayf-oj3xs-i43lp-teztq-6ae-6cc627i.1";
    let bodies = [
        serde_json::json!({"id": id, "path": "/a", "ledger": ledger}),
        serde_json::json!({"id": id, "method": "GET", "path": "/a/caf\u{e9}", "ledger": ledger, "price": "10000",
            "refundTo": account}),
    ];
    bodies.map(|body| body.to_string().into_bytes()).to_vec()
}

/// Good answers of both modes, with a header that is dropped.
fn target_replies() -> Vec<Vec<u8>> {
    #[derive(candid::CandidType)]
    struct Served {
        status: u16,
        headers: Vec<(String, String)>,
        body: serde_bytes::ByteBuf,
        units: Option<candid::Nat>,
    }
    #[derive(candid::CandidType)]
    struct HttpReply {
        status_code: u16,
        headers: Vec<(String, String)>,
        body: serde_bytes::ByteBuf,
        upgrade: Option<bool>,
    }
    let field = |name: &str, value: &str| (name.to_string(), value.to_string());
    let headers = vec![
        field("content-type", "text/plain"),
        field("location", "/b"),
        field("PAYMENT-RESPONSE", "e30="),
    ];
    let body = serde_bytes::ByteBuf::from(b"done".to_vec());
    let served = Served {
        status: 201,
        headers: headers.clone(),
        body: body.clone(),
        units: None,
    };
    let reply = HttpReply {
        status_code: 200,
        headers,
        body,
        upgrade: Some(false),
    };
    [candid::encode_one(reply), candid::encode_one(served)]
        .map(|reply| reply.expect("can be encoded"))
        .to_vec()
}

fn lines(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("can be written")
}

fn payment_headers() -> Vec<Vec<u8>> {
    let offer = offer("icp:1");
    let mut seeds = vec![br#"{"x402Version":1,"scheme":"exact"}"#.to_vec()];
    for signer in signers() {
        let mut payment = pay(&offer, signer.as_ref());
        payment.extensions = serde_json::from_str(
            r#"{"payment-identifier":{"info":{"required":false,"id":"order_0123456789-a"},"schema":{}}}"#,
        )
        .expect("is JSON");
        seeds.push(json(&payment));
        if seeds.len() == 2 {
            seeds.push(encode_header(&payment).into_bytes());
        }
    }
    // What is not signed may be odd, and numbers count by value.
    let mut odd = serde_json::to_value(pay(&offer, signers()[0].as_ref())).expect("can be written");
    odd["x402Version"] = 2.0.into();
    odd["resource"] = serde_json::json!([7]);
    odd["extensions"] = serde_json::json!([]);
    odd["accepted"]["maxTimeoutSeconds"] = 60.0.into();
    odd["accepted"]["extra"]["route"] = serde_json::Value::Null;
    seeds.push(json(&odd));
    seeds
}

fn headers() -> Vec<Vec<u8>> {
    let required = PaymentRequired {
        x402_version: 2,
        error: Some("invalid_exact_icp_expired".into()),
        resource: ResourceInfo {
            url: "/report".into(),
            tags: Some(vec!["news".into()]),
            ..ResourceInfo::default()
        },
        accepts: vec![offer("icp:1"), offer("icp:0011223344556677")],
        extensions: None,
    };
    let receipt = SettleResponse {
        success: true,
        error_reason: None,
        error_message: None,
        payer: Some("aaaaa-aa".into()),
        transaction: "7".into(),
        network: "icp:1".into(),
        amount: Some("10000".into()),
        extensions: None,
        extra: None,
    };
    vec![json(&required), json(&receipt)]
}

fn authorizations() -> Vec<Vec<u8>> {
    let offer = offer("icp:1");
    let mut seeds = vec![];
    for signer in signers() {
        let payload = pay(&offer, signer.as_ref()).payload;
        seeds.push(json(&payload));
        let mut lines = vec![
            payload.from,
            payload.nonce,
            payload.valid_after,
            payload.valid_before,
            payload.public_key,
            payload.signature,
        ];
        for delegation in payload.delegations.unwrap_or_default() {
            lines.push(delegation.pubkey);
            lines.push(delegation.expiration);
            lines.push(delegation.targets.unwrap_or_default().join(","));
            lines.push(delegation.signature);
        }
        seeds.push(lines.join("\n").into_bytes());
    }
    seeds
}

fn signatures() -> Vec<Vec<u8>> {
    let mut seeds = vec![];
    for signer in signers() {
        let delegations = signer.delegations();
        let mut seed = vec![0, delegations.len() as u8];
        seed.extend(chunk(&signer.public_key_der()));
        seed.extend(chunk(&signer.sign(MESSAGE).expect("test keys sign")));
        for delegation in delegations {
            seed.extend(chunk(&delegation.pubkey));
            seed.extend([0, u8::from(delegation.targets.is_some())]);
            seed.extend(chunk(&delegation.signature));
        }
        seeds.push(seed);
    }
    seeds
}

fn canister_signatures() -> Vec<Vec<u8>> {
    let seed = |signer: CanisterSigner| {
        let signature = signer.sign(MESSAGE).expect("test keys sign");
        [chunk(&signer.public_key_der()), signature].concat()
    };
    vec![
        seed(CanisterSigner::new(false)),
        seed(CanisterSigner::new(true)),
    ]
}

fn ledger_replies() -> Vec<Vec<u8>> {
    let nat = |n: u64| Nat::from(n);
    let replies: [Result<Nat, TransferFromError>; 11] = [
        Ok(nat(7)),
        Ok(nat(u64::MAX)),
        Err(TransferFromError::Duplicate {
            duplicate_of: nat(1_234),
        }),
        Err(TransferFromError::BadFee {
            expected_fee: nat(20_000),
        }),
        Err(TransferFromError::BadBurn {
            min_burn_amount: nat(1),
        }),
        Err(TransferFromError::InsufficientFunds { balance: nat(0) }),
        Err(TransferFromError::InsufficientAllowance { allowance: nat(0) }),
        Err(TransferFromError::TooOld),
        Err(TransferFromError::CreatedInFuture { ledger_time: 1 }),
        Err(TransferFromError::TemporarilyUnavailable),
        Err(TransferFromError::GenericError {
            error_code: nat(1),
            message: "no".into(),
        }),
    ];
    let encoded = replies
        .iter()
        .map(|reply| Encode!(reply).expect("can be encoded"));
    let mut seeds: Vec<Vec<u8>> = encoded.map(|reply| [&[0], &reply[..]].concat()).collect();
    seeds.push(b"\x84rejected".to_vec());
    seeds.push(vec![1]);
    seeds
}

fn block_logs() -> Vec<Vec<u8>> {
    let map = |entries: &[(&str, ICRC3Value)]| {
        let entries = entries.iter().cloned();
        ICRC3Value::Map(
            entries
                .map(|(key, value)| (key.to_string(), value))
                .collect(),
        )
    };
    let blob = |bytes: &[u8]| ICRC3Value::Blob(ByteBuf::from(bytes.to_vec()));
    let nat = |number: u64| ICRC3Value::Nat(Nat::from(number));
    let created_at = 1_700_000_000_000_000_000;
    let tx = map(&[
        ("op", ICRC3Value::Text("xfer".into())),
        ("amt", nat(50_000)),
        ("from", ICRC3Value::Array(vec![blob(&[1]), blob(&[9; 32])])),
        ("to", ICRC3Value::Array(vec![blob(&[2])])),
        ("spender", ICRC3Value::Array(vec![blob(&[3])])),
        ("memo", blob(&[7; 32])),
        ("ts", nat(created_at)),
        ("fee", nat(10_000)),
    ]);
    let transfer = map(&[
        ("btype", ICRC3Value::Text("2xfer".into())),
        ("ts", nat(created_at)),
        ("phash", blob(&[5; 32])),
        ("tx", tx),
    ]);
    let mint = map(&[
        ("btype", ICRC3Value::Text("1mint".into())),
        ("ts", nat(created_at - 1)),
    ]);
    let archive = ArchivedBlocks {
        args: vec![GetBlocksRequest {
            start: Nat::from(0u8),
            length: Nat::from(3u8),
        }],
        callback: QueryArchiveFn::new(Principal::from_slice(&[8]), "icrc3_get_blocks"),
    };
    let numbered = |(id, block): (u64, &ICRC3Value)| BlockWithId {
        id: Nat::from(id),
        block: block.clone(),
    };
    let result = |blocks: &[&ICRC3Value], archived_blocks| GetBlocksResult {
        log_length: Nat::from(5u8),
        blocks: (3..).zip(blocks.iter().copied()).map(numbered).collect(),
        archived_blocks,
    };
    let results = [
        result(&[&mint, &transfer], vec![archive]),
        result(&[&transfer], vec![]),
        result(&[], vec![]),
    ];
    let encoded = results.map(|result| Encode!(&result).expect("can be encoded"));
    let mut logs: Vec<_> = encoded
        .iter()
        .map(|reply| [&[1], &reply[..]].concat())
        .collect();
    logs.extend(icp::block_logs());
    logs
}

fn ledger_descriptions() -> Vec<Vec<u8>> {
    #[derive(candid::CandidType)]
    struct Standard {
        name: String,
        url: String,
    }
    let standard = |name: &str| Standard {
        name: name.into(),
        url: "https://example.org".into(),
    };
    let standards = vec![standard("ICRC-1"), standard("ICRC-2")];
    let replies = [
        Encode!(&standards),
        Encode!(&"ckUSDC"),
        Encode!(&6u8),
        Encode!(&Nat::from(10_000u32)),
        Ok(icp::block_logs()[0][1..].to_vec()),
    ];
    let replies = replies.map(|reply| chunk(&reply.expect("can be encoded")));
    vec![replies.concat()]
}

fn stored_values() -> Vec<Vec<u8>> {
    let account = |subaccount| {
        StoredAccount(x402_icp::Account {
            owner: Principal::from_slice(&[1; 29]),
            subaccount,
        })
    };
    vec![
        to_bytes(&account(None)),
        to_bytes(&account(Some([7; 32])))[1..].to_vec(),
        to_bytes(&StoredU128(u128::MAX)),
        // A row: account, number, principal, list.
        [
            &[0x84],
            &to_bytes(&account(None))[1..],
            &[0x07, 0x41, 0x04, 0x82, 0x01, 0x18, 0xff],
        ]
        .concat(),
    ]
}

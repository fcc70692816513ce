//! A scripted seller on this machine that records the requests it got.

use candid::Principal;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use x402_icp::{decode::decode_header, encode_header, offer::offer_id};

/// The canister that serves and collects.
pub const SPENDER: &str = "be2us-64aaa-aaaaa-qaabq-cai";
pub const CKUSDC: &str = "xevnm-gaaaa-aaaar-qafnq-cai";
pub const PRICE: &str = "10000";
pub const CONTENT: &[u8] = b"the content";

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Got {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub payment: Option<String>,
}

/// The seller's behaviour for a request.
#[derive(Clone, Debug)]
pub enum Act {
    /// Closes the connection.
    HangUp,
    /// Sends nothing.
    Silent,
    /// Responds.
    Answer(u16, Vec<(String, String)>, Vec<u8>),
    /// Responds with half a body and closes.
    Cut(u16, Vec<(String, String)>),
    /// Responds with half a body and sends no more.
    Stall(u16, Vec<(String, String)>),
    /// Responds with this many bytes, one after another with a pause.
    Drip(u16, Vec<(String, String)>, usize, Duration),
    /// Waits first.
    Late(Duration, Box<Act>),
}

type Script = dyn Fn(&Got, usize) -> Act + Send + Sync;

pub struct Seller {
    pub port: u16,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Seller {
    /// Responds to each request by the script, which also gets the number of earlier requests with a payment.
    pub async fn open(script: impl Fn(&Got, usize) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let got: Arc<Mutex<Vec<Got>>> = Arc::default();
        let (script, log): (Arc<Script>, _) = (Arc::new(script), got.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script.clone(), log.clone()));
            }
        });
        Seller { port, got }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{SPENDER}.localhost:{}{path}", self.port)
    }

    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// The different authorizations that were sent to a path.
    pub fn authorizations(&self, path: &str) -> BTreeSet<String> {
        let got = self.got();
        let to_path = got.iter().filter(|got| got.path == path);
        to_path.filter_map(|got| got.payment.clone()).collect()
    }

    pub fn paid_requests(&self) -> usize {
        self.got()
            .iter()
            .filter(|got| got.payment.is_some())
            .count()
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Script>, log: Arc<Mutex<Vec<Got>>>) {
    let Some(got) = read(&mut stream).await else {
        return;
    };
    let before = {
        let mut log = log.lock().unwrap();
        let before = log.iter().filter(|got| got.payment.is_some()).count();
        log.push(got.clone());
        before
    };
    let mut act = script(&got, before);
    while let Act::Late(pause, next) = act {
        tokio::time::sleep(pause).await;
        act = *next;
    }
    let (status, headers, body) = match &act {
        Act::HangUp | Act::Late(..) => return,
        Act::Silent => return until_gone(&mut stream).await,
        Act::Answer(status, headers, body) => (status, headers, body.clone()),
        Act::Cut(status, headers) | Act::Stall(status, headers) => (status, headers, vec![b'x'; 9]),
        Act::Drip(status, headers, bytes, _) => (status, headers, vec![b'x'; *bytes]),
    };
    let length = match act {
        Act::Cut(..) | Act::Stall(..) => body.len() * 2,
        _ => body.len(),
    };
    let lines: String = headers
        .iter()
        .map(|(n, v)| format!("{n}: {v}\r\n"))
        .collect();
    let head = format!(
        "HTTP/1.1 {status} X\r\n{lines}content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    if stream.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    if let Act::Drip(_, _, _, pause) = act {
        for byte in body {
            tokio::time::sleep(pause).await;
            if stream.write_all(&[byte]).await.is_err() {
                return;
            }
        }
        return;
    }
    let _ = stream.write_all(&body).await;
    if matches!(act, Act::Stall(..)) {
        until_gone(&mut stream).await;
    }
}

async fn until_gone(stream: &mut TcpStream) {
    let mut byte = [0];
    while stream.read(&mut byte).await.is_ok_and(|read| read > 0) {}
}

async fn read(stream: &mut TcpStream) -> Option<Got> {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut chunk = [0; 4_096];
        let read = stream
            .read(&mut chunk)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_string(), first.next()?.to_string());
    let headers: Vec<(String, String)> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_string()))
        .collect();
    let payment = headers
        .iter()
        .find(|(name, _)| name == "payment-signature")
        .map(|(_, value)| value.clone());
    Some(Got {
        method,
        path,
        headers,
        payment,
    })
}

/// An offer for a request.
pub fn offer(method: &str, path: &str) -> Value {
    let spender = Principal::from_text(SPENDER).unwrap();
    json!({
        "scheme": "exact", "network": "icp:1", "amount": PRICE, "asset": CKUSDC,
        "payTo": "aaaaa-aa", "maxTimeoutSeconds": 60,
        "extra": {
            "assetTransferMethod": "icrc2", "symbol": "ckUSDC", "decimals": 6, "fee": "10000",
            "spender": SPENDER, "offer": offer_id(spender, method, path, 1),
            "method": method, "route": path, "revision": 1,
        },
    })
}

/// An offer by transfer for a request.
pub fn transfer_offer(method: &str, path: &str) -> Value {
    let mut offer = offer(method, path);
    let extra = offer["extra"].as_object_mut().unwrap();
    extra.insert("assetTransferMethod".into(), json!("icrc1"));
    extra.insert("paymentFlow".into(), json!("upfront"));
    extra.insert("maxProofAgeSeconds".into(), json!(86_400));
    let canister = extra.remove("spender").unwrap();
    extra.insert("canister".into(), canister);
    offer
}

/// A 402 with these offers.
pub fn priced(accepts: Value) -> Act {
    let required = json!({"x402Version": 2, "resource": {"url": "/"}, "accepts": accepts});
    let header = ("PAYMENT-REQUIRED".into(), encode_header(&required));
    Act::Answer(402, vec![header], b"{}".to_vec())
}

/// A 402 with the offer for the request.
pub fn price(got: &Got) -> Act {
    priced(json!([offer(&got.method, &got.path)]))
}

/// The kind of receipt in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptKind {
    Good,
    Missing,
    Unreadable,
    NoPayer,
    OtherPayer,
    OtherAmount,
    OtherNetwork,
    OddTransaction,
    Pending,
    Refused,
    Used,
}

pub const RECEIPT_KINDS: [ReceiptKind; 11] = [
    ReceiptKind::Good,
    ReceiptKind::Missing,
    ReceiptKind::Unreadable,
    ReceiptKind::NoPayer,
    ReceiptKind::OtherPayer,
    ReceiptKind::OtherAmount,
    ReceiptKind::OtherNetwork,
    ReceiptKind::OddTransaction,
    ReceiptKind::Pending,
    ReceiptKind::Refused,
    ReceiptKind::Used,
];

/// The headers of a response to a payment.
pub fn receipt(got: &Got, kind: ReceiptKind) -> Vec<(String, String)> {
    let Some(payment) = &got.payment else {
        return Vec::new();
    };
    let payment: Value = decode_header("payment", payment.as_bytes()).unwrap();
    let mut receipt = json!({
        "success": true, "transaction": "7", "network": payment["accepted"]["network"],
        "payer": payment["payload"]["from"], "amount": payment["accepted"]["amount"],
    });
    let failed = |reason: &str| json!({"success": false, "errorReason": reason, "transaction": "", "network": "icp:1"});
    match kind {
        ReceiptKind::Good => {}
        ReceiptKind::Missing => return Vec::new(),
        ReceiptKind::Unreadable => return vec![("PAYMENT-RESPONSE".into(), "???".into())],
        ReceiptKind::NoPayer => receipt["payer"] = json!(null),
        ReceiptKind::OtherPayer => receipt["payer"] = json!("aaaaa-aa"),
        ReceiptKind::OtherAmount => receipt["amount"] = json!("2"),
        ReceiptKind::OtherNetwork => receipt["network"] = json!("icp:0011223344556677"),
        ReceiptKind::OddTransaction => receipt["transaction"] = json!("0x7"),
        ReceiptKind::Pending => receipt = failed("settlement_pending"),
        ReceiptKind::Refused => receipt = failed("insufficient_funds"),
        ReceiptKind::Used => receipt = failed("duplicate_settlement"),
    }
    vec![("PAYMENT-RESPONSE".into(), encode_header(&receipt))]
}

/// The content with a matching receipt.
pub fn delivered(got: &Got) -> Act {
    Act::Answer(200, receipt(got, ReceiptKind::Good), CONTENT.to_vec())
}

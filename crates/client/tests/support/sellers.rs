//! Sellers whose canister is hand-made, and their buyer.

use super::{FEE, PRICE, Shop, gateway::Gateway, merchant};
use candid::{Decode, Encode, Nat, Principal};
use icrc_ledger_types::icrc2::transfer_from::{TransferFromArgs, TransferFromError};
use serde_json::json;
use std::time::Duration;
use tollkeeper_client::{Identity, Payer, Quote, Request, SignedPayment};
use x402_icp::{encode_header, offer::offer_id};

pub fn identity(seed: u8) -> Identity {
    let key = ic_ed25519::PrivateKey::deserialize_raw_32(&[seed; 32]);
    Identity::from_pem(&key.serialize_pkcs8_pem(ic_ed25519::PrivateKeyFormat::Pkcs8v1)).unwrap()
}

/// A 402 for `GET /report` that this canister collects.
pub fn offers(ledger: Principal, network: &str, spender: Principal, seconds: u32) -> String {
    encode_header(&json!({
        "x402Version": 2,
        "accepts": [{
            "scheme": "exact", "network": network, "amount": PRICE.to_string(), "asset": ledger.to_text(),
            "payTo": merchant().to_string(), "maxTimeoutSeconds": seconds,
            "extra": {
                "assetTransferMethod": "icrc2", "symbol": "ckUSDC", "decimals": 6, "fee": FEE.to_string(),
                "spender": spender.to_text(), "offer": offer_id(spender, "GET", "/report", 1),
                "method": "GET", "route": "/report", "revision": 1,
            },
        }],
    }))
}

/// The refusal that a seller forwards.
pub fn refusal() -> String {
    encode_header(&json!({
        "success": false, "errorReason": "insufficient_funds", "transaction": "", "network": "icp:1",
    }))
}

/// A seller with a hand-made canister: sends offers, and refuses every payment.
pub fn refusing(ledger: Principal, network: &str, spender: Principal, seconds: u32) -> Gateway {
    let offers = offers(ledger, network, spender, seconds);
    Gateway::open(move |payment| {
        let header = match payment {
            None => ("PAYMENT-REQUIRED", offers.clone()),
            Some(_) => ("PAYMENT-RESPONSE", refusal()),
        };
        Some((402, vec![header], String::new()))
    })
}

/// A payer who approves what each payment takes, and does not repeat requests without a response.
pub async fn impatient(shop: &Shop, seed: u8) -> Payer {
    let payer = shop.payer(identity(seed)).await;
    payer.with_approval(None).with_patience(Duration::ZERO)
}

pub async fn signed(payer: &Payer, url: &str) -> SignedPayment {
    let Quote::Priced(priced) = payer.quote(&Request::get(url).unwrap()).await.unwrap() else {
        panic!("must be priced");
    };
    let offer = payer.fund(&priced).await.unwrap();
    payer.sign(&priced, &offer).unwrap()
}

/// Makes the hand-made canister take the price.
pub fn take(shop: &Shop, canister: Principal, payer: &Payer, memo: Option<Vec<u8>>) -> u64 {
    let args = TransferFromArgs {
        spender_subaccount: None,
        from: payer.account(),
        to: merchant(),
        amount: PRICE.into(),
        fee: None,
        memo: memo.map(|memo| memo.into()),
        created_at_time: None,
    };
    let reply = shop.call(canister, "take", Encode!(&args).unwrap());
    let taken = Decode!(&reply, Result<Nat, TransferFromError>)
        .unwrap()
        .unwrap();
    u64::try_from(taken.0).unwrap()
}

//! The payer against the canister on a live network, through the gateway and the agent endpoints.

mod support;

use candid::Principal;
use ic_agent::identity::{
    BasicIdentity, DelegatedIdentity, Delegation, Secp256k1Identity, SignedDelegation,
};
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use support::{CONTENT, FEE, FUNDS, PRICE, Shop, merchant};
use test_ledger::testing::Fault;
use tokio::runtime::Runtime;
use tollkeeper_client::{
    Amount, CheckedField, Code, Expected, Identity, OfferProblem, Outcome, Paid, PayError, Payer,
    ProvenBy, Quote, Receipt, Request, SpendControls, Step, VerifyError, verify_receipt,
};

fn ed25519_pem(seed: u8) -> String {
    ic_ed25519::PrivateKey::deserialize_raw_32(&[seed; 32])
        .serialize_pkcs8_pem(ic_ed25519::PrivateKeyFormat::Pkcs8v1)
}

fn ed25519(seed: u8) -> Identity {
    Identity::from_pem(&ed25519_pem(seed)).unwrap()
}

fn secp256k1_pem() -> String {
    ic_secp256k1::PrivateKey::deserialize_sec1(&[2; 32])
        .unwrap()
        .serialize_rfc5915_pem()
}

fn p256() -> Identity {
    let key = ic_secp256r1::PrivateKey::deserialize_sec1(&[3; 32]).unwrap();
    Identity::from_pem(&key.serialize_pkcs8_pem()).unwrap()
}

/// An Ed25519 session that a secp256k1 key lets sign, for this shop's canister and ledger only.
fn session(shop: &Shop) -> Identity {
    use ic_agent::Identity as _;
    let root = Secp256k1Identity::from_pem(secp256k1_pem()).unwrap();
    let session = BasicIdentity::from_raw_key(&[9; 32]);
    let delegation = Delegation {
        pubkey: session.public_key().unwrap(),
        expiration: (SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
            + Duration::from_secs(600))
        .as_nanos() as u64,
        targets: Some(vec![shop.canister, shop.ledger]),
        permissions: None,
    };
    let signature = root
        .sign_delegation(&delegation)
        .unwrap()
        .signature
        .unwrap();
    let chain = vec![SignedDelegation {
        delegation,
        signature,
    }];
    let delegated =
        DelegatedIdentity::new(root.public_key().unwrap(), Box::new(session), chain).unwrap();
    Identity::new(Arc::new(delegated)).unwrap()
}

async fn buy(shop: &Shop, payer: &Payer) -> Result<Box<Paid>, PayError> {
    match payer
        .pay(&Request::get(&shop.url("/report")).unwrap())
        .await?
    {
        Outcome::Paid(paid) => Ok(paid),
        Outcome::Free(response) => panic!("free: {response:?}"),
    }
}

/// The receipt that anybody gets from the raw domain, and that the payer gets by query, are verified with the root key
/// alone. What other hosts answer is not: it says where the proof is.
async fn proves_itself(shop: &Shop, payer: &Payer, site: &str, paid: &Paid) {
    // Not every system finds `<canister>.localhost`; the client does.
    let get = async |url: &str| match payer.quote(&Request::get(url).unwrap()).await.unwrap() {
        Quote::Free(response) => response.body,
        Quote::Priced(priced) => panic!("it has a price: {priced:?}"),
    };
    let (public, unproven) = (
        get(&site.replace(".localhost", ".raw.localhost")).await,
        get(site).await,
    );
    let id = paid.payment.id().unwrap();
    let full = Receipt::proof_of_canister(payer.network(), shop.canister, id).await;
    let root_key = payer.network().agent().read_root_key();
    let verify = |json: &[u8]| verify_receipt(json, &root_key, Some(shop.canister));
    assert!(matches!(verify(&unproven), Err(VerifyError::NoProof(_))));
    let unproven = String::from_utf8(unproven).unwrap();
    assert!(unproven.contains("\"proofAt\""), "{unproven}");
    let (public, full) = (
        verify(&public).unwrap(),
        verify(full.unwrap().as_bytes()).unwrap(),
    );
    assert_eq!((&public.receipt, public.details), (&full.receipt, None));
    let details = full.details.unwrap();
    assert_eq!(
        (details.method.as_str(), details.path.as_str()),
        ("GET", "/report")
    );
}

async fn check(shop: &Shop, payer: &Payer, paid: &Paid) {
    assert_eq!(paid.response.body, CONTENT);
    assert_eq!(paid.problems, Vec::<String>::new());
    let site = shop.url(&format!("/x402/receipts/{}", paid.payment.payment_id));
    let by_http = Receipt::fetch(&site).await.unwrap();
    proves_itself(shop, payer, &site, paid).await;
    let id = paid.payment.id().unwrap();
    let by_candid = Receipt::of_canister(payer.network(), shop.canister, id)
        .await
        .unwrap();
    // The site tells nobody payer and purchase, the canister tells the payer.
    let public = Receipt {
        payer: String::new(),
        method: String::new(),
        path: String::new(),
        ..by_candid.clone()
    };
    assert_eq!(by_http, public);
    assert_eq!(by_candid.path, "/report");
    assert_eq!(by_http.amount, PRICE.to_string());
    let mut expected = Expected::default();
    expected.id = paid.payment.id();
    expected.spender = Some(shop.canister);
    expected.payer = Some(payer.account());
    let checked = by_http.check(payer.network(), &expected).await.unwrap();
    assert!(checked.block.from.is(&payer.account()));
    // The canister was queried for what the block does not contain.
    let nobody = |field: &&CheckedField| field.proven_by == ProvenBy::Nothing;
    assert_eq!(checked.fields.iter().find(nobody), None);
}

#[test]
fn every_kind_of_key_pays_and_the_ledger_confirms_the_receipt() {
    let shop = Shop::open();
    let runtime = Runtime::new().unwrap();
    let mut earned = 0;
    for identity in [
        ed25519(1),
        Identity::from_pem(&secp256k1_pem()).unwrap(),
        p256(),
        session(&shop),
    ] {
        let account = identity.account();
        let before = shop.balance(account);
        shop.fund(account, FUNDS);
        runtime.block_on(async {
            let payer = shop.payer(identity).await.with_approval(None);
            let paid = buy(&shop, &payer).await.unwrap();
            check(&shop, &payer, &paid).await;
        });
        earned += PRICE;
        // The price, the fee of the payment and the fee of the approval, and nothing else.
        assert_eq!(shop.balance(account), before + FUNDS - PRICE - 2 * FEE);
        assert_eq!(shop.balance(merchant()), earned);
    }
}

#[test]
fn nothing_is_paid_without_leave() {
    let shop = Shop::open();
    let runtime = Runtime::new().unwrap();
    let identity = ed25519(1);
    let account = identity.account();
    let report = Request::get(&shop.url("/report")).unwrap();
    runtime.block_on(async {
        let payer = shop.payer(identity.clone()).await;
        // No money.
        assert!(matches!(
            buy(&shop, &payer).await,
            Err(PayError::InsufficientFunds { needed, .. }) if needed.0 == PRICE + FEE
        ));
        shop.fund(account, FUNDS);
        // No allowance, and no approval allowed.
        assert!(matches!(
            buy(&shop, &payer).await,
            Err(PayError::NeedsApproval {
                allowance: Amount(0),
                ..
            })
        ));
        // An approval that is allowed but too small is not made.
        let payer = payer.with_approval(Some(Amount(PRICE)));
        assert!(matches!(
            buy(&shop, &payer).await,
            Err(PayError::NeedsApproval { needed, .. }) if needed.0 == PRICE + FEE
        ));
        // Above the limit.
        let controls = SpendControls::none().allow(shop.ledger, Amount(PRICE - 1));
        let payer = shop
            .payer(identity.clone())
            .await
            .with_spend_controls(controls)
            .with_approval(None);
        match buy(&shop, &payer).await {
            Err(PayError::NoAcceptableOffer(refused)) => assert_eq!(
                refused[0].problem,
                OfferProblem::OverLimit {
                    amount: Amount(PRICE),
                    max: Amount(PRICE - 1)
                }
            ),
            other => panic!("{other:?}"),
        }
        // A ledger that is not allowed.
        let payer = payer.with_spend_controls(SpendControls::default());
        match buy(&shop, &payer).await {
            Err(PayError::NoAcceptableOffer(refused)) => {
                assert_eq!(
                    refused[0].problem,
                    OfferProblem::AssetNotAllowed(shop.ledger)
                );
            }
            other => panic!("{other:?}"),
        }
        // Collected by another canister than expected.
        let payer = shop
            .payer(identity.clone())
            .await
            .with_spender(Principal::management_canister());
        assert!(matches!(
            buy(&shop, &payer).await,
            Err(PayError::NoAcceptableOffer(_))
        ));
        // Free of charge.
        let about = Request::get(&shop.url("/about")).unwrap();
        match payer.pay(&about).await.unwrap() {
            Outcome::Free(response) => assert_eq!(response.body, b"about us"),
            Outcome::Paid(paid) => panic!("{paid:?}"),
        }
        // A price without the payer's consent is not paid.
        let payer = shop.payer(identity).await;
        assert!(matches!(
            payer.quote(&report).await.unwrap(),
            Quote::Priced(_)
        ));
    });
    assert_eq!(shop.balance(account), FUNDS);
    assert_eq!(shop.balance(merchant()), 0);
}

#[test]
fn a_payment_sent_again_is_not_charged_again() {
    let shop = Shop::open();
    let identity = ed25519(1);
    let account = identity.account();
    shop.fund(account, FUNDS);
    Runtime::new().unwrap().block_on(async {
        let payer = shop
            .payer(identity)
            .await
            .with_approval(Some(Amount(FUNDS)));
        let paid = buy(&shop, &payer).await.unwrap();
        let again = payer.send(&paid.payment).await.unwrap();
        assert_eq!(again.receipt, paid.receipt);
        assert_eq!(again.response.body, CONTENT);
        assert_eq!(shop.balance(account), FUNDS - PRICE - 2 * FEE);
        // A second purchase is a second payment.
        let second = buy(&shop, &payer).await.unwrap();
        assert_ne!(second.receipt, paid.receipt);
        // The same payment for another request.
        let mut elsewhere = paid.payment.clone();
        elsewhere.url = shop.url("/report?page=2");
        match payer.send(&elsewhere).await {
            Err(PayError::Used { reason, block, .. }) => {
                assert_eq!(reason, Code::DuplicateSettlement.as_str());
                assert_eq!(block, paid.receipt.map(|receipt| receipt.transaction));
            }
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(shop.balance(account), FUNDS - 2 * PRICE - 3 * FEE);
    assert_eq!(shop.balance(merchant()), 2 * PRICE);
}

#[test]
fn a_reply_lost_after_the_transfer_is_waited_out_with_the_same_payment() {
    let shop = Shop::open();
    let identity = ed25519(1);
    let account = identity.account();
    shop.fund(account, FUNDS);
    shop.misbehave(&Fault::lost_after_transfer());
    let sent = Arc::new(std::sync::Mutex::new(0));
    let counter = sent.clone();
    Runtime::new().unwrap().block_on(async {
        let payer = shop
            .payer(identity)
            .await
            .with_approval(None)
            .with_watcher(move |step| {
                if let Step::Paying(attempt) = step {
                    *counter.lock().unwrap() = *attempt;
                }
            });
        let paid = buy(&shop, &payer).await.unwrap();
        check(&shop, &payer, &paid).await;
    });
    assert_eq!(*sent.lock().unwrap(), 2, "pending once, then delivered");
    assert_eq!(shop.balance(account), FUNDS - PRICE - 2 * FEE);
    assert_eq!(shop.balance(merchant()), PRICE);
}

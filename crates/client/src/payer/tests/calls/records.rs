//! What a record of a call allows: to another payer, from a file, and if it was changed.

use super::*;

/// A recorded call whose reply was lost, as it is read from its file.
async fn recorded(folder: &PathBuf, seller: &Seller, till: &Arc<Till>) -> SignedPayment {
    let stuck = buyer(files(folder), till).with_patience(Duration::ZERO);
    assert!(is_unsettled(&stuck.pay(&get(seller, "/a")).await));
    let text = serde_json::to_vec(&stuck.unresolved().unwrap()[0].payment).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn lost(was_processed: bool) -> Arc<Till> {
    till_of(move |call| match call {
        0 if was_processed => Word::LostAfter,
        0 => Word::LostBefore,
        _ => Word::Sold,
    })
}

#[tokio::test]
async fn a_payment_file_of_a_stranger_calls_nobody() {
    let seller = shop().await;
    // The same file on another machine, whose journal does not know it.
    let (dir, till) = (folder(), lost(false));
    let payment = recorded(&dir, &seller, &till).await;
    let other = buyer(memory(), &till);
    for _ in 0..2 {
        let outcome = other.send(&payment).await;
        assert!(
            matches!(outcome, Err(PayError::Unsettled { .. })),
            "{outcome:?}"
        );
        assert_eq!(other.unresolved().unwrap(), []);
    }
    assert_eq!(till.sent().len(), 1);
    // Where it is recorded it goes on.
    let here = buyer(files(&dir), &till);
    assert!(here.send(&payment).await.unwrap().proven);
    assert_eq!((till.different(), till.moved().len()), (1, 1));
    std::fs::remove_dir_all(dir).unwrap();
    // A call that its canister knows was made by this payer, so the file may fetch what it bought.
    let (dir, till) = (folder(), lost(true));
    let payment = recorded(&dir, &seller, &till).await;
    assert!(buyer(memory(), &till).send(&payment).await.unwrap().proven);
    assert_eq!((till.different(), till.moved().len()), (1, 1));
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn a_call_is_made_by_its_own_payer_on_its_own_network_only() {
    let seller = shop().await;
    let (dir, till) = (folder(), lost(false));
    let payment = recorded(&dir, &seller, &till).await;
    let key = ic_ed25519::PrivateKey::deserialize_raw_32(&[9; 32]);
    let stranger =
        Identity::from_pem(&key.serialize_pkcs8_pem(ic_ed25519::PrivateKeyFormat::Pkcs8v1))
            .unwrap();
    let other = Payer {
        identity: stranger,
        ..buyer(files(&dir), &till)
    };
    let problem = other.send(&payment).await.unwrap_err().to_string();
    assert!(problem.contains("this identity is"), "{problem}");
    let mut elsewhere = payment.clone();
    elsewhere.payment.accepted.network = "icp:0011223344556677".into();
    let outcome = buyer(memory(), &till).send(&elsewhere).await;
    assert!(
        matches!(outcome, Err(PayError::Unsettled { .. })),
        "{outcome:?}"
    );
    assert_eq!(till.sent().len(), 1);
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn a_changed_record_is_not_called() {
    let seller = shop().await;
    let (dir, till) = (folder(), lost(false));
    let payment = recorded(&dir, &seller, &till).await;
    let text = serde_json::to_value(&payment).unwrap();
    for (pointer, value) in [
        ("/url", seller.url("/b")),
        ("/method", "POST".into()),
        ("/payment/accepted/amount", "10001".into()),
        ("/payment/accepted/payTo", SPENDER.into()),
        ("/payment/accepted/extra/fee", "10001".into()),
        ("/payment/payload/path", "/b".into()),
        ("/payment/payload/callId", "07".repeat(32)),
        ("/payment/payload/createdAtTime", "1".into()),
    ] {
        let mut changed = text.clone();
        *changed.pointer_mut(pointer).unwrap() = json!(value);
        let changed: SignedPayment = serde_json::from_value(changed).unwrap();
        let outcome = buyer(files(&dir), &till).send(&changed).await;
        assert!(outcome.is_err(), "{pointer}");
        assert_eq!(till.sent().len(), 1, "{pointer}");
    }
    // Another path with its own id, under the URL that was asked.
    let mut args = payment.call().unwrap();
    args.path = "/b".into();
    let mut changed = text.clone();
    changed["payment"]["payload"]["path"] = json!("/b");
    changed["paymentId"] = json!(till.id(&args).to_string());
    let changed: SignedPayment = serde_json::from_value(changed).unwrap();
    let problem = buyer(memory(), &till).send(&changed).await.unwrap_err();
    assert!(
        problem.to_string().contains("not that of its URL"),
        "{problem}"
    );
    assert_eq!(till.sent().len(), 1);
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn a_record_of_a_call_is_read_as_one() {
    let seller = shop().await;
    let (dir, till) = (folder(), lost(false));
    let payment = recorded(&dir, &seller, &till).await;
    assert!(payment.is_call() && !payment.is_transfer() && !payment.has_no_block());
    assert_eq!(payment.header(), "");
    assert_eq!(payment.known_as(), payment.id());
    let sent = till.sent().remove(0).0;
    assert_eq!(payment.call(), Some(sent.clone()));
    let made_at = sent.created_at_time / 1_000_000_000;
    assert_eq!(payment.valid_after(), Some(made_at));
    assert_eq!(payment.valid_before(), Some(made_at + 60));
    // Neither a secret nor a signature is in it: nobody else can use the file.
    let text = serde_json::to_value(&payment).unwrap();
    let payload = text["payment"]["payload"].as_object().unwrap();
    let names: Vec<_> = payload.keys().map(String::as_str).collect();
    assert_eq!(names, ["callId", "createdAtTime", "from", "path"]);
    std::fs::remove_dir_all(dir).unwrap();
}

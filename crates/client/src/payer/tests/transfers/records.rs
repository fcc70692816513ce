//! What a record of a transfer allows: later, by another payer, and from a file.

use super::*;
use crate::ledger::Found;

/// A recorded transfer that was made this many seconds ago, and has no block yet.
async fn old(folder: &PathBuf, seller: &Seller, bank: &Arc<Bank>, seconds: u64) -> SignedPayment {
    let stuck = buyer(files(folder), bank.clone()).with_patience(Duration::ZERO);
    let _ = stuck.pay(&get(seller, "/a")).await;
    let Entry { payment, file } = stuck.unresolved().unwrap().remove(0);
    let file = file.unwrap();
    let mut record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let made_at = (now() - seconds) * 1_000_000_000;
    record["transfer"]["createdAtTime"] = json!(made_at.to_string());
    std::fs::write(&file, record.to_string()).unwrap();
    payment
}

#[tokio::test]
async fn after_the_ledgers_24_hours_the_log_decides_and_nothing_is_sent() {
    let day = 24 * 3_600;
    let lost = |made: bool| {
        ledger_of(move |call| match (call, made) {
            (0, true) => Answer::LostAfter,
            (0, false) => Answer::LostBefore,
            _ => Answer::Made,
        })
    };
    let seller = shop(|got, _| delivered(got)).await;
    // In the log: it is presented.
    let (dir, bank) = (folder(), lost(true));
    old(&dir, &seller, &bank, day + 60).await;
    proven(
        buyer(files(&dir), bank.clone())
            .pay(&get(&seller, "/a"))
            .await,
    );
    assert_eq!((bank.sent(), bank.made().len()), (1, 1));
    std::fs::remove_dir_all(dir).unwrap();
    // Not in the log, which was read when the ledger could still make it: not known.
    let (dir, bank) = (folder(), lost(false));
    old(&dir, &seller, &bank, day + 60).await;
    let later = buyer(files(&dir), bank.clone());
    assert!(matches!(
        later.pay(&get(&seller, "/a")).await,
        Err(PayError::Unsettled { .. })
    ));
    assert_eq!((bank.sent(), later.unresolved().unwrap().len()), (1, 1));
    std::fs::remove_dir_all(dir).unwrap();
    // The log cannot be read: the user is told how to find out.
    let (dir, bank) = (folder(), lost(true));
    let payment = old(&dir, &seller, &bank, 2 * day).await;
    *bank.search.lock().unwrap() = Some(Found::Unknown("too many blocks".into()));
    let later = buyer(files(&dir), bank.clone());
    let problem = later
        .pay(&get(&seller, "/a"))
        .await
        .unwrap_err()
        .to_string();
    for words in ["too many blocks", &payment.payment_id, "--block"] {
        assert!(problem.contains(words), "{problem}");
    }
    // A wrong block is not presented, the right one is.
    let recorded = later.unresolved().unwrap().remove(0).payment;
    assert!(later.name_block(&recorded, 7).await.is_err());
    let named = later.name_block(&recorded, 0).await.unwrap();
    assert!(later.send(&named).await.unwrap().proven);
    assert_eq!(bank.sent(), 1);
    std::fs::remove_dir_all(dir).unwrap();
    // Not in the log, and the ledger cannot make it any more: it is over, and another may be made.
    let (dir, bank) = (folder(), lost(false));
    old(&dir, &seller, &bank, day + 3_600).await;
    proven(
        buyer(files(&dir), bank.clone())
            .pay(&get(&seller, "/a"))
            .await,
    );
    assert_eq!((bank.different(), bank.made().len()), (2, 1));
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn a_payment_file_of_a_stranger_moves_no_money() {
    let seller = shop(|got, _| delivered(got)).await;
    let (dir, bank) = (folder(), ledger_of(|_| Answer::LostBefore));
    let stuck = buyer(files(&dir), bank.clone()).with_patience(Duration::ZERO);
    let _ = stuck.pay(&get(&seller, "/a")).await;
    let text = serde_json::to_vec(&stuck.unresolved().unwrap()[0].payment).unwrap();
    let payment: SignedPayment = serde_json::from_slice(&text).unwrap();
    // The same file on another machine, whose journal does not know it.
    let other = buyer(Arc::new(MemoryJournal::new()), bank.clone());
    for _ in 0..2 {
        assert!(matches!(
            other.send(&payment).await,
            Err(PayError::Unsettled { .. })
        ));
        assert_eq!(other.unresolved().unwrap(), []);
    }
    assert_eq!(bank.sent(), 1);
    // Where it is recorded it goes on.
    let here = buyer(files(&dir), bank.clone()).with_patience(Duration::ZERO);
    assert!(here.send(&payment).await.is_err());
    assert_eq!((bank.sent(), bank.different()), (2, 1));
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn a_transfer_is_made_by_its_own_payer_on_its_own_network_only() {
    let seller = shop(|got, _| delivered(got)).await;
    let (dir, bank) = (folder(), ledger_of(|_| Answer::LostBefore));
    let stuck = buyer(files(&dir), bank.clone()).with_patience(Duration::ZERO);
    let _ = stuck.pay(&get(&seller, "/a")).await;
    let payment = stuck.unresolved().unwrap().remove(0).payment;
    let key = ic_ed25519::PrivateKey::deserialize_raw_32(&[9; 32]);
    let stranger =
        Identity::from_pem(&key.serialize_pkcs8_pem(ic_ed25519::PrivateKeyFormat::Pkcs8v1))
            .unwrap();
    let other = Payer {
        identity: stranger,
        ..buyer(files(&dir), bank.clone())
    };
    let problem = other.send(&payment).await.unwrap_err().to_string();
    assert!(problem.contains("this identity is"), "{problem}");
    let mut elsewhere = payment.clone();
    elsewhere.payment.accepted.network = "icp:0011223344556677".into();
    let here = buyer(files(&dir), bank.clone());
    assert!(matches!(
        here.send(&elsewhere).await,
        Err(PayError::Unsettled { .. })
    ));
    assert_eq!(bank.sent(), 1);
    std::fs::remove_dir_all(dir).unwrap();
}

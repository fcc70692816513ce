use super::*;
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

/// A payment for a URL, with a number that identifies it.
fn payment(number: u8, url: &str) -> SignedPayment {
    let payer = candid::Principal::self_authenticating([1; 32]);
    serde_json::from_value(json!({
        "method": "GET", "url": url, "headers": [["Authorization", "Bearer s3cret"], ["X-Mine", "1"]],
        "body": "", "header": "", "paymentId": hex::encode([number; 32]),
        "payment": {
            "x402Version": 2,
            "accepted": {
                "scheme": "exact", "network": "icp:1", "amount": "1", "asset": "a", "payTo": "b",
                "maxTimeoutSeconds": 60, "extra": {},
            },
            "payload": {
                "from": payer.to_text(), "nonce": "", "validAfter": "1", "validBefore": "2",
                "publicKey": "", "signature": "",
            },
        },
    }))
    .unwrap()
}

/// A new folder for one test.
fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "tollkeeper-journal-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let folder = std::env::temp_dir().join(name);
    let _ = fs::remove_dir_all(&folder);
    folder
}

/// The same test on both kinds of journal.
fn on_both(test: impl Fn(&dyn Journal)) {
    test(&MemoryJournal::new());
    let folder = folder();
    test(&FileJournal::open(&folder).unwrap());
    fs::remove_dir_all(folder).unwrap();
}

const A: &str = "http://shop.example/a";
const B: &str = "http://shop.example/b";

#[test]
fn a_request_has_one_unresolved_payment() {
    on_both(|journal| {
        let first = payment(1, A);
        journal.record(&first).unwrap();
        // Again: the same result.
        journal.record(&first).unwrap();
        match journal.record(&payment(2, A)) {
            Err(JournalError::Unresolved(other)) => assert_eq!(other.payment_id, first.payment_id),
            other => panic!("{other:?}"),
        }
        journal.record(&payment(3, B)).unwrap();
        assert_eq!(journal.unresolved().unwrap().len(), 2);
        let found = journal.find(&first.keys()[0]).unwrap().unwrap();
        assert_eq!(found.payment.payment_id, first.payment_id);
        journal
            .release(first.id().unwrap(), End::Delivered)
            .unwrap();
        assert_eq!(journal.find(&first.keys()[0]).unwrap(), None);
        journal.record(&payment(2, A)).unwrap();
        assert_eq!(journal.ended().unwrap(), [first.id().unwrap()]);
    });
}

#[test]
fn a_payment_is_never_recorded_for_another_request() {
    on_both(|journal| {
        journal.record(&payment(1, A)).unwrap();
        assert!(matches!(
            journal.record(&payment(1, B)),
            Err(JournalError::OtherRequest(_))
        ));
    });
}

#[test]
fn a_redirected_purchase_is_found_by_both_urls() {
    on_both(|journal| {
        let mut redirected = payment(1, B);
        redirected.asked_url = Some(A.into());
        journal.record(&redirected).unwrap();
        for url in [A, B] {
            let key = payment(9, url).keys()[0];
            assert!(journal.find(&key).unwrap().is_some(), "{url}");
        }
    });
}

#[test]
fn each_payment_is_forgotten_by_itself() {
    on_both(|journal| {
        journal.record(&payment(1, A)).unwrap();
        journal.record(&payment(2, B)).unwrap();
        assert!(journal.forget(PaymentId([1; 32])).unwrap());
        assert!(!journal.forget(PaymentId([1; 32])).unwrap());
        assert!(!journal.forget(PaymentId([7; 32])).unwrap());
        let left = journal.unresolved().unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].payment.id(), Some(PaymentId([2; 32])));
    });
}

#[test]
fn a_lock_is_exclusive_until_it_is_dropped() {
    let shared = folder();
    let memory = MemoryJournal::new();
    let files = [
        FileJournal::open(&shared).unwrap(),
        FileJournal::open(&shared).unwrap(),
    ];
    let pairs: [(&dyn Journal, &dyn Journal); 2] =
        [(&memory, &memory.clone()), (&files[0], &files[1])];
    for (one, other) in pairs {
        let (a, b) = (payment(1, A).keys()[0], payment(1, B).keys()[0]);
        let lock = one.try_lock(&a).unwrap().unwrap();
        assert!(other.try_lock(&a).unwrap().is_none());
        assert!(other.try_lock(&b).unwrap().is_some());
        drop(lock);
        assert!(other.try_lock(&a).unwrap().is_some());
    }
    // No lock leaves a file behind.
    assert_eq!(fs::read_dir(&shared).unwrap().count(), 0);
    fs::remove_dir_all(shared).unwrap();
}

#[test]
fn another_process_finds_what_was_recorded() {
    let folder = folder();
    let first = payment(1, A);
    let entry = FileJournal::open(&folder).unwrap().record(&first).unwrap();
    let found = FileJournal::open(&folder)
        .unwrap()
        .find(&first.keys()[0])
        .unwrap()
        .unwrap();
    assert_eq!(found.file, entry.file);
    assert!(found.payment.stored);
    assert_eq!(found.payment.header(), first.header());
    let text = fs::read_to_string(entry.file.unwrap()).unwrap();
    assert!(
        !text.contains("s3cret"),
        "secrets of the caller are not stored"
    );
    assert!(text.contains("X-Mine"));
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[test]
fn files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let entry = FileJournal::open(&folder).unwrap().record(&payment(1, A));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&entry.unwrap().file.unwrap()), 0o600);
    assert_eq!(mode(&folder), 0o700);
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[test]
fn nothing_that_exists_is_overwritten_followed_or_removed() {
    let folder = folder();
    let journal = FileJournal::open(&folder).unwrap();
    let first = payment(1, A);
    let id = first.id().unwrap();
    let path = folder.join(format!("{id}.json"));
    let precious = folder.join("precious.txt");
    fs::write(&precious, "precious").unwrap();

    // A link in the payment's place.
    std::os::unix::fs::symlink(&precious, &path).unwrap();
    assert!(matches!(
        journal.record(&first),
        Err(JournalError::Io { .. })
    ));
    assert!(
        matches!(save_payment(&path, &first), Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists)
    );
    journal.release(id, End::Dead).unwrap();
    assert!(!remove_payment(&path, id).unwrap());
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
    fs::remove_file(&path).unwrap();

    // A file of another program, and another payment's.
    for content in [
        "unrelated".to_string(),
        serde_json::to_string(&payment(2, B)).unwrap(),
    ] {
        fs::write(&path, &content).unwrap();
        assert!(save_payment(&path, &first).is_err());
        assert!(!remove_payment(&path, id).unwrap());
        // It may have been a payment, so the journal does not ignore it.
        assert!(matches!(
            journal.unresolved(),
            Err(JournalError::Unreadable { .. })
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
        fs::remove_file(&path).unwrap();
    }

    // The journal removes its own files.
    save_payment(&path, &first).unwrap();
    assert!(remove_payment(&path, id).unwrap());
    assert!(!path.exists());

    // A link in a lock's place.
    let key = first.keys()[0];
    let lock = folder.join(format!(".{key}.lock"));
    std::os::unix::fs::symlink(&precious, &lock).unwrap();
    assert!(journal.try_lock(&key).is_err());
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_folder_that_cannot_be_used_is_an_error() {
    let folder = folder();
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        assert!(matches!(
            FileJournal::open(&path),
            Err(JournalError::Io { .. })
        ));
    }
    assert!(save_payment(&folder.join("no/such/kept.json"), &payment(1, A)).is_err());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn ended_payments_are_known_for_a_day() {
    let folder = folder();
    let journal = FileJournal::open(&folder).unwrap();
    let first = payment(1, A);
    journal.record(&first).unwrap();
    journal.release(first.id().unwrap(), End::Dead).unwrap();
    assert_eq!(journal.ended().unwrap(), [first.id().unwrap()]);
    let note = folder.join(format!("{}.ended.json", first.payment_id));
    let mut old: Value = serde_json::from_slice(&fs::read(&note).unwrap()).unwrap();
    assert_eq!(old["end"], "dead");
    old["endedAt"] = json!(now() - ENDED_KNOWN_SECONDS - 1);
    fs::write(&note, old.to_string()).unwrap();
    assert_eq!(journal.ended().unwrap(), []);
    assert!(!note.exists());
    fs::remove_dir_all(folder).unwrap();
}

/// Makes the note of an ended payment this old: its content and the file.
fn age(folder: &Path, ended: &SignedPayment, seconds: u64) {
    let note = folder.join(format!("{}.ended.json", ended.payment_id));
    let mut old: Value = serde_json::from_slice(&fs::read(&note).unwrap()).unwrap();
    old["endedAt"] = json!(now() - seconds);
    fs::write(&note, old.to_string()).unwrap();
    let time = UNIX_EPOCH + std::time::Duration::from_secs(now() - seconds);
    let file = fs::File::options().write(true).open(&note).unwrap();
    file.set_modified(time).unwrap();
}

#[test]
fn what_ended_since_an_unresolved_payment_was_signed_stays_known_however_old_it_is() {
    let folder = folder();
    let journal = FileJournal::open(&folder).unwrap();
    let day = ENDED_KNOWN_SECONDS;
    let mut open = payment(1, A);
    if let crate::payment::Payload::Authorization(payload) = &mut open.payment.payload {
        payload.valid_after = (now() - 3 * day).to_string();
    }
    journal.record(&open).unwrap();
    for (number, seconds) in [
        (2, 3 * day + 2_000),
        (3, 3 * day - 60),
        (4, day + 1),
        (5, 5),
    ] {
        let ended = payment(number, &format!("{B}{number}"));
        journal.record(&ended).unwrap();
        journal
            .release(ended.id().unwrap(), End::Delivered)
            .unwrap();
        age(&folder, &ended, seconds);
    }
    let known = || {
        let mut known = journal.ended().unwrap();
        known.sort();
        known
    };
    let ids = |numbers: &[u8]| -> Vec<PaymentId> {
        let id = |number: &u8| PaymentId([*number; 32]);
        numbers.iter().map(id).collect()
    };
    assert_eq!(known(), ids(&[3, 4, 5]));
    let signed = open.valid_after().unwrap();
    assert_eq!(known_since([&open]), signed - SEARCH_MARGIN_SECONDS);
    // Those days are no longer needed.
    journal.release(open.id().unwrap(), End::Dead).unwrap();
    assert_eq!(known(), ids(&[1, 5]));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_folder_does_not_fill_with_notes_of_ended_payments() {
    let folder = folder();
    let journal = FileJournal::open(&folder).unwrap();
    let notes = || fs::read_dir(&folder).unwrap().count();
    for number in 1..=20 {
        let ended = payment(number, A);
        journal.record(&ended).unwrap();
        // The ended ones are never queried.
        journal
            .release(ended.id().unwrap(), End::Delivered)
            .unwrap();
        age(&folder, &ended, ENDED_KNOWN_SECONDS + 60);
        assert!(notes() <= 2, "{number}: {} files", notes());
    }
    // A file with such a name that is not the journal's stays.
    let foreign = folder.join(format!("{}.ended.json", hex::encode([99; 32])));
    fs::write(&foreign, "mine").unwrap();
    let file = fs::File::options().write(true).open(&foreign).unwrap();
    file.set_modified(UNIX_EPOCH).unwrap();
    journal.record(&payment(77, A)).unwrap();
    journal
        .release(PaymentId([77; 32]), End::Delivered)
        .unwrap();
    assert_eq!(fs::read_to_string(&foreign).unwrap(), "mine");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_record_that_no_request_would_find_stops_purchases_instead_of_being_passed_over() {
    let folder = folder();
    let journal = FileJournal::open(&folder).unwrap();
    let file = journal.record(&payment(1, A)).unwrap().file.unwrap();
    let whole: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let mut no_body = whole.clone();
    no_body["body"] = json!("%%%");
    let mut no_payer = whole.clone();
    no_payer["payment"]["payload"]["from"] = json!("nobody");
    for damaged in [no_body, no_payer] {
        fs::write(&file, damaged.to_string()).unwrap();
        assert!(
            matches!(
                journal.record(&payment(2, A)),
                Err(JournalError::Unreadable { .. })
            ),
            "{damaged}"
        );
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_request_key_covers_everything_but_the_fragment() {
    let payer: Account = candid::Principal::self_authenticating([1; 32]).into();
    let other: Account = candid::Principal::self_authenticating([2; 32]).into();
    let key = RequestKey::new(&payer, "icp:1", "GET", "http://shop/a", b"");
    for same in ["http://shop/a#part", "http://SHOP/a", "http://shop:80/a"] {
        assert_eq!(
            RequestKey::new(&payer, "icp:1", "GET", same, b""),
            key,
            "{same}"
        );
    }
    for different in [
        RequestKey::new(&other, "icp:1", "GET", "http://shop/a", b""),
        RequestKey::new(&payer, "icp:2", "GET", "http://shop/a", b""),
        RequestKey::new(&payer, "icp:1", "POST", "http://shop/a", b""),
        RequestKey::new(&payer, "icp:1", "GET", "http://shop/b", b""),
        RequestKey::new(&payer, "icp:1", "GET", "http://shop/a?", b""),
        RequestKey::new(&payer, "icp:1", "GET", "http://shop/a", b"x"),
    ] {
        assert_ne!(different, key);
    }
}

/// A transfer for a URL, whose block is not known.
fn transfer(number: u8, url: &str) -> SignedPayment {
    let mut text = serde_json::to_value(payment(number, url)).unwrap();
    let from = text["payment"]["payload"]["from"].take();
    text["payment"]["payload"] = json!({"from": from, "secret": "00"});
    text["transfer"] = json!({"createdAtTime": "1", "fee": "1"});
    serde_json::from_value(text).unwrap()
}

#[test]
fn the_block_of_a_transfer_is_recorded_once_and_ends_with_it() {
    on_both(|journal| {
        let first = transfer(1, A);
        let id = first.id().unwrap();
        // Of no recorded transfer.
        journal.record_block(id, 7).unwrap();
        assert_eq!(journal.unresolved().unwrap(), []);
        journal.record(&first).unwrap();
        assert!(
            journal
                .find(&first.keys()[0])
                .unwrap()
                .unwrap()
                .payment
                .has_no_block()
        );
        for _ in 0..2 {
            journal.record_block(id, 7).unwrap();
        }
        assert!(matches!(
            journal.record_block(id, 8),
            Err(JournalError::OtherBlock {
                recorded: 7,
                named: 8,
                ..
            })
        ));
        let found = journal.find(&first.keys()[0]).unwrap().unwrap().payment;
        assert_eq!(found.block(), Some(7));
        assert!(!found.header().is_empty());
        // It is found by both of its ids, and is still the only one of its request.
        assert!(journal.with_id(id).unwrap().is_some());
        assert!(
            journal
                .with_id(found.known_as().unwrap())
                .unwrap()
                .is_some()
        );
        assert!(journal.record(&transfer(2, A)).is_err());
        // The same without its block is the recorded one.
        assert_eq!(journal.record(&first).unwrap().payment.block(), Some(7));
        // An authorization has no block to record.
        let other = payment(3, B);
        journal.record(&other).unwrap();
        journal.record_block(other.id().unwrap(), 7).unwrap();
        assert!(journal.forget(found.known_as().unwrap()).unwrap());
        journal.release(other.id().unwrap(), End::Dead).unwrap();
        assert_eq!(journal.unresolved().unwrap(), []);
        journal.record(&first).unwrap();
        let again = journal.unresolved().unwrap().remove(0).payment;
        assert!(again.has_no_block(), "the note of the block is gone");
    });
}

#[test]
fn a_note_of_a_block_that_cannot_be_read_is_not_passed_over() {
    let folder = folder();
    let journal = FileJournal::open(&folder).unwrap();
    let first = transfer(1, A);
    journal.record(&first).unwrap();
    let note = folder.join(format!("{}.block.json", first.payment_id));
    for odd in ["", "{}", r#"{"paymentId":"07","blockIndex":"7"}"#] {
        fs::write(&note, odd).unwrap();
        assert!(
            matches!(journal.unresolved(), Err(JournalError::Unreadable { .. })),
            "{odd}"
        );
    }
    fs::remove_dir_all(folder).unwrap();
}

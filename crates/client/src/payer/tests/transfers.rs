//! Purchases by the payer's own transfer.

pub(super) mod bank;
mod crashes;
mod records;

use super::{
    seller::{
        Act, CONTENT, ReceiptKind, SPENDER, Seller, delivered, priced, receipt, transfer_offer,
    },
    *,
};
use crate::{
    journal::FileJournal,
    ledger::Promised,
    offer::{By, OfferProblem},
    payment::Payload,
};
use bank::{Answer, Bank, memo};
use icrc_ledger_types::icrc1::transfer::TransferError;
use x402_icp::wire::SettleResponse;

fn buyer(journal: Arc<dyn Journal>, bank: Arc<Bank>) -> Payer {
    paying_from(payer(journal), bank)
}

/// The same payer, by transfers from this ledger.
pub(super) fn paying_from(payer: Payer, bank: Arc<Bank>) -> Payer {
    Payer {
        test_rail: Some(bank),
        by: By::Transfer,
        ..payer
    }
}

/// A seller that offers by transfer and answers the n-th proof by the script.
async fn shop(paid: impl Fn(&Got, usize) -> Act + Send + Sync + 'static) -> Seller {
    Seller::open(move |got, before| match got.payment {
        None => priced(json!([
            offer(&got.method, &got.path),
            transfer_offer(&got.method, &got.path)
        ])),
        Some(_) => paid(got, before),
    })
    .await
}

fn ledger_of(script: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Arc<Bank> {
    Bank::open(identity().principal(), script)
}

#[tokio::test]
async fn a_transfer_and_its_block_are_recorded_before_anything_depends_on_them() {
    let folder = folder();
    let (at_ledger, at_seller) = (folder.clone(), folder.clone());
    let recorded = |folder: &PathBuf| {
        let mut entries = FileJournal::open(folder).unwrap().unresolved().unwrap();
        assert_eq!(entries.len(), 1);
        entries.remove(0).payment
    };
    let bank = Bank::watched(
        identity().principal(),
        |_| Answer::Made,
        move |_| assert!(recorded(&at_ledger).has_no_block()),
    );
    let seller = shop(move |got, _| {
        let payment = recorded(&at_seller);
        assert_eq!(payment.block(), Some(0));
        assert_eq!(payment.header(), got.payment.clone().unwrap());
        delivered(got)
    })
    .await;
    let buyer = buyer(files(&folder), bank.clone());
    let paid = proven(buyer.pay(&get(&seller, "/a")).await);
    assert_eq!(paid.response.body, CONTENT);
    let made = bank.made();
    assert_eq!(made.len(), 1);
    assert_eq!(hex::encode(memo(&made[0])), paid.payment.payment_id);
    assert_eq!(made[0].amount, 10_000u32);
    assert_eq!(made[0].fee, Some(10_000u32.into()));
    assert!(made[0].created_at_time.is_some());
    assert_eq!(buyer.unresolved().unwrap(), []);
    // Neither the record nor the note of the block is left.
    let left = std::fs::read_dir(&folder)
        .unwrap()
        .map(|f| f.unwrap().file_name());
    for name in left {
        assert!(name.to_str().unwrap().ends_with(".ended.json"), "{name:?}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_lost_answer_of_the_ledger_makes_the_same_transfer_again() {
    for lost in [Answer::LostAfter, Answer::LostBefore] {
        let bank = ledger_of(move |call| match call {
            0 | 1 => lost.clone(),
            _ => Answer::Made,
        });
        let seller = shop(|got, _| delivered(got)).await;
        let folder = folder();
        let first = buyer(files(&folder), bank.clone()).with_patience(Duration::ZERO);
        assert!(matches!(
            first.pay(&get(&seller, "/a")).await,
            Err(PayError::Unsettled { .. })
        ));
        assert_eq!(seller.paid_requests(), 0);
        let second = buyer(files(&folder), bank.clone()).with_patience(Duration::from_secs(2));
        proven(second.pay(&get(&seller, "/a")).await);
        assert_eq!((bank.sent(), bank.different()), (3, 1));
        assert_eq!(bank.made().len(), 1);
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_while_the_ledger_is_silent_pays_once() {
    let bank = ledger_of(|call| match call {
        0 => Answer::SilentAfter,
        _ => Answer::Made,
    });
    let seller = shop(|got, _| delivered(got)).await;
    let folder = folder();
    let first = buyer(files(&folder), bank.clone());
    let request = get(&seller, "/a");
    let dropped = tokio::time::timeout(Duration::from_millis(200), first.pay(&request)).await;
    assert!(dropped.is_err());
    proven(buyer(files(&folder), bank.clone()).pay(&request).await);
    assert_eq!((bank.different(), bank.made().len()), (1, 1));
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn what_the_ledger_refuses_at_first_is_over_and_later_is_not() {
    let refusal = || TransferError::InsufficientFunds {
        balance: 5u8.into(),
    };
    let seller = shop(|got, _| delivered(got)).await;
    let request = get(&seller, "/a");
    // The first answer of all: nothing was transferred, and nothing stays recorded.
    let bank = ledger_of(move |_| Answer::Refused(refusal()));
    let buyer_1 = buyer(Arc::new(MemoryJournal::new()), bank.clone());
    match buyer_1.pay(&request).await {
        Err(PayError::InsufficientFunds {
            needed, balance, ..
        }) => assert_eq!((needed, balance), (Amount(20_000), Amount(5))),
        other => panic!("{other:?}"),
    }
    assert_eq!(buyer_1.unresolved().unwrap(), []);
    // In answer to a repetition it says nothing about the first one.
    for made in [true, false] {
        let bank = ledger_of(move |call| match (call, made) {
            (0, true) => Answer::LostAfter,
            (0, false) => Answer::LostBefore,
            _ => Answer::Refused(refusal()),
        });
        let buyer_2 = buyer(Arc::new(MemoryJournal::new()), bank.clone())
            .with_patience(Duration::from_secs(2));
        let outcome = buyer_2.pay(&request).await;
        match made {
            true => drop(proven(outcome)),
            false => {
                assert!(
                    matches!(outcome, Err(PayError::Unsettled { .. })),
                    "{outcome:?}"
                );
                assert_eq!(buyer_2.unresolved().unwrap().len(), 1);
            }
        }
        assert_eq!(bank.different(), 1);
    }
}

#[tokio::test]
async fn a_fee_that_changed_moves_nothing() {
    let bank = ledger_of(|_| {
        Answer::Refused(TransferError::BadFee {
            expected_fee: 20_000u32.into(),
        })
    });
    let seller = shop(|got, _| delivered(got)).await;
    let buyer = buyer(Arc::new(MemoryJournal::new()), bank);
    match buyer.pay(&get(&seller, "/a")).await {
        Err(PayError::FeeMismatch {
            offered, ledger, ..
        }) => assert_eq!((offered, ledger), (Amount(10_000), Amount(20_000))),
        other => panic!("{other:?}"),
    }
    assert_eq!(buyer.unresolved().unwrap(), []);
}

#[tokio::test]
async fn whatever_the_seller_does_there_is_one_transfer() {
    let count = mischief(&Got {
        method: String::new(),
        path: String::new(),
        headers: vec![],
        payment: None,
    })
    .len();
    let base = buyer(Arc::new(MemoryJournal::new()), ledger_of(|_| Answer::Made));
    let mut running = tokio::task::JoinSet::new();
    for number in 0..count {
        if running.len() >= 12 {
            running.join_next().await.unwrap().unwrap();
        }
        running.spawn(one_transfer_after(base.clone(), number));
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

async fn one_transfer_after(base: Payer, number: usize) {
    let seller = shop(move |got, before| match before {
        0 => mischief(got).swap_remove(number).1,
        _ => delivered(got),
    })
    .await;
    let bank = ledger_of(|_| Answer::Made);
    let folder = folder();
    let process = || paying_from(base.clone().with_journal(files(&folder)), bank.clone());
    let first = process().with_patience(Duration::ZERO);
    let request = get(&seller, "/a");
    let ended = tokio::time::timeout(Duration::from_secs(2), first.pay(&request)).await;
    let second = process();
    assert_eq!(second.unresolved().unwrap().len(), 1, "{number}: {ended:?}");
    assert!(
        !matches!(ended, Ok(Err(PayError::Refused { .. }))),
        "{number}: the money has moved: {ended:?}"
    );
    proven(second.pay(&request).await);
    assert_eq!(seller.authorizations("/a").len(), 1, "{number}");
    assert_eq!((bank.sent(), bank.made().len()), (1, 1), "{number}");
    assert_eq!(second.unresolved().unwrap(), []);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_refused_proof_is_kept_and_no_other_transfer_is_made() {
    let seller = shop(|got, _| Act::Answer(402, receipt(got, ReceiptKind::Refused), vec![])).await;
    let bank = ledger_of(|_| Answer::Made);
    let buyer = buyer(Arc::new(MemoryJournal::new()), bank.clone());
    for _ in 0..3 {
        match buyer.pay(&get(&seller, "/a")).await {
            Err(PayError::ProofRefused { block, reason, .. }) => {
                assert_eq!((block, &*reason), (0, "insufficient_funds"));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((bank.sent(), bank.made().len()), (1, 1));
    assert_eq!(seller.authorizations("/a").len(), 1);
    let recorded = buyer.unresolved().unwrap().remove(0).payment;
    // Both of its ids are known.
    let id = recorded.known_as().unwrap();
    assert_ne!(Some(id), recorded.id());
    assert!(matches!(
        buyer.refetch(id).await,
        Err(PayError::ProofRefused { .. })
    ));
    assert!(buyer.forget(id).unwrap());
    assert_eq!(buyer.unresolved().unwrap(), []);
}

#[tokio::test]
async fn a_receipt_is_compared_with_the_id_of_the_block() {
    let other = |got: &Got| {
        let mut headers = receipt(got, ReceiptKind::Good);
        let mut said: SettleResponse =
            x402_icp::decode::decode_header("r", headers[0].1.as_bytes()).unwrap();
        said.extra = Some(json!({"paymentId": "07".repeat(32)}));
        headers[0].1 = x402_icp::encode_header(&said);
        Act::Answer(200, headers, CONTENT.to_vec())
    };
    let seller = shop(move |got, _| other(got)).await;
    let buyer = buyer(Arc::new(MemoryJournal::new()), ledger_of(|_| Answer::Made));
    match buyer.pay(&get(&seller, "/a")).await {
        Ok(Outcome::Paid(paid)) => assert!(!paid.proven, "{:?}", paid.problems),
        other => panic!("{other:?}"),
    }
    assert_eq!(buyer.unresolved().unwrap().len(), 1);
}

#[tokio::test]
async fn of_calls_at_once_one_transfers_and_all_get_what_it_bought() {
    let bank = ledger_of(|_| Answer::Made);
    let seller =
        shop(|got, _| Act::Late(Duration::from_millis(300), Box::new(delivered(got)))).await;
    let folder = folder();
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let buyer = buyer(files(&folder), bank.clone()).with_patience(Duration::from_secs(20));
            let request = get(&seller, "/a");
            tokio::spawn(async move { buyer.pay(&request).await })
        })
        .collect();
    for call in calls {
        proven(call.await.unwrap());
    }
    assert_eq!((bank.different(), bank.made().len()), (1, 1));
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn of_calls_at_once_a_refused_transfer_holds_up_nobody() {
    let bank = ledger_of(|_| {
        std::thread::sleep(Duration::from_millis(100));
        Answer::Refused(TransferError::InsufficientFunds {
            balance: 0u8.into(),
        })
    });
    let seller = shop(|got, _| delivered(got)).await;
    let folder = folder();
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let buyer = buyer(files(&folder), bank.clone()).with_patience(Duration::from_secs(20));
            let request = get(&seller, "/a");
            tokio::spawn(async move { buyer.pay(&request).await })
        })
        .collect();
    for call in calls {
        let outcome = call.await.unwrap();
        assert!(
            matches!(outcome, Err(PayError::InsufficientFunds { .. })),
            "{outcome:?}"
        );
    }
    assert_eq!(files(&folder).unresolved().unwrap(), []);
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_transfer_is_made_only_if_the_user_allows_it() {
    let bank = ledger_of(|_| Answer::Made);
    let both = shop(|got, _| delivered(got)).await;
    let only = Seller::open(|got, _| match got.payment {
        None => priced(json!([transfer_offer(&got.method, &got.path)])),
        Some(_) => delivered(got),
    })
    .await;
    let by = |by| buyer(Arc::new(MemoryJournal::new()), bank.clone()).with_ways(by);
    let of = |paid: Box<Paid>| matches!(paid.payment.payment.payload, Payload::Transfer(_));
    assert!(!of(proven(by(By::Allowance).pay(&get(&both, "/a")).await)));
    assert!(!of(proven(by(By::Any).pay(&get(&both, "/a")).await)));
    assert_eq!(bank.sent(), 0);
    assert!(of(proven(by(By::Transfer).pay(&get(&both, "/a")).await)));
    assert!(of(proven(by(By::Any).pay(&get(&only, "/a")).await)));
    assert_eq!(bank.sent(), 2);
    match by(By::Allowance).pay(&get(&only, "/a")).await {
        Err(PayError::NoAcceptableOffer(refused)) => {
            assert_eq!(refused[0].problem, OfferProblem::ByTransfer);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bank.sent(), 2);
}

#[tokio::test]
async fn an_offer_that_its_canister_does_not_confirm_moves_no_money() {
    let seller = shop(|got, _| delivered(got)).await;
    let bank = ledger_of(|_| Answer::Made);
    let buyer = buyer(Arc::new(MemoryJournal::new()), bank.clone());
    let request = get(&seller, "/a");
    let Quote::Priced(priced) = buyer.quote(&request).await.unwrap() else {
        panic!("it has a price");
    };
    let offer = &priced.offers[0];
    // The SDK does not let it be left out.
    assert!(matches!(
        buyer.sign(&priced, offer),
        Err(PayError::Unconfirmed { .. })
    ));
    let honest = Promised {
        ledger: offer.asset,
        amount: offer.amount.0.into(),
        pay_to: offer.pay_to,
        offer: offer.verbatim.extra["offer"].as_str().unwrap().into(),
    };
    let other = |change: fn(&mut Promised)| {
        let mut offer = honest.clone();
        change(&mut offer);
        Ok(vec![offer])
    };
    for word in [
        // A gateway put its own account, another price, another ledger or an old offer into the 402.
        other(|offer| offer.pay_to = Principal::from_slice(&[9, 1]).into()),
        other(|offer| offer.pay_to.subaccount = Some([1; 32])),
        other(|offer| offer.amount = 9_999u32.into()),
        other(|offer| offer.ledger = Principal::from_slice(&[9, 1])),
        other(|offer| offer.offer = "00".repeat(16)),
        Ok(vec![]),
        Err("no answer".into()),
    ] {
        *bank.offers.lock().unwrap() = Some(word.clone());
        let outcome = buyer.pay(&request).await;
        assert!(
            matches!(outcome, Err(PayError::Unconfirmed { .. })),
            "{word:?}: {outcome:?}"
        );
    }
    assert_eq!(bank.sent(), 0);
    assert_eq!(buyer.unresolved().unwrap(), []);
    *bank.offers.lock().unwrap() = Some(Ok(vec![honest]));
    proven(buyer.pay(&request).await);
}

#[tokio::test]
async fn a_proof_that_would_be_too_long_is_found_before_the_money_moves() {
    let seller = Seller::open(|got, _| {
        let mut long = transfer_offer(&got.method, &got.path);
        // As long as a 402 can be, so the proof, which has more in it, is longer.
        let limit = x402_icp::decode::MAX_HEADER_BYTES / 4 * 3;
        let others = long.to_string().len() + 100;
        long["extra"]["symbol"] = json!("x".repeat(limit - others));
        priced(json!([long]))
    })
    .await;
    let bank = ledger_of(|_| Answer::Made);
    let buyer = buyer(Arc::new(MemoryJournal::new()), bank.clone());
    assert!(matches!(
        buyer.pay(&get(&seller, "/a")).await,
        Err(PayError::TooLong { .. })
    ));
    assert_eq!(bank.sent(), 0);
}

#[tokio::test]
async fn the_outcome_of_a_transfer_is_the_ledgers() {
    let seller = shop(|got, _| Act::Answer(500, receipt(got, ReceiptKind::Missing), vec![])).await;
    let bank = ledger_of(|_| Answer::Made);
    let buyer = buyer(Arc::new(MemoryJournal::new()), bank.clone());
    let error = buyer.pay(&get(&seller, "/a")).await.unwrap_err();
    assert!(matches!(error, PayError::Unsettled { .. }), "{error:?}");
    let payment = buyer.unresolved().unwrap().remove(0).payment;
    // The canister does not answer in this test; the block is the ledger's word.
    match buyer.resolve(&payment).await {
        Resolution::Unknown { reason } => {
            assert!(reason.contains("the transfer is in block 0"), "{reason}");
            assert!(reason.contains(SPENDER), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(buyer.unresolved().unwrap().len(), 1);
    assert_eq!(bank.sent(), 1);
}

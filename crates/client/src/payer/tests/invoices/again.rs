//! Invoices that ask for money again.

use super::*;

#[tokio::test]
async fn attack_an_invoice_that_is_open_again_after_its_payment_is_not_paid_again() {
    let folder = folder();
    for journal in [
        files(&folder),
        Arc::new(MemoryJournal::new()) as Arc<dyn Journal>,
    ] {
        let case = Case::open(|_| Answer::Made).await;
        let payer = || paying_from(payer(journal.clone()), case.bank.clone());
        payer().pay_invoice(&case.link).await.unwrap();
        // The canister took the money elsewhere, and says that nothing has come.
        case.change(|bill| {
            bill.invoice.amount = (2 * AMOUNT).into();
            bill.status = Some(InvoiceStatus::Open);
        });
        for _ in 0..2 {
            let ended = payer().pay_invoice(&case.link).await;
            assert!(
                matches!(ended, Err(InvoiceProblem::SentBefore)),
                "{ended:?}"
            );
        }
        assert_eq!((case.bank.sent(), case.bank.made().len()), (1, 1));
        // What it sold is fetched all the same, and another invoice is paid.
        case.change(|bill| bill.status = None);
        case.change(|bill| bill.invoice.amount = AMOUNT.into());
        payer().pay_invoice(&case.link).await.unwrap();
        assert_eq!(case.bank.sent(), 1);
    }
}

#[tokio::test]
async fn attack_an_invoice_that_is_open_again_after_a_return_is_not_paid_again() {
    let case = Case::open(|_| Answer::Made).await;
    case.change(|bill| bill.status = Some(InvoiceStatus::Open));
    case.try_once().await.unwrap_err();
    let own = case.link.account();
    case.bank.others.lock().unwrap().insert(1, own);
    case.change(|bill| {
        bill.status = Some(InvoiceStatus::Short);
        bill.invoice.returned = Some(InvoiceReturn {
            to: Principal::from_slice(&[4]).into(),
            pending: false,
            made: Some(ReturnMade {
                amount: 1u8.into(),
                block_index: 1u8.into(),
                at: 0,
            }),
        });
    });
    case.try_once().await.unwrap_err();
    assert_eq!(case.recorded().len(), 0);
    case.change(|bill| {
        bill.status = Some(InvoiceStatus::Open);
        bill.invoice.amount = (2 * AMOUNT).into();
    });
    let ended = case.try_once().await;
    assert!(
        matches!(ended, Err(InvoiceProblem::SentBefore)),
        "{ended:?}"
    );
    assert_eq!(case.bank.sent(), 1);
}

#[tokio::test]
async fn a_recorded_transfer_is_not_sent_while_the_money_of_another_is_there() {
    let case = Case::open(|_| Answer::LostBefore).await;
    case.try_once().await.unwrap_err();
    case.change(|bill| {
        bill.gift = AMOUNT;
        bill.status = Some(InvoiceStatus::Open);
    });
    case.try_once().await.unwrap_err();
    assert_eq!(case.bank.sent(), 1);
    case.change(|bill| bill.status = None);
    case.pay().await.unwrap();
    assert_eq!(case.bank.sent(), 1);
}

#[tokio::test]
async fn attack_an_amount_that_rises_after_the_payment_gets_no_second_transfer() {
    let case = Case::open(|_| Answer::Made).await;
    case.change(|bill| bill.status = Some(InvoiceStatus::Open));
    case.try_once().await.unwrap_err();
    for more in 1..4u32 {
        case.change(|bill| bill.invoice.amount = (AMOUNT * u128::from(more + 1)).into());
        let ended = case.try_once().await;
        assert!(
            matches!(ended, Err(InvoiceProblem::Unsettled(_))),
            "{ended:?}"
        );
    }
    assert_eq!((case.bank.different(), case.bank.made().len()), (1, 1));
    assert_eq!(case.recorded().len(), 1);
}

#[tokio::test]
async fn attack_an_invoice_whose_transfer_cannot_be_recorded_is_not_paid() {
    // A damaged record, a record or a note that something else stands in the way of, and a folder that is gone.
    let spoil: [fn(&Case, String); 4] = [
        |case, name| {
            let path = case.folder.join(format!("{name}.invoice.json"));
            std::fs::write(path, "{\"url\": null, \"canis").unwrap();
        },
        |case, name| {
            std::fs::create_dir(case.folder.join(format!("{name}.invoice.json"))).unwrap();
        },
        |case, name| {
            std::fs::create_dir(case.folder.join(format!("{name}.invoice.sent"))).unwrap();
        },
        |case, _| std::fs::remove_dir_all(&case.folder).unwrap(),
    ];
    for (number, spoil) in spoil.into_iter().enumerate() {
        let case = Case::open(|_| Answer::Made).await;
        let payer = case.payer();
        spoil(&case, hex::encode(case.link.account().subaccount.unwrap()));
        let ended = payer.pay_invoice(&case.link).await;
        assert!(
            matches!(
                ended,
                Err(InvoiceProblem::Pay(PayError::Journal(_)) | InvoiceProblem::SentBefore)
            ),
            "{number}: {ended:?}"
        );
        assert_eq!(case.bank.sent(), 0, "{number}");
    }
}

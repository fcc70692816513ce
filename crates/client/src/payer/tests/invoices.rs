//! Invoices, paid by a plain transfer.

mod again;

use super::{
    crashes::at_each_point,
    seller::{CKUSDC, SPENDER},
    transfers::{
        bank::{Answer, Bank, Bill, memo},
        paying_from,
    },
    *,
};
use crate::{
    invoice::{InvoiceLink, InvoiceProblem, InvoiceStatus, PaidInvoice, Sent},
    journal::FileJournal,
    ledger::Found,
};
use candid::Principal;
use icrc_ledger_types::icrc1::transfer::TransferError;
use tollkeeper_types::{Invoice, InvoiceReturn, ReturnMade};

const SECOND: u64 = 1_000_000_000;
const NOW: u64 = 1_800_000_000 * SECOND;
const HOUR: u64 = 3_600 * SECOND;
const AMOUNT: u128 = 20_000;

struct Case {
    bank: Arc<Bank>,
    link: InvoiceLink,
    folder: PathBuf,
    seller: Seller,
}

impl Case {
    async fn open(script: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::watched(script, folder(), |_| {}).await
    }

    async fn watched(
        script: impl Fn(usize) -> Answer + Send + Sync + 'static,
        folder: PathBuf,
        watch: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        let seller = Seller::open(|got, _| {
            assert!(got.path.ends_with("/content"), "{got:?}");
            Act::Answer(200, vec![], CONTENT.to_vec())
        })
        .await;
        let link = InvoiceLink::beside(&seller.url("/a"), None, [7; 32]).unwrap();
        let bank = Bank::watched(identity().principal(), script, watch);
        let ledger = Principal::from_text(CKUSDC).unwrap();
        let invoice = Invoice {
            account: link.account(),
            account_text: link.account().to_string(),
            account_identifier: None,
            ledger,
            symbol: "ckUSDC".into(),
            decimals: 6,
            amount: AMOUNT.into(),
            price: 10_000u32.into(),
            pay_to: Principal::from_slice(&[9]).into(),
            offer: String::new(),
            method: "GET".into(),
            path: "/a".into(),
            refund_to: None,
            created_at: NOW,
            expires_at: NOW + HOUR,
            balance: 0u8.into(),
            read_at: None,
            status: InvoiceStatus::Open,
            payment_id: None,
            returned: None,
        };
        *bank.bill.lock().unwrap() = Some(Bill {
            invoice,
            gift: 0,
            status: None,
            forgotten: false,
            now: NOW,
        });
        Case {
            bank,
            link,
            folder,
            seller,
        }
    }

    fn payer(&self) -> Payer {
        paying_from(payer(files(&self.folder)), self.bank.clone())
    }

    async fn pay(&self) -> Result<PaidInvoice, InvoiceProblem> {
        self.payer().pay_invoice(&self.link).await
    }

    /// One try, without waiting.
    async fn try_once(&self) -> Result<PaidInvoice, InvoiceProblem> {
        let payer = self.payer().with_patience(Duration::ZERO);
        payer.pay_invoice(&self.link).await
    }

    fn change(&self, change: impl FnOnce(&mut Bill)) {
        change(self.bank.bill.lock().unwrap().as_mut().unwrap());
    }

    fn recorded(&self) -> Vec<PathBuf> {
        recorded(&self.folder)
    }
}

fn recorded(folder: &PathBuf) -> Vec<PathBuf> {
    let all = FileJournal::open(folder).unwrap().invoices().unwrap();
    all.into_iter().filter_map(|(_, path)| path).collect()
}

#[tokio::test]
async fn a_transfer_for_an_invoice_is_recorded_before_it_leaves() {
    let folder = folder();
    let seen = folder.clone();
    let case = Case::watched(
        |_| Answer::Made,
        folder,
        move |_| {
            let files = recorded(&seen);
            assert_eq!(files.len(), 1);
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                let mode = std::fs::metadata(&files[0]).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o600);
            }
        },
    )
    .await;
    let paid = case.pay().await.unwrap();
    assert_eq!(
        (paid.response.body.as_slice(), &*paid.block),
        (CONTENT, "77")
    );
    let made = case.bank.made();
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].to, case.link.account());
    assert_eq!(
        (&made[0].amount, &made[0].fee),
        (&AMOUNT.into(), &Some(10u8.into()))
    );
    assert_eq!(made[0].created_at_time.unwrap() / SECOND, NOW / SECOND);
    assert_eq!(memo(&made[0]).len(), 32);
    assert_eq!(case.recorded(), [] as [PathBuf; 0]);
    // What is paid is fetched again, and paid no more.
    case.pay().await.unwrap();
    assert_eq!(case.bank.sent(), 1);
    assert_eq!(case.seller.got().len(), 2);
}

#[tokio::test]
async fn an_invoice_whose_answer_is_lost_gets_the_same_transfer_again() {
    for lost in [Answer::LostAfter, Answer::LostBefore] {
        let case = Case::open(move |call| match call {
            0 | 1 => lost.clone(),
            _ => Answer::Made,
        })
        .await;
        for _ in 0..2 {
            let ended = case.try_once().await;
            assert!(
                matches!(ended, Ok(_) | Err(InvoiceProblem::Unsettled(_))),
                "{ended:?}"
            );
        }
        case.pay().await.unwrap();
        assert_eq!((case.bank.made().len(), case.bank.different()), (1, 1));
        assert_eq!(case.recorded().len(), 0);
    }
}

#[tokio::test]
async fn another_account_in_an_invoice_gets_nothing() {
    let case = Case::open(|_| Answer::Made).await;
    let own = case.link.account();
    let other = InvoiceLink::new(case.link.canister(), [8; 32]).account();
    let stranger = Account::from(Principal::from_text(SPENDER).unwrap());
    for (account, text) in [
        (other, other),
        (stranger, stranger),
        (own, other),
        (other, own),
    ] {
        case.change(|bill| {
            bill.invoice.account = account;
            bill.invoice.account_text = text.to_string();
        });
        let ended = case.pay().await;
        assert!(
            matches!(ended, Err(InvoiceProblem::WrongAccount { .. })),
            "{ended:?}"
        );
    }
    // The account identifier is what an exchange would pay to.
    case.change(|bill| {
        bill.invoice.account = own;
        bill.invoice.account_text = own.to_string();
        bill.invoice.account_identifier = Some("ab".repeat(32));
    });
    let ended = case.pay().await;
    assert!(
        matches!(ended, Err(InvoiceProblem::WrongAccount { .. })),
        "{ended:?}"
    );
    assert_eq!((case.bank.sent(), case.recorded().len()), (0, 0));
}

#[tokio::test]
async fn what_is_above_the_limit_or_too_late_is_not_paid() {
    let case = Case::open(|_| Answer::Made).await;
    case.change(|bill| bill.invoice.amount = 1_000_001u32.into());
    let ended = case.pay().await;
    assert!(
        matches!(ended, Err(InvoiceProblem::OverLimit { limit: Some(_), .. })),
        "{ended:?}"
    );
    case.change(|bill| {
        bill.invoice.amount = AMOUNT.into();
        bill.invoice.ledger = Principal::from_slice(&[9]);
    });
    let ended = case.pay().await;
    assert!(
        matches!(ended, Err(InvoiceProblem::OverLimit { limit: None, .. })),
        "{ended:?}"
    );
    case.change(|bill| {
        bill.invoice.ledger = Principal::from_text(CKUSDC).unwrap();
        bill.now = bill.invoice.expires_at - 59 * SECOND;
    });
    let ended = case.pay().await;
    assert!(
        matches!(ended, Err(InvoiceProblem::Expired { .. })),
        "{ended:?}"
    );
    case.change(|bill| bill.status = Some(InvoiceStatus::Expired));
    let ended = case.pay().await;
    let nothing = |ended: &_| {
        matches!(
            ended,
            Err(InvoiceProblem::Ended {
                sent: Sent::Nothing,
                ..
            })
        )
    };
    assert!(nothing(&ended), "{ended:?}");
    // A canister that does not answer gets nothing either.
    *case.bank.bill.lock().unwrap() = None;
    let ended = case.pay().await;
    assert!(
        matches!(ended, Err(InvoiceProblem::Silent { .. })),
        "{ended:?}"
    );
    assert_eq!((case.bank.sent(), case.recorded().len()), (0, 0));
}

#[tokio::test]
async fn what_is_in_the_account_of_an_invoice_is_not_sent_again() {
    let case = Case::open(|_| Answer::Made).await;
    case.change(|bill| bill.gift = 15_000);
    case.pay().await.unwrap();
    assert_eq!(case.bank.made()[0].amount, 5_000u16);
    let case = Case::open(|_| Answer::Made).await;
    case.change(|bill| {
        bill.gift = AMOUNT;
        bill.status = Some(InvoiceStatus::Open);
    });
    let ended = case.pay().await;
    assert!(
        matches!(ended, Err(InvoiceProblem::Unsettled(_))),
        "{ended:?}"
    );
    assert_eq!(case.bank.sent(), 0);
}

#[tokio::test]
async fn what_the_ledger_refuses_for_an_invoice_is_over_at_first_only() {
    let poor = || TransferError::InsufficientFunds {
        balance: 1u8.into(),
    };
    let case = Case::open(move |_| Answer::Refused(poor())).await;
    let ended = case.pay().await;
    let funds = |ended: &_| matches!(ended, Err(InvoiceProblem::Pay(PayError::InsufficientFunds { needed, .. })) if needed.0 == AMOUNT + 10);
    assert!(funds(&ended), "{ended:?}");
    assert_eq!(case.recorded().len(), 0);
    // After a lost answer the refusal may be about the repetition alone: the log decides.
    for first in [Answer::LostAfter, Answer::LostBefore] {
        let made = matches!(first, Answer::LostAfter);
        let case = Case::open(move |call| match call {
            0 => first.clone(),
            _ => Answer::Refused(poor()),
        })
        .await;
        // The invoice does not show the money by now.
        case.change(|bill| bill.status = Some(InvoiceStatus::Open));
        case.try_once().await.unwrap_err();
        let ended = case.try_once().await;
        assert!(
            matches!(ended, Err(InvoiceProblem::Unsettled(_))),
            "{ended:?}"
        );
        assert_eq!(case.recorded().len(), 1);
        case.change(|bill| bill.status = None);
        assert_eq!(case.pay().await.is_ok(), made);
        assert_eq!(
            (case.bank.different(), case.recorded().len()),
            (1, usize::from(!made))
        );
    }
}

#[tokio::test]
async fn a_transfer_for_an_invoice_is_not_sent_after_its_time() {
    let case = Case::open(|_| Answer::LostBefore).await;
    case.try_once().await.unwrap_err();
    assert_eq!((case.bank.sent(), case.recorded().len()), (1, 1));
    // After the expiry, and, if the canister claims a later one, after the ledger's 24 hours.
    for (now, expires_at) in [
        (NOW + HOUR, NOW + HOUR),
        (NOW + 24 * HOUR + SECOND, NOW + 48 * HOUR),
    ] {
        case.change(|bill| {
            bill.now = now;
            bill.invoice.expires_at = expires_at;
        });
        *case.bank.search.lock().unwrap() = Some(Found::Missing { as_of: now });
        let ended = case.pay().await;
        assert!(
            matches!(ended, Err(InvoiceProblem::Unsettled(_))),
            "{ended:?}"
        );
        assert_eq!((case.bank.sent(), case.recorded().len()), (1, 1));
    }
    let never = NOW + 25 * HOUR;
    *case.bank.search.lock().unwrap() = Some(Found::Missing { as_of: never });
    let ended = case.pay().await;
    assert!(matches!(ended, Err(InvoiceProblem::Pay(_))), "{ended:?}");
    assert_eq!((case.bank.sent(), case.recorded().len()), (1, 0));
}

#[tokio::test]
async fn the_record_of_an_invoice_that_bought_nothing_ends_when_the_money_is_back() {
    let case = Case::open(|_| Answer::Made).await;
    // It is open when the transfer is made, and has ended when somebody looks.
    case.change(|bill| bill.status = Some(InvoiceStatus::Open));
    case.try_once().await.unwrap_err();
    case.change(|bill| bill.status = Some(InvoiceStatus::Short));
    let returned = |block: u64| InvoiceReturn {
        to: Principal::from_slice(&[4]).into(),
        pending: false,
        made: Some(ReturnMade {
            amount: 1u8.into(),
            block_index: block.into(),
            at: 0,
        }),
    };
    let own = case.link.account();
    let others = [(1, identity().account()), (2, own)];
    case.bank.others.lock().unwrap().extend(others);
    // The money of an earlier return is not this transfer's, which is in block 0; and the ledger must show it.
    for (given, left) in [
        (None, 1),
        (Some(returned(0)), 1),
        (Some(returned(1)), 1),
        (Some(returned(3)), 1),
        (Some(returned(2)), 0),
    ] {
        case.change(|bill| bill.invoice.returned = given.clone());
        match case.pay().await {
            Err(InvoiceProblem::Ended { sent, to, .. }) => {
                assert_eq!((sent, to.is_some()), (Sent::Block(0), given.is_some()));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(case.recorded().len(), left);
    }
    assert_eq!(case.bank.sent(), 1);
}

#[tokio::test]
async fn a_transfer_for_an_invoice_that_is_forgotten_stays_recorded() {
    let case = Case::open(|_| Answer::Made).await;
    case.change(|bill| bill.forgotten = true);
    let ended = case.pay().await;
    assert!(
        matches!(ended, Err(InvoiceProblem::Refused { .. })),
        "{ended:?}"
    );
    case.change(|bill| {
        bill.forgotten = false;
        bill.status = Some(InvoiceStatus::Open);
    });
    case.try_once().await.unwrap_err();
    case.change(|bill| bill.forgotten = true);
    match case.pay().await {
        Err(InvoiceProblem::Unsettled(reason)) => assert!(reason.contains("block 0"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!((case.bank.sent(), case.recorded().len()), (1, 1));
}

#[tokio::test]
async fn of_payers_of_one_invoice_one_pays() {
    let case = Case::open(|_| Answer::SlowAfter(60)).await;
    let all = (0..4).map(|_| {
        let (payer, link) = (case.payer(), case.link.clone());
        let payer = payer.with_patience(Duration::from_secs(5));
        tokio::spawn(async move { payer.pay_invoice(&link).await })
    });
    for paid in all.collect::<Vec<_>>() {
        assert_eq!(paid.await.unwrap().unwrap().response.body, CONTENT);
    }
    assert_eq!(case.bank.sent(), 1);
}

#[tokio::test]
async fn a_recorded_transfer_for_an_invoice_is_sent_by_its_own_payer_only() {
    let case = Case::open(|_| Answer::LostBefore).await;
    case.try_once().await.unwrap_err();
    let [file] = &case.recorded()[..] else {
        panic!("one is recorded");
    };
    let text = std::fs::read_to_string(file).unwrap();
    let payer = identity().principal().to_text();
    for (from, to) in [(payer.as_str(), "2vxsx-fae"), ("\"icp:1\"", "\"icp:2\"")] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from}");
        std::fs::write(file, changed).unwrap();
        let ended = case.pay().await;
        assert!(
            matches!(ended, Err(InvoiceProblem::OtherPayer(_))),
            "{ended:?}"
        );
    }
    std::fs::write(file, "{}").unwrap();
    let ended = case.pay().await;
    assert!(
        matches!(ended, Err(InvoiceProblem::Pay(PayError::Journal(_)))),
        "{ended:?}"
    );
    assert_eq!(case.bank.sent(), 1);
}

#[tokio::test]
async fn a_crash_at_any_step_of_an_invoice_pays_once() {
    at_each_point(
        &["the record", "the transfer", "the end"],
        |crash| async move {
            let at_ledger = crash.points.clone();
            let watch = move |name: &str| at_ledger.pass(name);
            let case = Case::watched(|_| Answer::Made, crash.folder, watch).await;
            let first = paying_from(payer(crash.journal), case.bank.clone());
            let link = case.link.clone();
            let ended = tokio::spawn(async move { first.pay_invoice(&link).await }).await;
            let at = crash.points.crash_at;
            case.pay().await.unwrap();
            assert_eq!(case.bank.made().len(), 1, "{at}");
            assert_eq!(case.recorded().len(), 0, "{at}");
            ended.is_err()
        },
    )
    .await;
}

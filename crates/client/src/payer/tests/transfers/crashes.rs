//! A crash between any two steps loses nothing and pays nothing twice.

use super::{
    bank::{Answer, Bank},
    *,
};
use crate::{
    invoice::InvoicePayment,
    journal::{End, JournalError},
};
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

/// Counts the points between steps, and ends the process at one of them.
#[derive(Debug, Default)]
pub struct Points {
    pub passed: AtomicUsize,
    pub crash_at: usize,
    pub last: Mutex<String>,
}

impl Points {
    pub fn pass(&self, name: &str) {
        let number = self.passed.fetch_add(1, Ordering::SeqCst);
        if number == self.crash_at {
            *self.last.lock().unwrap() = name.to_string();
            panic!("crash {name}");
        }
    }
}

/// A journal of files whose process can end before and after each change.
#[derive(Debug)]
pub struct Fragile(pub FileJournal, pub Arc<Points>);

impl Fragile {
    fn around<T>(&self, what: &str, change: impl FnOnce() -> T) -> T {
        self.1.pass(&format!("before {what}"));
        let changed = change();
        self.1.pass(&format!("after {what}"));
        changed
    }
}

impl Journal for Fragile {
    fn try_lock(&self, key: &RequestKey) -> Result<Option<Lock>, JournalError> {
        self.0.try_lock(key)
    }

    fn record(&self, payment: &SignedPayment) -> Result<Entry, JournalError> {
        self.around("the record", || self.0.record(payment))
    }

    fn record_block(&self, id: PaymentId, block: u64) -> Result<(), JournalError> {
        self.around("the block", || self.0.record_block(id, block))
    }

    fn release(&self, id: PaymentId, end: End) -> Result<(), JournalError> {
        self.around("the end", || self.0.release(id, end))
    }

    fn unresolved(&self) -> Result<Vec<Entry>, JournalError> {
        self.0.unresolved()
    }

    fn ended(&self) -> Result<Vec<PaymentId>, JournalError> {
        self.0.ended()
    }

    fn record_invoice(&self, payment: &InvoicePayment) -> Result<Option<PathBuf>, JournalError> {
        self.around("the record", || self.0.record_invoice(payment))
    }

    fn invoices(&self) -> Result<Vec<(InvoicePayment, Option<PathBuf>)>, JournalError> {
        self.0.invoices()
    }

    fn release_invoice(&self, account: &Account, moved: bool) -> Result<(), JournalError> {
        self.around("the end", || self.0.release_invoice(account, moved))
    }

    fn was_sent_to(&self, account: &Account) -> Result<bool, JournalError> {
        self.0.was_sent_to(account)
    }
}

#[tokio::test]
async fn a_crash_at_any_step_loses_nothing_and_pays_once() {
    let mut names = Vec::new();
    for crash_at in 0.. {
        let points = Arc::new(Points {
            crash_at,
            ..Points::default()
        });
        let (at_ledger, at_seller) = (points.clone(), points.clone());
        let bank = Bank::watched(
            identity().principal(),
            |_| Answer::Made,
            move |name| at_ledger.pass(name),
        );
        let seller = shop(move |got, _| {
            // The buyer's process ends while the seller has the proof: its answer reaches nobody.
            let number = at_seller.passed.fetch_add(1, Ordering::SeqCst);
            match number == at_seller.crash_at {
                true => Act::Silent,
                false => delivered(got),
            }
        })
        .await;
        let folder = folder();
        let journal = Arc::new(Fragile(FileJournal::open(&folder).unwrap(), points.clone()));
        let first = buyer(journal, bank.clone()).with_patience(Duration::ZERO);
        let request = get(&seller, "/a");
        let (payer, asked) = (first, request.clone());
        let ended = tokio::spawn(async move { payer.pay(&asked).await }).await;
        let crashed = !matches!(&ended, Ok(Ok(_)));
        names.push(points.last.lock().unwrap().clone());
        let second = buyer(files(&folder), bank.clone());
        let open = second.unresolved().unwrap();
        let over = open.is_empty() && bank.made().len() == 1;
        assert!(
            over || bank.made().len() <= open.len(),
            "{crash_at}: money moved, and no record of it is left: {names:?}"
        );
        if !over {
            proven(second.pay(&request).await);
        }
        assert_eq!(bank.made().len(), 1, "{crash_at}: {names:?}");
        assert_eq!(second.unresolved().unwrap(), [], "{crash_at}: {names:?}");
        std::fs::remove_dir_all(folder).unwrap();
        if !crashed {
            break;
        }
    }
    for step in [
        "before the record",
        "after the record",
        "before the transfer",
        "after the transfer",
        "before the block",
        "after the block",
        "before the end",
        "after the end",
    ] {
        assert!(names.iter().any(|name| name == step), "{step}: {names:?}");
    }
}

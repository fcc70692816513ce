//! Crashes between any two steps of a purchase: points that are counted, a journal that has some, and the purchase after
//! the crash.

use super::*;
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

/// One purchase that crashes at one of its points.
pub struct Crash {
    pub points: Arc<Points>,
    pub folder: PathBuf,
    /// That of the process which crashes.
    pub journal: Arc<dyn Journal>,
}

impl Crash {
    /// Buys with `first`, which may crash, and then with `second`: money moves once, and there is a record of it all the
    /// time. `moved` counts. Returns whether it crashed.
    pub async fn pays_once(
        &self,
        first: Payer,
        second: Payer,
        request: Request,
        moved: impl Fn() -> usize,
    ) -> bool {
        let at = self.points.crash_at;
        let asked = request.clone();
        let ended = tokio::spawn(async move { first.pay(&asked).await }).await;
        let open = second.unresolved().unwrap();
        let over = open.is_empty() && moved() == 1;
        assert!(
            over || moved() <= open.len(),
            "{at}: money moved, and no record of it is left"
        );
        if !over {
            proven(second.pay(&request).await);
        }
        assert_eq!(moved(), 1, "{at}");
        assert_eq!(second.unresolved().unwrap(), [], "{at}");
        !matches!(ended, Ok(Ok(_)))
    }
}

/// Crashes at one point after the other until `purchase` does not crash any more, and checks that each of these steps
/// had a point before and after it.
pub async fn at_each_point<P: Future<Output = bool>>(
    steps: &[&str],
    purchase: impl Fn(Crash) -> P,
) {
    let mut names = Vec::new();
    for crash_at in 0.. {
        let points = Arc::new(Points {
            crash_at,
            ..Points::default()
        });
        let folder = folder();
        let files = FileJournal::open(&folder).unwrap();
        let crashed = purchase(Crash {
            journal: Arc::new(Fragile(files, points.clone())),
            points: points.clone(),
            folder: folder.clone(),
        })
        .await;
        names.push(points.last.lock().unwrap().clone());
        std::fs::remove_dir_all(folder).unwrap();
        if !crashed {
            break;
        }
    }
    for step in steps {
        for when in ["before", "after"] {
            let step = format!("{when} {step}");
            assert!(names.contains(&step), "{step}: {names:?}");
        }
    }
}

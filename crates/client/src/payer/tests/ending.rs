//! A record that another call ends while it is read. The command ends its record when the content is written, which is
//! after it has released the lock of the request.

use super::*;
use crate::{
    invoice::InvoicePayment,
    journal::{End, JournalError},
};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A journal whose first lock is taken, and whose only record another call ends after so many readings.
#[derive(Debug)]
struct Ending {
    inner: MemoryJournal,
    readings_left: AtomicUsize,
    locks: AtomicUsize,
}

impl Journal for Ending {
    fn try_lock(&self, key: &RequestKey) -> Result<Option<Lock>, JournalError> {
        match self.locks.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(None),
            _ => self.inner.try_lock(key),
        }
    }

    fn record(&self, payment: &SignedPayment) -> Result<Entry, JournalError> {
        self.inner.record(payment)
    }

    fn record_block(&self, id: PaymentId, block: u64) -> Result<(), JournalError> {
        self.inner.record_block(id, block)
    }

    fn release(&self, id: PaymentId, end: End) -> Result<(), JournalError> {
        self.inner.release(id, end)
    }

    fn unresolved(&self) -> Result<Vec<Entry>, JournalError> {
        let entries = self.inner.unresolved()?;
        if self.readings_left.fetch_sub(1, Ordering::SeqCst) == 1 {
            for id in entries.iter().filter_map(|entry| entry.payment.id()) {
                self.inner.release(id, End::Delivered)?;
            }
        }
        Ok(entries)
    }

    fn ended(&self) -> Result<Vec<PaymentId>, JournalError> {
        self.inner.ended()
    }

    fn record_invoice(&self, payment: &InvoicePayment) -> Result<Option<PathBuf>, JournalError> {
        self.inner.record_invoice(payment)
    }

    fn invoices(&self) -> Result<Vec<(InvoicePayment, Option<PathBuf>)>, JournalError> {
        self.inner.invoices()
    }

    fn release_invoice(&self, account: &Account, moved: bool) -> Result<(), JournalError> {
        self.inner.release_invoice(account, moved)
    }

    fn was_sent_to(&self, account: &Account) -> Result<bool, JournalError> {
        self.inner.was_sent_to(account)
    }
}

#[tokio::test]
async fn a_call_that_waited_signs_nothing_whenever_the_other_call_ends_its_record() {
    for readings in 1..=6 {
        let seller = Seller::open(|got, before| match (&got.payment, before) {
            (None, _) => price(got),
            (Some(_), 0) => Act::HangUp,
            (Some(_), _) => delivered(got),
        })
        .await;
        let inner = MemoryJournal::new();
        let first = payer(Arc::new(inner.clone())).with_patience(Duration::ZERO);
        assert!(first.pay(&get(&seller, "/a")).await.is_err());
        let journal = Ending {
            inner: inner.clone(),
            readings_left: AtomicUsize::new(readings),
            locks: AtomicUsize::new(0),
        };
        let second = payer(Arc::new(journal)).with_patience(Duration::from_secs(5));
        match second.pay(&get(&seller, "/a")).await {
            Ok(Outcome::Paid(paid)) => assert!(paid.proven),
            other => panic!("{readings}: {other:?}"),
        }
        assert_eq!(seller.authorizations("/a").len(), 1, "{readings}");
        assert_eq!(inner.unresolved().unwrap(), []);
    }
}

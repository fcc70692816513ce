//! A journal in memory, for programs whose process outlives their purchases.

use super::{
    End, Entry, Journal, JournalError, Lock, RequestKey, admit, id_of, known_since, now, place,
};
use crate::{invoice::InvoicePayment, payment::SignedPayment};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use x402_icp::{Account, PaymentId};

#[derive(Debug, Default)]
struct State {
    unresolved: BTreeMap<PaymentId, SignedPayment>,
    /// The time at which each payment ended, in seconds since 1970-01-01.
    ended: BTreeMap<PaymentId, u64>,
    locked: BTreeSet<RequestKey>,
    invoices: Vec<InvoicePayment>,
    /// The accounts of invoices whose records have ended, and whose money may have moved.
    sent_to: BTreeSet<Account>,
}

/// Records payments in memory: they are lost when the process ends. Clones share their records.
#[derive(Clone, Debug, Default)]
pub struct MemoryJournal(Arc<Mutex<State>>);

impl MemoryJournal {
    /// An empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one insertion or removal, so the state is consistent even after a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Drops the ids that are no longer needed.
    fn clean(&mut self) {
        let oldest = known_since(self.unresolved.values());
        self.ended.retain(|_, at| *at >= oldest);
    }
}

struct MemoryLock(MemoryJournal, RequestKey);

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.0.state().locked.remove(&self.1);
    }
}

impl Journal for MemoryJournal {
    fn try_lock(&self, key: &RequestKey) -> Result<Option<Lock>, JournalError> {
        let free = self.state().locked.insert(*key);
        Ok(free.then(|| Box::new(MemoryLock(self.clone(), *key)) as Lock))
    }

    fn record(&self, payment: &SignedPayment) -> Result<Entry, JournalError> {
        let id = id_of(payment)?;
        let mut state = self.state();
        let recorded = state.unresolved.values().cloned().map(entry).collect();
        if let Some(entry) = admit(payment, recorded)? {
            return Ok(entry);
        }
        state.unresolved.insert(id, payment.clone());
        Ok(entry(payment.clone()))
    }

    fn record_block(&self, id: PaymentId, block: u64) -> Result<(), JournalError> {
        let mut state = self.state();
        if let Some(payment) = state.unresolved.get_mut(&id)
            && let Some(with_block) = place(payment, block)?
        {
            *payment = with_block;
        }
        Ok(())
    }

    fn release(&self, id: PaymentId, _end: End) -> Result<(), JournalError> {
        let mut state = self.state();
        if state.unresolved.remove(&id).is_some() {
            state.ended.insert(id, now());
            state.clean();
        }
        Ok(())
    }

    fn unresolved(&self) -> Result<Vec<Entry>, JournalError> {
        Ok(self
            .state()
            .unresolved
            .values()
            .cloned()
            .map(entry)
            .collect())
    }

    fn ended(&self) -> Result<Vec<PaymentId>, JournalError> {
        let mut state = self.state();
        state.clean();
        Ok(state.ended.keys().copied().collect())
    }

    fn record_invoice(&self, payment: &InvoicePayment) -> Result<Option<PathBuf>, JournalError> {
        let invoices = &mut self.state().invoices;
        if invoices
            .iter()
            .any(|other| other.account() == payment.account())
        {
            return Err(JournalError::OtherRequest(payment.memo.clone()));
        }
        invoices.push(payment.clone());
        Ok(None)
    }

    fn invoices(&self) -> Result<Vec<(InvoicePayment, Option<PathBuf>)>, JournalError> {
        let invoices = self.state().invoices.clone();
        Ok(invoices
            .into_iter()
            .map(|payment| (payment, None))
            .collect())
    }

    fn release_invoice(&self, account: &Account, moved: bool) -> Result<(), JournalError> {
        let mut state = self.state();
        let recorded = state.invoices.len();
        state
            .invoices
            .retain(|payment| payment.account() != Some(*account));
        if moved && state.invoices.len() < recorded {
            state.sent_to.insert(*account);
        }
        Ok(())
    }

    fn was_sent_to(&self, account: &Account) -> Result<bool, JournalError> {
        Ok(self.state().sent_to.contains(account))
    }
}

fn entry(payment: SignedPayment) -> Entry {
    Entry {
        payment,
        file: None,
    }
}

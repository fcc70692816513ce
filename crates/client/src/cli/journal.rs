//! Recording of payments in files before they are sent. The command ends a record only after the content is written.
//! Until then the same command fetches it again.

use super::{
    exit::{Failure, OTHER},
    files, text,
};
use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tollkeeper_client::{
    Account, End, Entry, FileJournal, InvoicePayment, Journal, JournalError, Lock, PaymentId,
    RequestKey, SignedPayment, remove_payment, save_payment,
};

/// The longest file with a payment: a request's body may be large, and is in base64.
const MAX_PAYMENT: u64 = 128 << 20;

/// The folder of recorded payments, with the state of this run.
#[derive(Clone, Debug)]
pub struct Kept {
    files: FileJournal,
    run: Arc<Mutex<Run>>,
}

#[derive(Debug, Default)]
struct Run {
    /// The file for a copy of the payment.
    save: Option<PathBuf>,
    /// Copies of payments, which are removed with them.
    copies: Vec<(PathBuf, PaymentId)>,
    /// The payment whose content has arrived and is not yet written.
    delivered: Option<PaymentId>,
}

impl Kept {
    /// Opens the folder, or creates it.
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        Ok(Kept {
            files: FileJournal::open(folder).map_err(|error| match error {
                JournalError::Io { path, problem } => {
                    let folder = text::path(&path);
                    let message =
                        format!("payments cannot be kept in {folder} (--payments): {problem}");
                    Failure::new(OTHER, "journal", message)
                }
                other => failure(other),
            })?,
            run: Arc::default(),
        })
    }

    /// Saves a copy of the payment that this run makes.
    pub fn save_to(&self, file: &Path) {
        self.run().save = Some(file.to_path_buf());
    }

    /// Registers a file that contains the payment, too, and is removed with it.
    pub fn is_copy(&self, file: &Path, id: PaymentId) {
        self.run().copies.push((file.to_path_buf(), id));
    }

    /// Records that the content of a payment has arrived, and its end is proven. The record ends when the content is
    /// written.
    pub fn arrived(&self, payment: &SignedPayment) {
        self.run().delivered = payment.id();
    }

    /// Records that the content is written.
    pub fn written(&self) -> Result<(), Failure> {
        let delivered = self.run().delivered.take();
        match delivered {
            Some(id) => self.end(id, End::Delivered).map_err(failure),
            None => Ok(()),
        }
    }

    pub fn entries(&self) -> Result<Vec<Entry>, Failure> {
        self.files.unresolved().map_err(failure)
    }

    fn end(&self, id: PaymentId, end: End) -> Result<(), JournalError> {
        self.files.release(id, end)?;
        for (file, of) in &self.run().copies {
            if *of == id {
                // A remaining copy does no harm: the payment in it is over.
                let _ = remove_payment(file, id);
            }
        }
        Ok(())
    }

    fn run(&self) -> std::sync::MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for Kept {
    fn try_lock(&self, key: &RequestKey) -> Result<Option<Lock>, JournalError> {
        self.files.try_lock(key)
    }

    fn record(&self, payment: &SignedPayment) -> Result<Entry, JournalError> {
        let save = self.run().save.clone();
        let copy = save.zip(payment.id());
        if let Some((file, id)) = &copy {
            save_payment(file, payment).map_err(|problem| JournalError::Io {
                path: file.clone(),
                problem,
            })?;
            self.is_copy(file, *id);
            // Written once, also if the payment is recorded again.
            self.run().save = None;
        }
        let recorded = self.files.record(payment);
        if let (Err(_), Some((file, id))) = (&recorded, &copy) {
            let _ = remove_payment(file, *id);
        }
        recorded
    }

    fn record_block(&self, id: PaymentId, block: u64) -> Result<(), JournalError> {
        self.files.record_block(id, block)
    }

    fn release(&self, id: PaymentId, end: End) -> Result<(), JournalError> {
        if end == End::Delivered {
            self.run().delivered = Some(id);
            return Ok(());
        }
        self.end(id, end)
    }

    fn unresolved(&self) -> Result<Vec<Entry>, JournalError> {
        self.files.unresolved()
    }

    fn ended(&self) -> Result<Vec<PaymentId>, JournalError> {
        self.files.ended()
    }

    fn record_invoice(&self, payment: &InvoicePayment) -> Result<Option<PathBuf>, JournalError> {
        self.files.record_invoice(payment)
    }

    fn invoices(&self) -> Result<Vec<(InvoicePayment, Option<PathBuf>)>, JournalError> {
        self.files.invoices()
    }

    fn release_invoice(&self, account: &Account, moved: bool) -> Result<(), JournalError> {
        self.files.release_invoice(account, moved)
    }

    fn was_sent_to(&self, account: &Account) -> Result<bool, JournalError> {
        self.files.was_sent_to(account)
    }
}

/// Nothing is sent if the journal fails.
pub fn failure(error: JournalError) -> Failure {
    Failure::new(OTHER, "journal", text::line(&error.to_string()))
}

pub fn read(file: &Path) -> Result<SignedPayment, Failure> {
    let bad = |problem: &dyn std::fmt::Display| {
        Failure::usage(format!("{}: {problem}", text::path(file)))
    };
    let bytes = files::read(file, MAX_PAYMENT).map_err(|e| match e.kind() {
        // The argument may have been meant as an id.
        ErrorKind::NotFound => {
            let named = text::path(file);
            Failure::usage(format!(
                "{named:?} is neither a payment's id (64 hexadecimal digits) nor a file: {e}"
            ))
        }
        _ => bad(&e),
    })?;
    let payment: SignedPayment = serde_json::from_slice(&bytes)
        .map_err(|e| bad(&format!("it contains no payment that can be decoded: {e}")))?;
    match payment.id() {
        Some(_) => Ok(payment),
        None => Err(bad(
            &"it contains no payment that can be decoded: its id is none",
        )),
    }
}

/// Whether other users can read a file with a bearer token.
#[cfg(unix)]
pub fn is_open_to_others(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
pub fn is_open_to_others(_: &Path) -> bool {
    false
}

//! A journal of files, shared by all processes that use the same folder.

use super::{
    End, Entry, Journal, JournalError, Lock, RequestKey, admit,
    disk::{at, owner_only, same_file, sync_folder, to_json, write_new},
    id_of, invoices, known_since, now, place,
};
use crate::{invoice::InvoicePayment, payment::SignedPayment};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};
use x402_icp::{Account, PaymentId, values::parse_block};

/// The suffix of the file name of an ended payment.
const ENDED: &str = ".ended.json";
/// The suffix of the file name of an unresolved payment.
const OPEN: &str = ".json";

/// The suffix of the file name of the note of a transfer's block.
const BLOCK: &str = ".block.json";

/// Records each payment in a file of its own, `<payment id>.json`, which only the owner can read (mode 0600, in a
/// folder of mode 0700), and the block of a transfer in a note beside it, `<payment id>.block.json`. The file is
/// complete and on the disk before the payment is sent. No existing file is ever overwritten, no link is followed, and
/// a file is removed only if its content shows that it is this journal's.
#[derive(Clone, Debug)]
pub struct FileJournal {
    folder: PathBuf,
}

/// The note about an ended payment.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ended {
    payment_id: String,
    end: String,
    /// Seconds since 1970-01-01.
    ended_at: u64,
}

/// The note about the block of a transfer.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Placed {
    payment_id: String,
    /// Decimal.
    block_index: String,
}

impl FileJournal {
    /// Opens a folder, or creates it with its missing parents.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let folder = folder.into();
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder).map_err(at(&folder))?;
        // Listing shows now whether it is a readable folder.
        drop(fs::read_dir(&folder).map_err(at(&folder))?);
        Ok(FileJournal { folder })
    }

    /// The folder of the records.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn file(&self, id: PaymentId, end: &str) -> PathBuf {
        self.folder.join(format!("{id}{end}"))
    }

    /// The regular files named after a payment, with this suffix.
    fn files(&self, end: &str) -> Result<Vec<(PaymentId, PathBuf)>, JournalError> {
        let mut found = Vec::new();
        for file in fs::read_dir(&self.folder).map_err(at(&self.folder))? {
            let file = file.map_err(at(&self.folder))?;
            let name = file.file_name();
            let id = name
                .to_str()
                .and_then(|name| name.strip_suffix(end))
                .and_then(|id| id.parse().ok());
            let path = file.path();
            // Links are not this journal's.
            if let Some(id) = id
                && fs::symlink_metadata(&path).is_ok_and(|data| data.is_file())
            {
                found.push((id, path));
            }
        }
        Ok(found)
    }
}

impl FileJournal {
    fn known_since(&self) -> Result<u64, JournalError> {
        let unresolved = self.unresolved()?;
        Ok(known_since(unresolved.iter().map(|entry| &entry.payment)))
    }

    /// The block that is noted for a transfer.
    fn noted_block(&self, id: PaymentId) -> Result<Option<u64>, JournalError> {
        let path = self.file(id, BLOCK);
        let text = match fs::read(&path) {
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(at(&path))?,
        };
        let unreadable = |problem: String| JournalError::Unreadable {
            path: path.clone(),
            problem,
        };
        let note: Placed = serde_json::from_slice(&text).map_err(|e| unreadable(e.to_string()))?;
        if note.payment_id != id.to_string() {
            return Err(unreadable("it is another payment's".into()));
        }
        let block = parse_block(&note.block_index).map_err(|e| unreadable(e.to_string()))?;
        Ok(Some(block))
    }

    /// Removes the notes of blocks whose payments have ended.
    fn clean_blocks(&self) -> Result<(), JournalError> {
        for (id, note) in self.files(BLOCK)? {
            if fs::symlink_metadata(self.file(id, OPEN)).is_err()
                && matches!(self.noted_block(id), Ok(Some(_)))
            {
                // A remaining file is removed the next time.
                let _ = fs::remove_file(&note);
            }
        }
        Ok(())
    }

    /// Removes old notes, so that the folder does not fill with them.
    fn clean(&self) -> Result<(), JournalError> {
        self.clean_blocks()?;
        let oldest = self.known_since()?;
        for (id, note) in self.files(ENDED)? {
            // With the file's own time, the notes of this day need not be read.
            let written = fs::symlink_metadata(&note).and_then(|data| data.modified());
            let age = written
                .ok()
                .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            if age.is_some_and(|at| at.as_secs() < oldest)
                && ended_at(id, &note).is_some_and(|at| at < oldest)
            {
                // A remaining file is removed the next time.
                let _ = fs::remove_file(&note);
            }
        }
        Ok(())
    }
}

impl Journal for FileJournal {
    fn try_lock(&self, key: &RequestKey) -> Result<Option<Lock>, JournalError> {
        let path = self.folder.join(format!(".{key}.lock"));
        loop {
            if fs::symlink_metadata(&path).is_ok_and(|data| !data.is_file()) {
                let problem = io::Error::other("is not a regular file");
                return Err(at(&path)(problem));
            }
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true);
            owner_only(&mut options);
            let file = options.open(&path).map_err(at(&path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(problem)) => return Err(at(&path)(problem)),
            }
            // The earlier holder of the lock may have removed the file. Then this lock is on a file without a name, and
            // excludes nobody.
            if same_file(&file, &path) {
                return Ok(Some(Box::new(FileLock { file, path })));
            }
        }
    }

    fn record(&self, payment: &SignedPayment) -> Result<Entry, JournalError> {
        let id = id_of(payment)?;
        if let Some(entry) = admit(payment, self.unresolved()?)? {
            return Ok(entry);
        }
        let path = self.file(id, OPEN);
        write_new(&path, &to_json(payment)).map_err(at(&path))?;
        Ok(Entry {
            payment: payment.clone(),
            file: Some(path),
        })
    }

    fn record_block(&self, id: PaymentId, block: u64) -> Result<(), JournalError> {
        let text = id.to_string();
        let recorded = self.unresolved()?.into_iter();
        let mut same = recorded.filter(|entry| entry.payment.payment_id == text);
        let Some(Entry { payment, .. }) = same.next() else {
            return Ok(());
        };
        if place(&payment, block)?.is_none() {
            return Ok(());
        }
        let path = self.file(id, BLOCK);
        let note = Placed {
            payment_id: text,
            block_index: block.to_string(),
        };
        write_new(&path, &to_json(&note)).map_err(at(&path))
    }

    fn release(&self, id: PaymentId, end: End) -> Result<(), JournalError> {
        let path = self.file(id, OPEN);
        let ended = Ended {
            payment_id: id.to_string(),
            end: end.as_str().into(),
            ended_at: now(),
        };
        let note = self.file(id, ENDED);
        match write_new(&note, &to_json(&ended)) {
            // It ended before, was sent again, and ends again.
            Err(problem) if problem.kind() == io::ErrorKind::AlreadyExists => {}
            written => written.map_err(at(&note))?,
        }
        remove_payment(&path, id).map_err(at(&path))?;
        // The payment is over, even if cleaning fails.
        let _ = self.clean();
        Ok(())
    }

    fn unresolved(&self) -> Result<Vec<Entry>, JournalError> {
        let mut entries = Vec::new();
        for (id, path) in self.files(OPEN)? {
            let text = match fs::read(&path) {
                // Another process ended it meanwhile.
                Err(problem) if problem.kind() == io::ErrorKind::NotFound => continue,
                read => read.map_err(at(&path))?,
            };
            let unreadable = |problem: String| JournalError::Unreadable {
                path: path.clone(),
                problem,
            };
            let payment: SignedPayment =
                serde_json::from_slice(&text).map_err(|e| unreadable(e.to_string()))?;
            if payment.id() != Some(id) {
                return Err(unreadable("it is another payment's".into()));
            }
            if payment.keys().is_empty() {
                // No request would find it, and a second payment would be made for its request.
                return Err(unreadable(
                    "its payer or its request cannot be decoded".into(),
                ));
            }
            let block = match payment.has_no_block() {
                true => self.noted_block(id)?,
                false => None,
            };
            entries.push(Entry {
                payment: match block {
                    Some(block) => payment.with_block(block),
                    None => payment,
                },
                file: Some(path),
            });
        }
        Ok(entries)
    }

    fn ended(&self) -> Result<Vec<PaymentId>, JournalError> {
        let oldest = self.known_since()?;
        let mut known = Vec::new();
        for (id, path) in self.files(ENDED)? {
            match ended_at(id, &path) {
                Some(at) if at >= oldest => known.push(id),
                // A remaining file is removed the next time.
                Some(_) => drop(fs::remove_file(&path)),
                None => {}
            }
        }
        Ok(known)
    }

    fn record_invoice(&self, payment: &InvoicePayment) -> Result<Option<PathBuf>, JournalError> {
        invoices::record(&self.folder, payment).map(Some)
    }

    fn invoices(&self) -> Result<Vec<(InvoicePayment, Option<PathBuf>)>, JournalError> {
        invoices::all(&self.folder)
    }

    fn release_invoice(&self, account: &Account, moved: bool) -> Result<(), JournalError> {
        invoices::release(&self.folder, account, moved)
    }

    fn was_sent_to(&self, account: &Account) -> Result<bool, JournalError> {
        invoices::was_sent_to(&self.folder, account)
    }
}

/// The time at which the payment of a note ended; `None` if it is not a note of this payment.
fn ended_at(id: PaymentId, note: &Path) -> Option<u64> {
    let ended: Ended = serde_json::from_slice(&fs::read(note).ok()?).ok()?;
    (ended.payment_id == id.to_string()).then_some(ended.ended_at)
}

/// Removes its file while it is locked, so that no folder fills with them.
struct FileLock {
    file: File,
    path: PathBuf,
}

impl Drop for FileLock {
    fn drop(&mut self) {
        if same_file(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes a payment to a new file of mode 0600 that is on the disk when this returns. Fails if the path exists, even as
/// a link. `tollkeeper pay --resume` reads it.
pub fn save_payment(path: &Path, payment: &SignedPayment) -> io::Result<()> {
    write_new(path, &to_json(payment))
}

/// Removes the file if it contains this payment. Returns whether it did. A file with other content stays.
pub fn remove_payment(path: &Path, id: PaymentId) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(data) if data.is_file() => {}
        Ok(_) => return Ok(false),
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(problem) => return Err(problem),
    }
    let held: Option<SignedPayment> = serde_json::from_slice(&fs::read(path)?).ok();
    if held.and_then(|payment| payment.id()) != Some(id) {
        return Ok(false);
    }
    fs::remove_file(path)?;
    sync_folder(path)?;
    Ok(true)
}

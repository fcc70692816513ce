//! The transfers that pay invoices, each in a file of its own beside the payments: `<subaccount>.invoice.json`, in hex.
//! What remains of one whose money may have moved is an empty file `<subaccount>.invoice.sent`: an invoice is paid once,
//! whatever its canister says afterwards.

use super::{
    JournalError,
    disk::{at, sync_folder, to_json, write_new},
};
use crate::invoice::InvoicePayment;
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};
use x402_icp::Account;

const SUFFIX: &str = ".invoice.json";
const SENT: &str = ".invoice.sent";
/// How long it stays known that an invoice was paid. Canisters keep what was bought for days.
const SENT_KNOWN: Duration = Duration::from_secs(366 * 24 * 3_600);

fn named(folder: &Path, account: &Account, suffix: &str) -> PathBuf {
    let name = hex::encode(account.effective_subaccount());
    folder.join(format!("{name}{suffix}"))
}

fn file(folder: &Path, account: &Account) -> PathBuf {
    named(folder, account, SUFFIX)
}

/// Writes a new file of mode 0600 that is on the disk when this returns. Fails if there is one for the same invoice.
pub fn record(folder: &Path, payment: &InvoicePayment) -> Result<PathBuf, JournalError> {
    let account = payment.account();
    let account = account.ok_or_else(|| JournalError::NotAnId(payment.canister.clone()))?;
    let path = file(folder, &account);
    write_new(&path, &to_json(payment)).map_err(at(&path))?;
    Ok(path)
}

/// The transfers in the folder. Links are not this journal's.
pub fn all(folder: &Path) -> Result<Vec<(InvoicePayment, Option<PathBuf>)>, JournalError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let ours = name.is_some_and(|name| name.ends_with(SUFFIX));
        if !ours || !fs::symlink_metadata(&path).is_ok_and(|data| data.is_file()) {
            continue;
        }
        let text = match fs::read(&path) {
            // Another process ended it meanwhile.
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => continue,
            read => read.map_err(at(&path))?,
        };
        let unreadable = |problem: String| JournalError::Unreadable {
            path: path.clone(),
            problem,
        };
        let payment: InvoicePayment =
            serde_json::from_slice(&text).map_err(|e| unreadable(e.to_string()))?;
        if payment.account().map(|account| file(folder, &account)) != Some(path.clone()) {
            return Err(unreadable("it is another invoice's".into()));
        }
        found.push((payment, Some(path)));
    }
    Ok(found)
}

/// Removes the file of an invoice, if it is one. `moved`: its money may have moved, which is noted first.
pub fn release(folder: &Path, account: &Account, moved: bool) -> Result<(), JournalError> {
    let path = file(folder, account);
    let text = match fs::read(&path) {
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read.map_err(at(&path))?,
    };
    let held: Option<InvoicePayment> = serde_json::from_slice(&text).ok();
    if held.and_then(|payment| payment.account()) == Some(*account) {
        let note = named(folder, account, SENT);
        if moved {
            match write_new(&note, &[]) {
                // An earlier call noted it, and was ended before the next line.
                Err(problem) if problem.kind() == io::ErrorKind::AlreadyExists => {}
                written => written.map_err(at(&note))?,
            }
        }
        fs::remove_file(&path)
            .and_then(|()| sync_folder(&path))
            .map_err(at(&path))?;
        clean(folder);
    }
    Ok(())
}

/// Whether the money of a transfer for the invoice may have moved. What cannot be looked at counts.
pub fn was_sent_to(folder: &Path, account: &Account) -> Result<bool, JournalError> {
    let note = named(folder, account, SENT);
    match fs::symlink_metadata(&note) {
        Ok(_) => Ok(true),
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(problem) => Err(at(&note)(problem)),
    }
}

/// Removes notes that are old. One that remains is removed the next time.
fn clean(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.ends_with(SENT));
        let data = entry.metadata().ok().filter(|data| ours && data.is_file());
        let age = data.and_then(|data| data.modified().ok()?.elapsed().ok());
        if age.is_some_and(|age| age > SENT_KNOWN) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

//! A payment is written to a file before it is sent, and the file is removed when the content is
//! written or the payment is refused; it stays where money moved, or may have, and nothing was delivered.
//! Whatever ends the command in between (a broken connection, an interrupt, a power cut), the same
//! payment can be sent again, and nobody has to pay twice.

use super::exit::{Failure, OTHER};
use serde_json::json;
use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
};
use tollkeeper_client::SignedPayment;

/// Keeps a payment: where it was asked to, else here, else among the temporary files. Fails rather than
/// let a payment go out that could be lost.
pub fn write(payment: &SignedPayment, asked: Option<&Path>) -> Result<PathBuf, Failure> {
    let json = serde_json::to_vec_pretty(payment).map_err(|e| {
        Failure::new(
            OTHER,
            "journal",
            format!("the payment cannot be written: {e}"),
        )
    })?;
    let short: String = payment.payment_id.chars().take(16).collect();
    let name = format!("tollkeeper-{short}.json");
    let places = match asked {
        Some(file) => vec![file.to_path_buf()],
        None => vec![PathBuf::from(&name), std::env::temp_dir().join(&name)],
    };
    let mut problem = String::new();
    for file in places {
        match write_private(&file, &json) {
            Ok(()) => return Ok(file),
            Err(e) => problem = format!("{}: {e}", file.display()),
        }
    }
    let message = format!("nothing was paid, for the payment could not be kept: {problem}");
    Err(Failure::new(OTHER, "journal", message))
}

/// Reads a payment that was kept.
pub fn read(file: &Path) -> Result<SignedPayment, Failure> {
    let bad =
        |problem: &dyn std::fmt::Display| Failure::usage(format!("{}: {problem}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|e| bad(&e))?;
    serde_json::from_str(&text).map_err(|e| bad(&e))
}

/// Forgets a payment whose outcome is known.
pub fn remove(file: &Path) {
    // A file that stays behind does no harm: the payment in it is used up.
    let _ = std::fs::remove_file(file);
}

/// Says how to go on after a failure.
pub fn resumable(failure: Failure, file: &Path) -> Failure {
    let name = file.display().to_string();
    let message = format!(
        "{}\nresume with: tollkeeper pay --resume {name}",
        failure.message
    );
    Failure { message, ..failure }.with("resume", json!(name))
}

/// Says where a payment is that will not buy anything any more, but may have moved money.
pub fn kept(failure: Failure, file: &Path) -> Failure {
    let name = file.display().to_string();
    let message = format!("{}\nthe payment is kept in {name}", failure.message);
    Failure { message, ..failure }.with("kept", json!(name))
}

/// Whoever holds the payment can fetch the goods, so the file is the owner's alone.
fn write_private(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(file)?;
    file.write_all(bytes)?;
    file.sync_all()
}

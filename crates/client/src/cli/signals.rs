//! Interrupts: the state that they find, and their messages.

use super::{
    exit::{Failure, UNSETTLED},
    output::Output,
    text,
};
use serde_json::json;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, mpsc::channel},
    time::Duration,
};

/// The longest time for the message: the reader of standard output may have stopped.
const WORDS: Duration = Duration::from_secs(2);

/// The known state of the payment that a command makes.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The recorded payment: its id and its file.
    pub payment: Option<(String, PathBuf)>,
    /// The invoice whose transfer is recorded: its URL and the file.
    pub invoice: Option<(String, PathBuf)>,
    /// An approval that may have been made, as text.
    pub approval: Option<String>,
    /// An unfinished file, which is removed.
    pub part: Option<PathBuf>,
    /// The content is written, and only the record is left to end.
    pub delivered: bool,
}

/// The known state, shared between the command and the signal handler.
#[derive(Clone, Debug, Default)]
pub struct Situation(Arc<Mutex<Known>>);

impl Situation {
    pub fn update(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn known(&self) -> Known {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The message for a signal.
fn interrupted(name: &str, number: u8, known: &Known) -> Failure {
    let (status, mut message) = match (&known.payment, known.delivered) {
        (Some((id, file)), false) => (
            UNSETTLED,
            format!(
                "interrupted ({name}): payment {id} was sent or may have been, and its outcome is not known.\n\
                 It is kept in {}\n\
                 go on with the same command or: tollkeeper pay --resume {id}\n\
                 ask what became of it: tollkeeper status {id}",
                text::path(file)
            ),
        ),
        (Some((id, _)), true) => (
            128 + number,
            format!("interrupted ({name}): payment {id} was delivered, and its content is written"),
        ),
        (None, _) if known.invoice.is_some() => {
            let (url, file) = known.invoice.as_ref().expect("BUG: it was there");
            (
                UNSETTLED,
                format!(
                    "interrupted ({name}): the transfer for the invoice was sent or may have been.\n\
                     It is kept in {}\n\
                     go on with the same command: tollkeeper invoice pay {}",
                    text::path(file),
                    text::line(url)
                ),
            )
        }
        (None, _) => (
            128 + number,
            // A record of an earlier run may not have been read yet.
            format!(
                "interrupted ({name}): this command sent no payment; what earlier ones sent: tollkeeper status"
            ),
        ),
    };
    if let Some(approval) = &known.approval {
        message.push_str(&format!("\nthis approval may have been made: {approval}"));
    }
    let mut failure = Failure::new(status, "interrupted", message).with("signal", json!(name));
    if let Some((id, file)) = &known.payment {
        failure = failure
            .with("paymentId", json!(id))
            .with("resume", json!(id))
            .with("file", json!(file.display().to_string()));
    }
    if let Some(approval) = &known.approval {
        failure = failure.with("approval", json!(approval));
    }
    failure
}

/// Prints the known state and ends the process. A thread does it, because a pipe without a reader may block.
fn end(name: &str, number: u8, output: Output, situation: &Situation) -> ! {
    let known = situation.known();
    if let Some(part) = &known.part {
        let _ = std::fs::remove_file(part);
    }
    let failure = interrupted(name, number, &known);
    let status = failure.status;
    let (done, wait) = channel();
    std::thread::spawn(move || {
        output.failure(&failure);
        let _ = done.send(());
    });
    let _ = wait.recv_timeout(WORDS);
    std::process::exit(status.into())
}

/// Handles SIGINT and SIGTERM from now on, also while the command itself is blocked.
#[cfg(unix)]
pub fn handle(output: &Output, situation: &Situation) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        // Without handlers a signal ends the process; the payment is recorded in any case.
        return;
    };
    let (output, situation) = (output.clone(), situation.clone());
    tokio::spawn(async move {
        let (name, number) = tokio::select! {
            _ = interrupt.recv() => ("SIGINT", 2),
            _ = terminate.recv() => ("SIGTERM", 15),
        };
        end(name, number, output, &situation)
    });
}

/// Handles Ctrl-C from now on.
#[cfg(not(unix))]
pub fn handle(output: &Output, situation: &Situation) {
    let (output, situation) = (output.clone(), situation.clone());
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            end("SIGINT", 2, output, &situation)
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_tells_a_sent_payment_from_none() {
        let mut known = Known::default();
        let failure = interrupted("SIGINT", 2, &known);
        assert_eq!((failure.status, &*failure.kind), (130, "interrupted"));
        assert!(failure.message.contains("this command sent no payment"));
        assert_eq!(interrupted("SIGTERM", 15, &known).status, 143);
        let url = "http://shop/x402/invoices/ab";
        known.invoice = Some((url.into(), "/j/ab.invoice.json".into()));
        let failure = interrupted("SIGINT", 2, &known);
        assert_eq!(failure.status, UNSETTLED);
        assert!(
            failure
                .message
                .contains(&format!("tollkeeper invoice pay {url}"))
        );
        known.invoice = None;
        known.approval = Some("0.05 ckUSDC to x".into());
        let failure = interrupted("SIGINT", 2, &known);
        assert_eq!(failure.details["approval"], "0.05 ckUSDC to x");
        known.payment = Some(("ab".into(), "/j/ab.json".into()));
        let failure = interrupted("SIGINT", 2, &known);
        assert_eq!(failure.status, UNSETTLED);
        assert_eq!(failure.details["paymentId"], "ab");
        assert_eq!(failure.details["file"], "/j/ab.json");
        assert!(failure.message.contains("--resume ab"), "{failure:?}");
        known.delivered = true;
        assert_eq!(interrupted("SIGINT", 2, &known).status, 130);
    }
}

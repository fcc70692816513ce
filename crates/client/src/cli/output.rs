//! Standard output is for content and results, standard error for progress and messages.

use super::{
    exit::{Failure, OTHER},
    text,
};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::{
    io::{self, IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tollkeeper_client::Step;

/// The output of a command. A clone prints to the same place.
#[derive(Clone)]
pub struct Output {
    json: bool,
    progress: Option<ProgressBar>,
    ended: Arc<AtomicBool>,
}

impl Output {
    /// Prints JSON or text. Progress is shown on a terminal only.
    pub fn new(json: bool) -> Self {
        let progress = (!json && io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(ProgressStyle::default_spinner());
            bar
        });
        Output {
            json,
            progress,
            ended: Arc::default(),
        }
    }

    pub fn json(&self) -> bool {
        self.json
    }

    /// Reserves the right to print the one result or failure; false if it is taken. An interrupt and the command itself
    /// can end at the same time.
    pub fn end(&self) -> bool {
        !self.ended.swap(true, Ordering::SeqCst)
    }

    /// Shows that something slow begins.
    pub fn busy(&self, message: impl Into<String>) {
        if let Some(bar) = &self.progress {
            bar.set_message(text::line(&message.into()));
            bar.enable_steady_tick(Duration::from_millis(120));
        }
    }

    /// Shows a step of a payment.
    pub fn step(&self, step: &Step) {
        self.busy(describe(step));
    }

    fn quiet(&self) {
        if let Some(bar) = &self.progress {
            bar.finish_and_clear();
        }
    }

    /// Prints lines for the reader on standard error; nothing with JSON.
    pub fn say(&self, lines: impl AsRef<str>) {
        if !self.json {
            self.note(lines);
        }
    }

    /// Prints lines that the reader needs before the command continues, on standard error, with JSON too.
    pub fn note(&self, lines: impl AsRef<str>) {
        self.quiet();
        // A closed standard error is no reason to stop.
        let _ = writeln!(io::stderr(), "{}", text::lines(lines.as_ref()));
    }

    /// Prints the result: an object with JSON, lines without. A second result is not printed.
    pub fn result(&self, object: Value, lines: &[String]) -> Result<(), Failure> {
        let text = match self.json {
            true => format!("{}\n", text::json(&object)),
            false => lines
                .iter()
                .map(|line| format!("{}\n", text::lines(line)))
                .collect(),
        };
        self.bytes(text.as_bytes())
    }

    /// Writes raw content.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.quiet();
        if !self.end() {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(bytes)
            .and_then(|()| stdout.flush())
            .map_err(|e| {
                // The failure may still be printed.
                self.ended.store(false, Ordering::SeqCst);
                Failure::new(OTHER, "output", format!("standard output: {e}"))
            })
    }

    /// Prints a failure. Prints nothing if a result or another failure was printed before.
    pub fn failure(&self, failure: &Failure) {
        self.quiet();
        if !self.end() {
            return;
        }
        let message = format!("tollkeeper: {}", text::lines(&failure.message));
        if !self.json {
            let _ = writeln!(io::stderr(), "{message}");
            return;
        }
        let mut stdout = io::stdout().lock();
        let object = text::json(&failure.object());
        if writeln!(stdout, "{object}")
            .and_then(|()| stdout.flush())
            .is_err()
        {
            let _ = writeln!(io::stderr(), "{message}");
        }
    }
}

impl Failure {
    /// The failure for programs.
    pub fn object(&self) -> Value {
        let mut error = json!({"kind": self.kind, "message": self.message});
        for (key, value) in &self.details {
            error[key] = value.clone();
        }
        json!({"ok": false, "error": error})
    }
}

fn describe(step: &Step) -> String {
    match step {
        Step::Asking => "requesting the resource".into(),
        Step::CheckingFunds(ledger) => format!("querying balance and allowance of ledger {ledger}"),
        Step::Approving {
            ledger, spender, ..
        } => format!("approving {spender} on ledger {ledger}"),
        Step::Paying(1) => "paying".into(),
        Step::Paying(attempt) => format!("sending the same payment again ({attempt})"),
        Step::Calling {
            canister,
            attempt: 1,
        } => format!("calling pay of canister {canister}"),
        Step::Calling { attempt, .. } => format!("making the same call again ({attempt})"),
        Step::AskingCanister(canister) => format!("asking canister {canister} for its offers"),
        Step::Transferring { ledger, .. } => format!("transferring on ledger {ledger}"),
        Step::AwaitingInvoice(_) => "asking the canister whether the invoice is paid".into(),
        Step::Seeking(reason) => {
            format!("looking for the transfer in the ledger's log: {reason}")
        }
        Step::Confirming(reason) => {
            format!("refused ({reason}); making sure that it cannot be charged later")
        }
        Step::Waiting(pause, reason) => {
            format!("waiting {:.1} s: {reason}", pause.as_secs_f64())
        }
        _ => "working".into(),
    }
}

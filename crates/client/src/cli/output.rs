//! Standard output is for content and results, standard error for everything said on the way.

use super::exit::{Failure, OTHER};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::{
    io::{IsTerminal, Write},
    time::Duration,
};
use tollkeeper_client::Step;

/// Where a command prints.
pub struct Output {
    json: bool,
    progress: Option<ProgressBar>,
}

impl Output {
    /// JSON or words. Progress is shown on a terminal only.
    pub fn new(json: bool) -> Self {
        let progress = (!json && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(ProgressStyle::default_spinner());
            bar
        });
        Output { json, progress }
    }

    /// Whether results are JSON.
    pub fn json(&self) -> bool {
        self.json
    }

    /// Something slow begins.
    pub fn busy(&self, message: impl Into<String>) {
        if let Some(bar) = &self.progress {
            bar.set_message(message.into());
            bar.enable_steady_tick(Duration::from_millis(120));
        }
    }

    /// What shows the steps of a payment.
    pub fn watcher(&self) -> impl Fn(&Step) + Send + Sync + 'static {
        let bar = self.progress.clone();
        move |step| {
            if let Some(bar) = &bar {
                bar.set_message(describe(step));
                bar.enable_steady_tick(Duration::from_millis(120));
            }
        }
    }

    fn quiet(&self) {
        if let Some(bar) = &self.progress {
            bar.finish_and_clear();
        }
    }

    /// A line for the reader, on standard error; nothing with JSON.
    pub fn say(&self, line: impl AsRef<str>) {
        self.quiet();
        if !self.json {
            eprintln!("{}", line.as_ref());
        }
    }

    /// The result: an object with JSON, lines without.
    pub fn result(&self, object: Value, lines: &[String]) -> Result<(), Failure> {
        let text = match self.json {
            true => format!("{object}\n"),
            false => lines.iter().map(|line| format!("{line}\n")).collect(),
        };
        self.bytes(text.as_bytes())
    }

    /// Raw content.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.quiet();
        let mut stdout = std::io::stdout().lock();
        stdout
            .write_all(bytes)
            .and_then(|()| stdout.flush())
            .map_err(|e| Failure::new(OTHER, "output", format!("standard output: {e}")))
    }

    /// How it went wrong.
    pub fn failure(&self, failure: &Failure) {
        self.quiet();
        if self.json {
            let mut error = json!({"kind": failure.kind, "message": failure.message});
            for (key, value) in &failure.details {
                error[key] = value.clone();
            }
            // Nobody is left to tell if this fails as well.
            let _ = writeln!(
                std::io::stdout(),
                "{}",
                json!({"ok": false, "error": error})
            );
        } else {
            eprintln!("tollkeeper: {}", failure.message);
        }
    }
}

fn describe(step: &Step) -> String {
    match step {
        Step::Asking => "asking for the resource".into(),
        Step::CheckingFunds(ledger) => format!("asking ledger {ledger} for balance and allowance"),
        Step::Approving {
            ledger, spender, ..
        } => format!("approving {spender} on ledger {ledger}"),
        Step::Paying(1) => "paying".into(),
        Step::Paying(attempt) => format!("sending the same payment again ({attempt})"),
        Step::Confirming(reason) => {
            format!("refused ({reason}); making sure that it cannot be charged later")
        }
        Step::Waiting(pause, reason) => {
            format!("waiting {:.1} s: {reason}", pause.as_secs_f64())
        }
        _ => "working".into(),
    }
}

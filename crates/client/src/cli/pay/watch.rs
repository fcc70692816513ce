//! The steps of a payment, as the user sees them.

use crate::cli::{accounts::amount_text, output::Output, signals::Situation, text, time};
use std::path::PathBuf;
use tollkeeper_client::{PaymentId, Step};

/// Records the state that a signal would report, and prints what the user has to know before the next step.
pub fn watch(step: &Step, output: &Output, situation: &Situation) {
    let record = |id: &PaymentId, path: &Option<PathBuf>| {
        let file = path.clone().unwrap_or_default();
        situation.update(|known| known.payment = Some((id.to_string(), file.clone())));
        text::path(&file)
    };
    match step {
        Step::Chosen {
            ledger,
            amount,
            fee,
            by,
            why,
            of,
        } => output.say(format!(
            "taking {} (fee {fee} units in addition) by {}: {why}{}",
            amount_text(*amount, *ledger),
            by.as_str(),
            match of {
                1 => String::new(),
                _ => format!(", of {of} acceptable ones"),
            }
        )),
        Step::Transferring {
            ledger,
            to,
            amount,
            attempt: 1,
        } => output.note(format!(
            "transferring {} to {to}",
            amount_text(*amount, *ledger)
        )),
        Step::Transferring { attempt, .. } => {
            output.note(format!("sending the same transfer again ({attempt})"));
        }
        Step::Transferred {
            ledger,
            block,
            problem,
        } => {
            output.note(format!("transferred in block {block} of ledger {ledger}"));
            if let Some(problem) = problem {
                output.note(format!("warning: the block is not recorded: {problem}"));
            }
        }
        Step::Recorded { id, path } => {
            let file = record(id, path);
            output.note(format!("payment {id} is recorded in {file}"));
        }
        Step::Resuming { id, path } => {
            let file = record(id, path);
            output.note(format!(
                "this request was paid for before: resuming payment {id}, recorded in {file}; no new payment is made"
            ));
        }
        Step::Approving {
            ledger,
            spender,
            amount,
            expires_at,
        } => {
            let until = expires_at.map_or_else(
                || "without an end".into(),
                |at| format!("until {}", time::utc(at / 1_000_000_000)),
            );
            let words = format!("{} to {spender}, {until}", amount_text(*amount, *ledger));
            output.note(format!("approving {words}"));
            situation.update(|known| known.approval = Some(words));
        }
        Step::Calling {
            canister,
            attempt: 1,
        } => {
            situation.update(|known| known.approval = None);
            output.note(format!("calling pay of canister {canister}"));
        }
        Step::Paying(_) => situation.update(|known| known.approval = None),
        _ => {}
    }
    output.step(step);
}

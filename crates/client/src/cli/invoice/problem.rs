//! Why an invoice is not paid, as a failure of the command.

use crate::cli::exit::{self, Failure};
use serde_json::{Map, json};
use tollkeeper_client::{InvoiceProblem, Sent};

impl From<InvoiceProblem> for Failure {
    fn from(problem: InvoiceProblem) -> Self {
        let mut details = Map::new();
        let status = match &problem {
            InvoiceProblem::Pay(_) => {
                let InvoiceProblem::Pay(error) = problem else {
                    unreachable!("BUG: it was matched")
                };
                return error.into();
            }
            InvoiceProblem::WrongAccount { .. }
            | InvoiceProblem::OverLimit { .. }
            | InvoiceProblem::Expired { .. } => exit::NO_OFFER,
            InvoiceProblem::Refused { problem, .. } => match problem {
                tollkeeper_client::InvoiceError::NotSold => exit::NO_OFFER,
                tollkeeper_client::InvoiceError::Unknown => exit::UNSETTLED,
                _ => exit::OTHER,
            },
            InvoiceProblem::Silent { .. } => exit::UNREACHABLE,
            InvoiceProblem::Ended { sent, to, .. } => {
                if let Some(to) = to {
                    details.insert("to".into(), json!(to.to_string()));
                }
                match sent {
                    Sent::Nothing => exit::NO_OFFER,
                    Sent::Block(block) => {
                        details.insert("block".into(), json!(block.to_string()));
                        exit::NOT_DELIVERED
                    }
                    Sent::Unknown(_) => exit::UNSETTLED,
                }
            }
            InvoiceProblem::OtherPayer(_) | InvoiceProblem::SentBefore => exit::OTHER,
            InvoiceProblem::Unsettled(_) => exit::UNSETTLED,
            InvoiceProblem::NotDelivered { block, .. } => {
                details.insert("block".into(), json!(block));
                exit::NOT_DELIVERED
            }
            InvoiceProblem::Malformed(_) => return Failure::usage(problem),
        };
        let more = match &problem {
            InvoiceProblem::Ended { to: Some(to), .. } => {
                format!("\nwhat is in its account goes back to {to}")
            }
            InvoiceProblem::Ended { to: None, .. } => {
                "\nwhat is in its account goes back to the account that you name: tollkeeper invoice return URL --to \
                 ACCOUNT"
                    .into()
            }
            _ => String::new(),
        };
        Failure {
            details,
            ..Failure::new(status, problem.kind(), format!("{problem}{more}"))
        }
    }
}

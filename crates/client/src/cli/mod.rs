//! The command line: arguments and exit statuses.

mod accounts;
mod approve;
mod content;
mod exit;
mod files;
mod invoice;
mod journal;
mod output;
mod pay;
mod proof;
mod quote;
mod receipt;
mod request;
mod settings;
mod signals;
mod status;
mod text;
mod time;

use clap::{Parser, Subcommand, error::ErrorKind};
use exit::Failure;
use output::Output;
use settings::Common;
use signals::Situation;
use std::{ffi::OsString, process::ExitCode};

/// Pays for x402 resources on the Internet Computer.
///
/// AMOUNTS with a decimal point are tokens (0.01), amounts without one are atomic units (10000).
///
/// EXIT STATUS: 0 done · 1 other failure · 2 wrong usage · 3 no acceptable offer, nothing paid · 4 balance or allowance
/// too small, nothing paid · 5 refused, and the canister and the ledger prove that nothing was paid and nothing can be
/// · 6 outcome unknown: the payment is recorded, the same command continues it · 7 seller, replica or ledger
/// unreachable, nothing paid · 8 the content or a receipt was delivered, but what it says about the money is not proven
/// · 9 this payment was used before: the money moved or may have · 10 paid, but not delivered · 130 or 143 interrupted
/// before this command sent a payment
#[derive(Debug, Parser)]
#[command(name = "tollkeeper", version, verbatim_doc_comment)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Gets a resource, and pays for it if it costs something.
    Pay(Box<pay::PayArgs>),
    /// Shows all prices of a resource, and which offer `pay` would take.
    Quote(Box<quote::QuoteArgs>),
    /// Buys with a plain transfer to an account of an invoice's own: create, show, pay, return.
    Invoice(invoice::InvoiceCommand),
    /// Lists the payments whose outcome is not known, or checks one with canister and ledger.
    Status(status::StatusArgs),
    /// Ends the record of a payment: the same request can be paid for again, and this payment may still be charged.
    Forget(status::ForgetArgs),
    /// Lets a canister collect payments from a ledger, up to an amount.
    Approve(approve::ApproveArgs),
    /// Shows the balance of the payer's account.
    Balance(accounts::BalanceArgs),
    /// Shows a receipt and, if requested, whether the ledger confirms it.
    Receipt(receipt::ReceiptArgs),
}

/// Runs the command in the arguments, and reports how it ended.
pub fn main(args: Vec<OsString>) -> ExitCode {
    // Needed before the arguments are parsed: errors about them are printed in the same form as others.
    let json = args
        .iter()
        .take_while(|arg| *arg != "--")
        .any(|arg| arg == "--json");
    let output = Output::new(json);
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return not_parsed(&error, &args, &output),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::new(exit::OTHER, "system", error);
            output.failure(&failure);
            return ExitCode::from(failure.status);
        }
    };
    let status = runtime.block_on(run(&cli, &output));
    // Pending name look-ups do not delay the exit.
    runtime.shutdown_background();
    status
}

/// Help and version are results, everything else is wrong usage.
fn not_parsed(error: &clap::Error, args: &[OsString], output: &Output) -> ExitCode {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        // Nothing can be done if this fails.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    // Arguments are quoted in the message and may come from a stranger, so control characters are removed first.
    let plain = args.iter().map(|arg| text::line(&arg.to_string_lossy()));
    let message = match Cli::try_parse_from(plain) {
        Err(error) => error.render().to_string(),
        Ok(_) => text::line(&error.render().to_string().replace('\n', " ")),
    };
    output.failure(&Failure::usage(
        message.trim_start_matches("error: ").trim_end(),
    ));
    ExitCode::from(exit::USAGE)
}

async fn run(cli: &Cli, output: &Output) -> ExitCode {
    let situation = Situation::default();
    signals::handle(output, &situation);
    let common = &cli.common;
    let result = match &cli.command {
        Command::Pay(args) => pay::run(args, common, output, &situation).await,
        Command::Quote(args) => quote::run(args, common, output).await,
        Command::Invoice(args) => invoice::run(args, common, output, &situation).await,
        Command::Status(args) => status::run(args, common, output).await,
        Command::Forget(args) => status::forget(args, common, output),
        Command::Approve(args) => approve::run(args, common, output, &situation).await,
        Command::Balance(args) => accounts::balance(args, common, output).await,
        Command::Receipt(args) => receipt::run(args, common, output).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.status)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}

//! The command line: what it takes and how it ends.

mod accounts;
mod exit;
mod journal;
mod output;
mod pay;
mod receipt;

use clap::{Args, Parser, Subcommand, ValueEnum};
use exit::Failure;
use output::Output;
use std::{path::PathBuf, process::ExitCode};
use tollkeeper_client::{Identity, Network};

/// Pays for x402 resources on the Internet Computer.
///
/// AMOUNTS with a decimal point are tokens (0.01), amounts without one are atomic units (10000).
///
/// EXIT STATUS: 0 done · 1 other failure · 2 wrong usage · 3 no acceptable offer, nothing paid · 4 balance
/// or allowance too small, nothing paid · 5 refused by the seller or its ledger, nothing paid · 6 outcome
/// unknown: resume, never pay anew · 7 seller, replica or ledger unreachable, nothing paid · 8 paid, but
/// the receipt does not hold or could not be checked · 9 this payment was used before: the money moved or may have, the payment is
/// kept, look before paying anew · 10 paid, but not delivered: the payment is kept
#[derive(Debug, Parser)]
#[command(name = "tollkeeper", version, verbatim_doc_comment)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// The payer's private key: PEM with an Ed25519, secp256k1 or P-256 key.
    #[arg(long, global = true, env = "TOLLKEEPER_IDENTITY", value_name = "FILE")]
    identity: Option<PathBuf>,
    /// The network to pay on.
    #[arg(long, global = true, env = "TOLLKEEPER_NETWORK", value_enum, default_value_t = NetworkName::Mainnet)]
    network: NetworkName,
    /// The replica or boundary node to ask [default: <https://icp-api.io>, locally <http://127.0.0.1:4943>].
    #[arg(long, global = true, env = "TOLLKEEPER_REPLICA", value_name = "URL")]
    replica: Option<String>,
    /// Print one JSON object on standard output, failures included.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum NetworkName {
    /// The Internet Computer, with its built-in root key.
    Mainnet,
    /// A local replica, whose root key is taken on trust.
    Local,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Gets a resource, and pays for it if it costs something.
    Pay(Box<pay::PayArgs>),
    /// Lets a canister collect payments from a ledger, up to an amount.
    Approve(accounts::ApproveArgs),
    /// Shows what the payer's account holds.
    Balance(accounts::BalanceArgs),
    /// Shows a receipt and, if asked, whether the ledger bears it out.
    Receipt(receipt::ReceiptArgs),
}

/// Runs a command and says how it ended.
pub async fn run(cli: Cli) -> ExitCode {
    let output = Output::new(cli.common.json);
    let result = match &cli.command {
        Command::Pay(args) => pay::run(args, &cli.common, &output).await,
        Command::Approve(args) => accounts::approve(args, &cli.common, &output).await,
        Command::Balance(args) => accounts::balance(args, &cli.common, &output).await,
        Command::Receipt(args) => receipt::run(args, &cli.common, &output).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.status)
        }
    }
}

impl Common {
    fn identity(&self) -> Result<Identity, Failure> {
        let file = self
            .identity
            .as_ref()
            .ok_or_else(|| Failure::usage("say who pays: --identity FILE"))?;
        Identity::from_pem_file(file).map_err(|e| Failure::usage(e.to_string()))
    }

    async fn network(&self, identity: &Identity) -> Result<Network, Failure> {
        match (self.network, self.replica.as_deref()) {
            (NetworkName::Mainnet, None) => Network::mainnet(identity),
            (NetworkName::Mainnet, Some(url)) => Network::mainnet_at(url, identity),
            (NetworkName::Local, url) => {
                Network::local(url.unwrap_or("http://127.0.0.1:4943"), identity).await
            }
        }
        .map_err(|e| Failure::new(exit::UNREACHABLE, "unreachable", e))
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

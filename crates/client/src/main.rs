//! The `tollkeeper` command: pays for x402 resources on the Internet Computer.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(std::env::args_os().collect())
}

//! A local Internet Computer that runs by itself: HTTP gateway and agent endpoints on one port.

use clap::{Parser, Subcommand};
use local_ic::gateway::Gateway;
use local_ic::http::serve;
use local_ic::network::{Core, Network, describe, topology, wall_clock};
use local_ic_replica::{Principal, SubnetKind};
use serde::Serialize;
use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

#[derive(Parser)]
#[command(name = "local-ic", version, about)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a network until it is told to stop (SIGTERM, SIGINT). Nothing is kept afterwards.
    Serve {
        /// Address to listen at.
        #[arg(long, default_value = "127.0.0.1")]
        ip_addr: String,
        /// Port to listen at; 0 for any free one.
        #[arg(long, default_value_t = 4943)]
        port: u16,
        /// Requests whose host names no canister go to this one. It need not exist yet.
        #[arg(long)]
        canister: Option<Principal>,
        /// Print nothing but the line of JSON that describes the network.
        #[arg(long)]
        json: bool,
    },
}

/// What is printed once requests are answered.
#[derive(Serialize)]
struct Description {
    gateway: String,
    replica: String,
    root_key: String,
    default_effective_canister_id: String,
    subnets: Vec<Subnet>,
}

#[derive(Serialize)]
struct Subnet {
    id: String,
    kind: String,
    ranges: Vec<(String, String)>,
}

/// The subnets of mainnet that payments touch: ledgers live on NNS and fiduciary subnet, users' delegations come
/// from the II subnet, everything else is on an application subnet.
const SUBNETS: [SubnetKind; 4] = [
    SubnetKind::Nns,
    SubnetKind::Ii,
    SubnetKind::Fiduciary,
    SubnetKind::Application,
];

fn main() -> ExitCode {
    let Args {
        command:
            Command::Serve {
                ip_addr,
                port,
                canister,
                json,
            },
    } = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(run(&ip_addr, port, canister, json));
    // An execution that is under way is not waited for: the network ends with the process.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(
    ip_addr: &str,
    port: u16,
    canister: Option<Principal>,
    json: bool,
) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind((ip_addr, port))
        .await
        .map_err(|error| format!("cannot listen at {ip_addr}:{port}: {error}"))?;
    let port = listener.local_addr()?.port();
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );

    let network = Network::new(topology::plan(&SUBNETS), wall_clock())?;
    network.start_progress().await?;
    let gateway = Arc::new(Gateway::new(
        network.clone(),
        vec!["localhost".into()],
        canister,
    ));
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(serve(listener, stopped, move |request| {
        let gateway = gateway.clone();
        async move { gateway.handle(request).await }
    }));

    let root_key = hex::encode(network.root_key_der());
    let description = network
        .run(move |core| describe_network(core, port, root_key))
        .await?;
    println!("{}", serde_json::to_string(&description)?);
    if !json {
        eprintln!(
            "gateway: http://<canister id>.localhost:{port}/, agents: {}",
            description.replica
        );
        if let Some(canister) = canister {
            eprintln!("{} is canister {canister}", description.gateway);
        }
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.send_replace(true);
    network.stop_progress();
    serving.await?;
    Ok(())
}

fn describe_network(core: &mut Core, port: u16, root_key: String) -> Description {
    Description {
        gateway: format!("http://localhost:{port}"),
        replica: format!("http://127.0.0.1:{port}"),
        root_key,
        default_effective_canister_id: core.default_effective_canister_id().to_text(),
        subnets: core
            .subnets
            .iter()
            .map(|(id, subnet)| Subnet {
                id: id.to_text(),
                kind: describe::rest_kind(subnet.kind).to_owned(),
                ranges: subnet
                    .ranges
                    .iter()
                    .map(|(start, end)| (start.to_text(), end.to_text()))
                    .collect(),
            })
            .collect(),
    }
}

//! Speaks the PocketIC server's protocol, so that the unmodified `pocket-ic` crate can start and use it.

use clap::Parser;
use local_ic::http::serve;
use local_ic::rest::Server;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// A server for IC instances, speaking the protocol of the PocketIC server.
#[derive(Parser)]
#[command(name = "pocket-ic-server", version = local_ic::POCKET_IC_VERSION)]
struct Args {
    /// Address to listen at.
    #[arg(short, long, default_value = "127.0.0.1")]
    ip_addr: String,
    /// Port to listen at; any free one if left out.
    #[arg(short, long, default_value_t = 0)]
    port: u16,
    /// File the port is written to. If it exists another server has this task and this one ends at once.
    #[arg(long)]
    port_file: Option<PathBuf>,
    /// The server ends after this many seconds without a request.
    #[arg(long, default_value_t = 60)]
    ttl: u64,
    /// The server ends after this many seconds, whatever happens.
    #[arg(long)]
    hard_ttl: Option<u64>,
}

/// The port file this process owns; gone when this is dropped.
struct PortFile(PathBuf);

impl Drop for PortFile {
    fn drop(&mut self) {
        // Gone already, or no longer ours to delete: either way nothing is left to do.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let port_file = match args.port_file.as_deref().map(claim).transpose() {
        Ok(claimed) => claimed,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("port file: {error}");
            return ExitCode::FAILURE;
        }
    };
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
    let result = runtime.block_on(run(&args, port_file.as_ref()));
    drop(port_file);
    // Executions that are under way are not waited for: nobody is left to read their results.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Takes the task of serving this port file, unless a living server has it.
fn claim(path: &Path) -> io::Result<PortFile> {
    let create = || OpenOptions::new().write(true).create_new(true).open(path);
    match create() {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && is_stale(path) => {
            remove_stale(path)?;
            create()?
        }
        other => other?,
    };
    Ok(PortFile(path.to_owned()))
}

/// Whether the file names a port nobody listens at: left behind by a server that was killed.
fn is_stale(path: &Path) -> bool {
    let port = std::fs::read_to_string(path)
        .ok()
        .and_then(|content| content.strip_suffix('\n')?.parse::<u16>().ok());
    port.is_some_and(|port| TcpStream::connect(("127.0.0.1", port)).is_err())
}

/// Moves the file away before looking at it again: of several servers that start at once, one may have put its
/// own file in the place of the stale one already, and that must stay.
fn remove_stale(path: &Path) -> io::Result<()> {
    let aside = path.with_extension(format!("stale{}", std::process::id()));
    match std::fs::rename(path, &aside) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    }
    if is_stale(&aside) {
        std::fs::remove_file(&aside)
    } else {
        std::fs::rename(&aside, path)
    }
}

async fn run(args: &Args, port_file: Option<&PortFile>) -> io::Result<()> {
    let listener = TcpListener::bind((args.ip_addr.as_str(), args.port)).await?;
    let port = listener.local_addr()?.port();
    match port_file {
        // The reader waits for the line's end, so it never sees half a number.
        Some(PortFile(path)) => OpenOptions::new()
            .write(true)
            .open(path)?
            .write_all(format!("{port}\n").as_bytes())?,
        None => println!("{port}"),
    }
    let server = Arc::new(Server::default());
    let (stop, stopped) = watch::channel(false);
    let handler = server.clone();
    let serving = tokio::spawn(serve(listener, stopped, move |request| {
        handler.clone().handle(request)
    }));
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let hard_ttl = args.hard_ttl.map(Duration::from_secs);
    tokio::select! {
        () = idle(&server, Duration::from_secs(args.ttl)) => {}
        () = after(hard_ttl) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.send_replace(true);
    let _ = serving.await;
    Ok(())
}

async fn idle(server: &Server, ttl: Duration) {
    loop {
        let idle = server.activity().idle();
        if idle >= ttl {
            return;
        }
        tokio::time::sleep((ttl - idle).max(Duration::from_millis(100))).await;
    }
}

async fn after(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

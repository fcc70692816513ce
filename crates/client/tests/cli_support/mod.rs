//! The command in a folder of its own, and gateways between it and a shop.

#![allow(dead_code, reason = "each test binary uses its own part")]

use serde_json::Value;
use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// A key of the payer's, in PEM.
pub fn pem(seed: u8) -> String {
    ic_ed25519::PrivateKey::deserialize_raw_32(&[seed; 32])
        .serialize_pkcs8_pem(ic_ed25519::PrivateKeyFormat::Pkcs8v1)
}

/// The command, in a folder of its own, with a key and without the settings of the user who runs the tests.
pub struct Cli {
    pub folder: PathBuf,
    /// Arguments that come last.
    pub last: Vec<String>,
}

impl Cli {
    /// For commands that need no network.
    pub fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{name}"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("key.pem"), pem(1)).unwrap();
        Cli {
            folder,
            last: ["--identity", "key.pem"].map(String::from).to_vec(),
        }
    }

    /// On a local network.
    pub fn on(name: &str, replica: &str) -> Self {
        let mut cli = Self::new(name);
        let network = ["--network", "local", "--replica", replica];
        cli.last.extend(network.map(String::from));
        cli
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollkeeper"));
        command
            .args(args)
            .args(&self.last)
            .current_dir(&self.folder)
            .env_remove("XDG_STATE_HOME")
            .env("HOME", self.folder.join("home"))
            .stdin(Stdio::null());
        for name in ["IDENTITY", "NETWORK", "REPLICA", "PAYMENTS"] {
            command.env_remove(format!("TOLLKEEPER_{name}"));
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Exit status and the one object on standard output.
    pub fn json(&self, args: &[&str]) -> (i32, Value) {
        object(&self.run(&[args, &["--json"]].concat()))
    }

    /// Starts it with `--json`; standard output and standard error are kept.
    pub fn start(&self, args: &[&str]) -> Child {
        self.command(&[args, &["--json"]].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The folder of recorded payments.
    pub fn payments(&self) -> PathBuf {
        self.folder.join("home/.local/state/tollkeeper/payments")
    }

    /// The files of unresolved payments.
    pub fn recorded(&self) -> Vec<PathBuf> {
        recorded_in(&self.payments())
    }
}

/// The files of unresolved payments in a folder.
pub fn recorded_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.len() == 64 + ".json".len() && name.ends_with(".json")
        })
        .collect()
}

/// Exit status and the one object on standard output.
pub fn object(output: &Output) -> (i32, Value) {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    let Some(status) = output.status.code() else {
        panic!("ended by a signal: {output:?}");
    };
    (status, value)
}

/// The text on standard error.
pub fn words(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// Sends a signal, by its name, to a process.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// Waits until a condition is true.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(60), "no {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A gateway's behaviour for a paid request.
#[derive(Clone, Debug)]
pub enum Act {
    /// Forwards it and the answer.
    Forward,
    /// Forwards it, and hangs up instead of responding.
    Swallow,
    /// Forwards it, and responds without the receipt.
    HideReceipt,
    /// Reads it and hangs up.
    HangUp,
    /// Reads it and sends nothing for this time.
    Silent(Duration),
    /// Responds with status, headers and body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
}

/// A gateway that handles each paid request by a script, and forwards all other requests to the shop.
pub struct Gateway {
    /// The port it listens on.
    pub port: u16,
    script: Arc<Mutex<VecDeque<Act>>>,
    paid: Arc<Mutex<Vec<String>>>,
    unpaid: Arc<Mutex<Option<Act>>>,
}

impl Gateway {
    /// Opens in front of a shop's port. Requests after the script are forwarded.
    pub fn open(shop: u16, script: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gateway = Gateway {
            port: listener.local_addr().unwrap().port(),
            script: Arc::new(Mutex::new(script.into())),
            paid: Arc::default(),
            unpaid: Arc::default(),
        };
        let (script, paid) = (gateway.script.clone(), gateway.paid.clone());
        let unpaid = gateway.unpaid.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, paid, unpaid) = (script.clone(), paid.clone(), unpaid.clone());
                std::thread::spawn(move || serve(stream, shop, &script, &paid, &unpaid));
            }
        });
        gateway
    }

    /// The payments that were sent, as their headers, in order.
    pub fn paid(&self) -> Vec<String> {
        self.paid.lock().unwrap().clone()
    }

    /// Handles all requests without a payment this way from now on; `None`: forwards them.
    pub fn unpaid(&self, act: Option<Act>) {
        *self.unpaid.lock().unwrap() = act;
    }

    /// Continues with another script.
    pub fn then(&self, script: Vec<Act>) {
        *self.script.lock().unwrap() = script.into();
    }
}

fn serve(
    mut stream: TcpStream,
    shop: u16,
    script: &Mutex<VecDeque<Act>>,
    paid: &Mutex<Vec<String>>,
    unpaid: &Mutex<Option<Act>>,
) {
    let request = read_request(&mut stream);
    let act = match header(&request, "payment-signature") {
        Some(payment) => {
            paid.lock().unwrap().push(payment);
            script.lock().unwrap().pop_front()
        }
        None => unpaid.lock().unwrap().clone(),
    };
    let act = act.unwrap_or(Act::Forward);
    match act {
        Act::HangUp => {}
        Act::Silent(time) => std::thread::sleep(time),
        Act::Swallow => drop(forward(&request, shop)),
        Act::Forward | Act::HideReceipt => {
            if let Some(answer) = forward(&request, shop) {
                let hide = matches!(act, Act::HideReceipt);
                let _ = stream.write_all(&if hide {
                    without_receipt(&answer)
                } else {
                    answer
                });
            }
        }
        Act::Answer(status, headers, body) => {
            let headers: String = headers
                .iter()
                .map(|(n, v)| format!("{n}: {v}\r\n"))
                .collect();
            let head = format!(
                "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    }
}

/// Reads head and body.
pub fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
        read.push(byte[0]);
    }
    let length = header(&read, "content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    if stream.read_exact(&mut body).is_ok() {
        read.extend(body);
    }
    read
}

/// A header of a request or an answer.
pub fn header(message: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(message);
    let head = text.split("\r\n\r\n").next()?.to_string();
    head.lines().skip(1).find_map(|line| {
        let (own, value) = line.split_once(':')?;
        own.eq_ignore_ascii_case(name)
            .then(|| value.trim().to_string())
    })
}

/// Sends the request to the shop, and reads its response to the end.
pub fn forward(request: &[u8], shop: u16) -> Option<Vec<u8>> {
    let mut upstream = TcpStream::connect(("127.0.0.1", shop)).ok()?;
    let split = request.windows(2).position(|two| two == b"\r\n")? + 2;
    let (first, rest) = request.split_at(split);
    upstream
        .write_all(&[first, b"connection: close\r\n", rest].concat())
        .ok()?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).ok()?;
    let split = answer.windows(2).position(|two| two == b"\r\n")? + 2;
    let (first, rest) = answer.split_at(split);
    // A second `connection` header in the response does no harm.
    Some([first, b"connection: close\r\n", rest].concat())
}

fn without_receipt(answer: &[u8]) -> Vec<u8> {
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head: String = String::from_utf8_lossy(&answer[..end])
        .split("\r\n")
        .filter(|line| !line.to_ascii_lowercase().starts_with("payment-response"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    [head.as_bytes(), &answer[end + 2..]].concat()
}

/// The port in the URL of a replica.
pub fn port_of(replica: &str) -> u16 {
    replica.rsplit(':').next().unwrap().parse().unwrap()
}

//! The command line itself: errors in it are found before any request is sent, and reported in the requested form.

mod cli_support;

use cli_support::{Cli, object, words};
use std::{
    io::Read,
    net::TcpListener,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// A seller that counts its connections, and never responds.
fn counter() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/report", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let seen = count.clone();
    std::thread::spawn(move || {
        for _stream in listener.incoming() {
            seen.fetch_add(1, Ordering::SeqCst);
        }
    });
    (url, count)
}

#[test]
fn wrong_usage_is_one_object_with_json() {
    let cli = Cli::new("usage-json");
    for args in [
        &["pay"][..],
        &[],
        &["no-such-command"],
        &["pay", "--no-such-flag", "http://a/"],
        &["pay", "http://a/", "--patience", "soon"],
        &["pay", "http://a/", "--resume", "x"],
        &["pay", "not a url"],
        &["pay", "ftp://a/"],
        &["pay", "http://a/", "-X", "G T"],
        &["pay", "http://a/", "-H", "no colon"],
        &["pay", "http://a/", "--subaccount", "zz"],
        &["balance", "--ledger", "DOGE"],
        &["approve", "1.0"],
        &["approve", "--spender", "nobody", "1.0"],
        &["receipt"],
        &["receipt", "neither"],
    ] {
        let (status, value) = cli.json(args);
        assert_eq!(
            (status, &value["ok"]),
            (2, &false.into()),
            "{args:?}: {value}"
        );
        assert_eq!(value["error"]["kind"], "usage", "{args:?}: {value}");
        assert!(!value["error"]["message"].as_str().unwrap().is_empty());
    }
    let (_, value) = cli.json(&["pay", "--approve", "http://a/"]);
    let message = value["error"]["message"].as_str().unwrap();
    assert!(message.contains("before --approve"), "{message}");
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let mut command = cli.command(&["pay", "--json"]);
        let odd = std::ffi::OsStr::from_bytes(b"http://a/\xff");
        let (status, value) = object(&command.arg(odd).output().unwrap());
        assert_eq!(status, 2, "{value}");
    }
    // As text without it.
    let output = cli.run(&["pay"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(words(&output).contains("a URL"));
}

#[test]
fn a_bad_file_is_named_with_its_option() {
    let mut cli = Cli::new("bad-files");
    std::fs::write(cli.path("junk"), "junk").unwrap();
    let missing = "is neither a payment's id (64 hexadecimal digits) nor a file";
    for (args, status, parts) in [
        (&["status", "nix"][..], 2, ["\"nix\"", missing]),
        (&["status", ""], 2, ["\"\"", missing]),
        (&["pay", "--resume", "nix"], 2, ["\"nix\"", missing]),
        (&["pay", "--resume", "junk"], 2, ["junk: ", "no payment"]),
        (
            &["status", "--payments", "junk"],
            1,
            ["junk (--payments): ", "payments cannot be kept in"],
        ),
        (
            &["pay", "http://a/", "--payments", "junk/in"],
            1,
            ["junk/in (--payments): ", "payments cannot be kept in"],
        ),
    ] {
        let (code, value) = cli.json(args);
        assert_eq!(code, status, "{args:?}: {value}");
        let message = value["error"]["message"].as_str().unwrap();
        for part in parts {
            assert!(message.contains(part), "{args:?}: {message}");
        }
    }
    for (file, problem) in [("junk", "private key"), ("nix", "No such file")] {
        cli.last[1] = file.into();
        let (code, value) = cli.json(&["balance"]);
        let message = value["error"]["message"].as_str().unwrap();
        assert!(
            code == 2
                && message.starts_with(&format!("--identity {file}: "))
                && message.contains(problem),
            "{value}"
        );
    }
}

#[test]
fn a_replica_without_scheme_is_no_panic() {
    let cli = Cli::new("replica");
    for replica in [
        "localhost:4943",
        "127.0.0.1:4943",
        "icp-api.io",
        "",
        "http://",
        "ftp://a",
        "[::1]:1",
    ] {
        for network in ["mainnet", "local"] {
            let args = ["balance", "--network", network, "--replica", replica];
            let (status, value) = cli.json(&args);
            assert_eq!(status, 2, "{replica}: {value}");
            let message = value["error"]["message"].as_str().unwrap();
            assert!(message.contains("http"), "{replica}: {message}");
        }
        let output = cli
            .command(&["balance", "--json"])
            .env(
                "TOLLKEEPER_REPLICA",
                if replica.is_empty() { "x" } else { replica },
            )
            .output()
            .unwrap();
        assert_eq!(object(&output).0, 2, "{replica}");
    }
    let (_, value) = cli.json(&["balance", "--replica", "localhost:4943"]);
    let message = value["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("did you mean http://localhost:4943"),
        "{message}"
    );
}

#[test]
fn an_unreachable_local_network_says_how_to_name_another() {
    let cli = Cli::new("unreachable");
    for more in [
        &[][..],
        &["--replica", "http://127.0.0.1:9"],
        &["--replica", "http://no-such-host.invalid"],
    ] {
        let (status, value) = cli.json(&[&["balance", "--network", "local"], more].concat());
        assert_eq!(status, 7, "{value}");
        let message = value["error"]["message"].as_str().unwrap();
        for way in ["--replica", "TOLLKEEPER_REPLICA"] {
            assert!(message.contains(way), "{message}");
        }
    }
}

#[test]
fn empty_and_foreign_settings_are_no_settings() {
    let cli = Cli::new("environment");
    let run = |name: &str, value: &str, args: &[&str]| {
        let mut command = cli.command(&[args, &["--json"]].concat());
        object(&command.env(name, value).output().unwrap())
    };
    // Empty counts as not set, for every command.
    for name in [
        "TOLLKEEPER_REPLICA",
        "TOLLKEEPER_NETWORK",
        "TOLLKEEPER_PAYMENTS",
        "TOLLKEEPER_IDENTITY",
        "XDG_STATE_HOME",
    ] {
        let (status, value) = run(name, "", &["pay", "http://127.0.0.1:9/"]);
        assert_eq!(status, 7, "{name}: {value}");
    }
    let mut homeless = cli.command(&["status", "--json"]);
    let (status, value) = object(&homeless.env_remove("HOME").output().unwrap());
    assert_eq!(
        (status, &value["error"]["kind"]),
        (2, &"usage".into()),
        "{value}"
    );
    let (status, value) = run("TOLLKEEPER_NETWORK", "moon", &["balance"]);
    assert_eq!(status, 2, "{value}");
    let (status, value) = run("TOLLKEEPER_REPLICA", "localhost:1", &["balance"]);
    assert_eq!(status, 2, "{value}");
    // A folder that is a file, or cannot be made, is found before any request is sent.
    let (url, count) = counter();
    for folder in ["key.pem", "key.pem/below", "/dev/null/x", "/proc/nowhere"] {
        let (status, value) = run("TOLLKEEPER_PAYMENTS", folder, &["pay", &url]);
        assert_eq!(value["error"]["kind"], "journal", "{folder}: {value}");
        assert_eq!(status, 1);
        let (status, value) = cli.json(&["pay", &url, "--payments", folder]);
        assert_eq!(
            (status, &value["error"]["kind"]),
            (1, &"journal".into()),
            "{folder}: {value}"
        );
    }
    let (status, value) = cli.json(&["pay", &url, "--payments", ""]);
    assert_eq!(status, 2, "{value}");
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

#[test]
fn bad_arguments_are_found_before_the_seller_is_asked() {
    let cli = Cli::new("before");
    let (url, count) = counter();
    cli.write("plain", "x");
    std::fs::create_dir(cli.path("folder")).unwrap();
    for more in [
        &["-H", "no colon"][..],
        &["-H", ": value"],
        &["-H", "a b: c"],
        &["-H", "x: a\nb: c"],
        &["-H", "Payment-Signature: mine"],
        &["-H", "Host: other.example"],
        &["-o", "no/such/folder/f"],
        &["-o", "folder"],
        &["-o", "new/"],
        &["-o", ""],
        &["-o", "key.pem"],
        &["-o", "./folder/../key.pem"],
        &["-o", "plain/below"],
        &["--save", "no/such/folder/f"],
        &["--save", "folder"],
        &["--save", ""],
        &["-o", "f", "--save", "f"],
        &["-o", "f", "--save", "folder/../f"],
        &["--id", "short"],
        &["--id", "has spaces in it 123"],
        &["--id", "ünïcödë-ünïcödë-ü"],
        &["--max-amount", "a lot"],
        &["--max-amount", "-1"],
        &["--max-amount", ""],
        &[
            "--max-amount",
            "99999999999999999999999999999999999999999999",
        ],
        &["--asset", "ICP"],
        &["--asset", "DOGE", "--max-amount", "1"],
        &["--asset", "ICP", "--asset", "ICP", "--max-amount", "1"],
        &["--max-amount", "1", "--max-amount", "2"],
        &["--approve", "much"],
        &["--patience", "99999999999999999999"],
        &["--idle-timeout", "0"],
        &["--connect-timeout", "9999999"],
        &["--max-bytes", "0"],
        &["--patience", "18446744073709551615"],
        &["-d", "@no/such/file"],
        &["-d", "@folder"],
        &["-d", "@/dev/zero"],
        &["--json", "-o", "-"],
        &["--identity", "no-such-key.pem"],
        &["--identity", "plain"],
        &["--identity", ""],
        &["--spender", "nobody"],
    ] {
        // The payer's key of the arguments replaces the default one.
        let mut cli = Cli {
            folder: cli.folder.clone(),
            last: cli.last.clone(),
        };
        if more.contains(&"--identity") {
            cli.last.clear();
        }
        let output = cli.run(&[&["pay", &url], more].concat());
        assert_eq!(output.status.code(), Some(2), "{more:?}: {output:?}");
        words(&output);
    }
    assert_eq!(count.load(Ordering::SeqCst), 0, "no request was sent");
    assert!(!cli.path("f").exists() && !cli.path("new").exists());
    assert_eq!(cli.read("plain"), "x");
    assert_eq!(cli.read("key.pem"), cli_support::pem(1));
    let left: Vec<_> = std::fs::read_dir(&cli.folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let cli = Cli::new("pipe");
    let body = "x".repeat(1_000_000);
    for args in [
        &["pay"][..],
        &["--help"],
        &["pay", "--json"],
        &["--version"],
    ] {
        for (out, err) in [(true, false), (false, true), (true, true)] {
            let mut child = cli
                .command(args)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            if out {
                drop(child.stdout.take());
            }
            if err {
                drop(child.stderr.take());
            }
            let output = child.wait_with_output().unwrap();
            let code = output.status.code().unwrap();
            assert!(code == 0 || code == 2, "{args:?}: {output:?}");
            words(&output);
        }
    }
    // Content that is not read.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = cli_support::read_request(&mut stream);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = std::io::Write::write_all(
                &mut stream,
                &[head.as_bytes(), body.as_bytes()].concat(),
            );
        }
    });
    for json in [&[][..], &["--json"]] {
        let mut child = cli
            .command(&[&["pay", &url], json].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 1];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(words(&output).contains("standard output"), "{output:?}");
    }
    // A full disk.
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = cli.command(&["pay", &url]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(words(&output).contains("standard output"));
}

#[test]
fn an_interrupt_ends_a_wait_at_once() {
    let cli = Cli::new("interrupt");
    // A seller that accepts the request and never responds.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let waiting = Arc::new(AtomicUsize::new(0));
    let seen = waiting.clone();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().flatten() {
            cli_support::read_request(&mut stream);
            seen.fetch_add(1, Ordering::SeqCst);
            open.push(stream);
        }
    });
    for (index, (name, number)) in [("INT", 2), ("TERM", 15)].into_iter().enumerate() {
        let child = cli.start(&["pay", &url, "-o", "f"]);
        cli_support::wait_for("request", || waiting.load(Ordering::SeqCst) > index);
        let sent = Instant::now();
        cli_support::signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert!(sent.elapsed() < Duration::from_secs(2));
        let (status, value) = object(&output);
        assert_eq!(status, 128 + number, "{value}");
        assert_eq!(value["error"]["kind"], "interrupted");
        assert_eq!(value["error"]["signal"], format!("SIG{name}"));
    }
    let names: Vec<PathBuf> = std::fs::read_dir(&cli.folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    assert_eq!(names, [cli.path("key.pem")], "no unfinished file stays");
}

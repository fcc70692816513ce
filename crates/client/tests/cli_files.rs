//! Files of payments and of content: existing files stay unchanged, and nothing that was paid for is lost.

mod cli_support;
#[path = "cli_support/market.rs"]
mod market;
mod support;

use cli_support::{Act, words};
use market::{Market, account, refs};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};
use support::{CONTENT, FUNDS};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn an_existing_file_never_becomes_a_payment() {
    let market = Market::open("existing", vec![Act::HangUp]);
    let (url, cli) = (market.url("/report"), &market.cli);
    // Another run's unresolved payment, for another request.
    let other = market.url("/report?page=2");
    let (status, value) =
        market.json(&market.pay(&other, &["--patience", "0", "--save", "other.json"]));
    assert_eq!(status, 6, "{value}");
    let spent = market.shop.balance(account());
    let sent = market.gateway.paid().len();
    cli.write("notes.txt", "notes");
    cli.write("loose.txt", "");
    fs::set_permissions(cli.path("loose.txt"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::create_dir(cli.path("folder")).unwrap();
    symlink(cli.path("notes.txt"), cli.path("link")).unwrap();
    symlink(cli.path("nothing"), cli.path("dangling")).unwrap();
    symlink(cli.path("other.json"), cli.path("link.json")).unwrap();
    fs::hard_link(cli.path("notes.txt"), cli.path("hard")).unwrap();
    let kept = cli.read("other.json");
    for save in [
        "other.json",
        "notes.txt",
        "loose.txt",
        "folder",
        "link",
        "dangling",
        "link.json",
        "hard",
        "folder/../notes.txt",
        "key.pem",
        "/dev/null",
        "/dev/full",
    ] {
        let (status, value) = market.json(&market.pay(&url, &["--save", save]));
        assert_eq!(
            (status, &value["error"]["kind"]),
            (2, &"usage".into()),
            "{save}: {value}"
        );
    }
    assert_eq!(cli.read("other.json"), kept);
    assert_eq!(cli.read("notes.txt"), "notes");
    assert_eq!(cli.read("key.pem"), cli_support::pem(1));
    assert_eq!(cli.read("loose.txt"), "");
    assert_eq!(mode(&cli.path("loose.txt")), 0o644);
    assert!(fs::symlink_metadata(cli.path("link")).unwrap().is_symlink());
    assert!(!cli.path("nothing").exists());
    assert_eq!(
        market.shop.balance(account()),
        spent,
        "not even an approval"
    );
    assert_eq!(market.gateway.paid().len(), sent);
}

#[test]
fn a_saved_payment_is_its_owners_alone_and_is_resumed() {
    let market = Market::open("saved", vec![Act::HangUp, Act::HangUp]);
    let (url, cli) = (market.url("/report"), &market.cli);
    let args = market.pay(&url, &["--patience", "0", "--save", "kept.json"]);
    let (status, first) = market.json(&args);
    assert_eq!(status, 6, "{first}");
    let id = &first["error"]["paymentId"];
    assert_eq!(mode(&cli.path("kept.json")), 0o600);
    // The same command finds it, and so does a run with an empty journal.
    let (status, second) = market.json(&args);
    assert_eq!((status, &second["error"]["paymentId"]), (6, id), "{second}");
    let (status, paid) = cli.json(&[
        "pay",
        "--resume",
        "kept.json",
        "--payments",
        "elsewhere",
        "-o",
        "f",
    ]);
    assert_eq!((status, &paid["paymentId"]), (0, id), "{paid}");
    assert!(!cli.path("kept.json").exists(), "its payment is over");
    assert_eq!(fs::read(cli.path("f")).unwrap(), CONTENT);
    let sent = market.gateway.paid();
    assert!(sent.iter().all(|payment| *payment == sent[0]));
    assert_eq!(market.blocks(), 1);
}

#[test]
fn what_others_wrote_into_a_saved_file_stays() {
    let market = Market::open("rewritten", vec![Act::HangUp]);
    let (url, cli) = (market.url("/report"), &market.cli);
    let (status, value) =
        market.json(&market.pay(&url, &["--patience", "0", "--save", "kept.json"]));
    assert_eq!(status, 6, "{value}");
    for (name, content) in [("kept.json", "my notes"), ("other.json", "{}")] {
        cli.write(name, content);
    }
    // Neither a payment nor a file of this program: refused, and the payment continues without it.
    for name in ["kept.json", "other.json"] {
        let (status, value) = market.json(&market.pay(&url, &["--save", name]));
        assert_eq!(status, 2, "{value}");
        let (status, value) = cli.json(&["pay", "--resume", name]);
        assert_eq!(status, 2, "{value}");
    }
    let (status, value) = market.json(&market.pay(&url, &[]));
    assert_eq!(status, 0, "{value}");
    assert_eq!(cli.read("kept.json"), "my notes");
    assert_eq!(cli.read("other.json"), "{}");
    assert_eq!(market.blocks(), 1);
}

#[test]
fn content_never_replaces_a_payment() {
    let market = Market::open("replaces", vec![Act::HangUp]);
    let (url, cli) = (market.url("/report"), &market.cli);
    let (status, value) =
        market.json(&market.pay(&url, &["--patience", "0", "--save", "kept.json"]));
    assert_eq!(status, 6, "{value}");
    let journal = value["error"]["file"].as_str().unwrap().to_string();
    fs::hard_link(cli.path("kept.json"), cli.path("hard")).unwrap();
    symlink(cli.path("kept.json"), cli.path("soft")).unwrap();
    symlink(&cli.folder, cli.path("loop")).unwrap();
    symlink(&journal, cli.path("journal")).unwrap();
    fs::hard_link(&journal, cli.path("hard-journal")).unwrap();
    let kept = cli.read("kept.json");
    let beside = cli.payments().join("new.txt").display().to_string();
    for content in [
        "kept.json",
        "./kept.json",
        "hard",
        "soft",
        "loop/kept.json",
        &journal,
        "journal",
        "hard-journal",
        &beside,
    ] {
        for args in [
            market.pay(&url, &["-o", content, "--save", "kept.json"]),
            ["pay", "--resume", "kept.json", "-o", content]
                .map(String::from)
                .to_vec(),
        ] {
            let (status, value) = market.json(&args);
            assert_eq!(status, 2, "{content}: {value}");
        }
    }
    for new in [
        ["-o", "new", "--save", "new"],
        ["-o", "loop/new", "--save", "./new"],
    ] {
        let (status, value) = market.json(&market.pay(&url, &new));
        assert_eq!(status, 2, "{value}");
    }
    assert_eq!(cli.read("kept.json"), kept);
    assert_eq!(fs::read_to_string(journal).unwrap(), kept);
    assert!(!Path::new(&beside).exists() && !cli.path("new").exists());
    assert_eq!(market.gateway.paid().len(), 1);
}

#[test]
fn content_that_cannot_be_written_is_fetched_again() {
    let market = Market::open("unwritten", vec![]);
    let (url, cli) = (market.url("/report"), &market.cli);
    let mut first = None;
    // A full disk under -o, and under standard output with and without JSON.
    let full = || {
        fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    let (status, value) = market.json(&market.pay(&url, &["-o", "/dev/full"]));
    assert_eq!(
        (status, &value["error"]["kind"]),
        (1, &"output".into()),
        "{value}"
    );
    first.get_or_insert(value["error"]["resume"].clone());
    for json in [&[][..], &["--json"]] {
        let args = market.pay(&url, json);
        let output = cli.command(&refs(&args)).stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let text = words(&output);
        assert!(
            text.contains("resuming payment") && text.contains("--resume"),
            "{text}"
        );
    }
    // A reader that has closed the pipe.
    let mut child = cli.command(&refs(&market.pay(&url, &[])));
    let mut child = child
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(words(&output).contains("--resume"));
    assert_eq!(cli.recorded().len(), 1);
    let (status, value) = market.json(&market.pay(&url, &["-o", "bought"]));
    assert_eq!(
        (status, Some(&value["paymentId"])),
        (0, first.as_ref()),
        "{value}"
    );
    assert_eq!(fs::read(cli.path("bought")).unwrap(), CONTENT);
    assert_eq!(market.blocks(), 1);
    assert!(cli.recorded().is_empty());
}

#[test]
fn an_old_file_stays_until_new_content_is_complete() {
    let market = Market::open("old", vec![Act::HangUp, Act::Answer(404, vec![], vec![])]);
    let (url, cli) = (market.url("/report"), &market.cli);
    cli.write("target", "old");
    symlink("target", cli.path("report")).unwrap();
    for _ in 0..2 {
        let (status, value) = market.json(&market.pay(&url, &["--patience", "0", "-o", "report"]));
        assert_eq!(status, 6, "{value}");
        assert_eq!(cli.read("report"), "old");
    }
    let output = cli.run(&refs(&market.pay(&url, &["-o", "report"])));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stdout.is_empty());
    assert_eq!(cli.read("target"), "the report");
    assert!(
        fs::symlink_metadata(cli.path("report"))
            .unwrap()
            .is_symlink()
    );
    let names: Vec<_> = fs::read_dir(&cli.folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".part"))
        .collect();
    assert!(names.is_empty(), "{names:?}");
    assert_eq!(market.blocks(), 1);
}

#[test]
fn a_payment_that_cannot_be_recorded_is_not_sent() {
    let market = Market::open("unrecorded", vec![]);
    let (url, cli) = (market.url("/report"), &market.cli);
    cli.write("file", "");
    for folder in ["file", "file/below", "/proc/none", "/dev/null"] {
        let (status, value) = market.json(&market.pay(&url, &["--payments", folder]));
        assert_eq!(
            (status, &value["error"]["kind"]),
            (1, &"journal".into()),
            "{value}"
        );
    }
    // A record that cannot be decoded may be a payment for this request.
    fs::create_dir_all(cli.payments()).unwrap();
    let odd = cli.payments().join(format!("{}.json", "0".repeat(64)));
    fs::write(&odd, "{").unwrap();
    let (status, value) = market.json(&market.pay(&url, &[]));
    assert_eq!(
        (status, &value["error"]["kind"]),
        (1, &"journal".into()),
        "{value}"
    );
    assert_eq!(fs::read_to_string(odd).unwrap(), "{");
    assert!(market.gateway.paid().is_empty());
    assert_eq!(market.shop.balance(account()), FUNDS);
    assert_eq!(cli.json(&["status"]).0, 1);
}

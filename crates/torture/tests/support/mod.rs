//! What all test files share: instances, canisters, measuring, asserting.
#![allow(dead_code)] // each test binary uses its own part of it

pub mod handmade;
pub mod status;

use candid::Principal;
use ic_management_canister_types::CanisterSettings;
use pocket_ic::{ErrorCode, PocketIc, PocketIcBuilder, RejectCode, RejectResponse};
use std::path::PathBuf;
use std::sync::OnceLock;
use torture::program::{self, Op};

#[allow(unused_imports, reason = "the live tests ask for no status")]
pub use status::status_of;

/// Cycles every test canister starts with.
pub const START_CYCLES: u128 = 100_000_000_000_000;
/// What a message costs before its first instruction.
pub const EXECUTION_FEE: u128 = 5_000_000;

/// The answer to a call.
pub type Answer = Result<Vec<u8>, RejectResponse>;

/// The module of the torture canister, unpacked if it is gzipped.
pub fn torture_wasm() -> Vec<u8> {
    static WASM: OnceLock<Vec<u8>> = OnceLock::new();
    WASM.get_or_init(|| {
        let path = std::env::var_os("TORTURE_WASM").map_or_else(
            || {
                PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                    .join("../../target/wasm32-unknown-unknown/release/torture.wasm")
            },
            PathBuf::from,
        );
        let bytes = std::fs::read(&path).unwrap_or_else(|error| {
            panic!(
                "{}: {error}; build it with `cargo build --release --target \
                 wasm32-unknown-unknown -p torture`",
                path.display()
            )
        });
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let mut module = vec![];
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut module)
                .expect("a module in gzip");
            return module;
        }
        bytes
    })
    .clone()
}

/// The configuration of an instance on the server of `POCKET_IC_BIN`, by default the one of this repository.
pub fn builder() -> PocketIcBuilder {
    let builder = PocketIcBuilder::new();
    match std::env::var_os("POCKET_IC_BIN") {
        Some(_) => builder,
        None => builder.with_server_binary(
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/debug/pocket-ic").into(),
        ),
    }
}

/// An instance with one application subnet.
pub fn one_subnet() -> PocketIc {
    builder().with_application_subnet().build()
}

/// An instance with two application subnets.
pub fn two_subnets() -> PocketIc {
    builder()
        .with_application_subnet()
        .with_application_subnet()
        .build()
}

/// Whether the server is local-ic; a real PocketIC server has no such route.
pub fn is_local_ic(pic: &PocketIc) -> bool {
    let url = format!(
        "{}instances/{}/local/costs",
        pic.get_server_url(),
        pic.instance_id()
    );
    reqwest::blocking::get(url).is_ok_and(|response| response.status().is_success())
}

/// A canister with a short way to call it.
#[derive(Clone, Copy)]
pub struct Canister<'a> {
    pub pic: &'a PocketIc,
    pub id: Principal,
}

impl<'a> Canister<'a> {
    /// Creates an empty canister with [`START_CYCLES`].
    pub fn empty(pic: &'a PocketIc) -> Self {
        let id = pic.create_canister();
        Self { pic, id }
    }

    /// Creates an empty canister on the n-th application subnet.
    pub fn empty_on(pic: &'a PocketIc, subnet: usize) -> Self {
        let id =
            pic.create_canister_on_subnet(None, None, pic.topology().get_app_subnets()[subnet]);
        Self { pic, id }
    }

    /// Creates a torture canister.
    pub fn torture(pic: &'a PocketIc) -> Self {
        Self::empty(pic).with_wasm(torture_wasm())
    }

    /// Creates a torture canister on the n-th application subnet.
    pub fn torture_on(pic: &'a PocketIc, subnet: usize) -> Self {
        Self::empty_on(pic, subnet).with_wasm(torture_wasm())
    }

    /// Creates a torture canister with settings.
    pub fn torture_with(pic: &'a PocketIc, settings: CanisterSettings) -> Self {
        let id = pic.create_canister_with_settings(None, Some(settings));
        Self { pic, id }.with_wasm(torture_wasm())
    }

    /// Creates a canister from a WebAssembly text; see [`handmade::module`].
    pub fn wat(pic: &'a PocketIc, body: &str) -> Self {
        Self::empty(pic).with_wasm(handmade::module(body))
    }

    /// Installs a module with an empty argument.
    pub fn with_wasm(self, wasm: Vec<u8>) -> Self {
        self.pic.install_canister(self.id, wasm, vec![], None);
        self
    }

    /// An update call from the anonymous principal.
    pub fn update(&self, method: &str, arg: Vec<u8>) -> Answer {
        self.pic
            .update_call(self.id, Principal::anonymous(), method, arg)
    }

    /// A query call from the anonymous principal.
    pub fn query(&self, method: &str, arg: Vec<u8>) -> Answer {
        self.pic
            .query_call(self.id, Principal::anonymous(), method, arg)
    }

    /// Runs a program in an update.
    pub fn try_run(&self, program: &[Op]) -> Answer {
        self.update("run", program::encode(program))
    }

    /// Runs a program that must reply.
    pub fn run(&self, program: &[Op]) -> Vec<u8> {
        self.try_run(program).expect("the program replies")
    }

    /// Runs a program in a query.
    pub fn try_look(&self, program: &[Op]) -> Answer {
        self.query("look", program::encode(program))
    }

    /// Runs a program that must reply in a query.
    pub fn look(&self, program: &[Op]) -> Vec<u8> {
        self.try_look(program).expect("the program replies")
    }

    /// Submits a program as an update without waiting.
    pub fn submit(&self, program: &[Op]) -> pocket_ic::common::rest::RawMessageId {
        self.submit_method("run", program::encode(program))
    }

    /// Submits an update without waiting.
    pub fn submit_method(
        &self,
        method: &str,
        arg: Vec<u8>,
    ) -> pocket_ic::common::rest::RawMessageId {
        self.pic
            .submit_call(self.id, Principal::anonymous(), method, arg)
            .expect("the message is accepted")
    }

    /// The bytes kept under a name.
    pub fn load(&self, name: &str) -> Vec<u8> {
        self.look(&[Op::Load(name.into()), Op::Reply])
    }

    /// The bytes kept under a name, as text.
    pub fn load_text(&self, name: &str) -> String {
        String::from_utf8(self.load(name)).expect("text was kept")
    }

    /// The cycles held.
    pub fn cycles(&self) -> u128 {
        self.pic.cycle_balance(self.id)
    }

    /// The cycles this canister spends on something.
    pub fn cost<T>(&self, act: impl FnOnce(&Self) -> T) -> u128 {
        let before = self.cycles();
        act(self);
        before - self.cycles()
    }

    /// The canister version.
    pub fn version(&self) -> u64 {
        u64_at(&self.look(&[Op::Version, Op::Reply]), 0)
    }
}

/// The instance's time in nanoseconds.
pub fn now(pic: &PocketIc) -> u64 {
    pic.get_time().as_nanos_since_unix_epoch()
}

/// How many nanoseconds, that is rounds, something takes.
pub fn rounds<T>(pic: &PocketIc, act: impl FnOnce() -> T) -> u64 {
    let before = now(pic);
    act();
    now(pic) - before
}

/// Asserts a reject with these codes and gives its message.
#[track_caller]
pub fn expect_reject(answer: Answer, reject: RejectCode, error: ErrorCode) -> String {
    let response = answer.expect_err("a reject is expected");
    assert_eq!(
        (response.reject_code, response.error_code),
        (reject, error),
        "{}",
        response.reject_message
    );
    response.reject_message
}

/// Asserts that a text contains another.
#[track_caller]
pub fn assert_contains(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} is not in {text:?}");
}

/// Splits what [`program::CallSpec::forward`] replied: the callee's reply, or reject code and text.
pub fn forwarded(bytes: &[u8]) -> Result<Vec<u8>, (u32, String)> {
    match bytes.strip_prefix(b"!") {
        None => Ok(bytes.to_vec()),
        Some(rest) => Err((
            u32_at(rest, 0),
            String::from_utf8_lossy(&rest[4..]).into_owned(),
        )),
    }
}

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

pub fn u128_at(bytes: &[u8], at: usize) -> u128 {
    u128::from_le_bytes(bytes[at..at + 16].try_into().expect("sixteen bytes"))
}

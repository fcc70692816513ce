//! A shop on a live network: the canister and a ledger, reached by HTTP only from here on.

#![allow(dead_code, reason = "each test binary uses its own part")]

use candid::{CandidType, Decode, Encode, Nat, Principal, utils::ArgumentEncoder};
use icrc_ledger_types::{
    icrc1::{
        account::Account,
        transfer::{TransferArg, TransferError},
    },
    icrc2::allowance::{Allowance, AllowanceArgs},
    icrc3::blocks::{GetBlocksRequest, GetBlocksResult},
};
use pocket_ic::{PocketIc, PocketIcBuilder};
use serde::{Deserialize, de::DeserializeOwned};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use std::{path::PathBuf, time::SystemTime};
use test_ledger::testing::{
    Fault, LedgerInit, decode_moved, decode_queued, move_to_archive, queue_fault,
};
use tollkeeper_client::{Amount, Identity, Network, Payer, SpendControls};
use tollkeeper_types::{
    ContentBegin, ContentChunk, ContentCommit, InitArgs, LimitsArg, Price, RouteArgs,
    TollkeeperArgs,
};

pub mod gateway;
pub mod handmade;
pub mod sellers;

pub const FEE: u128 = 10_000;
pub const PRICE: u128 = 30_000;
pub const FUNDS: u128 = 1_000_000;
pub const CONTENT: &[u8] = b"the report";
const CYCLES: u128 = 100_000_000_000_000;

pub struct Shop {
    pub pic: PocketIc,
    pub canister: Principal,
    pub ledger: Principal,
    /// The URLs of the replica and the gateway.
    pub replica: String,
    port: u16,
}

fn controller() -> Principal {
    Principal::self_authenticating([1; 32])
}

fn minter() -> Principal {
    Principal::self_authenticating([5; 32])
}

pub fn merchant() -> Account {
    Principal::self_authenticating([3; 32]).into()
}

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn wasm(variable: &str, file: &str) -> Vec<u8> {
    let path =
        std::env::var_os(variable).map_or_else(|| root().join("build").join(file), PathBuf::from);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; see scripts/build", path.display()))
}

/// A method's reply, if only its success matters.
#[derive(CandidType, Deserialize, Debug)]
enum Answer<T> {
    Ok(T),
    Err(candid::Reserved),
}

/// Runs blocking code, inside an async test as well as outside.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

impl Shop {
    /// Sells `GET /report`; `/about` is free.
    pub fn open() -> Self {
        Self::open_with(LedgerInit::ckusdc(minter()))
    }

    /// In a ledger with the block log of the ICP ledger.
    pub fn open_with_icp_log() -> Self {
        Self::open_with(LedgerInit::ckusdc(minter()).with_icp_interface())
    }

    fn open_with(ledger_init: LedgerInit) -> Self {
        let builder = PocketIcBuilder::new();
        let builder = match std::env::var_os("POCKET_IC_BIN") {
            Some(_) => builder,
            None => builder.with_server_binary(root().join("target/debug/pocket-ic")),
        };
        let pic = builder
            .with_nns_subnet()
            .with_application_subnet()
            .with_application_subnet()
            .build();
        let subnets = pic.topology().get_app_subnets();
        let create = |subnet| {
            let id = pic.create_canister_on_subnet(Some(controller()), None, subnet);
            pic.add_cycles(id, CYCLES);
            id
        };
        let (canister, ledger) = (create(subnets[0]), create(subnets[1]));
        let init = ledger_init.fee(FEE).with_faults().encode();
        pic.install_canister(
            ledger,
            wasm("TEST_LEDGER_WASM", "test_ledger.wasm.gz"),
            init,
            Some(controller()),
        );
        let init = TollkeeperArgs::Init(InitArgs {
            pay_to: Some(merchant().into()),
            ..InitArgs::default()
        });
        let init = Encode!(&Some(init)).unwrap();
        pic.install_canister(
            canister,
            wasm("TOLLKEEPER_WASM", "tollkeeper.wasm.gz"),
            init,
            Some(controller()),
        );
        let mut shop = Shop {
            pic,
            canister,
            ledger,
            replica: String::new(),
            port: 0,
        };
        shop.admin::<_, candid::Reserved>("ledger_add", (ledger,));
        shop.publish("/report", Some(PRICE), CONTENT);
        shop.publish("/about", None, b"about us");
        // A gateway compares certificates with its own clock.
        shop.pic.set_time(SystemTime::now().into());
        shop.pic.tick();
        let url = shop.pic.make_live(None);
        shop.port = url.port().expect("a gateway has a port");
        shop.replica = format!("http://localhost:{}", shop.port);
        shop
    }

    /// The URL of a path, as a browser would write it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}.localhost:{}{path}", self.canister, self.port)
    }

    fn admin<A: ArgumentEncoder, T: CandidType + DeserializeOwned>(
        &self,
        method: &str,
        args: A,
    ) -> T {
        let arg = candid::encode_args(args).unwrap();
        let reply = self
            .pic
            .update_call(self.canister, controller(), method, arg)
            .unwrap_or_else(|reject| panic!("{method}: {reject}"));
        match Decode!(&reply, Answer<T>).unwrap_or_else(|e| panic!("{method}: {e}")) {
            Answer::Ok(value) => value,
            Answer::Err(_) => panic!("{method} refused"),
        }
    }

    fn publish(&self, path: &str, price: Option<u128>, bytes: &[u8]) {
        self.publish_for(path, price, bytes, None);
    }

    /// Offers a path that is sold to be paid by transfer, too.
    pub fn offer_transfers(&self, path: &str) {
        blocking(|| {
            self.admin::<_, candid::Reserved>(
                "route_put",
                (RouteArgs {
                    transfers: Some(true),
                    ..self.route(path, Some(PRICE), None)
                },),
            )
        });
    }

    /// Offers a path to be sold by invoice, too.
    pub fn offer_invoices(&self, path: &str) {
        blocking(|| {
            self.admin::<_, candid::Reserved>(
                "route_put",
                (RouteArgs {
                    invoices: Some(true),
                    ..self.route(path, Some(PRICE), None)
                },),
            )
        });
    }

    fn route(&self, path: &str, price: Option<u128>, seconds: Option<u32>) -> RouteArgs {
        let prices = price.map(|amount| Price {
            ledger: self.ledger,
            amount: amount.into(),
        });
        RouteArgs {
            method: "GET".into(),
            path: path.into(),
            description: "for the tests".into(),
            mime_type: "text/plain".into(),
            prices: prices.into_iter().collect(),
            max_timeout_seconds: seconds,
            on_sale: true,
            ..RouteArgs::default()
        }
    }

    /// Sells a path whose authorizations are valid for so many seconds.
    pub fn publish_for(&self, path: &str, price: Option<u128>, bytes: &[u8], seconds: Option<u32>) {
        self.admin::<_, candid::Reserved>("route_put", (self.route(path, price, seconds),));
        let upload: u64 = self.admin(
            "content_begin",
            (ContentBegin {
                method: "GET".into(),
                path: path.into(),
                bytes: bytes.len() as u64,
                sha256: ByteBuf::from(Sha256::digest(bytes).to_vec()),
            },),
        );
        let chunk = ContentChunk {
            upload,
            offset: 0,
            bytes: ByteBuf::from(bytes.to_vec()),
        };
        let arg = candid::encode_one(chunk).unwrap();
        self.pic
            .update_call(self.canister, controller(), "content_chunk", arg)
            .unwrap();
        self.admin::<_, candid::Reserved>("content_commit", (ContentCommit { upload },));
    }

    /// Gives an account money.
    pub fn fund(&self, to: Account, amount: u128) {
        let arg = TransferArg {
            from_subaccount: None,
            to,
            fee: None,
            created_at_time: None,
            memo: None,
            amount: amount.into(),
        };
        let arg = Encode!(&arg).unwrap();
        let reply = blocking(|| {
            self.pic
                .update_call(self.ledger, minter(), "icrc1_transfer", arg)
        })
        .unwrap();
        Decode!(&reply, Result<Nat, TransferError>)
            .unwrap()
            .unwrap();
    }

    /// The balance of an account.
    pub fn balance(&self, account: Account) -> u128 {
        let arg = Encode!(&account).unwrap();
        let reply = blocking(|| {
            self.pic
                .query_call(self.ledger, Principal::anonymous(), "icrc1_balance_of", arg)
        })
        .unwrap();
        u128::try_from(Decode!(&reply, Nat).unwrap().0).unwrap()
    }

    /// The number of blocks of the ledger: transfers and approvals.
    pub fn blocks(&self) -> u64 {
        let none: Vec<GetBlocksRequest> = vec![];
        let arg = Encode!(&none).unwrap();
        let reply = blocking(|| {
            self.pic
                .query_call(self.ledger, Principal::anonymous(), "icrc3_get_blocks", arg)
        });
        let found = Decode!(&reply.unwrap(), GetBlocksResult).unwrap();
        u64::try_from(found.log_length.0).unwrap()
    }

    /// The allowance of a spender from an account, and its end.
    pub fn allowance(&self, account: Account, spender: Principal) -> (u128, Option<u64>) {
        let spender = spender.into();
        let arg = Encode!(&AllowanceArgs { account, spender }).unwrap();
        let reply = blocking(|| {
            self.pic
                .query_call(self.ledger, Principal::anonymous(), "icrc2_allowance", arg)
        });
        let found = Decode!(&reply.unwrap(), Allowance).unwrap();
        (u128::try_from(found.allowance.0).unwrap(), found.expires_at)
    }

    /// Changes the ledger's fee.
    pub fn set_fee(&self, fee: u128) {
        let arg = Encode!(&Nat::from(fee)).unwrap();
        blocking(|| {
            self.pic
                .update_call(self.ledger, controller(), "test_set_fee", arg)
        })
        .unwrap();
    }

    /// Makes the canister query the ledger's fee again.
    pub fn refresh(&self) {
        blocking(|| self.admin::<_, candid::Reserved>("ledger_add", (self.ledger,)));
    }

    /// Makes the canister accept payments only while it has more cycles than this.
    pub fn set_floor(&self, cycles: u128) {
        let limits = LimitsArg {
            cycles_floor: Some(cycles.into()),
            ..LimitsArg::default()
        };
        let upgrade = TollkeeperArgs::Upgrade(InitArgs {
            limits: Some(limits),
            ..InitArgs::default()
        });
        let arg = Encode!(&Some(upgrade)).unwrap();
        let wasm = wasm("TOLLKEEPER_WASM", "tollkeeper.wasm.gz");
        blocking(|| {
            self.pic
                .upgrade_canister(self.canister, wasm, arg, Some(controller()))
        })
        .unwrap();
    }

    /// Installs another canister with this code.
    pub fn install(&self, wasm: Vec<u8>) -> Principal {
        self.install_with(wasm, vec![])
    }

    fn install_with(&self, wasm: Vec<u8>, arg: Vec<u8>) -> Principal {
        blocking(|| {
            let subnet = self.pic.topology().get_app_subnets()[0];
            let id = self
                .pic
                .create_canister_on_subnet(Some(controller()), None, subnet);
            self.pic.add_cycles(id, CYCLES);
            self.pic.install_canister(id, wasm, arg, Some(controller()));
            id
        })
    }

    /// Ends the ledger's faults.
    pub fn clear_faults(&self) {
        let arg = Encode!().unwrap();
        blocking(|| {
            self.pic
                .update_call(self.ledger, controller(), "test_clear_faults", arg)
        })
        .unwrap();
    }

    /// Moves the oldest blocks of the ledger to an archive.
    pub fn archive(&self, count: u64) {
        let archive = self.install_with(
            wasm("TEST_LEDGER_WASM", "test_ledger.wasm.gz"),
            LedgerInit::archive().encode(),
        );
        let (method, arg) = move_to_archive(archive, count);
        let reply =
            blocking(|| self.pic.update_call(self.ledger, controller(), method, arg)).unwrap();
        assert!(decode_moved(&reply).unwrap() >= count);
    }

    /// Calls a canister with an arbitrary identity.
    pub fn call(&self, canister: Principal, method: &str, arg: Vec<u8>) -> Vec<u8> {
        let anonymous = Principal::anonymous();
        blocking(|| self.pic.update_call(canister, anonymous, method, arg)).unwrap()
    }

    /// Makes the ledger misbehave on its next payment.
    pub fn misbehave(&self, fault: &Fault) {
        self.misbehave_at("icrc2_transfer_from", 1, fault);
    }

    /// Makes the ledger misbehave at the next calls of a method.
    pub fn misbehave_at(&self, method: &str, calls: u32, fault: &Fault) {
        let (method, arg) = queue_fault(method, calls, fault);
        let reply =
            blocking(|| self.pic.update_call(self.ledger, controller(), method, arg)).unwrap();
        decode_queued(&reply).unwrap();
    }

    /// A funded payer whose spend controls allow this shop's token.
    pub async fn payer(&self, identity: Identity) -> Payer {
        let network = Network::local(&self.replica, &identity).await.unwrap();
        let controls = SpendControls::none().allow(self.ledger, Amount(FUNDS));
        Payer::new(identity, network)
            .unwrap()
            .with_spend_controls(controls)
    }
}

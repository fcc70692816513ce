//! A network with the canister under test and a ledger on another subnet.

use super::{
    environment,
    gateway::{Answer, Request},
    interface::*,
    ledger::TestLedger,
    management::install_again,
    payer::Payer,
};
use candid::{CandidType, Nat, Principal, utils::ArgumentEncoder};
use icrc_ledger_types::icrc1::account::Account;
use pocket_ic::{
    CreateCanisterParams, CreateCanisterPlacement, PocketIc, PocketIcBuilder, RejectResponse,
    call_candid_as, common::rest::RawEffectivePrincipal,
};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};
use std::{cell::RefCell, time::Duration};
use test_ledger::testing::LedgerInit;

/// The initial cycles of every canister of the tests.
pub const CYCLES: u128 = 100_000_000_000_000;
/// A payer's initial balance, and the allowance for the canister.
pub const FUNDS: u128 = 1_000_000_000;
/// The ledgers' transfer fee.
pub const FEE: u128 = 10_000;

/// Controller of canister and ledgers.
pub fn controller() -> Principal {
    Principal::self_authenticating([1; 32])
}

/// An operator of the canister.
pub fn operator() -> Principal {
    Principal::self_authenticating([2; 32])
}

/// The account that payments go to.
pub fn merchant() -> Account {
    Principal::self_authenticating([3; 32]).into()
}

/// A principal without any role.
pub fn stranger() -> Principal {
    Principal::self_authenticating([4; 32])
}

/// The ledger's minter.
pub fn minter() -> Principal {
    Principal::self_authenticating([5; 32])
}

/// How the canister is installed.
fn init_argument() -> Vec<u8> {
    let args = TollkeeperArgs::Init(InitArgs {
        pay_to: Some(merchant().into()),
        operators: Some(vec![operator()]),
        ..InitArgs::default()
    });
    candid::encode_one(Some(args)).unwrap()
}

/// The network and its canisters.
pub struct Setup {
    pub pic: PocketIc,
    pub canister: Principal,
    pub ledger: TestLedger,
    pub(super) payers: RefCell<Vec<(Account, u128)>>,
}

impl Setup {
    /// With a ledger that can be made to misbehave.
    pub fn new() -> Self {
        Self::with_cycles(CYCLES)
    }

    /// With this many cycles for the canister, its installation included.
    pub fn with_cycles(cycles: u128) -> Self {
        let init = LedgerInit::ckusdc(minter()).with_faults();
        Self::with(environment::test_ledger_wasm(), init, cycles)
    }

    /// With a ledger that has the interface of the ICP ledger, and can be made to misbehave.
    pub fn with_icp_ledger() -> Self {
        let init = LedgerInit::icp(minter()).with_icp_interface().with_faults();
        Self::with(environment::test_ledger_wasm(), init, CYCLES)
    }

    /// With any ICRC ledger: for tests that need no faults.
    pub fn with_any_ledger() -> Self {
        let init = LedgerInit::ckusdc(minter());
        Self::with(environment::any_ledger_wasm(), init, CYCLES)
    }

    /// The same on a network with threshold keys.
    pub fn with_threshold_keys() -> Self {
        let network = environment::pocket_ic().with_ii_subnet();
        let init = LedgerInit::ckusdc(minter());
        Self::on(network, environment::any_ledger_wasm(), init, CYCLES)
    }

    fn with(wasm: Vec<u8>, ledger: LedgerInit, cycles: u128) -> Self {
        Self::on(environment::pocket_ic(), wasm, ledger, cycles)
    }

    fn on(network: PocketIcBuilder, wasm: Vec<u8>, ledger: LedgerInit, cycles: u128) -> Self {
        let pic = network
            .with_nns_subnet()
            .with_application_subnet()
            .with_application_subnet()
            .build();
        let subnets = pic.topology().get_app_subnets();
        let create = |subnet, cycles| {
            let params = CreateCanisterParams {
                cycles: Some(cycles),
                placement: Some(CreateCanisterPlacement::SubnetId(subnet)),
                ..CreateCanisterParams::default()
            };
            pic.create_canister_with_params(Some(controller()), params)
                .expect("the subnet is there")
        };
        let canister = create(subnets[0], cycles);
        let id = create(subnets[1], CYCLES);
        let init = ledger.fee(FEE).encode();
        pic.install_canister(id, wasm, init, Some(controller()));
        let wasm = environment::tollkeeper_wasm();
        pic.install_canister(canister, wasm, init_argument(), Some(controller()));
        let setup = Self {
            pic,
            canister,
            ledger: TestLedger(id),
            payers: RefCell::default(),
        };
        setup.ledger_add(id).expect("it is a ledger");
        setup
    }

    /// Another ledger, registered.
    pub fn another_ledger(&self, symbol: &str) -> TestLedger {
        let subnet = self.pic.get_subnet(self.ledger.0).unwrap();
        let id = self
            .pic
            .create_canister_on_subnet(Some(controller()), None, subnet);
        self.pic.add_cycles(id, CYCLES);
        let init = LedgerInit::new(symbol, symbol, minter())
            .fee(FEE)
            .with_faults();
        self.pic.install_canister(
            id,
            environment::test_ledger_wasm(),
            init.encode(),
            Some(controller()),
        );
        self.ledger_add(id).expect("it is a ledger");
        TestLedger(id)
    }

    /// A second canister of the same kind, with the same ledger and roles.
    pub fn another_canister(&self) -> Principal {
        let subnet = self.pic.get_subnet(self.canister).unwrap();
        let id = self
            .pic
            .create_canister_on_subnet(Some(controller()), None, subnet);
        self.pic.add_cycles(id, CYCLES);
        let wasm = environment::tollkeeper_wasm();
        self.pic
            .install_canister(id, wasm, init_argument(), Some(controller()));
        let added: Result<Ledger, LedgerError> =
            self.update_at(id, controller(), "ledger_add", (self.ledger.0,));
        added.expect("it is a ledger");
        id
    }

    /// The network's time in nanoseconds.
    pub fn now_ns(&self) -> u64 {
        self.pic.get_time().as_nanos_since_unix_epoch()
    }

    /// The network's time in seconds.
    pub fn now(&self) -> u64 {
        self.now_ns() / 1_000_000_000
    }

    /// Lets time pass, and runs a round so that queries see it.
    pub fn advance(&self, seconds: u64) {
        self.pic.advance_time(Duration::from_secs(seconds));
        self.pic.tick();
    }

    /// An update call whose reply is decoded; rejects fail the test.
    pub fn update<A: ArgumentEncoder, T: CandidType + DeserializeOwned>(
        &self,
        caller: Principal,
        method: &str,
        args: A,
    ) -> T {
        self.update_at(self.canister, caller, method, args)
    }

    /// As [`update`](Self::update), to any canister.
    pub fn update_at<A: ArgumentEncoder, T: CandidType + DeserializeOwned>(
        &self,
        canister: Principal,
        caller: Principal,
        method: &str,
        args: A,
    ) -> T {
        let arg = candid::encode_args(args).unwrap();
        let reply = self
            .pic
            .update_call(canister, caller, method, arg)
            .unwrap_or_else(|reject| panic!("{method} was rejected: {reject}"));
        candid::decode_one(&reply).unwrap_or_else(|error| panic!("reply of {method}: {error}"))
    }

    /// A query call whose reply is decoded.
    pub fn query<A: ArgumentEncoder, T: CandidType + DeserializeOwned>(
        &self,
        caller: Principal,
        method: &str,
        args: A,
    ) -> T {
        self.query_at(self.canister, caller, method, args)
    }

    /// As [`query`](Self::query), to any canister.
    pub fn query_at<A: ArgumentEncoder, T: CandidType + DeserializeOwned>(
        &self,
        canister: Principal,
        caller: Principal,
        method: &str,
        args: A,
    ) -> T {
        let arg = candid::encode_args(args).unwrap();
        let reply = self
            .pic
            .query_call(canister, caller, method, arg)
            .unwrap_or_else(|reject| panic!("{method} was rejected: {reject}"));
        candid::decode_one(&reply).unwrap_or_else(|error| panic!("reply of {method}: {error}"))
    }

    /// An update call with raw bytes.
    pub fn raw_update(
        &self,
        caller: Principal,
        method: &str,
        arg: Vec<u8>,
    ) -> Result<Vec<u8>, RejectResponse> {
        self.pic.update_call(self.canister, caller, method, arg)
    }

    pub fn ledger_add(&self, ledger: Principal) -> Result<Ledger, LedgerError> {
        self.update(controller(), "ledger_add", (ledger,))
    }

    pub fn route_put(&self, args: RouteArgs) -> Result<Route, RouteError> {
        self.update(operator(), "route_put", (args,))
    }

    pub fn route_remove(&self, method: &str, path: &str) -> Result<(), RouteError> {
        let key = RouteKey {
            method: method.into(),
            path: path.into(),
        };
        self.update(operator(), "route_remove", (key,))
    }

    /// The arguments of a route that costs `amount` of the ledger's token.
    pub fn priced(&self, method: &str, path: &str, amount: u128) -> RouteArgs {
        RouteArgs {
            prices: vec![Price {
                ledger: self.ledger.0,
                amount: Nat::from(amount),
            }],
            max_timeout_seconds: Some(3_600),
            ..free(method, path)
        }
    }

    /// Puts a route's content in one chunk.
    pub fn upload(&self, method: &str, path: &str, bytes: &[u8]) {
        self.upload_at(self.canister, method, path, bytes);
    }

    /// As [`upload`](Self::upload), to any canister.
    pub fn upload_at(&self, canister: Principal, method: &str, path: &str, bytes: &[u8]) {
        let begin = ContentBegin {
            method: method.into(),
            path: path.into(),
            bytes: bytes.len() as u64,
            sha256: ByteBuf::from(Sha256::digest(bytes).to_vec()),
        };
        let upload: Result<u64, ContentError> =
            self.update_at(canister, operator(), "content_begin", (begin,));
        let upload = upload.expect("an upload begins");
        for (index, piece) in bytes.chunks(1_000_000).enumerate() {
            let chunk = ContentChunk {
                upload,
                offset: index as u64 * 1_000_000,
                bytes: ByteBuf::from(piece.to_vec()),
            };
            let done: Result<(), ContentError> =
                self.update_at(canister, operator(), "content_chunk", (chunk,));
            done.expect("a chunk is accepted");
        }
        let done: Result<Content, ContentError> = self.update_at(
            canister,
            operator(),
            "content_commit",
            (ContentCommit { upload },),
        );
        assert_eq!(done.expect("an upload ends").bytes, bytes.len() as u64);
    }

    /// A free route with content.
    pub fn publish_free(&self, path: &str, bytes: &[u8]) {
        self.route_put(free("GET", path)).expect("a good route");
        self.upload("GET", path, bytes);
    }

    /// Upgrades the canister to the same module, stopped as operators are told to do it.
    pub fn upgrade(&self) {
        self.upgrade_with(None);
    }

    /// Upgrades, with another cycles floor.
    pub fn upgrade_with_floor(&self, cycles: u128) {
        self.upgrade_with(Some(limited(LimitsArg {
            cycles_floor: Some(Nat::from(cycles)),
            ..LimitsArg::default()
        })));
    }

    /// Changes limits by an upgrade of the canister in its present state, running or stopped.
    pub fn set_limits(&self, limits: LimitsArg) {
        self.try_upgrade(Some(limited(limits)))
            .expect("limits can be changed by an upgrade");
    }

    fn upgrade_with(&self, args: Option<TollkeeperArgs>) {
        self.upgrade_to(environment::tollkeeper_wasm(), args);
    }

    /// Upgrades to another build, stopped meanwhile.
    pub fn upgrade_to(&self, wasm: Vec<u8>, args: Option<TollkeeperArgs>) {
        let (pic, controller) = (&self.pic, Some(controller()));
        pic.stop_canister(self.canister, controller)
            .expect("nothing keeps it running");
        self.try_upgrade_to(wasm, args)
            .expect("the canister can be upgraded");
        pic.start_canister(self.canister, controller)
            .expect("it was stopped");
    }

    /// Upgrades the canister in its present state, running or stopped.
    pub fn try_upgrade(&self, args: Option<TollkeeperArgs>) -> Result<(), RejectResponse> {
        self.try_upgrade_to(environment::tollkeeper_wasm(), args)
    }

    /// Upgrades the canister to another build.
    pub fn try_upgrade_to(
        &self,
        wasm: Vec<u8>,
        args: Option<TollkeeperArgs>,
    ) -> Result<(), RejectResponse> {
        self.upgrade_raw(&wasm, &candid::encode_one(args).unwrap())
    }

    /// Upgrades a running canister that refuses it, because calls are in flight.
    pub fn upgrade_by_force(&self) {
        #[derive(CandidType)]
        struct Flags {
            skip_pre_upgrade: Option<bool>,
        }
        #[derive(CandidType)]
        #[expect(non_camel_case_types, reason = "Candid's name")]
        enum Mode {
            upgrade(Option<Flags>),
        }
        #[derive(CandidType)]
        struct InstallCode {
            mode: Mode,
            canister_id: Principal,
            wasm_module: ByteBuf,
            arg: ByteBuf,
        }
        let flags = Flags {
            skip_pre_upgrade: Some(true),
        };
        let install = InstallCode {
            mode: Mode::upgrade(Some(flags)),
            canister_id: self.canister,
            wasm_module: ByteBuf::from(environment::tollkeeper_wasm()),
            arg: ByteBuf::from(candid::encode_one(None::<TollkeeperArgs>).unwrap()),
        };
        let done = install_again(&self.pic, || {
            call_candid_as(
                &self.pic,
                Principal::management_canister(),
                RawEffectivePrincipal::CanisterId(self.canister.as_slice().to_vec()),
                controller(),
                "install_code",
                (&install,),
            )
        });
        done.expect("the canister can be upgraded by force");
    }

    /// Settled payments, read page by page.
    pub fn settled(&self) -> Vec<Payment> {
        self.pages("payments")
    }

    /// Every payment the canister knows: settled, open and failed ones.
    pub fn payments(&self) -> Vec<Payment> {
        let open: Result<Vec<Payment>, PaymentsError> =
            self.query(controller(), "payments_open", ());
        let mut all = self.settled();
        all.extend(open.expect("controllers read payments"));
        all.extend(self.pages("payments_failed"));
        all
    }

    fn pages(&self, method: &str) -> Vec<Payment> {
        let mut all: Vec<Payment> = Vec::new();
        loop {
            let page = PageArgs {
                after: all.last().and_then(|payment| payment.sequence),
                limit: None,
            };
            let page: Result<Vec<Payment>, PaymentsError> =
                self.query(controller(), method, (page,));
            let page = page.expect("controllers read payments");
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }

    /// One payment by its id.
    pub fn payment(&self, id: [u8; 32]) -> Option<Payment> {
        self.query(controller(), "payment", (ByteBuf::from(id.to_vec()),))
    }

    /// One receipt by its payment's id.
    pub fn receipt(&self, id: [u8; 32]) -> Option<Receipt> {
        self.query(controller(), "receipt", (ByteBuf::from(id.to_vec()),))
    }

    /// The configuration.
    pub fn config(&self) -> Config {
        self.query(stranger(), "config", ())
    }

    /// Sends a request as a gateway does: query, verification, and an update if requested.
    pub fn send(&self, request: &Request) -> Answer {
        request.send(&self.pic, self.canister)
    }

    /// `GET` without a payment.
    pub fn get(&self, url: &str) -> Answer {
        self.send(&Request::get(url))
    }

    /// A funded payer with an Ed25519 key who allows the canister to take everything.
    pub fn payer(&self, seed: u8) -> Payer {
        self.funded(Payer::ed25519(seed))
    }

    /// Gives a payer money and an allowance for the canister.
    pub fn funded(&self, payer: Payer) -> Payer {
        self.ledger.mint(self, payer.account, FUNDS);
        self.ledger
            .approve(self, payer.account, self.canister, FUNDS);
        self.payers.borrow_mut().push((payer.account, FUNDS - FEE));
        payer
    }

    /// A watched payer has paid one more ledger fee, for an approval.
    pub fn pay_fee(&self, account: Account) {
        for (payer, balance) in self.payers.borrow_mut().iter_mut() {
            if *payer == account {
                *balance -= FEE;
            }
        }
    }

    /// Registers a payer who was funded directly, with the initial balance.
    pub fn watch(&self, account: Account, balance: u128) {
        self.payers.borrow_mut().push((account, balance));
    }
}

/// The argument of an upgrade that changes limits only.
fn limited(limits: LimitsArg) -> TollkeeperArgs {
    TollkeeperArgs::Upgrade(InitArgs {
        limits: Some(limits),
        ..InitArgs::default()
    })
}

/// The arguments of a free route.
pub fn free(method: &str, path: &str) -> RouteArgs {
    RouteArgs {
        method: method.into(),
        path: path.into(),
        description: "a page".into(),
        mime_type: "text/plain".into(),
        on_sale: true,
        ..RouteArgs::default()
    }
}

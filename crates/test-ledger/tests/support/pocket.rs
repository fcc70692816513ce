//! The ledger canister on a PocketIC server.

use std::path::PathBuf;

use candid::utils::ArgumentEncoder;
use candid::{CandidType, Nat, Principal};
use icrc_ledger_types::icrc1::account::Account;
use icrc_ledger_types::icrc1::transfer::{TransferArg, TransferError};
use icrc_ledger_types::icrc2::allowance::{Allowance, AllowanceArgs};
use icrc_ledger_types::icrc2::approve::{ApproveArgs, ApproveError};
use icrc_ledger_types::icrc2::transfer_from::{TransferFromArgs, TransferFromError};
use icrc_ledger_types::icrc3::blocks::{GetBlocksRequest, GetBlocksResult};
use pocket_ic::{ErrorCode, PocketIc, PocketIcBuilder, RejectResponse};
use serde::de::DeserializeOwned;
use test_ledger::testing::{Fault, FaultStatus, LedgerInit, decode_queued, queue_fault};

/// The fee of [`LedgerInit::ckusdc`].
pub const FEE: u128 = 10_000;
/// What the payer has at the beginning.
pub const FUNDS: u128 = 1_000_000;
pub const CYCLES: u128 = 100_000_000_000_000;

pub fn minter() -> Principal {
    Principal::self_authenticating([0xff])
}

pub fn payer() -> Principal {
    Principal::self_authenticating([1])
}

pub fn merchant() -> Principal {
    Principal::self_authenticating([2])
}

pub fn shop() -> Principal {
    Principal::self_authenticating([3])
}

/// Our wasm, unless the environment names another standard ledger.
pub fn ledger_wasm() -> Vec<u8> {
    match std::env::var_os("LEDGER_WASM") {
        Some(path) => read(path.into()),
        None => own_wasm(),
    }
}

pub fn own_wasm() -> Vec<u8> {
    built_wasm("TEST_LEDGER_WASM", "test_ledger")
}

/// The wasm that `variable` names, or else what `scripts/build` makes.
pub fn built_wasm(variable: &str, name: &str) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let built = root.join(format!("build/{name}.wasm.gz"));
    read(std::env::var_os(variable).map_or(built, PathBuf::from))
}

/// Whether the ledger under test is somebody else's, without a test interface.
pub fn is_foreign() -> bool {
    std::env::var_os("LEDGER_WASM").is_some()
}

fn read(path: PathBuf) -> Vec<u8> {
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run scripts/build", path.display()))
}

/// A server with one application subnet.
pub fn pocket() -> PocketIc {
    PocketIcBuilder::new().with_application_subnet().build()
}

pub struct Pocket {
    pub pic: PocketIc,
    pub id: Principal,
}

impl Pocket {
    /// Upgrades the ledger, when the server has room again for the instructions of an installation.
    pub fn upgrade(&self, arg: Vec<u8>) -> Result<(), RejectResponse> {
        for _ in 0..100 {
            match self
                .pic
                .upgrade_canister(self.id, own_wasm(), arg.clone(), None)
            {
                Err(reject) if reject.error_code == ErrorCode::CanisterInstallCodeRateLimited => {
                    self.pic.tick();
                }
                done => return done,
            }
        }
        panic!("installing is rate limited for good");
    }

    /// A ckUSDC-like ledger that honours the test interface if it is ours.
    pub fn new() -> Self {
        let init = LedgerInit::ckusdc(minter()).balance(payer(), FUNDS);
        Self::install(ledger_wasm(), init.with_faults().encode())
    }

    /// Our ledger, whatever the environment says.
    pub fn own() -> Self {
        let init = LedgerInit::ckusdc(minter()).balance(payer(), FUNDS);
        Self::install(own_wasm(), init.with_faults().encode())
    }

    pub fn install(wasm: Vec<u8>, arg: Vec<u8>) -> Self {
        let pic = pocket();
        let id = pic.create_canister();
        pic.add_cycles(id, CYCLES);
        pic.install_canister(id, wasm, arg, None);
        Self { pic, id }
    }

    pub fn now(&self) -> u64 {
        self.pic.get_time().as_nanos_since_unix_epoch()
    }

    pub fn try_update<T: CandidType + DeserializeOwned>(
        &self,
        caller: Principal,
        method: &str,
        args: impl ArgumentEncoder,
    ) -> Result<T, RejectResponse> {
        let args = candid::encode_args(args).expect("arguments encode");
        let reply = self.pic.update_call(self.id, caller, method, args)?;
        Ok(candid::decode_one(&reply).expect("the reply has the method's type"))
    }

    pub fn update<T: CandidType + DeserializeOwned>(
        &self,
        caller: Principal,
        method: &str,
        args: impl ArgumentEncoder,
    ) -> T {
        self.try_update(caller, method, args)
            .unwrap_or_else(|reject| panic!("{method}: {reject:?}"))
    }

    pub fn try_query<T: CandidType + DeserializeOwned>(
        &self,
        method: &str,
        args: impl ArgumentEncoder,
    ) -> Result<T, RejectResponse> {
        let args = candid::encode_args(args).expect("arguments encode");
        let anonymous = Principal::anonymous();
        let reply = self.pic.query_call(self.id, anonymous, method, args)?;
        Ok(candid::decode_one(&reply).expect("the reply has the method's type"))
    }

    pub fn query<T: CandidType + DeserializeOwned>(
        &self,
        method: &str,
        args: impl ArgumentEncoder,
    ) -> T {
        self.try_query(method, args)
            .unwrap_or_else(|reject| panic!("{method}: {reject:?}"))
    }

    pub fn transfer(&self, caller: Principal, arg: TransferArg) -> Result<Nat, TransferError> {
        self.update(caller, "icrc1_transfer", (arg,))
    }

    pub fn approve(&self, caller: Principal, arg: ApproveArgs) -> Result<Nat, ApproveError> {
        self.update(caller, "icrc2_approve", (arg,))
    }

    pub fn transfer_from(
        &self,
        caller: Principal,
        arg: TransferFromArgs,
    ) -> Result<Nat, TransferFromError> {
        self.update(caller, "icrc2_transfer_from", (arg,))
    }

    pub fn balance(&self, owner: Principal) -> u128 {
        let balance: Nat = self.query("icrc1_balance_of", (Account::from(owner),));
        u128::try_from(&balance.0).expect("fits")
    }

    pub fn allowance(&self, account: Principal, spender: Principal) -> Allowance {
        let args = AllowanceArgs {
            account: account.into(),
            spender: spender.into(),
        };
        self.query("icrc2_allowance", (args,))
    }

    pub fn blocks(&self, start: u64, length: u64) -> GetBlocksResult {
        let range = GetBlocksRequest {
            start: start.into(),
            length: length.into(),
        };
        self.query("icrc3_get_blocks", (vec![range],))
    }

    pub fn queue_fault(&self, method: &str, calls: u32, fault: &Fault) {
        self.try_queue_fault(method, calls, fault)
            .expect("the fault can be played");
    }

    pub fn try_queue_fault(&self, method: &str, calls: u32, fault: &Fault) -> Result<(), String> {
        let (test_method, arg) = queue_fault(method, calls, fault);
        let anonymous = Principal::anonymous();
        let reply = self.pic.update_call(self.id, anonymous, test_method, arg);
        decode_queued(&reply.unwrap_or_else(|reject| panic!("{test_method}: {reject:?}")))
    }

    pub fn fault_status(&self, method: &str) -> FaultStatus {
        let status: Vec<FaultStatus> = self.query("test_fault_status", ());
        status
            .into_iter()
            .find(|status| status.method == method)
            .expect("the method takes faults")
    }

    pub fn test_update<T: CandidType + DeserializeOwned>(
        &self,
        method: &str,
        args: impl ArgumentEncoder,
    ) -> T {
        self.update(Principal::anonymous(), method, args)
    }
}

pub fn transfer_arg(to: Principal, amount: u128) -> TransferArg {
    TransferArg {
        from_subaccount: None,
        to: to.into(),
        fee: None,
        created_at_time: None,
        memo: None,
        amount: amount.into(),
    }
}

pub fn approve_arg(spender: Principal, amount: u128) -> ApproveArgs {
    ApproveArgs {
        from_subaccount: None,
        spender: spender.into(),
        amount: amount.into(),
        expected_allowance: None,
        expires_at: None,
        fee: None,
        memo: None,
        created_at_time: None,
    }
}

pub fn transfer_from_arg(from: Principal, to: Principal, amount: u128) -> TransferFromArgs {
    TransferFromArgs {
        spender_subaccount: None,
        from: from.into(),
        to: to.into(),
        amount: amount.into(),
        fee: None,
        memo: None,
        created_at_time: None,
    }
}

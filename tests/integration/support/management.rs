//! The management canister of any server of the protocol, including older ones.

use super::{Setup, setup::controller};
use candid::{CandidType, Nat, Principal};
use pocket_ic::{
    ErrorCode, PocketIc, RejectResponse,
    common::rest::{RawEffectivePrincipal, RawMessageId},
};
use serde::Deserialize;

/// The fields of a canister's status that the tests read. The `pocket-ic` crate's record requires the newest fields,
/// too, and cannot decode the answer of a server without them.
#[derive(CandidType, Deserialize)]
pub struct Status {
    pub status: RunningStatus,
    pub idle_cycles_burned_per_day: Nat,
}

#[derive(CandidType, Deserialize, PartialEq, Eq)]
#[expect(non_camel_case_types, reason = "Candid's names")]
pub enum RunningStatus {
    running,
    stopping,
    stopped,
}

/// Installs code again. A network limits the instructions of installations over time, and refuses to install meanwhile,
/// so this waits.
pub fn install_again(
    pic: &PocketIc,
    install: impl Fn() -> Result<(), RejectResponse>,
) -> Result<(), RejectResponse> {
    const MAX_ROUNDS: usize = 100;
    for _ in 0..MAX_ROUNDS {
        match install() {
            Err(reject) if reject.error_code == ErrorCode::CanisterInstallCodeRateLimited => {
                pic.tick();
            }
            done => return done,
        }
    }
    install()
}

#[derive(CandidType)]
struct CanisterId {
    canister_id: Principal,
}

/// The argument of a method about this canister, and the effective principal of the call.
fn about(canister_id: Principal) -> (Vec<u8>, RawEffectivePrincipal) {
    let argument = candid::encode_one(CanisterId { canister_id }).unwrap();
    let effective = RawEffectivePrincipal::CanisterId(canister_id.as_slice().to_vec());
    (argument, effective)
}

impl Setup {
    /// The controller calls a method about a canister, and does not wait for the answer.
    pub fn submit_management(
        &self,
        method: &str,
        canister: Principal,
    ) -> Result<RawMessageId, RejectResponse> {
        let (argument, effective) = about(canister);
        self.pic.submit_call_with_effective_principal(
            Principal::management_canister(),
            effective,
            controller(),
            method,
            argument,
        )
    }

    /// The canister's status, or the reason why it cannot be read.
    pub fn try_canister_status(&self) -> Result<Status, RejectResponse> {
        let (argument, effective) = about(self.canister);
        let reply = self.pic.update_call_with_effective_principal(
            Principal::management_canister(),
            effective,
            controller(),
            "canister_status",
            argument,
        )?;
        Ok(candid::decode_one(&reply).expect("a status"))
    }

    /// The canister's status.
    pub fn canister_status(&self) -> Status {
        self.try_canister_status().expect("controllers see it")
    }

    /// Upgrades the canister in its present state to a module, with a raw argument.
    pub fn upgrade_raw(&self, wasm: &[u8], arg: &[u8]) -> Result<(), RejectResponse> {
        install_again(&self.pic, || {
            self.pic.upgrade_canister(
                self.canister,
                wasm.to_vec(),
                arg.to_vec(),
                Some(controller()),
            )
        })
    }
}

//! The management canister: routing of calls to it and their handling.
//!
//! An ingress message is handled in its round, before the canisters run. A call by a canister is
//! checked and routed at once (so a malformed one fails in the same round) and handled in the next
//! round; what takes consensus (randomness, signatures) is answered one round later still.

mod chunks;
mod install;
mod lifecycle;
mod request;
mod settings;
mod status;

pub use request::ManagementRequest;

use candid::CandidType;
use ic_management_canister_types::FetchCanisterLogsArgs;

use crate::errors::{ErrorCode, UserError};
use crate::message::{Message, Origin, Payload, Request, Response};
use crate::replica::Replica;
use crate::signing;
use crate::texts;
use crate::types::{Cycles, IngressState, Principal, Query};

/// A call waiting to be handled.
#[derive(Clone, Debug)]
pub struct ManagementCall {
    pub origin: Origin,
    pub caller: Principal,
    pub request: ManagementRequest,
    pub cycles: Cycles,
    pub ready_round: u64,
    /// Reception fee still to be paid by the target, after the call was handled.
    pub reception_due: Cycles,
}

/// How a call was handled.
pub enum Handled {
    /// Answered, with this many cycles to give back.
    Reply { reply: Vec<u8>, refund: Cycles },
    /// Answered in a later round by someone who kept the origin.
    Later,
}

impl Handled {
    /// An answer that gives back `refund` cycles.
    pub fn reply<T: CandidType>(value: T, refund: Cycles) -> Result<Self, UserError> {
        Ok(Self::Reply {
            reply: encode(value)?,
            refund,
        })
    }

    /// The answer `()`.
    pub fn done(refund: Cycles) -> Result<Self, UserError> {
        Ok(Self::Reply {
            reply: empty_reply(),
            refund,
        })
    }
}

/// Candid of one value.
pub fn encode<T: CandidType>(value: T) -> Result<Vec<u8>, UserError> {
    candid::encode_one(value).map_err(|error| {
        UserError::new(
            ErrorCode::InvalidManagementPayload,
            format!("the answer cannot be encoded: {error}"),
        )
    })
}

/// Candid of `()`.
pub fn empty_reply() -> Vec<u8> {
    b"DIDL\0\0".to_vec()
}

impl Replica {
    /// Checks a canister's call to the management canister and hands it to the subnet in charge.
    pub(crate) fn route_to_management(
        &mut self,
        from: usize,
        request: Request,
    ) -> Result<(), (Payload, Cycles)> {
        let cycles = request.cycles;
        let decoded = match ManagementRequest::decode(&request.method, &request.arg) {
            Ok(decoded) => decoded,
            Err(error) if error.error_code == ErrorCode::InvalidManagementPayload as u32 => {
                return Err((unroutable(&request.method, &error), cycles));
            }
            Err(error) => return Err((error.into(), cycles)),
        };
        let subnet = match decoded.target() {
            Some(target) => self
                .subnet_index(target)
                .ok_or_else(|| (texts::no_route(target).into(), cycles))?,
            None => match signing::key_of(&decoded) {
                Some(key) => self.signing_subnet(&key).ok_or_else(|| {
                    let text = signing::unknown_key(&request.method, &key);
                    (
                        Payload::Reject {
                            code: 3,
                            message: text,
                        },
                        cycles,
                    )
                })?,
                None => from,
            },
        };
        self.subnets[subnet].management.push(ManagementCall {
            origin: Origin::Call {
                caller: request.caller,
                callback: request.callback,
            },
            caller: request.caller,
            request: decoded,
            cycles,
            ready_round: self.round_number + 1,
            reception_due: 0,
        });
        Ok(())
    }

    /// The turn of a subnet's management canister in a round.
    pub(crate) fn run_management(&mut self, subnet: usize) {
        let round = self.round_number;
        let (due, waiting) = std::mem::take(&mut self.subnets[subnet].delayed)
            .into_iter()
            .partition(|delayed| delayed.round <= round);
        self.subnets[subnet].delayed = waiting;
        let due: Vec<_> = due;
        for delayed in due {
            self.send(None, Message::Response(delayed.response));
        }
        self.finish_outcalls(subnet);
        let (due, waiting) = std::mem::take(&mut self.subnets[subnet].management)
            .into_iter()
            .partition(|call| self.may_handle(call));
        self.subnets[subnet].management = waiting;
        let due: Vec<ManagementCall> = due;
        for call in due {
            if let Origin::Ingress(id) = &call.origin {
                self.ingress_history
                    .set(id, IngressState::Processing, self.state_time);
            }
            let (origin, cycles) = (call.origin.clone(), call.cycles);
            let (target, reception) = (call.request.target(), call.reception_due);
            let handled = self.handle(subnet, call);
            if let Some(target) = target.and_then(|target| self.canisters.get_mut(&target)) {
                target.balance = target.balance.saturating_sub(reception);
            }
            match handled {
                Ok(Handled::Reply { reply, refund }) => {
                    self.respond_from_management(&origin, Ok(reply), refund);
                }
                Ok(Handled::Later) => {}
                Err(error) => self.respond_from_management(&origin, Err(error), cycles),
            }
        }
    }

    fn may_handle(&self, call: &ManagementCall) -> bool {
        let paused = call
            .request
            .target()
            .and_then(|target| self.canisters.get(&target))
            .is_some_and(|canister| canister.paused.is_some());
        call.ready_round <= self.round_number && !(paused && call.request.waits_for_execution())
    }

    /// Answers a management call.
    pub(crate) fn respond_from_management(
        &mut self,
        origin: &Origin,
        result: Result<Vec<u8>, UserError>,
        refund: Cycles,
    ) {
        self.respond(Principal::management_canister(), origin, result, refund);
    }

    /// Answers a call by a canister after `rounds` more rounds.
    pub(crate) fn respond_later(
        &mut self,
        subnet: usize,
        rounds: u64,
        origin: &Origin,
        payload: Payload,
        refund: Cycles,
    ) {
        if let &Origin::Call { caller, callback } = origin {
            let response = Response {
                to: caller,
                callback,
                payload,
                refund,
            };
            let round = self.round_number + rounds;
            self.subnets[subnet]
                .delayed
                .push(crate::subnet::Delayed { round, response });
        }
    }

    fn handle(&mut self, subnet: usize, call: ManagementCall) -> Result<Handled, UserError> {
        if let Some(target) = call.request.target() {
            let canister = self
                .canisters
                .get(&target)
                .ok_or_else(|| texts::not_found(target))?;
            if !call.request.is_open_to(&call.caller, canister) {
                return Err(texts::not_controller(canister, call.caller));
            }
        }
        let ManagementCall {
            origin,
            caller,
            request,
            cycles,
            ..
        } = call;
        match request {
            ManagementRequest::CreateCanister(args) => {
                self.create_canister(subnet, caller, &origin, args, cycles)
            }
            ManagementRequest::ProvisionalCreate(args) => {
                self.provisional_create(subnet, caller, &origin, args, cycles)
            }
            ManagementRequest::ProvisionalTopUp(args) => self.provisional_top_up(args, cycles),
            ManagementRequest::InstallCode(args) => {
                self.install_code(caller, &origin, *args)?;
                Handled::done(cycles)
            }
            ManagementRequest::InstallChunkedCode(args) => {
                self.install_chunked_code(caller, &origin, *args)?;
                Handled::done(cycles)
            }
            ManagementRequest::UploadChunk(args) => self.upload_chunk(args, cycles),
            ManagementRequest::ClearChunkStore(id) => self.clear_chunk_store(id, cycles),
            ManagementRequest::StoredChunks(id) => self.stored_chunks(id, cycles),
            ManagementRequest::UninstallCode(id) => {
                self.uninstall_code(id, caller, &origin, cycles)
            }
            ManagementRequest::UpdateSettings(args) => {
                self.update_settings(caller, &origin, *args)?;
                Handled::done(cycles)
            }
            ManagementRequest::StartCanister(id) => self.start_canister(id, cycles),
            ManagementRequest::StopCanister(id) => self.stop_canister(id, origin, cycles),
            ManagementRequest::DeleteCanister(id) => self.delete_canister(id, caller, cycles),
            ManagementRequest::CanisterStatus(id) => self.canister_status(id, cycles),
            ManagementRequest::CanisterInfo(args) => self.canister_info(&args, cycles),
            ManagementRequest::DepositCycles(id) => self.deposit_cycles(id, cycles),
            ManagementRequest::RawRand => self.raw_rand(subnet, &origin, cycles),
            ManagementRequest::HttpRequest(args) => {
                self.http_request(subnet, caller, &origin, *args, cycles)
            }
            request @ (ManagementRequest::EcdsaPublicKey(_)
            | ManagementRequest::SignWithEcdsa(_)
            | ManagementRequest::SchnorrPublicKey(_)
            | ManagementRequest::SignWithSchnorr(_)) => {
                self.threshold_keys(subnet, caller, &origin, &request, cycles)
            }
        }
    }
}

/// A call whose argument does not decode has no destination.
fn unroutable(method: &str, error: &UserError) -> Payload {
    Payload::Reject {
        code: 3,
        message: format!(
            "Unable to route management canister request {method}: UserError(UserError {{ code: InvalidManagementPayload, description: {:?} }})",
            error.message
        ),
    }
}

/// A query of the management canister: `fetch_canister_logs`.
pub fn query(replica: &Replica, query: &Query) -> Result<Vec<u8>, UserError> {
    if query.method != "fetch_canister_logs" {
        return Err(UserError::new(
            ErrorCode::CanisterMethodNotFound,
            format!("Query method {} not found.", query.method),
        ));
    }
    let args: FetchCanisterLogsArgs = request::one(&query.arg)?;
    replica.fetch_canister_logs(query.sender, &args)
}

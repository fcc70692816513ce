//! Creating, starting, stopping, uninstalling and deleting canisters; cycles for them.

use candid::Nat;
use ic_management_canister_types::{
    CanisterIdRecord, ChangeDetails, ChangeOrigin, CreateCanisterArgs, CreationRecord,
    FromCanisterRecord, FromUserRecord, ProvisionalCreateCanisterWithCyclesArgs,
    ProvisionalTopUpCanisterArgs,
};
use rand_chacha::rand_core::RngCore;

use super::Handled;
use crate::canister::{Canister, Settings, Status, StopRequest};
use crate::errors::{ErrorCode, UserError};
use crate::fees::grouped;
use crate::ids::{canister_id, canister_number, in_ranges};
use crate::message::{Input, Origin, Payload};
use crate::random::{Purpose, stream};
use crate::replica::{NANOS_PER_SECOND, Replica};
use crate::texts;
use crate::types::{Cycles, Principal};

/// Balance of a canister created without an amount, as on a real local network.
const DEFAULT_PROVISIONAL_CYCLES: Cycles = 100_000_000_000_000;
/// How long a stop request waits.
const STOP_TIMEOUT: u64 = 300 * NANOS_PER_SECOND;

/// A cycles amount from a `nat`.
pub fn cycles_amount(amount: &Nat) -> Result<Cycles, UserError> {
    Cycles::try_from(amount.0.clone()).map_err(|_| {
        UserError::new(
            ErrorCode::InvalidManagementPayload,
            format!("{amount} is more cycles than there can be"),
        )
    })
}

/// Who made a change, for the history.
pub fn change_origin(caller: Principal, origin: &Origin) -> ChangeOrigin {
    match origin {
        Origin::Call { .. } => ChangeOrigin::FromCanister(FromCanisterRecord {
            canister_id: caller,
            canister_version: None,
        }),
        Origin::Ingress(_) | Origin::System => {
            ChangeOrigin::FromUser(FromUserRecord { user_id: caller })
        }
    }
}

impl Replica {
    pub(super) fn create_canister(
        &mut self,
        subnet: usize,
        caller: Principal,
        origin: &Origin,
        args: CreateCanisterArgs,
        cycles: Cycles,
    ) -> Result<Handled, UserError> {
        let fee = self.subnets[subnet].prices.create_canister();
        let Some(balance) = cycles.checked_sub(fee) else {
            return Err(UserError::new(
                ErrorCode::InsufficientCyclesForCreateCanister,
                format!(
                    "Creating a canister requires a fee of {} that is deducted from the canister's initial balance but only {} cycles were received with the create_canister request.",
                    grouped(fee),
                    grouped(cycles)
                ),
            ));
        };
        let mut settings = Settings::new(vec![caller]);
        settings.apply(args.settings.unwrap_or_default())?;
        let id = self.free_id(subnet)?;
        self.insert_canister(id, subnet, settings, balance, caller, origin);
        Handled::reply(CanisterIdRecord { canister_id: id }, 0)
    }

    pub(super) fn provisional_create(
        &mut self,
        subnet: usize,
        caller: Principal,
        origin: &Origin,
        args: ProvisionalCreateCanisterWithCyclesArgs,
        cycles: Cycles,
    ) -> Result<Handled, UserError> {
        let balance = match &args.amount {
            Some(amount) => cycles_amount(amount)?,
            None => DEFAULT_PROVISIONAL_CYCLES,
        };
        let mut settings = Settings::new(vec![caller]);
        settings.apply(args.settings.unwrap_or_default())?;
        let id = match args.specified_id {
            Some(id) => self.check_specified_id(subnet, id)?,
            None => self.free_id(subnet)?,
        };
        self.insert_canister(id, subnet, settings, balance, caller, origin);
        Handled::reply(CanisterIdRecord { canister_id: id }, cycles)
    }

    fn check_specified_id(&self, subnet: usize, id: Principal) -> Result<Principal, UserError> {
        if !in_ranges(&self.configs[subnet].ranges, id) {
            return Err(UserError::new(
                ErrorCode::CanisterNotHostedBySubnet,
                format!("The `specified_id` {id} is not in the ranges of the subnet."),
            ));
        }
        if self.canisters.contains_key(&id) {
            return Err(UserError::new(
                ErrorCode::CanisterIdAlreadyExists,
                format!("Canister {id} already exists."),
            ));
        }
        Ok(id)
    }

    /// The next id of the subnet that no canister has; ids are never given out twice.
    fn free_id(&mut self, subnet: usize) -> Result<Principal, UserError> {
        while let Some((next, last)) = self.subnets[subnet].free_ids {
            self.subnets[subnet].free_ids = (next < last).then(|| (next + 1, last));
            let id = canister_id(next);
            if !self.canisters.contains_key(&id) && !self.deleted.contains(&id) {
                return Ok(id);
            }
        }
        Err(UserError::new(
            ErrorCode::SubnetOversubscribed,
            "The subnet has no canister ids left.",
        ))
    }

    fn insert_canister(
        &mut self,
        id: Principal,
        subnet: usize,
        settings: Settings,
        balance: Cycles,
        caller: Principal,
        origin: &Origin,
    ) {
        let now = self.state_time;
        let creation = CreationRecord {
            controllers: settings.controllers.clone(),
            environment_variables_hash: None,
        };
        let mut canister = Canister::new(id, subnet, settings, balance, now);
        canister.history.push(
            now,
            canister.version,
            change_origin(caller, origin),
            ChangeDetails::Creation(creation),
        );
        // A specified id may lie in the range new ids come from.
        if let (Some(number), Some((next, last))) =
            (canister_number(id), self.subnets[subnet].free_ids)
            && number == next
        {
            self.subnets[subnet].free_ids = (next < last).then(|| (next + 1, last));
        }
        self.canisters.insert(id, canister);
    }

    pub(super) fn provisional_top_up(
        &mut self,
        args: ProvisionalTopUpCanisterArgs,
        cycles: Cycles,
    ) -> Result<Handled, UserError> {
        let amount = cycles_amount(&args.amount)?;
        self.add_cycles(args.canister_id, amount)
            .ok_or_else(|| texts::not_found(args.canister_id))?;
        Handled::done(cycles)
    }

    pub(super) fn deposit_cycles(
        &mut self,
        id: Principal,
        cycles: Cycles,
    ) -> Result<Handled, UserError> {
        self.add_cycles(id, cycles)
            .ok_or_else(|| texts::not_found(id))?;
        Handled::done(0)
    }

    pub(super) fn start_canister(
        &mut self,
        id: Principal,
        cycles: Cycles,
    ) -> Result<Handled, UserError> {
        let canister = self
            .canisters
            .get_mut(&id)
            .ok_or_else(|| texts::not_found(id))?;
        let before = std::mem::replace(&mut canister.status, Status::Running);
        if !matches!(before, Status::Running) {
            canister.version += 1;
        }
        if let Status::Stopping(requests) = before {
            for request in requests {
                let error = UserError::new(
                    ErrorCode::CanisterStoppingCancelled,
                    format!("Canister {id}'s stop request was cancelled."),
                );
                self.respond_from_management(&request.origin, Err(error), request.cycles);
            }
        }
        Handled::done(cycles)
    }

    pub(super) fn stop_canister(
        &mut self,
        id: Principal,
        origin: Origin,
        cycles: Cycles,
    ) -> Result<Handled, UserError> {
        let deadline = self.state_time.saturating_add(STOP_TIMEOUT);
        let canister = self
            .canisters
            .get_mut(&id)
            .ok_or_else(|| texts::not_found(id))?;
        let request = StopRequest {
            origin,
            cycles,
            deadline,
        };
        match &mut canister.status {
            Status::Stopped => return Handled::done(cycles),
            Status::Stopping(requests) => requests.push(request),
            Status::Running => {
                canister.status = Status::Stopping(vec![request]);
                canister.version += 1;
            }
        }
        Ok(Handled::Later)
    }

    pub(super) fn uninstall_code(
        &mut self,
        id: Principal,
        caller: Principal,
        origin: &Origin,
        cycles: Cycles,
    ) -> Result<Handled, UserError> {
        self.uninstall(id);
        let now = self.state_time;
        if let Some(canister) = self.canisters.get_mut(&id) {
            let (version, origin) = (canister.version, change_origin(caller, origin));
            canister
                .history
                .push(now, version, origin, ChangeDetails::CodeUninstall);
        }
        Handled::done(cycles)
    }

    /// Removes code and memory. Open calls are rejected at once; responses that come later only bring
    /// back their cycles.
    pub(crate) fn uninstall(&mut self, id: Principal) {
        let Some(canister) = self.canisters.get_mut(&id) else {
            return;
        };
        canister.code = None;
        canister.certified_data.clear();
        canister.global_timer = 0;
        canister.logs.clear();
        canister.chunks.clear();
        canister.version += 1;
        canister.paused = None;
        for call in canister.calls.values_mut() {
            call.context = None;
        }
        for context in std::mem::take(&mut canister.contexts).into_values() {
            if !context.answered {
                let error = Err(texts::uninstalled());
                self.respond(id, &context.origin, error, context.cycles_available);
            }
        }
    }

    pub(super) fn delete_canister(
        &mut self,
        id: Principal,
        caller: Principal,
        cycles: Cycles,
    ) -> Result<Handled, UserError> {
        if caller == id {
            return Err(UserError::new(
                ErrorCode::CanisterContractViolation,
                format!("Canister {id} cannot delete itself."),
            ));
        }
        let canister = self
            .canisters
            .get_mut(&id)
            .ok_or_else(|| texts::not_found(id))?;
        if !matches!(canister.status, Status::Stopped) {
            return Err(UserError::new(
                ErrorCode::CanisterNotStopped,
                format!("Canister {id} must be stopped before it is deleted."),
            ));
        }
        let inputs = canister.inputs.drain();
        self.canisters.remove(&id);
        self.deleted.insert(id);
        for input in inputs {
            let (origin, refund) = match input {
                Input::Ingress(message) => (Origin::Ingress(message.id), 0),
                Input::Request(request) => {
                    let (caller, callback) = (request.caller, request.callback);
                    (Origin::Call { caller, callback }, request.cycles)
                }
                // A stopped canister has no open calls; what is left is late and lost with it.
                Input::Response(_) => continue,
            };
            self.respond_from_management(&origin, Err(texts::not_found(id)), refund);
        }
        Handled::done(cycles)
    }

    /// Randomness comes with the next round's consensus.
    pub(super) fn raw_rand(
        &mut self,
        subnet: usize,
        origin: &Origin,
        cycles: Cycles,
    ) -> Result<Handled, UserError> {
        // Every request gets its own bytes, also within one round.
        let request = self.number();
        let seed = canister_id(request);
        let mut bytes = vec![0; 32];
        stream(seed, self.round_number, Purpose::RawRand).fill_bytes(&mut bytes);
        let payload = Payload::Reply(super::encode(serde_bytes::ByteBuf::from(bytes))?);
        self.respond_later(subnet, 1, origin, payload, cycles);
        Ok(Handled::Later)
    }
}

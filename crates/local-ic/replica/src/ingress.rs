//! Ingress messages: what is refused at submission, and how accepted ones enter a round.

use local_ic_engine::{Entry, Env};

use crate::errors::{ErrorCode, UserError};
use crate::execute::environment;
use crate::fees::{INSPECT_INSTRUCTIONS, MAX_MESSAGE_BYTES, ingress_bytes};
use crate::management::{ManagementCall, ManagementRequest};
use crate::message::{IngressMessage, Input, Origin, Source};
use crate::random::{Purpose, shuffle, stream};
use crate::replica::Replica;
use crate::texts;
use crate::types::*;

impl Replica {
    /// Takes an ingress message; it runs in the next round. Returns its effective canister.
    ///
    /// Errors: [`RequestError::Bad`] if it cannot be routed or is over 2 MiB; [`RequestError::Refused`] if
    /// the canister does not exist, is frozen, stopped or empty, if `canister_inspect_message` does not
    /// accept it, or if a management call is malformed or not permitted. A known id is not taken again.
    pub fn submit(&mut self, ingress: Ingress) -> Result<Principal, RequestError> {
        if let Some(known) = self.ingress_history.get(&ingress.id) {
            return Ok(known.effective_canister);
        }
        let bytes = ingress_size(&ingress);
        if bytes > MAX_MESSAGE_BYTES {
            return Err(RequestError::Bad(format!(
                "Message byte size {bytes} is larger than the max allowed {MAX_MESSAGE_BYTES}"
            )));
        }
        let (subnet, effective) = if ingress.canister_id == Principal::management_canister() {
            self.check_management_ingress(&ingress, bytes)?
        } else {
            (
                self.check_canister_ingress(&ingress, bytes)?,
                ingress.canister_id,
            )
        };
        self.ingress_history.received(
            ingress.id,
            ingress.sender,
            ingress.canister_id,
            effective,
            self.time,
        );
        self.subnets[subnet].ingress.push(ingress);
        Ok(effective)
    }

    fn check_canister_ingress(
        &mut self,
        ingress: &Ingress,
        bytes: usize,
    ) -> Result<usize, RequestError> {
        let id = ingress.canister_id;
        let subnet = self.subnet_index(id).ok_or_else(|| unroutable(id))?;
        self.check_reception(id, bytes)?;
        let Some(canister) = self.canisters.get_mut(&id) else {
            return Err(texts::not_found(id).into());
        };
        if let Some(error) = texts::not_running(canister) {
            return Err(error.into());
        }
        let Some(code) = &canister.code else {
            return Err(texts::no_module_at_submission().into());
        };
        let method = &ingress.method;
        if code.module.has_composite_query(method)
            && !code.module.has_update(method)
            && !code.module.has_query(method)
        {
            return Err(texts::composite_in_update(id).into());
        }
        self.inspect_message(ingress)?;
        Ok(subnet)
    }

    /// Checks that the canister exists and can pay for the reception of a message.
    pub(crate) fn check_reception(&self, id: Principal, bytes: usize) -> Result<(), UserError> {
        let canister = self
            .canisters
            .get(&id)
            .ok_or_else(|| texts::not_found(id))?;
        let prices = self.subnets[canister.subnet].prices;
        let needed = canister
            .frozen_balance(prices)
            .saturating_add(prices.ingress(bytes));
        if prices.charges() && canister.balance < needed {
            return Err(texts::out_of_cycles(id, Some(needed - canister.balance)));
        }
        Ok(())
    }

    fn inspect_message(&mut self, ingress: &Ingress) -> Result<(), UserError> {
        let id = ingress.canister_id;
        let Some(canister) = self.canisters.get_mut(&id) else {
            return Err(texts::not_found(id));
        };
        let env = Env {
            caller: ingress.sender,
            arg: ingress.arg.clone(),
            instruction_limit: INSPECT_INSTRUCTIONS,
            ..environment(
                canister,
                &self.subnets[canister.subnet],
                &self.root_key,
                self.state_time,
            )
        };
        let Some(code) = canister.code.as_mut() else {
            return Err(texts::no_module_at_submission());
        };
        if !code.module.has_system("canister_inspect_message") {
            return Ok(());
        }
        let entry = Entry::InspectMessage {
            method: ingress.method.clone(),
        };
        match code.instance.execute(entry, env).result {
            Ok(done) if done.accepted_message => Ok(()),
            Ok(_) => Err(UserError::new(
                ErrorCode::CanisterRejectedMessage,
                format!("Error from Canister {id}: Canister rejected the message"),
            )),
            Err(trap) => Err(texts::trapped(id, &trap, INSPECT_INSTRUCTIONS)),
        }
    }

    fn check_management_ingress(
        &self,
        ingress: &Ingress,
        bytes: usize,
    ) -> Result<(usize, Principal), RequestError> {
        let request = ManagementRequest::decode(&ingress.method, &ingress.arg)?;
        if !request.open_to_ingress() {
            return Err(UserError::new(
                ErrorCode::CanisterRejectedMessage,
                format!("Only canisters can call ic00 method {}", ingress.method),
            )
            .into());
        }
        let Some(target) = request.target() else {
            return self.place_new_canister(ingress, &request);
        };
        let subnet = self
            .subnet_index(target)
            .ok_or_else(|| unroutable(target))?;
        let canister = self
            .canisters
            .get(&target)
            .ok_or_else(|| texts::not_found(target))?;
        if !request.is_open_to(&ingress.sender, canister) {
            return Err(UserError::new(
                ErrorCode::CanisterInvalidController,
                format!(
                    "Only controllers of canister {target} can call ic00 method {}",
                    ingress.method
                ),
            )
            .into());
        }
        if !request.pays_reception_later(ingress.arg.len()) {
            self.check_reception(target, bytes)?;
        }
        Ok((subnet, target))
    }

    /// The subnet a new canister goes to: the one the specified id belongs to, the one asked for, or
    /// any application subnet (any subnet if there is none).
    fn place_new_canister(
        &self,
        ingress: &Ingress,
        request: &ManagementRequest,
    ) -> Result<(usize, Principal), RequestError> {
        let subnet = match (request.specified_id(), ingress.effective) {
            (Some(id), _) => self.subnet_index(id).ok_or_else(|| unroutable(id))?,
            (None, Effective::Canister(id)) => {
                self.subnet_index(id).ok_or_else(|| unroutable(id))?
            }
            (None, Effective::Subnet(id)) => self
                .subnets
                .iter()
                .position(|subnet| subnet.id == id)
                .ok_or_else(|| RequestError::Bad(format!("there is no subnet {id}")))?,
            (None, Effective::None) => self
                .any_subnet()
                .ok_or_else(|| RequestError::Bad("there is no subnet".to_string()))?,
        };
        let effective = match (request.specified_id(), ingress.effective) {
            (Some(id), _) | (None, Effective::Canister(id)) => id,
            _ => self.configs[subnet]
                .ranges
                .first()
                .map_or(Principal::management_canister(), |range| range.0),
        };
        Ok((subnet, effective))
    }

    fn any_subnet(&self) -> Option<usize> {
        let of_kind = |kind| -> Vec<usize> {
            (0..self.configs.len())
                .filter(|&index| self.configs[index].kind == kind)
                .collect()
        };
        let candidates = [
            SubnetKind::Application,
            SubnetKind::VerifiedApplication,
            SubnetKind::System,
        ]
        .into_iter()
        .map(of_kind)
        .find(|candidates| !candidates.is_empty())
        .unwrap_or_else(|| (0..self.configs.len()).collect());
        let placed = self.canisters.len() as u64;
        let mut rng = stream(Principal::management_canister(), placed, Purpose::Placement);
        (!candidates.is_empty())
            .then(|| candidates[crate::random::below(&mut rng, candidates.len())])
    }

    /// Moves the accepted messages of a subnet to their canisters and charges for their reception.
    pub(crate) fn induct_ingress(&mut self, subnet: usize) {
        let mut messages = std::mem::take(&mut self.subnets[subnet].ingress);
        let subnet_id = self.subnets[subnet].id;
        let mut rng = stream(subnet_id, self.round_number, Purpose::IngressOrder);
        shuffle(&mut messages, &mut rng);
        for message in messages {
            let id = message.id;
            if let Err(error) = self.induct(subnet, message) {
                let state = IngressState::Rejected(error.certified());
                self.ingress_history.set(&id, state, self.state_time);
            }
        }
    }

    fn induct(&mut self, subnet: usize, ingress: Ingress) -> Result<(), UserError> {
        let bytes = ingress_size(&ingress);
        if ingress.canister_id == Principal::management_canister() {
            let request = ManagementRequest::decode(&ingress.method, &ingress.arg)?;
            let mut reception_due = 0;
            if request.pays_reception_later(ingress.arg.len()) {
                reception_due = self.subnets[subnet].prices.ingress(bytes);
            } else if let Some(target) = request.target() {
                self.pay_reception(target, bytes)?;
            }
            self.subnets[subnet].management.push(ManagementCall {
                origin: Origin::Ingress(ingress.id),
                caller: ingress.sender,
                request,
                cycles: 0,
                ready_round: self.round_number,
                reception_due,
            });
            return Ok(());
        }
        let id = ingress.canister_id;
        self.pay_reception(id, bytes)?;
        let Some(canister) = self.canisters.get_mut(&id) else {
            return Err(texts::not_found(id));
        };
        if let Some(error) = texts::not_running(canister) {
            return Err(error);
        }
        canister.inputs.push(
            Source::Ingress,
            Input::Ingress(IngressMessage {
                id: ingress.id,
                sender: ingress.sender,
                method: ingress.method,
                arg: ingress.arg,
            }),
        );
        Ok(())
    }

    fn pay_reception(&mut self, id: Principal, bytes: usize) -> Result<(), UserError> {
        let Some(canister) = self.canisters.get_mut(&id) else {
            return Err(texts::not_found(id));
        };
        let prices = self.subnets[canister.subnet].prices;
        canister
            .withdraw(prices, prices.ingress(bytes))
            .map_err(|missing| texts::out_of_cycles(id, Some(missing)))
    }
}

fn ingress_size(ingress: &Ingress) -> usize {
    ingress_bytes(
        ingress.sender.as_slice(),
        ingress.canister_id.as_slice(),
        &ingress.method,
        &ingress.arg,
    )
}

/// A canister id that is in no subnet's ranges.
pub fn unroutable(id: Principal) -> RequestError {
    RequestError::Bad(format!(
        "The canister {id} does not belong to any subnet of this network."
    ))
}

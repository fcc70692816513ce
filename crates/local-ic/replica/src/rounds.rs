//! Rounds: what happens in which order.
//!
//! A round advances the time and then
//! 1. gives up calls, outcalls and stop requests whose time is over;
//! 2. takes the ingress messages in, in an order that does not depend on the order of submission;
//! 3. lets the management canister of every subnet answer what is due and handle the calls of earlier
//!    rounds and the ingress of this one;
//! 4. runs the canisters of one subnet after the other: timers and heartbeats, then messages. Messages
//!    within the subnet are delivered until none is left or the canisters have used up their round;
//!    messages to another subnet arrive at its next turn;
//! 5. stops canisters that have become quiet, charges for storage and credits instructions of installations back.

use crate::canister::{Canister, Status};
use crate::errors::{ErrorCode, UserError};
use crate::execute::{SystemTask, is_expired};
use crate::fees::{INSTALL_CREDIT, SLICE_INSTRUCTIONS};
use crate::management::empty_reply;
use crate::message::{Message, Response, Source};
use crate::random::{Purpose, shuffle, stream};
use crate::replica::{NANOS_PER_SECOND, Replica};
use crate::texts;
use crate::types::Principal;

/// Storage is charged when at least this time has passed since the last charge.
const CHARGE_INTERVAL: u64 = 10 * NANOS_PER_SECOND;

impl Replica {
    /// Runs one round on every subnet: 1 ns later, or exactly at the time set before.
    pub fn round(&mut self) {
        if !std::mem::take(&mut self.time_was_set) {
            self.time = self.time.saturating_add(1);
        }
        self.state_time = self.time;
        self.round_number += 1;
        self.expire_calls();
        self.expire_stop_requests();
        for subnet in 0..self.subnets.len() {
            self.induct_ingress(subnet);
        }
        for subnet in 0..self.subnets.len() {
            self.run_management(subnet);
        }
        self.mark_due_tasks();
        for subnet in 0..self.subnets.len() {
            self.run_subnet(subnet);
        }
    }

    /// Whether a round at the present time has more to do than to let time pass.
    pub fn busy(&self) -> bool {
        self.subnets.iter().any(|subnet| subnet.busy())
            || self
                .canisters
                .values()
                .any(|canister| !canister.inputs.is_empty() || canister.paused.is_some())
            || self.next_event(false).is_some_and(|time| time <= self.time)
    }

    /// The earliest time at which something happens by itself: a global timer, a deadline, a timeout.
    /// Canisters with a heartbeat want a round every second.
    pub fn next_timer(&self) -> Option<u64> {
        self.next_event(true)
    }

    fn next_event(&self, heartbeats: bool) -> Option<u64> {
        let canisters = self.canisters.values().flat_map(move |canister| {
            let running = canister.status.is_running() && canister.code.is_some();
            let timer = (running && canister.global_timer != 0).then_some(canister.global_timer);
            let beats = canister
                .code
                .as_ref()
                .is_some_and(|code| code.module.has_heartbeat());
            let heartbeat = (heartbeats && running && beats)
                .then_some(self.state_time.saturating_add(NANOS_PER_SECOND));
            let stops = match &canister.status {
                Status::Stopping(requests) => requests.as_slice(),
                _ => &[],
            };
            let calls = canister
                .calls
                .values()
                .filter(|call| call.deadline != 0 && !call.responded)
                .map(|call| call.deadline.saturating_add(NANOS_PER_SECOND));
            timer
                .into_iter()
                .chain(heartbeat)
                .chain(stops.iter().map(|request| request.deadline))
                .chain(calls)
        });
        let outcalls = self
            .subnets
            .iter()
            .flat_map(|subnet| subnet.outcalls.values().map(|outcall| outcall.deadline()));
        canisters.chain(outcalls).min()
    }

    fn mark_due_tasks(&mut self) {
        let now = self.state_time;
        for canister in self.canisters.values_mut() {
            canister.round_instructions = 0;
            let module = canister.code.as_ref().map(|code| &code.module);
            let running = canister.status.is_running();
            canister.heartbeat_due = running && module.is_some_and(|module| module.has_heartbeat());
            canister.timer_due = running
                && canister.global_timer != 0
                && canister.global_timer <= now
                && module.is_some();
        }
    }

    /// Bounded-wait calls whose deadline has passed are answered with code 6 while the callee may
    /// still be at work. What it returns later is dropped, except that the cycles it did not accept go
    /// back to the caller's balance (`deliver_response`): no cycles are lost.
    fn expire_calls(&mut self) {
        let now = self.state_time;
        let expired: Vec<(Principal, u64)> = self
            .canisters
            .values()
            .flat_map(|canister| {
                canister
                    .calls
                    .iter()
                    .filter(|(_, call)| !call.responded && is_expired(call.deadline, now))
                    .map(|(&callback, _)| (canister.id, callback))
            })
            .collect();
        for (to, callback) in expired {
            let response = Response {
                to,
                callback,
                payload: texts::deadline_expired().into(),
                refund: 0,
            };
            self.deliver(Source::SameSubnet, Message::Response(response));
        }
    }

    fn expire_stop_requests(&mut self) {
        let now = self.state_time;
        let mut expired = Vec::new();
        for canister in self.canisters.values_mut() {
            if let Status::Stopping(requests) = &mut canister.status {
                let (over, waiting) = std::mem::take(requests)
                    .into_iter()
                    .partition(|request| request.deadline <= now);
                *requests = waiting;
                let over: Vec<_> = over;
                expired.extend(over.into_iter().map(|request| (canister.id, request)));
            }
        }
        for (id, request) in expired {
            let error = UserError::new(
                ErrorCode::StopCanisterRequestTimeout,
                format!("Stop canister request for {id} timed out"),
            );
            self.respond_from_management(&request.origin, Err(error), request.cycles);
        }
    }

    fn run_subnet(&mut self, subnet: usize) {
        for message in std::mem::take(&mut self.subnets[subnet].incoming) {
            self.deliver(Source::OtherSubnet, message);
        }
        let mut order: Vec<Principal> = self
            .canisters
            .values()
            .filter(|canister| canister.subnet == subnet)
            .map(|canister| canister.id)
            .collect();
        let subnet_id = self.subnets[subnet].id;
        let mut rng = stream(subnet_id, self.round_number, Purpose::CanisterOrder);
        shuffle(&mut order, &mut rng);
        for &id in &order {
            self.finish_paused(id);
        }
        loop {
            for message in std::mem::take(&mut self.subnets[subnet].local) {
                self.deliver(Source::SameSubnet, message);
            }
            let mut ran = false;
            for &id in &order {
                ran |= self.run_canister(id);
            }
            if !ran && self.subnets[subnet].local.is_empty() {
                break;
            }
        }
        for id in order {
            self.stop_if_quiet(id);
            self.charge_for_resources(id);
            self.credit_installations(id);
        }
        // Answers to stop requests belong to this round; what they start runs in the next one.
        for message in std::mem::take(&mut self.subnets[subnet].local) {
            self.deliver(Source::SameSubnet, message);
        }
    }

    fn finish_paused(&mut self, id: Principal) {
        let round = self.round_number;
        let Some(canister) = self.canisters.get_mut(&id) else {
            return;
        };
        if canister
            .paused
            .as_ref()
            .is_some_and(|paused| paused.finish_round <= round)
            && let Some(paused) = canister.paused.take()
        {
            canister.round_instructions = SLICE_INSTRUCTIONS;
            self.apply(id, paused.work);
        }
    }

    /// Runs what waits at a canister; false if nothing ran.
    fn run_canister(&mut self, id: Principal) -> bool {
        let mut ran = false;
        loop {
            let Some(canister) = self
                .canisters
                .get_mut(&id)
                .filter(|canister| may_run(canister))
            else {
                return ran;
            };
            if std::mem::take(&mut canister.timer_due) {
                self.run_task(id, SystemTask::GlobalTimer);
            } else if std::mem::take(&mut canister.heartbeat_due) {
                self.run_task(id, SystemTask::Heartbeat);
            } else if let Some(input) = canister.inputs.pop() {
                self.run_input(id, input);
            } else {
                return ran;
            }
            ran = true;
        }
    }

    fn stop_if_quiet(&mut self, id: Principal) {
        let Some(canister) = self.canisters.get_mut(&id) else {
            return;
        };
        if !canister.is_quiet() {
            return;
        }
        let Status::Stopping(requests) = &mut canister.status else {
            return;
        };
        let requests = std::mem::take(requests);
        canister.status = Status::Stopped;
        canister.version += 1;
        for request in requests {
            let reply = Ok(empty_reply());
            self.respond_from_management(&request.origin, reply, request.cycles);
        }
    }

    fn credit_installations(&mut self, id: Principal) {
        if let Some(canister) = self.canisters.get_mut(&id) {
            canister.install_debit = canister.install_debit.saturating_sub(INSTALL_CREDIT);
        }
    }

    /// A canister that cannot pay for what it holds loses its code.
    fn charge_for_resources(&mut self, id: Principal) {
        let now = self.state_time;
        let Some(canister) = self.canisters.get_mut(&id) else {
            return;
        };
        let since = now.saturating_sub(canister.last_charge);
        if since < CHARGE_INTERVAL {
            return;
        }
        canister.last_charge = now;
        let due = canister.idle_cost(self.subnets[canister.subnet].prices, since);
        match canister.balance.checked_sub(due) {
            Some(left) => canister.balance = left,
            None => {
                canister.balance = 0;
                canister.settings.compute_allocation = 0;
                canister.settings.memory_allocation = 0;
                self.uninstall(id);
            }
        }
    }
}

/// Whether a canister may run another message in this round.
fn may_run(canister: &Canister) -> bool {
    canister.paused.is_none() && canister.round_instructions <= SLICE_INSTRUCTIONS
}

//! Runs messages: finds the method, pays, calls the engine, and keeps the result until its round.

use std::sync::Arc;

use local_ic_engine::{Entry, Env, Outcome};

use crate::canister::{CallContext, Canister, Executed, ExecutedKind, Paused, PendingCall};
use crate::errors::UserError;
use crate::fees::{
    CLEANUP_INSTRUCTIONS, QUERY_INSTRUCTIONS, SLICE_INSTRUCTIONS, UPDATE_INSTRUCTIONS,
};
use crate::message::{Input, Origin, Payload, Response};
use crate::replica::Replica;
use crate::subnet::Subnet;
use crate::texts;
use crate::types::{Cycles, IngressState, Principal};

/// Instructions a round counts for every message beside those it executes.
const MESSAGE_OVERHEAD: u64 = 2_000_000;

/// A call to run, from outside or from a canister.
struct Call {
    origin: Origin,
    caller: Principal,
    method: String,
    arg: Vec<u8>,
    cycles: Cycles,
    deadline: u64,
}

/// What a canister does without being called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemTask {
    GlobalTimer,
    Heartbeat,
}

/// The environment common to all executions of a canister; the caller fills in the message.
pub fn environment(
    canister: &Canister,
    subnet: &Subnet,
    root_key: &Arc<Vec<u8>>,
    time: u64,
) -> Env {
    Env {
        time,
        caller: Principal::management_canister(),
        arg: Vec::new(),
        canister_id: canister.id,
        controllers: canister.settings.controllers.clone(),
        canister_version: canister.version,
        status: canister.status.number(),
        balance: canister.balance,
        frozen_balance: if subnet.prices.charges() {
            canister.frozen_balance(subnet.prices)
        } else {
            0
        },
        cycles_available: 0,
        cycles_refunded: 0,
        deadline: 0,
        answered: false,
        subnet_id: subnet.id,
        subnet_size: subnet.size,
        root_key: root_key.clone(),
        certified_data: canister.certified_data.clone(),
        data_certificate: None,
        global_timer: canister.global_timer,
        environment_variables: canister.settings.environment_variables.clone(),
        outstanding_calls: canister.outstanding_calls(),
        context_instructions: 0,
        instruction_limit: UPDATE_INSTRUCTIONS,
        wasm_memory_limit: canister.settings.wasm_memory_limit,
        charges_cycles: subnet.prices.charges(),
    }
}

impl Replica {
    /// Runs one input of a canister.
    pub(crate) fn run_input(&mut self, id: Principal, input: Input) {
        match input {
            Input::Ingress(message) => {
                self.ingress_history
                    .set(&message.id, IngressState::Processing, self.state_time);
                self.run_call(
                    id,
                    Call {
                        origin: Origin::Ingress(message.id),
                        caller: message.sender,
                        method: message.method,
                        arg: message.arg,
                        cycles: 0,
                        deadline: 0,
                    },
                );
            }
            Input::Request(request) => {
                let origin = Origin::Call {
                    caller: request.caller,
                    callback: request.callback,
                };
                if is_expired(request.deadline, self.state_time) {
                    let error = texts::deadline_expired();
                    self.respond(id, &origin, Err(error), request.cycles);
                    return;
                }
                self.run_call(
                    id,
                    Call {
                        origin,
                        caller: request.caller,
                        method: request.method,
                        arg: request.arg,
                        cycles: request.cycles,
                        deadline: request.deadline,
                    },
                );
            }
            Input::Response(response) => self.run_response(id, response),
        }
    }

    fn run_call(&mut self, id: Principal, call: Call) {
        if let Err(refused) = self.try_call(id, call) {
            let (error, call) = *refused;
            self.respond(id, &call.origin, Err(error), call.cycles);
        }
    }

    /// Runs a call, or gives it back with the reason why it cannot run.
    fn try_call(&mut self, id: Principal, call: Call) -> Result<(), Box<(UserError, Call)>> {
        let context = self.number();
        let Some(canister) = self.canisters.get_mut(&id) else {
            return Err(Box::new((texts::not_found(id), call)));
        };
        if let Some(error) = texts::not_running(canister) {
            return Err(Box::new((error, call)));
        }
        let Some(code) = canister.code.as_ref() else {
            return Err(Box::new((texts::no_module(id), call)));
        };
        let method = call.method.as_str();
        let (entry, limit, label) = if code.module.has_update(method) {
            (
                Entry::Update(method.to_string()),
                UPDATE_INSTRUCTIONS,
                "update",
            )
        } else if code.module.has_query(method) {
            let entry = Entry::ReplicatedQuery(method.to_string());
            (entry, QUERY_INSTRUCTIONS, "replicated query")
        } else if code.module.has_composite_query(method) {
            return Err(Box::new((texts::composite_in_update(id), call)));
        } else {
            // The engine answers that there is no such method; the attempt is charged.
            (
                Entry::Update(method.to_string()),
                UPDATE_INSTRUCTIONS,
                "update",
            )
        };
        let label = format!("{label} {method}");
        let subnet = &self.subnets[canister.subnet];
        let prepaid = subnet.prices.execution(limit);
        let balance_before = canister.balance;
        if let Err(missing) = canister.withdraw(subnet.prices, prepaid) {
            return Err(Box::new((texts::out_of_cycles(id, Some(missing)), call)));
        }
        let env = Env {
            caller: call.caller,
            arg: call.arg,
            cycles_available: call.cycles,
            deadline: call.deadline,
            instruction_limit: limit,
            ..environment(canister, subnet, &self.root_key, self.state_time)
        };
        canister.contexts.insert(
            context,
            CallContext {
                origin: call.origin,
                caller: call.caller,
                cycles_available: call.cycles,
                deadline: call.deadline,
                answered: false,
                outstanding: 0,
                instructions: 0,
            },
        );
        let work = Executed {
            kind: ExecutedKind::First { context },
            label,
            started: self.state_time,
            balance_before,
            balance_during: canister.balance,
            prepaid,
            limit,
            outcome: execute(canister, entry, env),
            cleanup: None,
        };
        self.settle(id, work);
        Ok(())
    }

    /// Runs a timer or heartbeat. A canister that cannot pay for it misses it.
    pub(crate) fn run_task(&mut self, id: Principal, task: SystemTask) {
        let context = self.number();
        let Some(canister) = self.canisters.get_mut(&id) else {
            return;
        };
        let (entry, label) = match task {
            SystemTask::GlobalTimer => {
                canister.global_timer = 0;
                (Entry::GlobalTimer, "timer")
            }
            SystemTask::Heartbeat => (Entry::Heartbeat, "heartbeat"),
        };
        if canister.code.is_none() || !canister.status.is_running() {
            return;
        }
        let subnet = &self.subnets[canister.subnet];
        let prepaid = Canister::message_prepayment(subnet.prices);
        let balance_before = canister.balance;
        if canister.withdraw(subnet.prices, prepaid).is_err() {
            return;
        }
        canister.contexts.insert(
            context,
            CallContext {
                origin: Origin::System,
                caller: Principal::management_canister(),
                cycles_available: 0,
                deadline: 0,
                answered: false,
                outstanding: 0,
                instructions: 0,
            },
        );
        let env = environment(canister, subnet, &self.root_key, self.state_time);
        let work = Executed {
            kind: ExecutedKind::First { context },
            label: label.to_string(),
            started: self.state_time,
            balance_before,
            balance_during: canister.balance,
            prepaid,
            limit: UPDATE_INSTRUCTIONS,
            outcome: execute(canister, entry, env),
            cleanup: None,
        };
        self.settle(id, work);
    }

    /// Brings a response home: cycles first, then the callback.
    fn run_response(&mut self, id: Principal, response: Response) {
        let Some(canister) = self.canisters.get_mut(&id) else {
            return;
        };
        canister.balance = canister.balance.saturating_add(response.refund);
        let Some(call) = canister.calls.remove(&response.callback) else {
            return;
        };
        let subnet = &self.subnets[canister.subnet];
        let balance_before = canister.balance;
        let prepaid = Canister::message_prepayment(subnet.prices).min(call.reserved);
        canister.balance += unused_transmission(subnet, &call, &response.payload, prepaid);
        let context = call
            .context
            .and_then(|context| Some((context, canister.contexts.get(&context)?.clone())));
        let Some((context_id, context)) = context.filter(|_| canister.code.is_some()) else {
            // The code that made the call is gone: nobody to call back.
            canister.balance += prepaid;
            return;
        };
        let env = Env {
            caller: context.caller,
            cycles_available: context.cycles_available,
            cycles_refunded: response.refund,
            deadline: context.deadline,
            answered: context.answered,
            context_instructions: context.instructions,
            ..environment(canister, subnet, &self.root_key, self.state_time)
        };
        let (entry, arg, label) = match response.payload {
            Payload::Reply(reply) => {
                let (fun, env) = (call.callback.reply_fun, call.callback.reply_env);
                let entry = Entry::ReplyCallback {
                    fun,
                    env,
                    composite: false,
                };
                (entry, reply, "reply callback")
            }
            Payload::Reject { code, message } => {
                let (fun, env) = (call.callback.reject_fun, call.callback.reject_env);
                let entry = Entry::RejectCallback {
                    fun,
                    env,
                    code,
                    message,
                    composite: false,
                };
                (entry, Vec::new(), "reject callback")
            }
        };
        let outcome = execute(canister, entry, Env { arg, ..env.clone() });
        let cleanup = match (&outcome.result, call.callback.cleanup) {
            (Err(_), Some((fun, closure))) => {
                let entry = Entry::Cleanup {
                    fun,
                    env: closure,
                    composite: false,
                };
                let env = Env {
                    instruction_limit: CLEANUP_INSTRUCTIONS,
                    context_instructions: context.instructions.saturating_add(outcome.instructions),
                    ..env
                };
                Some(execute(canister, entry, env))
            }
            _ => None,
        };
        let work = Executed {
            kind: ExecutedKind::Callback {
                context: context_id,
            },
            label: label.to_string(),
            started: self.state_time,
            balance_before,
            balance_during: canister.balance,
            prepaid,
            limit: UPDATE_INSTRUCTIONS,
            outcome,
            cleanup,
        };
        self.settle(id, work);
    }

    /// Applies an execution at once, or in the round in which its last slice would have run.
    fn settle(&mut self, id: Principal, work: Executed) {
        let instructions = work.instructions();
        let slices = instructions.div_ceil(SLICE_INSTRUCTIONS).max(1);
        let round = self.round_number;
        let Some(canister) = self.canisters.get_mut(&id) else {
            return;
        };
        canister.round_instructions = canister
            .round_instructions
            .saturating_add(instructions.saturating_add(MESSAGE_OVERHEAD));
        if slices == 1 {
            self.apply(id, work);
        } else {
            canister.paused = Some(Paused {
                finish_round: round + slices - 1,
                work,
            });
        }
    }
}

/// Whether a deadline has passed: it is a whole second, and that second must be over.
pub fn is_expired(deadline: u64, now: u64) -> bool {
    const SECOND: u64 = crate::replica::NANOS_PER_SECOND;
    deadline != 0 && now / SECOND > deadline / SECOND
}

/// Runs the engine. The caller has checked that there is code.
fn execute(canister: &mut Canister, entry: Entry, env: Env) -> Outcome {
    let code = canister
        .code
        .as_mut()
        .expect("BUG: only canisters with code execute");
    code.instance.execute(entry, env)
}

/// The part of a call's reservation that paid for a longer response than the one that came.
fn unused_transmission(
    subnet: &Subnet,
    call: &PendingCall,
    payload: &Payload,
    prepaid: Cycles,
) -> Cycles {
    let unused_bytes = crate::fees::MAX_RESPONSE_BYTES.saturating_sub(payload.len());
    subnet
        .prices
        .response(unused_bytes)
        .min(call.reserved - prepaid)
}

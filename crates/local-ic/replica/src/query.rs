//! Queries and composite queries: nothing they do remains.

use std::collections::VecDeque;

use local_ic_engine::{Answer, Done, Entry, Env, OutgoingCall};

use crate::errors::{ErrorCode, UserError};
use crate::execute::environment;
use crate::fees::QUERY_INSTRUCTIONS;
use crate::management;
use crate::replica::Replica;
use crate::texts;
use crate::types::{MessageCost, Principal, Query, RequestError};

/// How deep composite queries may call each other.
const MAX_DEPTH: usize = 6;

/// A query as a canister gets it.
struct Call {
    canister: Principal,
    caller: Principal,
    method: String,
    arg: Vec<u8>,
    depth: usize,
}

impl Replica {
    /// Runs a query (also composite, and `fetch_canister_logs` of the management canister) on the
    /// state of the last round. Errors: [`RequestError::Bad`] for an id in no subnet's ranges, otherwise
    /// [`RequestError::Refused`]; never certified.
    pub fn query(&mut self, query: Query) -> Result<Vec<u8>, RequestError> {
        if query.canister_id == Principal::management_canister() {
            return Ok(management::query(self, &query)?);
        }
        self.subnet_index(query.canister_id)
            .ok_or_else(|| crate::ingress::unroutable(query.canister_id))?;
        let mut touched = Vec::new();
        let call = Call {
            canister: query.canister_id,
            caller: query.sender,
            method: query.method,
            arg: query.arg,
            depth: 0,
        };
        let result = self.run_query(call, &mut touched);
        for id in touched {
            if let Some(code) = self
                .canisters
                .get_mut(&id)
                .and_then(|canister| canister.code.as_mut())
            {
                code.instance.end_composite();
            }
        }
        Ok(result?)
    }

    /// Runs a query method; `touched` collects the canisters whose state must be reset at the end.
    fn run_query(
        &mut self,
        call: Call,
        touched: &mut Vec<Principal>,
    ) -> Result<Vec<u8>, UserError> {
        let id = call.canister;
        let Some(canister) = self.canisters.get(&id) else {
            return Err(texts::not_found(id));
        };
        if let Some(error) = texts::not_running(canister) {
            return Err(error);
        }
        let Some(code) = &canister.code else {
            return Err(if call.depth == 0 {
                texts::no_module_at_submission()
            } else {
                texts::no_module(id)
            });
        };
        let subnet = &self.subnets[canister.subnet];
        if subnet.prices.charges() && canister.balance < canister.frozen_balance(subnet.prices) {
            return Err(UserError::new(
                ErrorCode::CanisterOutOfCycles,
                format!(
                    "Canister {id} is unable to process query calls because it's frozen. Please top up the canister with cycles and try again."
                ),
            ));
        }
        // Only the canister that was asked from outside gets a certificate.
        let data_certificate = (call.depth == 0).then(|| {
            self.certifier.data_certificate(
                subnet.id,
                id,
                &canister.certified_data,
                self.state_time,
            )
        });
        let env = Env {
            caller: call.caller,
            arg: call.arg.clone(),
            data_certificate,
            instruction_limit: QUERY_INSTRUCTIONS,
            ..environment(canister, subnet, &self.root_key, self.state_time)
        };
        if !code.module.has_query(&call.method) && code.module.has_composite_query(&call.method) {
            if call.depth >= MAX_DEPTH {
                return Err(UserError::new(
                    ErrorCode::QueryCallGraphTooDeep,
                    "Composite query call graph is too deep.",
                ));
            }
            touched.push(id);
            return self.run_composite(&call, env, touched);
        }
        let done = self.execute_query(id, Entry::Query(call.method), env)?;
        answer(id, done.answer)
    }

    fn execute_query(&mut self, id: Principal, entry: Entry, env: Env) -> Result<Done, UserError> {
        let code = self
            .canisters
            .get_mut(&id)
            .and_then(|canister| canister.code.as_mut());
        let Some(code) = code else {
            return Err(texts::no_module(id));
        };
        let label = match &entry {
            Entry::Query(method) | Entry::CompositeQuery(method) => format!("query {method}"),
            _ => "query callback".into(),
        };
        let balance = env.balance;
        let outcome = code.instance.execute(entry, env);
        // Queries are free: what they used is told, nothing is charged.
        self.record_cost(MessageCost {
            canister: id,
            entry: label,
            instructions: outcome.instructions,
            cycles_before: balance,
            cycles_after: balance,
        });
        outcome
            .result
            .map_err(|trap| texts::trapped(id, &trap, QUERY_INSTRUCTIONS))
    }

    /// Runs a composite query with everything it calls, one call after the other.
    fn run_composite(
        &mut self,
        call: &Call,
        env: Env,
        touched: &mut Vec<Principal>,
    ) -> Result<Vec<u8>, UserError> {
        let id = call.canister;
        let entry = Entry::CompositeQuery(call.method.clone());
        let mut done = self.execute_query(id, entry, env.clone())?;
        let env = Env {
            data_certificate: None,
            ..env
        };
        let mut reply = done.answer.take();
        let mut failure = None;
        let mut calls: VecDeque<OutgoingCall> = done.calls.into();
        while let Some(outgoing) = calls.pop_front() {
            let callback = outgoing.callback.clone();
            let result = self.run_nested(call, outgoing, touched);
            let (entry, arg) = match result {
                Ok(reply) => {
                    let (fun, env) = (callback.reply_fun, callback.reply_env);
                    (
                        Entry::ReplyCallback {
                            fun,
                            env,
                            composite: true,
                        },
                        reply,
                    )
                }
                Err(error) => {
                    let (code, message) = error.for_caller();
                    let (fun, env) = (callback.reject_fun, callback.reject_env);
                    let entry = Entry::RejectCallback {
                        fun,
                        env,
                        code,
                        message,
                        composite: true,
                    };
                    (entry, Vec::new())
                }
            };
            let env = Env {
                arg,
                answered: reply.is_some(),
                ..env.clone()
            };
            match self.execute_query(id, entry, env.clone()) {
                Ok(done) => {
                    reply = reply.or(done.answer);
                    calls.extend(done.calls);
                }
                Err(error) => {
                    failure = Some(error);
                    if let Some((fun, closure)) = callback.cleanup {
                        let entry = Entry::Cleanup {
                            fun,
                            env: closure,
                            composite: true,
                        };
                        // A cleanup that fails too changes nothing: the call has failed already.
                        let _ = self.execute_query(id, entry, env);
                    }
                }
            }
        }
        match (reply, failure) {
            (None, Some(error)) => Err(error),
            (reply, _) => answer(id, reply),
        }
    }

    fn run_nested(
        &mut self,
        caller: &Call,
        outgoing: OutgoingCall,
        touched: &mut Vec<Principal>,
    ) -> Result<Vec<u8>, UserError> {
        let callee = outgoing.callee;
        let same_subnet = self.subnet_index(callee) == self.subnet_index(caller.canister);
        if !same_subnet || !self.canisters.contains_key(&callee) {
            return Err(texts::not_found(callee));
        }
        let call = Call {
            canister: callee,
            caller: caller.canister,
            method: outgoing.method,
            arg: outgoing.arg,
            depth: caller.depth + 1,
        };
        self.run_query(call, touched)
    }
}

fn answer(id: Principal, answer: Option<Answer>) -> Result<Vec<u8>, UserError> {
    match answer {
        Some(Answer::Reply(reply)) => Ok(reply),
        Some(Answer::Reject(text)) => Err(UserError::new(ErrorCode::CanisterRejectedMessage, text)),
        None => Err(texts::no_query_response(id)),
    }
}

//! Applies what an execution did: balance, calls, answer, life of the call context.

use local_ic_engine::{Answer, Done, OutgoingCall};

use crate::canister::{Executed, ExecutedKind, PendingCall};
use crate::errors::{ErrorCode, UserError};
use crate::fees::{CLEANUP_INSTRUCTIONS, MAX_MESSAGE_BYTES};
use crate::message::{Input, Message, Origin, Payload, Request, Response, Source};
use crate::replica::{NANOS_PER_SECOND, Replica};
use crate::texts;
use crate::types::{Cycles, IngressState, MessageCost, Principal};

/// Costs kept for [`Replica::last_instructions`]; the oldest go first.
const KEPT_COSTS: usize = 200_000;

impl Executed {
    /// Instructions of the execution and its cleanup.
    pub fn instructions(&self) -> u64 {
        let cleanup = self
            .cleanup
            .as_ref()
            .map_or(0, |cleanup| cleanup.instructions);
        self.outcome.instructions.saturating_add(cleanup)
    }

    /// What is to be committed, and the error if the message itself failed.
    fn verdict(&self, id: Principal) -> (Option<&Done>, Option<UserError>) {
        let trap = match &self.outcome.result {
            Ok(done) => return (Some(done), None),
            Err(trap) => trap,
        };
        let mut error = texts::trapped(id, trap, self.limit);
        match self.cleanup.as_ref().map(|cleanup| &cleanup.result) {
            Some(Ok(done)) => (Some(done), Some(error)),
            Some(Err(trap)) => {
                let second = texts::trapped(id, trap, CLEANUP_INSTRUCTIONS).message;
                error.message = format!(
                    "{}\n\ncall_on_cleanup also failed:\n\n{second}",
                    error.message
                );
                (None, Some(error))
            }
            None => (None, Some(error)),
        }
    }
}

impl Replica {
    /// Applies a finished execution.
    pub(crate) fn apply(&mut self, id: Principal, work: Executed) {
        let instructions = work.instructions();
        let (done, error) = work.verdict(id);
        let Some(canister) = self.canisters.get_mut(&id) else {
            return;
        };
        let prices = self.subnets[canister.subnet].prices;
        let fee = prices.execution(instructions).min(work.prepaid);
        // The balance may have grown meanwhile: only what the execution itself changed is applied.
        let balance = canister.balance.saturating_add(work.prepaid - fee);
        canister.balance = match done {
            Some(done) => balance
                .saturating_add(done.balance)
                .saturating_sub(work.balance_during),
            None => balance,
        };
        canister.log(work.started, &work.outcome.logs);
        if let Some(cleanup) = &work.cleanup {
            canister.log(work.started, &cleanup.logs);
        }
        if let Some(done) = done {
            canister.version += 1;
            if let Some(data) = &done.new_certified_data {
                canister.certified_data.clone_from(data);
            }
            if let Some(timer) = done.new_global_timer {
                canister.global_timer = timer;
            }
        }
        let cost = MessageCost {
            canister: id,
            entry: work.label.clone(),
            instructions,
            cycles_before: work.balance_before,
            cycles_after: canister.balance,
        };
        self.record_cost(cost);

        let (ExecutedKind::First { context } | ExecutedKind::Callback { context }) = work.kind;
        let calls = done.map(|done| done.calls.clone()).unwrap_or_default();
        if let Some(context) = self.context(id, context) {
            context.instructions = context.instructions.saturating_add(instructions);
            context.outstanding += calls.len();
            if matches!(work.kind, ExecutedKind::Callback { .. }) {
                context.outstanding = context.outstanding.saturating_sub(1);
            }
            if let Some(done) = done {
                context.cycles_available = context
                    .cycles_available
                    .saturating_sub(done.cycles_accepted);
            }
        }
        for call in calls {
            self.make_call(id, context, call, work.started);
        }
        let answer = done.and_then(|done| done.answer.clone());
        self.advance_context(id, context, answer, error);
    }

    pub(crate) fn record_cost(&mut self, cost: MessageCost) {
        if self.costs.len() >= KEPT_COSTS {
            self.costs.drain(..KEPT_COSTS / 2);
        }
        self.costs.push(cost);
    }

    fn context(
        &mut self,
        id: Principal,
        context: u64,
    ) -> Option<&mut crate::canister::CallContext> {
        self.canisters.get_mut(&id)?.contexts.get_mut(&context)
    }

    /// Passes on an answer, and ends the context when nothing is outstanding.
    fn advance_context(
        &mut self,
        id: Principal,
        context_id: u64,
        answer: Option<Answer>,
        error: Option<UserError>,
    ) {
        let Some(context) = self.context(id, context_id) else {
            return;
        };
        let ended = context.outstanding == 0;
        let result = match answer {
            Some(Answer::Reply(reply)) => Some(Ok(reply)),
            Some(Answer::Reject(text)) => Some(Err(UserError::new(
                ErrorCode::CanisterRejectedMessage,
                text,
            ))),
            None if ended => Some(Err(error.unwrap_or_else(|| texts::did_not_reply(id)))),
            None => None,
        };
        let origin = context.origin.clone();
        let due = result.filter(|_| !context.answered);
        let mut refund = 0;
        if due.is_some() {
            context.answered = true;
            refund = std::mem::take(&mut context.cycles_available);
        }
        if ended && let Some(canister) = self.canisters.get_mut(&id) {
            canister.contexts.remove(&context_id);
        }
        if let Some(result) = due {
            self.respond(id, &origin, result, refund);
        }
    }

    /// Gives an answer to whoever waits for it.
    pub(crate) fn respond(
        &mut self,
        from: Principal,
        origin: &Origin,
        result: Result<Vec<u8>, UserError>,
        refund: Cycles,
    ) {
        match origin {
            Origin::System => {}
            Origin::Ingress(id) => {
                let state = match result {
                    Ok(reply) => IngressState::Replied(reply),
                    Err(error) => IngressState::Rejected(error.certified()),
                };
                self.ingress_history.set(id, state, self.state_time);
            }
            &Origin::Call { caller, callback } => {
                let payload = match result {
                    Ok(reply) => Payload::Reply(reply),
                    Err(error) => error.into(),
                };
                let response = Response {
                    to: caller,
                    callback,
                    payload,
                    refund,
                };
                let from = self.canisters.get(&from).map(|canister| canister.subnet);
                self.send(from, Message::Response(response));
            }
        }
    }

    /// Sends a message from a subnet; a response to a canister that is gone is lost with its cycles.
    /// Within a subnet it arrives later in the round, otherwise when the other subnet's turn comes.
    pub(crate) fn send(&mut self, from: Option<usize>, message: Message) {
        let Some(to) = self.subnet_index(message.destination()) else {
            return;
        };
        if from == Some(to) {
            self.subnets[to].local.push(message);
        } else {
            self.subnets[to].incoming.push(message);
        }
    }

    /// Starts a call a canister made.
    fn make_call(&mut self, id: Principal, context: u64, call: OutgoingCall, started: u64) {
        let deadline = match call.timeout_seconds {
            Some(timeout) => {
                let seconds = started / NANOS_PER_SECOND + u64::from(timeout.min(300));
                seconds.saturating_mul(NANOS_PER_SECOND)
            }
            None => 0,
        };
        let callback = self.number();
        let Some(canister) = self.canisters.get_mut(&id) else {
            return;
        };
        let subnet = canister.subnet;
        canister.calls.insert(
            callback,
            PendingCall {
                context: Some(context),
                callee: call.callee,
                callback: call.callback,
                reserved: call.reserved,
                deadline,
                responded: false,
            },
        );
        let request = Request {
            caller: id,
            callback,
            callee: call.callee,
            method: call.method,
            arg: call.arg,
            cycles: call.cycles,
            deadline,
        };
        if let Err((payload, refund)) = self.route(subnet, request) {
            let response = Response {
                to: id,
                callback,
                payload,
                refund,
            };
            self.send(Some(subnet), Message::Response(response));
        }
    }

    /// Sends a request on its way, or tells why there is none.
    fn route(&mut self, from: usize, request: Request) -> Result<(), (Payload, Cycles)> {
        let (callee, cycles) = (request.callee, request.cycles);
        if callee == Principal::management_canister()
            || self.subnets.iter().any(|subnet| subnet.id == callee)
        {
            return self.route_to_management(from, request);
        }
        let Some(to) = self.subnet_index(callee) else {
            return Err((texts::no_route(callee).into(), cycles));
        };
        let size = request.method.len() + request.arg.len();
        if to != from && size > MAX_MESSAGE_BYTES {
            let error = texts::message_too_large(request.caller, size, MAX_MESSAGE_BYTES);
            return Err((error, cycles));
        }
        self.send(Some(from), Message::Request(request));
        Ok(())
    }

    /// Puts a message into its destination's queue, or answers why it cannot.
    pub(crate) fn deliver(&mut self, source: Source, message: Message) {
        let to = message.destination();
        let request = match message {
            Message::Response(response) => return self.deliver_response(source, response),
            Message::Request(request) => request,
        };
        let refusal = match self.canisters.get(&to) {
            None => Some(texts::not_found(to)),
            Some(canister) => texts::not_running(canister),
        };
        match (refusal, self.canisters.get_mut(&to)) {
            (None, Some(canister)) => canister.inputs.push(source, Input::Request(request)),
            (refusal, _) => {
                let payload = refusal.unwrap_or_else(|| texts::not_found(to)).into();
                let response = Response {
                    to: request.caller,
                    callback: request.callback,
                    payload,
                    refund: request.cycles,
                };
                let here = self.subnet_index(to);
                self.send(here, Message::Response(response));
            }
        }
    }

    /// A response to a call that was answered before (its deadline had passed) only returns its
    /// cycles: they go straight to the caller's balance.
    fn deliver_response(&mut self, source: Source, response: Response) {
        let Some(canister) = self.canisters.get_mut(&response.to) else {
            return;
        };
        match canister.calls.get_mut(&response.callback) {
            Some(call) if !call.responded => {
                call.responded = true;
                canister.inputs.push(source, Input::Response(response));
            }
            _ => canister.balance = canister.balance.saturating_add(response.refund),
        }
    }
}

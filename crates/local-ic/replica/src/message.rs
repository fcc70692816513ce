//! Messages between canisters, and who waits for an answer.

use std::collections::VecDeque;

use crate::errors::UserError;
use crate::types::{Cycles, MessageId, Principal};

/// Who gets the answer of a call context or a management call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Ingress(MessageId),
    /// A call made by `caller`, which waits with its callback of this number.
    Call {
        caller: Principal,
        callback: u64,
    },
    /// A timer or heartbeat: nobody waits.
    System,
}

/// A call on its way to a canister.
#[derive(Clone, Debug)]
pub struct Request {
    pub caller: Principal,
    pub callback: u64,
    pub callee: Principal,
    pub method: String,
    pub arg: Vec<u8>,
    pub cycles: Cycles,
    /// Nanoseconds; 0 for an unbounded-wait call.
    pub deadline: u64,
}

/// What a response carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    Reply(Vec<u8>),
    Reject { code: u32, message: String },
}

impl Payload {
    /// Bytes that are paid for.
    pub fn len(&self) -> usize {
        match self {
            Self::Reply(bytes) => bytes.len(),
            Self::Reject { message, .. } => message.len(),
        }
    }
}

impl From<UserError> for Payload {
    fn from(error: UserError) -> Self {
        let (code, message) = error.for_caller();
        Self::Reject { code, message }
    }
}

/// A response on its way to the caller.
#[derive(Clone, Debug)]
pub struct Response {
    pub to: Principal,
    pub callback: u64,
    pub payload: Payload,
    /// Cycles of the call that were not accepted.
    pub refund: Cycles,
}

/// An ingress message in a canister's queue.
#[derive(Clone, Debug)]
pub struct IngressMessage {
    pub id: MessageId,
    pub sender: Principal,
    pub method: String,
    pub arg: Vec<u8>,
}

/// What waits in a canister's queues.
#[derive(Clone, Debug)]
pub enum Input {
    Ingress(IngressMessage),
    Request(Request),
    Response(Response),
}

/// A message that passes between canisters.
#[derive(Clone, Debug)]
pub enum Message {
    Request(Request),
    Response(Response),
}

impl Message {
    /// The canister it goes to.
    pub fn destination(&self) -> Principal {
        match self {
            Self::Request(request) => request.callee,
            Self::Response(response) => response.to,
        }
    }
}

impl From<Message> for Input {
    fn from(message: Message) -> Self {
        match message {
            Message::Request(request) => Self::Request(request),
            Message::Response(response) => Self::Response(response),
        }
    }
}

/// The input queues of a canister: one for each kind of source, served in turn.
#[derive(Clone, Debug, Default)]
pub struct InputQueues {
    queues: [VecDeque<Input>; 3],
    next: usize,
}

/// Where an input came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    SameSubnet = 0,
    Ingress = 1,
    OtherSubnet = 2,
}

impl InputQueues {
    pub fn push(&mut self, source: Source, input: Input) {
        self.queues[source as usize].push_back(input);
    }

    pub fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    /// The next input, going round the sources.
    pub fn pop(&mut self) -> Option<Input> {
        for _ in 0..self.queues.len() {
            let queue = self.next;
            self.next = (queue + 1) % self.queues.len();
            if let Some(input) = self.queues[queue].pop_front() {
                return Some(input);
            }
        }
        None
    }

    /// Takes everything out, e.g. when the canister is deleted.
    pub fn drain(&mut self) -> Vec<Input> {
        std::iter::from_fn(|| self.pop()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str) -> Input {
        Input::Request(Request {
            caller: Principal::anonymous(),
            callback: 0,
            callee: Principal::anonymous(),
            method: method.to_string(),
            arg: Vec::new(),
            cycles: 0,
            deadline: 0,
        })
    }

    #[test]
    fn sources_should_be_served_in_turn() {
        let mut queues = InputQueues::default();
        for method in ["a", "b", "c"] {
            queues.push(Source::SameSubnet, request(method));
        }
        queues.push(Source::OtherSubnet, request("x"));
        let order: Vec<String> = queues
            .drain()
            .into_iter()
            .map(|input| match input {
                Input::Request(request) => request.method,
                other => panic!("unexpected {other:?}"),
            })
            .collect();
        assert_eq!(order, ["a", "x", "b", "c"]);
        assert!(queues.is_empty());
    }
}

//! A runtime whose answers a test writes down beforehand.

use crate::{
    domain::settlement::CallOutcome,
    runtime::Runtime,
    types::{Cycles, TimestampNs},
};
use candid::{CandidType, Encode, Principal};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::Future,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
};

/// A call that the code under test made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeCall {
    pub canister: Principal,
    pub method: String,
    pub argument: Vec<u8>,
}

/// Everything is set by the test; calls are answered from a queue, in order.
pub struct ScriptedRuntime {
    pub now: Cell<TimestampNs>,
    pub caller: Cell<Principal>,
    pub controller: Principal,
    pub cycles: Cell<Cycles>,
    pub root_key: Vec<u8>,
    pub calls: RefCell<Vec<MadeCall>>,
    answers: RefCell<VecDeque<CallOutcome>>,
    /// What a ledger answers that is asked for its fee. While it is set, such calls are neither answered from
    /// the queue nor kept with the other calls; [`Self::fee_asked`] counts them.
    pub fee: RefCell<Option<CallOutcome>>,
    pub fee_asked: Cell<usize>,
    /// When the code under test wants to be woken.
    pub woken: Cell<Option<TimestampNs>>,
    /// While set, calls stay unanswered for which no answer is there.
    pub hold: Rc<Cell<bool>>,
}

impl ScriptedRuntime {
    pub const CANISTER: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 9, 1, 1];

    pub fn new(now: TimestampNs) -> Self {
        let controller = Principal::from_slice(&[100]);
        ScriptedRuntime {
            now: Cell::new(now),
            caller: Cell::new(controller),
            controller,
            cycles: Cell::new(Cycles(10_000_000_000_000)),
            root_key: x402_icp::network::MAINNET_ROOT_KEY_DER.to_vec(),
            calls: RefCell::default(),
            answers: RefCell::default(),
            fee: RefCell::default(),
            fee_asked: Cell::default(),
            woken: Cell::default(),
            hold: Rc::default(),
        }
    }

    /// The next call is answered so.
    pub fn will(&self, outcome: CallOutcome) -> &Self {
        self.answers.borrow_mut().push_back(outcome);
        self
    }

    /// The next call is answered with this value.
    pub fn will_reply<T: CandidType>(&self, value: T) -> &Self {
        self.will(CallOutcome::Reply(
            Encode!(&value).expect("a test's value can be encoded"),
        ))
    }

    /// Ledgers that are asked for their fee from now on answer so.
    pub fn will_name_fee(&self, fee: impl CandidType) -> &Self {
        let reply = Encode!(&fee).expect("a test's value can be encoded");
        self.fee.replace(Some(CallOutcome::Reply(reply)));
        self
    }

    pub fn made(&self) -> usize {
        self.calls.borrow().len()
    }
}

struct Answer<'a> {
    runtime: &'a ScriptedRuntime,
    fixed: Option<CallOutcome>,
}

impl Future for Answer<'_> {
    type Output = CallOutcome;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<CallOutcome> {
        if let Some(fixed) = self.fixed.clone() {
            return Poll::Ready(fixed);
        }
        match self.runtime.answers.borrow_mut().pop_front() {
            Some(answer) => Poll::Ready(answer),
            None if self.runtime.hold.get() => Poll::Pending,
            None => panic!("the test has no answer left for this call"),
        }
    }
}

impl Runtime for ScriptedRuntime {
    fn now(&self) -> TimestampNs {
        self.now.get()
    }

    fn caller(&self) -> Principal {
        self.caller.get()
    }

    fn is_controller(&self, principal: &Principal) -> bool {
        *principal == self.controller
    }

    fn canister_id(&self) -> Principal {
        Principal::from_slice(&Self::CANISTER)
    }

    fn cycles_balance(&self) -> Cycles {
        self.cycles.get()
    }

    fn root_key(&self) -> Vec<u8> {
        self.root_key.clone()
    }

    fn wake(&self, at: Option<TimestampNs>) {
        self.woken.set(at);
    }

    fn call(
        &self,
        canister: Principal,
        method: &str,
        argument: Vec<u8>,
    ) -> impl Future<Output = CallOutcome> {
        let fixed = self.fee.borrow().clone().filter(|_| method == "icrc1_fee");
        if fixed.is_some() {
            self.fee_asked.set(self.fee_asked.get() + 1);
            return Answer {
                runtime: self,
                fixed,
            };
        }
        self.calls.borrow_mut().push(MadeCall {
            canister,
            method: method.into(),
            argument,
        });
        Answer {
            runtime: self,
            fixed: None,
        }
    }
}

/// Runs a future that never really waits.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match poll(future.as_mut()) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits for a call that is held"),
    }
}

/// Polls a future once.
pub fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

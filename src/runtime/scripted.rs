//! A runtime whose replies a test sets beforehand.

use crate::{
    domain::settlement::CallOutcome,
    runtime::Runtime,
    types::{Cycles, TimestampNs},
};
use candid::{CandidType, Encode, Principal};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
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
    /// Those that no call in flight holds back.
    pub cycles: Rc<Cell<Cycles>>,
    /// The calls that wait for a reply, by canister.
    waiting: Rc<RefCell<BTreeMap<Principal, u32>>>,
    /// Whether the canister is being stopped.
    pub stopping: Cell<bool>,
    pub root_key: Vec<u8>,
    pub calls: RefCell<Vec<MadeCall>>,
    answers: RefCell<VecDeque<CallOutcome>>,
    /// The answer of ledgers to a fee query. While it is set, such calls are neither answered from the queue nor kept
    /// with the other calls; [`Self::fee_queries`] counts them.
    pub fee: RefCell<Option<CallOutcome>>,
    pub fee_queries: Cell<usize>,
    /// The time for which the code under test set the timer.
    pub woken: Cell<Option<TimestampNs>>,
    /// While set, calls for which no reply is queued stay unanswered.
    pub hold: Rc<Cell<bool>>,
    pub certified_data: Cell<[u8; 32]>,
    /// Makes the certificates of queries, if they have any.
    pub certify: RefCell<Option<Certify>>,
}

/// Makes a certificate for a canister's certified data.
pub type Certify = Box<dyn Fn(&Principal, &[u8; 32]) -> Vec<u8>>;

impl ScriptedRuntime {
    /// The cycles that each call holds back until its reply arrives.
    pub const CALL_COST: Cycles = Cycles(42_000_000_000);
    /// The system's only key, and what a signature with it costs.
    pub const KEY_NAME: &str = "key_1";
    pub const SIGNATURE_COST: Cycles = Cycles(26_153_846_153);
    pub const CANISTER: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 9, 1, 1];

    pub fn new(now: TimestampNs) -> Self {
        let controller = Principal::from_slice(&[100]);
        ScriptedRuntime {
            now: Cell::new(now),
            caller: Cell::new(controller),
            controller,
            cycles: Rc::new(Cell::new(Cycles(1_000_000_000_000_000))),
            waiting: Rc::default(),
            stopping: Cell::default(),
            root_key: x402_icp::network::MAINNET_ROOT_KEY_DER.to_vec(),
            calls: RefCell::default(),
            answers: RefCell::default(),
            fee: RefCell::default(),
            fee_queries: Cell::default(),
            woken: Cell::default(),
            hold: Rc::default(),
            certified_data: Cell::default(),
            certify: RefCell::default(),
        }
    }

    /// Sets the end of the next call.
    pub fn will(&self, outcome: CallOutcome) -> &Self {
        self.answers.borrow_mut().push_back(outcome);
        self
    }

    /// Sets the reply to the next call.
    pub fn will_reply<T: CandidType>(&self, value: T) -> &Self {
        self.will(CallOutcome::Reply(
            Encode!(&value).expect("a test's value can be encoded"),
        ))
    }

    /// Sets the ledgers' answer to fee queries from now on.
    pub fn will_name_fee(&self, fee: impl CandidType) -> &Self {
        let reply = Encode!(&fee).expect("a test's value can be encoded");
        self.fee.replace(Some(CallOutcome::Reply(reply)));
        self
    }

    /// Begins work whose reply never comes: neither is it dropped, as by an upgrade that replaces the code meanwhile.
    pub fn leave_waiting(&self, work: impl Future) {
        self.hold.set(true);
        let mut waiting = Box::pin(work);
        assert!(poll(waiting.as_mut()).is_pending());
        std::mem::forget(waiting);
        self.hold.set(false);
    }

    /// Forgets the answers that no call has asked for.
    pub fn will_no_more(&self) {
        self.answers.borrow_mut().clear();
    }

    /// Drops the ends that no call has had.
    pub fn forget_answers(&self) {
        self.answers.borrow_mut().clear();
    }

    pub fn made(&self) -> usize {
        self.calls.borrow().len()
    }
}

struct ScriptedReply<'a> {
    runtime: &'a ScriptedRuntime,
    canister: Principal,
    fixed: Option<CallOutcome>,
}

impl<'a> ScriptedReply<'a> {
    /// Holds back the cost of the call. `fixed`: the answer, if it is not from the queue.
    fn begin(
        runtime: &'a ScriptedRuntime,
        canister: Principal,
        fixed: Option<CallOutcome>,
    ) -> Self {
        let left = runtime.cycles.get().0 - ScriptedRuntime::CALL_COST.0;
        runtime.cycles.set(Cycles(left));
        *runtime.waiting.borrow_mut().entry(canister).or_default() += 1;
        ScriptedReply {
            runtime,
            canister,
            fixed,
        }
    }
}

impl Drop for ScriptedReply<'_> {
    fn drop(&mut self) {
        let back = self.runtime.cycles.get().0 + ScriptedRuntime::CALL_COST.0;
        self.runtime.cycles.set(Cycles(back));
        if let Some(waiting) = self.runtime.waiting.borrow_mut().get_mut(&self.canister) {
            *waiting -= 1;
        }
    }
}

impl Future for ScriptedReply<'_> {
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

    fn liquid_cycles(&self) -> Cycles {
        self.cycles.get()
    }

    fn call_cost(&self, _: &str, _: usize) -> Cycles {
        Self::CALL_COST
    }

    fn calls_to(&self, canister: &Principal) -> u32 {
        self.waiting
            .borrow()
            .get(canister)
            .copied()
            .unwrap_or_default()
    }

    fn is_running(&self) -> bool {
        !self.stopping.get()
    }

    fn root_key(&self) -> Vec<u8> {
        self.root_key.clone()
    }

    fn wake(&self, at: Option<TimestampNs>) {
        self.woken.set(at);
    }

    fn wake_soon(&self) {
        self.woken.set(Some(self.now.get()));
    }

    fn set_certified_data(&self, root_hash: &[u8; 32]) {
        self.certified_data.set(*root_hash);
    }

    fn data_certificate(&self) -> Option<Vec<u8>> {
        let certify = self.certify.borrow();
        certify
            .as_ref()
            .map(|certify| certify(&self.canister_id(), &self.certified_data.get()))
    }

    fn signature_cost(&self, key_name: &str) -> Option<Cycles> {
        (key_name == Self::KEY_NAME).then_some(Self::SIGNATURE_COST)
    }

    fn call_with(
        &self,
        canister: Principal,
        method: &str,
        argument: Vec<u8>,
        cycles: Cycles,
    ) -> impl Future<Output = CallOutcome> {
        let fixed = self.fee.borrow().clone().filter(|_| method == "icrc1_fee");
        let needed = Cycles(Self::CALL_COST.0 + cycles.0);
        let affordable = self.is_running() && self.cycles.get() >= needed;
        if fixed.is_some() {
            self.fee_queries.set(self.fee_queries.get() + 1);
        } else if affordable {
            self.calls.borrow_mut().push(MadeCall {
                canister,
                method: method.into(),
                argument,
            });
        }
        if affordable {
            self.cycles.set(Cycles(self.cycles.get().0 - cycles.0));
        }
        let call = affordable.then(|| ScriptedReply::begin(self, canister, fixed));
        async move {
            match call {
                Some(call) => call.await,
                None => {
                    CallOutcome::NotSent("too few cycles, or the canister is being stopped".into())
                }
            }
        }
    }
}

/// Runs a future that never waits.
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

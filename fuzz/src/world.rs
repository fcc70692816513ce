//! The system around the code under test.

use candid::Principal;
use std::{cell::RefCell, collections::VecDeque, future::Future};
use tollkeeper::{
    domain::settlement::CallOutcome,
    runtime::Runtime,
    types::{Cycles, TimestampNs},
};

/// A message of a controller, and canisters that answer what the input says, nothing in the end.
#[derive(Default)]
pub struct Controller(RefCell<VecDeque<Vec<u8>>>);

impl Controller {
    /// Calls get these replies, in order.
    pub fn answered(replies: VecDeque<Vec<u8>>) -> Self {
        Controller(RefCell::new(replies))
    }
}

impl Runtime for Controller {
    fn now(&self) -> TimestampNs {
        TimestampNs(1_767_225_600_000_000_000)
    }

    fn caller(&self) -> Principal {
        Principal::from_slice(&[100])
    }

    fn is_controller(&self, _: &Principal) -> bool {
        true
    }

    fn canister_id(&self) -> Principal {
        Principal::from_slice(&[0, 0, 0, 0, 0, 0, 0, 9, 1, 1])
    }

    fn liquid_cycles(&self) -> Cycles {
        Cycles(10_000_000_000_000)
    }

    fn call_cost(&self, _: &str, _: usize) -> Cycles {
        Cycles(42_000_000_000)
    }

    fn calls_to(&self, _: &Principal) -> u32 {
        0
    }

    fn is_running(&self) -> bool {
        true
    }

    fn root_key(&self) -> Vec<u8> {
        x402_icp::network::MAINNET_ROOT_KEY_DER.to_vec()
    }

    fn wake(&self, _: Option<TimestampNs>) {}

    fn wake_soon(&self) {}

    fn set_certified_data(&self, _: &[u8; 32]) {}

    fn data_certificate(&self) -> Option<Vec<u8>> {
        None
    }

    fn signature_cost(&self, _: &str) -> Option<Cycles> {
        Some(Cycles(26_153_846_153))
    }

    fn call_with(
        &self,
        _: Principal,
        _: &str,
        _: Vec<u8>,
        _: Cycles,
    ) -> impl Future<Output = CallOutcome> {
        let reply = self.0.borrow_mut().pop_front().unwrap_or_default();
        std::future::ready(CallOutcome::Reply(reply))
    }
}

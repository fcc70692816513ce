//! Answers calls: the truth, or the fault that was asked for.

use std::marker::PhantomData;

use candid::types::{Serializer, Type};
use candid::{CandidType, Principal};
use ic_cdk::api;
use ic_cdk::call::Call;

use super::state;
use crate::domain::Books;
use crate::faults::{Effect, Fault, Hold, Method, Reply, encode, reply};

/// Return type of a method that has already replied; in the interface it stands for `T`.
pub struct Answered<T>(PhantomData<T>);

impl<T: CandidType> CandidType for Answered<T> {
    fn _ty() -> Type {
        T::ty()
    }

    fn idl_serialize<S: Serializer>(&self, serializer: S) -> Result<(), S::Error> {
        serializer.serialize_null(())
    }
}

/// Answers an update method whose true effect and answer are `effect`.
pub async fn update<T: CandidType>(method: Method, effect: impl FnOnce() -> T) -> Answered<T> {
    let fault = state::config()
        .test_faults
        .then(|| state::faults(|faults| faults.take(method)))
        .flatten();
    match fault {
        None => api::msg_reply(encode(effect())),
        Some(fault) => misbehave(method, fault, effect).await,
    }
    Answered(PhantomData)
}

/// Answers a query method whose true answer is `honest`.
pub fn query<T: CandidType>(method: Method, honest: impl FnOnce() -> T) -> Answered<T> {
    let fault = state::config()
        .test_faults
        .then(|| state::faults(|faults| faults.standing(method)))
        .flatten();
    match fault {
        None => api::msg_reply(encode(honest())),
        Some(fault) => send(reply(method, &fault.answer, None, 0)),
    }
    Answered(PhantomData)
}

async fn misbehave<T: CandidType>(method: Method, fault: Fault, effect: impl FnOnce() -> T) {
    let newest = state::read(|ledger| ledger.tip()).map_or(0, |tip| tip.index);
    let honest = match fault.effect {
        Effect::None => {
            hold(method, fault.hold).await;
            None
        }
        Effect::BeforeHold => {
            let answer = effect();
            hold(method, fault.hold).await;
            Some(encode(answer))
        }
        Effect::AfterHold => {
            hold(method, fault.hold).await;
            Some(encode(effect()))
        }
    };
    let reply = reply(method, &fault.answer, honest, newest);
    if matches!(reply, Reply::Trap(_)) {
        commit().await;
    }
    send(reply);
}

fn send(reply: Reply) {
    match reply {
        Reply::Bytes(bytes) => api::msg_reply(bytes),
        Reply::Reject(message) => api::msg_reject(message),
        Reply::Trap(message) => api::trap(message),
    }
}

/// Ends this message, so that what it did is there whatever the next one does: calls a method of our own
/// that changes nothing.
async fn commit() {
    let own = Call::unbounded_wait(api::canister_self(), "icrc1_decimals");
    // Whether the call is answered or rejected, the message before it is over.
    let _ = own.await;
}

/// Waits, with a call always open so that the caller keeps waiting too.
async fn hold(method: Method, hold: Hold) {
    if hold == Hold::No {
        return;
    }
    let start = api::time();
    let waits = hold == Hold::UntilRelease;
    let ticket = state::faults(|faults| faults.begin_hold(method, waits));
    let mut polls = 0;
    loop {
        let over = match hold {
            Hold::No => true,
            Hold::UntilRelease => state::faults(|faults| faults.is_released(ticket)),
            Hold::Polls(wanted) => polls >= wanted,
            Hold::Nanos(wanted) => api::time().saturating_sub(start) >= wanted,
        };
        if over {
            break;
        }
        // `raw_rand` always takes rounds of its own, so polling it does not spin within a round.
        let random = Call::unbounded_wait(Principal::management_canister(), "raw_rand");
        if let Err(error) = random.await {
            // A call that fails at once would make this loop spin: give up, audibly.
            api::trap(format!("holding the reply back failed: {error}"));
        }
        polls += 1;
    }
    state::faults(|faults| faults.end_hold(ticket));
}

//! Inter-canister calls with the raw system interface, so that each callback is the test's own.

use crate::machine;
use crate::program::{CallSpec, Op};

struct Callbacks {
    on_reply: Vec<Op>,
    on_reject: Vec<Op>,
    on_cleanup: Vec<Op>,
}

/// Makes a call and returns what `call_perform` returned: 0 if it will be sent.
///
/// The callbacks' programs leak when `call_perform` refuses; tests do not mind.
pub fn perform(spec: &CallSpec) -> u32 {
    if spec.oneway {
        ic0::call_new_oneway(spec.callee.as_slice(), &spec.method);
    } else {
        let environment = Box::into_raw(Box::new(Callbacks {
            on_reply: spec.on_reply.clone(),
            on_reject: spec.on_reject.clone(),
            on_cleanup: spec.on_cleanup.clone().unwrap_or_default(),
        })) as usize;
        // SAFETY: `environment` is a pointer to a boxed `Callbacks`, which is what the callbacks
        // take, and exactly one of reply and reject runs.
        unsafe {
            ic0::call_new(
                spec.callee.as_slice(),
                &spec.method,
                on_reply,
                environment,
                on_reject,
                environment,
            );
            if spec.on_cleanup.is_some() {
                ic0::call_on_cleanup(on_cleanup, environment);
            }
        }
    }
    ic0::call_data_append(&spec.arg);
    if spec.padding > 0 {
        ic0::call_data_append(&vec![0; spec.padding as usize]);
    }
    if let Some(seconds) = spec.timeout {
        ic0::call_with_best_effort_response(seconds);
    }
    if spec.cycles > 0 {
        ic0::call_cycles_add128(spec.cycles);
    }
    ic0::call_perform()
}

/// Reads the callbacks without freeing them: if the callback traps, cleanup reads them again.
fn callbacks(environment: usize) -> &'static Callbacks {
    // SAFETY: `environment` comes from `Box::into_raw` in `perform` and is never freed.
    unsafe { &*(environment as *const Callbacks) }
}

unsafe extern "C" fn on_reply(environment: usize) {
    machine::run(&callbacks(environment).on_reply);
}

unsafe extern "C" fn on_reject(environment: usize) {
    machine::run(&callbacks(environment).on_reject);
}

unsafe extern "C" fn on_cleanup(environment: usize) {
    machine::run(&callbacks(environment).on_cleanup);
}

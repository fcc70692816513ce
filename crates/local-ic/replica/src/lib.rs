//! The deterministic state machine around the engine: subnets, canisters, queues, call contexts, rounds, timers, cycles, the management canister.
//!
//! The public surface the servers use. Everything is synchronous and single-threaded; the servers hold it behind one mutex.
//!
//! ```text
//! let mut replica = Replica::new(ReplicaConfig { root_key_der, subnets, initial_time, certifier })?;
//! replica.set_time(nanos)?; replica.round(); replica.busy(); replica.next_timer();
//! replica.submit(Ingress { … })?; replica.ingress_status(&id); replica.query(Query { … })?;
//! replica.cycles(id); replica.add_cycles(id, n); replica.controllers(id); replica.stable_memory(id); replica.canister_state(id);
//! replica.pending_http(); replica.answer_http(subnet, request_id, answer)?;
//! replica.last_instructions();
//! ```
//!
//! # What it follows
//!
//! The measured facts of a real local network: rounds and time, prices, error codes and texts, the
//! semantics of calls, callbacks, upgrades and deadlines. [`Replica::round`] describes a round.
//!
//! * A bounded-wait call that expires is answered with reject code 6 while the callee goes on. Its late
//!   answer is dropped. Cycles are not lost: what the callee accepted stays with it, what it did not
//!   accept goes back to the caller's balance when the late answer arrives, or at once if the request
//!   was not executed at all. The expired call's own callback sees a refund of zero.
//! * Ingress messages of a round, and the canisters that have something to do in it, come in an order
//!   that is the same in every run but not the order of submission.
//! * Time slicing: an execution of more than 2 000 000 000 instructions occupies its canister for
//!   several rounds, and what it did shows after the last of them.
//!
//! # Where it differs from the real thing
//!
//! * An execution of several rounds is computed in its first one: queries in between see its heap.
//! * Code installation takes one round, however long it runs.
//! * Cycles are never reserved, subnets never fill up, and there is no limit on the instructions of all
//!   canisters of a round together.
//! * Refused with a clear error: snapshots, vetKD, Bitcoin, flexible outcalls, node metrics, canister
//!   metadata by call, migration, `wasm_memory_persistence = keep`, `wasm_memory_threshold`.
//! * Query statistics are zero; uploading a chunk costs no more than its reception and storage.

mod canister;
mod effects;
mod errors;
mod execute;
mod fees;
mod history;
mod ids;
mod ingress;
mod ingress_history;
mod logs;
mod management;
mod message;
mod outcalls;
mod query;
mod random;
mod replica;
mod rounds;
mod signing;
mod subnet;
mod texts;
mod types;

pub use ids::{canister_id, canister_number};
pub use replica::Replica;
pub use types::*;

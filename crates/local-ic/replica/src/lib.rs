//! The deterministic state machine around the engine: subnets, canisters, queues, call contexts, rounds, timers, cycles, the management canister.
//!
//! The public surface the servers use. Everything is synchronous and single-threaded; the servers hold it behind one mutex.
//!
//! ```text
//! let mut replica = Replica::new(ReplicaConfig { root_key_der, subnets: Vec<SubnetConfig>, initial_time, certifier: Arc<dyn Certifier> });
//! // SubnetConfig { id: Principal, kind: SubnetKind, size: u32, ranges: Vec<(Principal, Principal)>, public_key_der: Vec<u8> }
//! // SubnetKind { Nns, Sns, Ii, Fiduciary, Bitcoin, Application, System, VerifiedApplication } ; kind.is_system()
//! replica.subnets() -> &[SubnetConfig]; replica.subnet_of(canister) -> Option<Principal>; replica.canister_exists(id) -> bool;
//! replica.time() -> u64; replica.set_time(nanos) -> Result<(), String>;  // past is refused
//! replica.round();                                        // one round on every subnet: +1 ns, or exactly the time set before it
//! replica.busy() -> bool;                                 // anything queued or due (live mode runs rounds while busy)
//! replica.next_timer() -> Option<u64>;                    // earliest global timer / deadline / outcall timeout
//! replica.submit(Ingress { sender, canister_id, effective: Effective, method, arg, id: MessageId([u8;32]) }) -> Result<Principal /*effective canister*/, UserError>;
//!     // validates as the boundary does (inspect_message, frozen, stopped, management payloads, size); UserError has reject_code u32, error_code (numeric), message, certified: bool
//! replica.ingress_status(&MessageId) -> IngressStatus;    // Unknown | Received | Processing | Replied(Vec<u8>) | Rejected(UserError) ; carries sender, effective canister & time for access control
//! replica.query(Query { sender, canister_id, effective, method, arg }) -> Result<Vec<u8>, UserError>;  // incl. composite queries and fetch_canister_logs on aaaaa-aa
//! replica.cycles(id), replica.add_cycles(id, n), replica.controllers(id), replica.stable_memory(id), replica.set_stable_memory(id, bytes);
//! replica.canister_state(id) -> Option<CanisterView { certified_data, module_hash, controllers, metadata: Vec<(name, public, bytes)> }>; // for read_state
//! replica.pending_http() -> Vec<HttpOutcall>; replica.answer_http(subnet, request_id, HttpAnswer) -> Result<(), String>;
//! replica.sign_with_ecdsa / schnorr are management calls with local keys derived from a fixed seed.
//! replica.last_instructions(): Vec<MessageCost>            // drained by callers that meter: one entry per execution since the last drain
//! //   MessageCost { canister, entry: String, instructions: u64, cycles_before, cycles_after }
//! ```
//! `Certifier` is how a query gets its data certificate without the replica knowing any key:
//! `trait Certifier: Send + Sync { fn data_certificate(&self, subnet: Principal, canister: Principal, certified_data: &[u8], time: u64) -> Vec<u8>; }`

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

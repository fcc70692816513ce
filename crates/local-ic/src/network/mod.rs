//! One IC instance: the deterministic replica behind a mutex, its keys, and the clock that may drive it.

pub mod describe;
mod fetch;
mod live;
mod outcalls;
pub mod topology;

use local_ic_cert::{
    Authority, CanisterLeaves, Principal, RequestStatus, StateTree, UnknownSubnet,
};
use local_ic_replica::{
    Certifier, IngressState, MessageId, Replica, ReplicaConfig, SubnetKind, UserError,
    canister_number,
};
use std::sync::{Arc, Mutex};
use thiserror::Error;
use tokio::sync::{Notify, watch};

pub use live::{Live, wall_clock};
pub use topology::PlannedSubnet;

/// 6 May 2021 21:17:10 CEST and 2 ns: where a PocketIC server's time starts.
pub const DEFAULT_INITIAL_TIME: u64 = 1_620_328_630_000_000_002;

/// Answers stay in the state tree this long, as on the IC; who has not asked by then finds nothing.
const ANSWER_LIFETIME_NS: u64 = 6 * 60 * 1_000_000_000;

/// A network could not be made.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// No subnets.
    #[error("a network needs at least one subnet")]
    NoSubnet,
    /// The replica's objection.
    #[error("{0}")]
    Replica(String),
}

/// The core panicked: a bug. Its state is not to be trusted any more.
#[derive(Clone, Copy, Debug, Error)]
#[error(
    "the local runtime failed on an earlier operation of this instance; see its standard error"
)]
pub struct Crashed;

/// One IC instance.
pub struct Network {
    core: Arc<Mutex<Core>>,
    authority: Arc<Authority>,
    /// Counts rounds; watchers wait for it to move.
    rounds: watch::Sender<u64>,
    /// Something was submitted: live mode need not wait for its timer.
    work: Notify,
    live: Mutex<Option<Live>>,
    in_flight: outcalls::InFlight,
}

/// What the mutex guards.
pub struct Core {
    /// The state machine.
    pub replica: Replica,
    /// Its subnets in the order they were planned.
    pub subnets: Vec<(Principal, PlannedSubnet)>,
    authority: Arc<Authority>,
    rounds: u64,
    messages: u64,
}

struct DataCertifier(Arc<Authority>);

impl Certifier for DataCertifier {
    fn data_certificate(
        &self,
        subnet: Principal,
        canister: Principal,
        certified_data: &[u8],
        time: u64,
    ) -> Vec<u8> {
        self.0
            .data_certificate(subnet, canister, certified_data, time)
            .expect("BUG: the replica has the subnets the authority has")
    }
}

impl Network {
    /// A network with these subnets. The NNS subnet, else the first, holds the root key.
    pub fn new(planned: Vec<PlannedSubnet>, initial_time: u64) -> Result<Arc<Self>, NetworkError> {
        let root = planned
            .iter()
            .position(|subnet| subnet.kind == SubnetKind::Nns)
            .unwrap_or(0);
        let mut built: Vec<_> = planned.iter().map(PlannedSubnet::build).collect();
        if built.is_empty() {
            return Err(NetworkError::NoSubnet);
        }
        let configs: Vec<_> = built.iter().map(|(config, _)| config.clone()).collect();
        let authority = Arc::new(Authority::new(built.remove(root).1));
        for (_, registry) in built {
            authority.add_subnet(registry);
        }
        let subnets = configs
            .iter()
            .map(|config| config.id)
            .zip(planned)
            .collect();
        let replica = Replica::new(ReplicaConfig {
            root_key_der: authority.root_key_der().to_vec(),
            subnets: configs,
            initial_time,
            certifier: Arc::new(DataCertifier(authority.clone())),
        })
        .map_err(NetworkError::Replica)?;
        Ok(Arc::new(Self {
            core: Arc::new(Mutex::new(Core {
                replica,
                subnets,
                authority: authority.clone(),
                rounds: 0,
                messages: 0,
            })),
            authority,
            rounds: watch::Sender::new(0),
            work: Notify::new(),
            live: Mutex::default(),
            in_flight: outcalls::InFlight::default(),
        }))
    }

    /// DER encoded root key.
    pub fn root_key_der(&self) -> &[u8] {
        self.authority.root_key_der()
    }

    /// Signs certificates and query responses.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Runs `work` on the core, on a thread that may block. Operations never overlap.
    pub async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Core) -> R + Send + 'static,
    ) -> Result<R, Crashed> {
        let core = self.core.clone();
        let (result, rounds) = tokio::task::spawn_blocking(move || {
            let mut core = core.lock().map_err(|_| Crashed)?;
            let result = work(&mut core);
            Ok((result, core.rounds))
        })
        .await
        .map_err(|_| Crashed)??;
        self.rounds.send_if_modified(|seen| {
            let moved = *seen < rounds;
            *seen = (*seen).max(rounds);
            moved
        });
        Ok(result)
    }

    /// Wakes live mode up: there is something to do.
    pub fn wake(&self) {
        self.work.notify_one();
    }

    /// A receiver that changes with every round.
    pub fn watch_rounds(&self) -> watch::Receiver<u64> {
        self.rounds.subscribe()
    }
}

impl Core {
    /// One round on every subnet.
    pub fn round(&mut self) {
        self.replica.round();
        self.rounds += 1;
    }

    /// An id for a message that was submitted without an envelope.
    pub fn next_message_id(&mut self) -> MessageId {
        use sha2::{Digest, Sha256};
        self.messages += 1;
        let mut hasher = Sha256::new();
        hasher.update(b"local-ic message");
        hasher.update(self.messages.to_be_bytes());
        MessageId(hasher.finalize().into())
    }

    /// Makes sure some subnet is in charge of `canister`, adding one for ids that exist on mainnet.
    pub fn ensure_subnet_of(&mut self, canister: Principal) -> Result<(), String> {
        if self.replica.subnet_of(canister).is_some() {
            return Ok(());
        }
        let planned = canister_number(canister)
            .and_then(topology::plan_for_canister)
            .ok_or_else(|| {
                format!(
                    "canister id {canister} belongs to no subnet of this instance: ids of the NNS and II subnets need an instance created with those subnets"
                )
            })?;
        let (config, registry) = planned.build();
        let id = config.id;
        self.authority.add_subnet(registry);
        self.replica.add_subnet(config)?;
        self.subnets.push((id, planned));
        Ok(())
    }

    /// The canister id that stands for the subnet new canisters go to by default.
    pub fn default_effective_canister_id(&self) -> Principal {
        let index = topology::default_subnet(self.subnets.iter().map(|(_, subnet)| subnet.kind));
        self.subnets
            .get(index)
            .and_then(|(_, subnet)| subnet.ranges.last())
            .map_or(Principal::management_canister(), |(start, _)| *start)
    }

    /// The state tree of a subnet at the last round.
    pub fn state_tree(&self, subnet: Principal) -> StateTree {
        let mut tree = self.authority.state_tree(subnet, self.replica.state_time());
        for canister in self.replica.canister_ids() {
            if self.replica.subnet_of(canister) == Some(subnet)
                && let Some(view) = self.replica.canister_state(canister)
            {
                let leaves = CanisterLeaves {
                    certified_data: view.certified_data,
                    module_hash: view.module_hash.map(|hash| hash.to_vec()),
                    controllers: view.controllers,
                    metadata: view
                        .metadata
                        .into_iter()
                        .map(|section| (section.name, section.data))
                        .collect(),
                };
                tree.insert_canister(canister, &leaves);
            }
        }
        let oldest = self.replica.state_time().saturating_sub(ANSWER_LIFETIME_NS);
        for id in self.replica.ingress_ids() {
            if let Some(status) = self.replica.ingress_status(&id)
                && (status.time >= oldest || !is_final(&status.state))
                && self.subnet_in_charge(status.effective_canister) == Some(subnet)
            {
                tree.insert_request_status(&id.0, &request_status(&status.state));
            }
        }
        tree
    }

    /// The subnet an effective id leads to; a subnet id leads to itself.
    pub fn subnet_in_charge(&self, effective: Principal) -> Option<Principal> {
        let itself = || {
            self.subnets
                .iter()
                .map(|(id, _)| *id)
                .find(|id| *id == effective)
        };
        self.replica.subnet_of(effective).or_else(itself)
    }

    /// A certificate of `subnet` over `paths` at the last round.
    pub fn certify(
        &self,
        subnet: Principal,
        paths: Vec<local_ic_cert::Path>,
    ) -> Result<Vec<u8>, UnknownSubnet> {
        let tree = self.state_tree(subnet);
        self.authority
            .certify(subnet, &tree, paths, self.replica.state_time())
    }
}

/// The `IC0nnn` form of an error code.
pub fn error_code(error: &UserError) -> String {
    format!("IC{:04}", error.error_code)
}

/// Whether a message has its answer.
pub fn is_final(state: &IngressState) -> bool {
    matches!(state, IngressState::Replied(_) | IngressState::Rejected(_))
}

fn request_status(state: &IngressState) -> RequestStatus {
    match state {
        IngressState::Received => RequestStatus::Received,
        IngressState::Processing => RequestStatus::Processing,
        IngressState::Replied(reply) => RequestStatus::Replied(reply.clone()),
        IngressState::Rejected(error) => RequestStatus::Rejected {
            code: error.reject_code.into(),
            message: error.message.clone(),
            error_code: error_code(error),
        },
    }
}

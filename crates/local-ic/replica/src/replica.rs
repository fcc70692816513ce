//! The network: configuration, time, and the surface the servers use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use local_ic_engine::Engine;

use crate::canister::Canister;
use crate::ids::{canister_number, in_ranges};
use crate::ingress_history::IngressHistory;
use crate::subnet::Subnet;
use crate::types::*;

pub(crate) const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A network of subnets with their canisters. See the crate's documentation.
pub struct Replica {
    pub(crate) engine: &'static Engine,
    pub(crate) root_key: Arc<Vec<u8>>,
    pub(crate) certifier: Arc<dyn Certifier>,
    pub(crate) configs: Vec<SubnetConfig>,
    pub(crate) subnets: Vec<Subnet>,
    pub(crate) time: u64,
    pub(crate) state_time: u64,
    pub(crate) time_was_set: bool,
    pub(crate) round_number: u64,
    pub(crate) canisters: BTreeMap<Principal, Canister>,
    /// Ids that are not given out again.
    pub(crate) deleted: BTreeSet<Principal>,
    pub(crate) ingress_history: IngressHistory,
    /// Source of the numbers of call contexts and callbacks.
    pub(crate) next_number: u64,
    pub(crate) costs: Vec<MessageCost>,
}

/// The engine of the process: compiled modules are shared by all networks.
fn shared_engine() -> Result<&'static Engine, String> {
    static ENGINE: OnceLock<Result<Engine, String>> = OnceLock::new();
    ENGINE
        .get_or_init(|| Engine::new().map_err(|error| error.to_string()))
        .as_ref()
        .map_err(Clone::clone)
}

/// Checks that a subnet's ranges are well formed and free of `others`.
fn check_ranges(subnet: &SubnetConfig, others: &[SubnetConfig]) -> Result<(), String> {
    if subnet.size == 0 {
        return Err(format!("subnet {} has no nodes", subnet.id));
    }
    if others.iter().any(|other| other.id == subnet.id) {
        return Err(format!("there is a subnet {} already", subnet.id));
    }
    let number = |id| canister_number(id).ok_or_else(|| format!("{id} is no canister id"));
    for &(start, end) in &subnet.ranges {
        let (first, last) = (number(start)?, number(end)?);
        if first > last {
            return Err(format!("the range {start} to {end} is empty"));
        }
        for &(other_start, other_end) in others.iter().flat_map(|other| &other.ranges) {
            if number(other_start)? <= last && first <= number(other_end)? {
                return Err(format!(
                    "the range {start} to {end} overlaps {other_start} to {other_end}"
                ));
            }
        }
    }
    Ok(())
}

impl Replica {
    /// A network without canisters at `config.initial_time`. Errors: a range that is malformed or
    /// claimed twice, or an engine that cannot start.
    pub fn new(config: ReplicaConfig) -> Result<Self, String> {
        let mut replica = Self {
            engine: shared_engine()?,
            root_key: Arc::new(config.root_key_der),
            certifier: config.certifier,
            configs: Vec::new(),
            subnets: Vec::new(),
            time: config.initial_time,
            state_time: config.initial_time,
            time_was_set: false,
            round_number: 0,
            canisters: BTreeMap::new(),
            deleted: BTreeSet::new(),
            ingress_history: IngressHistory::default(),
            next_number: 1,
            costs: Vec::new(),
        };
        for subnet in config.subnets {
            replica.add_subnet(subnet)?;
        }
        Ok(replica)
    }

    /// The configured subnets, in order of their turns in a round.
    pub fn subnets(&self) -> &[SubnetConfig] {
        &self.configs
    }

    /// Adds a subnet to the running network. Errors as for [`Self::new`].
    pub fn add_subnet(&mut self, subnet: SubnetConfig) -> Result<(), String> {
        check_ranges(&subnet, &self.configs)?;
        self.subnets.push(Subnet::new(&subnet));
        self.configs.push(subnet);
        Ok(())
    }

    /// The subnet whose ranges hold `canister`, whether or not the canister exists.
    pub fn subnet_of(&self, canister: Principal) -> Option<Principal> {
        self.subnet_index(canister)
            .map(|index| self.configs[index].id)
    }

    pub(crate) fn subnet_index(&self, canister: Principal) -> Option<usize> {
        self.configs
            .iter()
            .position(|subnet| in_ranges(&subnet.ranges, canister))
    }

    /// Whether the canister was created and not deleted.
    pub fn canister_exists(&self, canister: Principal) -> bool {
        self.canisters.contains_key(&canister)
    }

    /// All existing canisters, in order of their ids.
    pub fn canister_ids(&self) -> Vec<Principal> {
        self.canisters.keys().copied().collect()
    }

    /// The time the next round starts from: moved at once by [`Self::set_time`].
    pub fn time(&self) -> u64 {
        self.time
    }

    /// Time of the last round: what queries see and certificates carry.
    pub fn state_time(&self) -> u64 {
        self.state_time
    }

    /// Sets the time of the next round. The past is refused.
    pub fn set_time(&mut self, nanos: u64) -> Result<(), String> {
        if nanos < self.time {
            return Err(format!("SettingTimeIntoPast(({}, {nanos}))", self.time));
        }
        self.time = nanos;
        self.time_was_set = true;
        Ok(())
    }

    /// `None` for an unknown message.
    pub fn ingress_status(&self, id: &MessageId) -> Option<&IngressStatus> {
        self.ingress_history.get(id)
    }

    /// All known ingress messages, in order of their ids.
    pub fn ingress_ids(&self) -> impl Iterator<Item = MessageId> + '_ {
        self.ingress_history.ids()
    }

    /// The balance, `None` for an unknown canister.
    pub fn cycles(&self, canister: Principal) -> Option<Cycles> {
        self.canisters
            .get(&canister)
            .map(|canister| canister.balance)
    }

    /// Adds cycles out of nothing and returns the new balance.
    pub fn add_cycles(&mut self, canister: Principal, amount: Cycles) -> Option<Cycles> {
        let canister = self.canisters.get_mut(&canister)?;
        canister.balance = canister.balance.saturating_add(amount);
        Some(canister.balance)
    }

    /// The controllers, `None` for an unknown canister.
    pub fn controllers(&self, canister: Principal) -> Option<Vec<Principal>> {
        self.canisters
            .get(&canister)
            .map(|canister| canister.settings.controllers.clone())
    }

    /// The stable memory; empty for a canister without code, `None` for an unknown one.
    pub fn stable_memory(&self, canister: Principal) -> Option<Vec<u8>> {
        let canister = self.canisters.get(&canister)?;
        Some(
            canister
                .code
                .as_ref()
                .map(|code| code.instance.stable_bytes())
                .unwrap_or_default(),
        )
    }

    /// Replaces the stable memory (padded with zeros to whole pages).
    pub fn set_stable_memory(&mut self, canister: Principal, bytes: &[u8]) -> Result<(), String> {
        let code = self
            .canisters
            .get_mut(&canister)
            .ok_or_else(|| format!("Canister {canister} not found"))?
            .code
            .as_mut()
            .ok_or_else(|| format!("Canister {canister} has no wasm module"))?;
        code.instance.set_stable_bytes(bytes);
        Ok(())
    }

    /// What the certified state tree shows of a canister.
    pub fn canister_state(&self, canister: Principal) -> Option<CanisterView> {
        let canister = self.canisters.get(&canister)?;
        let metadata = canister.code.iter().flat_map(|code| {
            code.module
                .custom_sections()
                .iter()
                .map(|section| Metadata {
                    name: section.name.clone(),
                    public: section.public,
                    data: section.data.clone(),
                })
        });
        Some(CanisterView {
            certified_data: canister.certified_data.clone(),
            module_hash: canister.code.as_ref().map(|code| code.module.hash()),
            controllers: canister.settings.controllers.clone(),
            metadata: metadata.collect(),
        })
    }

    /// The costs of all executions since the last call.
    pub fn last_instructions(&mut self) -> Vec<MessageCost> {
        std::mem::take(&mut self.costs)
    }

    /// A fresh number for a call context or callback.
    pub(crate) fn number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }
}

//! The network: configuration, time, and the surface the servers use.

use crate::ids::in_ranges;
use crate::types::*;

/// A network of subnets with their canisters. See the crate's documentation.
pub struct Replica {
    config: ReplicaConfig,
    time: u64,
    state_time: u64,
    time_was_set: bool,
}

impl Replica {
    /// A network without canisters at `config.initial_time`.
    pub fn new(config: ReplicaConfig) -> Result<Self, String> {
        let time = config.initial_time;
        Ok(Self {
            config,
            time,
            state_time: time,
            time_was_set: false,
        })
    }

    pub fn subnets(&self) -> &[SubnetConfig] {
        &self.config.subnets
    }

    /// Adds a subnet to the running network.
    pub fn add_subnet(&mut self, subnet: SubnetConfig) -> Result<(), String> {
        self.config.subnets.push(subnet);
        Ok(())
    }

    /// The subnet whose ranges hold `canister`, whether or not the canister exists.
    pub fn subnet_of(&self, canister: Principal) -> Option<Principal> {
        self.config
            .subnets
            .iter()
            .find(|subnet| in_ranges(&subnet.ranges, canister))
            .map(|subnet| subnet.id)
    }

    pub fn canister_exists(&self, _canister: Principal) -> bool {
        false
    }

    /// All existing canisters, in order of their ids.
    pub fn canister_ids(&self) -> Vec<Principal> {
        Vec::new()
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

    /// Runs one round on every subnet.
    pub fn round(&mut self) {
        if !std::mem::take(&mut self.time_was_set) {
            self.time += 1;
        }
        self.state_time = self.time;
    }

    /// Whether another round has work to do at the present time.
    pub fn busy(&self) -> bool {
        false
    }

    /// The earliest time at which something happens by itself (global timer, deadline, timeout).
    pub fn next_timer(&self) -> Option<u64> {
        None
    }

    /// Takes an ingress message; it runs in the next round. Returns its effective canister.
    pub fn submit(&mut self, ingress: Ingress) -> Result<Principal, RequestError> {
        Err(UserError::new(
            ErrorCode::CanisterNotFound,
            format!("Canister {} not found", ingress.canister_id),
        )
        .into())
    }

    pub fn ingress_status(&self, _id: &MessageId) -> Option<&IngressStatus> {
        None
    }

    /// All known ingress messages, in order of their ids.
    pub fn ingress_ids(&self) -> impl Iterator<Item = MessageId> + '_ {
        std::iter::empty()
    }

    /// Runs a query (also composite, and `fetch_canister_logs` of the management canister).
    pub fn query(&mut self, query: Query) -> Result<Vec<u8>, RequestError> {
        Err(UserError::new(
            ErrorCode::CanisterNotFound,
            format!("Canister {} not found", query.canister_id),
        )
        .into())
    }

    pub fn cycles(&self, _canister: Principal) -> Option<Cycles> {
        None
    }

    /// Adds cycles out of nothing and returns the new balance.
    pub fn add_cycles(&mut self, _canister: Principal, _amount: Cycles) -> Option<Cycles> {
        None
    }

    pub fn controllers(&self, _canister: Principal) -> Option<Vec<Principal>> {
        None
    }

    pub fn stable_memory(&self, _canister: Principal) -> Option<Vec<u8>> {
        None
    }

    /// Replaces the stable memory (padded with zeros to whole pages).
    pub fn set_stable_memory(&mut self, canister: Principal, _bytes: &[u8]) -> Result<(), String> {
        Err(format!("Canister {canister} not found"))
    }

    pub fn canister_state(&self, _canister: Principal) -> Option<CanisterView> {
        None
    }

    /// HTTP outcalls without an answer, in order of their ids.
    pub fn pending_http(&self) -> Vec<HttpOutcall> {
        Vec::new()
    }

    /// Answers an outcall; the canister gets it in the next round.
    pub fn answer_http(
        &mut self,
        _subnet: Principal,
        request_id: u64,
        _answer: HttpAnswer,
    ) -> Result<(), String> {
        Err(format!("there is no pending outcall {request_id}"))
    }

    /// The costs of all executions since the last call.
    pub fn last_instructions(&mut self) -> Vec<MessageCost> {
        Vec::new()
    }
}

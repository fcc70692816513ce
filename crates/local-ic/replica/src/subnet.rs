//! The state of one subnet besides its canisters.

use std::collections::{BTreeMap, BTreeSet};

use crate::fees::Prices;
use crate::ids::canister_number;
use crate::management::ManagementCall;
use crate::message::{Message, Response};
use crate::outcalls::Outcall;
use crate::types::{Ingress, Principal, SubnetConfig};

/// A response that the subnet gives in a later round.
#[derive(Clone, Debug)]
pub struct Delayed {
    pub round: u64,
    pub response: Response,
}

/// Queues and counters of a subnet.
pub struct Subnet {
    pub id: Principal,
    pub size: u32,
    pub prices: Prices,
    /// Number of the next canister id and the last one there is, `None` if the subnet has no range.
    pub free_ids: Option<(u64, u64)>,
    /// Accepted from outside, for the next round.
    pub ingress: Vec<Ingress>,
    /// From other subnets.
    pub incoming: Vec<Message>,
    /// Between canisters of this subnet.
    pub local: Vec<Message>,
    pub management: Vec<ManagementCall>,
    pub delayed: Vec<Delayed>,
    pub outcalls: BTreeMap<u64, Outcall>,
    pub next_outcall: u64,
    /// Hashes of the modules compiled here before.
    pub compiled: BTreeSet<[u8; 32]>,
}

impl Subnet {
    /// The start state of a configured subnet.
    pub fn new(config: &SubnetConfig) -> Self {
        let free_ids = config
            .ranges
            .last()
            .and_then(|&(start, end)| Some((canister_number(start)?, canister_number(end)?)));
        Self {
            id: config.id,
            size: config.size,
            prices: Prices::new(config),
            free_ids,
            ingress: Vec::new(),
            incoming: Vec::new(),
            local: Vec::new(),
            management: Vec::new(),
            delayed: Vec::new(),
            outcalls: BTreeMap::new(),
            next_outcall: 0,
            compiled: BTreeSet::new(),
        }
    }

    /// Whether a round would find something to do besides the canisters' own queues.
    pub fn busy(&self) -> bool {
        !self.ingress.is_empty()
            || !self.incoming.is_empty()
            || !self.local.is_empty()
            || !self.management.is_empty()
            || !self.delayed.is_empty()
            || self
                .outcalls
                .values()
                .any(|outcall| outcall.answer.is_some())
    }
}

//! The subnets of an instance.

use super::RawCanisterId;
use candid::Principal;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Serialize)]
pub(crate) struct Topology {
    pub subnet_configs: BTreeMap<Principal, SubnetConfig>,
    pub default_effective_canister_id: RawCanisterId,
}

#[derive(Debug, Serialize)]
pub(crate) struct SubnetConfig {
    pub subnet_kind: &'static str,
    /// Never set: such subnets are refused.
    pub subnet_admins: Option<()>,
    /// Always `Normal`.
    pub cost_schedule: &'static str,
    pub subnet_seed: [u8; 32],
    /// Always `Production`.
    pub instruction_config: &'static str,
    pub canister_ranges: Vec<CanisterIdRange>,
}

#[derive(Debug, Serialize)]
pub(crate) struct CanisterIdRange {
    pub start: RawCanisterId,
    pub end: RawCanisterId,
}

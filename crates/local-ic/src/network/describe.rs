//! The network's subnets in the shape the REST protocol gives them.

use super::{Core, PlannedSubnet};
use local_ic_replica::SubnetKind;
use pocket_ic::common::rest::{
    CanisterCyclesCostSchedule, CanisterIdRange, RawCanisterId, SubnetConfig,
    SubnetInstructionConfig, SubnetKind as RestKind, Topology,
};

/// The topology of a network.
pub fn topology(core: &Core) -> Topology {
    Topology {
        subnet_configs: core
            .subnets
            .iter()
            .map(|(id, subnet)| (*id, describe(subnet)))
            .collect(),
        default_effective_canister_id: core.default_effective_canister_id().into(),
    }
}

fn describe(subnet: &PlannedSubnet) -> SubnetConfig {
    SubnetConfig {
        subnet_kind: rest_kind(subnet.kind),
        subnet_admins: None,
        cost_schedule: CanisterCyclesCostSchedule::Normal,
        subnet_seed: subnet.seed,
        instruction_config: SubnetInstructionConfig::Production,
        canister_ranges: subnet
            .ranges
            .iter()
            .map(|(start, end)| CanisterIdRange {
                start: RawCanisterId::from(*start),
                end: RawCanisterId::from(*end),
            })
            .collect(),
    }
}

/// The protocol's name of a kind of subnet.
pub fn rest_kind(kind: SubnetKind) -> RestKind {
    match kind {
        SubnetKind::Nns => RestKind::NNS,
        SubnetKind::Sns => RestKind::SNS,
        SubnetKind::Ii => RestKind::II,
        SubnetKind::Fiduciary => RestKind::Fiduciary,
        SubnetKind::Bitcoin => RestKind::Bitcoin,
        SubnetKind::Application => RestKind::Application,
        SubnetKind::System => RestKind::System,
        SubnetKind::VerifiedApplication => RestKind::VerifiedApplication,
    }
}

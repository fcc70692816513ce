//! The network's subnets in the shape the REST protocol gives them.

use super::{Core, PlannedSubnet};
use crate::protocol::{CanisterIdRange, RawCanisterId, SubnetConfig, Topology};
use local_ic_replica::SubnetKind;

/// The topology of a network.
pub(crate) fn topology(core: &Core) -> Topology {
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
        cost_schedule: "Normal",
        subnet_seed: subnet.seed,
        instruction_config: "Production",
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
pub fn rest_kind(kind: SubnetKind) -> &'static str {
    match kind {
        SubnetKind::Nns => "NNS",
        SubnetKind::Sns => "SNS",
        SubnetKind::Ii => "II",
        SubnetKind::Fiduciary => "Fiduciary",
        SubnetKind::Bitcoin => "Bitcoin",
        SubnetKind::Application => "Application",
        SubnetKind::System => "System",
        SubnetKind::VerifiedApplication => "VerifiedApplication",
    }
}

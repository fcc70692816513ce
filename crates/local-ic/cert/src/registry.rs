//! What the state tree shows of the network's subnets: `/subnet/<id>` and `/canister_ranges/<id>`.

use crate::{StateTree, SubnetKeys, self_describing_cbor};
use candid::Principal;
use serde_bytes::Bytes;

/// `/subnet/<id>/type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubnetType {
    /// NNS, Internet Identity and other system subnets.
    System,
    /// Application subnets, the fiduciary subnet among them.
    Application,
    /// Verified application subnets.
    VerifiedApplication,
}

impl SubnetType {
    fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Application => "application",
            Self::VerifiedApplication => "verified_application",
        }
    }
}

/// A subnet as the registry of the network lists it.
pub struct RegistrySubnet {
    /// Its keys; only public parts get into any tree.
    pub keys: SubnetKeys,
    /// Its type.
    pub subnet_type: SubnetType,
    /// Canister ids it is in charge of, inclusive.
    pub ranges: Vec<(Principal, Principal)>,
}

impl RegistrySubnet {
    /// Adds this subnet's entries. Node keys are shown only in the subnet's own tree.
    pub(crate) fn insert_into(&self, tree: &mut StateTree, with_nodes: bool) {
        let keys = &self.keys;
        let subnet = keys.id();
        let id = subnet.as_slice();
        let ranges = encode_ranges(&self.ranges);
        tree.insert(
            &[b"subnet", id, b"public_key"],
            keys.public_key_der().to_vec(),
        );
        tree.insert(&[b"subnet", id, b"canister_ranges"], ranges.clone());
        tree.insert(&[b"subnet", id, b"type"], self.subnet_type.name().into());
        if with_nodes {
            for node in keys.nodes() {
                let key = node.public_key_der.clone();
                tree.insert(
                    &[b"subnet", id, b"node", node.id.as_slice(), b"public_key"],
                    key,
                );
            }
        }
        // One shard holds all ranges; its label is the first canister id of the first range.
        if let Some(first) = self.ranges.iter().map(|(start, _)| start).min() {
            tree.insert(&[b"canister_ranges", id, first.as_slice()], ranges);
        }
    }
}

fn encode_ranges(ranges: &[(Principal, Principal)]) -> Vec<u8> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    let pairs: Vec<(&Bytes, &Bytes)> = sorted
        .iter()
        .map(|(start, end)| (Bytes::new(start.as_slice()), Bytes::new(end.as_slice())))
        .collect();
    self_describing_cbor(&pairs)
}

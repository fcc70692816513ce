//! Which subnets a network has, with the ids and canister ranges they have on mainnet.

use local_ic_cert::{Principal, RegistrySubnet, SubnetKeys, SubnetType};
use local_ic_replica::{SubnetConfig, SubnetKind, canister_id};
use sha2::{Digest, Sha256};

/// Canister ids a subnet is given at a time.
const IDS_PER_RANGE: u64 = 1 << 20;
/// Where ranges start that exist on no mainnet subnet; each next one lies below.
const FIRST_GENERATED_RANGE: u64 = 0xFFFF_FFFF_FFE0_0000;

/// A subnet to be: everything about it is decided.
#[derive(Clone, Debug)]
pub struct PlannedSubnet {
    /// What it is for.
    pub kind: SubnetKind,
    /// Inclusive canister id ranges; new canisters without a given id come from the last one.
    pub ranges: Vec<(Principal, Principal)>,
    /// Its keys are derived from this.
    pub seed: [u8; 32],
}

impl PlannedSubnet {
    fn new(kind: SubnetKind, ranges: &[(u64, u64)]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"local-ic subnet");
        hasher.update([kind as u8]);
        for (start, end) in ranges {
            hasher.update(start.to_be_bytes());
            hasher.update(end.to_be_bytes());
        }
        Self {
            kind,
            ranges: ranges
                .iter()
                .map(|(start, end)| (canister_id(*start), canister_id(*end)))
                .collect(),
            seed: hasher.finalize().into(),
        }
    }

    /// Number of nodes, as on mainnet.
    pub fn size(&self) -> u32 {
        match self.kind {
            SubnetKind::Nns => 40,
            SubnetKind::Sns | SubnetKind::Ii | SubnetKind::Fiduciary => 34,
            _ => 13,
        }
    }

    /// Makes the keys: what the replica gets to know and what stays with the certificates.
    pub fn build(&self) -> (SubnetConfig, RegistrySubnet) {
        let keys = SubnetKeys::derive(&self.seed, self.size());
        let config = SubnetConfig {
            id: keys.id(),
            kind: self.kind,
            size: self.size(),
            ranges: self.ranges.clone(),
            public_key_der: keys.public_key_der().to_vec(),
        };
        let subnet_type = match self.kind {
            kind if kind.is_system() => SubnetType::System,
            SubnetKind::VerifiedApplication => SubnetType::VerifiedApplication,
            _ => SubnetType::Application,
        };
        let registry = RegistrySubnet {
            keys,
            subnet_type,
            ranges: self.ranges.clone(),
        };
        (config, registry)
    }
}

/// Plans the subnets of a network. Named kinds come once, with their mainnet ranges.
pub fn plan(kinds: &[SubnetKind]) -> Vec<PlannedSubnet> {
    kinds
        .iter()
        .zip(0..)
        .map(|(kind, index)| {
            let start = FIRST_GENERATED_RANGE - index * IDS_PER_RANGE;
            let mut ranges = mainnet_ranges(*kind).to_vec();
            ranges.push((start, start + IDS_PER_RANGE - 1));
            PlannedSubnet::new(*kind, &ranges)
        })
        .collect()
}

/// The subnet that is added when a canister is created with the id of a mainnet canister nobody is in charge
/// of here: an application subnet with the range of 2^20 ids around it. `None` for ids of the NNS and of
/// Internet Identity, whose subnets must exist from the start, and for ids outside of mainnet's ranges.
pub fn plan_for_canister(number: u64) -> Option<PlannedSubnet> {
    let start = number & !(IDS_PER_RANGE - 1);
    let named = |kind| {
        mainnet_ranges(kind)
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&number))
    };
    let generated = number >= FIRST_GENERATED_RANGE - (1 << 40);
    if named(SubnetKind::Nns) || named(SubnetKind::Ii) || generated {
        return None;
    }
    Some(PlannedSubnet::new(
        SubnetKind::Application,
        &[(start, start + IDS_PER_RANGE - 1)],
    ))
}

fn mainnet_ranges(kind: SubnetKind) -> &'static [(u64, u64)] {
    match kind {
        SubnetKind::Nns => &[(0, 6), (8, 0xF_FFFF)],
        SubnetKind::Ii => &[(7, 7), (0x210_0000, 0x21F_FFFF)],
        SubnetKind::Sns => &[(0x200_0000, 0x20F_FFFF)],
        SubnetKind::Fiduciary => &[(0x230_0000, 0x23F_FFFF)],
        SubnetKind::Bitcoin => &[(0x1A0_0000, 0x1AF_FFFF)],
        SubnetKind::Application | SubnetKind::System | SubnetKind::VerifiedApplication => &[],
    }
}

/// The subnet a canister is created on when nothing says where: the first application subnet, else the first
/// of a kind that is likewise for anyone, else the first.
pub fn default_subnet(kinds: impl Iterator<Item = SubnetKind> + Clone) -> usize {
    [
        SubnetKind::Application,
        SubnetKind::VerifiedApplication,
        SubnetKind::System,
    ]
    .into_iter()
    .find_map(|wanted| kinds.clone().position(|kind| kind == wanted))
    .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range_texts(kind: SubnetKind) -> Vec<(String, String)> {
        plan(&[kind])[0]
            .ranges
            .iter()
            .map(|(start, end)| (start.to_text(), end.to_text()))
            .collect()
    }

    #[test]
    fn should_give_named_subnets_their_mainnet_ranges() {
        let pair = |start: &str, end: &str| (start.to_owned(), end.to_owned());
        assert_eq!(
            range_texts(SubnetKind::Nns)[..2],
            [
                pair("rwlgt-iiaaa-aaaaa-aaaaa-cai", "renrk-eyaaa-aaaaa-aaada-cai"),
                pair("qoctq-giaaa-aaaaa-aaaea-cai", "n5n4y-3aaaa-aaaaa-p777q-cai"),
            ]
        );
        assert_eq!(
            range_texts(SubnetKind::Ii)[..2],
            [
                pair("rdmx6-jaaaa-aaaaa-aaadq-cai", "rdmx6-jaaaa-aaaaa-aaadq-cai"),
                pair("uc7f6-kaaaa-aaaaq-qaaaa-cai", "ijz7v-ziaaa-aaaaq-7777q-cai"),
            ]
        );
        assert_eq!(
            range_texts(SubnetKind::Fiduciary)[0],
            pair("mf7xa-laaaa-aaaar-qaaaa-cai", "qoznl-yiaaa-aaaar-7777q-cai")
        );
        assert_eq!(
            range_texts(SubnetKind::Application)[0].0,
            "lxzze-o7777-77777-aaaaa-cai"
        );
    }

    #[test]
    fn should_never_give_two_subnets_the_same_id_or_range() {
        use SubnetKind::*;
        let planned = plan(&[
            Nns,
            Sns,
            Ii,
            Fiduciary,
            Bitcoin,
            System,
            Application,
            Application,
        ]);
        let mut ranges: Vec<_> = planned
            .iter()
            .flat_map(|subnet| subnet.ranges.clone())
            .collect();
        ranges.sort();
        assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0));
        let mut seeds: Vec<_> = planned.iter().map(|subnet| subnet.seed).collect();
        seeds.sort();
        seeds.dedup();
        assert_eq!(seeds.len(), planned.len());
    }

    #[test]
    fn should_plan_a_subnet_around_a_mainnet_canister() {
        let planned = plan_for_canister(0x230_015b).expect("ckUSDC is on no system subnet");
        assert_eq!(
            planned.ranges,
            [(canister_id(0x230_0000), canister_id(0x23F_FFFF))]
        );
        assert!(plan_for_canister(2).is_none());
        assert!(plan_for_canister(7).is_none());
        assert!(plan_for_canister(FIRST_GENERATED_RANGE).is_none());
    }

    #[test]
    fn should_prefer_application_subnets_for_new_canisters() {
        use SubnetKind::*;
        assert_eq!(default_subnet([Nns, System, Application].into_iter()), 2);
        assert_eq!(default_subnet([Nns, System].into_iter()), 1);
        assert_eq!(default_subnet([Nns, Fiduciary].into_iter()), 0);
    }
}

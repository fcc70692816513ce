//! The signing side of a network: one root subnet, any number of subnets it delegates to.

use crate::{Path, RegistrySubnet, StateTree, query, self_describing_cbor};
use candid::Principal;
use ic_certification::{Certificate, Delegation, HashTree, fork, label, leaf, pruned};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use thiserror::Error;

/// A delegation is signed anew when it is older than this, so that clients that check its age accept it.
const DELEGATION_LIFETIME_NS: u64 = 60 * 1_000_000_000;

/// Asked to sign for a subnet that is not part of the network.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("subnet {0} is not part of this network")]
pub struct UnknownSubnet(pub Principal);

/// Holds every key of a network and signs certificates and query responses with them.
pub struct Authority {
    root: Arc<RegistrySubnet>,
    subnets: RwLock<Vec<Arc<RegistrySubnet>>>,
    delegations: Mutex<HashMap<Principal, (u64, Vec<u8>)>>,
    /// The last data certificate per subnet: queries of one round often ask for the same one.
    data_certificates: Mutex<HashMap<Principal, (DataKey, Vec<u8>)>>,
}

type DataKey = (Principal, Vec<u8>, u64);

impl Authority {
    /// A network whose root of trust is the key of `root`.
    pub fn new(root: RegistrySubnet) -> Self {
        let root = Arc::new(root);
        Self {
            subnets: RwLock::new(vec![root.clone()]),
            root,
            delegations: Mutex::default(),
            data_certificates: Mutex::default(),
        }
    }

    /// Adds a subnet the root delegates to.
    pub fn add_subnet(&self, subnet: RegistrySubnet) {
        self.subnets
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::new(subnet));
    }

    /// DER encoded root key of the network.
    pub fn root_key_der(&self) -> &[u8] {
        self.root.keys.public_key_der()
    }

    /// DER encoded key of one subnet.
    pub fn public_key_der(&self, subnet: Principal) -> Result<Vec<u8>, UnknownSubnet> {
        Ok(self.subnet(subnet)?.keys.public_key_der().to_vec())
    }

    /// A tree with `/time` and the network's subnets, as `subnet` shows it; the caller adds canisters and
    /// request statuses.
    pub fn state_tree(&self, subnet: Principal, time: u64) -> StateTree {
        let mut tree = StateTree::at(time);
        for entry in self
            .subnets
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            entry.insert_into(&mut tree, entry.keys.id() == subnet);
        }
        tree
    }

    /// A certificate of `subnet` over the given paths and `/time`.
    pub fn certify(
        &self,
        subnet: Principal,
        tree: &StateTree,
        mut paths: Vec<Path>,
        time: u64,
    ) -> Result<Vec<u8>, UnknownSubnet> {
        paths.push(vec![b"time".to_vec()]);
        self.sign(subnet, tree.witness(&paths), time)
    }

    /// The certificate a query of `canister` gets from `ic0.data_certificate_copy`.
    pub fn data_certificate(
        &self,
        subnet: Principal,
        canister: Principal,
        certified_data: &[u8],
        time: u64,
    ) -> Result<Vec<u8>, UnknownSubnet> {
        let key = (canister, certified_data.to_vec(), time);
        if let Some((known, certificate)) = lock(&self.data_certificates).get(&subnet)
            && *known == key
        {
            return Ok(certificate.clone());
        }
        let certificate = self.sign(subnet, data_witness(canister, certified_data, time), time)?;
        lock(&self.data_certificates).insert(subnet, (key, certificate.clone()));
        Ok(certificate)
    }

    /// Signs a query response as the first node of `subnet`; see [`crate::query_response`].
    pub(crate) fn sign_query(
        &self,
        subnet: Principal,
        message: &[u8],
        time: u64,
    ) -> Result<query::NodeSignature, UnknownSubnet> {
        let subnet = self.subnet(subnet)?;
        let node = subnet
            .keys
            .nodes()
            .first()
            .expect("BUG: a subnet has at least one node");
        Ok(query::NodeSignature {
            timestamp: time,
            signature: node.sign(message),
            identity: node.id,
        })
    }

    fn subnet(&self, id: Principal) -> Result<Arc<RegistrySubnet>, UnknownSubnet> {
        self.subnets
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .find(|subnet| subnet.keys.id() == id)
            .cloned()
            .ok_or(UnknownSubnet(id))
    }

    fn sign(&self, subnet: Principal, tree: HashTree, time: u64) -> Result<Vec<u8>, UnknownSubnet> {
        let signer = self.subnet(subnet)?;
        let delegation = if subnet == self.root.keys.id() {
            None
        } else {
            Some(Delegation {
                subnet_id: subnet.as_slice().to_vec(),
                certificate: self.delegation_certificate(subnet, time)?,
            })
        };
        Ok(signed(&signer, tree, delegation))
    }

    fn delegation_certificate(
        &self,
        subnet: Principal,
        time: u64,
    ) -> Result<Vec<u8>, UnknownSubnet> {
        let mut known = lock(&self.delegations);
        if let Some((signed_at, certificate)) = known.get(&subnet)
            && time.abs_diff(*signed_at) < DELEGATION_LIFETIME_NS
        {
            return Ok(certificate.clone());
        }
        self.subnet(subnet)?;
        let id = subnet.as_slice().to_vec();
        let tree = self.state_tree(self.root.keys.id(), time);
        // Both places of the ranges: older verifiers look below `/subnet`, newer ones at the shards.
        let witness = tree.witness(&[
            vec![b"canister_ranges".to_vec(), id.clone()],
            vec![b"subnet".to_vec(), id.clone(), b"canister_ranges".to_vec()],
            vec![b"subnet".to_vec(), id, b"public_key".to_vec()],
            vec![b"time".to_vec()],
        ]);
        let certificate = signed(&self.root, witness, None);
        known.insert(subnet, (time, certificate.clone()));
        Ok(certificate)
    }
}

fn signed(signer: &RegistrySubnet, tree: HashTree, delegation: Option<Delegation>) -> Vec<u8> {
    let message = [&b"\x0Dic-state-root"[..], &tree.digest()].concat();
    self_describing_cbor(&Certificate {
        tree,
        signature: signer.keys.sign(&message),
        delegation,
    })
}

/// The witness of a data certificate. Only two leaves of the state tree are known here, so that the other
/// branches are stood for by a hash nobody can open: a verifier learns as little of them as from a real one.
fn data_witness(canister: Principal, certified_data: &[u8], time: u64) -> HashTree {
    let unknown = || pruned::<[u8; 32]>(Sha256::digest(b"local-ic pruned").into());
    let canister_tree = label(
        canister.as_slice(),
        fork(label("certified_data", leaf(certified_data)), unknown()),
    );
    let canisters = label("canister", fork(fork(unknown(), canister_tree), unknown()));
    fork(
        fork(canisters, unknown()),
        label("time", leaf(crate::field::leb128(time))),
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

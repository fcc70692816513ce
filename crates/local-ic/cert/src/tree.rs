//! The state tree and its witnesses (Interface Specification, "The system state tree" and "Certificate").

use crate::Path;
use crate::field::leb128;
use candid::Principal;
use ic_certification::{
    Hash, HashTree, Label, empty, fork, fork_hash, label, labeled_hash, leaf, leaf_hash, pruned,
};
use std::collections::BTreeMap;

/// A tree of labels and values. A witness of it reveals chosen paths and hides everything else behind hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateTree {
    /// A value.
    Leaf(Vec<u8>),
    /// A directory; may be empty.
    Node(BTreeMap<Vec<u8>, StateTree>),
}

/// What the state tree shows of a canister under `/canister/<id>`.
#[derive(Clone, Debug, Default)]
pub struct CanisterLeaves {
    /// At most 32 bytes.
    pub certified_data: Vec<u8>,
    /// SHA-256 of the installed module; absent for an empty canister.
    pub module_hash: Option<Vec<u8>>,
    /// In the order the canister has them.
    pub controllers: Vec<Principal>,
    /// Custom sections `icp:public <name>` and `icp:private <name>`.
    pub metadata: Vec<(String, Vec<u8>)>,
}

/// What the state tree shows of an ingress message under `/request_status/<id>`.
#[derive(Clone, Debug)]
pub enum RequestStatus {
    /// Accepted, not yet executed.
    Received,
    /// Being executed.
    Processing,
    /// Answered.
    Replied(Vec<u8>),
    /// Refused or failed.
    Rejected {
        /// 1 to 6.
        code: u64,
        /// Human readable.
        message: String,
        /// `IC0nnn`.
        error_code: String,
    },
}

impl Default for StateTree {
    fn default() -> Self {
        Self::Node(BTreeMap::new())
    }
}

impl StateTree {
    /// A tree with `/time` (nanoseconds since 1970-01-01).
    pub fn at(time: u64) -> Self {
        let mut tree = Self::default();
        tree.insert(&[b"time"], leb128(time));
        tree
    }

    /// Puts a value at a path, making directories on the way. What stood there before is replaced.
    pub fn insert(&mut self, path: &[&[u8]], value: Vec<u8>) {
        self.graft(path, Self::Leaf(value));
    }

    /// Puts a whole subtree at a path.
    pub fn graft(&mut self, path: &[&[u8]], subtree: StateTree) {
        let Some((first, rest)) = path.split_first() else {
            *self = subtree;
            return;
        };
        if let Self::Leaf(_) = self {
            *self = Self::default();
        }
        if let Self::Node(children) = self {
            children
                .entry(first.to_vec())
                .or_default()
                .graft(rest, subtree);
        }
    }

    /// Adds `/canister/<id>`.
    pub fn insert_canister(&mut self, id: Principal, canister: &CanisterLeaves) {
        let mut subtree = Self::default();
        subtree.insert(&[b"certified_data"], canister.certified_data.clone());
        if let Some(hash) = &canister.module_hash {
            subtree.insert(&[b"module_hash"], hash.clone());
        }
        let controllers: Vec<&serde_bytes::Bytes> = canister
            .controllers
            .iter()
            .map(|id| serde_bytes::Bytes::new(id.as_slice()))
            .collect();
        subtree.insert(&[b"controllers"], crate::self_describing_cbor(&controllers));
        for (name, data) in &canister.metadata {
            subtree.insert(&[b"metadata", name.as_bytes()], data.clone());
        }
        self.graft(&[b"canister", id.as_slice()], subtree);
    }

    /// Adds `/request_status/<id>`.
    pub fn insert_request_status(&mut self, id: &[u8; 32], status: &RequestStatus) {
        let mut subtree = Self::default();
        let name = match status {
            RequestStatus::Received => "received",
            RequestStatus::Processing => "processing",
            RequestStatus::Replied(reply) => {
                subtree.insert(&[b"reply"], reply.clone());
                "replied"
            }
            RequestStatus::Rejected {
                code,
                message,
                error_code,
            } => {
                subtree.insert(&[b"reject_code"], leb128(*code));
                subtree.insert(&[b"reject_message"], message.clone().into_bytes());
                subtree.insert(&[b"error_code"], error_code.clone().into_bytes());
                "rejected"
            }
        };
        subtree.insert(&[b"status"], name.as_bytes().to_vec());
        self.graft(&[b"request_status", id], subtree);
    }

    /// A witness that reveals what stands at `paths` (whole subtrees) and proves absence where nothing does;
    /// everything else is pruned. Its digest is the digest of the whole tree.
    pub fn witness(&self, paths: &[Path]) -> HashTree {
        let wanted: Vec<&[Vec<u8>]> = paths.iter().map(Vec::as_slice).collect();
        self.reveal(&wanted).tree
    }

    /// The root hash.
    pub fn digest(&self) -> Hash {
        match self {
            Self::Leaf(value) => leaf_hash(value),
            Self::Node(children) => {
                let hashes: Vec<Hash> = children
                    .iter()
                    .map(|(name, child)| labeled_hash(name, &child.digest()))
                    .collect();
                digest_of(&hashes)
            }
        }
    }

    fn reveal(&self, wanted: &[&[Vec<u8>]]) -> Part {
        if wanted.is_empty() {
            return Part::hidden(self.digest());
        }
        match self {
            Self::Leaf(value) => Part {
                tree: leaf(value.clone()),
                digest: leaf_hash(value),
                hidden: false,
            },
            Self::Node(children) => {
                let everything = wanted.iter().any(|path| path.is_empty());
                let edges = if everything {
                    Vec::new()
                } else {
                    neighbours(children, wanted)
                };
                let parts: Vec<Part> = children
                    .iter()
                    .map(|(name, child)| {
                        let below: Vec<&[Vec<u8>]> = if everything {
                            vec![&[]]
                        } else {
                            wanted
                                .iter()
                                .filter(|path| path.first() == Some(name))
                                .map(|path| &path[1..])
                                .collect()
                        };
                        let part = child.reveal(&below);
                        let digest = labeled_hash(name, &part.digest);
                        if part.hidden && !edges.contains(&name.as_slice()) {
                            Part::hidden(digest)
                        } else {
                            Part {
                                tree: label(Label::from_bytes(name), part.tree),
                                digest,
                                hidden: false,
                            }
                        }
                    })
                    .collect();
                if parts.is_empty() {
                    return Part {
                        tree: empty(),
                        digest: digest_of(&[]),
                        hidden: false,
                    };
                }
                join(parts)
            }
        }
    }
}

/// A subtree of a witness with its digest. A hidden part is a single pruned node.
struct Part {
    tree: HashTree,
    digest: Hash,
    hidden: bool,
}

impl Part {
    fn hidden(digest: Hash) -> Self {
        Self {
            tree: pruned(digest),
            digest,
            hidden: true,
        }
    }
}

/// Labels next to the gap a missing label would fill: showing them proves that it is missing.
fn neighbours<'a>(
    children: &'a BTreeMap<Vec<u8>, StateTree>,
    wanted: &[&[Vec<u8>]],
) -> Vec<&'a [u8]> {
    wanted
        .iter()
        .filter_map(|path| path.first())
        .filter(|name| !children.contains_key(*name))
        .flat_map(|name| {
            let before = children.range::<Vec<u8>, _>(..name).next_back();
            let after = children.range::<Vec<u8>, _>(name..).next();
            before
                .into_iter()
                .chain(after)
                .map(|(label, _)| label.as_slice())
        })
        .collect()
}

/// A balanced tree over the parts; where both sides are hidden one hash stands for them.
fn join(mut parts: Vec<Part>) -> Part {
    if parts.len() == 1 {
        return parts.pop().expect("BUG: checked to have one element");
    }
    let right = join(parts.split_off(parts.len() / 2));
    let left = join(parts);
    let digest = fork_hash(&left.digest, &right.digest);
    if left.hidden && right.hidden {
        return Part::hidden(digest);
    }
    Part {
        tree: fork(left.tree, right.tree),
        digest,
        hidden: false,
    }
}

fn digest_of(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => empty().digest(),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            fork_hash(&digest_of(left), &digest_of(right))
        }
    }
}

#[cfg(test)]
mod tests;

//! Canister signatures (Interface Specification, "Canister signatures" and "Certificates").
//!
//! ```text
//!  root key ──signs──▶ [delegation: certificate of the subnet] ──▶ certificate ──▶ certified data of the
//!  canister = digest of the signature's tree ──▶ "sig" / SHA-256(seed) / SHA-256(message) = ""
//! ```
//! The CBOR is read without following it further than [`MAX_DEPTH`], so that no input exhausts the stack.
//! Arrays and maps may be of indefinite length, byte strings and texts come in one piece. Nothing is
//! believed before both BLS signatures were checked.

use candid::Principal;
use ic_certification::hash_tree::{
    HashTree, HashTreeNode, LookupResult, SubtreeLookupResult, empty, fork, label, leaf, pruned,
};
use ic_verify_bls_signature::verify_bls_signature;
use minicbor::{Decoder, data::Type, decode::Error};
use sha2::{Digest, Sha256};

/// CBOR that describes itself: tag 55799.
const SELF_DESCRIBED: &[u8] = &[0xd9, 0xd9, 0xf7];
/// What the subnets sign starts with this.
const STATE_ROOT: &[u8] = b"\x0dic-state-root";
/// Hash trees are read to this depth. Those of a red-black map with 2^40 entries are at most 82 forks deep.
const MAX_DEPTH: usize = 128;

/// A tree that borrows labels and values from the signature.
type Tree<'a> = HashTree<&'a [u8]>;

/// Whether `canister` signed `message` for the user that `seed` stands for.
///
/// `root_key` are the 96 bytes of the trust anchor. The error says what is wrong.
pub(super) fn verify(
    canister: &[u8],
    seed: &[u8],
    message: &[u8],
    signature: &[u8],
    root_key: &[u8],
) -> Result<(), String> {
    let canister = principal(canister).map_err(|_| "no canister has such an id")?;
    let signature = read(signature, Signature::read)
        .map_err(|error| format!("the signature cannot be read: {error}"))?;
    let certificate = read(signature.certificate, Certificate::read)
        .map_err(|error| format!("the certificate cannot be read: {error}"))?;

    let path = [&b"canister"[..], canister.as_slice(), b"certified_data"];
    let certified = value(&certificate.tree, path).ok_or("certified_data is not in the tree")?;
    if certified != signature.tree.digest() {
        return Err("certified_data is not the digest of the signature's tree".into());
    }
    let [seed, message] = [seed, message].map(Sha256::digest);
    match value(&signature.tree, [b"sig", &seed, &message]) {
        Some([]) => {}
        Some(_) => return Err("the entry of the message is not empty".into()),
        None => return Err("the message is not in the signature's tree".into()),
    }
    match &certificate.delegation {
        None => certificate.check(root_key),
        Some(delegation) => {
            let subnet = read(delegation.certificate, Certificate::read)
                .map_err(|error| format!("the delegation's certificate cannot be read: {error}"))?;
            if subnet.delegation.is_some() {
                return Err("a delegation may not hang on another delegation".into());
            }
            subnet.check(root_key)?;
            certificate.check(subnet_key(&subnet.tree, delegation.subnet_id, canister)?)
        }
    }
}

/// The key of a subnet, if the canister is one of its own.
fn subnet_key<'t>(
    tree: &'t Tree<'_>,
    subnet: &[u8],
    canister: Principal,
) -> Result<&'t [u8], String> {
    let by_subnet = tree.lookup_subtree([b"canister_ranges", subnet]);
    let ranges = match &by_subnet {
        SubtreeLookupResult::Found(shards) => shard(shards.as_ref(), canister.as_slice()),
        // Where ranges were before they were divided into shards.
        SubtreeLookupResult::Absent | SubtreeLookupResult::Unknown => Some(
            value(tree, [b"subnet", subnet, b"canister_ranges"])
                .ok_or("canister_ranges are not in the delegation's tree")?,
        ),
    };
    let inside = match ranges {
        Some(ranges) => {
            in_ranges(canister, ranges).map_err(|error| format!("canister_ranges: {error}"))?
        }
        None => false,
    };
    if !inside {
        return Err("the canister is not in the canister_ranges of the subnet".into());
    }
    value(tree, [b"subnet", subnet, b"public_key"])
        .and_then(super::bls_key)
        .ok_or_else(|| "the subnet's key is not in the delegation's tree".into())
}

/// The shard of the ranges that the canister would be in: the last with a label that is not above it.
fn shard<'a>(shards: &HashTreeNode<&'a [u8]>, canister: &[u8]) -> Option<&'a [u8]> {
    match shards {
        HashTreeNode::Fork(children) => {
            shard(&children.1, canister).or_else(|| shard(&children.0, canister))
        }
        HashTreeNode::Labeled(first, ranges) if first.as_bytes() <= canister => match **ranges {
            HashTreeNode::Leaf(ranges) => Some(ranges),
            _ => None,
        },
        _ => None,
    }
}

/// Whether CBOR with pairs of a first and a last canister names this one.
fn in_ranges(canister: Principal, cbor: &[u8]) -> Result<bool, Error> {
    let mut d = Decoder::new(cbor.strip_prefix(SELF_DESCRIBED).unwrap_or(cbor));
    let mut inside = false;
    let mut left = d.array()?;
    while more(&mut d, &mut left)? {
        let mut ends = d.array()?;
        let mut end = |d: &mut Decoder<'_>| match more(d, &mut ends)? {
            true => principal(d.bytes()?),
            false => Err(Error::message("a range has two ends")),
        };
        let (first, last) = (end(&mut d)?, end(&mut d)?);
        no_more(&mut d, &mut ends)?;
        inside |= (first..=last).contains(&canister);
    }
    finished(&d)?;
    Ok(inside)
}

/// The value at a path.
fn value<'t>(tree: &'t Tree<'_>, path: [&[u8]; 3]) -> Option<&'t [u8]> {
    match tree.lookup_path(path) {
        LookupResult::Found(value) => Some(value),
        _ => None,
    }
}

struct Signature<'a> {
    certificate: &'a [u8],
    tree: Tree<'a>,
}

struct Certificate<'a> {
    tree: Tree<'a>,
    signature: &'a [u8],
    delegation: Option<Delegation<'a>>,
}

struct Delegation<'a> {
    subnet_id: &'a [u8],
    certificate: &'a [u8],
}

impl<'a> Signature<'a> {
    fn read(d: &mut Decoder<'a>) -> Result<Self, Error> {
        let (mut certificate, mut tree) = (None, None);
        each_entry(d, &mut |d, key| match key {
            "certificate" => once(&mut certificate, d.bytes()?),
            "tree" => once(&mut tree, hash_tree(d, MAX_DEPTH)?),
            _ => d.skip(),
        })?;
        Ok(Self {
            certificate: present(certificate)?,
            tree: present(tree)?,
        })
    }
}

impl<'a> Certificate<'a> {
    fn read(d: &mut Decoder<'a>) -> Result<Self, Error> {
        let (mut tree, mut signature, mut delegation) = (None, None, None);
        each_entry(d, &mut |d, key| match key {
            "tree" => once(&mut tree, hash_tree(d, MAX_DEPTH)?),
            "signature" => once(&mut signature, d.bytes()?),
            "delegation" => once(&mut delegation, Delegation::read(d)?),
            _ => Err(Error::message("unknown key")),
        })?;
        Ok(Self {
            tree: present(tree)?,
            signature: present(signature)?,
            delegation,
        })
    }

    /// Whether this key signed the tree.
    fn check(&self, key: &[u8]) -> Result<(), String> {
        let message = [STATE_ROOT, &self.tree.digest()].concat();
        verify_bls_signature(self.signature, &message, key)
            .map_err(|()| "a BLS signature does not hold".into())
    }
}

impl<'a> Delegation<'a> {
    fn read(d: &mut Decoder<'a>) -> Result<Self, Error> {
        let (mut subnet_id, mut certificate) = (None, None);
        each_entry(d, &mut |d, key| match key {
            "subnet_id" => once(&mut subnet_id, d.bytes()?),
            "certificate" => once(&mut certificate, d.bytes()?),
            _ => Err(Error::message("unknown key")),
        })?;
        Ok(Self {
            subnet_id: present(subnet_id)?,
            certificate: present(certificate)?,
        })
    }
}

/// Reads a whole input that has to describe itself as CBOR.
fn read<'a, T>(
    cbor: &'a [u8],
    value: impl FnOnce(&mut Decoder<'a>) -> Result<T, Error>,
) -> Result<T, Error> {
    let untagged = cbor
        .strip_prefix(SELF_DESCRIBED)
        .ok_or(Error::message("no self-describing tag"))?;
    let mut d = Decoder::new(untagged);
    let value = value(&mut d)?;
    finished(&d)?;
    Ok(value)
}

/// Calls `entry` with every key of a map; it reads the value.
fn each_entry<'a>(
    d: &mut Decoder<'a>,
    entry: &mut dyn FnMut(&mut Decoder<'a>, &'a str) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut left = d.map()?;
    while more(d, &mut left)? {
        let key = d.str()?;
        entry(d, key)?;
    }
    Ok(())
}

/// `[0]`, `[1, left, right]`, `[2, label, tree]`, `[3, value]` or `[4, digest]`.
fn hash_tree<'a>(d: &mut Decoder<'a>, depth: usize) -> Result<Tree<'a>, Error> {
    let depth = depth
        .checked_sub(1)
        .ok_or(Error::message("the tree is too deep"))?;
    let mut left = d.array()?;
    let mut part = |d: &mut Decoder<'a>| match more(d, &mut left)? {
        true => Ok(()),
        false => Err(Error::message("a node of the tree lacks a part")),
    };
    part(d)?;
    let kind = d.u8()?;
    let tree = match kind {
        0 => empty(),
        1 => {
            part(d)?;
            let first = hash_tree(d, depth)?;
            part(d)?;
            fork(first, hash_tree(d, depth)?)
        }
        2 => {
            part(d)?;
            let name = d.bytes()?;
            part(d)?;
            label(name, hash_tree(d, depth)?)
        }
        3 => {
            part(d)?;
            leaf(d.bytes()?)
        }
        4 => {
            part(d)?;
            let digest = d.bytes()?.try_into();
            pruned::<_, [u8; 32]>(digest.map_err(|_| Error::message("a digest has 32 bytes"))?)
        }
        _ => return Err(Error::message("unknown kind of node")),
    };
    no_more(d, &mut left)?;
    Ok(tree)
}

/// Whether an array or map has another element; `left` is what its head said, none if it is of indefinite
/// length.
fn more(d: &mut Decoder<'_>, left: &mut Option<u64>) -> Result<bool, Error> {
    match left {
        Some(0) => Ok(false),
        Some(left) => {
            *left -= 1;
            Ok(true)
        }
        None if d.datatype()? != Type::Break => Ok(true),
        None => {
            d.set_position(d.position() + 1);
            *left = Some(0);
            Ok(false)
        }
    }
}

fn no_more(d: &mut Decoder<'_>, left: &mut Option<u64>) -> Result<(), Error> {
    match more(d, left)? {
        true => Err(Error::message("an array has too many elements")),
        false => Ok(()),
    }
}

fn finished(d: &Decoder<'_>) -> Result<(), Error> {
    match d.position() == d.input().len() {
        true => Ok(()),
        false => Err(Error::message("something follows")),
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Error> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::message("a key stands twice")),
    }
}

fn present<T>(value: Option<T>) -> Result<T, Error> {
    value.ok_or(Error::message("a key is missing"))
}

fn principal(bytes: &[u8]) -> Result<Principal, Error> {
    Principal::try_from_slice(bytes).map_err(|_| Error::message("not a principal"))
}

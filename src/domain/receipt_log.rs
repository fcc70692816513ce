//! The log of receipts: a Merkle mountain range whose hashes are those of the Internet Computer's hash trees.
//!
//! Leaves are never changed. Each is labelled with its index, as eight bytes. A *mountain* is a complete tree over a
//! power of two of leaves; a log of n leaves has one mountain for each bit of n, the largest first. The root of the log
//! is made of the mountains from left to right: `fork(fork(first, second), third)`. It is therefore a hash tree whose
//! labels are in order, and any verifier of hash trees reads its witnesses.
//!
//! Nodes are stored from *groups* of [`GROUP`] leaves upwards, so that they take 32 bytes a leaf. What is below follows
//! from the payments; the leaves of the group that is not complete are kept beside the nodes. Nodes are numbered in the
//! order in which they are complete: a node comes after both of its children, and no number ever changes. So the log
//! of an earlier length can be proven, too.

use ic_certification::{Hash, fork_hash, labeled_hash, leaf_hash};

/// The height of a group of leaves.
const GROUP_HEIGHT: u32 = 1;
/// The leaves of a group.
pub const GROUP: u64 = 1 << GROUP_HEIGHT;

/// The nodes that are stored of a log with this many leaves.
pub fn nodes(leaves: u64) -> u64 {
    let groups = leaves / GROUP;
    2 * groups - u64::from(groups.count_ones())
}

/// The label of the leaf with this index.
pub fn label_of(index: u64) -> [u8; 8] {
    index.to_be_bytes()
}

/// The node of the leaf with this index.
pub fn leaf_node(index: u64, receipt: &Hash) -> Hash {
    labeled_hash(&label_of(index), &leaf_hash(receipt))
}

/// What is read of a log.
pub trait Source {
    /// The stored node with this number.
    fn node(&self, number: u64) -> Option<Hash>;

    /// The receipt with this index.
    fn receipt(&self, index: u64) -> Option<Hash>;
}

/// Takes the nodes of a witness, parents before children and left before right: writing them at once takes half as many
/// instructions as making a tree of them first.
pub trait Witness {
    /// A node with two children, which come next.
    fn fork(&mut self);

    /// A node of which only the hash is there.
    fn pruned(&mut self, hash: &Hash);

    /// The leaf with this index.
    fn leaf(&mut self, index: u64, receipt: &Hash);
}

/// The mountains of a log: its length and what an appended leaf is joined with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peaks {
    leaves: u64,
    /// The root of each mountain, and the root of the log up to it.
    mountains: Vec<(Hash, Hash)>,
}

impl Peaks {
    /// The mountains of a log of this length. Reads one node for each, and the receipts of the incomplete group; `None`
    /// if something is missing.
    pub fn read(leaves: u64, source: &impl Source) -> Option<Self> {
        let mut peaks = Peaks::default();
        for mountain in mountains(leaves) {
            peaks.join(mountain.hash(source)?);
        }
        peaks.leaves = leaves;
        Some(peaks)
    }

    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// The root of the log; `None` if it is empty.
    pub fn root(&self) -> Option<Hash> {
        self.mountains.last().map(|(_, root)| *root)
    }

    /// Appends a leaf. Returns the nodes to store that are complete now, in their order.
    pub fn push(&mut self, receipt: &Hash) -> Vec<Hash> {
        let mut node = leaf_node(self.leaves, receipt);
        let mut complete = vec![];
        for height in 1..=self.leaves.trailing_ones() {
            let Some((left, _)) = self.mountains.pop() else {
                break;
            };
            node = fork_hash(&left, &node);
            if height >= GROUP_HEIGHT {
                complete.push(node);
            }
        }
        self.join(node);
        self.leaves += 1;
        complete
    }

    fn join(&mut self, peak: Hash) {
        let root = match self.root() {
            Some(before) => fork_hash(&before, &peak),
            None => peak,
        };
        self.mountains.push((peak, root));
    }
}

/// A complete tree of `2^height` leaves.
#[derive(Clone, Copy)]
struct Mountain {
    first_leaf: u64,
    height: u32,
}

impl Mountain {
    fn size(self) -> u64 {
        1 << self.height
    }

    /// The number of its root, if that is stored.
    fn number(self) -> Option<u64> {
        let groups = self.size() / GROUP;
        // The nodes before it, and those of its groups, of which the root is the last.
        (groups > 0).then(|| nodes(self.first_leaf) + 2 * groups - 2)
    }

    fn hash(self, source: &impl Source) -> Option<Hash> {
        match (self.number(), self.halves()) {
            (Some(number), _) => source.node(number),
            (None, Some((left, right))) => {
                Some(fork_hash(&left.hash(source)?, &right.hash(source)?))
            }
            (None, None) => {
                let receipt = source.receipt(self.first_leaf)?;
                Some(leaf_node(self.first_leaf, &receipt))
            }
        }
    }

    /// The two halves of a mountain of more than one leaf.
    fn halves(self) -> Option<(Mountain, Mountain)> {
        let left = Mountain {
            height: self.height.checked_sub(1)?,
            ..self
        };
        let right = Mountain {
            first_leaf: left.first_leaf + left.size(),
            ..left
        };
        Some((left, right))
    }

    fn has(self, index: u64) -> bool {
        (self.first_leaf..self.first_leaf + self.size()).contains(&index)
    }

    /// Writes this mountain with everything pruned but one leaf, which it has.
    fn write(
        self,
        index: u64,
        receipt: &Hash,
        source: &impl Source,
        to: &mut impl Witness,
    ) -> Option<()> {
        let Some((left, right)) = self.halves() else {
            to.leaf(index, receipt);
            return Some(());
        };
        to.fork();
        match left.has(index) {
            true => {
                left.write(index, receipt, source, to)?;
                to.pruned(&right.hash(source)?);
            }
            false => {
                to.pruned(&left.hash(source)?);
                right.write(index, receipt, source, to)?;
            }
        }
        Some(())
    }
}

/// The mountains of a log of this length, the largest first.
fn mountains(leaves: u64) -> impl Iterator<Item = Mountain> {
    let heights = (0..u64::BITS).rev();
    let mut first_leaf = 0;
    heights
        .filter(move |height| leaves >> height & 1 == 1)
        .map(move |height| {
            let mountain = Mountain { first_leaf, height };
            first_leaf += mountain.size();
            mountain
        })
}

/// Writes the tree of a log of this length with everything pruned but one leaf, which is this receipt. `None` if there is
/// no such leaf, or if the source does not have what is needed: what was written then is no tree.
///
/// The tree has the root of the log only if these receipts are the ones that were appended.
pub fn witness(
    index: u64,
    receipt: &Hash,
    leaves: u64,
    source: &impl Source,
    to: &mut impl Witness,
) -> Option<()> {
    if index >= leaves {
        return None;
    }
    // Each mountain but the first is joined with all before it.
    (1..leaves.count_ones()).for_each(|_| to.fork());
    for mountain in mountains(leaves) {
        match mountain.has(index) {
            true => mountain.write(index, receipt, source, to)?,
            false => to.pruned(&mountain.hash(source)?),
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ic_certification::{HashTree, LookupResult, fork, labeled, leaf, pruned};
    use proptest::prelude::*;

    fn receipt(n: u64) -> Hash {
        leaf_hash(&n.to_be_bytes())
    }

    /// A log of this length, and its root after each leaf.
    struct Log {
        nodes: Vec<Hash>,
        roots: Vec<Hash>,
        receipts: u64,
        reads: std::cell::Cell<u32>,
        /// A node or a receipt that cannot be read.
        missing: (Option<u64>, Option<u64>),
    }

    impl Source for Log {
        fn node(&self, number: u64) -> Option<Hash> {
            self.reads.set(self.reads.get() + 1);
            let there = self.nodes.get(number as usize).copied();
            there.filter(|_| self.missing.0 != Some(number))
        }

        fn receipt(&self, index: u64) -> Option<Hash> {
            self.reads.set(self.reads.get() + 1);
            let there = (index < self.receipts).then(|| receipt(index));
            there.filter(|_| self.missing.1 != Some(index))
        }
    }

    fn log(length: u64) -> Log {
        let (mut peaks, mut all, mut roots) = (Peaks::default(), vec![], vec![]);
        for n in 0..length {
            all.extend(peaks.push(&receipt(n)));
            roots.push(peaks.root().unwrap());
            assert_eq!(all.len() as u64, nodes(n + 1));
        }
        Log {
            nodes: all,
            roots,
            receipts: length,
            reads: Default::default(),
            missing: (None, None),
        }
    }

    /// The nodes that are written; `None` is a fork.
    #[derive(Default)]
    struct Nodes(Vec<Option<HashTree>>);

    impl Witness for Nodes {
        fn fork(&mut self) {
            self.0.push(None);
        }

        fn pruned(&mut self, hash: &Hash) {
            self.0.push(Some(pruned(*hash)));
        }

        fn leaf(&mut self, index: u64, receipt: &Hash) {
            let found = labeled(label_of(index), leaf(receipt.to_vec()));
            self.0.push(Some(found));
        }
    }

    fn tree(nodes: &mut impl Iterator<Item = Option<HashTree>>) -> HashTree {
        match nodes.next().expect("a node") {
            Some(node) => node,
            None => {
                let left = tree(nodes);
                fork(left, tree(nodes))
            }
        }
    }

    fn witness(index: u64, receipt: &Hash, leaves: u64, source: &Log) -> Option<HashTree> {
        let mut nodes = Nodes::default();
        super::witness(index, receipt, leaves, source, &mut nodes)?;
        let mut nodes = nodes.0.into_iter();
        let whole = tree(&mut nodes);
        assert_eq!(nodes.next(), None, "nothing is left over");
        Some(whole)
    }

    fn look_up(tree: &HashTree, index: u64) -> LookupResult<'_> {
        tree.lookup_path([label_of(index)])
    }

    #[test]
    fn every_leaf_of_every_length_is_proven_and_nothing_else() {
        const MOST: u64 = 70;
        let log = log(MOST);
        for length in 1..=MOST {
            let root = log.roots[length as usize - 1];
            let read = Peaks::read(length, &log).unwrap();
            assert_eq!((read.root(), read.leaves()), (Some(root), length));
            for index in 0..length {
                let tree = witness(index, &receipt(index), length, &log).unwrap();
                assert_eq!(tree.digest(), root, "{index} of {length}");
                let expected = receipt(index);
                assert_eq!(look_up(&tree, index), LookupResult::Found(&expected));
                for other in [index + 1, index.wrapping_sub(1)] {
                    assert!(!matches!(look_up(&tree, other), LookupResult::Found(_)));
                }
            }
            // The roots of all other lengths are other roots.
            assert_eq!(log.roots.iter().filter(|other| **other == root).count(), 1);
            assert!(witness(length, &receipt(length), length, &log).is_none());
        }
        assert_eq!(Peaks::read(0, &log), Some(Peaks::default()));
        assert_eq!(Peaks::default().root(), None);
    }

    /// The same root as a tree that is made at once, by definition.
    #[test]
    fn the_root_is_that_of_a_hash_tree() {
        fn tree(first: u64, height: u32) -> HashTree {
            match height.checked_sub(1) {
                None => labeled(label_of(first), leaf(receipt(first).to_vec())),
                Some(height) => fork(tree(first, height), tree(first + (1 << height), height)),
            }
        }
        let log = log(40);
        for length in 1..=40u64 {
            let mountains = mountains(length).map(|one| tree(one.first_leaf, one.height));
            let whole = mountains.reduce(fork).unwrap();
            assert_eq!(whole.digest(), log.roots[length as usize - 1]);
            let labels: Vec<_> = whole
                .list_paths()
                .into_iter()
                .map(|path| path[0].clone())
                .collect();
            assert!(labels.is_sorted() && labels.len() as u64 == length);
        }
    }

    #[test]
    fn what_cannot_be_read_makes_no_witness_of_another_root() {
        let mut log = log(27);
        let root = *log.roots.last().unwrap();
        let lost = (0..log.nodes.len() as u64).map(|n| (Some(n), None));
        let mut unproven = 0;
        for missing in lost.chain((0..27).map(|n| (None, Some(n)))) {
            log.missing = missing;
            for index in 0..27 {
                match witness(index, &receipt(index), 27, &log) {
                    Some(tree) => assert_eq!(tree.digest(), root),
                    None => unproven += 1,
                }
            }
        }
        // Hidden are the receipts whose proofs go through what is missing.
        assert!((27..27 * 27).contains(&unproven), "{unproven}");
        log.missing = (None, Some(5));
        let hidden = (0..24).filter(|index| witness(*index, &receipt(*index), 27, &log).is_none());
        assert_eq!(hidden.collect::<Vec<_>>(), [4]);
    }

    proptest! {
        /// A log that is read again continues as if it had not been.
        #[test]
        fn a_log_that_was_read_again_goes_on(before in 0u64..600, after in 0u64..40) {
            let log = log(before + after);
            let mut peaks = Peaks::read(before, &log).unwrap();
            let mut written = log.nodes[..nodes(before) as usize].to_vec();
            for n in before..before + after {
                written.extend(peaks.push(&receipt(n)));
            }
            prop_assert_eq!(&written, &log.nodes);
            prop_assert_eq!(peaks.root(), log.roots.last().copied());
        }

        /// A witness needs at most two reads for each doubling of the length.
        #[test]
        fn a_witness_is_small(length in 1u64..3_000, at in 0.0f64..1.0) {
            let log = log(length);
            let index = ((length as f64) * at) as u64;
            prop_assert!(witness(index, &receipt(index), length, &log).is_some());
            prop_assert!(log.reads.get() <= 2 * (64 - length.leading_zeros()) + 6);
        }
    }
}

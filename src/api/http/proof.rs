//! The header `IC-Certificate` (HTTP Gateway Protocol Specification, "Response Verification", version 2).

use crate::domain::receipt_log::{self, Witness};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use ic_certification::{Hash, HashTree, HashTreeNode};
use minicbor::{Encoder, data::Tag};
use std::convert::Infallible;

type Cbor = Encoder<Vec<u8>>;
type Written = Result<(), minicbor::encode::Error<Infallible>>;

/// The value of the header. `certificate` is the system's data certificate, `sibling` the hash that is certified beside
/// the tree, if there is one, and `expr_path` the encoded place in the tree (see [`expr_path`]).
pub fn header(
    certificate: &[u8],
    tree: &HashTree,
    sibling: Option<&Hash>,
    expr_path: &str,
) -> String {
    let tree = self_described(&mut |cbor| {
        let Some(sibling) = sibling else {
            return write_node(cbor, tree.as_ref());
        };
        cbor.array(3)?.u8(1)?;
        write_node(cbor, tree.as_ref())?;
        write_node(cbor, &HashTreeNode::Pruned(*sibling))
    });
    let mut header = String::from("certificate=:");
    BASE64.encode_string(certificate, &mut header);
    header.push_str(":, tree=:");
    BASE64.encode_string(tree, &mut header);
    header.push_str(":, expr_path=:");
    header.push_str(expr_path);
    header.push_str(":, version=2");
    header
}

/// The beginning of a fork in CBOR: an array of three, the number 1. The children follow.
const FORK: [u8; 2] = [0x83, 0x01];
/// That of a pruned node: an array of two, the number 4, a string of 32 bytes, which follow.
const PRUNED: [u8; 4] = [0x82, 0x04, 0x58, 0x20];

/// A tree in the same encoding, written node by node.
#[derive(Debug)]
pub struct Tree(Vec<u8>);

impl Default for Tree {
    fn default() -> Self {
        let mut bytes = Vec::with_capacity(1_536);
        // The self-describing tag.
        bytes.extend_from_slice(&[0xd9, 0xd9, 0xf7]);
        Tree(bytes)
    }
}

impl Tree {
    /// A node with a label of at most 23 bytes. Its child is written next.
    pub fn labeled(&mut self, label: &[u8]) {
        self.0
            .extend_from_slice(&[0x83, 0x02, 0x40 | label.len() as u8]);
        self.0.extend_from_slice(label);
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl Witness for Tree {
    fn fork(&mut self) {
        self.0.extend_from_slice(&FORK);
    }

    fn pruned(&mut self, hash: &Hash) {
        self.0.extend_from_slice(&PRUNED);
        self.0.extend_from_slice(hash);
    }

    fn leaf(&mut self, index: u64, receipt: &Hash) {
        self.labeled(&receipt_log::label_of(index));
        self.0.extend_from_slice(&[0x82, 0x03, 0x58, 0x20]);
        self.0.extend_from_slice(receipt);
    }
}

/// `expr_path` of the header: an array of texts as CBOR in base64.
pub fn expr_path(segments: &[String]) -> String {
    BASE64.encode(self_described(&mut |cbor| {
        cbor.array(segments.len() as u64)?;
        segments.iter().try_for_each(|segment| {
            cbor.str(segment)?;
            Ok(())
        })
    }))
}

/// CBOR with the self-describing tag.
fn self_described(write: &mut dyn FnMut(&mut Cbor) -> Written) -> Vec<u8> {
    let mut cbor = Encoder::new(Vec::with_capacity(1_024));
    let written = cbor.tag(Tag::new(55799)).map(|_| ());
    written
        .and_then(|()| write(&mut cbor))
        .expect("BUG: writing to memory cannot fail");
    cbor.into_writer()
}

/// A tree in the encoding of the Interface Specification ("Certificates").
fn write_node(cbor: &mut Cbor, node: &HashTreeNode) -> Written {
    match node {
        HashTreeNode::Empty() => {
            cbor.array(1)?.u8(0)?;
        }
        HashTreeNode::Fork(children) => {
            cbor.writer_mut().extend_from_slice(&FORK);
            write_node(cbor, &children.0)?;
            write_node(cbor, &children.1)?;
        }
        HashTreeNode::Labeled(label, child) => {
            cbor.array(3)?.u8(2)?.bytes(label.as_bytes())?;
            write_node(cbor, child)?;
        }
        HashTreeNode::Leaf(value) => {
            cbor.array(2)?.u8(3)?.bytes(value)?;
        }
        HashTreeNode::Pruned(digest) => {
            // Most nodes are of this kind.
            let bytes = cbor.writer_mut();
            bytes.extend_from_slice(&PRUNED);
            bytes.extend_from_slice(digest);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ic_certification::{empty, fork, labeled, leaf, pruned};
    use ic_http_certification::utils::{build_v2_certificate_header_value, cbor_encode_to_base64};
    use proptest::prelude::*;

    fn arb_tree() -> impl Strategy<Value = HashTree> {
        let blob = || prop::collection::vec(any::<u8>(), 0..300);
        let leaves = prop_oneof![
            Just(empty()),
            blob().prop_map(leaf),
            any::<[u8; 32]>().prop_map(pruned),
        ];
        leaves.prop_recursive(8, 64, 2, move |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(left, right)| fork(left, right)),
                (blob(), inner).prop_map(|(label, inner)| labeled(label, inner)),
            ]
        })
    }

    #[test]
    fn trees_that_are_written_node_by_node_are_those_of_the_reference() {
        let mut written = Tree::default();
        written.fork();
        written.pruned(&[1; 32]);
        written.labeled(b"log");
        written.fork();
        written.pruned(&[2; 32]);
        written.leaf(300, &[3; 32]);
        let leaf = labeled(300u64.to_be_bytes(), leaf([3; 32]));
        let whole = fork(
            pruned([1; 32]),
            labeled(b"log", fork(pruned([2; 32]), leaf)),
        );
        let reference = self_described(&mut |cbor| write_node(cbor, whole.as_ref()));
        assert_eq!(written.into_bytes(), reference);
    }

    proptest! {
        #[test]
        fn headers_are_those_of_the_reference(
            certificate in prop::collection::vec(any::<u8>(), 0..100),
            tree in arb_tree(),
            sibling: Option<[u8; 32]>,
            path in prop::collection::vec(".{0,40}", 0..30),
        ) {
            let encoded = expr_path(&path);
            prop_assert_eq!(&encoded, &cbor_encode_to_base64(&path));
            let whole = match sibling {
                Some(sibling) => fork(tree.clone(), pruned(sibling)),
                None => tree.clone(),
            };
            prop_assert_eq!(
                header(&certificate, &tree, sibling.as_ref(), &encoded),
                build_v2_certificate_header_value(&certificate, &whole, &encoded)
            );
        }
    }
}

//! The header `IC-Certificate` (HTTP Gateway Protocol Specification, "Response Verification", version 2).

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

/// A tree as self-described CBOR.
pub fn tree(tree: &HashTree) -> Vec<u8> {
    self_described(&mut |cbor| write_node(cbor, tree.as_ref()))
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
            cbor.array(3)?.u8(1)?;
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
            cbor.array(2)?.u8(4)?.bytes(digest)?;
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

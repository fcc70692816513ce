//! The certified tip of the block log (ICRC-3): a hash tree of `last_block_index` (unsigned LEB128) and
//! `last_block_hash`. An empty log certifies the empty tree.

use ic_certification::{Hash, HashTree, empty, fork, label, leaf};
use minicbor::Encoder;

use crate::domain::Tip;

const HASH_LABEL: &str = "last_block_hash";
const INDEX_LABEL: &str = "last_block_index";

/// What goes into the canister's certified data.
pub fn root_hash(tip: Option<Tip>) -> Hash {
    let tree: HashTree = match tip {
        None => empty(),
        Some(tip) => fork(
            label(HASH_LABEL, leaf(tip.hash)),
            label(INDEX_LABEL, leaf(leb128(tip.index))),
        ),
    };
    tree.digest()
}

/// The tree itself, as CBOR (Interface Specification, "Certificate").
pub fn tree_cbor(tip: Option<Tip>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_tree(&mut Encoder::new(&mut bytes), tip).expect("BUG: writing CBOR to memory failed");
    bytes
}

type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

fn write_tree(cbor: &mut Encoder<&mut Vec<u8>>, tip: Option<Tip>) -> Written {
    match tip {
        None => {
            cbor.array(1)?.u8(0)?;
        }
        Some(tip) => {
            cbor.array(3)?.u8(1)?;
            write_leaf(cbor, HASH_LABEL, &tip.hash)?;
            write_leaf(cbor, INDEX_LABEL, &leb128(tip.index))?;
        }
    }
    Ok(())
}

fn write_leaf(cbor: &mut Encoder<&mut Vec<u8>>, label: &str, value: &[u8]) -> Written {
    cbor.array(3)?.u8(2)?.bytes(label.as_bytes())?;
    cbor.array(2)?.u8(3)?.bytes(value)?;
    Ok(())
}

fn leb128(value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    candid::Nat::from(value)
        .encode(&mut bytes)
        .expect("BUG: writing LEB128 to memory failed");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(tip: Option<Tip>) -> HashTree {
        serde_cbor::from_slice(&tree_cbor(tip)).expect("the tree is CBOR")
    }

    #[test]
    fn should_write_the_tree_that_is_certified() {
        for index in [0, 127, 128, 624_485, u64::MAX] {
            let tip = Some(Tip {
                index,
                hash: [7; 32],
            });
            assert_eq!(decoded(tip).digest(), root_hash(tip));
        }
        assert_eq!(decoded(None).digest(), root_hash(None));
    }

    #[test]
    fn should_write_the_index_as_leb128() {
        let tip = Some(Tip {
            index: 624_485,
            hash: [7; 32],
        });
        let tree = decoded(tip);
        match tree.lookup_path([INDEX_LABEL.as_bytes()]) {
            ic_certification::LookupResult::Found(bytes) => {
                assert_eq!(bytes, [0xe5, 0x8e, 0x26]);
            }
            other => panic!("last_block_index not found: {other:?}"),
        }
    }
}

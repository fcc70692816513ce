//! Blocks: a transaction, when it was made, what it cost, and the hash of the block before it (ICRC-3).

use std::collections::BTreeMap;

use icrc_ledger_types::icrc::generic_value::ICRC3Value;
use serde_bytes::ByteBuf;

use super::transaction::nat;
use super::{Hash, TimestampNs, Tokens, Transaction};

/// One block of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Hash of the block before; `None` in the first block only.
    pub parent_hash: Option<Hash>,
    pub timestamp: TimestampNs,
    /// The fee taken, when the transaction did not name it.
    pub effective_fee: Option<Tokens>,
    pub transaction: Transaction,
}

/// The newest block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    pub index: u64,
    pub hash: Hash,
}

impl Block {
    /// The block as `icrc3_get_blocks` shows it.
    pub fn to_value(&self) -> ICRC3Value {
        let mut map = BTreeMap::new();
        let mut put = |key: &str, value| map.insert(key.to_string(), value);
        if let Some(hash) = self.parent_hash {
            put("phash", ICRC3Value::Blob(ByteBuf::from(hash)));
        }
        put(
            "btype",
            ICRC3Value::Text(self.transaction.operation.block_type().to_string()),
        );
        put("ts", nat(self.timestamp));
        if let Some(fee) = self.effective_fee {
            put("fee", nat(fee));
        }
        put("tx", self.transaction.to_value());
        ICRC3Value::Map(map)
    }

    /// Representation-independent hash of [`Self::to_value`].
    pub fn hash(&self) -> Hash {
        self.to_value().hash()
    }
}

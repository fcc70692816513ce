//! Blocks as the ICP ledger shows them: the types of its `query_blocks`, and account identifiers.
//!
//! The types follow the ICP ledger's `ledger.did` and `ledger_archive.did`.

use candid::CandidType;
use icrc_ledger_types::icrc1::account::Account;
use icrc_ledger_types::icrc3::archive::QueryArchiveFn;
use serde::Deserialize;
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha224};

use super::{Operation, block, transaction};

#[derive(CandidType, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetBlocksArgs {
    pub start: u64,
    pub length: u64,
}

#[derive(CandidType, Deserialize, Clone, Debug)]
pub struct QueryBlocksResponse {
    pub chain_length: u64,
    /// Null in replicated calls, and always here.
    pub certificate: Option<ByteBuf>,
    pub blocks: Vec<Block>,
    pub first_block_index: u64,
    pub archived_blocks: Vec<ArchivedBlocksRange>,
}

pub type ArchiveFn = QueryArchiveFn<GetBlocksArgs, Result<BlockRange, GetBlocksError>>;

#[derive(CandidType, Deserialize, Clone, Debug)]
pub struct ArchivedBlocksRange {
    pub start: u64,
    pub length: u64,
    pub callback: ArchiveFn,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct BlockRange {
    pub blocks: Vec<Block>,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub enum GetBlocksError {
    BadFirstBlockIndex {
        requested_index: u64,
        first_valid_index: u64,
    },
    Other {
        error_code: u64,
        error_message: String,
    },
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct Block {
    pub parent_hash: Option<ByteBuf>,
    pub transaction: Transaction,
    pub timestamp: TimeStamp,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub struct Transaction {
    /// That of the ledger's own `transfer`; 0 in transactions of the ICRC standards.
    pub memo: u64,
    pub icrc1_memo: Option<ByteBuf>,
    pub operation: Option<IcpOperation>,
    /// The block's time if the caller named none.
    pub created_at_time: TimeStamp,
}

#[derive(CandidType, Deserialize, Clone, Debug, PartialEq)]
pub enum IcpOperation {
    Mint {
        to: ByteBuf,
        amount: E8s,
    },
    Burn {
        from: ByteBuf,
        spender: Option<ByteBuf>,
        amount: E8s,
    },
    Transfer {
        from: ByteBuf,
        to: ByteBuf,
        amount: E8s,
        fee: E8s,
        spender: Option<ByteBuf>,
    },
    Approve {
        from: ByteBuf,
        spender: ByteBuf,
        allowance_e8s: i128,
        allowance: E8s,
        fee: E8s,
        expires_at: Option<TimeStamp>,
        expected_allowance: Option<E8s>,
    },
}

#[derive(CandidType, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct E8s {
    pub e8s: u64,
}

#[derive(CandidType, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeStamp {
    pub timestamp_nanos: u64,
}

/// The account identifier: a CRC-32 checksum, and the SHA-224 hash that it is of.
pub fn account_identifier(account: &Account) -> ByteBuf {
    let hash = Sha224::new()
        .chain_update(b"\x0aaccount-id")
        .chain_update(account.owner.as_slice())
        .chain_update(account.effective_subaccount())
        .finalize();
    let mut bytes = crc32(&hash).to_be_bytes().to_vec();
    bytes.extend(hash);
    ByteBuf::from(bytes)
}

/// CRC-32 as in ISO 3309, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let shifted = |crc: u32| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
    let next = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| shifted(crc));
    !bytes.iter().fold(u32::MAX, next)
}

impl block::Block {
    /// The block as `query_blocks` shows it. `fee`: the ledger's fee, which transactions need not name.
    pub fn to_icp(&self, fee: u128) -> Block {
        Block {
            parent_hash: self.parent_hash.map(ByteBuf::from),
            timestamp: time(self.timestamp),
            transaction: to_icp(
                &self.transaction,
                self.timestamp,
                self.effective_fee.unwrap_or(fee),
            ),
        }
    }
}

fn to_icp(transaction: &transaction::Transaction, at: u64, fee: u128) -> Transaction {
    let fee = e8s(transaction.operation.sent_fee().unwrap_or(fee));
    let operation = match &transaction.operation {
        Operation::Mint { to, amount } => IcpOperation::Mint {
            to: account_identifier(to),
            amount: e8s(*amount),
        },
        Operation::Burn {
            from,
            spender,
            amount,
        } => IcpOperation::Burn {
            from: account_identifier(from),
            spender: spender.as_ref().map(account_identifier),
            amount: e8s(*amount),
        },
        Operation::Transfer {
            from,
            to,
            spender,
            amount,
            ..
        } => IcpOperation::Transfer {
            from: account_identifier(from),
            to: account_identifier(to),
            spender: spender.as_ref().map(account_identifier),
            amount: e8s(*amount),
            fee,
        },
        Operation::Approve {
            from,
            spender,
            amount,
            expected_allowance,
            expires_at,
            ..
        } => IcpOperation::Approve {
            from: account_identifier(from),
            spender: account_identifier(spender),
            allowance_e8s: e8s(*amount).e8s.into(),
            allowance: e8s(*amount),
            fee,
            expires_at: expires_at.map(time),
            expected_allowance: expected_allowance.map(e8s),
        },
    };
    Transaction {
        memo: 0,
        icrc1_memo: transaction.memo.clone().map(ByteBuf::from),
        operation: Some(operation),
        created_at_time: time(transaction.created_at_time.unwrap_or(at)),
    }
}

/// The ICP ledger has 64 bits for an amount; what is more is shown as the most.
fn e8s(amount: u128) -> E8s {
    E8s {
        e8s: amount.try_into().unwrap_or(u64::MAX),
    }
}

fn time(nanoseconds: u64) -> TimeStamp {
    TimeStamp {
        timestamp_nanos: nanoseconds,
    }
}

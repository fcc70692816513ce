//! Replies of the ICP ledger's own log.

use candid::{CandidType, Encode, Principal, define_function};
use serde_bytes::ByteBuf;

define_function!(Callback : (Range) -> (Archived) query);

#[derive(CandidType)]
struct Range {
    start: u64,
    length: u64,
}

#[derive(CandidType)]
struct Archive {
    start: u64,
    length: u64,
    callback: Callback,
}

#[derive(CandidType, Clone, Copy)]
struct Tokens {
    e8s: u64,
}

#[derive(CandidType, Clone, Copy)]
struct Time {
    timestamp_nanos: u64,
}

#[derive(CandidType, Clone)]
enum Operation {
    Mint {
        to: ByteBuf,
        amount: Tokens,
    },
    Transfer {
        from: ByteBuf,
        to: ByteBuf,
        amount: Tokens,
        fee: Tokens,
        spender: Option<ByteBuf>,
    },
}

#[derive(CandidType, Clone)]
struct Transaction {
    memo: u64,
    icrc1_memo: Option<ByteBuf>,
    operation: Option<Operation>,
    created_at_time: Time,
}

#[derive(CandidType, Clone)]
struct Block {
    parent_hash: Option<ByteBuf>,
    transaction: Transaction,
    timestamp: Time,
}

#[derive(CandidType)]
struct Blocks {
    chain_length: u64,
    certificate: Option<ByteBuf>,
    blocks: Vec<Block>,
    first_block_index: u64,
    archived_blocks: Vec<Archive>,
}

#[derive(CandidType)]
struct BlockRange {
    blocks: Vec<Block>,
}

#[derive(CandidType)]
enum Archived {
    Ok(BlockRange),
    #[allow(dead_code)]
    Err {
        error_code: u64,
    },
}

fn block(operation: Option<Operation>, icrc1_memo: Option<ByteBuf>) -> Block {
    let timestamp_nanos = 1_700_000_000_000_000_000;
    let time = Time { timestamp_nanos };
    Block {
        parent_hash: Some(ByteBuf::from([5; 32])),
        transaction: Transaction {
            memo: 0,
            icrc1_memo,
            operation,
            created_at_time: time,
        },
        timestamp: time,
    }
}

/// Of the ledger and of an archive.
pub fn block_logs() -> Vec<Vec<u8>> {
    let identifier = |n: u8| ByteBuf::from([n; 32]);
    let amount = Tokens { e8s: 50_000 };
    let to = identifier(2);
    let transfer = |spender| Operation::Transfer {
        from: identifier(1),
        to: identifier(2),
        amount,
        fee: Tokens { e8s: 10_000 },
        spender,
    };
    let blocks = vec![
        block(Some(Operation::Mint { to, amount }), None),
        block(Some(transfer(Some(identifier(3)))), Some(identifier(7))),
        block(Some(transfer(None)), Some(identifier(8))),
        block(None, Some(identifier(7))),
    ];
    let archive = Archive {
        start: 0,
        length: 3,
        callback: Callback::new(Principal::from_slice(&[8]), "get_blocks".into()),
    };
    let ledger = Blocks {
        chain_length: 7,
        certificate: None,
        blocks: blocks.clone(),
        first_block_index: 3,
        archived_blocks: vec![archive],
    };
    let ledger = Encode!(&ledger).expect("can be encoded");
    let archived = Archived::Ok(BlockRange { blocks });
    let archived = Encode!(&archived).expect("can be encoded");
    vec![[&[3], &ledger[..]].concat(), [&[2], &archived[..]].concat()]
}

//! Replies in forms that the ICP ledger does not have today.

use super::*;
use candid::Nat;

#[derive(CandidType)]
struct Odd<C, T> {
    chain_length: C,
    first_block_index: u64,
    blocks: Vec<OddBlock<T>>,
    archived_blocks: Vec<icp::ArchivedBlocksRange>,
}

#[derive(CandidType)]
struct OddBlock<T> {
    transaction: T,
    timestamp: icp::TimeStamp,
}

fn odd<C: CandidType, T: CandidType>(chain_length: C, transactions: Vec<T>) -> Vec<u8> {
    let timestamp = icp::TimeStamp {
        timestamp_nanos: CREATED.0,
    };
    let blocks = transactions.into_iter().map(|transaction| OddBlock {
        transaction,
        timestamp,
    });
    let reply = Odd {
        chain_length,
        first_block_index: 0,
        blocks: blocks.collect(),
        archived_blocks: vec![],
    };
    Encode!(&reply).unwrap()
}

#[test]
fn huge_numbers_are_no_numbers() {
    let huge: Nat = format!("1{}", "0".repeat(10_000)).parse().unwrap();
    let transactions = Vec::<icp::Transaction>::new;
    for length in [huge.clone(), Nat::from(u64::MAX) + 1u8] {
        let reply = odd(length, transactions());
        let read = read(LogKind::Icp, &reply, &ALL, true);
        assert_eq!(read, Err(Unreadable::NotALog));
    }
    let reply = odd(Nat::from(u64::MAX), transactions());
    let largest = read(LogKind::Icp, &reply, &ALL, true).unwrap();
    assert_eq!(largest.log_length, u64::MAX);
    // An amount that no payment has is not read, and holds up the payment whose memo it bears.
    #[derive(CandidType, Clone)]
    enum Operation {
        Transfer { amount: Rich },
    }
    #[derive(CandidType, Clone)]
    struct Rich {
        e8s: Nat,
    }
    #[derive(CandidType, Clone)]
    struct Transaction {
        icrc1_memo: Option<ByteBuf>,
        operation: Option<Operation>,
    }
    let transaction = |memo: u8| Transaction {
        icrc1_memo: Some(ByteBuf::from([memo; 32])),
        operation: Some(Operation::Transfer {
            amount: Rich { e8s: huge.clone() },
        }),
    };
    let reply = odd(2u64, vec![transaction(8), transaction(7)]);
    let shown = read(LogKind::Icp, &reply, &ALL, true).unwrap();
    assert_eq!(find(&shown, &wanted()), None);
    assert_eq!(doubtful(&shown, &wanted()), [1]);
}

/// Operations that do not exist yet, fields that are missing, transactions that nest.
#[test]
fn blocks_of_an_unknown_shape_hold_up_the_payments_that_they_might_be() {
    #[derive(CandidType)]
    enum Operation {
        Freeze { from: ByteBuf },
    }
    #[derive(CandidType)]
    struct Transaction {
        icrc1_memo: Option<ByteBuf>,
        operation: Option<Operation>,
    }
    let frozen = |memo: Option<u8>| Transaction {
        icrc1_memo: memo.map(|memo| ByteBuf::from([memo; 32])),
        operation: Some(Operation::Freeze {
            from: ByteBuf::from([1; 32]),
        }),
    };
    let held = |reply: Vec<u8>| {
        let page = read(LogKind::Icp, &reply, &ALL, true).unwrap();
        assert_eq!(find(&page, &wanted()), None);
        doubtful(&page, &wanted())
    };
    let other = Transaction {
        icrc1_memo: Some(ByteBuf::from([7; 32])),
        operation: None,
    };
    let unknown = vec![frozen(None), frozen(Some(8)), other];
    assert_eq!(held(odd(3u64, unknown)), [2]);
    // Without the members that every block has.
    assert_eq!(held(odd(1u64, vec![5u8])), [0]);
    // Deeper than is read, and longer: the others are read.
    #[derive(CandidType)]
    struct Nested(Option<Box<Nested>>);
    let deep = (0..40).fold(Nested(None), |inner, _| Nested(Some(Box::new(inner))));
    assert_eq!(held(odd(2u64, vec![Nested(None), deep])), [0, 1]);
    let large = odd(1u64, vec![vec![1u64; 20_000]]);
    assert_eq!(held(large), [0]);
}

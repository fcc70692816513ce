//! The ICP ledger's own block log: `query_blocks`, and the function that it names for archived blocks.

use super::block::{Block, Debit};
use candid::{CandidType, Deserialize};
use icrc_ledger_types::icrc3::archive::QueryArchiveFn;
use serde_bytes::ByteBuf;
use x402_icp::{Amount, account::Party};

pub(super) const QUERY_BLOCKS: &str = "query_blocks";

#[derive(CandidType, Deserialize, Clone, Copy, Debug)]
pub(super) struct Range {
    pub start: u64,
    pub length: u64,
}

#[derive(CandidType, Deserialize, Debug)]
pub(super) struct Found {
    pub chain_length: u64,
    pub first_block_index: u64,
    pub blocks: Vec<IcpBlock>,
    pub archived_blocks: Vec<Archived>,
}

#[derive(CandidType, Deserialize, Debug)]
pub(super) struct Archived {
    pub start: u64,
    pub length: u64,
    pub callback: QueryArchiveFn<Range, ArchivedBlocks>,
}

/// The blocks of an archive from the first requested one on.
#[derive(CandidType, Deserialize, Debug)]
pub(super) enum ArchivedBlocks {
    Ok(BlockRange),
    Err(candid::Reserved),
}

#[derive(CandidType, Deserialize, Debug)]
pub(super) struct BlockRange {
    pub blocks: Vec<IcpBlock>,
}

#[derive(CandidType, Deserialize, Clone, Debug)]
pub(super) struct IcpBlock {
    transaction: Transaction,
    timestamp: Time,
}

#[derive(CandidType, Deserialize, Clone, Debug)]
struct Transaction {
    icrc1_memo: Option<ByteBuf>,
    /// `None` also for an operation that is not known.
    operation: Option<Operation>,
}

#[derive(CandidType, Deserialize, Clone, Debug)]
enum Operation {
    Transfer {
        from: ByteBuf,
        to: ByteBuf,
        spender: Option<ByteBuf>,
        amount: Tokens,
        fee: Tokens,
    },
    Burn {
        from: ByteBuf,
        spender: Option<ByteBuf>,
    },
    Mint {},
    Approve {},
}

#[derive(CandidType, Deserialize, Clone, Copy, Debug)]
struct Tokens {
    e8s: u64,
}

#[derive(CandidType, Deserialize, Clone, Copy, Debug)]
struct Time {
    timestamp_nanos: u64,
}

impl IcpBlock {
    pub fn timestamp(&self) -> u64 {
        self.timestamp.timestamp_nanos
    }

    pub fn memo(&self) -> Option<Vec<u8>> {
        let memo = self.transaction.icrc1_memo.clone();
        memo.map(ByteBuf::into_vec)
    }

    pub fn moves_nothing(&self) -> bool {
        let operation = &self.transaction.operation;
        matches!(operation, Some(Operation::Mint {} | Operation::Approve {}))
    }

    pub fn debit(&self) -> Option<Debit> {
        let (from, spender) = match self.transaction.operation.as_ref()? {
            Operation::Transfer { from, spender, .. } | Operation::Burn { from, spender } => {
                (from, spender)
            }
            Operation::Mint {} | Operation::Approve {} => return None,
        };
        Some(Debit {
            from: party(from)?,
            spender: spender.as_ref().and_then(party),
            memo: self.memo(),
        })
    }

    pub fn read(&self) -> Result<Block, String> {
        let Some(Operation::Transfer {
            from,
            to,
            spender,
            amount,
            fee,
        }) = &self.transaction.operation
        else {
            return Err("the block is not a transfer".into());
        };
        let named = |blob: &ByteBuf| party(blob).ok_or("the block has an odd account identifier");
        Ok(Block {
            from: named(from)?,
            to: named(to)?,
            spender: spender.as_ref().map(named).transpose()?,
            amount: Amount(amount.e8s.into()),
            memo: self.memo(),
            fee: Some(Amount(fee.e8s.into())),
            timestamp: Some(self.timestamp()),
        })
    }
}

fn party(blob: &ByteBuf) -> Option<Party> {
    let identifier = <[u8; 32]>::try_from(blob.as_slice()).ok()?;
    Some(Party::Identifier(identifier))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use candid::{Decode, Encode, Principal};
    use icrc_ledger_types::icrc1::account::Account;
    use test_ledger::domain as ledger;

    fn account(n: u8) -> Account {
        Principal::from_slice(&[n]).into()
    }

    /// A block with an operation that is not known.
    pub fn odd_block(memo: &[u8]) -> crate::ledger::pages::Entry {
        crate::ledger::pages::Entry::Icp(Box::new(IcpBlock {
            transaction: Transaction {
                icrc1_memo: Some(ByteBuf::from(memo)),
                operation: None,
            },
            timestamp: Time { timestamp_nanos: 5 },
        }))
    }

    /// As the ICP ledger shows it.
    fn shown(operation: ledger::Operation) -> IcpBlock {
        let block = ledger::Block {
            parent_hash: None,
            timestamp: 5,
            effective_fee: None,
            transaction: ledger::Transaction {
                operation,
                created_at_time: None,
                memo: Some(vec![9; 32]),
            },
        };
        let encoded = Encode!(&block.to_icp(10)).unwrap();
        Decode!(&encoded, IcpBlock).unwrap()
    }

    #[test]
    fn a_transfer_is_read_and_nothing_else_is_one() {
        let transfer = |spender| ledger::Operation::Transfer {
            from: account(1),
            to: account(2),
            spender,
            amount: 7,
            fee: None,
        };
        let block = shown(transfer(Some(account(3)))).read().unwrap();
        assert!(block.from.is(&account(1)) && block.to.is(&account(2)));
        let spender = block.spender.unwrap();
        assert!(spender.is_of(&account(3).owner) && !spender.is_of(&account(4).owner));
        assert_eq!((block.amount, block.fee), (Amount(7), Some(Amount(10))));
        assert_eq!((block.memo, block.timestamp), (Some(vec![9; 32]), Some(5)));
        assert_eq!(shown(transfer(None)).read().unwrap().spender, None);
        let burn = shown(ledger::Operation::Burn {
            from: account(1),
            spender: Some(account(3)),
            amount: 7,
        });
        assert!(burn.read().is_err());
        assert!(burn.debit().unwrap().from.is(&account(1)));
        let mint = shown(ledger::Operation::Mint {
            to: account(1),
            amount: 7,
        });
        assert!(mint.read().is_err() && mint.debit().is_none());
        let approval = shown(ledger::Operation::Approve {
            from: account(1),
            spender: account(3),
            amount: 7,
            expected_allowance: None,
            expires_at: None,
            fee: None,
        });
        assert!(approval.read().is_err() && approval.debit().is_none());
    }
}

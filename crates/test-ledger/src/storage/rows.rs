//! Rows of the stable structures: CBOR, each an enum with one case a version, so that a later wasm can tell
//! an old row from a new one. A tag is never used again for something else.

use std::borrow::Cow;

use candid::Principal;
use ic_stable_structures::Storable;
use ic_stable_structures::storable::Bound;
use icrc_ledger_types::icrc1::account::Account;
use minicbor::{Decode, Encode};

use crate::args::MetadataEntry;
use crate::domain::{Allowance, Block, Config, Hash, Operation, Tip, Transaction};

/// 128-bit amount, 16 bytes big endian (CBOR numbers end at 64 bits).
#[derive(Encode, Decode, Clone, Copy)]
#[cbor(transparent)]
pub struct AmountCbor(#[cbor(with = "minicbor::bytes")] [u8; 16]);

impl From<u128> for AmountCbor {
    fn from(amount: u128) -> Self {
        Self(amount.to_be_bytes())
    }
}

impl From<AmountCbor> for u128 {
    fn from(amount: AmountCbor) -> Self {
        Self::from_be_bytes(amount.0)
    }
}

/// An account as it was sent: no subaccount and the zero subaccount differ.
#[derive(Encode, Decode, Clone)]
pub struct AccountCbor {
    #[cbor(n(0), with = "minicbor::bytes")]
    owner: Vec<u8>,
    #[cbor(n(1), with = "minicbor::bytes")]
    subaccount: Option<[u8; 32]>,
}

impl From<&Account> for AccountCbor {
    fn from(account: &Account) -> Self {
        Self {
            owner: account.owner.as_slice().to_vec(),
            subaccount: account.subaccount,
        }
    }
}

impl From<AccountCbor> for Account {
    fn from(account: AccountCbor) -> Self {
        Self {
            owner: Principal::from_slice(&account.owner),
            subaccount: account.subaccount,
        }
    }
}

#[derive(Encode, Decode)]
pub enum BalanceRow {
    #[n(1)]
    V1(#[n(0)] AmountCbor),
}

#[derive(Encode, Decode)]
pub enum AllowanceRow {
    #[n(1)]
    V1(#[n(0)] AmountCbor, #[n(1)] Option<u64>),
}

impl From<Allowance> for AllowanceRow {
    fn from(allowance: Allowance) -> Self {
        Self::V1(allowance.amount.into(), allowance.expires_at)
    }
}

impl From<AllowanceRow> for Allowance {
    fn from(AllowanceRow::V1(amount, expires_at): AllowanceRow) -> Self {
        Self {
            amount: amount.into(),
            expires_at,
        }
    }
}

/// Index of the block that holds a remembered transaction.
#[derive(Encode, Decode)]
pub enum TransactionRow {
    #[n(1)]
    V1(#[n(0)] u64),
}

/// Figures that every transaction moves.
#[derive(Encode, Decode, Clone)]
pub enum TotalsRow {
    #[n(1)]
    V1(
        #[n(0)] AmountCbor,
        #[n(1)] Option<u64>,
        #[cbor(n(2), with = "minicbor::bytes")] Hash,
    ),
}

impl TotalsRow {
    pub const fn empty() -> Self {
        Self::V1(AmountCbor([0; 16]), None, [0; 32])
    }

    pub fn new(supply: u128, tip: Option<Tip>) -> Self {
        let hash = tip.map_or([0; 32], |tip| tip.hash);
        Self::V1(supply.into(), tip.map(|tip| tip.index), hash)
    }

    pub fn supply(&self) -> u128 {
        let Self::V1(supply, ..) = self;
        (*supply).into()
    }

    pub fn tip(&self) -> Option<Tip> {
        let Self::V1(_, index, hash) = self;
        index.map(|index| Tip { index, hash: *hash })
    }
}

#[derive(Encode, Decode, Clone)]
pub enum ConfigRow {
    /// Before installation.
    #[n(0)]
    Empty,
    #[n(1)]
    V1(#[n(0)] ConfigV1),
}

#[derive(Encode, Decode, Clone)]
pub struct ConfigV1 {
    #[n(0)]
    minting_account: AccountCbor,
    #[n(1)]
    transfer_fee: AmountCbor,
    #[n(2)]
    decimals: u8,
    #[n(3)]
    token_symbol: String,
    #[n(4)]
    token_name: String,
    /// Candid, because its values are Candid's.
    #[cbor(n(5), with = "minicbor::bytes")]
    metadata: Vec<u8>,
    #[n(6)]
    max_memo_length: u16,
    #[n(7)]
    test_faults: bool,
    #[n(8)]
    icp: bool,
}

impl From<&Config> for ConfigRow {
    fn from(config: &Config) -> Self {
        let metadata = candid::encode_one(&config.metadata);
        Self::V1(ConfigV1 {
            minting_account: (&config.minting_account).into(),
            transfer_fee: config.transfer_fee.into(),
            decimals: config.decimals,
            token_symbol: config.token_symbol.clone(),
            token_name: config.token_name.clone(),
            metadata: metadata.expect("BUG: metadata from Candid is not Candid"),
            max_memo_length: config.max_memo_length,
            test_faults: config.test_faults,
            icp: config.icp,
        })
    }
}

impl From<ConfigV1> for Config {
    fn from(row: ConfigV1) -> Self {
        let metadata = candid::decode_one::<Vec<MetadataEntry>>(&row.metadata);
        Self {
            minting_account: row.minting_account.into(),
            transfer_fee: row.transfer_fee.into(),
            decimals: row.decimals,
            token_symbol: row.token_symbol,
            token_name: row.token_name,
            metadata: metadata.expect("BUG: stored metadata is not Candid"),
            max_memo_length: row.max_memo_length,
            test_faults: row.test_faults,
            icp: row.icp,
        }
    }
}

#[derive(Encode, Decode)]
pub enum BlockRow {
    #[n(1)]
    V1(#[n(0)] BlockV1),
}

#[derive(Encode, Decode)]
pub struct BlockV1 {
    #[cbor(n(0), with = "minicbor::bytes")]
    parent_hash: Option<[u8; 32]>,
    #[n(1)]
    timestamp: u64,
    #[n(2)]
    effective_fee: Option<AmountCbor>,
    #[n(3)]
    created_at_time: Option<u64>,
    #[cbor(n(4), with = "minicbor::bytes")]
    memo: Option<Vec<u8>>,
    #[n(5)]
    operation: OperationV1,
}

#[derive(Encode, Decode)]
enum OperationV1 {
    #[n(0)]
    Mint(#[n(0)] AccountCbor, #[n(1)] AmountCbor),
    #[n(1)]
    Burn(
        #[n(0)] AccountCbor,
        #[n(1)] AmountCbor,
        #[n(2)] Option<AccountCbor>,
    ),
    #[n(2)]
    Transfer(
        #[n(0)] AccountCbor,
        #[n(1)] AmountCbor,
        #[n(2)] AccountCbor,
        #[n(3)] Option<AccountCbor>,
        #[n(4)] Option<AmountCbor>,
    ),
    #[n(3)]
    Approve(
        #[n(0)] AccountCbor,
        #[n(1)] AmountCbor,
        #[n(2)] AccountCbor,
        #[n(3)] Option<AmountCbor>,
        #[n(4)] Option<u64>,
        #[n(5)] Option<AmountCbor>,
    ),
}

impl From<&Operation> for OperationV1 {
    fn from(operation: &Operation) -> Self {
        match operation {
            Operation::Mint { to, amount } => Self::Mint(to.into(), (*amount).into()),
            Operation::Burn {
                from,
                spender,
                amount,
            } => Self::Burn(
                from.into(),
                (*amount).into(),
                spender.as_ref().map(Into::into),
            ),
            Operation::Transfer {
                from,
                to,
                spender,
                amount,
                fee,
            } => Self::Transfer(
                from.into(),
                (*amount).into(),
                to.into(),
                spender.as_ref().map(Into::into),
                fee.map(Into::into),
            ),
            Operation::Approve {
                from,
                spender,
                amount,
                expected_allowance,
                expires_at,
                fee,
            } => Self::Approve(
                from.into(),
                (*amount).into(),
                spender.into(),
                expected_allowance.map(Into::into),
                *expires_at,
                fee.map(Into::into),
            ),
        }
    }
}

impl From<OperationV1> for Operation {
    fn from(operation: OperationV1) -> Self {
        match operation {
            OperationV1::Mint(to, amount) => Self::Mint {
                to: to.into(),
                amount: amount.into(),
            },
            OperationV1::Burn(from, amount, spender) => Self::Burn {
                from: from.into(),
                spender: spender.map(Into::into),
                amount: amount.into(),
            },
            OperationV1::Transfer(from, amount, to, spender, fee) => Self::Transfer {
                from: from.into(),
                to: to.into(),
                spender: spender.map(Into::into),
                amount: amount.into(),
                fee: fee.map(Into::into),
            },
            OperationV1::Approve(from, amount, spender, expected, expires_at, fee) => {
                Self::Approve {
                    from: from.into(),
                    spender: spender.into(),
                    amount: amount.into(),
                    expected_allowance: expected.map(Into::into),
                    expires_at,
                    fee: fee.map(Into::into),
                }
            }
        }
    }
}

impl From<&Block> for BlockRow {
    fn from(block: &Block) -> Self {
        let transaction = &block.transaction;
        Self::V1(BlockV1 {
            parent_hash: block.parent_hash,
            timestamp: block.timestamp,
            effective_fee: block.effective_fee.map(Into::into),
            created_at_time: transaction.created_at_time,
            memo: transaction.memo.clone(),
            operation: (&transaction.operation).into(),
        })
    }
}

impl From<BlockRow> for Block {
    fn from(BlockRow::V1(row): BlockRow) -> Self {
        Self {
            parent_hash: row.parent_hash,
            timestamp: row.timestamp,
            effective_fee: row.effective_fee.map(Into::into),
            transaction: Transaction {
                operation: row.operation.into(),
                created_at_time: row.created_at_time,
                memo: row.memo,
            },
        }
    }
}

impl BlockRow {
    /// A row that another canister wrote.
    pub fn read(bytes: &[u8]) -> Option<Block> {
        minicbor::decode::<Self>(bytes).ok().map(Block::from)
    }
}

/// Blocks that are in an archive: from `start`, below `end`.
#[derive(Encode, Decode, Clone, Debug, PartialEq, Eq)]
pub struct ArchivedRange {
    /// The archive's principal.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub archive: Vec<u8>,
    #[n(1)]
    pub start: u64,
    #[n(2)]
    pub end: u64,
}

/// Where blocks are: the index of the first one in the own log (0, except in an archive), and what was
/// moved to archives.
#[derive(Encode, Decode, Clone)]
pub enum PlacesRow {
    #[n(1)]
    V1(#[n(0)] u64, #[n(1)] Vec<ArchivedRange>),
}

impl PlacesRow {
    pub const fn empty() -> Self {
        Self::V1(0, Vec::new())
    }

    pub const fn starting_at(offset: u64) -> Self {
        Self::V1(offset, Vec::new())
    }

    pub const fn offset(&self) -> u64 {
        let Self::V1(offset, _) = self;
        *offset
    }

    pub fn archived(&self) -> &[ArchivedRange] {
        let Self::V1(_, archived) = self;
        archived
    }

    pub fn with(&self, range: ArchivedRange) -> Self {
        let Self::V1(offset, archived) = self;
        let mut archived = archived.clone();
        match archived.last_mut() {
            Some(last) if last.archive == range.archive => last.end = range.end,
            _ => archived.push(range),
        }
        Self::V1(*offset, archived)
    }
}

macro_rules! cbor_row {
    ($($row:ident),+) => {$(
        impl Storable for $row {
            const BOUND: Bound = Bound::Unbounded;

            fn to_bytes(&self) -> Cow<'_, [u8]> {
                Cow::Owned(minicbor::to_vec(self).expect("BUG: writing CBOR to memory failed"))
            }

            fn into_bytes(self) -> Vec<u8> {
                self.to_bytes().into_owned()
            }

            fn from_bytes(bytes: Cow<[u8]>) -> Self {
                minicbor::decode(&bytes).expect("BUG: a stored row is not of a known version")
            }
        }
    )+};
}

cbor_row!(
    BalanceRow,
    AllowanceRow,
    TransactionRow,
    TotalsRow,
    ConfigRow,
    BlockRow,
    PlacesRow
);

//! Transactions as they were sent, and their ICRC-3 form.

use std::collections::BTreeMap;

use candid::Nat;
use icrc_ledger_types::icrc::generic_value::ICRC3Value;
use icrc_ledger_types::icrc1::account::Account;
use serde_bytes::ByteBuf;

use super::{Hash, TimestampNs, Tokens};

/// What a transaction does. Accounts and the fee stand as the caller wrote them: `None` and
/// `Some([0; 32])` name the same account, but make different transactions.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    Mint {
        to: Account,
        amount: Tokens,
    },
    Burn {
        from: Account,
        spender: Option<Account>,
        amount: Tokens,
    },
    Transfer {
        from: Account,
        to: Account,
        spender: Option<Account>,
        amount: Tokens,
        fee: Option<Tokens>,
    },
    Approve {
        from: Account,
        spender: Account,
        amount: Tokens,
        expected_allowance: Option<Tokens>,
        expires_at: Option<TimestampNs>,
        fee: Option<Tokens>,
    },
}

/// A transaction as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Transaction {
    pub operation: Operation,
    pub created_at_time: Option<TimestampNs>,
    pub memo: Option<Vec<u8>>,
}

impl Operation {
    /// The ICRC-3 block type of a block that holds this operation.
    pub fn block_type(&self) -> &'static str {
        match self {
            Self::Mint { .. } => "1mint",
            Self::Burn { .. } => "1burn",
            Self::Transfer { spender: None, .. } => "1xfer",
            Self::Transfer { .. } => "2xfer",
            Self::Approve { .. } => "2approve",
        }
    }

    /// The fee the caller wrote into the request, if any.
    pub fn sent_fee(&self) -> Option<Tokens> {
        match self {
            Self::Transfer { fee, .. } | Self::Approve { fee, .. } => *fee,
            Self::Mint { .. } | Self::Burn { .. } => None,
        }
    }
}

impl Transaction {
    /// The `tx` map of the block. `op` is kept beside the block's `btype` because ledgers in the field
    /// write only `op`, and readers must cope with both.
    pub fn to_value(&self) -> ICRC3Value {
        let mut map = BTreeMap::new();
        let mut put = |key: &str, value| map.insert(key.to_string(), value);
        let (op, amount) = match &self.operation {
            Operation::Mint { to, amount } => {
                put("to", account(to));
                ("mint", amount)
            }
            Operation::Burn {
                from,
                spender,
                amount,
            } => {
                put("from", account(from));
                if let Some(spender) = spender {
                    put("spender", account(spender));
                }
                ("burn", amount)
            }
            Operation::Transfer {
                from,
                to,
                spender,
                amount,
                ..
            } => {
                put("from", account(from));
                put("to", account(to));
                if let Some(spender) = spender {
                    put("spender", account(spender));
                }
                ("xfer", amount)
            }
            Operation::Approve {
                from,
                spender,
                amount,
                expected_allowance,
                expires_at,
                ..
            } => {
                put("from", account(from));
                put("spender", account(spender));
                if let Some(expected) = expected_allowance {
                    put("expected_allowance", nat(*expected));
                }
                if let Some(expires_at) = expires_at {
                    put("expires_at", nat(*expires_at));
                }
                ("approve", amount)
            }
        };
        put("op", ICRC3Value::Text(op.to_string()));
        put("amt", nat(*amount));
        if let Some(fee) = self.operation.sent_fee() {
            put("fee", nat(fee));
        }
        if let Some(memo) = &self.memo {
            put("memo", ICRC3Value::Blob(ByteBuf::from(memo.clone())));
        }
        if let Some(created_at_time) = self.created_at_time {
            put("ts", nat(created_at_time));
        }
        ICRC3Value::Map(map)
    }

    /// Identity of the transaction as sent: what deduplication compares.
    pub fn hash(&self) -> Hash {
        self.to_value().hash()
    }
}

pub(super) fn nat(value: impl Into<Nat>) -> ICRC3Value {
    ICRC3Value::Nat(value.into())
}

fn account(account: &Account) -> ICRC3Value {
    let mut parts = vec![ICRC3Value::Blob(ByteBuf::from(account.owner.as_slice()))];
    if let Some(subaccount) = account.subaccount {
        parts.push(ICRC3Value::Blob(ByteBuf::from(subaccount)));
    }
    ICRC3Value::Array(parts)
}

//! The order of checks and the effects of transfers and approvals, as measured on the ICRC ledger suite. Other
//! ledgers look at allowance or balance first ([`CheckOrder`]).
//!
//! Transfers: memo length (trap) · fee · smallest burn · age, future, duplicate · allowance · balance.
//! Approvals: self-approval, minter, memo length (traps) · fee · age, future, duplicate · expiry · expected
//! allowance · balance. Nothing is written before the last check has passed.

use candid::{CandidType, Nat};
use icrc_ledger_types::icrc1::account::Account;
use serde::Deserialize;

use super::{
    Allowance, ApproveRefusal, Block, Books, Config, Operation, TimeRefusal, TimestampNs, Tokens,
    Transaction, TransferRefusal, Violation,
};

/// How long after its `created_at_time` a transaction is accepted, and remembered: 24 hours.
pub const TRANSACTION_WINDOW_NS: u64 = 24 * 60 * 60 * 1_000_000_000;
/// How far ahead of the ledger's clock `created_at_time` may be: 60 seconds.
pub const PERMITTED_DRIFT_NS: u64 = 60 * 1_000_000_000;

/// `icrc1_transfer` (no spender) or `icrc2_transfer_from`, as sent.
#[derive(Clone, Debug)]
pub struct TransferRequest {
    pub from: Account,
    pub to: Account,
    pub spender: Option<Account>,
    pub amount: Nat,
    pub fee: Option<Nat>,
    pub memo: Option<Vec<u8>>,
    pub created_at_time: Option<TimestampNs>,
}

/// `icrc2_approve`, as sent.
#[derive(Clone, Debug)]
pub struct ApproveRequest {
    pub from: Account,
    pub spender: Account,
    pub amount: Nat,
    pub expected_allowance: Option<Nat>,
    pub expires_at: Option<TimestampNs>,
    pub fee: Option<Nat>,
    pub memo: Option<Vec<u8>>,
    pub created_at_time: Option<TimestampNs>,
}

/// What a ledger looks at first in a transfer by a spender, before its fee and before it looks for duplicates.
#[derive(CandidType, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckOrder {
    /// The fee, as the ICRC ledger suite does.
    #[default]
    FeeFirst,
    /// The allowance: it has to cover the amount and the ledger's own fee.
    AllowanceFirst,
    /// The balance, likewise.
    BalanceFirst,
}

/// Moves, mints or burns tokens; returns the index of the block.
pub fn transfer(
    books: &mut impl Books,
    config: &Config,
    request: TransferRequest,
    now: TimestampNs,
) -> Result<u64, TransferRefusal> {
    transfer_in_order(books, config, request, now, CheckOrder::FeeFirst)
}

/// The same on a ledger that checks in this order.
pub fn transfer_in_order(
    books: &mut impl Books,
    config: &Config,
    request: TransferRequest,
    now: TimestampNs,
    order: CheckOrder,
) -> Result<u64, TransferRefusal> {
    check_memo(&request.memo, config)?;
    let Some(amount) = tokens(&request.amount) else {
        let balance = books.balance(&request.from);
        return Err(TransferRefusal::InsufficientFunds { balance });
    };
    let (from, to, spender) = (request.from, request.to, request.spender);
    let is_burn = to == config.minting_account;
    let is_mint = !is_burn && from == config.minting_account;
    let fee = if is_burn || is_mint {
        0
    } else {
        config.transfer_fee
    };
    if is_mint && spender.is_some() {
        return Err(Violation::MinterDelegates.into());
    }
    let debit = amount.checked_add(fee);
    match order {
        _ if is_mint => {}
        CheckOrder::FeeFirst => {}
        CheckOrder::AllowanceFirst => {
            remaining_allowance(books, &from, spender.as_ref(), debit, now)?;
        }
        CheckOrder::BalanceFirst => {
            let balance = books.balance(&from);
            if debit.is_none_or(|debit| debit > balance) {
                return Err(TransferRefusal::InsufficientFunds { balance });
            }
        }
    }
    if !fee_agrees(&request.fee, fee) {
        return Err(TransferRefusal::BadFee { expected_fee: fee });
    }
    let operation = if is_burn {
        check_burn(books, config, &from, amount)?;
        Operation::Burn {
            from,
            spender,
            amount,
        }
    } else if is_mint {
        Operation::Mint { to, amount }
    } else {
        Operation::Transfer {
            from,
            to,
            spender,
            amount,
            fee: request.fee.as_ref().map(|_| fee),
        }
    };
    let transaction = Transaction {
        operation,
        created_at_time: request.created_at_time,
        memo: request.memo,
    };
    check_time(books, &transaction, now)?;

    if is_mint {
        mint(books, &to, amount)?;
    } else {
        let remaining = remaining_allowance(books, &from, spender.as_ref(), debit, now)?;
        let balance = books.balance(&from);
        let Some(left) = debit.and_then(|debit| balance.checked_sub(debit)) else {
            return Err(TransferRefusal::InsufficientFunds { balance });
        };
        books.set_balance(&from, left);
        if is_burn {
            books.set_total_supply(books.total_supply() - amount);
        } else {
            books.set_balance(&to, books.balance(&to) + amount);
            books.set_total_supply(books.total_supply() - fee);
        }
        if let (Some(spender), Some(remaining)) = (spender, remaining) {
            books.set_allowance(&from, &spender, remaining);
        }
    }
    Ok(record(books, transaction, fee, now))
}

/// Sets what `spender` may take from `from`; returns the index of the block.
pub fn approve(
    books: &mut impl Books,
    config: &Config,
    request: ApproveRequest,
    now: TimestampNs,
) -> Result<u64, ApproveRefusal> {
    let (from, spender) = (request.from, request.spender);
    if from.owner == spender.owner {
        return Err(Violation::SelfApproval.into());
    }
    if from == config.minting_account {
        return Err(Violation::MinterDelegates.into());
    }
    check_memo(&request.memo, config)?;
    let amount = tokens(&request.amount).unwrap_or(Tokens::MAX);
    let current = books.allowance(&from, &spender, now).amount;
    let expected_allowance = match &request.expected_allowance {
        None => None,
        Some(expected) => Some(tokens(expected).ok_or(ApproveRefusal::AllowanceChanged {
            current_allowance: current,
        })?),
    };
    let fee = config.transfer_fee;
    if !fee_agrees(&request.fee, fee) {
        return Err(ApproveRefusal::BadFee { expected_fee: fee });
    }
    let transaction = Transaction {
        operation: Operation::Approve {
            from,
            spender,
            amount,
            expected_allowance,
            expires_at: request.expires_at,
            fee: request.fee.as_ref().map(|_| fee),
        },
        created_at_time: request.created_at_time,
        memo: request.memo,
    };
    check_time(books, &transaction, now)?;
    let allowance = Allowance {
        amount,
        expires_at: request.expires_at,
    };
    if allowance.is_expired(now) {
        return Err(ApproveRefusal::Expired { ledger_time: now });
    }
    if expected_allowance.is_some_and(|expected| expected != current) {
        return Err(ApproveRefusal::AllowanceChanged {
            current_allowance: current,
        });
    }
    let balance = books.balance(&from);
    let left = balance
        .checked_sub(fee)
        .ok_or(ApproveRefusal::InsufficientFunds { balance })?;
    books.set_balance(&from, left);
    books.set_total_supply(books.total_supply() - fee);
    books.set_allowance(&from, &spender, allowance);
    Ok(record(books, transaction, fee, now))
}

/// `None` if the number is larger than any balance can be.
fn tokens(amount: &Nat) -> Option<Tokens> {
    Tokens::try_from(&amount.0).ok()
}

fn fee_agrees(sent: &Option<Nat>, expected: Tokens) -> bool {
    sent.as_ref().is_none_or(|sent| *sent == expected)
}

fn check_memo(memo: &Option<Vec<u8>>, config: &Config) -> Result<(), Violation> {
    let limit = config.max_memo_length;
    match memo {
        Some(memo) if memo.len() > usize::from(limit) => Err(Violation::MemoTooLong {
            bytes: memo.len(),
            limit,
        }),
        _ => Ok(()),
    }
}

/// A burn of less than a fee would leave dust for free; emptying a smaller balance is allowed.
fn check_burn(
    books: &impl Books,
    config: &Config,
    from: &Account,
    amount: Tokens,
) -> Result<(), TransferRefusal> {
    let min_burn_amount = config.transfer_fee.min(books.balance(from));
    if amount < min_burn_amount {
        return Err(TransferRefusal::BadBurn { min_burn_amount });
    }
    if amount == 0 {
        return Err(TransferRefusal::BadBurn {
            min_burn_amount: config.transfer_fee,
        });
    }
    Ok(())
}

fn check_time(
    books: &impl Books,
    transaction: &Transaction,
    now: TimestampNs,
) -> Result<(), TimeRefusal> {
    let Some(created_at_time) = transaction.created_at_time else {
        return Ok(());
    };
    if created_at_time.saturating_add(TRANSACTION_WINDOW_NS) < now {
        return Err(TimeRefusal::TooOld);
    }
    if created_at_time > now.saturating_add(PERMITTED_DRIFT_NS) {
        return Err(TimeRefusal::CreatedInFuture { ledger_time: now });
    }
    match books.duplicate_of(created_at_time, &transaction.hash()) {
        Some(duplicate_of) => Err(TimeRefusal::Duplicate { duplicate_of }),
        None => Ok(()),
    }
}

/// What is left of the allowance after `debit` (`None`: more than there can be); `None` if no allowance is
/// needed, because nobody but the owner spends.
fn remaining_allowance(
    books: &impl Books,
    from: &Account,
    spender: Option<&Account>,
    debit: Option<Tokens>,
    now: TimestampNs,
) -> Result<Option<Allowance>, TransferRefusal> {
    let Some(spender) = spender.filter(|spender| *spender != from) else {
        return Ok(None);
    };
    let allowance = books.allowance(from, spender, now);
    match debit.and_then(|debit| allowance.amount.checked_sub(debit)) {
        Some(amount) => Ok(Some(Allowance {
            amount,
            ..allowance
        })),
        None => Err(TransferRefusal::InsufficientAllowance {
            allowance: allowance.amount,
        }),
    }
}

fn mint(books: &mut impl Books, to: &Account, amount: Tokens) -> Result<(), Violation> {
    let supply = books
        .total_supply()
        .checked_add(amount)
        .ok_or(Violation::SupplyOverflow)?;
    books.set_balance(to, books.balance(to) + amount);
    books.set_total_supply(supply);
    Ok(())
}

fn record(books: &mut impl Books, transaction: Transaction, fee: Tokens, now: TimestampNs) -> u64 {
    let takes_fee = matches!(
        transaction.operation,
        Operation::Transfer { .. } | Operation::Approve { .. }
    );
    let effective_fee = (takes_fee && transaction.operation.sent_fee().is_none()).then_some(fee);
    let dedup = transaction
        .created_at_time
        .map(|created_at_time| (created_at_time, transaction.hash()));
    let index = books.append(Block {
        parent_hash: books.tip().map(|tip| tip.hash),
        timestamp: now,
        effective_fee,
        transaction,
    });
    if let Some((created_at_time, hash)) = dedup {
        books.remember(created_at_time, &hash, index);
    }
    books.forget_before(now.saturating_sub(TRANSACTION_WINDOW_NS));
    index
}

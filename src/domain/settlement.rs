//! The calls that move money, and what their answers prove.

use crate::{
    domain::{
        ledger,
        payment::{Doubt, Failure, FailureKind, Payment, message},
        rail::{Rail, TxRef},
        verdict::Verdict,
    },
    types::{Account, Amount, BlockIndex, TimestampNs},
};
use candid::{CandidType, DecoderConfig, Deserialize, Nat};
use icrc_ledger_types::{
    icrc1::transfer::{Memo, TransferArg},
    icrc2::transfer_from::{TransferFromArgs, TransferFromError},
};
use std::fmt;

/// The method that takes a payment.
pub const METHOD: &str = "icrc2_transfer_from";
/// The method that moves the canister's own money.
pub const TRANSFER: &str = "icrc1_transfer";

/// The longest argument of these two.
pub const MAX_ARGUMENT_BYTES: usize = 512;

/// The longest reply that is read. An honest one has less than 300 bytes, apart from the message of a `GenericError`.
pub const MAX_REPLY_BYTES: usize = 16_384;

/// The transfer that a block shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimant {
    /// The settled payment with this index, from 0.
    Payment(u64),
    /// The refund of that payment.
    Refund(u64),
    /// The withdrawal with this `created_at_time`.
    Withdrawal(TimestampNs),
    /// What an invoice did not need, given back by the transfer with this number.
    Return(u64),
}

impl fmt::Display for Claimant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Sequences in lists begin at 1.
        match self {
            Claimant::Payment(index) => write!(f, "payment {}", index.saturating_add(1)),
            Claimant::Refund(index) => write!(f, "refund of payment {}", index.saturating_add(1)),
            Claimant::Withdrawal(created_at) => write!(f, "withdrawal of {}", created_at.0),
            Claimant::Return(number) => write!(f, "return {number} of an invoice"),
        }
    }
}

/// What an answer proves about a transfer of `asker` if `claimed` already claims the block that it names: nothing,
/// unless both are the same.
pub fn unless_claimed(verdict: Verdict, claimed: Option<Claimant>, asker: Claimant) -> Verdict {
    match verdict {
        Verdict::Moved(_) if claimed.is_some_and(|claimant| claimant != asker) => {
            Verdict::InDoubt(Doubt::ImplausibleBlock)
        }
        verdict => verdict,
    }
}

/// The end of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    Reply(Vec<u8>),
    /// The call was not sent (no cycles, queue full).
    NotSent(String),
    Rejected {
        /// The reject code of the Interface Specification.
        code: u32,
        /// The reject message; may come from the ledger.
        message: String,
    },
}

/// What the end of a call proves, and what it shows about the ledger's fee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub verdict: Verdict,
    /// The ledger's fee, if the ledger reported that the transfer's fee is wrong.
    pub fee: Option<Amount>,
    /// Whether the ledger refused in a way that another fee would explain, without naming a plausible one: want of
    /// allowance or balance (some ledgers check these first), a fee of zero (that of burning), or an error of the
    /// ledger's own.
    pub fee_in_doubt: bool,
}

impl Judgement {
    fn plain(verdict: Verdict) -> Self {
        Judgement {
            verdict,
            fee: None,
            fee_in_doubt: false,
        }
    }

    fn fee_in_doubt(verdict: Verdict) -> Self {
        Judgement {
            fee_in_doubt: true,
            ..Judgement::plain(verdict)
        }
    }
}

/// How a verified payment is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The canister takes the money with one call of the ledger, whose outcome [`judge`] reads.
    Pull {
        method: &'static str,
        /// The encoded argument. The same payment has the same argument in every try, so that the ledger recognises
        /// duplicates.
        argument: Vec<u8>,
    },
    /// The payer has moved the money, and a block proves it: nothing is called.
    Proved,
}

/// The plan of the payment's rail.
pub fn plan(payment: &Payment) -> Plan {
    match payment.rail {
        Rail::Icrc1 => Plan::Proved,
        Rail::Icrc2 => Plan::Pull {
            method: METHOD,
            argument: encode(&TransferFromArgs {
                spender_subaccount: None,
                from: payment.from,
                to: payment.to,
                amount: payment.amount.0.into(),
                fee: Some(payment.fee.0.into()),
                memo: Some(Memo::from(payment.id.0.to_vec())),
                created_at_time: Some(payment.created_at.0),
            }),
        },
        Rail::Invoice => {
            let transfer = OwnTransfer {
                from: payment.from,
                to: payment.to,
                amount: payment.amount,
                fee: payment.fee,
                memo: &payment.id.0,
                created_at: payment.created_at,
            };
            Plan::Pull {
                method: TRANSFER,
                argument: transfer.argument(),
            }
        }
    }
}

fn encode(argument: &impl CandidType) -> Vec<u8> {
    candid::encode_one(argument).expect("BUG: every argument can be encoded")
}

/// A transfer out of an account of this canister.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnTransfer<'a> {
    pub from: Account,
    pub to: Account,
    /// The amount that arrives.
    pub amount: Amount,
    /// The fee that the ledger takes, out of `from` in addition. Ledgers recognise duplicates by it, too.
    pub fee: Amount,
    pub memo: &'a [u8],
    /// The same in every try.
    pub created_at: TimestampNs,
}

impl OwnTransfer<'_> {
    /// The encoded argument of [`TRANSFER`]. [`judge`] reads the reply: the errors of `icrc1_transfer` are among those
    /// of `icrc2_transfer_from`.
    pub fn argument(&self) -> Vec<u8> {
        encode(&TransferArg {
            from_subaccount: self.from.subaccount,
            to: self.to,
            amount: self.amount.0.into(),
            fee: Some(self.fee.0.into()),
            memo: Some(Memo::from(self.memo.to_vec())),
            created_at_time: Some(self.created_at.0),
        })
    }
}

/// The encoded argument of `icrc1_balance_of`.
pub fn balance_argument(account: &Account) -> Vec<u8> {
    encode(account)
}

#[derive(CandidType, Deserialize)]
enum TransferReply {
    Ok(Nat),
    Err(TransferFromError),
}

/// Judges the end of the call.
///
/// Money provably moved after `Ok` and after `Duplicate`. A duplicate can only be the canister's own transfer: the
/// ledger compares the spender, the memo (the payment id) and `created_at_time`. No money moved after a typed error, a
/// call that was not sent, and the three reject codes with which the system guarantees that the callee did not run (1
/// SYS_FATAL, 2 SYS_TRANSIENT, 3 DESTINATION_INVALID). Everything else proves nothing: a canister can act and then
/// reject (4), act, await and then trap (5), or act after the deadline (6 SYS_UNKNOWN), and an unreadable reply proves
/// only that the ledger did run. After 4 and 5 it is known at least that the ledger's own execution ended with an
/// error, or could not begin: [`Doubt::LedgerError`].
///
/// `known_block` is the highest block that this ledger had named when the call was made: `Ok` with a block that is not
/// above it names another transfer. [`unless_claimed`] checks whether the block is known to show another transfer of
/// this canister.
pub fn judge(outcome: &CallOutcome, known_block: Option<BlockIndex>) -> Judgement {
    let plain = Judgement::plain;
    match outcome {
        CallOutcome::Reply(reply) => judge_reply(reply, known_block),
        CallOutcome::NotSent(problem) => plain(unavailable(problem.clone())),
        CallOutcome::Rejected { code, message } if did_not_run(*code) => plain(unavailable(
            format!("the ledger cannot be reached: {message}"),
        )),
        CallOutcome::Rejected { code: 4..=5, .. } => plain(Verdict::InDoubt(Doubt::LedgerError)),
        CallOutcome::Rejected { .. } => plain(Verdict::InDoubt(Doubt::Reject)),
    }
}

/// Whether a reject with this code proves that the callee did not run.
fn did_not_run(code: u32) -> bool {
    matches!(code, 1..=3)
}

fn judge_reply(reply: &[u8], known_block: Option<BlockIndex>) -> Judgement {
    let plain = Judgement::plain;
    let fresh = |verdict| match verdict {
        Verdict::Moved(TxRef::Block(block)) if known_block.is_some_and(|known| block <= known) => {
            Verdict::InDoubt(Doubt::ImplausibleBlock)
        }
        verdict => verdict,
    };
    match decode(reply) {
        Some(TransferReply::Ok(index)) => plain(fresh(moved(&index))),
        Some(TransferReply::Err(error)) => match error {
            TransferFromError::Duplicate { duplicate_of } => plain(moved(&duplicate_of)),
            TransferFromError::BadFee { expected_fee } => {
                let fee = ledger::fee(&expected_fee);
                Judgement {
                    verdict: failed(FailureKind::FeeChanged, "the ledger's fee has changed"),
                    fee,
                    fee_in_doubt: fee.is_none_or(|fee| fee.0 == 0),
                }
            }
            TransferFromError::InsufficientFunds { .. } => Judgement::fee_in_doubt(failed(
                FailureKind::InsufficientFunds,
                "the balance does not cover the amount and the ledger's fee",
            )),
            TransferFromError::InsufficientAllowance { .. } => Judgement::fee_in_doubt(failed(
                FailureKind::InsufficientAllowance,
                "the allowance does not cover the amount and the ledger's fee",
            )),
            TransferFromError::BadBurn { .. } => {
                plain(unavailable("the ledger takes the transfer for a burn"))
            }
            TransferFromError::TooOld => plain(unavailable(
                "the ledger's clock is far ahead of this canister's",
            )),
            TransferFromError::CreatedInFuture { .. } => {
                plain(unavailable("the ledger's clock is behind this canister's"))
            }
            TransferFromError::TemporarilyUnavailable => {
                plain(unavailable("the ledger is temporarily unavailable"))
            }
            TransferFromError::GenericError { message, .. } => {
                Judgement::fee_in_doubt(unavailable(format!("the ledger says: {message}")))
            }
        },
        None => plain(Verdict::InDoubt(Doubt::UnreadableReply)),
    }
}

/// Reads a reply, with bounds on its size and on the work.
fn decode(reply: &[u8]) -> Option<TransferReply> {
    if reply.len() > MAX_REPLY_BYTES {
        return None;
    }
    let mut config = DecoderConfig::new();
    config
        .set_decoding_quota(200_000)
        .set_skipping_quota(50_000);
    candid::utils::decode_one_with_config(reply, &config).ok()
}

/// A block index beyond `u64` proves nothing either.
fn moved(index: &Nat) -> Verdict {
    match u64::try_from(&index.0) {
        Ok(block) => Verdict::Moved(TxRef::Block(BlockIndex(block))),
        Err(_) => Verdict::InDoubt(Doubt::UnreadableReply),
    }
}

fn failed(kind: FailureKind, text: impl Into<String>) -> Verdict {
    Verdict::NotMoved(Failure {
        kind,
        message: message(text),
    })
}

fn unavailable(text: impl Into<String>) -> Verdict {
    failed(FailureKind::LedgerUnavailable, text)
}

#[cfg(test)]
mod tests;

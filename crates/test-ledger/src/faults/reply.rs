//! The bytes of a dishonest answer.

use candid::{CandidType, Nat};
use icrc_ledger_types::icrc1::transfer::TransferError;
use icrc_ledger_types::icrc2::allowance::Allowance;
use icrc_ledger_types::icrc2::approve::ApproveError;
use icrc_ledger_types::icrc2::transfer_from::TransferFromError;

use super::{Answer, Method};

/// How a call ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Bytes(Vec<u8>),
    Reject(String),
    Trap(String),
}

/// What `method` answers for `answer`. `honest` are the bytes of the true answer, if there is one; `newest`
/// is the index of the newest block before the call.
pub fn reply(method: Method, answer: &Answer, honest: Option<Vec<u8>>, newest: u64) -> Reply {
    Reply::Bytes(match answer {
        Answer::Honest => match honest {
            Some(bytes) => bytes,
            None => return Reply::Trap("BUG: an honest answer without an effect".to_string()),
        },
        Answer::TransferError(error) => encode(Err::<Nat, _>(error)),
        Answer::ApproveError(error) => encode(Err::<Nat, _>(error)),
        Answer::TransferFromError(error) => encode(Err::<Nat, _>(error)),
        Answer::Index(index) => number(method, index.clone()),
        Answer::RepeatIndex => number(method, Nat::from(newest)),
        Answer::Nat(value) => number(method, value.clone()),
        Answer::NatOfDigits(digits) => number(method, nat_of_digits(*digits)),
        Answer::Text(bytes) => encode("x".repeat(*bytes as usize)),
        Answer::Bytes(bytes) => bytes.to_vec(),
        Answer::Reject(message) => return Reply::Reject(message.clone()),
        Answer::Trap(message) => return Reply::Trap(message.clone()),
    })
}

/// `value` where the method's answer has its number.
fn number(method: Method, value: Nat) -> Vec<u8> {
    match method {
        Method::Transfer => encode(Ok::<_, TransferError>(value)),
        Method::Approve => encode(Ok::<_, ApproveError>(value)),
        Method::TransferFrom => encode(Ok::<_, TransferFromError>(value)),
        Method::Allowance => encode(Allowance {
            allowance: value,
            expires_at: None,
        }),
        _ => encode(value),
    }
}

/// The smallest number of that many decimal digits.
fn nat_of_digits(digits: u32) -> Nat {
    let text = format!("1{}", "0".repeat(digits.saturating_sub(1) as usize));
    Nat::parse(text.as_bytes()).expect("BUG: digits are not a number")
}

/// The Candid message of one value.
pub(crate) fn encode(value: impl CandidType) -> Vec<u8> {
    candid::encode_one(value).expect("BUG: a reply does not encode as Candid")
}

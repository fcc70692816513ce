//! The Candid of calls to ledgers, written and read by hand where that is much cheaper.
//!
//! An argument always has the same type, so its type table is a constant and only values are written. A
//! ledger's `Ok` always has the same type table too: once the decoder has read one, replies that begin
//! with the same bytes are read without it. Tests hold both equal to the candid crate.

use crate::types::Account;
use candid::Nat;

/// What stands before the values of an encoded `TransferFromArgs`: `DIDL`, the type table, one argument
/// of the table's first type.
#[rustfmt::skip]
const ARGUMENT_TYPE: [u8; 70] = [
    0x44, 0x49, 0x44, 0x4c, 0x06, 0x6c, 0x07, 0xfb, 0xca, 0x01, 0x01, 0xc6,
    0xfc, 0xb6, 0x02, 0x04, 0xe1, 0x85, 0xc1, 0x94, 0x02, 0x02, 0xea, 0xca,
    0x8a, 0x9e, 0x04, 0x01, 0xba, 0x89, 0xe5, 0xc2, 0x04, 0x02, 0x82, 0xf3,
    0xf3, 0x91, 0x0c, 0x05, 0xd8, 0xa3, 0x8c, 0xa8, 0x0d, 0x7d, 0x6c, 0x02,
    0xb3, 0xb0, 0xda, 0xc3, 0x03, 0x68, 0xad, 0x86, 0xca, 0x83, 0x05, 0x02,
    0x6e, 0x03, 0x6d, 0x7b, 0x6e, 0x7d, 0x6e, 0x78, 0x01, 0x00,
];

/// What stands before the values of an encoded `TransferArg`.
#[rustfmt::skip]
const TRANSFER_TYPE: [u8; 64] = [
    0x44, 0x49, 0x44, 0x4c, 0x06, 0x6c, 0x06, 0xfb, 0xca, 0x01, 0x01, 0xc6,
    0xfc, 0xb6, 0x02, 0x04, 0xba, 0x89, 0xe5, 0xc2, 0x04, 0x02, 0xa2, 0xde,
    0x94, 0xeb, 0x06, 0x02, 0x82, 0xf3, 0xf3, 0x91, 0x0c, 0x05, 0xd8, 0xa3,
    0x8c, 0xa8, 0x0d, 0x7d, 0x6c, 0x02, 0xb3, 0xb0, 0xda, 0xc3, 0x03, 0x68,
    0xad, 0x86, 0xca, 0x83, 0x05, 0x02, 0x6e, 0x03, 0x6d, 0x7b, 0x6e, 0x7d,
    0x6e, 0x78, 0x01, 0x00,
];

/// What stands before the values of an encoded `Account`.
#[rustfmt::skip]
const ACCOUNT_TYPE: [u8; 25] = [
    0x44, 0x49, 0x44, 0x4c, 0x03, 0x6c, 0x02, 0xb3, 0xb0, 0xda, 0xc3, 0x03,
    0x68, 0xad, 0x86, 0xca, 0x83, 0x05, 0x01, 0x6e, 0x02, 0x6d, 0x7b, 0x01,
    0x00,
];

/// The values of the call. The spender's subaccount is always the default one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer<'a> {
    pub from: &'a Account,
    pub to: &'a Account,
    pub amount: u128,
    pub fee: u128,
    pub memo: &'a [u8],
    pub created_at_time: u64,
}

impl Transfer<'_> {
    /// The encoded argument; fields stand in the order of the hashes of their names.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ARGUMENT_TYPE.len() + 256);
        bytes.extend_from_slice(&ARGUMENT_TYPE);
        push_account(&mut bytes, self.to);
        bytes.push(SOME);
        push_number(&mut bytes, self.fee);
        bytes.push(NONE);
        push_account(&mut bytes, self.from);
        bytes.push(SOME);
        push_blob(&mut bytes, self.memo);
        bytes.push(SOME);
        bytes.extend_from_slice(&self.created_at_time.to_le_bytes());
        push_number(&mut bytes, self.amount);
        bytes
    }
}

/// The encoded `TransferArg` of `icrc1_transfer` out of the caller's own account `from`.
pub(super) fn own_transfer(transfer: &Transfer<'_>) -> Vec<u8> {
    let mut bytes = TRANSFER_TYPE.to_vec();
    push_account(&mut bytes, transfer.to);
    bytes.push(SOME);
    push_number(&mut bytes, transfer.fee);
    bytes.push(SOME);
    push_blob(&mut bytes, transfer.memo);
    push_subaccount(&mut bytes, transfer.from);
    bytes.push(SOME);
    bytes.extend_from_slice(&transfer.created_at_time.to_le_bytes());
    push_number(&mut bytes, transfer.amount);
    bytes
}

/// The encoded argument of `icrc1_balance_of`.
pub(super) fn account(account: &Account) -> Vec<u8> {
    let mut bytes = ACCOUNT_TYPE.to_vec();
    push_account(&mut bytes, account);
    bytes
}

const NONE: u8 = 0;
const SOME: u8 = 1;
/// A principal whose bytes follow.
const TRANSPARENT: u8 = 1;

/// `record { owner : principal; subaccount : opt blob }`
fn push_account(bytes: &mut Vec<u8>, account: &Account) {
    bytes.push(TRANSPARENT);
    push_blob(bytes, account.owner.as_slice());
    push_subaccount(bytes, account);
}

fn push_subaccount(bytes: &mut Vec<u8>, account: &Account) {
    match &account.subaccount {
        None => bytes.push(NONE),
        Some(subaccount) => {
            bytes.push(SOME);
            push_blob(bytes, subaccount);
        }
    }
}

fn push_blob(bytes: &mut Vec<u8>, blob: &[u8]) {
    push_number(bytes, blob.len() as u128);
    bytes.extend_from_slice(blob);
}

/// Appends an unsigned number in LEB128.
fn push_number(bytes: &mut Vec<u8>, mut number: u128) {
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Reads an unsigned LEB128 number that is all of `bytes`; only the shortest form, and below 2^63.
fn read_number(bytes: &[u8]) -> Option<u64> {
    let (last, others) = bytes.split_last()?;
    let shortest = *last != 0 || others.is_empty();
    // Nine groups of seven bits; all but the last are marked.
    if others.len() > 8 || *last > 0x7f || !shortest || others.iter().any(|byte| *byte <= 0x7f) {
        return None;
    }
    let groups = bytes.iter().rev().map(|byte| u64::from(byte & 0x7f));
    Some(groups.fold(0, |number, group| (number << 7) | group))
}

/// How a ledger writes `Ok`: all of the reply but the block index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OkShape(Vec<u8>);

/// A reply whose shape is longer is not remembered: an honest one has less than 200 bytes.
const MAX_SHAPE_BYTES: usize = 1_024;

impl OkShape {
    /// The shape of a reply that `decode` reads as `Ok`.
    ///
    /// Sound because a Candid message is its type table and then its values: behind the same table and
    /// the same tag stands the same type, and the number is seen to be the whole rest, since other
    /// numbers in its place are read as themselves.
    pub(super) fn learn(reply: &[u8], decode: impl Fn(&[u8]) -> Option<Nat>) -> Option<Self> {
        let index = u128::try_from(&decode(reply)?.0).ok()?;
        let mut number = vec![];
        push_number(&mut number, index);
        let shape = reply.strip_suffix(number.as_slice())?;
        let other_numbers = [
            0,
            300,
            index.wrapping_add(1) & 0xffff_ffff,
            u64::MAX as u128,
        ];
        let is_the_place = other_numbers.into_iter().all(|number| {
            let mut other = shape.to_vec();
            push_number(&mut other, number);
            decode(&other) == Some(Nat::from(number))
        });
        (is_the_place && shape.len() <= MAX_SHAPE_BYTES).then(|| OkShape(shape.to_vec()))
    }

    /// The block index of a reply of this shape.
    pub(super) fn read(&self, reply: &[u8]) -> Option<u64> {
        read_number(reply.strip_prefix(self.0.as_slice())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candid::{Encode, Principal};
    use icrc_ledger_types::{
        icrc1::transfer::{Memo, TransferArg},
        icrc2::transfer_from::{TransferFromArgs, TransferFromError},
    };
    use proptest::prelude::*;

    fn account() -> impl Strategy<Value = Account> {
        let owner = prop::collection::vec(any::<u8>(), 0..30);
        let subaccount = prop::option::of(any::<[u8; 32]>());
        (owner, subaccount).prop_map(|(owner, subaccount)| Account {
            owner: Principal::from_slice(&owner),
            subaccount,
        })
    }

    fn reply(answer: Result<u128, TransferFromError>) -> Vec<u8> {
        Encode!(&answer.map(Nat::from)).unwrap()
    }

    fn decode(reply: &[u8]) -> Option<Nat> {
        let answer: Result<Nat, TransferFromError> = candid::decode_one(reply).ok()?;
        answer.ok()
    }

    proptest! {
        #[test]
        fn the_argument_is_what_the_candid_crate_writes(
            from in account(),
            to in account(),
            amount: u128,
            fee: u128,
            memo: [u8; 32],
            created_at_time: u64,
        ) {
            let args = TransferFromArgs {
                spender_subaccount: None,
                from,
                to,
                amount: Nat::from(amount),
                fee: Some(Nat::from(fee)),
                memo: Some(Memo::from(memo.to_vec())),
                created_at_time: Some(created_at_time),
            };
            let transfer =
                Transfer { from: &from, to: &to, amount, fee, memo: &memo, created_at_time };
            prop_assert_eq!(transfer.encode(), Encode!(&args).unwrap());

            let args = TransferArg {
                from_subaccount: from.subaccount,
                to,
                amount: Nat::from(amount),
                fee: Some(Nat::from(fee)),
                memo: Some(Memo::from(memo.to_vec())),
                created_at_time: Some(created_at_time),
            };
            prop_assert_eq!(own_transfer(&transfer), Encode!(&args).unwrap());
            prop_assert_eq!(super::account(&to), Encode!(&to).unwrap());
        }

        #[test]
        fn a_shape_reads_what_the_candid_crate_reads(first: u64, second: u64) {
            let shape = OkShape::learn(&reply(Ok(first.into())), decode).unwrap();
            let read = shape.read(&reply(Ok(second.into())));
            // Numbers from 2^63 are left to the decoder.
            prop_assert_eq!(read, Some(second).filter(|n| *n < 1 << 63));
        }

        /// Whatever a shape reads, the decoder reads the same.
        #[test]
        fn a_shape_never_reads_more_than_the_decoder(
            tail in prop::collection::vec(any::<u8>(), 0..14),
            at in 0usize..400,
            byte: u8,
        ) {
            let good = reply(Ok(300));
            let shape = OkShape::learn(&good, decode).unwrap();
            let mut bent = good.clone();
            let at = at % bent.len();
            bent[at] = byte;
            for reply in [[shape.0.as_slice(), &tail].concat(), bent] {
                if let Some(n) = shape.read(&reply) {
                    prop_assert_eq!(decode(&reply), Some(Nat::from(n)));
                }
            }
        }
    }

    #[test]
    fn errors_and_huge_numbers_have_no_shape() {
        assert_eq!(
            OkShape::learn(&reply(Err(TransferFromError::TooOld)), decode),
            None
        );
        let huge: Result<Nat, TransferFromError> = Ok("9".repeat(60).parse().unwrap());
        assert_eq!(OkShape::learn(&Encode!(&huge).unwrap(), decode), None);
        assert_eq!(OkShape::learn(b"garbage", decode), None);
        let shape = OkShape::learn(&reply(Ok(1)), decode).unwrap();
        assert_eq!(shape.read(&reply(Err(TransferFromError::TooOld))), None);
    }

    #[test]
    fn a_second_value_behind_the_number_is_no_shape() {
        let answer: Result<Nat, TransferFromError> = Ok(Nat::from(5u8));
        let two = Encode!(&answer, &Nat::from(5u8)).unwrap();
        assert_eq!(
            decode(&two),
            Some(Nat::from(5u8)),
            "a decoder ignores the second"
        );
        assert_eq!(OkShape::learn(&two, decode), None);
    }
}

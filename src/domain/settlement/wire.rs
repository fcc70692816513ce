//! The Candid of calls to ledgers, written by hand.
//!
//! An argument always has the same type, so its type table is a constant and only values are written. Tests hold
//! them equal to the candid crate.

use crate::types::Account;

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

#[cfg(test)]
mod tests {
    use super::*;
    use candid::{Encode, Nat, Principal};
    use icrc_ledger_types::{
        icrc1::transfer::{Memo, TransferArg},
        icrc2::transfer_from::TransferFromArgs,
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
    }
}

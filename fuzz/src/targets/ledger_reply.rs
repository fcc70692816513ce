//! Replies of a ledger to `icrc2_transfer_from`.
//!
//! Layout: which reject or reply, then the reply. Only what the candid crate reads as `Ok` or `Duplicate`
//! has moved money.

use crate::bytes::Reader;
use candid::Nat;
use icrc_ledger_types::icrc2::transfer_from::TransferFromError;
use tollkeeper::{
    domain::{
        settlement::{CallOutcome, MAX_REPLY_BYTES, judge},
        verdict::Verdict,
    },
    types::BlockIndex,
};

pub fn run(data: &[u8]) {
    let mut reader = Reader(data);
    let kind = reader.byte();
    let known = (kind & 1 == 1).then_some(BlockIndex(1_000));
    if kind >= 0x80 {
        let outcome = CallOutcome::Rejected {
            code: u32::from(kind) - 0x80,
            message: String::from_utf8_lossy(reader.0).into_owned(),
        };
        let verdict = judge(&outcome, known).verdict;
        assert!(!matches!(verdict, Verdict::Moved(_)));
        assert_eq!(
            matches!(verdict, Verdict::NotMoved(_)),
            (0x81..=0x83).contains(&kind)
        );
        return;
    }
    let reply = reader.0.to_vec();
    let outcome = CallOutcome::Reply(reply.clone());
    if let Some(block) = judge(&outcome, known).verdict.block() {
        assert!(reply.len() <= MAX_REPLY_BYTES);
        let said: Result<Nat, TransferFromError> =
            candid::decode_one(&reply).expect("only a reply proves that money moved");
        match said {
            Ok(index) => {
                assert_eq!(index, Nat::from(block.0));
                assert!(known.is_none_or(|known| block > known));
            }
            Err(TransferFromError::Duplicate { duplicate_of }) => {
                assert_eq!(duplicate_of, Nat::from(block.0));
            }
            Err(error) => panic!("{error:?} is no proof that money moved"),
        }
    }
}

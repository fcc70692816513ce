//! Values of rows in stable memory: no outside bytes reach them, and still none makes them panic.
//!
//! What is read can be written, and is then read as the same.

use minicbor::{Decode, Encode};
use std::fmt::Debug;
use tollkeeper::storage::codec::{
    StoredAccount, StoredPrincipal, StoredU128, VERSION, from_bytes, to_bytes,
};

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Row {
    #[n(0)]
    account: StoredAccount,
    #[n(1)]
    number: StoredU128,
    #[n(2)]
    principal: Option<StoredPrincipal>,
    #[n(3)]
    list: Option<Vec<StoredU128>>,
}

pub fn run(data: &[u8]) {
    row::<Row>(data);
    row::<Row>(&[&[VERSION], data].concat());
    row::<StoredAccount>(&[&[VERSION], data].concat());
}

fn row<T>(bytes: &[u8])
where
    T: for<'b> Decode<'b, ()> + Encode<()> + Debug,
{
    if let Ok(row) = from_bytes::<T>(bytes) {
        let written = to_bytes(&row);
        let again: T = from_bytes(&written).expect("what was written can be read");
        assert_eq!(to_bytes(&again), written);
    }
}

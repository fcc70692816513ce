//! A transform for HTTP outcalls: what makes the answers of all nodes equal.

use candid::{CandidType, Nat};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// A header of an answer.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// The answer to an outcall.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: Nat,
    /// The headers.
    pub headers: Vec<Header>,
    /// The body.
    pub body: ByteBuf,
}

/// What a transform gets.
#[derive(CandidType, Serialize, Deserialize, Clone, Debug)]
pub struct TransformArgs {
    /// One node's answer.
    pub response: Answer,
    /// What the caller of the outcall sent along.
    pub context: ByteBuf,
}

/// Drops the headers and keeps as much of the body as there are bytes in the context, behind them.
/// An answer of status 500 makes it trap.
#[ic_cdk::query]
pub fn outcall_transform(args: TransformArgs) -> Answer {
    if args.response.status == 500_u16 {
        ic_cdk::trap("the transform refuses");
    }
    let mut body = args.context.to_vec();
    body.extend(args.response.body.iter().take(args.context.len()));
    Answer {
        status: args.response.status,
        headers: vec![],
        body: ByteBuf::from(body),
    }
}

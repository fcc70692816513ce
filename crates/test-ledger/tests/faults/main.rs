//! Every fault of the test interface, on our ledger as a canister.

#[path = "../support/mod.rs"]
mod support;

mod archives;
mod fee_and_clock;
mod held_replies;
mod lies;
mod lost_replies;
mod other_reject_classes;
mod queries;
mod queue;
mod typed_errors;

use std::time::Duration;

use candid::{CandidType, Nat, Principal};
use icrc_ledger_types::icrc1::transfer::{Memo, TransferError};
use icrc_ledger_types::icrc2::allowance::{Allowance, AllowanceArgs};
use icrc_ledger_types::icrc2::approve::ApproveError;
use icrc_ledger_types::icrc2::transfer_from::{TransferFromArgs, TransferFromError};
use pocket_ic::common::rest::RawMessageId;
use pocket_ic::{RejectCode, RejectResponse};
use support::pocket::{
    FEE, FUNDS, Pocket, approve_arg, merchant, payer, shop, transfer_arg, transfer_from_arg,
};
use test_ledger::testing::{Answer, Effect, Fault, Hold};

const TRANSFER_FROM: &str = "icrc2_transfer_from";
const AMOUNT: u128 = 50_000;

type Pulled = Result<Nat, TransferFromError>;

/// A ledger on which the shop may take from the payer; two blocks exist.
fn ledger() -> Pocket {
    let ledger = Pocket::own();
    ledger
        .approve(payer(), approve_arg(shop(), FUNDS))
        .expect("an approval");
    ledger
}

/// A pull that the ledger can deduplicate.
fn pull(ledger: &Pocket) -> TransferFromArgs {
    let mut arg = transfer_from_arg(payer(), merchant(), AMOUNT);
    arg.memo = Some(Memo::from(vec![9; 32]));
    arg.created_at_time = Some(ledger.now());
    arg
}

fn send(ledger: &Pocket, arg: &TransferFromArgs) -> Result<Pulled, RejectResponse> {
    ledger.try_update(shop(), TRANSFER_FROM, (arg.clone(),))
}

/// The bytes of the reply, whatever they are.
fn send_raw(ledger: &Pocket, arg: &TransferFromArgs) -> Vec<u8> {
    let arg = candid::encode_one(arg).expect("encodes");
    let reply = ledger
        .pic
        .update_call(ledger.id, shop(), TRANSFER_FROM, arg);
    reply.expect("a reply")
}

fn submit(ledger: &Pocket, arg: &TransferFromArgs) -> RawMessageId {
    let arg = candid::encode_one(arg).expect("encodes");
    let submitted = ledger
        .pic
        .submit_call(ledger.id, shop(), TRANSFER_FROM, arg);
    submitted.expect("the call is accepted")
}

fn answered(ledger: &Pocket, id: &RawMessageId) -> Option<Pulled> {
    let reply = ledger.pic.ingress_status(id.clone())?;
    let reply = reply.unwrap_or_else(|reject| panic!("rejected: {reject:?}"));
    Some(candid::decode_one(&reply).expect("the method's type"))
}

fn ticks(ledger: &Pocket, rounds: usize) {
    for _ in 0..rounds {
        ledger.pic.tick();
    }
}

fn assert_nothing_moved(ledger: &Pocket) {
    assert_eq!(ledger.balance(merchant()), 0);
    assert_eq!(ledger.balance(payer()), FUNDS - FEE);
    assert_eq!(ledger.allowance(payer(), shop()).allowance, FUNDS);
}

fn assert_moved_once(ledger: &Pocket) {
    assert_eq!(ledger.balance(merchant()), AMOUNT);
    assert_eq!(ledger.balance(payer()), FUNDS - 2 * FEE - AMOUNT);
}

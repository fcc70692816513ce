//! A canister that reports fixed values about every payment, and takes money on command.

use candid::{CandidType, Encode, Principal};
use icrc_ledger_types::icrc2::allowance::Allowance;
use tollkeeper_types::{CancelError, PaymentStatus};

/// The reply of `payment`: less than the canister's record. The client reads the status only.
#[derive(CandidType)]
pub struct Payment {
    pub status: PaymentStatus,
}

fn data(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// The code: `cancel_authorization` and `payment` return these values, and `take` passes its argument to
/// `icrc2_transfer_from` of the ledger.
pub fn confirming(
    ledger: Principal,
    cancel: Result<(), CancelError>,
    payment: Option<Payment>,
) -> Vec<u8> {
    const METHOD: &str = "icrc2_transfer_from";
    let (cancel, payment) = (Encode!(&cancel).unwrap(), Encode!(&payment).unwrap());
    let answers = |name: &str, at: usize, length: usize| {
        format!(
            r#"(func (export "canister_update {name}")
                 (call $append (i32.const {at}) (i32.const {length})) (call $reply))"#
        )
    };
    let text = format!(
        r#"(module
          (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
          (import "ic0" "msg_reply" (func $reply))
          (import "ic0" "msg_arg_data_size" (func $size (result i32)))
          (import "ic0" "msg_arg_data_copy" (func $copy (param i32 i32 i32)))
          (import "ic0" "call_new" (func $new (param i32 i32 i32 i32 i32 i32 i32 i32)))
          (import "ic0" "call_data_append" (func $with (param i32 i32)))
          (import "ic0" "call_perform" (func $perform (result i32)))
          (memory 2)
          (data (i32.const 0) "{cancel_data}")
          (data (i32.const 1024) "{payment_data}")
          (data (i32.const 2048) "{ledger_data}")
          (data (i32.const 3072) "{METHOD}")
          (table funcref (elem $done))
          (func $done (param i32)
            (call $copy (i32.const 4096) (i32.const 0) (call $size))
            (call $append (i32.const 4096) (call $size))
            (call $reply))
          {cancel_method}
          {payment_method}
          (func (export "canister_update take")
            (call $new (i32.const 2048) (i32.const {ledger_length}) (i32.const 3072) (i32.const {method_length})
              (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
            (call $copy (i32.const 4096) (i32.const 0) (call $size))
            (call $with (i32.const 4096) (call $size))
            (drop (call $perform))))"#,
        cancel_data = data(&cancel),
        payment_data = data(&payment),
        ledger_data = data(ledger.as_slice()),
        cancel_method = answers("cancel_authorization", 0, cancel.len()),
        payment_method = answers("payment", 1024, payment.len()),
        ledger_length = ledger.as_slice().len(),
        method_length = METHOD.len(),
    );
    wat::parse_str(text).expect("the text is a module")
}

/// A ledger without a block log, on which every balance suffices: `icrc2_allowance` returns the first number to queries
/// and the second to update calls.
pub fn plain_ledger(fee: u128, allowances: [u128; 2]) -> Vec<u8> {
    let nat = |number: u128| Encode!(&candid::Nat::from(number)).unwrap();
    let allowance = |number: u128| {
        Encode!(&Allowance {
            allowance: number.into(),
            expires_at: None,
        })
        .unwrap()
    };
    let replies = [
        nat(fee),
        nat(u128::MAX),
        allowance(allowances[0]),
        allowance(allowances[1]),
    ];
    let segments: String = (0..4)
        .map(|n| {
            format!(
                "(data (i32.const {}) \"{}\")\n",
                n * 1_024,
                data(&replies[n])
            )
        })
        .collect();
    let reply = |n: usize| {
        let (at, length) = (n * 1_024, replies[n].len());
        format!("(call $append (i32.const {at}) (i32.const {length}))")
    };
    let text = format!(
        r#"(module
          (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
          (import "ic0" "msg_reply" (func $reply))
          (import "ic0" "in_replicated_execution" (func $replicated (result i32)))
          (memory 1)
          {segments}
          (func (export "canister_query icrc1_fee") {fee} (call $reply))
          (func (export "canister_query icrc1_balance_of") {balance} (call $reply))
          (func (export "canister_query icrc2_allowance")
            (if (call $replicated) (then {certified}) (else {queried}))
            (call $reply)))"#,
        fee = reply(0),
        balance = reply(1),
        queried = reply(2),
        certified = reply(3),
    );
    wat::parse_str(text).expect("the text is a module")
}

/// A canister that claims this origin.
pub fn with_origin(origin: Option<&str>) -> Vec<u8> {
    let reply = Encode!(&origin).unwrap();
    let text = format!(
        r#"(module
          (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
          (import "ic0" "msg_reply" (func $reply))
          (memory 1)
          (data (i32.const 0) "{}")
          (func (export "canister_query origin") (call $append (i32.const 0) (i32.const {})) (call $reply)))"#,
        data(&reply),
        reply.len(),
    );
    wat::parse_str(text).expect("the text is a module")
}

/// A canister whose method `tell` anybody may call; `callers` returns the principals of the callers, one after another.
pub fn telling_callers() -> Vec<u8> {
    let text = r#"(module
      (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
      (import "ic0" "msg_reply" (func $reply))
      (import "ic0" "msg_caller_size" (func $size (result i32)))
      (import "ic0" "msg_caller_copy" (func $copy (param i32 i32 i32)))
      (memory 1)
      (global $end (mut i32) (i32.const 0))
      (func (export "canister_update tell")
        (call $copy (global.get $end) (i32.const 0) (call $size))
        (global.set $end (i32.add (global.get $end) (call $size)))
        (call $reply))
      (func (export "canister_update callers")
        (call $append (i32.const 0) (global.get $end))
        (call $reply)))"#;
    wat::parse_str(text).expect("the text is a module")
}

/// A canister whose method `payment` traps with this message.
pub fn trapping(words: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
          (import "ic0" "trap" (func $trap (param i32 i32)))
          (memory 1)
          (data (i32.const 0) "{}")
          (func (export "canister_update payment") (call $trap (i32.const 0) (i32.const {}))))"#,
        data(words.as_bytes()),
        words.len(),
    );
    wat::parse_str(text).expect("the text is a module")
}

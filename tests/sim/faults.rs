//! All faults of the test ledger, made from a few random numbers.

use crate::rng::Rng;
use candid::Nat;
use icrc_ledger_types::{icrc1::transfer::TransferError, icrc2::transfer_from::TransferFromError};
use serde_bytes::ByteBuf;
use test_ledger::testing::{Answer, Effect, Fault, Hold};

/// Methods whose faults last until they are cleared.
const QUERIES: [&str; 6] = [
    "icrc1_fee",
    "icrc1_symbol",
    "icrc1_decimals",
    "icrc1_supported_standards",
    "icrc1_balance_of",
    "icrc3_get_blocks",
];

/// A fault for the next calls of a method.
#[derive(Clone, Debug)]
pub struct Planned {
    pub method: &'static str,
    pub calls: u32,
    pub fault: Fault,
    /// The ledger answers falsely: its answer does not show it, and the canister records it.
    pub lie: bool,
}

/// A random fault; false answers only if the world has lying ledgers.
pub fn random(rng: &mut Rng, lies: bool) -> Planned {
    if rng.percent(12) {
        let answer = match rng.below(5) {
            0 => Answer::Reject("not now".into()),
            1 => Answer::Trap("not now".into()),
            2 => Answer::Bytes(ByteBuf::from(b"not Candid".to_vec())),
            3 => Answer::Text(2_000_000),
            _ => Answer::Text(10),
        };
        return Planned {
            method: rng.pick(&QUERIES),
            calls: 1,
            fault: Fault::instead(answer),
            lie: false,
        };
    }
    let refund = rng.percent(25);
    of_method(rng, refund, lies)
}

/// A fault of transfers out of the canister's accounts.
pub fn of_transfers(rng: &mut Rng) -> Planned {
    let mut planned = of_method(rng, true, false);
    if rng.percent(50) {
        planned.fault = Fault::instead(refusal(rng, true));
    }
    planned
}

/// A payment is made, and its reply is lost.
pub fn lost() -> Planned {
    Planned {
        method: "icrc2_transfer_from",
        calls: 1,
        fault: Fault::lost_after_transfer(),
        lie: false,
    }
}

/// A reply that is held back until it is released.
pub fn held(rng: &mut Rng) -> Planned {
    let refund = rng.percent(30);
    let mut planned = of_method(rng, refund, false);
    planned.fault.hold = Hold::UntilRelease;
    if planned.fault.effect != Effect::None && rng.percent(60) {
        planned.fault.answer = Answer::Honest;
    }
    planned
}

fn of_method(rng: &mut Rng, refund: bool, lies: bool) -> Planned {
    let effect = rng.pick(&[Effect::None, Effect::BeforeHold, Effect::AfterHold]);
    let hold = match rng.below(8) {
        0..=3 => Hold::No,
        4 | 5 => Hold::UntilRelease,
        6 => Hold::Polls(1 + rng.below(4) as u32),
        _ => Hold::Nanos(1_000_000_000 * (1 + rng.below(120))),
    };
    let (answer, lie) = answer(rng, effect, refund, lies);
    Planned {
        method: if refund {
            "icrc1_transfer"
        } else {
            "icrc2_transfer_from"
        },
        calls: 1 + rng.below(3) as u32,
        fault: Fault {
            effect,
            hold,
            answer,
        },
        lie,
    }
}

fn answer(rng: &mut Rng, effect: Effect, refund: bool, lies: bool) -> (Answer, bool) {
    if lies && rng.percent(30) {
        let lie = match rng.below(4) {
            0 => Answer::Index(Nat::from(rng.below(2_000))),
            1 => Answer::RepeatIndex,
            2 => duplicate(refund, rng.below(2_000)),
            _ => refusal(rng, refund),
        };
        return (lie, true);
    }
    let unclear = match rng.below(7) {
        0 => Answer::Reject("rejected on request".into()),
        1 => Answer::Trap("trapped on request".into()),
        2 => Answer::Bytes(ByteBuf::from(b"not Candid".to_vec())),
        3 => Answer::Text(2_000_000),
        4 => Answer::Text(100),
        5 => Answer::NatOfDigits(10_000),
        _ => Answer::Bytes(ByteBuf::new()),
    };
    match effect {
        // A refusal is honest if it has no effect.
        Effect::None if rng.percent(45) => (refusal(rng, refund), false),
        Effect::None => (unclear, false),
        _ if rng.percent(35) => (Answer::Honest, false),
        _ => (unclear, false),
    }
}

fn duplicate(refund: bool, block: u64) -> Answer {
    let duplicate_of = Nat::from(block);
    match refund {
        true => Answer::TransferError(TransferError::Duplicate { duplicate_of }),
        false => Answer::TransferFromError(TransferFromError::Duplicate { duplicate_of }),
    }
}

fn refusal(rng: &mut Rng, refund: bool) -> Answer {
    let small = Nat::from(rng.below(1_000));
    // Plausible, or so high that the canister disables the ledger.
    let expected_fee = Nat::from(rng.pick(&[0_u64, 9_000, 20_000, 20_000_000]));
    let generic = || (Nat::from(7_u32), "x".repeat(300));
    if refund {
        return Answer::TransferError(match rng.below(7) {
            0 => TransferError::BadFee { expected_fee },
            1 => TransferError::BadBurn {
                min_burn_amount: small,
            },
            2 => TransferError::InsufficientFunds { balance: small },
            3 => TransferError::TooOld,
            4 => TransferError::CreatedInFuture { ledger_time: 1 },
            5 => TransferError::TemporarilyUnavailable,
            _ => {
                let (error_code, message) = generic();
                TransferError::GenericError {
                    error_code,
                    message,
                }
            }
        });
    }
    Answer::TransferFromError(match rng.below(8) {
        0 => TransferFromError::BadFee { expected_fee },
        1 => TransferFromError::BadBurn {
            min_burn_amount: small,
        },
        2 => TransferFromError::InsufficientFunds { balance: small },
        3 => TransferFromError::InsufficientAllowance { allowance: small },
        4 => TransferFromError::TooOld,
        5 => TransferFromError::CreatedInFuture { ledger_time: 1 },
        6 => TransferFromError::TemporarilyUnavailable,
        _ => {
            let (error_code, message) = generic();
            TransferFromError::GenericError {
                error_code,
                message,
            }
        }
    })
}

//! What a canister that pulls money sees of each reject class. The caller is the torture canister, whose
//! `cdk_locked_call` makes one call with ic-cdk and returns the reply or the reject.

mod support;

use std::time::Duration;

use candid::{CandidType, Nat, Principal};
use icrc_ledger_types::icrc1::transfer::Memo;
use icrc_ledger_types::icrc2::transfer_from::{TransferFromArgs, TransferFromError};
use pocket_ic::CanisterSettings;
use pocket_ic::common::rest::RawMessageId;
use serde_bytes::ByteBuf;
use support::pocket::{
    CYCLES, FEE, FUNDS, Pocket, approve_arg, built_wasm, merchant, payer, transfer_from_arg,
};
use test_ledger::testing::{Answer, Effect, Fault, Hold};

const TRANSFER_FROM: &str = "icrc2_transfer_from";
const AMOUNT: u128 = 50_000;
/// Seconds of the caller's bounded wait.
const TIMEOUT: u32 = 10;

#[derive(CandidType)]
struct LockedCall {
    callee: Principal,
    method: String,
    arg: ByteBuf,
    timeout: Option<u32>,
    panic_after: bool,
}

/// The reply, or reject code and message.
type Seen = Result<ByteBuf, (u32, String)>;

/// A ledger and a canister that may pull from the payer.
struct Shop {
    ledger: Pocket,
    caller: Principal,
}

impl Shop {
    fn new() -> Self {
        let ledger = Pocket::own();
        let wasm = built_wasm("TORTURE_WASM", "torture");
        let caller = ledger.pic.create_canister();
        ledger.pic.add_cycles(caller, CYCLES);
        ledger.pic.install_canister(caller, wasm, vec![], None);
        ledger
            .approve(payer(), approve_arg(caller, FUNDS))
            .expect("an approval");
        Self { ledger, caller }
    }

    fn pull(&self) -> TransferFromArgs {
        let mut arg = transfer_from_arg(payer(), merchant(), AMOUNT);
        arg.memo = Some(Memo::from(vec![9; 32]));
        arg.created_at_time = Some(self.ledger.now());
        arg
    }

    fn request(&self, method: &str, arg: Vec<u8>) -> Vec<u8> {
        let request = LockedCall {
            callee: self.ledger.id,
            method: method.to_string(),
            arg: ByteBuf::from(arg),
            timeout: Some(TIMEOUT),
            panic_after: false,
        };
        candid::encode_one(request).expect("encodes")
    }

    fn submit(&self, arg: &TransferFromArgs) -> RawMessageId {
        let arg = candid::encode_one(arg).expect("encodes");
        let request = self.request(TRANSFER_FROM, arg);
        let submitted =
            self.ledger
                .pic
                .submit_call(self.caller, payer(), "cdk_locked_call", request);
        submitted.expect("accepted")
    }

    /// What the caller has seen, once it has.
    fn seen(&self, id: &RawMessageId) -> Option<Seen> {
        let reply = self.ledger.pic.ingress_status(id.clone())?;
        let reply = reply.unwrap_or_else(|reject| panic!("the caller failed: {reject:?}"));
        Some(candid::decode_one(&reply).expect("the caller's type"))
    }

    fn ticks(&self, rounds: usize) {
        for _ in 0..rounds {
            self.ledger.pic.tick();
        }
    }

    fn call(&self, method: &str, arg: Vec<u8>) -> Seen {
        let request = self.request(method, arg);
        let reply = self
            .ledger
            .pic
            .update_call(self.caller, payer(), "cdk_locked_call", request);
        candid::decode_one(&reply.expect("the caller replies")).expect("the caller's type")
    }

    fn send(&self, arg: &TransferFromArgs) -> Seen {
        self.call(TRANSFER_FROM, candid::encode_one(arg).expect("encodes"))
    }

    fn code(&self) -> u32 {
        self.send(&self.pull()).expect_err("a reject").0
    }

    fn moved(&self) -> bool {
        match self.ledger.balance(merchant()) {
            0 => false,
            AMOUNT => true,
            other => panic!("the merchant has {other}"),
        }
    }
}

/// The truth about a call whose outcome was lost.
fn ask_again(shop: &Shop, arg: &TransferFromArgs) -> Result<Nat, TransferFromError> {
    let reply = shop.send(arg).expect("a reply");
    candid::decode_one(&reply).expect("the method's type")
}

/// The reply is held until the caller's wait is over; returns what the caller saw.
fn outlast(shop: &Shop, arg: &TransferFromArgs, fault: &Fault) -> Seen {
    shop.ledger.queue_fault(TRANSFER_FROM, 1, fault);
    let id = shop.submit(arg);
    shop.ticks(5);
    assert_eq!(shop.seen(&id), None);
    let past = Duration::from_secs(u64::from(TIMEOUT) + 2);
    shop.ledger.pic.advance_time(past);
    shop.ticks(5);
    shop.seen(&id).expect("the deadline has passed")
}

#[test]
fn should_be_sys_unknown_when_the_deadline_passes_after_the_transfer() {
    let shop = Shop::new();
    let arg = shop.pull();
    let seen = outlast(&shop, &arg, &Fault::delayed_after_transfer());
    assert_eq!(seen.expect_err("a reject").0, 6);
    assert!(shop.moved());
    let duplicate_of = Nat::from(2_u8);
    assert_eq!(
        ask_again(&shop, &arg),
        Err(TransferFromError::Duplicate { duplicate_of })
    );
    shop.ledger.test_update::<u32>("test_release", ());
    shop.ticks(10);
    assert!(shop.moved());
}

#[test]
fn should_be_sys_unknown_when_the_deadline_passes_before_the_transfer() {
    let shop = Shop::new();
    let arg = shop.pull();
    let seen = outlast(&shop, &arg, &Fault::delayed_before_transfer());
    assert_eq!(seen.expect_err("a reject").0, 6);
    assert!(!shop.moved());
    // The ledger does it when it comes to it, long after the caller has given up.
    shop.ledger.test_update::<u32>("test_release", ());
    shop.ticks(10);
    assert!(shop.moved());
    let duplicate_of = Nat::from(2_u8);
    assert_eq!(
        ask_again(&shop, &arg),
        Err(TransferFromError::Duplicate { duplicate_of })
    );
}

#[test]
fn should_be_sys_unknown_when_nothing_is_ever_done() {
    let shop = Shop::new();
    let arg = shop.pull();
    let fault = Fault::reject().held(Hold::UntilRelease);
    assert_eq!(outlast(&shop, &arg, &fault).expect_err("a reject").0, 6);
    shop.ledger.test_update::<u32>("test_release", ());
    shop.ticks(10);
    assert!(!shop.moved());
    assert_eq!(ask_again(&shop, &arg), Ok(Nat::from(2_u8)));
}

#[test]
fn should_be_sys_transient_when_the_ledger_is_frozen() {
    let shop = Shop::new();
    let settings = CanisterSettings {
        freezing_threshold: Some(Nat::from(u64::MAX)),
        ..CanisterSettings::default()
    };
    let (pic, id) = (&shop.ledger.pic, shop.ledger.id);
    pic.update_canister_settings(id, None, settings)
        .expect("freezes");
    assert_eq!(shop.code(), 2);
}

#[test]
fn should_be_destination_invalid_when_the_ledger_is_deleted() {
    let shop = Shop::new();
    let (pic, id) = (&shop.ledger.pic, shop.ledger.id);
    pic.stop_canister(id, None).expect("stops");
    pic.delete_canister(id, None).expect("deletes");
    assert_eq!(shop.code(), 3);
}

#[test]
fn should_be_canister_reject_with_the_text() {
    let shop = Shop::new();
    for (fault, moved) in [
        (Fault::reject(), false),
        (Fault::lost_after_transfer(), true),
    ] {
        let Answer::Reject(text) = fault.answer.clone() else {
            panic!("the fault rejects")
        };
        shop.ledger.queue_fault(TRANSFER_FROM, 1, &fault);
        assert_eq!(shop.send(&shop.pull()), Err((4, text)));
        assert_eq!(shop.moved(), moved);
    }
}

#[test]
fn should_be_canister_error_when_it_traps_stopped_or_is_empty() {
    let shop = Shop::new();
    for (fault, moved) in [(Fault::trap(), false), (Fault::trap_after_transfer(), true)] {
        shop.ledger.queue_fault(TRANSFER_FROM, 1, &fault);
        assert_eq!(shop.code(), 5);
        assert_eq!(shop.moved(), moved);
    }
    let (pic, id) = (&shop.ledger.pic, shop.ledger.id);
    pic.stop_canister(id, None).expect("stops");
    assert_eq!(shop.code(), 5);
    pic.start_canister(id, None).expect("starts");
    pic.uninstall_canister(id, None).expect("uninstalls");
    assert_eq!(shop.code(), 5);
}

#[test]
fn should_pass_garbage_and_huge_replies_on() {
    let shop = Shop::new();
    let arg = shop.pull();
    shop.ledger.queue_fault(TRANSFER_FROM, 1, &Fault::garbage());
    assert_eq!(shop.send(&arg), Ok(ByteBuf::from(b"not Candid".to_vec())));
    shop.ledger
        .queue_fault(TRANSFER_FROM, 1, &Fault::huge_text());
    assert!(shop.send(&arg).expect("a reply").len() > 2_000_000);
    shop.ledger
        .queue_fault(TRANSFER_FROM, 1, &Fault::huge_nat());
    let reply = shop.send(&arg).expect("a reply");
    let index: Result<Nat, TransferFromError> = candid::decode_one(&reply).expect("a result");
    assert_eq!(index.expect("an index").0.to_string().len(), 10_000);
    assert!(!shop.moved());
}

#[test]
fn should_lie_to_canisters_that_query() {
    let shop = Shop::new();
    let fee = |shop: &Shop| -> Nat {
        let reply = shop.call("icrc1_fee", candid::encode_args(()).expect("encodes"));
        candid::decode_one(&reply.expect("a reply")).expect("a number")
    };
    let lie = Nat::from(7_u8);
    let fault = Fault::instead(Answer::Nat(lie.clone()));
    shop.ledger.queue_fault("icrc1_fee", 1, &fault);
    assert_eq!([fee(&shop), fee(&shop)], [lie.clone(), lie]);
    shop.ledger.test_update::<()>("test_clear_faults", ());
    assert_eq!(fee(&shop), Nat::from(FEE));
}

#[test]
fn should_answer_late_but_in_time() {
    let shop = Shop::new();
    let arg = shop.pull();
    let fault = Fault {
        effect: Effect::BeforeHold,
        hold: Hold::Polls(3),
        answer: Answer::Honest,
    };
    shop.ledger.queue_fault(TRANSFER_FROM, 1, &fault);
    assert_eq!(ask_again(&shop, &arg), Ok(Nat::from(2_u8)));
}

//! Money that is owed: refunds, and money that is held.

use crate::support::{
    Setup,
    conservation::refund_memo,
    interface::*,
    ledger::{Move, number},
    payer::{Payer, Signed},
    setup::{FEE, FUNDS, controller, merchant, operator, stranger},
};
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::{account::Account, transfer::TransferError};
use serde_bytes::ByteBuf;
use test_ledger::testing::{Fault, FaultStatus};

pub const PRICE: u128 = 1_000_000;
pub const TRANSFER: &str = "icrc1_transfer";

impl Setup {
    pub fn treasury(&self) -> Account {
        self.canister.into()
    }

    /// A route that pays to an account of the canister itself.
    pub fn sell_into(&self, subaccount: Option<[u8; 32]>) {
        let pay_to = Account {
            owner: self.canister,
            subaccount,
        };
        let route = RouteArgs {
            pay_to: Some(pay_to.into()),
            ..self.priced("GET", "/own", PRICE)
        };
        let route: Result<Route, RouteError> = self.update(controller(), "route_put", (route,));
        route.expect("controllers name accounts");
        self.upload("GET", "/own", crate::support::flow::ARTICLE);
    }

    pub fn stands(&self, signed: &Signed) -> PaymentStatus {
        self.payment(signed.id.0).expect("it is known").status
    }

    /// Lets time pass until the payment has a wanted status.
    pub fn wait(&self, signed: &Signed, is: impl Fn(&PaymentStatus) -> bool) -> PaymentStatus {
        for _ in 0..200 {
            let status = self.stands(signed);
            if is(&status) {
                return status;
            }
            self.elapse(60);
        }
        panic!("it stays {:?}", self.stands(signed));
    }

    /// Lets time pass, and calls between subnets end.
    pub fn elapse(&self, seconds: u64) {
        self.advance(seconds);
        for _ in 0..8 {
            self.pic.tick();
        }
    }

    /// A payment whose reply was lost, so that no request was waiting when it settled.
    pub fn undelivered(&self, path: &str, payer: &Payer) -> Signed {
        self.ledger.fault(self, 1, &Fault::lost_after_transfer());
        let sale = self.sale(crate::support::gateway::Request::get(path));
        let signed = sale.pay(payer).send().expect_pending();
        self.wait(&signed, |s| matches!(s, PaymentStatus::Settled { .. }));
        self.check_conservation();
        signed
    }

    pub fn refund(&self, signed: &Signed) -> Result<PaymentStatus, RefundError> {
        let id = ByteBuf::from(signed.id.0.to_vec());
        self.update(controller(), "refund_payment", (id,))
    }

    /// Waits for the refund, and checks that there is one.
    pub fn refunded(&self, signed: &Signed) -> Move {
        let status = self.wait(signed, |s| matches!(s, PaymentStatus::Refunded { .. }));
        let PaymentStatus::Refunded {
            refund_block_index, ..
        } = status
        else {
            panic!("not the awaited status");
        };
        let refunds = self.refunds_of(signed);
        assert_eq!(refunds.len(), 1, "{refunds:?}");
        assert_eq!(refunds[0].block, number(&refund_block_index));
        self.check_conservation();
        refunds[0].clone()
    }

    fn refunds_of(&self, signed: &Signed) -> Vec<Move> {
        let mut moves = self.ledger.moves(self);
        moves.retain(|block| block.memo == refund_memo(&signed.id.0));
        moves
    }

    /// The number of plain transfers that the ledger was called for.
    fn transfers_called(&self) -> u64 {
        let status: Vec<FaultStatus> =
            self.query_at(self.ledger.0, controller(), "test_fault_status", ());
        let of_transfers = status.iter().find(|status| status.method == TRANSFER);
        of_transfers.map_or(0, |status| status.calls)
    }
}

/// A payer with a subaccount whose payment to the merchant is to be refunded, and a full treasury.
pub fn owing() -> (Setup, Payer, Signed) {
    let setup = Setup::new();
    setup.sell("/article", PRICE);
    let payer = setup.funded(Payer::ed25519(1).with_subaccount([6; 32]));
    setup.ledger.mint(&setup, setup.treasury(), 10 * PRICE);
    let signed = setup.undelivered("/article", &payer);
    (setup, payer, signed)
}

/// Whatever the ledger does with the refund at first, it is made once.
fn refunded_once_despite(calls: u32, fault: Fault) {
    let (setup, payer, signed) = owing();
    setup.ledger.fault_of(&setup, TRANSFER, calls, &fault);
    setup.refund(&signed).expect("it is owed");
    let refund = setup.refunded(&signed);
    assert_eq!((refund.to, refund.amount), (Some(payer.account), PRICE));
    let treasury = setup.ledger.balance(&setup, setup.treasury());
    assert_eq!(treasury, 9 * PRICE - FEE);
}

#[test]
fn refund_goes_to_the_original_subaccount_and_is_what_was_paid() {
    let (setup, payer, signed) = owing();
    let before = setup.ledger.balance(&setup, payer.account);
    let status = setup.refund(&signed).expect("it is owed");
    assert!(matches!(status, PaymentStatus::Refunding { .. }));
    let refund = setup.refunded(&signed);
    assert_eq!(refund.from, Some(setup.treasury()));
    assert_eq!(refund.to, Some(payer.account));
    assert_eq!((refund.amount, refund.fee), (PRICE, FEE));
    let after = setup.ledger.balance(&setup, payer.account);
    assert_eq!(after, before + PRICE);
    assert_eq!(setup.refund(&signed), Err(RefundError::NotRefundable));
    setup.elapse(100_000);
    assert_eq!(setup.refunds_of(&signed).len(), 1);
    // A refunded payment buys nothing.
    let again = setup.sale(crate::support::gateway::Request::get("/article"));
    let answer = again.present(signed.clone()).send();
    assert_eq!(answer.answer.status, 402);
    assert_eq!(setup.receipt(signed.id.0), None);
}

#[test]
fn refund_is_paid_once_when_its_reply_is_lost() {
    refunded_once_despite(2, Fault::lost_after_transfer());
}

#[test]
fn refund_is_paid_once_when_the_ledger_traps_after_it() {
    refunded_once_despite(2, Fault::trap_after_transfer());
}

#[test]
fn refund_is_paid_once_when_the_ledger_rejects_it_at_first() {
    refunded_once_despite(3, Fault::reject());
}

#[test]
fn refund_is_paid_once_when_the_ledger_is_unavailable_at_first() {
    refunded_once_despite(
        3,
        Fault::transfer_error(TransferError::TemporarilyUnavailable),
    );
}

#[test]
fn refund_is_paid_once_when_its_reply_is_garbage() {
    refunded_once_despite(1, Fault::garbage());
}

/// A ledger that names a block without making the transfer, for instance for a repeated call.
#[test]
fn refund_is_paid_once_when_the_ledger_names_an_old_block() {
    refunded_once_despite(1, Fault::repeated_index());
}

#[test]
fn refund_is_paid_once_when_the_canister_is_upgraded_in_between() {
    let (setup, payer, signed) = owing();
    let held = Fault::delayed_after_transfer();
    setup.ledger.fault_of(&setup, TRANSFER, 1, &held);
    setup.refund(&signed).expect("it is owed");
    for _ in 0..20 {
        setup.elapse(1);
    }
    assert_eq!(setup.refunds_of(&signed).len(), 1, "made, but not recorded");
    assert!(matches!(
        setup.stands(&signed),
        PaymentStatus::Refunding { attempts: 1, .. }
    ));
    setup.upgrade_by_force();
    setup.ledger.release(&setup);
    let refund = setup.refunded(&signed);
    assert_eq!(refund.to, Some(payer.account));
}

/// Ledgers recognise duplicates by the fee, too, and report a wrong one before they look for duplicates: a new fee
/// after an unclear answer would be a second refund.
#[test]
fn refund_is_paid_once_when_the_fee_changes_after_a_lost_reply() {
    let (setup, _, signed) = owing();
    let lost = Fault::lost_after_transfer();
    setup.ledger.fault_of(&setup, TRANSFER, 1, &lost);
    setup.refund(&signed).expect("it is owed");
    setup.wait(&signed, |s| {
        matches!(s, PaymentStatus::Refunding { attempts: 1.., .. })
    });
    setup.ledger.set_fee(&setup, 2 * FEE);
    for _ in 0..10 {
        setup.elapse(600);
    }
    assert_eq!(setup.refunds_of(&signed).len(), 1);
    setup.ledger.set_fee(&setup, FEE);
    setup.refunded(&signed);
}

#[test]
fn refund_takes_the_new_fee_of_the_ledger() {
    let (setup, payer, signed) = owing();
    setup.ledger.set_fee(&setup, 2 * FEE);
    setup.refund(&signed).expect("it is owed");
    let refund = setup.refunded(&signed);
    assert_eq!((refund.to, refund.amount), (Some(payer.account), PRICE));
    assert_eq!(refund.fee, 2 * FEE);
    let fresh = setup.sale(crate::support::gateway::Request::get("/article"));
    assert_eq!(fresh.offer().extra.fee, (2 * FEE).to_string());
}

#[test]
fn refund_waits_for_an_empty_treasury_and_is_paid_after_a_top_up() {
    let setup = Setup::new();
    setup.sell("/article", PRICE);
    let payer = setup.payer(1);
    let signed = setup.undelivered("/article", &payer);
    setup.refund(&signed).expect("it is owed");
    let says_why = |status: &PaymentStatus| matches!(status, PaymentStatus::Refunding { problem, .. } if problem.contains("too little"));
    setup.wait(&signed, says_why);
    // One unit too little for amount and fee.
    setup.ledger.mint(&setup, setup.treasury(), PRICE + FEE - 1);
    for _ in 0..10 {
        setup.elapse(3_600);
    }
    assert!(says_why(&setup.stands(&signed)));
    let owed = setup.solvency();
    assert_eq!(number(&owed.owed_refunds), PRICE + FEE);
    assert_eq!(owed.solvent, Some(false));
    setup.ledger.mint(&setup, setup.treasury(), 1);
    assert_eq!(setup.solvency().solvent, Some(true));
    setup.refunded(&signed);
    assert_eq!(setup.ledger.balance(&setup, setup.treasury()), 0);
}

#[test]
fn refund_of_a_payment_to_an_own_account_comes_out_of_it() {
    let setup = Setup::new();
    setup.sell_into(Some([4; 32]));
    let payer = setup.payer(1);
    let signed = setup.undelivered("/own", &payer);
    let own = Account {
        owner: setup.canister,
        subaccount: Some([4; 32]),
    };
    setup.ledger.mint(&setup, own, FEE);
    setup.refund(&signed).expect("it is owed");
    let refund = setup.refunded(&signed);
    assert_eq!((refund.from, refund.to), (Some(own), Some(payer.account)));
    assert_eq!(setup.ledger.balance(&setup, own), 0);
}

/// With the money of two payments and one fee in the account, one refund can be made.
#[test]
fn refund_does_not_wait_for_another_that_cannot_be_paid() {
    let setup = Setup::new();
    setup.sell_into(None);
    let (one, two) = (setup.payer(1), setup.payer(2));
    let owed = [&one, &two].map(|payer| setup.undelivered("/own", payer));
    setup.ledger.mint(&setup, setup.treasury(), FEE);
    for signed in &owed {
        setup.refund(signed).expect("it is owed");
    }
    for _ in 0..10 {
        setup.elapse(600);
    }
    let made = || {
        owed.iter()
            .filter(|signed| matches!(setup.stands(signed), PaymentStatus::Refunded { .. }))
    };
    assert_eq!(made().count(), 1);
    setup.ledger.mint(&setup, setup.treasury(), FEE - 1);
    for _ in 0..10 {
        setup.elapse(3_600);
    }
    assert_eq!(made().count(), 1, "one unit is missing");
    setup.ledger.mint(&setup, setup.treasury(), 1);
    for signed in &owed {
        setup.refunded(signed);
    }
}

#[test]
fn payments_to_the_canisters_own_account_are_held_until_delivered() {
    let setup = Setup::new();
    setup.sell_into(None);
    let payer = setup.payer(1);
    let sale = setup.sale(crate::support::gateway::Request::get("/own"));
    sale.pay(&payer).send().expect_settled();
    assert_eq!(number(&setup.solvency().held), 0, "delivered at once");

    setup.ledger.fault(&setup, 1, &Fault::lost_after_transfer());
    let pending = sale.pay(&payer).send().expect_pending();
    assert_eq!(
        number(&setup.solvency().held),
        PRICE,
        "the outcome is unknown"
    );
    setup.wait(&pending, |s| matches!(s, PaymentStatus::Settled { .. }));
    let known = setup.solvency();
    assert_eq!((number(&known.held), known.solvent), (PRICE, Some(true)));
    assert_eq!(setup.available(PRICE), PRICE - FEE, "the first payment");
    sale.present(pending).send().expect_settled();
    assert_eq!(number(&setup.solvency().held), 0);
    setup
        .withdraw(setup.withdrawal(2 * PRICE - FEE))
        .expect("all of it is earned");
    assert_eq!(setup.ledger.balance(&setup, setup.treasury()), 0);
    setup.check_conservation();
}

#[test]
fn only_controllers_withdraw_and_refund() {
    let (setup, _, signed) = owing();
    let id = || ByteBuf::from(signed.id.0.to_vec());
    for caller in [operator(), stranger(), Principal::anonymous()] {
        let arg = candid::encode_one(setup.withdrawal(1)).unwrap();
        setup.raw_update(caller, "withdraw", arg).unwrap_err();
        let arg = candid::encode_one(id()).unwrap();
        setup.raw_update(caller, "refund_payment", arg).unwrap_err();
        let outcome = ResolvedOutcome::NotMoved;
        let arg = candid::encode_one(ResolveArgs { id: id(), outcome }).unwrap();
        setup
            .raw_update(caller, "payment_resolve", arg)
            .unwrap_err();
    }
    for caller in [stranger(), Principal::anonymous()] {
        let arg = candid::encode_args(()).unwrap();
        setup.raw_update(caller, "solvency", arg).unwrap_err();
    }
    let said: Result<Vec<Solvency>, PaymentsError> = setup.update(operator(), "solvency", ());
    let said = said.expect("operators may ask").remove(0);
    assert_eq!(said.balance, Some(Nat::from(10 * PRICE)));
    assert_eq!(said.solvent, Some(true));
    assert!(matches!(
        setup.stands(&signed),
        PaymentStatus::Settled { .. }
    ));
    let unknown: Result<PaymentStatus, RefundError> = setup.update(
        controller(),
        "refund_payment",
        (ByteBuf::from(vec![7; 32]),),
    );
    assert_eq!(unknown, Err(RefundError::UnknownPayment));
    assert_eq!(setup.ledger.balance(&setup, merchant()), PRICE);
    assert!(setup.ledger.balance(&setup, setup.treasury()) < FUNDS);
}

/// The ledger made the refund, and did not report it while it still recognised duplicates.
#[test]
fn refund_that_the_ledger_has_forgotten_is_found_in_its_block_log() {
    let (setup, _, signed) = owing();
    let lost = Fault::lost_after_transfer();
    setup.ledger.fault_of(&setup, TRANSFER, 1, &lost);
    let reject = Fault::reject();
    setup.ledger.fault_of(&setup, TRANSFER, 1_000, &reject);
    setup.refund(&signed).expect("it is owed");
    for _ in 0..23 {
        setup.elapse(3_600);
    }
    assert!(matches!(
        setup.stands(&signed),
        PaymentStatus::Refunding { .. }
    ));
    let asked = setup.transfers_called();
    setup.refunded(&signed);
    // The last hours of the window, and no more.
    assert!(setup.transfers_called() <= asked + 2);
}

/// The ledger never made the refund, and its answers did not show that.
#[test]
fn refund_that_the_block_log_lacks_is_made_again_and_once() {
    let (setup, payer, signed) = owing();
    let reject = Fault::reject();
    setup.ledger.fault_of(&setup, TRANSFER, 1_000, &reject);
    setup.refund(&signed).expect("it is owed");
    for _ in 0..23 {
        setup.elapse(3_600);
    }
    assert_eq!(setup.refunds_of(&signed), vec![]);
    let () = setup.update_at(setup.ledger.0, controller(), "test_clear_faults", ());
    // A later try of the same transfer would do as well, but the window is over.
    setup
        .pic
        .advance_time(std::time::Duration::from_secs(3_000));
    let refund = setup.refunded(&signed);
    assert_eq!(refund.to, Some(payer.account));
}

//! Merchants with accounts of their own: what they see, what waits for a controller, and what they pay back themselves.

use crate::{
    refunds::PRICE,
    support::{
        Request, Setup,
        flow::ARTICLE,
        gateway::Answer,
        interface::*,
        ledger::number,
        payer::Signed,
        setup::{FEE, controller, merchant, operator, stranger},
    },
};
use candid::{Nat, Principal};
use icrc_ledger_types::icrc1::{
    account::Account,
    transfer::{TransferArg, TransferError},
};
use serde_bytes::ByteBuf;
use std::time::Duration;

const DAY: u64 = 86_400;

fn theirs(n: u8) -> Account {
    Principal::self_authenticating([n; 32]).into()
}

fn id(signed: &Signed) -> ByteBuf {
    ByteBuf::from(signed.id.0.to_vec())
}

impl Setup {
    /// A route that pays to this account.
    fn sell_for(&self, path: &str, pay_to: Account) {
        let route = RouteArgs {
            pay_to: Some(pay_to.into()),
            ..self.priced("GET", path, PRICE)
        };
        let route: Result<Route, RouteError> = self.update(controller(), "route_put", (route,));
        route.expect("controllers name accounts");
        self.upload("GET", path, ARTICLE);
    }

    /// Lets time pass at once, and runs what is due then.
    fn let_pass(&self, seconds: u64) {
        self.pic.advance_time(Duration::from_secs(seconds));
        for _ in 0..14 {
            self.pic.tick();
        }
    }

    fn waiting(&self, after: Option<u64>, limit: Option<u32>) -> Vec<Payment> {
        let page = PageArgs { after, limit };
        let page: Result<Vec<Payment>, PaymentsError> =
            self.query(operator(), "payments_waiting", (page,));
        page.expect("operators read payments")
    }

    /// The waiting refunds according to the list and to `solvency`: their number and their sum.
    fn waits(&self) -> (u64, u128) {
        let said = self.solvency().waiting;
        let listed = self.waiting(None, None);
        let amounts = listed.iter().map(|payment| number(&payment.amount));
        let expected = (listed.len() as u64, amounts.sum());
        assert_eq!((said.refunds, number(&said.amount)), expected);
        expected
    }

    fn leave_to_merchant(&self, signed: &Signed) -> Result<PaymentStatus, RefundError> {
        self.update(controller(), "refund_by_merchant", (id(signed),))
    }

    /// The payer's request once more.
    fn fetch(&self, path: &str, signed: &Signed) -> Answer {
        let sale = self.sale(Request::get(path));
        sale.present(signed.clone()).send().answer
    }

    /// The ledger makes a transfer for this account's owner.
    fn pays_back(&self, from: Account, to: Account, amount: u128) -> Nat {
        let transfer = TransferArg {
            from_subaccount: from.subaccount,
            to,
            fee: None,
            created_at_time: None,
            memo: None,
            amount: Nat::from(amount),
        };
        let block: Result<Nat, TransferError> =
            self.update_at(self.ledger.0, from.owner, "icrc1_transfer", (transfer,));
        block.expect("there is enough")
    }
}

fn is_left(status: &PaymentStatus) -> bool {
    matches!(status, PaymentStatus::Refunding { problem, .. } if problem.contains("merchant is to pay"))
}

#[test]
fn merchant_sees_who_paid_him_for_what_and_strangers_do_not() {
    let setup = Setup::with_any_ledger();
    let (one, two) = (theirs(66), theirs(67));
    setup.sell_for("/one", one);
    setup.sell_for("/two", two);
    setup.sell("/hosts", PRICE);
    let (payer, other_payer) = (setup.payer(120), setup.payer(121));
    let paid = ["/one", "/two", "/hosts"].map(|path| {
        let sale = setup.sale(Request::get(path));
        (path, sale.pay(&payer).send().expect_settled().signed)
    });
    let everything = ["/one", "/two", "/hosts"];
    let with_subaccount = merchant().owner;
    for (caller, sees) in [
        (one.owner, &["/one"][..]),
        (two.owner, &["/two"]),
        (with_subaccount, &["/hosts"]),
        (payer.account.owner, &everything),
        (operator(), &everything),
        (controller(), &everything),
        (other_payer.account.owner, &[]),
        (stranger(), &[]),
        (Principal::anonymous(), &[]),
    ] {
        for (path, signed) in &paid {
            let payment: Option<Payment> = setup.query(caller, "payment", (id(signed),));
            let receipt: Option<Receipt> = setup.query(caller, "receipt", (id(signed),));
            let (payment, receipt) = (payment.unwrap(), receipt.unwrap());
            let all = sees.contains(path);
            let who = all.then_some(payer.account);
            let what = all.then(|| ("GET".to_string(), path.to_string()));
            assert_eq!(
                (payment.payer, receipt.payer),
                (who, who),
                "{caller} {path}"
            );
            assert_eq!(payment.method.zip(payment.path), what, "{caller} {path}");
            assert_eq!(receipt.method.zip(receipt.path), what, "{caller} {path}");
            // What the ledger shows is public.
            assert_eq!(payment.amount, Nat::from(PRICE));
            assert_eq!(
                (payment.pay_to, payment.amount),
                (receipt.pay_to, receipt.amount)
            );
            assert!(matches!(payment.status, PaymentStatus::Delivered { .. }));
        }
    }
}

#[test]
fn refunds_that_wait_for_a_controller_are_listed_and_counted() {
    let setup = Setup::new();
    let account = theirs(66);
    setup.sell_for("/theirs", account);
    setup.sell("/hosts", PRICE);
    let payers = [1, 2, 3].map(|n| setup.payer(n));
    let first = setup.undelivered("/theirs", &payers[0]);
    let owed = setup.undelivered("/hosts", &payers[1]);
    let second = setup.undelivered("/theirs", &payers[2]);
    assert_eq!(setup.waits(), (0, 0), "they may still be fetched");
    setup.let_pass(8 * DAY);
    for _ in 0..2 {
        assert_eq!(setup.waits(), (2, 2 * PRICE));
        assert_eq!(number(&setup.solvency().owed_refunds), PRICE + FEE);
        let listed = setup.waiting(None, None);
        let ids: Vec<_> = listed.iter().map(|payment| payment.id.clone()).collect();
        assert_eq!(ids, [id(&first), id(&second)]);
        let numbers: Vec<_> = listed.iter().map(|payment| payment.sequence).collect();
        assert_eq!(numbers, [Some(1), Some(3)]);
        assert_eq!(setup.waiting(None, Some(1)), listed[..1]);
        assert_eq!(setup.waiting(Some(1), Some(1)), listed[1..]);
        assert_eq!(setup.waiting(Some(3), None), []);
        assert!(setup.waiting(None, None).iter().all(|payment| {
            payment.pay_to == account && payment.path.as_deref() == Some("/theirs")
        }));
        setup.check_conservation();
        setup.upgrade();
    }
    for caller in [stranger(), account.owner, Principal::anonymous()] {
        let page = PageArgs::default();
        let refused: Result<Vec<Payment>, PaymentsError> =
            setup.query(caller, "payments_waiting", (page,));
        assert_eq!(refused, Err(PaymentsError::Unauthorized));
    }
    // One is fetched, and one approved.
    let answer = setup.fetch("/theirs", &first);
    assert_eq!((answer.status, &answer.body[..]), (200, ARTICLE));
    assert_eq!(setup.waits(), (1, PRICE));
    setup.refund(&second).expect("it waits for this");
    assert_eq!(setup.waits(), (0, 0));
    let due = number(&setup.solvency().owed_refunds);
    assert_eq!(due, 2 * (PRICE + FEE));
    setup.ledger.mint(&setup, setup.treasury(), due);
    for signed in [&owed, &second] {
        setup.refunded(signed);
    }
}

#[test]
fn merchant_who_pays_back_himself_is_not_overtaken_by_the_payer_who_fetches() {
    let setup = Setup::new();
    let account = theirs(66);
    setup.sell_for("/theirs", account);
    setup.ledger.mint(&setup, setup.treasury(), 5 * PRICE);
    let payer = setup.payer(1);
    let signed = setup.undelivered("/theirs", &payer);
    for caller in [operator(), account.owner, payer.account.owner] {
        let arg = candid::encode_one(id(&signed)).unwrap();
        let dropped = setup.raw_update(caller, "refund_by_merchant", arg);
        dropped.expect_err("nobody but controllers");
    }
    let closed = setup.leave_to_merchant(&signed).expect("it is settled");
    assert!(is_left(&closed), "{closed:?}");
    assert_eq!(setup.leave_to_merchant(&signed), Ok(closed), "repeated");
    for _ in 0..2 {
        let answer = setup.fetch("/theirs", &signed);
        assert_eq!(answer.status, 402, "no resource any more");
        assert_ne!(answer.body, ARTICLE);
        // The payer sees the reason.
        let seen: Option<Payment> = setup.query(payer.account.owner, "payment", (id(&signed),));
        assert!(is_left(&seen.unwrap().status));
        assert_eq!(setup.waits(), (1, PRICE));
        assert_eq!(number(&setup.solvency().owed_refunds), 0);
        setup.check_conservation();
        setup.upgrade();
        setup.let_pass(8 * DAY);
    }
    let before = setup.ledger.balance(&setup, payer.account);
    setup.ledger.mint(&setup, account, FEE);
    let block_index = setup.pays_back(account, payer.account, PRICE);
    let args = || ResolveArgs {
        id: id(&signed),
        outcome: ResolvedOutcome::Moved {
            block_index: block_index.clone(),
        },
    };
    for _ in 0..2 {
        let said: Result<PaymentStatus, ResolveError> =
            setup.update(controller(), "payment_resolve", (args(),));
        let Ok(PaymentStatus::Refunded {
            refund_block_index, ..
        }) = said
        else {
            panic!("{said:?}");
        };
        assert_eq!(refund_block_index, block_index);
        assert_eq!(setup.waits(), (0, 0));
        setup.let_pass(DAY);
    }
    assert_eq!(setup.refund(&signed), Err(RefundError::NotRefundable));
    assert_eq!(
        setup.leave_to_merchant(&signed),
        Err(RefundError::NotRefundable)
    );
    assert_eq!(setup.fetch("/theirs", &signed).status, 402);
    // The money, once, and no resource; the canister paid nothing.
    let after = setup.ledger.balance(&setup, payer.account);
    assert_eq!(after, before + PRICE);
    let treasury = setup.ledger.balance(&setup, setup.treasury());
    assert_eq!(treasury, 5 * PRICE);
}

#[test]
fn canister_pays_back_after_all_what_was_left_to_a_merchant() {
    let setup = Setup::new();
    setup.sell_for("/theirs", theirs(66));
    setup.sell_into(None);
    setup.ledger.mint(&setup, setup.treasury(), 5 * PRICE);
    let (payer, other) = (setup.payer(1), setup.payer(2));
    let signed = setup.undelivered("/theirs", &payer);
    // Only the canister has the money for this one.
    let own = setup.undelivered("/own", &other);
    assert_eq!(
        setup.leave_to_merchant(&own),
        Err(RefundError::NotRefundable)
    );
    let answer = setup.fetch("/own", &own);
    assert_eq!(answer.status, 200);
    setup.let_pass(8 * DAY);
    setup
        .leave_to_merchant(&signed)
        .expect("it waits for a controller");
    assert_eq!(setup.fetch("/theirs", &signed).status, 402);
    setup.refund(&signed).expect("the merchant does not pay");
    assert_eq!(
        setup.leave_to_merchant(&signed),
        Err(RefundError::NotRefundable)
    );
    let refund = setup.refunded(&signed);
    assert_eq!(
        (refund.from, refund.to),
        (Some(setup.treasury()), Some(payer.account))
    );
    assert_eq!(setup.waits(), (0, 0));
}

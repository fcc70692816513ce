use super::*;
use crate::{
    domain::settlement::CallOutcome,
    runtime::scripted::run,
    service::{
        catalogue,
        pay::{
            self,
            tests::{NOW, PayOutcome, PaymentRequest, Shop, shop},
        },
    },
    storage::{audit, fees::PAUSE, ledgers::tests::ledger},
    types::{Amount, Seconds},
};
use icrc_ledger_types::icrc2::transfer_from::TransferFromError;
use x402_icp::Code;

fn no_allowance() -> Result<Nat, TransferFromError> {
    Err(TransferFromError::InsufficientAllowance {
        allowance: Nat::from(10_010u32),
    })
}

fn no_funds() -> Result<Nat, TransferFromError> {
    Err(TransferFromError::InsufficientFunds {
        balance: Nat::from(10_010u32),
    })
}

fn bad_fee(expected: u64) -> Result<Nat, TransferFromError> {
    Err(TransferFromError::BadFee {
        expected_fee: Nat::from(expected),
    })
}

impl Shop {
    fn refuses(&self, request: &PaymentRequest, reply: Result<Nat, TransferFromError>) -> Code {
        self.will(reply);
        match run(pay::settle(&self.runtime, request.clone())) {
            PayOutcome::Failed { code, .. } => code,
            other => panic!("expected a failure, got {other:?}"),
        }
    }

    /// The fee of the current offers, which is the same in every price.
    fn offered(&self) -> String {
        let route = storage::routes::all().remove(0);
        let offers = catalogue::offers(&route, self.runtime.canister_id());
        offers[0].extra.fee.clone()
    }

    fn fee_queries(&self) -> usize {
        self.runtime.fee_queries.get()
    }

    fn after_the_pause(&self) {
        self.runtime.now.set(self.runtime.now().plus(PAUSE));
    }
}

/// A shop whose ledger was not queried yet.
fn new_shop() -> Shop {
    storage::fees::forget(&ledger(0).id);
    shop()
}

fn audited() -> Vec<String> {
    let entries = audit::admin_after(0, 100).into_iter();
    entries
        .map(|entry| entry.action)
        .filter(|action| action.starts_with("fee_"))
        .collect()
}

#[test]
fn a_fee_that_rose_is_found_where_the_ledger_checks_the_allowance_first() {
    for (n, refusal) in [(1, no_allowance()), (2, no_funds())] {
        let shop = new_shop();
        shop.runtime.will_name_fee(Nat::from(25u8));
        shop.refuses(&shop.request(n, n), refusal);
        assert_eq!((shop.offered().as_str(), shop.fee_queries()), ("25", 1));
        // A payment for the new offer has the new fee.
        shop.will(Ok(Nat::from(7 * n)));
        let paid = run(pay::settle(&shop.runtime, shop.request(n, 100)));
        assert!(matches!(paid, PayOutcome::Paid { receipt, .. } if receipt.fee == Amount(25)));
        assert_eq!(
            shop.fee_queries(),
            1,
            "payments that succeed cause no query"
        );
        assert_eq!(audited().len(), usize::from(n));
    }
}

#[test]
fn a_fee_that_fell_or_became_zero_is_found() {
    for (n, fee) in [(1u8, 3u8), (2, 0)] {
        let shop = new_shop();
        shop.runtime.will_name_fee(Nat::from(fee));
        shop.refuses(&shop.request(n, n), no_allowance());
        assert_eq!(shop.offered(), fee.to_string());
    }
    // A ledger that checks the fee first answers zero, which it also does for burns.
    let shop = new_shop();
    shop.runtime.will_name_fee(Nat::from(0u8));
    let code = shop.refuses(&shop.request(3, 3), bad_fee(0));
    assert_eq!(code, Code::OfferMismatch);
    assert_eq!((shop.offered().as_str(), shop.fee_queries()), ("0", 1));
    // From zero to another fee again.
    shop.after_the_pause();
    shop.runtime.will_name_fee(Nat::from(12u8));
    shop.refuses(&shop.request(4, 4), no_allowance());
    assert_eq!(shop.offered(), "12");
}

#[test]
fn a_merchant_that_is_the_minting_account_does_not_make_the_fee_zero() {
    let shop = new_shop();
    shop.runtime.will_name_fee(Nat::from(10u8));
    shop.refuses(&shop.request(1, 1), bad_fee(0));
    assert_eq!((shop.offered().as_str(), shop.fee_queries()), ("10", 1));
    assert_eq!(audited(), ["fee_zero_named"]);
}

#[test]
fn a_fee_that_changes_twice_is_found_twice() {
    let shop = new_shop();
    for (n, fee) in [(1, 30u8), (2, 20), (3, 30), (4, 10)] {
        shop.runtime.will_name_fee(Nat::from(fee));
        shop.refuses(&shop.request(n, n), no_allowance());
        assert_eq!(shop.offered(), fee.to_string(), "{n}");
        shop.after_the_pause();
    }
    assert_eq!(shop.fee_queries(), 4);
    // The new fee is learnt in both ways, in turn.
    shop.refuses(&shop.request(5, 5), bad_fee(11));
    assert_eq!((shop.offered().as_str(), shop.fee_queries()), ("11", 4));
    shop.runtime.will_name_fee(Nat::from(12u8));
    shop.refuses(&shop.request(6, 6), no_allowance());
    assert_eq!(shop.offered(), "12");
}

#[test]
fn a_flood_of_payments_without_funds_asks_once_in_the_pause() {
    let shop = new_shop();
    let mut asked_at = vec![];
    let mut flood = 0u8;
    while shop.runtime.now() < NOW.plus(Seconds(3 * PAUSE.0)) {
        let before = shop.fee_queries();
        let refusal = if flood.is_multiple_of(2) {
            no_allowance()
        } else {
            no_funds()
        };
        // Every payment is from another key: keys cost nothing.
        shop.refuses(&shop.request(flood, flood), refusal);
        if shop.fee_queries() > before {
            asked_at.push(shop.runtime.now());
        }
        flood += 1;
        let now = shop.runtime.now();
        shop.runtime.now.set(now.plus(Seconds(10)));
    }
    assert!(flood >= 90);
    assert_eq!(asked_at.len(), 3, "{asked_at:?}");
    assert!(asked_at.windows(2).all(|w| w[0].plus(PAUSE) <= w[1]));
    assert!(audited().is_empty(), "nothing changed, nothing is recorded");
}

/// A refusal within the pause is not forgotten: the first refusal after the pause causes a query.
#[test]
fn a_fee_that_changes_in_the_pause_is_found_after_it() {
    let shop = new_shop();
    shop.refuses(&shop.request(1, 1), no_allowance());
    shop.runtime.will_name_fee(Nat::from(25u8));
    shop.refuses(&shop.request(2, 2), no_allowance());
    assert_eq!((shop.offered().as_str(), shop.fee_queries()), ("10", 1));
    shop.after_the_pause();
    shop.refuses(&shop.request(3, 3), no_allowance());
    assert_eq!((shop.offered().as_str(), shop.fee_queries()), ("25", 2));
}

/// A stranger without money left the fee in doubt. A paying request does not wait for the query.
#[test]
fn attack_41_what_was_paid_for_does_not_wait_until_the_ledger_names_its_fee() {
    let shop = new_shop();
    for n in [1, 2] {
        shop.refuses(&shop.request(n, n), no_allowance());
    }
    shop.after_the_pause();
    shop.runtime.will_name_fee(Nat::from(25u8));
    let request = shop.request(3, 3);
    shop.will(Ok(Nat::from(7u8)));
    assert_eq!(shop.fetch(&request), b"goods");
    assert_eq!((shop.offered().as_str(), shop.fee_queries()), ("10", 1));
    // The next refusal causes the query.
    shop.refuses(&shop.request(4, 4), no_allowance());
    assert_eq!((shop.offered().as_str(), shop.fee_queries()), ("25", 2));
}

#[test]
fn a_ledger_that_does_not_answer_or_answers_nonsense_changes_nothing() {
    let shop = new_shop();
    let rejected = |code| CallOutcome::Rejected {
        code,
        message: "no".into(),
    };
    let text = candid::encode_one("free").unwrap();
    let huge: Nat = "9".repeat(60).parse().unwrap();
    let huge = candid::encode_one(huge).unwrap();
    let answers = [
        rejected(2),
        rejected(4),
        rejected(5),
        rejected(6),
        CallOutcome::NotSent("no cycles".into()),
        CallOutcome::Reply(vec![]),
        CallOutcome::Reply(vec![0; 3_000_000]),
        CallOutcome::Reply(text),
        CallOutcome::Reply(huge),
    ];
    for (n, answer) in (1u8..).zip(answers) {
        shop.runtime.fee.replace(Some(answer));
        let code = shop.refuses(&shop.request(n, n), no_allowance());
        assert_eq!(code, Code::InsufficientAllowance);
        assert_eq!(
            (shop.offered().as_str(), shop.fee_queries()),
            ("10", n.into())
        );
        shop.after_the_pause();
    }
    assert!(storage::ledgers::get(&ledger(0).id).unwrap().enabled);
}

#[test]
fn a_ledger_that_names_one_fee_and_takes_another_does_not_move_the_offers_for_long() {
    let shop = new_shop();
    shop.runtime.will_name_fee(Nat::from(40u8));
    shop.refuses(&shop.request(1, 1), no_allowance());
    assert_eq!(shop.offered(), "40");
    shop.refuses(&shop.request(2, 2), bad_fee(10));
    assert_eq!(shop.offered(), "10");
    // The ledger keeps naming the wrong fee, which is rejected for an hour.
    for n in 3..10 {
        shop.after_the_pause();
        shop.refuses(&shop.request(n, n), no_allowance());
        assert_eq!(shop.offered(), "10", "{n}");
    }
    // An implausible fee is recorded once, and the ledger stays enabled.
    shop.runtime.will_name_fee(Nat::from(1_000_000u32));
    for n in 10..13 {
        shop.after_the_pause();
        shop.refuses(&shop.request(n, n), no_allowance());
        assert_eq!(shop.offered(), "10", "{n}");
    }
    let absurd = audited()
        .into_iter()
        .filter(|action| action == "fee_absurd_named");
    assert_eq!(absurd.count(), 1);
    assert!(storage::ledgers::get(&ledger(0).id).unwrap().enabled);
}

#[test]
fn anybody_may_cause_a_fee_query_as_often_as_a_refusal_does() {
    let shop = new_shop();
    shop.runtime.caller.set(Principal::from_slice(&[77]));
    shop.runtime.will_name_fee(Nat::from(25u8));
    let refresh = || run(refresh(&shop.runtime, ledger(0).id));
    assert_eq!(refresh().unwrap().fee, Amount(25));
    assert_eq!(shop.offered(), "25");
    shop.runtime.will_name_fee(Nat::from(30u8));
    for _ in 0..20 {
        assert_eq!(refresh().unwrap().fee, Amount(25));
    }
    shop.refuses(&shop.request(1, 1), no_allowance());
    assert_eq!(shop.fee_queries(), 1);
    shop.after_the_pause();
    assert_eq!(refresh().unwrap().fee, Amount(30));
    assert_eq!(shop.fee_queries(), 2);
    shop.after_the_pause();
    shop.runtime.fee.replace(Some(CallOutcome::Reply(vec![])));
    assert!(matches!(refresh(), Err(LedgerError::NotALedger { .. })));
    let unknown = run(super::refresh(&shop.runtime, ledger(9).id));
    assert_eq!(unknown, Err(LedgerError::UnknownLedger));
}

/// The first payment was made, and the ledger answers the repetition by the rest of the allowance.
#[test]
fn a_refused_repetition_asks_for_the_fee_and_proves_nothing() {
    let shop = new_shop();
    let request = shop.request(1, 1);
    shop.will_reject(6);
    run(pay::settle(&shop.runtime, request.clone()));
    assert_eq!(
        shop.fee_queries(),
        0,
        "an unclear answer says nothing of the fee"
    );
    shop.runtime.will_name_fee(Nat::from(25u8));
    shop.will(no_allowance());
    let outcome = run(pay::settle(&shop.runtime, request.clone()));
    assert!(matches!(outcome, PayOutcome::Pending { .. }));
    assert_eq!((shop.offered().as_str(), shop.fee_queries()), ("25", 1));
    // The repetition keeps the fee that was signed.
    shop.will(Ok(Nat::from(5u8)));
    run(pay::settle(&shop.runtime, request));
    let asked: Vec<_> = (0..3).map(|n| shop.asked(n).fee).collect();
    assert_eq!(asked, vec![Some(Nat::from(10u8)); 3]);
}

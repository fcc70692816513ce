//! The same payment many times at once, during the call to the ledger.

use crate::support::{Answer, Setup, flow::ARTICLE, ledger::TRANSFER_FROM};
use candid::Principal;
use test_ledger::testing::Fault;
use x402_icp::Code;

const PRICE: u128 = 30_000;
const REQUESTS: usize = 20;

fn senders() -> impl Iterator<Item = Principal> {
    (0..REQUESTS as u8).map(|n| Principal::self_authenticating([n, 9, 9]))
}

#[test]
fn twenty_identical_requests_in_parallel_make_one_block() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(70);
    let sale = setup.sell("/article", PRICE);
    let paying = sale.pay(&payer);
    let request = paying.request();
    let calls: Vec<_> = senders()
        .map(|sender| setup.submit_as(sender, &request))
        .collect();
    let answers: Vec<Answer> = calls.into_iter().map(|call| setup.collect(call)).collect();
    let delivered = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(delivered >= 1);
    for answer in &answers {
        if answer.status == 200 {
            assert_eq!(answer.body, ARTICLE);
            continue;
        }
        // The others arrived while the first was waiting for the ledger; they are told to repeat the request.
        let response = answer.payment_response().expect("an outcome");
        assert_eq!(
            response.error_reason.as_deref(),
            Some(Code::SettlementPending.as_str())
        );
        assert_eq!(response.transaction, paying.signed.id.to_string());
        assert_eq!(answer.payment_required(), None);
    }
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 1);
    assert_eq!(setup.payments().len(), 1);
    paying.send().expect_settled();
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 1);
}

#[test]
fn one_payment_for_two_routes_in_parallel_opens_one() {
    let setup = Setup::with_any_ledger();
    let payer = setup.payer(71);
    setup.sell("/data/{id}", PRICE);
    let (one, two) = ("/data/1", "/data/2");
    let sale = setup.sale(crate::support::Request::get(one));
    let paying = sale.pay(&payer);
    let header = paying.signed.header();
    let calls: Vec<_> = [one, two, one, two]
        .iter()
        .zip(senders())
        .map(|(url, sender)| {
            let request = crate::support::Request::get(url).payment(&header);
            setup.submit_as(sender, &request)
        })
        .collect();
    let mut delivered: Vec<_> = calls
        .into_iter()
        .zip([one, two, one, two])
        .filter(|(call, _)| setup.collect(call.clone()).status == 200)
        .map(|(_, url)| url)
        .collect();
    delivered.dedup();
    assert_eq!(delivered.len(), 1, "{delivered:?}");
    let delivered = [one, two]
        .iter()
        .filter(|url| {
            let request = crate::support::Request::get(url).payment(&header);
            setup.send(&request).status == 200
        })
        .count();
    assert_eq!(delivered, 1, "one payment opens one resource");
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 1);
    setup.check_conservation();
}

#[test]
fn one_allowance_for_one_of_many_payments() {
    // Many offers, one allowance: only as many are paid as the allowance covers.
    let setup = Setup::with_any_ledger();
    let payer = crate::support::Payer::ed25519(72);
    setup.ledger.mint(&setup, payer.account, 1_000_000);
    setup
        .ledger
        .approve(&setup, payer.account, setup.canister, 2 * (PRICE + 10_000));
    setup.watch(payer.account, 1_000_000 - 10_000);
    let sale = setup.sell("/article", PRICE);
    let calls: Vec<_> = senders()
        .take(6)
        .map(|sender| setup.submit_as(sender, &sale.pay(&payer).request()))
        .collect();
    let delivered = calls
        .into_iter()
        .map(|call| setup.collect(call))
        .filter(|answer| answer.status == 200)
        .count();
    assert_eq!(delivered, 2);
    setup.check_conservation();
}

#[test]
fn requests_that_come_while_the_ledger_thinks_are_pending() {
    let setup = Setup::new();
    let payer = setup.payer(73);
    let sale = setup.sell("/article", PRICE);
    let paying = sale.pay(&payer);
    setup
        .ledger
        .fault_of(&setup, TRANSFER_FROM, 1, &Fault::delayed_before_transfer());
    let first = setup.under_way(&paying.request());
    let signed = sale.present(paying.signed).send().expect_pending();
    setup.ledger.release(&setup);
    let answer = setup.collect(first);
    assert_eq!((answer.status, answer.body.as_slice()), (200, ARTICLE));
    sale.present(signed).send().expect_settled();
    assert_eq!(setup.ledger.pulled_by(&setup, setup.canister).len(), 1);
}

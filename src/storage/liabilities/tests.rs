use super::*;
use crate::{
    domain::{
        payment::{Event, RefundCause, tests::arb_event},
        rail::TxRef,
    },
    storage::{
        ledgers::tests::ledger,
        payments::{self, Change, tests as examples},
    },
    types::{Amount, BlockIndex},
};
use proptest::prelude::*;
use std::collections::BTreeMap;

const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);
const CANISTER: [u8; 10] = [8; 10];

/// Reads the tables again, as after an upgrade.
pub(crate) fn reload() {
    let canister = canister();
    TABLES.with_borrow_mut(|tables| *tables = Tables::load());
    canister.into_iter().for_each(set_canister);
}

/// Replaces the row of this refund by one that cannot be read.
pub(crate) fn corrupt(key: &ClaimKey) {
    crate::storage::quarantine::tests::expect_unreadable();
    let later = Stored::Unreadable(vec![2]);
    with_mut(|tables| tables.refunds.insert(key.0, later));
}

fn set_up() {
    examples::set_up();
    ledgers::put(&ledger(1)).unwrap();
    set_canister(Principal::from_slice(&CANISTER));
}

fn key(n: u32) -> ClaimKey {
    ClaimKey([n as u8; 16])
}

/// Stores the state of the refund of the n-th payment.
fn put(n: u32, refund: &Outgoing) {
    let payment = payments::by_key(&key(n)).unwrap();
    put_refund(&key(n), &payment, refund);
}

/// The recipient of the n-th payment: one of three accounts of the canister, or a merchant.
fn pay_to(n: u32) -> Account {
    let own = !n.is_multiple_of(4);
    let owner = Principal::from_slice(if own { &CANISTER } else { &[9; 29] });
    Account {
        owner,
        subaccount: [None, Some([n as u8 % 2 + 1; 32])][n as usize / 4 % 2],
    }
}

fn open(n: u32) -> Change {
    let mut payment = examples::payment(n, 1);
    payment.ledger = ledger(n as u8 % 2).id;
    payment.to = pay_to(n);
    payment.amount = Amount(10u128.pow(n % 39));
    examples::begun(payment)
}

/// What is owed according to the payments themselves, by ledger and account.
fn recomputed() -> BTreeMap<(Principal, Account), Owed> {
    let canister = Principal::from_slice(&CANISTER);
    let mut all: BTreeMap<_, Owed> = BTreeMap::new();
    for payment in (0..PAYMENTS).filter_map(|n| payments::by_key(&key(n))) {
        let account = paying_account(&payment.to, &canister);
        let owed = all.entry((payment.ledger, account)).or_default();
        let burden = burden(&payment.state, &payment.to, &canister);
        owed.add(burden, payment.amount);
        if burden == Burden::Refund && is_paid_in(&payment.to, &canister) {
            owed.paid_in.add(payment.amount.0);
        }
    }
    all.retain(|_, owed| *owed != Owed::default());
    all
}

fn totals() -> BTreeMap<(Principal, Account), Owed> {
    let in_ledger = |id: Principal| owed(&id).into_iter().map(move |(a, owed)| ((id, a), owed));
    in_ledger(ledger(0).id)
        .chain(in_ledger(ledger(1).id))
        .collect()
}

const PAYMENTS: u32 = 6;

fn happen(events: Vec<(u32, Event)>) -> Result<(), TestCaseError> {
    set_up();
    for (n, event) in events {
        let change = match event {
            // A payment is opened only if its nonce is unused.
            Event::Opened if payments::by_key(&key(n)).is_none() => open(n),
            event => Change::Event(event),
        };
        let _ = payments::record(&key(n), change, NOW);
        prop_assert_eq!(totals(), recomputed());
        let refunding = payments::by_key(&key(n)).is_some_and(
            |payment| matches!(payment.state, State::Refunding { problem, .. } if !problem.waits()),
        );
        prop_assert_eq!(refund(&key(n)).is_some(), refunding);
    }
    crate::storage::liabilities::tests::reload();
    prop_assert_eq!(totals(), recomputed());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// After any sequence of events the totals are the sums over the payments. There is a refund for each payment that
    /// is owed one, and for no other.
    #[test]
    fn totals_are_what_the_payments_say(
        events in prop::collection::vec((0u32..PAYMENTS, arb_event()), 0..200),
    ) {
        // Each thread has its own tables.
        std::thread::spawn(|| happen(events)).join().unwrap()?;
    }
}

#[test]
fn a_payment_to_another_account_owes_nothing_until_it_is_to_be_refunded() {
    set_up();
    let happens = |event| payments::record(&key(4), Change::Event(event), NOW).unwrap();
    payments::record(&key(4), open(4), NOW).unwrap();
    assert_eq!(totals(), BTreeMap::new());
    let block = BlockIndex(3);
    happens(Event::Moved {
        tx: TxRef::Block(block),
    });
    assert_eq!(totals(), BTreeMap::new());
    happens(Event::RefundDue {
        cause: RefundCause::NotFetched,
        approved: true,
    });
    let treasury = Account::from(Principal::from_slice(&CANISTER));
    let owed = owed_by(&ledger(0).id, &treasury);
    assert_eq!(owed.refunds_with(Amount(10)), Amount(10_010));
    let before = outflows();
    happens(Event::RefundMoved {
        tx: TxRef::Block(block),
    });
    assert_eq!((totals(), outflows()), (BTreeMap::new(), before + 1));
}

#[test]
fn refunds_are_read_back() {
    set_up();
    let terms = TransferTerms {
        created_at: NOW,
        fee: Amount(u128::MAX),
    };
    let outgoing = Outgoing {
        doubt: Some(terms),
        tries: 7,
        busy_until: NOW,
        cursor: u64::MAX,
    };
    payments::record(&key(1), open(1), NOW).unwrap();
    put(1, &outgoing);
    assert_eq!(refund(&key(1)), None, "no refund is owed");
    let block = BlockIndex(3);
    payments::record(
        &key(1),
        Change::Event(Event::Moved {
            tx: TxRef::Block(block),
        }),
        NOW,
    )
    .unwrap();
    let due = Event::RefundDue {
        cause: RefundCause::NotFetched,
        approved: true,
    };
    payments::record(&key(1), Change::Event(due), NOW).unwrap();
    assert_eq!(refund(&key(1)), Some(Outgoing::default()));
    put(1, &outgoing);
    assert_eq!(refund(&key(1)), Some(outgoing));
}

#[test]
fn what_refunds_in_doubt_may_take_is_counted() {
    set_up();
    let due = Event::RefundDue {
        cause: RefundCause::NotFetched,
        approved: true,
    };
    for n in [1, 2] {
        let change = |event| payments::record(&key(n), event, NOW).unwrap();
        let mut new = open(1);
        if let Change::Open(new) = &mut new {
            new.payment.id = examples::payment(n, 1).id;
            new.payment.amount = Amount(10_000);
        }
        change(new);
        let block = BlockIndex(n.into());
        change(Change::Event(Event::Moved {
            tx: TxRef::Block(block),
        }));
        change(Change::Event(due.clone()));
    }
    let (id, account) = (ledger(1).id, pay_to(1));
    // Of a refund whose money went elsewhere: the amounts paid in are kept, and a fee for each in doubt.
    let may_take = || owed_by(&id, &account).kept_from_a_refund(None);
    let doubtful = |fee| {
        let mut refund = Outgoing::default();
        let (created_at, fee) = (NOW, Amount(fee));
        refund.begin(TransferTerms { created_at, fee }, NOW);
        refund
    };
    assert_eq!(may_take(), Amount(20_000));
    put(1, &doubtful(10));
    put(1, &doubtful(10));
    assert_eq!(may_take(), Amount(20_010));
    put(1, &doubtful(20));
    assert_eq!(may_take(), Amount(20_020));
    // Its own amount is not kept from a refund.
    let of_two = owed_by(&id, &account).kept_from_a_refund(Some(Amount(10_000)));
    assert_eq!(of_two, Amount(10_020));
    put(2, &doubtful(10));
    assert_eq!(may_take(), Amount(20_040));
    assert_eq!(owed(&id)[0].1.doubtful.refunds, 2);
    crate::storage::liabilities::tests::reload();
    assert_eq!(may_take(), Amount(20_040));
    put(2, &Outgoing::default());
    assert_eq!(may_take(), Amount(20_020));
    let block = BlockIndex(9);
    payments::record(
        &key(1),
        Change::Event(Event::RefundMoved {
            tx: TxRef::Block(block),
        }),
        NOW,
    )
    .unwrap();
    assert_eq!(may_take(), Amount(10_000));
    assert_eq!(owed_by(&id, &account).refunds, 1);
}

mod failures;
pub(crate) mod quarantine;
mod record;

use super::{
    rows::{DeliveryRow, FailureRow, OpenRow, SettledRow},
    *,
};
use crate::{
    domain::{
        fulfilment::Fulfilment,
        payment::{
            Doubt, Failure, FailureKind, Offered, RefundCause, RefundProblem, tests::arb_state,
        },
        purchase::Purchase,
        rail::Rail,
        rail::TxRef,
        scheme::Scheme,
    },
    storage::{
        audit::{self, Transition},
        claims,
        codec::{self, tests::arb_account},
        config,
        config::tests::config,
        ledgers,
        ledgers::tests::ledger,
        memory,
    },
    types::{
        Account, Amount, AuthorizationDigest, BlockIndex, Fingerprint, MerchantId, Method,
        RouteKey, Seconds,
    },
};
use proptest::prelude::*;

const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);

pub(crate) fn set_up() {
    config::write(&config()).unwrap();
    ledgers::put(&ledger(0)).unwrap();
}

/// The n-th payment of the payer with this number.
pub(crate) fn payment(n: u32, payer: u8) -> Payment {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&n.to_be_bytes());
    // As long as a self-authenticating principal.
    let owner = Principal::from_slice(&[payer; 29]);
    Payment {
        id: PaymentId(id),
        scheme: Scheme::Exact,
        rail: Rail::Icrc2,
        merchant: MerchantId::DEPLOYER,
        network: "icp:1".into(),
        ledger: ledger(0).id,
        from: Account::from(owner),
        to: Account::from(Principal::from_slice(&[9; 29])),
        amount: Amount(10_000),
        fee: Amount(10),
        purchase: Purchase::Route(RouteKey::new(Method::Get, "/articles/forty-two")),
        offered: Offered {
            id: [4; 16],
            symbol: "T0".into(),
            decimals: 6,
        },
        fingerprint: Fingerprint([1; 16]),
        authorization_digest: AuthorizationDigest([2; 16]),
        created_at: NOW,
        fulfilment: Fulfilment::Stored(3),
        state: State::Settling {
            attempt: 1,
            all_failed: true,
        },
    }
}

/// Reads the tables again, as after an upgrade.
pub(crate) fn reload() {
    TABLES.with_borrow_mut(|tables| *tables = Tables::load());
}

/// A payment begins, whose ledger has named no block so far.
pub(crate) fn begun(payment: Payment) -> Change {
    Change::Open(Box::new(NewPayment {
        payment,
        valid_before: 0,
        known_block: None,
    }))
}

/// Its money moved, in this block.
pub(crate) fn moved(block: u64) -> Event {
    let tx = TxRef::Block(BlockIndex(block));
    Event::Moved { tx }
}

/// A payment in this ledger, settled in this block.
pub(crate) fn settled_in(ledger: Principal, block: u64) {
    let payment = Payment {
        ledger,
        ..payment(1, 1)
    };
    record(&key(1), begun(payment), NOW).unwrap();
    let paid = Change::Both(moved(block), Event::Delivered);
    record(&key(1), paid, NOW).unwrap();
}

fn key(n: u32) -> ClaimKey {
    let mut key = [0; 16];
    key[..4].copy_from_slice(&n.wrapping_mul(2_654_435_761).to_be_bytes());
    ClaimKey(key)
}

fn new(n: u32) -> Change {
    let payment = payment(n, 1);
    Change::Open(Box::new(NewPayment {
        payment,
        valid_before: 1_800_000_300,
        known_block: Some(BlockIndex(4)),
    }))
}

fn event(event: Event) -> Change {
    Change::Event(event)
}

fn settle(n: u32) {
    record(&key(n), new(n), NOW).unwrap();
    let paid = Change::Both(moved(n.into()), Event::Delivered);
    record(&key(n), paid, NOW).unwrap();
}

/// Settled payments, open payments, open payments of the payer, and those that wait for the ledger.
fn counts() -> (u64, u64, u32, u32) {
    let load = load(&payment(1, 1).from.owner, &ledger(0).id, NOW);
    (
        load.settled,
        load.open,
        load.open_of_payer,
        load.ledger.settling,
    )
}

fn open_counts() -> (u64, u32) {
    let (_, open, of_payer, _) = counts();
    (open, of_payer)
}

fn failure() -> Failure {
    Failure {
        kind: FailureKind::InsufficientFunds,
        message: "no".into(),
    }
}

/// Messages of one round have the same time: the payment was delivered, and would be refunded, too.
#[test]
fn a_payment_settled_and_delivered_in_one_round_is_not_left_undelivered() {
    set_up();
    record(&key(1), new(1), NOW).unwrap();
    let block = BlockIndex(1);
    record(
        &key(1),
        event(Event::Moved {
            tx: TxRef::Block(block),
        }),
        NOW,
    )
    .unwrap();
    let delivered = record(&key(1), event(Event::Delivered), NOW).unwrap();
    assert_eq!(by_key(&key(1)), Some(delivered));
    assert!(!has_work());
}

#[test]
fn ids_that_share_their_first_half_are_told_apart() {
    set_up();
    settle(1);
    let mut other = payment(1, 1).id;
    other.0[31] = 1;
    assert_eq!(by_id(&other), None);
}

#[test]
fn the_heap_is_rebuilt_from_the_tables() {
    set_up();
    record(&key(1), new(1), NOW).unwrap();
    record(&key(2), new(2), NOW).unwrap();
    record(&key(2), event(Event::InDoubt(Doubt::Reject)), NOW).unwrap();
    settle(3);
    let all = || {
        let lane = in_lane(Lane::Open, None, 9);
        (open(0, 9), settled_count(), open_counts(), lane, next_due())
    };
    let before = all();
    reload();
    assert_eq!(before, all());
    assert!(awaits(3));
    assert_eq!(page(0, 10).len(), 1);
}

#[test]
fn payments_that_wait_for_an_answer_are_counted_by_payer() {
    set_up();
    let of_payer = || {
        let load = load(&payment(1, 1).from.owner, &ledger(0).id, NOW);
        (load.open_of_payer, load.settling_of_payer)
    };
    for n in 1..=3 {
        record(&key(n), new(n), NOW).unwrap();
    }
    assert_eq!(of_payer(), (3, 3));
    record(&key(1), event(Event::InDoubt(Doubt::Reject)), NOW).unwrap();
    assert_eq!(of_payer(), (3, 2));
    record(&key(1), event(Event::Retried), NOW).unwrap();
    assert_eq!(of_payer(), (3, 3));
    record(&key(1), event(Event::InDoubt(Doubt::Reject)), NOW).unwrap();
    record(&key(2), event(moved(7)), NOW).unwrap();
    assert_eq!(of_payer(), (2, 1));
    // After an upgrade no payment waits for a reply.
    reload();
    assert_eq!(of_payer(), (2, 0));
    record(&key(3), event(Event::InDoubt(Doubt::Upgraded)), NOW).unwrap();
    assert_eq!(of_payer(), (2, 0));
}

#[test]
fn open_payments_are_counted_by_ledger() {
    set_up();
    ledgers::put(&ledger(1)).unwrap();
    let in_ledger = |n: u8| load(&payment(1, 1).from.owner, &ledger(n).id, NOW).open_of_ledger;
    for n in 1..=3 {
        record(&key(n), new(n), NOW).unwrap();
    }
    record(&key(1), event(Event::InDoubt(Doubt::Reject)), NOW).unwrap();
    assert_eq!((in_ledger(0), in_ledger(1)), (3, 0));
    reload();
    assert_eq!((in_ledger(0), in_ledger(1)), (3, 0));
    record(&key(1), event(Event::ResolvedNotMoved(failure())), NOW).unwrap();
    record(&key(2), event(moved(7)), NOW).unwrap();
    assert_eq!((in_ledger(0), in_ledger(1)), (1, 0));
}

#[test]
fn payments_that_have_lapsed_are_counted_apart() {
    set_up();
    let counts = || {
        let load = load(&payment(1, 1).from.owner, &ledger(0).id, NOW);
        (
            load.lapsed,
            load.open,
            load.open_of_ledger,
            load.open_of_payer,
        )
    };
    for n in 1..=3 {
        record(&key(n), new(n), NOW).unwrap();
        record(&key(n), event(Event::InDoubt(Doubt::LedgerError)), NOW).unwrap();
    }
    record(&key(1), event(Event::Lapsed), NOW).unwrap();
    record(&key(2), event(Event::Lapsed), NOW).unwrap();
    assert_eq!(counts(), (2, 1, 1, 1));
    reload();
    assert_eq!(counts(), (2, 1, 1, 1));
    // If the ledger is called again for the payment, it counts again.
    record(&key(1), event(Event::Retried), NOW).unwrap();
    assert_eq!(counts(), (1, 2, 2, 2));
    let block = BlockIndex(7);
    record(
        &key(2),
        event(Event::ResolvedMoved {
            tx: TxRef::Block(block),
        }),
        NOW,
    )
    .unwrap();
    assert_eq!(counts(), (0, 2, 2, 2));
    record(&key(1), event(Event::InDoubt(Doubt::LedgerError)), NOW).unwrap();
    record(&key(1), event(Event::Lapsed), NOW).unwrap();
    record(&key(1), event(Event::ResolvedNotMoved(failure())), NOW).unwrap();
    assert_eq!(counts(), (0, 1, 1, 1));
}

#[test]
fn a_payment_takes_at_most_400_bytes() {
    set_up();
    // Measured as the growth of the tables over many payments, indexes and audit log included.
    let used = || {
        with(|tables| tables.settled.log_size_bytes() + tables.settled.index_size_bytes())
            + memory_bytes(memory::SETTLED_BY_KEY)
            + memory_bytes(memory::SETTLED_BY_ID)
            + memory_bytes(memory::OPEN_PAYMENTS)
            + memory_bytes(memory::AUDIT_PAYMENTS)
            + memory_bytes(memory::CLAIMS)
            + memory_bytes(memory::RECEIPTS)
    };
    let before = used();
    const N: u32 = 20_000;
    for n in 0..N {
        settle(n);
    }
    let each = (used() - before) / u64::from(N);
    println!("{each} bytes a payment");
    assert!(each <= 400, "{each} bytes a payment");
}

fn memory_bytes(id: ic_stable_structures::memory_manager::MemoryId) -> u64 {
    use ic_stable_structures::Memory;
    memory::get(id).size() * 65_536
}

/// The row after it was written and read.
fn again<T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>>(row: T) -> T {
    codec::from_bytes(&codec::to_bytes(&row)).unwrap()
}

proptest! {
    #[test]
    fn rows_are_read_back(
        state in arb_state(),
        from in arb_account(),
        to in arb_account(),
        amounts: (u128, u128),
        bytes: ([u8; 16], [u8; 16]),
        created_at: u64,
        method in 0usize..5,
        path in "/[a-z{}]{0,30}",
    ) {
        set_up();
        let payment = Payment {
            from,
            to,
            amount: Amount(amounts.0),
            fee: Amount(amounts.1),
            fingerprint: Fingerprint(bytes.0),
            authorization_digest: AuthorizationDigest(bytes.1),
            created_at: TimestampNs(created_at),
            purchase: Purchase::Route(RouteKey::new(Method::ALL[method], path)),
            state,
            ..payment(1, 1)
        };
        let opening = Opening {
            valid_before: amounts.0 as u64,
            known_block: (amounts.1 % 2 == 0).then_some(BlockIndex(7)),
            tried_at: NOW,
        };
        let back = match &payment.state {
            State::Reserved => {
                prop_assert_eq!(OpenRow::new(&payment, &opening), None, "never stored");
                return Ok(());
            }
            state if state.is_open() => {
                let row = again(OpenRow::new(&payment, &opening).unwrap());
                let tried_at = match state {
                    State::Unknown { since, .. } => *since,
                    _ => NOW,
                };
                let (payment, back) = row.payment().unwrap();
                prop_assert_eq!(back, Opening { tried_at, ..opening });
                payment
            }
            State::Failed { .. } => again(FailureRow::new(&payment, 7, 8).unwrap()).payment().unwrap(),
            state => {
                let delivery = DeliveryRow::new(&key(1), state).map(again);
                assert!(delivery.as_ref().is_none_or(|delivery| delivery.key() == key(1)));
                again(SettledRow::new(&payment).unwrap()).payment(delivery).unwrap()
            }
        };
        // Accounts are compared exactly, not up to the default subaccount.
        prop_assert_eq!(back.from.subaccount, payment.from.subaccount);
        prop_assert_eq!(back.to.subaccount, payment.to.subaccount);
        prop_assert_eq!(back, payment);
    }
}

//! What the canister owes, and the refunds that pay it.
//!
//! | table | key | what | size |
//! |---|---|---|---|
//! | owed | ledger, subaccount | totals of what is owed out of this account of the canister, and of what waits for a controller | accounts with something owed |
//! | refunds | claim key | the state of the refund of a payment | payments that are being refunded |
//!
//! Totals follow the states of payments: [`note`] is called for every change of state. A payment to an account that is
//! not the canister's adds nothing, unless it is refunded.

use crate::{
    domain::{
        liability::{Burden, Doubtful, Owed, Sum, burden, is_paid_in, paying_account},
        outgoing::{Outgoing, TransferTerms},
        payment::{Payment, State},
    },
    storable_row,
    storage::{
        codec::{Stored, StoredU128},
        ledgers, memory,
        quarantine::{self, Row},
    },
    types::{Account, ClaimKey, TimestampNs},
};
use candid::Principal;
use ic_stable_structures::StableBTreeMap;
use minicbor::{Decode, Encode};
use std::cell::RefCell;

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct OwedRow {
    #[n(0)]
    refunds: u64,
    #[n(1)]
    refund_amounts: SumRow,
    #[n(2)]
    held: SumRow,
    #[n(3)]
    waiting: u64,
    #[n(4)]
    waiting_amounts: SumRow,
    /// Refunds in doubt.
    #[n(5)]
    doubtful: u64,
    #[n(6)]
    doubtful_amounts: SumRow,
    #[n(7)]
    doubtful_fee: StoredU128,
    #[n(8)]
    paid_in: SumRow,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct SumRow {
    #[n(0)]
    high: u64,
    #[n(1)]
    low: StoredU128,
}

impl From<Sum> for SumRow {
    fn from(sum: Sum) -> Self {
        SumRow {
            high: sum.high,
            low: StoredU128(sum.low),
        }
    }
}

impl From<SumRow> for Sum {
    fn from(row: SumRow) -> Self {
        Sum {
            high: row.high,
            low: row.low.0,
        }
    }
}

storable_row!(OwedRow);

impl From<Owed> for OwedRow {
    fn from(owed: Owed) -> Self {
        OwedRow {
            refunds: owed.refunds,
            refund_amounts: owed.refund_amounts.into(),
            held: owed.held.into(),
            waiting: owed.waiting,
            waiting_amounts: owed.waiting_amounts.into(),
            doubtful: owed.doubtful.refunds,
            doubtful_amounts: owed.doubtful.amounts.into(),
            doubtful_fee: owed.doubtful.fee.into(),
            paid_in: owed.paid_in.into(),
        }
    }
}

impl From<OwedRow> for Owed {
    fn from(row: OwedRow) -> Self {
        Owed {
            refunds: row.refunds,
            refund_amounts: row.refund_amounts.into(),
            held: row.held.into(),
            doubtful: Doubtful {
                refunds: row.doubtful,
                amounts: row.doubtful_amounts.into(),
                fee: row.doubtful_fee.into(),
            },
            waiting: row.waiting,
            waiting_amounts: row.waiting_amounts.into(),
            paid_in: row.paid_in.into(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct OutgoingRow {
    /// `created_at_time` of the transfer in doubt.
    #[n(0)]
    created_at: Option<u64>,
    /// The fee of the transfer in doubt.
    #[n(1)]
    fee: StoredU128,
    #[n(2)]
    tries: u32,
    #[n(3)]
    busy_until: u64,
    #[n(4)]
    cursor: u64,
}

storable_row!(OutgoingRow);

impl From<&Outgoing> for OutgoingRow {
    fn from(outgoing: &Outgoing) -> Self {
        OutgoingRow {
            created_at: outgoing.doubt.map(|terms| terms.created_at.0),
            fee: outgoing
                .doubt
                .map(|terms| terms.fee)
                .unwrap_or_default()
                .into(),
            tries: outgoing.tries,
            busy_until: outgoing.busy_until.0,
            cursor: outgoing.cursor,
        }
    }
}

impl From<OutgoingRow> for Outgoing {
    fn from(row: OutgoingRow) -> Self {
        let fee = row.fee.into();
        Outgoing {
            doubt: row.created_at.map(|created_at| TransferTerms {
                created_at: TimestampNs(created_at),
                fee,
            }),
            tries: row.tries,
            busy_until: TimestampNs(row.busy_until),
            cursor: row.cursor,
        }
    }
}

/// A ledger's index and a subaccount.
type OwedKey = [u8; 34];

struct Tables {
    owed: StableBTreeMap<OwedKey, OwedRow, memory::Memory>,
    refunds: StableBTreeMap<[u8; 16], Stored<OutgoingRow>, memory::Memory>,
    /// This canister. Its accounts may hold payers' money.
    canister: Option<Principal>,
    /// Refunds and withdrawals confirmed since the last upgrade.
    outflows: u64,
}

thread_local! {
    static TABLES: RefCell<Tables> = RefCell::new(Tables::load());
}

fn with<T>(f: impl FnOnce(&Tables) -> T) -> T {
    TABLES.with_borrow(f)
}

fn with_mut<T>(f: impl FnOnce(&mut Tables) -> T) -> T {
    TABLES.with_borrow_mut(f)
}

/// Stores the canister's own id. Called at installation and at every upgrade.
pub fn set_canister(canister: Principal) {
    with_mut(|tables| tables.canister = Some(canister));
}

/// Updates the totals after the state of `payment` changed from `before`, and adds a refund that has become due.
pub(super) fn note(key: &ClaimKey, before: Option<&State>, payment: &Payment) {
    with_mut(|tables| tables.note(key, before, payment));
}

/// What is owed in this ledger, by the account that it would be paid from.
pub fn owed(ledger: &Principal) -> Vec<(Account, Owed)> {
    with(|tables| tables.owed_in(ledger))
}

pub fn owed_by(ledger: &Principal, account: &Account) -> Owed {
    let Some(key) = owed_key(ledger, account) else {
        return Owed::default();
    };
    with(|tables| tables.owed_by(&key))
}

pub(super) fn canister() -> Option<Principal> {
    with(|tables| tables.canister)
}

/// The state of the refund of this payment, if one is owed. A refund whose row cannot be read is not made.
pub fn refund(key: &ClaimKey) -> Option<Outgoing> {
    match with(|tables| tables.refunds.get(&key.0))? {
        Stored::Row(row) => Some(row.into()),
        Stored::Unreadable(_) => {
            quarantine::note(Row::Refund(*key));
            None
        }
    }
}

/// Stores the state of the refund of this payment. Does nothing if no refund is owed.
pub fn put_refund(key: &ClaimKey, payment: &Payment, refund: &Outgoing) {
    with_mut(|tables| {
        let known = tables.refunds.get(&key.0).and_then(Stored::row);
        let Some(known) = known.map(Outgoing::from) else {
            return;
        };
        tables.refunds.insert(key.0, Stored::Row(refund.into()));
        tables.doubt(payment, known.doubt, refund.doubt);
    });
}

/// Changes whenever a refund or a withdrawal is confirmed. A balance that was queried before must not be compared with
/// what is owed afterwards.
pub fn outflows() -> u64 {
    with(|tables| tables.outflows)
}

/// Records that a withdrawal is confirmed.
pub(super) fn note_outflow() {
    with_mut(|tables| tables.outflows = tables.outflows.wrapping_add(1));
}

/// `None` if the ledger is not registered.
fn owed_key(ledger: &Principal, account: &Account) -> Option<OwedKey> {
    let mut key = [0; 34];
    key[..2].copy_from_slice(&ledgers::index(ledger)?.to_be_bytes());
    key[2..].copy_from_slice(&account.subaccount.unwrap_or_default());
    Some(key)
}

impl Tables {
    fn load() -> Self {
        Tables {
            owed: StableBTreeMap::init(memory::get(memory::OWED)),
            refunds: StableBTreeMap::init(memory::get(memory::REFUNDS)),
            canister: None,
            outflows: 0,
        }
    }

    fn owed_by(&self, key: &OwedKey) -> Owed {
        self.owed.get(key).map(Owed::from).unwrap_or_default()
    }

    fn owed_in(&self, ledger: &Principal) -> Vec<(Account, Owed)> {
        let (Some(index), Some(owner)) = (ledgers::index(ledger), self.canister) else {
            return vec![];
        };
        let (mut first, mut last) = ([0; 34], [255; 34]);
        for end in [&mut first, &mut last] {
            end[..2].copy_from_slice(&index.to_be_bytes());
        }
        let rows = self.owed.range(first..=last).map(|entry| {
            let mut subaccount = [0; 32];
            subaccount.copy_from_slice(&entry.key()[2..]);
            let account = Account {
                owner,
                subaccount: Some(subaccount),
            };
            (crate::types::canonical(account), entry.value().into())
        });
        rows.collect()
    }

    fn note(&mut self, key: &ClaimKey, before: Option<&State>, payment: &Payment) {
        let old = before.map_or(Burden::None, |state| self.burden_of(state, payment));
        let new = self.burden_of(&payment.state, payment);
        if old == new {
            return;
        }
        let known = self.refunds.get(&key.0);
        if old == Burden::Refund {
            let doubt = known.clone().and_then(Stored::row).map(Outgoing::from);
            self.doubt(payment, doubt.and_then(|known| known.doubt), None);
        }
        let paid_in = self.is_paid_in(payment);
        self.change(payment, |owed| {
            owed.remove(old, payment.refund_amount());
            owed.add(new, payment.refund_amount());
            if paid_in && old == Burden::Refund {
                owed.paid_in.subtract(payment.refund_amount().0);
            }
            if paid_in && new == Burden::Refund {
                owed.paid_in.add(payment.refund_amount().0);
            }
        });
        // An unreadable row is neither overwritten nor removed.
        if matches!(known, Some(Stored::Unreadable(_))) {
            return;
        }
        if new == Burden::Refund {
            let row = OutgoingRow::from(&Outgoing::default());
            self.refunds.insert(key.0, Stored::Row(row));
        } else if old == Burden::Refund {
            self.outflows = self.outflows.wrapping_add(1);
            self.refunds.remove(&key.0);
        }
    }

    /// Replaces the doubtful amount of this payment's refund: `before` by `after`.
    fn doubt(
        &mut self,
        payment: &Payment,
        before: Option<TransferTerms>,
        after: Option<TransferTerms>,
    ) {
        let fee = |terms: Option<TransferTerms>| terms.map(|terms| terms.fee);
        if fee(before) == fee(after) {
            return;
        }
        let paid_in = self.is_paid_in(payment);
        self.change(payment, |owed| {
            if before.is_some() {
                owed.doubtful.remove(payment.refund_amount());
                if paid_in {
                    owed.paid_in.add(payment.refund_amount().0);
                }
            }
            if let Some(TransferTerms { fee, .. }) = after {
                owed.doubtful.add(payment.refund_amount(), fee);
                if paid_in {
                    owed.paid_in.subtract(payment.refund_amount().0);
                }
            }
        });
    }

    fn is_paid_in(&self, payment: &Payment) -> bool {
        self.canister
            .is_some_and(|canister| is_paid_in(&payment.to, &canister))
    }

    fn burden_of(&self, state: &State, payment: &Payment) -> Burden {
        self.canister.map_or(Burden::None, |canister| {
            burden(state, &payment.to, &canister)
        })
    }

    /// Changes the totals of the account that would pay this payment's refund.
    fn change(&mut self, payment: &Payment, change: impl FnOnce(&mut Owed)) {
        let Some(canister) = self.canister else {
            return;
        };
        let account = paying_account(&payment.to, &canister);
        // Payments are recorded in registered ledgers only.
        let Some(owed_key) = owed_key(&payment.ledger, &account) else {
            return;
        };
        let mut owed = self.owed_by(&owed_key);
        change(&mut owed);
        if owed == Owed::default() {
            self.owed.remove(&owed_key);
        } else {
            self.owed.insert(owed_key, owed.into());
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;

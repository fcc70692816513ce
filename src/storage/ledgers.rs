//! Ledgers by index. None is ever removed: payments refer to ledgers by index.

use crate::{
    domain::ledger::{Ledger, MAX_LEDGERS, fee_is_plausible},
    storable_row,
    storage::{
        audit,
        codec::{StoredPrincipal, StoredU128},
        fees, memory, routes,
    },
    types::{Amount, TimestampNs},
};
use candid::Principal;
use ic_stable_structures::StableBTreeMap;
use minicbor::{Decode, Encode};
use std::cell::RefCell;

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct LedgerRow {
    #[n(0)]
    id: StoredPrincipal,
    #[n(1)]
    symbol: String,
    #[n(2)]
    decimals: u8,
    #[n(3)]
    fee: StoredU128,
    #[n(4)]
    standards: Vec<String>,
    #[n(5)]
    enabled: bool,
    /// Present and true, or absent.
    #[n(6)]
    answers_query_blocks: Option<bool>,
}

storable_row!(LedgerRow);

impl From<&Ledger> for LedgerRow {
    fn from(ledger: &Ledger) -> Self {
        LedgerRow {
            id: StoredPrincipal(ledger.id),
            symbol: ledger.symbol.clone(),
            decimals: ledger.decimals,
            fee: ledger.fee.into(),
            standards: ledger.standards.clone(),
            enabled: ledger.enabled,
            answers_query_blocks: ledger.answers_query_blocks.then_some(true),
        }
    }
}

impl From<LedgerRow> for Ledger {
    fn from(row: LedgerRow) -> Self {
        Ledger {
            id: row.id.0,
            symbol: row.symbol,
            decimals: row.decimals,
            fee: row.fee.into(),
            standards: row.standards,
            answers_query_blocks: row.answers_query_blocks.unwrap_or_default(),
            enabled: row.enabled,
        }
    }
}

struct Tables {
    rows: StableBTreeMap<u16, LedgerRow, memory::Memory>,
    /// All rows, by index; at most [`MAX_LEDGERS`].
    cache: Vec<Ledger>,
}

thread_local! {
    static TABLES: RefCell<Tables> = RefCell::new({
        let rows = StableBTreeMap::init(memory::get(memory::LEDGERS));
        let cache = rows.values().map(|row: LedgerRow| row.into()).collect();
        Tables { rows, cache }
    });
}

/// Calls `f` with every ledger, in the order in which they were added.
pub fn with_all<T>(f: impl FnOnce(&[Ledger]) -> T) -> T {
    TABLES.with_borrow(|tables| f(&tables.cache))
}

/// Every ledger, in the order in which they were added.
pub fn all() -> Vec<Ledger> {
    with_all(<[Ledger]>::to_vec)
}

pub fn get(id: &Principal) -> Option<Ledger> {
    with_all(|ledgers| ledgers.iter().find(|ledger| ledger.id == *id).cloned())
}

/// Whether payments are accepted in one ledger only.
pub fn only_one_is_enabled() -> bool {
    with_all(|ledgers| ledgers.iter().filter(|ledger| ledger.enabled).count() == 1)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyLedgers;

/// Adds a ledger, or replaces its row.
pub fn put(ledger: &Ledger) -> Result<(), TooManyLedgers> {
    let offers_change = TABLES.with_borrow_mut(|tables| {
        let mut offers_change = false;
        let index = match tables.cache.iter().position(|known| known.id == ledger.id) {
            Some(index) => {
                let known = &mut tables.cache[index];
                // Offers show no other field of a ledger, and no price uses a new one.
                offers_change = known.symbol != ledger.symbol
                    || known.decimals != ledger.decimals
                    || known.fee != ledger.fee
                    || known.enabled != ledger.enabled;
                *known = ledger.clone();
                index
            }
            None if tables.cache.len() >= MAX_LEDGERS => return Err(TooManyLedgers),
            None => {
                tables.cache.push(ledger.clone());
                tables.cache.len() - 1
            }
        };
        // Less than `MAX_LEDGERS`.
        tables.rows.insert(index as u16, ledger.into());
        Ok(offers_change)
    })?;
    if offers_change {
        routes::note_priced_in(&ledger.id);
    }
    Ok(())
}

/// Stores the fee that the ledger named when it refused a transfer. Disables a ledger whose fee is implausible, until a
/// controller enables it again.
pub fn learn_fee(id: &Principal, fee: Amount, now: TimestampNs) {
    let Some(mut ledger) = get(id) else {
        return;
    };
    if ledger.fee == fee {
        return;
    }
    fees::note_refused(id, ledger.fee, now);
    // A ledger names a fee of 0 for burning, which is due to the recipient and no new fee. If 0 is the ledger's fee,
    // the query says so.
    if fee.0 == 0 {
        let subject = format!(
            "{} -> 0: burning, unless the ledger confirms it",
            ledger.fee
        );
        audit::admin(*id, "fee_zero_named", &subject, now);
        return;
    }
    let plausible = fee_is_plausible(ledger.fee, fee, ledger.decimals);
    if !plausible && !ledger.enabled {
        return;
    }
    let subject = format!("{} -> {fee}", ledger.fee);
    if plausible {
        audit::admin(*id, "fee_learnt", &subject, now);
        ledger.fee = fee;
    } else {
        audit::admin(*id, "fee_absurd_disabled", &subject, now);
        ledger.enabled = false;
    }
    // The ledger has a row, so there is room.
    let _ = put(&ledger);
}

/// Stores the fee that the ledger named when queried. An implausible fee is recorded in the audit log, and the ledger
/// stays enabled: no transfer was refused for it.
pub fn learn_queried_fee(id: &Principal, fee: Amount, now: TimestampNs) {
    let Some(mut ledger) = get(id) else {
        return;
    };
    if ledger.fee == fee {
        fees::note_named(id, fee, now);
        return;
    }
    let subject = format!("{} -> {fee}", ledger.fee);
    if fee.0 != 0 && !fee_is_plausible(ledger.fee, fee, ledger.decimals) {
        if fees::note_absurd(id, fee) {
            audit::admin(*id, "fee_absurd_named", &subject, now);
        }
        return;
    }
    if !fees::note_named(id, fee, now) {
        return;
    }
    audit::admin(*id, "fee_learnt", &subject, now);
    ledger.fee = fee;
    // The ledger has a row, so there is room.
    let _ = put(&ledger);
}

/// The number by which payments refer to this ledger.
pub(super) fn index(id: &Principal) -> Option<u16> {
    with_all(|ledgers| {
        ledgers
            .iter()
            .position(|ledger| ledger.id == *id)
            .map(|index| index as u16)
    })
}

pub(super) fn by_index(index: u16) -> Option<Principal> {
    with_all(|ledgers| ledgers.get(usize::from(index)).map(|ledger| ledger.id))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        domain::{config::Limits, route::tests::draft},
        storage::changes,
    };

    pub(crate) fn ledger(n: u8) -> Ledger {
        Ledger {
            id: Principal::from_slice(&[7, n]),
            symbol: format!("T{n}"),
            decimals: 6,
            fee: Amount(10),
            standards: vec!["ICRC-1".into(), "ICRC-2".into()],
            answers_query_blocks: false,
            enabled: true,
        }
    }

    /// The first one, with the ICP ledger's own log in place of ICRC-3.
    pub(crate) fn icp_ledger() -> Ledger {
        Ledger {
            answers_query_blocks: true,
            ..ledger(0)
        }
    }

    #[test]
    fn ledgers_keep_their_index() {
        for n in 0..32 {
            put(&ledger(n)).unwrap();
        }
        assert_eq!(put(&ledger(32)), Err(TooManyLedgers));
        let mut changed = ledger(3);
        changed.enabled = false;
        put(&changed).unwrap();
        assert_eq!(get(&changed.id), Some(changed.clone()));
        assert_eq!(index(&changed.id), Some(3));
        assert_eq!(by_index(3), Some(changed.id));
        assert_eq!(all().len(), 32);
    }

    /// The paths whose responses changed since the last call.
    fn changed() -> Vec<String> {
        let changes = changes::take();
        assert!(!changes.everything);
        changes.stale.into_iter().collect()
    }

    #[test]
    fn a_new_fee_is_a_change() {
        put(&ledger(1)).unwrap();
        sell("/a", 1);
        let learn = |n, fee| {
            learn_fee(&ledger(n).id, Amount(fee), TimestampNs(1));
            changed()
        };
        changes::take();
        assert!(learn(1, 10).is_empty());
        assert!(learn(1, 0).is_empty());
        assert_eq!(learn(1, 11), ["/a"]);
        assert_eq!(get(&ledger(1).id).unwrap().fee, Amount(11));
        let entries = audit::admin_after(0, 10);
        assert_eq!(entries[0].action, "fee_zero_named");
        assert_eq!(entries[1].subject, "10 -> 11");
        assert!(get(&ledger(1).id).unwrap().enabled);
        assert_eq!(learn(1, 100_000), ["/a"]);
        let disabled = get(&ledger(1).id).unwrap();
        assert_eq!((disabled.fee, disabled.enabled), (Amount(11), false));
        // What is owed in a disabled ledger is still paid, so its fee is kept up to date.
        learn(1, 12);
        let disabled = get(&ledger(1).id).unwrap();
        assert_eq!((disabled.fee, disabled.enabled), (Amount(12), false));
        assert!(learn(9, 11).is_empty());
        assert_eq!(get(&ledger(9).id), None);
    }

    #[test]
    fn one_ledger_is_the_only_one_while_no_other_is_enabled() {
        assert!(!only_one_is_enabled());
        put(&ledger(1)).unwrap();
        assert!(only_one_is_enabled());
        put(&ledger(2)).unwrap();
        assert!(!only_one_is_enabled());
        let disabled = Ledger {
            enabled: false,
            ..ledger(1)
        };
        put(&disabled).unwrap();
        assert!(only_one_is_enabled());
    }

    fn sell(path: &str, n: u8) {
        let mut route = draft(path).apply(None, None, &Limits::default(), 1);
        route.prices[0].ledger = ledger(n).id;
        routes::put(route);
    }

    #[test]
    fn only_routes_priced_in_a_ledger_change_with_it_and_only_when_offers_do() {
        put(&ledger(1)).unwrap();
        put(&ledger(2)).unwrap();
        for n in 1..=2 {
            sell(&format!("/{n}"), n);
        }
        changes::take();
        let mut changing = ledger(2);
        put(&changing).unwrap();
        changing.standards.push("ICRC-3".into());
        put(&changing).unwrap();
        assert!(changed().is_empty());
        changing.symbol = "NEW".into();
        put(&changing).unwrap();
        assert_eq!(changed(), ["/2"]);
        changing.enabled = false;
        put(&changing).unwrap();
        assert_eq!(changed(), ["/2"]);
        put(&ledger(3)).unwrap();
        assert!(changed().is_empty());
    }

    #[test]
    fn rows_are_read_back() {
        use ic_stable_structures::Storable;
        let row = LedgerRow::from(&ledger(1));
        assert_eq!(
            Ledger::from(LedgerRow::from_bytes(row.to_bytes())),
            ledger(1)
        );
    }
}

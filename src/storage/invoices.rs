//! Invoices, and what is given back of them.
//!
//! | table | key | what | size |
//! |---|---|---|---|
//! | invoices | half of SHA-256 of id | terms and stage | at most [`MAX_INVOICES`] |
//! | returns | half of SHA-256 of id and ledger | the transfers that give money back | at most [`MAX_INVOICES`] |
//!
//! Keys have 16 bytes, so that these tables share the code of others. A row names the id: whoever finds two ids with
//! one key, which takes 2^64 tries, can use one of them at a time.
//!
//! When a table is full, the oldest row that nothing is left to do for makes room: of invoices first those whose
//! accounts are empty. Nothing is lost with an invoice that has ended: its id alone is enough to get at what it bought,
//! and at the money in its account.
//!
//! The heap keeps what is due when, which rows can make room, and what strangers may cause.

mod rows;

use crate::{
    domain::{
        invoice::{Invoice, InvoiceId, MAX_INVOICES, Return},
        lookups::{Lookups, Rate},
    },
    storage::{codec::Bytes, memory},
    types::TimestampNs,
};
use candid::Principal;
use ic_stable_structures::StableBTreeMap;
use rows::{InvoiceRow, ReturnRow};
use sha2::{Digest, Sha256};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

type Key = [u8; 16];

/// What the heap keeps of a row.
struct Summary {
    ledger: Principal,
    due: Option<TimestampNs>,
    /// When the row may make room for others: by rank, then by age. `None` while something is left to do for it.
    over: Option<(u8, TimestampNs)>,
}

impl From<&Invoice> for Summary {
    fn from(invoice: &Invoice) -> Self {
        let empty = invoice.balance <= invoice.fee && invoice.due.is_none();
        let rank = u8::from(!empty);
        let ended = invoice.stage.has_ended();
        Summary {
            ledger: invoice.ledger,
            due: invoice.due,
            over: ended.then_some((rank, invoice.since)),
        }
    }
}

impl Summary {
    fn of_return(ledger: Principal, known: &Return) -> Self {
        let at = known.made.map(|made| made.at).unwrap_or_default();
        Summary {
            ledger,
            due: known.due,
            over: (!known.is_open()).then_some((0, at)),
        }
    }
}

struct Table {
    rows: StableBTreeMap<Key, Bytes, memory::Memory>,
    due: BTreeSet<(TimestampNs, Key)>,
    over: BTreeSet<(u8, TimestampNs, Key)>,
    /// The rows that something is left to do for, by ledger.
    open: BTreeMap<Principal, u64>,
    summary: fn(&Bytes) -> Summary,
}

impl Table {
    fn load(id: ic_stable_structures::memory_manager::MemoryId, of: fn(&Bytes) -> Summary) -> Self {
        let mut table = Table {
            rows: StableBTreeMap::init(memory::get(id)),
            due: BTreeSet::new(),
            over: BTreeSet::new(),
            open: BTreeMap::new(),
            summary: of,
        };
        let known: Vec<(Key, Summary)> = table
            .rows
            .iter()
            .map(|entry| (*entry.key(), of(&entry.value())))
            .collect();
        for (key, summary) in known {
            table.note(key, &summary);
        }
        table
    }

    fn note(&mut self, key: Key, summary: &Summary) {
        if let Some(due) = summary.due {
            self.due.insert((due, key));
        }
        match summary.over {
            Some((rank, since)) => drop(self.over.insert((rank, since, key))),
            None => *self.open.entry(summary.ledger).or_default() += 1,
        }
    }

    fn forget(&mut self, key: Key, row: &Bytes) {
        let summary = (self.summary)(row);
        if let Some(due) = summary.due {
            self.due.remove(&(due, key));
        }
        match summary.over {
            Some((rank, since)) => drop(self.over.remove(&(rank, since, key))),
            None => {
                if let Some(open) = self.open.get_mut(&summary.ledger) {
                    *open = open.saturating_sub(1);
                }
            }
        }
    }

    /// Stores a row; `false` if there is no room for another one.
    fn put(&mut self, key: Key, row: Bytes) -> bool {
        if self.rows.len() >= MAX_INVOICES && !self.rows.contains_key(&key) {
            let Some((.., oldest)) = self.over.first().copied() else {
                return false;
            };
            if let Some(dropped) = self.rows.remove(&oldest) {
                self.forget(oldest, &dropped);
            }
        }
        let summary = (self.summary)(&row);
        if let Some(before) = self.rows.insert(key, row) {
            self.forget(key, &before);
        }
        self.note(key, &summary);
        true
    }

    /// The rows that are due.
    fn due(&self, now: TimestampNs, limit: usize) -> Vec<Bytes> {
        let due = self.due.iter().take_while(|(at, _)| *at <= now);
        let rows = due.take(limit).filter_map(|(_, key)| self.rows.get(key));
        rows.collect()
    }
}

struct Heap {
    invoices: Table,
    returns: Table,
    /// The invoices whose ledger is being called.
    busy: BTreeSet<InvoiceId>,
    created: Rate,
    lookups: Lookups,
}

thread_local! {
    static HEAP: RefCell<Heap> = RefCell::new(Heap {
        invoices: Table::load(memory::INVOICES, |row| {
            (&row.row::<InvoiceRow>().invoice()).into()
        }),
        returns: Table::load(memory::RETURNS, |row| {
            let row: ReturnRow = row.row();
            Summary::of_return(row.ledger(), &row.into())
        }),
        busy: BTreeSet::new(),
        created: Rate::default(),
        lookups: Lookups::default(),
    });
}

/// Reads the tables.
pub fn load() {
    HEAP.with_borrow(|_| ());
}

pub fn get(id: &InvoiceId) -> Option<Invoice> {
    let row = HEAP.with_borrow(|heap| heap.invoices.rows.get(&key(id)))?;
    let row: InvoiceRow = row.row();
    (row.id() == *id).then(|| row.invoice())
}

/// Stores an invoice; `false` if there is no room for another one.
pub fn put(id: &InvoiceId, invoice: &Invoice) -> bool {
    let row = Bytes::of(&InvoiceRow::new(id, invoice));
    HEAP.with_borrow_mut(|heap| heap.invoices.put(key(id), row))
}

fn key(id: &InvoiceId) -> Key {
    hashed(id, &[])
}

fn return_key(id: &InvoiceId, ledger: &Principal) -> Key {
    hashed(id, ledger.as_slice())
}

fn hashed(id: &InvoiceId, ledger: &[u8]) -> Key {
    let hash = Sha256::new()
        .chain_update(id.0)
        .chain_update(ledger)
        .finalize();
    let mut key = [0; 16];
    key.copy_from_slice(&hash[..16]);
    key
}

/// What is given back of this invoice in this ledger.
pub fn returned(id: &InvoiceId, ledger: &Principal) -> Option<Return> {
    let key = return_key(id, ledger);
    let row = HEAP.with_borrow(|heap| heap.returns.rows.get(&key))?;
    let row: ReturnRow = row.row();
    (row.id() == *id).then(|| row.into())
}

/// Stores it; `false` if there is no room for another one.
pub fn put_return(id: &InvoiceId, ledger: &Principal, known: &Return) -> bool {
    let row = Bytes::of(&ReturnRow::new(id, ledger, known));
    HEAP.with_borrow_mut(|heap| heap.returns.put(return_key(id, ledger), row))
}

/// The invoices for which something is due, longest due first.
pub fn due(now: TimestampNs, limit: usize) -> Vec<InvoiceId> {
    HEAP.with_borrow(|heap| {
        let rows = heap.invoices.due(now, limit).into_iter();
        rows.map(|row| row.row::<InvoiceRow>().id()).collect()
    })
}

/// The returns that are due, longest due first.
pub fn returns_due(now: TimestampNs, limit: usize) -> Vec<(InvoiceId, Principal)> {
    HEAP.with_borrow(|heap| {
        let rows = heap.returns.due(now, limit).into_iter();
        rows.map(|row| {
            let row: ReturnRow = row.row();
            (row.id(), row.ledger())
        })
        .collect()
    })
}

/// The time at which something is due next.
pub fn next_due() -> Option<TimestampNs> {
    HEAP.with_borrow(|heap| {
        let next = |table: &Table| table.due.first().map(|(at, _)| *at);
        let both = [next(&heap.invoices), next(&heap.returns)];
        both.into_iter().flatten().min()
    })
}

/// The invoices in this ledger that are not paid and not over, and the returns in it that wait.
pub fn open_in(ledger: &Principal) -> (u64, u64) {
    HEAP.with_borrow(|heap| {
        let open = |table: &Table| table.open.get(ledger).copied().unwrap_or_default();
        (open(&heap.invoices), open(&heap.returns))
    })
}

/// Whether one more invoice may be made now; takes the permission if `take`.
pub fn may_create(now: TimestampNs, take: bool) -> bool {
    HEAP.with_borrow_mut(|heap| match take {
        true => heap.created.take(now),
        false => heap.created.is_left(now),
    })
}

/// A ledger that is asked about an invoice. Ends when dropped, also if the handler traps.
#[derive(Debug)]
#[must_use = "the invoice is free again when this is dropped"]
pub struct Busy {
    id: InvoiceId,
    /// The ledger whose place is taken.
    place: Option<Principal>,
}

impl Busy {
    /// `None` if another message is at work.
    pub fn begin(id: InvoiceId) -> Option<Self> {
        let new = HEAP.with_borrow_mut(|heap| heap.busy.insert(id));
        new.then_some(Busy { id, place: None })
    }

    /// Takes a place among the readings that strangers cause; `false` if there is none.
    pub fn take_place(&mut self, ledger: Principal, now: TimestampNs) -> bool {
        let taken = HEAP.with_borrow_mut(|heap| heap.lookups.begin(ledger, now));
        self.place = taken.then_some(ledger);
        taken
    }

    /// The reading was not in vain, and does not count.
    pub fn give_back(&self) {
        if self.place.is_some() {
            HEAP.with_borrow_mut(|heap| heap.lookups.give_back());
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        HEAP.with_borrow_mut(|heap| {
            heap.busy.remove(&self.id);
            if let Some(ledger) = self.place {
                heap.lookups.end(&ledger);
            }
        });
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! What is queued for which method, and what has been seen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::domain::rules::CheckOrder;

use super::{Fault, FaultError, FaultStatus, Method};

#[derive(Debug, Default)]
struct Entry {
    /// Faults of an update method, each with the number of calls it still has to spoil.
    queue: VecDeque<(u32, Fault)>,
    /// Fault of a query method.
    standing: Option<Fault>,
    calls: u64,
    faults_hit: u64,
}

/// A reply that is held back.
#[derive(Debug)]
struct Held {
    method: Method,
    /// It waits for a release, not for a time.
    waits: bool,
    released: bool,
}

/// Faults to come and counters. Lives on the heap: an upgrade forgets it.
#[derive(Debug, Default)]
pub struct FaultBook {
    entries: BTreeMap<Method, Entry>,
    /// Replies that are held back, by ticket: the oldest first.
    held: BTreeMap<u64, Held>,
    /// The next ticket.
    tickets: u64,
    /// Memos of the payments that were asked for.
    asked: BTreeSet<Vec<u8>>,
    /// The ledger says that it has no block log.
    hides_log: bool,
    /// Added to the subnet's time.
    skew_ns: i64,
    /// What transfers are checked for first.
    order: CheckOrder,
}

impl FaultBook {
    /// Queues `fault` for the next `calls` calls of an update, or makes it a query's standing fault.
    pub fn queue(&mut self, method: &str, calls: u32, fault: Fault) -> Result<(), FaultError> {
        let method = Method::from_name(method)
            .ok_or_else(|| FaultError::UnknownMethod(method.to_string()))?;
        if calls == 0 {
            return Err(FaultError::NoCalls);
        }
        fault.check(method)?;
        let entry = self.entries.entry(method).or_default();
        if method.is_update() {
            entry.queue.push_back((calls, fault));
        } else {
            entry.standing = Some(fault);
        }
        Ok(())
    }

    /// Drops all that is queued. Counters and held replies stay.
    pub fn clear(&mut self) {
        for entry in self.entries.values_mut() {
            entry.queue.clear();
            entry.standing = None;
        }
    }

    /// Counts a call of an update method, and uses up one call of its next fault.
    pub fn take(&mut self, method: Method) -> Option<Fault> {
        let entry = self.entries.entry(method).or_default();
        entry.calls += 1;
        let (calls, fault) = entry.queue.front_mut()?;
        let fault = fault.clone();
        *calls -= 1;
        if *calls == 0 {
            entry.queue.pop_front();
        }
        entry.faults_hit += 1;
        Some(fault)
    }

    /// The fault of a query method.
    pub fn standing(&self, method: Method) -> Option<Fault> {
        self.entries.get(&method)?.standing.clone()
    }

    /// Notes that a reply is held back, until it is released if it `waits` for that; returns its ticket.
    pub fn begin_hold(&mut self, method: Method, waits: bool) -> u64 {
        let ticket = self.tickets;
        self.tickets += 1;
        let held = Held {
            method,
            waits,
            released: false,
        };
        self.held.insert(ticket, held);
        ticket
    }

    /// Notes that a reply is held back no longer.
    pub fn end_hold(&mut self, ticket: u64) {
        self.held.remove(&ticket);
    }

    /// Whether this reply was released.
    pub fn is_released(&self, ticket: u64) -> bool {
        self.held.get(&ticket).is_none_or(|held| held.released)
    }

    /// Releases what is held; returns how many replies are held now.
    pub fn release(&mut self) -> u32 {
        for held in self.held.values_mut() {
            held.released = true;
        }
        self.held.len() as u32
    }

    /// Releases one of the replies that wait for it, the oldest being number 0, and any number good; returns
    /// how many older ones go on waiting, if any waited.
    pub fn release_one(&mut self, number: u32) -> Option<u32> {
        let waiting = |held: &&mut Held| held.waits && !held.released;
        let count = self.held.values_mut().filter(waiting).count();
        let older = (number as usize).checked_rem(count)?;
        let held = self.held.values_mut().filter(waiting).nth(older)?;
        held.released = true;
        Some(older as u32)
    }

    /// Notes that a payment with this memo was asked for.
    pub fn note_memo(&mut self, memo: Vec<u8>) {
        self.asked.insert(memo);
    }

    /// Whether a payment with this memo was asked for, whatever became of it.
    pub fn was_asked(&self, memo: &[u8]) -> bool {
        self.asked.contains(memo)
    }

    /// Says from now on that there is no block log, or that there is.
    pub fn hide_log(&mut self, hide: bool) {
        self.hides_log = hide;
    }

    pub fn hides_log(&self) -> bool {
        self.hides_log
    }

    pub fn set_check_order(&mut self, order: CheckOrder) {
        self.order = order;
    }

    pub fn check_order(&self) -> CheckOrder {
        self.order
    }

    pub fn set_skew(&mut self, skew_ns: i64) {
        self.skew_ns = skew_ns;
    }

    /// The ledger's clock, given the subnet's.
    pub fn clock(&self, subnet_time: u64) -> u64 {
        subnet_time.saturating_add_signed(self.skew_ns)
    }

    /// Counters of every method, in the order of [`Method::ALL`].
    pub fn status(&self) -> Vec<FaultStatus> {
        let empty = Entry::default();
        Method::ALL
            .into_iter()
            .map(|method| {
                let entry = self.entries.get(&method).unwrap_or(&empty);
                let queued: u32 = entry.queue.iter().map(|(calls, _)| *calls).sum();
                let held = self.held.values().filter(|held| held.method == method);
                FaultStatus {
                    method: method.name().to_string(),
                    calls: entry.calls,
                    faults_hit: entry.faults_hit,
                    held: held.count() as u32,
                    queued: queued + u32::from(entry.standing.is_some()),
                }
            })
            .collect()
    }
}

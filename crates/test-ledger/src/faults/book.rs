//! What is queued for which method, and what has been seen.

use std::collections::{BTreeMap, VecDeque};

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
    held: u32,
}

/// Faults to come and counters. Lives on the heap: an upgrade forgets it.
#[derive(Debug, Default)]
pub struct FaultBook {
    entries: BTreeMap<Method, Entry>,
    /// Grows with every release; a held reply waits for another value than the one it began with.
    releases: u64,
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

    /// Notes that a reply is held back; returns the value of [`Self::releases`] it waits to see changed.
    pub fn begin_hold(&mut self, method: Method) -> u64 {
        self.entries.entry(method).or_default().held += 1;
        self.releases
    }

    /// Notes that a reply is held back no longer.
    pub fn end_hold(&mut self, method: Method) {
        let entry = self.entries.entry(method).or_default();
        entry.held = entry.held.saturating_sub(1);
    }

    /// How often held replies were released.
    pub fn releases(&self) -> u64 {
        self.releases
    }

    /// Releases what is held; returns how many replies are held now.
    pub fn release(&mut self) -> u32 {
        self.releases += 1;
        self.entries.values().map(|entry| entry.held).sum()
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
                FaultStatus {
                    method: method.name().to_string(),
                    calls: entry.calls,
                    faults_hit: entry.faults_hit,
                    held: entry.held,
                    queued: queued + u32::from(entry.standing.is_some()),
                }
            })
            .collect()
    }
}

//! Counters of the events in a run.

use crate::kinds::{Kind, Kinds};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub struct Stats {
    pub steps: u64,
    pub settled: u64,
    pub refunded: u64,
    pub faults: u64,
    pub upgrades: u64,
    pub unknown: u64,
    pub delivered: u64,
    /// Requests that ended in a trap.
    pub traps: u64,
    /// The events that the kinds of worlds are for, and others, by name.
    happened: BTreeMap<String, u64>,
    kinds: BTreeMap<Kind, Tally>,
}

#[derive(Clone, Debug, Default)]
struct Tally {
    worlds: u64,
    steps: u64,
    happened: BTreeMap<String, u64>,
}

impl Stats {
    /// Counts an event.
    pub fn note(&mut self, what: &str) {
        *self.happened.entry(what.to_string()).or_default() += 1;
    }

    /// Ends a world of these kinds.
    pub fn end_world(&mut self, kinds: &Kinds) {
        for kind in kinds.all() {
            let tally = Tally {
                worlds: 1,
                steps: self.steps,
                happened: self.happened.clone(),
            };
            self.kinds.insert(*kind, tally);
        }
    }

    pub fn add(&mut self, other: &Stats) {
        self.steps += other.steps;
        self.settled += other.settled;
        self.refunded += other.refunded;
        self.faults += other.faults;
        self.upgrades += other.upgrades;
        self.unknown += other.unknown;
        self.delivered += other.delivered;
        self.traps += other.traps;
        merge(&mut self.happened, &other.happened);
        for (kind, tally) in &other.kinds {
            let known = self.kinds.entry(*kind).or_default();
            known.worlds += tally.worlds;
            known.steps += tally.steps;
            merge(&mut known.happened, &tally.happened);
        }
    }

    /// All counters, a line for each kind of world, and the events that never happened in worlds that are for them.
    pub fn report(&self) -> String {
        let mut report = format!(
            "refunded {}, upgrades {}, unknown {}, delivered {}, traps {}",
            self.refunded, self.upgrades, self.unknown, self.delivered, self.traps
        );
        for (what, count) in &self.happened {
            report.push_str(&format!(", {what} {count}"));
        }
        for (kind, tally) in &self.kinds {
            let (name, worlds, steps) = (kind.name(), tally.worlds, tally.steps);
            report.push_str(&format!("\nkind {name}: {worlds} worlds, {steps} steps"));
            for what in kind.about() {
                let count = tally.happened.get(*what).copied().unwrap_or(0);
                let never = if count == 0 { "NEVER " } else { "" };
                report.push_str(&format!("; {never}{what} {count}"));
            }
        }
        report
    }
}

fn merge(into: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>) {
    for (what, count) in from {
        *into.entry(what.clone()).or_default() += count;
    }
}

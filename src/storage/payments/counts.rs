//! Counters of open payments on the heap: by payer, by ledger, and by stored response.

use super::tables::{OpenInfo, Tables};
use crate::domain::{
    fulfilment::Fulfilment,
    payment::{Payment, State},
};
use candid::Principal;
use std::collections::{BTreeMap, btree_map::Entry};

/// Decrements this count; removes the entry at zero.
fn one_less<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) {
    if let Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

impl Tables {
    /// Updates whether the payment waits for its stored response.
    pub fn count(&mut self, fulfilment: Fulfilment, did_wait: bool, state: &State) {
        let Some(response) = fulfilment.response() else {
            return;
        };
        match (did_wait, state.is_owed()) {
            (false, true) => *self.awaited.entry(response).or_default() += 1,
            (true, false) => one_less(&mut self.awaited, response),
            _ => {}
        }
    }

    /// Updates whether a payment of this payer waits for the ledger.
    pub fn count_settling(&mut self, payer: Principal, was_settling: bool, state: &State) {
        let settles = matches!(state, State::Settling { .. });
        match (was_settling, settles) {
            (false, true) => *self.settling_per_payer.entry(payer).or_default() += 1,
            (true, false) => one_less(&mut self.settling_per_payer, payer),
            _ => {}
        }
    }

    pub fn remember(&mut self, key: [u8; 16], payment: &Payment) {
        let payer = payment.from.owner;
        let (id, ledger) = (payment.id, payment.ledger);
        self.openings = self.openings.saturating_add(1);
        let info = OpenInfo {
            id,
            payer,
            number: self.openings,
            ledger,
            lapsed: payment.state.has_lapsed(),
        };
        self.add_to_counts(info);
        self.open.insert(key, info);
    }

    /// Updates whether an open payment has lapsed.
    pub fn count_lapsed(&mut self, key: &[u8; 16], lapsed: bool) {
        let info = self.open.get(key).copied();
        if let Some(before) = info.filter(|info| info.lapsed != lapsed) {
            let info = OpenInfo { lapsed, ..before };
            self.open.insert(*key, info);
            self.take_from_counts(before);
            self.add_to_counts(info);
        }
    }

    pub fn add_to_counts(&mut self, info: OpenInfo) {
        if info.lapsed {
            *self.lapsed_per_ledger.entry(info.ledger).or_default() += 1;
        } else {
            *self.open_per_payer.entry(info.payer).or_default() += 1;
            *self.open_per_ledger.entry(info.ledger).or_default() += 1;
        }
    }

    pub fn take_from_counts(&mut self, info: OpenInfo) {
        if info.lapsed {
            one_less(&mut self.lapsed_per_ledger, info.ledger);
        } else {
            one_less(&mut self.open_per_payer, info.payer);
            one_less(&mut self.open_per_ledger, info.ledger);
        }
    }

    /// Payments that have lapsed: in all, and in this ledger.
    pub fn lapsed(&self, ledger: &Principal) -> (u64, u32) {
        let all = self.lapsed_per_ledger.values().map(|n| u64::from(*n)).sum();
        let of_ledger = self.lapsed_per_ledger.get(ledger).copied();
        (all, of_ledger.unwrap_or_default())
    }

    pub fn forget(&mut self, key: &[u8; 16]) {
        self.open_payments.remove(key);
        if let Some(info) = self.open.remove(key) {
            self.take_from_counts(info);
        }
    }
}

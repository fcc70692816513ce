//! The log of receipts ([`crate::domain::receipt_log`]): one leaf for each settled payment, in the order of settlement.
//!
//! A payment's index among the settled payments is the index of its receipt. The leaf is fixed when the payment
//! settles: whatever becomes of the payment later, the leaf stays. Nodes are written once and only read for proofs.
//! After an upgrade one node for each bit of the length is read again, and nothing is computed but what joins them.

use crate::{
    domain::{
        payment::Payment,
        receipt_log::{self, GROUP, Peaks, Source},
    },
    storage::{liabilities, memory},
};
use candid::Principal;
use ic_certification::{Hash, HashTree};
use ic_stable_structures::{Memory, StableVec};
use x402_icp::receipt::Receipt;

const NODE_BYTES: u64 = 32;
/// The most that a table's own header takes.
const HEADER_BYTES: u64 = 64;
const WASM_PAGE_BYTES: u64 = 65_536;
/// Places before the nodes, for the receipts of the group that is not complete.
const PLACES: u64 = GROUP - 1;

/// Stable memory is full. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The nodes and the mountains of the log.
pub struct Log {
    memory: memory::Memory,
    nodes: StableVec<Hash, memory::Memory>,
    peaks: Peaks,
}

impl Log {
    /// Reads the log of this many settled payments.
    pub fn load(settled: u64) -> Self {
        let memory = memory::get(memory::RECEIPTS);
        let nodes = StableVec::init(memory.clone());
        while nodes.len() < PLACES {
            nodes.push(&Hash::default());
        }
        let complete = nodes.len() == PLACES + receipt_log::nodes(settled);
        let peaks = Peaks::read(settled, &Stable { nodes: &nodes }).filter(|_| complete);
        Log {
            memory,
            peaks: peaks.expect("BUG: each settled payment has a receipt"),
            nodes,
        }
    }

    /// Makes room for one more receipt: [`Log::append`] cannot fail after that.
    pub fn reserve(&self) -> Result<(), Full> {
        // A leaf completes fewer nodes than a number has bits.
        let needed = (self.nodes.len() + u64::from(u64::BITS)) * NODE_BYTES + HEADER_BYTES;
        let missing = needed.saturating_sub(self.memory.size() * WASM_PAGE_BYTES);
        match missing > 0 && self.memory.grow(missing.div_ceil(WASM_PAGE_BYTES)) < 0 {
            true => Err(Full),
            false => Ok(()),
        }
    }

    pub fn append(&mut self, receipt: &Hash) {
        let place = self.peaks.leaves() % GROUP;
        for node in self.peaks.push(receipt) {
            self.nodes.push(&node);
        }
        if place < PLACES {
            self.nodes.set(place, receipt);
        }
    }

    /// The number of receipts, and the root of the log; `None` if it is empty.
    pub fn root(&self) -> (u64, Option<Hash>) {
        (self.peaks.leaves(), self.peaks.root())
    }

    /// The log when it had this many receipts, with everything pruned but this one, which has this index. `settled`: the
    /// settled payment with an index; its delivery does not matter. `None` if a payment of its group cannot be read.
    pub fn witness(
        &self,
        index: u64,
        receipt: &Hash,
        leaves: u64,
        settled: impl Fn(u64) -> Option<Payment>,
    ) -> Option<HashTree> {
        let whole = Whole { log: self, settled };
        receipt_log::witness(index, receipt, leaves, &whole)
    }
}

/// The log without the payments: only the receipts of the last group.
struct Stable<'a> {
    nodes: &'a StableVec<Hash, memory::Memory>,
}

impl Source for Stable<'_> {
    fn node(&self, number: u64) -> Option<Hash> {
        self.nodes.get(PLACES + number)
    }

    fn receipt(&self, index: u64) -> Option<Hash> {
        Some(index % GROUP)
            .filter(|place| *place < PLACES)
            .and_then(|place| self.nodes.get(place))
    }
}

/// The log with the receipts of settled payments, which are made again from them.
struct Whole<'a, F> {
    log: &'a Log,
    settled: F,
}

impl<F: Fn(u64) -> Option<Payment>> Source for Whole<'_, F> {
    fn node(&self, number: u64) -> Option<Hash> {
        self.log.nodes.get(PLACES + number)
    }

    fn receipt(&self, index: u64) -> Option<Hash> {
        if index / GROUP == self.log.peaks.leaves() / GROUP {
            let nodes = &self.log.nodes;
            return Stable { nodes }.receipt(index);
        }
        Some(receipt(&(self.settled)(index)?)?.hash())
    }
}

/// The receipt of a payment that moved money. Installation and every upgrade store the canister that it names.
pub fn receipt(payment: &Payment) -> Option<Receipt> {
    let canister = liabilities::canister().unwrap_or(Principal::management_canister());
    payment.certified_receipt(canister)
}

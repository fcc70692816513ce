//! The log of receipts ([`crate::domain::receipt_log`]): one leaf for each settled payment, in the order of settlement.
//!
//! A payment's index among the settled payments is the index of its receipt. The leaf is fixed when the payment
//! settles: whatever becomes of the payment later, the leaf stays. Nodes are written once and only read for proofs.
//! After an upgrade one node for each bit of the length is read again, and nothing is computed but what joins them.

use crate::{
    domain::{
        payment::Payment,
        receipt_log::{self, GROUP, Peaks, Source, Witness},
    },
    storage::{liabilities, memory},
};
use candid::Principal;
use ic_certification::Hash;
use ic_stable_structures::Memory;
use x402_icp::receipt::Receipt;

const NODE_BYTES: u64 = 32;
/// The number of nodes, before them.
const HEADER_BYTES: u64 = 8;
const WASM_PAGE_BYTES: u64 = 65_536;
/// Places before the nodes, for the receipts of the group that is not complete.
const PLACES: u64 = GROUP - 1;

/// Stable memory is full. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The nodes and the mountains of the log.
pub struct Log {
    nodes: Nodes,
    peaks: Peaks,
}

/// Hashes in stable memory: their number in eight bytes, then the hashes. A vector of the library's would allocate for
/// each that is read, and a proof reads two for each doubling of the log.
struct Nodes {
    memory: memory::Memory,
    length: u64,
}

impl Nodes {
    fn load(memory: memory::Memory) -> Self {
        let mut length = [0; HEADER_BYTES as usize];
        if memory.size() > 0 {
            memory.read(0, &mut length);
        }
        let length = u64::from_be_bytes(length);
        Nodes { memory, length }
    }

    fn at(number: u64) -> u64 {
        HEADER_BYTES + number * NODE_BYTES
    }

    /// Makes room for so many nodes more.
    fn reserve(&self, more: u64) -> Result<(), Full> {
        let needed = Nodes::at(self.length + more);
        let missing = needed.saturating_sub(self.memory.size() * WASM_PAGE_BYTES);
        match missing > 0 && self.memory.grow(missing.div_ceil(WASM_PAGE_BYTES)) < 0 {
            true => Err(Full),
            false => Ok(()),
        }
    }

    fn get(&self, number: u64) -> Option<Hash> {
        (number < self.length).then(|| {
            let mut hash = Hash::default();
            self.memory.read(Nodes::at(number), &mut hash);
            hash
        })
    }

    /// Replaces a node that is there.
    fn set(&self, number: u64, hash: &Hash) {
        self.memory.write(Nodes::at(number), hash);
    }

    /// Appends nodes, for which there is room.
    fn append(&mut self, hashes: &[Hash]) {
        for hash in hashes {
            self.set(self.length, hash);
            self.length += 1;
        }
        if !hashes.is_empty() {
            self.memory.write(0, &self.length.to_be_bytes());
        }
    }
}

impl Log {
    /// Reads the log of this many settled payments.
    pub fn load(settled: u64) -> Self {
        let mut nodes = Nodes::load(memory::get(memory::RECEIPTS));
        if nodes.length < PLACES {
            nodes
                .reserve(PLACES)
                .expect("BUG: an installation has memory");
            nodes.append(&[Hash::default(); PLACES as usize]);
        }
        let complete = nodes.length == PLACES + receipt_log::nodes(settled);
        let peaks = Peaks::read(settled, &Stable { nodes: &nodes }).filter(|_| complete);
        Log {
            peaks: peaks.expect("BUG: each settled payment has a receipt"),
            nodes,
        }
    }

    /// Makes room for one more receipt: [`Log::append`] cannot fail after that.
    pub fn reserve(&self) -> Result<(), Full> {
        // A leaf completes fewer nodes than a number has bits.
        self.nodes.reserve(u64::BITS.into())
    }

    pub fn append(&mut self, receipt: &Hash) {
        let place = self.peaks.leaves() % GROUP;
        self.nodes.append(&self.peaks.push(receipt));
        if place < PLACES {
            self.nodes.set(place, receipt);
        }
    }

    /// The number of receipts, and the root of the log; `None` if it is empty.
    pub fn root(&self) -> (u64, Option<Hash>) {
        (self.peaks.leaves(), self.peaks.root())
    }

    /// Writes the log when it had this many receipts, with everything pruned but this one, which has this index.
    /// `settled`: the settled payment with an index; its delivery does not matter. `None` if a payment of its group cannot
    /// be read.
    pub fn witness(
        &self,
        index: u64,
        receipt: &Hash,
        leaves: u64,
        settled: impl Fn(u64) -> Option<Payment>,
        to: &mut impl Witness,
    ) -> Option<()> {
        let whole = Whole { log: self, settled };
        receipt_log::witness(index, receipt, leaves, &whole, to)
    }
}

/// The log without the payments: only the receipts of the last group.
struct Stable<'a> {
    nodes: &'a Nodes,
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

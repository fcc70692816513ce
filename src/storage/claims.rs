//! The transfer that each block shows, and the length that each ledger's log must have.
//!
//! | table | key | what | size |
//! |---|---|---|---|
//! | logs | ledger | the number of its log, and one more than the highest block it named of that log | one row per ledger |
//! | claims | ledger, log, first block | the transfers shown by a run of at most [`RUN`] blocks | one entry per payment, refund and withdrawal |
//!
//! One block shows one transfer. If the ledger's answer names the block of another transfer, the answer proves nothing.
//! The log outranks an earlier answer: a transfer that is found in a block takes over the claim on it.
//!
//! Blocks come in ascending order nearly always. Runs are therefore full, and a claim takes a few bytes. No block above
//! the highest is claimed, so an ordinary payment needs no lookup.

use crate::{
    domain::settlement::Claimant,
    storable_row,
    storage::{audit, ledgers, memory},
    types::{BlockIndex, TimestampNs},
};
use candid::Principal;
use ic_stable_structures::StableBTreeMap;
use minicbor::{Decode, Encode};
use std::cell::RefCell;

/// Blocks in one row.
const RUN: usize = 32;
/// The most rows that one message removes. A log that lost more than these gets a new number.
const MAX_REMOVED_ROWS: usize = 4_096;

/// Claims of consecutive blocks. Each is stored as the difference to the previous block and to the previous number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
struct RunRow {
    #[n(0)]
    differences: Vec<u64>,
}

storable_row!(RunRow);

/// Blocks in ascending order, with the numbers of their claimants.
type Run = Vec<(u64, u64)>;

impl RunRow {
    fn new(run: &[(u64, u64)]) -> Self {
        let mut before = (0, 0);
        let mut differences = Vec::with_capacity(2 * run.len());
        for (block, number) in run {
            differences.push(block.wrapping_sub(before.0));
            differences.push(number.wrapping_sub(before.1));
            before = (*block, *number);
        }
        RunRow { differences }
    }

    fn run(&self) -> Run {
        let mut before = (0u64, 0u64);
        let pairs = self.differences.chunks_exact(2);
        let claims = pairs.map(|pair| {
            before = (
                before.0.wrapping_add(pair[0]),
                before.1.wrapping_add(pair[1]),
            );
            before
        });
        claims.collect()
    }
}

struct Tables {
    /// The number of the log, and the length it must have to hold every block that the ledger named. The number changes
    /// when the log lost more than [`MAX_REMOVED_ROWS`] rows.
    logs: StableBTreeMap<u16, (u16, u64), memory::Memory>,
    claims: StableBTreeMap<[u8; 12], RunRow, memory::Memory>,
}

thread_local! {
    static TABLES: RefCell<Tables> = RefCell::new(Tables {
        logs: StableBTreeMap::init(memory::get(memory::LOGS)),
        claims: StableBTreeMap::init(memory::get(memory::CLAIMS)),
    });
}

fn key(ledger: u16, log: u16, block: BlockIndex) -> [u8; 12] {
    let mut key = [0; 12];
    key[..2].copy_from_slice(&ledger.to_be_bytes());
    key[2..4].copy_from_slice(&log.to_be_bytes());
    key[4..].copy_from_slice(&block.0.to_be_bytes());
    key
}

/// The two highest bits are the kind, the others the number or the time. Times fit until the year 2116.
fn number(claimant: Claimant) -> u64 {
    let (kind, number) = match claimant {
        Claimant::Payment(number) => (0, number),
        Claimant::Refund(number) => (1, number),
        Claimant::Withdrawal(created_at) => (2, created_at.0),
        Claimant::Return(number) => (3, number),
    };
    (kind << 62) | (number & (u64::MAX >> 2))
}

fn claimant(number: u64) -> Claimant {
    let value = number & (u64::MAX >> 2);
    match number >> 62 {
        0 => Claimant::Payment(value),
        1 => Claimant::Refund(value),
        2 => Claimant::Withdrawal(TimestampNs(value)),
        _ => Claimant::Return(value),
    }
}

impl Tables {
    fn log(&self, ledger: u16) -> (u16, u64) {
        self.logs.get(&ledger).unwrap_or_default()
    }

    fn of(&self, ledger: u16, block: BlockIndex) -> Option<Claimant> {
        let (log, end) = self.log(ledger);
        if block.0 >= end && block.0 != u64::MAX {
            return None;
        }
        let (_, run) = self.run(ledger, log, block)?;
        let place = run.binary_search_by_key(&block.0, |(block, _)| *block);
        Some(claimant(run[place.ok()?].1))
    }

    /// The run that contains this block, or would contain it, with its key.
    fn run(&self, ledger: u16, log: u16, block: BlockIndex) -> Option<([u8; 12], Run)> {
        let first = key(ledger, log, BlockIndex(0));
        let range = first..=key(ledger, log, block);
        let entry = self.claims.range(range).next_back()?;
        Some((*entry.key(), entry.value().run()))
    }

    /// Returns the number of the previous claimant.
    fn claim(&mut self, ledger: u16, log: u16, block: BlockIndex, number: u64) -> Option<u64> {
        let new = (block.0, number);
        let Some((first, mut run)) = self.run(ledger, log, block) else {
            let key = key(ledger, log, block);
            self.claims.insert(key, RunRow::new(&[new]));
            return None;
        };
        let place = run.binary_search_by_key(&block.0, |(block, _)| *block);
        let before = match place {
            Ok(place) => Some(std::mem::replace(&mut run[place], new).1),
            Err(place) => {
                run.insert(place, new);
                None
            }
        };
        if run.len() > RUN {
            // At the end of the run a new one begins, so that runs are full. In the middle the run is halved.
            let rest = run.split_off(if place == Err(RUN) { RUN } else { RUN / 2 });
            let key = key(ledger, log, BlockIndex(rest[0].0));
            self.claims.insert(key, RunRow::new(&rest));
        }
        self.claims.insert(first, RunRow::new(&run));
        before
    }

    /// Removes the claims from this block on. If there are too many to remove, the log gets a new number, and the
    /// earlier claims are dropped with it.
    fn shorten(&mut self, ledger: u16, length: u64) {
        let (log, _) = self.log(ledger);
        let from = key(ledger, log, BlockIndex(length));
        let range = from..=key(ledger, log, BlockIndex(u64::MAX));
        let gone = self.claims.keys_range(range).take(MAX_REMOVED_ROWS + 1);
        let gone: Vec<_> = gone.collect();
        if gone.len() > MAX_REMOVED_ROWS {
            self.logs.insert(ledger, (log.wrapping_add(1), length));
            return;
        }
        for key in gone {
            self.claims.remove(&key);
        }
        if let Some((first, mut run)) = self.run(ledger, log, BlockIndex(length)) {
            run.retain(|(block, _)| *block < length);
            self.claims.insert(first, RunRow::new(&run));
        }
        self.logs.insert(ledger, (log, length));
    }

    /// Returns the number of the log.
    fn reach(&mut self, ledger: u16, block: BlockIndex) -> u16 {
        let (log, end) = self.log(ledger);
        let needed = block.0.saturating_add(1);
        if needed > end {
            self.logs.insert(ledger, (log, needed));
        }
        log
    }
}

/// The highest block that this ledger ever named for a transfer of this canister.
pub fn highest_block(ledger: &Principal) -> Option<BlockIndex> {
    let index = ledgers::index(ledger)?;
    let (_, end) = TABLES.with_borrow(|tables| tables.log(index));
    end.checked_sub(1).map(BlockIndex)
}

/// The known claimant of this block.
pub fn of(ledger: &Principal, block: BlockIndex) -> Option<Claimant> {
    of_index(ledgers::index(ledger)?, block)
}

/// As [`of`], for the ledger with this number.
pub(super) fn of_index(ledger: u16, block: BlockIndex) -> Option<Claimant> {
    TABLES.with_borrow(|tables| tables.of(ledger, block))
}

/// Records that this block shows that transfer. An earlier claimant had only the ledger's answer for it, and loses the
/// block. The audit log records that.
pub fn take(ledger: &Principal, block: BlockIndex, claimant: Claimant, now: TimestampNs) {
    if let Some(index) = ledgers::index(ledger) {
        take_index(index, block, claimant, now);
    }
}

/// As [`take`], for the ledger with this number.
pub(super) fn take_index(ledger: u16, block: BlockIndex, taker: Claimant, now: TimestampNs) {
    let before = TABLES.with_borrow_mut(|tables| {
        let log = tables.reach(ledger, block);
        let before = tables.claim(ledger, log, block, number(taker));
        before.map(claimant)
    });
    if let (Some(before), Some(id)) = (
        before.filter(|before| *before != taker),
        ledgers::by_index(ledger),
    ) {
        let subject = format!("block {}: {before} -> {taker}", block.0);
        audit::admin(id, "block_claim_moved", &subject, now);
    }
}

/// Records that the ledger named this block, although no payment could be settled with it.
pub fn acknowledge(ledger: &Principal, block: BlockIndex) {
    if let Some(index) = ledgers::index(ledger) {
        TABLES.with_borrow_mut(|tables| tables.reach(index, block));
    }
}

/// Records that the log of this ledger has only `length` blocks: the claims beyond them are removed. They were of an
/// earlier log, or false. Claims within the log stay, so that a false answer about one block frees no other block.
pub fn shorten(ledger: &Principal, length: u64) {
    if let Some(index) = ledgers::index(ledger) {
        TABLES.with_borrow_mut(|tables| tables.shorten(index, length));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::storage::ledgers::tests::ledger;

    const NOW: TimestampNs = TimestampNs(1_800_000_000_000_000_000);

    fn set_up() -> Principal {
        ledgers::put(&ledger(0)).unwrap();
        ledgers::put(&ledger(1)).unwrap();
        ledger(1).id
    }

    /// Reads the tables again, as after an upgrade.
    pub(crate) fn reload() {
        TABLES.with_borrow_mut(|tables| {
            tables.logs = StableBTreeMap::init(memory::get(memory::LOGS));
            tables.claims = StableBTreeMap::init(memory::get(memory::CLAIMS));
        });
    }

    #[test]
    fn claims_are_kept_by_ledger_and_block() {
        let id = set_up();
        let all = [
            Claimant::Payment(0),
            Claimant::Refund(7),
            Claimant::Withdrawal(NOW),
            Claimant::Payment(u64::MAX >> 2),
            Claimant::Return(7),
        ];
        for (n, claimant) in (0..).zip(all) {
            take(&id, BlockIndex(10 - n), claimant, NOW);
        }
        reload();
        for (n, claimant) in (0..).zip(all) {
            assert_eq!(of(&id, BlockIndex(10 - n)), Some(claimant));
            assert_eq!(of(&ledger(0).id, BlockIndex(10 - n)), None);
        }
        assert_eq!(of(&id, BlockIndex(11)), None);
        assert_eq!(of(&ledger(9).id, BlockIndex(1)), None, "not registered");
        assert_eq!(audit::admin_after(0, 9), []);
    }

    /// In ascending order with a few out of order, and in random order.
    #[test]
    fn no_claim_is_lost_in_a_run() {
        let id = set_up();
        let scattered = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let orders: [fn(u64) -> u64; 2] = [|n| n ^ 3, |n| 1_000 - n];
        for (ledger_of, order) in [id, ledger(0).id].into_iter().zip(orders) {
            for n in 0..1_000 {
                take(&ledger_of, BlockIndex(order(n)), Claimant::Payment(n), NOW);
            }
            for n in 0..1_000 {
                let claimant = of(&ledger_of, BlockIndex(order(n)));
                assert_eq!(claimant, Some(Claimant::Payment(n)));
            }
        }
        shorten(&id, 0);
        for n in 0..500 {
            take(&id, BlockIndex(scattered(n)), Claimant::Refund(n), NOW);
        }
        for n in 0..500 {
            let block = BlockIndex(scattered(n));
            assert_eq!(of(&id, block), Some(Claimant::Refund(n)));
            assert_eq!(of(&id, BlockIndex(block.0 ^ 1)), None);
        }
        assert_eq!(audit::admin_after(0, 9), []);
    }

    #[test]
    fn the_highest_block_is_of_everything_that_was_named() {
        let id = set_up();
        assert_eq!(highest_block(&id), None);
        take(&id, BlockIndex(0), Claimant::Payment(0), NOW);
        assert_eq!(highest_block(&id), Some(BlockIndex(0)));
        take(&id, BlockIndex(9), Claimant::Withdrawal(NOW), NOW);
        take(&id, BlockIndex(4), Claimant::Refund(0), NOW);
        assert_eq!(highest_block(&id), Some(BlockIndex(9)));
        acknowledge(&id, BlockIndex(20));
        acknowledge(&id, BlockIndex(3));
        assert_eq!(highest_block(&id), Some(BlockIndex(20)));
        assert_eq!(of(&id, BlockIndex(20)), None);
        assert_eq!(highest_block(&ledger(0).id), None);
    }

    #[test]
    fn a_log_that_became_shorter_keeps_the_claims_of_its_blocks() {
        let id = set_up();
        // 70 is in the middle of a run, 64 at its beginning, 0 before all runs.
        for (length, highest) in [(70, Some(69)), (64, Some(63)), (0, None)] {
            for n in 0..100 {
                take(&id, BlockIndex(n), Claimant::Payment(n), NOW);
            }
            take(&ledger(0).id, BlockIndex(99), Claimant::Payment(7), NOW);
            take(&id, BlockIndex(u64::MAX), Claimant::Refund(0), NOW);
            shorten(&id, length);
            reload();
            assert_eq!(highest_block(&id), highest.map(BlockIndex));
            acknowledge(&id, BlockIndex(u64::MAX));
            for n in (0..100).chain([u64::MAX]) {
                let kept = (n < length).then_some(Claimant::Payment(n));
                assert_eq!(of(&id, BlockIndex(n)), kept, "{n} of {length}");
            }
            shorten(&id, length);
            let other = of(&ledger(0).id, BlockIndex(99));
            assert_eq!(other, Some(Claimant::Payment(7)));
        }
        assert_eq!(audit::admin_after(0, 9), []);
    }

    #[test]
    fn a_log_that_lost_many_blocks_gets_a_new_number() {
        let id = set_up();
        let far = (RUN * (MAX_REMOVED_ROWS + 2)) as u64;
        for n in 0..far {
            take(&id, BlockIndex(n), Claimant::Payment(n), NOW);
        }
        shorten(&id, 9);
        assert_eq!(highest_block(&id), Some(BlockIndex(8)));
        take(&id, BlockIndex(far), Claimant::Payment(far), NOW);
        for n in [3, 9, far - 1] {
            assert_eq!(of(&id, BlockIndex(n)), None);
        }
        assert_eq!(audit::admin_after(0, 9), []);
    }

    #[test]
    fn the_audit_log_names_the_claimant_that_loses_a_block() {
        let id = set_up();
        let block = BlockIndex(u64::MAX);
        take(&id, block, Claimant::Payment(0), NOW);
        take(&id, block, Claimant::Payment(0), NOW);
        assert_eq!(of(&id, block), Some(Claimant::Payment(0)));
        take(&id, block, Claimant::Refund(4), NOW);
        let entries = audit::admin_after(0, 9);
        assert_eq!(entries.len(), 1);
        assert_eq!(
            (entries[0].caller, entries[0].action.as_str()),
            (id, "block_claim_moved")
        );
        assert_eq!(
            entries[0].subject,
            "block 18446744073709551615: payment 1 -> refund of payment 5"
        );
    }
}

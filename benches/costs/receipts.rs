//! The costs of receipts that prove themselves: appending them, proofs in a log of 100,000, and an upgrade with it.
//!
//! The payments before are not made but written: this process continues the canister's tables, with the canister's own
//! code, and hands the memory back.

use super::{
    Bench, PRICE,
    support::{
        Request, Setup,
        environment::{tollkeeper_wasm, wasm},
        interface::Receipt,
        setup::controller,
    },
};
use candid::Principal;
use ic_stable_structures::{
    Memory, VectorMemory,
    memory_manager::{MemoryId, MemoryManager},
};
use pocket_ic::common::rest::BlobCompression;
use serde_bytes::ByteBuf;
use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};
use tollkeeper::{
    domain::{payment::Event, rail::TxRef},
    storage::{
        self, memory,
        payments::{Change, NewPayment},
    },
    types::{BlockIndex, ClaimKey, PaymentId, TimestampNs},
};

/// The receipts in the log.
const RECEIPTS: u64 = 100_000;
/// Proofs that are measured, from the first receipt to the last, and receipts that are appended.
const SAMPLES: u64 = 16;
/// Every table's id is below this.
const IDS: u8 = 64;
/// As in `storage::memory`.
const BUCKET_PAGES: u16 = 16;
const PAGE: usize = 65_536;

pub fn proofs(figures: &mut BTreeMap<&str, u64>) {
    let bench = Bench::new();
    let setup = &bench.setup;
    let sale = setup.sell("/report", PRICE);
    let payer = setup.payer(1);
    for _ in 0..2 {
        assert_eq!(bench.measure(&bench.paid(&sale, &payer)).status, 200);
    }
    fill(setup);
    bench.costs();
    setup.upgrade();
    let upgrade: u64 = bench.costs().iter().map(|cost| cost.instructions).sum();
    figures.insert("receipt.upgrade_instructions", upgrade);

    // Queries change nothing, so what is read from stable memory on first use is read by each query until an update.
    let id = (ByteBuf::from(written_id(3).0.to_vec()),);
    let known: Option<Receipt> = setup.update(controller(), "receipt", id);
    assert!(known.is_some());

    let (mut by_query, mut by_http, mut bytes) = (0, 0, 0);
    for sample in 0..SAMPLES {
        let index = 3 + sample * (RECEIPTS - 4) / (SAMPLES - 1);
        let id = written_id(index);
        let asked = (ByteBuf::from(id.0.to_vec()),);
        let (proof, spent) = bench.spent(|| {
            let caller = Principal::anonymous();
            setup.query::<_, Option<String>>(caller, "receipt_proof", asked)
        });
        let proof = proof.expect("a receipt");
        assert!(proof.contains(&format!("\"index\":\"{index}\"")), "{proof}");
        (by_query, bytes) = (spent.query.max(by_query), proof.len().max(bytes));
        let url = format!("/x402/receipts/{id}");
        let fetched = bench.measure(&Request::get_raw(setup.canister, &url));
        assert_eq!((fetched.status, fetched.updates), (200, 0));
        by_http = fetched.query.max(by_http);
    }
    figures.insert("receipt.proof_instructions", by_query);
    figures.insert("receipt.http_instructions", by_http);
    figures.insert("receipt.proof_bytes", bytes as u64);
}

/// What a payment costs more because a receipt is appended for it: the difference to a canister that appends none.
pub fn appending(figures: &mut BTreeMap<&str, u64>) {
    let variable = "TOLLKEEPER_WITHOUT_RECEIPTS_WASM";
    let without = wasm(variable, "tollkeeper+without-receipts.wasm.gz");
    let [with, without] = [tollkeeper_wasm(), without].map(|wasm| {
        let bench = Bench::new();
        let sale = bench.setup.sell("/report", PRICE);
        let payer = bench.setup.payer(1);
        bench.setup.upgrade_to(wasm, None);
        assert_eq!(bench.measure(&bench.paid(&sale, &payer)).status, 200);
        let paid = (0..SAMPLES).map(|_| {
            let paid = bench.measure(&bench.paid(&sale, &payer));
            assert_eq!(paid.status, 200);
            paid.updates
        });
        paid.sum::<u64>()
    });
    let more = with.saturating_sub(without) / SAMPLES;
    figures.insert("receipt.append_instructions", more);
}

fn written_id(number: u64) -> PaymentId {
    let mut id = [0; 32];
    // Spread as hashes are.
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    id[..8].copy_from_slice(&spread.to_be_bytes());
    id[8..16].copy_from_slice(&number.to_be_bytes());
    PaymentId(id)
}

/// Settles payments until there are [`RECEIPTS`], in the canister's memory.
fn fill(setup: &Setup) {
    let (pic, canister) = (&setup.pic, setup.canister);
    // In another ledger: a block of this one that is below those would be implausible.
    let ledger = setup.another_ledger("OTHER").0;
    let (before, now) = (pic.get_stable_memory(canister), setup.now());
    let filled = std::thread::spawn(move || filled(before, (canister, ledger), now));
    // The server ends when nobody asks it anything for long.
    while !filled.is_finished() {
        std::thread::sleep(Duration::from_secs(1));
        setup.now();
    }
    let bytes = filled.join().expect("the tables can be continued");
    pic.set_stable_memory(canister, bytes, BlobCompression::NoCompression);
}

/// The memory `before` with [`RECEIPTS`] settled payments. Tables belong to the thread.
fn filled(before: Vec<u8>, (canister, ledger): (Principal, Principal), now: u64) -> Vec<u8> {
    let there = manager(Rc::new(RefCell::new(before)));
    for id in 0..IDS {
        copy(
            &there.get(MemoryId::new(id)),
            &memory::get(MemoryId::new(id)),
        );
    }
    storage::liabilities::set_canister(canister);
    let (_, model) = storage::payments::page(0, 1).remove(0);
    let now = TimestampNs(now * 1_000_000_000);
    for number in storage::payments::settled_count()..RECEIPTS {
        let id = written_id(number);
        let mut key = [0; 16];
        key.copy_from_slice(&id.0[..16]);
        let (key, block) = (ClaimKey(key), BlockIndex(1_000 + number));
        let payment = tollkeeper::domain::payment::Payment {
            id,
            ledger,
            ..model.clone()
        };
        let new = NewPayment {
            payment,
            valid_before: 0,
            known_block: None,
        };
        let moved = Event::Moved {
            tx: TxRef::Block(block),
        };
        for change in [
            Change::Open(Box::new(new)),
            Change::Both(moved, Event::Delivered),
        ] {
            storage::payments::record(&key, change, now).expect("a payment settles");
        }
    }
    let whole = VectorMemory::default();
    let full = manager(whole.clone());
    for id in 0..IDS {
        copy(
            &memory::get(MemoryId::new(id)),
            &full.get(MemoryId::new(id)),
        );
    }
    whole.take()
}

fn manager(whole: VectorMemory) -> MemoryManager<VectorMemory> {
    MemoryManager::init_with_bucket_size(whole, BUCKET_PAGES)
}

fn copy(from: &impl Memory, to: &impl Memory) {
    let mut bytes = vec![0; from.size() as usize * PAGE];
    from.read(0, &mut bytes);
    if to.size() < from.size() {
        to.grow(from.size() - to.size());
    }
    to.write(0, &bytes);
}

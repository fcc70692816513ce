//! Random messages against a model that knows only what was committed.

mod common;

use common::*;
use local_ic_engine::{Entry, Instance};

const PAGES: usize = 4;
const SIZE: usize = PAGES * 65_536;

/// Reads `(offset, value, grow, trap)` from the argument; writes the value at the offset of heap and
/// stable memory, and adds it to a global.
fn writer() -> Instance {
    let act = "(call $msg_arg_data_copy (i32.const 0) (i32.const 0) (i32.const 16))
        (drop (memory.grow (i32.load (i32.const 8))))
        (drop (call $stable64_grow (i64.load32_u (i32.const 8))))
        (global.set $sum (i32.add (global.get $sum) (i32.load (i32.const 4))))
        (i32.store (i32.add (i32.load (i32.const 0)) (i32.const 16)) (i32.load (i32.const 4)))
        (call $stable64_write (i64.load32_u (i32.const 0)) (i64.const 4) (i64.const 4))
        (if (i32.load (i32.const 12)) (then unreachable))
        (memory.fill (i32.const 0) (i32.const 0) (i32.const 16))
        (call $msg_reply)";
    let module = format!(
        r#"(module {IMPORTS} (memory {PAGES}) (global $sum (mut i32) (i32.const 0)) (func $act {act})
        (func (export "canister_init") (drop (call $stable64_grow (i64.const {PAGES}))))
        (export "canister_update act" (func $act))
        (func (export "canister_query look")
            (call $msg_reply_data_append (i32.const 16) (i32.const {}))
            (i32.store (i32.const 0) (global.get $sum))
            (i32.store (i32.const 4) (memory.size))
            (call $msg_reply_data_append (i32.const 0) (i32.const 8))
            (call $msg_reply))
        (func (export "canister_query act_query") (call $act)))"#,
        SIZE - 16
    );
    let module = compile(&module).expect("valid");
    let mut canister = Instance::new(engine(), module).expect("usable");
    assert!(canister.execute(Entry::Init, env()).result.is_ok());
    canister
}

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as u32) % bound
    }
}

#[test]
fn should_hold_exactly_what_committed_messages_wrote() {
    let mut canister = writer();
    let mut numbers = Numbers(7);
    let mut heap = vec![0; SIZE];
    let mut stable = vec![0; SIZE];
    let (mut sum, mut pages) = (0_u32, PAGES as u32);
    let mut committed = 0;
    for step in 0..2_000 {
        let offset = numbers.below(SIZE as u32 - 32);
        let value = numbers.below(1 << 30);
        let grow = u32::from(numbers.below(100) == 0 && pages < 20);
        let trap = u32::from(numbers.below(3) == 0);
        let mut message = env();
        message.arg = [offset, value, grow, trap]
            .into_iter()
            .flat_map(u32::to_le_bytes)
            .collect();
        message.wasm_memory_limit = 0;
        let as_query = numbers.below(4) == 0;
        let entry = if as_query {
            Entry::Query("act_query".into())
        } else {
            Entry::Update("act".into())
        };
        let saved = (numbers.below(10) == 0).then(|| canister.snapshot());
        let outcome = canister.execute(entry, message);
        assert_eq!(outcome.result.is_ok(), trap == 0, "step {step}");
        match saved {
            Some(saved) => canister.restore(saved),
            None if trap == 0 && !as_query => {
                let at = offset as usize;
                heap[at + 16..at + 20].copy_from_slice(&value.to_le_bytes());
                stable[at..at + 4].copy_from_slice(&value.to_le_bytes());
                stable.resize(stable.len() + grow as usize * 65_536, 0);
                sum = sum.wrapping_add(value);
                pages += grow;
                committed += 1;
            }
            None => {}
        }
        if step % 50 == 0 {
            let seen = reply(&query(&mut canister, "look"));
            assert!(seen[..SIZE - 16] == heap[16..], "heap after step {step}");
            assert_eq!(
                seen[SIZE - 16..],
                [sum.to_le_bytes(), pages.to_le_bytes()].concat()
            );
            assert!(
                canister.stable_bytes() == stable,
                "stable after step {step}"
            );
        }
    }
    assert!(
        committed > 500 && pages > 6,
        "the numbers exercise everything: {committed} {pages}"
    );
}

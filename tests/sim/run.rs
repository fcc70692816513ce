//! Running worlds, several at a time; and the shortest list of steps that breaks a law.

use crate::{
    plan::Plan,
    rng::world_seed,
    stats::Stats,
    steps::plan,
    world::{Violation, World},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The number of steps of a world.
const WORLD_STEPS: usize = 160;
/// The time for shortening one failing list.
const SHRINK: Duration = Duration::from_secs(240);

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .replace('_', "")
            .parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number: {text}")),
        Err(_) => default,
    }
}

/// Plays a plan to its end, or to the first violation.
fn play(plan: &Plan) -> (Stats, Option<Violation>) {
    let stats = Mutex::new(Stats::default());
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(plan);
        let result = plan
            .steps
            .iter()
            .enumerate()
            .try_for_each(|(number, step)| {
                if std::env::var_os("TOLLKEEPER_SIM_TRACE").is_some() {
                    println!("{number}: {step:?}");
                }
                world.play(step)?;
                world.check()
            })
            .and_then(|()| world.come_to_rest());
        world.stats.end_world(&plan.kinds);
        *stats.lock().expect("not poisoned") = world.stats.clone();
        result
    }));
    let violation = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(violation)) => Some(violation),
        Err(panic) => Some(Violation {
            kind: "panic",
            text: panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()))
                .unwrap_or_default(),
        }),
    };
    (stats.into_inner().expect("not poisoned"), violation)
}

/// Leaves steps out for as long as the same law is broken.
fn shrink(plan: &Plan, kind: &str) -> Plan {
    let begun = Instant::now();
    let mut best = plan.clone();
    let mut piece = best.steps.len().div_ceil(2);
    while piece > 0 {
        let mut at = 0;
        while at < best.steps.len() {
            if begun.elapsed() > SHRINK {
                return best;
            }
            let mut shorter = best.clone();
            let end = (at + piece).min(shorter.steps.len());
            shorter.steps.drain(at..end);
            match play(&shorter).1 {
                Some(violation) if violation.kind == kind => best = shorter,
                _ => at += piece,
            }
        }
        piece /= 2;
    }
    best
}

#[test]
fn simulator() {
    let total = number("TOLLKEEPER_SIM_STEPS", 2_000);
    let seed = number("TOLLKEEPER_SIM_SEED", 1);
    let only = std::env::var_os("TOLLKEEPER_SIM_WORLD").map(|_| number("TOLLKEEPER_SIM_WORLD", 0));
    let threads = number("TOLLKEEPER_SIM_THREADS", 2);
    let limit = Duration::from_secs(number("TOLLKEEPER_SIM_SECONDS", u64::MAX));
    let begun = Instant::now();
    println!("seed {seed}, {total} steps in worlds of {WORLD_STEPS}");
    let worlds = match only {
        Some(_) => 1,
        None => total.div_ceil(WORLD_STEPS as u64),
    };
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let stats = Mutex::new(Stats::default());
    let failures: Mutex<Vec<String>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads.min(worlds) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let over = begun.elapsed() > limit;
                    if index >= worlds || over || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let world = only.unwrap_or_else(|| world_seed(seed, index));
                    let left = total.saturating_sub(index * WORLD_STEPS as u64);
                    let length = match only {
                        Some(_) => WORLD_STEPS,
                        None => WORLD_STEPS.min(left as usize),
                    };
                    let plan = plan(world, length);
                    let (played, violation) = play(&plan);
                    stats.lock().expect("not poisoned").add(&played);
                    if let Some(violation) = violation {
                        stop.store(true, Ordering::Relaxed);
                        let report = report(&plan, seed, &violation);
                        println!("{report}");
                        failures.lock().expect("not poisoned").push(report);
                    }
                }
            });
        }
    });
    let stats = stats.into_inner().expect("not poisoned");
    let failures = failures.into_inner().expect("not poisoned");
    println!("{} s: {}", begun.elapsed().as_secs(), stats.report());
    println!(
        "steps={} seed={seed} settled={} faults={} violations={}",
        stats.steps,
        stats.settled,
        stats.faults,
        failures.len()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn report(found: &Plan, seed: u64, violation: &Violation) -> String {
    let Violation { kind, text } = violation;
    let mut report = format!(
        "VIOLATION ({kind}): {text}\nseed {seed}, world {} (TOLLKEEPER_SIM_WORLD), {}, {} steps",
        found.seed,
        found.kinds.names(),
        found.steps.len()
    );
    if std::env::var_os("TOLLKEEPER_SIM_NO_SHRINK").is_some() {
        return report;
    }
    println!("{report}; leaving steps out…");
    let short = shrink(found, kind);
    report.push_str(&format!("\n{} of them are enough:", short.steps.len()));
    for step in &short.steps {
        report.push_str(&format!("\n  {step:?}"));
    }
    if let (_, Some(Violation { text, .. })) = play(&short) {
        report.push_str(&format!("\nends with: {text}"));
    }
    report
}

//! The simulation's gate: many seeds, each a storm of its own, and the same seed twice gives the same world.
//!
//! One seed again, with everything it says: `HOMING_SIM_SEED=123 cargo test -p system-tests --test sim -- replay --nocapture`.
//! More seeds: `HOMING_SIM_SEEDS=1000..3000 cargo test -p system-tests --test sim -- storms`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use system_tests::sim::{profile_of, run};

/// Seeds of the gate.
const SEEDS: Range<u64> = 0..520;
/// Lines of the trace that a failure prints.
const TAIL: usize = 60;

fn seeds() -> Range<u64> {
    let Ok(given) = std::env::var("HOMING_SIM_SEEDS") else { return SEEDS };
    let (from, to) = given.split_once("..").expect("FROM..TO");
    from.parse().expect("a number")..to.parse().expect("a number")
}

/// What went wrong with a seed, if anything did.
fn failure(seed: u64) -> Option<String> {
    let again = format!("HOMING_SIM_SEED={seed} cargo test -p system-tests --test sim -- replay --nocapture");
    let head = format!("seed {seed} ({:?})\nagain: {again}\n", profile_of(seed));
    match catch_unwind(AssertUnwindSafe(|| run(seed, false))) {
        Ok(outcome) => outcome.failure.map(|how| {
            let tail = outcome.tail[outcome.tail.len().saturating_sub(TAIL)..].join("\n");
            format!("{head}{tail}\n{how}")
        }),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()));
            Some(format!("{head}panicked: {}", said.unwrap_or_default()))
        }
    }
}

#[test]
fn storms_break_no_promise() {
    let seeds = seeds();
    let next = AtomicU64::new(seeds.start);
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    if let Some(how) = failure(seed) {
                        failures.lock().unwrap().push((seed, how));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    for (seed, how) in &failures {
        eprintln!("{seed} {:?}: {}", profile_of(*seed), how.lines().last().unwrap_or_default());
    }
    assert!(failures.is_empty(), "{} seeds failed; the first:\n{}", failures.len(), failures[0].1);
}

#[test]
fn the_same_seed_gives_the_same_world() {
    for seed in 0..20 {
        let (one, other) = (run(seed, false), run(seed, false));
        assert!(one.events > 500 && one.messages > 0, "seed {seed} is an empty world: {} events", one.events);
        assert_eq!((one.hash, one.events, one.ended_ms), (other.hash, other.events, other.ended_ms), "seed {seed}");
    }
}

#[test]
fn replay() {
    let Ok(seed) = std::env::var("HOMING_SIM_SEED") else { return };
    let outcome = run(seed.parse().expect("a number"), true);
    for line in &outcome.tail {
        eprintln!("{line}");
    }
    eprintln!("{} messages, {} events, {} ms", outcome.messages, outcome.events, outcome.ended_ms);
    assert_eq!(outcome.failure, None);
}

//! Many worlds on all processors at once, one thread each; what failed, and what it took.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Watch, profile_of, run};

/// Lines of the trace that a failure prints.
const TAIL: usize = 60;

/// What many seeds gave.
#[derive(Debug, Default)]
pub struct Sum {
    /// Worlds that were run.
    pub seeds: u64,
    /// Things that happened.
    pub events: u64,
    /// Messages that were queued.
    pub messages: u64,
    /// Virtual time, milliseconds.
    pub virtual_ms: u64,
    /// Chains, and lines of groups, that were compared at the end.
    pub compared: (u64, u64),
    /// Steps of groups that directories had lost and were given back.
    pub restored: u64,
    /// Seeds that broke a promise, and how, with the end of the trace.
    pub failures: Vec<(u64, String)>,
}

/// Runs a seed; a panic of a core is a failure too. The promise that was broken is the last line.
#[must_use]
pub fn failure(seed: u64, watch: Watch, sum: &mut Sum) -> Option<String> {
    let again = format!("HOMING_SIM_SEED={seed} cargo test -p system-tests --test sim -- replay --nocapture");
    let head = format!("seed {seed} ({:?})\nagain: {again}\n", profile_of(seed));
    sum.seeds += 1;
    match catch_unwind(AssertUnwindSafe(|| run(seed, watch, false))) {
        Ok(outcome) => {
            sum.events += outcome.events;
            sum.messages += outcome.messages as u64;
            sum.virtual_ms += outcome.ended_ms;
            sum.compared = (sum.compared.0 + outcome.compared.0, sum.compared.1 + outcome.compared.1);
            sum.restored += outcome.restored;
            let tail = outcome.tail[outcome.tail.len().saturating_sub(TAIL)..].join("\n");
            outcome.failure.map(|how| format!("{head}{tail}\n{how}"))
        }
        Err(panic) => {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()));
            Some(format!("{head}panicked: {}", said.unwrap_or_default()))
        }
    }
}

/// Runs all seeds of a range.
#[must_use]
pub fn many(seeds: Range<u64>, watch: Watch) -> Sum {
    let next = AtomicU64::new(seeds.start);
    let all = Mutex::new(Sum::default());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut mine = Sum::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    if let Some(how) = failure(seed, watch, &mut mine) {
                        mine.failures.push((seed, how));
                    }
                }
                let mut all = all.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                all.seeds += mine.seeds;
                all.events += mine.events;
                all.messages += mine.messages;
                all.virtual_ms += mine.virtual_ms;
                all.compared = (all.compared.0 + mine.compared.0, all.compared.1 + mine.compared.1);
                all.restored += mine.restored;
                all.failures.append(&mut mine.failures);
            });
        }
    });
    let mut all = all.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    all.failures.sort();
    all
}

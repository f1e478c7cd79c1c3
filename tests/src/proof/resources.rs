//! Resources that run out or are taken by somebody: descriptors, readers and senders that do not keep up, floods of
//! datagrams, everybody coming back at once. Others go on, and what was taken is given back. Not here: full disks.

mod descriptors;
mod flood;
mod slow;
mod storm;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Form, Order, Proof, say};
use crate::bench::system::cpu_ms;
use crate::programs::{PATIENCE, Peer};

/// All of them, one after another; only the one that `HOMING_RESOURCE` names (`descriptors`, `flood`, `slow`, `storm`) when it
/// is set.
///
/// # Errors
/// When somebody else had to suffer, or what was taken did not come back.
pub fn run(order: &Order) -> Result<()> {
    crate::hostile::raise_open_files();
    let all: [(&str, Proof); 4] =
        [("descriptors", descriptors::run), ("flood", flood::run), ("slow", slow::run), ("storm", storm::run)];
    let only = std::env::var("HOMING_RESOURCE").unwrap_or_default();
    ensure!(only.is_empty() || all.iter().any(|(name, _)| *name == only), "there is no resource {only:?}");
    all.iter().filter(|(name, _)| only.is_empty() || *name == only).try_for_each(|(_, run)| run(order))
}

/// Two peers talk both ways.
fn talk(alice: &Peer, bob: &Peer, words: &str) -> Duration {
    let begun = Instant::now();
    let there = alice.send(&bob.setup.name, words);
    let back = bob.send(&alice.setup.name, words);
    alice.wait_state(&there.id, "delivered");
    bob.wait_state(&back.id, "delivered");
    begun.elapsed()
}

/// Share of a CPU that a process takes while nothing is asked of it.
fn idle_share(process: u32) -> Result<f64> {
    const SPAN: Duration = Duration::from_secs(2);
    let before = cpu_ms(process)?;
    std::thread::sleep(SPAN);
    Ok((cpu_ms(process)? - before) / SPAN.as_secs_f64() / 1e3)
}

/// A process that waits for something does not turn in a loop.
fn ensure_idle(what: &str, process: u32) -> Result<()> {
    let share = idle_share(process)?;
    say(&format!("{what}: {:.1} % of a CPU", share * 100.0));
    ensure!(share < 0.25, "{what}: it takes {:.0} % of a CPU for nothing", share * 100.0);
    Ok(())
}

/// A runtime for many connections.
fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

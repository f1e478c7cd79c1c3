//! Planted bugs: the simulation catches each of them, and the seed that does is clean without it; so does the history checker alone
//! with those of its own. Wider:
//! `scripts/proof-planted`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::sync::Mutex;

use common::planted::Bug;
use system_tests::proof::planted::find;

/// Seeds tried for each bug; those of fitting storms count, one in eighteen or more.
const SEEDS: u64 = 1_500;

#[test]
fn every_planted_bug_is_caught() {
    let bugs = Mutex::new(Bug::ALL.to_vec());
    let missed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(bug) = bugs.lock().unwrap().pop() else { break };
                    match find(bug, 0..SEEDS) {
                        Ok((caught, noticed)) => {
                            [Some(caught), noticed].iter().flatten().for_each(|catch| eprintln!("{catch}"));
                        }
                        Err(error) => missed.lock().unwrap().push(format!("{error:#}")),
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

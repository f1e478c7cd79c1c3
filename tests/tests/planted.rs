//! Planted bugs: the simulation catches each of them, and the seed that does is clean without it. Known seeds first, so that
//! the gate is quick; when a change of the code moves them, a search among others.
//!
//! Wider: `scripts/proof-planted`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use common::planted::Bug;
use system_tests::proof::planted::hunt;

/// Seeds that have caught each bug.
const KNOWN: [(Bug, &[u64]); 0] = [];
/// Seeds tried when those do not.
const SEARCHED: u64 = 1_500;

#[test]
fn every_planted_bug_is_caught() {
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        let known = KNOWN.iter().find(|(of, _)| *of == bug).map_or(&[][..], |(_, seeds)| *seeds);
        match hunt(bug, known.iter().copied().chain(0..SEARCHED)) {
            Ok(caught) => eprintln!("{bug:?}: seed {}, {} tried: {}", caught.seed, caught.tried, caught.promise),
            Err(error) => missed.push(format!("{error:#}")),
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

//! The simulation's gate: many seeds, each a storm of its own, and the same seed twice gives the same world.
//!
//! One seed again, with everything it says: `HOMING_SIM_SEED=123 cargo test -p system-tests --test sim -- replay --nocapture`.
//! More seeds: `HOMING_SIM_SEEDS=1000..3000 cargo test -p system-tests --test sim -- storms`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::ops::Range;

use system_tests::sim::{Profile, Sum, many, profile_of, run, run_as};

/// Seeds of the gate.
const SEEDS: Range<u64> = 0..540;

fn seeds() -> Range<u64> {
    let Ok(given) = std::env::var("HOMING_SIM_SEEDS") else { return SEEDS };
    let (from, to) = given.split_once("..").expect("FROM..TO");
    from.parse().expect("a number")..to.parse().expect("a number")
}

#[test]
fn storms_break_no_promise() {
    let Sum { failures, compared: (chains, lines), restored, seeds, .. } = many(seeds());
    eprintln!("{seeds} worlds: {chains} chains and {lines} lines of groups compared, {restored} steps given back");
    for (seed, how) in &failures {
        eprintln!("{seed} {:?}: {}", profile_of(*seed), how.lines().last().unwrap_or_default());
    }
    assert!(seeds < SEEDS.end || (chains > 100 && lines > 1_000 && restored > 50), "groups are hardly looked at");
    assert!(failures.is_empty(), "{} seeds failed; the first:\n{}", failures.len(), failures[0].1);
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let mut in_groups = 0;
    for seed in 0..30 {
        let (one, other) = (run(seed, false), run(seed, false));
        assert!(one.events > 400 && one.messages > 0, "seed {seed} is an empty world: {} events", one.events);
        assert_eq!((one.hash, one.events, one.ended_ms), (other.hash, other.events, other.ended_ms), "seed {seed}");
        in_groups += one.in_groups;
    }
    assert!(in_groups > 100, "only {in_groups} messages of groups were put out");
}

#[test]
fn a_malicious_directory_gets_its_lies_about_names_told_and_refused() {
    let worlds = (0..600).filter(|seed| profile_of(*seed) == Profile::Malicious);
    let (renamed, refused) = worlds
        .map(|seed| run(seed, false))
        .fold((0, 0), |(renamed, refused), outcome| (renamed + outcome.renamed, refused + outcome.refused));
    eprintln!("{renamed} names told, {refused} keys refused");
    assert!(renamed >= 20 && refused >= 10, "{renamed} names told, {refused} keys refused");
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

/// Worlds that have broken a promise once.
const ONCE_BROKEN: [(Profile, u64, &str); 7] = [
    (
        Profile::NoDirect,
        115,
        "a message written before a month's absence was confirmed expired with the log-in that confirmed it",
    ),
    (Profile::PeerRollbacks, 64, "the same in a store that was put back"),
    (Profile::Clocks, 518, "the same on a machine whose clock had stepped"),
    (Profile::Restarts, 148, "what could not be flushed was trusted at the next start, and lost with the power"),
    (Profile::Restarts, 284, "the same, where the log had been brought in at that start"),
    (Profile::Everything, 31, "the same, amid everything else"),
    (Profile::Everything, 388, "a directory put back gave a serial again, and the new owner of a name was not shown"),
];

#[test]
fn what_once_broke_a_promise_breaks_it_no_more() {
    for (profile, seed, what) in ONCE_BROKEN {
        assert_eq!(run_as(profile, seed, false).failure, None, "{profile:?} {seed}: {what}");
    }
}

//! The simulation's gate: many seeds, each a storm of its own, and the same seed twice gives the same world.
//!
//! One seed again, with everything it says: `HOMING_SIM_SEED=123 cargo test -p system-tests --test sim -- replay --nocapture`.
//! More seeds: `HOMING_SIM_SEEDS=1000..3000 cargo test -p system-tests --test sim -- storms`. Who judges, `model`, `logs` (the history
//! checker) or both: `HOMING_SIM_WATCH=logs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::ops::Range;

use system_tests::sim::{Profile, Sum, Told, Watch, many, profile_of, run, run_as, run_without_files};

/// Seeds of the gate.
const SEEDS: Range<u64> = 0..540;

fn seeds() -> Range<u64> {
    let Ok(given) = std::env::var("HOMING_SIM_SEEDS") else { return SEEDS };
    let (from, to) = given.split_once("..").expect("FROM..TO");
    from.parse().expect("a number")..to.parse().expect("a number")
}

fn watch() -> Watch {
    match std::env::var("HOMING_SIM_WATCH").as_deref() {
        Ok("model") => Watch::Model,
        Ok("logs") => Watch::Logs,
        _ => Watch::Both,
    }
}

#[test]
fn storms_break_no_promise() {
    let Sum { failures, compared: (chains, lines), restored, seeds, .. } = many(seeds(), watch());
    eprintln!("{seeds} worlds: {chains} chains and {lines} lines of groups compared, {restored} steps given back");
    for (seed, how) in &failures {
        eprintln!("{seed} {:?}: {}", profile_of(*seed), how.lines().last().unwrap_or_default());
    }
    assert!(seeds < SEEDS.end || (chains > 100 && lines > 1_000 && restored > 50), "groups are hardly looked at");
    assert!(failures.is_empty(), "{} seeds failed; the first:\n{}", failures.len(), failures[0].1);
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let (mut in_groups, mut records, mut files, mut pieces) = (0, 0, 0, 0);
    let mut seen = Told::default();
    for seed in 0..30 {
        let (one, other) = (run(seed, Watch::Both, false), run(seed, Watch::Model, false));
        assert!(one.events > 400 && one.messages > 0, "seed {seed} is an empty world: {} events", one.events);
        assert_eq!((one.hash, one.events, one.ended_ms), (other.hash, other.events, other.ended_ms), "seed {seed}");
        assert!(one.records > one.messages, "seed {seed}: {} records of {} messages", one.records, one.messages);
        in_groups += one.in_groups;
        records += one.records;
        files += one.files.0;
        pieces += one.files.1;
        let Told { refused, rung, heard, noted } = one.in_company;
        seen = Told {
            refused: seen.refused + refused,
            rung: seen.rung + rung,
            heard: seen.heard + heard,
            noted: seen.noted + noted,
        };
    }
    eprintln!("{in_groups} messages of groups, {files} files in {pieces} pieces, {records} records, {seen:?}");
    assert!(in_groups > 100, "only {in_groups} messages of groups were put out");
    assert!(files > 100 && pieces > 200, "only {files} files came, in {pieces} pieces");
    let Told { refused, rung, heard, noted } = seen;
    assert!(refused > 10 && rung > 2 && heard > 20 && noted > 10, "too little was seen in company: {seen:?}");
}

#[test]
fn a_malicious_directory_gets_its_lies_about_names_told_and_refused() {
    let worlds = (0..600).filter(|seed| profile_of(*seed) == Profile::Malicious);
    let (renamed, refused) = worlds
        .map(|seed| run(seed, Watch::Both, false))
        .fold((0, 0), |(renamed, refused), outcome| (renamed + outcome.renamed, refused + outcome.refused));
    eprintln!("{renamed} names told, {refused} keys refused");
    assert!(renamed >= 20 && refused >= 10, "{renamed} names told, {refused} keys refused");
}

#[test]
fn replay() {
    let Ok(seed) = std::env::var("HOMING_SIM_SEED") else { return };
    let outcome = run(seed.parse().expect("a number"), watch(), true);
    for line in &outcome.tail {
        eprintln!("{line}");
    }
    eprintln!("{} messages, {} events, {} ms", outcome.messages, outcome.events, outcome.ended_ms);
    assert_eq!(outcome.failure, None);
}

/// Worlds that have broken a promise once, before anybody had files.
const ONCE_BROKEN: [(Profile, u64, &str); 9] = [
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
    (Profile::Full, 33, "somebody blocked was told so before the block was committed, on a disk without room"),
    (Profile::Copies, 132, "what was kept for somebody busy woke its sender all the time"),
    (Profile::Everything, 388, "a directory put back gave a serial again, and the new owner of a name was not shown"),
];

/// The same with files.
const FILES_ONCE_BROKEN: [(Profile, u64, &str); 4] = [
    (
        Profile::Malicious,
        13,
        "a file that a directory said to keep, and did not, was never handed over again, and never came",
    ),
    (Profile::Crashes, 74, "a file was told as accepted before that was committed"),
    (Profile::Calm, 108, "whoever accepted a file of somebody who blocks them dialled every second for ever"),
    (Profile::NoDirect, 136, "the same with the directory, which was asked for the first piece every second"),
];

#[test]
fn what_once_broke_a_promise_breaks_it_no_more() {
    for (profile, seed, what) in ONCE_BROKEN {
        assert_eq!(run_without_files(profile, seed, Watch::Both, false).failure, None, "{profile:?} {seed}: {what}");
    }
    for (profile, seed, what) in FILES_ONCE_BROKEN {
        assert_eq!(run_as(profile, seed, Watch::Both, false).failure, None, "{profile:?} {seed}: {what}");
    }
}

//! The fuzz targets in the gate: every committed input, those of bugs that were found among them, and a bounded number of mutants
//! of them from a fixed seed. More, and other ones: `scripts/proof-fuzz`.
//!
//! One input again: `HOMING_FUZZ_INPUT=FILE cargo test -p system-tests --test fuzz_replay -- one_input`, where the folder of FILE
//! names the target. More mutants, from another seed: `HOMING_FUZZ_SEED=7 HOMING_FUZZ_TIMES=100`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::path::{Path, PathBuf};

use system_tests::fuzz::mutate::Mutator;
use system_tests::fuzz::{TARGETS, Target, run};

/// Most bytes of all committed inputs together.
const CORPORA_MAX_BYTES: u64 = 300_000;

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// Inputs of a target by name, in order.
fn inputs(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = corpora().join(target.name);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<(String, Vec<u8>)> = files
        .map(|file| {
            let path = file.unwrap().path();
            (path.display().to_string(), std::fs::read(path).unwrap())
        })
        .collect();
    inputs.sort();
    inputs
}

/// Says which input it was when the body panics.
struct Input<'a>(&'a Target, &'a str, &'a [u8]);

impl Drop for Input<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("target {}, input {}: {:02x?}", self.0.name, self.1, self.2);
        }
    }
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

fn try_out(target: &Target, origin: &str, bytes: &[u8]) {
    let _said = Input(target, origin, bytes);
    (target.body)(bytes);
}

#[test]
fn committed_inputs_and_mutants_of_them_find_nothing() {
    std::thread::scope(|scope| {
        for (number, target) in (1..).zip(TARGETS) {
            scope.spawn(move || {
                let known = inputs(target);
                assert!(!known.is_empty(), "no inputs of {} are committed", target.name);
                for (path, bytes) in &known {
                    try_out(target, path, bytes);
                }
                let bytes: Vec<Vec<u8>> = known.into_iter().map(|(_, bytes)| bytes).collect();
                let mut mutator = Mutator::new(number + 100 * setting("HOMING_FUZZ_SEED", 0), &bytes, target.max_bytes);
                for count in 0..u64::from(target.gate) * setting("HOMING_FUZZ_TIMES", 1) {
                    try_out(target, &format!("mutant {count}"), &mutator.next_input());
                }
            });
        }
    });
}

#[test]
fn inputs_are_few_and_belong_to_a_target() {
    let mut bytes = 0;
    for folder in std::fs::read_dir(corpora()).unwrap() {
        let folder = folder.unwrap();
        let name = folder.file_name().into_string().unwrap();
        assert!(TARGETS.iter().any(|target| target.name == name), "inputs for {name}, which is no target");
        for file in std::fs::read_dir(folder.path()).unwrap() {
            bytes += file.unwrap().metadata().unwrap().len();
        }
    }
    assert!(bytes <= CORPORA_MAX_BYTES, "{bytes} bytes of inputs, at most {CORPORA_MAX_BYTES}");
}

#[test]
fn every_target_has_its_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    for target in TARGETS {
        let name = target.name;
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is no program in tests/fuzz/Cargo.toml");
        let program = std::fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(program.contains(&format!("run(\"{name}\", bytes)")), "{name} runs another target's body");
    }
}

#[test]
fn one_input() {
    let Ok(path) = std::env::var("HOMING_FUZZ_INPUT") else { return };
    let path = PathBuf::from(path);
    let target = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap();
    run(target, &std::fs::read(&path).unwrap());
}

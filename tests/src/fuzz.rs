//! Bodies of the fuzz targets: what is done with bytes that somebody hostile chose, and what must hold then. A body panics when
//! something does not. The same bodies run under cargo-fuzz (`scripts/proof-fuzz`) and, on the committed inputs and a bounded
//! number of mutants of them, in the gate. Not here: how inputs are found, which is the fuzzer's.

mod configuration;
mod decoders;
mod directory;
mod input;
mod messenger;
pub mod mutate;
mod texts;

pub use input::Input;

/// One target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: of the fuzz binary and of the folder of its inputs.
    pub name: &'static str,
    /// The body.
    pub body: fn(&[u8]),
    /// Longest input that is of use, bytes.
    pub max_bytes: usize,
    /// Mutated inputs in the gate: fewer where one takes long.
    pub gate: u32,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "to_directory", body: decoders::to_directory, max_bytes: 4_096, gate: 2_000 },
    Target { name: "from_directory", body: decoders::from_directory, max_bytes: 4_096, gate: 2_000 },
    Target { name: "between_peers", body: decoders::between_peers, max_bytes: 4_096, gate: 2_000 },
    Target { name: "records", body: decoders::records, max_bytes: 4_096, gate: 500 },
    Target { name: "sealed", body: decoders::sealed, max_bytes: 4_096, gate: 200 },
    Target { name: "bodies", body: decoders::bodies, max_bytes: 4_096, gate: 2_000 },
    Target { name: "names", body: decoders::names, max_bytes: 256, gate: 2_000 },
    Target { name: "file_names", body: texts::file_names, max_bytes: 1_024, gate: 2_000 },
    Target { name: "commands", body: texts::commands, max_bytes: 2_048, gate: 2_000 },
    Target { name: "sanitiser", body: texts::sanitiser, max_bytes: 2_048, gate: 1_000 },
    Target { name: "screen", body: texts::screen, max_bytes: 2_048, gate: 1_000 },
    Target { name: "configuration", body: configuration::files_and_options, max_bytes: 2_048, gate: 300 },
    Target { name: "control", body: configuration::control, max_bytes: 2_048, gate: 2_000 },
    Target { name: "directory", body: directory::sessions, max_bytes: 2_048, gate: 150 },
    Target { name: "messenger", body: messenger::hostile_directory, max_bytes: 2_048, gate: 100 },
];

/// Runs the body of a target.
///
/// # Panics
/// When there is no such target, or the body finds something wrong.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("there is no fuzz target {name:?}")).body)(bytes);
}

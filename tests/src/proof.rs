//! Proofs: long runs that try to break a promise, each with a short form in the gate and a long one for nights and
//! releases, the same code for both. `scripts/proof-*` call them by name. What is promised stands in the model and the
//! checker, not here.

pub mod check;
pub mod files;
pub mod kill;
pub mod network;
#[cfg(feature = "planted")]
pub mod planted;
pub mod power;
pub mod resources;
pub mod sim;

use anyhow::Result;

/// How much of a proof to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The share of the gate: seconds.
    Gate,
    /// For nights and releases: as long as it takes.
    Night,
}

/// What a proof is asked to do.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// How much.
    pub form: Form,
    /// Where all chance comes from; the same seed makes the same choices.
    pub seed: u64,
    /// In place of the form's own amount (cycles, seeds, messages: the proof says which).
    pub amount: Option<u64>,
}

impl Order {
    /// The amount asked for, or that of the form.
    #[must_use]
    pub fn amount(&self, gate: u64, night: u64) -> u64 {
        self.amount.unwrap_or(match self.form {
            Form::Gate => gate,
            Form::Night => night,
        })
    }
}

/// A proof: prints what it did and measured, one line a fact; an error says which promise was broken and how to see it again.
pub type Proof = fn(&Order) -> Result<()>;

/// All proofs by name.
pub const PROOFS: &[(&str, Proof)] = &[
    ("files", files::run),
    ("kill", kill::run),
    ("network", network::run),
    #[cfg(feature = "planted")]
    ("planted", planted::run),
    ("power", power::run),
    ("resources", resources::run),
    ("sim", sim::run),
];

/// One fact, on standard output.
#[allow(clippy::print_stdout, reason = "what a proof has to say is its output")]
fn say(line: &str) {
    println!("{line}");
}

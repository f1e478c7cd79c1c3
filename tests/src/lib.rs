//! What the tests of the whole system share: the real programs under a harness, lossy networks in front of
//! them, raw clients that misbehave. Not a part of any program, and no test itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

pub mod bench;
pub mod checker;
pub mod checks;
pub mod cutter;
pub mod fuzz;
pub mod hostile;
pub mod impersonation;
pub mod lossy;
mod model;
pub mod namespaces;
pub mod programs;
pub mod proof;
pub mod sim;
pub mod terminal;
pub mod tidy;

//! What the event logs of both programs have in common: the form of a record, and the file that takes them. Not here: what
//! is noted, which each program's own observer says. Apart from `common`, because a file is nothing pure.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod file;
mod lines;

pub use file::{EventFile, EventLogError};
pub use lines::{Lines, SOME_AT_ONCE, SOME_EVERY_MS, hex};

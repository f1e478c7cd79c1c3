//! Benchmarks of the real programs and parts, each beside what the machine itself can do in the same run. They print
//! what they find, good or bad; nothing here is a test, and no figure fails anything.
//!
//! Timing is only worth something on a machine that does nothing else: the table names the load it was made under.

pub mod files;
pub mod history;
pub mod idle;
pub mod limits;
pub mod mail;
pub mod parts;
pub mod peers;
pub mod restart;
pub mod session;
pub mod store;
pub mod system;
pub mod table;
pub mod transport;

/// How often each figure is measured unless said otherwise; medians are shown.
pub const ROUNDS: usize = 3;

//! What the network hands to the loop: inputs that came together. Not here: where they come from, and who takes them.

use peer_core::event::Input;
use tokio::sync::mpsc;

/// One connection to the directory, or the attempt at one, among all of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session(pub u64);

/// Batches that wait for the loop. With the largest frames a batch holds about 128 KiB.
pub const BATCHES_MAX: usize = 64;

/// What the network tells the loop, in the order in which it came.
#[derive(Debug)]
pub enum Batch {
    /// About links.
    Links(Vec<Input>),
    /// About one connection to the directory; what is left of an earlier one is to be dropped.
    Directory {
        /// Which.
        session: Session,
        /// What came.
        inputs: Vec<Input>,
    },
}

/// Where the network's inputs go.
pub type BatchSender = mpsc::Sender<Batch>;

//! What moves frames: the peer's UDP port with QUIC on it, the TLS connection to the directory, and which addresses
//! to publish. It speaks in the core's [`Input`](peer_core::event::Input)s and decides nothing but how much it takes:
//! whom to dial, which link stays and what a frame means are the messenger's business.
//!
//! Inputs leave in batches through one bounded channel; a full channel stops the reading, never the loop.

use peer_core::event::Input;
use tokio::sync::mpsc;

pub mod addresses;
pub mod budget;
pub mod dial;
pub mod directory;
pub mod link;
mod outgoing;
pub mod quic;
pub mod socket;
mod stream;

pub use directory::{Directory, Session};
pub use quic::{Quic, QuicError};

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

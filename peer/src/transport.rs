//! What moves frames: the peer's UDP port with QUIC on it, the TLS connection to the directory, and which addresses
//! to publish. It speaks in the core's [`Input`](peer_core::event::Input)s and decides nothing but how much it takes:
//! whom to dial, which link stays and what a frame means are the messenger's business.
//!
//! Inputs leave in batches through one bounded channel; a full channel stops the reading, never the loop.

pub mod addresses;
pub mod batch;
pub mod budget;
pub mod bulk;
mod config;
mod congestion;
pub mod dial;
pub mod directory;
pub mod link;
mod outgoing;
mod probing;
pub mod quic;
pub mod socket;
mod stream;

pub use batch::{BATCHES_MAX, Batch, BatchSender, Session};
pub use bulk::{ACCEPTED_MAX, Accepted, AcceptedSender, Bulk};
pub use config::QuicError;
pub use directory::Directory;
pub use quic::Quic;

//! Frames between a peer and its directory, on one TLS connection over TCP, and what both directions share.
//!
//! A request that wants an answer carries a number chosen by the peer; the answer repeats it.

use serde::{Deserialize, Serialize};

use crate::identity::PublicKey;

mod files;
mod from;
mod talk;
mod to;

pub use files::*;
pub use from::*;
pub use talk::*;
pub use to::*;

/// A number that pairs an answer with its request within one session.
pub type RequestId = u32;

/// A login token: random, given at each login, opens the next.
pub type Token = [u8; 16];

/// An item's place: unique together with its submitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// For whom it is.
    pub recipient: PublicKey,
    /// The submitter's epoch id.
    pub epoch: crate::message::EpochId,
    /// The submitter's seq in the lane to `recipient`.
    pub seq: u64,
}

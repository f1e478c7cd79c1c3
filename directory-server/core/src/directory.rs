//! The composer: the only file that knows every part.

use common::identity::Identity;

use crate::event::{Input, Now, Output, StoreHead};
use crate::limits::Limits;

/// A directory.
pub struct Directory {}

impl Directory {
    /// A directory that answers for `identity`, on the store that `head` describes. `seed` is all the randomness it
    /// ever has.
    #[must_use]
    pub fn new(_limits: Limits, _identity: Identity, _seed: [u8; 32], _head: StoreHead, _now: Now) -> Self {
        Self {}
    }

    /// Takes one input.
    pub fn handle(&mut self, _input: Input, _now: Now) {}

    /// The next thing to be done, in order; none when all is said.
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }

    /// When [`Input::Timeout`] is due, on the clock of [`Now::mono_ms`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        None
    }
}

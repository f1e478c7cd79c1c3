//! What a directory decides, and nothing that it does: no socket, clock, entropy, file, thread or `async`.
//!
//! [`Directory`] is driven by three calls. `handle(input, now)` takes one [`Input`] and never fails; `poll_output()` is
//! then called until it gives none; `poll_timeout()` says when, on the clock of [`Now::mono_ms`], an
//! [`Input::Timeout`] is due. Many inputs may be handled before the outputs are drained, so that one commit of the
//! store serves many.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod address;
mod bucket;
mod directory;
pub mod event;
pub mod limits;
mod mailbox;
mod notices;
mod presence;
mod quota;
mod registry;
mod session;
mod shouts;
mod timers;
pub mod weight;

pub use directory::Directory;
pub use event::{Input, Now, Output, SessionId, StoreHead, StoreOp, StoreResult, Ticket};
pub use limits::Limits;

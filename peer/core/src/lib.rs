//! What a messenger decides: a pure core without socket, clock, entropy, file, thread or `async`.
//!
//! [`Messenger`](messenger::Messenger) takes [`Input`](event::Input)s, answers with
//! [`Output`](event::Output)s and says when it wants to be woken. The same code runs in the program
//! and in the simulation.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod command;
pub mod event;
pub mod limits;
pub mod stored;

//! What a messenger decides: a pure core without socket, clock, entropy, file, thread or `async`.
//!
//! [`Messenger`](messenger::Messenger) takes [`Input`](event::Input)s, answers with
//! [`Output`](event::Output)s and says when it wants to be woken. The same code runs in the program
//! and in the simulation.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod answers;
pub mod clock;
pub mod command;
pub mod contact;
pub mod event;
pub mod groups;
pub mod inbox;
pub mod lane;
pub mod limits;
pub mod link;
pub mod messenger;
pub mod outbox;
pub mod prekeys;
pub mod registration;
pub mod room;
pub mod route;
pub mod stored;
pub mod timers;

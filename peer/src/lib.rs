//! The client program: what carries out what `peer-core` decides. Nothing is decided here.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod driver;
pub mod transport;

//! The words both sides of Homing speak: names, keys, envelopes, records, frames, limits.
//!
//! Everything here is pure: no socket, clock, entropy source, file or thread. Two modules touch
//! cryptography that needs entropy handed in by the caller ([`seal`]) or build configurations for
//! a TLS library ([`tls`]); neither is called from inside a decision core.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod body;
pub mod group;
pub mod identity;
pub mod limits;
pub mod message;
pub mod name;
pub mod piece;
pub mod planted;
pub mod record;
pub mod seal;
pub mod shout;
pub mod tls;
pub mod wire;

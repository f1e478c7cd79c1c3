//! The client program: what carries out what `peer-core` decides. Nothing is decided here.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod app;
pub mod bar;
pub mod cli;
pub mod config;
pub mod control;
pub mod driver;
pub mod event_log;
pub mod files;
pub mod follow;
pub mod front;
pub mod keystore;
pub mod logging;
pub mod once;
pub mod open;
pub mod progress;
pub mod storage;
pub mod terminal;
pub mod transport;

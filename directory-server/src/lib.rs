//! The directory server around its core: sockets, TLS, the one loop, the store, the command line. It carries out what
//! `directory-core` decides and decides nothing that a user could notice but what bounds its own resources.
//!
//! [`Server::open`] and [`Server::run`] serve in this process, on any port; the modules are public so that tests,
//! benchmarks and simulations can use them alone.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod admin;
pub mod cli;
pub mod connection;
pub mod data_dir;
pub mod doors;
pub mod driver;
pub mod event_log;
pub mod link;
pub mod logging;
pub mod metered;
pub mod output;
pub mod server;
pub mod store;

pub use server::{Config, ServeError, Server};

/// The exit code for what ended the program: 1 unless the error has one of its own.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(error) = error.downcast_ref::<ServeError>() {
        error.exit_code()
    } else if let Some(error) = error.downcast_ref::<admin::AdminError>() {
        error.exit_code()
    } else if error.is::<data_dir::DataDirError>() {
        9
    } else {
        1
    }
}

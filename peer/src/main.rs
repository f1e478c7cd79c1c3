//! The program `peer`: from a command line to an exit code. What it does is in the library.

use std::process::ExitCode;

use clap::Parser;
use peer::cli::Cli;
use peer::{app, once};

fn main() -> ExitCode {
    common::planted::plant_named(|| std::env::var("HOMING_PLANTED").ok());
    match app::run(Cli::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            once::complain(&failure.to_string());
            ExitCode::from(failure.exit_code())
        }
    }
}

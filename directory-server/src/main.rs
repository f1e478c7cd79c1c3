//! The program `directory-server`: from a command line to an exit code. What it does is in the library.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use directory_server::cli::{Cli, Command};
use directory_server::data_dir::{DataDir, identity_in};
use directory_server::{Config, Server, admin, logging, output};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    common::planted::plant_named(|| std::env::var("HOMING_PLANTED").ok());
    let cli = Cli::parse();
    logging::start(logging::Level::new(cli.verbose, cli.quiet), cli.json_log);
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::complaint(&format!("directory-server: {error:#}"), directory_server::exit_code(&error)),
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let data_dir = cli.data_dir()?;
    match &cli.command {
        Some(Command::User(command)) => Ok(admin::run(&data_dir, command, output::line)?),
        Some(Command::Group(command)) => Ok(admin::run_on_groups(&data_dir, command, output::line)?),
        Some(Command::Fingerprint) => {
            let there = identity_in(&data_dir)?;
            let identity = there.map_or_else(|| Ok(DataDir::own(&data_dir)?.identity()?), anyhow::Ok)?;
            Ok(output::line(&identity.public().fingerprint().to_string())?)
        }
        None | Some(Command::Serve) => {
            let (bind, port, limits, event_log) = (cli.bind, cli.port, cli.limits(), cli.event_log.clone());
            serve(Config { data_dir, bind, port, limits, event_log })
        }
    }
}

#[tokio::main]
async fn serve(config: Config) -> anyhow::Result<()> {
    // Taken before anything is said, so that no signal is missed.
    let mut terminate = signal(SignalKind::terminate()).context("no signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("no signals")?;
    let mut hang_up = signal(SignalKind::hangup()).context("no signals")?;
    let server = Server::open(config)?;
    let stop = async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                // A closed terminal or a habitual reload ends no service.
                _ = hang_up.recv() => tracing::info!("SIGHUP: this version has nothing to reload; still serving"),
            }
        }
    };
    // A closed output is no reason not to serve.
    let _ = output::line(&format!("listening on {} fingerprint {}", server.address(), server.fingerprint()));
    Ok(server.run(stop).await?)
}

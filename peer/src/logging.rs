//! The log: lines on standard error. It says what happened, quotes names, and never holds what a message says.

use tracing_subscriber::EnvFilter;

/// Starts the log of this process. `RUST_LOG`, where set, beats `verbose` and `quiet`.
pub fn start(verbose: u8, quiet: bool) {
    let level = match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, _) => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_target(false);
    // Else a standard error that nobody reads would end the program: the failed line is reported there too.
    let log = log.log_internal_errors(false);
    // A second start in one process (tests) keeps the first log.
    let _ = log.with_writer(std::io::stderr).try_init();
}

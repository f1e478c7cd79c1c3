//! A program that is started, does one thing and ends.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::log::Log;
use super::process::Process;

/// What a program left behind.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output's whole lines.
    pub lines: Vec<String>,
    /// Its standard error.
    pub stderr: String,
}

impl Outcome {
    /// All JSON objects of the output.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Output and errors together.
    #[must_use]
    pub fn all_text(&self) -> String {
        format!("{}\n{}", self.lines.join("\n"), self.stderr)
    }
}

/// An environment in which nothing outside `root` is touched.
pub fn confine(command: &mut Command, root: &Path) {
    command.env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", root.join("home"));
    for (variable, folder) in [
        ("XDG_DATA_HOME", "data"),
        ("XDG_CONFIG_HOME", "config"),
        ("XDG_STATE_HOME", "state"),
        ("XDG_CACHE_HOME", "cache"),
        ("XDG_RUNTIME_DIR", "runtime"),
    ] {
        let folder = root.join("home").join(folder);
        // A second program of one world finds it there.
        let _ = std::fs::create_dir_all(&folder);
        command.env(variable, folder);
    }
    command.env("RUST_BACKTRACE", "1").env("LANG", "C.UTF-8").env("TZ", "UTC").current_dir(root);
}

/// Runs `program` with `arguments` in the world at `root`, `input` on its standard input, to its end.
///
/// # Panics
/// When it does not end within 60 s.
#[must_use]
pub fn run(program: &str, root: &Path, arguments: &[&str], input: &[u8]) -> Outcome {
    let mut command = Command::new(super::binary(program));
    confine(&mut command, root);
    command.args(arguments);
    finish(command, input, super::PATIENCE)
}

/// Runs `command` to its end.
///
/// # Panics
/// When it does not end within `patience`.
#[must_use]
pub fn finish(command: Command, input: &[u8], patience: Duration) -> Outcome {
    let shown = format!("{command:?}");
    let log = Arc::new(Log::default());
    let mut process = Process::start(command, &log);
    // It may end without reading; that is for its exit code to say.
    let _ = process.write(input);
    process.end_input();
    let status = process.wait(patience);
    let lines = log.lines(0, |_| true).into_iter().map(|line| line.text).collect();
    let outcome = Outcome { code: status.and_then(|status| status.code()), lines, stderr: log.stderr() };
    assert!(status.is_some(), "{shown} did not end within {patience:?}: {outcome:?}");
    outcome
}

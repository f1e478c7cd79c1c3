//! `proof check`: the history checker on event logs that somebody kept.

use std::path::Path;

use anyhow::{Result, bail};

use super::say;
use crate::checker::{Log, check};

const USAGE: &str = "usage: proof check [--healed] FILE...";

/// Checks the logs named, all together; `--healed`: everything had time to come to its end.
///
/// # Errors
/// When a log cannot be read, and when a promise is broken; each breach is printed with the lines that show it.
pub fn run(arguments: &[String]) -> Result<()> {
    let healed = arguments.iter().any(|argument| argument == "--healed");
    let files: Vec<&String> = arguments.iter().filter(|argument| *argument != "--healed").collect();
    if files.is_empty() || files.iter().any(|file| file.starts_with("--")) {
        bail!("{USAGE}");
    }
    let logs = files.iter().map(|file| Log::read(Path::new(file))).collect::<Result<Vec<_>>>()?;
    let breaches = check(&logs, healed);
    breaches.iter().for_each(|breach| say(&breach.to_string()));
    if !breaches.is_empty() {
        bail!("{} broken promises", breaches.len());
    }
    say(&format!("{} logs, no promise broken", logs.len()));
    Ok(())
}

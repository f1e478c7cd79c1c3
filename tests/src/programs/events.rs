//! The event logs of the programs of a world: beside each data directory, read by the history checker.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::checker::{Log, PUT_BACK, check};

/// Where the program with this data directory logs.
#[must_use]
pub fn log_of(data_dir: &Path) -> PathBuf {
    data_dir.with_extension("events")
}

/// The data directory is being put back to what it was before: the checker has to know.
///
/// # Panics
/// When its log cannot be written.
pub fn note_put_back(data_dir: &Path) {
    let path = log_of(data_dir);
    if path.exists() {
        let mut log = std::fs::OpenOptions::new().append(true).open(&path).expect("an event log to append to");
        // A killed program may have left a line without an end.
        log.write_all(format!("\n{PUT_BACK}").as_bytes()).expect("an event log to append to");
    }
}

/// All event logs in `root`.
///
/// # Panics
/// When one cannot be read.
#[must_use]
pub fn logs_in(root: &Path) -> Vec<Log> {
    let entries = std::fs::read_dir(root).expect("a world's folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut logs: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "events")).collect();
    logs.sort();
    logs.iter().map(|path| Log::read(path).expect("an event log")).collect()
}

/// Asserts that the logs in `root` show no broken promise; `healed`: and that everything has come to its end.
///
/// # Panics
/// When they do.
pub fn assert_promises(root: &Path, healed: bool) {
    let breaches = check(&logs_in(root), healed);
    let said: Vec<String> = breaches.iter().take(10).map(ToString::to_string).collect();
    assert!(breaches.is_empty(), "{} broken promises, the first of them:\n{}", breaches.len(), said.join("\n"));
}

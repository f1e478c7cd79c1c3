//! What one program has printed so far, over all its runs, each line with the time it came; and waiting for a
//! line. Not the process itself, and no judgement about what was printed.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::Value;

/// One line of standard output.
#[derive(Debug, Clone)]
pub struct Line {
    /// Which run of the program printed it, from 1.
    pub run: usize,
    /// When it was read.
    pub at: Instant,
    /// As printed, without the newline.
    pub text: String,
    /// Parsed; null where it is not JSON.
    pub json: Value,
}

impl Line {
    /// The value of key `event`, empty where there is none.
    #[must_use]
    pub fn event(&self) -> &str {
        self.json["event"].as_str().unwrap_or("")
    }
}

#[derive(Default)]
struct Printed {
    lines: Vec<Line>,
    stderr: Vec<u8>,
    run: usize,
    run_begins_at: usize,
    ended: bool,
}

/// Everything one program printed.
#[derive(Default)]
pub struct Log {
    printed: Mutex<Printed>,
    changed: Condvar,
}

/// Why a wait ended without what it waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// The time is over.
    Late,
    /// The program closed its output.
    Ended,
}

impl Log {
    fn printed(&self) -> MutexGuard<'_, Printed> {
        self.printed.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A new run begins. Returns its number.
    pub fn begin_run(&self) -> usize {
        let mut printed = self.printed();
        printed.run += 1;
        printed.run_begins_at = printed.lines.len();
        printed.ended = false;
        let note = format!("--- run {} ---\n", printed.run);
        printed.stderr.extend_from_slice(note.as_bytes());
        printed.run
    }

    /// A whole line came from `run`.
    pub fn add_line(&self, run: usize, text: String) {
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        self.printed().lines.push(Line { run, at: Instant::now(), text, json });
        self.changed.notify_all();
    }

    /// Bytes came on standard error.
    pub fn add_stderr(&self, bytes: &[u8]) {
        self.printed().stderr.extend_from_slice(bytes);
        self.changed.notify_all();
    }

    /// `run` closed its standard output.
    pub fn end_run(&self, run: usize) {
        let mut printed = self.printed();
        if printed.run == run {
            printed.ended = true;
        }
        self.changed.notify_all();
    }

    /// Where the current run's lines begin.
    #[must_use]
    pub fn run_begins_at(&self) -> usize {
        self.printed().run_begins_at
    }

    /// How many lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.printed().lines.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of all lines from `from` on that `wanted` accepts.
    #[must_use]
    pub fn lines(&self, from: usize, wanted: impl Fn(&Line) -> bool) -> Vec<Line> {
        self.printed().lines.iter().skip(from).filter(|line| wanted(line)).cloned().collect()
    }

    /// Writes everything to `DIR/<name>-<this process>.log` if `HOMING_LOG_DIR` names a folder: what the ends of a
    /// failed test's logs do not show. Times are seconds before now.
    pub fn keep(&self, name: &str) {
        let Some(dir) = std::env::var_os("HOMING_LOG_DIR") else { return };
        let printed = self.printed();
        let lines = printed
            .lines
            .iter()
            .map(|line| format!("[{}] -{:.3} {}\n", line.run, line.at.elapsed().as_secs_f64(), line.text));
        let all: String = lines.chain([String::from_utf8_lossy(&printed.stderr).into_owned()]).collect();
        let path = std::path::Path::new(&dir).join(format!("{name}-{}.log", std::process::id()));
        if let Err(error) = std::fs::write(&path, all) {
            eprintln!("cannot write {}: {error}", path.display());
        }
    }

    /// Everything on standard error, all runs.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.printed().stderr).into_owned()
    }

    /// Shows `look` every line from `from` on, each once, until it returns something.
    ///
    /// # Errors
    /// [`Missed`] when `patience` is over or the program has ended first.
    pub fn wait<T>(
        &self,
        from: usize,
        patience: Duration,
        mut look: impl FnMut(&Line) -> Option<T>,
    ) -> Result<T, Missed> {
        let end = Instant::now() + patience;
        let mut next = from;
        let mut printed = self.printed();
        loop {
            while let Some(line) = printed.lines.get(next) {
                if let Some(found) = look(line) {
                    return Ok(found);
                }
                next += 1;
            }
            if printed.ended {
                return Err(Missed::Ended);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Missed::Late);
            }
            printed = match self.changed.wait_timeout(printed, left) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// The last lines and the standard error, for a failed test.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        let printed = self.printed();
        let skip = printed.lines.len().saturating_sub(lines);
        let mut text = String::new();
        for line in printed.lines.iter().skip(skip) {
            let short: String = line.text.chars().take(300).collect();
            text.push_str(&format!("  [{}] {short}\n", line.run));
        }
        let stderr = String::from_utf8_lossy(&printed.stderr);
        let from = stderr.len().saturating_sub(6_000);
        let from = (from..stderr.len()).find(|at| stderr.is_char_boundary(*at)).unwrap_or(0);
        format!("{text}  standard error:\n{}", &stderr[from..])
    }
}

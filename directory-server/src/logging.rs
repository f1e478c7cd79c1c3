//! The log: lines on standard error, at most so many a second, then a count of what was left out. It says what
//! happened, never what a message holds.

use std::io::{self, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Most log lines in a second.
pub const LINES_PER_SECOND: u32 = 100;

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Warnings and errors.
    Quiet,
    /// What an operator wants to know.
    Normal,
    /// Each session.
    Verbose,
    /// Each frame's kind.
    Trace,
}

impl Level {
    /// From the counts of `-v` and `-q`.
    #[must_use]
    pub fn new(verbose: u8, quiet: bool) -> Self {
        match (quiet, verbose) {
            (true, _) => Self::Quiet,
            (false, 0) => Self::Normal,
            (false, 1) => Self::Verbose,
            (false, _) => Self::Trace,
        }
    }

    fn directive(self) -> &'static str {
        match self {
            Self::Quiet => "warn",
            Self::Normal => "info",
            Self::Verbose => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Starts the log of this process. `RUST_LOG`, where set, beats `level`.
pub fn start(level: Level, json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level.directive()));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(Throttled::new(json, io::stderr));
    // A second start in one process (tests) keeps the first log.
    let _ = if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
}

struct Second {
    began: Instant,
    written: u32,
    left_out: u64,
}

/// A writer of whole lines that lets so many a second through.
struct Throttled<M> {
    json: bool,
    inner: M,
    second: Mutex<Second>,
}

impl<M> Throttled<M> {
    fn new(json: bool, inner: M) -> Self {
        Self { json, inner, second: Mutex::new(Second { began: Instant::now(), written: 0, left_out: 0 }) }
    }

    /// Whether a line may be written at `now`, and how many were left out before it.
    fn admit(&self, now: Instant) -> (bool, u64) {
        let Ok(mut second) = self.second.lock() else { return (true, 0) };
        let mut left_out = 0;
        if now.duration_since(second.began) >= Duration::from_secs(1) {
            left_out = second.left_out;
            *second = Second { began: now, written: 0, left_out: 0 };
        }
        if second.written >= LINES_PER_SECOND {
            second.left_out += 1;
            return (false, 0);
        }
        second.written += 1;
        (true, left_out)
    }
}

impl<'a, W: Write, M: Fn() -> W + 'a> MakeWriter<'a> for Throttled<M> {
    type Writer = Line<W>;

    fn make_writer(&'a self) -> Line<W> {
        let (admitted, left_out) = self.admit(Instant::now());
        let mut writer = (self.inner)();
        if left_out > 0 {
            let note = if self.json {
                format!(
                    "{{\"level\":\"WARN\",\"fields\":{{\"message\":\"log lines left out\",\"count\":{left_out}}}}}\n"
                )
            } else {
                format!("WARN {left_out} log lines left out\n")
            };
            let _ = writer.write_all(note.as_bytes());
        }
        Line(admitted.then_some(writer))
    }
}

/// One line's writer; without a writer the line is left out.
struct Line<W>(Option<W>);

impl<W: Write> Write for Line<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A log that nobody reads any more must not disturb the server.
        if let Some(writer) = &mut self.0 {
            let _ = writer.write_all(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_takes_so_many_lines_and_the_next_tells_how_many_were_left_out() {
        let throttled = Throttled::new(false, io::sink);
        let start = Instant::now();
        let admitted = (0..150).filter(|_| throttled.admit(start).0).count();
        assert_eq!(admitted, LINES_PER_SECOND as usize);
        assert_eq!(throttled.admit(start + Duration::from_secs(1)), (true, 50));
        assert_eq!(throttled.admit(start + Duration::from_secs(1)), (true, 0));
    }
}

//! What happened in a simulated world: a hash over all of it, and its last lines.

use std::collections::VecDeque;
use std::fmt::Write as _;

const LINES: usize = 400;

/// The trace of one run.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hash: u64,
    lines: VecDeque<String>,
    /// Keeps everything and says more.
    pub(crate) verbose: bool,
    pub(crate) events: u64,
}

impl Trace {
    pub(crate) fn new(verbose: bool) -> Self {
        Self { verbose, ..Self::default() }
    }

    /// Notes one thing that happened.
    pub(crate) fn note(&mut self, at_ms: u64, what: std::fmt::Arguments<'_>) {
        let mut line = String::with_capacity(96);
        let _ = write!(line, "{:>4}.{:03} {what}", at_ms / 1_000, at_ms % 1_000);
        self.events += 1;
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(5);
        }
        if self.lines.len() >= LINES && !self.verbose {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }
}

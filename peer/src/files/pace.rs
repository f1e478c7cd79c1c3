//! How fast a file flows: whether it is silent, or so slow that it makes room for another one, and when its progress is told
//! again. Not here: who is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Without a byte for so long, a file is broken off.
pub(super) const SILENT: Duration = Duration::from_secs(15);
/// Progress is told so often at most.
pub(super) const TELL_EVERY: Duration = Duration::from_millis(250);
/// Below so many bytes in [`WINDOW`], a file makes room when another one needs it.
const SLOW_BYTES: u64 = 1024 * 1024;
const WINDOW: Duration = Duration::from_secs(60);

/// Watches one file.
#[derive(Debug)]
pub(super) struct Pace {
    told: Option<u64>,
    last_told: Instant,
    begun: Instant,
    before: u64,
    slow: Slow,
}

/// Whether a file was slow in the last window.
#[derive(Debug, Clone, Default)]
pub(super) struct Slow(Arc<AtomicBool>);

impl Slow {
    pub(super) fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Pace {
    pub(super) fn new(slow: Slow) -> Self {
        let now = Instant::now();
        Self { told: None, last_told: now, begun: now, before: 0, slow }
    }

    /// So many bytes have flowed: what of that is to be told now.
    pub(super) fn at(&mut self, bytes: u64, now: Instant) -> Option<u64> {
        if now.duration_since(self.begun) >= WINDOW {
            self.slow.0.store(bytes.saturating_sub(self.before) < SLOW_BYTES, Ordering::Relaxed);
            (self.begun, self.before) = (now, bytes);
        }
        let due = self.told.is_none() || now.duration_since(self.last_told) >= TELL_EVERY;
        if !due || self.told == Some(bytes) {
            return None;
        }
        (self.told, self.last_told) = (Some(bytes), now);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_at_most_four_times_a_second_and_only_when_there_is_some() {
        let mut pace = Pace::new(Slow::default());
        let start = Instant::now();
        let mut told = 0;
        for step in 0..1_000 {
            told += usize::from(pace.at(step, start + Duration::from_millis(step)).is_some());
        }
        assert_eq!(told, 4);
        assert_eq!(pace.at(2_000, start + Duration::from_millis(2_000)), Some(2_000));
        assert_eq!(pace.at(2_000, start + Duration::from_millis(9_000)), None);
    }

    #[test]
    fn a_file_is_slow_by_what_it_did_in_the_last_window() {
        let slow = Slow::default();
        let mut pace = Pace::new(slow.clone());
        let start = Instant::now();
        pace.at(10, start + WINDOW / 2);
        assert!(!slow.is(), "it has just begun");
        pace.at(20, start + WINDOW);
        assert!(slow.is());
        pace.at(20 + SLOW_BYTES, start + 2 * WINDOW);
        assert!(!slow.is());
    }
}

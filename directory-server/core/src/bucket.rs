//! A token bucket: the arithmetic of every rate. Whose rate it is, and what happens above it, is not here.

use crate::limits::Rate;

/// How much of a [`Rate`] is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// When the bucket will be full again, milliseconds; in the past: it is full.
    full_at_ms: u64,
}

impl Bucket {
    /// A full one.
    pub fn full() -> Self {
        Self { full_at_ms: 0 }
    }

    /// How many may pass now.
    pub fn level(&self, rate: Rate, now_ms: u64) -> u32 {
        let missing = self.full_at_ms.saturating_sub(now_ms).div_ceil(rate.every_ms.max(1));
        rate.burst.saturating_sub(u32::try_from(missing).unwrap_or(u32::MAX))
    }

    /// Lets one pass if one may.
    pub fn take(&mut self, rate: Rate, now_ms: u64) -> bool {
        self.take_many(1, rate, now_ms)
    }

    /// Lets one pass that weighs as much as `weight` of them, if it may. Nothing weighs more than a full bucket.
    pub fn take_many(&mut self, weight: u32, rate: Rate, now_ms: u64) -> bool {
        let weight = weight.min(rate.burst);
        let free = self.level(rate, now_ms) >= weight;
        if free {
            self.full_at_ms = self.full_at_ms.max(now_ms) + rate.every_ms * u64::from(weight);
        }
        free
    }

    /// When one may pass, at the earliest now.
    pub fn next_ms(&self, rate: Rate, now_ms: u64) -> u64 {
        self.next_many_ms(1, rate, now_ms)
    }

    /// When one that weighs as much as `weight` may pass, at the earliest now.
    pub fn next_many_ms(&self, weight: u32, rate: Rate, now_ms: u64) -> u64 {
        let span = rate.every_ms * u64::from(rate.burst.saturating_sub(weight));
        self.full_at_ms.saturating_sub(span).max(now_ms)
    }

    /// When the bucket is full again.
    pub fn full_at_ms(&self) -> u64 {
        self.full_at_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, every_ms: 100 };

    #[test]
    fn a_burst_passes_and_then_one_every_so_often() {
        let mut bucket = Bucket::full();
        assert!((0..3).all(|_| bucket.take(RATE, 1_000)));
        assert!(!bucket.take(RATE, 1_000));
        assert_eq!(bucket.next_ms(RATE, 1_000), 1_100);
        assert!(!bucket.take(RATE, 1_099));
        assert!(bucket.take(RATE, 1_100));
        assert!(!bucket.take(RATE, 1_100));
    }

    #[test]
    fn what_weighs_more_takes_more_and_never_more_than_there_can_be() {
        let mut bucket = Bucket::full();
        assert!(bucket.take_many(2, RATE, 0));
        assert!(!bucket.take_many(2, RATE, 0));
        assert_eq!(bucket.next_many_ms(2, RATE, 0), 100);
        assert!(bucket.take_many(2, RATE, 100));
        assert!(bucket.take_many(9, RATE, 1_000_000));
        assert!(!bucket.take(RATE, 1_000_000));
    }

    #[test]
    fn a_rest_fills_it_again_and_never_over_the_burst() {
        let mut bucket = Bucket::full();
        assert!((0..3).all(|_| bucket.take(RATE, 0)));
        assert_eq!(bucket.full_at_ms(), 300);
        assert_eq!((0..9).filter(|_| bucket.take(RATE, 1_000_000)).count(), 3);
    }
}

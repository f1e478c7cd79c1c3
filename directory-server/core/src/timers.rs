//! The one table of deadlines. What happens at one is the composer's business.

use std::collections::{BTreeMap, BTreeSet};

use common::identity::PublicKey;

use crate::event::SessionId;

/// What a deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// When to close a session that is not logged in yet, or silent.
    Session(SessionId),
    /// When to take up the delayed frames of a session.
    Flow(SessionId),
    /// When to send the last state of a person, or to forget the rate of its notices.
    Notice(PublicKey),
    /// When to tell everybody who came and left.
    Notices,
    /// When to look for what has expired.
    Expire,
}

/// Deadlines, one at most for each [`Timer`].
#[derive(Debug, Default)]
pub struct Timers {
    by_time: BTreeSet<(u64, Timer)>,
    by_timer: BTreeMap<Timer, u64>,
}

impl Timers {
    /// Sets or moves one.
    pub fn set(&mut self, timer: Timer, at_ms: u64) {
        self.cancel(timer);
        self.by_timer.insert(timer, at_ms);
        self.by_time.insert((at_ms, timer));
    }

    /// Removes one, if it is set.
    pub fn cancel(&mut self, timer: Timer) {
        if let Some(at_ms) = self.by_timer.remove(&timer) {
            self.by_time.remove(&(at_ms, timer));
        }
    }

    /// The earliest deadline.
    pub fn next_ms(&self) -> Option<u64> {
        self.by_time.first().map(|(at_ms, _)| *at_ms)
    }

    /// Takes the earliest timer if it is due.
    pub fn due(&mut self, now_ms: u64) -> Option<Timer> {
        let (at_ms, timer) = *self.by_time.first()?;
        (at_ms <= now_ms).then(|| {
            self.cancel(timer);
            timer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_set_twice_fires_once_at_the_later_word() {
        let mut timers = Timers::default();
        timers.set(Timer::Expire, 10);
        timers.set(Timer::Expire, 20);
        assert_eq!(timers.due(15), None);
        assert_eq!(timers.next_ms(), Some(20));
        assert_eq!(timers.due(20), Some(Timer::Expire));
        assert_eq!(timers.due(20), None);
    }
}

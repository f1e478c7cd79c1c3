//! One table of deadlines. Each timer says what it is for; setting it again moves it.

use std::collections::{BTreeMap, BTreeSet};

use common::group::GroupId;
use common::identity::PublicKey;

use crate::event::{LinkId, Source};

/// A deadline, by what is to be done then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// Connect to the directory again.
    Reconnect,
    /// Say something to the directory, or find it dead.
    KeepAlive,
    /// Look after the messages and the link of one person.
    Peer(PublicKey),
    /// Held-back messages of one person may be shown.
    Gap(PublicKey),
    /// The command a source waits for takes too long.
    Command(Source),
    /// Leaving takes too long.
    Leave,
    /// Prekeys are to be looked after.
    Prekeys,
    /// Facts about the store are to be written.
    Meta,
    /// Evidence of a rollback that came too soon after a new epoch.
    Epoch,
    /// The countdown of a text may be over.
    Vanish,
    /// Gathered changes of presence are to be told.
    Notices,
    /// The directory is to be told again what one is.
    Standing,
    /// A link that is not greeted yet, or a stranger's, has been idle.
    Link(LinkId),
    /// A file may go on.
    Files,
    /// A group's chain is to be asked for, or what waits for it is to be looked at.
    Chain(GroupId),
    /// The directory is to be given what it has lost of groups.
    Restore,
    /// What happened in groups is told, names or no names.
    GroupEvents,
}

/// The table.
#[derive(Debug, Default)]
pub struct Timers {
    due: BTreeSet<(u64, Timer)>,
    at: BTreeMap<Timer, u64>,
}

impl Timers {
    /// Sets a timer to a time, milliseconds of the monotonic clock; moves it if it is set.
    pub fn set(&mut self, timer: Timer, at_ms: u64) {
        if let Some(before) = self.at.insert(timer, at_ms) {
            self.due.remove(&(before, timer));
        }
        self.due.insert((at_ms, timer));
    }

    /// Sets a timer unless it is set to an earlier time.
    pub fn set_by(&mut self, timer: Timer, at_ms: u64) {
        if self.at.get(&timer).is_none_or(|before| *before > at_ms) {
            self.set(timer, at_ms);
        }
    }

    /// Forgets a timer.
    pub fn clear(&mut self, timer: Timer) {
        if let Some(before) = self.at.remove(&timer) {
            self.due.remove(&(before, timer));
        }
    }

    /// The next deadline.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.due.first().map(|(at_ms, _)| *at_ms)
    }

    /// Takes one timer that is due.
    pub fn pop(&mut self, now_ms: u64) -> Option<Timer> {
        let (at_ms, timer) = *self.due.first()?;
        if at_ms > now_ms {
            return None;
        }
        self.clear(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_moves_and_fires_once() {
        let mut timers = Timers::default();
        timers.set(Timer::Leave, 10);
        timers.set_by(Timer::Leave, 20);
        timers.set_by(Timer::Leave, 5);
        timers.set(Timer::Meta, 7);
        assert_eq!(timers.next(), Some(5));
        assert_eq!(timers.pop(4), None);
        assert_eq!((timers.pop(9), timers.pop(9), timers.pop(9)), (Some(Timer::Leave), Some(Timer::Meta), None));
    }
}

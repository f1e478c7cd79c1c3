//! Elapsed time that survives restarts, and message ids that only grow. Both must not trust the wall clock.

use common::message::MessageId;

use crate::event::Now;
use crate::limits::CLOCK_TRUST_MS;

/// The age of this store: elapsed milliseconds, time switched off included. A step of the wall clock of more than an
/// hour counts only when the directory's clock agrees with it.
#[derive(Debug)]
pub struct AgeClock {
    age_ms: u64,
    last: Now,
    unconfirmed_ms: u64,
}

impl AgeClock {
    /// Goes on from a written (age, wall clock), or starts at 0.
    #[must_use]
    pub fn new(written: Option<(u64, i64)>, now: Now) -> Self {
        let (age_ms, wall_ms) = written.unwrap_or((0, now.wall_ms));
        let mut clock = Self { age_ms, last: now, unconfirmed_ms: 0 };
        clock.step(now.wall_ms.saturating_sub(wall_ms));
        clock
    }

    fn step(&mut self, step_ms: i64) {
        if step_ms > CLOCK_TRUST_MS {
            self.unconfirmed_ms += step_ms.unsigned_abs();
        } else if step_ms > 0 {
            self.age_ms += step_ms.unsigned_abs();
        }
    }

    /// Takes notice of the time.
    pub fn observe(&mut self, now: Now) {
        let ran_ms = now.mono_ms.saturating_sub(self.last.mono_ms);
        self.age_ms += ran_ms;
        // What the wall clock went further than the running time is a sleep of the machine, or a clock set anew.
        let ahead_ms = now.wall_ms.saturating_sub(self.last.wall_ms).saturating_sub_unsigned(ran_ms);
        if ahead_ms > 1_000 {
            self.step(ahead_ms);
        }
        self.last = now;
    }

    /// The directory's clock, milliseconds since 1970: confirms a step if this wall clock agrees with it.
    pub fn confirm(&mut self, directory_ms: i64, now: Now) {
        if directory_ms.abs_diff(now.wall_ms) <= CLOCK_TRUST_MS.unsigned_abs() {
            self.age_ms += self.unconfirmed_ms;
        }
        self.unconfirmed_ms = 0;
    }

    /// The age as of the last observation, milliseconds.
    #[must_use]
    pub fn age_ms(&self) -> u64 {
        self.age_ms
    }
}

/// Makes message ids that always grow, even when the clock steps back.
#[derive(Debug)]
pub struct IdMaker {
    last: Option<MessageId>,
}

impl IdMaker {
    /// Goes on after the newest id of the store.
    #[must_use]
    pub fn new(last: Option<MessageId>) -> Self {
        Self { last }
    }

    /// The next id.
    pub fn make(&mut self, now: Now, random: [u8; 10]) -> MessageId {
        let now_ms = u64::try_from(now.wall_ms).unwrap_or(0);
        let mut id = MessageId::new(now_ms, random);
        if let Some(last) = self.last
            && id <= last
        {
            id = MessageId::new(last.unix_ms() + 1, random);
        }
        self.last = Some(id);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono_ms: u64, wall_ms: i64) -> Now {
        Now { mono_ms, wall_ms }
    }

    #[test]
    fn time_switched_off_counts_and_a_great_step_waits_for_the_directory() {
        let mut clock = AgeClock::new(Some((500, 1_000)), at(0, 61_000));
        assert_eq!(clock.age_ms(), 60_500);
        clock.observe(at(1_000, 62_000));
        assert_eq!(clock.age_ms(), 61_500);
        let ten_years = 315_360_000_000;
        clock.observe(at(2_000, 63_000 + ten_years));
        assert_eq!(clock.age_ms(), 62_500);
        clock.confirm(63_000, at(2_000, 63_000 + ten_years));
        assert_eq!(clock.age_ms(), 62_500);
    }

    #[test]
    fn a_week_off_counts_once_the_directory_confirms_it() {
        let week = 7 * 86_400_000;
        let mut clock = AgeClock::new(Some((0, 0)), at(0, week));
        assert_eq!(clock.age_ms(), 0);
        clock.confirm(week + 5, at(0, week));
        assert_eq!(clock.age_ms(), week.unsigned_abs());
    }

    #[test]
    fn a_clock_set_back_takes_nothing_away() {
        let mut clock = AgeClock::new(Some((1_000, 1_000_000)), at(0, 0));
        clock.observe(at(10, -5_000_000));
        assert_eq!(clock.age_ms(), 1_010);
    }

    #[test]
    fn ids_grow_when_the_clock_steps_back() {
        let mut maker = IdMaker::new(None);
        let first = maker.make(at(0, 1_000_000), [0xff; 10]);
        let second = maker.make(at(0, 10), [0; 10]);
        let third = maker.make(at(0, 1_000_000), [0; 10]);
        assert!(first < second && second < third);
    }
}

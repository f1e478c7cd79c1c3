//! Elapsed time that survives restarts, and message ids that only grow. Both must not trust the wall clock.

use common::message::MessageId;
use common::planted::{self, Bug};

use crate::event::Now;
use crate::limits::CLOCK_TRUST_MS;

/// Written in place of a wall clock that nobody has confirmed yet.
const UNANCHORED_MS: i64 = i64::MIN;

/// The age of this store: elapsed milliseconds, time switched off included. It keeps a trusted wall clock, which runs with
/// the time counted; where the system's clock is ahead of it by up to an hour, that is counted at once (a sleep, a short
/// time switched off), and more only when the directory's clock agrees. A clock that is behind takes nothing away, and
/// nothing is counted when it comes back.
#[derive(Debug)]
pub struct AgeClock {
    age_ms: u64,
    mono_ms: u64,
    trusted_ms: i64,
    /// The trusted clock goes back to one that was counted before or confirmed: not to the first guess of a new store.
    anchored: bool,
}

impl AgeClock {
    /// Goes on from a written (age, trusted wall clock), or starts at 0.
    #[must_use]
    pub fn new(written: Option<(u64, i64)>, now: Now) -> Self {
        let (age_ms, trusted_ms) = written.unwrap_or((0, UNANCHORED_MS));
        let anchored = trusted_ms != UNANCHORED_MS;
        let trusted_ms = if anchored { trusted_ms } else { now.wall_ms };
        let mut clock = Self { age_ms, mono_ms: now.mono_ms, trusted_ms, anchored };
        clock.observe(now);
        clock
    }

    /// Takes notice of the time.
    pub fn observe(&mut self, now: Now) {
        let ran_ms = now.mono_ms.saturating_sub(self.mono_ms);
        self.mono_ms = now.mono_ms;
        self.age_ms += ran_ms;
        self.trusted_ms = self.trusted_ms.saturating_add_unsigned(ran_ms);
        let ahead_ms = now.wall_ms.saturating_sub(self.trusted_ms);
        let trusted_ms = if planted::is(Bug::WallClockLifetime) { i64::MAX } else { CLOCK_TRUST_MS };
        if (1_000..=trusted_ms).contains(&ahead_ms) {
            self.count(ahead_ms);
        }
    }

    fn count(&mut self, ahead_ms: i64) {
        self.age_ms += u64::try_from(ahead_ms).unwrap_or(0);
        self.trusted_ms = self.trusted_ms.saturating_add(ahead_ms.max(0));
    }

    /// The directory's clock, milliseconds since 1970: where the system's clock agrees with it, that one is trusted.
    /// Returns how much was counted only now.
    pub fn confirm(&mut self, directory_ms: i64, now: Now) -> u64 {
        if directory_ms.abs_diff(now.wall_ms) > CLOCK_TRUST_MS.unsigned_abs() {
            return 0;
        }
        let before_ms = self.age_ms;
        if std::mem::replace(&mut self.anchored, true) {
            self.count(now.wall_ms.saturating_sub(self.trusted_ms));
        }
        self.trusted_ms = now.wall_ms;
        self.age_ms - before_ms
    }

    /// Whether time may be counted at once when the directory confirms it: the system's clock is far ahead.
    #[must_use]
    pub fn waits_for_word(&self, now: Now) -> bool {
        self.anchored && now.wall_ms.saturating_sub(self.trusted_ms) > CLOCK_TRUST_MS
    }

    /// The age as of the last observation, milliseconds.
    #[must_use]
    pub fn age_ms(&self) -> u64 {
        self.age_ms
    }

    /// The trusted wall clock, milliseconds since 1970: to be written with the age. A mark of its own while no directory
    /// has confirmed it, so that a first guess is not trusted after a restart either.
    #[must_use]
    pub fn trusted_ms(&self) -> i64 {
        if self.anchored { self.trusted_ms } else { UNANCHORED_MS }
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

    /// The newest id that was made.
    #[must_use]
    pub fn last(&self) -> Option<MessageId> {
        self.last
    }

    /// The next id is higher than this one too.
    pub fn follow(&mut self, id: MessageId) {
        self.last = self.last.max(Some(id));
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
        assert_eq!(clock.confirm(63_000, at(2_000, 63_000 + ten_years)), 0);
        assert_eq!(clock.age_ms(), 62_500);
    }

    #[test]
    fn a_week_off_counts_once_the_directory_confirms_it() {
        let week = 7 * 86_400_000;
        let mut clock = AgeClock::new(Some((0, 0)), at(0, week));
        assert_eq!(clock.age_ms(), 0);
        assert!(clock.waits_for_word(at(0, week)));
        assert_eq!(clock.confirm(week + 5, at(0, week)), week.unsigned_abs());
        assert_eq!(clock.age_ms(), week.unsigned_abs());
        assert!(!clock.waits_for_word(at(0, week)));
    }

    #[test]
    fn a_clock_set_back_takes_nothing_away_and_its_return_counts_nothing() {
        let now_ms = 1_700_000_000_000;
        let mut clock = AgeClock::new(Some((1_000, now_ms)), at(0, 0));
        clock.observe(at(10, 10));
        assert_eq!(clock.age_ms(), 1_010);
        clock.observe(at(20, now_ms + 20));
        clock.confirm(now_ms + 20, at(20, now_ms + 20));
        assert_eq!((clock.age_ms(), clock.trusted_ms()), (1_020, now_ms + 20));
    }

    #[test]
    fn a_new_store_on_a_machine_without_a_clock_does_not_age_by_decades() {
        let now_ms = 1_700_000_000_000;
        let mut clock = AgeClock::new(None, at(0, 0));
        clock.observe(at(5_000, now_ms));
        clock.confirm(now_ms, at(5_000, now_ms));
        assert_eq!(clock.age_ms(), 5_000);
    }

    #[test]
    fn a_first_guess_is_not_trusted_after_a_restart() {
        let now_ms = 1_700_000_000_000;
        let guessed = AgeClock::new(None, at(0, 0));
        let mut clock = AgeClock::new(Some((70, guessed.trusted_ms())), at(0, now_ms));
        clock.confirm(now_ms, at(0, now_ms));
        assert_eq!((clock.age_ms(), clock.trusted_ms()), (70, now_ms));
    }

    #[test]
    fn an_id_of_somebody_else_can_be_outdone() {
        let mut maker = IdMaker::new(None);
        let ahead = MessageId::new(5_000_000, [0xff; 10]);
        maker.follow(ahead);
        let next = maker.make(at(0, 1_000), [0; 10]);
        assert!(next > ahead && maker.last() == Some(next));
        maker.follow(ahead);
        assert_eq!(maker.last(), Some(next), "an older one takes nothing back");
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

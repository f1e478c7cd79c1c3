//! Texts that go some time after they were read: how long, by conversation, and the countdowns.

use common::body::{Body, Expiry};
use common::limits::{DAY_MS, HOUR_MS};
use common::message::MessageId;

use super::{Committed, Lines, Messenger};
use crate::command::{Command, To};
use crate::event::{Answer, CommandId, Event};
use crate::messenger::Then;
use crate::messenger::posting::Waiting;
use crate::stored::{StoreOp, StoredMessage, Talk};
use crate::timers::Timer;

/// Countdowns wait so long for the directory's word on the time, from the start of the program, milliseconds.
const WORD_PATIENCE_MS: u64 = 10 * 60_000;
/// The word of somebody whose clock is further ahead does not count, milliseconds.
const AHEAD_MAX_MS: u64 = DAY_MS;
/// Two looks at the countdowns are at least so far apart, milliseconds.
const LOOK_PACE_MS: u64 = 50;

impl Lines {
    /// How long texts of a conversation stay once read, milliseconds.
    pub(super) fn duration(&self, talk: &Talk) -> Option<u64> {
        self.durations.get(talk).and_then(|(_, after_ms)| *after_ms)
    }

    /// The message `id` says how long. Whether it is the newest to do so, for the first time.
    fn set_duration(&mut self, talk: Talk, id: MessageId, after_ms: Option<u64>) -> bool {
        let newer = self.durations.get(&talk).is_none_or(|(before, _)| *before < id);
        if newer {
            self.durations.insert(talk, (id, after_ms));
        }
        newer
    }

    fn is_newest(&self, talk: &Talk, id: &MessageId) -> bool {
        self.durations.get(talk).is_some_and(|(newest, _)| newest == id)
    }
}

impl Messenger {
    pub(in crate::messenger) fn expire(&mut self, id: CommandId, with: &To, after_ms: Option<u64>, command: Command) {
        match (self.talk_of(with), with) {
            (Some(Talk::Pair(key)), _) if !self.is_demanded(id, key, with.fingerprint()) => {}
            (Some(talk), _) => self.expire_in(id, talk, after_ms),
            (None, To::Person { name, .. }) => {
                if !self.lacks_room(id) {
                    self.find(id, name.clone(), command);
                }
            }
            (None, To::Group(_)) => self.nothing_with(id, with),
        }
    }

    /// Whether own ids may have to be above this one: they never come down again, and others refuse what is far ahead.
    pub(super) fn is_timely(&self, id: &MessageId) -> bool {
        let now_ms = u64::try_from(self.now.wall_ms).unwrap_or(0);
        id.unix_ms() <= now_ms.saturating_add(AHEAD_MAX_MS)
    }

    /// From now on the texts of a conversation stay so long.
    fn expire_in(&mut self, id: CommandId, talk: Talk, after_ms: Option<u64>) {
        let newest = self.lines.durations.get(&talk).map(|(newest, _)| *newest);
        if let Some(newest) = newest.filter(|newest| self.is_timely(newest)) {
            // The highest id counts, and the other's clock may be ahead.
            self.ids.follow(newest);
        }
        let answer = Box::new(Answer::Expiry { conversation: self.talk_name(&talk), after_ms });
        let body = Body::Expiry(Expiry { after_ms });
        let Some(by) = self.post_in(id, Waiting::With(id, answer), talk, body, None) else { return };
        self.lines.set_duration(talk, by, after_ms);
        self.store(StoreOp::PutDuration { talk, id: by, after_ms }, Then::Nothing);
    }

    /// Somebody says how long texts stay, and that is committed.
    pub(super) fn expiry_arrived(&mut self, message: &StoredMessage, after_ms: Option<u64>) {
        let talk = message.talk();
        if self.lines.set_duration(talk, message.id, after_ms) {
            self.store(StoreOp::PutDuration { talk, id: message.id, after_ms }, Then::Nothing);
        }
        if !self.config.shows {
            return;
        }
        if self.lines.is_newest(&talk, &message.id) {
            let (conversation, by) = (self.talk_name(&talk), self.called(&message.sender));
            self.tell(Event::Expiry { conversation, by, after_ms, mark: message.n });
        } else {
            self.store(StoreOp::Shown(vec![message.n]), Then::Nothing);
        }
    }

    /// A text that vanishes is on somebody's disk: its countdown may begin.
    pub(in crate::messenger) fn may_count_down(&mut self, kind: u16) {
        self.lines.count_down |= kind == Body::VANISHING;
    }

    /// Countdowns begin, and what is over goes.
    pub(in crate::messenger) fn count_down(&mut self) {
        // A long absence that is not confirmed yet would be counted to texts that were read after it. Nobody waits for long: where
        // the directory is not there, or does not agree, nothing is counted.
        let waits = !self.lines.heard_the_time && self.now.mono_ms < WORD_PATIENCE_MS;
        if !(waits && self.clock.waits_for_word(self.now)) && std::mem::take(&mut self.lines.count_down) {
            // A countdown is over at an age: that must not fall back behind where it began.
            self.meta_changed = true;
            let age_ms = self.clock.age_ms();
            self.store(StoreOp::Countdown { age_ms }, Then::Nothing);
            self.store(StoreOp::Vanish { age_ms }, Then::Lines(Committed::Vanished));
        }
    }

    /// A countdown may be over.
    pub(in crate::messenger) fn vanish_due(&mut self) {
        let Some(next_ms) = self.lines.next_vanish_ms else { return };
        let wait_ms = next_ms.saturating_sub(self.clock.age_ms());
        if wait_ms == 0 {
            self.lines.count_down = true;
        } else {
            // Time switched off counts once it is confirmed, so the clock may leap.
            self.timers.set(Timer::Vanish, self.now.mono_ms + wait_ms.clamp(LOOK_PACE_MS, HOUR_MS));
        }
    }

    pub(super) fn on_vanished(&mut self, numbers: Vec<u64>, next_age_ms: Option<u64>) {
        self.lines.next_vanish_ms = next_age_ms;
        match next_age_ms {
            Some(next_ms) => {
                let wait_ms = next_ms.saturating_sub(self.clock.age_ms());
                self.timers.set(Timer::Vanish, self.now.mono_ms + wait_ms.clamp(LOOK_PACE_MS, HOUR_MS));
            }
            None => self.timers.clear(Timer::Vanish),
        }
        if !numbers.is_empty() {
            self.tell(Event::Vanished(numbers));
        }
    }
}

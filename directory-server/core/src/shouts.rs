//! Who may say something to everybody now: one line a second for each key, later ones with later times, and no more of all
//! together than a small machine can hand on. What is said, and who hears it, is not here.

use std::collections::BTreeMap;

use common::identity::PublicKey;
use common::wire::directory::Refusal;

use crate::bucket::Bucket;
use crate::limits::{LISTENERS_PER_SHARE, Limits};

#[derive(Debug)]
struct Speaker {
    bucket: Bucket,
    last_ms: i64,
}

/// What was said lately, by whom and when.
#[derive(Debug)]
pub struct Shouts {
    speakers: BTreeMap<PublicKey, Speaker>,
    all: Bucket,
}

impl Default for Shouts {
    fn default() -> Self {
        Self { speakers: BTreeMap::new(), all: Bucket::full() }
    }
}

impl Shouts {
    /// Whether this key may speak now to so many listeners.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`].
    pub fn may(&self, key: &PublicKey, listeners: usize, limits: &Limits, now_ms: u64) -> Result<(), Refusal> {
        let own_ms = self.speakers.get(key).map_or(now_ms, |own| own.bucket.next_ms(limits.broadcasts, now_ms));
        let weight = weight(listeners).min(limits.shares.burst);
        let all_ms = self.all.next_many_ms(weight, limits.shares, now_ms);
        match own_ms.max(all_ms) - now_ms {
            0 => Ok(()),
            wait_ms => Err(Refusal::RateLimited(u32::try_from(wait_ms).unwrap_or(u32::MAX))),
        }
    }

    /// This key speaks, by its own clock at `at_ms`, after it [may](Shouts::may).
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for a time that is not later than that of its last line.
    pub fn speak(
        &mut self,
        key: PublicKey,
        at_ms: i64,
        listeners: usize,
        limits: &Limits,
        now_ms: u64,
    ) -> Result<(), Refusal> {
        if self.speakers.get(&key).is_some_and(|own| own.last_ms >= at_ms) {
            return Err(Refusal::Invalid);
        }
        let fresh = || Speaker { bucket: Bucket::full(), last_ms: at_ms };
        let own = self.speakers.entry(key).or_insert_with(fresh);
        own.last_ms = at_ms;
        own.bucket.take(limits.broadcasts, now_ms);
        self.all.take_many(weight(listeners), limits.shares, now_ms);
        if self.speakers.len() > limits.speakers {
            let quietest = self.speakers.iter().min_by_key(|(_, own)| own.bucket.full_at_ms()).map(|(key, _)| *key);
            quietest.map(|key| self.speakers.remove(&key));
        }
        Ok(())
    }
}

fn weight(listeners: usize) -> u32 {
    u32::try_from(listeners.div_ceil(LISTENERS_PER_SHARE)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Rate;

    const ME: PublicKey = PublicKey([1; 32]);
    const OTHER: PublicKey = PublicKey([2; 32]);

    fn limited(wait_ms: u32) -> Result<(), Refusal> {
        Err(Refusal::RateLimited(wait_ms))
    }

    #[test]
    fn a_key_speaks_once_a_second_and_others_are_not_held_up_by_it() {
        let (mut shouts, limits) = (Shouts::default(), Limits::default());
        assert_eq!(shouts.may(&ME, 30, &limits, 10_000), Ok(()));
        assert_eq!(shouts.speak(ME, 5, 30, &limits, 10_000), Ok(()));
        assert_eq!(shouts.may(&ME, 30, &limits, 10_400), limited(600));
        assert_eq!(shouts.may(&OTHER, 30, &limits, 10_400), Ok(()));
        assert_eq!(shouts.may(&ME, 30, &limits, 11_000), Ok(()));
    }

    #[test]
    fn a_line_that_is_not_later_is_an_old_one() {
        let (mut shouts, limits) = (Shouts::default(), Limits::default());
        assert_eq!(shouts.speak(ME, 5, 1, &limits, 0), Ok(()));
        assert_eq!(shouts.speak(ME, 5, 1, &limits, 5_000), Err(Refusal::Invalid));
        assert_eq!(shouts.speak(ME, 4, 1, &limits, 5_000), Err(Refusal::Invalid));
        assert_eq!(shouts.may(&ME, 1, &limits, 5_000), Ok(()), "what was refused does not count");
        assert_eq!(shouts.speak(ME, 6, 1, &limits, 5_000), Ok(()));
    }

    #[test]
    fn all_together_are_handed_on_to_so_many_people_a_second() {
        let mut shouts = Shouts::default();
        let limits = Limits { shares: Rate { burst: 4, every_ms: 100 }, ..Limits::default() };
        assert_eq!(shouts.speak(ME, 1, 4 * LISTENERS_PER_SHARE, &limits, 1_000), Ok(()));
        assert_eq!(shouts.may(&OTHER, 1, &limits, 1_000), limited(100));
        assert_eq!(shouts.may(&OTHER, LISTENERS_PER_SHARE + 1, &limits, 1_000), limited(200));
        assert_eq!(shouts.may(&OTHER, 1_000_000, &limits, 1_000), limited(400), "never more than there can be");
    }

    #[test]
    fn no_more_keys_are_remembered_than_so_many() {
        let mut shouts = Shouts::default();
        let limits = Limits { speakers: 2, ..Limits::default() };
        for who in 1..=5 {
            shouts.speak(PublicKey([who; 32]), 1, 1, &limits, u64::from(who) * 10).unwrap();
        }
        assert_eq!(shouts.speakers.keys().map(|key| key.0[0]).collect::<Vec<_>>(), [4, 5]);
    }
}

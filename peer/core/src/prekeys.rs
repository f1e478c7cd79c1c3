//! One's own prekeys: which one is offered, which ones still open mail, which are to be destroyed.

use std::collections::BTreeMap;

use crate::limits::{PREKEY_AHEAD_MS, PREKEY_GRACE_MS, PREKEY_LAST_MS, PREKEY_RENEW_MS, PREKEY_ROTATE_MS};
use crate::stored::OwnPrekey;

/// All own prekeys.
#[derive(Debug, Default)]
pub struct Prekeys {
    keys: BTreeMap<u64, OwnPrekey>,
    making: Option<u64>,
    /// A new one is due before its time.
    renew: bool,
    /// When one was made before its time, by the age clock.
    renewed_age_ms: Option<u64>,
    /// Highest counter of a lost one.
    heard: u64,
}

impl Prekeys {
    /// Those of the store.
    #[must_use]
    pub fn new(keys: Vec<OwnPrekey>) -> Self {
        Self { keys: keys.into_iter().map(|key| (key.counter, key)).collect(), ..Self::default() }
    }

    /// The newest, committed one.
    #[must_use]
    pub fn current(&self) -> Option<&OwnPrekey> {
        self.keys.values().next_back()
    }

    /// The one with this counter.
    #[must_use]
    pub fn with(&self, counter: u64) -> Option<&OwnPrekey> {
        self.keys.get(&counter)
    }

    /// The counter of a prekey to be made now, if one is due and none is being made. It follows the wall clock, so that
    /// a store that was put back does not give the counter of a prekey it has forgotten to another one.
    pub fn wants(&mut self, age_ms: u64, wall_ms: i64) -> Option<u64> {
        let due = self.renew || self.current().is_none_or(|key| age_ms >= key.created_age_ms + PREKEY_ROTATE_MS);
        if !due || self.making.is_some() {
            return None;
        }
        if std::mem::take(&mut self.renew) {
            self.renewed_age_ms = Some(age_ms);
        }
        let newest = self.current().map_or(0, |key| key.counter).max(self.heard);
        let counter = (newest + 1).max(u64::try_from(wall_ms).unwrap_or(0));
        self.making = Some(counter);
        Some(counter)
    }

    /// This store was rolled back: what others have of it may be newer than what it holds.
    pub fn renew(&mut self) {
        self.renew = true;
    }

    /// Something is sealed to a prekey that is not held here. If it is no older than those that are, this store has lost
    /// it, and a new one is due: not more often than every few minutes, since anybody may claim so. True when it is.
    pub fn lost(&mut self, counter: u64, age_ms: u64, wall_ms: i64) -> bool {
        let newest = self.current().map_or(0, |key| key.counter);
        let credible = counter <= u64::try_from(wall_ms).unwrap_or(0).saturating_add(PREKEY_AHEAD_MS);
        let lately = self.renewed_age_ms.is_some_and(|at| age_ms < at + PREKEY_RENEW_MS);
        if counter < newest || !credible || lately || self.making.is_some() {
            return false;
        }
        self.heard = self.heard.max(counter);
        self.renew = true;
        true
    }

    /// A prekey is committed.
    pub fn add(&mut self, key: OwnPrekey) {
        self.making = None;
        self.keys.insert(key.counter, key);
    }

    /// The directory has committed the current one: older ones are replaced from now on. Returns those to be written.
    pub fn confirmed(&mut self, age_ms: u64) -> Vec<OwnPrekey> {
        let Some(current) = self.current().map(|key| key.counter) else { return Vec::new() };
        let older = self.keys.range_mut(..current).map(|(_, key)| key).filter(|key| key.replaced_age_ms.is_none());
        older
            .map(|key| {
                key.replaced_age_ms = Some(age_ms);
                key.clone()
            })
            .collect()
    }

    /// Takes out what is to be destroyed: replaced for an hour when no mail waits, or replaced for 35 days.
    pub fn expire(&mut self, age_ms: u64, mail_waits: bool) -> Vec<u64> {
        let grace_ms = if mail_waits { PREKEY_LAST_MS } else { PREKEY_GRACE_MS };
        let gone = self.keys.values().filter(|key| key.replaced_age_ms.is_some_and(|at| age_ms >= at + grace_ms));
        let gone: Vec<u64> = gone.map(|key| key.counter).collect();
        for counter in &gone {
            self.keys.remove(counter);
        }
        gone
    }

    /// When something is to be done next, by the age clock.
    #[must_use]
    pub fn next_age_ms(&self) -> u64 {
        let rotate = self.current().map_or(0, |key| key.created_age_ms + PREKEY_ROTATE_MS);
        let expire = self.keys.values().filter_map(|key| key.replaced_age_ms).map(|at| at + PREKEY_GRACE_MS).min();
        expire.map_or(rotate, |expire| expire.min(rotate))
    }
}

#[cfg(test)]
mod tests {
    use common::identity::Identity;
    use common::record::{Prekey, PrekeyRecord};
    use common::seal::generate_prekey;

    use super::*;

    fn key(counter: u64, created_age_ms: u64) -> OwnPrekey {
        let me = Identity::from_seed(&[1; 32]);
        let (secret, public) = generate_prekey([counter as u8; 32]);
        let record = PrekeyRecord::sign(&me, &Prekey { owner: me.public(), counter, created_ms: 0, key: public });
        OwnPrekey { counter, record, secret, created_age_ms, replaced_age_ms: None }
    }

    #[test]
    fn a_prekey_is_replaced_daily_and_destroyed_an_hour_after_the_directory_has_the_new_one() {
        let mut prekeys = Prekeys::default();
        assert_eq!(prekeys.wants(0, 0), Some(1));
        assert_eq!(prekeys.wants(0, 0), None);
        prekeys.add(key(1, 0));
        assert_eq!(prekeys.wants(PREKEY_ROTATE_MS - 1, 0), None);
        assert_eq!(prekeys.wants(PREKEY_ROTATE_MS, 0), Some(2));
        prekeys.add(key(2, PREKEY_ROTATE_MS));
        assert_eq!(prekeys.confirmed(PREKEY_ROTATE_MS).len(), 1);
        assert!(prekeys.expire(PREKEY_ROTATE_MS + PREKEY_GRACE_MS - 1, false).is_empty());
        assert!(prekeys.expire(PREKEY_ROTATE_MS + PREKEY_GRACE_MS, true).is_empty());
        assert_eq!(prekeys.expire(PREKEY_ROTATE_MS + PREKEY_GRACE_MS, false), [1]);
        assert_eq!(prekeys.current().map(|key| key.counter), Some(2));
    }

    #[test]
    fn a_lost_prekey_is_replaced_by_one_that_nobody_takes_for_it() {
        let mut prekeys = Prekeys::new(vec![key(1, 0)]);
        assert!(!prekeys.lost(0, 0, 1_000));
        assert!(prekeys.lost(5, 0, 1_000));
        assert_eq!(prekeys.wants(0, 1_000), Some(1_000));
        assert!(!prekeys.lost(2_000, 0, 1_000), "one is being made");
        prekeys.add(key(9, 0));
        assert!(!prekeys.lost(2_000, PREKEY_RENEW_MS - 1, 1_000));
        assert!(!prekeys.lost(u64::MAX, PREKEY_RENEW_MS, 1_000));
        assert!(prekeys.lost(2_000, PREKEY_RENEW_MS, 1_000));
        assert_eq!(prekeys.wants(PREKEY_RENEW_MS, 1_000), Some(2_001));
    }

    #[test]
    fn mail_that_waits_keeps_an_old_prekey_for_35_days_and_no_longer() {
        let mut prekeys = Prekeys::new(vec![key(1, 0), key(2, 10)]);
        prekeys.confirmed(0);
        assert!(prekeys.expire(PREKEY_LAST_MS - 1, true).is_empty());
        assert_eq!(prekeys.expire(PREKEY_LAST_MS, true), [1]);
    }
}

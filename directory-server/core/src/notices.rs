//! Changes of presence on their way to everybody: gathered for a moment, so that many who come at once are one frame, and
//! told at a rate. Who is online, and who hears it, is not known here.

use std::collections::BTreeMap;

use common::identity::PublicKey;
use common::wire::directory::{Listed, Standing};

use crate::bucket::Bucket;
use crate::limits::{Limits, NOTICES_PAGE};

/// What everybody was told last of somebody, or would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    standing: Standing,
    note: Option<String>,
}

impl Told {
    fn of(listed: &Listed) -> Self {
        Self { standing: listed.standing, note: listed.note.clone() }
    }
}

#[derive(Debug)]
struct Entry {
    bucket: Bucket,
    told: Told,
    /// What is to be told.
    news: Option<Listed>,
}

/// The changes that nobody has been told yet, and how much was told lately.
#[derive(Debug, Default)]
pub struct Notices {
    people: BTreeMap<PublicKey, Entry>,
    due_ms: Option<u64>,
}

impl Notices {
    /// Somebody has changed. When to call [`Notices::due`], if that is new.
    pub fn changed(&mut self, before: &Listed, after: Listed, limits: &Limits, now_ms: u64) -> Option<u64> {
        if self.people.len() >= limits.notices_people && !self.people.contains_key(&after.key) {
            return None;
        }
        let fresh = || Entry { bucket: Bucket::full(), told: Told::of(before), news: None };
        let entry = self.people.entry(after.key).or_insert_with(fresh);
        entry.news = Some(after);
        self.set(now_ms + limits.notices_gather_ms)
    }

    /// What is to be told now, each person's latest state, and when to call this again. Who is as they were, though they
    /// were away for a moment, is no news.
    pub fn due(&mut self, limits: &Limits, now_ms: u64) -> (Vec<Listed>, Option<u64>) {
        self.due_ms = None;
        let mut told = Vec::new();
        let mut next_ms: Option<u64> = None;
        self.people.retain(|_, entry| {
            entry.news.take_if(|news| Told::of(news) == entry.told);
            let at_ms = if entry.news.is_none() {
                entry.bucket.full_at_ms()
            } else if told.len() == NOTICES_PAGE {
                now_ms + limits.notices_gather_ms
            } else if entry.bucket.take(limits.notices, now_ms) {
                if let Some(news) = entry.news.take() {
                    entry.told = Told::of(&news);
                    told.push(news);
                }
                entry.bucket.full_at_ms()
            } else {
                entry.bucket.next_ms(limits.notices, now_ms)
            };
            if at_ms > now_ms {
                next_ms = Some(next_ms.map_or(at_ms, |next_ms| next_ms.min(at_ms)));
            }
            at_ms > now_ms
        });
        let next_ms = next_ms.map(|next_ms| next_ms.max(now_ms + limits.notices_gather_ms));
        (told, next_ms.and_then(|next_ms| self.set(next_ms)))
    }

    /// Forgets what was to be told.
    pub fn clear(&mut self) {
        self.people.clear();
        self.due_ms = None;
    }

    fn set(&mut self, at_ms: u64) -> Option<u64> {
        if self.due_ms.is_some_and(|due_ms| due_ms <= at_ms) {
            return None;
        }
        self.due_ms = Some(at_ms);
        Some(at_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(who: u8, standing: Standing) -> Listed {
        let name = format!("user{who}").parse().unwrap();
        Listed { name, key: PublicKey([who; 32]), standing, since_ms: 0, note: None }
    }

    fn come(notices: &mut Notices, who: u8, now_ms: u64) -> Option<u64> {
        let (before, after) = (listed(who, Standing::Offline), listed(who, Standing::Online));
        notices.changed(&before, after, &Limits::default(), now_ms)
    }

    fn go(notices: &mut Notices, who: u8, now_ms: u64) -> Option<u64> {
        let (before, after) = (listed(who, Standing::Online), listed(who, Standing::Offline));
        notices.changed(&before, after, &Limits::default(), now_ms)
    }

    #[test]
    fn what_happens_in_one_moment_is_told_together() {
        let (mut notices, limits) = (Notices::default(), Limits::default());
        assert_eq!(come(&mut notices, 1, 0), Some(1_000));
        assert_eq!((come(&mut notices, 2, 400), go(&mut notices, 3, 999)), (None, None));
        let (told, next_ms) = notices.due(&limits, 1_000);
        let told: Vec<_> = told.iter().map(|listed| (listed.key.0[0], listed.standing)).collect();
        assert_eq!(told, [(1, Standing::Online), (2, Standing::Online), (3, Standing::Offline)]);
        assert_eq!(next_ms, Some(6_000), "when the rates are forgotten");
        assert_eq!(notices.due(&limits, 6_000), (vec![], None));
        assert!(notices.people.is_empty());
    }

    #[test]
    fn who_is_as_before_is_no_news() {
        let (mut notices, limits) = (Notices::default(), Limits::default());
        go(&mut notices, 1, 0);
        come(&mut notices, 1, 500);
        assert_eq!(notices.due(&limits, 1_000), (vec![], None));
    }

    #[test]
    fn one_person_is_told_about_at_a_rate_and_the_last_state_always() {
        let (mut notices, limits) = (Notices::default(), Limits::default());
        let mut heard = vec![];
        for second in 0..20_u64 {
            let at_ms = second * 1_000;
            let change = if second % 2 == 0 { come } else { go };
            change(&mut notices, 1, at_ms);
            heard.extend(notices.due(&limits, at_ms + 999).0.into_iter().map(|listed| (second, listed.standing)));
        }
        assert!(heard.len() <= 3 + 20 / 5, "{heard:?}");
        let (told, _) = notices.due(&limits, 60_000);
        let last = told.last().map(|listed| listed.standing).or(heard.last().map(|(_, standing)| *standing));
        assert_eq!(last, Some(Standing::Offline));
    }

    #[test]
    fn a_frame_holds_so_many_and_the_rest_follows() {
        let (mut notices, limits) = (Notices::default(), Limits::default());
        for who in 0..=u8::try_from(NOTICES_PAGE).unwrap() {
            come(&mut notices, who, 0);
        }
        let (told, next_ms) = notices.due(&limits, 1_000);
        assert_eq!((told.len(), next_ms), (NOTICES_PAGE, Some(2_000)));
        assert_eq!(notices.due(&limits, 2_000).0.len(), 1);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut notices = Notices::default();
        let limits = Limits { notices_people: 2, ..Limits::default() };
        for who in 1..=5 {
            let (before, after) = (listed(who, Standing::Offline), listed(who, Standing::Online));
            notices.changed(&before, after, &limits, 0);
        }
        assert_eq!(notices.due(&limits, 1_000).0.len(), 2);
    }
}

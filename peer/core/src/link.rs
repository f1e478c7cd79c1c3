//! The table of direct links: who is greeted, which of two between the same keys stays, who has been silent.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use common::identity::PublicKey;

use crate::event::LinkId;

/// One connection.
#[derive(Debug, Clone)]
pub struct Link {
    /// Who is at the other end.
    pub key: PublicKey,
    /// The other end's address.
    pub address: SocketAddr,
    /// Dialled from here.
    pub dialled: bool,
    /// The other program's start, known after its greeting; the link is open then.
    pub instance: Option<[u8; 16]>,
    /// The last frame, milliseconds of the monotonic clock.
    pub heard_ms: u64,
    /// It was told to end, and is there until it has.
    pub closing: bool,
}

/// Which of two greeted links between the same keys is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicate {
    /// There was no other.
    None,
    /// The other one goes; `dead`: its program is gone, nobody will answer there.
    Other {
        /// The link that goes.
        link: LinkId,
    },
    /// This one goes.
    This,
}

/// All links, and for each key the one in use.
#[derive(Debug, Default)]
pub struct Links {
    links: BTreeMap<LinkId, Link>,
    open: BTreeMap<PublicKey, LinkId>,
    dials: BTreeMap<PublicKey, LinkId>,
    next_dial: u64,
}

impl Links {
    /// A number for a dial to `key`, even; none while one is under way.
    pub fn dial(&mut self, key: PublicKey) -> Option<LinkId> {
        if self.dials.contains_key(&key) {
            return None;
        }
        self.next_dial += 2;
        let link = LinkId(self.next_dial);
        self.dials.insert(key, link);
        Some(link)
    }

    /// A connection stands.
    pub fn up(&mut self, link: LinkId, key: PublicKey, address: SocketAddr, dialled: bool, now_ms: u64) {
        self.links.insert(link, Link { key, address, dialled, instance: None, heard_ms: now_ms, closing: false });
    }

    /// The link with this number.
    pub fn of(&mut self, link: LinkId) -> Option<&mut Link> {
        self.links.get_mut(&link)
    }

    /// The greeted link to `key`.
    #[must_use]
    pub fn open_to(&self, key: &PublicKey) -> Option<LinkId> {
        self.open.get(key).copied()
    }

    /// The other end greeted. Decides which link stays if there are two: one of another instance is dead; otherwise the
    /// one dialled by the smaller key stays, and of two dialled by the same side the newer.
    pub fn greeted(&mut self, link: LinkId, instance: [u8; 16], me: &PublicKey) -> Duplicate {
        let Some(this) = self.links.get_mut(&link) else { return Duplicate::None };
        this.instance = Some(instance);
        let (key, dialled) = (this.key, this.dialled);
        if self.dials.get(&key) == Some(&link) {
            self.dials.remove(&key);
        }
        let other = self.open.get(&key).copied().filter(|other| *other != link);
        let Some(other_id) = other else {
            self.open.insert(key, link);
            return Duplicate::None;
        };
        let keeps_other = self.links.get(&other_id).is_some_and(|other| {
            let smaller_dialled = |dialled: bool| dialled == (*me < key);
            other.instance == Some(instance) && smaller_dialled(other.dialled) && !smaller_dialled(dialled)
        });
        if keeps_other {
            return Duplicate::This;
        }
        self.open.insert(key, link);
        Duplicate::Other { link: other_id }
    }

    /// A link is gone or a dial failed. Returns the key and whether it was the one in use.
    pub fn down(&mut self, link: LinkId) -> Option<(PublicKey, bool)> {
        let dialled = self.dials.iter().find(|(_, id)| **id == link).map(|(key, _)| *key);
        if let Some(key) = dialled {
            self.dials.remove(&key);
        }
        let key = self.links.remove(&link).map(|link| link.key).or(dialled)?;
        let was_open = self.open.get(&key) == Some(&link);
        if was_open {
            self.open.remove(&key);
        }
        Some((key, was_open))
    }

    /// All links there are, greeted or not.
    #[must_use]
    pub fn all(&self) -> Vec<LinkId> {
        self.links.keys().copied().collect()
    }

    /// All dials under way.
    #[must_use]
    pub fn dials(&self) -> Vec<LinkId> {
        self.dials.values().copied().collect()
    }

    /// Greeted links with their keys.
    pub fn opened(&self) -> impl Iterator<Item = (&PublicKey, &LinkId)> {
        self.open.iter()
    }

    /// Of the links whose key `counts` and that stay: how many there are, and the one silent longest.
    pub fn count(&self, counts: impl Fn(&PublicKey) -> bool) -> (usize, Option<LinkId>) {
        let counted = || self.links.iter().filter(|(_, link)| !link.closing && counts(&link.key));
        (counted().count(), counted().min_by_key(|(_, link)| link.heard_ms).map(|(id, _)| *id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: PublicKey = PublicKey([1; 32]);
    const HIGH: PublicKey = PublicKey([2; 32]);

    fn address() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 9))
    }

    #[test]
    fn both_ends_keep_the_link_that_the_smaller_key_dialled() {
        for greeted_first in [true, false] {
            let mut low = Links::default();
            let dialled = low.dial(HIGH).unwrap();
            low.up(dialled, HIGH, address(), true, 0);
            low.up(LinkId(1), HIGH, address(), false, 0);
            let order = if greeted_first { [dialled, LinkId(1)] } else { [LinkId(1), dialled] };
            let closed = order.map(|link| low.greeted(link, [7; 16], &LOW));
            assert_eq!(low.open_to(&HIGH), Some(dialled), "{closed:?}");
        }
    }

    #[test]
    fn a_link_of_a_program_that_started_again_replaces_the_dead_one() {
        let mut links = Links::default();
        let dialled = links.dial(HIGH).unwrap();
        links.up(dialled, HIGH, address(), true, 0);
        links.greeted(dialled, [7; 16], &LOW);
        links.up(LinkId(1), HIGH, address(), false, 0);
        assert_eq!(links.greeted(LinkId(1), [8; 16], &LOW), Duplicate::Other { link: dialled });
        assert_eq!(links.down(dialled), Some((HIGH, false)));
        assert_eq!(links.open_to(&HIGH), Some(LinkId(1)));
    }

    #[test]
    fn one_dial_at_a_time() {
        let mut links = Links::default();
        let first = links.dial(HIGH).unwrap();
        assert_eq!(links.dial(HIGH), None);
        assert_eq!(links.down(first), Some((HIGH, false)));
        assert!(links.dial(HIGH).is_some());
    }

    #[test]
    fn a_link_that_is_told_to_end_counts_no_more() {
        let mut links = Links::default();
        for number in 0..3 {
            links.up(LinkId(number), LOW, address(), false, number);
        }
        let mut ended = Vec::new();
        while let (1.., Some(oldest)) = links.count(|_| true) {
            links.of(oldest).unwrap().closing = true;
            ended.push(oldest);
        }
        assert_eq!(ended, [0, 1, 2].map(LinkId), "each once, the one silent longest first");
    }
}

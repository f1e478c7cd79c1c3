//! The people of this store: which name is believed for which key. A name is believed only from the directory's signed
//! word, pinned at first sight, and a changed key waits for the user.

use std::collections::{BTreeMap, BTreeSet};

use common::identity::PublicKey;
use common::name::Name;
use common::record::{Bound, PrekeyRecord};

use crate::stored::Contact;

/// What a binding means, given what is pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belief {
    /// The name and key are pinned together already.
    Known,
    /// Pinned now, at first sight.
    Pinned,
    /// The name is pinned to another key, and this binding is newer: the user must decide.
    Rival {
        /// The pinned key.
        pinned: PublicKey,
    },
    /// The name is pinned to another key, and this binding is older than what is known: not believed.
    Stale,
}

/// All contacts, by key and by name. Remembers which were changed, so that they are written once a turn.
#[derive(Debug, Default)]
pub struct Book {
    by_key: BTreeMap<PublicKey, Contact>,
    by_name: BTreeMap<Name, PublicKey>,
    changed: BTreeSet<PublicKey>,
}

impl Book {
    /// The book of a store.
    #[must_use]
    pub fn new(contacts: Vec<Contact>) -> Self {
        let mut book = Self::default();
        for contact in contacts {
            if let Some(name) = &contact.name {
                book.by_name.insert(name.clone(), contact.key);
            }
            book.by_key.insert(contact.key, contact);
        }
        book
    }

    /// The contact with this key.
    #[must_use]
    pub fn of(&self, key: &PublicKey) -> Option<&Contact> {
        self.by_key.get(key)
    }

    /// The contact whose believed name this is.
    #[must_use]
    pub fn named(&self, name: &Name) -> Option<&Contact> {
        self.by_name.get(name).and_then(|key| self.by_key.get(key))
    }

    /// The believed name of a key.
    #[must_use]
    pub fn name_of(&self, key: &PublicKey) -> Option<&Name> {
        self.by_key.get(key).and_then(|contact| contact.name.as_ref())
    }

    /// All contacts, in order of key.
    pub fn all(&self) -> impl Iterator<Item = &Contact> {
        self.by_key.values()
    }

    /// Changes a contact; true when it exists.
    pub fn change(&mut self, key: &PublicKey, change: impl FnOnce(&mut Contact)) -> bool {
        let Some(contact) = self.by_key.get_mut(key) else { return false };
        let before = contact.clone();
        change(contact);
        if *contact != before {
            self.changed.insert(*key);
        }
        true
    }

    /// Hears the directory's verified word for a name.
    pub fn hear(&mut self, bound: &Bound) -> Belief {
        if let Some(pinned) = self.by_name.get(&bound.name).copied() {
            if pinned == bound.key {
                self.change(&pinned, |contact| {
                    if bound.serial > contact.serial {
                        contact.rival = None;
                    }
                    contact.serial = contact.serial.max(bound.serial);
                    contact.name = Some(bound.name.clone());
                });
                return Belief::Known;
            }
            let known = self.by_key.get(&pinned).map_or(0, |contact| contact.serial);
            self.note(bound.key, None, 0);
            if bound.serial <= known {
                return Belief::Stale;
            }
            self.change(&pinned, |contact| contact.rival = Some(bound.key));
            return Belief::Rival { pinned };
        }
        if let Some(old) = self.by_key.get(&bound.key).and_then(|contact| contact.name.clone()) {
            // The key has taken another name since. An older word for an older name changes nothing.
            if self.by_key.get(&bound.key).is_some_and(|contact| contact.serial > bound.serial) {
                return Belief::Known;
            }
            self.by_name.remove(&old);
            // Whoever wants the old name stands in nobody's way any more.
            self.change(&bound.key, |contact| contact.rival = None);
        }
        self.note(bound.key, Some(bound.name.clone()), bound.serial);
        Belief::Pinned
    }

    fn note(&mut self, key: PublicKey, name: Option<Name>, serial: u64) {
        let contact = self.by_key.entry(key).or_insert_with(|| Contact {
            key,
            name: None,
            serial: 0,
            rival: None,
            verified: false,
            accepted: false,
            addresses: Vec::new(),
            prekey: None,
            applied: None,
            talked: false,
        });
        if let Some(name) = name {
            self.by_name.insert(name.clone(), key);
            contact.name = Some(name);
            contact.serial = contact.serial.max(serial);
        }
        self.changed.insert(key);
    }

    /// The user accepts the rival of `pinned` as the owner of its name. Returns the new key.
    pub fn accept_rival(&mut self, pinned: &PublicKey) -> Option<PublicKey> {
        let old = self.by_key.get_mut(pinned)?;
        let (rival, name, serial) = (old.rival.take()?, old.name.take()?, old.serial);
        let accepted = old.accepted;
        old.verified = false;
        self.changed.insert(*pinned);
        self.note(rival, Some(name), serial);
        self.change(&rival, |contact| {
            contact.verified = true;
            contact.accepted |= accepted;
            contact.talked = true;
        });
        Some(rival)
    }

    /// A verified prekey record of `key` with this counter; kept unless a newer one is known. True when it is new.
    pub fn hear_prekey(&mut self, key: &PublicKey, record: &PrekeyRecord) -> bool {
        let Ok(prekey) = record.verify(key) else { return false };
        let known = self.of(key).and_then(|contact| contact.prekey.as_ref());
        let newest = known.and_then(|known| known.verify(key).ok()).map_or(0, |known| known.counter);
        prekey.counter > newest && self.change(key, |contact| contact.prekey = Some(record.clone()))
    }

    /// Contacts changed since the last call, to be written.
    pub fn take_changed(&mut self) -> Vec<Contact> {
        let changed = std::mem::take(&mut self.changed);
        changed.iter().filter_map(|key| self.by_key.get(key).cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(name: &str, key: u8, serial: u64) -> Bound {
        Bound { directory: PublicKey([9; 32]), name: name.parse().unwrap(), key: PublicKey([key; 32]), serial }
    }

    #[test]
    fn the_first_key_of_a_name_is_pinned_and_another_one_waits_for_the_user() {
        let mut book = Book::default();
        assert_eq!(book.hear(&bound("bob", 1, 1)), Belief::Pinned);
        assert_eq!(book.hear(&bound("BOB", 1, 1)), Belief::Known);
        assert_eq!(book.hear(&bound("bob", 2, 5)), Belief::Rival { pinned: PublicKey([1; 32]) });
        assert_eq!(book.named(&"bob".parse().unwrap()).map(|c| c.key), Some(PublicKey([1; 32])));
        assert_eq!(book.name_of(&PublicKey([2; 32])), None);
        assert_eq!(book.accept_rival(&PublicKey([1; 32])), Some(PublicKey([2; 32])));
        assert_eq!(book.named(&"bob".parse().unwrap()).map(|c| c.key), Some(PublicKey([2; 32])));
        assert_eq!(book.name_of(&PublicKey([1; 32])), None);
        assert_eq!(book.take_changed().len(), 2);
    }

    #[test]
    fn an_older_word_for_a_pinned_name_is_not_believed() {
        let mut book = Book::default();
        book.hear(&bound("bob", 1, 5));
        assert_eq!(book.hear(&bound("bob", 2, 4)), Belief::Stale);
        assert_eq!(book.of(&PublicKey([1; 32])).and_then(|c| c.rival), None);
    }

    #[test]
    fn a_key_that_takes_another_name_is_known_by_the_newer_one() {
        let mut book = Book::default();
        book.hear(&bound("bob", 1, 1));
        book.hear(&bound("bob", 3, 2));
        assert_eq!(book.hear(&bound("robert", 1, 3)), Belief::Pinned);
        assert_eq!(book.of(&PublicKey([1; 32])).and_then(|contact| contact.rival), None);
        assert_eq!(book.name_of(&PublicKey([1; 32])).map(Name::as_str), Some("robert"));
        assert!(book.named(&"bob".parse().unwrap()).is_none());
    }
}

//! The people of this store: which name is believed for which key. A name is believed only from the directory's signed
//! word, pinned at first sight, and a changed key waits for the user.

use std::collections::{BTreeMap, BTreeSet};

use common::identity::PublicKey;
use common::name::Name;
use common::record::{Bound, PrekeyRecord, RecordError};

use crate::stored::{Contact, Pin};

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
    /// The directory in use: names are its names.
    directory: Option<PublicKey>,
    pins: BTreeMap<(PublicKey, Name), PublicKey>,
    changed: BTreeSet<PublicKey>,
    pins_changed: BTreeSet<(PublicKey, Name)>,
}

impl Book {
    /// The book of a store.
    #[must_use]
    pub fn new(contacts: Vec<Contact>, pins: Vec<Pin>, directory: Option<PublicKey>) -> Self {
        Self {
            by_key: contacts.into_iter().map(|contact| (contact.key, contact)).collect(),
            directory,
            pins: pins.into_iter().map(|pin| ((pin.directory, pin.name), pin.key)).collect(),
            ..Self::default()
        }
    }

    /// Another directory is in use: the same name may be another person's there.
    pub fn use_directory(&mut self, directory: PublicKey) {
        self.directory = Some(directory);
    }

    fn pinned(&self, directory: PublicKey, name: &Name) -> Option<PublicKey> {
        self.pins.get(&(directory, name.clone())).copied()
    }

    fn pin(&mut self, directory: PublicKey, name: &Name, key: Option<PublicKey>) {
        let place = (directory, name.clone());
        match key {
            Some(key) => self.pins.insert(place.clone(), key),
            None => self.pins.remove(&place),
        };
        self.pins_changed.insert(place);
    }

    /// The contact with this key.
    #[must_use]
    pub fn of(&self, key: &PublicKey) -> Option<&Contact> {
        self.by_key.get(key)
    }

    /// The contact whose believed name this is.
    #[must_use]
    pub fn named(&self, name: &Name) -> Option<&Contact> {
        self.pinned(self.directory?, name).and_then(|key| self.by_key.get(&key))
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
        if let Some(pinned) = self.pinned(bound.directory, &bound.name) {
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
            self.note(bound.key, None);
            if bound.serial <= known {
                return Belief::Stale;
            }
            self.change(&pinned, |contact| contact.rival = Some(bound.key));
            return Belief::Rival { pinned };
        }
        let shown = self.by_key.get(&bound.key).and_then(|contact| contact.name.clone());
        // Serials count only among the names of one directory.
        let here = shown.filter(|name| self.pinned(bound.directory, name) == Some(bound.key));
        let newer = self.by_key.get(&bound.key).map_or(0, |contact| contact.serial).max(bound.serial);
        let serial = if here.is_some() { newer } else { bound.serial };
        if let Some(old) = here {
            // The key has taken another name since. An older word for an older name changes nothing.
            if self.by_key.get(&bound.key).is_some_and(|contact| contact.serial > bound.serial) {
                return Belief::Known;
            }
            self.pin(bound.directory, &old, None);
            // Whoever wants the old name stands in nobody's way any more.
            self.change(&bound.key, |contact| contact.rival = None);
        }
        self.pin(bound.directory, &bound.name, Some(bound.key));
        self.note(bound.key, Some((bound.name.clone(), serial)));
        Belief::Pinned
    }

    fn note(&mut self, key: PublicKey, name: Option<(Name, u64)>) {
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
            blocked: false,
        });
        if let Some((name, serial)) = name {
            contact.name = Some(name);
            contact.serial = serial;
        }
        self.changed.insert(key);
    }

    /// The user accepts the rival of `pinned` as the owner of its name. Returns the new key.
    pub fn accept_rival(&mut self, pinned: &PublicKey) -> Option<PublicKey> {
        let directory = self.directory?;
        let old = self.by_key.get_mut(pinned)?;
        let (rival, name, serial) = (old.rival.take()?, old.name.take()?, old.serial);
        let accepted = old.accepted;
        old.verified = false;
        self.changed.insert(*pinned);
        self.pin(directory, &name, Some(rival));
        self.note(rival, Some((name, serial)));
        self.change(&rival, |contact| {
            contact.verified = true;
            contact.accepted |= accepted;
            contact.talked = true;
        });
        Some(rival)
    }

    /// A prekey record of `key`, kept unless a newer one is known. True when it is new.
    ///
    /// # Errors
    /// When it is not `key`'s own word about itself.
    pub fn hear_prekey(&mut self, key: &PublicKey, record: &PrekeyRecord) -> Result<bool, RecordError> {
        let prekey = record.verify(key)?;
        let known = self.of(key).and_then(|contact| contact.prekey.as_ref());
        let newest = known.and_then(|known| known.verify(key).ok()).map_or(0, |known| known.counter);
        Ok(prekey.counter > newest && self.change(key, |contact| contact.prekey = Some(record.clone())))
    }

    /// Pins changed since the last call, to be written: directory, name, key or none.
    pub fn take_pins(&mut self) -> Vec<(PublicKey, Name, Option<PublicKey>)> {
        let changed = std::mem::take(&mut self.pins_changed);
        changed.into_iter().map(|place| (place.0, place.1.clone(), self.pins.get(&place).copied())).collect()
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

    const HERE: PublicKey = PublicKey([9; 32]);

    fn book() -> Book {
        Book::new(Vec::new(), Vec::new(), Some(HERE))
    }

    #[test]
    fn one_name_at_two_directories_is_two_people() {
        let mut book = book();
        book.hear(&bound("bob", 1, 7));
        let there = PublicKey([8; 32]);
        book.use_directory(there);
        assert!(book.named(&"bob".parse().unwrap()).is_none());
        assert_eq!(book.hear(&Bound { directory: there, ..bound("bob", 2, 1) }), Belief::Pinned);
        assert_eq!(book.named(&"bob".parse().unwrap()).map(|c| c.key), Some(PublicKey([2; 32])));
        let pins = book.take_pins().into_iter().map(|(directory, name, key)| (directory, name, key.unwrap()));
        let pins = pins.map(|(directory, name, key)| Pin { directory, name, key }).collect();
        let again = Book::new(book.take_changed(), pins, Some(HERE));
        assert_eq!(again.named(&"bob".parse().unwrap()).map(|c| c.key), Some(PublicKey([1; 32])));
    }

    fn bound(name: &str, key: u8, serial: u64) -> Bound {
        Bound { directory: PublicKey([9; 32]), name: name.parse().unwrap(), key: PublicKey([key; 32]), serial }
    }

    #[test]
    fn the_first_key_of_a_name_is_pinned_and_another_one_waits_for_the_user() {
        let mut book = book();
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
        let mut book = book();
        book.hear(&bound("bob", 1, 5));
        assert_eq!(book.hear(&bound("bob", 2, 4)), Belief::Stale);
        assert_eq!(book.of(&PublicKey([1; 32])).and_then(|c| c.rival), None);
    }

    #[test]
    fn a_key_that_takes_another_name_is_known_by_the_newer_one() {
        let mut book = book();
        book.hear(&bound("bob", 1, 1));
        book.hear(&bound("bob", 3, 2));
        assert_eq!(book.hear(&bound("robert", 1, 3)), Belief::Pinned);
        assert_eq!(book.of(&PublicKey([1; 32])).and_then(|contact| contact.rival), None);
        assert_eq!(book.name_of(&PublicKey([1; 32])).map(Name::as_str), Some("robert"));
        assert!(book.named(&"bob".parse().unwrap()).is_none());
    }
}

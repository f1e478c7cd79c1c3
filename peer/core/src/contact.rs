//! The people of this store: which name is believed for which key. A name is believed only from the directory's signed
//! word and pinned at first sight. A changed key waits for the user; a key that takes another name keeps the old one, so
//! that nobody is put into its place unasked.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use common::identity::{Fingerprint, PublicKey};
use common::name::Name;
use common::record::{Bound, PrekeyRecord, RecordError};

use crate::limits::{NAMES_OF_ONE_MAX, REFUSED_MAX};
use crate::stored::{Claim, Contact, Pin};

/// What a binding means, given what is pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Belief {
    /// Nothing new: the name and key are pinned together already, or the word is older than the name the key has now.
    Known,
    /// Pinned now, at first sight.
    Pinned,
    /// The same key has another name now; the old one stays pinned to it.
    Renamed {
        /// What it was called.
        old: Name,
    },
    /// The name is pinned to another key, and this binding is newer: the user must decide.
    Rival {
        /// The pinned key.
        pinned: PublicKey,
        /// The user was not asked about this key before.
        is_new: bool,
    },
    /// Not believed: the name is pinned to another key and this word is older than what is known, or the user has refused
    /// this key; or the key has had more names than are remembered.
    Stale,
}

/// What the user's word for a rival has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The key that was pinned.
    pub pinned: PublicKey,
    /// The key that is pinned now.
    pub new: PublicKey,
    /// The old key had no other name: what waits for it was written to this one, and is for the new key.
    pub moved: bool,
}

type Place = (PublicKey, Name);

/// All contacts, by key and by name. Remembers which were changed, so that they are written once a turn.
#[derive(Debug, Default)]
pub struct Book {
    by_key: BTreeMap<PublicKey, Contact>,
    /// The directory in use: names are its names.
    directory: Option<PublicKey>,
    pins: BTreeMap<Place, Pin>,
    /// Names of each key, at all directories: an index of `pins`.
    names: BTreeMap<PublicKey, BTreeSet<Place>>,
    changed: BTreeSet<PublicKey>,
    pins_changed: BTreeSet<Place>,
}

impl Book {
    /// The book of a store.
    #[must_use]
    pub fn new(contacts: Vec<Contact>, pins: Vec<Pin>, directory: Option<PublicKey>) -> Self {
        let by_key = contacts.into_iter().map(|contact| (contact.key, contact)).collect();
        let mut book = Self { by_key, directory, ..Self::default() };
        for pin in pins {
            book.put_pin(pin);
        }
        book.pins_changed.clear();
        book
    }

    /// Another directory is in use: the same name may be another person's there.
    pub fn use_directory(&mut self, directory: PublicKey) {
        self.directory = Some(directory);
    }

    /// What a name of the directory in use is pinned to.
    #[must_use]
    pub fn pin_of(&self, name: &Name) -> Option<&Pin> {
        self.pins.get(&(self.directory?, name.clone()))
    }

    fn put_pin(&mut self, pin: Pin) {
        let place = (pin.directory, pin.name.clone());
        self.names.entry(pin.key).or_default().insert(place.clone());
        if let Some(before) = self.pins.insert(place.clone(), pin)
            && self.pins.get(&place).is_some_and(|pin| pin.key != before.key)
            && let Some(names) = self.names.get_mut(&before.key)
        {
            names.remove(&place);
        }
        self.pins_changed.insert(place);
    }

    fn change_pin(&mut self, place: &Place, change: impl FnOnce(&mut Pin)) {
        let Some(pin) = self.pins.get(place) else { return };
        let mut changed = pin.clone();
        change(&mut changed);
        if changed != *pin {
            self.put_pin(changed);
        }
    }

    /// The pins of a key at one directory.
    fn pins_of(&self, key: &PublicKey, directory: Option<PublicKey>) -> impl Iterator<Item = &Pin> {
        let places = self.names.get(key).into_iter().flatten();
        places.filter(move |place| Some(place.0) == directory).filter_map(|place| self.pins.get(place))
    }

    /// The contact with this key.
    #[must_use]
    pub fn of(&self, key: &PublicKey) -> Option<&Contact> {
        self.by_key.get(key)
    }

    /// The contact that this name is pinned to, though they may have another one now.
    #[must_use]
    pub fn named(&self, name: &Name) -> Option<&Contact> {
        self.pin_of(name).and_then(|pin| self.by_key.get(&pin.key))
    }

    /// The believed name of a key.
    #[must_use]
    pub fn name_of(&self, key: &PublicKey) -> Option<&Name> {
        self.by_key.get(key).and_then(|contact| contact.name.as_ref())
    }

    /// Other names that are pinned to this key at the directory in use, since it had them before.
    pub fn former_names(&self, key: &PublicKey) -> impl Iterator<Item = &Name> {
        let now = self.name_of(key);
        self.pins_of(key, self.directory).map(|pin| &pin.name).filter(move |name| Some(*name) != now)
    }

    /// Whether a name of this key was given to another one, and the user has not decided yet.
    #[must_use]
    pub fn is_contested(&self, key: &PublicKey) -> bool {
        self.contest_of(key).is_some()
    }

    /// A name of this key that was given to another one, and that one.
    #[must_use]
    pub fn contest_of(&self, key: &PublicKey) -> Option<(&Name, PublicKey)> {
        self.pins_of(key, self.directory).find_map(|pin| pin.rival.map(|rival| (&pin.name, rival.key)))
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
        let place = (bound.directory, bound.name.clone());
        match self.pins.get(&place).map(|pin| pin.key) {
            Some(pinned) if pinned == bound.key => self.hear_again(&place, bound),
            Some(_) => self.hear_claim(&place, bound),
            None => self.hear_first(bound),
        }
    }

    fn hear_again(&mut self, place: &Place, bound: &Bound) -> Belief {
        self.change_pin(place, |pin| {
            pin.serial = pin.serial.max(bound.serial);
            // The newer word gives the name back.
            pin.rival = pin.rival.filter(|rival| rival.serial >= bound.serial);
        });
        self.call(bound)
    }

    fn hear_claim(&mut self, place: &Place, bound: &Bound) -> Belief {
        let Some(pin) = self.pins.get(place) else { return Belief::Stale };
        let (pinned, rival) = (pin.key, pin.rival);
        let refused = pin.refused.iter().any(|claim| claim.key == bound.key);
        let known =
            rival.filter(|rival| rival.key != bound.key).map_or(pin.serial, |rival| rival.serial.max(pin.serial));
        self.note(bound.key);
        if refused || bound.serial <= known {
            return Belief::Stale;
        }
        let is_new = rival.is_none_or(|rival| rival.key != bound.key);
        let claim = Claim { key: bound.key, serial: bound.serial };
        self.change_pin(place, |pin| pin.rival = Some(claim));
        Belief::Rival { pinned, is_new }
    }

    fn hear_first(&mut self, bound: &Bound) -> Belief {
        let here = self.is_named_at(&bound.key, bound.directory);
        let newest = self.by_key.get(&bound.key).map_or(0, |contact| contact.serial);
        if here && newest > bound.serial {
            // An older word for an older name changes nothing. (An equal one comes of a directory that was put back.)
            return Belief::Known;
        }
        if self.pins_of(&bound.key, Some(bound.directory)).count() >= NAMES_OF_ONE_MAX {
            return Belief::Stale;
        }
        let Bound { directory, ref name, key, serial } = *bound;
        self.put_pin(Pin { directory, name: name.clone(), key, serial, rival: None, refused: Vec::new() });
        self.note(key);
        match self.call(bound) {
            Belief::Known => Belief::Pinned,
            other => other,
        }
    }

    /// Whether the name this key has is one of this directory: serials count only among those.
    fn is_named_at(&self, key: &PublicKey, directory: PublicKey) -> bool {
        let name = self.by_key.get(key).and_then(|contact| contact.name.clone());
        name.is_some_and(|name| self.pins.get(&(directory, name)).is_some_and(|pin| pin.key == *key))
    }

    /// A key is called what the newest word for one of its pinned names says.
    fn call(&mut self, bound: &Bound) -> Belief {
        let here = self.is_named_at(&bound.key, bound.directory);
        let mut old = None;
        self.change(&bound.key, |contact| {
            let same = contact.name.as_ref() == Some(&bound.name);
            if here && !same && bound.serial <= contact.serial {
                return;
            }
            contact.serial = if here { contact.serial.max(bound.serial) } else { bound.serial };
            old = contact.name.replace(bound.name.clone()).filter(|_| !same);
        });
        old.map_or(Belief::Known, |old| Belief::Renamed { old })
    }

    fn note(&mut self, key: PublicKey) {
        self.by_key.entry(key).or_insert_with(|| {
            self.changed.insert(key);
            Contact {
                key,
                name: None,
                serial: 0,
                verified: false,
                accepted: false,
                addresses: Vec::new(),
                prekey: None,
                applied: None,
                talked: false,
                blocked: false,
            }
        });
    }

    /// The key with this fingerprint to which the directory has given `name`, whether the user was asked or has refused.
    #[must_use]
    pub fn claimant(&self, name: &Name, fingerprint: Fingerprint) -> Option<PublicKey> {
        let pin = self.pin_of(name)?;
        let claims = pin.rival.iter().chain(&pin.refused);
        claims.map(|claim| claim.key).find(|key| key.fingerprint() == fingerprint)
    }

    /// The user says that `name` belongs to `key`, as the directory has said before.
    pub fn accept(&mut self, name: &Name, key: &PublicKey) -> Option<Accepted> {
        let pin = self.pin_of(name)?;
        let claim = *pin.rival.iter().chain(&pin.refused).find(|claim| claim.key == *key)?;
        let (directory, pinned) = (pin.directory, pin.key);
        let mut new = pin.clone();
        new.refused.retain(|claim| claim.key != *key);
        (new.key, new.serial, new.rival) = (*key, claim.serial, None);
        self.put_pin(new);
        let newest = self.pins_of(&pinned, Some(directory)).max_by_key(|pin| pin.serial);
        let left = newest.map(|pin| (pin.name.clone(), pin.serial));
        let old = self.by_key.get(&pinned)?;
        let (called_so, moved, accepted) = (old.name.as_ref() == Some(name), left.is_none(), old.accepted);
        if called_so {
            // Whoever has another name here goes by that one again.
            self.change(&pinned, |old| {
                old.verified &= left.is_some();
                let (name, serial) = left.unzip();
                (old.name, old.serial) = (name, serial.unwrap_or(old.serial));
            });
        }
        self.note(*key);
        self.call(&Bound { directory, name: name.clone(), key: *key, serial: claim.serial });
        self.change(key, |contact| {
            contact.verified = true;
            contact.accepted |= accepted;
            contact.talked = true;
        });
        Some(Accepted { pinned, new: *key, moved })
    }

    /// The user says that `name` does not belong to the key that the directory has given it to: the pin stays, and this
    /// key is not asked about again. Returns the pinned key.
    pub fn refuse(&mut self, name: &Name) -> Option<PublicKey> {
        let pin = self.pin_of(name)?;
        let (rival, pinned, place) = (pin.rival?, pin.key, (pin.directory, pin.name.clone()));
        self.change_pin(&place, |pin| {
            pin.rival = None;
            pin.refused.push(rival);
            let surplus = pin.refused.len().saturating_sub(REFUSED_MAX);
            pin.refused.drain(..surplus);
        });
        Some(pinned)
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

    /// Pins changed since the last call, to be written.
    pub fn take_pins(&mut self) -> Vec<Pin> {
        let changed = std::mem::take(&mut self.pins_changed);
        changed.iter().filter_map(|place| self.pins.get(place).cloned()).collect()
    }

    /// Contacts changed since the last call, to be written.
    pub fn take_changed(&mut self) -> Vec<Contact> {
        let changed = std::mem::take(&mut self.changed);
        changed.iter().filter_map(|key| self.by_key.get(key).cloned()).collect()
    }
}

//! What the user says about keys: which was compared, and which of two is right.

use common::identity::Fingerprint;
use common::name::Name;

use super::Messenger;
use crate::command::{ErrorCode, Verdict};
use crate::event::{Answer, CommandId};

impl Messenger {
    /// `!verify NAME[#FINGERPRINT] [ok|no]`. With a fingerprint the word is about that key and no other, so that it means
    /// what was compared even if the directory has named yet another key meanwhile. Without one, "right" is about the key that
    /// was shown last, and is no word on a key that was named since.
    pub(super) fn verify(
        &mut self,
        id: CommandId,
        name: &Name,
        fingerprint: Option<Fingerprint>,
        verdict: Option<Verdict>,
    ) {
        let Some((pinned, rival)) = self.book.pin_of(name).map(|pin| (pin.key, pin.rival.map(|rival| rival.key)))
        else {
            let message = format!("no key is pinned for {name} yet; write to them first");
            self.fail(id, ErrorCode::NoSuchUser, message);
            return;
        };
        let meant = match fingerprint {
            None => rival.unwrap_or(pinned),
            Some(print) if print == pinned.fingerprint() => pinned,
            Some(print) => match self.book.claimant(name, print) {
                Some(key) => key,
                None => {
                    let message = format!("{print} is neither the key pinned for {name} nor one that was named since");
                    self.fail(id, ErrorCode::KeyChanged, message);
                    return;
                }
            },
        };
        let shown = self.company.compared.as_ref().filter(|(of, _)| of.folded() == name.folded());
        let unseen = fingerprint.is_none() && shown.is_some_and(|(_, key)| *key != meant);
        if unseen && verdict == Some(Verdict::Right) {
            let message = format!("another key was named for {name} since you looked: '!verify {name}' shows both");
            self.fail(id, ErrorCode::KeyChanged, message);
            return;
        }
        match verdict {
            None => {}
            Some(Verdict::Right) if meant == pinned => {
                self.book.change(&pinned, |contact| contact.verified = true);
            }
            Some(Verdict::Right) => self.accept_claim(name, meant),
            Some(Verdict::Wrong) if Some(meant) == rival => self.refuse_claim(name),
            Some(Verdict::Wrong) => {
                let message = format!("there is no new key for {name} that could be refused");
                self.fail(id, ErrorCode::BadArgument, message);
                return;
            }
        }
        self.show_keys(id, name);
    }

    fn show_keys(&mut self, id: CommandId, name: &Name) {
        let Some(pin) = self.book.pin_of(name) else { return };
        self.company.compared = Some((name.clone(), pin.rival.map_or(pin.key, |rival| rival.key)));
        let answer = Answer::Verify {
            name: name.clone(),
            called: self.book.name_of(&pin.key).filter(|called| *called != name).cloned(),
            mine: self.config.me.fingerprint(),
            theirs: pin.key.fingerprint(),
            rival: pin.rival.map(|rival| rival.key.fingerprint()),
            refused: pin.refused.iter().map(|claim| claim.key.fingerprint()).collect(),
            verified: self.book.of(&pin.key).is_some_and(|contact| contact.verified),
        };
        self.done(id, answer);
    }

    /// A name that its owner has given up, and that the directory has given to another key since: who is meant by it is
    /// the user's to say, before anything is written.
    pub(super) fn is_given_away(&mut self, id: CommandId, name: &Name) -> bool {
        let Some(pin) = self.book.pin_of(name) else { return false };
        let key = pin.key;
        if pin.rival.is_none() || self.book.name_of(&key) == Some(name) {
            return false;
        }
        let called = self.called(&key);
        let message = format!(
            "the one you know as {name} is called {called} now, and the name {name} belongs to another key: \
             '!verify {name}' shows both"
        );
        self.fail(id, ErrorCode::KeyChanged, message);
        true
    }
}

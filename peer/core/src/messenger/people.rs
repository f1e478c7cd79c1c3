//! People: presence, look-ups, prekeys and keys that change; one's own prekeys too.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use common::identity::PublicKey;
use common::limits::{CANDIDATES_MAX, WATCH_MAX};
use common::message::{Conversation, Epoch};
use common::name::Name;
use common::record::{Binding, PrekeyRecord};
use common::seal::PrekeySecret;
use common::wire::directory::{self as wire, Standing, ToDirectory, Whom};
use common::wire::peer::CloseReason;

use super::{Messenger, Then};
use crate::command::{CommandError, ErrorCode};
use crate::contact::{Accepted, Belief};
use crate::event::{CommandId, Dropped, Event, LinkId, Output, PresenceView};
use crate::limits::{STRANGER_BYTES_MAX, STRANGER_MESSAGES_MAX};
use crate::route::Redial;
use crate::stored::{Move, OwnPrekey, Reason, State, StoreOp};
use crate::timers::Timer;

/// What is known of the way to somebody, now. Not stored.
#[derive(Debug, Default)]
pub(super) struct Way {
    pub standing: Option<Standing>,
    pub note: Option<String>,
    pub candidates: Vec<SocketAddr>,
    /// When they came (back) online.
    pub returned_ms: Option<u64>,
    /// When a direct attempt failed last.
    pub failed_ms: Option<u64>,
    pub redial: Redial,
    /// They asked to be spared links that carry nothing, until then.
    pub spared_until_ms: u64,
    /// When something was sent to or came from them last.
    pub exchange_ms: Option<u64>,
    /// Looked up in this session with the directory, or being looked up.
    pub looked_up: bool,
    /// Taken directly in this run while not accepted.
    pub stranger_messages: u32,
    pub stranger_bytes: usize,
    /// They take nothing from this user, as they said.
    pub blocks_me: bool,
    /// Something of theirs was not taken while this user was busy.
    pub turned_away: bool,
    /// Bytes of bodies on the link, unacknowledged; and whether something waits for room there.
    pub flight: Option<(LinkId, usize)>,
    pub flight_full: bool,
    /// How often they accused this store of having been rolled back, and when they may again.
    pub accusations: u32,
    pub accuse_again_ms: u64,
    /// The last pair state of theirs that was applied: epoch, version.
    pub applied: Option<(Epoch, u64)>,
    /// When an overtaken state of theirs was answered last.
    pub corrected_ms: Option<u64>,
    /// When a link to them was greeted last.
    pub linked_ms: Option<u64>,
    /// When a slot of theirs could not be opened last.
    pub useless_ms: Option<u64>,
    /// A state of ours is owed once their prekey is looked up.
    pub state_after_look_up: bool,
}

/// Why somebody is looked up.
#[derive(Debug)]
pub(super) enum LookUp {
    /// A command waits for it.
    Command(CommandId),
    /// Address, prekey and name are to be fresh.
    Refresh(PublicKey),
    /// The directory knows the key no more: who has its name now?
    Successor(PublicKey),
}

impl Messenger {
    pub(super) fn way(&mut self, key: PublicKey) -> &mut Way {
        self.ways.entry(key).or_default()
    }

    /// Somebody the user has not accepted may fill only so much of the disk; what is over it is not taken, and waits at
    /// its sender. Being in a group with them makes room for what is said there, and for nothing else.
    pub(super) fn is_too_much(&mut self, sender: PublicKey, talk: Conversation, bytes: usize) -> bool {
        let accepted = self.book.of(&sender).is_some_and(|contact| contact.accepted);
        if accepted || self.is_of_fellow(&sender, talk) {
            return false;
        }
        let way = self.way(sender);
        way.stranger_messages += 1;
        way.stranger_bytes += bytes;
        let over = way.stranger_messages > STRANGER_MESSAGES_MAX || way.stranger_bytes > STRANGER_BYTES_MAX;
        if over && let Some(link) = self.links.open_to(&sender) {
            self.close_link(link, CloseReason::Busy);
        }
        over
    }

    /// Where to dial, best first: what presence says, then what answered before.
    pub(super) fn addresses_of(&self, key: &PublicKey) -> Vec<SocketAddr> {
        let mut addresses = self.ways.get(key).map(|way| way.candidates.clone()).unwrap_or_default();
        for known in self.book.of(key).map(|contact| contact.addresses.as_slice()).unwrap_or_default() {
            if !addresses.contains(known) {
                addresses.push(*known);
            }
        }
        addresses.truncate(2 * CANDIDATES_MAX);
        addresses
    }

    /// Believes the directory's word for a name, if it is signed and about `key`. False: no believable name.
    pub(super) fn hear_binding(&mut self, key: &PublicKey, binding: &Binding) -> bool {
        let Some(directory) = self.directory.as_ref().map(|directory| directory.key) else { return false };
        let bound = binding.verify(&directory).ok().filter(|bound| bound.key == *key && *key != self.config.me);
        let Some(bound) = bound else {
            self.dropped(*key, Dropped::Binding);
            return false;
        };
        let contested = self.book.is_contested(key);
        match self.book.hear(&bound) {
            Belief::Rival { pinned, is_new: true } => {
                let called = self.book.name_of(&pinned).filter(|name| **name != bound.name).cloned();
                let (name, pinned_print, new) = (bound.name, pinned.fingerprint(), bound.key.fingerprint());
                self.tell(Event::KeyChanged { name, called, pinned: pinned_print, new });
                self.tend(pinned);
            }
            Belief::Pinned => {
                self.show_unnamed(*key);
                self.tend(*key);
            }
            Belief::Renamed { old } => self.renamed(*key, old),
            // The name is theirs again: what waited for the user's word goes on.
            Belief::Known if contested && !self.book.is_contested(key) => self.tend(*key),
            Belief::Rival { .. } | Belief::Known | Belief::Stale => {}
        }
        true
    }

    /// A key has another name. Whoever knows it by the old one is told before anything is shown under the new one.
    fn renamed(&mut self, key: PublicKey, old: Name) {
        let Some(contact) = self.book.of(&key) else { return };
        if (contact.talked || contact.accepted || contact.verified)
            && let Some(new) = contact.name.clone()
        {
            self.tell(Event::Renamed { old, new, fingerprint: key.fingerprint() });
        }
        self.show_unnamed(key);
        self.tend(key);
    }

    /// What waited for a believed name of `key` goes on.
    fn show_unnamed(&mut self, key: PublicKey) {
        for message in self.unnamed.remove(&key).unwrap_or_default() {
            let whole = self.is_whole(&key, &message.id);
            self.bring_in(message, whole);
        }
    }

    /// Asks the directory about a key, once in a session.
    pub(super) fn refresh(&mut self, key: PublicKey) {
        if !self.session.is_logged_in() || std::mem::replace(&mut self.way(key).looked_up, true) {
            return;
        }
        self.look_up(Whom::Key(key), LookUp::Refresh(key));
    }

    pub(super) fn look_up(&mut self, whom: Whom, why: LookUp) {
        let request = self.session.request();
        self.errands.lookups.insert(request, why);
        self.send_directory(ToDirectory::LookUp(wire::LookUp { request, whom }));
    }

    pub(super) fn on_person(&mut self, request: u32, profile: wire::Profile) {
        let key = profile.key;
        let Some(why) = self.errands.lookups.remove(&request) else { return };
        let believed = self.hear_binding(&key, &profile.binding);
        if believed {
            self.note_profile(&profile);
        }
        match why {
            LookUp::Command(id) => self.command_found(id, (believed || key == self.config.me).then_some(key)),
            LookUp::Successor(old) if old != key && !self.book.is_contested(&old) => {
                // Whoever has the name now, the user does not take them for the one that was written to.
                self.hold_all(old, Reason::NoSuchUser);
            }
            LookUp::Refresh(_) | LookUp::Successor(_) => {}
        }
        if std::mem::take(&mut self.way(key).state_after_look_up) {
            self.owed.slots.insert(key);
        }
        self.tend(key);
        if profile.prekey.is_none() {
            self.hold_all(key, Reason::NoPrekey);
        }
    }

    /// A prekey record said to be of `key`: true when it is, and newer than the known one.
    pub(super) fn learn_prekey(&mut self, key: PublicKey, record: &PrekeyRecord) -> bool {
        let learnt = self.book.hear_prekey(&key, record).unwrap_or_else(|_| {
            self.dropped(key, Dropped::Prekey);
            false
        });
        if learnt {
            self.reseal(key);
        }
        learnt
    }

    fn note_profile(&mut self, profile: &wire::Profile) {
        if let Some(record) = &profile.prekey {
            self.learn_prekey(profile.key, record);
        }
        let way = self.way(profile.key);
        way.looked_up = true;
        way.standing = Some(profile.standing);
        way.candidates = profile.candidates.iter().copied().take(CANDIDATES_MAX).collect();
    }

    /// The directory knows nobody of that name or key.
    pub(super) fn on_nobody(&mut self, request: u32, reason: &wire::Refusal) {
        match self.errands.lookups.remove(&request) {
            Some(LookUp::Command(id)) => {
                let error = match reason {
                    wire::Refusal::NoSuchUser => {
                        CommandError::new(ErrorCode::NoSuchUser, "nobody of that name is registered at the directory")
                    }
                    _ => {
                        CommandError::new(ErrorCode::RateLimited, "the directory did not answer the look-up; try again")
                    }
                };
                self.command_failed(id, error);
            }
            Some(LookUp::Refresh(key)) => {
                if *reason == wire::Refusal::NoSuchUser {
                    self.name_successor(key);
                } else {
                    self.way(key).looked_up = false;
                }
            }
            Some(LookUp::Successor(key)) if *reason == wire::Refusal::NoSuchUser => {
                self.hold_all(key, Reason::NoSuchUser);
            }
            Some(LookUp::Successor(_)) | None => {}
        }
    }

    /// A key is registered no more: if its name is, under another key, the user must decide.
    pub(super) fn name_successor(&mut self, key: PublicKey) {
        if let Some(name) = self.book.name_of(&key).cloned() {
            self.look_up(Whom::Name(name), LookUp::Successor(key));
        } else {
            self.hold_all(key, Reason::NoSuchUser);
        }
    }

    /// Subscribes to everybody this store has to do with, and asks about those whose messages wait for a name.
    pub(super) fn watch_all(&mut self) {
        for key in self.unnamed.keys().copied().collect::<Vec<_>>() {
            self.refresh(key);
        }
        let friends: BTreeSet<PublicKey> = self.book.all().filter(|c| c.accepted).map(|c| c.key).collect();
        let known = friends.iter().chain(self.groups.fellows()).copied().collect::<BTreeSet<PublicKey>>().into_iter();
        let strangers = self.book.all().filter(|c| c.talked && !self.is_known(&c.key)).map(|c| c.key);
        let keys: Vec<PublicKey> = known.chain(strangers).take(WATCH_MAX).collect();
        if !keys.is_empty() {
            self.send_directory(ToDirectory::Watch(wire::Watch { add: keys, remove: Vec::new() }));
        }
        let accepted: Vec<PublicKey> = friends.union(&self.vouched_for()).copied().collect();
        for keys in accepted.chunks(WATCH_MAX) {
            self.send_directory(ToDirectory::Accept(wire::Accept { keys: keys.to_vec() }));
        }
    }

    /// From now on this person matters: written to, or heard from.
    pub(super) fn talked_with(&mut self, key: PublicKey, accepted: bool) {
        let before = self.book.of(&key).map(|contact| (contact.talked, contact.accepted));
        if before.is_none_or(|(talked, was_accepted)| talked && (was_accepted || !accepted)) {
            return;
        }
        self.book.change(&key, |contact| {
            contact.talked = true;
            contact.accepted |= accepted;
        });
        if !self.session.is_logged_in() {
            return;
        }
        if before.is_some_and(|(talked, _)| !talked) {
            self.send_directory(ToDirectory::Watch(wire::Watch { add: vec![key], remove: Vec::new() }));
        }
        if accepted && before.is_some_and(|(_, accepted)| !accepted) {
            self.send_directory(ToDirectory::Accept(wire::Accept { keys: vec![key] }));
        }
    }

    pub(super) fn on_presence(&mut self, presence: wire::Presence) {
        let key = presence.key;
        if self.book.of(&key).is_none() {
            self.nameless_came(key, presence.standing);
            return;
        }
        let now_ms = self.now.mono_ms;
        let way = self.way(key);
        let before = way.standing.replace(presence.standing);
        way.note.clone_from(&presence.note);
        let moved = way.candidates != presence.candidates;
        if !presence.candidates.is_empty() || presence.standing != Standing::Offline {
            way.candidates = presence.candidates.into_iter().take(CANDIDATES_MAX).collect();
        }
        let there = presence.standing != Standing::Offline;
        let came = there && before.is_none_or(|before| before == Standing::Offline);
        let started_again = there && (before == Some(Standing::Offline) || moved);
        if came || (there && moved) {
            way.returned_ms = Some(now_ms);
            way.redial.reset();
            way.looked_up = false;
        }
        if before.is_some_and(|before| before != presence.standing)
            && let Some(name) = self.book.name_of(&key).cloned()
        {
            self.note_presence(PresenceView { name, standing: presence.standing, note: presence.note });
        }
        if started_again && self.links.open_to(&key).is_some() {
            // The link that stands may lead to a program that is gone; one dialled beside it replaces it then.
            self.dial(key);
        }
        self.tend(key);
    }

    /// Who is in a group with this peer, or has mail here, and had no name when the directory was asked, may have one now.
    fn nameless_came(&mut self, key: PublicKey, standing: Standing) {
        if !self.groups.shares(&key) && self.outbox.waiting_for(&key) == 0 {
            return;
        }
        let before = self.way(key).standing.replace(standing);
        if standing != Standing::Offline && before == Some(Standing::Offline) {
            self.way(key).looked_up = false;
            self.refresh(key);
        }
    }

    /// The user says that another key is right: everything that waits for the name goes to it. What waits for somebody
    /// who has had another name stays theirs: it may have been written to that one.
    pub(super) fn accept_claim(&mut self, name: &Name, key: PublicKey) {
        let called = self.book.named(name).and_then(|contact| contact.name.clone());
        let Some(Accepted { pinned, new, moved }) = self.book.accept(name, &key) else { return };
        if let (Some(old), Some(new)) = (called, self.book.name_of(&pinned).cloned())
            && old != new
        {
            self.tell(Event::Renamed { old, new, fingerprint: pinned.fingerprint() });
        }
        self.talked_with(new, true);
        self.successors.remove(&new);
        if moved {
            self.successors.insert(pinned, new);
            self.readdress(pinned, new);
        } else {
            self.tend(pinned);
        }
        self.way(new).looked_up = false;
        self.refresh(new);
        self.show_unnamed(new);
        self.tend(new);
    }

    /// The user says that another key is wrong: what waited for that word goes on to the pinned one.
    pub(super) fn refuse_claim(&mut self, name: &Name) {
        if let Some(pinned) = self.book.refuse(name) {
            self.tend(pinned);
        }
    }

    /// What waits for `pinned` and is committed goes to `new`, in order, under new seqs of that lane.
    pub(super) fn readdress(&mut self, pinned: PublicKey, new: PublicKey) {
        let waiting = self.outbox.lane(&pinned).filter(|message| message.committed && !message.ending);
        let (seqs, copies): (Vec<_>, Vec<_>) =
            waiting.map(|m| (m.row.seq, m.row.conversation)).partition(|(_, talk)| *talk == Conversation::Pair);
        // It is the old key that belongs to a group. The new one has copies of its own once it does.
        for (seq, _) in copies {
            self.set_state(pinned, seq, State::Cancelled, None, Some(Reason::KeyChanged));
        }
        let seqs: Vec<u64> = seqs.into_iter().map(|(seq, _)| seq).collect();
        let mut moves = Vec::new();
        for old_seq in seqs {
            let Some(mut message) = self.outbox.remove(&pinned, old_seq) else { continue };
            if message.deposit != crate::outbox::Deposit::None {
                self.owed.withdrawals.push(self.place_of(&message.row));
            }
            if let Some(lane) = self.sent.get_mut(&pinned) {
                lane.settle(old_seq);
            }
            let seq = self.sent.entry(new).or_default().give(message.row.id);
            moves.push(Move { n: message.row.n, from: pinned, to: new, seq, after: message.row.after });
            // Like a new message it may leave only when its new place is committed.
            message = crate::outbox::Outgoing::new(message.row, false);
            message.row.recipient = new;
            message.row.seq = seq;
            if message.row.kind == common::body::Body::FILE {
                self.offer_moves(message.row.id, pinned, new);
            }
            let talk = message.row.conversation;
            self.last_sent.insert((new, talk.stable()), message.row.id);
            self.outbox.put(message);
        }
        if !moves.is_empty() {
            let seqs = moves.iter().map(|place| place.seq).collect();
            self.store(StoreOp::Readdress(moves), Then::Readdressed { recipient: new, seqs });
        }
    }

    pub(super) fn on_readdressed(&mut self, recipient: PublicKey, seqs: Vec<u64>) {
        for seq in seqs {
            if let Some(message) = self.outbox.at(&recipient, seq) {
                message.committed = true;
            }
            self.set_state(recipient, seq, State::Queued, None, None);
        }
        self.tend(recipient);
    }

    /// Looks after one's own prekeys: makes the first, replaces daily, destroys what is of no use.
    pub(super) fn tend_prekeys(&mut self) {
        let age_ms = self.clock.age_ms();
        if let Some(counter) = self.prekeys.wants(age_ms, self.now.wall_ms) {
            self.out.push_back(Output::MakePrekey { counter, created_ms: self.now.wall_ms });
        }
        let busy = self.meta.standing == Standing::Busy;
        let mail_waits = busy || !self.session.is_online() || self.errands.draining || !self.errands.opening.is_empty();
        let gone = self.prekeys.expire(age_ms, mail_waits);
        if !gone.is_empty() {
            self.store(StoreOp::DropPrekeys(gone), Then::Nothing);
        }
        let wait_ms = self.prekeys.next_age_ms().saturating_sub(age_ms).clamp(60_000, crate::limits::PREKEY_ROTATE_MS);
        self.timers.set(Timer::Prekeys, self.now.mono_ms + wait_ms);
    }

    pub(super) fn on_prekey_made(&mut self, record: PrekeyRecord, secret: PrekeySecret) {
        let Ok(prekey) = record.verify(&self.config.me) else { return };
        let created_age_ms = self.clock.age_ms();
        let key = OwnPrekey { counter: prekey.counter, record, secret, created_age_ms, replaced_age_ms: None };
        self.store(StoreOp::PutPrekey(Box::new(key.clone())), Then::Prekey(Box::new(key)));
    }

    pub(super) fn on_prekey_committed(&mut self, key: OwnPrekey) {
        let record = key.record.clone();
        self.prekeys.add(key);
        if self.session.is_online() {
            let request = self.session.request();
            self.errands.prekey = Some(request);
            self.send_directory(ToDirectory::PublishPrekey(wire::PublishPrekey { request, prekey: record }));
            let linked: Vec<PublicKey> = self.links.opened().map(|(key, _)| *key).collect();
            for key in linked {
                self.send_state(key, true);
            }
        } else {
            self.come_online();
        }
    }

    /// The directory has committed the current prekey.
    pub(super) fn prekey_confirmed(&mut self) {
        for key in self.prekeys.confirmed(self.clock.age_ms()) {
            self.store(StoreOp::PutPrekey(Box::new(key)), Then::Nothing);
        }
        self.timers.set_by(Timer::Prekeys, self.now.mono_ms + crate::limits::PREKEY_GRACE_MS);
    }

    pub(super) fn standing_of(&self, name: &Name) -> Option<Standing> {
        let key = self.book.named(name)?.key;
        self.ways.get(&key)?.standing
    }
}

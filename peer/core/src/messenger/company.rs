//! Others, as far as no message is concerned: contacts, blocking, presence and its notices, broadcasts.

use std::collections::BTreeMap;

use common::identity::{Context, PublicKey, Signature};
use common::name::Name;
use common::shout::{Shout, SignedShout};
use common::wire::directory::{
    self as wire, BroadcastSent, Listed, Refusal, Shouted, Standing, Taking, ToDirectory, Watch,
};
use common::wire::peer::CloseReason;

use super::commands::Pending;
use super::{Messenger, Then};
use crate::command::{Command, CommandError, ErrorCode};
use crate::event::{Answer, CommandId, Dropped, Event, Output, PresenceView, Ticket};
use crate::limits::{LOOKUP_TIMEOUT_MS, NOTICE_GATHER_MS, SHOUTERS_MAX, STANDING_RETRY_MS};
use crate::stored::StoreOp;
use crate::timers::Timer;

/// What is known of others that is not stored.
#[derive(Debug, Default)]
pub(super) struct Company {
    /// Whose presence has changed and was not told yet.
    gathered: BTreeMap<Name, PresenceView>,
    /// Broadcasts being signed.
    signing: BTreeMap<Ticket, (CommandId, Vec<u8>)>,
    /// One's own last broadcast, by one's own clock, milliseconds since 1970.
    last_shout_ms: i64,
    /// The newest broadcast of each speaker, by theirs.
    heard: BTreeMap<PublicKey, i64>,
    /// Whose block is not committed yet, with what came of theirs meanwhile, by item of the mailbox.
    blocking: BTreeMap<PublicKey, Vec<u64>>,
    /// The request that tells the directory what one is.
    standing: Option<u32>,
    /// What the directory was told of that last.
    told: Option<(Standing, Option<String>)>,
    /// The name and key that `!verify` showed last for the user to compare.
    pub(super) compared: Option<(Name, PublicKey)>,
}

impl Messenger {
    pub(super) fn run_in_company(&mut self, id: CommandId, command: Command) {
        match command {
            Command::Add(ref name) | Command::Block(ref name) => {
                let name = name.clone();
                match self.book.named(&name).map(|contact| contact.key) {
                    _ if self.my_name().as_ref() == Some(&name) => {
                        self.fail(id, ErrorCode::ToYourself, "that is yourself");
                    }
                    Some(key) => self.befriend_or_block(id, key, &command),
                    None => self.find(id, name, command),
                }
            }
            Command::Remove(name) => self.remove_contact(id, &name),
            Command::Unblock(name) => self.unblock(id, &name),
            Command::Stand { standing, note } => self.stand(id, standing, note),
            Command::Broadcast(text) => self.shout(id, text),
            _ => self.fail(id, ErrorCode::Unsupported, "this is no command about others"),
        }
    }

    /// `!add` or `!block`, of somebody whose key is known now.
    pub(super) fn befriend_or_block(&mut self, id: CommandId, key: PublicKey, command: &Command) {
        if matches!(command, Command::Block(_)) {
            self.book.change(&key, |contact| {
                contact.blocked = true;
                contact.talked = true;
            });
            self.company.blocking.entry(key).or_default();
            self.store(StoreOp::PutMeta(self.meta.clone()), Then::Blocked(key));
        } else {
            self.talked_with(key, true);
        }
        self.answer_contact(id, key);
    }

    fn answer_contact(&mut self, id: CommandId, key: PublicKey) {
        match self.book.of(&key).and_then(|contact| self.contact_view(contact)) {
            Some(view) => self.done_when_written(id, Answer::Contact(Box::new(view))),
            None => self.fail(id, ErrorCode::NoSuchUser, "nobody is believed to have that name"),
        }
    }

    fn remove_contact(&mut self, id: CommandId, name: &Name) {
        let Some(key) = self.book.named(name).filter(|contact| contact.talked).map(|contact| contact.key) else {
            self.fail(id, ErrorCode::NoSuchUser, format!("{name} is no contact"));
            return;
        };
        // The name stays pinned to its key: whoever comes back by it is who they were.
        self.book.change(&key, |contact| {
            contact.talked = false;
            contact.accepted = false;
        });
        if self.session.is_logged_in() {
            self.send_directory(ToDirectory::Watch(Watch { add: Vec::new(), remove: vec![key] }));
        }
        self.done_when_written(id, Answer::Removed(name.clone()));
    }

    fn unblock(&mut self, id: CommandId, name: &Name) {
        // Who is known by a name of another directory only is called so all the same.
        let called = self.book.all().find(|contact| contact.blocked && contact.name.as_ref() == Some(name));
        let blocked = self.book.named(name).filter(|contact| contact.blocked).or(called);
        let Some(key) = blocked.map(|contact| contact.key) else {
            self.fail(id, ErrorCode::NoSuchUser, format!("{name} is not blocked"));
            return;
        };
        self.book.change(&key, |contact| contact.blocked = false);
        self.owed.acks.insert(key);
        self.answer_contact(id, key);
    }

    pub(super) fn is_blocked(&self, key: &PublicKey) -> bool {
        self.book.of(key).is_some_and(|contact| contact.blocked)
    }

    /// Whether `key` is blocked, and a crash would not undo it: only then are they told, and what they sent is gone.
    pub(super) fn is_blocked_for_good(&self, key: &PublicKey) -> bool {
        self.is_blocked(key) && !self.company.blocking.contains_key(key)
    }

    /// Something of somebody blocked has come; true if it is to be taken out of the mailbox.
    pub(super) fn spurn(&mut self, sender: PublicKey, item: Option<u64>) -> bool {
        self.dropped(sender, Dropped::Blocked);
        if let Some(items) = self.company.blocking.get_mut(&sender) {
            items.extend(item);
            return false;
        }
        self.refuse_blocked(sender);
        true
    }

    /// A block is committed, unless it was taken back meanwhile.
    pub(super) fn on_blocked(&mut self, key: PublicKey) {
        let items = self.company.blocking.remove(&key).unwrap_or_default();
        if self.is_blocked(&key) {
            self.owed.takes.extend(items.into_iter().map(|item| (item, Taking::Stored)));
            self.refuse_blocked(key);
        } else if !items.is_empty() {
            // The next session hands it out again.
            self.out.push_back(Output::DirectoryClose);
            self.directory_lost();
        }
    }

    /// Why nothing can be sent to `key`, if a block on either side is the reason.
    pub(super) fn blocked_either_way(&self, key: &PublicKey) -> Option<CommandError> {
        let name = self.called(key);
        let message = if self.is_blocked(key) {
            format!("you block {name}; '!unblock {name}' ends that")
        } else if self.ways.get(key).is_some_and(|way| way.blocks_me) {
            format!("{name} takes nothing from you")
        } else {
            return None;
        };
        Some(CommandError::new(ErrorCode::Blocked, message))
    }

    /// The one thing that somebody blocked is told: that nothing is taken.
    fn refuse_blocked(&mut self, key: PublicKey) {
        match self.links.open_to(&key) {
            Some(link) => {
                self.send_state(key, false);
                self.close_link(link, CloseReason::Blocked);
            }
            None => {
                self.owed.slots.insert(key);
            }
        }
    }

    fn stand(&mut self, id: CommandId, standing: Standing, note: Option<String>) {
        let was_busy = self.meta.standing == Standing::Busy;
        self.meta.standing = standing;
        self.meta.note.clone_from(&note);
        self.meta_changed = true;
        self.tell_standing();
        if was_busy && standing != Standing::Busy {
            self.take_again();
        }
        self.done_when_written(id, Answer::Standing { standing, note });
    }

    /// What came directly and was not taken while one was busy is sent again on a new link.
    fn take_again(&mut self) {
        let mut turned_away = Vec::new();
        for (key, way) in &mut self.ways {
            if std::mem::take(&mut way.turned_away) {
                turned_away.push(*key);
            }
        }
        for link in turned_away.iter().filter_map(|key| self.links.open_to(key)).collect::<Vec<_>>() {
            // Not `Busy`: that asks to be spared such links for a while.
            self.close_link(link, CloseReason::Leaving);
        }
    }

    /// Tells the directory what one is, in this session. With the next one it is told at once.
    pub(super) fn tell_standing(&mut self) {
        if self.session.is_online() {
            let request = self.session.request();
            self.company.standing = Some(request);
            let (standing, note) = self.standing_to_tell();
            self.send_directory(ToDirectory::SetStanding(wire::SetStanding { request, standing, note }));
        }
    }

    /// What one is, to be said to the directory now.
    pub(super) fn standing_to_tell(&mut self) -> (Standing, Option<String>) {
        let now = (self.meta.standing, self.meta.note.clone());
        self.company.told = Some(now.clone());
        now
    }

    /// The directory has let us online as we were when we asked for it.
    pub(super) fn correct_standing(&mut self) {
        if self.company.told.as_ref() != Some(&(self.meta.standing, self.meta.note.clone())) {
            self.tell_standing();
        }
    }

    /// Whether a refused request was the one about one's standing; then it is tried again.
    pub(super) fn standing_refused(&mut self, request: u32, reason: &Refusal) -> bool {
        if self.company.standing != Some(request) {
            return false;
        }
        self.company.standing = None;
        if let Refusal::RateLimited(ms) = reason {
            self.timers.set(Timer::Standing, self.now.mono_ms + u64::from(*ms).max(STANDING_RETRY_MS));
        }
        true
    }

    /// Somebody's presence has changed: told a moment later, together with that of others.
    pub(super) fn note_presence(&mut self, view: PresenceView) {
        self.company.gathered.insert(view.name.clone(), view);
        self.timers.set_by(Timer::Notices, self.now.mono_ms + NOTICE_GATHER_MS);
    }

    pub(super) fn notices_due(&mut self) {
        let people: Vec<PresenceView> = std::mem::take(&mut self.company.gathered).into_values().collect();
        if !people.is_empty() {
            self.tell(Event::Presence(people));
        }
    }

    /// Notices about people whom nobody here watches.
    pub(super) fn on_notices(&mut self, people: Vec<Listed>) {
        for Listed { name, key, standing, note, .. } in people {
            let pinned = self.book.named(&name).is_none_or(|contact| contact.key == key);
            if key != self.config.me && pinned && !self.is_blocked(&key) {
                self.note_presence(PresenceView { name, standing, note });
            }
        }
    }

    fn shout(&mut self, id: CommandId, text: String) {
        let directory = self.directory.as_ref().map(|directory| directory.key);
        let (Some(directory), true) = (directory, self.session.is_online()) else {
            if self.my_name().is_none() {
                self.fail(id, ErrorCode::NotRegistered, "register first: !register NAME");
            } else {
                self.fail(id, ErrorCode::DirectoryUnreachable, "nobody can be reached while you are offline");
            }
            return;
        };
        let at_ms = self.now.wall_ms.max(self.company.last_shout_ms.saturating_add(1));
        self.company.last_shout_ms = at_ms;
        let bytes = Shout { directory, by: self.config.me, at_ms, text }.bytes();
        let ticket = self.ticket();
        self.company.signing.insert(ticket, (id, bytes.clone()));
        self.wait(Pending::Broadcast { id, request: None }, LOOKUP_TIMEOUT_MS);
        self.out.push_back(Output::Sign { ticket, context: Context::Broadcast, bytes });
    }

    /// Whether what was signed is a broadcast; then it goes out.
    pub(super) fn shout_signed(&mut self, ticket: Ticket, signature: Signature) -> bool {
        let Some((id, bytes)) = self.company.signing.remove(&ticket) else { return false };
        if self.session.is_online()
            && let Some(Pending::Broadcast { id: waiting, request }) = self.pending.get_mut(&id.source)
            && *waiting == id
        {
            let number = self.session.request();
            *request = Some(number);
            let shout = SignedShout::new(bytes, signature);
            self.send_directory(ToDirectory::Broadcast(wire::Broadcast { request: number, shout }));
        }
        true
    }

    pub(super) fn on_broadcast_sent(&mut self, sent: &BroadcastSent) {
        let waiting = self.pending.iter().find(|(_, pending)| {
            matches!(pending, Pending::Broadcast { request: Some(request), .. } if *request == sent.request)
        });
        if let Some(source) = waiting.map(|(source, _)| *source) {
            self.finish(source, Ok(Box::new(Answer::Broadcast { count: u64::from(sent.count) })));
        }
    }

    /// Shown once, under the name that the directory binds to its speaker; nobody is pinned by it.
    pub(super) fn on_shouted(&mut self, shouted: &Shouted) {
        let Some(directory) = self.directory.as_ref().map(|directory| directory.key) else { return };
        let Ok(bound) = shouted.binding.verify(&directory) else {
            self.dropped(directory, Dropped::Shout);
            return;
        };
        let pinned = self.book.named(&bound.name).is_none_or(|contact| contact.key == bound.key);
        let shout = shouted.shout.verify(&directory, &bound.key).ok().filter(|_| pinned && bound.key != self.config.me);
        let news = |shout: &Shout| self.company.heard.get(&bound.key).is_none_or(|last| *last < shout.at_ms);
        let Some(shout) = shout.filter(news) else {
            self.dropped(bound.key, Dropped::Shout);
            return;
        };
        if self.company.heard.len() >= SHOUTERS_MAX {
            self.company.heard.pop_first();
        }
        self.company.heard.insert(bound.key, shout.at_ms);
        if !self.is_blocked(&bound.key) {
            // A key that is known by a name has no other here, whatever the directory calls it now.
            let name = self.book.name_of(&bound.key).unwrap_or(&bound.name);
            let from = name.to_string();
            self.tell(Event::Broadcast { from, text: shout.text, sent_at_ms: shout.at_ms });
        }
    }
}

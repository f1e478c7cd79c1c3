//! Whom a command is for: people that are known, or looked up first; what is then sent to them, opened or withdrawn.

use common::identity::{Fingerprint, PublicKey};
use common::name::Name;
use common::wire::directory::Whom;

use super::Messenger;
use super::commands::Pending;
use super::lines::Saying;
use super::people::LookUp;
use crate::command::{Command, CommandError, ErrorCode, Which};
use crate::event::{Answer, CommandId};
use crate::limits::{KEY_MAX_CHARS, LOOKUP_TIMEOUT_MS};
use crate::stored::{State, Talk};
use crate::timers::Timer;

impl Messenger {
    /// Whether this user may send this now, whomever to; otherwise the command is answered.
    pub(super) fn may_send(&mut self, id: CommandId, command: &Command) -> bool {
        let Command::Send { text, key, .. } = command else { return true };
        if !self.may_write(id, Some(text)) {
            return false;
        }
        let keyed = key.as_ref().is_none_or(|key| !key.is_empty() && key.chars().count() <= KEY_MAX_CHARS);
        if !keyed {
            self.fail(id, ErrorCode::BadArgument, format!("an idempotency key has 1 to {KEY_MAX_CHARS} characters"));
        }
        keyed
    }

    pub(super) fn send_or_find(&mut self, id: CommandId, name: Name, print: Option<Fingerprint>, command: Command) {
        if !self.may_send(id, &command) {
            return;
        }
        if self.my_name().as_ref() == Some(&name) {
            self.fail(id, ErrorCode::ToYourself, "a message to yourself goes nowhere");
        } else if let Some(contact) = self.book.named(&name).map(|contact| contact.key) {
            if self.is_given_away(id, &name) {
                return;
            }
            self.send_to(id, contact, print, command);
        } else if !self.lacks_room(id) {
            self.find(id, name, command);
        }
    }

    pub(super) fn find(&mut self, id: CommandId, name: Name, command: Command) {
        let logged_in = self.session.is_logged_in();
        self.wait(Pending::Find { id, name: name.clone(), command: Box::new(command) }, LOOKUP_TIMEOUT_MS);
        if logged_in {
            self.look_up(Whom::Name(name), LookUp::Command(id));
        } else {
            self.session.forgive();
            self.connect();
        }
    }

    /// The directory has answered the look-up a command waits for.
    pub(super) fn command_found(&mut self, id: CommandId, key: Option<PublicKey>) {
        let waits = self.pending.get(&id.source).is_some_and(|pending| pending.id() == id);
        let Some(Pending::Find { name, command, .. }) = waits.then(|| self.pending.remove(&id.source)).flatten() else {
            return;
        };
        self.timers.clear(Timer::Command(id.source));
        // A message is answered when it is committed; what comes behind it need not wait for that.
        self.answers.unblock(id);
        let print = match &*command {
            Command::Send { to, .. } | Command::File { to, .. } | Command::Chat(to) => to.fingerprint(),
            // Looked at when the line is read, or with the key.
            _ => None,
        };
        let pinned = self.book.named(&name).map(|contact| contact.key);
        match (pinned.filter(|pinned| key == Some(*pinned)), *command) {
            (None, _) if key == Some(self.config.me) => self.fail(id, ErrorCode::ToYourself, "that is yourself"),
            (None, _) => {
                self.fail(id, ErrorCode::NoSuchUser, format!("the directory's word about {name} cannot be believed"));
            }
            (Some(key), command @ Command::Send { .. }) => self.send_to(id, key, print, command),
            (Some(key), command @ Command::File { .. }) => self.file_to(id, key, print, command),
            (Some(_), command @ (Command::Invite { .. } | Command::Kick { .. })) => self.run_on_groups(id, command),
            (Some(_), command @ Command::Forward { n, .. }) => self.ask_line(id, Which::Number(n), command),
            (Some(_), Command::Expire { with, after_ms }) => {
                let command = Command::Expire { with: with.clone(), after_ms };
                self.expire(id, &with, after_ms, command);
            }
            (Some(key), command @ (Command::Add(_) | Command::Block(_))) => self.befriend_or_block(id, key, &command),
            (Some(key), _) => self.chat_with(id, key, print),
        }
        self.start_commands(id.source);
    }

    pub(super) fn command_failed(&mut self, id: CommandId, error: CommandError) {
        if self.pending.get(&id.source).is_some_and(|pending| pending.id() == id) {
            self.finish(id.source, Err(error));
        }
    }

    /// The key demanded by `name#FINGERPRINT` must be the pinned one.
    pub(super) fn is_demanded(&mut self, id: CommandId, key: PublicKey, print: Option<Fingerprint>) -> bool {
        let theirs = key.fingerprint();
        if print.is_none_or(|print| print == theirs) {
            return true;
        }
        let message = format!("the key pinned for {} is {theirs}, not the demanded one", self.called(&key));
        self.fail(id, ErrorCode::KeyChanged, message);
        false
    }

    fn send_to(&mut self, id: CommandId, recipient: PublicKey, print: Option<Fingerprint>, command: Command) {
        if !self.is_demanded(id, recipient, print) {
            return;
        }
        match command {
            Command::Send { reply_to: Some(which), .. } => self.ask_line(id, which, command),
            Command::Send { text, key, urgent, reply_to: None, .. } => {
                self.say(id, Saying { talk: Talk::Pair(recipient), text, reply_to: None, urgent, key });
            }
            _ => {}
        }
    }

    pub(super) fn chat_or_find(&mut self, id: CommandId, name: Name, print: Option<Fingerprint>, command: Command) {
        match self.book.named(&name).map(|contact| contact.key) {
            _ if self.my_name().as_ref() == Some(&name) => self.fail(id, ErrorCode::ToYourself, "that is yourself"),
            Some(key) => self.chat_with(id, key, print),
            None => self.find(id, name, command),
        }
    }

    fn chat_with(&mut self, id: CommandId, key: PublicKey, print: Option<Fingerprint>) {
        if self.is_demanded(id, key, print) {
            let name = self.called(&key);
            self.done(id, Answer::Chat(name));
        }
    }

    pub(super) fn cancel(&mut self, id: CommandId, n: u64) {
        let places = self.outbox.places(n);
        if places.is_empty() && self.cancel_file(id, n) {
            return;
        }
        if places.is_empty() {
            let message = format!("message {n} is none of yours that still waits");
            self.fail(id, ErrorCode::NoSuchMessage, message);
            return;
        }
        let waits = |(key, seq): &(PublicKey, u64)| {
            self.outbox.at(key, *seq).is_some_and(|message| !message.ending && message.committed)
        };
        let waiting: Vec<(PublicKey, u64)> = places.into_iter().filter(waits).collect();
        if waiting.is_empty() && self.cancel_file(id, n) {
            return;
        }
        if waiting.is_empty() || self.cancels.contains_key(&n) {
            self.fail(id, ErrorCode::NoSuchMessage, format!("message {n} has just ended otherwise"));
            return;
        }
        // Answered after the commit: until then a crash would let it go out after all.
        self.cancels.insert(n, id);
        self.take_back_files(n);
        for (key, seq) in waiting {
            self.set_state(key, seq, State::Cancelled, None, Some(crate::stored::Reason::User));
        }
    }
}

//! The user's commands on a line: it is read first, then checked, then what is to be done goes to everybody of its
//! conversation.

use common::body::{Body, Delete, Edit, Forward, Reaction, Text, Vanishing};
use common::identity::PublicKey;
use common::limits::{EMOJI_MAX_BYTES, TEXT_MAX_BYTES};
use common::message::{Conversation, MessageId};
use common::name::Name;

use super::Messenger;
use crate::command::{Command, CommandError, ErrorCode, To, Which};
use crate::event::{Answer, CommandId};
use crate::messenger::commands::Asked;
use crate::messenger::posting::{Post, Waiting};
use crate::stored::{Amended, Amendment, Query, Reason, State, StoredMessage, Talk};

/// Stands for the writer of a forwarded text who has no name.
const SOMEBODY: &str = "somebody";

/// A text of this user for a conversation.
#[derive(Debug)]
pub(in crate::messenger) struct Saying {
    /// The conversation.
    pub talk: Talk,
    /// The text.
    pub text: String,
    /// The line it answers.
    pub reply_to: Option<MessageId>,
    /// Rings, goes first.
    pub urgent: bool,
    /// Idempotency key.
    pub key: Option<String>,
}

impl Messenger {
    /// Whether the user may write now, this text if one is given; otherwise the command is answered.
    pub(in crate::messenger) fn may_write(&mut self, id: CommandId, text: Option<&str>) -> bool {
        let error = if self.my_name().is_none() {
            CommandError::new(ErrorCode::NotRegistered, "register first: !register NAME")
        } else if self.meta.suspended {
            let message = "this identity is online on another machine; !login takes over again";
            CommandError::new(ErrorCode::Suspended, message)
        } else if let Some(text) = text.filter(|text| text.len() > TEXT_MAX_BYTES) {
            let message = format!("the text has {} bytes; at most {TEXT_MAX_BYTES} are accepted", text.len());
            CommandError::new(ErrorCode::TooLarge, message)
        } else if text.is_some_and(str::is_empty) {
            CommandError::new(ErrorCode::BadArgument, "there is no text to send")
        } else {
            return true;
        };
        self.reply(id, Err(error));
        false
    }

    /// Whether it is not the user; otherwise the command is answered.
    pub(super) fn is_other(&mut self, id: CommandId, to: &To) -> bool {
        let me = self.my_name();
        let myself = matches!(to, To::Person { name, .. } if me.as_ref() == Some(name));
        if myself {
            self.fail(id, ErrorCode::ToYourself, "a message to yourself goes nowhere");
        }
        !myself
    }

    pub(super) fn is_sign(&mut self, id: CommandId, emoji: &str) -> bool {
        let good = is_emoji(emoji);
        if !good {
            let message =
                format!("a sign has at most {EMOJI_MAX_BYTES} bytes, none of them blank or a control character");
            self.fail(id, ErrorCode::BadArgument, message);
        }
        good
    }

    /// The line that a command is about is read; what its source asks for next waits behind it.
    pub(in crate::messenger) fn ask_line(&mut self, id: CommandId, which: Which, command: Command) {
        self.answers.block(id);
        self.query(Query::Message(which), Asked::Line { id, command: Box::new(command) });
    }

    /// The line that a command is about was read.
    pub(in crate::messenger) fn on_line(&mut self, id: CommandId, command: Command, line: Option<Box<StoredMessage>>) {
        self.answers.unblock(id);
        match line.filter(|line| Body::is_line(line.kind)) {
            None => self.fail(id, ErrorCode::NoSuchMessage, "there is no such message"),
            Some(line) if line.gone.is_some() => {
                self.fail(id, ErrorCode::NoSuchMessage, format!("the text of message {} is gone", line.n));
            }
            Some(line) => self.run_on_line(id, command, &line),
        }
        self.start_commands(id.source);
    }

    fn run_on_line(&mut self, id: CommandId, command: Command, line: &StoredMessage) {
        match command {
            Command::Reply { text, .. } => {
                let text = self.without_address(line, text);
                self.say(id, Saying { talk: line.talk(), text, reply_to: Some(line.id), urgent: false, key: None });
            }
            Command::Send { to, text, key, urgent, .. } => {
                let talk = self.present(line.talk());
                if self.talk_of(&to) == Some(talk) {
                    self.say(id, Saying { talk, text, reply_to: Some(line.id), urgent, key });
                } else {
                    let message = format!("message {} is not of that conversation", line.n);
                    self.fail(id, ErrorCode::NoSuchMessage, message);
                }
            }
            Command::Edit { text, .. } => self.edit(id, line, text),
            Command::Delete(_) => self.delete(id, line),
            Command::React { emoji, .. } => {
                let (author, target) = (self.author_of(line), line.id);
                let body = Body::Reaction(Reaction { author, target, emoji: emoji.clone() });
                self.change(id, line, body, Amended::Reaction(emoji));
            }
            Command::Forward { n, to } => self.forward(id, line, n, to),
            _ => self.fail(id, ErrorCode::Unsupported, "this is about no line"),
        }
    }

    fn author_of(&self, line: &StoredMessage) -> PublicKey {
        if line.mine { self.config.me } else { line.sender }
    }

    /// `!reply N NAME TEXT`: the name of the other person is no part of the text, if more follows.
    fn without_address(&self, line: &StoredMessage, text: String) -> String {
        let Talk::Pair(other) = self.present(line.talk()) else { return text };
        let Some((first, rest)) = text.trim_start().split_once(char::is_whitespace) else { return text };
        let addressed = first.parse::<Name>().is_ok_and(|name| self.book.name_of(&other) == Some(&name));
        if addressed && !rest.trim().is_empty() { rest.trim_start().to_owned() } else { text }
    }

    /// The same conversation, under the key that the user has put in the place of the other's.
    fn present(&self, talk: Talk) -> Talk {
        match talk {
            Talk::Pair(key) if self.book.name_of(&key).is_none() => Talk::Pair(self.successor_of(key).unwrap_or(key)),
            other => other,
        }
    }

    fn edit(&mut self, id: CommandId, line: &StoredMessage, text: String) {
        let is_text = matches!(Body::decode(line.kind, &line.body), Body::Text(_) | Body::Vanishing(_));
        let ended = matches!(line.state, Some((State::Cancelled | State::Expired | State::Refused, _)));
        if !line.mine {
            self.fail(id, ErrorCode::NotAllowed, format!("message {} is not yours: only its writer edits it", line.n));
        } else if !is_text {
            self.fail(id, ErrorCode::NotAllowed, format!("message {} is no text of yours", line.n));
        } else if ended {
            let message = format!("message {} was not delivered and is not on its way: send a new one", line.n);
            self.fail(id, ErrorCode::NoSuchMessage, message);
        } else {
            let body = Body::Edit(Edit { target: line.id, text: text.clone() });
            self.change(id, line, body, Amended::Edit(text));
        }
    }

    fn delete(&mut self, id: CommandId, line: &StoredMessage) {
        if !line.mine {
            let message = format!("message {} is not yours: only its writer takes it back", line.n);
            self.fail(id, ErrorCode::NotAllowed, message);
            return;
        }
        if !self.change(id, line, Body::Delete(Delete { target: line.id }), Amended::Delete) {
            return;
        }
        self.take_back_files(line.n);
        // In the same transaction. What arrived all the same, the deletion finds.
        for (key, seq) in self.outbox.places(line.n) {
            self.set_state(key, seq, State::Cancelled, None, Some(Reason::User));
        }
    }

    /// What is done to a line takes effect here at once and goes to everybody of its conversation. False: refused.
    fn change(&mut self, id: CommandId, line: &StoredMessage, body: Body, what: Amended) -> bool {
        let author = self.author_of(line);
        let conversation = self.talk_name(&line.talk());
        let answer = Box::new(Answer::Changed { n: line.n, id: line.id, conversation });
        let amends = Some(Amendment { author, target: line.id, what: what.clone() });
        if self.post_in(id, Waiting::With(id, answer), line.talk(), body, amends).is_none() {
            return false;
        }
        self.amend_held_back(line, &what);
        true
    }

    fn forward(&mut self, id: CommandId, line: &StoredMessage, n: u64, to: To) {
        let (author, written_ms, text) = match Body::decode(line.kind, &line.body) {
            // Whose it was stays said.
            Body::Forward(forward) => (forward.author, forward.written_ms, forward.text),
            Body::Text(Text { text, .. }) | Body::Vanishing(Vanishing { text, .. }) => {
                let author = if line.mine { self.my_name() } else { self.book.name_of(&line.sender).cloned() };
                (author.map_or_else(|| SOMEBODY.to_owned(), |name| name.to_string()), line.sent_at_ms, text)
            }
            _ => {
                self.fail(id, ErrorCode::NotAllowed, format!("message {} has no text to be passed on", line.n));
                return;
            }
        };
        match (self.talk_of(&to), to) {
            (Some(talk), to) => {
                if let To::Person { name, .. } = &to
                    && self.is_given_away(id, name)
                {
                    return;
                }
                if let Talk::Pair(key) = talk
                    && !self.is_demanded(id, key, to.fingerprint())
                {
                    return;
                }
                // What is passed on into a conversation whose texts vanish vanishes like them, as a text of the forwarder.
                let body = match self.lines.duration(&talk) {
                    Some(after_ms) => Body::Vanishing(Vanishing { text, reply_to: None, after_ms }),
                    None => Body::Forward(Forward { text, author, written_ms }),
                };
                self.post_in(id, Waiting::Sent(id), talk, body, None);
            }
            (None, To::Group(name)) => self.fail(id, ErrorCode::NoSuchGroup, format!("there is no group @{name}")),
            (None, To::Person { name, fingerprint }) => {
                if !self.lacks_room(id) {
                    let to = To::Person { name: name.clone(), fingerprint };
                    self.find(id, name, Command::Forward { n, to });
                }
            }
        }
    }

    /// Queues a text of this user for a conversation; the command is answered in any case.
    pub(in crate::messenger) fn say(&mut self, id: CommandId, saying: Saying) {
        let Saying { talk, text, reply_to, urgent, key } = saying;
        let body = match self.lines.duration(&talk) {
            Some(after_ms) => Body::Vanishing(Vanishing { text, reply_to, after_ms }),
            None => Body::Text(Text { text, reply_to }),
        };
        let Some((conversation, recipients)) = self.audience(id, talk, &body) else { return };
        self.post(Waiting::Sent(id), Post { conversation, recipients, body, urgent, key, amends: None });
    }

    /// Queues what is no text of its own for everybody of a conversation. None: refused, and the command is answered.
    pub(super) fn post_in(
        &mut self,
        id: CommandId,
        waiting: Waiting,
        talk: Talk,
        body: Body,
        amends: Option<Amendment>,
    ) -> Option<MessageId> {
        let (conversation, recipients) = self.audience(id, talk, &body)?;
        self.post(waiting, Post { conversation, recipients, body, urgent: false, key: None, amends })
    }

    /// Who gets what is said in a conversation, if it may be said and there is room for it; otherwise the command is
    /// answered.
    pub(in crate::messenger) fn audience(
        &mut self,
        id: CommandId,
        talk: Talk,
        body: &Body,
    ) -> Option<(Conversation, Vec<PublicKey>)> {
        let (conversation, recipients) = match self.present(talk) {
            Talk::Pair(key) => {
                if let Some(blocked) = self.blocked_either_way(&key) {
                    self.reply(id, Err(blocked));
                    return None;
                }
                (Conversation::Pair, vec![key])
            }
            Talk::Group(group) => match self.members_to_tell(&group) {
                Ok(to) => to,
                Err(error) => {
                    self.reply(id, Err(error));
                    return None;
                }
            },
        };
        if self.lacks_room(id) {
            return None;
        }
        let bytes = body.text().map_or(EMOJI_MAX_BYTES, str::len);
        if let Some(full) = self.refuses_post(recipients.len(), bytes) {
            self.reply(id, Err(full));
            return None;
        }
        if let (Conversation::Pair, [key]) = (conversation, recipients.as_slice()) {
            self.talked_with(*key, true);
        }
        Some((conversation, recipients))
    }
}

/// Whether it may stand beside a line; nothing may: it takes the sign back.
pub(super) fn is_emoji(emoji: &str) -> bool {
    emoji.len() <= EMOJI_MAX_BYTES && !emoji.chars().any(|c| c.is_control() || c.is_whitespace())
}

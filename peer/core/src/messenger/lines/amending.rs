//! What others did to lines. The store applies it in the transaction that stores it; what is left is whether it may be done
//! at all, and what is said about it. A line that is not put out yet comes as it is by then, so nothing is said of it.

use std::collections::BTreeSet;

use common::body::Body;
use common::identity::PublicKey;
use common::limits::{EXPIRY_MAX_MS, EXPIRY_MIN_MS, NAME_MAX_CHARS, TEXT_MAX_BYTES};
use common::message::{Conversation, Header, MessageId};

use super::Messenger;
use super::changing::is_emoji;
use crate::command::Which;
use crate::event::{ChangeView, Event};
use crate::messenger::Then;
use crate::messenger::commands::Asked;
use crate::messenger::lines::Committed;
use crate::messenger::membership::Hearing;
use crate::stored::{Amended, Amendment, Gone, Query, StoreOp, StoredMessage};

/// Changes that waited at the last start whose lines are looked for at this one; more wait for the next.
const CHANGES_ASKED_MAX: usize = 1_000;

/// What an envelope means for lines, found before it is stored.
#[derive(Debug, Default)]
pub(in crate::messenger) struct Meaning {
    /// Over a limit, or not to be said by its sender: its body is not kept.
    pub refused: bool,
    /// The line it answers.
    pub reply_to: Option<MessageId>,
    /// What it does to a line.
    pub amends: Option<Amendment>,
    /// Its text goes so long after it was put out, milliseconds.
    pub vanishes_ms: Option<u64>,
}

impl Messenger {
    pub(in crate::messenger) fn meaning_of(&self, sender: &PublicKey, header: &Header, body: &[u8]) -> Meaning {
        let body = Body::decode(header.kind, body);
        let hearing = self.may_do(sender, header.conversation, &body);
        let timely = !matches!(body, Body::Expiry(_)) || self.is_timely(&header.id);
        if !timely || !is_within_limits(&body) || hearing == Hearing::Outsider {
            return Meaning { refused: true, ..Meaning::default() };
        }
        let vanishes_ms = match &body {
            Body::Vanishing(vanishing) => Some(vanishing.after_ms),
            _ => None,
        };
        // What waits for the chain does nothing yet.
        let amends = if hearing == Hearing::Member { amendment(*sender, &body) } else { None };
        Meaning { refused: false, reply_to: body.reply_to(), amends, vanishes_ms }
    }

    /// Whether somebody may do that in a conversation. Lines of a group are judged when they are put out; what changes
    /// something takes effect with its commit, or waits for the chain.
    fn may_do(&self, sender: &PublicKey, conversation: Conversation, body: &Body) -> Hearing {
        let hearing = self.hearing(sender, conversation);
        let fellow = match conversation {
            Conversation::Group { id, .. } => self.is_fellow_in(sender, &id),
            Conversation::Pair => true,
        };
        match body {
            Body::Reaction(reaction) if conversation == Conversation::Pair => {
                let ours = [*sender, self.config.me].contains(&reaction.author);
                if ours { Hearing::Member } else { Hearing::Outsider }
            }
            // One's own lines alone: if those count for nothing, this does not either.
            Body::Edit(_) | Body::Delete(_) if hearing != Hearing::Outsider => Hearing::Member,
            // An old version can be named for ever: who was taken out rules no conversation.
            Body::Expiry(_) if hearing == Hearing::Member && !fellow => Hearing::Outsider,
            // A newer chain hardly takes that back.
            Body::Reaction(_) | Body::Expiry(_) if hearing == Hearing::Unknown && fellow => Hearing::Member,
            Body::Edit(_) | Body::Delete(_) | Body::Reaction(_) | Body::Expiry(_) => hearing,
            _ => Hearing::Member,
        }
    }

    /// A committed message that is no line. `line`: the one it changes, as it is now, if it is here.
    pub(in crate::messenger) fn change_arrived(&mut self, message: StoredMessage, line: Option<&StoredMessage>) {
        let body = Body::decode(message.kind, &message.body);
        match self.may_do(&message.sender, message.conversation, &body) {
            Hearing::Member => {}
            Hearing::Outsider => return self.turn_away(&message),
            Hearing::Unknown => return self.wait_for_hearing(message),
        }
        match body {
            Body::Edit(_) | Body::Delete(_) | Body::Reaction(_) => {
                match line {
                    Some(line) => self.amended(&message, line),
                    // The line comes as it is by then. Unmarked, changes of lines that never come would fill every start.
                    None => self.store(StoreOp::Shown(vec![message.n]), Then::Nothing),
                }
            }
            Body::Expiry(expiry) => self.expiry_arrived(&message, expiry.after_ms),
            Body::Invitation(_) => self.check_invitation(message),
            Body::FileWord(word) => self.file_word_arrived(&message, &word),
            Body::Text(_) | Body::Forward(_) | Body::Vanishing(_) | Body::File(_) | Body::Unknown(_) => {
                self.store(StoreOp::Dismiss(vec![message.n]), Then::Nothing);
            }
        }
    }

    fn amended(&mut self, message: &StoredMessage, line: &StoredMessage) {
        let done = effect(message, line);
        if !self.change_held_back(line, |waiting| *waiting = line.clone()) {
            if !self.config.shows {
                return;
            }
            if let Some(what) = done {
                let (by, conversation) = (self.called(&message.sender), self.talk_name(&line.talk()));
                let text = match &what {
                    Amended::Edit(text) | Amended::Reaction(text) => text.clone(),
                    Amended::Delete => String::new(),
                };
                let view = ChangeView { n: line.n, id: line.id, by, conversation, text, mark: message.n };
                self.tell(match what {
                    Amended::Edit(_) => Event::Edited(view),
                    Amended::Delete => Event::Deleted(view),
                    Amended::Reaction(_) => Event::Reacted(view),
                });
                return;
            }
        }
        self.store(StoreOp::Shown(vec![message.n]), Then::Nothing);
    }

    /// Changes a line where it waits: for a believed name, for a group's chain, for its predecessor. Whether it does.
    fn change_held_back(&mut self, line: &StoredMessage, change: impl FnOnce(&mut StoredMessage)) -> bool {
        let unnamed = self.unnamed.get_mut(&line.sender);
        if let Some(waiting) = unnamed.and_then(|waiting| waiting.iter_mut().find(|waiting| waiting.id == line.id)) {
            change(waiting);
            return true;
        }
        if let Some(waiting) = self.waiting_for_chain(line) {
            change(waiting);
            return true;
        }
        self.inbox.amend(line.sender, line.conversation, line.id, change)
    }

    /// What the user did to a line that is still held back.
    pub(super) fn amend_held_back(&mut self, line: &StoredMessage, what: &Amended) {
        if let (false, Amended::Reaction(emoji)) = (line.mine, what) {
            let me = self.config.me;
            self.change_held_back(line, |waiting| {
                waiting.reactions.retain(|(who, _)| *who != me);
                if !emoji.is_empty() {
                    waiting.reactions.push((me, emoji.clone()));
                }
            });
        }
    }

    /// What was committed and not put out before this start, and is no line: what changes a line that is not put out
    /// either is put out with it; of the rest the lines are looked for.
    pub(in crate::messenger) fn begin_changes(
        &mut self,
        changes: Vec<StoredMessage>,
        lines: &BTreeSet<(PublicKey, MessageId)>,
    ) {
        let (mut settled, mut asked) = (Vec::new(), 0);
        for message in changes {
            match amendment(message.sender, &Body::decode(message.kind, &message.body)) {
                // A reaction in a group may still wait for the chain: then its line is put out without it.
                Some(change)
                    if lines.contains(&(change.author, change.target))
                        && !(message.kind == Body::REACTION && message.conversation != Conversation::Pair) =>
                {
                    settled.push(message.n);
                }
                Some(_) if asked == CHANGES_ASKED_MAX => {}
                Some(_) => {
                    asked += 1;
                    self.look_for_line(message);
                }
                None => self.bring_in(message, true),
            }
        }
        if !settled.is_empty() {
            self.store(StoreOp::Shown(settled), Then::Nothing);
        }
    }

    /// A change that waited: is its line here now?
    pub(in crate::messenger) fn look_for_line(&mut self, message: StoredMessage) {
        let body = Body::decode(message.kind, &message.body);
        if !matches!(body, Body::Reaction(_)) || message.conversation == Conversation::Pair {
            self.find_line_of(message, &body);
        } else if self.may_do(&message.sender, message.conversation, &body) == Hearing::Member {
            // It may have waited for the chain, without effect.
            self.store(StoreOp::Amend(message.n), Then::Lines(Committed::Amended(Box::new(message))));
        } else {
            self.change_arrived(message, None);
        }
    }

    pub(super) fn on_amended(&mut self, message: StoredMessage) {
        let body = Body::decode(message.kind, &message.body);
        self.find_line_of(message, &body);
    }

    fn find_line_of(&mut self, message: StoredMessage, body: &Body) {
        match amendment(message.sender, body) {
            Some(change) => {
                self.query(Query::Message(Which::Id(change.target)), Asked::Change { message: Box::new(message) });
            }
            None => self.change_arrived(message, None),
        }
    }

    pub(in crate::messenger) fn on_line_of_change(&mut self, message: StoredMessage, line: Option<&StoredMessage>) {
        let Some(change) = amendment(message.sender, &Body::decode(message.kind, &message.body)) else { return };
        let is_meant = |line: &&StoredMessage| {
            let author = if line.mine { self.config.me } else { line.sender };
            author == change.author && line.id == change.target && line.talk() == message.talk()
        };
        self.change_arrived(message.clone(), line.filter(is_meant));
    }
}

/// What a body of this sender does to a line.
fn amendment(sender: PublicKey, body: &Body) -> Option<Amendment> {
    let (author, target, what) = match body {
        Body::Edit(edit) => (sender, edit.target, Amended::Edit(edit.text.clone())),
        Body::Delete(delete) => (sender, delete.target, Amended::Delete),
        Body::Reaction(reaction) => (reaction.author, reaction.target, Amended::Reaction(reaction.emoji.clone())),
        Body::Text(_)
        | Body::Forward(_)
        | Body::Vanishing(_)
        | Body::Expiry(_)
        | Body::Invitation(_)
        | Body::File(_)
        | Body::FileWord(_)
        | Body::Unknown(_) => return None,
    };
    Some(Amendment { author, target, what })
}

/// What a committed change made of its line, if that stands: a later one may have come before it.
fn effect(message: &StoredMessage, line: &StoredMessage) -> Option<Amended> {
    let what = amendment(message.sender, &Body::decode(message.kind, &message.body))?.what;
    let sign = line.reactions.iter().find(|(who, _)| *who == message.sender).map(|(_, sign)| sign.as_str());
    let stands = match &what {
        Amended::Edit(text) => {
            let now = Body::decode(line.kind, &line.body);
            line.gone.is_none() && line.edited && now.text() == Some(text)
        }
        Amended::Delete => line.gone == Some(Gone::Deleted),
        Amended::Reaction(emoji) => line.gone.is_none() && sign.unwrap_or_default() == emoji,
    };
    stands.then_some(what)
}

/// Whether nothing in a body is longer than a correct peer makes it.
fn is_within_limits(body: &Body) -> bool {
    let stays = |after_ms: u64| (EXPIRY_MIN_MS..=EXPIRY_MAX_MS).contains(&after_ms);
    let text = body.text().is_none_or(|text| text.len() <= TEXT_MAX_BYTES);
    text && match body {
        Body::Edit(edit) => !edit.text.is_empty() && edit.text.len() <= TEXT_MAX_BYTES,
        Body::Reaction(reaction) => is_emoji(&reaction.emoji),
        Body::Forward(forward) => {
            forward.author.chars().count() <= NAME_MAX_CHARS && !forward.author.chars().any(char::is_control)
        }
        Body::Vanishing(vanishing) => stays(vanishing.after_ms),
        Body::Expiry(expiry) => expiry.after_ms.is_none_or(stays),
        Body::Text(_) | Body::Delete(_) | Body::Invitation(_) | Body::File(_) | Body::FileWord(_) => true,
        // A kind that is known, in bytes that are not: kept as nothing. One that is not known is kept as it came.
        Body::Unknown(kind) => !(Body::TEXT..=Body::FILE_WORD).contains(kind),
    }
}

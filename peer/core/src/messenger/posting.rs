//! Own messages into the store: one for a person, or one with a copy for each member of a group. Which way each copy takes
//! from there is not here.

use common::body::Body;
use common::identity::PublicKey;
use common::message::{Conversation, MessageId};

use super::{Messenger, Then};
use crate::command::{CommandError, ErrorCode};
use crate::event::{Answer, CommandId};
use crate::outbox::Outgoing;
use crate::stored::{Amendment, Copy, NewMessage, OutboxRow, State, StoreOp, StoreResult, StoredMessage, Talk};

/// A message to be queued.
#[derive(Debug)]
pub(super) struct Post {
    /// Which conversation it enters.
    pub conversation: Conversation,
    /// A copy for each, at least one.
    pub recipients: Vec<PublicKey>,
    /// What it says.
    pub body: Body,
    /// Rings, goes first, orders nothing.
    pub urgent: bool,
    /// Idempotency key.
    pub key: Option<String>,
    /// What it does to a line.
    pub amends: Option<Amendment>,
}

/// Who waits for a message to be queued.
#[derive(Debug)]
pub(super) enum Waiting {
    /// Nobody.
    Nobody,
    /// A command that is answered with number and id.
    Sent(CommandId),
    /// A command that is answered with this.
    With(CommandId, Box<Answer>),
}

impl Messenger {
    /// Why no copy of so many bytes may be queued now.
    pub(super) fn refuses_post(&self, recipients: usize, bytes: usize) -> Option<CommandError> {
        let full = self.outbox.room_for(recipients, bytes.saturating_mul(recipients)).err();
        full.map(|full| CommandError::new(ErrorCode::Quota, full.to_string()))
    }

    /// Queues a message. The id is the same for all copies.
    pub(super) fn post(&mut self, waiting: Waiting, post: Post) -> Option<MessageId> {
        let Post { conversation, recipients, body, urgent, key, amends } = post;
        let (kind, bytes) = body.encode();
        let ordered = Body::is_line(kind) && !urgent;
        let random = self.random();
        let id = self.ids.make(self.now, random);
        let mut copies = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            let seq = self.sent.entry(recipient).or_default().give(id);
            let talk = (recipient, conversation.stable());
            let after = if ordered { self.last_sent.insert(talk, id) } else { None };
            copies.push(Copy { recipient, seq, after });
        }
        let places: Vec<(PublicKey, u64)> = copies.iter().map(|copy| (copy.recipient, copy.seq)).collect();
        let first = copies.first().copied()?;
        let row = OutboxRow {
            n: 0,
            id,
            recipient: first.recipient,
            seq: first.seq,
            after: first.after,
            ordered,
            urgent,
            conversation,
            sent_at_ms: self.now.wall_ms,
            kind,
            body: bytes,
            state: State::Queued,
            reason: None,
            queued_age_ms: self.clock.age_ms(),
            via: None,
            elapsed_ms: 0,
        };
        for copy in &copies {
            let Copy { recipient, seq, after } = *copy;
            self.outbox.put(Outgoing::new(OutboxRow { recipient, seq, after, ..row.clone() }, false));
        }
        let vanishes_ms = match &body {
            Body::Vanishing(vanishing) => Some(vanishing.after_ms),
            _ => None,
        };
        copies.remove(0);
        let (reply_to, at_ms) = (body.reply_to(), self.now.wall_ms);
        let new = NewMessage { row, key, reply_to, copies, amends, vanishes_ms, at_ms };
        self.store(StoreOp::Queue(Box::new(new)), Then::Queued { places, waiting });
        Some(id)
    }

    pub(super) fn on_queued(&mut self, places: Vec<(PublicKey, u64)>, waiting: Waiting, result: StoreResult) {
        match result {
            StoreResult::Queued { n } => self.on_numbered(&places, waiting, n),
            StoreResult::QueuedBefore(message) => {
                self.tell_files(&places, None);
                for (recipient, seq) in places {
                    self.forget_unused(recipient, seq);
                }
                self.answer_before(waiting, &message);
            }
            StoreResult::Done
            | StoreResult::Arrived(_)
            | StoreResult::Read(_)
            | StoreResult::Vanished { .. }
            | StoreResult::Tallied(_)
            | StoreResult::Forgotten(_) => {}
        }
    }

    fn on_numbered(&mut self, places: &[(PublicKey, u64)], waiting: Waiting, n: u64) {
        let mut first = None;
        for (recipient, seq) in places {
            if let Some(message) = self.outbox.number(recipient, *seq, n) {
                first.get_or_insert(message.row.clone());
            }
        }
        let Some(row) = first else { return };
        self.tell_files(places, Some(n));
        match waiting {
            Waiting::Nobody => {}
            Waiting::Sent(command) => {
                let to = self.called_to(&row);
                self.reply(command, Ok(Box::new(Answer::Sent { id: row.id, n, to, before: None })));
            }
            Waiting::With(command, answer) => self.reply(command, Ok(answer)),
        }
        if Body::is_line(row.kind) {
            let total = places.len() as u64;
            self.tell_queued(&row, total);
        }
        for (recipient, seq) in places {
            let nameless = self.book.name_of(recipient).is_none();
            match self.successor_of(*recipient).filter(|_| nameless) {
                Some(successor) => self.readdress(*recipient, successor),
                None => self.offer(*recipient, *seq),
            }
        }
    }

    /// What was queued may offer a file.
    fn tell_files(&mut self, places: &[(PublicKey, u64)], n: Option<u64>) {
        let first = places.first().and_then(|(recipient, seq)| self.outbox.at(recipient, *seq));
        let Some(offer) = first.filter(|message| message.row.kind == Body::FILE).map(|message| message.row.id) else {
            return;
        };
        let others: Vec<PublicKey> = places.iter().map(|(recipient, _)| *recipient).collect();
        self.file_numbered(offer, &others, n);
    }

    /// A place that was given to a message which had been queued before.
    fn forget_unused(&mut self, recipient: PublicKey, seq: u64) {
        if let Some(unused) = self.outbox.remove(&recipient, seq) {
            let talk = (recipient, unused.row.conversation.stable());
            if self.last_sent.get(&talk) == Some(&unused.row.id) {
                match unused.row.after {
                    Some(before) => self.last_sent.insert(talk, before),
                    None => self.last_sent.remove(&talk),
                };
            }
        }
        if let Some(lane) = self.sent.get_mut(&recipient) {
            lane.settle(seq);
        }
    }

    fn answer_before(&mut self, waiting: Waiting, message: &StoredMessage) {
        let (Waiting::Sent(command) | Waiting::With(command, _)) = waiting else { return };
        let to = self.talk_name(&message.talk());
        let (state, reason) = message.state.unwrap_or((State::Queued, None));
        let before = Some((state, message.via, reason, message.elapsed_ms));
        self.reply(command, Ok(Box::new(Answer::Sent { id: message.id, n: message.n, to, before })));
    }

    /// To whom an own message goes, as people say it.
    pub(super) fn called_to(&self, row: &OutboxRow) -> String {
        match row.conversation {
            Conversation::Pair => self.called(&row.recipient),
            Conversation::Group { id, .. } => self.talk_name(&Talk::Group(id)),
        }
    }

    /// A conversation as people say it: `bob` or `@family`.
    pub(super) fn talk_name(&self, talk: &Talk) -> String {
        match talk {
            Talk::Pair(key) => self.called(key),
            Talk::Group(id) => self.groups.called(id),
        }
    }
}

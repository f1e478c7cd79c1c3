//! Read receipts. A mark names a line of the other person, and says that every line of theirs up to it that is stored here
//! was put out. At the sender it turns what was delivered up to there into `read`.

use std::collections::BTreeSet;

use common::body::Body;
use common::identity::PublicKey;
use common::message::{Conversation, MessageId};

use super::{Committed, Messenger};
use crate::event::{Answer, CommandId, Event, StateView};
use crate::messenger::Then;
use crate::stored::{State, StoreOp, StoredMessage, Talk};

/// What was put out of one person's lines in the conversation with them alone. Ids do not come in order: a line may be
/// urgent and overtake, be held back, or come late.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Every line stored here up to this one was put out, when it became so.
    up_to: Option<MessageId>,
    /// Put out, after one that is not.
    ahead: BTreeSet<MessageId>,
    /// Stored, not put out.
    waiting: BTreeSet<MessageId>,
}

impl Reading {
    /// A line is stored.
    fn arrived(&mut self, id: MessageId) {
        self.waiting.insert(id);
    }

    /// A line was put out. Whether the mark has risen.
    pub(super) fn shown(&mut self, id: MessageId) -> bool {
        let before = self.mark();
        self.waiting.remove(&id);
        self.ahead.insert(id);
        while let Some(first) = self.ahead.first().copied() {
            if self.waiting.first().is_some_and(|waiting| *waiting < first) {
                break;
            }
            self.ahead.pop_first();
            self.up_to = self.up_to.max(Some(first));
        }
        self.mark() > before
    }

    /// What may be said. Nothing while a line before it, that came late, is not put out.
    fn mark(&self) -> Option<MessageId> {
        self.up_to.filter(|up_to| self.waiting.first().is_none_or(|waiting| waiting > up_to))
    }
}

impl Messenger {
    /// What was put out before this start.
    pub(in crate::messenger) fn restore_reading(
        &mut self,
        sender: PublicKey,
        conversation: Conversation,
        id: MessageId,
    ) {
        if conversation == Conversation::Pair {
            self.lines.readings.entry(sender).or_default().shown(id);
        }
    }

    /// A line of somebody else is stored and not put out.
    pub(in crate::messenger) fn not_read_yet(&mut self, line: &StoredMessage) {
        if line.conversation == Conversation::Pair && Body::is_line(line.kind) {
            self.lines.readings.entry(line.sender).or_default().arrived(line.id);
        }
    }

    /// The mark for somebody's lines, as far as the user lets it be told.
    pub(in crate::messenger) fn read_mark(&self, of: &PublicKey) -> Option<MessageId> {
        let reading = self.lines.readings.get(of).filter(|_| self.meta.receipts && !self.is_blocked(of));
        reading.and_then(Reading::mark)
    }

    pub(super) fn receipts(&mut self, id: CommandId, how: Option<bool>) {
        let on = how.unwrap_or(self.meta.receipts);
        let answer = Answer::Receipts(on);
        if on == self.meta.receipts {
            self.done(id, answer);
            return;
        }
        self.meta.receipts = on;
        self.meta.age_ms = self.clock.age_ms();
        self.meta.wall_ms = self.clock.trusted_ms();
        let then = Then::Lines(Committed::Answer(id, Box::new(answer)));
        self.store(StoreOp::PutMeta(self.meta.clone()), then);
    }

    /// Something was delivered to somebody whose mark may cover it.
    pub(in crate::messenger) fn mark_covers_more(&mut self, key: &PublicKey) {
        self.lines.marked.remove(key);
    }

    /// Somebody says up to where they have read. After what their state acknowledges was settled, and in the same transaction.
    pub(in crate::messenger) fn read_by(&mut self, key: PublicKey, up_to: MessageId) {
        if self.ids.last().is_none_or(|last| up_to > last) {
            // Nothing of mine has this id, whatever it is.
            return;
        }
        let rises = self.lines.read.get(&key).is_none_or(|before| *before < up_to);
        if !rises && self.lines.marked.contains(&key) {
            return;
        }
        if rises {
            self.lines.read.insert(key, up_to);
        }
        self.lines.marked.insert(key);
        let op = StoreOp::Read { recipient: key, up_to, at_ms: self.now.wall_ms };
        self.store(op, Then::Lines(Committed::Read { recipient: key }));
    }

    pub(super) fn on_read(&mut self, recipient: PublicKey, lines: Vec<(u64, MessageId, u64)>) {
        let to = self.talk_name(&Talk::Pair(recipient));
        for (n, id, elapsed_ms) in lines {
            let (state, text) = (State::Read, String::new());
            let view =
                StateView { id, n, to: to.clone(), text, state, via: None, reason: None, elapsed_ms, tally: None };
            self.tell(Event::State(view));
        }
    }
}

//! Read receipts. A mark names a line of the other person, and says that every line of theirs up to it that is stored here
//! was put out. At the sender it turns what was delivered up to there into `read`.

use std::collections::BTreeSet;

use common::body::Body;
use common::identity::PublicKey;
use common::message::{Conversation, MessageId};

use super::{Committed, Lines, Messenger};
use crate::command::Which;
use crate::event::{Answer, CommandId, Event, StateView};
use crate::messenger::Then;
use crate::messenger::commands::Asked;
use crate::stored::{OutboxRow, Query, State, StoreOp, StoredMessage};

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

impl Lines {
    /// An own message is being marked as delivered. It may lie before what its recipient has said to have read.
    pub(in crate::messenger) fn delivered(&mut self, row: &OutboxRow) {
        let read = self.read.get(&row.recipient);
        if row.conversation == Conversation::Pair && Body::is_line(row.kind) && read.is_some_and(|read| *read >= row.id)
        {
            self.late.insert((row.recipient, row.id), (row.n, row.queued_age_ms));
        }
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
        let reading = self.lines.readings.get(of).filter(|_| self.lines.tells_read && !self.is_blocked(of));
        reading.and_then(Reading::mark)
    }

    pub(super) fn receipts(&mut self, id: CommandId, how: Option<bool>) {
        let on = how.unwrap_or(self.meta.receipts);
        if on == self.meta.receipts {
            self.done(id, Answer::Receipts(on));
            return;
        }
        // Off counts at once; on, when it is committed: a crash before would have said what the store knows nothing of.
        self.lines.tells_read = false;
        self.meta.receipts = on;
        self.meta.age_ms = self.clock.age_ms();
        self.meta.wall_ms = self.clock.trusted_ms();
        self.store(StoreOp::PutMeta(self.meta.clone()), Then::Lines(Committed::Receipts { id, on }));
    }

    /// Somebody says up to where they have read. After what their state acknowledges was settled, and in the same transaction.
    pub(in crate::messenger) fn read_by(&mut self, key: PublicKey, up_to: MessageId) {
        if self.ids.last().is_none_or(|last| up_to > last) {
            // Nothing of mine has this id, whatever it is.
            return;
        }
        let at_ms = self.now.wall_ms;
        let late: Vec<_> =
            self.lines.late.range((key, MessageId([0; 16]))..=(key, up_to)).map(|(at, row)| (*at, *row)).collect();
        for ((recipient, id), (n, queued_age_ms)) in late {
            self.lines.late.remove(&(recipient, id));
            let elapsed_ms = self.clock.age_ms().saturating_sub(queued_age_ms);
            let (state, via, reason) = (State::Read, None, None);
            let op = StoreOp::State { n, recipient, state, via, reason, at_ms, elapsed_ms };
            self.store(op, Then::Lines(Committed::ReadLate { n, id, elapsed_ms }));
        }
        if self.lines.read.get(&key).is_none_or(|before| *before < up_to) {
            self.lines.read.insert(key, up_to);
            self.store(StoreOp::Read { recipient: key, up_to, at_ms }, Then::Lines(Committed::Read));
        }
    }

    /// Own messages are read now; each is looked at for what is told of it.
    pub(super) fn on_read(&mut self, lines: Vec<(u64, MessageId, u64)>) {
        for (n, id, elapsed_ms) in lines {
            self.query(Query::Message(Which::Number(n)), Asked::Read { n, id, elapsed_ms });
        }
    }

    pub(in crate::messenger) fn on_line_read(
        &mut self,
        n: u64,
        id: MessageId,
        elapsed_ms: u64,
        line: Option<&StoredMessage>,
    ) {
        let Some(line) = line.filter(|line| line.gone.is_none()) else { return };
        let text = Body::decode(line.kind, &line.body).text().unwrap_or_default().to_owned();
        let (to, via, reason, state) = (self.talk_name(&line.talk()), line.via, None, State::Read);
        self.tell(Event::State(StateView { id, n, to, text, state, via, reason, elapsed_ms, tally: None }));
    }
}

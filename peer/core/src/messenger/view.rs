//! What fronts see of messages, states and people. Reads, changes nothing.

use common::body::{Body, File};
use common::identity::PublicKey;
use common::message::Conversation;

use common::name::Name;
use common::record::Binding;

use super::{Messenger, StateChange};
use crate::event::{Event, MessageView, OfferedView, QuoteView, StateView};
use crate::stored::{OutboxRow, Quote, Reason, State, StoreResult, StoredMessage, Tally, Via};

impl Messenger {
    pub(super) fn my_name(&self) -> Option<Name> {
        self.name.clone()
    }

    /// The directory's word for one's own name, or that there is none. Verified here, once.
    pub(super) fn set_binding(&mut self, binding: Option<Binding>) {
        let directory = self.directory.as_ref().map(|directory| directory.key);
        let bound = binding.as_ref().zip(directory).and_then(|(binding, key)| binding.verify(&key).ok());
        self.name = bound.filter(|bound| bound.key == self.config.me).map(|bound| bound.name);
        if self.meta.binding != binding {
            self.meta.binding = binding;
            self.meta_changed = true;
        }
    }

    /// The believed name of a key; its fingerprint when there is none.
    pub(super) fn called(&self, key: &PublicKey) -> String {
        if *key == self.config.me {
            return self.my_name().map_or_else(|| "you".to_owned(), |name| name.to_string());
        }
        self.book.name_of(key).map_or_else(|| key.fingerprint().to_string(), Name::to_string)
    }

    pub(super) fn view(&self, message: &StoredMessage, late: bool) -> MessageView {
        let body = Body::decode(message.kind, &message.body);
        let text = body.text().filter(|_| message.gone.is_none()).map(str::to_owned);
        let conversation = self.talk_name(&message.talk());
        let me = self.called(&self.config.me);
        let group = message.conversation != Conversation::Pair;
        let from = if message.mine { me.clone() } else { self.called(&message.sender) };
        let to = if message.mine || group { conversation.clone() } else { me };
        let file = match &body {
            Body::File(file) => Some(offered(file)),
            _ => None,
        };
        let (forwarded, vanishes_ms) = match &body {
            Body::Forward(forward) => (Some(forward.author.clone()), None),
            Body::Vanishing(vanishing) => (None, Some(vanishing.after_ms)),
            _ => (None, None),
        };
        MessageView {
            n: message.n,
            id: message.id,
            request: message.request,
            from,
            to,
            conversation,
            text,
            sent_at_ms: message.sent_at_ms,
            received_at_ms: message.received_at_ms,
            via: message.via,
            reply_to: body.reply_to(),
            urgent: message.urgent,
            offline: message.waited,
            late,
            mine: message.mine,
            state: message.state,
            verified: self.book.of(&message.sender).is_some_and(|contact| contact.verified),
            quote: message.quote.as_deref().map(|quote| self.quote_view(quote)),
            edited: message.edited,
            gone: message.gone,
            reactions: message.reactions.iter().map(|(who, sign)| (self.called(who), sign.clone())).collect(),
            forwarded,
            vanishes_ms,
            file,
            tally: message.tally,
        }
    }

    fn quote_view(&self, quote: &Quote) -> QuoteView {
        let text = match Body::decode(quote.kind, &quote.body) {
            Body::File(file) => Some(file.name),
            body => body.text().map(str::to_owned),
        };
        QuoteView { n: quote.n, from: self.called(&quote.sender), text }
    }

    pub(super) fn tell_state(
        &mut self,
        row: &OutboxRow,
        state: State,
        via: Option<Via>,
        reason: Option<Reason>,
        elapsed_ms: u64,
    ) {
        if Body::is_line(row.kind) {
            let view = self.state_view(row, state, via, reason, elapsed_ms);
            self.tell(Event::State(view));
        }
    }

    fn state_view(
        &self,
        row: &OutboxRow,
        state: State,
        via: Option<Via>,
        reason: Option<Reason>,
        elapsed_ms: u64,
    ) -> StateView {
        let text = Body::decode(row.kind, &row.body).text().unwrap_or_default().to_owned();
        let to = self.called_to(row);
        StateView { id: row.id, n: row.n, to, text, state, via, reason, elapsed_ms, tally: None }
    }

    /// A message is queued, with so many copies.
    pub(super) fn tell_queued(&mut self, row: &OutboxRow, total: u64) {
        let mut view = self.state_view(row, State::Queued, None, None, 0);
        if row.conversation != Conversation::Pair {
            view.tally = Some(Tally { total, waiting: total, ..Tally::default() });
        }
        self.tell(Event::State(view));
    }

    /// A state of one copy is committed. Those of a message to a group are told together, at the end of the turn.
    pub(super) fn tell_change(&mut self, row: &OutboxRow, change: &StateChange, result: &StoreResult) {
        let StateChange { state, via, reason, elapsed_ms, .. } = *change;
        match result {
            StoreResult::Tallied(tally) if Body::is_line(row.kind) => {
                let mut view = self.state_view(row, together(tally, state), via, reason, elapsed_ms);
                view.tally = Some(*tally);
                self.lines.tallied(view);
            }
            _ => self.tell_state(row, state, via, reason, elapsed_ms),
        }
    }

    pub(super) fn tell_tallies(&mut self) {
        for view in self.lines.take_tallied() {
            self.tell(Event::State(view));
        }
    }

    /// The last state before a crash, told again. How far a message to a group is, its copies tell with their next change.
    pub(super) fn repeat_state(&mut self, row: &OutboxRow) {
        if row.conversation == Conversation::Pair {
            self.tell_state(row, row.state, row.via, row.reason, row.elapsed_ms);
        }
    }
}

/// The state of a message to a group: that of the copies that are least far.
fn together(tally: &Tally, last: State) -> State {
    match tally {
        Tally { waiting: 1.., .. } if last == State::Held => State::Held,
        Tally { waiting: 1.., .. } => State::Queued,
        Tally { kept: 1.., .. } => State::Kept,
        Tally { delivered: 1.., .. } => State::Delivered,
        Tally { .. } => last,
    }
}

/// What is offered, as people see it.
pub(super) fn offered(file: &File) -> OfferedView {
    OfferedView { name: file.name.clone(), size: file.size, sha256: file.sha256 }
}

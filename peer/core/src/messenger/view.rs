//! What fronts see of messages, states and people. Reads, changes nothing.

use common::identity::PublicKey;
use common::message::{Body, Text};
use common::name::Name;
use common::record::Binding;
use common::wire::codec;

use super::Messenger;
use crate::event::{Event, MessageView, StateView};
use crate::stored::{OutboxRow, Reason, State, StoredMessage, Via};

/// The body of a stored message, as far as this version knows its kind.
fn body_of(kind: u16, body: &[u8]) -> Body {
    match kind {
        Body::TEXT => codec::decode::<Text>(body).map_or(Body::Unknown(kind), Body::Text),
        other => Body::Unknown(other),
    }
}

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
        let (text, reply_to) = match body_of(message.kind, &message.body) {
            Body::Text(text) => (Some(text.text), text.reply_to),
            Body::Unknown(_) => (None, None),
        };
        let other = self.called(&message.other);
        let me = self.called(&self.config.me);
        let (from, to) = if message.mine { (me, other.clone()) } else { (other.clone(), me) };
        MessageView {
            n: message.n,
            id: message.id,
            request: message.request,
            from,
            to,
            conversation: other,
            text,
            sent_at_ms: message.sent_at_ms,
            received_at_ms: message.received_at_ms,
            via: message.via,
            reply_to,
            urgent: message.urgent,
            offline: message.waited,
            late,
            mine: message.mine,
            state: message.state,
            verified: self.book.of(&message.other).is_some_and(|contact| contact.verified),
        }
    }

    pub(super) fn tell_state(
        &mut self,
        row: &OutboxRow,
        state: State,
        via: Option<Via>,
        reason: Option<Reason>,
        elapsed_ms: u64,
    ) {
        let text = match body_of(row.kind, &row.body) {
            Body::Text(text) => text.text,
            Body::Unknown(_) => String::new(),
        };
        let view =
            StateView { id: row.id, n: row.n, to: self.called(&row.recipient), text, state, via, reason, elapsed_ms };
        self.tell(Event::State(view));
    }
}

//! Others, as far as no message is concerned: contacts, blocking, presence and its notices, broadcasts.

use common::wire::directory::{BroadcastSent, Listed, Shouted};

use super::Messenger;
use crate::command::{Command, ErrorCode};
use crate::event::{CommandId, Event, PresenceView};

/// What is known of others that is not stored.
#[derive(Debug, Default)]
pub(super) struct Company {}

impl Messenger {
    pub(super) fn run_in_company(&mut self, id: CommandId, _command: Command) {
        self.fail(id, ErrorCode::Unsupported, "not available yet");
    }

    /// Somebody's presence has changed.
    pub(super) fn note_presence(&mut self, view: PresenceView) {
        self.tell(Event::Presence(vec![view]));
    }

    pub(super) fn on_notices(&mut self, _people: Vec<Listed>) {}

    pub(super) fn on_broadcast_sent(&mut self, _sent: &BroadcastSent) {}

    pub(super) fn on_shouted(&mut self, _shouted: &Shouted) {}
}

//! Earlier messages that are missing: when they are waited for no longer, and what is told of them then.

use common::identity::PublicKey;
use common::message::Conversation;

use super::Messenger;
use crate::event::Event;
use crate::timers::Timer;

impl Messenger {
    /// Patience may have ended: not while a drain is under way that makes progress.
    pub(super) fn gap_due(&mut self, sender: PublicKey) {
        let Some(ends_ms) = self.inbox.patience_ends_ms(sender) else { return };
        if ends_ms > self.now.mono_ms {
            self.timers.set(Timer::Gap(sender), ends_ms);
            return;
        }
        self.show_gap(sender);
    }

    pub(super) fn show_gap(&mut self, sender: PublicKey) {
        for (conversation, first) in self.inbox.held_back(sender) {
            let missing = self
                .received
                .get(&sender)
                .map_or(1, |lane| lane.seq_of(&first.id).map_or(1, |seq| lane.missing_below(seq).max(1)));
            if let Some(name) = self.book.name_of(&sender).cloned() {
                let conversation = match conversation {
                    Conversation::Pair => name.to_string(),
                    Conversation::Group { id, .. } => self.groups.called(&id),
                };
                self.tell(Event::Gap { from: name, conversation, missing });
            }
        }
        let shown = self.inbox.give_up(sender);
        self.show(shown);
        self.timers.clear(Timer::Gap(sender));
    }
}

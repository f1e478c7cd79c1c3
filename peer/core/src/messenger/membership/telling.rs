//! What happened in groups, as users see it. Whoever comes into a group may be unknown here: their name is waited for, a
//! moment, and everything behind it waits too, so that it is told in order.

use common::group::{Change, Step};
use common::identity::PublicKey;
use common::name::Name;

use super::super::Messenger;
use crate::event::{Event, GroupChange};
use crate::limits::LOOKUP_TIMEOUT_MS;
use crate::timers::Timer;

/// Something that happened in a group.
#[derive(Debug)]
pub(super) struct Untold {
    group: Name,
    change: GroupChange,
    who: PublicKey,
    by: Option<PublicKey>,
    until_ms: u64,
}

impl Messenger {
    /// A step that somebody made, or this user elsewhere.
    pub(super) fn note_change(&mut self, group: &Name, step: &Step) {
        let me = self.config.me;
        let (change, who, by) = match &step.change {
            Change::Found { .. } => return,
            Change::Join => (GroupChange::Joined, step.by, None),
            Change::Leave => (GroupChange::Left, step.by, None),
            // Told with the invitation itself.
            Change::Invite { who } if *who == me => return,
            Change::Invite { who } => (GroupChange::Invited, *who, Some(step.by)),
            Change::Remove { who } => (GroupChange::Kicked, *who, Some(step.by)),
        };
        self.note(group.clone(), change, who, by);
    }

    pub(super) fn note_founded(&mut self, group: Name) {
        self.note(group, GroupChange::Created, self.config.me, None);
    }

    pub(super) fn note_over(&mut self, group: Name) {
        self.note(group, GroupChange::Removed, self.config.me, None);
    }

    fn note(&mut self, group: Name, change: GroupChange, who: PublicKey, by: Option<PublicKey>) {
        for key in [Some(who), by].into_iter().flatten().filter(|key| *key != self.config.me).collect::<Vec<_>>() {
            if self.book.name_of(&key).is_none() {
                self.refresh(key);
            }
        }
        let until_ms = self.now.mono_ms + LOOKUP_TIMEOUT_MS;
        self.chains.untold.push_back(Untold { group, change, who, by, until_ms });
    }

    pub(in super::super) fn tell_group_events(&mut self) {
        let now_ms = self.now.mono_ms;
        while let Some(first) = self.chains.untold.front() {
            let unnamed = [Some(first.who), first.by].into_iter().flatten().any(|key| self.is_being_named(&key));
            if unnamed && first.until_ms > now_ms {
                self.timers.set_by(Timer::GroupEvents, first.until_ms);
                return;
            }
            let Some(Untold { group, change, who, by, .. }) = self.chains.untold.pop_front() else { return };
            let (name, by) = (self.called(&who), by.map(|by| self.called(&by)));
            self.tell(Event::Group { group, change, name, by, mark: None });
        }
    }
}

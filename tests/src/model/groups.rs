//! What must hold of groups, beside what holds of every message: who hears what is said there, and that nobody does who never
//! wanted in. Who did, the model knows from the users themselves.

use std::collections::{BTreeMap, BTreeSet};

use common::group::{Change, GroupId, SignedStep};
use common::message::MessageId;
use peer_core::event::MessageView;
use peer_core::stored::State;

use super::{MachineNo, Model, Who};

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Groups {
    names: BTreeMap<GroupId, String>,
    /// Who ever asked to be in a group of this name.
    wanted: BTreeSet<(Who, String)>,
    /// Who was ever in a group, and who ever out again, by steps of their chains that some disk holds.
    into: BTreeSet<(GroupId, Who)>,
    out: BTreeSet<(GroupId, Who)>,
    /// What is said in a group always reaches those who stay in it: no directory forgets or invents, no key changes.
    strict: bool,
    told: u64,
}

/// Asserts a promise, saying what is broken otherwise.
macro_rules! promise {
    ($model:expr, $holds:expr, $($broken:tt)*) => {
        if !$holds {
            $model.broken(format!($($broken)*));
        }
    };
}

impl Model {
    /// Nothing befalls the world that may keep members of a group from each other.
    pub(crate) fn groups_are_strict(&mut self) {
        self.groups.strict = true;
    }

    /// A user founds a group or wants into one.
    pub(crate) fn wants_in(&mut self, who: Who, name: &str) {
        self.groups.wanted.insert((who, name.to_owned()));
    }

    /// How many messages of groups were put out.
    pub(crate) fn said_in_groups(&self) -> u64 {
        self.groups.told
    }

    /// A disk has committed steps of a chain.
    pub(crate) fn stepped(&mut self, machine: MachineNo, id: GroupId, steps: &[SignedStep]) {
        for signed in steps {
            let Ok(step) = signed.verify() else {
                return self.broken(format!("machine {machine} keeps a step that nobody signed"));
            };
            promise!(self, step.group == id, "machine {machine} keeps a step of one group in another");
            let Some(by) = self.who(&step.by) else {
                return self.broken(format!("machine {machine} keeps a step of somebody who does not exist"));
            };
            match step.change {
                Change::Found { name, .. } => {
                    self.groups.names.insert(id, name.to_string());
                    self.comes_in(machine, id, by);
                }
                Change::Join => self.comes_in(machine, id, by),
                Change::Leave => {
                    self.groups.out.insert((id, by));
                }
                Change::Remove { who } => {
                    if let Some(who) = self.who(&who) {
                        self.groups.out.insert((id, who));
                    }
                }
                Change::Invite { .. } => {}
            }
        }
    }

    fn comes_in(&mut self, machine: MachineNo, id: GroupId, who: Who) {
        self.groups.into.insert((id, who));
        let name = self.groups.names.get(&id).cloned().unwrap_or_default();
        let wanted = self.groups.wanted.contains(&(who, name));
        promise!(self, wanted, "machine {machine} knows {who} in a group, and they never wanted in");
    }

    pub(super) fn queued_in_group(&mut self, machine: MachineNo, n: u64, id: GroupId, recipients: &BTreeSet<Who>) {
        for to in recipients {
            let was_in = self.groups.into.contains(&(id, *to));
            promise!(self, was_in, "machine {machine} says something to {to} in a group they were never in");
            self.disks[machine].copies.insert((n, *to), State::Queued);
        }
    }

    /// A copy is so far: how far all of them are together.
    pub(super) fn copy_is(&mut self, machine: MachineNo, n: u64, id: MessageId, of: Who, state: State) -> State {
        self.disks[machine].copies.insert((n, of), state);
        if state == State::Delivered {
            let held = self.ever_held.contains(&(of, id));
            promise!(self, held, "machine {machine} says that {id} is delivered to {of}, who never held it");
        }
        let copies = self.disks[machine].copies.range((n, 0)..=(n, Who::MAX)).map(|(_, state)| *state);
        let all: Vec<State> = copies.collect();
        match () {
            () if all.iter().any(|state| matches!(state, State::Queued | State::Held)) => State::Queued,
            () if all.contains(&State::Kept) => State::Kept,
            () if all.contains(&State::Delivered) => State::Delivered,
            () => state,
        }
    }

    pub(super) fn is_copy_settled(&self, id: MessageId, to: Who) -> bool {
        self.disks.iter().any(|disk| {
            let numbers = disk.own.iter().filter(|(_, (own, _))| *own == id).map(|(n, _)| *n);
            numbers.into_iter().any(|n| disk.copies.get(&(n, to)).is_some_and(|state| state.is_settled()))
        })
    }

    /// Something said in a group is put out: only before those who ever wanted in, and were.
    pub(super) fn is_for_its_ears(&mut self, machine: MachineNo, who: Who, id: &GroupId, view: &MessageView) {
        self.groups.told += 1;
        let was_in = self.groups.into.contains(&(*id, who));
        promise!(self, was_in, "machine {machine} shows {} of a group that {who} was never in", view.id);
        let name = self.groups.names.get(id).map(|name| format!("@{name}")).unwrap_or_default();
        promise!(self, view.conversation == name, "machine {machine} shows {} in {}", view.id, view.conversation);
        promise!(self, !view.request, "machine {machine} shows {} of a group as a request", view.id);
    }

    /// A disk has committed that messages count for nothing.
    pub(crate) fn dismissed(&mut self, machine: MachineNo, who: Who, numbers: &[u64]) {
        for n in numbers {
            let disk = &mut self.disks[machine];
            disk.shown.insert(*n);
            disk.dismissed.insert(*n);
            let Some(id) = disk.numbers.get(n).copied() else { continue };
            let Some(written) = self.written.get(&id).cloned() else { continue };
            let Some(group) = written.group.filter(|_| self.is_line(&id) && self.groups.strict) else { continue };
            let out = |of: Who| self.groups.out.contains(&(group, of)) || self.forks.iter().any(|(who, _)| *who == of);
            let excused = out(who) || out(written.sender);
            promise!(self, excused, "machine {machine} turns {id} away, and both are in the group all the time");
        }
    }
}

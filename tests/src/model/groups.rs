//! What must hold of groups, beside what holds of every message: who hears what is said there, and that nobody does who never
//! wanted in. Who did, the model knows from the users themselves.

use std::collections::{BTreeMap, BTreeSet};

use common::group::{Change, GroupId, Membership, SignedStep};
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
    /// Steps that any member's disk ever held, or the directory's in the end, by version: two of one version are a fork, which
    /// nobody mends. What only a directory held that was put back is lost, and nobody was told of it.
    steps: BTreeMap<GroupId, BTreeMap<u64, BTreeSet<[u8; 32]>>>,
    /// What was turned away in a group of whose members both were all the time, and by which machine.
    turned_away: Vec<(MachineNo, MessageId, GroupId)>,
    /// Chains that were compared at the end.
    compared: u64,
    /// Lines that were.
    lines: u64,
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
            self.step_kept(signed);
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

    /// See [`Groups::steps`].
    fn step_kept(&mut self, signed: &SignedStep) {
        if let Ok(step) = signed.verify() {
            let versions = self.groups.steps.entry(step.group).or_default();
            versions.entry(step.version).or_default().insert(signed.hash());
        }
    }

    /// Somebody went on with a chain without knowing of all of it.
    pub(crate) fn is_forked(&self, id: &GroupId) -> bool {
        self.groups.steps.get(id).is_some_and(|versions| versions.values().any(|hashes| hashes.len() > 1))
    }

    /// The longest chain that any disk ever held of a group that has not forked.
    fn longest(&self, id: &GroupId) -> u64 {
        self.groups.steps.get(id).and_then(|versions| versions.keys().next_back().copied()).unwrap_or(0)
    }

    /// At the end: who is in a group by the longest chain holds it, and so does the directory. `chains`: what each machine
    /// holds, with its user.
    pub(crate) fn chains_agree(
        &mut self,
        id: &GroupId,
        chains: &[(MachineNo, Who, Vec<SignedStep>)],
        kept: &[SignedStep],
    ) {
        kept.iter().for_each(|step| self.step_kept(step));
        if self.is_forked(id) {
            return;
        }
        let longest = chains.iter().map(|(.., chain)| &chain[..]).chain([kept]).max_by_key(|chain| chain.len());
        let Some(Ok(group)) = longest.map(Membership::of) else {
            return self.broken(format!("there is no chain of {:02x?} that adds up", &id[..4]));
        };
        let lost = self.longest(id) != group.version();
        let excused = lost && !self.forks.is_empty();
        promise!(self, !lost || excused, "{}: steps up to {} are lost", group.name(), self.longest(id));
        if group.members().is_empty() {
            return;
        }
        self.groups.compared += 1;
        let (name, version) = (group.name().clone(), group.version());
        promise!(
            self,
            kept.len() as u64 == version,
            "the directory holds {} steps of {name}, not {version}",
            kept.len()
        );
        for (machine, who, chain) in chains {
            let member = group.members().iter().any(|key| self.who(key) == Some(*who));
            let excused = !member || self.forks.iter().any(|(of, _)| of == who);
            let held = chain.len() as u64;
            promise!(self, excused || held == version, "machine {machine} holds {held} steps of {name}, not {version}");
        }
    }

    /// At the end: what was said in a group is in the histories of all who were in it all the time, in one order for each
    /// who said it. `histories`: what each machine shows, with its user, in order.
    pub(crate) fn lines_agree(&mut self, id: &GroupId, histories: &[(MachineNo, Who, Vec<MessageId>)]) {
        let out = |who: &Who| self.groups.out.contains(&(*id, *who)) || self.forks.iter().any(|(of, _)| of == who);
        let stays: Vec<_> = histories.iter().filter(|(_, who, _)| !out(who)).collect();
        let mut missing = Vec::new();
        let mut lines = 0;
        for (sayer, from, said) in &stays {
            let copies = &self.disks[*sayer].copies;
            let own = self.disks[*sayer].own.iter().filter(|(_, (said_id, _))| said.contains(said_id));
            for (n, (line, _)) in own.filter(|(_, (line, _))| self.is_line(line)) {
                let reached = |who: &Who| matches!(copies.get(&(*n, *who)), Some(State::Delivered | State::Read));
                for (machine, who, heard) in stays.iter().filter(|(_, who, _)| who != from && reached(who)) {
                    lines += 1;
                    if !heard.contains(line) {
                        missing.push(format!("machine {machine} of {who} has no {line} of {from}"));
                    }
                }
            }
        }
        let strict = self.groups.strict && !self.is_forked(id);
        promise!(self, missing.is_empty() || !strict, "{}", missing.join("; "));
        self.groups.lines += lines;
        self.in_one_order(id, &stays.into_iter().cloned().collect::<Vec<_>>());
    }

    /// Of each who speaks, all show the ordered lines that they share in one order.
    fn in_one_order(&mut self, id: &GroupId, histories: &[(MachineNo, Who, Vec<MessageId>)]) {
        let of = |heard: &[MessageId], from: Who, shared: &[MessageId]| -> Vec<MessageId> {
            let said = |line: &&MessageId| {
                self.written.get(line).is_some_and(|line| line.sender == from && !line.urgent) && shared.contains(line)
            };
            heard.iter().filter(said).copied().collect()
        };
        let speakers: BTreeSet<Who> = histories.iter().map(|(_, who, _)| *who).collect();
        let mut broken = None;
        for pair in histories.windows(2) {
            let [(one, _, first), (other, _, second)] = pair else { continue };
            for from in &speakers {
                if of(first, *from, second) != of(second, *from, first) {
                    broken =
                        Some(format!("machines {one} and {other} show what {from} said in {:02x?} apart", &id[..4]));
                }
            }
        }
        if let Some(broken) = broken {
            self.broken(broken);
        }
    }

    /// At the end: what was turned away in a group that has not forked.
    pub(crate) fn nothing_turned_away(&mut self) {
        for (machine, id, group) in self.groups.turned_away.clone() {
            let excused = self.is_forked(&group);
            promise!(self, excused, "machine {machine} turns {id} away, and both are in the group all the time");
        }
    }

    /// Chains and lines of groups that were compared at the end.
    pub(crate) fn compared(&self) -> (u64, u64) {
        (self.groups.compared, self.groups.lines)
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
            if !out(who) && !out(written.sender) {
                self.groups.turned_away.push((machine, id, group));
            }
        }
    }
}

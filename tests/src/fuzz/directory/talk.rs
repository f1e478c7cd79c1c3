//! What the sessions of the directory's target say to all others and about groups; and the chains of groups as somebody keeps
//! them who checks each step.

use std::collections::{BTreeMap, BTreeSet};

use common::group::{Change, GroupId, Membership, SignedStep, Step};
use common::identity::{Identity, PublicKey};
use common::shout::{Shout, SignedShout};
use common::wire::directory::{self as wire, Standing, ToDirectory, WhichGroup};
use directory_core::StoreResult;
use directory_core::event::GroupResult;

use super::{NAMES, PEOPLE, SERVER};
use crate::fuzz::Input;

/// Every group that lives, and what its chain adds up to.
#[derive(Debug, Default)]
pub(super) struct Chains {
    groups: BTreeMap<GroupId, Membership>,
    /// Brought back when another had their name.
    nameless: BTreeSet<GroupId>,
}

impl Chains {
    /// The store has answered: whatever it keeps follows for whoever checks it.
    pub(super) fn stored(&mut self, result: &StoreResult) {
        match result {
            StoreResult::Group(GroupResult::Stepped { op, members }) => {
                self.grows(op.step.group, &op.signed, false);
                assert!(members.contains(&op.step.by), "its maker hears nothing of {:?}", op.step);
                self.are_told(op.step.group, members);
            }
            StoreResult::Group(GroupResult::Restored { group, steps, members, .. }) => {
                steps.iter().for_each(|step| self.grows(*group, step, true));
                self.are_told(*group, members);
            }
            _ => {}
        }
    }

    fn grows(&mut self, id: GroupId, signed: &SignedStep, restored: bool) {
        let group = match self.groups.remove(&id) {
            None => Membership::found(signed).expect("a group begins with its founding"),
            Some(mut group) => {
                group.apply(signed).expect("the store keeps what follows");
                group
            }
        };
        let named = |(other, _): &(&GroupId, &Membership)| !self.nameless.contains(*other);
        let taken = self.groups.iter().filter(named).any(|(_, other)| other.name() == group.name());
        if restored && taken && group.version() == 1 {
            self.nameless.insert(id);
        }
        assert!(!taken || self.nameless.contains(&id), "two groups have one name");
        if group.members().is_empty() {
            self.nameless.remove(&id);
        } else {
            self.groups.insert(id, group);
        }
    }

    fn are_told(&self, id: GroupId, told: &[PublicKey]) {
        let members = self.groups.get(&id).map(Membership::members).unwrap_or_default();
        assert!(members.iter().all(|member| told.contains(member)), "a member hears nothing");
    }

    /// A step by somebody, most of the time one that follows.
    fn some_step(&self, input: &mut Input<'_>, who: usize) -> SignedStep {
        let by = person(who);
        let group = [input.byte() % 3; 16];
        let change = some_change(input);
        let at_ms = i64::from(input.byte());
        let mut step = match self.groups.get(&group) {
            Some(chain) if !matches!(change, Change::Found { .. }) => chain.next(by.public(), at_ms, change),
            _ => Step::founding(group, by.public(), at_ms, change),
        };
        match input.byte() {
            0 => step.version = input.number(),
            1 => step.by = PEOPLE[input.below(PEOPLE.len())].0,
            2 => step.previous = [input.byte(); 32],
            _ => {}
        }
        SignedStep::sign(&by, &step)
    }
}

fn person(who: usize) -> Identity {
    Identity::from_seed(&[u8::try_from(who).expect("few") + 1; 32])
}

fn some_change(input: &mut Input<'_>) -> Change {
    let who = PEOPLE[input.below(PEOPLE.len())].0;
    match input.below(6) {
        0 | 1 => Change::Found { name: input.pick(&NAMES).parse().expect("a name"), private: input.flag() },
        2 => Change::Join,
        3 => Change::Leave,
        4 => Change::Invite { who },
        _ => Change::Remove { who },
    }
}

/// A frame of the session of `who`.
pub(super) fn some_talk(input: &mut Input<'_>, chains: &Chains, who: usize) -> ToDirectory {
    let request = u32::from(input.byte() % 4);
    let group = [input.byte() % 3; 16];
    let name = || NAMES[who].parse().expect("a name");
    match input.below(12) {
        0 | 1 => {
            let standing = input.pick(&[Standing::Online, Standing::Away, Standing::Busy, Standing::Offline]);
            let note = input.flag().then(|| "x".repeat(usize::from(input.byte())));
            wire::SetStanding { request, standing, note }.into()
        }
        2 => {
            let at_ms = i64::from(input.byte());
            let text = "x".repeat(input.below(3) * 4_000);
            let shout = Shout { directory: SERVER.public(), by: PEOPLE[who].0, at_ms, text };
            wire::Broadcast { request, shout: SignedShout::sign(&person(who), &shout) }.into()
        }
        3 => {
            let which = if input.flag() { WhichGroup::Id(group) } else { WhichGroup::Name(name()) };
            wire::LookUpGroup { request, which, after: input.number() }.into()
        }
        4 => {
            let groups = (0..input.below(4)).map(|_| ([input.byte() % 4; 16], input.number())).collect();
            wire::FollowGroups { groups }.into()
        }
        5 => wire::ListGroups { request, after: input.flag().then(name) }.into(),
        6 | 7 => {
            let by = input.below(PEOPLE.len());
            let first = chains.some_step(input, by);
            let mut steps = vec![first];
            if input.flag()
                && let Ok(last) = steps[0].verify()
            {
                let by = person(input.below(PEOPLE.len()));
                let (version, previous) = (last.version.saturating_add(1), steps[0].hash());
                let next = Step { version, previous, by: by.public(), change: some_change(input), ..last };
                steps.push(SignedStep::sign(&by, &next));
            }
            wire::RestoreGroup { request, steps }.into()
        }
        _ => wire::ChangeGroup { request, step: chains.some_step(input, who) }.into(),
    }
}

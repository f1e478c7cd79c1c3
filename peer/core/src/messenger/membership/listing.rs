//! `!groups` and `!members`: what there is, and who is in it.

use common::group::Membership;
use common::identity::PublicKey;
use common::name::Name;
use common::wire::directory::{self as wire, ListGroups, ListedGroup, Refusal, Standing, ToDirectory};

use super::super::Messenger;
use super::super::commands::Pending;
use super::super::people::LookUp;
use super::changing::refusal;
use super::words::{Stage, Want};
use crate::event::{Answer, CommandId, GroupView, MemberView};

/// Most groups of one `!groups`.
const GROUPS_MAX: usize = 20_000;

impl Messenger {
    pub(super) fn list_groups(&mut self, id: CommandId) {
        // The name stands for none: the list is of all.
        if let Some(name) = self.my_name() {
            self.begin_task(id, name, Want::List { groups: Vec::new() });
        } else {
            self.lacks_name(id);
        }
    }

    pub(super) fn ask_for_groups(&mut self, id: CommandId) {
        let request = self.session.request();
        let after = match self.pending.get(&id.source) {
            Some(Pending::Group(task)) => match &task.want {
                Want::List { groups } => groups.last().map(|last| last.name.clone()),
                _ => return,
            },
            _ => return,
        };
        self.set_stage(id, Stage::Asked(request));
        self.send_directory(ToDirectory::ListGroups(ListGroups { request, after }));
    }

    pub(in super::super) fn on_groups(&mut self, page: wire::Groups) {
        let listing = self.pending.values_mut().find_map(|pending| match pending {
            Pending::Group(task) => match (&task.stage, &mut task.want) {
                (Stage::Asked(request), Want::List { groups }) if *request == page.request => Some((task.id, groups)),
                _ => None,
            },
            _ => None,
        });
        let Some((id, groups)) = listing else { return };
        let (last, count) = (groups.last().map(|last| last.name.clone()), page.groups.len());
        let ascends = page.groups.first().is_none_or(|first| last.is_none_or(|last| last < first.name));
        groups.extend(page.groups);
        // A directory that goes on without getting on is not asked any further.
        if page.more && ascends && count > 0 && groups.len() < GROUPS_MAX {
            self.ask_for_groups(id);
            return;
        }
        let groups = std::mem::take(groups);
        let views = groups.into_iter().map(|listed| self.group_view(listed)).collect();
        if self.end_task(id).is_some() {
            self.done(id, Answer::Groups(views));
        }
    }

    fn group_view(&self, listed: ListedGroup) -> GroupView {
        let ListedGroup { name, group, private, members, member, invited } = listed;
        let owner = self.groups.of(&group).filter(|group| group.is_member(&self.config.me)).and_then(Membership::owner);
        let owner = owner.map(|owner| self.called(owner));
        GroupView { name, private, members: u64::from(members), member, invited, owner }
    }

    pub(super) fn list_refused(&mut self, request: u32, reason: &Refusal) -> bool {
        let listing = self.pending.values().find_map(|pending| match pending {
            Pending::Group(task) if matches!(task.want, Want::List { .. }) => match task.stage {
                Stage::Asked(of) if of == request => Some(task.id),
                _ => None,
            },
            _ => None,
        });
        let Some(id) = listing else { return false };
        self.command_failed(id, refusal("", reason));
        true
    }

    pub(super) fn members(&mut self, id: CommandId, name: Name) {
        let mine = self.groups.named(&name).filter(|group| group.is_member(&self.config.me)).cloned();
        match mine.filter(|_| !self.session.is_logged_in()) {
            Some(group) => self.answer_members(id, &group),
            None => self.begin_task(id, name, Want::Members),
        }
    }

    /// Members whose names are not known are looked up before they are listed.
    pub(super) fn name_members(&mut self, id: CommandId, group: Membership) {
        let me = self.config.me;
        for key in group.members().iter().filter(|key| **key != me) {
            if self.book.name_of(key).is_none() {
                self.refresh(*key);
            }
        }
        self.set_stage(id, Stage::Naming(Box::new(group)));
        self.answer_named();
    }

    /// Lists whose names have come, as far as they come, are answered.
    pub(super) fn answer_named(&mut self) {
        let naming = self.pending.values().filter_map(|pending| match pending {
            Pending::Group(task) => match &task.stage {
                Stage::Naming(group) if !group.members().iter().any(|key| self.is_being_named(key)) => {
                    Some((task.id, group.clone()))
                }
                _ => None,
            },
            _ => None,
        });
        for (id, group) in naming.collect::<Vec<_>>() {
            if self.end_task(id).is_some() {
                self.answer_members(id, &group);
            }
        }
    }

    /// Whether the directory is being asked who this is.
    pub(super) fn is_being_named(&self, key: &PublicKey) -> bool {
        let asked = |why: &LookUp| matches!(why, LookUp::Refresh(of) if of == key);
        *key != self.config.me && self.book.name_of(key).is_none() && self.errands.lookups.values().any(asked)
    }

    fn answer_members(&mut self, id: CommandId, group: &Membership) {
        let member = |key: &PublicKey| MemberView {
            name: self.called(key),
            owner: group.owner() == Some(key),
            standing: self.standing_of_key(key),
        };
        let members = group.members().iter().map(member).collect();
        self.done(id, Answer::Members { group: group.name().clone(), members });
    }

    fn standing_of_key(&self, key: &PublicKey) -> Option<Standing> {
        if *key == self.config.me {
            return Some(if self.session.is_online() { self.meta.standing } else { Standing::Offline });
        }
        self.ways.get(key)?.standing
    }
}

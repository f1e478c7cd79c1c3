//! What users do with groups: they found some, come, go, let each other in, take each other out, and talk.

use common::name::Name;
use peer_core::command::{Command, To};
use peer_core::event::GroupChange;

use super::world::World;

/// Names of groups; few, so that they are used again.
const GROUPS: [&str; 2] = ["club", "team"];

impl World {
    /// Something about a group.
    pub(crate) fn act_in_groups(&mut self, number: usize) {
        let (Some(word), Some(somebody)) = (self.dice.pick(&GROUPS), self.somebody(number)) else { return };
        let Ok(group) = word.parse::<Name>() else { return };
        let who = self.machines[number].who;
        let idle = self.machines[number].user.groups.is_empty();
        // Nobody talks before there is somebody to talk to.
        let act = if idle { self.dice.between(7, 11) } else { self.dice.below(26) };
        let group = self.machines[number].user.groups.first().cloned().filter(|_| act > 11).unwrap_or(group);
        let command = match act {
            0 => Command::Leave(group),
            1 => Command::Kick { name: somebody, group },
            2 | 3 => Command::Invite { name: somebody, group, chat: None },
            4 => {
                let chat = self.somebody(number);
                self.model.wants_in(who, word);
                Command::Invite { name: somebody, group, chat }
            }
            5 => Command::Members(group),
            6 => Command::Groups,
            7 | 8 => {
                self.model.wants_in(who, word);
                let private = self.dice.one_in(3);
                Command::Create { group, private }
            }
            9..=11 => {
                self.model.wants_in(who, word);
                Command::Join(group)
            }
            _ => {
                for place in 0..self.dice.below(3) {
                    let text = format!("{number}.{} {place} to all of {group}", self.trace.events);
                    let to = To::Group(group.clone());
                    self.command(number, Command::Send { to, text, key: None, urgent: false, reply_to: None });
                }
                let text = format!("{number}.{} to all of {group}", self.trace.events);
                let urgent = self.dice.one_in(15);
                Command::Send { to: To::Group(group), text, key: None, urgent, reply_to: None }
            }
        };
        self.command(number, command);
    }

    /// What the user was answered about a group.
    pub(crate) fn gathered(&mut self, number: usize, group: &Name, change: GroupChange) {
        let groups = &mut self.machines[number].user.groups;
        match change {
            GroupChange::Created | GroupChange::Joined => {
                groups.insert(group.clone());
            }
            GroupChange::Left => {
                groups.remove(group);
            }
            GroupChange::Kicked | GroupChange::Invited | GroupChange::Removed => {}
        }
    }
}

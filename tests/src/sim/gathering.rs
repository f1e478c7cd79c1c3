//! What users do with groups: they found some, come, go, let each other in, take each other out, and talk.

use common::name::Name;
use peer_core::command::{Command, To};

use super::world::World;

/// Names of groups; few, so that they are used again.
const GROUPS: [&str; 3] = ["club", "team", "band"];

impl World {
    /// Something about a group.
    pub(crate) fn act_in_groups(&mut self, number: usize) {
        let (Some(word), Some(somebody)) = (self.dice.pick(&GROUPS), self.somebody(number)) else { return };
        let Ok(group) = word.parse::<Name>() else { return };
        let who = self.machines[number].who;
        let command = match self.dice.below(20) {
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
                let text = format!("{number}.{} to all of {word}", self.trace.events);
                let urgent = self.dice.one_in(15);
                Command::Send { to: To::Group(group), text, key: None, urgent, reply_to: None }
            }
        };
        self.command(number, command);
    }
}

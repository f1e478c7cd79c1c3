//! Messages to all members of a group: who gets a copy, and what is said when nobody does.

use common::group::GroupId;
use common::identity::PublicKey;
use common::message::Conversation;
use common::name::Name;

use super::super::Messenger;
use super::super::lines::Saying;
use super::words::Want;
use crate::command::{Command, CommandError, ErrorCode};
use crate::event::{Answer, CommandId};
use crate::stored::Talk;

impl Messenger {
    /// Who gets what is said in a group now, and as what it is marked: all other members, by the newest version known.
    ///
    /// # Errors
    /// Why nobody does.
    pub(in super::super) fn members_to_tell(
        &self,
        id: &GroupId,
    ) -> Result<(Conversation, Vec<PublicKey>), CommandError> {
        let me = self.config.me;
        let Some(group) = self.groups.of(id).filter(|group| group.is_member(&me)) else {
            let message = format!("you are no member of {}", self.groups.called(id));
            return Err(CommandError::new(ErrorCode::NotAMember, message));
        };
        let others: Vec<PublicKey> = group.members().iter().filter(|key| **key != me).copied().collect();
        if others.is_empty() {
            let name = group.name();
            let message = format!("nobody else is in @{name}: '!invite NAME {name}' opens its door");
            return Err(CommandError::new(ErrorCode::NotAllowed, message));
        }
        Ok((Conversation::Group { id: *id, membership: group.version() }, others))
    }

    /// `!send @group`. A group that is not known here may be one all the same: the directory is asked.
    pub(in super::super) fn send_to_group(&mut self, id: CommandId, name: &Name, command: Command) {
        if let Some(group) = self.speaks_in(id, name, &command) {
            self.say_in_group(id, group, command);
        }
    }

    /// `!chat @group`.
    pub(in super::super) fn chat_in_group(&mut self, id: CommandId, name: &Name, command: &Command) {
        if let Some(group) = self.speaks_in(id, name, command) {
            let name = self.groups.called(&group);
            self.done(id, Answer::Chat(name));
        }
    }

    /// The group of this name if one belongs to it; answers the command otherwise, or has it wait.
    fn speaks_in(&mut self, id: CommandId, name: &Name, command: &Command) -> Option<GroupId> {
        match self.groups.named(name).map(|group| (group.id(), group.is_member(&self.config.me))) {
            _ if self.lacks_name(id) => None,
            Some((group, true)) => Some(group),
            Some((_, false)) => {
                self.fail(id, ErrorCode::NotAMember, format!("you are no member of @{name}"));
                None
            }
            None => {
                let want = match command {
                    Command::Chat(_) => Want::Chat,
                    other => Want::Say(Box::new(other.clone())),
                };
                self.begin_task(id, name.clone(), want);
                None
            }
        }
    }

    /// Says something to all other members.
    pub(super) fn say_in_group(&mut self, id: CommandId, group: GroupId, command: Command) {
        match command {
            Command::Send { reply_to: Some(which), .. } => self.ask_line(id, which, command),
            Command::Send { text, key, urgent, reply_to: None, .. } => {
                self.say(id, Saying { talk: Talk::Group(group), text, reply_to: None, urgent, key });
            }
            Command::File { .. } => self.measure_file(id, Talk::Group(group), command),
            _ => {}
        }
    }
}

//! Messages to all members of a group: who gets a copy, and what is said when nobody does.

use common::body::{Body, Text};
use common::group::GroupId;
use common::identity::PublicKey;
use common::message::Conversation;
use common::name::Name;

use super::super::Messenger;
use super::super::posting::{Post, Waiting};
use super::tasks::Want;
use crate::command::{Command, CommandError, ErrorCode};
use crate::event::{Answer, CommandId};
use crate::stored::Talk;

impl Messenger {
    /// Who gets what is said in a conversation now, and as what it is marked: the other one of a pair, all other members
    /// of a group.
    ///
    /// # Errors
    /// Why nobody does.
    pub(in super::super) fn recipients_of(&self, talk: Talk) -> Result<(Conversation, Vec<PublicKey>), CommandError> {
        let id = match talk {
            Talk::Pair(key) => return Ok((Conversation::Pair, vec![key])),
            Talk::Group(id) => id,
        };
        let me = self.config.me;
        let Some(group) = self.groups.of(&id).filter(|group| group.is_member(&me)) else {
            let message = format!("you are no member of {}", self.groups.called(&id));
            return Err(CommandError::new(ErrorCode::NotAMember, message));
        };
        let others: Vec<PublicKey> = group.members().iter().filter(|key| **key != me).copied().collect();
        if others.is_empty() {
            let name = group.name();
            let message = format!("nobody else is in @{name}: '!invite NAME {name}' opens its door");
            return Err(CommandError::new(ErrorCode::NotAllowed, message));
        }
        Ok((Conversation::Group { id, membership: group.version() }, others))
    }

    /// The group of this name that was or is one's own: what is kept of it here can be read.
    pub(in super::super) fn group_here(&mut self, id: CommandId, name: &Name) -> Option<GroupId> {
        let group = self.groups.named(name).map(common::group::Membership::id);
        if group.is_none() {
            self.fail(id, ErrorCode::NoSuchGroup, format!("there is nothing of a group @{name} here"));
        }
        group
    }

    /// `!send @group`. A group that is not known here may be one all the same: the directory is asked.
    pub(in super::super) fn send_to_group(&mut self, id: CommandId, name: &Name, command: Command) {
        if let Some(group) = self.speaks_in(id, name, &command) {
            self.say(id, group, command);
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
    pub(super) fn say(&mut self, id: CommandId, group: GroupId, command: Command) {
        let Command::Send { text, key, urgent, .. } = command else { return };
        let (conversation, recipients) = match self.recipients_of(Talk::Group(group)) {
            Ok(to) => to,
            Err(error) => {
                self.reply(id, Err(error));
                return;
            }
        };
        if self.lacks_room(id) {
            return;
        }
        if let Some(full) = self.refuses_post(recipients.len(), text.len()) {
            self.reply(id, Err(full));
            return;
        }
        let body = Body::Text(Text { text, reply_to: None });
        self.post(Waiting::Sent(id), Post { conversation, recipients, body, urgent, key, amends: None });
    }
}

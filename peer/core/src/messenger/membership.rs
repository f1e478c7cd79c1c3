//! Groups: founding, joining, leaving, inviting, taking out; keeping their chains; messages to all members.

use common::identity::Signature;
use common::wire::directory::{GroupNews, GroupSteps, Groups};

use super::Messenger;
use crate::command::{Command, ErrorCode};
use crate::event::{CommandId, Ticket};

/// Why something is being signed.
#[derive(Debug)]
pub(super) enum Errand {}

impl Messenger {
    pub(super) fn run_on_groups(&mut self, id: CommandId, _command: Command) {
        self.fail(id, ErrorCode::Unsupported, "not available yet");
    }

    pub(super) fn on_signed(&mut self, ticket: Ticket, _signature: Signature) {
        if let Some(errand) = self.errands.signing.remove(&ticket) {
            match errand {}
        }
    }

    pub(super) fn on_group_steps(&mut self, _steps: GroupSteps) {}

    pub(super) fn on_group_news(&mut self, _news: GroupNews) {}

    pub(super) fn on_groups(&mut self, _page: Groups) {}
}

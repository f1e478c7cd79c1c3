//! What is kept here is searched, and forgotten when the user says so.

use super::{Committed, Messenger};
use crate::command::{ErrorCode, To};
use crate::event::{Answer, CommandId};
use crate::limits::SEARCH_MAX;
use crate::messenger::Then;
use crate::messenger::commands::Asked;
use crate::stored::{Query, StoreOp};

impl Messenger {
    pub(super) fn search(&mut self, id: CommandId, mut words: Vec<String>, within: Option<&To>) {
        let talk = within.and_then(|to| self.talk_of(to));
        if let (Some(to), None) = (within, talk) {
            // That is nobody: so the user is looking for these words too.
            words.push("in".to_owned());
            words.push(as_typed(to));
        }
        let query = Query::Search { words: words.clone(), within: talk, count: SEARCH_MAX };
        self.query(query, Asked::Search { id, words });
    }

    pub(super) fn forget(&mut self, id: CommandId, with: &To, sure: bool) {
        let Some(talk) = self.talk_of(with) else {
            self.nothing_with(id, with);
            return;
        };
        let conversation = self.talk_name(&talk);
        if sure {
            self.store(StoreOp::ForgetTexts(talk), Then::Lines(Committed::Forgotten { id, conversation }));
        } else {
            self.done(id, Answer::Forgotten { conversation, count: None });
        }
    }

    /// The user means a conversation that does not exist here.
    pub(in crate::messenger) fn nothing_with(&mut self, id: CommandId, with: &To) {
        match with {
            To::Person { name, .. } => {
                self.fail(id, ErrorCode::NoSuchUser, format!("there is nothing from or to {name} here"));
            }
            To::Group(name) => self.fail(id, ErrorCode::NoSuchGroup, format!("there is no group @{name}")),
        }
    }
}

fn as_typed(to: &To) -> String {
    match to {
        To::Person { name, fingerprint: None } => name.to_string(),
        To::Person { name, fingerprint: Some(print) } => format!("{name}#{print}"),
        To::Group(name) => format!("@{name}"),
    }
}

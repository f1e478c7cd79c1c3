//! What tests ask of a town, and what its people have seen.

use std::collections::BTreeSet;

use super::town::{Town, name};
use crate::command::{Command, CommandError, ErrorCode, To};
use crate::event::{Answer, CommandId, Event, GroupChange, Input, MessageView, Source, StateView};
use crate::stored::{State, Tally, Via};

/// What people do and see.
impl Town {
    /// Gives a command without waiting for anything.
    pub fn ask(&mut self, who: usize, command: Command) -> CommandId {
        let person = &mut self.people[who];
        person.next += 1;
        let id = CommandId { source: Source(1), number: person.next };
        self.inputs.push_back((who, Input::Command { id, command: Ok(command) }));
        id
    }

    pub fn answer(&self, who: usize, id: CommandId) -> Option<Result<Answer, CommandError>> {
        self.people[who].events.iter().find_map(|event| match event {
            Event::Answer { id: of, answer } if *of == id => Some(answer.clone().map(|answer| *answer)),
            _ => None,
        })
    }

    /// Gives a command and waits for its answer, at most as long as one waits for a directory.
    pub fn does(&mut self, who: usize, command: Command) -> Result<Answer, CommandError> {
        let id = self.ask(who, command);
        self.settle();
        if self.answer(who, id).is_none() {
            self.wait(5_000);
        }
        self.answer(who, id).expect("every command is answered")
    }

    /// The code and the words of what a command is refused with.
    pub fn refused(&mut self, who: usize, command: Command) -> (ErrorCode, String) {
        match self.does(who, command) {
            Err(error) => (error.code, error.message),
            Ok(answer) => panic!("not refused: {answer:?}"),
        }
    }

    pub fn create(&mut self, who: usize, group: &str, private: bool) {
        self.does(who, Command::Create { group: name(group), private }).expect("created");
    }

    pub fn join(&mut self, who: usize, group: &str) {
        self.does(who, Command::Join(name(group))).expect("joined");
    }

    pub fn says(&mut self, who: usize, group: &str, text: &str) -> u64 {
        match self.does(who, say(group, text)) {
            Ok(Answer::Sent { n, .. }) => n,
            other => panic!("not sent: {other:?}"),
        }
    }

    pub fn seen(&self, who: usize) -> Vec<&MessageView> {
        let messages = self.people[who].events.iter().filter_map(|event| match event {
            Event::Message(view) => Some(&**view),
            _ => None,
        });
        messages.collect()
    }

    /// Who said what in which conversation, as somebody sees it.
    pub fn lines(&self, who: usize) -> Vec<String> {
        let line = |view: &&MessageView| {
            format!("{} {}: {}", view.conversation, view.from, view.text.as_deref().unwrap_or_default())
        };
        self.seen(who).iter().map(line).collect()
    }

    /// What happened in groups, as somebody sees it, since they looked last.
    pub fn news(&mut self, who: usize) -> Vec<String> {
        let mut news = Vec::new();
        self.people[who].events.retain(|event| match event {
            Event::Group { group, change, name, by, .. } => {
                let by = by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
                news.push(format!("{} {name} @{group}{by}", word(*change)));
                false
            }
            _ => true,
        });
        news
    }

    /// The last state told of a message: state, delivered, kept, waiting.
    pub fn state(&self, who: usize, n: u64) -> Option<(State, Tally, Option<Via>)> {
        let states = self.people[who].events.iter().rev().filter_map(|event| match event {
            Event::State(view) if view.n == n => Some(view),
            _ => None,
        });
        states.map(|view: &StateView| (view.state, view.tally.unwrap_or_default(), view.via)).next()
    }

    pub fn members(&mut self, who: usize, group: &str) -> Vec<String> {
        match self.does(who, Command::Members(name(group))) {
            Ok(Answer::Members { members, .. }) => members
                .into_iter()
                .map(|member| if member.owner { format!("{}*", member.name) } else { member.name })
                .collect(),
            other => panic!("no members: {other:?}"),
        }
    }

    /// Who has an open link to whom.
    pub fn linked(&self) -> BTreeSet<(usize, usize)> {
        self.links.iter().map(|((one, _), (other, _))| (*one, *other)).filter(|(one, other)| one < other).collect()
    }
}

pub(in crate::messenger) fn say(group: &str, text: &str) -> Command {
    Command::Send { to: To::Group(name(group)), text: text.to_owned(), key: None, urgent: false, reply_to: None }
}

pub(in crate::messenger) fn write(person: &str, text: &str) -> Command {
    let to = To::Person { name: name(person), fingerprint: None };
    Command::Send { to, text: text.to_owned(), key: None, urgent: false, reply_to: None }
}

fn word(change: GroupChange) -> &'static str {
    match change {
        GroupChange::Created => "created",
        GroupChange::Joined => "joined",
        GroupChange::Left => "left",
        GroupChange::Kicked => "kicked",
        GroupChange::Invited => "invited",
        GroupChange::Removed => "removed",
    }
}

//! Every command is answered by exactly one result or error, in the order the commands came, for each source apart.
//! Also which commands wait behind one that takes its time.

use std::collections::{BTreeMap, VecDeque};

use crate::command::{Command, CommandError};
use crate::event::{Answer, CommandId, Source};

/// What a command is answered with.
pub type Reply = Result<Box<Answer>, CommandError>;

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<(CommandId, Result<Command, CommandError>)>,
    busy: Option<CommandId>,
    open: VecDeque<(CommandId, Option<Reply>)>,
}

/// All sources.
#[derive(Debug, Default)]
pub struct Answers {
    lines: BTreeMap<Source, Line>,
}

impl Answers {
    /// A command came; it starts when those before it allow.
    pub fn push(&mut self, id: CommandId, command: Result<Command, CommandError>) {
        self.lines.entry(id.source).or_default().waiting.push_back((id, command));
    }

    /// The next command of a source that may start now. It is then open until [`Self::reply`].
    pub fn start(&mut self, source: Source) -> Option<(CommandId, Result<Command, CommandError>)> {
        let line = self.lines.get_mut(&source)?;
        if line.busy.is_some() {
            return None;
        }
        let (id, command) = line.waiting.pop_front()?;
        line.open.push_back((id, None));
        Some((id, command))
    }

    /// Nothing of this source starts until `id` is answered.
    pub fn block(&mut self, id: CommandId) {
        if let Some(line) = self.lines.get_mut(&id.source) {
            line.busy = Some(id);
        }
    }

    /// `id` goes on without holding up its source; it is still answered in its place.
    pub fn unblock(&mut self, id: CommandId) {
        if let Some(line) = self.lines.get_mut(&id.source).filter(|line| line.busy == Some(id)) {
            line.busy = None;
        }
    }

    /// The command a source is blocked by.
    #[must_use]
    pub fn blocked_by(&self, source: Source) -> Option<CommandId> {
        self.lines.get(&source)?.busy
    }

    /// Answers a command; returns what may be said now, in order.
    pub fn reply(&mut self, id: CommandId, reply: Reply) -> Vec<(CommandId, Reply)> {
        self.unblock(id);
        let Some(line) = self.lines.get_mut(&id.source) else { return Vec::new() };
        if let Some((_, slot)) = line.open.iter_mut().find(|(open, _)| *open == id) {
            *slot = Some(reply);
        }
        let mut ready = Vec::new();
        while let Some((_, Some(_))) = line.open.front() {
            if let Some((id, Some(reply))) = line.open.pop_front() {
                ready.push((id, reply));
            }
        }
        ready
    }

    /// Whether every command that came is answered.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.lines.values().all(|line| line.waiting.is_empty() && line.open.is_empty())
    }

    /// Every command that came and is not answered, in order; those that waited are open now.
    pub fn unanswered(&mut self) -> Vec<CommandId> {
        let mut ids = Vec::new();
        for line in self.lines.values_mut() {
            line.open.extend(line.waiting.drain(..).map(|(id, _)| (id, None)));
            ids.extend(line.open.iter().filter(|(_, reply)| reply.is_none()).map(|(id, _)| *id));
        }
        ids
    }

    /// A source has gone: what it waits for is not wanted.
    pub fn close(&mut self, source: Source) {
        self.lines.remove(&source);
    }

    /// Every source there is.
    #[must_use]
    pub fn sources(&self) -> Vec<Source> {
        self.lines.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> CommandId {
        CommandId { source: Source(1), number }
    }

    #[test]
    fn answers_come_in_the_order_of_the_commands() {
        let mut answers = Answers::default();
        for number in 0..3 {
            answers.push(id(number), Ok(Command::Login));
            assert!(answers.start(Source(1)).is_some());
        }
        assert!(answers.reply(id(2), Ok(Box::new(Answer::Done))).is_empty());
        assert!(answers.reply(id(1), Ok(Box::new(Answer::Done))).is_empty());
        let order: Vec<u64> =
            answers.reply(id(0), Ok(Box::new(Answer::Done))).iter().map(|(id, _)| id.number).collect();
        assert_eq!(order, [0, 1, 2]);
    }

    #[test]
    fn at_the_end_every_command_is_still_answered_in_order() {
        let mut answers = Answers::default();
        for number in 0..3 {
            answers.push(id(number), Ok(Command::Login));
        }
        answers.start(Source(1));
        answers.block(id(0));
        let left = answers.unanswered();
        assert_eq!(left.iter().map(|id| id.number).collect::<Vec<_>>(), [0, 1, 2]);
        for id in left {
            assert_eq!(answers.reply(id, Ok(Box::new(Answer::Done))).len(), 1);
        }
        assert!(answers.is_idle());
    }

    #[test]
    fn a_command_that_takes_its_time_holds_up_its_own_source_only() {
        let mut answers = Answers::default();
        answers.push(id(0), Ok(Command::Login));
        answers.push(id(1), Ok(Command::Login));
        answers.start(Source(1));
        answers.block(id(0));
        assert!(answers.start(Source(1)).is_none());
        answers.push(CommandId { source: Source(2), number: 0 }, Ok(Command::Login));
        assert!(answers.start(Source(2)).is_some());
        answers.reply(id(0), Ok(Box::new(Answer::Done)));
        assert!(answers.start(Source(1)).is_some());
    }

    #[test]
    fn a_command_that_goes_on_by_itself_lets_the_next_one_start_and_is_answered_first() {
        let mut answers = Answers::default();
        answers.push(id(0), Ok(Command::Login));
        answers.push(id(1), Ok(Command::Login));
        answers.start(Source(1));
        answers.block(id(0));
        answers.unblock(id(0));
        assert!(answers.start(Source(1)).is_some());
        assert!(answers.reply(id(1), Ok(Box::new(Answer::Done))).is_empty());
        assert_eq!(answers.reply(id(0), Ok(Box::new(Answer::Done))).len(), 2);
    }
}

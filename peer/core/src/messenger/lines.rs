//! What is done to lines: replies that quote, edits, deletes, reactions, forwards, read receipts, texts that vanish, search.
//!
//! By reason: `changing` (the user's commands on a line), `amending` (what others did to lines), `reading` (receipts),
//! `vanishing` (texts that go after a time), `finding` (search, forgetting).

mod amending;
mod changing;
mod finding;
mod reading;
#[cfg(test)]
mod tests;
mod vanishing;

use std::collections::{BTreeMap, BTreeSet};

use common::identity::PublicKey;
use common::message::{Conversation, MessageId};

use super::Messenger;
use crate::command::{Command, To, Which};
use crate::event::{Answer, CommandId, MessageView, StateView};
use crate::stored::{Reason, State, StoreResult, StoredMessage, Talk, Tally};

pub(super) use changing::Saying;
use reading::Reading;

/// A line handed to the front, that is not said to be out yet.
#[derive(Debug, Clone, Copy)]
struct Told {
    sender: PublicKey,
    id: MessageId,
    /// Of a conversation with one person: its reader may tell that it was read.
    pair: bool,
    /// Its countdown begins when it is out.
    vanishes: bool,
}

/// What is to happen when something about lines is committed.
#[derive(Debug)]
pub(super) enum Committed {
    /// Whether others are told what was read.
    Receipts { id: CommandId, on: bool },
    /// A conversation's texts are gone.
    Forgotten { id: CommandId, conversation: String },
    /// Somebody has read own messages.
    Read,
    /// An own message that came late is read.
    ReadLate { n: u64, id: MessageId, elapsed_ms: u64 },
    /// Texts whose time was over are gone.
    Vanished,
    /// A reaction that waited for its group's chain has changed its line, if that is here.
    Amended(Box<StoredMessage>),
}

/// What is known of lines beyond the outbox and the inbox.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Messages to groups whose tally changed in this turn, by number.
    tallied: BTreeMap<u64, StateView>,
    /// The last word told of messages to groups that are on their way, by number.
    counted: BTreeMap<u64, (State, Option<Reason>, Tally)>,
    /// Lines at the front, by number.
    told: BTreeMap<u64, Told>,
    /// Others are told what was read: the user wants it, and that is committed.
    tells_read: bool,
    /// What was put out of each person's lines.
    readings: BTreeMap<PublicKey, Reading>,
    /// Up to which own message each person has said to have read.
    read: BTreeMap<PublicKey, MessageId>,
    /// What was delivered after its reader's mark had passed it, and is read when the next mark says so: number, age clock when
    /// it was queued.
    late: BTreeMap<(PublicKey, MessageId), (u64, u64)>,
    /// How long texts stay, by conversation, and the message that said so.
    durations: BTreeMap<Talk, (MessageId, Option<u64>)>,
    /// When the next countdown is over, on the age clock, milliseconds.
    next_vanish_ms: Option<u64>,
    /// The directory has said what time it is, in this run.
    heard_the_time: bool,
    /// Countdowns are to begin, and what is over is to go, with the next transaction.
    count_down: bool,
}

impl Lines {
    pub(super) fn new(
        read: Vec<(PublicKey, MessageId)>,
        durations: Vec<(Talk, MessageId, Option<u64>)>,
        next_vanish_ms: Option<u64>,
    ) -> Self {
        Self {
            read: read.into_iter().collect(),
            durations: durations.into_iter().map(|(talk, id, after_ms)| (talk, (id, after_ms))).collect(),
            next_vanish_ms,
            // What was delivered before a crash has not begun its countdown.
            count_down: true,
            ..Self::default()
        }
    }

    pub(super) fn tallied(&mut self, view: StateView) {
        self.tallied.insert(view.n, view);
    }

    /// What is new to the user of these: one copy may enter a state that another one was told in.
    pub(super) fn take_tallied(&mut self) -> Vec<StateView> {
        let mut views: Vec<StateView> = std::mem::take(&mut self.tallied).into_values().collect();
        views.retain(|view| {
            let word = (view.state, view.reason, view.tally.unwrap_or_default());
            let open = word.2.waiting + word.2.kept > 0;
            let before = if open { self.counted.insert(view.n, word) } else { self.counted.remove(&view.n) };
            before != Some(word)
        });
        views
    }

    /// What the user wanted in the run before.
    pub(super) fn tells_read(&mut self, receipts: bool) {
        self.tells_read = receipts;
    }

    pub(super) fn hear_the_time(&mut self) {
        self.heard_the_time = true;
    }

    /// A line of somebody else goes to the front.
    pub(super) fn tells(&mut self, message: &StoredMessage, view: &MessageView) {
        let (sender, id) = (message.sender, message.id);
        let (pair, vanishes) = (message.conversation == Conversation::Pair, view.vanishes_ms.is_some());
        self.told.insert(message.n, Told { sender, id, pair, vanishes });
    }
}

impl Messenger {
    pub(super) fn run_on_lines(&mut self, id: CommandId, command: Command) {
        match command {
            Command::Reply { n, ref text } => {
                if self.may_write(id, Some(text)) {
                    self.ask_line(id, Which::Number(n), command);
                }
            }
            Command::Edit { n, ref text } => {
                if self.may_write(id, Some(text)) {
                    self.ask_line(id, Which::Number(n), command);
                }
            }
            Command::Delete(n) => {
                if self.may_write(id, None) {
                    self.ask_line(id, Which::Number(n), command);
                }
            }
            Command::React { n, ref emoji } => {
                if self.may_write(id, None) && self.is_sign(id, emoji) {
                    self.ask_line(id, Which::Number(n), command);
                }
            }
            Command::Forward { n, ref to } => {
                if self.may_write(id, None) && self.is_other(id, to) {
                    self.ask_line(id, Which::Number(n), command);
                }
            }
            Command::Expire { ref with, after_ms } => {
                if self.may_write(id, None) && self.is_other(id, with) {
                    let with = with.clone();
                    self.expire(id, &with, after_ms, command);
                }
            }
            Command::Search { words, within } => self.search(id, words, within.as_ref()),
            Command::Forget { with, sure } => self.forget(id, &with, sure),
            Command::Receipts(how) => self.receipts(id, how),
            _ => self.fail(id, crate::command::ErrorCode::Unsupported, "this is about no line"),
        }
    }

    pub(super) fn on_lines_committed(&mut self, committed: Committed, result: StoreResult) {
        match (committed, result) {
            (Committed::Receipts { id, on }, _) => {
                self.lines.tells_read = self.meta.receipts;
                self.done(id, Answer::Receipts(on));
            }
            (Committed::Forgotten { id, conversation }, StoreResult::Forgotten(count)) => {
                self.done(id, Answer::Forgotten { conversation, count: Some(count) });
            }
            (Committed::Forgotten { id, conversation }, _) => {
                self.done(id, Answer::Forgotten { conversation, count: Some(0) });
            }
            (Committed::Read, StoreResult::Read(lines)) => self.on_read(lines),
            (Committed::ReadLate { n, id, elapsed_ms }, _) => self.on_read(vec![(n, id, elapsed_ms)]),
            (Committed::Vanished, StoreResult::Vanished { numbers, next_age_ms }) => {
                self.on_vanished(numbers, next_age_ms);
            }
            (Committed::Amended(message), _) => self.on_amended(*message),
            (Committed::Read | Committed::Vanished, _) => {}
        }
    }

    /// The conversation that the user means, if it is known here.
    pub(super) fn talk_of(&self, to: &To) -> Option<Talk> {
        match to {
            To::Person { name, .. } => self.book.named(name).map(|contact| Talk::Pair(contact.key)),
            To::Group(name) => self.groups.named(name).map(|group| Talk::Group(group.id())),
        }
    }

    /// These were put out: what follows from it, beside the mark in the store.
    pub(super) fn on_shown(&mut self, numbers: Vec<u64>) {
        let mut risen = BTreeSet::new();
        for n in &numbers {
            let Some(told) = self.lines.told.remove(n) else { continue };
            self.lines.count_down |= told.vanishes;
            if told.pair && self.lines.readings.entry(told.sender).or_default().shown(told.id) {
                risen.insert(told.sender);
            }
        }
        self.store(crate::stored::StoreOp::Shown(numbers), super::Then::Nothing);
        if self.lines.tells_read {
            self.owed.acks.extend(risen);
        }
    }
}

//! What is done to lines: replies that quote, edits, deletes, reactions, forwards, read receipts, texts that vanish, search.

use std::collections::BTreeMap;

use common::identity::PublicKey;
use common::message::MessageId;

use super::Messenger;
use crate::command::{Command, ErrorCode};
use crate::event::{CommandId, StateView};
use crate::stored::{StoredMessage, Talk};

/// What is known of lines beyond the outbox and the inbox.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Messages to groups whose tally changed in this turn, by number.
    tallied: BTreeMap<u64, StateView>,
    /// Up to which own message each person has said to have read.
    read: BTreeMap<PublicKey, MessageId>,
    /// How long texts stay, by conversation, and the message that said so.
    durations: BTreeMap<Talk, (MessageId, Option<u64>)>,
    /// When the next countdown is over, on the age clock, milliseconds.
    next_vanish_ms: Option<u64>,
}

impl Lines {
    pub(super) fn new(
        read: Vec<(PublicKey, MessageId)>,
        durations: Vec<(Talk, MessageId, Option<u64>)>,
        next_vanish_ms: Option<u64>,
    ) -> Self {
        Self {
            tallied: BTreeMap::new(),
            read: read.into_iter().collect(),
            durations: durations.into_iter().map(|(talk, id, after_ms)| (talk, (id, after_ms))).collect(),
            next_vanish_ms,
        }
    }

    pub(super) fn tallied(&mut self, view: StateView) {
        self.tallied.insert(view.n, view);
    }

    pub(super) fn take_tallied(&mut self) -> Vec<StateView> {
        std::mem::take(&mut self.tallied).into_values().collect()
    }
}

impl Messenger {
    pub(super) fn run_on_lines(&mut self, id: CommandId, _command: Command) {
        self.fail(id, ErrorCode::Unsupported, "not available yet");
    }

    /// The line that a command is about was read.
    pub(super) fn on_line(&mut self, id: CommandId, _command: Command, _line: Option<Box<StoredMessage>>) {
        self.fail(id, ErrorCode::Unsupported, "not available yet");
    }
}

//! Lines of conversations as the store holds them, and what is done to them.

use common::group::GroupId;
use common::identity::PublicKey;
use common::message::{Conversation, MessageId};

use super::{Reason, State, Via};

/// What a message does to a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Amended {
    /// Other words, if the line is a text of the amendment's sender.
    Edit(String),
    /// It is taken back, if it is of the amendment's sender.
    Delete,
    /// A sign of the amendment's sender beside it; empty: none any more.
    Reaction(String),
}

/// A message that changes a line. It waits in the store for a line that is not there yet. Of several of one sort the one
/// with the highest id counts; a line taken back stays so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// Who wrote the line.
    pub author: PublicKey,
    /// The line.
    pub target: MessageId,
    /// What is done to it.
    pub what: Amended,
}

/// Why a line has no text any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// Taken back by its writer.
    Deleted,
    /// Its time was over.
    Vanished,
    /// Forgotten by this user.
    Forgotten,
}

/// How far a message to a group is: how many of its copies are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// All copies.
    pub total: u64,
    /// On a member's disk.
    pub delivered: u64,
    /// Kept by the directory.
    pub kept: u64,
    /// Queued or held here.
    pub waiting: u64,
    /// Expired, cancelled or refused.
    pub ended: u64,
}

/// A conversation, as the store finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Talk {
    /// With one person.
    Pair(PublicKey),
    /// Of a group.
    Group(GroupId),
}

/// Another copy of a message to a group: its place in that member's lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copy {
    /// To whom.
    pub recipient: PublicKey,
    /// Place in the lane.
    pub seq: u64,
    /// That member's previous ordered message of this conversation.
    pub after: Option<MessageId>,
}

/// The line that a message answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// Its number.
    pub n: u64,
    /// Who wrote it.
    pub sender: PublicKey,
    /// Its kind.
    pub kind: u16,
    /// Its body as it is now; empty when it is gone.
    pub body: Vec<u8>,
}

/// A message as the store holds it, one's own or somebody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Number in this store.
    pub n: u64,
    /// The message.
    pub id: MessageId,
    /// Who wrote it.
    pub sender: PublicKey,
    /// The other person of a pair conversation.
    pub other: PublicKey,
    /// Whether this peer wrote it.
    pub mine: bool,
    /// Conversation.
    pub conversation: Conversation,
    /// Kind of the body.
    pub kind: u16,
    /// The body.
    pub body: Vec<u8>,
    /// The writer's clock, milliseconds since 1970.
    pub sent_at_ms: i64,
    /// This peer's clock at the commit, milliseconds since 1970.
    pub received_at_ms: i64,
    /// How it came; for own messages the path of the last state.
    pub via: Option<Via>,
    /// From somebody not yet accepted, at the time.
    pub request: bool,
    /// Rang.
    pub urgent: bool,
    /// Deposited while this peer was not logged in.
    pub waited: bool,
    /// Takes part in the order.
    pub ordered: bool,
    /// Its predecessor.
    pub after: Option<MessageId>,
    /// State and reason of an own message.
    pub state: Option<(State, Option<Reason>)>,
    /// Milliseconds from queued to the last state, own messages only.
    pub elapsed_ms: u64,
    /// The line it answers, where that is here.
    pub quote: Option<Box<Quote>>,
    /// It has other words than at first.
    pub edited: bool,
    /// Why its body is empty.
    pub gone: Option<Gone>,
    /// Who put which sign beside it.
    pub reactions: Vec<(PublicKey, String)>,
    /// How far an own message to a group is.
    pub tally: Option<Tally>,
}

impl StoredMessage {
    /// Which conversation it belongs to.
    #[must_use]
    pub fn talk(&self) -> Talk {
        match self.conversation {
            Conversation::Pair => Talk::Pair(self.other),
            Conversation::Group { id, .. } => Talk::Group(id),
        }
    }
}

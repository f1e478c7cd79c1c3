//! What the store of a peer holds, what may be written in one transaction and what may be asked.
//! Words only: the store carries them out, the messenger decides them.

mod facts;
mod file;
mod line;
mod people;
mod snapshot;

use common::group::{GroupId, SignedStep};
use common::identity::PublicKey;
use common::message::{Conversation, Epoch, MessageId};

pub use crate::command::Which;
pub use facts::{DirectoryRecord, Meta, OwnPrekey};
pub use file::{FileRow, FileState};
pub use line::{Amended, Amendment, Copy, Gone, Quote, StoredMessage, Talk, Tally};
pub use people::{Claim, Contact, Pin};
pub use snapshot::Snapshot;

/// How a message travelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// From peer to peer.
    Direct,
    /// Sealed, through the directory.
    Directory,
}

/// Where an own message is. `docs/architecture.md` draws the arrows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// On this disk.
    Queued,
    /// Sealed on the directory's disk.
    Kept,
    /// On the recipient's disk.
    Delivered,
    /// Read there.
    Read,
    /// Waits for the user or for a condition.
    Held,
    /// Outlived its lifetime.
    Expired,
    /// The recipient's own word.
    Refused,
    /// Withdrawn by the user.
    Cancelled,
}

impl State {
    /// Whether the sender's work on it is done.
    #[must_use]
    pub fn is_settled(self) -> bool {
        match self {
            Self::Delivered | Self::Read | Self::Expired | Self::Refused | Self::Cancelled => true,
            Self::Queued | Self::Kept | Self::Held => false,
        }
    }
}

/// Why a message is where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Undelivered for 24 hours: a warning, nothing has ended.
    Undelivered24h,
    /// The recipient's mailbox is full.
    MailboxFull,
    /// This user's quota at the directory is used up.
    Quota,
    /// The recipient does not know this user and the room for strangers is full.
    StrangersFull,
    /// The directory's disk is full.
    DiskFull,
    /// The directory asks to slow down.
    RateLimited,
    /// The name is registered no more.
    NoSuchUser,
    /// The name belongs to another key now.
    KeyChanged,
    /// The recipient has published no prekey.
    NoPrekey,
    /// The recipient could not open it three times.
    CannotOpen,
    /// The directory's store failed.
    DirectoryStore,
    /// The recipient blocks this user.
    Blocked,

    /// Another machine has taken this identity over.
    Suspended,
    /// Outlived its lifetime.
    Lifetime,
    /// The user withdrew it.
    User,
}

impl Reason {
    /// Every one.
    pub const ALL: [Self; 15] = [
        Self::Undelivered24h,
        Self::MailboxFull,
        Self::Quota,
        Self::StrangersFull,
        Self::DiskFull,
        Self::RateLimited,
        Self::NoSuchUser,
        Self::KeyChanged,
        Self::NoPrekey,
        Self::CannotOpen,
        Self::DirectoryStore,
        Self::Blocked,
        Self::Suspended,
        Self::Lifetime,
        Self::User,
    ];
}

/// One own message on its way to one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Number in this store.
    pub n: u64,
    /// The message.
    pub id: MessageId,
    /// To whom.
    pub recipient: PublicKey,
    /// Place in the lane of the current epoch.
    pub seq: u64,
    /// The recipient's previous ordered message of this conversation.
    pub after: Option<MessageId>,
    /// Whether it takes part in the order.
    pub ordered: bool,
    /// Rings, goes first.
    pub urgent: bool,
    /// Conversation.
    pub conversation: Conversation,
    /// The sender's clock when it was queued, milliseconds since 1970.
    pub sent_at_ms: i64,
    /// Kind of the body.
    pub kind: u16,
    /// The body; empty when settled.
    pub body: Vec<u8>,
    /// Where it is.
    pub state: State,
    /// Why.
    pub reason: Option<Reason>,
    /// Age clock at the commit that queued it, milliseconds.
    pub queued_age_ms: u64,
    /// The path of the last state.
    pub via: Option<Via>,
    /// Milliseconds from queued to the last state.
    pub elapsed_ms: u64,
}

/// An own message to be queued. The store gives it its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// The row, with `n` = 0.
    pub row: OutboxRow,
    /// Idempotency key: the same key twice queues once.
    pub key: Option<String>,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
    /// The other copies, for a message to a group: all under one number.
    pub copies: Vec<Copy>,
    /// What it does to a line: done here in the same transaction.
    pub amends: Option<Amendment>,
    /// Its text goes so long after it was delivered everywhere, milliseconds.
    pub vanishes_ms: Option<u64>,
    /// Wall clock, milliseconds since 1970, for the trace.
    pub at_ms: i64,
}

/// A message of somebody else, to be stored if it is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Who wrote it.
    pub sender: PublicKey,
    /// The message.
    pub id: MessageId,
    /// Its predecessor.
    pub after: Option<MessageId>,
    /// Whether it takes part in the order.
    pub ordered: bool,
    /// Rings.
    pub urgent: bool,
    /// Conversation.
    pub conversation: Conversation,
    /// The sender's claim, milliseconds since 1970.
    pub sent_at_ms: i64,
    /// This peer's wall clock, milliseconds since 1970.
    pub received_at_ms: i64,
    /// Kind of the body.
    pub kind: u16,
    /// The body.
    pub body: Vec<u8>,
    /// How it came.
    pub via: Via,
    /// Deposited while this peer was not logged in.
    pub waited: bool,
    /// From somebody not yet accepted.
    pub request: bool,
    /// Its place in the sender's lane, when it is to be acknowledged: noted as held in the same transaction.
    pub held: Option<(Epoch, u64)>,
    /// The line it answers.
    pub reply_to: Option<MessageId>,
    /// What it does to a line.
    pub amends: Option<Amendment>,
    /// Its text goes so long after it was put out, milliseconds.
    pub vanishes_ms: Option<u64>,
}

/// One thing to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreOp {
    /// Queues an own message; answered by `Queued`.
    Queue(Box<NewMessage>),
    /// Stores a message of somebody else; answered by `Arrived`.
    Receive(Box<Arrival>),
    /// These messages were put out.
    Shown(Vec<u64>),
    /// The countdown of texts that vanish begins where they were put out, or delivered everywhere, and it has not begun.
    Countdown {
        /// Age clock, milliseconds.
        age_ms: u64,
    },
    /// Texts whose countdown is over go, for good; answered by `Vanished`.
    Vanish {
        /// Age clock, milliseconds.
        age_ms: u64,
    },
    /// These messages are no line of any conversation: their texts go, and nothing is put out of them.
    Dismiss(Vec<u64>),
    /// This reaction waited, and counts: its line is changed, if it was not, or will be when it comes.
    Amend(u64),
    /// Own delivered messages of the pair conversation with ids up to this one are read; answered by `Read`.
    Read {
        /// By whom.
        recipient: PublicKey,
        /// The last message that was put out there.
        up_to: MessageId,
        /// Wall clock, milliseconds since 1970.
        at_ms: i64,
    },
    /// The texts of a conversation go, its ids stay; answered by `Forgotten`.
    ForgetTexts(Talk),
    /// How long texts of a conversation stay, milliseconds; none: for good.
    PutDuration {
        /// Which conversation.
        talk: Talk,
        /// The message that says so; a lower id than the one known changes nothing.
        id: MessageId,
        /// Milliseconds.
        after_ms: Option<u64>,
    },
    /// Steps of a group's chain, after those that are there.
    PutSteps {
        /// The group.
        group: GroupId,
        /// The version of the first of them.
        first: u64,
        /// In order.
        steps: Vec<SignedStep>,
    },
    /// A file that is offered, unless it is known: then nothing changes.
    NewFile(Box<FileRow>),
    /// How a file stands now.
    PutFile(Box<FileRow>),
    /// A group was seen at this directory last.
    PutGroupHome {
        /// The group.
        group: GroupId,
        /// The directory's key.
        directory: PublicKey,
    },
    /// An own message changed state; also a step of its trace; answered by `Tallied` when it is one to a group. Bodies of settled rows may be dropped from the outbox.
    State {
        /// Which.
        n: u64,
        /// On its way to whom.
        recipient: PublicKey,
        /// New state.
        state: State,
        /// By which path.
        via: Option<Via>,
        /// Why.
        reason: Option<Reason>,
        /// Wall clock, milliseconds since 1970.
        at_ms: i64,
        /// Milliseconds since it was queued, by the age clock.
        elapsed_ms: u64,
    },
    /// The age of an own message counts from here.
    Aged {
        /// Which.
        id: MessageId,
        /// Age clock, milliseconds.
        queued_age_ms: u64,
    },
    /// A step of a trace that changes no state (tried directly, offered again, sealed again ...).
    Step {
        /// Which message.
        n: u64,
        /// What happened, in fixed words of this program.
        what: &'static str,
        /// By which path.
        via: Option<Via>,
        /// Wall clock, milliseconds since 1970.
        at_ms: i64,
    },
    /// The recipient's applied floor passed these settled rows: their seq is forgotten, the rows stay for status.
    Forget {
        /// To whom the lane leads.
        recipient: PublicKey,
        /// Rows below this seq.
        below: u64,
    },
    /// A new epoch: every remaining seq is forgotten, the moved rows get new ones; and the version reserve restarts.
    NewEpoch {
        /// The new epoch.
        epoch: Epoch,
        /// (number, old recipient, new recipient, new seq) of each unsettled row.
        moves: Vec<Move>,
    },
    /// Rows go to another key (the person's new one), with new seqs in that lane.
    Readdress(Vec<Move>),
    /// The sender's lane is followed in this epoch from this floor on: what was held of an older epoch, or below
    /// the floor, is forgotten (the messages stay).
    Follow {
        /// Whose lane.
        sender: PublicKey,
        /// Its epoch.
        epoch: Epoch,
        /// Its floor.
        floor: u64,
    },
    /// Writes what a name is pinned to.
    PutPin(Box<Pin>),
    /// Writes a contact.
    PutContact(Box<Contact>),
    /// Writes the facts about this store.
    PutMeta(Meta),
    /// Writes what is known of a directory.
    PutDirectory(Box<DirectoryRecord>),
    /// Writes a new own prekey.
    PutPrekey(Box<OwnPrekey>),
    /// Destroys the private halves of these prekeys, for good.
    DropPrekeys(Vec<u64>),
}

/// A row that gets another place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Which message.
    pub n: u64,
    /// Whose lane it leaves.
    pub from: PublicKey,
    /// Whose lane it enters.
    pub to: PublicKey,
    /// Its new seq.
    pub seq: u64,
    /// Its new predecessor.
    pub after: Option<MessageId>,
}

/// The answer to one [`StoreOp`], after the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreResult {
    /// Written.
    Done,
    /// An own message has its number.
    Queued {
        /// Its number.
        n: u64,
    },
    /// The idempotency key was used before: nothing was queued.
    QueuedBefore(Box<StoredMessage>),
    /// Somebody's message was handled.
    Arrived(Arrived),
    /// These own messages are read now: (number, id, milliseconds since they were queued).
    Read(Vec<(u64, MessageId, u64)>),
    /// The texts of these lines are gone, and when the next countdown is over, on the age clock.
    Vanished {
        /// Numbers.
        numbers: Vec<u64>,
        /// Milliseconds; none: no countdown runs.
        next_age_ms: Option<u64>,
    },
    /// So many texts are gone.
    Forgotten(u64),
    /// How far a message to a group is, after a change of state of one of its copies.
    Tallied(Tally),
}

/// What became of an arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrived {
    /// New, with its number. `late`: an ordered message of the same sender and conversation with a higher id was
    /// stored before, and this one was placed in front of it.
    New {
        /// Its number.
        n: u64,
        /// Placed before something older.
        late: bool,
        /// For an amendment the line it changes, as it is now, if it is here. For a line itself, when it is not what came:
        /// an amendment had been waiting for it, or it answers a line that is here.
        line: Option<Box<StoredMessage>>,
        /// Amendments that had been waiting for it, and that need not be put out.
        settled: Vec<u64>,
    },
    /// Known by its id; `held` was noted all the same.
    Double {
        /// Its number.
        n: u64,
    },
    /// Another message is held at this (epoch, seq): this one was not stored.
    Conflict,
}

/// One step of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceStep {
    /// The state entered, or none for a step between states.
    pub state: Option<State>,
    /// Fixed words for a step between states.
    pub what: Option<String>,
    /// By which path.
    pub via: Option<Via>,
    /// Why.
    pub reason: Option<Reason>,
    /// Wall clock, milliseconds since 1970.
    pub at_ms: i64,
}

/// Something to read. Answered after everything submitted before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// The newest `count` messages of a conversation before number `before`, oldest first.
    History {
        /// Which conversation.
        with: Talk,
        /// Only what stands before this number's place.
        before: Option<u64>,
        /// At most so many.
        count: u32,
    },
    /// One message, by its number or its identity.
    Message(Which),
    /// The newest lines that hold all of these words, oldest first.
    Search {
        /// Words and phrases.
        words: Vec<String>,
        /// In which conversation; none: in all.
        within: Option<Talk>,
        /// At most so many.
        count: u32,
    },
    /// The newest files, whichever way, newest last.
    Files {
        /// At most so many.
        count: u32,
    },
    /// One message and the steps it took.
    Trace {
        /// Its number.
        n: u64,
    },
    /// A part of a group's chain.
    Steps {
        /// Which group.
        group: GroupId,
        /// Only steps after this version.
        after: u64,
        /// At most so many.
        count: u32,
    },
}

/// The answer to a [`Query`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryResult {
    /// Messages, oldest first.
    History(Vec<StoredMessage>),
    /// None: there is no such message.
    Message(Option<Box<StoredMessage>>),
    /// Files, newest last.
    Files(Vec<FileRow>),
    /// Steps of a chain, in order and without a gap.
    Steps(Vec<SignedStep>),
    /// None: no such number.
    Trace(Option<(Box<StoredMessage>, Vec<TraceStep>)>),
    /// It could not be read; says why.
    Failed(String),
}

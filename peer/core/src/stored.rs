//! What the store of a peer holds, what may be written in one transaction and what may be asked.
//! Words only: the store carries them out, the messenger decides them.

mod people;
mod snapshot;

use common::identity::PublicKey;
use common::message::{Conversation, Epoch, MessageId};
use common::record::{Binding, PrekeyRecord};
use common::seal::PrekeySecret;
use common::wire::directory::Token;

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
    /// An own message changed state; also a step of its trace. Bodies of settled rows may be dropped from the outbox.
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
    },
    /// Known by its id; `held` was noted all the same.
    Double {
        /// Its number.
        n: u64,
    },
    /// Another message is held at this (epoch, seq): this one was not stored.
    Conflict,
}

/// Facts about this store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The epoch of all lanes.
    pub epoch: Epoch,
    /// Highest generation heard from anyone.
    pub highest_generation: u64,
    /// Pair states up to this version may have been sent.
    pub version_reserve: u64,
    /// The age clock, milliseconds of life of this store.
    pub age_ms: u64,
    /// Wall clock when the age clock was written, milliseconds since 1970.
    pub wall_ms: i64,
    /// Whether the user wants to be online (false after `!logout`).
    pub wants_online: bool,
    /// Another machine took over; only `!login` ends it.
    pub suspended: bool,
    /// The last run ended on purpose: everything decided was also told.
    pub left_cleanly: bool,
    /// The name the user asked for and the directory bound.
    pub binding: Option<Binding>,
}

/// A directory as this store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryRecord {
    /// `HOST:PORT` as given by the user.
    pub address: String,
    /// Its pinned key.
    pub key: PublicKey,
    /// Its store, as of the last welcome.
    pub store_id: [u8; 16],
    /// Its commit counter, as of the last welcome.
    pub commits: u64,
    /// The newest token.
    pub token: Option<Token>,
}

/// An own prekey with its private half.
#[derive(Debug, Clone)]
pub struct OwnPrekey {
    /// Counter.
    pub counter: u64,
    /// The signed public half.
    pub record: PrekeyRecord,
    /// The private half.
    pub secret: PrekeySecret,
    /// Age clock when it was made, milliseconds.
    pub created_age_ms: u64,
    /// Age clock when a newer one was confirmed by the directory, milliseconds.
    pub replaced_age_ms: Option<u64>,
}

impl PartialEq for OwnPrekey {
    fn eq(&self, other: &Self) -> bool {
        self.counter == other.counter && self.record == other.record
    }
}

impl Eq for OwnPrekey {}

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
        /// The other person (pair).
        with: PublicKey,
        /// Only what stands before this number's place.
        before: Option<u64>,
        /// At most so many.
        count: u32,
    },
    /// One message and the steps it took.
    Trace {
        /// Its number.
        n: u64,
    },
}

/// The answer to a [`Query`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryResult {
    /// Messages, oldest first.
    History(Vec<StoredMessage>),
    /// None: no such number.
    Trace(Option<(Box<StoredMessage>, Vec<TraceStep>)>),
    /// It could not be read; says why.
    Failed(String),
}

//! What goes into the messenger and what comes out of it. Closed enums: a new kind is met everywhere.

use std::net::SocketAddr;

use common::identity::{Fingerprint, PublicKey};
use common::message::MessageId;
use common::name::Name;
use common::record::{Prekey, PrekeyRecord};
use common::seal::PrekeySecret;
use common::wire::directory::{FromDirectory, Standing, ToDirectory};
use common::wire::peer::PeerFrame;

use crate::command::{Command, CommandError};
use crate::stored::{Query, QueryResult, Reason, State, StoreOp, StoreResult, TraceStep, Via};

/// The time of an input. Monotonic for deadlines; wall for what people and envelopes are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the program started, never going back.
    pub mono_ms: u64,
    /// Milliseconds since 1970, by the system's clock.
    pub wall_ms: i64,
}

/// What the messenger is told at its start.
#[derive(Debug, Clone)]
pub struct Config {
    /// This peer's key.
    pub me: PublicKey,
    /// Random at each start of the program.
    pub instance: [u8; 16],
    /// Seed of all randomness the core needs.
    pub seed: [u8; 32],
    /// `HOST:PORT` as given.
    pub directory: String,
    /// Fingerprint given with `-d HOST#FINGERPRINT`: pins anew.
    pub directory_pin: Option<Fingerprint>,
    /// `--name`: registered at start if none is registered yet.
    pub name: Option<Name>,
    /// The real address of the UDP socket.
    pub bind: SocketAddr,
    /// Addresses to publish, best first. An unspecified IP: the directory puts in what it sees.
    pub candidates: Vec<SocketAddr>,
    /// Whether a front end puts messages out (false: they wait for the next start, as in `peer send`).
    pub shows: bool,
    /// Version of the program, for `ready`.
    pub version: String,
}

/// A QUIC connection, dialled or accepted, numbered by the program: dialled ones by the messenger (even), accepted ones
/// by the transport (odd).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Pairs an answer of the shell with the output that asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A front end: the prompt, the pipe, or one connection of the control socket. Answers keep order within one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(pub u64);

/// Pairs an answer with a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId {
    /// Where it came from.
    pub source: Source,
    /// Its number there, growing.
    pub number: u64,
}

/// Why a link ended or never began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkEnd {
    /// No address answered, or the handshake failed.
    NotReached,
    /// Another key answered.
    WrongKey,
    /// Idle, reset or closed by the other side.
    Lost,
    /// Closed on purpose from here.
    Closed,
    /// The other side sent what is no frame.
    Garbage,
}

/// Why there is no connection to the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryEnd {
    /// The name does not resolve, nobody listens, the handshake fails.
    NotReached,
    /// It broke, or was closed from the other side.
    Lost,
    /// The directory sent what is no frame.
    Garbage,
}

/// Why sealed bytes stay closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotOpened {
    /// Not sealed to this key.
    WrongPrekey,
    /// Opened, but not what it claims to be: to be dropped.
    Forged,
}

/// What happens to the messenger.
#[derive(Debug)]
pub enum Input {
    /// A command from a front end, parsed. A line that does not parse comes too, so that answers keep their order.
    Command {
        /// Pairs the answer.
        id: CommandId,
        /// The command, or what was wrong with the line.
        command: Result<Command, CommandError>,
    },
    /// A source has gone; its answers are not wanted any more.
    SourceClosed(Source),
    /// These messages were put out and flushed.
    Shown(Vec<u64>),
    /// A transaction is committed; one result for each op, in order.
    Stored {
        /// Which.
        ticket: Ticket,
        /// One for each op.
        results: Vec<StoreResult>,
    },
    /// A query is answered.
    Answered {
        /// Which.
        ticket: Ticket,
        /// The answer.
        result: QueryResult,
    },
    /// The store cannot commit any more: nothing more is promised.
    StoreFailed(String),
    /// TLS to the directory stands, under this key. Nothing was sent yet.
    DirectoryUp {
        /// The key it showed.
        key: PublicKey,
    },
    /// There is no connection to the directory (any more).
    DirectoryDown(DirectoryEnd),
    /// A frame from the directory.
    DirectoryFrame(Box<FromDirectory>),
    /// A QUIC connection with its stream stands; nothing was sent yet.
    LinkUp {
        /// Which.
        link: LinkId,
        /// Who is at the other end, as TLS proved.
        key: PublicKey,
        /// The other end's address.
        address: SocketAddr,
        /// Dialled from here.
        dialled: bool,
    },
    /// A frame on a link.
    LinkFrame {
        /// Which.
        link: LinkId,
        /// The frame.
        frame: Box<PeerFrame>,
    },
    /// A frame of an unknown kind on a link.
    LinkUnknown {
        /// Which.
        link: LinkId,
        /// Its kind.
        kind: u16,
    },
    /// A link is gone, or a dial failed. The last input about it.
    LinkDown {
        /// Which.
        link: LinkId,
        /// Why.
        end: LinkEnd,
    },
    /// Sealing is done; none: it could not be sealed (too large).
    Sealed {
        /// Which.
        ticket: Ticket,
        /// The sealed bytes.
        sealed: Option<Vec<u8>>,
    },
    /// Opening is done.
    Opened {
        /// Which.
        ticket: Ticket,
        /// The plain bytes, signature checked.
        plain: Result<Vec<u8>, NotOpened>,
    },
    /// A prekey was made and signed.
    PrekeyMade {
        /// The signed public half.
        record: PrekeyRecord,
        /// The private half.
        secret: PrekeySecret,
    },
    /// The host's addresses changed, or it woke from sleep: try everything at once.
    NetworkChanged(Vec<SocketAddr>),
    /// The front's input has ended: flush what is queued, go offline, exit.
    EndOfInput,
    /// A deadline of `poll_timeout` is due.
    Wake,
}

/// What is sealed, and so what the signature inside is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedKind {
    /// A `Parcel`.
    Parcel,
    /// A `PairState`.
    State,
}

/// What the messenger wants done. Each is carried out in the order given.
#[derive(Debug)]
pub enum Output {
    /// Tell the front ends.
    Event(Event),
    /// Commit these ops in one transaction (with others if they wait); answer `Stored`.
    Store {
        /// For the answer.
        ticket: Ticket,
        /// What to write.
        ops: Vec<StoreOp>,
    },
    /// Read; answer `Answered`, after everything submitted before.
    Query {
        /// For the answer.
        ticket: Ticket,
        /// What to read.
        query: Query,
    },
    /// Resolve and connect to the directory now; answer `DirectoryUp` or `DirectoryDown`.
    DirectoryConnect,
    /// Send to the directory.
    DirectorySend(Box<ToDirectory>),
    /// Flush what was sent to the directory and close; no answer.
    DirectoryClose,
    /// Dial these addresses, best first; answer `LinkUp` or `LinkDown`.
    Dial {
        /// The number of the link.
        link: LinkId,
        /// Who must answer.
        key: PublicKey,
        /// Where.
        addresses: Vec<SocketAddr>,
    },
    /// Send on a link. What cannot be sent is lost with the link.
    LinkSend {
        /// Which.
        link: LinkId,
        /// The frame.
        frame: Box<PeerFrame>,
    },
    /// Flush and close a link; answer `LinkDown`.
    LinkClose {
        /// Which.
        link: LinkId,
    },
    /// Sign and seal; answer `Sealed`.
    Seal {
        /// For the answer.
        ticket: Ticket,
        /// What it is.
        kind: SealedKind,
        /// For whom.
        to: PublicKey,
        /// Their prekey, verified.
        prekey: Box<Prekey>,
        /// The plain bytes.
        plain: Vec<u8>,
    },
    /// Open and check the signature; answer `Opened`.
    Open {
        /// For the answer.
        ticket: Ticket,
        /// What it should be.
        kind: SealedKind,
        /// Who must have signed it.
        from: PublicKey,
        /// Own prekey counter.
        counter: u64,
        /// Its private half.
        secret: PrekeySecret,
        /// The sealed bytes.
        sealed: Vec<u8>,
    },
    /// Make and sign a prekey; answer `PrekeyMade`.
    MakePrekey {
        /// Its counter.
        counter: u64,
        /// For the record, milliseconds since 1970.
        created_ms: i64,
    },
    /// Leave the program. The last output.
    Exit(Exit),
}

/// How the program ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// As the user wanted.
    Done,
    /// The directory's key at the first contact is not the pinned one.
    WrongDirectoryKey,
    /// The store failed; says how.
    StoreFailed(String),
}

/// What a front end may see. Texts are raw: a front end shows them only through its sanitiser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Store and socket are open.
    Ready {
        /// The registered name.
        name: Option<Name>,
        /// This peer's fingerprint.
        fingerprint: Fingerprint,
        /// The real UDP address.
        bind: SocketAddr,
        /// `HOST:PORT` as given.
        directory: String,
        /// Version of the program.
        version: String,
    },
    /// The directory has bound the name.
    Registered(Name),
    /// The directory has committed addresses and prekey.
    Online(Name),
    /// The directory is gone, or was left.
    Offline(Name),
    /// The name is released.
    Deregistered(Name),
    /// A message of somebody else; the front answers `Input::Shown` when it is put out.
    Message(Box<MessageView>),
    /// An own message changed state.
    State(StateView),
    /// Somebody one has talked to came or went.
    Presence {
        /// Who.
        name: Name,
        /// What they are now.
        standing: Standing,
        /// Their note.
        note: Option<String>,
    },
    /// So many messages were waiting.
    Pending(u64),
    /// Earlier messages are missing.
    Gap {
        /// Whose.
        from: Name,
        /// `bob` or `@family`.
        conversation: String,
        /// How many.
        missing: u64,
    },
    /// The name of somebody now belongs to another key: loud.
    KeyChanged {
        /// The name.
        name: Name,
        /// The pinned key.
        pinned: Fingerprint,
        /// The new key.
        new: Fingerprint,
    },
    /// Something went wrong that answers no command.
    Error(CommandError),
    /// The answer to a command. Boxed: most events are small.
    Answer {
        /// Which.
        id: CommandId,
        /// The result, or why there is none.
        answer: Result<Box<Answer>, CommandError>,
    },
}

/// A message as people and scripts see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageView {
    /// Number in this store.
    pub n: u64,
    /// Identifier.
    pub id: MessageId,
    /// From somebody not yet accepted.
    pub request: bool,
    /// Who wrote it.
    pub from: String,
    /// To whom: one's own name, or `@group`; the other's name for own messages.
    pub to: String,
    /// `bob` or `@family`.
    pub conversation: String,
    /// The raw text; none for a kind this version does not know.
    pub text: Option<String>,
    /// The writer's clock, milliseconds since 1970.
    pub sent_at_ms: i64,
    /// This peer's clock, milliseconds since 1970.
    pub received_at_ms: i64,
    /// How it came.
    pub via: Option<Via>,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
    /// Rang.
    pub urgent: bool,
    /// Waited at the directory while this peer was not logged in.
    pub offline: bool,
    /// Shown after a later one: it fills a gap.
    pub late: bool,
    /// This peer wrote it.
    pub mine: bool,
    /// State and reason of an own message.
    pub state: Option<(State, Option<Reason>)>,
    /// The sender's key was compared by the user.
    pub verified: bool,
}

/// An own message's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateView {
    /// Identifier.
    pub id: MessageId,
    /// Number in this store.
    pub n: u64,
    /// To whom.
    pub to: String,
    /// The text, for the echo at the prompt.
    pub text: String,
    /// State.
    pub state: State,
    /// Path.
    pub via: Option<Via>,
    /// Why.
    pub reason: Option<Reason>,
    /// Milliseconds since it was queued, restarts included.
    pub elapsed_ms: u64,
}

/// How somebody is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reachable {
    /// This peer itself.
    Here,
    /// A direct link stands.
    Direct,
    /// Logged in at the directory; no link now.
    Directory,
    /// Only the mailbox.
    Mailbox,
}

/// One line of `!who`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonView {
    /// Name.
    pub name: Name,
    /// Presence.
    pub standing: Standing,
    /// Since when, the directory's clock, milliseconds since 1970.
    pub since_ms: i64,
    /// How.
    pub reachable: Reachable,
}

/// One line of `!contacts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactView {
    /// Name.
    pub name: Name,
    /// Fingerprint of the pinned key.
    pub fingerprint: Fingerprint,
    /// Compared by the user.
    pub verified: bool,
    /// Written to or accepted by the user.
    pub accepted: bool,
    /// Presence, when known.
    pub standing: Option<Standing>,
    /// The name belongs to another key now: its fingerprint.
    pub rival: Option<Fingerprint>,
    /// Own messages not yet delivered.
    pub waiting: u64,
}

/// `!whoami`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfView {
    /// Registered name.
    pub name: Option<Name>,
    /// Fingerprint.
    pub fingerprint: Fingerprint,
    /// Bound address.
    pub bind: SocketAddr,
    /// Published addresses.
    pub candidates: Vec<SocketAddr>,
    /// `HOST:PORT` as given.
    pub directory: String,
    /// Fingerprint of the directory's pinned key.
    pub directory_fingerprint: Option<Fingerprint>,
    /// `online`, `connecting`, `offline`, `suspended`, `unregistered`.
    pub state: &'static str,
}

/// What a command asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Carried out; there is nothing to tell but that.
    Done,
    /// `!help`: the topic asked for; the front has the words.
    Help(Option<String>),
    /// The name, bound and online.
    Registered(Name),
    /// Released.
    Deregistered(Name),
    /// `!deregister` without `yes` while messages wait: so many; nothing was done.
    DeregisterSure(u64),
    /// `!login`.
    Online(Name),
    /// `!logout`.
    Offline,
    /// `!whoami`.
    WhoAmI(Box<SelfView>),
    /// `!who`.
    People(Vec<PersonView>),
    /// A message is queued (or was, under the same idempotency key).
    Sent {
        /// Identifier.
        id: MessageId,
        /// Number.
        n: u64,
        /// To whom.
        to: String,
        /// The present state, for an idempotency key used before; none for a new message.
        before: Option<(State, Option<Via>, Option<Reason>, u64)>,
    },
    /// `!chat` opened with.
    Chat(String),
    /// `!close`.
    Closed,
    /// `!history`.
    History {
        /// With whom.
        with: String,
        /// Oldest first.
        messages: Vec<MessageView>,
    },
    /// `!status`.
    Trace {
        /// The message.
        message: Box<MessageView>,
        /// What happened to it.
        steps: Vec<TraceStep>,
    },
    /// `!cancel`.
    Cancelled {
        /// Number.
        n: u64,
    },
    /// `!contacts`.
    Contacts(Vec<ContactView>),
    /// `!verify NAME`.
    Verify {
        /// Whose.
        name: Name,
        /// One's own fingerprint.
        mine: Fingerprint,
        /// Theirs, as pinned.
        theirs: Fingerprint,
        /// The new key that waits for the user's word.
        rival: Option<Fingerprint>,
        /// Compared before, or now.
        verified: bool,
    },
    /// `!quit`: flushed as far as it went.
    Bye,
}

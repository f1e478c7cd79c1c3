//! What goes into the messenger and what comes out of it. Closed enums: a new kind is met everywhere.

mod file;
mod talk;
mod view;

use std::net::SocketAddr;

use common::identity::{Context, Fingerprint, PublicKey, Signature};
use common::name::Name;
use common::record::{Prekey, PrekeyRecord};
use common::seal::PrekeySecret;
use common::wire::directory::{FromDirectory, ToDirectory};
use common::wire::peer::PeerFrame;

pub use file::{AcceptFrom, FileFacts, FileJob, FileNews, FileSource, FileStep, FileStop, FileTarget, Serving};
pub use talk::{ChangeView, FileView, GroupChange, GroupView, MemberView, OfferedView, PresenceView, QuoteView};
pub use view::{Answer, ContactView, Event, MessageView, PersonView, Reachable, SelfView, StateView};

use crate::command::{Command, CommandError};
use crate::stored::{Query, QueryResult, StoreOp, StoreResult};

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
    /// Whose files are accepted without asking.
    pub accept_from: AcceptFrom,
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

/// Why something that came from somebody has no effect. For the log alone: whoever sent it is told nothing by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// The directory's word for a name does not verify, or is about another key.
    Binding,
    /// Nobody believable says who this is.
    Unnamed,
    /// Sealed to a prekey that is not here, or by somebody else than it is said to be.
    NotOpened,
    /// Opened, but not signed by its sender for this peer and this use.
    Forged,
    /// An envelope whose sender or recipient is another than those it travelled between.
    EnvelopeOfOthers,
    /// An envelope whose numbers no correct peer gives, or too long.
    EnvelopeAbsurd,
    /// More than somebody not accepted may leave here.
    TooMuch,
    /// A pair state from or for another than those it travelled between.
    StateOfOthers,
    /// A pair state whose numbers no correct peer gives.
    StateAbsurd,
    /// A pair state no newer than one that was applied.
    StateOld,
    /// A prekey record that its sender has not signed about itself.
    Prekey,
    /// Not urgent, while the user is busy: it waits at its sender and the directory.
    Busy,
    /// From somebody the user blocks.
    Blocked,
    /// To a group whose member its sender is not.
    NotAMember,
    /// A step that does not belong to a group's chain.
    Step,
    /// A broadcast that its speaker has not signed, or said before.
    Shout,
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
    /// The room on the disk of the store. Measured every few seconds; none free when the store found none.
    DiskFree {
        /// What may still be written.
        free_bytes: u64,
        /// All of it.
        total_bytes: u64,
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
    /// Signing is done.
    Signed {
        /// Which.
        ticket: Ticket,
        /// Over the bytes, in the context asked for.
        signature: Signature,
    },
    /// A prekey was made and signed.
    PrekeyMade {
        /// The signed public half.
        record: PrekeyRecord,
        /// The private half.
        secret: PrekeySecret,
    },
    /// Something about files.
    File(Box<FileNews>),
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
    /// Sign; answer `Signed`.
    Sign {
        /// For the answer.
        ticket: Ticket,
        /// What for: a step of a group, or a broadcast.
        context: Context,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Make and sign a prekey; answer `PrekeyMade`.
    MakePrekey {
        /// Its counter.
        counter: u64,
        /// For the record, milliseconds since 1970.
        created_ms: i64,
    },
    /// Something is to be done with files.
    File(FileJob),
    /// Something that came from `from` is not taken: for the log.
    Dropped {
        /// Whose it was said to be.
        from: PublicKey,
        /// Why.
        why: Dropped,
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

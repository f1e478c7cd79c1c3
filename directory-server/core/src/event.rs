//! The border of the core: what it is told ([`Input`]), what it wants done ([`Output`]), and the questions it asks a
//! store ([`StoreOp`], [`StoreResult`]). Closed enums, no behaviour: nothing here decides or does.

use std::net::SocketAddr;

use common::identity::PublicKey;
use common::wire::directory::{FromDirectory, ToDirectory};

mod files;
mod groups;
mod store;

pub use files::*;
pub use groups::*;
pub use store::*;

/// The time, given with every input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds of a clock that never steps back; deadlines are in its terms.
    pub mono_ms: u64,
    /// Milliseconds since 1970; shown and kept, never used for deadlines.
    pub wall_ms: i64,
}

/// A connection that the program accepted. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Pairs a store result with its operation. Grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What the store says of itself when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreHead {
    /// Random, made with the store, made anew when it is restored.
    pub store_id: [u8; 16],
    /// Commits so far.
    pub commits: u64,
    /// The highest serial of any binding ever kept, released ones included.
    pub binding_serial: u64,
}

/// What the core is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A connection was accepted and its key authenticated.
    SessionOpened {
        /// Its number, chosen by the program.
        session: SessionId,
        /// The key of the other end.
        key: PublicKey,
        /// Where it comes from, IPv4 never mapped into IPv6.
        address: SocketAddr,
    },
    /// A frame arrived whole.
    Frame {
        /// From whom.
        session: SessionId,
        /// What.
        frame: ToDirectory,
    },
    /// A frame of a kind that this build does not know arrived.
    UnknownFrame {
        /// From whom.
        session: SessionId,
        /// Its kind number.
        kind: u16,
    },
    /// Bytes arrived that are no frame: too long, cut off, or not decodable.
    BadFrame {
        /// From whom.
        session: SessionId,
    },
    /// The connection is gone. Not needed after [`Output::Close`], but harmless.
    SessionClosed {
        /// Which.
        session: SessionId,
    },
    /// One commit of the store: the results of the operations in it, in the order they were asked.
    Stored {
        /// Each with its ticket.
        results: Vec<(Ticket, StoreResult)>,
        /// Commits of the store so far.
        commits: u64,
    },
    /// A commit failed: none of the operations still unanswered happened, and none will.
    StoreFailed,
    /// An [`Output::Share`] was carried out.
    Shared {
        /// Which.
        ticket: Ticket,
        /// How many took the frame.
        count: u32,
    },
    /// How full the disk of the store is; to be told at start and every few seconds.
    DiskFree {
        /// Free for the program.
        free_bytes: u64,
        /// Size of the file system.
        total_bytes: u64,
    },
    /// The deadline of `poll_timeout` has come.
    Timeout,
    /// Say goodbye to everybody.
    Shutdown,
}

/// What the core wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a frame.
    Send {
        /// To whom.
        session: SessionId,
        /// What.
        frame: FromDirectory,
    },
    /// Send a frame to each of many that takes it: that is connected, and has so little waiting for it that this holds up
    /// nothing it needs. The others are passed over. Answered by [`Input::Shared`].
    Share {
        /// Returned with the answer. Grows, together with those of the store.
        ticket: Ticket,
        /// To whom.
        sessions: Vec<SessionId>,
        /// What.
        frame: FromDirectory,
    },
    /// Close after what was sent before is out; nothing is heard of it any more.
    Close {
        /// Which.
        session: SessionId,
    },
    /// Stop reading from this connection. What was read already may still be given as input.
    Pause {
        /// Which.
        session: SessionId,
    },
    /// Read again.
    Resume {
        /// Which.
        session: SessionId,
    },
    /// Ask the store.
    Store {
        /// Returned with the result.
        ticket: Ticket,
        /// The question.
        op: StoreOp,
    },
    /// The store can no longer be believed: say so and exit non-zero. Every session has been closed before.
    Fatal,
}

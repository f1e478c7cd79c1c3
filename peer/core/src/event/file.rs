//! Files between the messenger and the shell that has the disk and the streams: what is to be done, and what came of it.
//! Words only. The shell decides nothing: not whether a file is wanted, nor who may have it.

use std::path::PathBuf;

use common::body::{File, FileFault};
use common::message::MessageId;
use common::name::Name;

use super::{LinkId, Ticket};

/// An own file as it was measured, and is expected to be still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSource {
    /// Where it lies, absolute.
    pub path: PathBuf,
    /// Its size, bytes.
    pub size: u64,
    /// BLAKE3 of its bytes.
    pub blake3: [u8; 32],
    /// Changes when the file is written to or replaced.
    pub stamp: u64,
}

/// What an own file was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// The name to be offered.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// The rest.
    pub source: FileSource,
}

/// A file that comes from somebody, and where it is to lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTarget {
    /// What was offered. Its name is a stranger's.
    pub file: File,
    /// The message that offered it.
    pub offer: MessageId,
    /// The user's own choice: a folder, or the path of the file; none: the folder for downloads.
    pub place: Option<PathBuf>,
}

/// Whose files are accepted without asking the user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AcceptFrom {
    /// Nobody's.
    #[default]
    Nobody,
    /// Those of people the user has written to or accepted.
    Contacts,
    /// Those of people whose key the user has compared.
    Verified,
    /// Those of people of these names.
    Names(Vec<Name>),
}

/// The number of a file that somebody asks for on a link, given by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serving(pub u64);

/// Something to be done with files. Each with a ticket is answered by exactly one last [`FileNews`] of that ticket.
#[derive(Debug)]
pub enum FileJob {
    /// Read an own file once, whole; answer `Measured`.
    Measure {
        /// For the answer.
        ticket: Ticket,
        /// As the user typed it.
        path: PathBuf,
    },
    /// Ask for a file on a link, and write what comes, from where the disk has it already; `Got` meanwhile, `Fetched` at the end.
    Fetch {
        /// For the answers.
        ticket: Ticket,
        /// On which link.
        link: LinkId,
        /// Which file, and where it is to lie.
        target: Box<FileTarget>,
    },
    /// Give a file to who asked for it; `Sent` meanwhile, `Served` at the end.
    Serve {
        /// Who asked.
        serving: Serving,
        /// Which file.
        source: FileSource,
    },
    /// Whoever asked gets nothing. No answer.
    Refuse {
        /// Who asked.
        serving: Serving,
        /// Whether they may ask again later.
        later: bool,
    },
    /// Break a `Fetch` off; what is on the disk stays. Answered by its `Fetched`, if that has not come.
    Stop {
        /// Which.
        ticket: Ticket,
    },
    /// Break a `Serve` off, as `Stop`.
    StopServing {
        /// Which.
        serving: Serving,
    },
    /// Read and seal a piece of an own file; answer `Piece`.
    Read {
        /// For the answer.
        ticket: Ticket,
        /// Which file.
        source: FileSource,
        /// The message that offers it.
        offer: MessageId,
        /// What its pieces are sealed with.
        key: [u8; 32],
        /// Which piece.
        index: u32,
    },
    /// Open a piece and write it; none: see how far the file is on the disk. Answer `Written`.
    Write {
        /// For the answer.
        ticket: Ticket,
        /// Which file, and where it is to lie.
        target: Box<FileTarget>,
        /// The piece: index and sealed bytes.
        piece: Option<(u32, Vec<u8>)>,
    },
}

/// How far a file is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileStep {
    /// This piece is the next one that is missing.
    Next(u32),
    /// It is whole, compared, flushed, and lies there.
    Whole(PathBuf),
}

/// Why a file does not come, or goes, any further now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileStop {
    /// The link is gone, or the other side broke off: again when there is a way.
    Broken,
    /// The other side has too many under way: again later.
    Later,
    /// Broken off from here.
    Stopped,
    /// It does not go on by itself.
    Fault(FileFault),
}

/// What came of a [`FileJob`], or what somebody wants.
#[derive(Debug)]
pub enum FileNews {
    /// An own file was read.
    Measured {
        /// Which.
        ticket: Ticket,
        /// What it is.
        facts: Result<Box<FileFacts>, FileFault>,
    },
    /// So many bytes of a file are on the disk. At most four times a second.
    Got {
        /// Which.
        ticket: Ticket,
        /// Bytes from the beginning.
        bytes: u64,
    },
    /// A `Fetch` has ended: it lies there, whole, compared and flushed; or why not.
    Fetched {
        /// Which.
        ticket: Ticket,
        /// Where it lies.
        result: Result<PathBuf, FileStop>,
    },
    /// Whoever is at the other end of a link asks for a file. Answered by `Serve` or `Refuse`.
    Asked {
        /// The number of the asking.
        serving: Serving,
        /// On which link.
        link: LinkId,
        /// The message that offered it.
        offer: MessageId,
    },
    /// So many bytes of a file have left. At most four times a second.
    Sent {
        /// Which.
        serving: Serving,
        /// Bytes from the beginning.
        bytes: u64,
    },
    /// A `Serve` has ended: everything was taken by the other end's transport; or why not.
    Served {
        /// Which.
        serving: Serving,
        /// Why it stopped.
        result: Result<(), FileStop>,
    },
    /// A piece was read and sealed.
    Piece {
        /// Which.
        ticket: Ticket,
        /// The sealed bytes.
        piece: Result<Vec<u8>, FileFault>,
    },
    /// A piece was written.
    Written {
        /// Which.
        ticket: Ticket,
        /// How far the file is.
        step: Result<FileStep, FileFault>,
    },
}

//! The questions about files in sealed pieces that the core asks a store, and the answers. No behaviour: how a store keeps
//! pieces is not here.

use common::identity::PublicKey;
use common::message::MessageId;
use common::wire::directory::{BeginFile, PutPiece, Refusal};

use crate::limits::FileLimits;

/// Room that somebody asks for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeginFileOp {
    /// Who hands it over.
    pub submitter: PublicKey,
    /// The frame. Its numbers fit each other.
    pub begin: BeginFile,
    /// There is room on the disk for more.
    pub may_grow: bool,
    /// When it came, milliseconds since 1970.
    pub now_ms: i64,
    /// What files may take.
    pub limits: FileLimits,
}

/// A piece on its way to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutPieceOp {
    /// Who hands it over.
    pub submitter: PublicKey,
    /// The frame. What is sealed has a size that a piece may have.
    pub put: PutPiece,
    /// There is room on the disk for more.
    pub may_grow: bool,
}

/// A question about files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOp {
    /// Reserves room for a file of its declared size, until its recipient has it or it is dropped or too old. What is known
    /// already is not changed: it is answered with how far it is. Result: `Room`; refusals: `Conflict` (known, with other
    /// numbers), `NotAllowed` (its recipient does not want it), `NotRegistered` (the submitter), `NoSuchUser`, `TooLarge`,
    /// `StrangersFull` (too much from those whom the recipients have not accepted), `MailboxFull`, `QuotaExceeded`, `DiskFull`.
    Begin(Box<BeginFileOp>),
    /// Keeps the piece of a file that is the next one wanted. Another one changes nothing, and is answered with the one that
    /// is. Result: `Room`; refusals: `Invalid` (no such file was begun), `NotAllowed`, `NotRegistered`, `NoSuchUser`,
    /// `TooLarge` (more than was declared), `DiskFull`.
    Put(Box<PutPieceOp>),
    /// Deletes the pieces of a file before `index`, and wants none of them any more; reads this one. An index that is the
    /// number of its pieces says that the recipient has them all. Result: `Piece`.
    Get {
        /// Who asks: the recipient.
        recipient: PublicKey,
        /// Who handed it over.
        submitter: PublicKey,
        /// The message that offers it.
        offer: MessageId,
        /// Which piece.
        index: u32,
    },
    /// Deletes a file. If its recipient says so and does not have it yet, it is remembered that it is not wanted. Result: `Done`.
    Drop {
        /// Who says so: its submitter or its recipient. Of anybody else there is no such file.
        key: PublicKey,
        /// Who handed it over.
        submitter: PublicKey,
        /// For whom.
        recipient: PublicKey,
        /// The message that offers it.
        offer: MessageId,
    },
}

/// An answer about files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileResult {
    /// How far a file is.
    Room {
        /// The next piece that is wanted.
        next: u32,
        /// Why nothing is taken.
        refusal: Option<Refusal>,
    },
    /// What is sealed in a piece; none: it is not here.
    Piece(Option<Vec<u8>>),
}

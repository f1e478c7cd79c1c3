//! Files that wait at the directory for who is away, in sealed pieces: the frames both ways. A file is named by who hands it
//! over, for whom, and the message that offers it.

use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::identity::PublicKey;
use crate::message::MessageId;

/// Asks for room for a file, or how far it is. Answered by `FileRoom`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeginFile {
    /// For whom.
    pub recipient: PublicKey,
    /// The message that offers it.
    pub offer: MessageId,
    /// Sealed bytes of all pieces together.
    pub bytes: u64,
    /// How many pieces: at least one.
    pub pieces: u32,
}

/// Hands over the piece that the last `FileRoom` named. Answered by `FileRoom`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutPiece {
    /// For whom.
    pub recipient: PublicKey,
    /// The message that offers it.
    pub offer: MessageId,
    /// Which piece, from 0.
    pub index: u32,
    /// The sealed bytes, at most `limits::PIECE_SEALED_MAX_BYTES`.
    pub sealed: Vec<u8>,
}

/// How far a file is, on stable storage; or why it is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRoom {
    /// For whom.
    pub recipient: PublicKey,
    /// The message that offers it.
    pub offer: MessageId,
    /// The next piece that is wanted; as many as there are: all were kept, taken ones included.
    pub next: u32,
    /// Why nothing more is taken now.
    pub refusal: Option<Refusal>,
}

/// Asks for a piece of a file that waits for this peer. Answered by `Piece`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetPiece {
    /// Who handed it over.
    pub submitter: PublicKey,
    /// The message that offers it.
    pub offer: MessageId,
    /// Which piece, from 0. Those before it are on this peer's disk: the directory forgets them.
    pub index: u32,
}

/// A piece, if it is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Who handed it over.
    pub submitter: PublicKey,
    /// The message that offers it.
    pub offer: MessageId,
    /// Which piece.
    pub index: u32,
    /// The sealed bytes; none: not here, or not yet.
    pub sealed: Option<Vec<u8>>,
}

/// A file is not to be kept any more: said by who handed it over, or by whom it waits for. Not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropFile {
    /// Who handed it over.
    pub submitter: PublicKey,
    /// For whom.
    pub recipient: PublicKey,
    /// The message that offers it.
    pub offer: MessageId,
}

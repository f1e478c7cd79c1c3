//! Frames between peers on the stream of one file. The recipient opens the stream and asks; the answer is followed, if it is
//! `Here`, by the tree hash of each part of `limits::FILE_PART_BYTES` (32 bytes each, in order), then by the bytes of the file
//! from the part asked for on, to its end.

use serde::{Deserialize, Serialize};

use super::frames;
use crate::message::MessageId;

/// Asks for a file that was offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The message that offered it.
    pub offer: MessageId,
    /// The first part that is wanted, from 0.
    pub from_part: u64,
}

/// Whether it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Coming {
    /// It follows.
    Here,
    /// Not offered to who asks, or not any more.
    NotOffered,
    /// It is not what was offered any more, or cannot be read.
    Changed,
    /// Too many files are under way; ask again later.
    Later,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether it comes.
    pub coming: Coming,
}

frames! {
    /// A frame on the stream of a file.
    FileFrame in file {
        /// From the recipient.
        Ask(Ask) = ASK,
        /// From the sender.
        Answer(Answer) = ANSWER,
    }
}

//! Files as the store holds them: one row for each offer and person. The bytes are never in it.

use std::path::PathBuf;

use common::body::{File, FileFault};
use common::identity::PublicKey;
use common::message::{Conversation, MessageId};

use super::Via;

/// How a file stands with one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileState {
    /// The recipient has not said anything.
    Offered,
    /// The recipient wants it.
    Accepted,
    /// The recipient does not.
    Declined,
    /// It flows. Told, never stored.
    Progress,
    /// The recipient has it.
    Done,
    /// It did not come to an end; it may be accepted again.
    Failed,
    /// Either side wants it no more.
    Cancelled,
}

impl FileState {
    /// Whether it can still come to something by itself.
    #[must_use]
    pub fn is_open(self) -> bool {
        match self {
            Self::Offered | Self::Accepted | Self::Progress => true,
            Self::Declined | Self::Done | Self::Failed | Self::Cancelled => false,
        }
    }
}

/// A file that was offered, and how it stands with one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// Number of the message that offers it; 0 as long as that is not known. The store finds it.
    pub n: u64,
    /// Who offers it.
    pub author: PublicKey,
    /// The message that offers it.
    pub offer: MessageId,
    /// The other side: the recipient of an own file, else the author.
    pub other: PublicKey,
    /// The conversation of the offer.
    pub conversation: Conversation,
    /// What is offered.
    pub file: File,
    /// Where it lies: an own one, or one that came; or where the user wants it to lie.
    pub path: Option<PathBuf>,
    /// Of an own file: changes when it is written to.
    pub stamp: u64,
    /// How it stands.
    pub state: FileState,
    /// Why.
    pub reason: Option<FileFault>,
    /// By which way it came.
    pub via: Option<Via>,
    /// Whole and sealed at the directory (an own one).
    pub kept: bool,
}

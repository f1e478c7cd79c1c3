//! What a front end may see of changed lines, presence and groups. Texts are raw.

use std::path::PathBuf;

use common::body::FileFault;
use common::message::MessageId;
use common::name::Name;
use common::wire::directory::Standing;

use crate::stored::{FileState, Via};

/// Somebody's presence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceView {
    /// Who.
    pub name: Name,
    /// What they are now.
    pub standing: Standing,
    /// Their note.
    pub note: Option<String>,
}

/// What somebody did to a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeView {
    /// Number of the line.
    pub n: u64,
    /// Identifier of the line.
    pub id: MessageId,
    /// Who did it.
    pub by: String,
    /// `bob` or `@family`.
    pub conversation: String,
    /// The new words, or the sign; empty for a line taken back.
    pub text: String,
    /// For `Input::Shown`.
    pub mark: u64,
}

/// What happened in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupChange {
    /// It began.
    Created,
    /// Somebody is a member now.
    Joined,
    /// Somebody is a member no more.
    Left,
    /// The owner took somebody out.
    Kicked,
    /// The door is open for somebody.
    Invited,
    /// The group is over: nobody is in it.
    Removed,
}

/// The line that a message answers, as far as it is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuoteView {
    /// Its number.
    pub n: u64,
    /// Who wrote it.
    pub from: String,
    /// Its raw text; none: gone, or of a kind this version does not know.
    pub text: Option<String>,
}

/// One line of `!groups`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupView {
    /// Its name.
    pub name: Name,
    /// An invitation is needed.
    pub private: bool,
    /// How many belong to it.
    pub members: u64,
    /// This user does.
    pub member: bool,
    /// This user may join by invitation.
    pub invited: bool,
    /// Whose it is, where that is known.
    pub owner: Option<String>,
}

/// One line of `!members`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    /// Their name, or their fingerprint.
    pub name: String,
    /// The group is theirs.
    pub owner: bool,
    /// Presence, when known.
    pub standing: Option<Standing>,
}

/// A file as its offer describes it. Name and size are the sender's claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedView {
    /// Its raw name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256.
    pub sha256: [u8; 32],
}

/// A file on its way from or to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileView {
    /// Number of the message that offers it.
    pub n: u64,
    /// Identifier of that message.
    pub id: MessageId,
    /// Who offers it.
    pub from: String,
    /// To whom.
    pub to: String,
    /// This peer offers it.
    pub mine: bool,
    /// What is offered.
    pub file: OfferedView,
    /// How it stands.
    pub state: FileState,
    /// Bytes from its beginning that are there.
    pub bytes: u64,
    /// Bytes a second of late, while it flows.
    pub rate: Option<u64>,
    /// It flows, or came, or waits there.
    pub via: Option<Via>,
    /// Whole and sealed at the directory (an own one).
    pub kept: bool,
    /// Where it lies.
    pub path: Option<PathBuf>,
    /// Why it is as it is.
    pub reason: Option<FileFault>,
}

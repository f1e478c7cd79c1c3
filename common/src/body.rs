//! What an envelope says: the kinds of bodies. The core that moves an envelope never looks inside; whoever shows it does.
//!
//! `docs/protocol.md` gives each kind's meaning. A kind that is not listed is kept as it came.

use serde::{Deserialize, Serialize};

use crate::group::SignedStep;
use crate::identity::PublicKey;
use crate::message::MessageId;
use crate::wire::codec;

/// What an envelope says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Text somebody wrote.
    Text(Text),
    /// Other words in the place of an own text.
    Edit(Edit),
    /// An own message is taken back.
    Delete(Delete),
    /// A sign beside somebody's message.
    Reaction(Reaction),
    /// A text passed on.
    Forward(Forward),
    /// A text that goes some time after it was read.
    Vanishing(Vanishing),
    /// How long texts of this conversation stay, from now on.
    Expiry(Expiry),
    /// A group's door is open for the recipient.
    Invitation(Invitation),
    /// A file is offered.
    File(File),
    /// What becomes of a file that was offered.
    FileWord(FileWord),
    /// A kind this version does not know, or a body that is not of its kind.
    Unknown(u16),
}

/// A text message's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// The text, at most `limits::TEXT_MAX_BYTES` bytes.
    pub text: String,
    /// The message this one answers.
    pub reply_to: Option<MessageId>,
}

/// New words for a text of the same sender. The edit with the highest id counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The text, a message of the envelope's sender.
    pub target: MessageId,
    /// The new words, at most `limits::TEXT_MAX_BYTES` bytes.
    pub text: String,
}

/// Takes a message of the same sender back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delete {
    /// The message, one of the envelope's sender.
    pub target: MessageId,
}

/// A sign beside a message. The one with the highest id counts, for each person and message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// Who wrote the message.
    pub author: PublicKey,
    /// The message.
    pub target: MessageId,
    /// The sign, at most `limits::EMOJI_MAX_BYTES` bytes; empty takes it back.
    pub emoji: String,
}

/// A text passed on. Whose it was is the forwarder's claim, and shown as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// The text, at most `limits::TEXT_MAX_BYTES` bytes.
    pub text: String,
    /// The name under which the forwarder knows its writer, at most `limits::NAME_MAX_CHARS` characters.
    pub author: String,
    /// When it was written, by its writer's clock, milliseconds since 1970.
    pub written_ms: i64,
}

/// A text that goes some time after it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vanishing {
    /// The text, at most `limits::TEXT_MAX_BYTES` bytes.
    pub text: String,
    /// The message this one answers.
    pub reply_to: Option<MessageId>,
    /// How long after it was put out, milliseconds.
    pub after_ms: u64,
}

/// How long the texts of this conversation stay from now on. The one with the highest id counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expiry {
    /// Milliseconds after they were put out; none: for good.
    pub after_ms: Option<u64>,
}

/// A group's door is open for the recipient: what to look up, and the word of who says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// The step that founded the group: its id and its name.
    pub founding: SignedStep,
}

/// A file is offered: what it is, so that nobody can put another in its place. Its bytes travel apart from envelopes: on streams
/// of a link, or in pieces through the directory, each sealed with `key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its name at the sender, without folders: a proposal, to be cleaned before anything is called so.
    pub name: String,
    /// Its size, bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// BLAKE3 of its bytes: the root of the tree by which each part is checked on its own.
    pub blake3: [u8; 32],
    /// Random, of this offer alone: what its pieces are sealed with.
    pub key: [u8; 32],
}

/// What its sender says of a file that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileSaying {
    /// The recipient wants it.
    Accepted,
    /// The recipient does not.
    Declined,
    /// Either side wants it no more.
    Cancelled,
    /// The recipient has it whole, compared and on its disk.
    Done,
    /// It did not come to an end, and both keep what they have.
    Failed(FileFault),
}

/// Why a file did not come to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FileFault {
    /// There is no such file.
    Missing,
    /// It is a folder, or something else that is no file.
    NoFile,
    /// It may not be read.
    Unreadable,
    /// It has no name that could be offered.
    NoName,
    /// It is larger than what is accepted.
    TooLarge,
    /// It is not what was offered any more.
    Changed,
    /// The recipient's disk is full.
    DiskFull,
    /// What came is not what was offered.
    HashWrong,
    /// The place for it cannot be written.
    NoPlace,
    /// The sender does not offer it any more.
    Withdrawn,
    /// Too many files of one person are open.
    TooMany,
}

impl FileFault {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Missing,
        Self::NoFile,
        Self::Unreadable,
        Self::NoName,
        Self::TooLarge,
        Self::Changed,
        Self::DiskFull,
        Self::HashWrong,
        Self::NoPlace,
        Self::Withdrawn,
        Self::TooMany,
    ];
}

/// What becomes of a file that was offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileWord {
    /// Who offered it.
    pub author: PublicKey,
    /// The message that offered it.
    pub offer: MessageId,
    /// What becomes of it.
    pub saying: FileSaying,
}

impl Body {
    /// Kind number of [`Body::Text`].
    pub const TEXT: u16 = 1;
    /// Kind number of [`Body::Edit`].
    pub const EDIT: u16 = 2;
    /// Kind number of [`Body::Delete`].
    pub const DELETE: u16 = 3;
    /// Kind number of [`Body::Reaction`].
    pub const REACTION: u16 = 4;
    /// Kind number of [`Body::Forward`].
    pub const FORWARD: u16 = 5;
    /// Kind number of [`Body::Vanishing`].
    pub const VANISHING: u16 = 6;
    /// Kind number of [`Body::Expiry`].
    pub const EXPIRY: u16 = 7;
    /// Kind number of [`Body::Invitation`].
    pub const INVITATION: u16 = 8;
    /// Kind number of [`Body::File`].
    pub const FILE: u16 = 9;
    /// Kind number of [`Body::FileWord`].
    pub const FILE_WORD: u16 = 10;

    /// The body of an envelope of this kind.
    #[must_use]
    pub fn decode(kind: u16, bytes: &[u8]) -> Self {
        let body = match kind {
            Self::TEXT => codec::decode(bytes).map(Self::Text),
            Self::EDIT => codec::decode(bytes).map(Self::Edit),
            Self::DELETE => codec::decode(bytes).map(Self::Delete),
            Self::REACTION => codec::decode(bytes).map(Self::Reaction),
            Self::FORWARD => codec::decode(bytes).map(Self::Forward),
            Self::VANISHING => codec::decode(bytes).map(Self::Vanishing),
            Self::EXPIRY => codec::decode(bytes).map(Self::Expiry),
            Self::INVITATION => codec::decode(bytes).map(Self::Invitation),
            Self::FILE => codec::decode(bytes).map(Self::File),
            Self::FILE_WORD => codec::decode(bytes).map(Self::FileWord),
            other => Ok(Self::Unknown(other)),
        };
        body.unwrap_or(Self::Unknown(kind))
    }

    /// Its kind number and its bytes. An unknown one has none.
    #[must_use]
    pub fn encode(&self) -> (u16, Vec<u8>) {
        match self {
            Self::Text(body) => (Self::TEXT, codec::encode(body)),
            Self::Edit(body) => (Self::EDIT, codec::encode(body)),
            Self::Delete(body) => (Self::DELETE, codec::encode(body)),
            Self::Reaction(body) => (Self::REACTION, codec::encode(body)),
            Self::Forward(body) => (Self::FORWARD, codec::encode(body)),
            Self::Vanishing(body) => (Self::VANISHING, codec::encode(body)),
            Self::Expiry(body) => (Self::EXPIRY, codec::encode(body)),
            Self::Invitation(body) => (Self::INVITATION, codec::encode(body)),
            Self::File(body) => (Self::FILE, codec::encode(body)),
            Self::FileWord(body) => (Self::FILE_WORD, codec::encode(body)),
            Self::Unknown(kind) => (*kind, Vec::new()),
        }
    }

    /// Whether a body of this kind is a line of a conversation: listed in its history, counted, searched. The others change
    /// lines, or how a conversation goes on.
    #[must_use]
    pub fn is_line(kind: u16) -> bool {
        !matches!(kind, Self::EDIT | Self::DELETE | Self::REACTION | Self::EXPIRY | Self::INVITATION | Self::FILE_WORD)
    }

    /// The text of a line, if it has one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(body) => Some(&body.text),
            Self::Forward(body) => Some(&body.text),
            Self::Vanishing(body) => Some(&body.text),
            Self::Edit(_)
            | Self::Delete(_)
            | Self::Reaction(_)
            | Self::Expiry(_)
            | Self::Invitation(_)
            | Self::File(_)
            | Self::FileWord(_)
            | Self::Unknown(_) => None,
        }
    }

    /// The message that a line answers.
    #[must_use]
    pub fn reply_to(&self) -> Option<MessageId> {
        match self {
            Self::Text(body) => body.reply_to,
            Self::Vanishing(body) => body.reply_to,
            Self::Edit(_)
            | Self::Delete(_)
            | Self::Reaction(_)
            | Self::Forward(_)
            | Self::Expiry(_)
            | Self::Invitation(_)
            | Self::File(_)
            | Self::FileWord(_)
            | Self::Unknown(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{Change, Step};
    use crate::identity::Identity;

    #[test]
    fn every_kind_comes_back_as_it_was() {
        let (target, author) = (MessageId([3; 16]), PublicKey([4; 32]));
        let change = Change::Found { name: "family".parse().unwrap(), private: true };
        let founder = Identity::from_seed(&[1; 32]);
        let founding = SignedStep::sign(&founder, &Step::founding([7; 16], founder.public(), 5, change));
        let bodies = [
            Body::Text(Text { text: "a".into(), reply_to: Some(target) }),
            Body::Edit(Edit { target, text: "b".into() }),
            Body::Delete(Delete { target }),
            Body::Reaction(Reaction { author, target, emoji: "👍".into() }),
            Body::Forward(Forward { text: "c".into(), author: "carol".into(), written_ms: -1 }),
            Body::Vanishing(Vanishing { text: "d".into(), reply_to: None, after_ms: 60_000 }),
            Body::Expiry(Expiry { after_ms: None }),
            Body::Invitation(Invitation { founding }),
            Body::File(File { name: "a.txt".into(), size: 3, sha256: [1; 32], blake3: [2; 32], key: [3; 32] }),
            Body::FileWord(FileWord { author, offer: target, saying: FileSaying::Failed(FileFault::DiskFull) }),
            Body::Unknown(4_000),
        ];
        for body in bodies {
            let (kind, bytes) = body.encode();
            assert_eq!(Body::decode(kind, &bytes), body);
            let mut longer = bytes.clone();
            longer.push(0);
            assert_eq!(Body::decode(kind, &longer), Body::Unknown(kind), "trailing bytes are no body");
        }
    }

    #[test]
    fn lines_are_what_people_read_and_answer() {
        let target = MessageId([3; 16]);
        let lines = [
            (Body::Text(Text { text: "a".into(), reply_to: Some(target) }), Some("a"), Some(target)),
            (Body::Text(Text { text: "a".into(), reply_to: None }), Some("a"), None),
            (Body::Forward(Forward { text: "c".into(), author: "carol".into(), written_ms: -1 }), Some("c"), None),
            (
                Body::Vanishing(Vanishing { text: "d".into(), reply_to: Some(target), after_ms: 1 }),
                Some("d"),
                Some(target),
            ),
            (Body::Unknown(4_000), None, None),
        ];
        for (body, text, reply_to) in lines {
            assert!(Body::is_line(body.encode().0), "{body:?}");
            assert_eq!((body.text(), body.reply_to()), (text, reply_to));
        }
        for kind in [Body::EDIT, Body::DELETE, Body::REACTION, Body::EXPIRY, Body::INVITATION] {
            assert!(!Body::is_line(kind), "{kind}");
        }
        let edit = Body::Edit(Edit { target, text: "b".into() });
        assert_eq!((edit.text(), edit.reply_to()), (None, None));
    }
}

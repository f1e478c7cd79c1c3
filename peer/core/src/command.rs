//! A line to a [`Command`]: the grammar of the prompt and of scripts, and the two states a line may meet (an open
//! conversation, an unfinished multi-line message). Decides nothing about the network.

mod console;
mod parse;
#[cfg(test)]
mod tests;
pub mod verb;

use common::identity::Fingerprint;
use common::message::MessageId;
use common::name::Name;
use common::wire::directory::Standing;

pub use console::{Console, Fed};

/// Whom a message is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// A person, optionally with the fingerprint the key must have (`bob#FINGERPRINT`).
    Person {
        /// The name.
        name: Name,
        /// The demanded key.
        fingerprint: Option<Fingerprint>,
    },
    /// `@group`.
    Group(Name),
}

/// A message that is spoken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// By its number in this store.
    Number(u64),
    /// By its identity.
    Id(MessageId),
}

/// A command, checked as far as a line can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `!help [command]`.
    Help(Option<String>),
    /// `!register NAME`.
    Register(Name),
    /// `!deregister [yes]`.
    Deregister {
        /// Do not ask.
        sure: bool,
    },
    /// `!login`.
    Login,
    /// `!logout`.
    Logout,
    /// `!whoami`.
    WhoAmI,
    /// `!who [TEXT]`.
    Who(Option<String>),
    /// `!send TO TEXT`, a finished multi-line `!send`, a line in an open conversation, or `peer send`.
    Send {
        /// To whom.
        to: To,
        /// The raw text, at least one byte; its size is the messenger's to check.
        text: String,
        /// `peer send --id KEY`.
        key: Option<String>,
        /// Rings, goes first.
        urgent: bool,
        /// The message it answers.
        reply_to: Option<Which>,
    },
    /// `!reply N TEXT`, `!reply N NAME TEXT`: to the conversation of message N.
    Reply {
        /// The message it answers.
        n: u64,
        /// The text, which may begin with the name of who is answered.
        text: String,
    },
    /// `!edit N TEXT`.
    Edit {
        /// An own message.
        n: u64,
        /// Its new words.
        text: String,
    },
    /// `!delete N`.
    Delete(u64),
    /// `!react N EMOJI`; `-` takes it back.
    React {
        /// Any message.
        n: u64,
        /// The sign, at most `limits::EMOJI_MAX_BYTES` bytes; empty: none any more.
        emoji: String,
    },
    /// `!forward N TO`.
    Forward {
        /// Any message with a text.
        n: u64,
        /// To whom.
        to: To,
    },
    /// `!expire TO DURATION`.
    Expire {
        /// Whose conversation.
        with: To,
        /// How long texts stay once read, milliseconds; none: for good.
        after_ms: Option<u64>,
    },
    /// `!chat TO`.
    Chat(To),
    /// `!close`.
    Close,
    /// `!history TO [COUNT] [before N]`.
    History {
        /// With whom.
        with: To,
        /// At most so many, 1 to 10,000; default 20.
        count: u32,
        /// Before this number.
        before: Option<u64>,
    },
    /// `!search WORDS [in TO]`.
    Search {
        /// What is looked for; every word has to be there.
        words: Vec<String>,
        /// In which conversation; none: in all.
        within: Option<To>,
    },
    /// `!forget TO [yes]`: the texts of a conversation.
    Forget {
        /// Whose conversation.
        with: To,
        /// Do not ask.
        sure: bool,
    },
    /// `!status N`.
    Status(u64),
    /// `!cancel N`.
    Cancel(u64),
    /// `!contacts`.
    Contacts,
    /// `!add NAME`.
    Add(Name),
    /// `!remove NAME`.
    Remove(Name),
    /// `!block NAME`.
    Block(Name),
    /// `!unblock NAME`.
    Unblock(Name),
    /// `!away [TEXT]`, `!busy [TEXT]`, `!back`.
    Stand {
        /// What one is from now on.
        standing: Standing,
        /// Shown beside it, at most `limits::NOTE_MAX_BYTES` bytes.
        note: Option<String>,
    },
    /// `!receipts [on|off]`; none: how it is now.
    Receipts(Option<bool>),
    /// `!format [on|off]`: the front's to carry out; none: how it is now.
    Format(Option<bool>),
    /// `!create GROUP [private]`.
    Create {
        /// Its name.
        group: Name,
        /// Only those invited may join.
        private: bool,
    },
    /// `!join GROUP`.
    Join(Name),
    /// `!leave GROUP`.
    Leave(Name),
    /// `!invite NAME GROUP`.
    Invite {
        /// Who.
        name: Name,
        /// Into which group. In an open conversation a new name makes one of it.
        group: Name,
        /// The person whose conversation is open, if any.
        chat: Option<Name>,
    },
    /// `!kick NAME GROUP`.
    Kick {
        /// Who.
        name: Name,
        /// Out of which group.
        group: Name,
    },
    /// `!groups`.
    Groups,
    /// `!members GROUP`.
    Members(Name),
    /// `!broadcast TEXT`.
    Broadcast(String),
    /// `!verify NAME [ok|no]`.
    Verify {
        /// Whose key.
        name: Name,
        /// The key that the word is about (`bob#FINGERPRINT`).
        fingerprint: Option<Fingerprint>,
        /// The user's word; none: both keys are shown.
        verdict: Option<Verdict>,
    },
    /// `!file TO PATH`, or `peer send --file PATH TO`.
    File {
        /// To whom.
        to: To,
        /// As typed.
        path: String,
        /// `peer send --id KEY`.
        key: Option<String>,
    },
    /// `!files`.
    Files,
    /// `!accept N [PATH]`.
    Accept {
        /// The message that offers it.
        n: u64,
        /// A folder, or the path of the file; none: the folder for downloads.
        place: Option<String>,
    },
    /// `!decline N`.
    Decline(u64),
    /// `!quit`.
    Quit,
}

/// The user's word about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is right: the new one where the directory has named one, else the pinned one.
    Right,
    /// The new one is wrong: the pinned one stays.
    Wrong,
}

/// A stable, kebab-case code that scripts may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// `unknown-command`
    UnknownCommand,
    /// `bad-argument`
    BadArgument,
    /// `not-registered`
    NotRegistered,
    /// `already-registered`
    AlreadyRegistered,
    /// `name-taken`
    NameTaken,
    /// `bad-name`
    BadName,
    /// `no-such-user`
    NoSuchUser,
    /// `no-such-group`
    NoSuchGroup,
    /// `no-such-message`
    NoSuchMessage,
    /// `to-yourself`
    ToYourself,
    /// `too-large`
    TooLarge,
    /// `directory-unreachable`
    DirectoryUnreachable,
    /// `directory-key-changed`
    DirectoryKeyChanged,
    /// `key-changed`
    KeyChanged,
    /// `blocked`
    Blocked,
    /// `quota`
    Quota,
    /// `rate-limited`
    RateLimited,
    /// `suspended`
    Suspended,
    /// `store-failed`
    StoreFailed,
    /// `store-full`
    StoreFull,
    /// `unsupported`
    Unsupported,
    /// `not-allowed`
    NotAllowed,
    /// `not-a-member`
    NotAMember,
    /// `already-a-member`
    AlreadyAMember,
    /// `group-exists`
    GroupExists,
    /// `file-missing`
    FileMissing,
    /// `file-not-a-file`
    FileNoFile,
    /// `file-unreadable`
    FileUnreadable,
    /// `file-no-name`
    FileNoName,
    /// `file-too-large`
    FileTooLarge,
    /// `file-changed`
    FileChanged,
    /// `file-too-many`
    FileTooMany,
}

impl ErrorCode {
    /// The code as scripts see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCommand => "unknown-command",
            Self::BadArgument => "bad-argument",
            Self::NotRegistered => "not-registered",
            Self::AlreadyRegistered => "already-registered",
            Self::NameTaken => "name-taken",
            Self::BadName => "bad-name",
            Self::NoSuchUser => "no-such-user",
            Self::NoSuchGroup => "no-such-group",
            Self::NoSuchMessage => "no-such-message",
            Self::ToYourself => "to-yourself",
            Self::TooLarge => "too-large",
            Self::DirectoryUnreachable => "directory-unreachable",
            Self::DirectoryKeyChanged => "directory-key-changed",
            Self::KeyChanged => "key-changed",
            Self::Blocked => "blocked",
            Self::Quota => "quota",
            Self::RateLimited => "rate-limited",
            Self::Suspended => "suspended",
            Self::StoreFailed => "store-failed",
            Self::StoreFull => "store-full",
            Self::Unsupported => "unsupported",
            Self::NotAllowed => "not-allowed",
            Self::NotAMember => "not-a-member",
            Self::AlreadyAMember => "already-a-member",
            Self::GroupExists => "group-exists",
            Self::FileMissing => "file-missing",
            Self::FileNoFile => "file-not-a-file",
            Self::FileUnreadable => "file-unreadable",
            Self::FileNoName => "file-no-name",
            Self::FileTooLarge => "file-too-large",
            Self::FileChanged => "file-changed",
            Self::FileTooMany => "file-too-many",
        }
    }
}

/// Why a command has no result: a code for scripts, a sentence for people. The sentence may quote what the user typed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// The code.
    pub code: ErrorCode,
    /// What was wrong and what is accepted.
    pub message: String,
}

impl CommandError {
    /// An error of this code with this sentence.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

//! A line to a [`Command`]: the grammar of the prompt and of scripts, and the two states a line may meet (an open
//! conversation, an unfinished multi-line message). Decides nothing about the network.

mod console;
mod parse;
#[cfg(test)]
mod tests;
pub mod verb;

use common::identity::Fingerprint;
use common::name::Name;

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
    /// `!status N`.
    Status(u64),
    /// `!cancel N`.
    Cancel(u64),
    /// `!contacts`.
    Contacts,
    /// `!verify NAME [ok|no]`.
    Verify {
        /// Whose key.
        name: Name,
        /// The key that the word is about (`bob#FINGERPRINT`).
        fingerprint: Option<Fingerprint>,
        /// The user's word; none: both keys are shown.
        verdict: Option<Verdict>,
    },
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

//! What a front end may see: events and the answers to commands, as plain values. Texts are raw; nothing here is
//! rendered or sanitised.

use std::net::SocketAddr;

use common::identity::Fingerprint;
use common::message::MessageId;
use common::name::Name;
use common::wire::directory::Standing;

use super::CommandId;
use crate::command::CommandError;
use crate::stored::{Reason, State, TraceStep, Via};

/// What a front end may see. Texts are raw: a front end shows them only through its sanitiser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Store and socket are open.
    Ready {
        /// The registered name.
        name: Option<Name>,
        /// This peer's fingerprint.
        fingerprint: Fingerprint,
        /// The real UDP address.
        bind: SocketAddr,
        /// `HOST:PORT` as given.
        directory: String,
        /// Version of the program.
        version: String,
    },
    /// The directory has bound the name.
    Registered(Name),
    /// The directory has committed addresses and prekey.
    Online(Name),
    /// The directory is gone, or was left.
    Offline(Name),
    /// The name is released.
    Deregistered(Name),
    /// A message of somebody else; the front answers `Input::Shown` when it is put out.
    Message(Box<MessageView>),
    /// An own message changed state.
    State(StateView),
    /// Somebody one has talked to came or went.
    Presence {
        /// Who.
        name: Name,
        /// What they are now.
        standing: Standing,
        /// Their note.
        note: Option<String>,
    },
    /// So many messages were waiting.
    Pending(u64),
    /// Earlier messages are missing.
    Gap {
        /// Whose.
        from: Name,
        /// `bob` or `@family`.
        conversation: String,
        /// How many.
        missing: u64,
    },
    /// Somebody known has another name at the directory now, with the same key: loud.
    Renamed {
        /// The name they were known by. It stays pinned to their key.
        old: Name,
        /// Their name from now on.
        new: Name,
        /// Their key.
        fingerprint: Fingerprint,
    },
    /// The name of somebody now belongs to another key: loud.
    KeyChanged {
        /// The name.
        name: Name,
        /// What the pinned key is called now, where that is another name.
        called: Option<Name>,
        /// The pinned key.
        pinned: Fingerprint,
        /// The new key.
        new: Fingerprint,
    },
    /// Something went wrong that answers no command.
    Error(CommandError),
    /// The answer to a command. Boxed: most events are small.
    Answer {
        /// Which.
        id: CommandId,
        /// The result, or why there is none.
        answer: Result<Box<Answer>, CommandError>,
    },
}

/// A message as people and scripts see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageView {
    /// Number in this store.
    pub n: u64,
    /// Identifier.
    pub id: MessageId,
    /// From somebody not yet accepted.
    pub request: bool,
    /// Who wrote it.
    pub from: String,
    /// To whom: one's own name, or `@group`; the other's name for own messages.
    pub to: String,
    /// `bob` or `@family`.
    pub conversation: String,
    /// The raw text; none for a kind this version does not know.
    pub text: Option<String>,
    /// The writer's clock, milliseconds since 1970.
    pub sent_at_ms: i64,
    /// This peer's clock, milliseconds since 1970.
    pub received_at_ms: i64,
    /// How it came.
    pub via: Option<Via>,
    /// The message it answers.
    pub reply_to: Option<MessageId>,
    /// Rang.
    pub urgent: bool,
    /// Waited at the directory while this peer was not logged in.
    pub offline: bool,
    /// Shown after a later one: it fills a gap.
    pub late: bool,
    /// This peer wrote it.
    pub mine: bool,
    /// State and reason of an own message.
    pub state: Option<(State, Option<Reason>)>,
    /// The sender's key was compared by the user.
    pub verified: bool,
}

/// An own message's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateView {
    /// Identifier.
    pub id: MessageId,
    /// Number in this store.
    pub n: u64,
    /// To whom.
    pub to: String,
    /// The text, for the echo at the prompt.
    pub text: String,
    /// State.
    pub state: State,
    /// Path.
    pub via: Option<Via>,
    /// Why.
    pub reason: Option<Reason>,
    /// Milliseconds since it was queued, restarts included.
    pub elapsed_ms: u64,
}

/// How somebody is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reachable {
    /// This peer itself.
    Here,
    /// A direct link stands.
    Direct,
    /// Logged in at the directory; no link now.
    Directory,
    /// Only the mailbox.
    Mailbox,
}

/// One line of `!who`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonView {
    /// Name.
    pub name: Name,
    /// Presence.
    pub standing: Standing,
    /// Since when, the directory's clock, milliseconds since 1970.
    pub since_ms: i64,
    /// How.
    pub reachable: Reachable,
}

/// One line of `!contacts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactView {
    /// Name.
    pub name: Name,
    /// Fingerprint of the pinned key.
    pub fingerprint: Fingerprint,
    /// Compared by the user.
    pub verified: bool,
    /// Written to or accepted by the user.
    pub accepted: bool,
    /// Presence, when known.
    pub standing: Option<Standing>,
    /// A name of theirs belongs to another key now: that name, and the other key's fingerprint.
    pub rival: Option<(Name, Fingerprint)>,
    /// Names they had before, which stay pinned to their key.
    pub former: Vec<Name>,
    /// Own messages not yet delivered.
    pub waiting: u64,
}

/// `!whoami`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfView {
    /// Registered name.
    pub name: Option<Name>,
    /// Fingerprint.
    pub fingerprint: Fingerprint,
    /// Bound address.
    pub bind: SocketAddr,
    /// Published addresses.
    pub candidates: Vec<SocketAddr>,
    /// `HOST:PORT` as given.
    pub directory: String,
    /// Fingerprint of the directory's pinned key.
    pub directory_fingerprint: Option<Fingerprint>,
    /// `online`, `connecting`, `offline`, `suspended`, `unregistered`.
    pub state: &'static str,
}

/// What a command asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Carried out; there is nothing to tell but that.
    Done,
    /// `!help`: the topic asked for; the front has the words.
    Help(Option<String>),
    /// The name, bound and online.
    Registered(Name),
    /// Released.
    Deregistered(Name),
    /// `!deregister` without `yes` while messages wait: so many; nothing was done.
    DeregisterSure(u64),
    /// `!login`.
    Online(Name),
    /// `!logout`.
    Offline,
    /// `!whoami`.
    WhoAmI(Box<SelfView>),
    /// `!who`.
    People(Vec<PersonView>),
    /// A message is queued (or was, under the same idempotency key).
    Sent {
        /// Identifier.
        id: MessageId,
        /// Number.
        n: u64,
        /// To whom.
        to: String,
        /// The present state, for an idempotency key used before; none for a new message.
        before: Option<(State, Option<Via>, Option<Reason>, u64)>,
    },
    /// `!chat` opened with.
    Chat(String),
    /// `!close`.
    Closed,
    /// `!history`.
    History {
        /// With whom.
        with: String,
        /// Oldest first.
        messages: Vec<MessageView>,
    },
    /// `!status`.
    Trace {
        /// The message.
        message: Box<MessageView>,
        /// What happened to it.
        steps: Vec<TraceStep>,
    },
    /// `!cancel`.
    Cancelled {
        /// Number.
        n: u64,
    },
    /// `!contacts`.
    Contacts(Vec<ContactView>),
    /// `!verify NAME`.
    Verify {
        /// Whose.
        name: Name,
        /// What the pinned key is called now, where that is another name.
        called: Option<Name>,
        /// One's own fingerprint.
        mine: Fingerprint,
        /// Theirs, as pinned.
        theirs: Fingerprint,
        /// The new key that waits for the user's word.
        rival: Option<Fingerprint>,
        /// Keys that the user has refused for this name.
        refused: Vec<Fingerprint>,
        /// Compared before, or now.
        verified: bool,
    },
    /// `!quit`: flushed as far as it went.
    Bye,
}

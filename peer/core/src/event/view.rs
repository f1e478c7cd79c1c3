//! What a front end may see: events and the answers to commands, as plain values. Texts are raw; nothing here is
//! rendered or sanitised.

use std::net::SocketAddr;

use common::identity::Fingerprint;
use common::message::MessageId;
use common::name::Name;
use common::wire::directory::Standing;

use super::CommandId;
use super::talk::{ChangeView, FileView, GroupChange, GroupView, MemberView, OfferedView, PresenceView, QuoteView};
use crate::command::CommandError;
use crate::stored::{Gone, Reason, State, Tally, TraceStep, Via};

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
    /// People came, went, or are something else now; gathered, each once.
    Presence(Vec<PresenceView>),
    /// A line has other words now.
    Edited(ChangeView),
    /// A line was taken back.
    Deleted(ChangeView),
    /// Somebody put a sign beside a line; an empty one: took it back.
    Reacted(ChangeView),
    /// Texts of a conversation stay so long from now on.
    Expiry {
        /// `bob` or `@family`.
        conversation: String,
        /// Who said so.
        by: String,
        /// Milliseconds after they are read; none: for good.
        after_ms: Option<u64>,
        /// For `Input::Shown`.
        mark: u64,
    },
    /// The texts of these lines are gone, since their time was over.
    Vanished(Vec<u64>),
    /// A line to everybody online.
    Broadcast {
        /// Whose.
        from: String,
        /// The raw text.
        text: String,
        /// The speaker's clock, milliseconds since 1970.
        sent_at_ms: i64,
    },
    /// Something happened in a group one belongs or is invited to.
    Group {
        /// The group.
        group: Name,
        /// What.
        change: GroupChange,
        /// To whom it happened: their name, or their fingerprint.
        name: String,
        /// Who did it, where that is somebody else.
        by: Option<String>,
        /// For `Input::Shown`, when it came as a message.
        mark: Option<u64>,
    },
    /// A file is further, or has ended. That one is offered comes as a message.
    File(Box<FileView>),
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

impl Event {
    /// The number to be told in `Input::Shown` once it is put out.
    #[must_use]
    pub fn mark(&self) -> Option<u64> {
        match self {
            Self::Message(view) => Some(view.n),
            Self::Edited(view) | Self::Deleted(view) | Self::Reacted(view) => Some(view.mark),
            Self::Expiry { mark, .. } => Some(*mark),
            Self::Group { mark, .. } => *mark,
            Self::Ready { .. }
            | Self::Registered(_)
            | Self::Online(_)
            | Self::Offline(_)
            | Self::Deregistered(_)
            | Self::State(_)
            | Self::Presence(_)
            | Self::File(_)
            | Self::Pending(_)
            | Self::Gap { .. }
            | Self::KeyChanged { .. }
            | Self::Renamed { .. }
            | Self::Vanished(_)
            | Self::Broadcast { .. }
            | Self::Error(_)
            | Self::Answer { .. } => None,
        }
    }
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
    /// The line it answers, where that is here.
    pub quote: Option<QuoteView>,
    /// It has other words than at first.
    pub edited: bool,
    /// Its text is here no more: taken back by its writer, or its time was over.
    pub gone: Option<Gone>,
    /// Who put which sign beside it.
    pub reactions: Vec<(String, String)>,
    /// Passed on: whose it was, as the sender claims.
    pub forwarded: Option<String>,
    /// Its text goes so long after it was read, milliseconds.
    pub vanishes_ms: Option<u64>,
    /// The file that it offers.
    pub file: Option<OfferedView>,
    /// How far an own message to a group is with each member.
    pub tally: Option<Tally>,
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
    /// How far it is with each member, for a message to a group.
    pub tally: Option<Tally>,
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
    /// Their note.
    pub note: Option<String>,
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
    /// Nothing is taken from them.
    pub blocked: bool,
    /// Their note, when known.
    pub note: Option<String>,
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
    /// `!edit`, `!delete`, `!react`: the line that was meant, changed here and on its way to the others.
    Changed {
        /// Its number.
        n: u64,
        /// Its identifier.
        id: MessageId,
        /// `bob` or `@family`.
        conversation: String,
    },
    /// `!expire`.
    Expiry {
        /// `bob` or `@family`.
        conversation: String,
        /// Milliseconds; none: texts stay for good.
        after_ms: Option<u64>,
    },
    /// `!search`.
    Found {
        /// What was looked for.
        words: Vec<String>,
        /// Oldest first.
        messages: Vec<MessageView>,
    },
    /// `!forget`: the number of texts that are gone; none: nothing was done yet.
    Forgotten {
        /// `bob` or `@family`.
        conversation: String,
        /// How many; none: `yes` is needed.
        count: Option<u64>,
    },
    /// `!add`, `!block`, `!unblock`: the contact as it is now.
    Contact(Box<ContactView>),
    /// `!remove`.
    Removed(Name),
    /// `!away`, `!busy`, `!back`.
    Standing {
        /// What one is now.
        standing: Standing,
        /// With which note.
        note: Option<String>,
    },
    /// `!receipts`: whether others are told what was read.
    Receipts(bool),
    /// `!format`: what the front is to do; none: say how it is.
    Format(Option<bool>),
    /// `!create`, `!join`, `!leave`, `!invite`, `!kick`.
    Group {
        /// The group.
        group: Name,
        /// What was done.
        change: GroupChange,
        /// To whom.
        name: String,
    },
    /// `!groups`.
    Groups(Vec<GroupView>),
    /// `!members`.
    Members {
        /// The group.
        group: Name,
        /// In the order in which they joined.
        members: Vec<MemberView>,
    },
    /// `!broadcast`: how many it was handed to.
    Broadcast {
        /// Others online.
        count: u64,
    },
    /// `!accept`, `!decline`, and `!cancel` of a file: how it is now.
    File(Box<FileView>),
    /// `!files`: the newest last.
    Files(Vec<FileView>),
    /// `!quit`: flushed as far as it went.
    Bye,
}

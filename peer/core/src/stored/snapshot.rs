//! What a messenger is given at its start. Words only.

use common::group::{GroupId, SignedStep};
use common::identity::PublicKey;
use common::message::{Conversation, Epoch, MessageId};

use super::{Contact, DirectoryRecord, FileRow, Meta, OutboxRow, OwnPrekey, Pin, StoredMessage, Talk};

/// Everything a messenger needs to go on after a start: what was committed.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// None in a new store.
    pub meta: Option<Meta>,
    /// The directory given on the command line, if known.
    pub directory: Option<DirectoryRecord>,
    /// Which key each name is pinned to, by directory.
    pub pins: Vec<Pin>,
    /// All contacts.
    pub contacts: Vec<Contact>,
    /// Outbox rows that still have a seq, settled or not, in order of recipient and seq.
    pub outbox: Vec<OutboxRow>,
    /// Highest seq ever given in the current epoch, by recipient (also of rows whose seq is forgotten).
    pub last_seqs: Vec<(PublicKey, u64)>,
    /// Inbound lanes: sender, epoch followed, floor applied.
    pub lanes: Vec<(PublicKey, Epoch, u64)>,
    /// What is held of them at or above the floor: sender, seq, id.
    pub held: Vec<(PublicKey, u64, MessageId)>,
    /// Messages of others that were committed and not put out, by number.
    pub unshown: Vec<StoredMessage>,
    /// Highest id of a shown ordered message, by sender and conversation.
    pub last_shown: Vec<(PublicKey, Conversation, MessageId)>,
    /// Newest own ordered message, by recipient and conversation.
    pub last_sent: Vec<(PublicKey, Conversation, MessageId)>,
    /// Newest own message id.
    pub last_id: Option<MessageId>,
    /// Up to which own message each person has said to have read.
    pub read: Vec<(PublicKey, MessageId)>,
    /// The newest word on how long texts stay: conversation, the message that said so, milliseconds.
    pub durations: Vec<(Talk, MessageId, Option<u64>)>,
    /// The chain of each group, whole.
    pub groups: Vec<(GroupId, Vec<SignedStep>)>,
    /// Files that are neither done nor cancelled nor declined.
    pub files: Vec<FileRow>,
    /// The directory at which each group was seen last.
    pub homes: Vec<(GroupId, PublicKey)>,
    /// When the next countdown of a text is over, on the age clock, milliseconds.
    pub next_vanish_ms: Option<u64>,
    /// Own prekeys, by counter.
    pub prekeys: Vec<OwnPrekey>,
}

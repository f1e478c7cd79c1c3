//! What the reference knows of each machine: what its disk holds, and what its screen has shown.

use std::collections::{BTreeMap, BTreeSet};

use common::group::GroupId;
use common::message::MessageId;
use peer_core::stored::{Reason, State, Tally};

use super::Who;
use super::company::Manners;
use super::files::FileMarks;
use super::lines::Page;

/// What one disk holds. Saved and put back with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct DiskMarks {
    /// Own messages by number.
    pub(crate) own: BTreeMap<u64, (MessageId, State)>,
    /// Messages of others, by sender and id.
    pub(crate) theirs: BTreeSet<(Who, MessageId)>,
    /// Ids of others' messages by number.
    pub(super) numbers: BTreeMap<u64, MessageId>,
    /// Numbers whose being shown is committed.
    pub(super) shown: BTreeSet<u64>,
    /// Copies of own messages to groups, by number and member.
    pub(super) copies: BTreeMap<(u64, Who), State>,
    /// Numbers of messages that count for nothing.
    pub(super) dismissed: BTreeSet<u64>,
    /// Ids of own messages.
    pub(super) own_ids: BTreeSet<MessageId>,
    /// When texts were put out, or delivered, milliseconds.
    pub(super) begun: BTreeMap<MessageId, u64>,
    /// Words of edits with which lines came.
    pub(super) came: BTreeMap<MessageId, String>,
    /// Texts that have vanished.
    pub(super) gone: BTreeSet<MessageId>,
    pub(super) files: FileMarks,
    /// Whom its user blocks, and whether they are busy.
    pub(super) manners: Manners,
}

/// What one screen has shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Screen {
    /// Number and start of the program at which a message was shown last.
    pub(super) shown: BTreeMap<MessageId, (u64, u32)>,
    /// Highest ordered id shown of a sender in a conversation.
    pub(super) last: BTreeMap<(Who, Option<GroupId>), MessageId>,
    /// The last state told, and in which start of the program.
    pub(super) states: BTreeMap<MessageId, (State, Option<Reason>, Option<Tally>, u32)>,
    pub(super) names: BTreeMap<String, Who>,
    /// What somebody was called last.
    pub(super) called: BTreeMap<Who, String>,
    /// New names that the user was told of.
    pub(super) renamed: BTreeSet<String>,
    /// Names whose new key the user has accepted.
    pub(super) accepted: BTreeSet<String>,
    pub(super) page: Page,
}

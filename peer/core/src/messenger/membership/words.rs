//! What a command on a group wants, and how far it is. Words only.

use std::collections::VecDeque;

use common::group::{GroupId, Membership};
use common::identity::PublicKey;
use common::name::Name;
use common::wire::directory::ListedGroup;

use crate::command::Command;
use crate::event::CommandId;

/// What a command wants of a group.
#[derive(Debug)]
pub(super) enum Want {
    Create { private: bool },
    Join,
    Leave,
    Invite { key: PublicKey, who: Name, partner: Option<PublicKey> },
    Kick { key: PublicKey, who: Name },
    Members,
    List { groups: Vec<ListedGroup> },
    Chat,
    Say(Box<Command>),
}

/// How far it is.
#[derive(Debug)]
pub(super) enum Stage {
    /// For the directory.
    Waiting,
    /// For an answer to this request.
    Asked(u32),
    /// For the directory to keep what it has lost of a chain.
    Restoring(GroupId),
    /// For a signature.
    Signing,
    /// For the directory to take a step.
    Submitted(u32),
    /// For a version of a chain to be committed here.
    Committing { group: GroupId, version: u64 },
    /// For the names of the members.
    Naming(Box<Membership>),
}

/// A command on a group that is under way.
#[derive(Debug)]
pub(in super::super) struct Task {
    pub(super) id: CommandId,
    pub(super) group: Name,
    pub(super) want: Want,
    pub(super) stage: Stage,
    pub(super) tries: u32,
    /// A group that was founded for it, and who is still to be invited there.
    pub(super) founded: Option<GroupId>,
    pub(super) guests: VecDeque<PublicKey>,
}

impl Task {
    pub(in super::super) fn id(&self) -> CommandId {
        self.id
    }
}

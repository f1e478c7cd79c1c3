//! What peers tell all others, or groups of them, through a directory: presence with a note, broadcasts, groups. The payloads
//! of both directions; the lists of frames name them.

use serde::{Deserialize, Serialize};

use super::{Listed, RequestId, Standing};
use crate::group::{GroupId, SignedStep};
use crate::name::Name;
use crate::record::Binding;
use crate::shout::SignedShout;

/// Changes presence without coming online anew. Answered by `Done`, or `Refused(Invalid)` for `Offline` or a long note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetStanding {
    /// Pairs the answer.
    pub request: RequestId,
    /// What this peer is from now on: while `Busy`, only urgent mail is handed out.
    pub standing: Standing,
    /// Shown beside it, at most `limits::NOTE_MAX_BYTES` bytes.
    pub note: Option<String>,
}

/// A line to everybody online. Answered by `BroadcastSent` or `Refused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broadcast {
    /// Pairs the answer.
    pub request: RequestId,
    /// What is said.
    pub shout: SignedShout,
}

/// The broadcast was handed to so many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroadcastSent {
    /// Which request.
    pub request: RequestId,
    /// People online who are not busy, the speaker not counted.
    pub count: u32,
}

/// Somebody's broadcast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shouted {
    /// Who it is.
    pub binding: Binding,
    /// What they said.
    pub shout: SignedShout,
}

/// Adds a step to a group's chain, or begins one. Answered by `Done` once it is committed, or `Refused`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeGroup {
    /// Pairs the answer.
    pub request: RequestId,
    /// The step, by this session's key.
    pub step: SignedStep,
}

/// Which group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhichGroup {
    /// The one that has this name now.
    Name(Name),
    /// By identity.
    Id(GroupId),
}

/// Asks for a group's chain. Answered by `GroupSteps` or `Refused(NoSuchGroup)`: also for a private group to whom it is
/// closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookUpGroup {
    /// Pairs the answer.
    pub request: RequestId,
    /// Which.
    pub which: WhichGroup,
    /// Only steps after this version; of a chain that is shorter, its newest.
    pub after: u64,
}

/// A part of a group's chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSteps {
    /// Which request.
    pub request: RequestId,
    /// Steps in order, at most `limits::GROUP_STEPS_PAGE`.
    pub steps: Vec<SignedStep>,
    /// There are more after the last.
    pub more: bool,
}

/// Asks once for what was missed of the chains of groups: answered by a `GroupNews` for each that has newer steps, or fewer
/// than are known here (its newest step then; none if it is not there), and for groups that are not named here and have this
/// session's key as a member. It subscribes to nothing: each new step is pushed to the members who are logged in, whether
/// they asked or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowGroups {
    /// Each group with the version known here, at most `limits::GROUPS_PAGE`.
    pub groups: Vec<(GroupId, u64)>,
}

/// New steps of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupNews {
    /// Which group.
    pub group: GroupId,
    /// Steps in order, at most `limits::GROUP_STEPS_PAGE`; what is missing before or after them is to be looked up. None: the
    /// group is not there, or closed to this session's key.
    pub steps: Vec<SignedStep>,
}

/// Hands in steps of one group's chain that the directory does not have, or not any more: whoever made them, they carry their
/// makers' signatures. Answered by `Done` once all of them are committed, or `Refused`; those before the one that is refused
/// are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreGroup {
    /// Pairs the answer.
    pub request: RequestId,
    /// Steps in order and without a gap, from 1 to `limits::GROUP_STEPS_PAGE` of them; those that the directory has are
    /// passed over.
    pub steps: Vec<SignedStep>,
}

/// Asks for a page of the groups this peer may see: the public ones, and those it is a member of or invited to. Answered
/// by `Groups`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListGroups {
    /// Pairs the answer.
    pub request: RequestId,
    /// Only names after this one, in folded order.
    pub after: Option<Name>,
}

/// One line of a page of groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedGroup {
    /// Its name.
    pub name: Name,
    /// Its identity.
    pub group: GroupId,
    /// An invitation is needed.
    pub private: bool,
    /// How many members it has.
    pub members: u32,
    /// The peer that asked is one of them.
    pub member: bool,
    /// The peer that asked is invited.
    pub invited: bool,
}

/// A page of groups, in folded order of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    /// Which request.
    pub request: RequestId,
    /// At most `limits::GROUPS_PAGE` of them.
    pub groups: Vec<ListedGroup>,
    /// There are more after the last.
    pub more: bool,
}

/// People who came, left or changed their presence lately, gathered. To everybody on a directory with few people online,
/// whoever they watch; for people to read, and believed no more than that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notices {
    /// What each is now.
    pub people: Vec<Listed>,
}

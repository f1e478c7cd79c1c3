//! The questions about groups that the core asks a store, and the answers. No behaviour: who may do what in a group is the
//! rule of `common::group`, how a store keeps groups is not here.

use common::group::{GroupId, SignedStep, Step};
use common::identity::PublicKey;
use common::name::Name;
use common::wire::directory::{ListedGroup, Refusal, WhichGroup};

use crate::limits::GroupLimits;

/// A step on its way to the store; comes back with the result. Its signature is checked, and that its maker asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepOp {
    /// What it says.
    pub step: Step,
    /// As it was signed.
    pub signed: SignedStep,
    /// What groups may take.
    pub limits: GroupLimits,
    /// When it came, milliseconds since 1970.
    pub now_ms: i64,
}

/// Steps of one group's chain that somebody hands in, on their way to the store. Their signatures are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreOp {
    /// Who hands them in.
    pub key: PublicKey,
    /// In order and without a gap, at least one: what each says, and as it was signed.
    pub steps: Vec<(Step, SignedStep)>,
    /// What groups may take.
    pub limits: GroupLimits,
    /// When they came, milliseconds since 1970.
    pub now_ms: i64,
}

/// A question about groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupOp {
    /// Adds a step to its group's chain, or begins a group. Whoever makes it must have a name, but to leave; whoever is
    /// invited must have one. A group that nobody is left in is over: its name is free, and it is there only for those who
    /// were members, until it expires or gives way. Result: `Stepped` or `Refused` (`NotRegistered`, `NoSuchUser`,
    /// `NoSuchGroup`, `GroupExists`, `NotAMember`, `AlreadyAMember`, `NotAllowed`, `GroupFull`, `GroupChanged`,
    /// `OverGroupLimit`).
    Step(Box<StepOp>),
    /// Adds those steps that are not kept yet. Whoever hands them in must have a name; who made them, and whom they are about,
    /// need not be known here. A group that is not here begins, without a name if another has it. Result: `Restored`, or
    /// `Refused` if none is added and one is refused (`NotRegistered`, `NoSuchGroup`: it is over, or its beginning is
    /// missing, `GroupChanged`: another step is kept in its place, `OverGroupLimit`, and what `Step` is refused for).
    Restore(Box<RestoreOp>),
    /// A part of a chain, for who may see the group. Result: `Steps` or `Refused(NoSuchGroup)`.
    Steps {
        /// Who asks.
        key: PublicKey,
        /// Which group.
        which: WhichGroup,
        /// Only steps after this version.
        after: u64,
        /// At most so many.
        limit: usize,
    },
    /// The newer steps of groups: the newest of each, and so many before it as there is room for; of a chain that is shorter
    /// than is known there, the newest; of a group that is not there, or was never open to who asks, none. Who has left a
    /// group is told up to that step. Then the newest step of groups that are not named, and have who asks as a member; no
    /// more of both than `GROUPS_PAGE`. Result: `News`.
    News {
        /// Who asks.
        key: PublicKey,
        /// Each group with the version known there.
        groups: Vec<(GroupId, u64)>,
        /// Steps in all beyond one for each group.
        limit: usize,
    },
    /// A page of the groups that somebody may see, in folded order of names. Result: `Groups`.
    List {
        /// Who asks.
        key: PublicKey,
        /// Only names after this one.
        after: Option<Name>,
        /// At most so many.
        limit: usize,
    },
}

/// An answer about groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupResult {
    /// The step is kept.
    Stepped {
        /// The operation.
        op: Box<StepOp>,
        /// Everybody who was a member before it or is one after it.
        members: Vec<PublicKey>,
    },
    /// Steps are kept that were handed in.
    Restored {
        /// Which group.
        group: GroupId,
        /// Those that were not there before, in order.
        steps: Vec<SignedStep>,
        /// Everybody who was a member before or is one after.
        members: Vec<PublicKey>,
        /// Why the one after them is not kept.
        refused: Option<Refusal>,
    },
    /// Steps in order.
    Steps {
        /// In order.
        steps: Vec<SignedStep>,
        /// There are more after the last.
        more: bool,
    },
    /// For each group with other steps than are known these, in order and without a gap.
    News(Vec<(GroupId, Vec<SignedStep>)>),
    /// A page of groups.
    Groups {
        /// In folded order.
        groups: Vec<ListedGroup>,
        /// There are more after the last.
        more: bool,
    },
}

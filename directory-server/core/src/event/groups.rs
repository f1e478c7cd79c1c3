//! The questions about groups that the core asks a store, and the answers. No behaviour: who may do what in a group is the
//! rule of `common::group`, how a store keeps groups is not here.

use common::group::{GroupId, SignedStep, Step};
use common::identity::PublicKey;
use common::name::Name;
use common::wire::directory::{ListedGroup, WhichGroup};

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
}

/// A question about groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupOp {
    /// Adds a step to its group's chain, or begins a group. Whoever makes it must have a name, but to leave; whoever is
    /// invited must have one. A group that nobody is left in goes with its chain. Result: `Stepped` or `Refused`
    /// (`NotRegistered`, `NoSuchUser`, `NoSuchGroup`, `GroupExists`, `NotAMember`, `AlreadyAMember`, `NotAllowed`,
    /// `GroupFull`, `GroupChanged`).
    Step(Box<StepOp>),
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
    /// The newer steps of groups: the newest of each, and so many before it as there is room for. Who has left a group is
    /// told up to that step. Groups that are not there, or were never open to who asks, are passed over. Result: `News`.
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
    /// Steps in order.
    Steps {
        /// In order.
        steps: Vec<SignedStep>,
        /// There are more after the last.
        more: bool,
    },
    /// For each group with newer steps these, in order and without a gap.
    News(Vec<(GroupId, Vec<SignedStep>)>),
    /// A page of groups.
    Groups {
        /// In folded order.
        groups: Vec<ListedGroup>,
        /// There are more after the last.
        more: bool,
    },
}

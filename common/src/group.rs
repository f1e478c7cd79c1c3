//! Groups: who belongs to one is what a chain of signed steps adds up to, each signed by whoever made it and naming the one
//! before. The directory keeps the chain and can withhold its end; it cannot add a member or give an old group another's
//! history.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::identity::{Context, Identity, PublicKey, Signature};
use crate::limits::{GROUP_MEMBERS_MAX, GROUP_STEPS_MAX};
use crate::name::Name;
use crate::record::RecordError;
use crate::wire::codec;

/// A group's identity: 128 random bits, never reused. Its name can be.
pub type GroupId = [u8; 16];

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// The group begins, with whoever made this step as its first member and owner.
    Found {
        /// Its name at the directory.
        name: Name,
        /// Only those invited may join.
        private: bool,
    },
    /// Whoever made this step is a member.
    Join,
    /// A member opens the door for somebody.
    Invite {
        /// Who may join.
        who: PublicKey,
    },
    /// Whoever made this step is a member no more.
    Leave,
    /// The owner takes somebody out; they need an invitation to come back.
    Remove {
        /// Who.
        who: PublicKey,
    },
}

/// One link of a group's chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The group.
    pub group: GroupId,
    /// From 1, without a gap.
    pub version: u64,
    /// [`SignedStep::hash`] of the one before; zeros in the first.
    pub previous: [u8; 32],
    /// Who makes it, and signs it.
    pub by: PublicKey,
    /// Their clock, milliseconds since 1970. Shown, never judged by.
    pub at_ms: i64,
    /// What it does.
    pub change: Change,
}

impl Step {
    /// The first step of a group.
    #[must_use]
    pub fn founding(group: GroupId, by: PublicKey, at_ms: i64, change: Change) -> Self {
        Self { group, version: 1, previous: [0; 32], by, at_ms, change }
    }

    /// The bytes that are signed.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

/// A [`Step`] with its maker's signature over its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedStep {
    bytes: Vec<u8>,
    signature: Signature,
}

impl SignedStep {
    /// Signs `step` as `by`.
    #[must_use]
    pub fn sign(by: &Identity, step: &Step) -> Self {
        let bytes = step.bytes();
        let signature = by.sign(Context::GroupStep, &bytes);
        Self { bytes, signature }
    }

    /// Bytes of a step and the signature that was made over them elsewhere.
    #[must_use]
    pub fn new(bytes: Vec<u8>, signature: Signature) -> Self {
        Self { bytes, signature }
    }

    /// What the next step names.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        blake3::derive_key("homing/1 group step", &self.bytes)
    }

    /// What it says, if whoever it names as its maker signed it.
    ///
    /// # Errors
    /// [`RecordError`] when the bytes or the signature are wrong.
    pub fn verify(&self) -> Result<Step, RecordError> {
        let step: Step = codec::decode(&self.bytes)?;
        step.by.verify(Context::GroupStep, &self.bytes, &self.signature)?;
        Ok(step)
    }
}

/// Why a step does not follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StepError {
    /// Not the step that comes next: another version, another group, or not after the one that is last.
    #[error("the group has changed meanwhile")]
    Stale,
    /// Signed by nobody, or no step at all.
    #[error("the step is not signed by who is said to have made it")]
    Forged,
    /// Only members may.
    #[error("only members may do that")]
    NotAMember,
    /// They are one already, or the door stands open for them already.
    #[error("they are a member or invited already")]
    AlreadyAMember,
    /// The group is private, or they were taken out: an invitation is needed.
    #[error("an invitation is needed")]
    NotInvited,
    /// Only the owner may.
    #[error("only the owner may do that")]
    NotTheOwner,
    /// Nobody who could be taken out.
    #[error("they are no member")]
    NoSuchMember,
    /// `limits::GROUP_MEMBERS_MAX`, or the chain is as long as it may be.
    #[error("the group is full")]
    Full,
}

/// What somebody is to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seat {
    /// A member.
    pub member: bool,
    /// The longest-standing one.
    pub owner: bool,
    /// The door stands open for them.
    pub invited: bool,
    /// They were taken out, and have not come back.
    pub removed: bool,
}

/// What decides whether a change may be made: for [`Membership`], and for whoever keeps groups otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standpoint {
    /// The version of the last step.
    pub version: u64,
    /// An invitation is needed.
    pub private: bool,
    /// How many members there are.
    pub members: usize,
    /// How many are invited.
    pub invited: usize,
    /// Who makes the change.
    pub by: Seat,
    /// Whom it is about, where it is about somebody else.
    pub who: Seat,
}

impl Standpoint {
    /// Whether the change may be made.
    ///
    /// # Errors
    /// [`StepError`] that says why not.
    pub fn may(&self, change: &Change) -> Result<(), StepError> {
        let Self { by, who, .. } = self;
        // Nobody comes into a chain that is full, so those who go out of it make it longer by as many steps at most.
        if self.version >= GROUP_STEPS_MAX && !matches!(change, Change::Leave | Change::Remove { .. }) {
            return Err(StepError::Full);
        }
        match change {
            Change::Found { .. } => Err(StepError::Stale),
            Change::Join if by.member => Err(StepError::AlreadyAMember),
            Change::Join if self.members == 0 => Err(StepError::Stale),
            Change::Join if !by.invited && (self.private || by.removed) => Err(StepError::NotInvited),
            Change::Join if self.members >= GROUP_MEMBERS_MAX => Err(StepError::Full),
            Change::Invite { .. } | Change::Leave | Change::Remove { .. } if !by.member => Err(StepError::NotAMember),
            // A door that is open already is not opened again: repeats would fill the chain.
            Change::Invite { .. } if who.member || who.invited => Err(StepError::AlreadyAMember),
            Change::Invite { .. } if self.invited >= GROUP_MEMBERS_MAX => Err(StepError::Full),
            Change::Remove { .. } if !by.owner => Err(StepError::NotTheOwner),
            // The owner takes nobody out who is the owner: leaving is another step.
            Change::Remove { .. } if !who.member || who.owner => Err(StepError::NoSuchMember),
            Change::Join | Change::Invite { .. } | Change::Leave | Change::Remove { .. } => Ok(()),
        }
    }
}

/// A time of membership: from this version on, up to and without that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    from: u64,
    before: Option<u64>,
}

/// What a chain adds up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    id: GroupId,
    name: Name,
    private: bool,
    version: u64,
    last: [u8; 32],
    /// In the order in which they joined; the first is the owner.
    members: Vec<PublicKey>,
    invited: BTreeSet<PublicKey>,
    removed: BTreeSet<PublicKey>,
    spans: BTreeMap<PublicKey, Vec<Span>>,
}

impl Membership {
    /// The group that a founding step begins.
    ///
    /// # Errors
    /// [`StepError`] when it is none, or not signed.
    pub fn found(signed: &SignedStep) -> Result<Self, StepError> {
        let step = signed.verify().map_err(|_| StepError::Forged)?;
        Self::begin(signed, step)
    }

    fn begin(signed: &SignedStep, step: Step) -> Result<Self, StepError> {
        let (1, Change::Found { name, private }) = (step.version, step.change) else { return Err(StepError::Stale) };
        if step.previous != [0; 32] {
            return Err(StepError::Stale);
        }
        let mut group = Self {
            id: step.group,
            name,
            private,
            version: 1,
            last: signed.hash(),
            members: Vec::new(),
            invited: BTreeSet::new(),
            removed: BTreeSet::new(),
            spans: BTreeMap::new(),
        };
        group.enter(step.by);
        Ok(group)
    }

    /// What a whole chain adds up to.
    ///
    /// # Errors
    /// [`StepError`] of the first step that does not follow; an empty chain is [`StepError::Stale`].
    pub fn of(steps: &[SignedStep]) -> Result<Self, StepError> {
        let (first, rest) = steps.split_first().ok_or(StepError::Stale)?;
        let mut group = Self::found(first)?;
        for step in rest {
            group.apply(step)?;
        }
        Ok(group)
    }

    /// Takes the next step.
    ///
    /// # Errors
    /// [`StepError`]; nothing is changed then.
    pub fn apply(&mut self, signed: &SignedStep) -> Result<Step, StepError> {
        let step = signed.verify().map_err(|_| StepError::Forged)?;
        let next = self.version + 1;
        if step.group != self.id || step.version != next || step.previous != self.last {
            return Err(StepError::Stale);
        }
        self.may(&step.by, &step.change)?;
        (self.version, self.last) = (next, signed.hash());
        match &step.change {
            Change::Found { .. } => {}
            Change::Join => self.enter(step.by),
            Change::Invite { who } => {
                self.invited.insert(*who);
            }
            Change::Leave => self.exit(&step.by),
            Change::Remove { who } => {
                self.exit(who);
                self.removed.insert(*who);
            }
        }
        Ok(step)
    }

    /// Whether `by` may make this change now.
    ///
    /// # Errors
    /// [`StepError`] that says why not.
    pub fn may(&self, by: &PublicKey, change: &Change) -> Result<(), StepError> {
        let who = match change {
            Change::Invite { who } | Change::Remove { who } => self.seat(who),
            Change::Found { .. } | Change::Join | Change::Leave => Seat::default(),
        };
        let (members, invited) = (self.members.len(), self.invited.len());
        Standpoint { version: self.version, private: self.private, members, invited, by: self.seat(by), who }
            .may(change)
    }

    fn seat(&self, who: &PublicKey) -> Seat {
        Seat {
            member: self.is_member(who),
            owner: self.owner() == Some(who),
            invited: self.invited.contains(who),
            removed: self.removed.contains(who),
        }
    }

    fn enter(&mut self, who: PublicKey) {
        self.members.push(who);
        self.invited.remove(&who);
        self.removed.remove(&who);
        self.spans.entry(who).or_default().push(Span { from: self.version, before: None });
    }

    fn exit(&mut self, who: &PublicKey) {
        self.members.retain(|member| member != who);
        if let Some(last) = self.spans.get_mut(who).and_then(|spans| spans.last_mut()) {
            last.before = Some(self.version);
        }
    }

    /// The step by which `by` makes `change` now; to be signed.
    #[must_use]
    pub fn next(&self, by: PublicKey, at_ms: i64, change: Change) -> Step {
        Step { group: self.id, version: self.version + 1, previous: self.last, by, at_ms, change }
    }

    /// The group's identity.
    #[must_use]
    pub fn id(&self) -> GroupId {
        self.id
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Whether an invitation is needed.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// The version of the last step.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The members in the order in which they joined.
    #[must_use]
    pub fn members(&self) -> &[PublicKey] {
        &self.members
    }

    /// The longest-standing member; none in a group that is over.
    #[must_use]
    pub fn owner(&self) -> Option<&PublicKey> {
        self.members.first()
    }

    /// Whether `who` is a member now.
    #[must_use]
    pub fn is_member(&self, who: &PublicKey) -> bool {
        self.members.contains(who)
    }

    /// Whether the door stands open for `who` by an invitation.
    #[must_use]
    pub fn is_invited(&self, who: &PublicKey) -> bool {
        self.invited.contains(who)
    }

    /// Whether `who` was taken out and has not come back: unlike somebody who left.
    #[must_use]
    pub fn is_removed(&self, who: &PublicKey) -> bool {
        self.removed.contains(who)
    }

    /// Whether `who` was a member at `version`.
    #[must_use]
    pub fn was_member(&self, who: &PublicKey, version: u64) -> bool {
        let within = |span: &Span| span.from <= version && span.before.is_none_or(|before| version < before);
        self.spans.get(who).is_some_and(|spans| spans.iter().any(within))
    }
}

#[cfg(test)]
mod tests;

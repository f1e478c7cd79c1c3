//! The groups of this store: the chain of each as far as it is known, and which group a name means. Whether a step belongs
//! to a chain is the chain's own rule; who may see a group is the directory's.

use std::collections::BTreeMap;

use common::group::{GroupId, Membership, SignedStep};
use common::identity::PublicKey;
use common::name::Name;

/// All groups.
#[derive(Debug, Default)]
pub struct Groups {
    by_id: BTreeMap<GroupId, Membership>,
}

impl Groups {
    /// The groups of a store. A chain that does not add up is passed over: it is looked up anew.
    #[must_use]
    pub fn new(chains: Vec<(GroupId, Vec<SignedStep>)>) -> Self {
        let whole = |(id, steps): (GroupId, Vec<SignedStep>)| {
            let group = Membership::of(&steps).ok().filter(|group| group.id() == id)?;
            Some((id, group))
        };
        Self { by_id: chains.into_iter().filter_map(whole).collect() }
    }

    /// The group of this identity.
    #[must_use]
    pub fn of(&self, id: &GroupId) -> Option<&Membership> {
        self.by_id.get(id)
    }

    /// `@name`, or the identity of a group that is not known here.
    #[must_use]
    pub fn called(&self, id: &GroupId) -> String {
        match self.by_id.get(id) {
            Some(group) => format!("@{}", group.name()),
            None => format!("@{:08x}", u32::from_be_bytes([id[0], id[1], id[2], id[3]])),
        }
    }

    /// The group that `me` means by this name: the newest one that `me` belongs to, or else has belonged to.
    #[must_use]
    pub fn named(&self, name: &Name, me: &PublicKey) -> Option<&Membership> {
        let called = || self.by_id.values().filter(|group| group.name() == name);
        called().find(|group| group.is_member(me)).or_else(|| called().next())
    }

    /// Whether `key` and `me` belong to a group together.
    #[must_use]
    pub fn shares(&self, key: &PublicKey, me: &PublicKey) -> bool {
        self.by_id.values().any(|group| group.is_member(key) && group.is_member(me))
    }

    /// All groups, in order of identity.
    pub fn all(&self) -> impl Iterator<Item = &Membership> {
        self.by_id.values()
    }

    /// The chain of a group, as far as it is known now.
    pub fn put(&mut self, group: Membership) {
        self.by_id.insert(group.id(), group);
    }
}

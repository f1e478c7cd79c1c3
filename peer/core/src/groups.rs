//! The groups of this store: the chain of each as far as it is known, which group a name means, and with whom one is in a
//! group. Whether a step belongs to a chain is the chain's own rule; who may see a group is the directory's.

use std::collections::{BTreeMap, BTreeSet};

use common::group::{GroupId, Membership, SignedStep};
use common::identity::PublicKey;
use common::name::Name;

#[derive(Debug)]
struct Known {
    group: Membership,
    founding: SignedStep,
    /// The founder's clock: of two groups of one name the later one is meant.
    founded_ms: i64,
    /// The directory at which it was seen last.
    home: Option<PublicKey>,
}

/// All groups.
#[derive(Debug)]
pub struct Groups {
    me: PublicKey,
    by_id: BTreeMap<GroupId, Known>,
    /// Everybody else who is in a group with this peer.
    fellows: BTreeSet<PublicKey>,
}

impl Groups {
    /// The groups of a store. A chain that does not add up is passed over: it is looked up anew.
    #[must_use]
    pub fn new(chains: Vec<(GroupId, Vec<SignedStep>)>, me: PublicKey) -> Self {
        let mut groups = Self { me, by_id: BTreeMap::new(), fellows: BTreeSet::new() };
        for (id, steps) in chains {
            let whole = Membership::of(&steps).ok().filter(|group| group.id() == id);
            if let (Some(group), Some(founding)) = (whole, steps.first()) {
                groups.insert(group, founding.clone());
            }
        }
        groups.count_fellows();
        groups
    }

    fn insert(&mut self, group: Membership, founding: SignedStep) {
        let founded_ms = founding.verify().map_or(0, |step| step.at_ms);
        let home = self.home(&group.id());
        self.by_id.insert(group.id(), Known { group, founding, founded_ms, home });
    }

    /// The directory at which a group was seen last.
    #[must_use]
    pub fn home(&self, id: &GroupId) -> Option<PublicKey> {
        self.by_id.get(id)?.home
    }

    /// A group is seen at a directory. Whether it was seen elsewhere last, or nowhere.
    pub fn seen_at(&mut self, id: &GroupId, directory: PublicKey) -> bool {
        let known = self.by_id.get_mut(id);
        known.is_some_and(|known| known.home.replace(directory) != Some(directory))
    }

    fn count_fellows(&mut self) {
        let me = self.me;
        let mine = self.by_id.values().map(|known| &known.group).filter(|group| group.is_member(&me));
        self.fellows = mine.flat_map(|group| group.members().iter().copied()).filter(|key| *key != me).collect();
    }

    /// The group of this identity.
    #[must_use]
    pub fn of(&self, id: &GroupId) -> Option<&Membership> {
        self.by_id.get(id).map(|known| &known.group)
    }

    /// The step that founded a group.
    #[must_use]
    pub fn founding(&self, id: &GroupId) -> Option<&SignedStep> {
        self.by_id.get(id).map(|known| &known.founding)
    }

    /// `@name`, or the identity of a group that is not known here.
    #[must_use]
    pub fn called(&self, id: &GroupId) -> String {
        match self.of(id) {
            Some(group) => format!("@{}", group.name()),
            None => format!("@{:08x}", u32::from_be_bytes([id[0], id[1], id[2], id[3]])),
        }
    }

    /// The group that is meant by this name: the newest one that this peer belongs to, or else has belonged to.
    #[must_use]
    pub fn named(&self, name: &Name) -> Option<&Membership> {
        let called = self.by_id.values().filter(|known| known.group.name() == name);
        called.max_by_key(|known| (known.group.is_member(&self.me), known.founded_ms)).map(|known| &known.group)
    }

    /// Whether this peer belongs to a group.
    #[must_use]
    pub fn is_mine(&self, id: &GroupId) -> bool {
        self.of(id).is_some_and(|group| group.is_member(&self.me))
    }

    /// Whether somebody is in a group with this peer.
    #[must_use]
    pub fn shares(&self, key: &PublicKey) -> bool {
        self.fellows.contains(key)
    }

    /// Everybody who is in a group with this peer.
    pub fn fellows(&self) -> impl Iterator<Item = &PublicKey> {
        self.fellows.iter()
    }

    /// All groups, in order of identity.
    pub fn all(&self) -> impl Iterator<Item = &Membership> {
        self.by_id.values().map(|known| &known.group)
    }

    /// The chain of a group, as far as it is known now. `founding`: its first step, for a group that is new here.
    pub fn put(&mut self, group: Membership, founding: Option<SignedStep>) {
        let known = self.by_id.get(&group.id()).map(|known| known.founding.clone());
        if let Some(founding) = known.or(founding) {
            self.insert(group, founding);
            self.count_fellows();
        }
    }
}

#[cfg(test)]
mod tests {
    use common::group::{Change, Step};
    use common::identity::Identity;

    use super::*;

    fn person(n: u8) -> Identity {
        Identity::from_seed(&[n; 32])
    }

    fn key(n: u8) -> PublicKey {
        person(n).public()
    }

    fn found(id: u8, by: u8, at_ms: i64) -> (GroupId, Vec<SignedStep>) {
        let change = Change::Found { name: "family".parse().unwrap(), private: false };
        let step = Step::founding([id; 16], key(by), at_ms, change);
        ([id; 16], vec![SignedStep::sign(&person(by), &step)])
    }

    fn then(chain: &mut (GroupId, Vec<SignedStep>), by: u8, change: Change) {
        let group = Membership::of(&chain.1).unwrap();
        chain.1.push(SignedStep::sign(&person(by), &group.next(key(by), 0, change)));
    }

    #[test]
    fn a_name_means_the_group_one_is_in_and_else_the_newest_one() {
        let name: Name = "FAMILY".parse().unwrap();
        let (mut old, new) = (found(9, 1, 10), found(2, 3, 20));
        then(&mut old, 2, Change::Join);
        let mut left = old.clone();
        then(&mut left, 2, Change::Leave);
        let named = |chains, me| Groups::new(chains, key(me)).named(&name).map(|group| group.id()[0]);
        assert_eq!(named(vec![old.clone(), new.clone()], 2), Some(9));
        assert_eq!(named(vec![left.clone(), new.clone()], 2), Some(2));
        assert_eq!(named(vec![left, new], 1), Some(9));
        assert_eq!(named(vec![], 1), None);
    }

    #[test]
    fn fellows_are_those_who_are_in_a_group_now() {
        let mut chain = found(9, 1, 10);
        then(&mut chain, 2, Change::Join);
        let mut groups = Groups::new(vec![chain.clone()], key(1));
        assert_eq!((groups.shares(&key(2)), groups.shares(&key(1))), (true, false));
        assert!(groups.is_mine(&[9; 16]) && !groups.is_mine(&[8; 16]));
        then(&mut chain, 2, Change::Leave);
        groups.put(Membership::of(&chain.1).unwrap(), None);
        assert!(!groups.shares(&key(2)));
        assert_eq!(groups.founding(&[9; 16]), chain.1.first());
        let stranger = Groups::new(vec![chain], key(3));
        assert!(stranger.fellows().next().is_none() && !stranger.is_mine(&[9; 16]));
    }

    #[test]
    fn a_chain_that_does_not_add_up_is_passed_over() {
        let (mut chain, other) = (found(9, 1, 10), found(8, 1, 10));
        chain.1.extend(other.1.clone());
        let groups = Groups::new(vec![chain, ([7; 16], other.1)], key(1));
        assert_eq!(groups.all().count(), 0);
        assert_eq!(groups.called(&[9; 16]), "@09090909");
    }
}

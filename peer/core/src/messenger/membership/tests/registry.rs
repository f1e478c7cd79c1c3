//! A stand-in for a directory: who is there, mail, and the chains of groups. It can be told to lie about chains.

use std::collections::{BTreeMap, BTreeSet};

use common::group::{Change, GroupId, Membership, SignedStep, StepError};
use common::identity::{Identity, PublicKey};
use common::name::Name;
use common::record::{Binding, Bound, PrekeyRecord};
use common::wire::directory::{
    DepositAnswer, Deposited, Done, DrainBegin, DrainEnd, FromDirectory, GroupNews, GroupSteps, Groups, Item,
    ListedGroup, Person, Presence, Profile, Refusal, Refused, Slot, Standing, Taking, ToDirectory, TokenKept, Welcome,
    WhichGroup, Whom,
};

pub(in crate::messenger) struct Registry {
    pub identity: Identity,
    pub people: BTreeMap<PublicKey, (Name, Option<PrekeyRecord>)>,
    online: BTreeSet<PublicKey>,
    watches: BTreeSet<(PublicKey, PublicKey)>,
    pub accepts: BTreeSet<(PublicKey, PublicKey)>,
    pub groups: BTreeMap<GroupId, Vec<SignedStep>>,
    /// What is shown of a chain to somebody, in place of the truth.
    pub lies: BTreeMap<(PublicKey, GroupId), Vec<SignedStep>>,
    /// Groups that are taken for others, by the name that is asked for.
    pub taken_for: BTreeMap<String, GroupId>,
    /// Look-ups by identity, by whom.
    pub looked_up: Vec<(PublicKey, GroupId)>,
    /// Who handed in how many steps.
    pub restored: Vec<(PublicKey, usize)>,
    /// Nobody is told what is new.
    pub silent: bool,
    mail: Vec<(PublicKey, Item)>,
    items: u64,
    pub outbox: Vec<(PublicKey, FromDirectory)>,
    /// What is for the keeper of files.
    pub files: Vec<(PublicKey, ToDirectory)>,
    /// Steps after which a page ends.
    pub page: usize,
}

impl Registry {
    pub fn new() -> Self {
        Self {
            identity: Identity::from_seed(&[200; 32]),
            people: BTreeMap::new(),
            online: BTreeSet::new(),
            watches: BTreeSet::new(),
            accepts: BTreeSet::new(),
            groups: BTreeMap::new(),
            lies: BTreeMap::new(),
            taken_for: BTreeMap::new(),
            looked_up: Vec::new(),
            restored: Vec::new(),
            silent: false,
            mail: Vec::new(),
            items: 0,
            outbox: Vec::new(),
            files: Vec::new(),
            page: 2,
        }
    }

    fn say(&mut self, to: PublicKey, frame: impl Into<FromDirectory>) {
        self.outbox.push((to, frame.into()));
    }

    fn presence(&self, key: PublicKey) -> Presence {
        let there = self.online.contains(&key);
        let standing = if there { Standing::Online } else { Standing::Offline };
        let candidates = if there { vec![([10, 0, 0, 99], 1).into()] } else { Vec::new() };
        Presence { key, standing, since_ms: 0, candidates, note: None }
    }

    fn tell_presence(&mut self, key: PublicKey) {
        let watchers: Vec<PublicKey> =
            self.watches.iter().filter(|(_, whom)| *whom == key).map(|(who, _)| *who).collect();
        for watcher in watchers {
            self.say(watcher, self.presence(key));
        }
    }

    pub fn online(&mut self, key: PublicKey) {
        self.online.insert(key);
        self.tell_presence(key);
    }

    pub fn offline(&mut self, key: &PublicKey) {
        self.online.remove(key);
        self.watches.retain(|(who, _)| who != key);
        self.tell_presence(*key);
    }

    pub fn take(&mut self, from: PublicKey, frame: ToDirectory, now_ms: i64) {
        match frame {
            ToDirectory::Hello(_) => {
                let (store_id, observed) = ([1; 16], ([10, 0, 0, 1], 1).into());
                let binding = self.people.get(&from).map(|(name, _)| self.binding(from, name));
                let token = [3; 16];
                self.say(
                    from,
                    Welcome { version: 1, features: 0, store_id, commits: 1, now_ms, observed, binding, token },
                );
            }
            ToDirectory::ConfirmToken(_) => self.say(from, TokenKept {}),
            ToDirectory::Online(online) => {
                if let Some((_, prekey)) = self.people.get_mut(&from) {
                    *prekey = Some(online.prekey);
                }
                self.online.insert(from);
                self.say(from, Done { request: online.request });
                self.tell_presence(from);
                self.say(from, DrainBegin { human: 0 });
                let mail: Vec<Item> =
                    self.mail.iter().filter(|(to, _)| *to == from).map(|(_, item)| item.clone()).collect();
                for item in mail {
                    self.say(from, Item { waited: true, ..item });
                }
                self.say(from, DrainEnd {});
            }
            ToDirectory::LookUp(look) => {
                let found = self.people.iter().find(|(key, (name, _))| match &look.whom {
                    Whom::Name(wanted) => wanted == name,
                    Whom::Key(wanted) => wanted == *key,
                });
                let found = found.map(|(key, (name, prekey))| (*key, name.clone(), prekey.clone()));
                let request = look.request;
                match found {
                    Some((key, name, prekey)) => {
                        let Presence { standing, candidates, .. } = self.presence(key);
                        let binding = self.binding(key, &name);
                        let profile = Profile { key, binding, standing, since_ms: 0, candidates, prekey };
                        self.say(from, Person { request, profile });
                    }
                    None => self.say(from, Refused { request, reason: Refusal::NoSuchUser }),
                }
            }
            ToDirectory::Watch(watch) => {
                for key in watch.add {
                    self.watches.insert((from, key));
                    self.say(from, self.presence(key));
                }
            }
            ToDirectory::Accept(accept) => self.accepts.extend(accept.keys.into_iter().map(|key| (from, key))),
            ToDirectory::PublishPrekey(publish) => self.say(from, Done { request: publish.request }),
            ToDirectory::Deposit(deposit) => self.take_deposit(from, deposit, now_ms),
            ToDirectory::Take(take) => {
                let gone = |item: &Item| take.items.iter().any(|(n, how)| *n == item.item && *how == Taking::Stored);
                self.mail.retain(|(to, item)| *to != from || !gone(item));
            }
            ToDirectory::PutSlot(slot) => {
                self.items += 1;
                let serial = self.items;
                if self.online.contains(&slot.recipient) {
                    self.say(slot.recipient, Slot { from, serial, prekey: slot.prekey, sealed: slot.sealed });
                }
            }
            other => self.take_of_groups(from, other),
        }
    }

    fn take_deposit(&mut self, from: PublicKey, deposit: common::wire::directory::Deposit, now_ms: i64) {
        self.items += 1;
        let item = Item {
            item: self.items,
            submitter: from,
            epoch: deposit.place.epoch,
            seq: deposit.place.seq,
            prekey: deposit.prekey,
            waited: false,
            deposited_at_ms: now_ms,
            sealed: deposit.sealed,
        };
        self.mail.push((deposit.place.recipient, item.clone()));
        self.say(from, Deposited { answers: vec![DepositAnswer { place: deposit.place, refusal: None }] });
        if self.online.contains(&deposit.place.recipient) {
            self.say(deposit.place.recipient, item);
        }
    }

    fn binding(&self, key: PublicKey, name: &Name) -> Binding {
        let bound = Bound { directory: self.identity.public(), name: name.clone(), key, serial: 1 };
        Binding::sign(&self.identity, &bound)
    }

    fn take_of_groups(&mut self, from: PublicKey, frame: ToDirectory) {
        match frame {
            ToDirectory::ChangeGroup(change) => match self.change(from, &change.step) {
                Ok(()) => self.say(from, Done { request: change.request }),
                Err(reason) => self.say(from, Refused { request: change.request, reason }),
            },
            ToDirectory::RestoreGroup(restore) => {
                self.restored.push((from, restore.steps.len()));
                let request = restore.request;
                match restore.steps.iter().try_for_each(|step| self.bring(step)) {
                    Ok(()) => self.say(from, Done { request }),
                    Err(reason) => self.say(from, Refused { request, reason }),
                }
            }
            ToDirectory::LookUpGroup(look) => {
                let id = match &look.which {
                    WhichGroup::Id(id) => {
                        self.looked_up.push((from, *id));
                        Some(*id)
                    }
                    WhichGroup::Name(name) => self.taken_for.get(&name.folded()).copied().or_else(|| self.living(name)),
                };
                let shown = id.and_then(|id| self.shown(from, id));
                match shown {
                    None => self.say(from, Refused { request: look.request, reason: Refusal::NoSuchGroup }),
                    Some(steps) => {
                        let after = usize::try_from(look.after).expect("few");
                        let after = if after > steps.len() { steps.len() - 1 } else { after };
                        let end = (after + self.page).min(steps.len());
                        let (page, more) = (steps[after..end].to_vec(), end < steps.len());
                        self.say(from, GroupSteps { request: look.request, steps: page, more });
                    }
                }
            }
            ToDirectory::FollowGroups(follow) => self.follow(from, follow.groups),
            ToDirectory::ListGroups(list) => {
                let groups = self.groups.values().filter_map(|steps| Membership::of(steps).ok());
                let mut listed: Vec<ListedGroup> = groups
                    .filter(|group| !group.members().is_empty())
                    .map(|group| ListedGroup {
                        name: group.name().clone(),
                        group: group.id(),
                        private: group.is_private(),
                        members: u32::try_from(group.members().len()).expect("few"),
                        member: group.is_member(&from),
                        invited: group.is_invited(&from),
                    })
                    .filter(|listed| !listed.private || listed.member || listed.invited)
                    .filter(|listed| list.after.as_ref().is_none_or(|after| listed.name > *after))
                    .collect();
                listed.sort_by(|one, other| one.name.cmp(&other.name));
                let more = listed.len() > self.page;
                listed.truncate(self.page);
                self.say(from, Groups { request: list.request, groups: listed, more });
            }
            other => self.files.push((from, other)),
        }
    }

    fn follow(&mut self, from: PublicKey, groups: Vec<(GroupId, u64)>) {
        let member = |steps: &Vec<SignedStep>| Membership::of(steps).expect("a chain").is_member(&from);
        let mine = self.groups.iter().filter(|(_, steps)| member(steps)).map(|(id, _)| *id);
        let unnamed = mine.filter(|id| !groups.iter().any(|(named, _)| named == id));
        let unnamed: Vec<GroupId> = unnamed.collect();
        for group in unnamed {
            let newest = self.groups[&group].last().cloned();
            self.say(from, GroupNews { group, steps: newest.into_iter().collect() });
        }
        for (group, after) in groups {
            let steps = self.shown(from, group).unwrap_or_default();
            let after = usize::try_from(after).expect("few");
            if steps.len() < after {
                let newest = steps.last().cloned();
                self.say(from, GroupNews { group, steps: newest.into_iter().collect() });
            } else if steps.len() > after {
                let end = (after + self.page).min(steps.len());
                self.say(from, GroupNews { group, steps: steps[after..end].to_vec() });
            }
        }
    }

    /// The chain of a group as somebody is shown it.
    fn shown(&self, to: PublicKey, id: GroupId) -> Option<Vec<SignedStep>> {
        if let Some(lie) = self.lies.get(&(to, id)) {
            return Some(lie.clone());
        }
        let steps = self.groups.get(&id)?;
        let group = Membership::of(steps).expect("a chain");
        let open = !group.is_private() || group.is_member(&to) || group.is_invited(&to) || group.is_removed(&to);
        open.then(|| steps.clone())
    }

    fn living(&self, name: &Name) -> Option<GroupId> {
        let groups = self.groups.values().filter_map(|steps| Membership::of(steps).ok());
        groups.filter(|group| group.name() == name && !group.members().is_empty()).map(|group| group.id()).next()
    }

    /// A step that somebody hands in: it is here already, or follows.
    fn bring(&mut self, signed: &SignedStep) -> Result<(), Refusal> {
        let step = signed.verify().expect("a step");
        let at = usize::try_from(step.version - 1).expect("few");
        match self.groups.get(&step.group).and_then(|steps| steps.get(at)) {
            Some(kept) if kept == signed => Ok(()),
            Some(_) => Err(Refusal::GroupChanged),
            None => self.keep(signed),
        }
    }

    fn change(&mut self, from: PublicKey, signed: &SignedStep) -> Result<(), Refusal> {
        assert_eq!(signed.verify().expect("a step").by, from, "one makes one's own steps");
        self.keep(signed)
    }

    fn keep(&mut self, signed: &SignedStep) -> Result<(), Refusal> {
        let step = signed.verify().expect("a step");
        let before = self.groups.get(&step.group).map(|steps| Membership::of(steps).expect("a chain"));
        let group = match (before, &step.change) {
            (None, Change::Found { name, .. }) if self.living(name).is_some() => return Err(Refusal::GroupExists),
            (None, _) => Membership::found(signed).map_err(|_| Refusal::NoSuchGroup)?,
            (Some(mut group), _) => {
                group.apply(signed).map_err(|why| match why {
                    StepError::Stale => Refusal::GroupChanged,
                    StepError::AlreadyAMember => Refusal::AlreadyAMember,
                    StepError::NotAMember | StepError::NoSuchMember => Refusal::NotAMember,
                    StepError::Full => Refusal::GroupFull,
                    StepError::NotInvited | StepError::NotTheOwner | StepError::Forged => Refusal::NotAllowed,
                })?;
                group
            }
        };
        self.groups.entry(step.group).or_default().push(signed.clone());
        let mut told: BTreeSet<PublicKey> = group.members().iter().copied().collect();
        if let Change::Remove { who } = step.change {
            told.insert(who);
        }
        for key in told.into_iter().filter(|key| self.online.contains(key) && !self.silent).collect::<Vec<_>>() {
            self.say(key, GroupNews { group: step.group, steps: vec![signed.clone()] });
        }
        Ok(())
    }
}

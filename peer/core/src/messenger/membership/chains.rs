//! Chains of groups: looking them up, following them, and committing what follows from what is known. A step that does not
//! follow changes nothing, whoever shows it; nothing counts before it is committed.

use std::collections::BTreeSet;

use common::group::{GroupId, Membership, SignedStep, Step};
use common::identity::PublicKey;
use common::limits::{GROUPS_PAGE, WATCH_MAX};
use common::name::Name;
use common::wire::directory::{
    Accept, FollowGroups, GroupNews, GroupSteps, LookUpGroup, Refusal, ToDirectory, Watch, WhichGroup,
};

use super::super::{Messenger, Then};
use crate::event::{CommandId, Dropped};
use crate::stored::StoreOp;

/// Why a chain is looked up.
#[derive(Debug)]
pub(super) enum Why {
    /// A command waits for it.
    Command(CommandId),
    /// Steps are missing here.
    Chain(GroupId),
    /// Somebody says that one is invited there.
    Invitation(GroupId),
}

/// A look-up that is out.
#[derive(Debug)]
pub(super) struct LookingUp {
    pub(super) why: Why,
    /// The name that was asked for, when it was not an identity: whoever answers may know other groups than that one.
    name: Option<Name>,
    /// Steps after this version were asked for.
    after: u64,
    draft: Draft,
}

impl LookingUp {
    /// What was found has another name than was asked for.
    fn is_misnamed(&self) -> bool {
        let found = self.draft.group.as_ref().map(Membership::name);
        found.zip(self.name.as_ref()).is_some_and(|(found, asked)| found != asked)
    }
}

/// How far steps follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Took {
    /// All of them, or they are known.
    All,
    /// There are steps missing before them.
    Gap,
    /// One of them does not belong there.
    Bad,
    /// They are of another group.
    Another,
}

/// A chain, and what was put to it.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Which group it must be.
    id: Option<GroupId>,
    group: Option<Membership>,
    first: u64,
    fresh: Vec<SignedStep>,
    changes: Vec<(Step, [u8; 32])>,
}

impl Draft {
    pub(super) fn after(known: Option<Membership>, id: Option<GroupId>) -> Self {
        let first = known.as_ref().map_or(0, Membership::version) + 1;
        Self { id, group: known, first, fresh: Vec::new(), changes: Vec::new() }
    }

    pub(super) fn group(&self) -> Option<&Membership> {
        self.group.as_ref()
    }

    pub(super) fn fresh(&self) -> &[SignedStep] {
        &self.fresh
    }

    fn version(&self) -> u64 {
        self.group.as_ref().map_or(0, Membership::version)
    }

    fn take(&mut self, steps: &[SignedStep]) -> Took {
        for signed in steps {
            let Ok(step) = signed.verify() else { return Took::Bad };
            if self.id.is_some_and(|id| id != step.group) {
                return Took::Another;
            }
            let version = self.version();
            if step.version <= version {
                continue;
            }
            if step.version > version + 1 {
                return Took::Gap;
            }
            let follows = match &mut self.group {
                Some(group) => group.apply(signed).map(|_| ()),
                None => Membership::found(signed).map(|group| self.group = Some(group)),
            };
            if follows.is_err() {
                return Took::Bad;
            }
            self.id = Some(step.group);
            self.fresh.push(signed.clone());
            self.changes.push((step, signed.hash()));
        }
        Took::All
    }
}

/// Steps that are being committed.
#[derive(Debug)]
pub(in super::super) struct Decided {
    group: Membership,
    founding: Option<SignedStep>,
    changes: Vec<(Step, [u8; 32])>,
    /// They are news to somebody who was a member; what was there before one came is not told.
    news: bool,
}

impl Messenger {
    /// A chain as far as it is decided here, committed or not.
    pub(super) fn chain(&self, id: &GroupId) -> Option<&Membership> {
        self.chains.decided.get(id).or_else(|| self.groups.of(id))
    }

    pub(super) fn look_up_group(&mut self, which: WhichGroup, why: Why) -> u32 {
        let (id, name) = match &which {
            WhichGroup::Id(id) => (Some(*id), None),
            WhichGroup::Name(name) => (None, Some(name.clone())),
        };
        let known = id.and_then(|id| self.chain(&id).cloned());
        let draft = Draft::after(known, id);
        self.ask_for_steps(which, LookingUp { why, name, after: draft.version(), draft })
    }

    fn ask_for_steps(&mut self, which: WhichGroup, looking: LookingUp) -> u32 {
        let (request, after) = (self.session.request(), looking.after);
        self.chains.look_ups.insert(request, looking);
        self.send_directory(ToDirectory::LookUpGroup(LookUpGroup { request, which, after }));
        request
    }

    pub(in super::super) fn on_group_steps(&mut self, page: GroupSteps) {
        let Some(mut looking) = self.chains.look_ups.remove(&page.request) else { return };
        if looking.draft.group.is_none()
            && let Some(id) = page.steps.first().and_then(|step| step.verify().ok()).map(|step| step.group)
            && let Some(known) = self.chain(&id).cloned()
        {
            // Asked for by its name, and it is one that is known: what is known stays.
            looking.draft = Draft::after(Some(known), Some(id));
        }
        let took = looking.draft.take(&page.steps);
        if took != Took::All {
            self.step_dropped();
        }
        if took == Took::Another || looking.is_misnamed() {
            // A true chain, it may be, and not the one that was asked for: what is meant for one group would go to another.
            if took == Took::All {
                self.step_dropped();
            }
            looking.draft = Draft::default();
            self.looked_up_group(looking, Err(Refusal::NoSuchGroup));
            return;
        }
        let version = looking.draft.version();
        if let (Took::All, false, Some(id)) = (took, page.more, looking.draft.id) {
            let end = page.steps.last().and_then(|step| step.verify().ok()).map(|step| step.version);
            self.directory_holds(id, end.unwrap_or(looking.after));
        }
        if let (Took::All, true, true, Some(id)) = (took, page.more, version > looking.after, looking.draft.id) {
            looking.after = version;
            let request = self.ask_for_steps(WhichGroup::Id(id), looking);
            self.task_asks_on(page.request, request);
            return;
        }
        self.looked_up_group(looking, Ok(()));
    }

    /// What a look-up asked for is refused. False: it was no look-up of a group.
    pub(super) fn look_up_refused(&mut self, request: u32, reason: &Refusal) -> bool {
        let Some(looking) = self.chains.look_ups.remove(&request) else { return false };
        self.looked_up_group(looking, Err(reason.clone()));
        true
    }

    fn looked_up_group(&mut self, looking: LookingUp, outcome: Result<(), Refusal>) {
        if let (Err(Refusal::NoSuchGroup), Some(id)) = (&outcome, looking.draft.id) {
            self.directory_holds(id, 0);
        }
        let LookingUp { why, draft, .. } = looking;
        let mine = |group: &Membership| group.is_member(&self.config.me) || self.chain(&group.id()).is_some();
        if let Some(id) = draft.group.as_ref().filter(|group| mine(group)).map(Membership::id) {
            self.take_steps(id, &draft.fresh);
        }
        match why {
            Why::Command(command) => self.task_found(command, outcome.map(|()| draft)),
            Why::Chain(id) => self.chain_answered(id, outcome),
            Why::Invitation(id) => self.invitations_checked(id, outcome.map(|()| draft)),
        }
    }

    /// The session ended before the answer.
    pub(super) fn look_up_lost(&mut self, looking: LookingUp) {
        match looking.why {
            Why::Command(_) => {}
            Why::Chain(id) => self.want_chain(id),
            Why::Invitation(id) => self.chains.invitations.put_off(id),
        }
    }

    pub(in super::super) fn on_group_news(&mut self, news: GroupNews) {
        if self.chain(&news.group).is_none() {
            // Asked for with the answer to what is under way, if it is anything to this peer.
            return;
        }
        match self.take_steps(news.group, &news.steps) {
            Took::All => {
                let end = news.steps.last().and_then(|step| step.verify().ok());
                self.directory_holds(news.group, end.map_or(0, |step| step.version));
            }
            Took::Gap => self.want_chain(news.group),
            Took::Bad | Took::Another => {
                self.step_dropped();
                self.want_chain(news.group);
            }
        }
    }

    fn step_dropped(&mut self) {
        let directory = self.directory.as_ref().map_or(self.config.me, |directory| directory.key);
        self.dropped(directory, Dropped::Step);
    }

    /// Commits what follows of these steps.
    pub(super) fn take_steps(&mut self, id: GroupId, steps: &[SignedStep]) -> Took {
        let known = self.chain(&id).cloned();
        let news = known.as_ref().is_some_and(|group| group.is_member(&self.config.me));
        let mut draft = Draft::after(known, Some(id));
        let took = draft.take(steps);
        let Draft { first, fresh, changes, group: Some(group), .. } = draft else { return took };
        if fresh.is_empty() {
            return took;
        }
        let founding = fresh.first().filter(|_| first == 1).cloned();
        self.chains.decided.insert(id, group.clone());
        let decided = Box::new(Decided { group, founding, changes, news });
        self.store(StoreOp::PutSteps { group: id, first, steps: fresh }, Then::Steps(decided));
        took
    }

    pub(in super::super) fn on_steps_committed(&mut self, decided: Decided) {
        let Decided { group, founding, changes, news } = decided;
        let (id, version) = (group.id(), group.version());
        let before: Vec<PublicKey> = self.groups.fellows().copied().collect();
        let vouched = self.vouched_for();
        let over = group.members().is_empty().then(|| group.name().clone());
        if self.chains.decided.get(&id).is_some_and(|decided| decided.version() == version) {
            self.chains.decided.remove(&id);
        }
        let name = group.name().clone();
        self.groups.put(group, founding);
        self.seen_at_home(id);
        let new: Vec<PublicKey> = self.groups.fellows().filter(|key| !before.contains(key)).copied().collect();
        let vouched: Vec<PublicKey> = self.vouched_for().difference(&vouched).copied().collect();
        self.meet(&new, &vouched);
        for (step, hash) in changes.iter().filter(|_| news) {
            if !self.chains.mine.contains(hash) {
                self.note_change(&name, step);
            }
        }
        if let Some(over) = over.filter(|_| news) {
            self.note_over(over);
        }
        self.task_committed(id, version);
        self.tend_group(id);
    }

    /// Others are in a group with this peer now: who they are, whether they are there, and which of them are no strangers.
    fn meet(&mut self, fellows: &[PublicKey], vouched: &[PublicKey]) {
        if !self.session.is_logged_in() {
            return;
        }
        for keys in fellows.chunks(WATCH_MAX) {
            self.send_directory(ToDirectory::Watch(Watch { add: keys.to_vec(), remove: Vec::new() }));
        }
        for keys in vouched.chunks(WATCH_MAX) {
            self.send_directory(ToDirectory::Accept(Accept { keys: keys.to_vec() }));
        }
        self.get_to_know(fellows);
    }

    /// Those whom the directory is told to be no strangers, because a member let them into a private group of this peer's.
    /// A public one lets in anybody, and the directory does not forget such a word.
    pub(in super::super) fn vouched_for(&self) -> BTreeSet<PublicKey> {
        let me = &self.config.me;
        let private = self.groups.all().filter(|group| group.is_private() && group.is_member(me));
        let fellows = private.flat_map(|group| group.members().iter().copied());
        fellows.filter(|key| key != me && !self.is_blocked(key)).collect()
    }

    /// Looks up those whose name or prekey is not known.
    fn get_to_know(&mut self, fellows: &[PublicKey]) {
        for key in fellows {
            let known = |contact: &crate::stored::Contact| contact.name.is_some() && contact.prekey.is_some();
            if !self.book.of(key).is_some_and(known) {
                self.refresh(*key);
            }
        }
    }

    /// Subscribes to the chains of all groups this peer belongs to.
    pub(super) fn follow_groups(&mut self) {
        let me = self.config.me;
        let mine = self.groups.all().filter(|group| group.is_member(&me));
        let groups: Vec<(GroupId, u64)> = mine.map(|group| (group.id(), group.version())).collect();
        let mut pages = groups.chunks(GROUPS_PAGE);
        // Asked also by who has none: the directory may know better, or not know yet that they have left.
        let first = pages.next().unwrap_or_default();
        for page in std::iter::once(first).chain(pages) {
            self.send_directory(ToDirectory::FollowGroups(FollowGroups { groups: page.to_vec() }));
        }
        let fellows: Vec<PublicKey> = self.groups.fellows().copied().collect();
        self.get_to_know(&fellows);
    }
}

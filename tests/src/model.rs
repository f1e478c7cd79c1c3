//! What users of Homing must observe, whatever happens: a reference that is told what disks commit, what screens show and what
//! commands are answered, and that says at once when a promise is broken. It knows no core and decides nothing.

mod company;
mod files;
mod groups;
mod lines;
mod marks;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use common::body::Body;
use common::group::GroupId;
use common::identity::PublicKey;
use common::limits::{DAY_MS, MESSAGE_LIFETIME_MS};
use common::message::{Conversation, EpochId, MessageId};
use common::wire::directory::Place;
use peer_core::event::{MessageView, StateView};
use peer_core::stored::{Arrival, NewMessage, State};

pub use company::Told;
pub(crate) use marks::DiskMarks;
use marks::Screen;

/// A step of a machine's clock by so much counts as elapsed time without anybody's word.
const STEP_COUNTED_MS: u64 = 3_600_000;
/// What roundings may add to an age.
const LIFETIME_SLACK_MS: u64 = 60_000;

/// An identity, by its number in the world.
pub(crate) type Who = usize;
/// A machine with a disk, by its number in the world.
pub(crate) type MachineNo = usize;

/// A message as its sender's disk committed it.
#[derive(Debug, Clone)]
struct Written {
    sender: Who,
    body: Vec<u8>,
    text: String,
    urgent: bool,
    recipients: BTreeSet<Who>,
    group: Option<GroupId>,
    queued_ms: u64,
}

/// What was wrong with the clock of one machine: how far off it is, how often it stepped, and all steps together.
#[derive(Debug, Clone, Copy, Default)]
struct Clock {
    skew_ms: i64,
    steps: u64,
    stepped_ms: u64,
}

/// The reference.
#[derive(Debug, Default)]
pub(crate) struct Model {
    keys: BTreeMap<PublicKey, Who>,
    written: BTreeMap<MessageId, Written>,
    /// Every message that a disk of an identity ever held.
    ever_held: BTreeSet<(Who, MessageId)>,
    ever_kept: BTreeSet<(Who, [u8; 8])>,
    disks: Vec<DiskMarks>,
    screens: Vec<Screen>,
    /// Messages that a disk of an identity held until it was put back.
    lost: BTreeSet<(Who, MessageId)>,
    /// Names an identity ever had at the directory.
    named: BTreeSet<(String, Who)>,
    failure: Option<String>,
    /// Says nothing: others judge.
    blind: bool,
    /// The directory lies: its word is no truth.
    malicious: bool,
    now_ms: u64,
    /// When one of an identity's disks was put back, or copied: what it does then it may have done otherwise before.
    forks: Vec<(Who, u64)>,
    /// When each epoch was first committed.
    epochs: BTreeMap<EpochId, u64>,
    /// The directory's clock was set: it may have confirmed that a machine's wrong clock is right.
    directory_stepped: bool,
    clocks: Vec<Clock>,
    /// How long everything was switched off.
    dark_ms: u64,
    lines: lines::Lines,
    groups: groups::Groups,
    files: files::Files,
    company: company::Company,
    /// Ids by tag.
    tags: BTreeMap<[u8; 8], MessageId>,
}

/// Asserts a promise, saying what is broken otherwise.
macro_rules! promise {
    ($model:expr, $holds:expr, $($broken:tt)*) => {
        if !$holds {
            $model.broken(format!($($broken)*));
        }
    };
}

impl Model {
    /// A new machine of `who`, with an empty disk or that of another one.
    pub(crate) fn machine(&mut self, who: Who, key: PublicKey, copied: Option<MachineNo>) {
        self.keys.insert(key, who);
        self.disks.push(copied.and_then(|from| self.disks.get(from).cloned()).unwrap_or_default());
        self.clocks.push(copied.and_then(|from| self.clocks.get(from).copied()).unwrap_or_default());
        // The other machine's clock is right.
        self.clock_stepped(self.disks.len() - 1, 0);
        let mut screen = copied.and_then(|from| self.screens.get(from).cloned()).unwrap_or_default();
        // What was shown there was shown in no start of the copy.
        screen.shown.values_mut().for_each(|(_, run)| *run = 0);
        screen.states.values_mut().for_each(|(_, _, _, run)| *run = 0);
        screen.page.begin_anew();
        self.screens.push(screen);
    }

    pub(crate) fn new(malicious: bool) -> Self {
        Self { malicious, ..Self::default() }
    }

    /// One that says nothing, in a world that somebody else judges.
    pub(crate) fn blind() -> Self {
        Self { blind: true, ..Self::default() }
    }

    /// The true time.
    pub(crate) fn at(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    pub(crate) fn directory_clock_stepped(&mut self) {
        self.directory_stepped = true;
    }

    /// The clock of a machine is off by so much from now on.
    pub(crate) fn clock_stepped(&mut self, machine: MachineNo, skew_ms: i64) {
        let clock = &mut self.clocks[machine];
        let step_ms = clock.skew_ms.abs_diff(skew_ms);
        clock.steps += u64::from(step_ms > 0);
        clock.stepped_ms += step_ms;
        clock.skew_ms = skew_ms;
    }

    pub(crate) fn dark(&mut self, for_ms: u64) {
        self.dark_ms += for_ms;
    }

    /// An item that was kept is not on the directory's disk any more, and nothing says why.
    pub(crate) fn let_go(&mut self, submitter: &PublicKey, place: &Place, tag: [u8; 8], kept_ms: u64) {
        let (Some(from), Some(to)) = (self.who(submitter), self.who(&place.recipient)) else { return };
        let Some(id) = self.tags.get(&tag).copied() else { return };
        let held = self.ever_held.contains(&(to, id));
        let mut own = self.disks.iter().flat_map(|disk| disk.own.values()).filter(|(own, _)| *own == id);
        let known = own.clone().next().is_some();
        let settled = own.any(|(_, state)| state.is_settled()) || self.is_copy_settled(id, to);
        // A store that was put back writes on in its old epoch until somebody tells it: there the place may be taken by
        // another message, or lie below the floor, and what comes is dropped. It is sent again in the new epoch, unless
        // it is the store's copy that is older than the message: then nobody but the directory knew it.
        let begun_ms = self.epochs.get(&place.epoch).copied().unwrap_or(0);
        let until_ms = if known { kept_ms } else { u64::MAX };
        let forked = |(who, at_ms): &(Who, u64)| *who == from && (begun_ms..=until_ms).contains(at_ms);
        let excused = self.forks.iter().any(forked) || self.is_of_somebody_blocked(from, to);
        promise!(self, held || settled || excused, "{id} was kept for {to}, who never held it, and it is gone");
    }

    pub(crate) fn broken(&mut self, how: String) {
        if !self.blind {
            self.failure.get_or_insert(how);
        }
    }

    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Messages that were queued.
    pub(crate) fn count(&self) -> usize {
        self.written.len()
    }

    pub(crate) fn who(&self, key: &PublicKey) -> Option<Who> {
        self.keys.get(key).copied()
    }

    pub(crate) fn marks(&self, machine: MachineNo) -> &DiskMarks {
        &self.disks[machine]
    }

    /// The disk of a machine is what it was when `marks` were taken; its screen begins anew.
    pub(crate) fn put_back(&mut self, machine: MachineNo, who: Who, marks: DiskMarks) {
        let before = std::mem::replace(&mut self.disks[machine], marks);
        let gone = before.theirs.difference(&self.disks[machine].theirs);
        self.lost.extend(gone.map(|(_, id)| (who, *id)));
        self.screens[machine] = Screen::default();
    }

    /// One identity has two pasts from now on.
    pub(crate) fn forked(&mut self, who: Who) {
        self.forks.push((who, self.now_ms));
    }

    /// A disk commits that it writes in this epoch.
    pub(crate) fn writes_in(&mut self, epoch: EpochId) {
        self.epochs.entry(epoch).or_insert(self.now_ms);
    }

    pub(crate) fn named(&mut self, name: &str, who: Who) {
        self.named.insert((name.to_owned(), who));
    }

    /// The sender's disk has committed a message.
    pub(crate) fn queued(&mut self, machine: MachineNo, who: Who, n: u64, message: &NewMessage, text: String) {
        let row = &message.row;
        let id = row.id;
        let all = std::iter::once(row.recipient).chain(message.copies.iter().map(|copy| copy.recipient));
        let recipients: BTreeSet<Who> = all.map(|key| self.who(&key).unwrap_or(usize::MAX)).collect();
        let group = match row.conversation {
            Conversation::Pair => None,
            Conversation::Group { id, .. } => Some(id),
        };
        let (body, urgent) = (row.body.clone(), row.urgent);
        let apart = recipients.len() == 1 + message.copies.len();
        promise!(self, apart, "machine {machine} queues two copies of {id} for one person");
        if let Some(group) = group {
            self.queued_in_group(machine, n, group, &recipients);
        }
        let written = Written { sender: who, body, text, urgent, recipients, group, queued_ms: self.now_ms };
        self.tags.insert(id.tag(), id);
        let before = self.written.insert(id, written);
        promise!(self, before.is_none(), "the id {id} was given twice");
        self.disks[machine].own_ids.insert(id);
        let taken = self.disks[machine].own.insert(n, (id, State::Queued));
        promise!(self, taken.is_none(), "machine {machine} gave the number {n} twice");
    }

    /// A row goes to another key.
    pub(crate) fn readdressed(&mut self, machine: MachineNo, n: u64, from: Option<Who>, to: Who) {
        if let Some(state) = from.and_then(|from| self.disks[machine].copies.remove(&(n, from))) {
            self.disks[machine].copies.insert((n, to), state);
        }
        let Some((id, _)) = self.disks[machine].own.get(&n).copied() else { return };
        if let Some(written) = self.written.get_mut(&id) {
            written.recipients.insert(to);
        }
    }

    /// The sender's disk has committed a state.
    pub(crate) fn state_committed(&mut self, machine: MachineNo, who: Who, n: u64, of: Option<Who>, state: State) {
        let Some((id, whole)) = self.disks[machine].own.get(&n).copied() else {
            return self.broken(format!("machine {machine} commits a state of its unknown message {n}"));
        };
        let copy = of.and_then(|of| Some((of, self.disks[machine].copies.get(&(n, of)).copied()?)));
        let before = copy.map_or(whole, |(_, before)| before);
        let allowed = match before {
            State::Queued | State::Kept | State::Held => true,
            State::Expired | State::Cancelled => state == State::Delivered,
            State::Delivered => state == State::Read,
            State::Read | State::Refused => false,
        };
        promise!(self, allowed, "machine {machine}: message {n} goes from {before:?} to {state:?}");
        let now = match copy {
            Some((of, _)) => self.copy_is(machine, n, id, of, state),
            None => state,
        };
        self.disks[machine].own.insert(n, (id, now));
        if now == State::Delivered {
            self.disks[machine].begun.entry(id).or_insert(self.now_ms);
        }
        self.is_true(machine, who, id, state);
    }

    /// No `delivered` and no `kept` that is not true.
    fn is_true(&mut self, machine: MachineNo, who: Who, id: MessageId, state: State) {
        match state {
            State::Delivered | State::Read => {
                let recipients = self.written.get(&id).map(|written| written.recipients.clone()).unwrap_or_default();
                let held = recipients.iter().any(|to| self.ever_held.contains(&(*to, id)));
                promise!(self, held, "machine {machine} says that {id} is delivered, and no disk has ever held it");
            }
            State::Kept => {
                let kept = self.malicious || self.ever_kept.contains(&(who, id.tag()));
                promise!(self, kept, "machine {machine} says that {id} is kept, and the directory's disk never was");
            }
            State::Expired => {
                let lived_ms = self.written.get(&id).map_or(0, |written| self.now_ms - written.queued_ms);
                let old = lived_ms + self.wrongly_aged_ms(machine) >= MESSAGE_LIFETIME_MS;
                promise!(self, old, "machine {machine} gives {id} up after {lived_ms} ms of life");
            }
            State::Refused => self.is_refused_rightly(machine, who, id),
            State::Queued | State::Held | State::Cancelled => {}
        }
    }

    /// By how much a machine may count more than has passed.
    fn wrongly_aged_ms(&self, machine: MachineNo) -> u64 {
        let clock = self.clocks[machine];
        if clock.steps == 0 {
            return LIFETIME_SLACK_MS;
        }
        // A clock that was behind when a message was written cannot tell time switched off before from time after.
        let small_ms = clock.steps * STEP_COUNTED_MS + self.dark_ms + LIFETIME_SLACK_MS;
        // What a clock leapt counts once a directory's says the same, which takes two that are wrong.
        small_ms + if self.directory_stepped { clock.stepped_ms } else { 0 }
    }

    /// The directory's disk has committed an item.
    pub(crate) fn kept(&mut self, submitter: &PublicKey, tag: [u8; 8]) {
        if let Some(who) = self.who(submitter) {
            self.ever_kept.insert((who, tag));
        }
    }

    /// A recipient's disk has committed a message as new.
    pub(crate) fn held(&mut self, machine: MachineNo, who: Who, arrival: &Arrival, n: u64) {
        let Arrival { sender, id, body, kind, received_at_ms, .. } = arrival;
        let id = *id;
        let Some(written) = self.written.get(&id).cloned() else {
            return self.broken(format!("machine {machine} holds {id}, which nobody has committed"));
        };
        promise!(self, self.who(sender) == Some(written.sender), "{id} came under another key than its sender's");
        promise!(self, written.recipients.contains(&who), "{id} came to {who}, for whom it is not");
        // What somebody does to a line of a group that they are not known in is kept as nothing.
        let refused = body.is_empty() && written.group.is_some() && !self.is_line(&id);
        // A word on durations from more than a day ahead of the recipient's clock.
        let now_ms = u64::try_from(*received_at_ms).unwrap_or(0);
        let ahead = body.is_empty() && *kind == Body::EXPIRY && id.unix_ms() > now_ms + DAY_MS;
        let refused = refused || ahead;
        let same =
            written.body == *body || self.is_as_edited(&id, body) || self.is_of_neither(&id, who, body) || refused;
        promise!(self, same, "{id} has another body than was written");
        let new = self.disks[machine].theirs.insert((written.sender, id));
        promise!(self, new, "machine {machine} stores {id} twice");
        self.is_welcome(machine, written.sender, arrival);
        self.came_as(machine, arrival);
        let before = self.disks[machine].numbers.insert(n, id);
        promise!(self, before.is_none(), "machine {machine} gave the number {n} twice");
        self.ever_held.insert((who, id));
    }

    /// A recipient's disk says that it has a message already.
    pub(crate) fn double(&mut self, machine: MachineNo, sender: &PublicKey, id: MessageId) {
        let held = self.who(sender).is_some_and(|from| self.disks[machine].theirs.contains(&(from, id)));
        promise!(self, held, "machine {machine} calls {id} a double and has never held it");
    }

    pub(crate) fn shown_committed(&mut self, machine: MachineNo, numbers: &[u64]) {
        let (disk, now_ms) = (&mut self.disks[machine], self.now_ms);
        for n in numbers {
            if disk.shown.insert(*n)
                && let Some(id) = disk.numbers.get(n)
            {
                disk.begun.entry(*id).or_insert(now_ms);
            }
        }
    }

    /// The program starts anew: it knows as shown what is marked so.
    pub(crate) fn started(&mut self, machine: MachineNo) {
        self.company_started(machine);
        let (screen, marks) = (&mut self.screens[machine], &self.disks[machine]);
        screen.last.clear();
        for id in marks.shown.difference(&marks.dismissed).filter_map(|n| marks.numbers.get(n)) {
            let line = !self.lines.changes_or_durations(id) && !self.files.is_word(id);
            if let Some(written) = self.written.get(id).filter(|written| line && !written.urgent) {
                let last = screen.last.entry((written.sender, written.group)).or_insert(*id);
                *last = (*last).max(*id);
            }
        }
    }

    /// A message was put out.
    pub(crate) fn shown(&mut self, machine: MachineNo, who: Who, run: u32, view: &MessageView) {
        let Some(written) = self.written.get(&view.id).cloned() else {
            return self.broken(format!("machine {machine} shows {}, which nobody wrote", view.id));
        };
        let (id, from) = (view.id, written.sender);
        self.is_rightly_offered(machine, view);
        if self.is_plain(&id) && view.file.is_none() {
            promise!(
                self,
                view.text.as_deref() == Some(&written.text),
                "{id} is shown with another text: {:?}",
                view.text
            );
        }
        self.is_as_written(machine, view);
        let held = self.disks[machine].theirs.contains(&(from, id));
        promise!(self, held, "machine {machine} shows {id} and does not hold it");
        let done = self.disks[machine].shown.contains(&view.n);
        promise!(self, !done, "machine {machine} shows {id} again, and it is marked as shown");
        self.stands(machine, who, view);
        let before = self.screens[machine].shown.insert(id, (view.n, run));
        if let Some((n, when)) = before {
            promise!(self, when != run, "machine {machine} shows {id} twice without a start between");
            promise!(self, n == view.n, "machine {machine} shows {id} as {n} and as {}", view.n);
        }
        if !view.urgent {
            self.is_in_order(machine, (from, written.group), view, before.is_some());
        }
        if let Some(group) = written.group {
            self.is_for_its_ears(machine, who, &group, view);
        }
        self.is_rightly_named(machine, from, &view.from);
    }

    fn is_in_order(&mut self, machine: MachineNo, from: (Who, Option<GroupId>), view: &MessageView, again: bool) {
        let last = self.screens[machine].last.get(&from).copied();
        let behind = last.is_some_and(|last| view.id < last);
        promise!(
            self,
            !behind || view.late || again,
            "machine {machine} shows {} after {last:?}, not as late",
            view.id
        );
        promise!(self, behind || !view.late || again, "machine {machine} shows {} as late and it is not", view.id);
        if !behind {
            self.screens[machine].last.insert(from, view.id);
        }
    }

    fn is_rightly_named(&mut self, machine: MachineNo, from: Who, name: &str) {
        let had = self.named.contains(&(name.to_owned(), from));
        promise!(self, had, "machine {machine} shows a message of {from} under the name {name}");
        let screen = &self.screens[machine];
        let pinned = screen.names.get(name).filter(|who| **who != from);
        let wrong = pinned.is_some() && !screen.accepted.contains(name);
        let before =
            screen.called.get(&from).filter(|before| *before != name && !screen.accepted.contains(*before)).cloned();
        let untold = before.is_some() && !screen.renamed.contains(name);
        promise!(self, !wrong, "machine {machine} shows {name} for another key than is pinned");
        promise!(
            self,
            !untold,
            "machine {machine} calls {from} {name}, and was not told that it was {before:?} before"
        );
        self.screens[machine].names.insert(name.to_owned(), from);
        self.screens[machine].called.insert(from, name.to_owned());
    }

    /// Somebody known has another name.
    pub(crate) fn renamed(&mut self, machine: MachineNo, new: &str) {
        self.screens[machine].renamed.insert(new.to_owned());
    }

    /// The user accepted the new key of a name.
    pub(crate) fn accepted(&mut self, machine: MachineNo, name: &str) {
        self.screens[machine].accepted.insert(name.to_owned());
    }

    /// An own message's state was told.
    pub(crate) fn told(&mut self, machine: MachineNo, run: u32, who: Who, view: &StateView) {
        let now = (view.state, view.reason, view.tally, run);
        let committed = self.disks[machine].own.get(&view.n).copied();
        let known = committed.is_some_and(|(id, _)| id == view.id);
        promise!(self, known, "machine {machine} tells of {} as {}, which its disk does not hold", view.id, view.n);
        let before = self.screens[machine].states.insert(view.id, now);
        promise!(self, before != Some(now), "machine {machine} tells {:?} of {} twice", now, view.id);
        self.is_true(machine, who, view.id, view.state);
    }

    /// A message is answered as queued.
    pub(crate) fn promised(&mut self, machine: MachineNo, n: u64, id: MessageId) {
        let held = self.disks[machine].own.get(&n).is_some_and(|(own, _)| *own == id);
        promise!(self, held, "machine {machine} calls {id} queued before its disk holds it");
    }

    /// Own messages of a machine that have no end yet, on its disk.
    pub(crate) fn unsettled(&self, machine: MachineNo) -> Vec<(u64, MessageId, State)> {
        let own = self.disks[machine].own.iter();
        own.filter(|(_, (_, state))| !state.is_settled()).map(|(n, (id, state))| (*n, *id, *state)).collect()
    }

    /// At the end: what stands as delivered is there, unless its recipient's disk was put back meanwhile.
    pub(crate) fn is_there(&mut self, machine: MachineNo, machines: &[(MachineNo, Who)]) {
        for (id, state) in self.disks[machine].own.clone().into_values() {
            if !matches!(state, State::Delivered | State::Read) {
                continue;
            }
            let Some(written) = self.written.get(&id).cloned() else { continue };
            let there = machines.iter().any(|(other, who)| {
                written.recipients.contains(who) && self.disks[*other].theirs.contains(&(written.sender, id))
            });
            let excused = written.recipients.iter().any(|to| self.lost.contains(&(*to, id)));
            promise!(self, there || excused, "{id} is delivered, and its recipient holds it no more");
        }
    }

    /// At the end: everything on the disk was shown.
    pub(crate) fn is_all_shown(&mut self, machine: MachineNo) {
        let (disk, screen) = (&self.disks[machine], &self.screens[machine]);
        let unmarked = disk.numbers.iter().filter(|(n, _)| !disk.shown.contains(n)).map(|(_, id)| *id);
        let missing: Vec<MessageId> =
            unmarked.filter(|id| self.is_line(id) && !screen.shown.contains_key(id)).collect();
        promise!(self, missing.is_empty(), "machine {machine} holds and never showed {missing:?}");
        self.are_changes_marked(machine);
    }
}

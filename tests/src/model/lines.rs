//! What must hold of lines that are edited, taken back, marked, read and vanish, beside what holds of every message.

use std::collections::{BTreeMap, BTreeSet};

use common::body::Body;
use common::message::MessageId;
use peer_core::event::{ChangeView, Event, MessageView};
use peer_core::stored::{Arrival, Gone, OutboxRow, State, StoredMessage};

use super::{MachineNo, Model, Who};

/// A look at the countdowns that was decided before a delivery and is committed after it begins that one's too, with the age it was
/// decided at: so much earlier at most, milliseconds.
const DECIDED_MS: u64 = 3_000;

/// A line as its writer's disk committed it.
#[derive(Debug, Clone)]
struct Line {
    kind: u16,
    text: String,
    vanishes_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Done {
    Edit(String),
    Delete,
    Reaction(String),
}

/// What somebody did to a line.
#[derive(Debug, Clone)]
struct Change {
    by: Who,
    author: Option<Who>,
    target: MessageId,
    done: Done,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: BTreeMap<MessageId, Line>,
    changes: BTreeMap<MessageId, Change>,
    /// Changes of each line.
    of: BTreeMap<MessageId, BTreeSet<MessageId>>,
    /// Words on how long texts stay: whose, how long.
    durations: BTreeMap<MessageId, (Who, Option<u64>)>,
    invitations: BTreeSet<MessageId>,
    /// Lines that some screen of somebody has put out.
    put_out: BTreeSet<(Who, MessageId)>,
    /// Who ever let others be told what was read.
    receipts: BTreeSet<Who>,
}

/// What one screen shows of lines.
#[derive(Debug, Clone, Default)]
pub(super) struct Page {
    /// The words that stand there; none: taken back.
    texts: BTreeMap<MessageId, Option<String>>,
    /// When each line was put out last, milliseconds.
    put_out_ms: BTreeMap<MessageId, u64>,
    /// Changes that were told, by number, and in which start of the program.
    told: BTreeMap<u64, u32>,
}

impl Page {
    /// What was told elsewhere was told in no start of this program.
    pub(super) fn begin_anew(&mut self) {
        self.told.values_mut().for_each(|run| *run = 0);
    }
}

impl Lines {
    /// Whether it is no line.
    pub(super) fn changes_or_durations(&self, id: &MessageId) -> bool {
        self.changes.contains_key(id) || self.durations.contains_key(id) || self.invitations.contains(id)
    }
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
    /// The sender's disk has committed a message: what it means for lines.
    pub(crate) fn means(&mut self, who: Who, row: &OutboxRow) {
        if self.means_of_files(who, row) {
            return;
        }
        let body = Body::decode(row.kind, &row.body);
        let (author, target, done) = match &body {
            Body::Edit(edit) => (Some(who), edit.target, Done::Edit(edit.text.clone())),
            Body::Delete(delete) => (Some(who), delete.target, Done::Delete),
            Body::Reaction(reaction) => {
                (self.who(&reaction.author), reaction.target, Done::Reaction(reaction.emoji.clone()))
            }
            Body::Invitation(_) => {
                self.lines.invitations.insert(row.id);
                return;
            }
            Body::Expiry(expiry) => {
                self.lines.durations.insert(row.id, (who, expiry.after_ms));
                return;
            }
            _ => {
                let vanishes_ms = match &body {
                    Body::Vanishing(vanishing) => Some(vanishing.after_ms),
                    _ => None,
                };
                let text = body.text().unwrap_or_default().to_owned();
                self.lines.lines.insert(row.id, Line { kind: row.kind, text, vanishes_ms });
                return;
            }
        };
        self.lines.of.entry(target).or_default().insert(row.id);
        self.lines.changes.insert(row.id, Change { by: who, author, target, done });
    }

    /// Whether a message is listed and put out as one.
    pub(super) fn is_line(&self, id: &MessageId) -> bool {
        !self.lines.changes_or_durations(id) && !self.files.is_word(id)
    }

    /// Whether nobody has done anything to a line.
    pub(super) fn is_plain(&self, id: &MessageId) -> bool {
        !self.lines.of.contains_key(id)
    }

    /// A disk says whether others are told what was read.
    pub(crate) fn receipts(&mut self, who: Who, on: bool) {
        if on {
            self.lines.receipts.insert(who);
        }
    }

    /// What a machine's disk holds, its own and others'.
    fn is_on_disk(&self, machine: MachineNo, by: Who, id: &MessageId) -> bool {
        let disk = &self.disks[machine];
        disk.theirs.contains(&(by, *id)) || disk.own_ids.contains(id)
    }

    /// What was done to a line, as far as a disk knows, the newest last.
    fn done_to(&self, machine: MachineNo, id: &MessageId) -> Vec<&Change> {
        let changes = self.lines.of.get(id).into_iter().flatten();
        let author = self.written.get(id).map(|written| written.sender);
        changes
            .filter_map(|change| Some((change, self.lines.changes.get(change)?)))
            .filter(|(id, change)| change.author == author && self.is_on_disk(machine, change.by, id))
            .map(|(_, change)| change)
            .collect()
    }

    /// Whether somebody was right to keep nothing of a message: it is about a line of neither of the two, since what it was said
    /// to has another key now.
    pub(super) fn is_of_neither(&self, id: &MessageId, who: Who, body: &[u8]) -> bool {
        let (change, written) = (self.lines.changes.get(id), self.written.get(id));
        body.is_empty()
            && change.zip(written).is_some_and(|(change, written)| {
                let readdressed = written.group.is_none() && written.recipients.len() > 1;
                readdressed && change.author != Some(who) && change.author != Some(written.sender)
            })
    }

    /// Whether a line is sent with the words of an edit that its writer made before it went out.
    pub(super) fn is_as_edited(&self, id: &MessageId, body: &[u8]) -> bool {
        let (Some(line), Some(written)) = (self.lines.lines.get(id), self.written.get(id)) else { return false };
        let (was, now) = (Body::decode(line.kind, &written.body), Body::decode(line.kind, body));
        was.reply_to() == now.reply_to() && now.text().is_some_and(|text| self.edits_of(id).any(|edit| edit == text))
    }

    /// A disk has a line with words that an edit gave it. The edit itself may have come before, to a disk that was put back.
    pub(super) fn came_as(&mut self, machine: MachineNo, arrival: &Arrival) {
        if self.is_as_edited(&arrival.id, &arrival.body)
            && let Some(words) = Body::decode(arrival.kind, &arrival.body).text()
        {
            self.disks[machine].came.insert(arrival.id, words.to_owned());
        }
    }

    /// The words that its writer ever gave a line.
    fn edits_of(&self, id: &MessageId) -> impl Iterator<Item = &str> {
        let writer = self.written.get(id).map(|written| written.sender);
        let changes = self.lines.of.get(id).into_iter().flatten().filter_map(|id| self.lines.changes.get(id));
        changes.filter(move |change| Some(change.by) == writer).filter_map(|change| match &change.done {
            Done::Edit(text) => Some(text.as_str()),
            Done::Delete | Done::Reaction(_) => None,
        })
    }

    /// A line is put out with words that it had at some time, as far as this disk knows.
    pub(super) fn is_as_written(&mut self, machine: MachineNo, view: &MessageView) {
        let Some(line) = self.lines.lines.get(&view.id).cloned() else { return };
        let done = self.done_to(machine, &view.id);
        let holds = match (view.gone, view.text.as_deref()) {
            // It may have been edited before it went out, and says so when the edit comes.
            (None, Some(text)) => text == line.text || self.edits_of(&view.id).any(|edit| edit == text),
            (None, None) => view.file.is_some(),
            (Some(Gone::Deleted), None) => done.iter().any(|change| change.done == Done::Delete),
            _ => false,
        };
        promise!(self, holds, "machine {machine} shows {} as {:?}, {:?}", view.id, view.text, view.gone);
    }

    pub(super) fn stands(&mut self, machine: MachineNo, who: Who, view: &MessageView) {
        self.lines.put_out.insert((who, view.id));
        let page = &mut self.screens[machine].page;
        page.texts.insert(view.id, view.text.clone());
        page.put_out_ms.insert(view.id, self.now_ms);
    }

    /// A change of a line, or of how long texts stay, was put out.
    pub(crate) fn changed(&mut self, machine: MachineNo, who: Who, run: u32, event: &Event) {
        let (mark, view, done) = match event {
            Event::Edited(view) => (view.mark, view, Done::Edit(view.text.clone())),
            Event::Deleted(view) => (view.mark, view, Done::Delete),
            Event::Reacted(view) => (view.mark, view, Done::Reaction(view.text.clone())),
            Event::Expiry { mark, .. } => return self.is_told_once(machine, run, *mark),
            _ => return,
        };
        self.is_told_once(machine, run, mark);
        let Some(change) = self.disks[machine].numbers.get(&mark).and_then(|id| self.lines.changes.get(id)).cloned()
        else {
            return self.broken(format!("machine {machine} tells a change {mark} that it does not hold"));
        };
        let right = change.target == view.id && change.done == done;
        promise!(self, right, "machine {machine} tells {event:?}, and it is {change:?}");
        self.is_known_line(machine, who, view);
        let texts = &mut self.screens[machine].page.texts;
        match (done, texts.get_mut(&view.id)) {
            (Done::Edit(text), Some(stands)) => *stands = Some(text),
            (Done::Delete, Some(stands)) => *stands = None,
            (Done::Reaction(_) | Done::Edit(_) | Done::Delete, _) => {}
        }
    }

    fn is_told_once(&mut self, machine: MachineNo, run: u32, mark: u64) {
        let done = self.disks[machine].shown.contains(&mark);
        promise!(self, !done, "machine {machine} tells the change {mark} again, and it is marked as put out");
        let before = self.screens[machine].page.told.insert(mark, run);
        promise!(self, before != Some(run), "machine {machine} tells the change {mark} twice without a start between");
    }

    /// What is told as changed was put out before, or is one's own.
    fn is_known_line(&mut self, machine: MachineNo, who: Who, view: &ChangeView) {
        let mine = self.written.get(&view.id).is_some_and(|written| written.sender == who);
        let shown = self.screens[machine].shown.contains_key(&view.id) || self.disks[machine].shown.contains(&view.n);
        promise!(self, mine || shown, "machine {machine} tells a change of {}, which it has not put out", view.id);
    }

    /// A disk has committed that own messages are read.
    pub(crate) fn read_committed(&mut self, machine: MachineNo, who: Who, read: &[(u64, MessageId, u64)]) {
        for (n, id, _) in read {
            self.state_committed(machine, who, *n, None, State::Read);
            let recipients = self.written.get(id).map(|written| written.recipients.clone()).unwrap_or_default();
            // Of two stores of one identity, either speaks for both.
            let twice = |to: &Who| self.forks.iter().any(|(who, _)| who == to);
            let put_out = |to: &Who| self.lines.put_out.contains(&(*to, *id)) || twice(to);
            let true_of = |to: &Who| put_out(to) && self.lines.receipts.contains(to);
            promise!(self, recipients.iter().any(true_of), "machine {machine} calls {id} read, and nobody has read it");
        }
    }

    /// A disk has committed that these texts are gone, since their time is over.
    pub(crate) fn vanished(&mut self, machine: MachineNo, numbers: &[u64]) {
        for n in numbers {
            let disk = &self.disks[machine];
            let Some(id) = disk.own.get(n).map(|(id, _)| *id).or_else(|| disk.numbers.get(n).copied()) else {
                return self.broken(format!("machine {machine} lets its unknown line {n} vanish"));
            };
            // It begins when the text is put out; that is committed later, much later on a disk that is slow.
            let put_out_ms = self.screens[machine].page.put_out_ms.get(&id).copied();
            let begun_ms =
                disk.begun.get(&id).map(|at_ms| put_out_ms.map_or(*at_ms, |put_out_ms| put_out_ms.min(*at_ms)));
            let vanishes_ms = self.lines.lines.get(&id).and_then(|line| line.vanishes_ms);
            let clocks_right = self.clocks[machine].steps == 0 && !self.directory_stepped;
            let over = match (begun_ms, vanishes_ms) {
                (Some(begun_ms), Some(vanishes_ms)) => {
                    !clocks_right || self.now_ms + DECIDED_MS >= begun_ms + vanishes_ms
                }
                _ => false,
            };
            promise!(
                self,
                over,
                "machine {machine} lets {id} vanish at {}, begun {begun_ms:?}, due after {vanishes_ms:?}",
                self.now_ms
            );
            self.disks[machine].gone.insert(id);
        }
    }

    /// At the end: a history holds the words that its disk knows last, what vanishes is gone, and the screen shows the same.
    pub(crate) fn is_edited_right(&mut self, machine: MachineNo, history: &[StoredMessage]) {
        for message in history {
            let Some(line) = self.lines.lines.get(&message.id).cloned() else { continue };
            let id = message.id;
            let done = self.done_to(machine, &id);
            let deleted = done.iter().any(|change| change.done == Done::Delete);
            let newest = done.iter().rev().find_map(|change| match &change.done {
                Done::Edit(text) => Some(text.clone()),
                _ => None,
            });
            let mut signs: BTreeMap<Who, String> = BTreeMap::new();
            for change in &done {
                if let Done::Reaction(sign) = &change.done {
                    signs.insert(change.by, sign.clone());
                }
            }
            signs.retain(|_, sign| !sign.is_empty());
            let came = self.disks[machine].came.get(&id).cloned();
            let text = newest.clone().or(came).unwrap_or(line.text);
            let body = Body::decode(message.kind, &message.body);
            // A file has no words, and nobody can give it any.
            let wordless = matches!(body, Body::File(_)).then_some("");
            let stands = body.text().or(wordless).map(str::to_owned);
            let vanished = self.disks[machine].gone.contains(&id);
            let right = match message.gone {
                None => !deleted && !vanished && stands.as_ref() == Some(&text) && message.edited == newest.is_some(),
                Some(Gone::Deleted) => deleted && stands.as_deref().unwrap_or_default().is_empty(),
                Some(Gone::Vanished) => vanished,
                Some(Gone::Forgotten) => false,
            };
            let has = (message.gone, stands.clone(), message.edited);
            promise!(self, right, "machine {machine} ends with {id} as {has:?}; {deleted}, {vanished}, {text:?}");
            let due = line.vanishes_ms.is_some() && self.disks[machine].begun.contains_key(&id);
            promise!(
                self,
                !due || message.gone.is_some(),
                "machine {machine} still has the text of {id}, put out long ago"
            );
            self.is_marked_right(machine, message, &signs);
            if let Some(shows) = self.screens[machine].page.texts.get(&id)
                && message.gone != Some(Gone::Vanished)
            {
                let same = shows.as_deref().unwrap_or_default() == stands.as_deref().unwrap_or_default();
                promise!(self, same, "the screen of machine {machine} ends with {id} as {:?}", shows.clone());
            }
        }
    }

    fn is_marked_right(&mut self, machine: MachineNo, message: &StoredMessage, signs: &BTreeMap<Who, String>) {
        // Whoever has another key meanwhile belongs to the conversation no more.
        let two = |written: &super::Written| written.recipients.len() == 1 && written.group.is_none();
        let two = self.written.get(&message.id).is_some_and(two);
        if !two || message.gone.is_some() {
            return;
        }
        let has: BTreeMap<Who, String> =
            message.reactions.iter().filter_map(|(key, sign)| Some((self.who(key)?, sign.clone()))).collect();
        promise!(self, has == *signs, "machine {machine} ends with {has:?} beside {}, not {signs:?}", message.id);
    }

    /// At the end: of the words on how long the texts of two people stay the newest counts.
    pub(crate) fn is_duration_right(&mut self, machine: MachineNo, who: Who, other: Who, after_ms: Option<u64>) {
        let mut newest = None;
        for (id, (by, after_ms)) in &self.lines.durations {
            let Some(written) = self.written.get(id) else { continue };
            let between = (*by == who && written.recipients.contains(&other)) || (*by == other);
            // From far ahead of the clock here.
            let disk = &self.disks[machine];
            let refused = disk.numbers.iter().any(|(n, of)| of == id && disk.dismissed.contains(n));
            if between && !refused && self.is_on_disk(machine, *by, id) {
                if written.recipients.len() != 1 {
                    return;
                }
                newest = *after_ms;
            }
        }
        promise!(self, newest == after_ms, "machine {machine} ends with {after_ms:?} towards {other}, not {newest:?}");
    }

    /// At the end: what changes a line that is here was put out, or its line was with it.
    pub(super) fn are_changes_marked(&mut self, machine: MachineNo) {
        let disk = &self.disks[machine];
        let unmarked = disk.numbers.iter().filter(|(n, _)| !disk.shown.contains(n));
        let missing: Vec<MessageId> = unmarked
            .filter(|(_, id)| match self.lines.changes.get(id) {
                Some(change) => change.author.is_some_and(|author| self.is_on_disk(machine, author, &change.target)),
                None => self.lines.durations.contains_key(id),
            })
            .map(|(_, id)| *id)
            .collect();
        promise!(self, missing.is_empty(), "machine {machine} holds changes and never put them out: {missing:?}");
    }
}

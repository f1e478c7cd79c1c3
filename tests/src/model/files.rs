//! What must hold of files, beside what holds of the messages that offer them: nothing comes that was not accepted, nobody gets
//! what was not offered to them, what is called done is there and right, and in the end what was accepted has come.

use std::collections::{BTreeMap, BTreeSet};

use common::body::{Body, File, FileFault};
use common::message::MessageId;
use peer_core::command::Command;
use peer_core::event::{FileTarget, FileView, MessageView};
use peer_core::stored::{FileRow, FileState, OutboxRow, State};

use super::{MachineNo, Model, Who};

/// A file with one person, on one disk: the message that offers it, and the other side.
type Key = (MessageId, Who);

/// How a file stands on one disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stand {
    /// Whoever's disk it is offers it.
    mine: bool,
    state: FileState,
    reason: Option<FileFault>,
}

/// What one disk says of files. Saved and put back with it.
#[derive(Debug, Clone, Default)]
pub(super) struct FileMarks {
    stands: BTreeMap<Key, Stand>,
    /// All states there ever were.
    ever: BTreeMap<MessageId, Vec<FileState>>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// What is offered, and by whom.
    offers: BTreeMap<MessageId, (Who, File)>,
    /// What is said of files: by whom, of which, to whom.
    words: BTreeMap<MessageId, (Who, MessageId)>,
    /// Who ever accepted which file.
    wanted: BTreeSet<(Who, MessageId)>,
    /// Who ever wanted one no more, be it an own one.
    unwanted: BTreeSet<(Who, MessageId)>,
    /// Who ever had which file whole.
    had: BTreeSet<(Who, MessageId)>,
    /// What own files held until their users wrote to them.
    spoilt: BTreeSet<[u8; 32]>,
    /// What was told as done, in which start of the program.
    told_done: BTreeSet<(MachineNo, u32, MessageId, String)>,
    /// Nothing befalls the world that may keep a file from who accepted it.
    strict: bool,
    /// Files that came, and pieces of them.
    done: u64,
    pieces: u64,
}

/// Asserts a promise, saying what is broken otherwise.
macro_rules! promise {
    ($model:expr, $holds:expr, $($broken:tt)*) => {
        if !$holds {
            $model.broken(format!($($broken)*));
        }
    };
}

impl Files {
    /// Whether a message says something of a file, and is no line.
    pub(super) fn is_word(&self, id: &MessageId) -> bool {
        self.words.contains_key(id)
    }
}

/// Whether a file may go on from one state to another.
fn leads(before: Stand, now: FileState) -> bool {
    use FileState::{Accepted, Cancelled, Declined, Done, Failed, Offered, Progress};
    match (before.state, now) {
        (_, Progress) => false,
        (before, now) if before == now => true,
        (Offered, Accepted | Declined | Failed | Cancelled) | (Accepted, Done | Failed | Cancelled) => true,
        (Failed, Accepted | Declined | Cancelled) => true,
        // What the recipient has, it has, and what it does not want it does not, whatever its sender heard or thought before.
        (Offered | Failed, Done) | (Accepted, Declined) => before.mine,
        _ => false,
    }
}

impl Model {
    /// Nothing befalls the world that may keep a file from who accepted it: no store is put back or copied, no name changes hands.
    pub(crate) fn files_are_strict(&mut self) {
        self.files.strict = true;
    }

    /// How many files came, and pieces of files.
    pub(crate) fn files_done(&self) -> (u64, u64) {
        (self.files.done, self.files.pieces)
    }

    /// The sender's disk has committed a message that offers a file or says something of one. Whether it is no line.
    pub(super) fn means_of_files(&mut self, who: Who, row: &OutboxRow) -> bool {
        match Body::decode(row.kind, &row.body) {
            Body::File(file) => {
                self.files.offers.insert(row.id, (who, file));
                false
            }
            Body::FileWord(word) => {
                self.files.words.insert(row.id, (who, word.offer));
                true
            }
            _ => false,
        }
    }

    /// What is put out as an offer is one, and of this file.
    pub(super) fn is_rightly_offered(&mut self, machine: MachineNo, view: &MessageView) {
        let shown = view.file.as_ref().map(|file| (file.name.clone(), file.size, file.sha256));
        let offer = self.files.offers.get(&view.id).map(|(_, file)| (file.name.clone(), file.size, file.sha256));
        let right = shown == offer || (view.gone.is_some() && shown.is_none());
        promise!(self, right, "machine {machine} shows {} as an offer of {shown:?}, not {offer:?}", view.id);
    }

    /// The user gives a command: what it says of a file.
    pub(crate) fn file_command(&mut self, machine: MachineNo, who: Who, command: &Command) {
        let (n, wants) = match command {
            Command::Accept { n, .. } => (n, true),
            Command::Decline(n) | Command::Cancel(n) | Command::Delete(n) => (n, false),
            _ => return,
        };
        let disk = &self.disks[machine];
        let Some(id) = disk.own.get(n).map(|(id, _)| *id).or_else(|| disk.numbers.get(n).copied()) else { return };
        let said = if wants { &mut self.files.wanted } else { &mut self.files.unwanted };
        said.insert((who, id));
    }

    /// The user writes to a file: what it held is no more.
    pub(crate) fn file_spoilt(&mut self, content: [u8; 32]) {
        self.files.spoilt.insert(content);
    }

    /// A piece of a file is written.
    pub(crate) fn file_written(&mut self, machine: MachineNo, who: Who, offer: MessageId) {
        self.files.pieces += 1;
        let wanted = self.files.wanted.contains(&(who, offer));
        promise!(self, wanted, "machine {machine} writes a file of {offer}, which its user did not accept");
    }

    /// A file lies there under its name; `right`: every piece, once, in its place.
    pub(crate) fn file_whole(&mut self, machine: MachineNo, who: Who, target: &FileTarget, right: bool) {
        promise!(self, right, "machine {machine} has a file of {} that is not what was offered", target.offer);
        let same = self.files.offers.get(&target.offer).is_some_and(|(_, file)| *file == target.file);
        promise!(self, same, "machine {machine} takes {} for another file than was offered", target.offer);
        self.files.had.insert((who, target.offer));
    }

    /// A machine gives a file to somebody.
    pub(crate) fn file_served(&mut self, machine: MachineNo, who: Who, to: Who, offer: MessageId, content: &[u8; 32]) {
        let offered = self.files.offers.get(&offer).is_some_and(|(by, file)| *by == who && file.blake3 == *content);
        let theirs = self.written.get(&offer).is_some_and(|written| written.recipients.contains(&to));
        promise!(
            self,
            offered && theirs,
            "machine {machine} gives {to} a file of {offer}, which is not offered to them"
        );
    }

    /// A disk has committed how a file stands.
    pub(crate) fn file_committed(&mut self, machine: MachineNo, who: Who, row: &FileRow, new: bool) {
        let mine = self.who(&row.author) == Some(who);
        let (Some(author), Some(other)) = (self.who(&row.author), self.who(&row.other)) else {
            return self.broken(format!("machine {machine} has a file of somebody who does not exist"));
        };
        let same = self.files.offers.get(&row.offer).is_none_or(|(by, file)| *by == author && *file == row.file);
        promise!(self, same, "machine {machine} has another file of {} than was offered", row.offer);
        let stand = Stand { mine, state: row.state, reason: row.reason };
        let before = self.disks[machine].files.stands.get(&(row.offer, other)).copied();
        if new && before.is_some() {
            return;
        }
        let leads = before.is_none_or(|before| leads(before, row.state));
        promise!(self, leads, "machine {machine}: the file of {} goes from {before:?} to {:?}", row.offer, row.state);
        self.is_true_of_file(machine, row, if mine { other } else { who });
        if row.state == FileState::Done && !mine && before.is_none_or(|before| before.state != FileState::Done) {
            self.files.done += 1;
        }
        let marks = &mut self.disks[machine].files;
        marks.stands.insert((row.offer, other), stand);
        marks.ever.entry(row.offer).or_default().push(row.state);
    }

    /// No `accepted` and no `done` that is not true of its recipient.
    fn is_true_of_file(&mut self, machine: MachineNo, row: &FileRow, recipient: Who) {
        let key = (recipient, row.offer);
        let holds = match row.state {
            FileState::Done => self.files.had.contains(&key),
            FileState::Accepted => self.files.wanted.contains(&key),
            _ => true,
        };
        let (offer, state) = (row.offer, row.state);
        promise!(self, holds, "machine {machine} calls the file of {offer} {state:?}, and for {recipient} it is not");
    }

    /// How a file stands was told.
    pub(crate) fn file_told(&mut self, machine: MachineNo, run: u32, view: &FileView) {
        let (offer, state) = (view.id, view.state);
        let ever = self.disks[machine].files.ever.get(&offer);
        let known = state == FileState::Progress || ever.is_some_and(|ever| ever.contains(&state));
        promise!(
            self,
            known,
            "machine {machine} tells that the file of {offer} is {state:?}, and its disk never said so"
        );
        if state == FileState::Done {
            let new = self.files.told_done.insert((machine, run, offer, view.to.clone()));
            promise!(self, new, "machine {machine} tells twice that the file of {offer} is done");
        }
    }

    /// Whether something that somebody said of a file was given up, so that the other side never heard it.
    fn is_word_lost(&self, offer: MessageId) -> bool {
        self.disks.iter().flat_map(|disk| disk.own.values()).any(|(id, state)| {
            let word = self.files.words.get(id).is_some_and(|(_, of)| *of == offer);
            word && matches!(state, State::Expired | State::Refused | State::Cancelled)
        })
    }

    /// Whether one of two ever blocked the other: then they may not hear what becomes of a file.
    fn are_apart(&self, one: Who, other: Who) -> bool {
        self.is_of_somebody_blocked(one, other) || self.is_of_somebody_blocked(other, one)
    }

    fn stand_at(&self, machines: &[(MachineNo, Who)], who: Who, key: Key) -> Option<Stand> {
        let machine = machines.iter().find(|(_, of)| *of == who).map(|(machine, _)| *machine)?;
        self.disks[machine].files.stands.get(&key).copied()
    }

    /// What is still to be done about the files on a disk.
    pub(crate) fn unsettled_files(&self, machine: MachineNo, machines: &[(MachineNo, Who)]) -> Vec<String> {
        let me = machines[machine].1;
        let open = |((offer, other), stand): &(&Key, &Stand)| {
            let there = self.stand_at(machines, *other, (*offer, me)).map(|stand| stand.state);
            match stand.state {
                _ if self.are_apart(me, *other) => false,
                FileState::Accepted if stand.mine => !self.is_word_lost(*offer),
                FileState::Offered if stand.mine => {
                    there.is_some_and(|there| there != FileState::Offered) && !self.is_word_lost(*offer)
                }
                FileState::Offered | FileState::Accepted => true,
                // The user wants it again.
                FileState::Failed => {
                    !stand.mine && matches!(stand.reason, Some(FileFault::DiskFull | FileFault::HashWrong))
                }
                _ => false,
            }
        };
        if !self.files.strict {
            return Vec::new();
        }
        let all = self.disks[machine].files.stands.iter();
        all.filter(open).map(|((offer, other), stand)| format!("{offer} with {other}: {stand:?}")).collect()
    }

    /// At the end: what was accepted, and what nobody wanted no more, has come, and both know.
    pub(crate) fn are_files_right(&mut self, machine: MachineNo, machines: &[(MachineNo, Who)]) {
        let me = machines[machine].1;
        for ((offer, other), stand) in self.disks[machine].files.stands.clone() {
            let Some((author, file)) = self.files.offers.get(&offer).cloned() else { continue };
            if !self.files.strict || self.is_word_lost(offer) || self.are_apart(me, other) {
                continue;
            }
            let there = self.stand_at(machines, other, (offer, me));
            let unwanted = [me, other].iter().any(|who| self.files.unwanted.contains(&(*who, offer)));
            let spoilt = self.files.spoilt.contains(&file.blake3);
            let state = there.map(|there| there.state);
            let right = match stand.state {
                FileState::Done if stand.mine => state == Some(FileState::Done),
                FileState::Done => state == Some(FileState::Done) || self.files.unwanted.contains(&(author, offer)),
                FileState::Failed => spoilt,
                FileState::Cancelled if stand.mine && there.is_none() => unwanted || self.is_not_delivered(offer),
                FileState::Declined | FileState::Cancelled => unwanted,
                FileState::Offered => stand.mine && there.is_none(),
                FileState::Accepted | FileState::Progress => false,
            };
            promise!(
                self,
                right,
                "machine {machine} ends with the file of {offer} {stand:?}, the other side {there:?}"
            );
        }
    }

    /// Whether the message that offers a file did not reach everybody.
    fn is_not_delivered(&self, offer: MessageId) -> bool {
        let own = self.disks.iter().flat_map(|disk| disk.own.values());
        own.filter(|(id, _)| *id == offer).any(|(_, state)| !matches!(state, State::Delivered | State::Read))
    }
}

//! What several logs say together: a message at its sender, at the directory and at its recipient.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use common::message::MessageId;

use super::line::{Kept, State};
use super::{At, Court, Rule};

/// What all logs say.
#[derive(Default)]
pub(super) struct Facts {
    /// Keys whose logs are here.
    peers: HashSet<String>,
    /// A directory's log is here.
    directory: bool,
    /// Id: sender, and to whom.
    written: HashMap<String, (String, BTreeSet<String>)>,
    /// Id: the kind it was written as.
    kinds: HashMap<String, u16>,
    /// Recipient and id: sender, and where it was committed.
    held: BTreeMap<(String, String), (String, At)>,
    /// Recipient, id and kind, and where: as what it is held.
    held_as: BTreeMap<(String, String, u16), At>,
    /// Submitter and tag.
    kept: HashSet<(String, String)>,
    /// Sender and id that are said to be kept, or delivered.
    said_kept: BTreeMap<(String, String), At>,
    said_delivered: BTreeMap<(String, String), At>,
    /// Sender and id: the last state, in each store of the sender.
    ends: BTreeMap<(String, String), Vec<(State, At)>>,
}

impl Facts {
    pub(super) fn peer(&mut self, key: &str) {
        self.peers.insert(key.to_owned());
    }

    pub(super) fn directory(&mut self) {
        self.directory = true;
    }

    pub(super) fn kept(&mut self, kept: &Kept) {
        self.kept.insert((kept.submitter.clone(), kept.tag.clone()));
    }

    pub(super) fn written(&mut self, sender: &str, id: &str, to: &str) {
        let written = self.written.entry(id.to_owned()).or_insert_with(|| (sender.to_owned(), BTreeSet::new()));
        written.1.insert(to.to_owned());
    }

    pub(super) fn kind(&mut self, id: &str, kind: Option<u16>) {
        if let Some(kind) = kind {
            self.kinds.entry(id.to_owned()).or_insert(kind);
        }
    }

    pub(super) fn held(&mut self, recipient: &str, sender: &str, id: &str, kind: Option<u16>, at: At) {
        if let Some(kind) = kind {
            self.held_as.entry((recipient.to_owned(), id.to_owned(), kind)).or_insert(at);
        }
        self.held.entry((recipient.to_owned(), id.to_owned())).or_insert_with(|| (sender.to_owned(), at));
    }

    pub(super) fn said(&mut self, sender: &str, id: &str, state: State, at: At) {
        let said = match state {
            State::Kept => &mut self.said_kept,
            State::Delivered | State::Read => &mut self.said_delivered,
            _ => return,
        };
        said.entry((sender.to_owned(), id.to_owned())).or_insert(at);
    }

    pub(super) fn ended(&mut self, sender: &str, id: &str, state: State, at: At) {
        self.ends.entry((sender.to_owned(), id.to_owned())).or_default().push((state, at));
    }

    pub(super) fn judge(&self, court: &mut Court<'_>, healed: bool) {
        for ((_, id), at) in &self.said_delivered {
            let to = self.written.get(id).map(|(_, to)| to);
            let mut known = to.into_iter().flatten().filter(|to| self.peers.contains(*to)).peekable();
            if known.peek().is_some() && !known.any(|to| self.held.contains_key(&(to.clone(), id.clone()))) {
                court.breach(Rule::Kept, format!("{id} is delivered, and its recipient never held it"), &[*at]);
            }
        }
        for ((sender, id), at) in self.said_kept.iter().filter(|_| self.directory) {
            let kept = tag(id).is_some_and(|tag| self.kept.contains(&(sender.clone(), tag)));
            if !kept {
                court.breach(Rule::Kept, format!("{id} is kept, and the directory never kept it"), &[*at]);
            }
        }
        for ((recipient, id), (sender, at)) in &self.held {
            let written = self.written.get(id);
            let right = written.is_some_and(|(from, to)| from == sender && to.contains(recipient));
            if self.peers.contains(sender) && !right {
                let what = format!("{id} is held as a message of {sender}, who did not write it to {recipient}");
                court.breach(Rule::Written, what, &[*at]);
            }
        }
        for ((_, id, kind), at) in &self.held_as {
            if self.kinds.get(id).is_some_and(|written| written != kind) {
                court.breach(Rule::Written, format!("{id} is held as one of another kind than was written"), &[*at]);
            }
        }
        for ((_, id), ends) in self.ends.iter().filter(|_| healed) {
            if !ends.iter().any(|(state, _)| state.is_settled()) {
                let lines: Vec<At> = ends.iter().map(|(_, at)| *at).collect();
                court.breach(Rule::End, format!("{id} has no end: {:?}", ends[0].0), &lines);
            }
        }
    }
}

/// What the directory sees of an id.
fn tag(id: &str) -> Option<String> {
    let byte = |place: usize| id.get(2 * place..2 * place + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    let bytes: Option<Vec<u8>> = (0..16).map(byte).collect();
    let tag = MessageId(bytes?.try_into().ok()?).tag();
    Some(tag.iter().map(|byte| format!("{byte:02x}")).collect())
}

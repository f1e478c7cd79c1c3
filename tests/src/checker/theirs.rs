//! A store's messages of others: committed once, shown once and in order, under the right name; and what is said to
//! their senders of having them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use common::body::Body;
use common::identity::PublicKey;

use super::across::Facts;
use super::line::{Record, Theirs as Arrived};
use super::{At, Court, Rule};

struct Message {
    id: String,
    from: String,
    ordered: bool,
    conversation: String,
    kind: Option<u16>,
    at: At,
    /// The run in which it came or was listed as not put out yet.
    open_in: u32,
    shown: Option<(u32, At)>,
    put_out: bool,
    marked: bool,
    dismissing: bool,
    dismissed: bool,
}

impl Message {
    /// Whether it is a line of its conversation; none: its kind is not known.
    fn is_line(&self) -> Option<bool> {
        self.kind.map(Body::is_line)
    }

    /// What it may leave the store's list by without a record. What changes a line is settled with that line's commit.
    fn may_be_gone(&self) -> bool {
        self.put_out || self.marked || self.dismissing || self.dismissed || self.is_line() == Some(false)
    }

    /// It goes to the fronts. When it did before, and in which run.
    fn goes_out(&mut self, n: u64, run: u32, at: At, court: &mut Court<'_>) -> Option<(u32, At)> {
        let before = self.shown.replace((run, at));
        if self.dismissed {
            court.breach(Rule::Line, format!("message {n} is shown, and it was dismissed"), &[self.at, at]);
        } else if let Some((_, before)) = before.filter(|(shown_in, _)| *shown_in == run) {
            court.breach(Rule::Once, format!("message {n} is shown twice in one run"), &[before, at]);
        } else if self.open_in != run {
            let what = format!("message {n} is shown again, and it was put out before");
            court.breach(Rule::Once, what, &[self.at, at]);
        }
        before
    }

    /// What happened to it that it is there for.
    fn is_done(&self) -> bool {
        match self.kind {
            Some(Body::INVITATION) => true,
            Some(kind) if Body::is_line(kind) => self.shown.is_some() || self.dismissed,
            // Changes are shown when they are told. A start may list what an older program's log says no kind of.
            _ => self.shown.is_some() || self.put_out || self.marked || self.dismissed,
        }
    }
}

/// A message shown under a name that nothing pinned before; the turn it was shown in may still do so.
struct Unpinned {
    turn: u64,
    name: String,
    key: String,
    at: At,
}

/// All messages of others in a store.
pub(super) struct Theirs {
    me: String,
    run: u32,
    shows: bool,
    messages: BTreeMap<u64, Message>,
    of_id: HashMap<(String, String), u64>,
    listed: BTreeSet<u64>,
    /// Highest ordered id shown, by sender and conversation.
    last: HashMap<(String, String), String>,
    /// Directory and name, in lower case: the key.
    pins: HashMap<(String, String), String>,
    unpinned: Vec<Unpinned>,
    /// Sender and epoch: what is held, by seq.
    lanes: HashMap<(String, String), HashMap<u64, String>>,
    /// The same, as listed at a start, where the ids are not.
    lanes_listed: HashSet<(String, String, u64)>,
}

impl Theirs {
    pub(super) fn new(me: &str) -> Self {
        Self {
            me: me.to_owned(),
            run: 0,
            shows: false,
            messages: BTreeMap::new(),
            of_id: HashMap::new(),
            listed: BTreeSet::new(),
            last: HashMap::new(),
            pins: HashMap::new(),
            unpinned: Vec::new(),
            lanes: HashMap::new(),
            lanes_listed: HashSet::new(),
        }
    }

    pub(super) fn put_back(&mut self) {
        *self = Self::new(&self.me);
    }

    pub(super) fn start(&mut self, run: u32, shows: bool) {
        (self.run, self.shows) = (run, shows);
        self.listed.clear();
        self.last.clear();
        self.pins.clear();
        // The turn was cut off, and with it what it may have pinned.
        self.unpinned.clear();
    }

    /// The store has listed what it holds open. What was never put out cannot be marked so.
    pub(super) fn listed(&mut self, at: At, court: &mut Court<'_>) {
        for (n, message) in &self.messages {
            if !message.may_be_gone() && !self.listed.contains(n) {
                let what = format!("message {n} was committed, never put out, and is not in the store any more");
                court.breach(Rule::Kept, what, &[message.at, at]);
            }
        }
    }

    pub(super) fn read(&mut self, turn: u64, record: &Record, at: At, facts: &mut Facts, court: &mut Court<'_>) {
        self.turn(turn, court);
        match record {
            Record::Pin { directory, name, key } => {
                let place = (directory.clone(), name.to_lowercase());
                match key {
                    Some(key) => self.pins.insert(place, key.clone()),
                    None => self.pins.remove(&place),
                };
                let (name, key) = (name.to_lowercase(), key.as_deref().unwrap_or_default());
                self.unpinned.retain(|shown| shown.turn != turn || shown.name != name || shown.key != key);
            }
            Record::Lane { from, epoch, held } => {
                for seq in held.iter().flat_map(|(first, last)| *first..=*last) {
                    self.lanes_listed.insert((from.clone(), epoch.clone(), seq));
                }
            }
            Record::LastShown { from, conversation, id } => {
                self.last.insert((from.clone(), conversation.clone()), id.clone());
            }
            Record::Unshown(message) => self.unshown(message, at, facts, court),
            Record::Committed(message) => self.committed(message, at, facts, court),
            Record::Double { id, from, epoch, seq, kind, .. } => {
                facts.held(&self.me, from, id, *kind, at);
                self.hold(from, epoch.as_deref(), *seq, id, at, court);
            }
            Record::Acknowledged { to, epoch, floor, top, missing } => {
                self.acknowledged(to, epoch, *floor..=*top, missing, at, court);
            }
            Record::Shown { n, id, name, late } => self.shown(turn, *n, id, name, *late, at, court),
            Record::Changed { n } => self.changed(*n, at, court),
            Record::PutOut { n } => self.put_out(n, at, court),
            Record::Marked { n } => self.each(n, |message| message.marked = true),
            Record::Dismissing { n } => self.each(n, |message| message.dismissing = true),
            Record::Dismissed { n } => self.dismissed(n, at, court),
            _ => {}
        }
    }

    fn each(&mut self, numbers: &[u64], change: impl Fn(&mut Message)) {
        for n in numbers {
            self.messages.get_mut(n).into_iter().for_each(&change);
        }
    }

    /// What earlier turns left unpinned stays so.
    fn turn(&mut self, turn: u64, court: &mut Court<'_>) {
        for Unpinned { name, key, at, .. } in self.unpinned.extract_if(.., |shown| shown.turn != turn) {
            let what = format!("shown under the name {name:?}, which is not pinned to {key}");
            court.breach(Rule::Name, what, &[at]);
        }
    }

    fn put_out(&mut self, numbers: &[u64], at: At, court: &mut Court<'_>) {
        for n in numbers {
            let Some(message) = self.messages.get_mut(n) else { continue };
            if message.kind.is_some() && message.shown.is_none_or(|(run, _)| run != self.run) {
                court.breach(Rule::Committed, format!("message {n} is put out and was not shown"), &[message.at, at]);
            }
            message.put_out = true;
        }
    }

    fn dismissed(&mut self, numbers: &[u64], at: At, court: &mut Court<'_>) {
        for n in numbers {
            let Some(message) = self.messages.get_mut(n) else { continue };
            message.dismissed = true;
            if let Some((_, before)) = message.shown.filter(|(run, _)| *run == self.run) {
                court.breach(Rule::Line, format!("message {n} is dismissed, and was shown"), &[before, at]);
            }
        }
    }

    fn unshown(&mut self, message: &Arrived, at: At, facts: &mut Facts, court: &mut Court<'_>) {
        facts.held(&self.me, &message.from, &message.id, message.kind, at);
        self.listed.insert(message.n);
        let run = self.run;
        if let Some(known) = self.messages.get_mut(&message.n) {
            known.open_in = run;
            if known.marked || known.dismissed {
                let what = format!("message {} was marked as put out, or dismissed, and is not any more", message.n);
                court.breach(Rule::Kept, what, &[known.at, at]);
            }
        } else {
            self.insert(message, at, court);
        }
    }

    fn committed(&mut self, message: &Arrived, at: At, facts: &mut Facts, court: &mut Court<'_>) {
        facts.held(&self.me, &message.from, &message.id, message.kind, at);
        self.hold(&message.from, message.epoch.as_deref(), message.seq, &message.id, at, court);
        self.insert(message, at, court);
    }

    fn insert(&mut self, message: &Arrived, at: At, court: &mut Court<'_>) {
        let Arrived { n, id, from, ordered, conversation, kind, .. } = message.clone();
        if let Some(before) = self.of_id.insert((from.clone(), id.clone()), n) {
            let lines: Vec<At> = self.messages.get(&before).map(|known| known.at).into_iter().chain([at]).collect();
            court.breach(Rule::Once, format!("{id} is in the store twice"), &lines);
        }
        let message = Message {
            id,
            from,
            ordered,
            conversation,
            kind,
            at,
            open_in: self.run,
            shown: None,
            put_out: false,
            marked: false,
            dismissing: false,
            dismissed: false,
        };
        self.messages.insert(n, message);
    }

    fn hold(&mut self, from: &str, epoch: Option<&str>, seq: Option<u64>, id: &str, at: At, court: &mut Court<'_>) {
        let Some((epoch, seq)) = epoch.zip(seq) else { return };
        let lane = self.lanes.entry((from.to_owned(), epoch.to_owned())).or_default();
        let known = lane.entry(seq).or_insert_with(|| id.to_owned());
        if known != id {
            court.breach(Rule::Place, format!("{known} and {id} are held at one place of a lane"), &[at]);
        }
    }

    fn acknowledged(
        &mut self,
        to: &str,
        epoch: &str,
        range: std::ops::RangeInclusive<u64>,
        missing: &[(u64, u64)],
        at: At,
        court: &mut Court<'_>,
    ) {
        let lane = (to.to_owned(), epoch.to_owned());
        let held = self.lanes.get(&lane);
        let said = |seq: &u64| !missing.iter().any(|(first, last)| (first..=last).contains(&seq));
        let is_held = |seq: &u64| {
            held.is_some_and(|held| held.contains_key(seq))
                || self.lanes_listed.contains(&(to.to_owned(), epoch.to_owned(), *seq))
        };
        if let Some(seq) = range.filter(said).find(|seq| !is_held(seq)) {
            court.breach(Rule::Committed, format!("place {seq} is acknowledged and not committed"), &[at]);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one record")]
    fn shown(&mut self, turn: u64, n: u64, id: &str, name: &str, late: bool, at: At, court: &mut Court<'_>) {
        let Some(message) = self.messages.get_mut(&n) else {
            court.breach(Rule::Committed, format!("message {n} is shown and not committed"), &[at]);
            return;
        };
        if message.id != id {
            court.breach(Rule::Once, format!("message {n} is shown as {id}"), &[message.at, at]);
            return;
        }
        if message.is_line() == Some(false) {
            court.breach(Rule::Line, format!("message {n} is shown as a line and is none"), &[message.at, at]);
            return;
        }
        let before = message.goes_out(n, self.run, at, court);
        let (from, ordered) = (message.from.clone(), message.ordered);
        if ordered {
            let stream = (from.clone(), message.conversation.clone());
            self.in_order(stream, id, late, before.is_some(), at, court);
        }
        self.named(turn, name, from, at);
    }

    /// What is no line is told once, too.
    fn changed(&mut self, n: u64, at: At, court: &mut Court<'_>) {
        match self.messages.get_mut(&n) {
            None => court.breach(Rule::Committed, format!("the change {n} is told and not committed"), &[at]),
            Some(message) if message.is_line() == Some(true) => {
                court.breach(Rule::Line, format!("message {n} is told as a change and is a line"), &[message.at, at]);
            }
            Some(message) => {
                message.goes_out(n, self.run, at, court);
            }
        }
    }

    fn in_order(&mut self, stream: (String, String), id: &str, late: bool, again: bool, at: At, court: &mut Court<'_>) {
        let last = self.last.get(&stream);
        let behind = last.is_some_and(|last| id < last.as_str());
        if behind && !late && !again {
            court.breach(Rule::Order, format!("{id} is shown after {last:?} and not as late"), &[at]);
        }
        if late && !behind && !again {
            court.breach(Rule::Order, format!("{id} is shown as late and is not"), &[at]);
        }
        if !behind {
            self.last.insert(stream, id.to_owned());
        }
    }

    fn named(&mut self, turn: u64, name: &str, key: String, at: At) {
        let folded = name.to_lowercase();
        let pinned = self.pins.iter().any(|((_, pinned), to)| *pinned == folded && *to == key);
        if !pinned && fingerprint(&key).as_deref() != Some(name) {
            self.unpinned.push(Unpinned { turn, name: folded, key, at });
        }
    }

    pub(super) fn finish(mut self, court: &mut Court<'_>, healed: bool) {
        // Only a later turn makes it certain; a log may end within one.
        self.unpinned.clear();
        if !healed || !self.shows {
            return;
        }
        for (n, message) in &self.messages {
            let named = self.pins.values().any(|key| *key == message.from);
            if named && !message.is_done() {
                court.breach(Rule::End, format!("message {n} is committed and was never shown"), &[message.at]);
            }
        }
    }
}

fn fingerprint(key: &str) -> Option<String> {
    let byte = |place: usize| key.get(2 * place..2 * place + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    let bytes: Option<Vec<u8>> = (0..32).map(byte).collect();
    Some(PublicKey(bytes?.try_into().ok()?).fingerprint().to_string())
}

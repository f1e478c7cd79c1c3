//! A store's messages of others: committed once, shown once and in order, under the right name; and what is said to
//! their senders of having them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use common::identity::PublicKey;

use super::across::Facts;
use super::line::{Record, Theirs as Arrived};
use super::{At, Court, Rule};

struct Message {
    id: String,
    from: String,
    ordered: bool,
    conversation: String,
    at: At,
    /// The run in which it came or was listed as not put out yet.
    open_in: u32,
    shown: Option<(u32, At)>,
    put_out: bool,
    marked: bool,
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
            if !message.put_out && !message.marked && !self.listed.contains(n) {
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
            Record::Double { id, from, epoch, seq, .. } => {
                facts.held(&self.me, from, id, at);
                self.hold(from, epoch.as_deref(), *seq, id, at, court);
            }
            Record::Acknowledged { to, epoch, floor, top, missing } => {
                self.acknowledged(to, epoch, *floor..=*top, missing, at, court);
            }
            Record::Shown { n, id, name, late } => self.shown(turn, *n, id, name, *late, at, court),
            Record::PutOut { n } => self.each(n, |message| message.put_out = true),
            Record::Marked { n } => self.each(n, |message| message.marked = true),
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

    fn unshown(&mut self, message: &Arrived, at: At, facts: &mut Facts, court: &mut Court<'_>) {
        facts.held(&self.me, &message.from, &message.id, at);
        self.listed.insert(message.n);
        let run = self.run;
        if let Some(known) = self.messages.get_mut(&message.n) {
            known.open_in = run;
            if known.marked {
                let what = format!("message {} was marked as put out, and is not any more", message.n);
                court.breach(Rule::Kept, what, &[known.at, at]);
            }
        } else {
            self.insert(message, at, court);
        }
    }

    fn committed(&mut self, message: &Arrived, at: At, facts: &mut Facts, court: &mut Court<'_>) {
        facts.held(&self.me, &message.from, &message.id, at);
        self.hold(&message.from, message.epoch.as_deref(), message.seq, &message.id, at, court);
        self.insert(message, at, court);
    }

    fn insert(&mut self, message: &Arrived, at: At, court: &mut Court<'_>) {
        let Arrived { n, id, from, ordered, conversation, .. } = message.clone();
        if let Some(before) = self.of_id.insert((from.clone(), id.clone()), n) {
            let lines: Vec<At> = self.messages.get(&before).map(|known| known.at).into_iter().chain([at]).collect();
            court.breach(Rule::Once, format!("{id} is in the store twice"), &lines);
        }
        let (shown, put_out, marked) = (None, false, false);
        let message = Message { id, from, ordered, conversation, at, open_in: self.run, shown, put_out, marked };
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
        let before = message.shown.replace((self.run, at));
        if let Some((_, before)) = before.filter(|(run, _)| *run == self.run) {
            court.breach(Rule::Once, format!("message {n} is shown twice in one run"), &[before, at]);
        } else if message.open_in != self.run {
            let what = format!("message {n} is shown again, and it was put out before");
            court.breach(Rule::Once, what, &[message.at, at]);
        }
        let (from, ordered) = (message.from.clone(), message.ordered);
        if ordered {
            let stream = (from.clone(), message.conversation.clone());
            self.in_order(stream, id, late, before.is_some(), at, court);
        }
        self.named(turn, name, from, at);
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
            if named && message.shown.is_none() && !message.put_out && !message.marked {
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

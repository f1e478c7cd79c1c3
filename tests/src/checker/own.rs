//! A store's own messages: their places, their states, and what is said of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use common::body::Body;

use super::across::Facts;
use super::line::{Record, Start, State};
use super::{At, Court, Rule};

type Word = (State, Option<String>);

/// The last word told of a message, with the tally of its copies, in which run, and where.
type Told = (Word, Option<Vec<u64>>, u32, At);

/// An own message on its way to one person; one to a group has several, all under one number.
struct Message {
    id: String,
    kind: Option<u16>,
    state: State,
    at: At,
    /// Every state it was ever committed in.
    committed: HashSet<Word>,
}

/// All own messages of a store.
pub(super) struct Own {
    me: String,
    run: u32,
    crashed: bool,
    /// By number and recipient.
    messages: BTreeMap<(u64, String), Message>,
    told: BTreeMap<u64, Told>,
    /// The store is older than what is known of it: it was put back, or it is a copy.
    older: bool,
    /// States of messages that it holds from then, by number: settled, and so not listed at a start.
    from_then: HashMap<u64, HashSet<Word>>,
    /// Recipient, epoch and seq: who has the place.
    places: HashMap<(String, String, u64), (String, At)>,
    listed: BTreeSet<(u64, String)>,
}

impl Own {
    pub(super) fn new(me: &str) -> Self {
        Self {
            me: me.to_owned(),
            run: 0,
            crashed: false,
            messages: BTreeMap::new(),
            told: BTreeMap::new(),
            older: false,
            from_then: HashMap::new(),
            places: HashMap::new(),
            listed: BTreeSet::new(),
        }
    }

    pub(super) fn put_back(&mut self) {
        *self = Self { older: true, ..Self::new(&self.me) };
    }

    pub(super) fn start(&mut self, run: u32, start: &Start) {
        self.older |= run == 1 && start.new == Some(false);
        (self.run, self.crashed) = (run, start.crashed);
        self.listed.clear();
    }

    /// The store has listed what it holds open.
    pub(super) fn listed(&mut self, at: At, court: &mut Court<'_>) {
        for (place, message) in &self.messages {
            if !message.state.is_settled() && !self.listed.contains(place) {
                let n = place.0;
                let what = format!("message {n} was committed, has no end, and is not in the store any more");
                court.breach(Rule::Kept, what, &[message.at, at]);
            }
        }
    }

    pub(super) fn read(&mut self, record: &Record, at: At, facts: &mut Facts, court: &mut Court<'_>) {
        match record {
            Record::Outbox { n, id, to, epoch, seq, state, reason, kind } => {
                self.place(id, to, epoch.as_deref(), *seq, at, court);
                self.found_elsewhere(*n, to, facts);
                self.listed.insert((*n, to.clone()));
                if self.messages.contains_key(&(*n, to.clone())) {
                    self.enter(*n, to, (*state, reason.clone()), true, at, facts, court);
                } else {
                    self.new_message(*n, id, *kind, to, (*state, reason.clone()), at, facts);
                }
            }
            Record::Queued { n, id, to, epoch, seq, kind } => {
                self.place(id, to, epoch.as_deref(), *seq, at, court);
                self.new_message(*n, id, *kind, to, (State::Queued, None), at, facts);
            }
            Record::Moved { n, from, to, epoch, seq } => {
                let from = from.as_ref().unwrap_or(to);
                if let Some(id) = self.messages.get(&(*n, from.clone())).map(|message| message.id.clone()) {
                    self.place(&id, to, epoch.as_deref(), *seq, at, court);
                }
                self.moved(*n, from, to, facts);
            }
            // A state on the way to somebody it does not go to any more changes nothing.
            Record::State { n, to, state, reason } => {
                self.enter(*n, to, (*state, reason.clone()), false, at, facts, court);
            }
            Record::Told { n, id, state, reason, tally } => {
                self.told(*n, id, &(*state, reason.clone()), tally.clone(), at, court);
            }
            Record::Answered { id: Some(id), n: Some(n), again: false }
                if !self.copies(*n).any(|message| message.id == *id) =>
            {
                court.breach(Rule::Committed, format!("message {n} is answered as queued and was not"), &[at]);
            }
            Record::Sent { id, to, epoch, seq } => {
                let place = (to.clone(), epoch.clone(), *seq);
                let whose = self.places.get(&place);
                if whose.is_none_or(|(whose, _)| whose != id) {
                    let what = format!("{id} is sent in a place that was not committed for it");
                    let lines: Vec<At> = whose.map(|(_, at)| *at).into_iter().chain([at]).collect();
                    court.breach(Rule::Committed, what, &lines);
                }
            }
            _ => {}
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one record")]
    fn new_message(&mut self, n: u64, id: &str, kind: Option<u16>, to: &str, word: Word, at: At, facts: &mut Facts) {
        facts.written(&self.me, id, to);
        facts.kind(id, kind);
        facts.said(&self.me, id, word.0, at);
        let (id, to, state) = (id.to_owned(), to.to_owned(), word.0);
        let committed = HashSet::from([word]);
        self.messages.insert((n, to), Message { id, kind, state, at, committed });
    }

    fn copies(&self, n: u64) -> impl Iterator<Item = &Message> {
        self.messages.range((n, String::new())..(n + 1, String::new())).map(|(_, message)| message)
    }

    fn place(&mut self, id: &str, to: &str, epoch: Option<&str>, seq: u64, at: At, court: &mut Court<'_>) {
        let Some(epoch) = epoch else { return };
        let place = (to.to_owned(), epoch.to_owned(), seq);
        let (whose, before) = self.places.entry(place).or_insert_with(|| (id.to_owned(), at));
        if whose != id {
            court.breach(Rule::Place, format!("place {seq} of one lane and epoch is given twice"), &[*before, at]);
        }
    }

    fn moved(&mut self, n: u64, from: &str, to: &str, facts: &mut Facts) {
        if from != to
            && let Some(message) = self.messages.remove(&(n, from.to_owned()))
        {
            facts.written(&self.me, &message.id, to);
            self.messages.insert((n, to.to_owned()), message);
        }
    }

    /// A crash may have come between a move and its record: what goes to one person alone is where the store has it.
    fn found_elsewhere(&mut self, n: u64, to: &str, facts: &mut Facts) {
        let known: Vec<String> =
            self.messages.range((n, String::new())..(n + 1, String::new())).map(|((_, to), _)| to.clone()).collect();
        if let [only] = known.as_slice()
            && !self.listed.contains(&(n, only.clone()))
        {
            self.moved(n, only, to, facts);
        }
    }

    /// `found`: the store says so at a start; several steps may have been taken that nobody was told.
    #[expect(clippy::too_many_arguments, reason = "the fields of one record")]
    fn enter(&mut self, n: u64, to: &str, word: Word, found: bool, at: At, facts: &mut Facts, court: &mut Court<'_>) {
        let Some(message) = self.messages.get_mut(&(n, to.to_owned())) else {
            if self.older {
                self.from_then.entry(n).or_default().insert(word);
            }
            return;
        };
        let (before, state) = (message.state, word.0);
        let allowed = match before {
            State::Queued | State::Kept | State::Held => true,
            State::Expired | State::Cancelled => state == State::Delivered || found && state == State::Read,
            State::Delivered => state == State::Read,
            State::Read | State::Refused => false,
        };
        if !(allowed || found && state == before) {
            let what = format!("message {n} goes from {before:?} to {state:?}");
            court.breach(Rule::Arrow, what, &[message.at, at]);
        }
        facts.said(&self.me, &message.id, state, at);
        (message.state, message.at) = (state, at);
        message.committed.insert(word);
    }

    fn told(&mut self, n: u64, id: &str, word: &Word, tally: Option<Vec<u64>>, at: At, court: &mut Court<'_>) {
        // That of a message to a group is the state of one copy, and the reason of another.
        let said = |committed: &Word| *committed == *word || (tally.is_some() && committed.0 == word.0);
        let known = self.copies(n).filter(|message| message.id == id).any(|message| message.committed.iter().any(said));
        let from_then = self.from_then.get(&n).is_some_and(|committed| committed.iter().any(said));
        // A copy that was settled before is not listed, and may be the one whose state is told.
        let known = known || self.older && tally.is_some() || from_then && self.copies(n).next().is_none();
        if !known {
            court.breach(Rule::Committed, format!("message {n} is told as {word:?}, which is not committed"), &[at]);
            return;
        }
        let change = self.copies(n).find(|message| message.kind.is_some_and(|kind| !Body::is_line(kind)));
        if let Some(change) = change {
            court.breach(Rule::Line, format!("message {n} is told of, and is no line"), &[change.at, at]);
        }
        if let Some((last, count, run, before)) = self.told.get(&n)
            && (last, count) == (word, &tally)
            && (*run == self.run || !self.crashed)
        {
            court.breach(Rule::Told, format!("message {n} is told as {word:?} twice"), &[*before, at]);
        }
        self.told.insert(n, (word.clone(), tally, self.run, at));
    }

    pub(super) fn finish(self, facts: &mut Facts) {
        for message in self.messages.into_values() {
            facts.ended(&self.me, &message.id, message.state, message.at);
        }
    }
}

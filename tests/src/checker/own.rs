//! A store's own messages: their places, their states, and what is said of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::across::Facts;
use super::line::{Record, State};
use super::{At, Court, Rule};

type Word = (State, Option<String>);

/// An own message.
struct Message {
    id: String,
    to: String,
    state: State,
    at: At,
    /// Every state it was ever committed in.
    committed: HashSet<Word>,
    /// The last word told, when, and where.
    told: Option<(Word, u32, At)>,
}

/// All own messages of a store.
pub(super) struct Own {
    me: String,
    run: u32,
    crashed: bool,
    messages: BTreeMap<u64, Message>,
    /// Recipient, epoch and seq: who has the place.
    places: HashMap<(String, String, u64), (String, At)>,
    listed: BTreeSet<u64>,
}

impl Own {
    pub(super) fn new(me: &str) -> Self {
        Self {
            me: me.to_owned(),
            run: 0,
            crashed: false,
            messages: BTreeMap::new(),
            places: HashMap::new(),
            listed: BTreeSet::new(),
        }
    }

    pub(super) fn put_back(&mut self) {
        *self = Self::new(&self.me);
    }

    pub(super) fn start(&mut self, run: u32, crashed: bool) {
        (self.run, self.crashed) = (run, crashed);
        self.listed.clear();
    }

    /// The store has listed what it holds open.
    pub(super) fn listed(&mut self, at: At, court: &mut Court<'_>) {
        for (n, message) in &self.messages {
            if !message.state.is_settled() && !self.listed.contains(n) {
                let what = format!("message {n} was committed, has no end, and is not in the store any more");
                court.breach(Rule::Kept, what, &[message.at, at]);
            }
        }
    }

    pub(super) fn read(&mut self, record: &Record, at: At, facts: &mut Facts, court: &mut Court<'_>) {
        match record {
            Record::Outbox { n, id, to, epoch, seq, state, reason } => {
                self.listed.insert(*n);
                self.place(id, to, epoch.as_deref(), *seq, at, court);
                if self.messages.contains_key(n) {
                    self.moved(*n, to, facts);
                    self.enter(*n, (*state, reason.clone()), true, at, facts, court);
                } else {
                    self.new_message(*n, id, to, (*state, reason.clone()), at, facts);
                }
            }
            Record::Queued { n, id, to, epoch, seq } => {
                self.place(id, to, epoch.as_deref(), *seq, at, court);
                self.new_message(*n, id, to, (State::Queued, None), at, facts);
            }
            Record::Moved { n, to, epoch, seq } => {
                if let Some(id) = self.messages.get(n).map(|message| message.id.clone()) {
                    self.place(&id, to, epoch.as_deref(), *seq, at, court);
                }
                self.moved(*n, to, facts);
            }
            // A state on the way to somebody it does not go to any more changes nothing.
            Record::State { n, to, state, reason } if self.messages.get(n).is_some_and(|message| message.to == *to) => {
                self.enter(*n, (*state, reason.clone()), false, at, facts, court);
            }
            Record::Told { n, id, state, reason } => self.told(*n, id, &(*state, reason.clone()), at, court),
            Record::Answered { id: Some(id), n: Some(n), again: false }
                if self.messages.get(n).is_none_or(|message| message.id != *id) =>
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

    fn new_message(&mut self, n: u64, id: &str, to: &str, word: Word, at: At, facts: &mut Facts) {
        facts.written(&self.me, id, to);
        facts.said(&self.me, id, word.0, at);
        let (id, to, state) = (id.to_owned(), to.to_owned(), word.0);
        let committed = HashSet::from([word]);
        self.messages.insert(n, Message { id, to, state, at, committed, told: None });
    }

    fn place(&mut self, id: &str, to: &str, epoch: Option<&str>, seq: u64, at: At, court: &mut Court<'_>) {
        let Some(epoch) = epoch else { return };
        let place = (to.to_owned(), epoch.to_owned(), seq);
        let (whose, before) = self.places.entry(place).or_insert_with(|| (id.to_owned(), at));
        if whose != id {
            court.breach(Rule::Place, format!("place {seq} of one lane and epoch is given twice"), &[*before, at]);
        }
    }

    fn moved(&mut self, n: u64, to: &str, facts: &mut Facts) {
        if let Some(message) = self.messages.get_mut(&n).filter(|message| message.to != to) {
            to.clone_into(&mut message.to);
            facts.written(&self.me, &message.id, to);
        }
    }

    /// `found`: the store says so at a start; several steps may have been taken that nobody was told.
    fn enter(&mut self, n: u64, word: Word, found: bool, at: At, facts: &mut Facts, court: &mut Court<'_>) {
        let Some(message) = self.messages.get_mut(&n) else { return };
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

    fn told(&mut self, n: u64, id: &str, word: &Word, at: At, court: &mut Court<'_>) {
        let known = self.messages.get_mut(&n).filter(|message| message.id == id);
        let Some(message) = known.filter(|message| message.committed.contains(word)) else {
            court.breach(Rule::Committed, format!("message {n} is told as {word:?}, which is not committed"), &[at]);
            return;
        };
        if let Some((last, run, before)) = &message.told
            && last == word
            && (*run == self.run || !self.crashed)
        {
            court.breach(Rule::Told, format!("message {n} is told as {word:?} twice"), &[*before, at]);
        }
        message.told = Some((word.clone(), self.run, at));
    }

    pub(super) fn finish(self, facts: &mut Facts) {
        for message in self.messages.into_values() {
            facts.ended(&self.me, &message.id, message.state, message.at);
        }
    }
}

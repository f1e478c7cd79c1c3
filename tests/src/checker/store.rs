//! One peer's store, as its log tells of it from run to run. Its two halves are in `own` and `theirs`.

use std::collections::HashMap;

use super::across::Facts;
use super::line::Record;
use super::own::Own;
use super::theirs::Theirs;
use super::{At, Court, Rule};

/// What is known of a store.
pub(super) struct PeerStore {
    key: String,
    run: u32,
    /// What the store holds open is being listed.
    listing: bool,
    /// Who has each number.
    numbers: HashMap<u64, (String, At)>,
    own: Own,
    theirs: Theirs,
}

impl PeerStore {
    pub(super) fn new(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            run: 0,
            listing: false,
            numbers: HashMap::new(),
            own: Own::new(key),
            theirs: Theirs::new(key),
        }
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// It is what it was before: what it held meanwhile is not expected in it any more.
    pub(super) fn put_back(&mut self) {
        self.numbers.clear();
        self.own.put_back();
        self.theirs.put_back();
        self.listing = false;
    }

    pub(super) fn read(&mut self, turn: u64, record: &Record, at: At, facts: &mut Facts, court: &mut Court<'_>) {
        match record {
            Record::Start(start) => {
                self.run += 1;
                self.listing = true;
                self.own.start(self.run, start);
                self.theirs.start(self.run, start.shows);
                return;
            }
            Record::Outbox { n, id, .. } | Record::Queued { n, id, .. } | Record::Double { n, id, .. } => {
                self.number(*n, id, at, court);
            }
            Record::Unshown(message) | Record::Committed(message) => self.number(message.n, &message.id, at, court),
            _ => {}
        }
        let lists = matches!(
            record,
            Record::Pin { .. }
                | Record::Outbox { .. }
                | Record::Lane { .. }
                | Record::LastShown { .. }
                | Record::Unshown(_)
        );
        // A line that was cut off reads as something else too: only a turn says that the list was whole.
        if self.listing && turn > 0 && !lists {
            self.listing = false;
            self.own.listed(at, court);
            self.theirs.listed(at, court);
        }
        self.own.read(record, at, facts, court);
        self.theirs.read(turn, record, at, facts, court);
    }

    fn number(&mut self, n: u64, id: &str, at: At, court: &mut Court<'_>) {
        let (known, before) = self.numbers.entry(n).or_insert_with(|| (id.to_owned(), at));
        if known != id {
            court.breach(Rule::Once, format!("the number {n} belongs to two messages"), &[*before, at]);
        }
    }

    pub(super) fn finish(self, facts: &mut Facts, court: &mut Court<'_>, healed: bool) {
        self.own.finish(facts);
        self.theirs.finish(court, healed);
    }
}

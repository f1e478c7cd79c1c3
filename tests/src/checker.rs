//! The history checker: reads the event logs of any number of programs, over any number of their runs, and says which
//! promise was broken, and which lines show it. It knows the format of the logs and the promises, no program and no core.
//!
//! What holds at every moment is always checked; what holds only once everything had time to arrive, when `healed` is said.

mod across;
mod line;
mod own;
mod store;
mod theirs;

use std::fmt;

pub use line::{Log, PUT_BACK};

use across::Facts;
use line::{Entry, Record};
use store::PeerStore;

/// What is promised, and so what can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// A log has a hole or is not what it should be: nothing can be said of its program.
    Readable,
    /// Once everything had time to arrive: every message has an end, and what arrived was shown.
    End,
    /// What was committed or said to be safe is there.
    Kept,
    /// A message enters a conversation once, under one number, and is not put out again once that is noted.
    Once,
    /// Messages of one sender in one conversation come out in the order they were sent; a late one says that it is.
    Order,
    /// A name stands for the key pinned for it.
    Name,
    /// States go along the arrows.
    Arrow,
    /// A state is told once; after a crash, the last one again.
    Told,
    /// A place in a lane is given to one message.
    Place,
    /// Nothing is said, shown, sent or acknowledged before it is committed.
    Committed,
    /// Nothing is there that its sender did not write to this recipient.
    Written,
    /// What is shown as a message, and told of as one, is a line of a conversation: nothing that changes a line, nothing dismissed.
    Line,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Which.
    pub rule: Rule,
    /// How.
    pub what: String,
    /// The lines that show it, each with its log's name and its number.
    pub lines: Vec<String>,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)?;
        self.lines.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// A line of a log: which log, which line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct At(usize, usize);

/// Collects breaches.
struct Court<'a> {
    logs: &'a [Log],
    breaches: Vec<Breach>,
}

impl Court<'_> {
    fn breach(&mut self, rule: Rule, what: impl Into<String>, lines: &[At]) {
        let shown = lines.iter().filter_map(|at| self.logs.get(at.0).map(|log| log.show(at.1)));
        self.breaches.push(Breach { rule, what: what.into(), lines: shown.collect() });
    }
}

/// Checks all logs together. `healed`: every program ran and reached the others long enough before its log ends.
#[must_use]
pub fn check(logs: &[Log], healed: bool) -> Vec<Breach> {
    let mut court = Court { logs, breaches: Vec::new() };
    for (number, log) in logs.iter().enumerate() {
        for (what, line) in log.damage() {
            court.breach(Rule::Readable, what, &[At(number, line)]);
        }
    }
    if !court.breaches.is_empty() {
        return court.breaches;
    }
    let mut facts = Facts::default();
    for (number, log) in logs.iter().enumerate() {
        read(number, log, &mut facts, &mut court, healed);
    }
    facts.judge(&mut court, healed);
    court.breaches
}

/// The stores of one log. Usually one: another identity may have been given the same file.
fn read(number: usize, log: &Log, facts: &mut Facts, court: &mut Court<'_>, healed: bool) {
    let mut stores: Vec<PeerStore> = Vec::new();
    let mut current = None;
    for (place, Entry { turn, record, .. }) in log.entries().iter().enumerate() {
        let at = At(number, place);
        match record {
            Record::Start(start) if start.role == "directory" => {
                current = None;
                facts.directory();
            }
            Record::Start(start) => {
                let known = stores.iter().position(|store| store.key() == start.key);
                current = Some(known.unwrap_or_else(|| {
                    facts.peer(&start.key);
                    stores.push(PeerStore::new(&start.key));
                    stores.len() - 1
                }));
            }
            Record::Kept(kept) => facts.kept(kept),
            _ => {}
        }
        match (record, current) {
            (Record::PutBack, _) => stores.iter_mut().for_each(PeerStore::put_back),
            (_, Some(store)) => stores[store].read(*turn, record, at, facts, court),
            (_, None) => {}
        }
    }
    for store in stores {
        store.finish(facts, court, healed);
    }
}

#[cfg(test)]
mod tests;

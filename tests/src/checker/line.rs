//! Event logs as they are read: lines, and the records in them. What they mean is elsewhere.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// To be appended to a program's log by whoever puts its data directory back to what it was before.
pub const PUT_BACK: &str = "{\"event\":\"put-back\"}\n";

/// One program's log, over all its runs.
#[derive(Debug, Clone)]
pub struct Log {
    name: String,
    text: String,
    entries: Vec<Entry>,
    damage: Vec<(String, usize)>,
}

/// A line of it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    number: usize,
    from: usize,
    to: usize,
    pub(super) turn: u64,
    pub(super) record: Record,
}

impl Log {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        Ok(Self::parse(&name, String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Takes a log's text. A line that was cut off is passed over where a run may have been killed: at the end, and
    /// before a start.
    #[must_use]
    pub fn parse(name: &str, text: String) -> Self {
        let (mut entries, mut damage): (Vec<Entry>, Vec<(String, usize)>) = (Vec::new(), Vec::new());
        let mut torn: Option<usize> = None;
        let mut from = 0;
        for (number, line) in text.split('\n').enumerate() {
            let to = from + line.len();
            if !line.is_empty() {
                match serde_json::from_str::<Stamped>(line) {
                    Ok(Stamped { turn, record }) => {
                        let anew = matches!(record, Record::Start(_) | Record::PutBack);
                        if matches!(record, Record::Hole) {
                            damage.push((format!("{name} has a hole"), entries.len()));
                        }
                        if let Some(place) = torn.take().filter(|_| !anew) {
                            damage.push((format!("{name} has a broken line within a run"), place));
                        }
                        entries.push(Entry { number: number + 1, from, to, turn, record });
                    }
                    Err(error) => {
                        if torn.is_some() {
                            damage.push((format!("{name} is no event log: {error}"), entries.len()));
                        }
                        torn = Some(entries.len());
                        let record = Record::Other;
                        entries.push(Entry { number: number + 1, from, to, turn: 0, record });
                    }
                }
            }
            from = to + 1;
        }
        Self { name: name.to_owned(), text, entries, damage }
    }

    /// How many records it holds.
    #[must_use]
    pub fn records(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn damage(&self) -> Vec<(String, usize)> {
        self.damage.clone()
    }

    pub(super) fn show(&self, entry: usize) -> String {
        let Some(entry) = self.entries.get(entry) else { return self.name.clone() };
        format!("{}:{}: {}", self.name, entry.number, self.text.get(entry.from..entry.to).unwrap_or_default())
    }
}

#[derive(Debug, Deserialize)]
struct Stamped {
    #[serde(default)]
    turn: u64,
    #[serde(flatten)]
    record: Record,
}

/// Where an own message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    Queued,
    Kept,
    Delivered,
    Read,
    Held,
    Expired,
    Refused,
    Cancelled,
}

impl State {
    pub(super) fn is_settled(self) -> bool {
        !matches!(self, Self::Queued | Self::Kept | Self::Held)
    }
}

/// What the checker knows to read. Fields it has no use for are not here.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Record {
    Start(Start),
    Pin {
        directory: String,
        name: String,
        key: Option<String>,
    },
    Outbox {
        n: u64,
        id: String,
        to: String,
        epoch: Option<String>,
        seq: u64,
        state: State,
        reason: Option<String>,
        kind: Option<u16>,
    },
    Lane {
        from: String,
        epoch: String,
        held: Vec<(u64, u64)>,
    },
    LastShown {
        from: String,
        conversation: String,
        id: String,
    },
    Unshown(Theirs),
    Answered {
        id: Option<String>,
        n: Option<u64>,
        #[serde(default)]
        again: bool,
    },
    Queued {
        n: u64,
        id: String,
        to: String,
        epoch: Option<String>,
        seq: u64,
        kind: Option<u16>,
    },
    State {
        n: u64,
        to: String,
        state: State,
        reason: Option<String>,
    },
    Moved {
        n: u64,
        /// Whose lane it leaves.
        from: Option<String>,
        to: String,
        epoch: Option<String>,
        seq: u64,
    },
    Told {
        n: u64,
        id: String,
        state: State,
        reason: Option<String>,
        /// How many copies of a message to a group are where.
        tally: Option<Vec<u64>>,
    },
    Sent {
        id: String,
        to: String,
        epoch: String,
        seq: u64,
    },
    Committed(Theirs),
    Double {
        n: u64,
        id: String,
        from: String,
        epoch: Option<String>,
        seq: Option<u64>,
        kind: Option<u16>,
    },
    Acknowledged {
        to: String,
        epoch: String,
        floor: u64,
        top: u64,
        missing: Vec<(u64, u64)>,
    },
    Shown {
        n: u64,
        id: String,
        name: String,
        late: bool,
    },
    /// A change of a line, or of how a conversation goes on, goes to the fronts.
    Changed {
        n: u64,
    },
    PutOut {
        n: Vec<u64>,
    },
    Marked {
        n: Vec<u64>,
    },
    /// Asked of the store.
    Dismissing {
        n: Vec<u64>,
    },
    Dismissed {
        n: Vec<u64>,
    },
    Kept(Kept),
    PutBack,
    Hole,
    #[serde(other)]
    Other,
}

/// A run begins.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Start {
    pub(super) role: String,
    pub(super) key: String,
    /// Whether the store begins with this run.
    pub(super) new: Option<bool>,
    #[serde(default)]
    pub(super) crashed: bool,
    #[serde(default)]
    pub(super) shows: bool,
}

/// Somebody else's message.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Theirs {
    pub(super) n: u64,
    pub(super) id: String,
    pub(super) from: String,
    pub(super) ordered: bool,
    pub(super) conversation: String,
    pub(super) epoch: Option<String>,
    pub(super) seq: Option<u64>,
    /// Of the body; logs of older programs do not say it of what a start lists.
    pub(super) kind: Option<u16>,
}

/// The directory has committed an item.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Kept {
    pub(super) submitter: String,
    pub(super) tag: String,
}

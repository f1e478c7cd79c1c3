//! A file that was offered, as it stands with each person it is for: one, or the members of a group.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Wanted;

/// The last `file` object of each copy, by the name of its recipient.
#[derive(Debug, Clone, Default)]
pub(super) struct Copies(BTreeMap<String, Value>);

impl Copies {
    pub(super) fn take(&mut self, value: &Value) {
        self.0.insert(value["to"].as_str().unwrap_or_default().to_owned(), value.clone());
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Value> {
        self.0.values()
    }

    /// How many are where the file is wanted.
    pub(super) fn there(&self, wanted: Wanted) -> u64 {
        self.count(|value| is_there(value, wanted))
    }

    /// How many are there, or do not get there any more.
    pub(super) fn settled(&self, wanted: Wanted) -> u64 {
        let ended = |value: &Value| matches!(value["state"].as_str(), Some("declined" | "failed" | "cancelled"));
        self.count(|value| is_there(value, wanted) || ended(value))
    }

    pub(super) fn in_state(&self, state: &str) -> u64 {
        self.count(|value| value["state"] == state)
    }

    fn count(&self, is: impl Fn(&Value) -> bool) -> u64 {
        self.0.values().filter(|value| is(value)).count() as u64
    }
}

fn is_there(value: &Value, wanted: Wanted) -> bool {
    match (wanted, value["state"].as_str()) {
        (_, Some("done")) => true,
        (_, Some("declined" | "failed" | "cancelled")) | (Wanted::Delivered, _) => false,
        (Wanted::Kept, _) => value["kept"] == true,
        (Wanted::Queued, _) => true,
    }
}

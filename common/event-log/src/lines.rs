//! Records as JSON lines: the event first, then the turn it belongs to and the time. Writes no file.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde_json::{Map, Value};

/// Records of one kind that others can cause at will and that are noted at once; after them one in [`SOME_EVERY_MS`].
pub const SOME_AT_ONCE: u64 = 100;
/// See [`SOME_AT_ONCE`], milliseconds.
pub const SOME_EVERY_MS: i64 = 10_000;

/// What may still be noted of one kind.
#[derive(Debug)]
struct Allowance {
    left: u64,
    /// Up to when it was filled.
    filled_ms: i64,
    omitted: u64,
}

impl Allowance {
    fn fill(&mut self, at_ms: i64) {
        // A clock that was put back starts the wait anew.
        self.filled_ms = self.filled_ms.min(at_ms);
        let due = at_ms.abs_diff(self.filled_ms) / SOME_EVERY_MS.unsigned_abs();
        self.left = self.left.saturating_add(due).min(SOME_AT_ONCE);
        self.filled_ms = self.filled_ms.saturating_add_unsigned(due * SOME_EVERY_MS.unsigned_abs());
    }
}

/// The records of one run that are not written yet.
#[derive(Debug, Default)]
pub struct Lines {
    turn: u64,
    at_ms: i64,
    bytes: Vec<u8>,
    allowances: BTreeMap<&'static str, Allowance>,
}

impl Lines {
    /// Before the first turn of a run, at this wall clock, milliseconds since 1970.
    #[must_use]
    pub fn new(at_ms: i64) -> Self {
        Self { at_ms, ..Self::default() }
    }

    /// A turn of the loop begins. What the core is told and wants until the next one belongs together.
    pub fn turn(&mut self, at_ms: i64) {
        self.turn += 1;
        self.at_ms = at_ms;
    }

    /// What was noted since the last call, as whole lines. To be written before the outputs of the turn are carried
    /// out, so that nothing is said that is not here.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Notes an event of a kind that others can cause at will, unless there were too many of them lately: then it is
    /// counted, and the next one noted tells in `omitted` how many of its kind were left out before it.
    pub fn put_some(&mut self, event: &'static str, mut fields: Value) {
        let full = Allowance { left: SOME_AT_ONCE, filled_ms: self.at_ms, omitted: 0 };
        let allowance = self.allowances.entry(event).or_insert(full);
        allowance.fill(self.at_ms);
        if allowance.left == 0 {
            allowance.omitted += 1;
            return;
        }
        allowance.left -= 1;
        let omitted = std::mem::take(&mut allowance.omitted);
        if omitted > 0 {
            fields["omitted"] = omitted.into();
        }
        self.put(event, fields);
    }

    /// Notes an event with its fields, an object.
    pub fn put(&mut self, event: &str, fields: Value) {
        let mut line = Map::new();
        line.insert("event".into(), event.into());
        line.insert("turn".into(), self.turn.into());
        line.insert("at_ms".into(), self.at_ms.into());
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        self.bytes.extend_from_slice(Value::Object(line).to_string().as_bytes());
        self.bytes.push(b'\n');
    }
}

/// Keys, ids and epochs as records hold them.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_is_one_line_with_the_event_first_and_is_taken_once() {
        let mut lines = Lines::new(5);
        lines.put("start", json!({"key": hex(&[0x0a, 0xff])}));
        lines.turn(6);
        lines.put("exit", json!({"how": "a\nb"}));
        let text = String::from_utf8(lines.take()).unwrap();
        assert_eq!(
            text,
            "{\"event\":\"start\",\"turn\":0,\"at_ms\":5,\"key\":\"0aff\"}\n\
             {\"event\":\"exit\",\"turn\":1,\"at_ms\":6,\"how\":\"a\\nb\"}\n"
        );
        assert!(lines.take().is_empty());
    }

    #[test]
    fn what_others_cause_at_will_is_noted_at_a_bounded_rate_and_counted_beyond_it() {
        let noted = |lines: &mut Lines| {
            let text = String::from_utf8(lines.take()).unwrap();
            text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
        };
        let mut lines = Lines::new(0);
        for number in 0..10_000 {
            lines.put_some("dropped", json!({"number": number}));
        }
        lines.put_some("key-seen", json!({}));
        assert_eq!(noted(&mut lines).len() as u64, SOME_AT_ONCE + 1, "each kind has its own allowance");
        // An hour, a hundred a second.
        let mut later = Vec::new();
        for turn in 1..=3_600 {
            lines.turn(turn * 1_000);
            (0..100).for_each(|_| lines.put_some("dropped", json!({})));
            later.extend(noted(&mut lines));
        }
        assert_eq!(later.len(), 360);
        let omitted: u64 = later.iter().map(|line| line["omitted"].as_u64().unwrap_or(0)).sum();
        assert_eq!(SOME_AT_ONCE + omitted + 360, 10_000 + 360_000 - 99, "what was left out is counted");
        // A clock that leaps gives no more than what is allowed at once; one that is put back stops nothing for good.
        lines.turn(i64::MAX);
        (0..1_000).for_each(|_| lines.put_some("dropped", json!({})));
        assert_eq!(noted(&mut lines).len() as u64, SOME_AT_ONCE);
        for (at_ms, count) in [(5, 0), (SOME_EVERY_MS + 5, 1)] {
            lines.turn(at_ms);
            lines.put_some("dropped", json!({}));
            assert_eq!(noted(&mut lines).len(), count);
        }
    }
}

//! Records as JSON lines: the event first, then the turn it belongs to and the time. Writes no file.

use data_encoding::HEXLOWER;
use serde_json::{Map, Value};

/// The records of one run that are not written yet.
#[derive(Debug, Default)]
pub struct Lines {
    turn: u64,
    at_ms: i64,
    bytes: Vec<u8>,
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
}

//! How far one message has come, read from the JSON objects that tell of it, and what that is as an exit code. The same
//! for the process that sends by itself and the one that asks another over the control socket.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Exit codes, the same everywhere.
pub mod exit {
    /// The wanted state was reached.
    pub const DONE: u8 = 0;
    /// Something else failed.
    pub const FAILED: u8 = 1;
    /// Wrong usage.
    pub const USAGE: u8 = 2;
    /// Not reached in time; the message is queued or held here.
    pub const WAITS: u8 = 3;
    /// The message is kept on the directory though `delivered` was wanted.
    pub const KEPT: u8 = 4;
    /// No such user or group.
    pub const NOBODY: u8 = 5;
    /// Blocked by the recipient.
    pub const REFUSED: u8 = 6;
    /// The directory is unreachable and nothing was stored.
    pub const UNREACHABLE: u8 = 7;
    /// The directory's or the user's key is not the pinned one.
    pub const WRONG_KEY: u8 = 8;
    /// The data directory is in use or damaged.
    pub const DATA_DIR: u8 = 9;
}

/// The state that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// On this disk.
    Queued,
    /// Safe on the directory, or already delivered.
    Kept,
    /// On the recipient's disk.
    Delivered,
}

/// What is known of one message.
#[derive(Debug, Clone)]
pub struct Progress {
    wanted: Wanted,
    result: Option<Value>,
    error: Option<Value>,
    state: Option<Value>,
}

impl Progress {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(wanted: Wanted) -> Self {
        Self { wanted, result: None, error: None, state: None }
    }

    /// Takes an object; false when it tells nothing of this message.
    pub fn take(&mut self, value: &Value) -> bool {
        match value["event"].as_str() {
            Some("result") if !self.is_answered() => {
                self.state = (!value["state"].is_null()).then(|| state_of(value));
                self.result = Some(value.clone());
            }
            Some("error") if !self.is_answered() && !value["command"].is_null() => self.error = Some(value.clone()),
            Some("state") if self.result.as_ref().is_some_and(|result| result["n"] == value["n"]) => {
                self.state = Some(value.clone());
            }
            _ => return false,
        }
        true
    }

    /// Whether the command was answered.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.result.is_some() || self.error.is_some()
    }

    /// Whether the message is on this disk, whatever else became of it.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.result.is_some()
    }

    /// Whether waiting longer changes nothing.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let ended = matches!(self.state(), Some("refused" | "expired" | "cancelled"));
        self.error.is_some() || self.is_reached() || ended || self.is_held_for_its_key()
    }

    /// Whether the message is where it was wanted.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        match (self.wanted, self.state()) {
            (_, Some("delivered" | "read")) => true,
            (Wanted::Kept | Wanted::Queued, Some("kept")) => true,
            (Wanted::Queued, Some("queued" | "held")) => true,
            (_, _) => false,
        }
    }

    /// The last word: the error, or the state.
    #[must_use]
    pub fn last(&self) -> Option<&Value> {
        self.error.as_ref().or(self.state.as_ref())
    }

    /// The exit code of what is known.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if let Some(error) = &self.error {
            return error_exit(error["code"].as_str().unwrap_or_default());
        }
        match self.state() {
            _ if self.is_reached() => exit::DONE,
            Some("refused") => exit::REFUSED,
            Some("expired" | "cancelled") => exit::FAILED,
            Some("kept") => exit::KEPT,
            _ if self.is_held_for_its_key() => exit::WRONG_KEY,
            _ if self.result.is_some() => exit::WAITS,
            _ => exit::FAILED,
        }
    }

    fn state(&self) -> Option<&str> {
        self.state.as_ref().and_then(|state| state["state"].as_str())
    }

    /// Only the user's word helps.
    fn is_held_for_its_key(&self) -> bool {
        let reason = self.state.as_ref().and_then(|state| state["reason"].as_str());
        self.state() == Some("held") && reason == Some("key-changed")
    }
}

fn error_exit(code: &str) -> u8 {
    match code {
        "bad-argument" | "bad-name" | "to-yourself" | "too-large" => exit::USAGE,
        "no-such-user" | "no-such-group" => exit::NOBODY,
        "blocked" => exit::REFUSED,
        "directory-unreachable" => exit::UNREACHABLE,
        "directory-key-changed" | "key-changed" => exit::WRONG_KEY,
        _ => exit::FAILED,
    }
}

/// The state that a result tells, for a key that was used before.
fn state_of(result: &Value) -> Value {
    let mut state = serde_json::Map::new();
    state.insert("event".into(), "state".into());
    for key in ["id", "n", "to", "state", "via", "reason", "elapsed_ms"] {
        state.insert(key.into(), result[key].clone());
    }
    Value::Object(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn after(wanted: Wanted, states: &[(&str, Option<&str>)]) -> Progress {
        let mut progress = Progress::new(wanted);
        assert!(progress.take(&json!({"event": "result", "command": "send", "n": 7, "id": "x"})));
        assert!(!progress.take(&json!({"event": "state", "n": 8, "state": "delivered"})), "another message");
        for (state, reason) in states {
            assert!(progress.take(&json!({"event": "state", "n": 7, "state": state, "reason": reason})));
        }
        progress
    }

    #[test]
    fn each_exit_code_has_its_state() {
        let cases = [
            (Wanted::Kept, ("delivered", None), exit::DONE),
            (Wanted::Queued, ("queued", None), exit::DONE),
            (Wanted::Kept, ("kept", None), exit::DONE),
            (Wanted::Kept, ("queued", None), exit::WAITS),
            (Wanted::Delivered, ("held", Some("mailbox-full")), exit::WAITS),
            (Wanted::Delivered, ("kept", None), exit::KEPT),
            (Wanted::Delivered, ("refused", Some("blocked")), exit::REFUSED),
            (Wanted::Kept, ("held", Some("key-changed")), exit::WRONG_KEY),
            (Wanted::Kept, ("expired", None), exit::FAILED),
        ];
        for (wanted, state, code) in cases {
            let progress = after(wanted, &[state]);
            assert_eq!(progress.exit_code(), code, "{state:?}");
            assert_eq!(progress.is_done(), ![exit::WAITS, exit::KEPT].contains(&code), "{state:?}");
        }
        assert_eq!(after(Wanted::Queued, &[]).exit_code(), exit::WAITS);
        assert_eq!(Progress::new(Wanted::Kept).exit_code(), exit::FAILED);
    }

    #[test]
    fn each_error_has_its_exit_code() {
        let cases =
            [("no-such-user", 5), ("blocked", 6), ("directory-unreachable", 7), ("key-changed", 8), ("quota", 1)];
        for (code, exit) in cases {
            let mut progress = Progress::new(Wanted::Kept);
            assert!(!progress.take(&json!({"event": "error", "code": code, "command": null})));
            progress.take(&json!({"event": "error", "code": code, "command": "send"}));
            assert!(progress.is_done());
            assert_eq!(progress.exit_code(), exit, "{code}");
        }
    }

    #[test]
    fn a_key_used_before_tells_its_state_in_the_result() {
        let mut progress = Progress::new(Wanted::Delivered);
        progress
            .take(&json!({"event": "result", "n": 7, "id": "x", "to": "bob", "state": "delivered", "via": "direct"}));
        assert!(progress.is_reached());
        assert_eq!(progress.last().unwrap()["event"], "state");
    }
}

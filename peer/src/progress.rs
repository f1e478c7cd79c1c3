//! How far one message, or one file, has come, read from the JSON objects that tell of it, and what that is as an exit code. The same
//! for the process that sends by itself and the one that asks another over the control socket.

mod copies;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use copies::Copies;

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
    /// Blocked or declined by the recipient.
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

/// What is known of one message. One that offers a file is where it is wanted when the file is.
#[derive(Debug, Clone)]
pub struct Progress {
    wanted: Wanted,
    result: Option<Value>,
    error: Option<Value>,
    state: Option<Value>,
    /// The file that it offers.
    file: Option<Copies>,
}

impl Progress {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(wanted: Wanted) -> Self {
        Self { wanted, result: None, error: None, state: None, file: None }
    }

    /// Nothing is known yet of the offer of a file.
    #[must_use]
    pub fn of_file(wanted: Wanted) -> Self {
        Self { file: Some(Copies::default()), ..Self::new(wanted) }
    }

    /// Takes an object; false when it tells nothing of this message.
    pub fn take(&mut self, value: &Value) -> bool {
        match value["event"].as_str() {
            Some("result") if !self.is_answered() => {
                self.state = (!value["state"].is_null()).then(|| state_of(value));
                self.result = Some(value.clone());
            }
            Some("error") if !self.is_answered() && !value["command"].is_null() => self.error = Some(value.clone()),
            Some("state") if self.is_of_this(value) => {
                self.state = Some(value.clone());
            }
            Some("file") if self.is_of_this(value) => {
                let Some(copies) = &mut self.file else { return false };
                copies.take(value);
            }
            _ => return false,
        }
        true
    }

    fn is_of_this(&self, value: &Value) -> bool {
        self.result.as_ref().is_some_and(|result| result["n"] == value["n"])
    }

    /// Whether it is the offer of a file.
    #[must_use]
    pub fn is_of_file(&self) -> bool {
        self.file.is_some()
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
        self.error.is_some() || self.is_reached() || ended || self.is_settled() || self.is_held_for_its_key()
    }

    /// Whether the file is where it was wanted, or does not get there any more, for each person it is for.
    fn is_settled(&self) -> bool {
        self.file.as_ref().is_some_and(|copies| {
            copies.settled(self.wanted) + self.tally("ended").unwrap_or(0) >= self.tally("total").unwrap_or(1)
        })
    }

    /// Whether the message is where it was wanted.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        if let Some(copies) = self.file.as_ref().filter(|_| self.wanted != Wanted::Queued) {
            return copies.there(self.wanted) >= self.tally("total").unwrap_or(1);
        }
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

    /// How the file stands with each person it is for, as far as that was told.
    pub fn files(&self) -> impl Iterator<Item = &Value> {
        self.file.iter().flat_map(Copies::all)
    }

    /// The exit code of what is known.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if let Some(error) = &self.error {
            return error_exit(error["code"].as_str().unwrap_or_default());
        }
        match self.state() {
            _ if self.is_reached() => exit::DONE,
            _ if self.file_is("declined") => exit::REFUSED,
            _ if self.is_settled() => exit::FAILED,
            Some("refused") => exit::REFUSED,
            Some("expired" | "cancelled") => exit::FAILED,
            Some("kept") if self.file.is_none() => exit::KEPT,
            _ if self.is_file_kept() => exit::KEPT,
            _ if self.is_held_for_its_key() => exit::WRONG_KEY,
            _ if self.result.is_some() => exit::WAITS,
            _ => exit::FAILED,
        }
    }

    fn file_is(&self, state: &str) -> bool {
        self.file.as_ref().is_some_and(|copies| copies.in_state(state) > 0)
    }

    /// The whole of it, for everybody it is for.
    fn is_file_kept(&self) -> bool {
        self.file.as_ref().is_some_and(|copies| copies.there(Wanted::Kept) >= self.tally("total").unwrap_or(1))
    }

    /// How many copies of a message to a group there are, or have ended.
    fn tally(&self, what: &str) -> Option<u64> {
        self.state.as_ref().and_then(|state| state["tally"][what].as_u64())
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
        "file-missing" | "file-not-a-file" | "file-unreadable" | "file-no-name" | "file-too-large" => exit::USAGE,
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

    /// The offer [7] is queued; then this was told of its file.
    fn after_file(wanted: Wanted, files: &[Value]) -> Progress {
        let mut progress = Progress::of_file(wanted);
        progress.take(&json!({"event": "result", "command": "send", "n": 7, "id": "x", "to": "bob"}));
        progress.take(&json!({"event": "state", "n": 7, "state": "delivered"}));
        assert!(!progress.take(&json!({"event": "file", "n": 8, "to": "bob", "state": "done"})), "another file");
        for file in files {
            let mut value = json!({"event": "file", "n": 7, "to": "bob", "kept": false});
            value.as_object_mut().unwrap().extend(file.as_object().unwrap().clone());
            assert!(progress.take(&value));
        }
        progress
    }

    #[test]
    fn each_exit_code_has_its_state_of_a_file() {
        let is = |state: &str| json!({"state": state});
        let kept = json!({"state": "offered", "kept": true});
        let cases = [
            (Wanted::Queued, vec![], exit::DONE),
            (Wanted::Kept, vec![], exit::WAITS),
            (Wanted::Kept, vec![is("accepted"), is("progress")], exit::WAITS),
            (Wanted::Kept, vec![kept.clone()], exit::DONE),
            (Wanted::Kept, vec![is("progress"), is("done")], exit::DONE),
            (Wanted::Delivered, vec![kept.clone()], exit::KEPT),
            (Wanted::Delivered, vec![is("accepted")], exit::WAITS),
            (Wanted::Delivered, vec![kept, is("done")], exit::DONE),
            (Wanted::Delivered, vec![is("declined")], exit::REFUSED),
            (Wanted::Kept, vec![json!({"state": "declined", "kept": true})], exit::REFUSED),
            (Wanted::Kept, vec![is("failed")], exit::FAILED),
            (Wanted::Delivered, vec![is("progress"), is("cancelled")], exit::FAILED),
        ];
        for (wanted, files, code) in cases {
            let progress = after_file(wanted, &files);
            assert_eq!(progress.exit_code(), code, "{wanted:?} {files:?}");
            assert_eq!(progress.is_done(), ![exit::WAITS, exit::KEPT].contains(&code), "{wanted:?} {files:?}");
        }
        let refused = json!({"event": "state", "n": 7, "state": "refused", "reason": "blocked"});
        let mut progress = after_file(Wanted::Delivered, &[]);
        progress.take(&refused);
        assert_eq!((progress.exit_code(), progress.is_done()), (exit::REFUSED, true));
    }

    #[test]
    fn a_message_that_was_kept_does_not_mean_that_its_file_is() {
        let mut progress = Progress::of_file(Wanted::Kept);
        progress.take(&json!({"event": "result", "n": 7}));
        progress.take(&json!({"event": "state", "n": 7, "state": "kept"}));
        assert_eq!((progress.is_done(), progress.exit_code()), (false, exit::WAITS));
        let mut text = Progress::new(Wanted::Kept);
        text.take(&json!({"event": "result", "n": 7}));
        assert!(!text.take(&json!({"event": "file", "n": 7, "to": "bob", "state": "done"})), "a text has no file");
    }

    #[test]
    fn a_file_to_a_group_is_there_when_every_member_has_it() {
        let copy = |to: &str, state: &str| json!({"event": "file", "n": 7, "to": to, "state": state, "kept": false});
        let tally = json!({"total": 3, "delivered": 2, "kept": 0, "waiting": 0, "ended": 1});
        let mut progress = Progress::of_file(Wanted::Delivered);
        progress.take(&json!({"event": "result", "n": 7}));
        progress.take(&json!({"event": "state", "n": 7, "state": "delivered", "tally": {"total": 3, "ended": 0}}));
        for value in [copy("bob", "done"), copy("carol", "done"), copy("bob", "done")] {
            progress.take(&value);
        }
        assert_eq!((progress.is_done(), progress.exit_code()), (false, exit::WAITS));
        let mut without_dave = progress.clone();
        progress.take(&copy("dave", "done"));
        assert_eq!((progress.exit_code(), progress.files().count()), (exit::DONE, 3));
        let mut declined = without_dave.clone();
        declined.take(&copy("dave", "declined"));
        assert_eq!((declined.is_done(), declined.exit_code()), (true, exit::REFUSED));
        without_dave.take(&json!({"event": "state", "n": 7, "state": "delivered", "tally": tally}));
        assert_eq!((without_dave.is_done(), without_dave.exit_code()), (true, exit::FAILED));
    }

    #[test]
    fn a_path_that_is_no_file_is_wrong_usage() {
        for (code, exit) in [("file-missing", 2), ("file-not-a-file", 2), ("file-unreadable", 2), ("file-changed", 1)] {
            let mut progress = Progress::of_file(Wanted::Kept);
            progress.take(&json!({"event": "error", "code": code, "command": "send"}));
            assert_eq!((progress.exit_code(), progress.is_done()), (exit, true), "{code}");
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

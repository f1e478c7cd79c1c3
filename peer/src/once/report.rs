//! What `peer send` and `peer identity show` print: results on standard output, for people what went wrong on standard error.

use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;

use crate::config::Settings;
use crate::front::json as lines;
use crate::front::safe_text::SafeText;
use crate::front::words;
use crate::progress::Progress;

/// Prints what came of it: the final state for scripts; for people a line, on standard error when it is not as wanted.
/// `file`: the path of what was sent, where that is no text.
pub(super) fn say(settings: &Settings, progress: &Progress, file: Option<&str>) {
    let Some(last) = progress.last() else {
        return complain("there was no answer in time; whether the message is queued, '!history' will show");
    };
    if settings.json {
        put(&lines::line(last));
        progress.files().for_each(|file| put(&lines::line(file)));
    }
    if last["event"] == "error" {
        return complain(&format!("{} ({})", text(last, "message"), text(last, "code")));
    }
    for words in all_words(progress, last, file) {
        if !progress.is_reached() {
            complain(&format!("not as far as wanted: {words}"));
        } else if !settings.json {
            put(&SafeText::line(&words).to_string());
        }
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// One line for a message; for a file one for each person it is for, as far as something is known of it.
fn all_words(progress: &Progress, last: &Value, file: Option<&str>) -> Vec<String> {
    let Some(path) = file else { return vec![state_words(last)] };
    let copies: Vec<String> = progress.files().map(file_words).collect();
    if !copies.is_empty() {
        return copies;
    }
    let name = Path::new(path).file_name().map_or(path.into(), |name| name.to_string_lossy());
    vec![format!("{}, the offer of {name}", state_words(last))]
}

fn state_words(state: &Value) -> String {
    let mut words = format!("[{}] {} to {}", state["n"], text(state, "state"), text(state, "to"));
    let reason = words::because_of(text(state, "reason"));
    for more in [text(state, "via"), &reason].into_iter().filter(|more| !more.is_empty()) {
        words = format!("{words}, {more}");
    }
    words
}

fn file_words(file: &Value) -> String {
    let state = match (text(file, "state"), file["kept"] == true) {
        ("offered", true) => "kept at the directory, not accepted yet",
        ("offered", false) => "not accepted yet",
        ("accepted", true) => "kept at the directory",
        ("progress", _) => "on its way",
        (state, _) => state,
    };
    let mut words = format!("[{}] {} to {}: {state}", file["n"], text(file, "name"), text(file, "to"));
    let open = matches!(text(file, "state"), "offered" | "accepted" | "progress");
    if let Some(fault) = words::fault_of(text(file, "reason")) {
        let why = if open { words::not_kept_because(fault) } else { words::fault_because(fault, true).to_owned() };
        words = format!("{words}, {why}");
    }
    words
}

pub(super) fn say_error(settings: &Settings, error: &Value) {
    if settings.json {
        put(&lines::line(error));
    }
    complain(&format!("{} ({})", text(error, "message"), text(error, "code")));
}

/// One line on standard output; a closed one is nobody who waits for it.
pub(super) fn put(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// One line on standard error.
pub fn complain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "peer: {}", SafeText::line(line));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Wanted;
    use serde_json::json;

    #[test]
    fn a_file_is_told_with_its_name_and_why_it_is_not_there() {
        let file = |state: &str, kept: bool, reason: Option<&str>| json!({"event": "file", "n": 7, "name": "a.txt", "to": "bob", "state": state, "kept": kept, "reason": reason});
        let cases = [
            (file("done", false, None), "[7] a.txt to bob: done"),
            (file("offered", true, None), "[7] a.txt to bob: kept at the directory, not accepted yet"),
            (file("failed", false, Some("disk-full")), "[7] a.txt to bob: failed, their disk is full"),
            (file("declined", false, None), "[7] a.txt to bob: declined"),
            (
                file("offered", false, Some("too-large")),
                "[7] a.txt to bob: not accepted yet, larger than what waits at the directory: it goes when both of you \
                 are online",
            ),
        ];
        for (value, words) in cases {
            assert_eq!(file_words(&value), words);
        }
    }

    #[test]
    fn an_offer_of_whose_file_nothing_is_known_is_told_as_a_message() {
        let mut progress = Progress::of_file(Wanted::Kept);
        progress.take(&json!({"event": "result", "n": 7}));
        let state = json!({"event": "state", "n": 7, "state": "held", "to": "bob", "reason": "key-changed"});
        progress.take(&state);
        let words = all_words(&progress, &state, Some("/srv/a.txt"));
        assert_eq!(words, ["[7] held to bob, the name belongs to another key now; see !verify, the offer of a.txt"]);
        assert_eq!(
            all_words(&progress, &state, None),
            ["[7] held to bob, the name belongs to another key now; see !verify"]
        );
    }
}

//! Files as JSON objects. Names and sizes are the sender's claims, raw.

use std::fmt::Write as _;

use peer_core::event::{FileView, MessageView, OfferedView};
use peer_core::stored::FileState;
use serde_json::{Value, json};

use super::super::times::rfc3339;
use super::super::words;
use super::via;

/// How a file stands.
pub(super) fn file(view: &FileView) -> Value {
    json!({
        "n": view.n, "id": view.id.to_string(), "from": view.from, "to": view.to, "name": view.file.name,
        "size": view.file.size, "state": words::file_state(view.state), "bytes": view.bytes,
        "sha256": hex(&view.file.sha256), "path": view.path.as_ref().map(|path| path.to_string_lossy()),
        "reason": view.reason.map(words::fault), "via": via(view.via), "rate": view.rate, "kept": view.kept,
        "mine": view.mine,
    })
}

/// A message that offers a file: the same keys, and what is known of the message.
pub(super) fn offer(view: &MessageView, offered: &OfferedView) -> Value {
    json!({
        "n": view.n, "id": view.id.to_string(), "from": view.from, "to": view.to, "name": offered.name,
        "size": offered.size, "state": words::file_state(FileState::Offered), "bytes": 0,
        "sha256": hex(&offered.sha256), "path": null, "reason": null, "via": via(view.via), "rate": null,
        "kept": false, "mine": view.mine, "request": view.request, "conversation": view.conversation,
        "sent_at": rfc3339(view.sent_at_ms), "received_at": rfc3339(view.received_at_ms), "offline": view.offline,
        "late": view.late, "verified": view.verified,
    })
}

/// What a message in a history offers.
pub(super) fn offered(view: &OfferedView) -> Value {
    json!({"name": view.name, "size": view.size, "sha256": hex(&view.sha256)})
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::render::samples::{HOSTILE, file_view, message, offered_view};
    use super::super::{answer, events, line};
    use super::*;
    use common::body::FileFault;
    use peer_core::event::{Answer, Event};
    use peer_core::stored::Via;

    /// What a script parses, line by line.
    fn parsed(event: &Event) -> Vec<Value> {
        events(event).iter().map(|value| serde_json::from_str(&line(value)).unwrap()).collect()
    }

    #[test]
    fn a_file_has_its_documented_keys() {
        let mut view = file_view("report.pdf", FileState::Failed, false);
        view.reason = Some(FileFault::DiskFull);
        let wanted = json!({
            "event": "file", "n": 12, "id": view.id.to_string(), "from": "bob", "to": "alice", "name": "report.pdf",
            "size": 52, "state": "failed", "bytes": 0, "sha256": "ab".repeat(32), "path": null,
            "reason": "disk-full", "via": null, "rate": null, "kept": false, "mine": false,
        });
        assert_eq!(parsed(&Event::File(Box::new(view.clone()))), [wanted]);
        view.path = Some("/srv/report.pdf".into());
        (view.state, view.via, view.rate) = (FileState::Done, Some(Via::Direct), Some(7));
        let value = file(&view);
        assert_eq!(
            (&value["path"], &value["via"], &value["rate"]),
            (&json!("/srv/report.pdf"), &json!("direct"), &json!(7))
        );
    }

    #[test]
    fn an_offer_that_arrives_is_a_file_event_and_no_message() {
        let view =
            MessageView { text: None, file: Some(offered_view("report.pdf")), request: true, ..message(12, "bob", "") };
        let [value] = &parsed(&Event::Message(Box::new(view.clone())))[..] else { panic!("one line") };
        let told = |key: &str| value[key].clone();
        assert_eq!((told("event"), told("state"), told("request")), (json!("file"), json!("offered"), json!(true)));
        assert_eq!((told("name"), told("size"), told("n")), (json!("report.pdf"), json!(52), json!(12)));
        for key in ["id", "from", "to", "conversation", "sent_at", "received_at", "via", "offline", "bytes", "sha256"] {
            assert!(!value[key].is_null(), "{key}: {value}");
        }
        assert!(value.get("text").is_none());
        let history = answer("!history", Ok(&Answer::History { with: "bob".to_owned(), messages: vec![view] }));
        let entry = &history["messages"][0];
        assert_eq!((&entry["text"], &entry["n"]), (&json!(""), &json!(12)));
        assert_eq!(entry["file"], json!({"name": "report.pdf", "size": 52, "sha256": "ab".repeat(32)}));
    }

    #[test]
    fn a_hostile_name_is_raw_to_a_script_and_one_harmless_line() {
        for name in HOSTILE.iter().map(|name| (*name).to_owned()).chain(["x".repeat(5_000)]) {
            let view = MessageView { file: Some(offered_view(&name)), ..message(12, "bob", "") };
            for event in
                [Event::Message(Box::new(view)), Event::File(Box::new(file_view(&name, FileState::Done, false)))]
            {
                let lines: Vec<String> = events(&event).iter().map(line).collect();
                assert_eq!(lines.len(), 1);
                assert!(!lines[0].chars().any(crate::front::safe_text::is_invisible), "{lines:?}");
                assert_eq!(parsed(&event)[0]["name"], json!(name));
            }
        }
    }

    #[test]
    fn the_results_of_commands_on_files_have_their_keys() {
        let view = file_view("a", FileState::Accepted, false);
        let accepted = answer("!accept", Ok(&Answer::File(Box::new(view.clone()))));
        assert_eq!(
            (&accepted["event"], &accepted["state"], &accepted["n"]),
            (&json!("result"), &json!("accepted"), &json!(12))
        );
        let files = answer("!files", Ok(&Answer::Files(vec![view.clone()])));
        assert_eq!(files, json!({"event": "result", "command": "!files", "files": [file(&view)]}));
    }
}

//! Events and results as JSON lines for scripts: the key `event` first, raw text, every control and every invisible
//! character as a `\u` escape. Keys are only ever added.

mod files;
mod talk;

use std::fmt::Write as _;

use peer_core::command::CommandError;
use peer_core::event::{Answer, ContactView, Event, MessageView, PersonView, SelfView, StateView};
use peer_core::stored::{Reason, State, TraceStep, Via};
use serde_json::{Map, Value, json};

use super::safe_text::is_invisible;
use super::times::rfc3339;
use super::words;

/// The event as objects, most often one; answers need [`answer`].
#[must_use]
pub fn events(event: &Event) -> Vec<Value> {
    match event {
        Event::Presence(people) => people.iter().map(talk::presence).collect(),
        other => one(other).into_iter().collect(),
    }
}

fn one(event: &Event) -> Option<Value> {
    let value = match event {
        Event::Ready { name, fingerprint, bind, directory, version } => json!({
            "event": "ready", "name": name.as_ref().map(ToString::to_string), "fingerprint": fingerprint.to_string(),
            "bind": bind.to_string(), "directory": directory, "version": version,
        }),
        Event::Registered(name) => named("registered", name.as_str()),
        Event::Online(name) => named("online", name.as_str()),
        Event::Offline(name) => named("offline", name.as_str()),
        Event::Deregistered(name) => named("deregistered", name.as_str()),
        Event::Message(view) => match &view.file {
            Some(offered) => with_event("file", files::offer(view, offered)),
            None => with_event("message", message(view)),
        },
        Event::State(view) => state(view),
        Event::Edited(view) => talk::change("edited", view, Some("text")),
        Event::Deleted(view) => talk::change("deleted", view, None),
        Event::Reacted(view) => talk::change("reacted", view, Some("emoji")),
        Event::Expiry { conversation, by, after_ms, .. } => json!({
            "event": "expiry", "conversation": conversation, "by": by, "after_ms": after_ms,
        }),
        Event::Vanished(numbers) => json!({"event": "vanished", "n": numbers}),
        Event::Broadcast { from, text, sent_at_ms } => json!({
            "event": "broadcast", "from": from, "text": text, "sent_at": rfc3339(*sent_at_ms),
        }),
        Event::Group { group, change, name, by, .. } => json!({
            "event": "group", "group": format!("@{group}"), "change": words::group_change(*change), "name": name, "by": by,
        }),
        Event::File(view) => with_event("file", files::file(view)),
        Event::Pending(count) => json!({"event": "pending", "count": count}),
        Event::Gap { from, conversation, missing } => json!({
            "event": "gap", "from": from.as_str(), "conversation": conversation, "missing": missing,
        }),
        Event::Renamed { old, new, fingerprint } => json!({
            "event": "renamed", "old": old.as_str(), "new": new.as_str(), "fingerprint": fingerprint.to_string(),
        }),
        Event::KeyChanged { name, called, pinned, new } => json!({
            "event": "error", "code": "key-changed", "command": null, "name": name.as_str(),
            "message": format!(
                "the name {name} belongs to another key now: it was {pinned}, it is {new}; what is queued is held \
                 until '!verify {name}#{new} ok' accepts the new key or '!verify {name}#{new} no' refuses it"
            ),
            "called": called.as_ref().map(ToString::to_string), "pinned": pinned.to_string(), "new": new.to_string(),
        }),
        Event::Error(failed) => error(failed, None),
        Event::Presence(_) | Event::Answer { .. } => return None,
    };
    Some(value)
}

/// The answer to the line that began with `word`, as an object.
#[must_use]
pub fn answer(word: &str, answer: Result<&Answer, &CommandError>) -> Value {
    match answer {
        Ok(answer) => {
            let mut object = Map::new();
            object.insert("event".into(), "result".into());
            object.insert("command".into(), word.into());
            if let Value::Object(fields) = fields(answer) {
                object.extend(fields);
            }
            Value::Object(object)
        }
        Err(failed) => error(failed, Some(word)),
    }
}

/// The value as one line: what is invisible is escaped.
#[must_use]
pub fn line(value: &Value) -> String {
    let plain = value.to_string();
    let mut out = String::with_capacity(plain.len());
    for c in plain.chars() {
        // Characters like these stand only inside strings, where an escape is allowed.
        if is_invisible(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn named(event: &str, name: &str) -> Value {
    json!({"event": event, "name": name})
}

fn with_event(event: &str, value: Value) -> Value {
    let mut object = Map::new();
    object.insert("event".into(), event.into());
    if let Value::Object(fields) = value {
        object.extend(fields);
    }
    Value::Object(object)
}

/// An error, of the line that began with `command` or of none.
#[must_use]
pub fn error(failed: &CommandError, command: Option<&str>) -> Value {
    json!({"event": "error", "code": failed.code.as_str(), "message": failed.message, "command": command})
}

fn via(via: Option<Via>) -> Value {
    via.map_or(Value::Null, |via| words::via(via).into())
}

fn reason(reason: Option<Reason>) -> Value {
    reason.map_or(Value::Null, |reason| words::reason(reason).into())
}

fn message(view: &MessageView) -> Value {
    let mut value = json!({
        "id": view.id.to_string(), "n": view.n, "request": view.request, "from": view.from, "to": view.to,
        "conversation": view.conversation, "text": view.text, "sent_at": rfc3339(view.sent_at_ms),
        "received_at": rfc3339(view.received_at_ms), "via": via(view.via),
        "reply_to": view.reply_to.map(|id| id.to_string()), "urgent": view.urgent, "offline": view.offline,
        "late": view.late, "mine": view.mine, "verified": view.verified, "edited": view.edited,
        "gone": view.gone.map(words::gone), "quote": view.quote.as_ref().map(talk::quote),
        "reactions": view.reactions.iter().map(|(by, emoji)| json!({"by": by, "emoji": emoji})).collect::<Vec<_>>(),
        "forwarded_from": view.forwarded, "vanishes_ms": view.vanishes_ms,
    });
    if let (Some(offered), Value::Object(fields)) = (&view.file, &mut value) {
        fields.insert("text".into(), "".into());
        fields.insert("file".into(), files::offered(offered));
    }
    if let (Some(tally), Value::Object(fields)) = (&view.tally, &mut value) {
        fields.insert("tally".into(), talk::tally(tally));
    }
    if let (Some((state, why)), Value::Object(fields)) = (view.state, &mut value) {
        fields.insert("state".into(), words::state(state).into());
        fields.insert("reason".into(), reason(why));
    }
    value
}

fn state(view: &StateView) -> Value {
    let mut value = json!({
        "event": "state", "id": view.id.to_string(), "n": view.n, "to": view.to, "state": words::state(view.state),
        "via": via(view.via), "reason": reason(view.reason), "elapsed_ms": view.elapsed_ms,
    });
    if let Some(tally) = &view.tally {
        value["tally"] = talk::tally(tally);
    }
    value
}

fn fields(answer: &Answer) -> Value {
    match answer {
        Answer::Done | Answer::Offline | Answer::Closed | Answer::Bye => json!({}),
        Answer::File(view) => files::file(view),
        Answer::Files(views) => json!({"files": views.iter().map(files::file).collect::<Vec<_>>()}),
        Answer::Help(topic) => json!({"help": super::help::texts(topic.as_deref())}),
        Answer::Registered(name) | Answer::Online(name) => json!({"name": name.as_str()}),
        Answer::Deregistered(name) => json!({"name": name.as_str(), "released": true}),
        Answer::DeregisterSure(waiting) => json!({
            "released": false, "waiting": waiting, "message": "messages wait; '!deregister yes' releases all the same",
        }),
        Answer::WhoAmI(view) => whoami(view),
        Answer::People(people) => json!({"people": people.iter().map(person).collect::<Vec<_>>()}),
        Answer::Sent { id, n, to, before } => sent(id.to_string(), *n, to, *before),
        Answer::Chat(with) => json!({"with": with}),
        Answer::History { with, messages } => {
            json!({"with": with, "messages": messages.iter().map(message).collect::<Vec<_>>()})
        }
        Answer::Trace { message: view, steps } => {
            json!({"trace": steps.iter().map(step).collect::<Vec<_>>(), "message": message(view)})
        }
        Answer::Cancelled { n } => json!({"n": n}),
        Answer::Contacts(contacts) => json!({"contacts": contacts.iter().map(contact).collect::<Vec<_>>()}),
        Answer::Changed { n, id, conversation } => {
            json!({"n": n, "id": id.to_string(), "conversation": conversation})
        }
        Answer::Expiry { conversation, after_ms } => json!({"conversation": conversation, "after_ms": after_ms}),
        Answer::Found { words, messages } => {
            json!({"words": words, "messages": messages.iter().map(message).collect::<Vec<_>>()})
        }
        Answer::Forgotten { conversation, count } => json!({"conversation": conversation, "forgotten": count}),
        Answer::Contact(view) => contact(view),
        Answer::Removed(name) => json!({"name": name.as_str()}),
        Answer::Standing { standing, note } => json!({"state": words::standing(*standing), "note": note}),
        Answer::Receipts(on) => json!({"receipts": on}),
        Answer::Format(on) => json!({"format": on}),
        Answer::Group { group, change, name } => json!({
            "group": format!("@{group}"), "change": words::group_change(*change), "name": name,
        }),
        Answer::Groups(groups) => json!({"groups": groups.iter().map(talk::group).collect::<Vec<_>>()}),
        Answer::Members { group, members } => json!({
            "group": format!("@{group}"), "members": members.iter().map(talk::member).collect::<Vec<_>>(),
        }),
        Answer::Broadcast { count } => json!({"count": count}),
        Answer::Verify { name, called, mine, theirs, rival, refused, verified } => json!({
            "name": name.as_str(), "mine": mine.to_string(), "theirs": theirs.to_string(),
            "rival": rival.map(|rival| rival.to_string()), "verified": verified,
            "called": called.as_ref().map(ToString::to_string),
            "refused": refused.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "mine_words": words::spoken(mine), "theirs_words": words::spoken(theirs),
        }),
    }
}

fn sent(id: String, n: u64, to: &str, before: Option<(State, Option<Via>, Option<Reason>, u64)>) -> Value {
    let mut value = json!({"id": id, "n": n, "to": to});
    if let (Some((state, path, why, elapsed_ms)), Value::Object(fields)) = (before, &mut value) {
        fields.insert("state".into(), words::state(state).into());
        fields.insert("via".into(), via(path));
        fields.insert("reason".into(), reason(why));
        fields.insert("elapsed_ms".into(), elapsed_ms.into());
    }
    value
}

fn whoami(view: &SelfView) -> Value {
    json!({
        "name": view.name.as_ref().map(ToString::to_string), "fingerprint": view.fingerprint.to_string(),
        "bind": view.bind.to_string(),
        "addresses": view.candidates.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "directory": view.directory,
        "directory_fingerprint": view.directory_fingerprint.map(|fingerprint| fingerprint.to_string()),
        "state": view.state,
    })
}

fn person(view: &PersonView) -> Value {
    json!({
        "name": view.name.as_str(), "state": words::standing(view.standing), "since": rfc3339(view.since_ms),
        "reachable": words::reachable(view.reachable), "note": view.note,
    })
}

fn contact(view: &ContactView) -> Value {
    json!({
        "name": view.name.as_str(), "fingerprint": view.fingerprint.to_string(), "verified": view.verified,
        "accepted": view.accepted, "state": view.standing.map(words::standing),
        "rival": view.rival.as_ref().map(|(_, rival)| rival.to_string()), "waiting": view.waiting,
        "rival_name": view.rival.as_ref().map(|(name, _)| name.to_string()),
        "former": view.former.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "blocked": view.blocked, "note": view.note,
    })
}

fn step(step: &TraceStep) -> Value {
    json!({
        "state": step.state.map(words::state), "what": step.what, "via": via(step.via), "reason": reason(step.reason),
        "at": rfc3339(step.at_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &Value) -> Value {
        serde_json::from_str(&line(value)).unwrap()
    }

    #[test]
    fn the_event_comes_first_and_what_is_invisible_is_escaped() {
        let text = "a\u{1b}[2J\u{202e}\u{200d}\u{e0041}\u{7f}\u{9b}\u{feff}\n👩";
        let value = json!({"event": "message", "text": text});
        let line = line(&value);
        assert!(line.starts_with("{\"event\":\"message\","), "{line}");
        assert!(!line.chars().any(is_invisible) && line.contains("\\udb40\\udc41"), "{line}");
        assert_eq!(parsed(&value), value, "the text is the same to whoever parses it");
    }

    #[test]
    fn an_error_has_code_message_and_command() {
        let failed = CommandError::new(peer_core::command::ErrorCode::BadName, "why");
        let wanted = json!({"event": "error", "code": "bad-name", "message": "why", "command": "!register"});
        assert_eq!(answer("!register", Err(&failed)), wanted);
        assert_eq!(one(&Event::Error(failed)).unwrap()["command"], Value::Null);
    }

    #[test]
    fn a_sent_message_has_id_and_number() {
        let id = common::message::MessageId([9; 16]);
        let sent = Answer::Sent { id, n: 4, to: "bob".to_owned(), before: None };
        let wanted = json!({"event": "result", "command": "!send", "id": id.to_string(), "n": 4, "to": "bob"});
        assert_eq!(answer("!send", Ok(&sent)), wanted);
    }

    #[test]
    fn a_changed_key_is_an_error_with_both_fingerprints() {
        let key = |byte| common::identity::PublicKey([byte; 32]).fingerprint();
        let changed = Event::KeyChanged { name: "bob".parse().unwrap(), called: None, pinned: key(1), new: key(2) };
        let value = one(&changed).unwrap();
        assert_eq!((&value["event"], &value["code"]), (&json!("error"), &json!("key-changed")));
        let (old, new) = ("bob".parse().unwrap(), "robert".parse().unwrap());
        let renamed = one(&Event::Renamed { old, new, fingerprint: key(1) }).unwrap();
        let wanted = json!({"event": "renamed", "old": "bob", "new": "robert", "fingerprint": key(1).to_string()});
        assert_eq!(renamed, wanted);
        assert_eq!(
            (value["pinned"].clone(), value["new"].clone()),
            (key(1).to_string().into(), key(2).to_string().into())
        );
    }
}

//! Changed lines, presence, groups and broadcasts as JSON objects.

use peer_core::event::{ChangeView, GroupView, MemberView, PresenceView, QuoteView};
use peer_core::stored::Tally;
use serde_json::{Value, json};

use super::super::words;

/// What somebody did to a line; `what` is the key of the new words or the sign.
pub(super) fn change(event: &str, view: &ChangeView, what: Option<&str>) -> Value {
    let mut value = json!({
        "event": event, "id": view.id.to_string(), "n": view.n, "by": view.by, "conversation": view.conversation,
    });
    if let Some(what) = what {
        value[what] = view.text.as_str().into();
    }
    value
}

pub(super) fn presence(view: &PresenceView) -> Value {
    let (state, note) = (words::standing(view.standing), &view.note);
    json!({"event": "presence", "name": view.name.as_str(), "state": state, "note": note})
}

pub(super) fn quote(view: &QuoteView) -> Value {
    json!({"n": view.n, "from": view.from, "text": view.text})
}

pub(super) fn tally(tally: &Tally) -> Value {
    json!({
        "total": tally.total, "delivered": tally.delivered, "kept": tally.kept, "waiting": tally.waiting,
        "ended": tally.ended,
    })
}

pub(super) fn group(view: &GroupView) -> Value {
    json!({
        "name": format!("@{}", view.name), "private": view.private, "members": view.members, "member": view.member,
        "invited": view.invited, "owner": view.owner,
    })
}

pub(super) fn member(view: &MemberView) -> Value {
    json!({"name": view.name, "owner": view.owner, "state": view.standing.map(words::standing)})
}

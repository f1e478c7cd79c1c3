//! Lines and what is none: changes of lines, and what is dismissed. A clean history, and ones that break each rule.

use common::body::Body;

use super::*;

impl Story {
    /// Written and delivered as a message of this kind. Nothing is told of what is no line.
    fn sends(&mut self, n: u8, kind: u16) {
        let line = Body::is_line(kind);
        self.alice(json!({
            "event": "queued", "n": n, "id": id(n), "to": key('b'), "epoch": "e", "seq": n, "ordered": line, "kind": kind,
        }));
        self.receives(n, kind);
        self.alice(json!({"event": "state", "n": n, "to": key('b'), "state": "delivered", "reason": null}));
    }

    fn receives(&mut self, n: u8, kind: u16) {
        self.bob(json!({
            "event": "committed", "n": 100 + u64::from(n), "id": id(n), "from": key('a'), "epoch": "e", "seq": n,
            "ordered": Body::is_line(kind), "conversation": "pair", "late": false, "kind": kind,
        }));
    }

    fn changed(&mut self, n: u8) {
        self.bob(json!({"event": "changed", "n": 100 + u64::from(n)}));
    }

    fn of(&mut self, event: &str, n: u8) {
        self.bob(json!({"event": event, "n": [100 + u64::from(n)]}));
    }

    fn dismissed(&mut self, n: u8) {
        self.of("dismissing", n);
        self.of("dismissed", n);
    }

    /// Bob starts again; his store lists what he has not put out, with its kind.
    fn bob_lists(&mut self, unshown: &[(u8, u16)]) {
        self.bob_again(&[], None);
        // Before the turn that says that the list is whole.
        let whole = self.bob.pop();
        for (n, kind) in unshown {
            self.bob.push(json!({
                "event": "unshown", "turn": 0, "n": 100 + u64::from(*n), "id": id(*n), "from": key('a'),
                "ordered": Body::is_line(*kind), "conversation": "pair", "kind": kind,
            }));
        }
        self.bob.extend(whole);
    }
}

/// A line, an edit that is told, one that its line brings along, a reaction without a line, an invitation that waits, and a
/// line of somebody who does not belong to the group: dismissed, once with a crash before the record.
fn with_changes() -> Story {
    let mut story = Story::begin();
    story.sends(1, Body::TEXT);
    story.shown(1, false);
    story.out(1);
    story.sends(2, Body::EDIT);
    story.changed(2);
    story.out(2);
    story.sends(3, Body::EDIT);
    story.of("marked", 3);
    story.sends(4, Body::FORWARD);
    story.shown(4, false);
    story.out(4);
    story.sends(5, Body::INVITATION);
    story.sends(6, Body::TEXT);
    story.dismissed(6);
    story.sends(7, Body::TEXT);
    story.of("dismissing", 7);
    // Told, and not marked yet when bob dies: told again.
    story.sends(8, Body::REACTION);
    story.changed(8);
    story.bob_lists(&[(5, Body::INVITATION), (8, Body::REACTION)]);
    story.of("dismissed", 7);
    story.changed(8);
    story.out(8);
    story.sends(9, 4_000);
    story.shown(9, false);
    story.out(9);
    story
}

#[test]
fn changes_and_what_is_dismissed_need_not_be_shown() {
    with_changes().is_clean();
}

#[test]
fn a_change_is_told_or_settled_and_a_line_is_shown_even_when_it_is_marked() {
    for kind in [Body::EDIT, Body::DELETE, Body::REACTION, Body::EXPIRY] {
        let mut story = with_changes();
        story.sends(10, kind);
        assert_eq!(story.check(false), []);
        story.breaks(Rule::End, "never shown");
    }
    for kind in [Body::TEXT, Body::FORWARD, Body::VANISHING, 4_000] {
        let mut story = with_changes();
        story.sends(10, kind);
        story.of("marked", 10);
        story.breaks(Rule::End, "never shown");
    }
}

#[test]
fn a_line_that_was_not_dismissed_does_not_leave_the_store() {
    let mut story = with_changes();
    story.sends(10, Body::TEXT);
    story.bob_lists(&[(5, Body::INVITATION)]);
    let breaches = story.check(false);
    assert_eq!(breaches.iter().map(|breach| breach.rule).collect::<Vec<_>>(), [Rule::Kept], "{breaches:#?}");
}

#[test]
fn what_is_dismissed_stays_so() {
    let mut story = with_changes();
    story.shown(6, true);
    story.breaks(Rule::Line, "it was dismissed");
    let mut story = with_changes();
    story.bob_lists(&[(5, Body::INVITATION), (6, Body::TEXT)]);
    story.breaks(Rule::Kept, "or dismissed");
    let mut story = with_changes();
    story.dismissed(9);
    story.breaks(Rule::Line, "and was shown");
}

#[test]
fn what_is_no_line_is_not_shown_as_one_nor_told_of() {
    for kind in [Body::EDIT, Body::DELETE, Body::REACTION, Body::EXPIRY, Body::INVITATION] {
        let mut story = with_changes();
        story.sends(10, kind);
        story.of("marked", 10);
        story.shown(10, false);
        story.breaks(Rule::Line, "and is none");
        let mut story = with_changes();
        story.sends(10, kind);
        story.of("marked", 10);
        story.told(10, "delivered");
        story.breaks(Rule::Line, "is no line");
    }
    let mut story = with_changes();
    story.sends(10, Body::TEXT);
    story.shown(10, false);
    story.changed(10);
    story.breaks(Rule::Line, "and is a line");
}

#[test]
fn a_change_is_told_once_and_once_committed() {
    let mut story = with_changes();
    story.changed(8);
    story.breaks(Rule::Once, "twice in one run");
    let mut story = with_changes();
    story.bob_lists(&[(5, Body::INVITATION)]);
    story.changed(8);
    story.breaks(Rule::Once, "put out before");
    let mut story = with_changes();
    story.changed(10);
    story.breaks(Rule::Committed, "not committed");
}

#[test]
fn nothing_is_put_out_that_was_not_shown() {
    for kind in [Body::TEXT, Body::EDIT] {
        let mut story = with_changes();
        story.sends(10, kind);
        story.of("put-out", 10);
        assert_eq!(story.check(false).iter().map(|breach| breach.rule).collect::<Vec<_>>(), [Rule::Committed]);
    }
}

#[test]
fn a_message_is_held_as_the_kind_it_was_written_as() {
    let mut story = with_changes();
    story.sends(10, Body::TEXT);
    story.shown(10, false);
    let last = story.bob.iter().rposition(|line| line["event"] == "committed").unwrap();
    story.bob[last]["kind"] = Body::FORWARD.into();
    story.breaks(Rule::Written, "another kind");
}

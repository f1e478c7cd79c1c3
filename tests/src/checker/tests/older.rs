//! Stores that are older than their logs: put back, or copied.

use super::*;

fn put_back() -> Story {
    let mut story = eventful();
    story.alice(json!({"event": "put-back"}));
    story.alice_again(true, &[]);
    story
}

#[test]
fn what_was_settled_before_is_told_of_once_its_state_is_committed() {
    let read = json!({"event": "state", "n": 1, "to": key('b'), "state": "read", "reason": null});
    let mut story = put_back();
    story.alice(read.clone());
    story.told(1, "read");
    story.is_clean();
    let mut story = put_back();
    story.told(1, "read");
    story.breaks(Rule::Committed, "told as");
    // The first run of a log is not the store's first: a copy.
    for (new, breaches) in [(false, 0), (true, 1)] {
        let mut story = eventful();
        story.alice[0]["new"] = new.into();
        story.alice(json!({"event": "state", "n": 77, "to": key('b'), "state": "read", "reason": null}));
        story.alice(json!({"event": "told", "n": 77, "id": id(77), "state": "read", "reason": null}));
        assert_eq!(story.check(true).len(), breaches);
    }
}

#[test]
fn each_copy_that_a_start_lists_goes_its_own_way() {
    let mut story = eventful();
    story.alice(json!({"event": "put-back"}));
    story.alice.push(start('a', true));
    for (to, state) in [('b', "delivered"), ('c', "kept")] {
        story.alice.push(json!({
            "event": "outbox", "turn": 0, "n": 9, "id": id(9), "to": key(to), "epoch": "e", "seq": 9, "state": state,
            "reason": null,
        }));
    }
    story.alice(json!({"event": "online", "name": "alice"}));
    story.kept(9);
    story.committed(9, false);
    story.shown(9, false);
    story.out(9);
    story.is_clean();
}

#[test]
fn a_copy_settled_before_may_be_the_one_that_is_told_of() {
    let told = json!({
        "event": "told", "n": 9, "id": id(9), "state": "delivered", "reason": "lifetime", "tally": [2, 1, 0, 0, 1],
    });
    for older in [true, false] {
        let mut story = eventful();
        if older {
            story.alice(json!({"event": "put-back"}));
        }
        story.alice.push(start('a', true));
        story.alice.push(json!({
            "event": "outbox", "turn": 0, "n": 9, "id": id(9), "to": key('c'), "epoch": "e", "seq": 9,
            "state": "expired", "reason": "lifetime",
        }));
        story.alice(told.clone());
        let found: Vec<Rule> = story.check(true).iter().map(|breach| breach.rule).collect();
        assert_eq!(found.is_empty(), older, "{found:?}");
    }
}

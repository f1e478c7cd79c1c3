//! A clean history, and for each rule histories that break just that one.

use common::message::MessageId;
use serde_json::{Value, json};

use super::*;

mod kinds;
mod older;

fn key(of: char) -> String {
    of.to_string().repeat(64)
}

fn id(n: u8) -> String {
    format!("{n:02x}").repeat(16)
}

fn tag(n: u8) -> String {
    MessageId([n; 16]).tag().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Three logs under construction. Every line is a turn of its own.
struct Story {
    alice: Vec<Value>,
    bob: Vec<Value>,
    directory: Vec<Value>,
    turn: u64,
}

impl Story {
    /// Both start; each knows the other's name.
    fn begin() -> Self {
        let mut story = Self { alice: Vec::new(), bob: Vec::new(), directory: Vec::new(), turn: 0 };
        story.directory.push(json!({"event": "start", "role": "directory", "key": key('d'), "store": "s"}));
        story.alice.push(start('a', false));
        story.bob.push(start('b', false));
        story.alice(json!({"event": "pin", "directory": key('d'), "name": "bob", "key": key('b')}));
        story.bob(json!({"event": "pin", "directory": key('d'), "name": "Alice", "key": key('a')}));
        story
    }

    fn at_turn(&mut self, mut line: Value) -> Value {
        self.turn += 1;
        line["turn"] = self.turn.into();
        line
    }

    fn alice(&mut self, line: Value) {
        let line = self.at_turn(line);
        self.alice.push(line);
    }

    fn bob(&mut self, line: Value) {
        let line = self.at_turn(line);
        self.bob.push(line);
    }

    /// Alice's number is that of the message and its seq.
    fn queued(&mut self, n: u8) {
        self.alice(json!({"event": "submitted", "to": "bob", "source": 0, "number": n}));
        self.alice(
            json!({"event": "queued", "n": n, "id": id(n), "to": key('b'), "epoch": "e", "seq": n, "ordered": true}),
        );
        self.alice(json!({"event": "answered", "source": 0, "number": n, "n": n, "id": id(n), "again": false}));
        self.told(n, "queued");
        self.alice(json!({"event": "sent", "id": id(n), "to": key('b'), "epoch": "e", "seq": n, "floor": 1}));
    }

    fn told(&mut self, n: u8, state: &str) {
        self.alice(json!({"event": "told", "n": n, "id": id(n), "state": state, "reason": null}));
    }

    fn state(&mut self, n: u8, state: &str) {
        self.alice(json!({"event": "state", "n": n, "to": key('b'), "state": state, "reason": null}));
        self.told(n, state);
    }

    /// Bob's number is 100 more.
    fn committed(&mut self, n: u8, late: bool) {
        self.bob(json!({
            "event": "committed", "n": 100 + u64::from(n), "id": id(n), "from": key('a'), "epoch": "e", "seq": n,
            "ordered": true, "conversation": "pair", "late": late,
        }));
    }

    fn acknowledged(&mut self, upto: u8) {
        self.bob(json!({
            "event": "acknowledged", "to": key('a'), "epoch": "e", "floor": 1, "top": upto, "missing": [],
        }));
    }

    fn shown(&mut self, n: u8, late: bool) {
        let number = 100 + u64::from(n);
        self.bob(json!({"event": "shown", "n": number, "id": id(n), "name": "alice", "late": late}));
    }

    fn out(&mut self, n: u8) {
        let numbers = [100 + u64::from(n)];
        self.bob(json!({"event": "put-out", "n": numbers}));
        self.bob(json!({"event": "marked", "n": numbers}));
    }

    fn arrives(&mut self, n: u8) {
        self.committed(n, false);
        self.acknowledged(n);
        self.shown(n, false);
        self.out(n);
    }

    fn delivered(&mut self, n: u8) {
        self.queued(n);
        self.arrives(n);
        self.state(n, "delivered");
    }

    fn kept(&mut self, n: u8) {
        self.directory.push(json!({
            "event": "kept", "submitter": key('a'), "recipient": key('b'), "epoch": "e", "seq": n, "tag": tag(n), "item": n,
        }));
    }

    /// Alice's program starts again; the store lists what it is told here.
    fn alice_again(&mut self, crashed: bool, open: &[(u8, &str)]) {
        self.alice.push(start('a', crashed));
        for (n, state) in open {
            self.alice.push(json!({
                "event": "outbox", "turn": 0, "n": n, "id": id(*n), "to": key('b'), "epoch": "e", "seq": n,
                "state": state, "reason": null,
            }));
        }
        self.alice(json!({"event": "online", "name": "alice"}));
    }

    fn bob_again(&mut self, unshown: &[u8], last: Option<u8>) {
        self.bob.push(start('b', true));
        let pin = json!({"event": "pin", "turn": 0, "directory": key('d'), "name": "alice", "key": key('a')});
        self.bob.push(pin);
        for n in unshown {
            self.bob.push(json!({
                "event": "unshown", "turn": 0, "n": 100 + u64::from(*n), "id": id(*n), "from": key('a'),
                "ordered": true, "conversation": "pair",
            }));
        }
        self.bob.extend(last.map(
            |last| json!({"event": "last-shown", "turn": 0, "from": key('a'), "conversation": "pair", "id": id(last)}),
        ));
        let held: Vec<(u8, u8)> = (1..=9).filter(|n| self.holds(*n)).map(|n| (n, n)).collect();
        let lane = json!({"event": "lane", "turn": 0, "from": key('a'), "epoch": "e", "floor": 1, "held": held});
        self.bob.push(lane);
        self.bob(json!({"event": "online", "name": "bob"}));
    }

    fn holds(&self, n: u8) -> bool {
        self.bob.iter().any(|line| line["event"] == "committed" && line["id"] == id(n).as_str())
    }

    fn check(&self, healed: bool) -> Vec<Breach> {
        let text = |lines: &[Value]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let logs = [
            Log::parse("alice", text(&self.alice)),
            Log::parse("bob", text(&self.bob)),
            Log::parse("directory", text(&self.directory)),
        ];
        check(&logs, healed)
    }

    #[track_caller]
    fn is_clean(&self) {
        let breaches = self.check(true);
        assert!(breaches.is_empty(), "{}", breaches[0]);
    }

    #[track_caller]
    fn breaks(&self, rule: Rule, how: &str) {
        let breaches = self.check(true);
        assert_eq!(breaches.len(), 1, "{breaches:#?}");
        assert_eq!(breaches[0].rule, rule, "{}", breaches[0]);
        assert!(breaches[0].what.contains(how), "{}", breaches[0]);
        assert!(!breaches[0].lines.is_empty(), "{}", breaches[0]);
    }
}

fn start(of: char, crashed: bool) -> Value {
    json!({"event": "start", "turn": 0, "role": "peer", "key": key(of), "crashed": crashed, "shows": true})
}

/// What may happen: both ways, crashes, a message repeated, a late one, one that was given up and arrived all the same.
fn eventful() -> Story {
    let mut story = Story::begin();
    story.delivered(1);
    story.queued(2);
    story.kept(2);
    story.state(2, "kept");
    story.queued(3);
    // Alice dies before she notes that 3 is kept; bob dies after he has shown 3 and before he notes that.
    story.kept(3);
    story.committed(3, false);
    story.bob(json!({"event": "gap", "name": "alice", "conversation": "alice", "missing": 1}));
    story.shown(3, false);
    story.alice_again(true, &[(2, "kept"), (3, "kept")]);
    story.told(2, "kept");
    story.told(3, "kept");
    story.bob_again(&[3], Some(1));
    story.shown(3, false);
    story.out(3);
    story.committed(2, true);
    story.acknowledged(3);
    story.shown(2, true);
    story.out(2);
    story.state(2, "expired");
    story.state(2, "delivered");
    story.state(3, "delivered");
    story.state(3, "read");
    story.bob_again(&[], Some(3));
    story.acknowledged(3);
    story.delivered(4);
    story
}

#[test]
fn a_clean_history_has_no_breach() {
    eventful().is_clean();
}

#[test]
fn what_has_no_end_is_one_only_once_all_is_healed() {
    let mut story = eventful();
    story.queued(5);
    assert_eq!(story.check(false), []);
    story.breaks(Rule::End, "no end");
}

#[test]
fn what_arrived_and_was_never_shown() {
    let mut story = eventful();
    story.queued(5);
    story.committed(5, false);
    story.state(5, "delivered");
    assert_eq!(story.check(false), []);
    story.breaks(Rule::End, "never shown");
}

#[test]
fn what_is_said_to_be_safe_and_is_not() {
    let mut story = eventful();
    story.queued(5);
    story.state(5, "delivered");
    story.breaks(Rule::Kept, "never held");
    let mut story = eventful();
    story.queued(5);
    story.state(5, "kept");
    story.arrives(5);
    story.state(5, "delivered");
    story.breaks(Rule::Kept, "the directory never kept");
}

#[test]
fn what_a_store_held_and_holds_no_more() {
    let mut story = eventful();
    story.queued(5);
    story.alice_again(true, &[]);
    assert_eq!(story.check(false).len(), 1);
    assert_eq!(story.check(false)[0].rule, Rule::Kept);
    let mut story = eventful();
    story.queued(5);
    story.committed(5, false);
    story.state(5, "delivered");
    story.bob_again(&[], Some(4));
    assert!(story.check(false)[0].what.contains("not in the store any more"));
    assert_eq!(story.check(false).len(), 1);
    let mut story = eventful();
    story.bob_again(&[4], Some(4));
    story.breaks(Rule::Kept, "marked as put out");
}

#[test]
fn what_is_there_twice() {
    let mut story = eventful();
    let mut again = story.bob.iter().find(|line| line["event"] == "committed").unwrap().clone();
    again["n"] = 150.into();
    story.bob(again);
    story.bob(json!({"event": "shown", "n": 150, "id": id(1), "name": "alice", "late": true}));
    story.breaks(Rule::Once, "in the store twice");

    let mut story = eventful();
    story.shown(4, false);
    story.breaks(Rule::Once, "twice in one run");

    let mut story = eventful();
    story.bob_again(&[], Some(4));
    story.shown(4, false);
    story.breaks(Rule::Once, "put out before");

    let mut story = eventful();
    story.queued(5);
    story.committed(5, false);
    story.bob(json!({"event": "shown", "n": 105, "id": id(6), "name": "alice", "late": false}));
    story.shown(5, false);
    story.state(5, "delivered");
    story.breaks(Rule::Once, "shown as");

    let mut story = eventful();
    story.bob(json!({"event": "double", "n": 104, "id": id(3), "from": key('a'), "epoch": "e", "seq": 3}));
    story.breaks(Rule::Once, "belongs to two messages");
}

#[test]
fn what_comes_out_of_order() {
    let mut story = eventful();
    for n in [5, 6] {
        story.queued(n);
        story.committed(n, false);
    }
    story.shown(6, false);
    story.shown(5, false);
    story.state(5, "delivered");
    story.state(6, "delivered");
    story.breaks(Rule::Order, "not as late");
    let mut story = eventful();
    story.queued(5);
    story.committed(5, false);
    story.shown(5, true);
    story.state(5, "delivered");
    story.breaks(Rule::Order, "as late and is not");
}

#[test]
fn a_name_that_is_not_the_keys() {
    for mallory in [json!(key('c')), Value::Null] {
        let mut story = eventful();
        story.bob(json!({"event": "pin", "directory": key('d'), "name": "alice", "key": mallory}));
        story.delivered(5);
        story.breaks(Rule::Name, "\"alice\"");
    }
    let mut story = eventful();
    let pin = json!({"event": "pin", "directory": key('d'), "name": "alicia", "key": key('a')});
    story.queued(5);
    story.committed(5, false);
    story.bob(json!({"event": "shown", "n": 105, "id": id(5), "name": "alicia", "late": false}));
    let mut late = story.bob.clone();
    story.state(5, "delivered");
    // Pinned in the turn in which it is shown: the same moment. A turn later: too late.
    let turn = late.last().unwrap()["turn"].as_u64().unwrap();
    late.push(pin.clone());
    late.last_mut().unwrap()["turn"] = turn.into();
    story.bob = late.clone();
    story.bob(json!({"event": "online", "name": "bob"}));
    story.is_clean();
    late.last_mut().unwrap()["turn"] = (turn + 1).into();
    story.bob = late;
    story.breaks(Rule::Name, "\"alicia\"");
}

#[test]
fn a_state_against_the_arrows() {
    for (from, to) in [("delivered", "kept"), ("expired", "queued"), ("refused", "delivered"), ("cancelled", "expired")]
    {
        let mut story = eventful();
        story.queued(5);
        story.arrives(5);
        story.kept(5);
        story.state(5, from);
        story.state(5, to);
        let breaches = story.check(false);
        assert_eq!(breaches.iter().map(|breach| breach.rule).collect::<Vec<_>>(), [Rule::Arrow], "{breaches:#?}");
    }
    let mut story = eventful();
    story.alice_again(true, &[(4, "queued")]);
    assert_eq!(story.check(false).iter().map(|breach| breach.rule).collect::<Vec<_>>(), [Rule::Arrow]);
}

#[test]
fn a_state_told_twice() {
    let mut story = eventful();
    story.told(4, "delivered");
    story.breaks(Rule::Told, "twice");
    let mut story = eventful();
    story.alice_again(false, &[(4, "delivered")]);
    story.told(4, "delivered");
    story.breaks(Rule::Told, "twice");
}

#[test]
fn a_place_given_twice() {
    let mut story = eventful();
    let mut queued = story.alice.iter().find(|line| line["event"] == "queued").unwrap().clone();
    (queued["n"], queued["id"]) = (9.into(), id(9).into());
    story.alice(queued);
    story.committed(9, false);
    story.shown(9, false);
    story.out(9);
    story.state(9, "delivered");
    story.breaks(Rule::Place, "given twice");
    let mut story = eventful();
    story.delivered(5);
    story.delivered(6);
    story.bob(json!({"event": "double", "n": 106, "id": id(6), "from": key('a'), "epoch": "e", "seq": 5}));
    story.breaks(Rule::Place, "held at one place");
}

#[test]
fn a_place_may_be_given_again_where_the_disk_was_put_back() {
    let mut story = eventful();
    story.alice(json!({"event": "put-back"}));
    story.alice_again(true, &[]);
    story.alice(json!({
        "event": "queued", "n": 4, "id": id(9), "to": key('b'), "epoch": "e", "seq": 4, "ordered": true,
    }));
    story.alice(json!({"event": "moved", "n": 4, "to": key('b'), "epoch": "f", "seq": 1}));
    story.alice(json!({"event": "sent", "id": id(9), "to": key('b'), "epoch": "f", "seq": 1}));
    story.committed(9, false);
    story.shown(9, false);
    story.out(9);
    story.alice(json!({"event": "state", "n": 4, "to": key('b'), "state": "delivered", "reason": null}));
    story.is_clean();
}

#[test]
fn what_is_said_before_it_is_committed() {
    let mut story = eventful();
    story.kept(4);
    story.told(4, "kept");
    story.breaks(Rule::Committed, "told as");
    let mut story = eventful();
    story.alice(json!({"event": "answered", "source": 0, "number": 5, "n": 5, "id": id(5), "again": false}));
    story.breaks(Rule::Committed, "answered as queued");
    let mut story = eventful();
    story.alice(json!({"event": "sent", "id": id(4), "to": key('b'), "epoch": "e", "seq": 5}));
    story.breaks(Rule::Committed, "sent in a place");
    let mut story = eventful();
    story.shown(5, false);
    story.breaks(Rule::Committed, "shown and not committed");
    let mut story = eventful();
    story.acknowledged(5);
    story.breaks(Rule::Committed, "place 5 is acknowledged");
}

#[test]
fn what_nobody_wrote() {
    let mut story = eventful();
    story.arrives(5);
    story.breaks(Rule::Written, "did not write it");
}

#[test]
fn a_log_that_cannot_be_judged() {
    let mut story = eventful();
    story.bob(json!({"event": "hole"}));
    story.breaks(Rule::Readable, "hole");
    let parse = |text: &str| Log::parse("x", text.to_owned());
    let start = start('a', true).to_string();
    // Killed while it wrote: at the end, and before the next start.
    assert_eq!(check(&[parse(&format!("{start}\n{{\"eve\n{start}\n{{\"ev"))], true), []);
    let broken = check(&[parse(&format!("{start}\n{{\"eve\n{{\"event\":\"online\"}}\n"))], true);
    assert_eq!(broken.iter().map(|breach| breach.rule).collect::<Vec<_>>(), [Rule::Readable]);
    let nonsense = check(&[parse("hello\nworld\n")], true);
    assert!(nonsense.iter().all(|breach| breach.rule == Rule::Readable) && !nonsense.is_empty());
}

//! What the observer notes of a messenger over a store in memory.

use common::body::Body;
use event_log::SOME_AT_ONCE;
use peer_core::event::Now;
use peer_core::messenger::Messenger;
use peer_core::stored::{State, StoreOp};
use serde_json::Value;

use super::*;
use crate::storage::Store;
use crate::storage::tests::{BOB, EVE, edit, in_family, line, own, queue, receive, saying, theirs};

const ME: PublicKey = PublicKey([1; 32]);

fn config() -> Config {
    Config {
        me: ME,
        instance: [2; 16],
        seed: [3; 32],
        directory: "nobody:1".to_owned(),
        directory_pin: None,
        name: None,
        bind: "127.0.0.1:1".parse().unwrap(),
        candidates: Vec::new(),
        shows: true,
        version: "0".to_owned(),
        accept_from: peer_core::event::AcceptFrom::Nobody,
    }
}

fn lines(observer: &mut Observer) -> Vec<Value> {
    let text = String::from_utf8(observer.take()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn events(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["event"].as_str().unwrap()).collect()
}

#[test]
fn a_run_begins_with_what_its_store_holds_open() {
    let mut store = Store::open_in_memory(ME).unwrap();
    store.apply(vec![(Ticket(1), vec![receive(theirs(BOB, 1))])]).unwrap();
    let mut observer = Observer::start(&config(), &store.load("nobody:1").unwrap(), 7);
    let lines = lines(&mut observer);
    assert_eq!(events(&lines), ["start", "unshown"]);
    assert_eq!((&lines[0]["role"], &lines[0]["new"], &lines[0]["at_ms"]), (&"peer".into(), &true.into(), &7.into()));
    assert_eq!((&lines[1]["n"], &lines[1]["from"]), (&1.into(), &key(&BOB).into()));
}

#[test]
fn what_is_asked_of_the_store_is_told_once_it_is_committed_in_the_epoch_it_is_for() {
    let mut store = Store::open_in_memory(ME).unwrap();
    let snapshot = store.load("nobody:1").unwrap();
    let now = Now { mono_ms: 0, wall_ms: 9 };
    let mut observer = Observer::start(&config(), &snapshot, now.wall_ms);
    let mut messenger = Messenger::new(config(), snapshot, now);
    observer.take();
    observer.turn(now.wall_ms);
    let kept = StoreOp::State {
        n: 4,
        recipient: BOB,
        state: State::Kept,
        via: Some(Via::Directory),
        reason: None,
        at_ms: 0,
        elapsed_ms: 0,
    };
    let more = [receive(theirs(BOB, 1)), kept];
    let mut committed = Vec::new();
    while let Some(mut output) = messenger.poll_output() {
        if let Output::Store { ops, .. } = &mut output {
            ops.extend_from_slice(&more);
        }
        observer.output(&output);
        if let Output::Store { ticket, ops } = output {
            committed.extend(store.apply(vec![(ticket, ops)]).unwrap());
        }
    }
    assert_eq!(events(&lines(&mut observer)), Vec::<&str>::new(), "nothing is committed yet");
    for (ticket, results) in committed {
        observer.input(&Input::Stored { ticket, results });
    }
    let lines = lines(&mut observer);
    assert_eq!(events(&lines), ["epoch", "committed", "state"]);
    assert_eq!(lines[0]["epoch"].as_str().map(str::len), Some(32));
    assert_eq!((&lines[1]["n"], &lines[1]["late"]), (&1.into(), &false.into()));
    assert_eq!((&lines[2]["state"], &lines[2]["via"]), (&"kept".into(), &"directory".into()));
}

#[test]
fn every_copy_is_told_and_what_was_settled_dismissed_or_read_without_being_put_out() {
    let mut store = Store::open_in_memory(ME).unwrap();
    let mut observer = Observer::default();
    let mut to_group = own(BOB, 1, 1);
    to_group.row.conversation = in_family();
    to_group.copies = vec![Copy { recipient: EVE, seq: 5, after: None }];
    let read = StoreOp::Read { recipient: BOB, up_to: own(BOB, 9, 1).row.id, at_ms: 5 };
    let delivered = StoreOp::State {
        n: 2,
        recipient: BOB,
        state: State::Delivered,
        via: Some(Via::Direct),
        reason: None,
        at_ms: 0,
        elapsed_ms: 0,
    };
    let early = saying(theirs(BOB, 4), &edit(3, "other words"));
    let mut ops = vec![queue(to_group), queue(own(BOB, 2, 2)), delivered, read];
    ops.extend([receive(early), receive(line(BOB, 3, "words")), StoreOp::Dismiss(vec![4])]);
    observer.output(&Output::Store { ticket: Ticket(1), ops: ops.clone() });
    let (ticket, results) = store.apply(vec![(Ticket(1), ops)]).unwrap().remove(0);
    observer.input(&Input::Stored { ticket, results });
    let lines = lines(&mut observer);
    let told =
        ["dismissing", "queued", "queued", "queued", "state", "state", "committed", "marked", "committed", "dismissed"];
    assert_eq!(events(&lines), told);
    let places: Vec<(&Value, &Value, &Value)> =
        lines[1..4].iter().map(|one| (&one["n"], &one["to"], &one["seq"])).collect();
    let (one, two, five) = (1.into(), 2.into(), 5.into());
    let (bob, eve) = (key(&BOB).into(), key(&EVE).into());
    assert_eq!(places, [(&one, &bob, &one), (&one, &eve, &five), (&two, &bob, &two)]);
    assert_eq!((&lines[5]["n"], &lines[5]["state"], &lines[5]["to"]), (&two, &"read".into(), &bob));
    assert_eq!((&lines[7]["n"], &lines[9]["n"]), (&Value::from(vec![3]), &Value::from(vec![4])));
}

#[test]
fn no_text_of_anybody_is_noted() {
    let mut observer = Observer::default();
    let words = "the quick brown fox";
    let to = peer_core::command::To::Person { name: "bob".parse().unwrap(), fingerprint: None };
    let command = Command::Send { to, text: words.to_owned(), key: None, urgent: false, reply_to: None };
    let id = CommandId { source: peer_core::event::Source(1), number: 2 };
    observer.input(&Input::Command { id, command: Ok(command) });
    let text = common::body::Text { text: words.to_owned(), reply_to: None };
    let mut arrival = theirs(BOB, 1);
    (arrival.kind, arrival.body) = (Body::TEXT, codec::encode(&text));
    observer.output(&Output::Store { ticket: Ticket(1), ops: vec![receive(arrival)] });
    let results = vec![StoreResult::Arrived(Arrived::New { n: 1, late: false, line: None, settled: Vec::new() })];
    observer.input(&Input::Stored { ticket: Ticket(1), results });
    let said = String::from_utf8(observer.take()).unwrap();
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(!said.contains(words), "{said}");
}

#[test]
fn what_a_stranger_repeats_fills_no_log_and_what_changes_is_still_told() {
    let mut observer = Observer::default();
    let state = |top| PairState {
        from: ME,
        to: BOB,
        epoch: Epoch { generation: 1, id: common::message::EpochId([1; 16]) },
        version: top,
        floor: 1,
        applied: None,
        held: Some(common::message::Held {
            epoch: Epoch { generation: 1, id: common::message::EpochId([2; 16]) },
            floor: 1,
            top,
            missing: Vec::new(),
            digest: [0; 8],
        }),
        read: None,
        blocked: false,
        prekey: None,
    };
    let mut told = Vec::new();
    for turn in 0..5_000 {
        observer.turn(turn);
        observer.output(&Output::Dropped { from: BOB, why: peer_core::event::Dropped::StateOfOthers });
        observer.input(&Input::LinkUp {
            link: peer_core::event::LinkId(1),
            key: BOB,
            address: "127.0.0.1:1".parse().unwrap(),
            dialled: false,
        });
        let frame = Box::new(PeerFrame::State(state(3 + u64::from(turn >= 4_000))));
        observer.output(&Output::LinkSend { link: peer_core::event::LinkId(1), frame });
        told.extend(lines(&mut observer));
    }
    let count = |event: &str| told.iter().filter(|line| line["event"] == event).count() as u64;
    assert_eq!((count("dropped"), count("key-seen")), (SOME_AT_ONCE, SOME_AT_ONCE));
    let acknowledged: Vec<_> = told.iter().filter(|line| line["event"] == "acknowledged").collect();
    assert_eq!(acknowledged.iter().map(|line| line["top"].as_u64().unwrap()).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn numbers_in_a_row_are_one_range() {
    assert_eq!(ranges([3, 4, 5, 9].into_iter()), [(3, 5), (9, 9)]);
    assert_eq!(ranges(std::iter::empty()), []);
}

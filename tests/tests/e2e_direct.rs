//! Two real peers that are both there: direct delivery, and what happens when the way between them is bad or shut.
//! Absence, crashes and strangers have files of their own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use system_tests::checks::{assert_delivered_once, assert_history, assert_output, numbered};
use system_tests::cutter::Cutter;
use system_tests::lossy::{Relay, Shape};
use system_tests::programs::{PATIENCE, Peer, World};

/// Two registered peers, each behind a relay that the other has to pass.
fn behind_relays(world: &World, shape: Shape, seed: u64) -> (Peer, Peer, [Relay; 2]) {
    let relays = [Relay::open(world.ip.into(), shape, seed), Relay::open(world.ip.into(), shape, seed + 1)];
    let alice = world.setup("alice").advertising(relays[0].address()).start();
    relays[0].pass_to(alice.address());
    let bob = world.setup("bob").advertising(relays[1].address()).start();
    relays[1].pass_to(bob.address());
    alice.ok("!register alice");
    bob.ok("!register bob");
    (alice, bob, relays)
}

/// Sends until one message is delivered direct, which it must be within `patience`. Returns how many it took.
fn until_direct(from: &Peer, to: &str, prefix: &str, patience: Duration) -> usize {
    let begin = Instant::now();
    for number in 0.. {
        let sent = from.send(to, &format!("{prefix}{number}"));
        if from.wait_state(&sent.id, "delivered")["via"] == "direct" {
            return number + 1;
        }
        assert!(begin.elapsed() < patience, "nothing goes direct within {patience:?}");
        std::thread::sleep(Duration::from_millis(250));
    }
    unreachable!("the numbers do not end")
}

#[test]
fn both_online_deliver_direct_both_ways_and_leave_the_mailbox_untouched() {
    let world = World::new();
    let lines = [
        Cutter::open(world.ip.into(), world.directory.address()),
        Cutter::open(world.ip.into(), world.directory.address()),
    ];
    let alice = world.setup("alice").at_directory(lines[0].address()).registered();
    let bob = world.setup("bob").at_directory(lines[1].address()).registered();
    let hello = alice.send("bob", "hello");
    assert_eq!(alice.wait_state(&hello.id, "delivered")["via"], "direct");
    let before: u64 = lines.iter().map(Cutter::bytes_up).sum();

    let there = alice.send_many("bob", "there ", 0..100);
    let back = bob.send_many("alice", "back ", 0..100);
    alice.wait_states(&there, "delivered", PATIENCE);
    bob.wait_states(&back, "delivered", PATIENCE);

    for (peer, sent) in [(&alice, &there), (&bob, &back)] {
        for sent in sent {
            assert_eq!(peer.wait_state(&sent.id, "delivered")["via"], "direct");
            assert_eq!(peer.states_of(&sent.id), ["queued", "delivered"]);
        }
    }
    for message in bob.messages_from("alice").iter().chain(&alice.messages_from("bob")) {
        assert_eq!((&message.json["via"], &message.json["offline"]), (&"direct".into(), &false.into()));
    }
    let mut wanted = vec!["hello".to_string()];
    wanted.extend(numbered("there ", 100));
    assert_history(&bob, "alice", &wanted);
    assert_output(&bob, "alice", &wanted);
    assert_history(&alice, "bob", &numbered("back ", 100));
    // Each sealed item has at least 1 KiB: 200 of them could not hide in this.
    let after: u64 = lines.iter().map(Cutter::bytes_up).sum();
    assert!(after - before < 40 * 1024, "{} bytes went to the directory meanwhile", after - before);
}

#[test]
fn a_direct_message_is_told_with_all_its_keys() {
    let world = World::new();
    let (alice, bob) = (world.peer("Alice"), world.peer("bob"));
    let sent = alice.send("BOB", "hello");
    let message = bob.wait_message("Alice", "hello");
    assert_eq!(message["id"], sent.id.as_str());
    assert_eq!(message["n"], 1);
    assert_eq!(message["to"], "bob");
    assert_eq!(message["conversation"], "Alice");
    assert_eq!(message["reply_to"], serde_json::Value::Null);
    assert_eq!((&message["urgent"], &message["offline"]), (&false.into(), &false.into()));
    assert_eq!(message["request"], true, "nobody has accepted anybody yet");
    for key in ["sent_at", "received_at"] {
        let time = message[key].as_str().expect("a time");
        assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "RFC 3339, UTC, ms: {time}");
    }
    let state = alice.wait_state(&sent.id, "delivered");
    assert_eq!((&state["to"], &state["n"], &state["reason"]), (&"bob".into(), &sent.n.into(), &().into()));
    assert!(state["elapsed_ms"].as_u64().is_some_and(|elapsed_ms| elapsed_ms < 60_000), "{state}");
    bob.send("alice", "answer");
    assert_eq!(alice.wait_message("bob", "answer")["request"], false, "alice wrote first");
    alice.send("bob", "again");
    assert_eq!(bob.wait_message("Alice", "again")["request"], false, "answering accepts");
}

#[test]
fn a_blocked_udp_port_costs_one_attempt_and_direct_returns_by_itself() {
    let world = World::new();
    let (alice, bob, relays) = behind_relays(&world, Shape::default(), 4);
    let first = alice.send("bob", "first");
    assert_eq!(alice.wait_state(&first.id, "delivered")["via"], "direct");
    assert!(relays.iter().any(|relay| relay.counts().passed.load(Ordering::Relaxed) > 0), "the way leads over a relay");

    relays.iter().for_each(Relay::shut);
    let begin = Instant::now();
    let blocked = alice.send("bob", "blocked");
    let shown = bob.wait_message("alice", "blocked");
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(2), "shown after {took:?}");
    assert_eq!((&shown["via"], &shown["offline"]), (&"directory".into(), &false.into()));
    assert_eq!(alice.wait_state(&blocked.id, "delivered")["via"], "directory");

    let begin = Instant::now();
    for number in 0..10 {
        alice.send("bob", &format!("next {number}"));
        assert_eq!(bob.wait_message("alice", &format!("next {number}"))["via"], "directory");
    }
    let each = begin.elapsed() / 10;
    assert!(each < Duration::from_millis(750), "each following message took {each:?}");

    relays.iter().for_each(Relay::reopen);
    let more = until_direct(&alice, "bob", "later ", Duration::from_secs(90));
    let mut wanted = vec!["first".to_string(), "blocked".to_string()];
    wanted.extend(numbered("next ", 10));
    wanted.extend(numbered("later ", more));
    assert_history(&bob, "alice", &wanted);
    assert_output(&bob, "alice", &wanted);
    assert_delivered_once(&alice, &blocked.id, 0);
}

#[test]
fn a_udp_port_that_was_never_open_still_gets_messages_through_the_directory() {
    let world = World::new();
    let hole = Relay::open(world.ip.into(), Shape::default(), 0);
    hole.shut();
    let alice = world.setup("alice").advertising(hole.address()).registered();
    let bob = world.setup("bob").advertising(hole.address()).registered();
    let begin = Instant::now();
    alice.send("bob", "through the wall");
    let shown = bob.wait_message("alice", "through the wall");
    assert!(begin.elapsed() < Duration::from_millis(2_500), "look-up and one attempt took {:?}", begin.elapsed());
    assert_eq!(shown["via"], "directory");
    bob.send("alice", "and back");
    assert_eq!(alice.wait_message("bob", "and back")["via"], "directory");
}

#[test]
fn a_line_that_loses_doubles_and_reorders_delivers_everything_once_and_in_order() {
    const COUNT: usize = 300;
    let world = World::new();
    let shape = Shape { loss_percent: 30, double_percent: 10, reorder_percent: 20, delay_ms: 1, ..Shape::default() };
    let (alice, bob, relays) = behind_relays(&world, shape, 13);
    let there = alice.send_many("bob", "there ", 0..COUNT);
    let back = bob.send_many("alice", "back ", 0..COUNT);
    alice.wait_states(&there, "delivered", Duration::from_secs(150));
    bob.wait_states(&back, "delivered", Duration::from_secs(150));
    bob.wait_messages("alice", COUNT, PATIENCE);
    alice.wait_messages("bob", COUNT, PATIENCE);
    assert_history(&bob, "alice", &numbered("there ", COUNT));
    assert_output(&bob, "alice", &numbered("there ", COUNT));
    assert_history(&alice, "bob", &numbered("back ", COUNT));
    assert_output(&alice, "bob", &numbered("back ", COUNT));
    let sum =
        |pick: fn(&system_tests::lossy::Counts) -> u64| relays.iter().map(|relay| pick(relay.counts())).sum::<u64>();
    assert!(sum(|counts| counts.lost.load(Ordering::Relaxed)) > 0, "the line did lose");
    assert!(sum(|counts| counts.doubled.load(Ordering::Relaxed)) > 0, "the line did double");
    assert!(sum(|counts| counts.reordered.load(Ordering::Relaxed)) > 0, "the line did reorder");
}

#[test]
fn direct_goes_on_over_a_bad_line_while_the_directory_is_away() {
    const COUNT: usize = 60;
    let mut world = World::new();
    let shape = Shape { loss_percent: 10, double_percent: 10, reorder_percent: 20, delay_ms: 1, ..Shape::default() };
    let (alice, bob, _relays) = behind_relays(&world, shape, 131);
    until_direct(&alice, "bob", "warm ", Duration::from_secs(90));
    world.directory.kill_9();
    let sent = alice.send_many("bob", "dark ", 0..COUNT);
    alice.wait_states(&sent, "delivered", Duration::from_secs(120));
    for sent in &sent {
        assert_eq!(alice.wait_state(&sent.id, "delivered")["via"], "direct");
    }
    let texts = system_tests::checks::texts_from(&bob.history("alice"), "alice");
    assert_eq!(texts[texts.len() - COUNT..], numbered("dark ", COUNT));
}

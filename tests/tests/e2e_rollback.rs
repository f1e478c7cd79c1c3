//! Data directories copied away, used, and put back: at a sender, at a recipient, at the directory. No false
//! `delivered`, nothing lost that was not settled, nothing twice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use system_tests::checks::{assert_history, numbered, texts_from};
use system_tests::programs::files::{copy_dir, put_back};
use system_tests::programs::{PATIENCE, Peer, Sent, World};

/// Sends `m<from>`..`m<to>` from `alice` to bob and waits until all are delivered.
fn deliver(alice: &Peer, from: usize, to: usize) -> Vec<Sent> {
    let sent = alice.send_many("bob", "m", from..to);
    alice.wait_states(&sent, "delivered", PATIENCE);
    sent
}

/// Ends the peer, copies its data away, and starts it again.
fn copy_away(world: &World, peer: &mut Peer) -> std::path::PathBuf {
    let copy = world.path(&format!("{}-copy", peer.setup.name));
    peer.quit();
    copy_dir(&peer.setup.data_dir, &copy);
    peer.restart_online();
    copy
}

#[test]
fn a_rolled_back_sender_is_not_told_delivered_before_it_is_true() {
    let world = World::new();
    let (mut alice, mut bob) = (world.peer("alice"), world.peer("bob"));
    deliver(&alice, 0, 3);
    let copy = copy_away(&world, &mut alice);
    deliver(&alice, 3, 6);
    alice.quit();
    bob.quit();
    put_back(&copy, &alice.setup.data_dir);
    alice.restart_online();
    // These take the numbers in the lane that m3 to m5 had.
    let sent = alice.send_many("bob", "again ", 0..3);
    alice.wait_states(&sent, "kept", PATIENCE);
    std::thread::sleep(Duration::from_secs(2));
    for sent in &sent {
        assert_eq!(alice.states_of(&sent.id), ["queued", "kept"], "bob is away and has nothing of it");
    }
    bob.restart_online();
    alice.wait_states(&sent, "delivered", PATIENCE);
    let mut wanted = numbered("m", 6);
    wanted.extend(numbered("again ", 3));
    assert_history(&bob, "alice", &wanted);
    let after = alice.send("bob", "after");
    assert_eq!(alice.wait_state(&after.id, "delivered")["via"], "direct");
}

#[test]
fn a_rolled_back_sender_with_both_online_delivers_what_is_new_once() {
    let world = World::new();
    let (mut alice, bob) = (world.peer("alice"), world.peer("bob"));
    deliver(&alice, 0, 3);
    let copy = copy_away(&world, &mut alice);
    deliver(&alice, 3, 6);
    alice.quit();
    put_back(&copy, &alice.setup.data_dir);
    alice.restart();
    let sent = alice.send_many("bob", "again ", 0..10);
    alice.wait_states(&sent, "delivered", PATIENCE);
    let mut wanted = numbered("m", 6);
    wanted.extend(numbered("again ", 10));
    assert_history(&bob, "alice", &wanted);
    let back = bob.send("alice", "back");
    bob.wait_state(&back.id, "delivered");
}

#[test]
fn a_sender_rolled_back_to_undelivered_messages_sends_none_of_them_twice() {
    let world = World::new();
    let (mut alice, mut bob) = (world.peer("alice"), world.peer("bob"));
    deliver(&alice, 0, 1);
    bob.quit();
    let sent = alice.send_many("bob", "m", 1..6);
    alice.wait_states(&sent, "kept", PATIENCE);
    let copy = copy_away(&world, &mut alice);
    bob.restart_online();
    alice.wait_states(&sent, "delivered", PATIENCE);
    deliver(&alice, 6, 8);
    alice.quit();
    put_back(&copy, &alice.setup.data_dir);
    let mark = alice.mark();
    alice.restart_online();
    for sent in &sent {
        alice.expect_line(mark, PATIENCE, "state", "delivered of what was kept", |state| {
            state["id"] == sent.id.as_str() && state["state"] == "delivered"
        });
    }
    let new = alice.send("bob", "new");
    alice.wait_state(&new.id, "delivered");
    let mut wanted = numbered("m", 8);
    wanted.push("new".to_string());
    assert_history(&bob, "alice", &wanted);
}

#[test]
fn a_rolled_back_recipient_gets_everything_that_was_not_settled_once() {
    let world = World::new();
    let (alice, mut bob) = (world.peer("alice"), world.peer("bob"));
    deliver(&alice, 0, 3);
    let copy = copy_away(&world, &mut bob);
    deliver(&alice, 3, 6);
    bob.quit();
    let sent = alice.send_many("bob", "m", 6..9);
    alice.wait_states(&sent, "kept", PATIENCE);
    put_back(&copy, &bob.setup.data_dir);
    bob.restart_online();
    alice.wait_states(&sent, "delivered", PATIENCE);
    let more = alice.send_many("bob", "m", 9..12);
    alice.wait_states(&more, "delivered", PATIENCE);
    let history = bob.history("alice");
    system_tests::checks::assert_unique(&history, "id");
    let texts = texts_from(&history, "alice");
    let unsettled: Vec<String> = texts.iter().filter(|text| !numbered("m", 6)[3..].contains(text)).cloned().collect();
    let wanted: Vec<String> =
        numbered("m", 12).into_iter().filter(|text| !numbered("m", 6)[3..].contains(text)).collect();
    assert_eq!(unsettled, wanted, "settled ones may be gone with the disk, nothing else, and in order");
    // Its own lane does not reuse what it had used either.
    let back = bob.send("alice", "back");
    bob.wait_state(&back.id, "delivered");
    assert_eq!(texts_from(&alice.history("bob"), "bob"), ["back"]);
}

#[test]
fn a_rolled_back_recipient_that_had_answered_is_not_mistaken_for_its_former_self() {
    let world = World::new();
    let (alice, mut bob) = (world.peer("alice"), world.peer("bob"));
    deliver(&alice, 0, 2);
    let copy = copy_away(&world, &mut bob);
    let answers = bob.send_many("alice", "lost ", 0..4);
    bob.wait_states(&answers, "delivered", PATIENCE);
    bob.quit();
    put_back(&copy, &bob.setup.data_dir);
    bob.restart_online();
    let fresh = bob.send_many("alice", "fresh ", 0..6);
    bob.wait_states(&fresh, "delivered", PATIENCE);
    let mut wanted = numbered("lost ", 4);
    wanted.extend(numbered("fresh ", 6));
    assert_history(&alice, "bob", &wanted);
}

#[test]
fn a_rolled_back_directory_loses_nothing_that_was_not_settled() {
    let mut world = World::new();
    let alice = world.peer("alice");
    let mut bob = world.peer("bob");
    deliver(&alice, 0, 1);
    bob.quit();
    let early = alice.send_many("bob", "m", 1..4);
    alice.wait_states(&early, "kept", PATIENCE);
    let copy = world.path("directory-copy");
    world.directory.terminate();
    copy_dir(world.directory.data_dir(), &copy);
    world.directory.restart();
    let late = alice.send_many("bob", "m", 4..7);
    alice.wait_states(&late, "kept", PATIENCE);
    world.directory.terminate();
    put_back(&copy, world.directory.data_dir());
    world.directory.restart();
    bob.restart_online();
    alice.wait_states(&early, "delivered", PATIENCE);
    alice.wait_states(&late, "delivered", PATIENCE * 2);
    bob.wait_messages("alice", 7, PATIENCE);
    assert_history(&bob, "alice", &numbered("m", 7));
    let back = bob.send("alice", "back");
    bob.wait_state(&back.id, "delivered");
}

#[test]
fn a_directory_rolled_back_to_before_a_registration_gets_it_again() {
    let mut world = World::new();
    let alice = world.peer("alice");
    let copy = world.path("directory-copy");
    world.directory.terminate();
    copy_dir(world.directory.data_dir(), &copy);
    world.directory.restart();
    let mut bob = world.peer("bob");
    let hello = alice.send("bob", "hello");
    alice.wait_state(&hello.id, "delivered");
    bob.quit();
    world.directory.terminate();
    put_back(&copy, world.directory.data_dir());
    world.directory.restart();
    bob.restart();
    bob.ok("!register bob");
    let again = alice.send("bob", "again");
    alice.wait_state(&again.id, "delivered");
    assert_history(&bob, "alice", &["hello".to_string(), "again".to_string()]);
}

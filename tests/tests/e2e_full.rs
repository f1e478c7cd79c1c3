//! As much as may wait, with the real programs and the limits as they are: one sender's room with one person and with all, and
//! a mailbox. What is over it is held at its sender, who is told why, and goes on by itself when there is room.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::time::Duration;

use common::limits::{MAILBOX_MIB_MAX, PAIR_ITEMS_MAX, SEAL_CLASSES_BYTES, SUBMITTER_ITEMS_MAX};
use system_tests::checks::{assert_history, assert_output, numbered};
use system_tests::programs::peer::text;
use system_tests::programs::{Peer, Sent, World};

/// Thousands of messages, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(180);
/// Of one sender to one person.
const PAIR: usize = PAIR_ITEMS_MAX as usize;
/// What a text fills up that is sealed in the largest class.
const LARGE: usize = 5_000;
/// More messages of that class than a mailbox has room for.
const LARGE_MAX: usize = (MAILBOX_MIB_MAX as usize * 1_048_576) / SEAL_CLASSES_BYTES[2] + 1;

/// Somebody who has let these write as much as they like, and has gone.
fn gone(world: &World, name: &str, senders: &[&Peer]) -> Peer {
    let mut peer = world.peer(name);
    for sender in senders {
        let sent = peer.send(&sender.setup.name, "write to me");
        peer.wait_state(&sent.id, "delivered");
    }
    peer.quit();
    peer
}

fn held(peer: &Peer, sent: &[Sent], reason: &str) {
    for sent in sent {
        assert_eq!(peer.wait_state(&sent.id, "held")["reason"], reason);
    }
}

/// Waits until each is kept or held: how many are kept before the first that is not.
fn kept_or_held(peer: &Peer, sent: &[Sent]) -> usize {
    let mut kept: HashMap<String, bool> = HashMap::new();
    let found = peer.log().wait(0, PATIENCE, |line| {
        if line.event() == "state" && matches!(line.json["state"].as_str(), Some("kept" | "held")) {
            kept.insert(text(&line.json, "id"), line.json["state"] == "kept");
        }
        (kept.len() >= sent.len() && sent.iter().all(|sent| kept.contains_key(&sent.id))).then_some(())
    });
    assert!(found.is_ok(), "{} of {} are kept or held", kept.len(), sent.len());
    sent.iter().take_while(|sent| kept[&sent.id]).count()
}

#[test]
fn what_is_over_a_quota_is_held_with_the_reason_and_goes_on_when_there_is_room() {
    let world = World::new();
    let alice = world.peer("alice");
    let mut bob = gone(&world, "bob", &[&alice]);
    let mut carol = gone(&world, "carol", &[&alice]);
    let mut dora = gone(&world, "dora", &[&alice]);
    let to_bob = alice.send_many("bob", "b", 0..PAIR + 3);
    alice.wait_states(&to_bob[..PAIR], "kept", PATIENCE);
    held(&alice, &to_bob[PAIR..], "quota");
    assert_eq!(alice.states_of(&to_bob[PAIR].id), ["queued", "held"]);

    // There is room with others, until all of hers is used up.
    let to_carol = alice.send_many("carol", "c", 0..PAIR);
    alice.wait_states(&to_carol, "kept", PATIENCE);
    let rest = SUBMITTER_ITEMS_MAX as usize - 2 * PAIR;
    let to_dora = alice.send_many("dora", "d", 0..rest + 3);
    alice.wait_states(&to_dora[..rest], "kept", PATIENCE);
    held(&alice, &to_dora[rest..], "quota");
    let outcome = alice.setup.run(&["send", "--timeout", "5s", "dora", "one more"], b"");
    assert_eq!(outcome.code, Some(3), "held here: {}", outcome.all_text());
    assert!(outcome.all_text().contains("your quota at the directory is used up"), "{}", outcome.all_text());

    for (peer, sent, prefix) in [(&mut bob, &to_bob, "b"), (&mut carol, &to_carol, "c")] {
        peer.restart_online();
        peer.wait_messages("alice", sent.len(), PATIENCE);
        alice.wait_states(sent, "delivered", PATIENCE);
        assert_history_of(peer, prefix, sent.len());
    }
    // All of it, though nobody takes anything of what waits for her.
    alice.wait_states(&to_dora, "kept", PATIENCE);
    dora.restart_online();
    dora.wait_messages("alice", rest + 4, PATIENCE);
    dora.wait_message("alice", "one more");
    alice.wait_states(&to_dora, "delivered", PATIENCE);
}

/// What came of alice's, once each and in order.
fn assert_history_of(peer: &Peer, prefix: &str, count: usize) {
    assert_output(peer, "alice", &numbered(prefix, count));
    assert_history(peer, "alice", &numbered(prefix, count));
}

#[test]
fn what_a_full_mailbox_has_no_room_for_is_held_with_the_reason_and_goes_on_when_there_is() {
    let world = World::new();
    let (alice, carol) = (world.peer("alice"), world.peer("carol"));
    let mut bob = gone(&world, "bob", &[&alice, &carol]);
    let large = format!("{} ", "x".repeat(LARGE));
    let first = alice.send_many("bob", &large, 0..PAIR);
    alice.wait_states(&first, "kept", PATIENCE);
    let more = carol.send_many("bob", &large, 0..LARGE_MAX - PAIR);
    let room = kept_or_held(&carol, &more);
    assert!((1_000..more.len()).contains(&room), "{room} of {} had room", more.len());
    held(&carol, &more[room..], "mailbox-full");

    // At a prompt it says so in words.
    let dave = world.setup("dave").plain().start();
    dave.command(&["!register dave"]);
    dave.command(&[&format!("!send bob {}", large.trim_end())]);
    let words = "(held, their mailbox is full, 10,000 messages or 64 MiB)";
    shows(&dave, |line| line.ends_with(words));

    bob.restart_online();
    bob.wait_messages("alice", first.len(), PATIENCE);
    bob.wait_messages("carol", more.len(), PATIENCE);
    carol.wait_states(&more, "delivered", PATIENCE);
    for late in &more[room..] {
        assert_eq!(carol.states_of(&late.id).first().map(String::as_str), Some("queued"));
        assert_eq!(carol.states_of(&late.id).last().map(String::as_str), Some("delivered"));
    }
    // What went directly may have been shown before what was still in the mailbox, marked as late; once all is here, it stands in
    // its order.
    assert_history(&bob, "carol", &numbered(&large, more.len()));
    shows(&dave, |line| line.contains("(delivered"));
    bob.wait_message("dave", large.trim_end());
}

/// Waits for a line at a prompt.
fn shows(peer: &Peer, wanted: impl Fn(&str) -> bool) {
    let found = peer.log().wait(0, PATIENCE, |line| wanted(&line.text).then_some(()));
    assert!(found.is_ok(), "{found:?}\n{}", peer.log().tail(5));
}

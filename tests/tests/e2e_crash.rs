//! Programs killed with SIGKILL at bad moments: what was promised before is kept, once and in order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use system_tests::checks::{assert_delivered_once, assert_history, assert_output, numbered};
use system_tests::lossy::{Relay, Shape};
use system_tests::programs::{PATIENCE, Peer, Sent, World};

#[test]
fn what_was_queued_goes_out_after_the_sender_was_killed() {
    let world = World::new();
    let mut alice = world.peer("alice");
    let bob = world.peer("bob");
    let mut sent: Vec<Sent> = Vec::new();
    for round in 0..5 {
        let last = alice.send("bob", &format!("m{round}"));
        alice.wait_state(&last.id, "queued");
        alice.kill_9();
        sent.push(last);
        alice.restart();
    }
    bob.wait_messages("alice", 5, PATIENCE);
    alice.wait_states(&sent, "delivered", PATIENCE);
    assert_history(&bob, "alice", &numbered("m", 5));
    assert_output(&bob, "alice", &numbered("m", 5));
    sent.iter().for_each(|sent| assert_delivered_once(&alice, &sent.id, 5));
    assert_history(&alice, "bob", &[]);
    assert_eq!(alice.history("bob").len(), 5, "each once in the sender's history too");
}

#[test]
fn what_was_queued_for_nobody_reachable_goes_out_after_kill_and_return() {
    let mut world = World::new();
    let mut alice = world.peer("alice");
    let mut bob = world.peer("bob");
    let first = alice.send("bob", "m0");
    alice.wait_state(&first.id, "delivered");
    bob.quit();
    world.directory.kill_9();
    let sent: Vec<Sent> = (1..21).map(|number| alice.send("bob", &format!("m{number}"))).collect();
    alice.kill_9();
    alice.restart();
    let before = alice.history("bob");
    assert_eq!(before.len(), 21);
    assert!(before[1..].iter().all(|message| message["state"] == "queued"), "{before:?}");
    world.directory.restart();
    alice.wait_states(&sent, "kept", PATIENCE);
    bob.restart_online();
    bob.wait_messages("alice", 21, PATIENCE);
    assert_history(&bob, "alice", &numbered("m", 21));
    alice.wait_states(&sent, "delivered", PATIENCE);
}

#[test]
fn a_recipient_killed_at_random_moments_loses_nothing_and_doubles_nothing() {
    const COUNT: usize = 2_000;
    const KILLS: usize = 6;
    let world = World::new();
    let relays = [(); 2].map(|()| Relay::open(world.ip.into(), Shape::default(), 8));
    let alice = world.setup("alice").advertising(relays[0].address()).start();
    relays[0].pass_to(alice.address());
    let mut bob = world.setup("bob").advertising(relays[1].address()).start();
    relays[1].pass_to(bob.address());
    alice.ok("!register alice");
    bob.ok("!register bob");
    let hello = alice.send("bob", "m0");
    alice.wait_state(&hello.id, "delivered");

    // Of somebody not accepted the directory would keep 200 at a time; whom one writes to is accepted.
    let accepting = bob.send("alice", "write to me");
    bob.wait_state(&accepting.id, "delivered");

    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut sent = vec![hello];
    let share = COUNT / (KILLS + 1);
    for round in 0..=KILLS {
        let end = if round == KILLS { COUNT } else { (round + 1) * share };
        // Every second share has to go through the directory.
        if round % 2 == 1 {
            relays.iter().for_each(Relay::shut);
        } else {
            relays.iter().for_each(Relay::reopen);
        }
        let middle = sent.len() + (rng.next_u32() as usize) % (end - sent.len());
        sent.extend(alice.send_many("bob", "m", sent.len()..middle));
        let enough = 1 + (rng.next_u32() as usize) % sent.len();
        bob.wait_messages("alice", enough, PATIENCE);
        if round < KILLS {
            bob.kill_9();
        }
        sent.extend(alice.send_many("bob", "m", sent.len()..end));
        if round < KILLS {
            bob.restart();
        }
    }
    relays.iter().for_each(Relay::reopen);
    alice.wait_states(&sent, "delivered", PATIENCE * 2);
    bob.wait_messages("alice", COUNT, PATIENCE);
    assert_history(&bob, "alice", &numbered("m", COUNT));
    assert_output(&bob, "alice", &numbered("m", COUNT));
    for sent in &sent {
        assert_delivered_once(&alice, &sent.id, 0);
    }
    let ways = |way: &str| bob.log().lines(0, |line| line.event() == "message" && line.json["via"] == way).len();
    assert!(ways("direct") > 0 && ways("directory") > 0, "both ways were used");
}

#[test]
fn six_peers_with_two_restarting_lose_nothing_and_keep_each_senders_order() {
    const NAMES: [&str; 6] = ["anna", "bert", "cleo", "dora", "emil", "fred"];
    const COUNT: usize = 200;
    const ROUNDS: usize = 4;
    let world = World::new();
    let mut peers: Vec<Peer> = NAMES.iter().map(|name| world.peer(name)).collect();
    let mut sent: Vec<(usize, Sent)> = Vec::new();
    for round in 0..ROUNDS {
        let share = COUNT / ROUNDS;
        let numbers = round * share..(round + 1) * share;
        for (from, name) in NAMES.iter().enumerate() {
            for to in NAMES.iter().filter(|to| *to != name) {
                let many = peers[from].send_many(to, &format!("{name} to {to} "), numbers.clone());
                sent.extend(many.into_iter().map(|sent| (from, sent)));
            }
            if round == 1 && from == 2 {
                peers[0].kill_9();
                peers[1].quit();
            }
            if round == 1 && from == 4 {
                peers[0].restart_online();
                peers[1].restart_online();
            }
        }
    }
    for (from, peer) in peers.iter().enumerate() {
        let own: Vec<Sent> = sent.iter().filter(|(sender, _)| *sender == from).map(|(_, sent)| sent.clone()).collect();
        assert_eq!(own.len(), 5 * COUNT);
        peer.wait_states(&own, "delivered", Duration::from_secs(120));
    }
    for (to, peer) in peers.iter().enumerate() {
        for (from, name) in NAMES.iter().enumerate().filter(|(from, _)| *from != to) {
            let wanted = numbered(&format!("{name} to {} ", NAMES[to]), COUNT);
            peer.wait_messages(name, COUNT, PATIENCE);
            assert_history(peer, NAMES[from], &wanted);
            assert_output(peer, name, &wanted);
        }
    }
}

#[test]
fn a_directory_killed_in_the_middle_of_everything_loses_nothing() {
    const COUNT: usize = 400;
    let mut world = World::new();
    let hole = Relay::open(world.ip.into(), Shape::default(), 5);
    hole.shut();
    // Nobody can be reached by UDP, so that everything goes through the directory.
    let alice = world.setup("alice").advertising(hole.address()).registered();
    let bob = world.setup("bob").advertising(hole.address()).registered();
    let first = alice.send("bob", "m0");
    alice.wait_state(&first.id, "delivered");
    let mut sent = vec![first];
    for round in 0..4 {
        let middle = COUNT * (2 * round + 1) / 8;
        sent.extend(alice.send_many("bob", "m", sent.len()..middle));
        world.directory.kill_9();
        sent.extend(alice.send_many("bob", "m", sent.len()..COUNT * (round + 1) / 4));
        world.directory.restart();
        bob.wait_messages("alice", middle / 2, PATIENCE);
    }
    alice.wait_states(&sent, "delivered", PATIENCE * 2);
    bob.wait_messages("alice", COUNT, PATIENCE);
    assert_history(&bob, "alice", &numbered("m", COUNT));
    assert_output(&bob, "alice", &numbered("m", COUNT));
}

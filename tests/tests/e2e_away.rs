//! Somebody is not there: the recipient, the sender, or the directory. Real programs; what is sent waits where the
//! promise says, and arrives when everybody is back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use system_tests::checks::{assert_delivered_once, assert_history, assert_output, numbered};
use system_tests::cutter::{Cutter, Mode};
use system_tests::programs::peer::text;
use system_tests::programs::{PATIENCE, World};

#[test]
fn messages_to_somebody_away_are_kept_and_arrive_on_return_with_their_times() {
    let world = World::new();
    let alice = world.peer("alice");
    let mut bob = world.peer("bob");
    bob.quit();
    let sent = alice.send_many("bob", "kept ", 0..3);
    for sent in &sent {
        assert_eq!(alice.wait_state(&sent.id, "kept")["via"], "directory");
        assert_eq!(alice.states_of(&sent.id), ["queued", "kept"]);
    }
    let times: Vec<String> = alice.history("bob").iter().map(|message| text(message, "sent_at")).collect();
    std::thread::sleep(Duration::from_millis(1_100));

    bob.restart_online();
    bob.wait_messages("alice", 3, PATIENCE);
    alice.wait_states(&sent, "delivered", PATIENCE);
    let after = bob.send("alice", "got them");
    bob.wait_state(&after.id, "delivered");

    let lines = bob.log().lines(bob.log().run_begins_at(), |line| matches!(line.event(), "pending" | "message"));
    assert_eq!(lines[0].json["count"], 3, "the count comes first: {}", lines[0].text);
    assert_eq!(lines.iter().filter(|line| line.event() == "pending").count(), 1, "and once");
    assert_output(&bob, "alice", &numbered("kept ", 3));
    for ((line, sent), time) in lines[1..].iter().zip(&sent).zip(&times) {
        assert_eq!(line.json["id"], sent.id.as_str());
        assert_eq!(text(&line.json, "sent_at"), *time, "the original time");
        assert_eq!((&line.json["via"], &line.json["offline"]), (&"directory".into(), &true.into()));
        let (then, now) = (text(&line.json, "sent_at"), text(&line.json, "received_at"));
        assert!(then < now, "received after it was sent: {then} {now}");
    }
    for sent in &sent {
        assert_eq!(alice.states_of(&sent.id), ["queued", "kept", "delivered"]);
    }
}

#[test]
fn a_sender_that_was_away_meanwhile_learns_of_the_delivery() {
    let world = World::new();
    let mut alice = world.peer("alice");
    let mut bob = world.peer("bob");
    bob.quit();
    let sent = alice.send_many("bob", "kept ", 0..5);
    alice.wait_states(&sent, "kept", PATIENCE);
    alice.quit();
    bob.restart_online();
    bob.wait_messages("alice", 5, PATIENCE);
    bob.quit();
    alice.restart_online();
    alice.wait_states(&sent, "delivered", PATIENCE);
    sent.iter().for_each(|sent| assert_delivered_once(&alice, &sent.id, 1));
    bob.restart_online();
    assert_history(&bob, "alice", &numbered("kept ", 5));
    let lines = bob.log().lines(bob.log().run_begins_at(), |line| matches!(line.event(), "pending" | "message"));
    assert!(lines.is_empty(), "nothing is left to come: {lines:?}");
}

#[test]
fn nothing_pending_says_nothing() {
    let world = World::new();
    let (mut alice, bob) = (world.peer("alice"), world.peer("bob"));
    alice.quit();
    alice.restart_online();
    let sent = bob.send("alice", "now");
    bob.wait_state(&sent.id, "delivered");
    alice.wait_message("bob", "now");
    assert!(alice.log().lines(0, |line| line.event() == "pending").is_empty());
}

#[test]
fn a_recipient_killed_is_offline_at_once_and_comes_back_under_its_name() {
    let world = World::new();
    let alice = world.peer("alice");
    let mut bob = world.peer("bob");
    let first = alice.send("bob", "first");
    alice.wait_state(&first.id, "delivered");
    let mark = alice.mark();
    bob.kill_9();
    alice.expect_line(mark, Duration::from_secs(5), "presence", "offline of bob", |presence| {
        presence["name"] == "bob" && presence["state"] == "offline"
    });
    let begin = Instant::now();
    let kept = alice.send("bob", "kept");
    alice.wait_state(&kept.id, "kept");
    assert!(begin.elapsed() < Duration::from_secs(3), "kept after {:?}", begin.elapsed());

    let mark = alice.mark();
    let begin = Instant::now();
    bob.restart_online();
    assert!(begin.elapsed() < Duration::from_secs(5), "back after {:?}", begin.elapsed());
    assert_eq!(bob.ok("!whoami")["name"], "bob");
    alice.expect_line(mark, Duration::from_secs(5), "presence", "online of bob", |presence| {
        presence["name"] == "bob" && presence["state"] == "online"
    });
    alice.wait_state(&kept.id, "delivered");
    let wanted = ["first".to_string(), "kept".to_string()];
    assert_history(&bob, "alice", &wanted);
    let direct = alice.send("bob", "direct again");
    alice.wait_state(&direct.id, "delivered");
}

#[test]
fn a_thousand_kept_messages_survive_a_killed_directory_once_and_in_order() {
    const COUNT: usize = 1_000;
    let mut world = World::new();
    let alice = world.peer("alice");
    let mut bob = world.peer("bob");
    // Of somebody not accepted the directory would keep 200; whom one writes to is accepted.
    let accepting = bob.send("alice", "write to me");
    bob.wait_state(&accepting.id, "delivered");
    bob.quit();
    let sent = alice.send_many("bob", "kept ", 0..COUNT);
    alice.wait_states(&sent, "kept", PATIENCE * 2);
    world.directory.kill_9();
    world.directory.restart();
    bob.restart_online();
    bob.wait_messages("alice", COUNT, PATIENCE * 2);
    assert_history(&bob, "alice", &numbered("kept ", COUNT));
    assert_output(&bob, "alice", &numbered("kept ", COUNT));
    assert_eq!(bob.expect("pending", "count", |_| true)["count"], COUNT);
    alice.wait_states(&sent, "delivered", PATIENCE);
}

#[test]
fn what_the_directory_kept_arrives_though_the_sender_is_gone() {
    let mut world = World::new();
    let mut alice = world.peer("alice");
    let mut bob = world.peer("bob");
    bob.quit();
    let sent = alice.send_many("bob", "kept ", 0..50);
    alice.wait_states(&sent, "kept", PATIENCE);
    alice.kill_9();
    world.directory.kill_9();
    world.directory.restart();
    bob.restart_online();
    bob.wait_messages("alice", 50, PATIENCE);
    assert_history(&bob, "alice", &numbered("kept ", 50));
}

#[test]
fn without_a_directory_two_who_know_each_other_talk_and_the_rest_waits_for_it() {
    let mut world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let mut carol = world.peer("carol");
    for (name, peer) in [("bob", &bob), ("carol", &carol)] {
        let hello = alice.send(name, "hello");
        alice.wait_state(&hello.id, "delivered");
        peer.wait_message("alice", "hello");
    }
    carol.quit();
    world.directory.kill_9();

    let direct = alice.send("bob", "still here");
    assert_eq!(alice.wait_state(&direct.id, "delivered")["via"], "direct");
    let back = bob.send("alice", "me too");
    assert_eq!(bob.wait_state(&back.id, "delivered")["via"], "direct");
    let waiting = alice.send("carol", "later");
    alice.wait_state(&waiting.id, "queued");
    assert_eq!(alice.refused("!send dave who are you"), "directory-unreachable");
    std::thread::sleep(Duration::from_secs(3));
    assert!(alice.states_of(&waiting.id).iter().all(|state| state == "queued"), "{:?}", alice.states_of(&waiting.id));
    let status = alice.ok(&format!("!status {}", waiting.n)).to_string();
    assert!(status.contains("queued"), "it says so: {status}");

    world.directory.restart();
    alice.wait_state(&waiting.id, "kept");
    carol.restart_online();
    carol.wait_message("alice", "later");
    alice.wait_state(&waiting.id, "delivered");
    assert_history(&carol, "alice", &["hello".to_string(), "later".to_string()]);
    assert_history(&bob, "alice", &["hello".to_string(), "still here".to_string()]);
}

#[test]
fn peers_that_start_while_the_directory_is_away_find_each_other_again() {
    let mut world = World::new();
    let (mut alice, mut bob) = (world.peer("alice"), world.peer("bob"));
    let hello = alice.send("bob", "hello");
    alice.wait_state(&hello.id, "delivered");
    alice.quit();
    bob.quit();
    world.directory.terminate();
    alice.restart();
    bob.restart();
    let dark = alice.send("bob", "in the dark");
    assert_eq!(alice.wait_state(&dark.id, "delivered")["via"], "direct");
    bob.wait_message("alice", "in the dark");
    world.directory.restart();
    alice.expect("online", "again, by itself", |_| true);
    bob.expect("online", "again, by itself", |_| true);
    assert_history(&bob, "alice", &["hello".to_string(), "in the dark".to_string()]);
}

#[test]
fn a_directory_line_that_is_cut_or_stalled_loses_nothing() {
    let world = World::new();
    let line = Cutter::open(world.ip.into(), world.directory.address());
    let alice = world.setup("alice").at_directory(line.address()).registered();
    let mut bob = world.peer("bob");
    // Only what goes to somebody known is queued while the directory is away.
    let mut sent = alice.send_many("bob", "m", 0..1);
    alice.wait_states(&sent, "delivered", PATIENCE);
    bob.quit();
    for (round, mode) in [Mode::Cut, Mode::Stall, Mode::Cut].into_iter().enumerate() {
        line.set(mode);
        let more = alice.send_many("bob", "m", 1 + round * 50..51 + round * 50);
        // A stalled line is given up only after the dead time; cutting it ends the wait.
        line.set(Mode::Cut);
        line.set(Mode::Carry);
        alice.wait_states(&more, "kept", PATIENCE);
        sent.extend(more);
    }
    bob.restart_online();
    bob.wait_messages("alice", 151, PATIENCE);
    assert_history(&bob, "alice", &numbered("m", 151));
    assert_output(&bob, "alice", &numbered("m", 151));
    alice.wait_states(&sent, "delivered", PATIENCE);
}

#[test]
fn logging_out_without_leaving_keeps_messages_until_login() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let first = alice.send("bob", "first");
    alice.wait_state(&first.id, "delivered");
    let mark = alice.mark();
    bob.ok("!logout");
    bob.expect("offline", "own", |event| event["name"] == "bob");
    alice.expect_line(mark, PATIENCE, "presence", "offline of bob", |presence| presence["state"] == "offline");
    let kept = alice.send("bob", "while out");
    alice.wait_state(&kept.id, "kept");
    let mark = bob.mark();
    assert!(bob.messages_from("alice").len() == 1, "offline means that nothing comes");
    bob.ok("!login");
    bob.expect_line(mark, PATIENCE, "online", "own", |event| event["name"] == "bob");
    bob.wait_message("alice", "while out");
    alice.wait_state(&kept.id, "delivered");
}

#[test]
fn what_is_urgent_is_handed_out_before_what_waited_longer_and_each_once() {
    let world = World::new();
    let alice = world.peer("alice");
    let mut bob = world.peer("bob");
    bob.quit();
    let mut sent = alice.send_many("bob", "plain ", 0..3);
    alice.wait_states(&sent, "kept", PATIENCE);
    let urgent = text(&alice.ok("!urgent bob the kettle is on"), "id");
    alice.wait_state(&urgent, "kept");
    bob.restart_online();
    bob.wait_messages("alice", 4, PATIENCE);
    alice.wait_states(&sent, "delivered", PATIENCE);
    alice.wait_state(&urgent, "delivered");
    // Something later has come too, so that nothing of the four can still come a second time.
    sent.push(alice.send("bob", "plain 3"));
    bob.wait_message("alice", "plain 3");
    let shown = bob.messages_from("alice");
    let texts: Vec<String> = shown.iter().map(|line| text(&line.json, "text")).collect();
    assert_eq!(texts, ["the kettle is on", "plain 0", "plain 1", "plain 2", "plain 3"]);
    let marks: Vec<bool> = shown.iter().map(|line| line.json["urgent"] == true).collect();
    assert_eq!(marks, [true, false, false, false, false]);
}

#[test]
fn what_a_full_room_for_strangers_holds_goes_on_by_itself_when_there_is_room() {
    let world = World::new();
    let eve = world.peer("eve");
    let mut bob = world.peer("bob");
    bob.quit();
    let sent = eve.send_many("bob", "knock ", 0..210);
    eve.wait_states(&sent[..200], "kept", PATIENCE);
    for held in &sent[200..] {
        assert_eq!(eve.wait_state(&held.id, "held")["reason"], "strangers-full");
    }
    bob.restart_online();
    bob.wait_messages("eve", 200, PATIENCE);
    // An answer makes her nobody's stranger.
    let answer = bob.send("eve", "come in");
    bob.wait_state(&answer.id, "delivered");
    eve.wait_states(&sent, "delivered", PATIENCE);
    bob.wait_messages("eve", 210, PATIENCE);
    assert_output(&bob, "eve", &numbered("knock ", 210));
}

//! What is done to lines, with the real programs: replies, edits, deletes, reactions, forwards, read receipts, texts that
//! vanish, search, forgetting; each wrong use once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use serde_json::{Value, json};
use system_tests::cutter::{Cutter, Mode};
use system_tests::programs::files::names_in;
use system_tests::programs::peer::text;
use system_tests::programs::{Peer, World, eventually};

const PATIENCE: Duration = Duration::from_secs(15);

/// Two who have talked.
fn two(world: &World) -> (Peer, Peer) {
    (world.peer("alice"), world.peer("bob"))
}

fn n(value: &Value) -> u64 {
    value["n"].as_u64().expect("a number")
}

/// What `!history` shows of the line with this identity.
fn line(peer: &Peer, with: &str, id: &str) -> Value {
    peer.history(with).into_iter().find(|line| line["id"] == id).unwrap_or_default()
}

#[test]
fn a_reply_quotes_the_line_it_answers_and_an_edit_is_seen_as_one() {
    let world = World::new();
    let (alice, bob) = two(&world);
    let asked = alice.send("bob", "who cooks?");
    let came = bob.wait_message("alice", "who cooks?");
    let reply = bob.ok(&format!("!reply {} alice I do", n(&came)));
    let answered = alice.wait_message("bob", "I do");
    assert_eq!((&answered["id"], &answered["reply_to"]), (&reply["id"], &json!(asked.id)));
    assert_eq!(answered["quote"]["text"], "who cooks?");
    // Long ago is no other case: what it answers stands in the store.
    let outcome = bob.setup.run(&["send", "--reply", &asked.id, "alice", "soup"], b"");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(alice.wait_message("bob", "soup")["reply_to"], json!(asked.id));

    alice.ok(&format!("!edit {} who cooks tonight?", asked.n));
    let edited = bob.expect("edited", "the question", |event| event["id"] == asked.id);
    assert_eq!((text(&edited, "by"), text(&edited, "text")), ("alice".into(), "who cooks tonight?".into()));
    for (peer, with) in [(&alice, "bob"), (&bob, "alice")] {
        let line = line(peer, with, &asked.id);
        assert_eq!((text(&line, "text"), &line["edited"]), ("who cooks tonight?".into(), &json!(true)), "{line}");
    }
    assert_eq!(bob.refused(&format!("!edit {} x", n(&came))), "not-allowed");
    assert_eq!(bob.refused("!edit 999 x"), "no-such-message");
    assert_eq!(bob.refused("!reply 999 x"), "no-such-message");
    assert_eq!(bob.refused("!reply"), "bad-argument");
    assert_eq!(alice.refused(&format!("!edit {}", asked.n)), "bad-argument");
    assert_eq!(alice.refused(&format!("!edit {} {}", asked.n, "x".repeat(16 * 1024 + 1))), "too-large");
}

/// What waits at the directory comes over a line that is slow and then stands still; what is done to it comes directly.
#[test]
fn an_edit_that_comes_before_what_it_edits_waits_for_it() {
    const LARGE: usize = 10;
    let world = World::new();
    let wire = Cutter::open(world.ip.into(), world.directory.address());
    let alice = world.peer("alice");
    let mut bob = world.setup("bob").at_directory(wire.address()).registered();
    let hello = alice.send("bob", "hello");
    alice.wait_state(&hello.id, "delivered");
    bob.quit();
    let ahead = alice.send_many("bob", &format!("{} ", "x".repeat(10_000)), 0..LARGE);
    let sent = alice.send("bob", "at eihgt");
    alice.wait_states(&ahead, "kept", PATIENCE);
    alice.wait_state(&sent.id, "kept");
    // Twenty thousand bytes each: all of it would take most of a minute.
    wire.set(Mode::Trickle(4_000));
    bob.restart_online();
    wire.set(Mode::Stall);
    let here = bob.send("alice", "I am here");
    assert_eq!(bob.wait_state(&here.id, "delivered")["via"], "direct");
    alice.ok(&format!("!edit {} at eight", sent.n));
    // What Bob said has the next number, the edit the one after.
    let edit = sent.n + 2;
    eventually("the edit is there", PATIENCE, || {
        alice.ask(&format!("!status {edit}")).to_string().contains("delivered")
    });
    assert_eq!(bob.messages_from("alice").len(), 1, "nothing of what it edits is");

    wire.set(Mode::Carry);
    let came = bob.expect("message", "the line", |message| message["id"] == sent.id);
    assert_eq!((text(&came, "text"), &came["edited"]), ("at eight".into(), &json!(true)), "{came}");
    alice.wait_state(&sent.id, "delivered");
    assert!(bob.log().lines(0, |line| line.event() == "edited").is_empty(), "there was nothing to be told of");
    assert_eq!(text(&line(&bob, "alice", &sent.id), "text"), "at eight");
}

#[test]
fn what_is_taken_back_is_gone_at_both_ends_whether_it_had_arrived_or_not() {
    let world = World::new();
    let (alice, mut bob) = two(&world);
    let sent = alice.send("bob", "oops");
    let came = bob.wait_message("alice", "oops");
    assert_eq!(bob.refused(&format!("!delete {}", n(&came))), "not-allowed");
    alice.ok(&format!("!delete {}", sent.n));
    bob.expect("deleted", "the line", |event| event["id"] == sent.id && event["by"] == "alice");
    for (peer, with) in [(&alice, "bob"), (&bob, "alice")] {
        let line = line(peer, with, &sent.id);
        assert_eq!((&line["text"], &line["gone"]), (&Value::Null, &json!("deleted")), "{line}");
    }
    assert_eq!(alice.refused(&format!("!edit {} x", sent.n)), "no-such-message");

    bob.quit();
    let early = alice.send("bob", "not sent yet");
    let kept = alice.send("bob", "for you");
    alice.wait_state(&kept.id, "kept");
    alice.ok(&format!("!delete {}", early.n));
    alice.wait_state(&early.id, "cancelled");
    alice.ok(&format!("!edit {} for both of you", kept.n));
    bob.restart_online();
    alice.wait_state(&kept.id, "delivered");
    eventually("the edit came", PATIENCE, || text(&line(&bob, "alice", &kept.id), "text") == "for both of you");
    assert!(!bob.history("alice").iter().any(|line| line["text"] == "not sent yet"));
}

#[test]
fn a_sign_stands_beside_its_line_at_both_ends_until_it_is_taken_back() {
    let world = World::new();
    let (alice, bob) = two(&world);
    let sent = alice.send("bob", "done");
    let came = bob.wait_message("alice", "done");
    bob.ok(&format!("!react {} 👍", n(&came)));
    let reacted = alice.expect("reacted", "the line", |event| event["id"] == sent.id);
    assert_eq!((text(&reacted, "by"), text(&reacted, "emoji")), ("bob".into(), "👍".into()));
    for (peer, with) in [(&alice, "bob"), (&bob, "alice")] {
        let line = line(peer, with, &sent.id);
        assert!(line["reactions"].to_string().contains('👍'), "{line}");
    }
    bob.ok(&format!("!react {} -", n(&came)));
    alice.expect("reacted", "none any more", |event| event["id"] == sent.id && event["emoji"] == "");
    eventually("no sign", PATIENCE, || !line(&alice, "bob", &sent.id)["reactions"].to_string().contains('👍'));
    assert_eq!(bob.refused("!react 999 x"), "no-such-message");
    assert_eq!(bob.refused(&format!("!react {} {}", n(&came), "x".repeat(33))), "bad-argument");
    assert_eq!(bob.refused(&format!("!react {}", n(&came))), "bad-argument");
}

#[test]
fn what_is_passed_on_says_whose_it_was_also_to_somebody_met_for_the_first_time() {
    let world = World::new();
    let (alice, bob) = two(&world);
    let carol = world.peer("carol");
    alice.send("bob", "the bus is late");
    let came = bob.wait_message("alice", "the bus is late");
    bob.ok(&format!("!forward {} carol", n(&came)));
    let passed = carol.wait_message("bob", "the bus is late");
    assert_eq!(text(&passed, "forwarded_from"), "alice");
    assert_eq!(bob.refused(&format!("!forward {} nobody", n(&came))), "no-such-user");
    assert_eq!(bob.refused("!forward 999 carol"), "no-such-message");
    assert_eq!(bob.refused(&format!("!forward {} bob", n(&came))), "to-yourself");
    assert_eq!(bob.refused(&format!("!forward {} @nobody", n(&came))), "no-such-group");
}

#[test]
fn others_are_told_what_was_read_only_while_the_reader_lets_them() {
    let world = World::new();
    let (alice, bob) = two(&world);
    let before = alice.send("bob", "one");
    alice.wait_state(&before.id, "delivered");
    assert_eq!(bob.ok("!receipts on")["receipts"], json!(true));
    let seen = alice.send("bob", "two");
    let read = alice.wait_state(&seen.id, "read");
    assert!(read["elapsed_ms"].as_u64().is_some_and(|ms| ms < 60_000), "{read}");
    let trace = alice.ok(&format!("!status {}", seen.n));
    let states: Vec<&str> =
        trace["trace"].as_array().unwrap().iter().filter_map(|step| step["state"].as_str()).collect();
    assert!(states.ends_with(&["delivered", "read"]), "{trace}");
    assert_eq!(bob.ok("!receipts off")["receipts"], json!(false));
    let unseen = alice.send("bob", "three");
    alice.wait_state(&unseen.id, "delivered");
    bob.wait_message("alice", "three");
    // A whole exchange later nothing has been said.
    bob.send("alice", "four");
    alice.wait_message("bob", "four");
    let later = alice.send("bob", "five");
    alice.wait_state(&later.id, "delivered");
    assert!(!alice.states_of(&unseen.id).contains(&"read".to_owned()));
    assert!(!alice.states_of(&later.id).contains(&"read".to_owned()));
    assert_eq!(bob.refused("!receipts maybe"), "bad-argument");
}

#[test]
fn texts_vanish_from_both_stores_after_they_were_read() {
    let world = World::new();
    let (alice, mut bob) = two(&world);
    let plain = alice.send("bob", "stays");
    bob.wait_message("alice", "stays");
    assert_eq!(alice.ok("!expire bob 2s")["after_ms"], json!(2_000));
    let told = bob.expect("expiry", "from alice", |event| event["conversation"] == "alice");
    assert_eq!((text(&told, "by"), &told["after_ms"]), ("alice".into(), &json!(2_000)));
    let sent = bob.send("alice", "secret plan");
    assert_eq!(alice.wait_message("bob", "secret plan")["vanishes_ms"], json!(2_000));
    bob.wait_state(&sent.id, "delivered");
    for peer in [&alice, &bob] {
        peer.expect("vanished", "the secret", |event| event["n"].as_array().is_some_and(|gone| gone.len() == 1));
    }
    for (peer, with) in [(&alice, "bob"), (&bob, "alice")] {
        let line = line(peer, with, &sent.id);
        assert_eq!((&line["text"], &line["gone"]), (&Value::Null, &json!("vanished")), "{line}");
        assert_eq!(peer.ok("!search secret")["messages"], json!([]));
    }
    assert_eq!(text(&line(&bob, "alice", &plain.id), "text"), "stays");
    // Nobody is there when the time is over: it goes with the next start.
    let last = alice.send("bob", "secret too");
    bob.wait_message("alice", "secret too");
    alice.wait_state(&last.id, "delivered");
    bob.kill_9();
    std::thread::sleep(Duration::from_millis(2_500));
    bob.restart_online();
    eventually("gone after the start", PATIENCE, || line(&bob, "alice", &last.id)["gone"] == "vanished");
    assert_eq!(bob.ok("!expire alice off")["after_ms"], Value::Null);
    let open = bob.send("alice", "in the open");
    alice.wait_message("bob", "in the open");
    assert_eq!(line(&bob, "alice", &open.id)["vanishes_ms"], Value::Null);
    assert_eq!(bob.refused("!expire alice soon"), "bad-argument");
    assert_eq!(bob.refused("!expire nobody 5m"), "no-such-user");
    assert_eq!(bob.refused("!expire bob 5m"), "to-yourself");
}

/// The files of a data folder in which `words` stand.
fn files_with(peer: &Peer, words: &str) -> Vec<String> {
    let dir = &peer.setup.data_dir;
    let holds = |name: &String| {
        // A socket cannot be read, and holds nothing.
        let bytes = std::fs::read(dir.join(name)).unwrap_or_default();
        bytes.windows(words.len()).any(|window| window.eq_ignore_ascii_case(words.as_bytes()))
    };
    names_in(dir).into_iter().filter(holds).collect()
}

#[test]
fn no_file_of_either_store_holds_a_text_that_has_vanished() {
    const WORD: &str = "xylophonquartz";
    let world = World::new();
    let (alice, bob) = two(&world);
    let plain = alice.send("bob", "stays marimbaphone");
    alice.wait_state(&plain.id, "delivered");
    alice.ok("!expire bob 3s");
    bob.expect("expiry", "from alice", |event| event["conversation"] == "alice");
    let sent = bob.send("alice", &format!("the {WORD} is under the bridge"));
    alice.expect("message", "the secret", |message| message["id"] == sent.id.as_str());
    for peer in [&alice, &bob] {
        assert!(!files_with(peer, WORD).is_empty(), "{}: it was there", peer.setup.name);
    }
    for (peer, with) in [(&alice, "bob"), (&bob, "alice")] {
        peer.expect("vanished", "the secret", |event| event["n"].as_array().is_some_and(|gone| gone.len() == 1));
        assert_eq!(line(peer, with, &sent.id)["gone"], "vanished");
        // The log of the database is emptied when the store has a moment.
        eventually("no file holds it", PATIENCE, || files_with(peer, WORD).is_empty());
        assert!(names_in(&peer.setup.data_dir).iter().any(|name| name.ends_with("-wal")), "the log was looked at");
        assert!(!files_with(peer, "marimbaphone").is_empty(), "what stays is found in the same way");
    }
}

#[test]
fn what_is_kept_here_is_found_and_forgotten() {
    let world = World::new();
    let (alice, bob) = two(&world);
    let carol = world.peer("carol");
    alice.send("bob", "pumpkin soup in the garden");
    alice.send("carol", "pumpkin pie");
    bob.wait_message("alice", "pumpkin soup in the garden");
    carol.wait_message("alice", "pumpkin pie");
    let found = |line: &str| -> Vec<String> {
        let answer = alice.ok(line);
        answer["messages"].as_array().unwrap().iter().map(|message| text(message, "text")).collect()
    };
    assert_eq!(found("!search pumpkin"), ["pumpkin soup in the garden", "pumpkin pie"]);
    assert_eq!(found("!search pumpkin in carol"), ["pumpkin pie"]);
    assert_eq!(found("!search soup in garden"), ["pumpkin soup in the garden"], "nobody is called garden");
    assert_eq!(found("!search \"soup in the\""), ["pumpkin soup in the garden"]);
    assert_eq!(found("!search nothing"), [""; 0]);
    assert_eq!(alice.refused("!search"), "bad-argument");
    assert_eq!(alice.ok("!forget bob")["forgotten"], Value::Null, "asks first");
    assert_eq!(alice.history("bob").len(), 1);
    assert_eq!(alice.ok("!forget bob yes")["forgotten"], json!(1));
    assert_eq!(found("!search pumpkin"), ["pumpkin pie"]);
    assert_eq!(alice.history("bob").len(), 0);
    assert_eq!(bob.history("alice").len(), 1, "the other's store is the other's");
    assert_eq!(alice.refused("!forget nobody yes"), "no-such-user");
    assert_eq!(alice.refused("!history @nobody"), "no-such-group");
}

#[test]
fn who_has_no_name_does_nothing_to_lines() {
    let world = World::new();
    let peer = world.setup("alice").start();
    for line in ["!reply 1 x", "!edit 1 x", "!delete 1", "!react 1 x", "!forward 1 bob", "!expire bob 5m"] {
        assert_eq!(peer.refused(line), "not-registered", "{line}");
    }
}

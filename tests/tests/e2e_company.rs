//! Contacts, blocking, presence, being busy, notices and broadcasts, with the real programs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use serde_json::Value;
use system_tests::programs::peer::text;
use system_tests::programs::{PATIENCE, Peer, World};

fn is(peer: &Peer, name: &str, state: &str) -> Value {
    peer.expect("presence", &format!("{name} {state}"), |value| value["name"] == name && value["state"] == state)
}

fn contact(peer: &Peer, name: &str) -> Value {
    let answer = peer.ok("!contacts");
    let contacts = answer["contacts"].as_array().unwrap();
    contacts.iter().find(|contact| contact["name"] == name).cloned().unwrap_or(Value::Null)
}

#[test]
fn what_is_sent_to_somebody_busy_is_kept_until_they_are_back_and_urgent_comes_through() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let hello = alice.send("bob", "hello");
    alice.wait_state(&hello.id, "delivered");
    let answer = bob.ok("!busy in an exam");
    assert_eq!((text(&answer, "state"), text(&answer, "note")), ("busy".into(), "in an exam".into()));
    assert_eq!(is(&alice, "bob", "busy")["note"], "in an exam");
    let later = alice.send("bob", "not now");
    alice.wait_state(&later.id, "kept");
    let answer = alice.ok("!urgent bob the kettle is on");
    alice.wait_state(&text(&answer, "id"), "delivered");
    assert_eq!(bob.wait_message("alice", "the kettle is on")["urgent"], true);
    assert_eq!(bob.messages_from("alice").len(), 2, "what is not urgent waits");
    bob.ok("!back");
    bob.wait_message("alice", "not now");
    alice.wait_state(&later.id, "delivered");
    is(&alice, "bob", "online");
    let again = alice.send("bob", "welcome back");
    assert_eq!(alice.wait_state(&again.id, "delivered")["via"], "direct");
}

#[test]
fn busy_outlasts_a_restart_and_a_sender_who_does_not_know_it_loses_nothing() {
    let world = World::new();
    let (alice, mut bob) = (world.peer("alice"), world.peer("bob"));
    let hello = alice.send("bob", "hello");
    alice.wait_state(&hello.id, "delivered");
    bob.ok("!busy");
    bob.kill_9();
    bob.restart_online();
    let kept = alice.send("bob", "while you are busy");
    alice.wait_state(&kept.id, "kept");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(bob.messages_from("alice").len(), 1);
    bob.ok("!back");
    bob.wait_message("alice", "while you are busy");
}

#[test]
fn who_and_contacts_show_how_people_are() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let hello = alice.send("bob", "hello");
    alice.wait_state(&hello.id, "delivered");
    bob.ok("!away making tea");
    is(&alice, "bob", "away");
    let people = alice.ok("!who bob")["people"].as_array().unwrap().clone();
    assert_eq!((text(&people[0], "state"), text(&people[0], "note")), ("away".into(), "making tea".into()));
    assert_eq!(text(&contact(&alice, "bob"), "note"), "making tea");
    let away = alice.send("bob", "away is no reason to wait");
    alice.wait_state(&away.id, "delivered");
    assert_eq!(alice.refused(&format!("!away {}", "x".repeat(201))), "bad-argument");
}

#[test]
fn a_crash_shows_as_leaving_and_a_return_as_coming() {
    let world = World::new();
    let (alice, mut bob) = (world.peer("alice"), world.peer("bob"));
    // Nobody here has written to anybody: the notice is for everybody.
    is(&alice, "bob", "online");
    bob.kill_9();
    is(&alice, "bob", "offline");
    let mark = alice.mark();
    bob.restart_online();
    alice.expect_line(mark, PATIENCE, "presence", "bob again", |value| {
        value["name"] == "bob" && value["state"] == "online"
    });
}

#[test]
fn a_class_that_logs_in_is_few_lines_on_a_screen() {
    const CLASS: usize = 30;
    let world = World::new();
    let teacher = world.setup("teacher").plain().start();
    teacher.command(&["!register teacher"]);
    let online = teacher.log().wait(0, PATIENCE, |line| line.text.contains("you are online").then_some(()));
    assert_eq!(online, Ok(()), "{}", teacher.log().tail(20));
    // Everybody has started before the first one logs in; then all do so at once.
    let class: Vec<Peer> = (0..CLASS).map(|n| world.setup(&format!("pupil-{n}")).start()).collect();
    let places: Vec<usize> =
        class.iter().map(|pupil| pupil.command(&[&format!("!register {}", pupil.setup.name)])).collect();
    for (pupil, place) in class.iter().zip(places) {
        assert_eq!(pupil.answer(place)["event"], "result", "{}", pupil.setup.name);
    }
    let mut told = 0;
    let found = teacher.log().wait(0, PATIENCE, |line| {
        told += if line.text.contains("pupil-") { named_in(&line.text) } else { 0 };
        (told == CLASS).then_some(())
    });
    found.unwrap_or_else(|missed| panic!("{missed:?}: told of {told}\n{}", teacher.log().tail(40)));
    let lines = teacher.log().lines(0, |line| line.text.contains("pupil-"));
    assert!(lines.len() <= CLASS / 3, "{} lines for {CLASS} pupils: {lines:?}", lines.len());
}

/// Of how many people `* ann, bob and 18 more are online` tells.
fn named_in(notice: &str) -> usize {
    let words = notice.replace(',', " ");
    let words: Vec<&str> = words.split_whitespace().collect();
    let more = words.windows(2).find(|pair| pair[1] == "more").map_or(0, |pair| pair[0].parse().unwrap());
    more + words.iter().filter(|word| word.starts_with("pupil-")).count()
}

#[test]
fn a_blocked_one_gets_a_refusal_and_nothing_else() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let hello = alice.send("bob", "hello");
    alice.wait_state(&hello.id, "delivered");
    let waits = {
        bob.stop();
        let waits = alice.send("bob", "on its way");
        bob.cont();
        waits
    };
    alice.wait_state(&waits.id, "delivered");
    assert_eq!(bob.ok("!block alice")["blocked"], true);
    assert_eq!(contact(&bob, "alice")["blocked"], true);
    // The word may still be on its way to her: then this one is refused. It is told once, and then she knows.
    let answer = alice.ask("!send bob let me in");
    if answer["event"] == "result" {
        let id = text(&answer, "id");
        assert_eq!(alice.wait_state(&id, "refused")["reason"], "blocked");
        assert_eq!(alice.refused("!send bob let me in"), "blocked");
        assert_eq!(alice.states_of(&id), ["queued", "refused"]);
    } else {
        assert_eq!(text(&answer, "code"), "blocked", "{answer}");
    }
    assert_eq!(bob.refused("!send alice hm"), "blocked");
    assert!(bob.messages_from("alice").iter().all(|line| line.json["text"] != "let me in"));
    assert_eq!(bob.ok("!unblock alice")["blocked"], false);
    let again = {
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            let answer = alice.ask("!send bob friends again");
            if answer["event"] == "result" {
                break text(&answer, "id");
            }
            assert!(std::time::Instant::now() < end, "{answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    alice.wait_state(&again, "delivered");
    bob.wait_message("alice", "friends again");
    let texts: Vec<String> = bob.history("alice").iter().map(|line| text(line, "text")).collect();
    assert_eq!(texts, ["hello", "on its way", "friends again"], "nothing of what was refused");
    assert_eq!(bob.refused("!unblock alice"), "no-such-user");
    assert_eq!(bob.refused("!block nobody"), "no-such-user");
}

#[test]
fn what_waits_for_somebody_who_blocks_its_sender_is_each_refused_once_and_never_seen() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let hello = alice.send("bob", "hello");
    alice.wait_state(&hello.id, "delivered");
    bob.ok("!logout");
    is(&alice, "bob", "offline");
    let sent = alice.send_many("bob", "waits ", 0..3);
    alice.wait_states(&sent, "kept", PATIENCE);
    assert_eq!(bob.ok("!block alice")["blocked"], true);
    bob.ok("!login");
    for sent in &sent {
        assert_eq!(alice.wait_state(&sent.id, "refused")["reason"], "blocked");
    }
    assert_eq!(alice.refused("!send bob let me in"), "blocked", "she knows");
    // Another log-in of each brings nothing more.
    for peer in [&alice, &bob] {
        peer.ok("!logout");
        peer.ok("!login");
    }
    assert_eq!(alice.refused("!send bob let me in"), "blocked");
    for sent in &sent {
        assert_eq!(alice.states_of(&sent.id), ["queued", "kept", "refused"]);
    }
    assert_eq!(bob.messages_from("alice").len(), 1);
    assert_eq!(bob.history("alice").len(), 1);
}

#[test]
fn a_block_reaches_somebody_who_is_away_through_the_directory() {
    let world = World::new();
    let (mut alice, bob) = (world.peer("alice"), world.peer("bob"));
    let hello = alice.send("bob", "hello");
    alice.wait_state(&hello.id, "delivered");
    alice.quit();
    bob.ok("!block alice");
    alice.restart_online();
    let answer = alice.ask("!send bob hello?");
    if answer["event"] == "result" {
        assert_eq!(alice.wait_state(&text(&answer, "id"), "refused")["reason"], "blocked");
    } else {
        assert_eq!(text(&answer, "code"), "blocked");
    }
    let mut send = world.setup("alice");
    send.data_dir.clone_from(&alice.setup.data_dir);
    let outcome = send.run(&["send", "bob", "please"], b"");
    assert_eq!(outcome.code, Some(6), "{outcome:?}");
}

#[test]
fn contacts_are_added_by_hand_and_by_the_first_exchange_and_can_be_removed() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    assert_eq!(alice.ok("!add bob")["accepted"], true);
    let hello = bob.send("alice", "hello");
    bob.wait_state(&hello.id, "delivered");
    assert_eq!(alice.wait_message("bob", "hello")["request"], false, "added by hand");
    let hello = alice.send("bob", "hello yourself");
    alice.wait_state(&hello.id, "delivered");
    assert_eq!(alice.ok("!remove bob")["name"], "bob");
    assert_eq!(contact(&alice, "bob"), Value::Null);
    assert_eq!(alice.refused("!remove bob"), "no-such-user");
    assert_eq!(alice.refused("!add nobody"), "no-such-user");
    assert_eq!(alice.refused("!add alice"), "to-yourself");
    let again = bob.send("alice", "me again");
    bob.wait_state(&again.id, "delivered");
    assert_eq!(alice.wait_message("bob", "me again")["request"], true);
}

#[test]
fn a_broadcast_reaches_everybody_online_once_and_makes_nobody_a_contact() {
    let world = World::new();
    let (alice, bob, carol) = (world.peer("alice"), world.peer("bob"), world.peer("carol"));
    let mut away = world.peer("dave");
    away.quit();
    assert_eq!(alice.ok("!broadcast dinner is ready")["count"], 2);
    for peer in [&bob, &carol] {
        let heard = peer.expect("broadcast", "dinner", |value| value["text"] == "dinner is ready");
        assert_eq!(text(&heard, "from"), "alice");
        assert_eq!(contact(peer, "alice"), Value::Null);
    }
    assert_eq!(alice.refused("!broadcast at once again"), "rate-limited");
    away.restart_online();
    carol.ok("!busy");
    std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(alice.ok("!broadcast again")["count"], 2, "bob and dave; carol is busy");
    bob.expect("broadcast", "again", |value| value["text"] == "again");
    assert!(
        away.log().lines(0, |line| line.event() == "broadcast" && line.json["text"] == "dinner is ready").is_empty()
    );
    let new = world.setup("erin").start();
    assert_eq!(new.refused("!broadcast hello"), "not-registered");
    assert_eq!(alice.refused(&format!("!broadcast {}", "x".repeat(5_000))), "too-large");
}

#[test]
fn a_program_of_the_users_gets_every_message_on_its_standard_input() {
    let world = World::new();
    let alice = world.peer("alice");
    let got = world.path("got");
    std::fs::create_dir(&got).unwrap();
    let script = world.path("hook.sh");
    std::fs::write(&script, format!("cat >> {}/messages\n", got.display())).unwrap();
    let bob = world.setup("bob").with("--on-message").with(&format!("sh {}", script.display())).registered();
    for words in ["one", "two $(touch nothing) `x`"] {
        let sent = alice.send("bob", words);
        alice.wait_state(&sent.id, "delivered");
    }
    bob.wait_message("alice", "two $(touch nothing) `x`");
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        let read = std::fs::read_to_string(got.join("messages")).unwrap_or_default();
        let texts: Vec<String> = read
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .map(|line: Value| text(&line, "text"))
            .collect();
        if texts == ["one", "two $(touch nothing) `x`"] {
            break;
        }
        assert!(std::time::Instant::now() < end, "{read}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let outcome = world.setup("bob").with("--notify").run(&["identity", "show"], b"");
    assert_eq!(outcome.code, Some(2), "this build has no notifications: {outcome:?}");
}

#[test]
fn peer_send_can_be_urgent_and_answer_a_message() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let question = bob.send("alice", "are you there?");
    bob.wait_state(&question.id, "delivered");
    alice.wait_message("bob", "are you there?");
    let outcome = alice.setup.run(&["send", "--urgent", "--reply", &question.id, "bob", "yes"], b"");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let answer = bob.wait_message("alice", "yes");
    assert_eq!((answer["urgent"].clone(), text(&answer, "reply_to")), (Value::Bool(true), question.id));
    let outcome = alice.setup.run(&["send", "--reply", "99999", "bob", "what?"], b"");
    assert_ne!(outcome.code, Some(0), "{outcome:?}");
}

//! What text survives the way between two real peers byte for byte, and that a screen never obeys it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use system_tests::programs::peer::text;
use system_tests::programs::{Peer, World};

const KIB: usize = 1024;

/// Texts that have broken messengers before.
fn difficult_texts() -> Vec<String> {
    vec![
        "x".to_string(),
        "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 é e\u{301}".to_string(),
        "שלום עולם مرحبا بالعالم \u{202e}drow\u{202c}".to_string(),
        "one\ntwo\n\nfour\n\tfive".to_string(),
        "\u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7} \u{1b}[2J \u{9b}31m \u{7f}".to_string(),
        "\u{feff}\u{200b}\u{200d}\u{2066}x\u{2069}\u{e0041}".to_string(),
        "nul \u{0} in the middle".to_string(),
        "a\rb".to_string(),
        "\"quotes\" \\backslash\\ {\"event\":\"message\"}".to_string(),
        " leading and trailing ".to_string(),
        "!quit".to_string(),
        "/quit\n!send carol no".to_string(),
        "z\u{301}".repeat(200),
        "line\n".repeat(1000).trim_end().to_string(),
        "y".repeat(16 * KIB),
        "ß".repeat(8 * KIB),
        "😀".repeat(4 * KIB),
    ]
}

fn send_all(alice: &Peer, texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| alice.send_lines("bob", text).id).collect()
}

fn assert_byte_for_byte(bob: &Peer, ids: &[String], texts: &[String]) {
    for (id, wanted) in ids.iter().zip(texts) {
        let message = bob.expect("message", id, |message| message["id"] == id.as_str());
        assert_eq!(&text(&message, "text"), wanted);
    }
    let history = bob.history("alice");
    let found: Vec<String> = history.iter().map(|message| text(message, "text")).collect();
    assert_eq!(found, texts, "history holds the same bytes");
}

#[test]
fn every_text_arrives_byte_for_byte_direct() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let texts = difficult_texts();
    let ids = send_all(&alice, &texts);
    assert_byte_for_byte(&bob, &ids, &texts);
    assert!(bob.messages_from("alice").iter().all(|line| line.json["via"] == "direct"));
}

#[test]
fn every_text_arrives_byte_for_byte_through_the_directory() {
    let world = World::new();
    let alice = world.peer("alice");
    let mut bob = world.peer("bob");
    bob.quit();
    let texts = difficult_texts();
    let ids = send_all(&alice, &texts);
    for id in &ids {
        alice.wait_state(id, "kept");
    }
    bob.restart_online();
    assert_byte_for_byte(&bob, &ids, &texts);
}

#[test]
fn json_output_carries_no_raw_control_or_direction_characters() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let texts = difficult_texts();
    let ids = send_all(&alice, &texts);
    assert_byte_for_byte(&bob, &ids, &texts);
    for line in bob.log().lines(0, |_| true) {
        assert_eq!(forbidden(&line.text), None, "in {:?}", line.text.chars().take(200).collect::<String>());
    }
}

#[test]
fn a_screen_shows_every_text_harmless_and_in_its_senders_gutter() {
    let world = World::new();
    let alice = world.peer("alice");
    let bob = world.setup("bob").plain().start();
    bob.command(&["!register bob"]);
    system_tests::programs::eventually("bob is registered", system_tests::programs::PATIENCE, || {
        alice.ask("!who bob")["people"]
            .as_array()
            .is_some_and(|people| people.iter().any(|person| person["name"] == "bob" && person["state"] == "online"))
    });
    let before = bob.mark();
    let forged = "hello\n[99] 14:02:07 carol: I am carol\n* carol is online\nYou have 7 messages";
    for text in difficult_texts().iter().map(String::as_str).chain([forged]) {
        alice.send_lines("bob", text);
    }
    alice.send("bob", "the end");
    let found = bob.log().wait(0, system_tests::programs::PATIENCE, |line| line.text.contains("the end").then_some(()));
    assert!(found.is_ok(), "the last text is shown\n{}", bob.log().tail(40));
    for line in bob.log().lines(before, |_| true) {
        assert_eq!(forbidden(&line.text), None, "in {:?}", line.text.chars().take(200).collect::<String>());
        for lie in ["[99]", "* carol", "You have 7", "red"] {
            assert!(!line.text.starts_with(lie), "a text speaks as somebody else: {:?}", line.text);
        }
    }
}

/// The first character in `line` that a terminal would obey or a reader not see.
fn forbidden(line: &str) -> Option<char> {
    line.chars().find(|character| {
        matches!(*character, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    })
}

#[test]
fn a_text_over_16_kib_is_a_clear_error_and_nothing_is_stored() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    for long in ["y".repeat(16 * KIB + 1), "😀".repeat(4 * KIB) + "y"] {
        let place = alice.command(&["!send bob", &long, "."]);
        let answer = alice.answer(place);
        assert_eq!((&answer["event"], &answer["code"]), (&"error".into(), &"too-large".into()), "{answer}");
        assert!(text(&answer, "message").contains("16"), "the limit is named: {answer}");
    }
    let after = alice.send("bob", "short");
    alice.wait_state(&after.id, "delivered");
    assert_eq!(bob.history("alice").len(), 1);
    assert_eq!(alice.history("bob").len(), 1);
}

#[test]
fn lines_after_send_are_text_until_a_single_dot() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let lines = ["!send bob", "!quit", "/whoami", "..", "..two", " .", ". ", "", "..", "end", "."];
    let answer = alice.answer(alice.command(&lines));
    assert_eq!(answer["event"], "result", "{answer}");
    let wanted = "!quit\n/whoami\n.\n.two\n .\n. \n\n.\nend";
    assert_eq!(text(&bob.expect("message", "from alice", |_| true), "text"), wanted);
    assert_eq!(alice.ok("!whoami")["name"], "alice", "what follows the dot is a command again");
}

#[test]
fn input_that_ends_before_the_dot_sends_nothing() {
    let world = World::new();
    let (mut alice, bob) = (world.peer("alice"), world.peer("bob"));
    let place = alice.command(&["!send bob", "half a message"]);
    assert_eq!(alice.end_input(), Some(0));
    let errors = alice.log().lines(0, |line| line.event() == "error");
    assert_eq!(errors.len(), 1, "the unfinished command is answered by an error (answer {place})");
    alice.restart_online();
    let sent = alice.send("bob", "whole");
    alice.wait_state(&sent.id, "delivered");
    assert_eq!(bob.history("alice").len(), 1);
}

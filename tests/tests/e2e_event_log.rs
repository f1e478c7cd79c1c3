//! `--event-log`: what the real programs note of a message, and what the checker makes of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use system_tests::checker::{Log, Rule, check};
use system_tests::programs::events::log_of;
use system_tests::programs::{PATIENCE, Peer, World, run};

const WORDS: &str = "nobody else is to read this";

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

fn log(peer: &Peer) -> String {
    std::fs::read_to_string(log_of(&peer.setup.data_dir)).expect("an event log")
}

/// Texts of alice's, bob's and the directory's log after one message went through the directory and one directly.
fn logs_of_a_world() -> [String; 3] {
    let mut world = World::new();
    let mut alice = world.peer("alice");
    let mut bob = world.peer("bob");
    let first = alice.send("bob", WORDS);
    alice.wait_state(&first.id, "delivered");
    bob.quit();
    let second = alice.send("bob", WORDS);
    alice.wait_state(&second.id, "kept");
    bob.restart_online();
    alice.wait_state(&second.id, "delivered");
    bob.wait_messages("alice", 2, PATIENCE);
    bob.quit();
    alice.quit();
    world.directory.terminate();
    world.assert_healed();
    let directory = std::fs::read_to_string(log_of(world.directory.data_dir())).unwrap();
    [log(&alice), log(&bob), directory]
}

#[test]
fn every_step_of_a_message_is_noted_and_none_of_its_words() {
    let logs = logs_of_a_world();
    let wanted: [&[&str]; 3] = [
        &["start", "epoch", "pin", "submitted", "queued", "answered", "told", "sent", "state", "online", "exit"],
        &["start", "epoch", "pin", "committed", "acknowledged", "shown", "put-out", "marked", "exit"],
        &["start", "login", "registered", "kept", "taken", "exit"],
    ];
    for (text, wanted) in logs.iter().zip(wanted) {
        assert!(!text.contains(WORDS), "{text}");
        let lines = lines(text);
        for event in wanted {
            assert!(lines.iter().any(|line| line["event"] == *event), "no {event} in\n{text}");
        }
    }
}

#[test]
fn a_line_that_is_not_there_is_missed() {
    let logs = logs_of_a_world();
    let names = ["alice", "bob", "directory"];
    // Whose log, which event is taken out of it, and what then seems to be broken among others.
    let cases = [
        (0, "queued", Rule::Written),
        (0, "state", Rule::End),
        (1, "committed", Rule::Kept),
        (1, "shown", Rule::End),
        (1, "pin", Rule::Name),
        (2, "kept", Rule::Kept),
    ];
    for (of, event, rule) in cases {
        // What was never put out is not marked so either.
        let out = ["put-out", "marked"].iter().filter(|_| event == "shown");
        let gone: Vec<String> = out.chain([&event]).map(|event| format!("{{\"event\":\"{event}\"")).collect();
        let mut texts = logs.clone();
        texts[of] = texts[of]
            .lines()
            .filter(|line| !gone.iter().any(|gone| line.starts_with(gone)))
            .fold(String::new(), |text, line| text + line + "\n");
        let logs: Vec<Log> = names.iter().zip(texts).map(|(name, text)| Log::parse(name, text)).collect();
        let breaches = check(&logs, true);
        assert!(breaches.iter().any(|breach| breach.rule == rule), "{event} of {}: {breaches:#?}", names[of]);
    }
}

#[test]
fn the_log_is_its_owners_and_goes_on_over_every_way_of_running() {
    let world = World::new();
    let bob = world.peer("bob");
    let alice = world.setup("alice");
    assert_eq!(alice.run(&["--name", "alice", "send", "--wait", "delivered", "bob", "one"], b"").code, Some(0));
    assert_eq!(alice.clone().plain().run(&[], b"!send bob two\n!quit\n").code, Some(0));
    bob.wait_messages("alice", 2, PATIENCE);
    let path = log_of(&alice.data_dir);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let lines = lines(&std::fs::read_to_string(path).unwrap());
    let count = |event: &str| lines.iter().filter(|line| line["event"] == event).count();
    assert_eq!((count("start"), count("queued"), count("exit")), (2, 2, 2), "{lines:#?}");
}

#[test]
fn a_log_that_cannot_be_opened_is_an_error_at_the_start() {
    let world = World::new();
    let mut setup = world.setup("alice");
    setup.event_log = Some("/nonexistent/events".into());
    let outcome = setup.run(&[], b"");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("/nonexistent/events"), "{outcome:?}");
    let data_dir = world.path("other").to_string_lossy().into_owned();
    let arguments = ["--data-dir", &data_dir, "--port", "0", "--event-log", "/nonexistent/events"];
    let outcome = run("directory-server", world.root(), &arguments, b"");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("/nonexistent/events"), "{outcome:?}");
}

#[test]
fn a_log_that_takes_nothing_holds_no_message_up() {
    let full = std::path::PathBuf::from("/dev/full");
    if !full.exists() {
        return;
    }
    let world = World::new();
    let bob = world.peer("bob");
    let mut setup = world.setup("alice");
    setup.event_log = Some(full);
    let mut alice = setup.registered();
    let sent = alice.send("bob", "all the same");
    alice.wait_state(&sent.id, "delivered");
    bob.wait_message("alice", "all the same");
    alice.quit();
    let said = alice.log().stderr().matches("the event log cannot be written").count();
    assert_eq!(said, 1, "{}", alice.log().stderr());
}

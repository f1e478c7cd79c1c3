//! The prompt on a terminal, as a person sees it: on a pseudo-terminal with a modelled screen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::time::Duration;

use system_tests::programs::{PATIENCE, Peer, World, eventually};
use system_tests::terminal::Terminal;

/// A peer on a terminal, registered as `name` and online, seen so by `other`.
fn on_terminal(world: &World, name: &str, other: &Peer) -> Terminal {
    let log = File::create(world.path(&format!("{name}.log"))).expect("a log file");
    let mut setup = world.setup(name).plain();
    setup.arguments = vec!["--name".to_string(), name.to_string()];
    let terminal = Terminal::start(setup.command(&[]), log);
    eventually(&format!("{name} is online"), PATIENCE, || {
        other.ok(&format!("!who {name}"))["people"][0]["state"] == "online"
    });
    terminal
}

/// The first row that contains `words`.
fn row_of(rows: &[String], words: &str) -> Option<usize> {
    rows.iter().position(|row| row.contains(words))
}

#[test]
fn an_incoming_line_appears_above_a_half_typed_line_which_survives() {
    let world = World::new();
    let alice = world.peer("alice");
    let mut bob = on_terminal(&world, "bob", &alice);
    bob.type_keys("!send alice half-typ");
    bob.wait("the half-typed line", PATIENCE, |rows| row_of(rows, "half-typ").is_some());
    alice.send("bob", "an incoming line");
    bob.wait("the message above the half-typed line", PATIENCE, |rows| {
        let (message, typed) =
            (row_of(rows, "alice: an incoming line"), rows.iter().rposition(|row| row.contains("half-typ")));
        message.zip(typed).is_some_and(|(message, typed)| message < typed)
    });
    let rows = bob.rows();
    assert_eq!(rows.iter().filter(|row| row.contains("half-typ")).count(), 1, "{rows:#?}");
    let message = &rows[row_of(&rows, "an incoming line").unwrap()];
    assert!(message.starts_with("[1] ") && message.contains("alice: an incoming line"), "{message}");
    bob.type_keys("ed\r");
    alice.wait_message("bob", "half-typed");
}

#[test]
fn commands_and_names_are_completed() {
    let world = World::new();
    let alice = world.peer("alice");
    let mut bob = on_terminal(&world, "bob", &alice);
    alice.send("bob", "so that you know me");
    bob.wait("the message", PATIENCE, |rows| row_of(rows, "so that you know me").is_some());
    bob.type_keys("!hist\t");
    bob.wait("the completed command", PATIENCE, |rows| row_of(rows, "!history").is_some());
    // Away with it: the line is emptied.
    bob.type_keys("\u{15}!send al\t");
    bob.wait("the completed name", PATIENCE, |rows| row_of(rows, "!send alice").is_some());
    bob.type_keys("\u{15}!send alice completed\r");
    alice.wait_message("bob", "completed");
}

#[test]
fn the_last_line_comes_back_with_the_up_arrow() {
    let world = World::new();
    let alice = world.peer("alice");
    let mut bob = on_terminal(&world, "bob", &alice);
    bob.type_keys("!send alice again\r");
    alice.wait_message("bob", "again");
    bob.type_keys("\u{1b}[A\r");
    eventually("the same line came twice", PATIENCE, || alice.messages_from("bob").len() == 2);
}

#[test]
fn quit_and_the_end_of_input_leave_the_terminal_with_0() {
    let world = World::new();
    let alice = world.peer("alice");
    for (name, keys) in [("bob", "!quit\r"), ("carol", "\u{4}")] {
        let mut terminal = on_terminal(&world, name, &alice);
        terminal.type_keys(keys);
        assert_eq!(terminal.wait_exit(PATIENCE), Some(0), "{keys:?}");
        eventually("the directory knows", PATIENCE, || {
            alice.ok(&format!("!who {name}"))["people"][0]["state"] == "offline"
        });
    }
}

#[test]
fn remote_text_cannot_drive_the_terminal() {
    let world = World::new();
    let alice = world.peer("alice");
    let bob = on_terminal(&world, "bob", &alice);
    alice.send("bob", "\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[31mred\u{1b}[5A\u{9b}31m end");
    bob.wait("the harmless text", PATIENCE, |rows| {
        rows.iter().any(|row| row.contains("alice:") && row.contains("end"))
    });
    let bytes = bob.bytes();
    let contains = |wanted: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
    for obeyed in [&b"\x1b]0;"[..], b"\x1b[31mred", b"\x1b[5A", b"\x1b[2J\x1b[31m", "\u{9b}".as_bytes()] {
        assert!(!contains(obeyed), "{:?} reached the terminal", String::from_utf8_lossy(obeyed));
    }
}

#[test]
fn ones_own_line_is_echoed_with_its_fate_and_presence_and_pending_are_told() {
    let world = World::new();
    let mut alice = world.peer("alice");
    let mut bob = on_terminal(&world, "bob", &alice);
    bob.type_keys("!send alice hello\r");
    bob.wait("the echo", PATIENCE, |rows| {
        rows.iter().any(|row| row.contains("you -> alice: hello") && row.contains("(delivered, direct"))
    });
    alice.quit();
    bob.wait("the notice", PATIENCE, |rows| row_of(rows, "* alice is offline").is_some());
    bob.type_keys("!send alice for later\r");
    bob.wait("the echo of a kept one", PATIENCE, |rows| {
        rows.iter().any(|row| row.contains("you -> alice: for later") && row.contains("kept"))
    });
    alice.restart_online();
    bob.wait("the notice", PATIENCE, |rows| row_of(rows, "* alice is online").is_some());
    bob.type_keys("!quit\r");
    assert_eq!(bob.wait_exit(PATIENCE), Some(0));
    let sent = alice.send_many("bob", "while away ", 0..3);
    alice.wait_states(&sent, "kept", Duration::from_secs(20));
    let bob = on_terminal(&world, "bob", &alice);
    bob.wait("the count, then the messages", PATIENCE, |rows| {
        let count = row_of(rows, "You have 3 messages from while you were away.");
        let messages = [0, 1, 2].map(|number| row_of(rows, &format!("alice: while away {number}")));
        let all: Vec<Option<usize>> = std::iter::once(count).chain(messages).collect();
        all.iter().all(Option::is_some) && all.is_sorted()
    });
}

#[test]
fn errors_are_words_for_people() {
    let world = World::new();
    let alice = world.peer("alice");
    let mut bob = on_terminal(&world, "bob", &alice);
    bob.type_keys("!sned alice x\r");
    bob.wait("the nearest command", PATIENCE, |rows| {
        rows.iter().any(|row| row.contains("!send") && !row.contains("!sned alice x"))
    });
    bob.type_keys("!send nobody x\r");
    bob.wait("the unknown name", PATIENCE, |rows| {
        rows.iter().any(|row| row.contains("nobody") && !row.contains("!send nobody"))
    });
    assert!(alice.messages_from("bob").is_empty());
}

/// Waits until the program has written `codes`, and not before `from`.
fn wait_written(terminal: &Terminal, from: usize, codes: &str) {
    let holds = || terminal.bytes()[from..].windows(codes.len()).any(|window| window == codes.as_bytes());
    eventually(&format!("{codes:?} is written"), PATIENCE, holds);
}

#[test]
fn marks_are_shown_as_such_and_as_typed_with_format_off_and_hits_stand_out() {
    const BOLD: &str = "\u{1b}[1m";
    const HIT: &str = "\u{1b}[7m";
    let world = World::new();
    let alice = world.peer("alice");
    let mut bob = on_terminal(&world, "bob", &alice);
    alice.send("bob", "the *pumpkin* soup");
    wait_written(&bob, 0, &format!("{BOLD}pumpkin\u{1b}[0m soup"));
    let from = bob.bytes().len();
    bob.type_keys("!search pumpkin\r");
    wait_written(&bob, from, &format!("{BOLD}{HIT}pumpkin\u{1b}[0m soup"));

    let from = bob.bytes().len();
    bob.type_keys("!format off\r");
    wait_written(&bob, from, "Texts are shown as typed.");
    alice.send("bob", "the *melon* soup");
    wait_written(&bob, from, "the *melon* soup");
    let from = bob.bytes().len();
    bob.type_keys("!search melon\r");
    wait_written(&bob, from, &format!("the *\u{1b}[0m{HIT}melon\u{1b}[0m* soup"));
    let from = bob.bytes().len();
    bob.type_keys("!format on\r");
    wait_written(&bob, from, "Texts are shown formatted.");
    let from = bob.bytes().len();
    bob.type_keys("!history alice\r");
    wait_written(&bob, from, &format!("{BOLD}melon\u{1b}[0m soup"));
}

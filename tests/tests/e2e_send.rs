//! `peer send` and `peer identity show`: one message and out, alone or through the process that owns the data
//! directory; its exit codes are a contract for scripts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use serde_json::Value;
use system_tests::checks::texts_from;
use system_tests::programs::peer::text;
use system_tests::programs::{Outcome, Peer, Setup, World};

/// The final state that `peer send --json` printed.
fn final_state(outcome: &Outcome) -> Value {
    outcome.events().into_iter().rfind(|event| event["event"] == "state").unwrap_or_default()
}

/// A setup that is registered as alice and not running, and a peer bob that is.
fn alone(world: &World) -> (Setup, Peer) {
    let bob = world.peer("bob");
    let mut alice = world.peer("alice");
    alice.quit();
    (alice.setup.clone(), bob)
}

/// The same for a setup whose process runs.
fn owned(world: &World) -> (Peer, Setup, Peer) {
    let bob = world.peer("bob");
    let alice = world.peer("alice");
    let mut setup = alice.setup.clone();
    setup.bind = (world.ip, 0).into();
    (alice, setup, bob)
}

#[test]
fn alone_it_delivers_and_ends_with_0() {
    let world = World::new();
    let (alice, bob) = alone(&world);
    let outcome = alice.run(&["send", "bob", "hello", "there"], b"");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    bob.wait_message("alice", "hello there");
    assert!(["kept", "delivered"].contains(&text(&final_state(&outcome), "state").as_str()), "{outcome:?}");
    let outcome = alice.run(&["send", "--wait", "delivered", "bob", "again"], b"");
    assert_eq!((outcome.code, text(&final_state(&outcome), "state")), (Some(0), "delivered".to_string()));
    assert_eq!(texts_from(&bob.history("alice"), "alice"), ["hello there", "again"]);
}

#[test]
fn through_the_running_process_it_delivers_and_that_process_tells_too() {
    let world = World::new();
    let (alice, setup, bob) = owned(&world);
    let outcome = setup.run(&["send", "--wait", "delivered", "bob", "by socket"], b"");
    assert_eq!(
        (outcome.code, text(&final_state(&outcome), "state")),
        (Some(0), "delivered".to_string()),
        "{outcome:?}"
    );
    let id = text(&final_state(&outcome), "id");
    bob.wait_message("alice", "by socket");
    alice.wait_state(&id, "delivered");
    let typed = alice.send("bob", "typed");
    alice.wait_state(&typed.id, "delivered");
    assert_eq!(texts_from(&bob.history("alice"), "alice"), ["by socket", "typed"]);
    assert_eq!(texts_from(&alice.history("bob"), "alice"), ["by socket", "typed"]);
}

#[test]
fn a_stale_control_socket_of_a_killed_process_is_no_obstacle() {
    let world = World::new();
    let (mut alice, setup, bob) = owned(&world);
    alice.kill_9();
    let outcome = setup.run(&["send", "--wait", "delivered", "bob", "after the kill"], b"");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    bob.wait_message("alice", "after the kill");
    alice.restart_online();
    let outcome = setup.run(&["send", "--wait", "delivered", "bob", "by socket"], b"");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    bob.wait_message("alice", "by socket");
}

#[test]
fn text_from_a_pipe_loses_exactly_one_final_newline() {
    let world = World::new();
    let (alice, bob) = alone(&world);
    for (input, wanted) in
        [("one\n", "one"), ("two\n\n", "two\n"), ("no newline", "no newline"), ("!quit\n.\nx\n", "!quit\n.\nx")]
    {
        let outcome = alice.run(&["send", "bob"], input.as_bytes());
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        bob.wait_message("alice", wanted);
    }
    let outcome = alice.run(&["send", "bob"], b"\xff\xfe\n");
    assert!(![Some(0), None].contains(&outcome.code), "text is UTF-8: {outcome:?}");
    let outcome = alice.run(&["send", "bob"], "y".repeat(16 * 1024 + 1).as_bytes());
    assert!(![Some(0), None].contains(&outcome.code), "too large: {outcome:?}");
    assert!(outcome.all_text().contains("too-large") || outcome.all_text().contains("16"), "{outcome:?}");
    assert_eq!(bob.history("alice").len(), 4);
}

#[test]
fn options_may_stand_before_or_after_the_text() {
    let world = World::new();
    let (alice, bob) = alone(&world);
    for words in [
        ["send", "--wait", "delivered", "bob", "before"],
        ["send", "bob", "--wait", "delivered", "between"],
        ["send", "bob", "after", "--wait", "delivered"],
    ] {
        let outcome = alice.run(&words, b"");
        assert_eq!(
            (outcome.code, text(&final_state(&outcome), "state")),
            (Some(0), "delivered".to_string()),
            "{outcome:?}"
        );
    }
    assert_eq!(texts_from(&bob.history("alice"), "alice"), ["before", "between", "after"]);
}

#[test]
fn somebody_away_is_0_for_kept_and_4_for_delivered() {
    let world = World::new();
    let (alice, mut bob) = alone(&world);
    bob.quit();
    let outcome = alice.run(&["send", "bob", "kept"], b"");
    assert_eq!((outcome.code, text(&final_state(&outcome), "state")), (Some(0), "kept".to_string()), "{outcome:?}");
    let begin = Instant::now();
    let outcome = alice.run(&["send", "--wait", "delivered", "--timeout", "2s", "bob", "kept too"], b"");
    assert_eq!((outcome.code, text(&final_state(&outcome), "state")), (Some(4), "kept".to_string()), "{outcome:?}");
    assert!(begin.elapsed() >= Duration::from_secs(2), "it waits as long as it was told");
    bob.restart_online();
    bob.wait_message("alice", "kept too");
    assert_eq!(texts_from(&bob.history("alice"), "alice"), ["kept", "kept too"]);
}

#[test]
fn without_a_directory_it_is_3_for_somebody_known_and_7_for_somebody_unknown() {
    let mut world = World::new();
    let (alice, mut bob) = alone(&world);
    assert_eq!(alice.run(&["send", "--wait", "delivered", "bob", "first"], b"").code, Some(0));
    bob.quit();
    world.directory.kill_9();
    let outcome = alice.run(&["send", "--timeout", "2s", "bob", "waits"], b"");
    assert_eq!((outcome.code, text(&final_state(&outcome), "state")), (Some(3), "queued".to_string()), "{outcome:?}");
    let outcome = alice.run(&["send", "--timeout", "10s", "carol", "who"], b"");
    assert_eq!(outcome.code, Some(7), "{outcome:?}");
    world.directory.restart();
    bob.restart_online();
    // What is queued goes out with the next process that owns the folder.
    let outcome = alice.run(&["send", "--wait", "delivered", "bob", "last"], b"");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    bob.wait_message("alice", "last");
    assert_eq!(texts_from(&bob.history("alice"), "alice"), ["first", "waits", "last"]);
}

#[test]
fn an_unknown_name_is_5_alone_and_through_the_running_process() {
    let world = World::new();
    let (mut alice, setup, _bob) = owned(&world);
    let outcome = setup.run(&["send", "nobody", "hello"], b"");
    assert_eq!(outcome.code, Some(5), "{outcome:?}");
    assert!(outcome.all_text().contains("no-such-user"), "{outcome:?}");
    alice.quit();
    let outcome = setup.run(&["send", "nobody", "hello"], b"");
    assert_eq!(outcome.code, Some(5), "{outcome:?}");
}

#[test]
fn the_same_key_twice_sends_once_alone_and_through_the_running_process() {
    let world = World::new();
    let (mut alice, setup, bob) = owned(&world);
    let send = |key: &str| setup.run(&["send", "--wait", "delivered", "--id", key, "bob", "job done"], b"");
    let first = send("backup-2024-06-01");
    let second = send("backup-2024-06-01");
    alice.quit();
    let third = send("backup-2024-06-01");
    for outcome in [&first, &second, &third] {
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert_eq!(text(&final_state(outcome), "id"), text(&final_state(&first), "id"), "{outcome:?}");
    }
    assert_eq!(text(&final_state(&third), "state"), "delivered");
    assert_eq!(send("backup-2024-06-02").code, Some(0));
    bob.wait_messages("alice", 2, system_tests::programs::PATIENCE);
    assert_eq!(texts_from(&bob.history("alice"), "alice"), ["job done", "job done"]);
    assert_eq!(send(&"k".repeat(64)).code, Some(0), "64 characters are allowed");
    assert_eq!(send(&"k".repeat(65)).code, Some(2), "65 are not");
}

#[test]
fn waiting_for_queued_does_not_wait_and_the_message_goes_out_later() {
    let mut world = World::new();
    let (alice, bob) = alone(&world);
    assert_eq!(alice.run(&["send", "--wait", "delivered", "bob", "first"], b"").code, Some(0));
    world.directory.kill_9();
    drop(bob);
    let outcome = alice.run(&["send", "--wait", "queued", "bob", "second"], b"");
    assert_eq!((outcome.code, text(&final_state(&outcome), "state")), (Some(0), "queued".to_string()), "{outcome:?}");
    world.directory.restart();
    let alice = alice.start();
    let id = text(&final_state(&outcome), "id");
    alice.wait_state(&id, "kept");
}

#[test]
fn without_a_name_nothing_is_sent_and_that_is_said() {
    let world = World::new();
    let bob = world.peer("bob");
    let outcome = world.setup("nameless").run(&["send", "bob", "hello"], b"");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.all_text().contains("not-registered"), "{outcome:?}");
    assert!(bob.ok("!contacts").to_string().find("nameless").is_none());
}

#[test]
fn identity_show_prints_name_and_fingerprint_beside_a_running_process_too() {
    let world = World::new();
    let (mut alice, setup, _bob) = owned(&world);
    let fingerprint = text(&alice.ok("!whoami"), "fingerprint");
    for _ in 0..2 {
        let outcome = setup.run(&["identity", "show"], b"");
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert!(outcome.lines.join("\n").contains(&fingerprint), "{outcome:?}");
        if alice.runs() {
            alice.quit();
        }
    }
    let mut plain = setup.clone();
    plain.json = false;
    let outcome = plain.run(&["identity", "show"], b"");
    assert!(outcome.lines.join("\n").contains(&fingerprint), "{outcome:?}");
    assert!(outcome.lines.join("\n").contains("alice"), "{outcome:?}");
}

#[test]
fn many_at_once_from_one_data_directory_all_send() {
    let world = World::new();
    let (mut setup, bob) = alone(&world);
    setup.bind = (world.ip, 0).into();
    let texts: Vec<String> = (0..12).map(|n| format!("at once {n}")).collect();
    std::thread::scope(|scope| {
        for text in &texts {
            let setup = &setup;
            scope.spawn(move || {
                let outcome = setup.run(&["send", "--wait", "delivered", "bob", text], b"");
                assert_eq!(outcome.code, Some(0), "{outcome:?}");
            });
        }
    });
    let mut arrived = texts_from(&bob.history("alice"), "alice");
    arrived.sort_unstable();
    let mut wanted = texts.clone();
    wanted.sort_unstable();
    assert_eq!(arrived, wanted, "each once");
}

//! Disks that fail under the real programs, as people run them: the kernel answers their writes or flushes with an error. A
//! flush that fails ends a program: nothing is said from then on but why, and nothing that was said is lost. A quota that
//! is used up ends nothing. Needs seccomp's user notification (Linux); says so where there is none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::path::Path;

use crash_vfs::calls::{Call, Calls, EDQUOT, EIO};
use system_tests::programs::{PATIENCE, Peer, Sent, World, eventually};

/// Starts programs whose calls can be made to fail.
fn around<T: Send>(start: impl FnOnce() -> T + Send) -> Option<(Calls, T)> {
    let started = Calls::around(start);
    if let Err(error) = &started {
        eprintln!("SKIPPED: no system call can be made to fail here: {error}");
    }
    started.ok()
}

/// The ways in which a disk fails for good.
const FAILURES: [Call; 2] = [Call::Flush, Call::Write];

/// Everything that a peer says from `mark` on is why it ends.
fn assert_says_no_more_than_why(peer: &Peer, mark: usize, call: Call) {
    for line in peer.log().lines(mark, |_| true) {
        let is_why = line.event() == "error" && line.json["code"] == "store-failed";
        assert!(is_why || line.event() == "offline", "{call:?}: said after the failure: {}", line.text);
    }
    let stderr = peer.log().stderr();
    assert!(stderr.contains("the message store failed, so nothing more can be promised"), "{call:?}: {stderr}");
}

#[test]
fn a_peer_whose_disk_fails_as_it_sends_says_nothing_but_why_and_ends() {
    for call in FAILURES {
        let world = World::new();
        let alice = world.peer("alice");
        let Some((calls, mut bob)) = around(|| world.peer("bob")) else { return };
        let before = bob.send("alice", "before");
        bob.wait_state(&before.id, "delivered");

        calls.fail(call, &bob.setup.data_dir, EIO);
        let mark = bob.mark();
        bob.command(&["!send alice after"]);
        assert_eq!(bob.wait_exit(), Some(1), "{call:?}");
        assert!(calls.failed() > 0, "{call:?}");
        assert_says_no_more_than_why(&bob, mark, call);

        bob.restart_online();
        let again = bob.send("alice", "again");
        bob.wait_state(&again.id, "delivered");
        alice.wait_message("bob", "again");
        let texts: Vec<_> = alice.messages_from("bob").iter().map(|line| line.json["text"].clone()).collect();
        // What was not promised may still have reached the disk; then it is sent.
        assert!(texts == ["before", "again"] || texts == ["before", "after", "again"], "{call:?}: {texts:?}");
        world.assert_healed();
    }
}

#[test]
fn a_peer_whose_disk_fails_as_it_receives_acknowledges_and_shows_nothing_and_ends() {
    for call in FAILURES {
        let world = World::new();
        let alice = world.peer("alice");
        let Some((calls, mut bob)) = around(|| world.peer("bob")) else { return };
        let before = alice.send("bob", "before");
        alice.wait_state(&before.id, "delivered");
        bob.wait_message("alice", "before");
        // So that nothing else is waiting to be written.
        bob.ok("!history alice");

        calls.fail(call, &bob.setup.data_dir, EIO);
        let mark = bob.mark();
        let during = alice.send("bob", "during");
        assert_eq!(bob.wait_exit(), Some(1), "{call:?}");
        assert_says_no_more_than_why(&bob, mark, call);
        assert!(!alice.states_of(&during.id).contains(&"delivered".to_owned()), "{call:?}: acknowledged");

        bob.restart_online();
        alice.wait_state(&during.id, "delivered");
        bob.wait_message("alice", "during");
        let shown: Vec<_> = bob.history("alice").iter().map(|message| message["text"].clone()).collect();
        assert_eq!(shown, ["before", "during"], "{call:?}");
        world.assert_healed();
    }
}

#[test]
fn a_directory_whose_disk_fails_keeps_nothing_says_so_and_ends() {
    for call in FAILURES {
        let Some((calls, mut world)) = around(World::new) else { return };
        let (alice, mut bob) = (world.peer("alice"), world.peer("bob"));
        let hello = alice.send("bob", "hello");
        alice.wait_state(&hello.id, "delivered");
        bob.quit();
        let before = alice.send("bob", "before");
        alice.wait_state(&before.id, "kept");

        calls.fail(call, world.directory.data_dir(), EIO);
        let after = alice.send("bob", "after");
        assert_eq!(world.directory.ended(PATIENCE), Some(1), "{call:?}: {}", world.directory.stderr());
        let said = world.directory.stderr();
        assert!(said.contains("the store failed"), "{call:?}: {said}");
        eventually("alice is offline", PATIENCE, || !alice.log().lines(0, |line| line.event() == "offline").is_empty());
        assert!(!alice.states_of(&after.id).contains(&"kept".to_owned()), "{call:?}: kept without its commit");

        world.directory.restart();
        alice.wait_state(&after.id, "kept");
        bob.restart_online();
        alice.wait_states(&[before, after], "delivered", PATIENCE);
        let shown: Vec<_> = bob.history("alice").iter().map(|message| message["text"].clone()).collect();
        assert_eq!(shown, ["hello", "before", "after"], "{call:?}");
        world.assert_healed();
    }
}

#[test]
fn a_peer_over_its_quota_waits_says_so_and_goes_on_by_itself() {
    let world = World::new();
    let alice = world.peer("alice");
    let Some((calls, mut bob)) = around(|| world.peer("bob")) else { return };
    let before = bob.send("alice", "before");
    bob.wait_state(&before.id, "delivered");

    calls.fail(Call::Write, &bob.setup.data_dir, EDQUOT);
    let waits = bob.command(&["!send alice waits"]);
    bob.expect("error", "store-full by itself", |error| error["code"] == "store-full" && error["command"].is_null());
    let meanwhile = alice.send("bob", "meanwhile");
    assert!(bob.runs(), "a quota ends nothing");
    assert!(!alice.states_of(&meanwhile.id).contains(&"delivered".to_owned()), "acknowledged without room");

    calls.heal();
    let answer = bob.answer(waits);
    assert_eq!(answer["event"], "result", "{answer}");
    bob.wait_state(answer["id"].as_str().unwrap(), "delivered");
    alice.wait_state(&meanwhile.id, "delivered");
    bob.wait_message("alice", "meanwhile");
    assert_eq!(alice.history("bob").len(), 3);
    world.assert_healed();
}

#[test]
fn a_peer_whose_quota_is_used_up_starts_with_the_log_that_a_kill_left() {
    let world = World::new();
    let (alice, mut bob) = (world.peer("alice"), world.peer("bob"));
    let before = bob.send("alice", "before");
    bob.wait_state(&before.id, "delivered");
    bob.kill_9();
    let (database, log) = (bob.setup.data_dir.join("store.sqlite"), bob.setup.data_dir.join("store.sqlite-wal"));
    assert!(std::fs::metadata(&log).unwrap().len() > 0, "a log is left behind");

    // It starts only when its calls can fail already.
    let (go, wait) = std::sync::mpsc::channel();
    let started = around(move || {
        std::thread::spawn(move || {
            wait.recv().unwrap();
            bob.restart();
            bob
        })
    });
    let Some((calls, bob)) = started else { return };
    // What the log holds finds no room in the database.
    calls.fail(Call::Write, &database, EDQUOT);
    go.send(()).unwrap();
    let mut bob = bob.join().unwrap();
    assert!(calls.failed() > 0, "its writes met the quota");
    assert!(bob.runs(), "a quota ends nothing");
    assert_eq!(bob.history("alice")[0]["text"], "before", "what the log holds is there");
    assert!(std::fs::metadata(&log).unwrap().len() > 0, "and stays in it");

    calls.heal();
    bob.expect("online", "by itself", |_| true);
    let after = bob.send("alice", "after");
    bob.wait_state(&after.id, "delivered");
    alice.wait_message("bob", "after");
    assert_eq!(alice.messages_from("bob").len(), 2);
    world.assert_healed();
}

#[test]
fn a_directory_over_its_quota_refuses_mail_by_name_and_goes_on_by_itself() {
    let Some((calls, mut world)) = around(World::new) else { return };
    let (alice, mut bob) = (world.peer("alice"), world.peer("bob"));
    let hello = alice.send("bob", "hello");
    alice.wait_state(&hello.id, "delivered");
    bob.quit();

    let folder: &Path = world.directory.data_dir();
    calls.fail(Call::Write, folder, EDQUOT);
    let held: Vec<Sent> = (0..3).map(|number| alice.send("bob", &format!("held {number}"))).collect();
    let first = alice.wait_state(&held[0].id, "held");
    assert_eq!(first["reason"], "disk-full");
    assert!(world.directory.runs(), "a quota ends nothing");

    calls.heal();
    alice.wait_states(&held, "kept", PATIENCE);
    bob.restart_online();
    alice.wait_states(&held, "delivered", PATIENCE);
    assert_eq!(bob.history("alice").len(), 4, "nothing is missing and nothing twice");
    world.assert_healed();
}

//! `peer send --file`, `--downloads` and `--accept-from` with the real programs: what ends up where, and the exit codes that
//! scripts rely on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use serde_json::Value;
use system_tests::programs::peer::text;
use system_tests::programs::{Outcome, Peer, Setup, World};

/// More than waits at the directory.
const LARGE: usize = 11 * 1024 * 1024;

/// A file of so many bytes in the world's folder.
fn made(world: &World, name: &str, bytes: usize) -> PathBuf {
    let path = world.path(name);
    std::fs::write(&path, vec![b'x'; bytes]).unwrap();
    path
}

/// A setup that is registered as alice and not running.
fn alone(world: &World) -> Setup {
    let mut alice = world.peer("alice");
    alice.quit();
    alice.setup.clone()
}

fn sent(setup: &Setup, path: &str, more: &[&str]) -> Outcome {
    setup.run(&[&["send", "bob", "--file", path], more].concat(), b"")
}

/// What `peer send --json` printed last of the file.
fn last_of_file(outcome: &Outcome) -> Value {
    outcome.events().into_iter().rfind(|event| event["event"] == "file").unwrap_or_default()
}

fn offered(bob: &Peer, name: &str) -> u64 {
    let is = |event: &Value| event["name"] == name && event["state"] == "offered";
    bob.expect("file", name, is)["n"].as_u64().unwrap()
}

#[test]
fn with_a_text_or_without_a_file_it_is_wrong_usage() {
    let world = World::new();
    let (alice, _bob) = (alone(&world), world.peer("bob"));
    let path = made(&world, "a.txt", 1).display().to_string();
    assert_eq!(sent(&alice, &path, &["hello"]).code, Some(2));
    assert_eq!(sent(&alice, &path, &["--urgent"]).code, Some(2));
    for (wrong, code) in [("/no/such/file", "file-missing"), (world.path("").to_str().unwrap(), "file-not-a-file")] {
        let outcome = sent(&alice, wrong, &[]);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.all_text().contains(code), "{outcome:?}");
    }
    let outcome = alice.clone().with("--accept-from=x").run(&["send", "bob", "hi"], b"");
    assert!(outcome.code == Some(2) && outcome.stderr.contains("--accept-from"), "{outcome:?}");
}

#[test]
fn who_accepts_by_rule_has_it_where_the_option_says() {
    let world = World::new();
    let (alice, elsewhere) = (alone(&world), world.path("else where"));
    let rule =
        world.setup("bob").with("--accept-from=alice,carol").with(&format!("--downloads={}", elsewhere.display()));
    let bob = rule.registered();
    let path = made(&world, "my report.pdf", 52);
    // A path from the folder it is started in.
    let outcome = sent(&alice, "my report.pdf", &["--wait", "delivered", "--timeout", "60s"]);
    assert_eq!((outcome.code, text(&last_of_file(&outcome), "state")), (Some(0), "done".to_owned()), "{outcome:?}");
    let done = bob.expect("file", "done", |event| event["state"] == "done");
    assert_eq!(text(&done, "path"), elsewhere.join("my report.pdf").display().to_string());
    assert_eq!(std::fs::read(elsewhere.join("my report.pdf")).unwrap(), std::fs::read(path).unwrap());
}

#[test]
fn the_same_key_twice_offers_once_and_tells_how_it_stands() {
    let world = World::new();
    let (alice, bob) = (alone(&world), world.setup("bob").with("--accept-from=alice").registered());
    let path = made(&world, "once.txt", 52).display().to_string();
    let words = ["--id", "nightly", "--wait", "delivered", "--timeout", "60s"];
    let (first, again) = (sent(&alice, &path, &words), sent(&alice, &path, &words));
    assert_eq!((first.code, again.code), (Some(0), Some(0)), "{first:?} {again:?}");
    assert_eq!(last_of_file(&first)["n"], last_of_file(&again)["n"]);
    bob.expect("file", "done", |event| event["state"] == "done");
    assert_eq!(bob.ok("!files")["files"].as_array().unwrap().len(), 1);
}

#[test]
fn declined_is_6() {
    let world = World::new();
    let (alice, bob) = (alone(&world), world.peer("bob"));
    let path = made(&world, "unwanted.bin", LARGE).display().to_string();
    let outcome = std::thread::scope(|scope| {
        let sending = scope.spawn(|| sent(&alice, &path, &["--timeout", "60s"]));
        bob.ok(&format!("!decline {}", offered(&bob, "unwanted.bin")));
        sending.join().unwrap()
    });
    assert_eq!((outcome.code, text(&last_of_file(&outcome), "state")), (Some(6), "declined".to_owned()), "{outcome:?}");
}

#[test]
fn in_time_it_is_kept_or_waits_here() {
    let world = World::new();
    let (alice, mut bob) = (alone(&world), world.peer("bob"));
    // Of strangers nothing waits at the directory.
    bob.ok("!add alice");
    bob.quit();
    let small = made(&world, "small.bin", 100_000).display().to_string();
    let large = made(&world, "large.bin", LARGE).display().to_string();
    let outcome = sent(&alice, &large, &["--wait", "queued"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let outcome = sent(&alice, &small, &["--timeout", "60s"]);
    assert_eq!((outcome.code, last_of_file(&outcome)["kept"] == true), (Some(0), true), "{outcome:?}");
    let outcome = sent(&alice, &small, &["--wait", "delivered", "--timeout", "12s"]);
    assert_eq!((outcome.code, last_of_file(&outcome)["kept"] == true), (Some(4), true), "{outcome:?}");
    let outcome = sent(&alice, &large, &["--timeout", "12s"]);
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    assert!(outcome.stderr.contains("not as far as wanted"), "{outcome:?}");
}

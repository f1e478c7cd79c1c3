//! Files, with the real programs: offered, accepted, direct and through the directory, resumed after deaths, and what ends them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use system_tests::lossy::{Relay, Shape};
use system_tests::programs::files::names_in;
use system_tests::programs::peer::text;
use system_tests::programs::{Peer, World, eventually};

const PATIENCE: Duration = Duration::from_secs(60);
const MIB: usize = 1024 * 1024;

/// Bytes that repeat nowhere soon, the same for the same seed.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(bytes).collect()
}

/// A file of so many bytes in the world's folder, and its bytes.
fn made(world: &World, name: &str, bytes: usize) -> (PathBuf, Vec<u8>) {
    let (path, content) = (world.path("made").join(name), noise(bytes as u64 + name.len() as u64, bytes));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, &content).unwrap();
    (path, content)
}

fn n(value: &Value) -> u64 {
    value["n"].as_u64().expect("a number")
}

/// Waits until the file `n` was told to be in `state`, in any run.
fn wait_file(peer: &Peer, n: u64, state: &str) -> Value {
    wait_event(peer, &format!("{n} {state}"), |event| event["n"] == n && event["state"] == state)
}

fn wait_event(peer: &Peer, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    peer.expect_line(0, PATIENCE, "file", what, wanted).json
}

/// Waits for the offer of a file of this name.
fn wait_offer(peer: &Peer, name: &str) -> Value {
    peer.expect("file", name, |event| event["state"] == "offered" && event["name"] == name && event["mine"] != true)
}

/// Offers a file: the answer.
fn offer(peer: &Peer, to: &str, path: &Path) -> Value {
    peer.ok(&format!("!file {to} {}", path.display()))
}

/// What lies where the event says it does.
fn content(event: &Value) -> Vec<u8> {
    std::fs::read(text(event, "path")).unwrap()
}

fn parts_in(folder: &Path) -> Vec<String> {
    names_in(folder).into_iter().filter(|name| name.ends_with(".part")).collect()
}

#[test]
fn files_of_any_size_arrive_as_they_were_and_only_when_they_are_wanted() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    for (name, bytes) in [("nothing", 0), ("one.bin", 1), ("report.pdf", 52), ("photo.raw", 10 * MIB)] {
        let (path, sent) = made(&world, name, bytes);
        let offered = offer(&alice, "bob", &path);
        let came = wait_offer(&bob, name);
        assert_eq!((&came["id"], &came["size"], text(&came, "from")), (&offered["id"], &json!(bytes), "alice".into()));
        assert_eq!(text(&came, "sha256").len(), 64, "{came}");
        let downloads = bob.setup.data_dir.join("downloads");
        assert!(!downloads.join(name).exists() && parts_in(&downloads).is_empty(), "nothing is written before");
        let answer = bob.ok(&format!("!accept {}", n(&came)));
        assert_eq!(answer["n"], came["n"]);
        let done = wait_file(&bob, n(&came), "done");
        assert_eq!(text(&done, "path"), downloads.join(name).display().to_string(), "{done}");
        assert!(content(&done) == sent, "{name} is as it was");
        assert_eq!(std::fs::metadata(downloads.join(name)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(text(&done, "via"), "direct");
        wait_file(&alice, n(&offered), "done");
    }
    assert!(parts_in(&bob.setup.data_dir.join("downloads")).is_empty());
    let listed = bob.ok("!files");
    let states: Vec<String> = listed["files"].as_array().unwrap().iter().map(|file| text(file, "state")).collect();
    assert_eq!(states, ["done"; 4], "{listed}");
}

#[test]
fn a_file_for_who_is_away_waits_sealed_at_the_directory_and_comes_without_its_sender() {
    let world = World::new();
    let mut alice = world.peer("alice");
    let mut bob = world.peer("bob");
    bob.quit();
    let (path, sent) = made(&world, "minutes.txt", 300_000);
    alice.send("bob", "before");
    let offered = offer(&alice, "bob", &path);
    alice.send("bob", "after");
    wait_event(&alice, "kept", |event| event["n"] == offered["n"] && event["kept"] == true);
    alice.quit();
    bob.restart_online();
    let came = wait_offer(&bob, "minutes.txt");
    assert_eq!(came["offline"], true, "{came}");
    bob.wait_message("alice", "after");
    let order: Vec<String> = bob.history("alice").iter().map(|line| text(line, "text")).collect();
    assert_eq!(order, ["before", "", "after"]);
    bob.ok(&format!("!accept {}", n(&came)));
    let done = wait_file(&bob, n(&came), "done");
    assert!(content(&done) == sent);
    assert_eq!(text(&done, "via"), "directory");
    let stored = std::fs::read(world.directory.data_dir().join("store.sqlite")).unwrap_or_default();
    assert!(!stored.windows(64).any(|window| window == &sent[1_000..1_064]), "the directory has it sealed");
    alice.restart_online();
    wait_file(&alice, n(&offered), "done");
}

#[test]
fn a_file_goes_on_from_where_it_was_after_either_side_is_killed() {
    let world = World::new();
    let mut alice = world.peer("alice");
    let mut bob = world.peer("bob");
    let (path, sent) = made(&world, "film.mkv", 200 * MIB);
    let offered = offer(&alice, "bob", &path);
    let came = wait_offer(&bob, "film.mkv");
    bob.ok(&format!("!accept {}", n(&came)));
    let downloads = bob.setup.data_dir.join("downloads");
    let part_bytes = || {
        let part = parts_in(&downloads).first().map(|part| downloads.join(part));
        part.and_then(|part| std::fs::metadata(part).ok()).map_or(0, |facts| facts.len())
    };
    for round in 1..=4_u64 {
        let before = part_bytes();
        eventually("some of it is there", PATIENCE, || {
            part_bytes() > before + 8 * MIB as u64 || downloads.join("film.mkv").exists()
        });
        let kept = part_bytes();
        if round % 2 == 0 {
            alice.kill_9();
            alice.restart_online();
        } else {
            bob.kill_9();
            assert!(downloads.join("film.mkv").exists() || part_bytes() >= kept, "what is on the disk stays");
            bob.restart_online();
        }
    }
    let done = wait_file(&bob, n(&came), "done");
    assert!(content(&done) == sent);
    wait_file(&alice, n(&offered), "done");
    assert!(parts_in(&downloads).is_empty());
}

#[test]
fn a_file_passes_a_way_that_loses_a_third() {
    let world = World::new();
    let shape = Shape { loss_percent: 30, ..Shape::default() };
    let relays = [Relay::open(world.ip.into(), shape, 5), Relay::open(world.ip.into(), shape, 6)];
    let alice = world.setup("alice").advertising(relays[0].address()).start();
    relays[0].pass_to(alice.address());
    let bob = world.setup("bob").advertising(relays[1].address()).start();
    relays[1].pass_to(bob.address());
    alice.ok("!register alice");
    bob.ok("!register bob");
    let (path, sent) = made(&world, "a.bin", MIB);
    let offered = offer(&alice, "bob", &path);
    let came = wait_offer(&bob, "a.bin");
    bob.ok(&format!("!accept {}", n(&came)));
    assert!(content(&wait_file(&bob, n(&came), "done")) == sent);
    wait_file(&alice, n(&offered), "done");
}

#[test]
fn what_ends_a_file_has_a_reason_on_both_sides() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let missing = world.path("nowhere.txt");
    assert_eq!(alice.refused(&format!("!file bob {}", missing.display())), "file-missing");
    assert_eq!(alice.refused(&format!("!file bob {}", world.root().display())), "file-not-a-file");
    assert_eq!(alice.refused("!file bob"), "bad-argument");
    assert_eq!(alice.refused("!accept 999"), "no-such-message");
    assert_eq!(alice.refused("!decline 999"), "no-such-message");
    let (path, _) = made(&world, "a.txt", 10);
    assert_eq!(alice.refused(&format!("!file nobody {}", path.display())), "no-such-user");
    assert_eq!(alice.refused(&format!("!file alice {}", path.display())), "to-yourself");

    let declined = offer(&alice, "bob", &path);
    let came = wait_offer(&bob, "a.txt");
    bob.ok(&format!("!decline {}", n(&came)));
    wait_file(&alice, n(&declined), "declined");

    let (path, _) = made(&world, "b.txt", 10);
    let cancelled = offer(&alice, "bob", &path);
    let came = wait_offer(&bob, "b.txt");
    alice.ok(&format!("!cancel {}", n(&cancelled)));
    wait_file(&bob, n(&came), "cancelled");

    let (path, _) = made(&world, "c.txt", 100_000);
    let changed = offer(&alice, "bob", &path);
    let came = wait_offer(&bob, "c.txt");
    std::fs::write(&path, b"another").unwrap();
    bob.ok(&format!("!accept {}", n(&came)));
    for (peer, n) in [(&alice, n(&changed)), (&bob, n(&came))] {
        let failed = wait_file(peer, n, "failed");
        assert_eq!(text(&failed, "reason"), "changed", "{failed}");
    }
}

#[test]
fn a_strangers_name_is_cleaned_and_nothing_that_is_there_is_replaced() {
    let world = World::new();
    let alice = world.peer("alice");
    let bob = world.setup("bob").with("--accept-from=contacts").registered();
    bob.ok("!add alice");
    let downloads = bob.setup.data_dir.join("downloads");
    let long = "n".repeat(250);
    for (sent, expected) in [
        ("plain.txt", "plain.txt"),
        ("..\\..\\evil.exe", "evil.exe"),
        (".bashrc", "bashrc"),
        ("-rf", "rf"),
        ("a\u{202e}fdp.exe", "afdp.exe"),
    ] {
        let (path, content) = made(&world, sent, 40);
        let offered = offer(&alice, "bob", &path);
        wait_file(&alice, n(&offered), "done");
        assert!(std::fs::read(downloads.join(expected)).unwrap() == content, "{sent:?} lies at {expected:?}");
    }
    let (path, content) = made(&world, &long[..240], 5);
    wait_file(&alice, n(&offer(&alice, "bob", &path)), "done");
    let names = names_in(&downloads);
    assert!(names.iter().all(|name| name.len() <= 200), "{names:?}");
    // Under a name that is taken, and where somebody has laid a link.
    let (path, second) = made(&world, "plain.txt", 41);
    wait_file(&alice, n(&offer(&alice, "bob", &path)), "done");
    assert!(std::fs::read(downloads.join("plain_1.txt")).unwrap() == second);
    assert_eq!(std::fs::read(downloads.join("plain.txt")).unwrap().len(), 40);
    std::os::unix::fs::symlink(world.path("outside"), downloads.join("link.txt")).unwrap();
    let (path, third) = made(&world, "link.txt", 42);
    wait_file(&alice, n(&offer(&alice, "bob", &path)), "done");
    assert!(!world.path("outside").exists() && std::fs::read(downloads.join("link_1.txt")).unwrap() == third);
    drop(content);
}

#[test]
fn one_offer_to_a_group_is_answered_by_each_member_for_itself() {
    let world = World::new();
    let (alice, bob, carol) = (world.peer("alice"), world.peer("bob"), world.peer("carol"));
    alice.ok("!create family");
    bob.ok("!join family");
    carol.ok("!join family");
    alice.expect("group", "carol", |event| event["change"] == "joined" && event["name"] == "carol");
    let (path, sent) = made(&world, "plan.txt", 1_000);
    let offered = offer(&alice, "@family", &path);
    let (to_bob, to_carol) = (wait_offer(&bob, "plan.txt"), wait_offer(&carol, "plan.txt"));
    assert_eq!(text(&to_bob, "conversation"), "@family");
    bob.ok(&format!("!accept {}", n(&to_bob)));
    carol.ok(&format!("!decline {}", n(&to_carol)));
    assert!(content(&wait_file(&bob, n(&to_bob), "done")) == sent);
    assert_eq!(text(&wait_file(&alice, n(&offered), "done"), "to"), "bob");
    assert_eq!(text(&wait_file(&alice, n(&offered), "declined"), "to"), "carol");
}

#[test]
fn peer_send_with_a_file_ends_as_it_says() {
    let world = World::new();
    let bob = world.setup("bob").with("--accept-from=alice").registered();
    let mut alice = world.peer("alice");
    alice.quit();
    let (path, sent) = made(&world, "nightly.tar", 2 * MIB);
    let words = ["send", "--file", &path.display().to_string(), "--wait", "delivered", "--timeout", "60s", "bob"];
    let outcome = alice.setup.run(&words, b"");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let downloads = bob.setup.data_dir.join("downloads");
    assert!(std::fs::read(downloads.join("nightly.tar")).unwrap() == sent);
    let missing = world.path("nowhere").display().to_string();
    assert_eq!(alice.setup.run(&["send", "--file", &missing, "bob"], b"").code, Some(2));

    // Through the process that owns the data directory, and for somebody who is away.
    alice.restart_online();
    let mut carol = world.peer("carol");
    carol.quit();
    let mut setup = alice.setup.clone();
    setup.bind = (world.ip, 0).into();
    let words = ["send", "--file", &path.display().to_string(), "--timeout", "60s", "carol"];
    let outcome = setup.run(&words, b"");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    alice.quit();
    carol.restart_online();
    let came = wait_offer(&carol, "nightly.tar");
    carol.ok(&format!("!accept {}", n(&came)));
    assert!(content(&wait_file(&carol, n(&came), "done")) == sent);
}

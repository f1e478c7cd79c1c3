//! Names, keys and who owns them: taken names, moved owners, another directory's key, another person under an old
//! name, two processes and two machines with one identity. Real programs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use system_tests::checks::{assert_history, texts_from};
use system_tests::programs::files::{copy_dir, names_in};
use system_tests::programs::peer::text;
use system_tests::programs::{Directory, PATIENCE, World};

#[test]
fn a_name_of_somebody_else_is_refused_in_any_letter_case_even_when_its_owner_is_away() {
    let world = World::new();
    let mut alice = world.peer("Alice");
    let mallory = world.setup("mallory").start();
    for name in ["Alice", "alice", "ALICE", "aLiCe"] {
        assert_eq!(mallory.refused(&format!("!register {name}")), "name-taken");
    }
    alice.kill_9();
    assert_eq!(mallory.refused("!register alice"), "name-taken");
    assert_eq!(mallory.ok("!whoami")["name"], serde_json::Value::Null);
    mallory.ok("!register mallory");
    alice.restart_online();
    assert_eq!(alice.ok("!whoami")["name"], "Alice", "shown as registered");
}

#[test]
fn names_are_3_to_15_letters_digits_dashes_and_underscores() {
    let world = World::new();
    let alice = world.setup("alice").start();
    for bad in ["ab", "abcdefghijklmnop", "al.ice", "älice", "al/ice", "@alice", "a:b", "al\u{1b}ice"] {
        assert_eq!(alice.refused(&format!("!register {bad}")), "bad-name", "{bad:?}");
    }
    assert_eq!(alice.refused("!register"), "bad-argument");
    let other = world.setup("other").start();
    other.ok("!register A-_0123456789ab");
    alice.ok("!register abc");
    assert_eq!(alice.refused("!register abcd"), "already-registered");
    let answer = alice.ask("!register abcd");
    assert!(text(&answer, "message").contains("abc"), "it names the registered name: {answer}");
    alice.ok("!register ABC");
    assert_eq!(alice.ok("!whoami")["name"], "abc", "the same identity again: online, and nothing renamed");
}

#[test]
fn the_same_identity_from_another_address_gets_the_next_message_there() {
    let world = World::new();
    let alice = world.peer("alice");
    let mut bob = world.peer("bob");
    let first = alice.send("bob", "first");
    assert_eq!(alice.wait_state(&first.id, "delivered")["via"], "direct");
    let old = bob.address();
    bob.kill_9();
    // Somebody else sits at the old address now: nothing may be handed to it.
    let squatter = world.setup("squatter").bound_to(old).registered();
    bob.setup.bind = (world.ip, 0).into();
    bob.restart_online();
    assert_ne!(bob.address(), old);
    let next = alice.send("bob", "next");
    bob.wait_message("alice", "next");
    alice.wait_state(&next.id, "delivered");
    let mark = alice.mark();
    let direct = alice.send("bob", "direct");
    let state = alice.expect_line(mark, PATIENCE, "state", "delivered", |state| {
        state["id"] == direct.id.as_str() && state["state"] == "delivered"
    });
    assert_eq!(state.json["via"], "direct", "the new address is used");
    assert_eq!(squatter.messages_from("alice").len(), 0);
    assert_history(&bob, "alice", &["first", "next", "direct"].map(String::from));
}

#[test]
fn another_key_at_the_directorys_address_ends_with_8_and_sends_nothing() {
    let mut world = World::new();
    let (mut alice, mut bob) = (world.peer("alice"), world.peer("bob"));
    let first = alice.send("bob", "first");
    alice.wait_state(&first.id, "delivered");
    bob.quit();
    alice.quit();
    world.directory.terminate();
    let port = world.directory.address().port();
    let impostor = Directory::start(world.root(), "impostor", world.ip, port);
    assert_ne!(impostor.fingerprint(), world.directory.fingerprint());

    for (words, input) in [(&[] as &[&str], &b"!send bob secret\n"[..]), (&["send", "bob", "secret"], b"")] {
        let outcome = alice.setup.run(words, input);
        assert_eq!(outcome.code, Some(8), "{outcome:?}");
        let all = outcome.all_text();
        assert!(all.contains(impostor.fingerprint()), "shows the key it met: {all}");
        assert!(all.contains(world.directory.fingerprint()), "shows the pinned key: {all}");
    }
    let listed = impostor.admin(&["user", "list"]);
    assert!(!listed.all_text().contains("alice"), "nothing was registered there: {listed:?}");
    drop(impostor);

    world.directory.restart();
    alice.restart_online();
    bob.restart_online();
    let second = alice.send("bob", "second");
    alice.wait_state(&second.id, "delivered");
    assert!(!texts_from(&bob.history("alice"), "alice").is_empty());
}

#[test]
fn a_directory_that_changes_its_key_while_a_peer_runs_is_told_and_direct_talk_goes_on() {
    let mut world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let first = alice.send("bob", "first");
    alice.wait_state(&first.id, "delivered");
    world.directory.kill_9();
    let impostor = Directory::start(world.root(), "impostor", world.ip, world.directory.address().port());
    let error = alice.expect("error", "about the directory's key", |error| error["code"] == "directory-key-changed");
    assert_eq!(error["command"], serde_json::Value::Null);
    assert!(text(&error, "message").contains(impostor.fingerprint()), "{error}");
    let direct = alice.send("bob", "between us");
    assert_eq!(alice.wait_state(&direct.id, "delivered")["via"], "direct");
    bob.wait_message("alice", "between us");
}

#[test]
fn a_pinned_fingerprint_must_be_the_directorys() {
    let world = World::new();
    let mut setup = world.setup("alice");
    setup.directory = format!("{}#{}", world.directory.address(), world.directory.fingerprint());
    let mut alice = setup.registered();
    alice.quit();
    let mut wrong = world.setup("carol");
    wrong.directory = format!("{}#{}", world.directory.address(), "A".repeat(32));
    let outcome = wrong.run(&[], b"!register carol\n");
    assert_eq!(outcome.code, Some(8), "{outcome:?}");
    assert!(outcome.all_text().contains(world.directory.fingerprint()), "{outcome:?}");
}

#[test]
fn a_name_that_belongs_to_another_key_holds_what_waits_until_the_user_accepts() {
    let world = World::new();
    let alice = world.peer("alice");
    let mut bob = world.peer("bob");
    let first = alice.send("bob", "for the first bob");
    alice.wait_state(&first.id, "delivered");
    bob.quit();
    let old = alice.send("bob", "old secret");
    alice.wait_state(&old.id, "kept");
    let released = world.directory.admin(&["user", "release", "bob"]);
    assert_eq!(released.code, Some(0), "{released:?}");
    let other = world.setup("other").start();
    other.ok("!register bob");

    let new = alice.send("bob", "new secret");
    let held = alice.wait_state(&new.id, "held");
    assert_eq!(held["reason"], "key-changed");
    assert_eq!(alice.wait_state(&old.id, "held")["reason"], "key-changed");
    let shown = alice.ok("!verify bob").to_string();
    let fingerprint = text(&other.ok("!whoami"), "fingerprint");
    assert!(shown.contains(&fingerprint), "the new fingerprint is shown: {shown}");
    std::thread::sleep(Duration::from_secs(2));
    assert!(other.messages_from("alice").is_empty(), "nothing goes before the user's word");

    alice.ok("!verify bob ok");
    other.wait_message("alice", "new secret");
    alice.wait_state(&new.id, "delivered");
    let more = alice.send("bob", "more");
    alice.wait_state(&more.id, "delivered");
    let states = alice.states_of(&old.id);
    assert_eq!(states, ["queued", "kept", "held", "queued", "delivered"], "what is held goes on by the user's word");
    assert_eq!(texts_from(&other.history("alice"), "alice"), ["old secret", "new secret", "more"]);
}

#[test]
fn a_verified_mark_is_of_a_key_and_is_lost_when_the_name_gets_another() {
    let world = World::new();
    let alice = world.peer("alice");
    let mut bob = world.peer("bob");
    let first = bob.send("alice", "first");
    bob.wait_state(&first.id, "delivered");
    assert_eq!(alice.ok("!verify bob ok")["verified"], true);
    let second = bob.send("alice", "second");
    bob.wait_state(&second.id, "delivered");
    assert_eq!(alice.wait_message("bob", "second")["verified"], true);
    bob.quit();
    let released = world.directory.admin(&["user", "release", "bob"]);
    assert_eq!(released.code, Some(0), "{released:?}");
    let other = world.setup("other").start();
    other.ok("!register bob");
    let (olds, others) = (text(&alice.ok("!verify bob"), "theirs"), text(&other.ok("!whoami"), "fingerprint"));
    let early = other.send("alice", "it is me, bob");
    other.wait_state(&early.id, "delivered");
    alice.expect("error", "another key", |error| error["code"] == "key-changed" && error["name"] == "bob");

    // Until the user says otherwise bob is who was verified, and the mark is of that key alone.
    let known = |name: &str| {
        let answer = alice.ok("!contacts");
        answer["contacts"].as_array().unwrap().iter().find(|contact| contact["name"] == name).cloned().unwrap()
    };
    let bobs = known("bob");
    assert_eq!((text(&bobs, "fingerprint"), text(&bobs, "rival")), (olds, others.clone()), "{bobs}");
    let shown = alice.log().lines(0, |line| line.event() == "message" && line.json["id"] == early.id.as_str());
    assert!(shown.is_empty(), "shown before the user's word: {shown:?}");

    let answer = alice.ok(&format!("!verify bob#{others} ok"));
    assert_eq!((text(&answer, "theirs"), &answer["verified"]), (others, &true.into()), "compared, so marked");
    assert_eq!(alice.wait_message("bob", "it is me, bob")["verified"], true);
    // The one who had the mark has lost it with the name.
    bob.restart();
    bob.expect("error", "his name is gone", |error| error["code"] == "not-registered" && error["command"].is_null());
    bob.ok("!register robert");
    let third = bob.send("alice", "third");
    bob.wait_state(&third.id, "delivered");
    let third = alice.expect("message", "third", |message| message["text"] == "third");
    assert_eq!((text(&third, "from"), &third["verified"]), ("robert".into(), &false.into()), "{third}");
    assert_eq!((&known("robert")["verified"], &known("bob")["verified"]), (&false.into(), &true.into()));
}

#[test]
fn a_key_that_the_user_refuses_gets_nothing_and_is_not_asked_about_again_until_it_is_named() {
    let world = World::new();
    let alice = world.peer("alice");
    let mut bob = world.peer("bob");
    let first = alice.send("bob", "first");
    alice.wait_state(&first.id, "delivered");
    bob.quit();
    let released = world.directory.admin(&["user", "release", "bob"]);
    assert_eq!(released.code, Some(0), "{released:?}");
    let other = world.setup("other").start();
    other.ok("!register bob");
    let others = text(&other.ok("!whoami"), "fingerprint");

    let waits = alice.send("bob", "for the bob I know");
    assert_eq!(alice.wait_state(&waits.id, "held")["reason"], "key-changed");
    let wrong = format!("!verify bob#{} no", "A".repeat(32));
    assert_eq!(alice.refused(&wrong), "key-changed", "a word about another key decides nothing");
    let mark = alice.mark();
    let answer = alice.ok(&format!("!verify bob#{others} no"));
    assert_eq!((&answer["refused"][0], answer["rival"].is_null()), (&others.clone().into(), true), "{answer}");
    assert_eq!(alice.refused("!verify bob no"), "bad-argument", "there is nothing left to refuse");
    // The directory has nobody of the pinned key: it says so, and does not ask.
    alice.expect_line(mark, PATIENCE, "state", "held for another reason", |state| {
        state["id"] == waits.id.as_str() && state["reason"] == "no-such-user"
    });
    assert!(
        alice.log().lines(mark, |line| line.json["code"] == "key-changed" && line.json["command"].is_null()).is_empty()
    );

    // The one she knows comes back under another name.
    bob.restart();
    bob.expect("error", "his name is gone", |error| error["code"] == "not-registered" && error["command"].is_null());
    bob.ok("!register robert");
    alice.expect("renamed", "a known key", |told| told["old"] == "bob" && told["new"] == "robert");
    alice.wait_state(&waits.id, "delivered");
    bob.wait_message("alice", "for the bob I know");
    let same = alice.send("bob", "by the old name");
    alice.wait_state(&same.id, "delivered");
    assert!(other.messages_from("alice").is_empty(), "nothing goes to a refused key");
    let contacts = alice.ok("!contacts");
    let known = contacts["contacts"].as_array().unwrap().iter().find(|contact| contact["name"] == "robert");
    assert_eq!(known.unwrap()["former"], serde_json::json!(["bob"]));

    // She finds out that the other one is bob after all.
    alice.ok(&format!("!verify bob#{others} ok"));
    let new = alice.send("bob", "for the new bob");
    alice.wait_state(&new.id, "delivered");
    other.wait_message("alice", "for the new bob");
    let robert = alice.send("robert", "and for robert");
    alice.wait_state(&robert.id, "delivered");
    assert_eq!(
        texts_from(&bob.history("alice"), "alice"),
        ["first", "for the bob I know", "by the old name", "and for robert"]
    );
    world.assert_healed();
}

#[test]
fn a_deregistered_name_is_free_for_others() {
    let world = World::new();
    let (bob, carol) = (world.peer("bob"), world.peer("carol"));
    let answer = bob.ok("!deregister");
    assert_eq!(answer["event"], "result");
    bob.expect("deregistered", "own", |event| event["name"] == "bob");
    assert_eq!(carol.refused("!send bob hi"), "no-such-user");
    assert_eq!(bob.refused("!send carol hi"), "not-registered");
    let other = world.setup("other").start();
    other.ok("!register BOB");
    bob.ok("!register robert");
}

#[test]
fn an_administrator_lists_shows_and_releases_names() {
    let world = World::new();
    let (alice, _bob) = (world.peer("alice"), world.peer("bob"));
    let listed = world.directory.admin(&["user", "list"]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    let text_of = listed.lines.join("\n");
    assert!(text_of.contains("alice") && text_of.contains("bob"), "{text_of}");
    let shown = world.directory.admin(&["user", "show", "alice"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.lines.join("\n").contains(&text(&alice.ok("!whoami"), "fingerprint")), "{shown:?}");
    let unknown = world.directory.admin(&["user", "show", "nobody"]);
    assert_eq!(unknown.code, Some(5), "{unknown:?}");
    let fingerprint = world.directory.admin(&["fingerprint"]);
    assert_eq!(fingerprint.lines.join("\n").trim(), world.directory.fingerprint());
}

#[test]
fn a_second_process_on_one_data_directory_says_so_and_ends_with_9() {
    let world = World::new();
    let alice = world.peer("alice");
    let mut second = alice.setup.clone();
    second.bind = (world.ip, 0).into();
    let outcome = second.run(&[], b"!whoami\n");
    assert_eq!(outcome.code, Some(9), "{outcome:?}");
    assert!(outcome.all_text().contains(&alice.setup.data_dir.display().to_string()), "names it: {outcome:?}");
    assert_eq!(alice.ok("!whoami")["name"], "alice", "the first goes on");
    let ip = world.ip.to_string();
    let data_dir = world.directory.data_dir().display().to_string();
    let arguments = ["--bind", &ip, "--port", "0", "--data-dir", &data_dir];
    let server = system_tests::programs::run("directory-server", world.root(), &arguments, b"");
    assert_eq!(server.code, Some(9), "{server:?}");
}

#[test]
fn a_peers_secrets_are_its_owners_alone() {
    let world = World::new();
    let alice = world.peer("alice");
    let dir = &alice.setup.data_dir;
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(dir) & 0o077, 0, "the folder");
    let names = names_in(dir);
    assert!(!names.is_empty());
    for name in names {
        assert_eq!(mode(&dir.join(&name)) & 0o077, 0, "{name} is for its owner alone");
    }
}

#[test]
fn one_identity_on_two_machines_the_second_takes_over_and_the_first_stays_quiet() {
    let world = World::new();
    let (bob, first) = (world.peer("bob"), world.peer("alice"));
    let hello = bob.send("alice", "one");
    bob.wait_state(&hello.id, "delivered");
    // A copy of a running program, as of one moment.
    first.stop();
    let copy = world.path("alice-copy");
    copy_dir(&first.setup.data_dir, &copy);
    first.cont();
    let second = world.setup("alice").in_dir(copy).start();
    second.expect("online", "by itself", |event| event["name"] == "alice");

    let told = first.expect("error", "suspended", |error| error["code"] == "suspended");
    assert_eq!(told["command"], serde_json::Value::Null);
    assert_eq!(first.refused("!send bob from the first"), "suspended");
    let mark = first.mark();
    let two = bob.send("alice", "two");
    bob.wait_state(&two.id, "delivered");
    second.wait_message("bob", "two");
    let answer = second.send("bob", "from the second");
    second.wait_state(&answer.id, "delivered");
    bob.wait_message("alice", "from the second");
    std::thread::sleep(Duration::from_secs(3));
    let came = first.log().lines(mark, |line| matches!(line.event(), "message" | "online"));
    assert!(came.is_empty(), "the first stays quiet: {came:?}");

    first.ok("!login");
    second.expect("error", "suspended", |error| error["code"] == "suspended");
    let three = bob.send("alice", "three");
    bob.wait_state(&three.id, "delivered");
    first.wait_message("bob", "three");
    let back = first.send("bob", "from the first again");
    first.wait_state(&back.id, "delivered");
    let texts = texts_from(&bob.history("alice"), "alice");
    assert_eq!(texts, ["from the second", "from the first again"]);
}

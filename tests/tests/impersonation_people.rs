//! Impersonation of people and of programs on one machine: names that look alike, a fingerprint that is not the one
//! demanded, files that others may write. The command or the start is refused with its own code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_gid, set_thread_uid};
use system_tests::programs::World;
use system_tests::programs::peer::text;

/// Names that look like `bob-smith`, or hide in it.
const LOOK_ALIKES: &[(&str, &str)] = &[
    ("cyrillic", "b\u{43e}b-smith"),
    ("greek", "b\u{3bf}b-smith"),
    ("fullwidth", "\u{ff42}ob-smith"),
    ("combining", "bo\u{301}b-smith"),
    ("other-dash", "bob\u{2010}smith"),
    ("zero-width", "bob\u{200b}-smith"),
    ("bidi", "\u{202e}htims-bob"),
    ("soft-hyphen", "bob\u{ad}-smith"),
    ("dotless", "bob-sm\u{131}th"),
    ("too-long", "bob-smith-bob-smith"),
];

#[test]
fn what_looks_like_a_name_is_no_name_and_reaches_nobody() {
    let world = World::new();
    let bob = world.peer("bob-smith");
    let alice = world.peer("alice");
    let mallory = world.setup("mallory").start();
    for (word, alike) in LOOK_ALIKES {
        assert_eq!(mallory.refused(&format!("!register {alike}")), "bad-name", "register: {word}");
        assert_eq!(alice.refused(&format!("!send {alike} secret")), "bad-name", "send: {word}");
        assert_eq!(alice.refused(&format!("!verify {alike}")), "bad-name", "verify: {word}");
    }
    // Plain letters that look alike are other names: nobody has them.
    for near in ["b0b-smith", "bob_smith", "bob-smlth", "bobsmith"] {
        assert_eq!(alice.refused(&format!("!send {near} secret")), "no-such-user", "{near}");
    }
    let sent = alice.send("BOB-Smith", "in any case of letters");
    bob.wait_message("alice", "in any case of letters");
    alice.wait_state(&sent.id, "delivered");
    assert_eq!(bob.messages_from("alice").len(), 1);
}

#[test]
fn a_demanded_fingerprint_must_be_the_whole_one_of_the_key() {
    let world = World::new();
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let carol = world.peer("carol");
    let right = text(&bob.ok("!whoami"), "fingerprint");
    let others = text(&carol.ok("!whoami"), "fingerprint");
    let near = format!("{}{}", if right.starts_with('A') { "B" } else { "A" }, &right[1..]);
    for (word, wrong) in [("fingerprint-of-another", &others), ("fingerprint-one-letter-off", &near)] {
        assert_eq!(alice.refused(&format!("!send bob#{wrong} secret")), "key-changed", "{word}, first contact");
    }
    for (word, wrong) in
        [("fingerprint-cut", &right[..31]), ("fingerprint-empty", ""), ("fingerprint-zero", &"0".repeat(32))]
    {
        assert_eq!(alice.refused(&format!("!send bob#{wrong} secret")), "bad-argument", "{word}");
    }
    let sent = alice.send(&format!("bob#{right}"), "for this key");
    bob.wait_message("alice", "for this key");
    alice.wait_state(&sent.id, "delivered");
    assert_eq!(alice.refused(&format!("!send bob#{others} secret")), "key-changed", "fingerprint-of-another, pinned");
    assert_eq!(bob.messages_from("alice").len(), 1);
    assert!(carol.messages_from("alice").is_empty());
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

/// What another user of the machine gets who connects to a socket; none where this program may not become another user.
fn as_another_user(socket: &Path) -> Option<std::io::Result<()>> {
    const NOBODY: u32 = 65_534;
    std::thread::scope(|scope| {
        // It is this thread alone that becomes somebody else, and it ends here.
        let other = scope.spawn(|| {
            set_thread_gid(Gid::from_raw(NOBODY)).and_then(|()| set_thread_uid(Uid::from_raw(NOBODY))).ok()?;
            Some(UnixStream::connect(socket).map(drop))
        });
        other.join().expect("no panic")
    })
}

/// Both the folder and the socket keep others out, each by itself.
fn nobody_else_gets_to_the_control_socket(world: &World, dir: &Path) {
    let socket = dir.join("control.sock");
    // So that it is not the folder of the test that keeps them out.
    set_mode(world.root(), 0o711);
    let denied = |answer: std::io::Result<()>| answer.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
    let Some(answer) = as_another_user(&socket) else {
        eprintln!("SKIPPED: this program may not become another user; the modes are as they should be");
        return;
    };
    assert!(denied(answer), "control-socket: through the folder");
    set_mode(dir, 0o711);
    assert!(as_another_user(&socket).is_some_and(denied), "control-socket: the socket itself");
    set_mode(&socket, 0o666);
    let let_in = as_another_user(&socket);
    assert!(matches!(let_in, Some(Ok(()))), "the control: nothing but the modes keeps others out: {let_in:?}");
    set_mode(&socket, 0o600);
    set_mode(dir, 0o700);
}

#[test]
fn files_that_others_may_change_are_no_identity_and_the_control_socket_is_its_owners() {
    let world = World::new();
    let mut alice = world.peer("alice");
    let dir = alice.setup.data_dir.clone();
    let socket = std::fs::metadata(dir.join("control.sock")).expect("a control socket");
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.permissions().mode() & 0o777, 0o600, "control-socket");
    assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o077, 0, "control-socket's folder");
    nobody_else_gets_to_the_control_socket(&world, &dir);
    alice.quit();
    let key = dir.join("identity.key");
    let refused = |word: &str, says: &str| {
        let outcome = alice.setup.run(&[], b"!whoami\n");
        assert_eq!(outcome.code, Some(9), "{word}: {outcome:?}");
        assert!(outcome.all_text().contains(says), "{word}: {outcome:?}");
    };
    set_mode(&key, 0o644);
    refused("key-others-may-read", "others may read");
    set_mode(&key, 0o600);
    set_mode(&dir, 0o777);
    refused("folder-others-may-write", "others may write");
    set_mode(&dir, 0o700);
    let seed = std::fs::read(&key).unwrap();
    std::fs::write(&key, &seed[..31]).unwrap();
    refused("key-cut", "damaged");
    std::fs::write(&key, [&seed[..], &[0]].concat()).unwrap();
    refused("key-extended", "damaged");
    std::fs::remove_file(&key).unwrap();
    refused("key-missing", "missing beside a message store");
    std::fs::write(&key, &seed).unwrap();
    set_mode(&key, 0o600);
    alice.restart_online();
    assert_eq!(alice.ok("!whoami")["name"], "alice", "the control: put back, it is alice");
}

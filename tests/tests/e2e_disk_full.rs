//! Real programs on small disks that fill up: what takes room is refused by name, what was acknowledged stays, what makes room
//! goes on, and everything resumes by itself. Needs the right to mount; says so where it has none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::statvfs;
use system_tests::programs::{PATIENCE, World, eventually};

const MIB: u64 = 1024 * 1024;

/// A file system in memory, mounted on a folder.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where mounting is not allowed.
    fn mount(on: &Path, mib: u64) -> Option<Self> {
        std::fs::create_dir_all(on).unwrap();
        let options = format!("size={mib}m,mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(on).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(on.to_path_buf()));
        }
        eprintln!("SKIPPED: nothing can be mounted here, so no disk can be filled");
        None
    }

    fn resize(&self, bytes: u64) {
        let options = format!("remount,size={bytes}");
        let done = Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap();
        assert!(done.success());
    }

    fn free(&self) -> u64 {
        let stat = statvfs(&self.0).unwrap();
        stat.f_bavail * stat.f_frsize
    }

    fn used(&self) -> u64 {
        let stat = statvfs(&self.0).unwrap();
        (stat.f_blocks - stat.f_bfree) * stat.f_frsize
    }

    /// Leaves so many bytes.
    fn fill(&self, leave: u64) {
        let mut filler = std::fs::File::create(self.0.join("filler")).unwrap();
        let bytes = usize::try_from(self.free().saturating_sub(leave)).unwrap();
        // The last of them may not fit.
        for chunk in vec![1_u8; bytes].chunks(4_096) {
            if filler.write_all(chunk).is_err() {
                break;
            }
        }
        assert!(self.free() <= leave + 64 * 1024, "{} bytes are free", self.free());
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_peer_on_a_full_disk_refuses_takes_nothing_and_goes_on_by_itself() {
    let world = World::new();
    let Some(disk) = SmallDisk::mount(&world.path("bob"), 64) else { return };
    let (alice, bob) = (world.peer("alice"), world.peer("bob"));
    let first = alice.send("bob", "before");
    alice.wait_state(&first.id, "delivered");
    bob.wait_message("alice", "before");
    bob.send("alice", "accepted");
    alice.wait_message("bob", "accepted");

    disk.fill(3 * MIB);
    bob.expect("error", "store-full by itself", |error| error["code"] == "store-full" && error["command"].is_null());
    assert_eq!(bob.refused("!send alice no room"), "store-full");
    let meanwhile = alice.send_many("bob", "meanwhile ", 0..20);
    // What can be said without room is said; the messages wait at their sender or at the directory.
    std::thread::sleep(Duration::from_secs(3));
    for sent in &meanwhile {
        assert!(!alice.states_of(&sent.id).contains(&"delivered".to_owned()), "acknowledged without room");
    }
    assert_eq!(bob.history("alice").len(), 2, "it answers what is asked");

    disk.empty();
    let emptied = Instant::now();
    alice.wait_states(&meanwhile, "delivered", PATIENCE);
    eprintln!("20 messages delivered {:.1} s after there was room", emptied.elapsed().as_secs_f64());
    let mut again = serde_json::Value::Null;
    eventually("bob sends again", PATIENCE, || {
        again = bob.ask("!send alice room again");
        again["event"] == "result"
    });
    bob.wait_state(again["id"].as_str().unwrap(), "delivered");
    let mut wanted = vec!["before".to_owned(), "accepted".to_owned()];
    wanted.extend((0..20).map(|number| format!("meanwhile {number}")));
    wanted.push("room again".to_owned());
    let texts: Vec<String> =
        bob.history("alice").iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts, wanted);
    world.assert_healed();
}

#[test]
fn a_peer_whose_writes_find_no_room_says_nothing_and_goes_on_by_itself() {
    let world = World::new();
    let Some(disk) = SmallDisk::mount(&world.path("bob"), 64) else { return };
    let (alice, mut bob) = (world.peer("alice"), world.peer("bob"));
    bob.send("alice", "known");
    alice.wait_message("bob", "known");
    disk.fill(0);
    // Faster than the disk is measured: some find out by writing.
    let text = "x".repeat(5_000);
    let places: Vec<usize> = (0..30).map(|number| bob.command(&[&format!("!send alice {number} {text}")])).collect();
    bob.expect("error", "store-full", |error| error["code"] == "store-full");
    disk.empty();
    let mut queued = Vec::new();
    for place in places {
        let answer = bob.answer(place);
        match answer["event"].as_str() {
            Some("result") => queued.push(answer["id"].as_str().unwrap().to_owned()),
            _ => assert_eq!(answer["code"], "store-full"),
        }
    }
    for id in &queued {
        bob.wait_state(id, "delivered");
    }
    assert_eq!(bob.history("alice").len(), 1 + queued.len(), "what was refused was not stored");
    eprintln!("{} of 30 waited for room, the rest was refused", queued.len());
    assert!(bob.runs());
    bob.quit();
    world.assert_healed();
}

#[test]
fn a_directory_on_a_full_disk_refuses_mail_hands_out_what_it_has_and_goes_on_by_itself() {
    let mut world = World::new();
    world.directory.terminate();
    let Some(disk) = SmallDisk::mount(world.directory.data_dir(), 700) else { return };
    world.directory.restart();
    let (alice, mut bob, mut carol) = (world.peer("alice"), world.peer("bob"), world.peer("carol"));
    for peer in [&bob, &carol] {
        let hello = alice.send(&peer.setup.name, "hello");
        alice.wait_state(&hello.id, "delivered");
    }
    bob.quit();
    carol.quit();
    let kept = alice.send("carol", "kept before");
    alice.wait_state(&kept.id, "kept");

    disk.resize(300 * MIB);
    let refused = alice.send("bob", "refused at first");
    // The disk is measured now and then; what was kept before that stays kept.
    let mut held = vec![];
    eventually("mail is refused", PATIENCE, || {
        let sent = alice.send("bob", "more");
        eventually("it is kept or held", PATIENCE, || alice.states_of(&sent.id).len() > 1);
        let is_held = alice.states_of(&sent.id).contains(&"held".to_owned());
        if is_held {
            held.push(sent);
        }
        is_held
    });
    let reason = alice.log().lines(0, |line| line.event() == "state" && line.json["id"] == held[0].id.as_str());
    assert_eq!(reason.last().unwrap().json["reason"], "disk-full");
    carol.restart_online();
    carol.wait_message("alice", "kept before");
    alice.wait_state(&kept.id, "delivered");

    // And with no room at all.
    disk.resize(disk.used());
    let without = alice.send("bob", "without any room");
    eventually("it is held", PATIENCE, || alice.states_of(&without.id).contains(&"held".to_owned()));
    held.push(without);
    assert!(world.directory.runs());

    disk.resize(700 * MIB);
    let grown = Instant::now();
    alice.wait_states(&held, "kept", PATIENCE);
    eprintln!("{} held messages kept {:.1} s after there was room", held.len(), grown.elapsed().as_secs_f64());
    bob.restart_online();
    bob.wait_message("alice", "without any room");
    alice.wait_states(&held, "delivered", PATIENCE);
    alice.wait_state(&refused.id, "delivered");
    let mine = alice.history("bob").len();
    assert_eq!(bob.history("alice").len(), mine, "nothing is missing and nothing twice");
    world.assert_healed();
}

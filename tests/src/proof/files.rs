//! `proof files`: files between real programs that are killed at any moment of a transfer, until they are there as they were;
//! at night also one of a gigabyte, and two of them at once while messages flow.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde_json::Value;

use super::{Form, Order, say};
use crate::bench::table::percentile;
use crate::programs::peer::text;
use crate::programs::{Peer, World};

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;
/// A file that is being killed at.
const KILLED_BYTES: u64 = 96 * MIB;
/// The whole way of one file, deaths included.
const PATIENCE: Duration = Duration::from_secs(600);
/// A death comes at most so long after the program began, milliseconds.
const DEATH_MS: u64 = 700;
/// Messages that are timed, and between two of them.
const MESSAGES: usize = 200;
const EVERY: Duration = Duration::from_millis(20);
/// Beside two files the 99th percentile of messages may be so many times that of a quiet link.
const SLOWER_MAX: f64 = 5.0;

/// Runs it: 4 deaths in the gate; 50 in a night, and the gigabytes.
///
/// # Errors
/// When a file is not what it was, or messages wait too long beside files. What does not come at all panics, with the
/// programs' last words.
pub fn run(order: &Order) -> Result<()> {
    let mut dice = ChaCha8Rng::seed_from_u64(order.seed);
    deaths(order.amount(4, 50), &mut dice)?;
    if order.form == Form::Night {
        gigabyte(&mut dice)?;
        beside_messages(&mut dice)?;
    }
    Ok(())
}

/// A file of noise.
fn noise(path: &Path, bytes: u64, dice: &mut ChaCha8Rng) -> Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let mut block = vec![0; MIB as usize];
    let mut left = bytes;
    while left > 0 {
        dice.fill_bytes(&mut block);
        let now = left.min(MIB);
        file.write_all(&block[..now as usize])?;
        left -= now;
    }
    file.into_inner()?.sync_all()?;
    Ok(())
}

/// Whether two files hold the same.
fn same(one: &Path, other: &Path) -> Result<bool> {
    let open = |path: &Path| std::fs::File::open(path).with_context(|| path.display().to_string());
    let (mut one, mut other) = (open(one)?, open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut here, mut there) = (vec![0; MIB as usize], vec![0; MIB as usize]);
    loop {
        let read = one.read(&mut here)?;
        if read == 0 {
            return Ok(true);
        }
        other.read_exact(&mut there[..read])?;
        if here[..read] != there[..read] {
            return Ok(false);
        }
    }
}

/// Two who know each other; bob takes what alice offers.
fn two(world: &World) -> (Peer, Peer) {
    let alice = world.peer("alice");
    let bob = world.setup("bob").with("--accept-from=contacts").registered();
    bob.ok("!add alice");
    alice.send("bob", "hello");
    bob.wait_message("alice", "hello");
    (alice, bob)
}

fn offer(alice: &Peer, path: &Path) -> Value {
    alice.ok(&format!("!file bob {}", path.display()))
}

/// Where the file of this message lies, once it is told to be whole.
fn done(bob: &Peer, id: &Value) -> PathBuf {
    let done = bob.expect_line(0, PATIENCE, "file", "done", |event| event["id"] == *id && event["state"] == "done");
    text(&done.json, "path").into()
}

fn is_done(bob: &Peer, id: &Value) -> bool {
    let is = |event: &Value| event["event"] == "file" && event["id"] == *id && event["state"] == "done";
    !bob.log().lines(0, |line| is(&line.json)).is_empty()
}

fn deaths(count: u64, dice: &mut ChaCha8Rng) -> Result<()> {
    let begun = Instant::now();
    let world = World::new();
    let (mut alice, mut bob) = two(&world);
    let (mut killed, mut files, mut idle) = (0, 0, 0);
    while killed < count {
        files += 1;
        let path = world.path(&format!("{files}.bin"));
        noise(&path, KILLED_BYTES, dice)?;
        let id = offer(&alice, &path)["id"].clone();
        while killed < count && !is_done(&bob, &id) {
            std::thread::sleep(Duration::from_millis(dice.next_u64() % DEATH_MS));
            if is_done(&bob, &id) {
                idle += 1;
                break;
            }
            killed += 1;
            let dies = if dice.next_u64().is_multiple_of(2) { &mut alice } else { &mut bob };
            dies.kill_9();
            dies.restart_online();
        }
        let there = done(&bob, &id);
        ensure!(same(&path, &there)?, "{} is not what was offered", there.display());
        std::fs::remove_file(&there)?;
        std::fs::remove_file(&path)?;
    }
    say(&format!(
        "{files} files of {} MiB, {killed} kills of either side at random moments ({idle} files were there before one), each \
         file as it was; {:.0} s",
        KILLED_BYTES / MIB,
        begun.elapsed().as_secs_f64()
    ));
    Ok(())
}

fn gigabyte(dice: &mut ChaCha8Rng) -> Result<()> {
    let world = World::new();
    let (alice, bob) = two(&world);
    let path = world.path("gigabyte.bin");
    noise(&path, GIB, dice)?;
    let begun = Instant::now();
    let id = offer(&alice, &path)["id"].clone();
    let offered = begun.elapsed();
    let there = done(&bob, &id);
    let took = begun.elapsed();
    ensure!(same(&path, &there)?, "the gigabyte is not what was offered");
    let resident = |peer: &Peer| peer_resident_mib(peer.id());
    say(&format!(
        "1 GiB: measured in {:.1} s, there and compared after {:.1} s, {:.0} MB/s in all; resident {} MiB and {} MiB",
        offered.as_secs_f64(),
        took.as_secs_f64(),
        GIB as f64 / took.as_secs_f64() / 1e6,
        resident(&alice)?,
        resident(&bob)?,
    ));
    Ok(())
}

/// The most memory a program has had, MiB.
fn peer_resident_mib(id: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? / 1024)
}

/// Milliseconds from sending to delivered, by the programs' own clock.
fn timed(alice: &Peer) -> Vec<f64> {
    let mut spent = Vec::with_capacity(MESSAGES);
    for number in 0..MESSAGES {
        let begun = Instant::now();
        let sent = alice.send("bob", &format!("message {number}"));
        alice.wait_state(&sent.id, "delivered");
        spent.push(begun.elapsed().as_secs_f64() * 1_000.0);
        std::thread::sleep(EVERY);
    }
    spent
}

fn beside_messages(dice: &mut ChaCha8Rng) -> Result<()> {
    let world = World::new();
    let (alice, bob) = two(&world);
    let paths = [world.path("one.bin"), world.path("two.bin")];
    for path in &paths {
        noise(path, GIB, dice)?;
    }
    let mut quiet = timed(&alice);
    let ids = paths.each_ref().map(|path| offer(&alice, path)["id"].clone());
    let mut busy = Vec::new();
    while busy.is_empty() || !ids.iter().all(|id| is_done(&bob, id)) {
        busy.extend(timed(&alice));
    }
    for (path, id) in paths.iter().zip(&ids) {
        ensure!(same(path, &done(&bob, id))?, "a gigabyte is not what was offered");
    }
    let (quiet, busy) = (percentile(&mut quiet, 0.99), percentile(&mut busy, 0.99));
    say(&format!(
        "messages beside two files of 1 GiB: p99 {busy:.1} ms, on the quiet link {quiet:.1} ms: {:.1} times",
        busy / quiet
    ));
    ensure!(busy <= SLOWER_MAX * quiet, "messages wait more than {SLOWER_MAX} times as long beside files");
    Ok(())
}

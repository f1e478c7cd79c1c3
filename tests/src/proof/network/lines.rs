//! What may be wrong with the TCP lines to the directory while there is no other way: resets, stalls, one byte a second, a
//! slow line; and a line cut after any byte of a login, a deposit and a drain. Not here: how messages are measured.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::traffic::{Receipts, Two};
use crate::checks::{assert_history, assert_output, numbered};
use crate::cutter::{CutAt, Cutter, Mode, Way};
use crate::lossy::{Relay, Shape};
use crate::programs::{PATIENCE, Peer, World};

/// What is done to both lines, again and again: so bad for `bad`, then good for `good`.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// How it is called.
    pub name: &'static str,
    /// What the lines do while they are bad.
    pub mode: Mode,
    /// For how long.
    pub bad: Duration,
    /// And how long nothing is wrong after it.
    pub good: Duration,
    /// How often.
    pub times: u32,
}

const fn case(name: &'static str, mode: Mode, bad_ms: u64, good_ms: u64, times: u32) -> Case {
    Case { name, mode, bad: Duration::from_millis(bad_ms), good: Duration::from_millis(good_ms), times }
}

/// Seconds.
pub const GATE: &[Case] = &[
    case("TCP: reset every 1.5 s", Mode::Reset, 20, 1_500, 4),
    case("TCP: cut every 1.5 s", Mode::Cut, 20, 1_500, 4),
    case("TCP: stalls of 3 s", Mode::Stall, 3_000, 1_000, 2),
    case("TCP: one byte a second for 4 s", Mode::Trickle(1), 4_000, 1_000, 1),
    case("TCP: 20,000 bytes a second", Mode::Trickle(20_000), 6_000, 500, 1),
];

/// Minutes: longer than a silent session may live, too.
pub const NIGHT: &[Case] = &[
    case("TCP: reset every 1.5 s", Mode::Reset, 20, 1_500, 60),
    case("TCP: cut every 1.5 s", Mode::Cut, 20, 1_500, 60),
    case("TCP: stalls of 3 s", Mode::Stall, 3_000, 1_000, 20),
    case("TCP: a stall of 100 s", Mode::Stall, 100_000, 1_000, 1),
    case("TCP: one byte a second for 100 s", Mode::Trickle(1), 100_000, 1_000, 1),
    case("TCP: 20,000 bytes a second", Mode::Trickle(20_000), 60_000, 500, 1),
];

/// Two peers that can only talk through the directory, each over a line of its own.
struct Cabled {
    lines: [Cutter; 2],
    _wall: Relay,
    world: World,
}

impl Cabled {
    fn new() -> (Self, [Peer; 2]) {
        let world = World::new();
        let wall = Relay::open(world.ip.into(), Shape::default(), 0);
        wall.shut();
        let lines = [0, 1].map(|_| Cutter::open(world.ip.into(), world.directory.address()));
        let peer =
            |name, line: &Cutter| world.setup(name).advertising(wall.address()).at_directory(line.address()).start();
        let peers = [peer("alice", &lines[0]), peer("bob", &lines[1])];
        (Self { lines, _wall: wall, world }, peers)
    }
}

/// Runs a case; returns the receipts, and how soon all were there once nothing was wrong any more.
///
/// # Errors
/// When the lines did not do what they should.
///
/// # Panics
/// When a message is lost, doubled or out of order.
pub fn run(case: &Case) -> Result<(Receipts, String)> {
    let (cabled, [alice, bob]) = Cabled::new();
    let mut two = Two::meet(alice, bob);
    let before: u64 = cabled.lines.iter().map(Cutter::connections).sum();
    for _ in 0..case.times {
        cabled.lines.iter().for_each(|line| line.set(case.mode));
        two.keep_writing(case.bad, Duration::from_millis(250));
        cabled.lines.iter().for_each(|line| line.set(Mode::Carry));
        two.keep_writing(case.good, Duration::from_millis(250));
    }
    let begin = Instant::now();
    let receipts = two.receipts(Duration::from_secs(180));
    let after = receipts.all_after(begin);
    two.check();
    let connections = cabled.lines.iter().map(Cutter::connections).sum::<u64>() - before;
    let ends = matches!(case.mode, Mode::Cut | Mode::Reset);
    ensure!(!ends || connections >= u64::from(case.times), "{connections} new connections, though each was ended");
    ensure!(receipts.direct == 0, "there is no direct way");
    drop(cabled.world);
    Ok((receipts, format!("{connections} new connections; all there {:.1} s after the end", after.as_secs_f64())))
}

/// Cuts the lines after one byte after the other: of the session in which alice logs in and deposits, and of the one in
/// which bob logs in and drains. `share`: of all cuts every how manieth, beginning where, and whether all bytes or only the
/// ends of TLS records and a few between are cuts.
///
/// # Errors
/// When too few cuts came to pass.
///
/// # Panics
/// When a message is lost, doubled or out of order.
pub fn cuts(every_byte: bool, share: (usize, usize)) -> Result<String> {
    let (cabled, [alice, bob]) = Cabled::new();
    for (peer, name) in [(&alice, "alice"), (&bob, "bob")] {
        peer.ok(&format!("!register {name}"));
    }
    for (from, to) in [(&alice, "bob"), (&bob, "alice")] {
        let hello = from.send(to, "hello");
        from.wait_state(&hello.id, "delivered");
    }
    let mut sent = 0;
    let mut round = |cuts: [Option<CutAt>; 2]| {
        mail(&cabled, &alice, &bob, sent, cuts);
        sent += 1;
    };
    // The first two rounds are whole: sessions later on are all alike, and these say how long they are.
    round([None, None]);
    round([None, None]);
    let points = cabled.lines.each_ref().map(|line| points(line, every_byte));
    let mut asked = 0;
    for at in (share.0..points[0].len().max(points[1].len())).step_by(share.1) {
        let cuts = [points[0].get(at).copied(), points[1].get(at).copied()];
        asked += cuts.iter().flatten().count() as u64;
        round(cuts);
    }
    let mut wanted = vec!["hello".to_string()];
    wanted.extend(numbered("m", sent));
    assert_history(&bob, "alice", &wanted);
    assert_output(&bob, "alice", &wanted);
    let came: u64 = cabled.lines.iter().map(Cutter::cuts).sum();
    // Sessions differ by a few bytes, so that the last points may lie behind the end of some.
    ensure!(came * 10 >= asked * 9, "only {came} of {asked} cuts came to pass");
    Ok(format!("{sent} | 0 % | - | - | - | {came} cuts of sessions of {}", lengths(&cabled)))
}

fn lengths(cabled: &Cabled) -> String {
    let last = |line: &Cutter, way| line.record_ends(way).last().copied().unwrap_or(0);
    let [alice, bob] =
        cabled.lines.each_ref().map(|line| format!("{} + {}", last(line, Way::Up), last(line, Way::Down)));
    format!("{alice} and {bob} bytes up + down")
}

/// One message: written while both are logged out; alice logs in and deposits, then bob logs in and drains. The first
/// connection of each is cut.
fn mail(cabled: &Cabled, alice: &Peer, bob: &Peer, number: usize, cuts: [Option<CutAt>; 2]) {
    bob.ok("!logout");
    alice.ok("!logout");
    let sent = alice.send("bob", &format!("m{number}"));
    for ((peer, line), cut) in [alice, bob].into_iter().zip(&cabled.lines).zip(cuts) {
        if let Some(cut) = cut {
            line.arm(cut);
        }
        let mark = peer.mark();
        peer.command(&["!login"]);
        peer.expect_line(mark, PATIENCE, "online", "again", |_| true);
        if peer.setup.name == "alice" {
            alice.wait_states(std::slice::from_ref(&sent), "kept", PATIENCE);
        }
    }
    bob.wait_message("alice", &format!("m{number}"));
    alice.wait_states(&[sent], "delivered", PATIENCE);
}

/// Where to cut a line's next session, by what the last one was like; resets and plain ends in turn.
fn points(line: &Cutter, every_byte: bool) -> Vec<CutAt> {
    let mut all = Vec::new();
    for way in [Way::Up, Way::Down] {
        let ends = line.record_ends(way);
        let last = ends.last().copied().unwrap_or(0);
        let mut bytes: Vec<u64> = if every_byte {
            (0..=last).collect()
        } else {
            let sampled = (1..=4).map(|part| part * last / 5);
            ends.iter().copied().chain([0, 1]).chain(sampled).collect()
        };
        bytes.sort_unstable();
        bytes.dedup();
        all.extend(bytes.into_iter().map(|bytes| CutAt { way, bytes, reset: bytes % 2 == 1 }));
    }
    all
}

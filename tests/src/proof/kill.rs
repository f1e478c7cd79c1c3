//! `proof kill`: one directory and eight peers, real programs that write to each other all the time, any of them killed
//! (SIGKILL) or stopped (SIGSTOP) at any moment. At the end everything is delivered, once and in order, by the histories
//! of both ends and by the checker.
//!
//! A world lives for a hundred cycles, so that a night needs no more memory than one of them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use rustix::process::Signal;
use serde_json::Value;

use super::{Form, Order, say};
use crate::bench::session::Session;
use crate::hostile::stranger;
use crate::programs::peer::text;
use crate::programs::{PATIENCE, Peer, World, eventually};

const NAMES: [&str; 8] = ["anna", "bert", "cleo", "dora", "emil", "fred", "gina", "hugo"];
/// Cycles in one world.
const ROUND: u64 = 100;
/// Between two bursts of messages.
const TICK: Duration = Duration::from_millis(20);
/// Messages of one burst, at most.
const BURST_MAX: usize = 5;
/// A whole night delivers so many messages at least.
const NIGHT_MESSAGES: usize = 100_000;
/// A cycle goes on for so long after its fault, milliseconds.
const REST_MS: (u64, u64) = (200, 700);
/// Longer than any link lives without a word, milliseconds.
const LONG_STOP_MS: (u64, u64) = (11_000, 16_000);
/// One stop in so many is a long one.
const LONG_ONE_IN: u64 = 6;
/// How soon a program serves again.
const RECOVERY_MAX: Duration = Duration::from_secs(2);
/// How long healing may take.
const HEALING: Duration = Duration::from_secs(180);

/// Runs it: 30 cycles in the gate, 2,000 in a night.
///
/// # Errors
/// When a program takes too long to serve again. Broken promises panic, with the programs' last words.
pub fn run(order: &Order) -> Result<()> {
    let cycles = order.amount(30, 2_000);
    let mut totals = Totals::default();
    let begun = Instant::now();
    let mut done = 0;
    while done < cycles {
        let round = ROUND.min(cycles - done);
        let mut storm = Storm::new(order.seed.wrapping_mul(1_000_003).wrapping_add(done));
        for cycle in 0..round {
            // The gate has one long stop too, whatever the dice say.
            storm.cycle(cycle == 0);
        }
        storm.heal(&mut totals);
        done += round;
        say(&format!(
            "{done} of {cycles} cycles, {} messages, {:.0} s",
            totals.messages,
            begun.elapsed().as_secs_f64()
        ));
    }
    totals.print(order.seed);
    let slowest = [&totals.listening, &totals.serving, &totals.ready].into_iter().flatten().max();
    let enough = order.form == Form::Gate || order.amount.is_some() || totals.messages >= NIGHT_MESSAGES;
    ensure!(enough, "a night is to deliver {NIGHT_MESSAGES} messages at least");
    ensure!(slowest.is_none_or(|slowest| *slowest < RECOVERY_MAX), "a program took {slowest:?} to serve again");
    Ok(())
}

/// What was done and measured in all rounds.
#[derive(Default)]
struct Totals {
    messages: usize,
    kills: [u64; 2],
    stops: [u64; 2],
    listening: Vec<Duration>,
    serving: Vec<Duration>,
    ready: Vec<Duration>,
    healing: Vec<Duration>,
}

impl Totals {
    fn print(&mut self, seed: u64) {
        let ([directory, peers], [short, long]) = (self.kills, self.stops);
        say(&format!(
            "seed {seed}: {} messages delivered, each once and in order; {directory} kills of the directory, {peers} of \
             peers, {short} short stops, {long} long ones",
            self.messages
        ));
        let times = [
            ("directory listening", &mut self.listening),
            ("directory's first login answered", &mut self.serving),
            ("peer ready", &mut self.ready),
            ("healed after the last fault", &mut self.healing),
        ];
        for (what, times) in times {
            times.sort_unstable();
            let ms = |at: usize| times.get(at).map_or(0, Duration::as_millis);
            say(&format!("{what}: p50 {} ms, max {} ms", ms(times.len() / 2), ms(times.len().saturating_sub(1))));
        }
    }
}

/// The programs of one round and what is being done to them.
struct Storm {
    // Peers go before the world: its folder is theirs.
    peers: Vec<Peer>,
    world: World,
    rng: ChaCha8Rng,
    /// When those that are stopped go on; the directory last.
    stopped: [Option<Instant>; NAMES.len() + 1],
    dead: [bool; NAMES.len() + 1],
    said: u64,
    logins: u64,
    totals: Totals,
}

/// The directory among the nine.
const DIRECTORY: usize = NAMES.len();

impl Storm {
    fn new(seed: u64) -> Self {
        let world = World::new();
        let peers: Vec<Peer> = NAMES.iter().map(|name| world.peer(name)).collect();
        // Whom one writes to is accepted: what strangers may leave at the directory is little.
        for (peer, name) in peers.iter().zip(NAMES) {
            for other in NAMES.iter().filter(|other| **other != name) {
                peer.send(other, "hello");
            }
        }
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let (stopped, dead, totals) = ([None; 9], [false; 9], Totals::default());
        Self { peers, world, rng, stopped, dead, said: 0, logins: 0, totals }
    }

    fn between(&mut self, (low, high): (u64, u64)) -> u64 {
        low + self.rng.next_u64() % (high - low)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.rng.next_u64() as usize % bound
    }

    /// One fault, and what follows.
    fn cycle(&mut self, long: bool) {
        // One of nine, but everybody depends on it.
        let victim = if self.below(4) == 0 { DIRECTORY } else { self.below(NAMES.len()) };
        match self.below(8) {
            0..=1 => self.stop(victim, long),
            _ if long => self.stop(victim, long),
            2 => {
                let second = self.below(NAMES.len() + 1);
                self.kill(&[victim, second]);
            }
            _ => self.kill(&[victim]),
        }
        let rest = self.between(REST_MS);
        self.chat(rest);
    }

    fn kill(&mut self, victims: &[usize]) {
        for victim in victims.iter().copied().filter(|victim| !self.dead[*victim]).collect::<BTreeSet<_>>() {
            (self.dead[victim], self.stopped[victim]) = (true, None);
            match self.peers.get_mut(victim) {
                Some(peer) => peer.kill_9(),
                None => self.world.directory.kill_9(),
            }
            self.totals.kills[usize::from(victim != DIRECTORY)] += 1;
            let pause = self.between((0, 300));
            self.chat(pause);
        }
        for victim in (0..=DIRECTORY).filter(|victim| self.dead[*victim]).collect::<Vec<_>>() {
            self.start(victim);
        }
    }

    fn start(&mut self, victim: usize) {
        let begun = Instant::now();
        if let Some(peer) = self.peers.get_mut(victim) {
            peer.restart();
            self.totals.ready.push(begun.elapsed());
        } else {
            self.world.directory.restart();
            self.totals.listening.push(begun.elapsed());
            self.log_in();
            self.totals.serving.push(begun.elapsed());
        }
        self.dead[victim] = false;
    }

    /// A login of somebody new, from hello to the token's commit.
    fn log_in(&mut self) {
        self.logins += 1;
        let (address, number) = (self.world.directory.address(), self.logins);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let login =
            async { tokio::time::timeout(PATIENCE, Session::log_in_with(address, &stranger(number), None)).await };
        let session = runtime.block_on(login).expect("a login is answered");
        drop(session.expect("the directory lets a newcomer log in"));
    }

    fn stop(&mut self, victim: usize, long: bool) {
        if self.stopped[victim].is_some() {
            return;
        }
        let long = long || self.below(LONG_ONE_IN as usize) == 0;
        let for_ms = self.between(if long { LONG_STOP_MS } else { (20, 2_500) });
        self.signal(victim, Signal::STOP);
        self.stopped[victim] = Some(Instant::now() + Duration::from_millis(for_ms));
        self.totals.stops[usize::from(long)] += 1;
    }

    fn signal(&self, victim: usize, signal: Signal) {
        match self.peers.get(victim) {
            Some(peer) => peer.signal(signal),
            None => self.world.directory.signal(signal),
        }
    }

    fn wake(&mut self, all: bool) {
        for victim in 0..=DIRECTORY {
            if self.stopped[victim].is_some_and(|until| all || until <= Instant::now()) {
                self.stopped[victim] = None;
                self.signal(victim, Signal::CONT);
            }
        }
    }

    /// Everybody who can writes to somebody, a few messages at a time.
    fn chat(&mut self, for_ms: u64) {
        let end = Instant::now() + Duration::from_millis(for_ms);
        while Instant::now() < end {
            self.wake(false);
            let (from, to) = (self.below(NAMES.len()), self.below(NAMES.len()));
            if from != to && !self.dead[from] && self.stopped[from].is_none() {
                for _ in 0..=self.below(BURST_MAX) {
                    self.said += 1;
                    self.peers[from].command(&[&format!("!send {} {}", NAMES[to], self.said)]);
                }
            }
            std::thread::sleep(TICK);
        }
    }

    /// Everything runs again, and everything comes to its end.
    fn heal(mut self, totals: &mut Totals) {
        self.wake(true);
        let begun = Instant::now();
        for peer in &self.peers {
            let what = format!("all of {} is delivered", peer.setup.name);
            eventually(&what, HEALING, || {
                let contacts = peer.ok("!contacts");
                let waiting = contacts["contacts"].as_array().expect("contacts").iter();
                waiting.map(|contact| contact["waiting"].as_u64().expect("a count")).sum::<u64>() == 0
            });
        }
        self.totals.healing.push(begun.elapsed());
        self.totals.messages = self.compare();
        self.peers.iter_mut().for_each(Peer::quit);
        assert_eq!(self.world.event_logs().len(), NAMES.len() + 1, "every program has logged");
        self.world.assert_healed();
        totals.add(&mut self.totals);
    }

    /// Both ends of every conversation hold the same messages in the same order, and all that was answered as queued.
    fn compare(&self) -> usize {
        let mut count = 0;
        for from in &self.peers {
            let answered: BTreeSet<String> = answered(from);
            let mut written = BTreeSet::new();
            for to in self.peers.iter().filter(|to| to.setup.name != from.setup.name) {
                let (from_name, to_name) = (&from.setup.name, &to.setup.name);
                let mine = ids(&from.history(to_name), from_name);
                eventually(&format!("{to_name} shows all of {from_name}"), PATIENCE, || {
                    shown(to, from_name) == mine.iter().cloned().collect()
                });
                let theirs = ids(&to.history(from_name), from_name);
                assert_eq!(mine, theirs, "the histories of {from_name} and {to_name} differ");
                count += mine.len();
                written.extend(mine);
            }
            let lost: Vec<&String> = answered.difference(&written).collect();
            assert!(lost.is_empty(), "{} lost what it had answered as queued: {lost:?}", from.setup.name);
        }
        count
    }
}

impl Totals {
    fn add(&mut self, round: &mut Self) {
        self.messages += round.messages;
        self.listening.append(&mut round.listening);
        self.serving.append(&mut round.serving);
        self.ready.append(&mut round.ready);
        self.healing.append(&mut round.healing);
        for of in 0..2 {
            self.kills[of] += round.kills[of];
            self.stops[of] += round.stops[of];
        }
    }
}

fn answered(peer: &Peer) -> BTreeSet<String> {
    let lines = peer.log().lines(0, |line| line.event() == "result" && line.json["command"] == "!send");
    lines.iter().map(|line| text(&line.json, "id")).collect()
}

fn ids(history: &[Value], from: &str) -> Vec<String> {
    history.iter().filter(|message| message["from"] == from).map(|message| text(message, "id")).collect()
}

fn shown(peer: &Peer, from: &str) -> BTreeSet<String> {
    peer.messages_from(from).iter().map(|line| text(&line.json, "id")).collect()
}

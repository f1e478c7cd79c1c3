//! Two people who write to each other over a bad network: messages spaced and in bursts, both ways; how long each took to
//! its receipt; and that each arrived, once and in order. Not here: what is bad about the network.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::bench::table::percentile;
use crate::checks::{assert_history, assert_output, numbered};
use crate::programs::peer::text;
use crate::programs::{PATIENCE, Peer};

/// One of the two, with what they wrote.
struct Writer {
    peer: Peer,
    /// Place among the answers, and when it was written, of each numbered message.
    written: Vec<(usize, Instant)>,
}

/// The two, who know each other.
pub struct Two {
    writers: [Writer; 2],
}

/// What a run of messages gave.
#[derive(Debug, Clone, Default)]
pub struct Receipts {
    /// From the line written to the receipt read, milliseconds.
    pub ms: Vec<f64>,
    /// How many arrived by the direct way.
    pub direct: usize,
    /// When the last of them was read.
    pub last: Option<Instant>,
}

impl Receipts {
    /// The value below which `share` of them lie, milliseconds.
    #[must_use]
    pub fn percentile_ms(&self, share: f64) -> f64 {
        percentile(&mut self.ms.clone(), share)
    }

    /// From `begin` to the last of them.
    #[must_use]
    pub fn all_after(&self, begin: Instant) -> Duration {
        self.last.map_or(Duration::ZERO, |last| last.saturating_duration_since(begin))
    }

    fn add(&mut self, written: Instant, read: Instant, direct: bool) {
        self.ms.push(read.saturating_duration_since(written).as_secs_f64() * 1e3);
        self.direct += usize::from(direct);
        self.last = self.last.max(Some(read));
    }
}

impl Two {
    /// Alice and bob, who run: registers them, and lets each accept the other.
    #[must_use]
    pub fn meet(alice: Peer, bob: Peer) -> Self {
        alice.ok("!register alice");
        bob.ok("!register bob");
        let hello = alice.send("bob", "hello");
        alice.wait_state(&hello.id, "delivered");
        let hello = bob.send("alice", "hello");
        bob.wait_state(&hello.id, "delivered");
        Self { writers: [alice, bob].map(|peer| Writer { peer, written: Vec::new() }) }
    }

    fn write(&mut self, who: usize) {
        let to = self.other(who);
        let writer = &mut self.writers[who];
        let number = writer.written.len();
        let at = Instant::now();
        let place = writer.peer.command(&[&format!("!send {to} m{number}")]);
        writer.written.push((place, at));
    }

    fn other(&self, who: usize) -> String {
        self.writers[1 - who].peer.setup.name.clone()
    }

    /// Each writes `count` messages, `gap` apart.
    pub fn spaced(&mut self, count: usize, gap: Duration) {
        let begin = Instant::now();
        for turn in 0..count {
            let due = begin + gap * u32::try_from(turn).unwrap_or(u32::MAX);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            self.write(0);
            self.write(1);
        }
    }

    /// Each writes for `time`, `gap` apart.
    pub fn keep_writing(&mut self, time: Duration, gap: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.burst(1);
            std::thread::sleep(gap);
        }
    }

    /// Writes until a message each way went direct, which it must within a minute.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_for_link(&mut self) {
        let (end, patience) = (Instant::now() + PATIENCE, PATIENCE);
        let mut before = self.receipts(patience).direct;
        loop {
            self.burst(1);
            let now = self.receipts(patience).direct;
            if now == before + 2 {
                return;
            }
            before = now;
            assert!(Instant::now() < end, "no link stands within a minute");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Each writes `count` messages at once.
    pub fn burst(&mut self, count: usize) {
        self.spaced(count, Duration::ZERO);
    }

    /// Waits until everything written has its receipt, and says how long each took.
    ///
    /// # Panics
    /// When one has none within `patience`.
    #[must_use]
    pub fn receipts(&self, patience: Duration) -> Receipts {
        let mut all = Receipts::default();
        for writer in &self.writers {
            let peer = &writer.peer;
            let lines = answers(writer);
            let mut open: HashMap<String, Instant> = writer
                .written
                .iter()
                .map(|(place, at)| {
                    let answer = &lines[*place];
                    assert_eq!(answer["event"], "result", "{}: a send was refused: {answer}", peer.setup.name);
                    (text(answer, "id"), *at)
                })
                .collect();
            let found = peer.log().wait(0, patience, |line| {
                if line.event() == "state"
                    && line.json["state"] == "delivered"
                    && let Some(written) = open.remove(line.json["id"].as_str().unwrap_or(""))
                {
                    all.add(written, line.at, line.json["via"] == "direct");
                }
                open.is_empty().then_some(())
            });
            if let Err(missed) = found {
                let (name, tail) = (&peer.setup.name, peer.log().tail(40));
                panic!(
                    "{name}: {} of {} messages have no receipt ({missed:?})\n{tail}",
                    open.len(),
                    writer.written.len()
                );
            }
        }
        all
    }

    /// Asserts that each holds all that the other wrote, once and in order, and has shown it so.
    pub fn check(&self) {
        for who in [0, 1] {
            let (reader, from) = (&self.writers[1 - who].peer, &self.writers[who].peer.setup.name);
            let mut wanted = vec!["hello".to_string()];
            wanted.extend(numbered("m", self.writers[who].written.len()));
            reader.wait_messages(from, wanted.len(), PATIENCE);
            assert_history(reader, from, &wanted);
            assert_output(reader, from, &wanted);
        }
    }
}

/// All answers to command lines of a writer's run, in order; waits for those of its messages.
fn answers(writer: &Writer) -> Vec<serde_json::Value> {
    let wanted = writer.written.last().map_or(0, |(place, _)| place + 1);
    let mut answers = Vec::new();
    let found = writer.peer.log().wait(writer.peer.log().run_begins_at(), PATIENCE * 2, |line| {
        if crate::programs::peer::is_answer(line) {
            answers.push(line.json.clone());
        }
        (answers.len() >= wanted).then_some(())
    });
    assert!(found.is_ok(), "{}: {} of {wanted} lines were answered", writer.peer.setup.name, answers.len());
    answers
}

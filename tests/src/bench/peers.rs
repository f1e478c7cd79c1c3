//! Two whole peers, real programs with their stores: from a command line written to `delivered` read, and how many
//! messages a second both of them keep and acknowledge. Beside it this disk's fsync and the transport alone.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::limits::fsync_us;
use super::system::Echo;
use super::table::{Samples, Target, percentile, row};
use super::transport::{rate, round_trips};
use crate::programs::{World, eventually};

const TEXT_BYTES: usize = 100;
/// Round trips of one round, and those before them that do not count.
const TRIPS: usize = 500;
const WARM: usize = 50;
/// Messages of one round of the throughput.
const MESSAGES: usize = 20_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// A running peer, killed and reaped when dropped.
struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: Option<BufReader<ChildStdout>>,
}

impl Program {
    /// Its output goes into a pipe, or into `file`, so that reading it costs nothing while something is measured.
    fn start(world: &World, name: &str, file: Option<&Path>) -> Result<Self> {
        let mut command = world.setup(name).command(&[]);
        command.stdin(Stdio::piped()).stderr(File::create(world.path(&format!("{name}.log")))?);
        match file {
            Some(file) => command.stdout(File::create(file)?),
            None => command.stdout(Stdio::piped()),
        };
        let mut child = command.spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take().map(BufReader::new));
        Ok(Self { child, input, output })
    }

    fn write(&mut self, text: &str) -> Result<()> {
        let input = self.input.as_mut().context("its input is lent out")?;
        input.write_all(text.as_bytes())?;
        Ok(input.flush()?)
    }

    /// Reads lines until one of event `event` holds `word`.
    fn until(&mut self, event: &str, word: &str) -> Result<()> {
        let output = self.output.as_mut().context("its output goes elsewhere")?;
        let event = format!("\"event\":\"{event}\"");
        let mut line = String::new();
        loop {
            line.clear();
            if output.read_line(&mut line)? == 0 {
                bail!("the peer has ended");
            }
            if line.contains(&event) && line.contains(word) {
                return Ok(());
            }
            if line.contains("\"event\":\"error\"") {
                bail!("the peer says: {line}");
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two peers who have accepted each other and have a link.
struct Two {
    alice: Program,
    _bob: Program,
    world: World,
}

impl Two {
    fn meet() -> Result<Self> {
        let world = World::new();
        let file: PathBuf = world.path("bob.out");
        let (mut alice, mut bob) =
            (Program::start(&world, "alice", None)?, Program::start(&world, "bob", Some(&file))?);
        alice.write("!register alice\n")?;
        alice.until("online", "alice")?;
        bob.write("!register bob\n")?;
        let printed = |word: &str| std::fs::read_to_string(&file).is_ok_and(|text| text.contains(word));
        eventually("bob is online", PATIENCE, || printed("\"event\":\"online\""));
        alice.write("!send bob hello\n")?;
        alice.until("state", "\"delivered\"")?;
        bob.write("!send alice hello\n")?;
        alice.until("message", "hello")?;
        Ok(Self { alice, _bob: bob, world })
    }

    fn line() -> String {
        format!("!send bob {}\n", "x".repeat(TEXT_BYTES))
    }

    /// Round trips, µs, one value each.
    fn round_trips(&mut self) -> Result<Vec<f64>> {
        let line = Self::line();
        let mut spent = Vec::with_capacity(TRIPS);
        for turn in 0..TRIPS + WARM {
            let start = Instant::now();
            self.alice.write(&line)?;
            self.alice.until("state", "\"delivered\"")?;
            if turn >= WARM {
                spent.push(start.elapsed().as_secs_f64() * 1e6);
            }
        }
        Ok(spent)
    }

    /// Messages a second from the first line written to the last `delivered`, at most `window` on their way.
    fn rate(&mut self, window: usize) -> Result<f64> {
        let room = Arc::new((Mutex::new(window), Condvar::new()));
        let mut input = self.alice.input.take().context("an input")?;
        let start = Instant::now();
        let writer = std::thread::spawn({
            let room = Arc::clone(&room);
            move || write_all(&mut input, &room).map(|()| input)
        });
        for _ in 0..MESSAGES {
            self.alice.until("state", "\"delivered\"")?;
            *room.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            room.1.notify_one();
        }
        let spent = start.elapsed().as_secs_f64();
        self.alice.input = Some(writer.join().map_err(|_| anyhow::anyhow!("the writer fell"))??);
        Ok(MESSAGES as f64 / spent)
    }
}

/// Writes the messages, as many at once as there is room for.
fn write_all(input: &mut ChildStdin, room: &(Mutex<usize>, Condvar)) -> Result<()> {
    let line = Two::line();
    let mut left = MESSAGES;
    while left > 0 {
        let guard = room.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut guard = room.1.wait_while(guard, |room| *room == 0).unwrap_or_else(PoisonError::into_inner);
        let now = (*guard).min(left);
        *guard -= now;
        drop(guard);
        input.write_all(line.repeat(now).as_bytes())?;
        input.flush()?;
        left -= now;
    }
    Ok(())
}

/// Round trip of a message between whole peers.
///
/// # Errors
/// When it cannot be measured.
pub async fn latency(rounds: usize) -> Result<()> {
    let mut two = Two::meet()?;
    let link = Echo::start("echo-link")?;
    let [mut p50, mut p99, mut limit] = std::array::from_fn(|_| Samples::default());
    for _ in 0..rounds {
        let transport = percentile(&mut round_trips(link.address, 2_000, 200).await?, 0.5);
        limit.push(2.0 * fsync_us(two.world.root())? + transport);
        let mut spent = two.round_trips()?;
        p50.push(percentile(&mut spent, 0.5));
        p99.push(percentile(&mut spent, 0.99));
    }
    let beside = Some(("two fsyncs of this disk + the transport, p50", &limit));
    row("warm message, command written to `delivered` read, p50", "µs", &p50, beside, Target::RatioAtMost(1.3));
    row("warm message, command written to `delivered` read, p99", "µs", &p99, beside, Target::None);
    Ok(())
}

/// Acknowledged messages a second between whole peers.
///
/// # Errors
/// When it cannot be measured.
pub async fn throughput(rounds: usize) -> Result<()> {
    let mut two = Two::meet()?;
    let link = Echo::start("echo-link")?;
    for window in [256, 1024] {
        let [mut ours, mut limit] = std::array::from_fn(|_| Samples::default());
        for _ in 0..rounds {
            limit.push(rate(link.address, window as u64, 100_000).await?);
            ours.push(two.rate(window)?);
        }
        let what = format!("acknowledged messages/s, whole peers, window {window}");
        let beside = Some(("the transport alone, same window", &limit));
        row(&what, "/s", &ours, beside, Target::AtLeast(65_000.0));
    }
    Ok(())
}

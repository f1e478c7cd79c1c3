//! What may be wrong with the datagrams between two peers, and what is promised all the same. The directory is reachable
//! unless a case takes it away. Not here: how the messages are written and measured.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};

use super::super::Form;
use super::traffic::{Receipts, Two};
use crate::lossy::{Counts, Relay, Shape, Way};
use crate::programs::World;

/// What else happens in a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing.
    None,
    /// The directory is killed when a link stands.
    DirectoryGone,
    /// The line is good until a link stands, and so bad from then on.
    BadLater,
}

/// A network, and how soon receipts have to come over it.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// How it is called.
    pub name: &'static str,
    /// How bad it is.
    pub shape: Shape,
    /// What else happens.
    pub turn: Turn,
    /// 99 of 100 receipts come within so many milliseconds.
    pub p99_ms: f64,
    /// The gate judges that too, not the night alone.
    pub in_gate: bool,
}

/// Without loss.
const GOOD_MS: f64 = 300.0;
/// With a fifth lost.
const LOSSY_MS: f64 = 3_000.0;
/// With half lost.
const HALF_MS: f64 = 10_000.0;

const GOOD: Shape = Shape {
    loss_percent: 0,
    burst: 0,
    lossy_way: None,
    double_percent: 0,
    reorder_percent: 0,
    delay_ms: 0,
    jitter_ms: 0,
    rate_kbit: 0,
    queue_bytes: 0,
    mtu_bytes: 0,
    rebind_after: 0,
    hole_after: 0,
};

const SLOW: Shape = Shape { rate_kbit: 128, queue_bytes: 16 * 1024, delay_ms: 20, ..GOOD };

const fn case(name: &'static str, p99_ms: f64, shape: Shape) -> Case {
    // The gate runs beside much else on slow machines: what is to be there in 0.3 s is judged at night.
    Case { name, shape, turn: Turn::None, p99_ms, in_gate: p99_ms > GOOD_MS }
}

/// All cases.
pub const CASES: &[Case] = &[
    case("nothing wrong", GOOD_MS, GOOD),
    case("all doubled", GOOD_MS, Shape { double_percent: 100, ..GOOD }),
    case("half reordered", GOOD_MS, Shape { reorder_percent: 50, ..GOOD }),
    case("delay 50 ms, jitter 20 ms, each way", GOOD_MS, Shape { delay_ms: 50, jitter_ms: 20, ..GOOD }),
    // More at once than fits into the queue, at the night's amount.
    case("1 Mbit/s, 32 KiB wait", LOSSY_MS, Shape { rate_kbit: 1_000, queue_bytes: 32 * 1024, delay_ms: 20, ..GOOD }),
    case("128 kbit/s, 16 KiB wait", HALF_MS, SLOW),
    Case { turn: Turn::DirectoryGone, ..case("128 kbit/s, 16 KiB wait, no directory", HALF_MS, SLOW) },
    case("at most 1,200 bytes", GOOD_MS, Shape { mtu_bytes: 1_200, ..GOOD }),
    case("loss 5 %", LOSSY_MS, Shape { loss_percent: 5, ..GOOD }),
    case("loss 20 %", LOSSY_MS, Shape { loss_percent: 20, ..GOOD }),
    case("loss 20 % in bursts of 8", LOSSY_MS, Shape { loss_percent: 20, burst: 8, ..GOOD }),
    case(
        "loss 20 %, doubles, reordering, delay 20 ms",
        LOSSY_MS,
        Shape { loss_percent: 20, double_percent: 10, reorder_percent: 20, delay_ms: 20, ..GOOD },
    ),
    Case { turn: Turn::DirectoryGone, ..case("loss 20 %, no directory", LOSSY_MS, Shape { loss_percent: 20, ..GOOD }) },
    case("loss 50 %", HALF_MS, Shape { loss_percent: 50, ..GOOD }),
    case("loss 50 % in bursts of 8", HALF_MS, Shape { loss_percent: 50, burst: 8, ..GOOD }),
    Case { turn: Turn::DirectoryGone, ..case("loss 50 %, no directory", HALF_MS, Shape { loss_percent: 50, ..GOOD }) },
    case("loss 50 % one way", HALF_MS, Shape { loss_percent: 50, lossy_way: Some(Way::There), ..GOOD }),
    case("all lost one way", LOSSY_MS, Shape { loss_percent: 100, lossy_way: Some(Way::Back), ..GOOD }),
    Case {
        turn: Turn::BadLater,
        ..case("1,250 bytes after a link stood", LOSSY_MS, Shape { mtu_bytes: 1_250, ..GOOD })
    },
    Case {
        turn: Turn::BadLater,
        ..case("1,000 bytes after a link stood", LOSSY_MS, Shape { mtu_bytes: 1_000, ..GOOD })
    },
    case("at most 1,000 bytes", LOSSY_MS, Shape { mtu_bytes: 1_000, ..GOOD }),
    case("another port after each 40 datagrams", LOSSY_MS, Shape { rebind_after: 40, ..GOOD }),
    case("black hole after 12 datagrams", LOSSY_MS, Shape { hole_after: 12, ..GOOD }),
    Case {
        turn: Turn::BadLater,
        ..case("black hole after a link stood", LOSSY_MS, Shape { loss_percent: 100, ..GOOD })
    },
];

/// How many messages.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// One by one, each way.
    pub spaced: usize,
    /// Time between two of them.
    pub gap: Duration,
    /// At once, each way.
    pub burst: usize,
}

/// Runs a case; returns the receipts, and how many of 100 datagrams did not get through.
///
/// # Errors
/// When receipts come too late, or the network was better than it should have been.
///
/// # Panics
/// When a message is lost, doubled or out of order.
pub fn run(case: &Case, amount: Amount, seed: u64, form: Form) -> Result<(Receipts, String)> {
    let mut world = World::new();
    let at_first = if case.turn == Turn::None { case.shape } else { Shape::default() };
    let relays = [0, 1].map(|number| Relay::open(world.ip.into(), at_first, seed.wrapping_add(number)));
    let [alice, bob] = ["alice", "bob"].map(|name| world.setup(name));
    let (alice, bob) = (alice.advertising(relays[0].address()).start(), bob.advertising(relays[1].address()).start());
    relays[0].pass_to(alice.address());
    relays[1].pass_to(bob.address());
    let mut two = Two::meet(alice, bob);
    if case.turn != Turn::None {
        two.wait_for_link();
        relays.iter().for_each(|relay| relay.reshape(case.shape));
    }
    if case.turn == Turn::DirectoryGone {
        world.directory.kill_9();
    }
    two.spaced(amount.spaced, amount.gap);
    two.burst(amount.burst);
    let receipts = two.receipts(Duration::from_secs(180));
    if case.turn == Turn::DirectoryGone {
        world.directory.restart();
    }
    two.check();
    let note = done(case, &relays)?;
    let p99_ms = receipts.percentile_ms(0.99);
    if p99_ms > case.p99_ms && (form == Form::Night || case.in_gate) {
        bail!("99 of 100 receipts within {p99_ms:.0} ms, not {:.0} ms", case.p99_ms);
    }
    Ok((receipts, note))
}

/// What the relays did to datagrams, in words; that they did it.
fn done(case: &Case, relays: &[Relay]) -> Result<String> {
    let sum = |pick: fn(&Counts) -> &AtomicU64| {
        relays.iter().map(|relay| pick(relay.counts()).load(Ordering::Relaxed)).sum::<u64>()
    };
    let shape = case.shape;
    let all = sum(|counts| &counts.passed) + sum(|counts| &counts.lost) + sum(|counts| &counts.swallowed);
    let mut words = vec![format!("{all} datagrams")];
    // A longer datagram than the first ones is only tried, and only when there is time for it; few messages fill no queue.
    let may_be_none = shape.mtu_bytes >= 1_200 || shape.rate_kbit > 0;
    for (asked, count, what) in [
        (shape.loss_percent > 0, sum(|counts| &counts.lost), "lost"),
        (shape.double_percent > 0, sum(|counts| &counts.doubled), "doubled"),
        (shape.reorder_percent > 0, sum(|counts| &counts.reordered), "held back"),
        (shape.rate_kbit > 0, sum(|counts| &counts.crowded), "found the queue full"),
        (shape.mtu_bytes > 0, sum(|counts| &counts.too_long), "too long"),
        (shape.rebind_after > 0, sum(|counts| &counts.rebound), "changes of port"),
        (shape.hole_after > 0, sum(|counts| &counts.swallowed), "swallowed"),
    ] {
        if asked && count == 0 && !may_be_none {
            bail!("the network was better than it should have been: {what}: 0");
        }
        if asked {
            words.push(format!("{count} {what}"));
        }
    }
    Ok(words.join(", "))
}

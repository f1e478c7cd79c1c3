//! The transport between two peers alone: one envelope in, one state back, over the real QUIC endpoints of two
//! processes; no core, no store. Beside it a bare UDP ping-pong.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use common::body::Body;
use common::identity::{Identity, PublicKey};
use common::message::{Conversation, Envelope, Epoch, EpochId, Header, Held, MessageId, PairState};
use common::wire::peer::PeerFrame;
use peer::transport::{BATCHES_MAX, Batch, Quic, socket};
use peer_core::event::{Input, LinkId};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::limits::{udp_rate, udp_round_trips};
use super::system::Echo;
use super::table::{Samples, Target, percentile, row, say};

const PATIENCE: Duration = Duration::from_secs(20);
const LINK: LinkId = LinkId(2);
/// Round trips of one round, and those before them that do not count.
const TRIPS: usize = 10_000;
const WARM: usize = 500;
/// Messages of one round of the throughput.
const MESSAGES: u64 = 300_000;
/// Bytes of the text.
const TEXT_BYTES: usize = 100;

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

/// Alice's key and Bob's: making them from their seeds costs more than a round trip.
static KEYS: LazyLock<[PublicKey; 2]> = LazyLock::new(|| [identity(1).public(), identity(2).public()]);

fn epoch() -> Epoch {
    Epoch { generation: 1, id: EpochId([1; 16]) }
}

fn envelope(seq: u64) -> PeerFrame {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&seq.to_be_bytes());
    let header = Header {
        sender: KEYS[0],
        recipient: KEYS[1],
        epoch: epoch(),
        seq,
        floor: 1,
        id: MessageId::new(1_700_000_000_000, random),
        after: Some(MessageId::new(1_700_000_000_000, [1; 10])),
        ordered: true,
        urgent: false,
        conversation: Conversation::Pair,
        sent_at_ms: 1_700_000_000_000,
        kind: Body::TEXT,
    };
    Envelope { header, body: vec![b'x'; TEXT_BYTES] }.into()
}

fn state(top: u64) -> PeerFrame {
    let held = Held { epoch: epoch(), floor: 1, top, missing: Vec::new(), digest: [5; 8] };
    PairState {
        from: KEYS[1],
        to: KEYS[0],
        epoch: epoch(),
        version: top,
        floor: 1,
        applied: Some((epoch(), 1)),
        held: Some(held),
        read: None,
        blocked: false,
        prekey: None,
    }
    .into()
}

struct Port {
    quic: Quic,
    address: SocketAddr,
    batches: mpsc::Receiver<Batch>,
    pending: VecDeque<Input>,
}

impl Port {
    fn open(seed: u8) -> Result<Self> {
        let bound = socket::bind(([127, 0, 0, 1], 0).into())?;
        let (inputs, batches) = mpsc::channel(BATCHES_MAX);
        // Nobody asks for a file here.
        let (streams, _) = mpsc::channel(1);
        let quic = Quic::start(bound.socket, identity(seed), inputs, streams)?;
        Ok(Self { quic, address: bound.address, batches, pending: VecDeque::new() })
    }

    async fn next(&mut self) -> Result<Input> {
        while self.pending.is_empty() {
            match self.batches.recv().await.context("the endpoint has ended")? {
                Batch::Links(inputs) => self.pending.extend(inputs),
                Batch::Directory { .. } => bail!("there is no directory here"),
            }
        }
        self.pending.pop_front().context("an empty batch")
    }

    /// A link to the echo at `to`, warmed up by one round trip.
    async fn linked(to: SocketAddr, key: PublicKey) -> Result<Self> {
        let mut port = Self::open(1)?;
        port.quic.dial(LINK, key, vec![to]);
        match timeout(PATIENCE, port.next()).await?? {
            Input::LinkUp { .. } => {}
            other => bail!("no link: {other:?}"),
        }
        port.quic.send(LINK, &envelope(1));
        timeout(PATIENCE, port.acknowledged()).await??;
        Ok(port)
    }

    /// Waits for the next state: everything up to this seq is acknowledged.
    async fn acknowledged(&mut self) -> Result<u64> {
        match self.next().await? {
            Input::LinkFrame { frame, .. } => match *frame {
                PeerFrame::State(state) => Ok(state.held.map_or(0, |held| held.top)),
                other => bail!("no state: {other:?}"),
            },
            other => bail!("no frame: {other:?}"),
        }
    }
}

/// The role of the other process: answers each batch of envelopes with one state.
///
/// # Errors
/// When there is no socket or the endpoint ends.
pub async fn echo_link() -> Result<()> {
    let mut port = Port::open(2)?;
    say(&port.address.to_string());
    loop {
        let Batch::Links(inputs) = port.batches.recv().await.context("the endpoint has ended")? else { continue };
        let mut top = None;
        for input in inputs {
            if let Input::LinkFrame { link, frame } = input
                && let PeerFrame::Envelope(envelope) = *frame
            {
                top = Some((link, envelope.header.seq));
            }
        }
        if let Some((link, top)) = top {
            port.quic.send(link, &state(top));
        }
    }
}

/// Round trips over a warm link, µs, one value each.
///
/// # Errors
/// When there is no link.
pub async fn round_trips(to: SocketAddr, count: usize, warm: usize) -> Result<Vec<f64>> {
    let mut port = Port::linked(to, KEYS[1]).await?;
    let mut spent = Vec::with_capacity(count);
    for turn in 0..count + warm {
        let frame = envelope(turn as u64 + 2);
        let start = Instant::now();
        port.quic.send(LINK, &frame);
        port.acknowledged().await?;
        if turn >= warm {
            spent.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    port.quic.shutdown().await;
    Ok(spent)
}

/// Acknowledged messages a second with at most `window` on their way.
///
/// # Errors
/// When there is no link.
pub async fn rate(to: SocketAddr, window: u64, count: u64) -> Result<f64> {
    let mut port = Port::linked(to, KEYS[1]).await?;
    let (mut sent, mut answered) = (1, 1);
    let start = Instant::now();
    while answered <= count {
        while sent <= count && sent - answered < window {
            sent += 1;
            port.quic.send(LINK, &envelope(sent));
        }
        answered = timeout(PATIENCE, port.acknowledged()).await??;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    port.quic.shutdown().await;
    Ok(rate)
}

/// Round trip of a message, transport alone.
///
/// # Errors
/// When it cannot be measured.
pub async fn latency(rounds: usize) -> Result<()> {
    let (udp, link) = (Echo::start("echo-udp")?, Echo::start("echo-link")?);
    let (mut ours, mut limit) = ([Samples::default(), Samples::default()], [Samples::default(), Samples::default()]);
    for _ in 0..rounds {
        let mut bare = udp_round_trips(udp.address, TRIPS, WARM).await?;
        let mut linked = round_trips(link.address, TRIPS, WARM).await?;
        for (at, share) in [0.5, 0.99].into_iter().enumerate() {
            limit[at].push(percentile(&mut bare, share));
            ours[at].push(percentile(&mut linked, share));
        }
    }
    let beside = |at: usize| Some(("bare UDP", &limit[at]));
    row("warm round trip, transport alone, p50", "µs", &ours[0], beside(0), Target::RatioAtMost(3.0));
    row("warm round trip, transport alone, p99", "µs", &ours[1], beside(1), Target::None);
    Ok(())
}

/// Acknowledged messages a second, transport alone.
///
/// # Errors
/// When it cannot be measured.
pub async fn throughput(rounds: usize) -> Result<()> {
    let (udp, link) = (Echo::start("count-udp")?, Echo::start("echo-link")?);
    for window in [256, 1024] {
        let (mut ours, mut limit) = (Samples::default(), Samples::default());
        for _ in 0..rounds {
            // The kernel's receive buffer holds no more than this many small datagrams.
            limit.push(udp_rate(udp.address, 256, MESSAGES as u32).await?);
            ours.push(rate(link.address, window, MESSAGES).await?);
        }
        let what = format!("acknowledged messages/s, transport alone, window {window}");
        row(&what, "/s", &ours, Some(("bare UDP datagrams, window 256", &limit)), Target::None);
    }
    Ok(())
}

//! What the machine can do at all: one fsync, an append log with fsync, a bare UDP ping-pong, bare UDP datagrams.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::table::{percentile, say};

/// Bytes of a datagram: a short text message.
pub const DATAGRAM_BYTES: usize = 100;
/// The receiver of the flood answers each so many datagrams once.
const FLOOD_ANSWER_EVERY: u32 = 16;
/// How long an answer may take before a datagram counts as lost.
const ANSWER: Duration = Duration::from_secs(1);

/// The median time of appending 4 KiB to a file in `folder` and flushing it to the disk, µs.
///
/// # Errors
/// When the file cannot be written.
pub fn fsync_us(folder: &Path) -> Result<f64> {
    let path = folder.join("fsync");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let mut spent = Vec::new();
    for _ in 0..400 {
        let start = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        spent.push(start.elapsed().as_secs_f64() * 1e6);
    }
    std::fs::remove_file(&path)?;
    Ok(percentile(&mut spent, 0.5))
}

/// Items of `bytes` a second appended to a log in `folder`, each `batch` of them flushed to the disk together.
///
/// # Errors
/// When the file cannot be written.
pub fn append_log_rate(folder: &Path, bytes: usize, batch: usize, items: usize) -> Result<f64> {
    let path = folder.join("log");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let block = vec![7; bytes * batch];
    let start = Instant::now();
    let mut written = 0;
    while written < items {
        file.write_all(&block)?;
        file.sync_data()?;
        written += batch;
    }
    let rate = written as f64 / start.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(rate)
}

/// The role of the other process: sends every datagram back.
///
/// # Errors
/// When there is no socket.
pub async fn echo_udp() -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    say(&socket.local_addr()?.to_string());
    let mut buffer = [0; 2048];
    loop {
        let (bytes, from) = socket.recv_from(&mut buffer).await?;
        socket.send_to(&buffer[..bytes], from).await?;
    }
}

/// The role of the other process: counts datagrams and says so from time to time.
///
/// # Errors
/// When there is no socket.
pub async fn count_udp() -> Result<()> {
    // With buffers as large as a peer's.
    let socket = UdpSocket::from_std(peer::transport::socket::bind(([127, 0, 0, 1], 0).into())?.socket)?;
    say(&socket.local_addr()?.to_string());
    let mut buffer = [0; 2048];
    let mut count: u32 = 0;
    loop {
        let (_, from) = socket.recv_from(&mut buffer).await?;
        count = count.wrapping_add(1);
        if count.is_multiple_of(FLOOD_ANSWER_EVERY) {
            socket.send_to(&count.to_be_bytes(), from).await?;
        }
    }
}

/// Round trips of a datagram to the echo at `to`, µs, one value each.
///
/// # Errors
/// When a datagram is lost.
pub async fn udp_round_trips(to: SocketAddr, count: usize, warm: usize) -> Result<Vec<f64>> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    socket.connect(to).await?;
    let mut buffer = [0; 2048];
    let mut spent = Vec::with_capacity(count);
    for turn in 0..count + warm {
        let start = Instant::now();
        socket.send(&[7; DATAGRAM_BYTES]).await?;
        socket.recv(&mut buffer).await?;
        if turn >= warm {
            spent.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    Ok(spent)
}

/// Datagrams a second to the counter at `to`, with at most `window` unanswered.
///
/// # Errors
/// When datagrams are lost.
pub async fn udp_rate(to: SocketAddr, window: u32, count: u32) -> Result<f64> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    socket.connect(to).await?;
    let (mut sent, mut answered) = (0, 0);
    let start = Instant::now();
    while answered < count {
        while sent < count && sent - answered < window {
            socket.send(&[7; DATAGRAM_BYTES]).await?;
            sent += 1;
        }
        let mut answer = [0; 4];
        let got = timeout(ANSWER, socket.recv(&mut answer)).await.context("datagrams were lost")??;
        if got != answer.len() {
            bail!("the counter speaks in four bytes");
        }
        answered += FLOOD_ANSWER_EVERY;
    }
    Ok(f64::from(answered) / start.elapsed().as_secs_f64())
}

//! Datagrams in any number at a peer's UDP port, from sources that never answer: noise, recorded first packets, packets
//! of no connection, unknown versions. The port answers at most as many bytes as it was asked with, and the links that
//! stand carry messages meanwhile.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use common::tls::{Alpn, Expect, SERVER_NAME, client_config};
use quinn::crypto::rustls::QuicClientConfig;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use super::{Form, Order, runtime, say, talk};
use crate::hostile::{quic_endpoint, stranger};
use crate::programs::World;

/// Sockets of the flood: each stands for a source of its own.
const SOURCES: usize = 64;
/// After the last question answers may still come, repeated ones too.
const QUIET: Duration = Duration::from_secs(3);

/// Bytes each way.
#[derive(Default)]
struct Count {
    asked: AtomicU64,
    answered: AtomicU64,
    datagrams: AtomicU64,
}

pub(super) fn run(order: &Order) -> Result<()> {
    let datagrams: u64 = match order.form {
        Form::Gate => 20_000,
        Form::Night => 2_000_000,
    };
    let world = World::new();
    let (alice, mut bob) = (world.peer("alice"), world.peer("bob"));
    talk(&alice, &bob, "before");
    let first = first_packets(world.ip.into())?;
    for (what, kind) in [("first packets", 0), ("noise", 1), ("packets of no connection", 2), ("unknown versions", 3)] {
        let count = Arc::new(Count::default());
        let stop = Arc::new(AtomicBool::new(false));
        let flood = {
            let (count, stop, first) = (count.clone(), stop.clone(), first.clone());
            let (ip, to, seed) = (IpAddr::from(world.ip), bob.address(), order.seed);
            std::thread::spawn(move || {
                flood(ip, to, &|rng| datagram(kind, &first, rng), datagrams / 4, seed, &count, &stop)
            })
        };
        let mut slowest = Duration::ZERO;
        let mut rounds = 0;
        while !flood.is_finished() || rounds == 0 {
            slowest = slowest.max(talk(&alice, &bob, &format!("{what} {rounds}")));
            rounds += 1;
        }
        stop.store(true, Ordering::Relaxed);
        flood.join().ok().context("the flood panicked")??;
        let direct = alice.send("bob", what);
        let via = alice.wait_state(&direct.id, "delivered")["via"].clone();
        let (asked, answered) = (count.asked.load(Ordering::Relaxed), count.answered.load(Ordering::Relaxed));
        say(&format!(
            "flood of {what}: {} datagrams, {asked} bytes asked, {answered} answered ({:.2} x); {rounds} rounds of talk, the slowest {:.0} ms",
            count.datagrams.load(Ordering::Relaxed),
            answered as f64 / asked as f64,
            slowest.as_secs_f64() * 1e3
        ));
        ensure!(answered <= asked, "{what}: {answered} bytes were answered to {asked}");
        ensure!(via == "direct", "{what}: the link stands, and a message went {via}");
        ensure!(bob.runs(), "the peer goes on");
    }
    Ok(())
}

/// Sends `amount` datagrams from many sockets, reads what comes back, and goes on reading for a while.
fn flood(
    ip: IpAddr,
    to: SocketAddr,
    datagram: &dyn Fn(&mut ChaCha8Rng) -> Vec<u8>,
    amount: u64,
    seed: u64,
    count: &Count,
    stop: &AtomicBool,
) -> Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let sources: Vec<UdpSocket> = (0..SOURCES)
        .map(|_| {
            let socket = UdpSocket::bind((ip, 0))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })
        .collect::<std::io::Result<_>>()?;
    let read = |socket: &UdpSocket| {
        let mut buffer = [0; 2_048];
        while let Ok(bytes) = socket.recv(&mut buffer) {
            count.answered.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    };
    for number in 0..amount {
        let socket = &sources[usize::try_from(number)? % SOURCES];
        if let Ok(bytes) = socket.send_to(&datagram(&mut rng), to) {
            count.asked.fetch_add(bytes as u64, Ordering::Relaxed);
            count.datagrams.fetch_add(1, Ordering::Relaxed);
        }
        read(socket);
        if number % 64 == 63 && stop.load(Ordering::Relaxed) {
            break;
        }
        if number % 16 == 15 {
            // As fast as one sender makes sense on this machine, and not so fast that the kernel drops all of it.
            std::thread::sleep(Duration::from_micros(500));
        }
    }
    let quiet = Instant::now();
    while quiet.elapsed() < QUIET {
        sources.iter().for_each(read);
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn datagram(kind: u32, first: &[Vec<u8>], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = vec![0; 64 + rng.next_u32() as usize % 1_300];
    rng.fill_bytes(&mut bytes);
    match kind {
        // The first packet of a handshake asks for most.
        0 => first[rng.next_u32() as usize % first.len()].clone(),
        1 => bytes,
        2 => {
            bytes[0] = 0x40 | bytes[0] & 0x3f;
            bytes
        }
        _ => {
            bytes.resize(1_200, 0);
            bytes[..6].copy_from_slice(&[0xc3, 0x1a, 0x2a, 0x3a, 0x4a, 20]);
            bytes
        }
    }
}

/// The first datagrams that honest diallers send, recorded at a port where nobody answers.
fn first_packets(ip: IpAddr) -> Result<Vec<Vec<u8>>> {
    let silent = UdpSocket::bind((ip, 0))?;
    silent.set_read_timeout(Some(Duration::from_secs(5)))?;
    let address = silent.local_addr()?;
    let mut packets = Vec::new();
    runtime()?.block_on(async {
        let endpoint = quic_endpoint(ip)?;
        for number in 0..16 {
            let config = QuicClientConfig::try_from(client_config(&stranger(number), Expect::Any, Alpn::Peer)?)?;
            let connecting = endpoint.connect_with(quinn::ClientConfig::new(Arc::new(config)), address, SERVER_NAME)?;
            let mut buffer = [0; 2_048];
            // A hybrid key share makes two datagrams.
            for _ in 0..2 {
                let bytes = silent.recv(&mut buffer)?;
                packets.push(buffer[..bytes].to_vec());
            }
            drop(connecting);
        }
        anyhow::Ok(())
    })?;
    Ok(packets)
}

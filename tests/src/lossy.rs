//! A bad network in front of one peer: a UDP relay that loses, doubles, delays and reorders by a seed, and can be
//! shut and opened while it runs. It is a translator of addresses too: each client gets a socket of its own behind
//! it, so that the peer never learns the client's own address. It never looks into a datagram.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use tokio::net::UdpSocket;
use tokio::runtime::Runtime;

/// How bad the network is; probabilities in percent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shape {
    /// Lost.
    pub loss_percent: u32,
    /// Sent twice.
    pub double_percent: u32,
    /// Held back for up to 30 ms, so that later ones overtake it.
    pub reorder_percent: u32,
    /// Added to everything, milliseconds.
    pub delay_ms: u64,
}

/// What the relay did so far, in datagrams.
#[derive(Debug, Default)]
pub struct Counts {
    /// Passed on, doubles not counted.
    pub passed: AtomicU64,
    /// Lost by chance.
    pub lost: AtomicU64,
    /// Passed on twice.
    pub doubled: AtomicU64,
    /// Held back.
    pub reordered: AtomicU64,
    /// Swallowed while shut.
    pub swallowed: AtomicU64,
}

struct Shared {
    shape: Shape,
    shut: AtomicBool,
    target: Mutex<SocketAddr>,
    rng: Mutex<ChaCha8Rng>,
    counts: Counts,
    ip: IpAddr,
}

/// A relay in front of one UDP address; it ends when dropped.
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

impl Relay {
    /// Opens a relay on `ip`. It passes to `target`, which may be set later: a peer must publish the relay's
    /// address before its own is known.
    ///
    /// # Panics
    /// When no socket can be opened.
    #[must_use]
    pub fn open(ip: IpAddr, shape: Shape, seed: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime for the relay");
        let front = runtime.block_on(UdpSocket::bind((ip, 0))).expect("a socket for the relay");
        let address = front.local_addr().expect("a bound socket");
        let shared = Arc::new(Shared {
            shape,
            shut: AtomicBool::new(false),
            // Port 9 of the own address: nobody is there until the target is known.
            target: Mutex::new((ip, 9).into()),
            rng: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
            counts: Counts::default(),
            ip,
        });
        runtime.spawn(serve(Arc::new(front), Arc::clone(&shared)));
        Self { address, shared, runtime: Some(runtime) }
    }

    /// The address in front.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Passes everything to `target` from now on.
    ///
    /// # Panics
    /// Never.
    pub fn pass_to(&self, target: SocketAddr) {
        *self.shared.target.lock().expect("no holder panics") = target;
    }

    /// Swallows everything from now on, as a firewall does.
    pub fn shut(&self) {
        self.shared.shut.store(true, Ordering::SeqCst);
    }

    /// Passes again.
    pub fn reopen(&self) {
        self.shared.shut.store(false, Ordering::SeqCst);
    }

    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What chance says about one datagram.
enum Luck {
    Lost,
    Passed { copies: u32, wait: Duration },
}

impl Shared {
    fn luck(&self) -> Luck {
        let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        if self.shut.load(Ordering::SeqCst) {
            count(&self.counts.swallowed);
            return Luck::Lost;
        }
        let mut rng = self.rng.lock().expect("no holder panics");
        let mut happens = |percent: u32| rng.next_u32() % 100 < percent;
        let (lost, doubled, reordered) =
            (happens(self.shape.loss_percent), happens(self.shape.double_percent), happens(self.shape.reorder_percent));
        if lost {
            count(&self.counts.lost);
            return Luck::Lost;
        }
        count(&self.counts.passed);
        let mut wait_ms = self.shape.delay_ms;
        if reordered {
            count(&self.counts.reordered);
            wait_ms += 5 + u64::from(rng.next_u32() % 25);
        }
        if doubled {
            count(&self.counts.doubled);
        }
        Luck::Passed { copies: if doubled { 2 } else { 1 }, wait: Duration::from_millis(wait_ms) }
    }
}

/// Sends one datagram on, as luck has it.
fn pass(shared: &Arc<Shared>, out: &Arc<UdpSocket>, to: SocketAddr, datagram: Vec<u8>) {
    let Luck::Passed { copies, wait } = shared.luck() else { return };
    let out = Arc::clone(out);
    tokio::spawn(async move {
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        for _ in 0..copies {
            // A target that is down answers with an ICMP error; the network does not care.
            let _ = out.send_to(&datagram, to).await;
        }
    });
}

async fn serve(front: Arc<UdpSocket>, shared: Arc<Shared>) {
    let mut behind: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok((bytes, client)) = front.recv_from(&mut buffer).await else { continue };
        let back = match behind.get(&client) {
            Some(back) => Arc::clone(back),
            None => {
                let Ok(back) = UdpSocket::bind((shared.ip, 0)).await else { continue };
                let back = Arc::new(back);
                behind.insert(client, Arc::clone(&back));
                tokio::spawn(answer(Arc::clone(&back), Arc::clone(&front), client, Arc::clone(&shared)));
                back
            }
        };
        let target = *shared.target.lock().expect("no holder panics");
        pass(&shared, &back, target, buffer[..bytes].to_vec());
    }
}

/// Carries what the target says back to one client.
async fn answer(back: Arc<UdpSocket>, front: Arc<UdpSocket>, client: SocketAddr, shared: Arc<Shared>) {
    let mut buffer = vec![0; 65_536];
    loop {
        match back.recv_from(&mut buffer).await {
            Ok((bytes, _)) => pass(&shared, &front, client, buffer[..bytes].to_vec()),
            // An ICMP error for something sent before; the socket lives on.
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of 400 datagrams come through a relay of this shape, doubles counted.
    fn arrived(shape: Shape, shut: bool) -> usize {
        let ip = IpAddr::from([127, 0, 0, 1]);
        let relay = Relay::open(ip, shape, 7);
        let target = std::net::UdpSocket::bind((ip, 0)).unwrap();
        target.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        relay.pass_to(target.local_addr().unwrap());
        if shut {
            relay.shut();
        }
        let client = std::net::UdpSocket::bind((ip, 0)).unwrap();
        let counting = std::thread::spawn(move || {
            let mut sources = Vec::new();
            while let Ok((_, from)) = target.recv_from(&mut [0; 16]) {
                sources.push(from);
            }
            sources
        });
        for number in 0..400u32 {
            client.send_to(&number.to_be_bytes(), relay.address()).unwrap();
            if number % 20 == 19 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let sources = counting.join().unwrap();
        assert!(!sources.contains(&client.local_addr().unwrap()), "the target sees the relay alone");
        sources.len()
    }

    #[test]
    fn a_relay_does_what_its_shape_says() {
        assert_eq!(arrived(Shape::default(), true), 0);
        assert_eq!(arrived(Shape { loss_percent: 100, ..Shape::default() }, false), 0);
        let doubled = arrived(Shape { double_percent: 100, reorder_percent: 50, ..Shape::default() }, false);
        assert!((401..=800).contains(&doubled), "{doubled}");
        let lossy = arrived(Shape { loss_percent: 50, ..Shape::default() }, false);
        assert!((100..300).contains(&lossy), "{lossy}");
    }
}

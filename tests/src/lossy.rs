//! A bad network in front of one peer: a UDP relay that loses, doubles, delays and reorders by a seed, and can be shut,
//! opened and rebound while it runs. It is a translator of addresses too: each client gets a socket of its own behind it,
//! so that the peer never learns the client's own address. It never looks into a datagram. `scripts/lossy-relay` runs one
//! by hand.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

mod delay;
mod options;
mod rate;
mod shape;

use delay::{HELD_MAX, Held};
pub use options::Options;
use rate::Queues;
use shape::Dice;
pub use shape::{Luck, Shape, Way};

/// Clients with a socket behind the relay, at most; one more, and the one that was silent longest goes.
const CLIENTS_MAX: usize = 256;

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
    /// Longer than the line takes.
    pub too_long: AtomicU64,
    /// Swallowed while shut, by the hole, or on their way to a forgotten port.
    pub swallowed: AtomicU64,
    /// Dropped because too many were held back, or waited at the line's rate.
    pub crowded: AtomicU64,
    /// Times a client's port behind the relay was changed.
    pub rebound: AtomicU64,
}

struct Shared {
    shape: Mutex<Shape>,
    shut: AtomicBool,
    /// Grows when all ports behind the relay are to be forgotten.
    ports_age: AtomicU64,
    target: Mutex<SocketAddr>,
    dice: Mutex<Dice>,
    queues: Mutex<Queues>,
    counts: Counts,
    held: mpsc::Sender<Held>,
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
        Self::listen((ip, 0).into(), shape, seed).expect("a socket for the relay")
    }

    /// Opens a relay at `address`; it passes nothing until it has a target.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn listen(address: SocketAddr, shape: Shape, seed: u64) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let front = runtime.block_on(UdpSocket::bind(address))?;
        let address = front.local_addr()?;
        let (held, arriving) = mpsc::channel(HELD_MAX);
        let shared = Arc::new(Shared {
            shape: Mutex::new(shape),
            shut: AtomicBool::new(false),
            ports_age: AtomicU64::new(0),
            // Port 9 of the own address: nobody is there until the target is known.
            target: Mutex::new((address.ip(), 9).into()),
            dice: Mutex::new(Dice::new(seed)),
            queues: Mutex::default(),
            counts: Counts::default(),
            held,
        });
        runtime.spawn(delay::serve(arriving));
        runtime.spawn(serve(Arc::new(front), Arc::clone(&shared)));
        Ok(Self { address, shared, runtime: Some(runtime) })
    }

    /// The address in front.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Passes everything to `target` from now on.
    pub fn pass_to(&self, target: SocketAddr) {
        *lock(&self.shared.target) = target;
    }

    /// Is as bad as `shape` from now on.
    pub fn reshape(&self, shape: Shape) {
        *lock(&self.shared.shape) = shape;
    }

    /// Swallows everything from now on, as a firewall does.
    pub fn shut(&self) {
        self.shared.shut.store(true, Ordering::SeqCst);
    }

    /// Passes again.
    pub fn reopen(&self) {
        self.shared.shut.store(false, Ordering::SeqCst);
    }

    /// Forgets all ports behind it, as a translator does that was restarted: what comes back to one is swallowed, and each
    /// client gets a new one with its next datagram.
    pub fn rebind(&self) {
        self.shared.ports_age.fetch_add(1, Ordering::SeqCst);
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Shared {
    /// Sends one datagram on, as luck has it. `nth` is its number among all of its client.
    async fn pass(&self, way: Way, nth: u64, from: &Arc<UdpSocket>, to: SocketAddr, datagram: &[u8]) {
        let (shape, counts) = (*lock(&self.shape), &self.counts);
        if self.shut.load(Ordering::SeqCst) || shape.hole_after > 0 && nth > shape.hole_after {
            return count(&counts.swallowed);
        }
        let luck = lock(&self.dice).throw(&shape, way, datagram.len());
        let (copies, late, wait) = match luck {
            Luck::Lost => return count(&counts.lost),
            Luck::TooLong => return count(&counts.too_long),
            Luck::Passed { copies, late, wait } => (copies, late, wait),
        };
        let now = Instant::now();
        let Some(turn) = lock(&self.queues).join(now, &shape, way, datagram.len()) else {
            return count(&counts.crowded);
        };
        let wait = turn + wait;
        let held = Held { due: now + wait, copies, from: Arc::clone(from), to, bytes: datagram.to_vec() };
        if wait.is_zero() {
            delay::send(&held).await;
        } else if self.held.try_send(held).is_err() {
            return count(&counts.crowded);
        }
        count(&counts.passed);
        for (counter, _) in [(&counts.doubled, copies > 1), (&counts.reordered, late)].iter().filter(|each| each.1) {
            count(counter);
        }
    }
}

/// One client's port behind the relay.
struct Port {
    back: Arc<UdpSocket>,
    answers: JoinHandle<()>,
    /// Datagrams of the client, both ways, over all its ports.
    carried: Arc<AtomicU64>,
    /// Of them, when this port was opened.
    carried_before: u64,
    age: u64,
    heard: Instant,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.answers.abort();
    }
}

impl Port {
    async fn open(
        front: &Arc<UdpSocket>,
        client: SocketAddr,
        shared: &Arc<Shared>,
        carried: Arc<AtomicU64>,
    ) -> std::io::Result<Self> {
        let back = Arc::new(UdpSocket::bind((front.local_addr()?.ip(), 0)).await?);
        let age = shared.ports_age.load(Ordering::SeqCst);
        let answers = Answers {
            back: Arc::clone(&back),
            front: Arc::clone(front),
            client,
            shared: Arc::clone(shared),
            carried: Arc::clone(&carried),
            age,
        };
        let carried_before = carried.load(Ordering::Relaxed);
        Ok(Self { back, answers: tokio::spawn(answers.carry()), carried, carried_before, age, heard: Instant::now() })
    }

    fn forgotten(&self, shared: &Shared) -> bool {
        let after = lock(&shared.shape).rebind_after;
        let worn = after > 0 && self.carried.load(Ordering::Relaxed) - self.carried_before >= after;
        worn || self.age != shared.ports_age.load(Ordering::SeqCst)
    }
}

async fn serve(front: Arc<UdpSocket>, shared: Arc<Shared>) {
    let mut ports: HashMap<SocketAddr, Port> = HashMap::new();
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok((bytes, client)) = front.recv_from(&mut buffer).await else { continue };
        let known = ports.get(&client);
        if known.is_none_or(|port| port.forgotten(&shared)) {
            let carried = known.map(|port| Arc::clone(&port.carried)).unwrap_or_default();
            if known.is_some() {
                count(&shared.counts.rebound);
            } else if ports.len() >= CLIENTS_MAX {
                let oldest = ports.iter().min_by_key(|(_, port)| port.heard).map(|(client, _)| *client);
                oldest.and_then(|oldest| ports.remove(&oldest));
            }
            let Ok(port) = Port::open(&front, client, &shared, carried).await else { continue };
            ports.insert(client, port);
        }
        let Some(port) = ports.get_mut(&client) else { continue };
        port.heard = Instant::now();
        let nth = port.carried.fetch_add(1, Ordering::Relaxed) + 1;
        let target = *lock(&shared.target);
        shared.pass(Way::There, nth, &port.back, target, &buffer[..bytes]).await;
    }
}

/// What the target says back to one client.
struct Answers {
    back: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    client: SocketAddr,
    shared: Arc<Shared>,
    carried: Arc<AtomicU64>,
    age: u64,
}

impl Answers {
    async fn carry(self) {
        let mut buffer = vec![0; 65_536];
        loop {
            let Ok((bytes, _)) = self.back.recv_from(&mut buffer).await else {
                // An ICMP error for something sent before; the socket lives on.
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            };
            if self.age != self.shared.ports_age.load(Ordering::SeqCst) {
                count(&self.shared.counts.swallowed);
                continue;
            }
            let nth = self.carried.fetch_add(1, Ordering::Relaxed) + 1;
            self.shared.pass(Way::Back, nth, &self.front, self.client, &buffer[..bytes]).await;
        }
    }
}

#[cfg(test)]
mod tests;

//! A TCP line that can be cut, reset, stalled or slowed, in front of a directory server, at once or after an exact number
//! of bytes, with a count of what went over it. It carries bytes as they are; of TLS it reads the plain headers of records,
//! to tell where they end.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

mod records;

use records::Records;

/// What the line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Carries bytes.
    Carry,
    /// Carries so many bytes a second each way, one tenth of them each tenth of a second, at least one byte at a time.
    Trickle(u32),
    /// Keeps the connections and carries nothing.
    Stall,
    /// Closes the connections there are, and new ones at once.
    Cut,
    /// Resets them (RST) instead.
    Reset,
}

impl Mode {
    fn ends(self) -> bool {
        matches!(self, Self::Cut | Self::Reset)
    }
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Towards the target.
    Up,
    /// From the target.
    Down,
}

/// A cut to come, once: of the next connection, when exactly so many bytes went over one way of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutAt {
    /// Which way is counted.
    pub way: Way,
    /// Bytes that still pass.
    pub bytes: u64,
    /// Reset instead of closed.
    pub reset: bool,
}

#[derive(Debug, Default)]
struct Bytes {
    up: AtomicU64,
    down: AtomicU64,
    connections: AtomicU64,
    cuts: AtomicU64,
    /// The next connection's fate.
    armed: Mutex<Option<CutAt>>,
    /// Ends of the TLS records of the newest connection, up and down.
    records: Mutex<[Records; 2]>,
}

/// The line; it ends when dropped.
pub struct Cutter {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    bytes: Arc<Bytes>,
    runtime: Option<Runtime>,
}

impl Cutter {
    /// Opens a line on `ip` that leads to `target`.
    ///
    /// # Panics
    /// When no socket can be opened.
    #[must_use]
    pub fn open(ip: IpAddr, target: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime for the line");
        let listener = runtime.block_on(TcpListener::bind((ip, 0))).expect("a socket for the line");
        let address = listener.local_addr().expect("a bound socket");
        let (mode, watched) = watch::channel(Mode::Carry);
        let bytes = Arc::new(Bytes::default());
        runtime.spawn(serve(listener, target, watched, Arc::clone(&bytes)));
        Self { address, mode, bytes, runtime: Some(runtime) }
    }

    /// Its near end.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what it does, for open connections too.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Cuts the next connection at an exact byte; those after it are carried again.
    pub fn arm(&self, cut: CutAt) {
        *lock(&self.bytes.armed) = Some(cut);
    }

    /// Cuts that came to pass.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.bytes.cuts.load(Ordering::SeqCst)
    }

    /// Connections so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.bytes.connections.load(Ordering::SeqCst)
    }

    /// How many bytes had gone over the newest connection at the end of each of its TLS records.
    #[must_use]
    pub fn record_ends(&self, way: Way) -> Vec<u64> {
        lock(&self.bytes.records)[way as usize].ends().to_vec()
    }

    /// Bytes carried towards the target so far.
    #[must_use]
    pub fn bytes_up(&self) -> u64 {
        self.bytes.up.load(Ordering::Relaxed)
    }

    /// Bytes carried from the target so far.
    #[must_use]
    pub fn bytes_down(&self) -> u64 {
        self.bytes.down.load(Ordering::Relaxed)
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, target: SocketAddr, mode: watch::Receiver<Mode>, bytes: Arc<Bytes>) {
    loop {
        let Ok((near, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let present = *mode.borrow();
        if present.ends() {
            if present == Mode::Reset {
                reset_when_dropped(&near);
            }
            continue;
        }
        let number = bytes.connections.fetch_add(1, Ordering::SeqCst) + 1;
        *lock(&bytes.records) = Default::default();
        let cut = lock(&bytes.armed).take();
        tokio::spawn(carry(near, target, mode.clone(), Connection { number, cut, bytes: Arc::clone(&bytes) }));
    }
}

/// One connection over the line.
struct Connection {
    number: u64,
    cut: Option<CutAt>,
    bytes: Arc<Bytes>,
}

impl Connection {
    /// How many of `bytes` may go, with `gone` of them gone before.
    fn room(&self, way: Way, gone: u64) -> Option<u64> {
        self.cut.filter(|cut| cut.way == way).map(|cut| cut.bytes.saturating_sub(gone))
    }

    fn carried(&self, way: Way, bytes: &[u8]) {
        let count = if way == Way::Up { &self.bytes.up } else { &self.bytes.down };
        count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if self.number == self.bytes.connections.load(Ordering::SeqCst) {
            lock(&self.bytes.records)[way as usize].follow(bytes);
        }
    }
}

/// Without waiting for what is unsent, the other end is told nothing but RST.
fn reset_when_dropped(stream: &TcpStream) {
    // Best effort: a connection that is gone already cannot be reset.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

async fn carry(near: TcpStream, target: SocketAddr, mut mode: watch::Receiver<Mode>, connection: Connection) {
    let Ok(far) = TcpStream::connect(target).await else { return };
    // What is cut at a byte must have arrived up to it.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    let (mut up, mut down) = (
        Pipe { from: near_in, to: far_out, way: Way::Up, mode: mode.clone() },
        Pipe { from: far_in, to: near_out, way: Way::Down, mode: mode.clone() },
    );
    let reset = tokio::select! {
        at_cut = up.run(&connection) => at_cut,
        at_cut = down.run(&connection) => at_cut,
        mode = mode.wait_for(|mode| mode.ends()) => mode.is_ok_and(|mode| *mode == Mode::Reset),
    };
    let (Pipe { from: near_in, to: far_out, .. }, Pipe { from: far_in, to: near_out, .. }) = (up, down);
    if reset && let (Ok(near), Ok(far)) = (near_in.reunite(near_out), far_in.reunite(far_out)) {
        reset_when_dropped(&near);
        reset_when_dropped(&far);
    }
}

/// One way of one connection.
struct Pipe {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    way: Way,
    mode: watch::Receiver<Mode>,
}

impl Pipe {
    /// Carries until the end, or the cut; true when that is a reset.
    async fn run(&mut self, connection: &Connection) -> bool {
        let mut buffer = vec![0; 16_384];
        let mut gone = 0u64;
        loop {
            let room = connection.room(self.way, gone);
            if room == Some(0) {
                connection.bytes.cuts.fetch_add(1, Ordering::SeqCst);
                return connection.cut.is_some_and(|cut| cut.reset);
            }
            let most = room.map_or(buffer.len(), |room| buffer.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
            let Ok(bytes @ 1..) = self.from.read(&mut buffer[..most]).await else { return false };
            if !self.write(&buffer[..bytes], connection).await {
                return false;
            }
            gone += bytes as u64;
        }
    }

    /// Writes at the speed of the mode; false when the line has ended.
    async fn write(&mut self, mut bytes: &[u8], connection: &Connection) -> bool {
        while !bytes.is_empty() {
            let moving = |mode: &Mode| matches!(mode, Mode::Carry | Mode::Trickle(_));
            let Ok(mode) = self.mode.wait_for(moving).await.map(|mode| *mode) else { return false };
            let (size, pause) = match mode {
                Mode::Trickle(rate) => {
                    let size = (rate / 10).max(1);
                    (size as usize, Duration::from_secs(1) * size / rate.max(1))
                }
                _ => (bytes.len(), Duration::ZERO),
            };
            let (now, later) = bytes.split_at(size.min(bytes.len()));
            if !pause.is_zero() {
                // Ends early when the mode changes.
                let _ = tokio::time::timeout(pause, self.mode.wait_for(|new| *new != mode)).await;
            }
            if self.to.write_all(now).await.is_err() {
                return false;
            }
            connection.carried(self.way, now);
            bytes = later;
        }
        true
    }
}

#[cfg(test)]
mod tests;

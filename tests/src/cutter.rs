//! A TCP line that can be cut or stalled, in front of a directory server, with a count of what went over it. It
//! never looks into the bytes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What the line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Carries bytes.
    Carry,
    /// Keeps the connections and carries nothing.
    Stall,
    /// Closes the connections there are, and new ones at once.
    Cut,
}

#[derive(Debug, Default)]
struct Bytes {
    up: AtomicU64,
    down: AtomicU64,
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

async fn serve(listener: TcpListener, target: SocketAddr, mode: watch::Receiver<Mode>, bytes: Arc<Bytes>) {
    loop {
        let Ok((near, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        if *mode.borrow() == Mode::Cut {
            continue;
        }
        tokio::spawn(carry(near, target, mode.clone(), Arc::clone(&bytes)));
    }
}

async fn carry(near: TcpStream, target: SocketAddr, mut mode: watch::Receiver<Mode>, bytes: Arc<Bytes>) {
    let Ok(far) = TcpStream::connect(target).await else { return };
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    let up = one_way(near_in, far_out, mode.clone(), &bytes.up);
    let down = one_way(far_in, near_out, mode.clone(), &bytes.down);
    tokio::select! {
        () = up => {}
        () = down => {}
        _ = mode.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}

async fn one_way(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    count: &AtomicU64,
) {
    let mut buffer = vec![0; 16_384];
    while let Ok(bytes @ 1..) = from.read(&mut buffer).await {
        if mode.wait_for(|mode| *mode == Mode::Carry).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..bytes]).await.is_err() {
            return;
        }
        count.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

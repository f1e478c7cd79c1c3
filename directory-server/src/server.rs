//! A server's life: open what it needs, listen, accept, stop. What is said over a connection is elsewhere.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::identity::Fingerprint;
use common::tls::{Alpn, TlsError, server_config};
use directory_core::{Directory, Limits, SessionId};
use event_log::{EventFile, EventLogError};
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;

use crate::connection::{Accepted, Arrival, greet};
use crate::data_dir::{DataDir, DataDirError};
use crate::doors::{Doors, raise_descriptor_limit};
use crate::driver::{ARRIVALS, Clock, Driver, EventLog};
use crate::event_log::Observer;
use crate::link::Link;
use crate::store::writer::Writer;
use crate::store::{Store, StoreError};

/// Connections that the operating system may hold for us.
const BACKLOG: i32 = 1_024;
/// Bytes of one connection that the operating system may hold on their way out. By itself it holds up to megabytes of each
/// of those who read nothing, and they would count as keeping up.
const SOCKET_SEND_BYTES: usize = 128 * 1024;
/// How long accepting rests when the operating system refuses it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long the last bytes may take to leave at the end.
const GOODBYE_MAX: Duration = Duration::from_secs(3);

/// What a server is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where its key and its store lie.
    pub data_dir: PathBuf,
    /// Where it listens; none: on all interfaces, IPv4 and IPv6.
    pub bind: Option<IpAddr>,
    /// TCP port; 0 picks a free one.
    pub port: u16,
    /// What its core decides by.
    pub limits: Limits,
    /// Where what happens to every item is logged.
    pub event_log: Option<PathBuf>,
}

/// Why a server does not start or ends early.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The data folder.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address.
    #[error("{address}: {error}; choose another --bind or --port")]
    Listen {
        /// Where it was to listen.
        address: SocketAddr,
        /// What the operating system says.
        error: io::Error,
    },
    /// The event log.
    #[error(transparent)]
    EventLog(#[from] EventLogError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The operating system gives no thread or no random numbers.
    #[error("the operating system refuses: {0}")]
    System(String),
}

impl ServeError {
    /// The exit code that belongs to it: 9 where the data folder is in use or damaged.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::DataDir(DataDirError::InUse(_) | DataDirError::Network(_) | DataDirError::Key { .. }) => 9,
            Self::Store(
                StoreError::Newer { .. }
                | StoreError::Foreign
                | StoreError::Setting { .. }
                | StoreError::Damaged(_)
                | StoreError::Record(_),
            ) => 9,
            Self::Store(StoreError::Sql(error)) => match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => 9,
                _ => 1,
            },
            _ => 1,
        }
    }
}

/// A server that is open and listens, and has not begun to accept.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    fingerprint: Fingerprint,
    acceptor: TlsAcceptor,
    doors: Arc<Doors>,
    arrivals: mpsc::Sender<Arrival>,
    driver: Driver,
}

impl Server {
    /// Opens the data folder and the store, and listens.
    ///
    /// # Errors
    /// [`ServeError`] naming what is in the way.
    pub fn open(config: Config) -> Result<Self, ServeError> {
        let data_dir = DataDir::own(&config.data_dir)?;
        let identity = data_dir.identity()?;
        let store = Store::open(&data_dir.database())?;
        let head = store.head()?;
        let event_file = config.event_log.as_deref().map(EventFile::open).transpose()?;
        let acceptor = TlsAcceptor::from(Arc::new(server_config(&identity, Alpn::Directory)?));
        let (listener, address) = listen(config.bind, config.port)?;
        let doors = Doors::new(raise_descriptor_limit());
        let mut limits = config.limits;
        limits.sessions = limits.sessions.min(doors.sessions_max());
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| ServeError::System(error.to_string()))?;
        let fingerprint = identity.public().fingerprint();
        let clock = Clock::start();
        let log = event_file
            .map(|file| EventLog { observer: Observer::start(&identity.public(), &head, clock.now().wall_ms), file });
        let core = Directory::new(limits, identity, seed, head, clock.now());
        let writer = Writer::start(store).map_err(|error| ServeError::System(error.to_string()))?;
        let (arrivals, inbox) = mpsc::channel(ARRIVALS);
        let driver = Driver::new(core, clock, inbox, writer, data_dir, log);
        Ok(Self { listener, address, fingerprint, acceptor, doors, arrivals, driver })
    }

    /// Where it listens, with the real port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The fingerprint of its key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Serves until `shutdown` is ready; then stops accepting, answers what is in hand, commits and says goodbye.
    ///
    /// # Errors
    /// [`ServeError::Store`] when the store failed: nothing that was not committed has been acknowledged.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Self { listener, acceptor, doors, arrivals, driver, .. } = self;
        let (stop, stopped) = oneshot::channel::<()>();
        let accepting = tokio::spawn(accept(listener, acceptor, doors.clone(), arrivals, stopped));
        let ended = driver
            .run(async {
                shutdown.await;
                tracing::info!("stopping");
                // Dropped, so that accepting ends before what is in hand is finished.
                drop(stop);
            })
            .await;
        accepting.abort();
        doors.turn_away();
        // Every connection was told to end after its last bytes; who takes none of them is left.
        let _ = tokio::time::timeout(GOODBYE_MAX, doors.at_most(0)).await;
        Ok(ended?)
    }
}

/// Accepts until `stopped` is dropped or used.
async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    doors: Arc<Doors>,
    arrivals: mpsc::Sender<Arrival>,
    mut stopped: oneshot::Receiver<()>,
) {
    let sessions = AtomicU64::new(1);
    loop {
        let accepted = tokio::select! {
            accepted = next(&listener, &doors) => accepted,
            _ = &mut stopped => return,
        };
        let (socket, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted now");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let address = SocketAddr::new(from.ip().to_canonical(), from.port());
        let link = Arc::new(Link::default());
        let (place, newcomer) = doors.enter(address, &link);
        let session = SessionId(sessions.fetch_add(1, Ordering::Relaxed));
        let arrivals = arrivals.clone();
        let accepted = Accepted { session, address, link, place, newcomer, arrivals };
        tokio::spawn(greet(accepted, socket, acceptor.clone()));
    }
}

/// The next connection, once there is a descriptor for it.
async fn next(listener: &TcpListener, doors: &Doors) -> io::Result<(TcpStream, SocketAddr)> {
    doors.room().await;
    listener.accept().await
}

/// Listens on one address, or on all: one socket for IPv6 and IPv4, or IPv4 alone where there is no IPv6.
fn listen(bind: Option<IpAddr>, port: u16) -> Result<(TcpListener, SocketAddr), ServeError> {
    let at = |address: SocketAddr, error| ServeError::Listen { address, error };
    if let Some(ip) = bind {
        let address = SocketAddr::new(ip, port);
        return bound(address).map_err(|error| at(address, error));
    }
    let both = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
    match bound(both) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse && error.kind() != io::ErrorKind::PermissionDenied => {
            let v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
            bound(v4).map_err(|error| at(v4, error))
        }
        other => other.map_err(|error| at(both, error)),
    }
}

fn bound(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A restarted server takes its port back while old connections linger; two listeners at once stay impossible.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // What is accepted inherits it.
    socket.set_send_buffer_size(SOCKET_SEND_BYTES)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

//! The one TLS connection to the directory: resolve, connect, hand frames both ways. Not here: when to connect again,
//! whether the directory's key is the right one, and keep-alive; those are the messenger's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::identity::{Identity, PublicKey};
use common::tls::{self, Alpn, Expect, TlsError};
use common::wire::directory::{FromDirectory, ToDirectory};
use peer_core::event::{DirectoryEnd, Input};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::batch::{Batch, BatchSender, Session};
use super::outgoing::{Ending, Outgoing};
use super::stream::{End, FLUSH_TIMEOUT, exchange, read_frames, write_frames};

/// Resolving, connecting to one address, and TLS may take so long each.
pub const STEP_TIMEOUT: Duration = Duration::from_secs(5);
/// Addresses of one name that are tried.
pub const ADDRESSES_MAX: usize = 4;
/// Bytes that wait to be written; above that the connection is given up.
pub const QUEUE_MAX_BYTES: usize = 8 * 1024 * 1024;

/// The connection to the directory, present or not.
#[derive(Debug)]
pub struct Directory {
    address: String,
    config: Arc<ClientConfig>,
    inputs: BatchSender,
    sessions: u64,
    current: Option<(Session, Arc<Outgoing>)>,
    /// The task of the newest connection.
    running: Option<JoinHandle<()>>,
    last_address: tokio::sync::watch::Sender<Option<SocketAddr>>,
}

impl Directory {
    /// Of the directory at `address`, which is `HOST:PORT`, as `me`. Connects to nothing yet.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn new(address: String, me: &Identity, inputs: BatchSender) -> Result<Self, TlsError> {
        let config = Arc::new(tls::client_config(me, Expect::Any, Alpn::Directory)?);
        let last_address = tokio::sync::watch::Sender::new(None);
        Ok(Self { address, config, inputs, sessions: 0, current: None, running: None, last_address })
    }

    /// Connects; answered by `DirectoryUp` or `DirectoryDown`. What was connected before is closed.
    pub fn connect(&mut self) {
        self.close();
        self.sessions += 1;
        let session = Session(self.sessions);
        let outgoing = Arc::new(Outgoing::new(QUEUE_MAX_BYTES));
        self.current = Some((session, outgoing.clone()));
        let attempt = Attempt {
            session,
            address: self.address.clone(),
            config: self.config.clone(),
            inputs: self.inputs.clone(),
            last_address: self.last_address.clone(),
        };
        self.running = Some(tokio::spawn(attempt.run(outgoing)));
    }

    /// Puts a frame into the queue. What cannot be sent is lost with the connection.
    pub fn send(&self, frame: &ToDirectory) {
        if let Some((_, outgoing)) = &self.current {
            outgoing.push(frame);
        }
    }

    /// Flushes and closes; nothing more is to be heard of this connection.
    pub fn close(&mut self) {
        if let Some((_, outgoing)) = self.current.take() {
            outgoing.end(Ending::Flush);
        }
    }

    /// Flushes, closes and waits for that, less than a second. Meanwhile inputs must be taken.
    pub async fn shutdown(mut self) {
        self.close();
        if let Some(running) = self.running {
            // A panic in there has already been told.
            let _ = timeout(2 * FLUSH_TIMEOUT, running).await;
        }
    }

    /// Whether what came belongs to the present connection.
    #[must_use]
    pub fn is_current(&self, session: Session) -> bool {
        self.current.as_ref().is_some_and(|(current, _)| *current == session)
    }

    /// Where the directory was last reached.
    #[must_use]
    pub fn last_address(&self) -> Option<SocketAddr> {
        *self.last_address.borrow()
    }
}

struct Attempt {
    session: Session,
    address: String,
    config: Arc<ClientConfig>,
    inputs: BatchSender,
    last_address: tokio::sync::watch::Sender<Option<SocketAddr>>,
}

impl Attempt {
    async fn run(self, outgoing: Arc<Outgoing>) {
        let connected = tokio::select! {
            connected = self.connect() => connected,
            _ = outgoing.ended() => return,
        };
        let end = match connected {
            Some((stream, key)) => self.exchange(stream, key, &outgoing).await,
            None => DirectoryEnd::NotReached,
        };
        self.tell(vec![Input::DirectoryDown(end)]).await;
    }

    async fn exchange(&self, stream: TlsStream<TcpStream>, key: PublicKey, outgoing: &Outgoing) -> DirectoryEnd {
        self.tell(vec![Input::DirectoryUp { key }]).await;
        let (reader, mut writer) = tokio::io::split(stream);
        let batch = |inputs| Batch::Directory { session: self.session, inputs };
        let read = read_frames(reader, input, batch, &self.inputs);
        let write = async {
            // Flushed or broken: the reader meets the end, after what arrived before it.
            let _ = write_frames(&mut writer, outgoing, || {}).await;
            std::future::pending().await
        };
        match exchange(read, write, outgoing).await {
            End::Garbage(error) => {
                tracing::warn!(%error, "the directory sent what is no frame");
                DirectoryEnd::Garbage
            }
            End::Closed | End::Lost | End::Orphaned => DirectoryEnd::Lost,
        }
    }

    /// Resolves anew each time: the name may have moved.
    async fn connect(&self) -> Option<(TlsStream<TcpStream>, PublicKey)> {
        let resolved = timeout(STEP_TIMEOUT, lookup_host(&self.address)).await.ok()?;
        let addresses = resolved.inspect_err(|error| tracing::debug!(%error, "the directory's name")).ok()?;
        for address in addresses.take(ADDRESSES_MAX) {
            match timeout(STEP_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    if let Some(connected) = self.handshake(tcp).await {
                        self.last_address.send_replace(Some(address));
                        return Some(connected);
                    }
                }
                Ok(Err(error)) => tracing::debug!(%address, %error, "the directory was not reached"),
                Err(_) => tracing::debug!(%address, "the directory did not answer"),
            }
        }
        None
    }

    async fn handshake(&self, tcp: TcpStream) -> Option<(TlsStream<TcpStream>, PublicKey)> {
        tcp.set_nodelay(true).ok()?;
        let name = ServerName::try_from(tls::SERVER_NAME).ok()?;
        let handshake = TlsConnector::from(self.config.clone()).connect(name, tcp);
        let stream = timeout(STEP_TIMEOUT, handshake).await.ok()?;
        let stream = stream.inspect_err(|error| tracing::debug!(%error, "the directory's handshake")).ok()?;
        let connection = stream.get_ref().1;
        let key = tls::key_of(connection.peer_certificates())?;
        tls::alpn_matches(connection.alpn_protocol(), Alpn::Directory).then_some((stream, key))
    }

    async fn tell(&self, inputs: Vec<Input>) {
        // Fails only when the loop has left: nobody is to be told.
        let _ = self.inputs.send(Batch::Directory { session: self.session, inputs }).await;
    }
}

fn input(frame: Result<FromDirectory, u16>) -> Option<Input> {
    match frame {
        Ok(frame) => Some(Input::DirectoryFrame(Box::new(frame))),
        Err(kind) => {
            tracing::debug!(kind, "the directory sent a frame of an unknown kind");
            None
        }
    }
}

#[cfg(test)]
mod tests;

//! Raw clients for the ports of the real programs, with identities made up on the spot: to send what no correct
//! program sends, and to read what is answered. No part of the harness relies on it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use common::identity::Identity;
use common::limits::{FRAME_MAX_BYTES, PREKEY_BYTES};
use common::message::{Epoch, EpochId};
use common::record::{Prekey, PrekeyRecord};
use common::tls::{Alpn, Expect, SERVER_NAME, client_config};
use common::wire::directory::{ConfirmToken, FromDirectory, Hello, ToDirectory, Welcome};
use common::wire::{Frame, PAYLOAD_AT, peek};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(15);

/// The identity that belongs to a number.
#[must_use]
pub fn stranger(number: u64) -> Identity {
    let mut seed = [0x5a; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    Identity::from_seed(&seed)
}

/// A prekey record of `identity` whose key nobody can open anything with.
#[must_use]
pub fn prekey_of(identity: &Identity) -> PrekeyRecord {
    let prekey = Prekey { owner: identity.public(), counter: 1, created_ms: 0, key: vec![7; PREKEY_BYTES] };
    PrekeyRecord::sign(identity, &prekey)
}

/// The epoch strangers say they are in.
#[must_use]
pub fn epoch() -> Epoch {
    Epoch { generation: 1, id: EpochId([9; 16]) }
}

/// The hello of a newcomer.
#[must_use]
pub fn hello() -> Hello {
    Hello { versions: common::wire::VERSIONS, features: 0, instance: [3; 16], epoch: epoch(), token: None }
}

/// A frame's bytes.
#[must_use]
pub fn bytes_of(frame: &impl Frame) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode_into(&mut bytes);
    bytes
}

/// A frame of any kind with any payload.
#[must_use]
pub fn raw_frame(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 2).expect("a short payload");
    [&length.to_be_bytes()[..], &kind.to_be_bytes()[..], payload].concat()
}

/// Reads one frame; none at the end of the stream.
///
/// # Errors
/// When nothing comes for 15 s, or what comes is no frame of `F`.
pub async fn read_frame<F: Frame>(from: &mut (impl AsyncRead + Unpin), held: &mut Vec<u8>) -> Result<Option<F>> {
    loop {
        if let Some(head) = peek(held, FRAME_MAX_BYTES)? {
            let frame = F::decode(head.kind, &held[PAYLOAD_AT..head.frame_bytes])?;
            held.drain(..head.frame_bytes);
            return Ok(Some(frame));
        }
        let mut buffer = [0; 4096];
        match tokio::time::timeout(ANSWER, from.read(&mut buffer)).await.context("no answer")? {
            Ok(0) | Err(_) => return Ok(None),
            Ok(bytes) => held.extend_from_slice(&buffer[..bytes]),
        }
    }
}

/// A TLS session with a directory.
pub struct DirectorySession {
    /// Whose session it is.
    pub identity: Identity,
    stream: TlsStream<TcpStream>,
    held: Vec<u8>,
}

impl DirectorySession {
    /// Opens the TLS session of `identity` and says nothing yet.
    ///
    /// # Errors
    /// When the connection or the handshake fails.
    pub async fn open(directory: SocketAddr, identity: Identity) -> Result<Self> {
        Self::over(TcpStream::connect(directory).await?, identity).await
    }

    /// The same over a connection that stands.
    ///
    /// # Errors
    /// When the handshake fails.
    pub async fn over(tcp: TcpStream, identity: Identity) -> Result<Self> {
        let config = client_config(&identity, Expect::Any, Alpn::Directory)?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(SERVER_NAME)?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        Ok(Self { identity, stream, held: Vec::new() })
    }

    /// Opens a session and logs in.
    ///
    /// # Errors
    /// When the directory does not let it.
    pub async fn log_in(directory: SocketAddr, identity: Identity) -> Result<(Self, Welcome)> {
        let mut session = Self::open(directory, identity).await?;
        let welcome = session.greet().await?;
        Ok((session, welcome))
    }

    /// Logs in, as a newcomer.
    ///
    /// # Errors
    /// When the directory does not let it.
    pub async fn greet(&mut self) -> Result<Welcome> {
        self.send(hello()).await?;
        let Some(FromDirectory::Welcome(welcome)) = self.receive().await? else { bail!("no welcome") };
        self.send(ConfirmToken { token: welcome.token }).await?;
        let Some(FromDirectory::TokenKept(_)) = self.receive().await? else { bail!("the token is not kept") };
        Ok(welcome)
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, frame: impl Into<ToDirectory>) -> Result<()> {
        self.send_raw(&bytes_of(&frame.into())).await
    }

    /// Sends any bytes inside the TLS session.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// The next frame; none when the directory has closed the session.
    ///
    /// # Errors
    /// When nothing comes for 15 s or it is not a frame.
    pub async fn receive(&mut self) -> Result<Option<FromDirectory>> {
        read_frame(&mut self.stream, &mut self.held).await
    }

    /// Waits for the end of the session, however long it lasts; what comes is passed over.
    pub async fn until_it_ends(&mut self) {
        let mut buffer = [0; 1024];
        while matches!(self.stream.read(&mut buffer).await, Ok(1..)) {}
    }

    /// Reads to the end of the session: the last frame before it, if any.
    ///
    /// # Errors
    /// When the session does not end while 15 s pass without a frame.
    pub async fn last(&mut self) -> Result<Option<FromDirectory>> {
        let mut last = None;
        while let Some(frame) = self.receive().await? {
            last = Some(frame);
        }
        Ok(last)
    }
}

/// A QUIC endpoint of a stranger.
///
/// # Errors
/// When no socket can be opened.
pub fn quic_endpoint(ip: IpAddr) -> Result<quinn::Endpoint> {
    Ok(quinn::Endpoint::client((ip, 0).into())?)
}

/// Connects `identity` to a peer's UDP port, speaking `alpn`.
///
/// # Errors
/// When the handshake fails or takes more than 15 s.
pub async fn quic_connect(
    endpoint: &quinn::Endpoint,
    peer: SocketAddr,
    identity: &Identity,
    alpn: &[u8],
) -> Result<quinn::Connection> {
    let mut tls = client_config(identity, Expect::Any, Alpn::Peer)?;
    tls.alpn_protocols = vec![alpn.to_vec()];
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    let connecting = endpoint.connect_with(config, peer, SERVER_NAME)?;
    Ok(tokio::time::timeout(ANSWER, connecting).await.context("no handshake")??)
}

/// Raises this process's limit of open files as far as it may go: many connections need many.
pub fn raise_open_files() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Where it may not be raised the test that needs it says so itself.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised);
}

//! A session with a directory server for many frames at once: throw-away identities, everything that is to be sent in
//! one write, everything that came in one read. It is no client: it keeps nothing and trusts everybody.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use bytes::{Buf as _, BytesMut};
use common::identity::{Identity, PublicKey};
use common::limits::FRAME_MAX_BYTES;
use common::tls::{Alpn, Expect, SERVER_NAME, client_config};
use common::wire::directory::{Accept, ConfirmToken, FromDirectory, Online, Ping, Register, Standing, ToDirectory};
use common::wire::{Frame, PAYLOAD_AT, peek};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::hostile::{hello, prekey_of, stranger};

/// Bytes of one read.
const READ_BYTES: usize = 64 * 1024;

/// A logged-in session.
pub struct Session {
    stream: TlsStream<TcpStream>,
    inbound: BytesMut,
    outbound: Vec<u8>,
}

/// The key of the identity that belongs to `number`.
#[must_use]
pub fn key(number: u64) -> PublicKey {
    stranger(number).public()
}

impl Session {
    /// Logs in as the identity that belongs to `number`, which this program has never used at this directory.
    ///
    /// # Errors
    /// When the directory does not let it.
    pub async fn log_in(directory: SocketAddr, number: u64) -> Result<Self> {
        Ok(Self::log_in_with(directory, &stranger(number), None).await?.0)
    }

    /// Logs in with the token of the login before; returns the token for the next.
    ///
    /// # Errors
    /// When the directory does not let it.
    pub async fn log_in_with(
        directory: SocketAddr,
        identity: &Identity,
        token: Option<[u8; 16]>,
    ) -> Result<(Self, [u8; 16])> {
        let config = client_config(identity, Expect::Any, Alpn::Directory)?;
        let tcp = TcpStream::connect(directory).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(SERVER_NAME)?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        let mut session = Self { stream, inbound: BytesMut::new(), outbound: Vec::new() };
        let mut hello = hello();
        hello.token = token;
        session.put(hello);
        let FromDirectory::Welcome(welcome) = session.ask().await? else { bail!("no welcome") };
        session.put(ConfirmToken { token: welcome.token });
        let FromDirectory::TokenKept(_) = session.ask().await? else { bail!("the token is not kept") };
        session.inbound = BytesMut::new();
        Ok((session, welcome.token))
    }

    /// Registers `name` for the identity that belongs to `number` and accepts `senders`.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn register(&mut self, number: u64, name: &str, senders: &[PublicKey]) -> Result<()> {
        let prekey = prekey_of(&stranger(number));
        self.put(Register { request: 1, name: name.parse()?, prekey });
        let FromDirectory::Registered(_) = self.ask().await? else { bail!("{name} is not registered") };
        self.put(Accept { keys: senders.to_vec() });
        self.put(Ping {});
        let FromDirectory::Pong(_) = self.ask().await? else { bail!("no answer to a ping") };
        Ok(())
    }

    /// Comes online; the answer and the drain follow.
    pub fn online(&mut self, number: u64) {
        let prekey = prekey_of(&stranger(number));
        self.put(Online { request: 2, candidates: Vec::new(), prekey, standing: Standing::Online, note: None });
    }

    /// Puts a frame into the next write.
    pub fn put(&mut self, frame: impl Into<ToDirectory>) {
        frame.into().encode_into(&mut self.outbound);
    }

    /// Writes what was put.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn flush(&mut self) -> Result<()> {
        if !self.outbound.is_empty() {
            self.stream.write_all(&self.outbound).await?;
            self.stream.flush().await?;
            self.outbound.clear();
        }
        Ok(())
    }

    async fn ask(&mut self) -> Result<FromDirectory> {
        self.flush().await?;
        self.next().await
    }

    /// A frame that has already come.
    ///
    /// # Errors
    /// When what came is no frame.
    pub fn ready(&mut self) -> Result<Option<FromDirectory>> {
        let Some(head) = peek(&self.inbound, FRAME_MAX_BYTES)? else { return Ok(None) };
        let frame = FromDirectory::decode(head.kind, &self.inbound[PAYLOAD_AT..head.frame_bytes])?;
        self.inbound.advance(head.frame_bytes);
        Ok(Some(frame))
    }

    /// The next frame.
    ///
    /// # Errors
    /// When the directory has closed the session.
    pub async fn next(&mut self) -> Result<FromDirectory> {
        loop {
            if let Some(frame) = self.ready()? {
                return Ok(frame);
            }
            self.inbound.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.inbound).await.context("reading")? == 0 {
                bail!("the directory has closed the session");
            }
        }
    }
}

//! Dialling one peer at several addresses: best first, the next one soon after, the first that answers under the right
//! key wins. Not here: whether to dial, and how often an address may be tried.

use std::net::SocketAddr;
use std::time::Duration;

use common::identity::{Identity, PublicKey};
use common::tls::{self, Alpn, Expect, Presented};
use peer_core::event::LinkEnd;
use quinn::{ClientConfig, Connection, Endpoint};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::config::{QuicError, client_config};

/// The next address is tried so long after the one before.
pub const STAGGER: Duration = Duration::from_millis(250);
/// Without any answer within this time an address is given up: with the initial round-trip time of this transport,
/// three Initials have been sent by then (at 0, 0.3 and 0.9 s).
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// One dial of one key.
pub(super) struct Dial {
    key: PublicKey,
    presented: Presented,
    config: ClientConfig,
}

impl Dial {
    pub(super) fn new(me: &Identity, key: PublicKey) -> Result<Self, QuicError> {
        let presented = Presented::new();
        let tls = tls::client_config_noting(me, Expect::Key(key), Alpn::Peer, &presented)?;
        Ok(Self { key, presented, config: client_config(tls)? })
    }

    /// Races the addresses. Bounded by the caller.
    ///
    /// # Errors
    /// `WrongKey` when another key was presented, `NotReached` else.
    pub(super) async fn race(self, endpoint: &Endpoint, addresses: Vec<SocketAddr>) -> Result<Connection, LinkEnd> {
        let mut waiting = addresses.into_iter();
        let mut running = JoinSet::new();
        loop {
            if let Some(address) = waiting.next() {
                running.spawn(attempt(endpoint.clone(), self.config.clone(), address));
            } else if running.is_empty() {
                return Err(self.failure());
            }
            let patience =
                async { if waiting.len() == 0 { std::future::pending().await } else { sleep(STAGGER).await } };
            let finished = tokio::select! {
                finished = running.join_next() => finished,
                () = patience => None,
            };
            if let Some(Ok(Some(connection))) = finished {
                return Ok(connection);
            }
        }
    }

    fn failure(&self) -> LinkEnd {
        match self.presented.key() {
            Some(key) if key != self.key => LinkEnd::WrongKey,
            Some(_) | None => LinkEnd::NotReached,
        }
    }
}

async fn attempt(endpoint: Endpoint, config: ClientConfig, address: SocketAddr) -> Option<Connection> {
    let mut connecting = endpoint.connect_with(config, address, tls::SERVER_NAME).ok()?;
    timeout(ANSWER_TIMEOUT, connecting.handshake_data()).await.ok()?.ok()?;
    connecting.await.inspect_err(|error| tracing::debug!(%address, %error, "a handshake failed")).ok()
}

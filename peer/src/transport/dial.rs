//! Dialling one peer at several addresses: best first, the next one soon after, each again while nobody answers; the first
//! that answers under the right key wins. Not here: whether to dial, and how often an address may be tried.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use common::identity::{Identity, PublicKey};
use common::tls::{self, Alpn, Expect, Presented};
use peer_core::event::LinkEnd;
use quinn::{ClientConfig, Connection, Endpoint};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::config::{QuicError, client_config};

/// The next address is tried so long after the one before.
pub const STAGGER: Duration = Duration::from_millis(250);
/// Without any answer within this time a try is given up: with the initial round-trip time of this transport,
/// three Initials have been sent by then (at 0, 0.3 and 0.9 s).
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// When a dial begins another try at an address beside those under way, counted from its beginning. A try waits twice as long
/// after each packet that is lost, a new one begins with the short waits; where half of all packets are lost that decides.
pub const TRIES_AGAIN: [Duration; 2] = [Duration::from_millis(700), Duration::from_millis(1_400)];

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

    /// Races the addresses, and several tries at each as far as `may_try` lets it. Bounded by the caller.
    ///
    /// # Errors
    /// `WrongKey` when another key was presented, `NotReached` else.
    pub(super) async fn race(
        self,
        endpoint: &Endpoint,
        addresses: Vec<SocketAddr>,
        may_try: impl Fn(SocketAddr) -> bool,
    ) -> Result<Connection, LinkEnd> {
        let begun = Instant::now();
        let mut waiting = tries(&addresses).into_iter().peekable();
        let mut running = JoinSet::new();
        // An address at which somebody refuses, or that cannot be reached at all, is not tried again.
        let mut refused = BTreeSet::new();
        loop {
            while let Some(next) = waiting.next_if(|next| running.is_empty() || begun.elapsed() >= next.after) {
                if !refused.contains(&next.address) && (!next.again || may_try(next.address)) {
                    running.spawn(attempt(endpoint.clone(), self.config.clone(), next.address));
                }
            }
            if running.is_empty() {
                return Err(self.failure());
            }
            let due = waiting.peek().map(|next| begun + next.after);
            let finished = tokio::select! {
                finished = running.join_next() => finished,
                () = until(due) => None,
            };
            match finished {
                Some(Ok(Tried::Connected(connection))) => return Ok(connection),
                Some(Ok(Tried::Refused(address))) => drop(refused.insert(address)),
                Some(Ok(Tried::Silent) | Err(_)) | None => {}
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

/// One try that a dial has before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Try {
    after: Duration,
    address: SocketAddr,
    /// There was one before at this address.
    again: bool,
}

/// All tries at `addresses`, in the order of time.
fn tries(addresses: &[SocketAddr]) -> Vec<Try> {
    let mut tries = Vec::new();
    for (place, address) in (0..).zip(addresses) {
        let after = STAGGER * place;
        tries.push(Try { after, address: *address, again: false });
        tries.extend(TRIES_AGAIN.map(|later| Try { after: after + later, address: *address, again: true }));
    }
    tries.sort_by_key(|each| each.after);
    tries
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// How a try ended.
enum Tried {
    Connected(Connection),
    /// Somebody or the system said no.
    Refused(SocketAddr),
    /// Nobody answered in time.
    Silent,
}

async fn attempt(endpoint: Endpoint, config: ClientConfig, address: SocketAddr) -> Tried {
    let Ok(mut connecting) = endpoint.connect_with(config, address, tls::SERVER_NAME) else {
        return Tried::Refused(address);
    };
    match timeout(ANSWER_TIMEOUT, connecting.handshake_data()).await {
        Err(_) => return Tried::Silent,
        Ok(Err(_)) => return Tried::Refused(address),
        Ok(Ok(_)) => {}
    }
    match connecting.await {
        Ok(connection) => Tried::Connected(connection),
        Err(error) => {
            tracing::debug!(%address, %error, "a handshake failed");
            Tried::Refused(address)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_tried_once_before_any_is_tried_again() {
        let [one, two] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], 5_000 + port)));
        let planned: Vec<_> = tries(&[one, two]).iter().map(|each| (each.after.as_millis(), each.address)).collect();
        let wanted = [(0, one), (250, two), (700, one), (950, two), (1_400, one), (1_650, two)];
        assert_eq!(planned, wanted);
        assert_eq!(tries(&[one, two]).iter().filter(|each| !each.again).count(), 2);
        assert!(tries(&[]).is_empty());
    }
}

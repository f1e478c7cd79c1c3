//! The peer's QUIC endpoint: it dials and accepts on the one UDP port, numbers what it accepts, and caps how much it
//! holds. Each connection carries one bidirectional stream for frames, opened by the dialler, and further ones for files.
//! Not here: whom to dial, which of several links stays, and what a frame means.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::identity::{Identity, PublicKey};
use common::tls::{self, Alpn};
use common::wire::peer::PeerFrame;
use peer_core::event::{Input, LinkEnd, LinkId};
use peer_core::limits::{LINKS_KNOWN_MAX, LINKS_STRANGERS_MAX};
use quinn::{Endpoint, Incoming, TokioRuntime, VarInt};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::batch::{Batch, BatchSender};
use super::budget::Budget;
use super::bulk::{AcceptedSender, Bulk};
use super::config::{HANDSHAKES_MAX, HANDSHAKES_PER_ADDRESS_MAX, QuicError, endpoint_config, server_config};
use super::dial::Dial;
use super::link::{self, CloseCode, OPEN_TIMEOUT, Open, QUEUE_MAX_BYTES};
use super::outgoing::{Ending, Outgoing};
use super::socket;

/// Links, dials under way included; beyond that nobody is accepted and nothing dialled.
pub const CONNECTIONS_MAX: usize = LINKS_KNOWN_MAX + LINKS_STRANGERS_MAX;
/// Accepted links under one key; one more closes the oldest of them.
pub const CONNECTIONS_PER_KEY_MAX: usize = 2;
/// The last packets get so long to leave.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(300);

/// The endpoint with all its links.
#[derive(Debug)]
pub struct Quic {
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    endpoint: Endpoint,
    local: SocketAddr,
    me: Identity,
    inputs: BatchSender,
    streams: AcceptedSender,
    links: Mutex<BTreeMap<LinkId, Entry>>,
    budget: Mutex<Budget>,
    handshakes: Mutex<BTreeMap<IpAddr, usize>>,
    accepted: AtomicU64,
}

/// A link or a dial under way.
#[derive(Debug)]
struct Entry {
    outgoing: Arc<Outgoing>,
    /// Who dialled in; none for links dialled from here.
    caller: Option<PublicKey>,
    /// Once it stands.
    bulk: Option<Bulk>,
}

impl Quic {
    /// Starts accepting on `socket`, which is bound and non-blocking; streams of files go to `streams`. Needs the runtime it
    /// will run on.
    ///
    /// # Errors
    /// [`QuicError`].
    pub fn start(
        socket: UdpSocket,
        me: Identity,
        inputs: BatchSender,
        streams: AcceptedSender,
    ) -> Result<Self, QuicError> {
        let local = socket.local_addr()?;
        let server = server_config(tls::server_config(&me, Alpn::Peer)?)?;
        let endpoint = Endpoint::new(endpoint_config(), Some(server), socket, Arc::new(TokioRuntime))?;
        let shared = Arc::new(Shared {
            endpoint,
            local,
            me,
            inputs,
            streams,
            links: Mutex::default(),
            budget: Mutex::default(),
            handshakes: Mutex::default(),
            accepted: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept_all(shared.clone()));
        Ok(Self { shared, accepting })
    }

    /// Dials; answered by `LinkUp` or `LinkDown` on the channel of inputs, within [`OPEN_TIMEOUT`].
    pub fn dial(&self, link: LinkId, key: PublicKey, addresses: Vec<SocketAddr>) {
        let outgoing = Arc::new(Outgoing::new(QUEUE_MAX_BYTES));
        let addresses =
            if self.shared.links().len() < CONNECTIONS_MAX { self.shared.dialable(addresses) } else { Vec::new() };
        self.shared.links().insert(link, Entry { outgoing: outgoing.clone(), caller: None, bulk: None });
        tokio::spawn(dial(self.shared.clone(), link, key, addresses, outgoing));
    }

    /// Puts a frame into a link's queue. What cannot be sent is lost with the link.
    pub fn send(&self, link: LinkId, frame: &PeerFrame) {
        if let Some(entry) = self.shared.links().get(&link) {
            entry.outgoing.push(frame);
        }
    }

    /// A link that stands, for files.
    #[must_use]
    pub fn bulk(&self, link: LinkId) -> Option<Bulk> {
        self.shared.links().get(&link)?.bulk.clone()
    }

    /// Flushes and closes a link, or cancels its dial; answered by `LinkDown`.
    pub fn close(&self, link: LinkId) {
        if let Some(entry) = self.shared.links().get(&link) {
            entry.outgoing.end(Ending::Flush);
        }
    }

    /// Flushes and closes everything. Takes less than a second.
    pub async fn shutdown(self) {
        self.accepting.abort();
        self.shared.endpoint.set_server_config(None);
        for entry in self.shared.links().values() {
            entry.outgoing.end(Ending::Flush);
        }
        let flushed = async {
            while !self.shared.links().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = timeout(super::stream::FLUSH_TIMEOUT, flushed).await;
        self.shared.endpoint.close(VarInt::from_u32(0), b"");
        let _ = timeout(LEAVE_TIMEOUT, self.shared.endpoint.wait_idle()).await;
    }
}

impl Shared {
    fn links(&self) -> MutexGuard<'_, BTreeMap<LinkId, Entry>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handshakes(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.handshakes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many handshakes are open, and how many of them from there.
    fn open_handshakes(&self, from: IpAddr) -> (usize, usize) {
        let handshakes = self.handshakes();
        (handshakes.values().sum(), handshakes.get(&from).copied().unwrap_or(0))
    }

    /// Those of `addresses` that this socket reaches and that may be dialled now, in its own form, each once.
    fn dialable(&self, addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let mut dialable = Vec::new();
        for address in addresses.into_iter().take(common::limits::CANDIDATES_MAX) {
            let Some(reachable) = socket::reachable_from(self.local, address) else { continue };
            let fresh = !dialable.contains(&reachable) && socket::may_be_dialled(reachable);
            if fresh && self.spend(reachable) {
                dialable.push(reachable);
            }
        }
        dialable
    }

    /// Whether the budget of `address`, which it is charged to, allows a try at it now.
    fn spend(&self, address: SocketAddr) -> bool {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        budget.spend(socket::canonical(address), Instant::now())
    }

    /// The number and queue of an accepted connection of `key`. Same key, too many: the oldest goes, since a peer that
    /// calls again has most likely lost it.
    fn admit(&self, key: PublicKey) -> (LinkId, Arc<Outgoing>) {
        let link = LinkId(2 * self.accepted.fetch_add(1, Ordering::Relaxed) + 1);
        let outgoing = Arc::new(Outgoing::new(QUEUE_MAX_BYTES));
        let mut links = self.links();
        let same = links.values().filter(|entry| entry.caller == Some(key) && entry.outgoing.ending().is_none());
        let same: Vec<&Entry> = same.collect();
        if same.len() >= CONNECTIONS_PER_KEY_MAX
            && let Some(oldest) = same.first()
        {
            oldest.outgoing.end(Ending::Overflow);
        }
        links.insert(link, Entry { outgoing: outgoing.clone(), caller: Some(key), bulk: None });
        (link, outgoing)
    }

    /// A link whose stream is open, up to its end.
    async fn run(&self, link: LinkId, open: Open, outgoing: &Arc<Outgoing>) -> LinkEnd {
        let bulk = Bulk::new(link, open.key, open.connection.clone());
        if let Some(entry) = self.links().get_mut(&link) {
            entry.bulk = Some(bulk.clone());
        }
        link::run(&bulk, open, outgoing, &self.inputs, &self.streams).await
    }

    /// The last thing about a link.
    async fn down(&self, link: LinkId, end: LinkEnd) {
        self.links().remove(&link);
        // Fails only when the loop has left: nobody is to be told.
        let _ = self.inputs.send(Batch::Links(vec![Input::LinkDown { link, end }])).await;
    }
}

async fn dial(shared: Arc<Shared>, link: LinkId, key: PublicKey, addresses: Vec<SocketAddr>, outgoing: Arc<Outgoing>) {
    let open = async {
        let dial = Dial::new(&shared.me, key).map_err(|error| {
            tracing::warn!(%error, "no dial");
            LinkEnd::NotReached
        })?;
        let connection = dial.race(&shared.endpoint, addresses, |address| shared.spend(address)).await?;
        let (send, receive) = connection.open_bi().await.map_err(|_| LinkEnd::NotReached)?;
        Ok(Open { connection, send, receive, key, dialled: true })
    };
    let opened = tokio::select! {
        opened = timeout(OPEN_TIMEOUT, open) => opened.unwrap_or(Err(LinkEnd::NotReached)),
        _ = outgoing.ended() => Err(LinkEnd::Closed),
    };
    let end = match opened {
        Ok(open) => shared.run(link, open, &outgoing).await,
        Err(end) => end,
    };
    shared.down(link, end).await;
}

async fn accept_all(shared: Arc<Shared>) {
    while let Some(incoming) = shared.endpoint.accept().await {
        if !incoming.remote_address_validated() {
            // Without this a forged address would be sent up to three times what came in its name (RFC 9000, section
            // 8.1). A Retry is stateless and smaller than what was asked with; it costs a newcomer one round trip.
            match incoming.may_retry() {
                true => drop(incoming.retry()),
                false => incoming.ignore(),
            }
            continue;
        }
        let from = origin(incoming.remote_address());
        let (all, same) = shared.open_handshakes(from);
        let greedy = same >= HANDSHAKES_PER_ADDRESS_MAX && !from.is_loopback();
        if greedy || all >= HANDSHAKES_MAX || shared.links().len() >= CONNECTIONS_MAX {
            incoming.refuse();
        } else {
            let counted = Handshake::begin(&shared, from);
            tokio::spawn(accept(shared.clone(), incoming, counted));
        }
    }
}

/// Where a handshake comes from. Of IPv6 its network: whoever has one address of it has 2^64 of them.
fn origin(address: SocketAddr) -> IpAddr {
    match socket::canonical(address).ip() {
        IpAddr::V6(ip) if !ip.is_loopback() => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        ip => ip,
    }
}

async fn accept(shared: Arc<Shared>, incoming: Incoming, counted: Handshake) {
    let open = async {
        let connection = incoming.accept().ok()?.await.ok()?;
        let key = link::key_of(&connection)?;
        let (send, receive) = connection.accept_bi().await.ok()?;
        Some(Open { connection, send, receive, key, dialled: false })
    };
    let Ok(Some(open)) = timeout(OPEN_TIMEOUT, open).await else { return };
    drop(counted);
    if shared.links().len() >= CONNECTIONS_MAX {
        CloseCode::Busy.apply(&open.connection);
        return;
    }
    let (link, outgoing) = shared.admit(open.key);
    let end = shared.run(link, open, &outgoing).await;
    shared.down(link, end).await;
}

/// Counts an open handshake for as long as it lives.
struct Handshake(Arc<Shared>, IpAddr);

impl Handshake {
    fn begin(shared: &Arc<Shared>, from: IpAddr) -> Self {
        *shared.handshakes().entry(from).or_default() += 1;
        Self(shared.clone(), from)
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut handshakes = self.0.handshakes();
        if let Some(open) = handshakes.get_mut(&self.1) {
            *open -= 1;
            if *open == 0 {
                handshakes.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests;

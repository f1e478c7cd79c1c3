//! Streams of files beside a link's own: opened and accepted, behind everything else that leaves, and with windows of their own,
//! so that no file, however fast or slow, takes from messages what they need. Not here: what is said on these streams.
//!
//! Each stream has [`STREAM_WINDOW_BYTES`] at most on its way, which is what its reader allows. For each file that goes, the
//! connection may hold so much more unacknowledged; for each that comes, so much more unread. So whatever files use up, a
//! whole window is left for messages.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::identity::PublicKey;
use peer_core::event::LinkId;
use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// On its way on one stream.
pub(super) const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// On its way on one connection, beside files.
pub(super) const WINDOW_BYTES: u32 = 1024 * 1024;
/// Below the link's own stream, which has 0.
const PRIORITY: i32 = -1;
/// Streams that a link may open at once after a pause, and then one each so often: more wait.
const BURST: u32 = 32;
const PAUSE: Duration = Duration::from_millis(60);

/// What is accepted, towards who reads it.
pub type AcceptedSender = mpsc::Sender<Accepted>;
/// Streams that wait to be taken. Each link has few more, in its own limits.
pub const ACCEPTED_MAX: usize = 16;

/// A stream that the other end has opened.
#[derive(Debug)]
pub struct Accepted {
    /// On which link.
    pub bulk: Bulk,
    /// Towards the other end.
    pub send: SendStream,
    /// From the other end.
    pub receive: RecvStream,
}

/// A link, as far as files are concerned.
#[derive(Debug, Clone)]
pub struct Bulk {
    link: LinkId,
    key: PublicKey,
    connection: Connection,
    flows: Arc<Mutex<Flows>>,
}

#[derive(Debug, Default)]
struct Flows {
    coming: u32,
    going: u32,
}

impl Bulk {
    pub(super) fn new(link: LinkId, key: PublicKey, connection: Connection) -> Self {
        Self { link, key, connection, flows: Arc::default() }
    }

    /// Which link this is.
    #[must_use]
    pub fn link(&self) -> LinkId {
        self.link
    }

    /// Who is at the other end.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// Opens a stream; waits as long as the other end allows no more. None: the link is gone.
    pub async fn open(&self) -> Option<(SendStream, RecvStream)> {
        let (send, receive) = self.connection.open_bi().await.ok()?;
        behind_messages(&send);
        Some((send, receive))
    }

    /// A file comes, for as long as the answer lives.
    #[must_use]
    pub fn coming(&self) -> Flow {
        Flow::begin(self, true)
    }

    /// A file goes, for as long as the answer lives.
    #[must_use]
    pub fn going(&self) -> Flow {
        Flow::begin(self, false)
    }

    fn adjust(&self, change: impl FnOnce(&mut Flows)) {
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut flows);
        // Set while the lock is held, so that the last word is about the last count.
        let with = |files: u32| WINDOW_BYTES.saturating_add(files.saturating_mul(STREAM_WINDOW_BYTES));
        self.connection.set_receive_window(VarInt::from_u32(with(flows.coming)));
        self.connection.set_send_window(u64::from(with(flows.going)));
    }
}

/// A file that flows: holds the windows open.
#[derive(Debug)]
pub struct Flow {
    bulk: Bulk,
    coming: bool,
}

impl Flow {
    fn begin(bulk: &Bulk, coming: bool) -> Self {
        bulk.adjust(|flows| *flows.of(coming) += 1);
        Self { bulk: bulk.clone(), coming }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.bulk.adjust(|flows| *flows.of(self.coming) -= 1);
    }
}

impl Flows {
    fn of(&mut self, coming: bool) -> &mut u32 {
        if coming { &mut self.coming } else { &mut self.going }
    }
}

/// Accepts the streams of a link, at a bounded pace: who opens them faster waits, and nobody else does.
pub(super) async fn accept_all(bulk: &Bulk, accepted: &AcceptedSender) -> Infallible {
    let mut due = Instant::now();
    while let Ok((send, receive)) = bulk.connection.accept_bi().await {
        behind_messages(&send);
        if accepted.send(Accepted { bulk: bulk.clone(), send, receive }).await.is_err() {
            break;
        }
        let now = Instant::now();
        due = due.max(now) + PAUSE;
        if let Some(early) = due.checked_sub(BURST * PAUSE).filter(|early| *early > now) {
            sleep_until(early).await;
        }
    }
    // The link's own stream meets the same end.
    std::future::pending().await
}

fn behind_messages(send: &SendStream) {
    // Refused only for a stream that is closed already.
    let _ = send.set_priority(PRIORITY);
}

//! One QUIC connection between two peers from its first packet to its last: greeting the transport, then frames both
//! ways on its own stream, streams of files beside it, then the end. Not here: who is dialled when, which of two links stays,
//! and what a file is.

use std::sync::Arc;
use std::time::Duration;

use common::identity::PublicKey;
use common::tls;
use common::wire::peer::PeerFrame;
use peer_core::event::{Input, LinkEnd, LinkId};
use quinn::{Connection, RecvStream, SendStream, VarInt};
use rustls::pki_types::CertificateDer;

use super::batch::{Batch, BatchSender};
use super::bulk::{AcceptedSender, Bulk, accept_all};
use super::outgoing::{Ending, Outgoing};
use super::probing::Probing;
use super::socket;
use super::stream::{End, exchange, read_frames, write_frames};

/// Dial or accept, handshake and the stream's opening, as a whole.
pub const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes that wait to be written on one link; above that the link is given up.
pub const QUEUE_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Why a connection is closed, as the other side is told in QUIC's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseCode {
    /// Everything was said.
    Done,
    /// The other side sent what is no frame.
    Garbage,
    /// The other side does not keep up, or there is no room for it.
    Busy,
}

impl CloseCode {
    pub(super) fn apply(self, connection: &Connection) {
        let code: u32 = match self {
            Self::Done => 0,
            Self::Garbage => 1,
            Self::Busy => 2,
        };
        connection.close(VarInt::from_u32(code), b"");
    }
}

/// A connection whose stream is open.
pub(super) struct Open {
    pub(super) connection: Connection,
    pub(super) send: SendStream,
    pub(super) receive: RecvStream,
    pub(super) key: PublicKey,
    pub(super) dialled: bool,
}

/// The key that TLS proved for the other end.
pub(super) fn key_of(connection: &Connection) -> Option<PublicKey> {
    let identity = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    tls::key_of(Some(&identity))
}

/// Tells of the link, moves its frames, and closes it. Returns why it ended; telling so is the caller's, as the last
/// thing about this link.
pub(super) async fn run(
    bulk: &Bulk,
    open: Open,
    outgoing: &Arc<Outgoing>,
    inputs: &BatchSender,
    accepted: &AcceptedSender,
) -> LinkEnd {
    let Open { connection, mut send, receive, key, dialled } = open;
    let link = bulk.link();
    let address = socket::canonical(connection.remote_address());
    let up = Input::LinkUp { link, key, address, dialled };
    if inputs.send(Batch::Links(vec![up])).await.is_err() {
        CloseCode::Done.apply(&connection);
        return LinkEnd::Lost;
    }
    let read = read_frames(receive, |frame| Some(input(link, frame)), Batch::Links, inputs);
    let probing = Probing::new(&connection);
    let write = async {
        if write_frames(&mut send, outgoing, || probing.written()).await.is_ok() {
            // Closing before everything is acknowledged would take back what was written.
            let _ = send.stopped().await;
        } else {
            // The reader meets the same end, after what arrived before it.
            std::future::pending().await
        }
    };
    let end = tokio::select! {
        end = exchange(read, write, outgoing) => end,
        never = probing.run() => match never {},
        never = accept_all(bulk, accepted) => match never {},
    };
    let (code, end) = match end {
        End::Closed => (CloseCode::Done, LinkEnd::Closed),
        End::Garbage(error) => {
            tracing::debug!(%address, %error, "a link carried what is no frame");
            (CloseCode::Garbage, LinkEnd::Garbage)
        }
        End::Lost if outgoing.ending() == Some(Ending::Overflow) => (CloseCode::Busy, LinkEnd::Lost),
        End::Lost | End::Orphaned => (CloseCode::Done, LinkEnd::Lost),
    };
    code.apply(&connection);
    end
}

fn input(link: LinkId, frame: Result<PeerFrame, u16>) -> Input {
    match frame {
        Ok(frame) => Input::LinkFrame { link, frame: Box::new(frame) },
        Err(kind) => Input::LinkUnknown { link, kind },
    }
}

//! One connection: TLS, then frames both ways between its socket and the loop. It checks lengths and decodes; what a
//! frame means is the core's business.
//!
//! An idle connection has no buffer of its own: what is read lands on the stack and is kept only while a frame is not
//! whole; what is written is taken from the link and dropped when it is out. The handshake's state is dropped before
//! the small task starts that serves the connection.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use common::identity::PublicKey;
use common::limits::{FRAME_LOGIN_MAX_BYTES, FRAME_MAX_BYTES, LOGIN_TIMEOUT_MS};
use common::tls::{Alpn, alpn_matches, key_of};
use common::wire::directory::ToDirectory;
use common::wire::{self, Frame, FrameError, PAYLOAD_AT};
use directory_core::SessionId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::doors::{Newcomer, Place};
use crate::link::{Ending, Link};
use crate::metered::Metered;

/// Bytes that may come before the login is complete, the TLS handshake included.
pub const LOGIN_MAX_BYTES: usize = 16 * 1024;
/// A session that takes nothing of what is written to it for so long is closed.
pub const STUCK: Duration = Duration::from_secs(30);
/// How long a connection that we closed may still send before it is dropped.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes of one read.
const READ_BYTES: usize = 16 * 1024;
/// Plain bytes the TLS library may hold for one connection.
const TLS_BUFFER_BYTES: usize = 16 * 1024;

/// What a connection tells the loop.
#[derive(Debug)]
pub enum Arrival {
    /// TLS is done.
    Opened {
        /// Its number.
        session: SessionId,
        /// Whose key the other end has proved.
        key: PublicKey,
        /// Where it comes from.
        address: SocketAddr,
        /// The way back.
        link: Arc<Link>,
    },
    /// Frames came, in this order.
    Frames {
        /// From whom.
        session: SessionId,
        /// What.
        frames: Vec<Incoming>,
    },
    /// The connection is gone.
    Closed {
        /// Which.
        session: SessionId,
    },
}

/// One frame, or what came instead.
#[derive(Debug)]
pub enum Incoming {
    /// A frame.
    Frame(ToDirectory),
    /// A frame of a kind unknown here.
    Unknown(u16),
    /// No frame; nothing after it is read.
    Bad,
}

/// A connection that was accepted.
pub struct Accepted {
    /// Its number, never used twice.
    pub session: SessionId,
    /// Where it comes from, IPv4 never mapped into IPv6.
    pub address: SocketAddr,
    /// Shared with the loop.
    pub link: Arc<Link>,
    /// Its descriptor.
    pub place: Place,
    /// Held until the login is complete.
    pub newcomer: Newcomer,
    /// To the loop.
    pub arrivals: mpsc::Sender<Arrival>,
}

/// Does the TLS handshake, then leaves the connection to a task of its own.
pub async fn greet(accepted: Accepted, socket: TcpStream, acceptor: TlsAcceptor) {
    let deadline = Instant::now() + Duration::from_millis(LOGIN_TIMEOUT_MS);
    let _ = socket.set_nodelay(true);
    let handshake = acceptor.accept(Metered::new(socket, LOGIN_MAX_BYTES));
    let tls = tokio::select! {
        tls = handshake => tls,
        () = accepted.link.ended() => return,
        () = sleep_until(deadline) => return,
    };
    let (tls, key) = match tls.and_then(proven) {
        Ok(proven) => proven,
        Err(error) => return tracing::debug!(session = accepted.session.0, %error, "no TLS"),
    };
    tokio::spawn(serve(accepted, Box::new(tls), key, Box::pin(sleep_until(deadline))));
}

fn proven(mut tls: TlsStream<Metered>) -> io::Result<(TlsStream<Metered>, PublicKey)> {
    let connection = tls.get_mut().1;
    connection.set_buffer_limit(Some(TLS_BUFFER_BYTES));
    if !alpn_matches(connection.alpn_protocol(), Alpn::Directory) {
        return Err(io::Error::other("the other end does not speak this protocol"));
    }
    let key = key_of(connection.peer_certificates()).ok_or_else(|| io::Error::other("the key is not a usable one"))?;
    Ok((tls, key))
}

async fn serve(accepted: Accepted, tls: Box<TlsStream<Metered>>, key: PublicKey, login: Pin<Box<Sleep>>) {
    let Accepted { session, address, link, place, newcomer, arrivals } = accepted;
    let login = Some((login, newcomer));
    let mut wire = Wire { tls, link, inbox: Vec::new(), outbox: Vec::new(), out: 0, login, stuck: None, deaf: false };
    let opened = Arrival::Opened { session, key, address, link: wire.link.clone() };
    if arrivals.send(opened).await.is_err() {
        return;
    }
    loop {
        match poll_fn(|context| wire.poll(context)).await {
            // Nobody listens any more when the server stops; what waits for this session still goes out.
            Turn::Frames(frames) => {
                wire.deaf |= arrivals.send(Arrival::Frames { session, frames }).await.is_err();
            }
            Turn::Gone => break,
            Turn::Ended => {
                wire.linger().await;
                break;
            }
        }
    }
    let _ = arrivals.send(Arrival::Closed { session }).await;
    drop(place);
}

/// What made a connection's task run.
enum Turn {
    /// Frames came.
    Frames(Vec<Incoming>),
    /// The other end is gone, stuck, late, or to be dropped.
    Gone,
    /// Everything is written, and the connection is to end.
    Ended,
}

/// A connection between its handshake and its end.
struct Wire {
    tls: Box<TlsStream<Metered>>,
    link: Arc<Link>,
    /// The beginning of a frame that is not whole yet.
    inbox: Vec<u8>,
    /// Bytes being written, from `out` on.
    outbox: Vec<u8>,
    out: usize,
    /// Until the login is complete: when it must be, and the count among newcomers.
    login: Option<(Pin<Box<Sleep>>, Newcomer)>,
    /// While the socket takes nothing: when that has lasted too long.
    stuck: Option<Pin<Box<Sleep>>>,
    /// What came last was no frame: nothing more is read.
    deaf: bool,
}

impl Wire {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Turn> {
        let glance = self.link.glance(context);
        if glance.ending == Some(Ending::Now) {
            return Poll::Ready(Turn::Gone);
        }
        if glance.logged_in && self.login.take().is_some() {
            self.tls.get_mut().0.unlimited();
        }
        if let Some((deadline, _)) = &mut self.login
            && deadline.as_mut().poll_(context)
        {
            return Poll::Ready(Turn::Gone);
        }
        match self.poll_write(context) {
            Poll::Ready(Err(_)) => return Poll::Ready(Turn::Gone),
            Poll::Ready(Ok(())) if glance.ending.is_some() => return Poll::Ready(Turn::Ended),
            Poll::Ready(Ok(())) => self.stuck = None,
            Poll::Pending => {
                let stuck = self.stuck.get_or_insert_with(|| Box::pin(sleep(STUCK)));
                if stuck.as_mut().poll_(context) {
                    return Poll::Ready(Turn::Gone);
                }
            }
        }
        if self.deaf || glance.paused || glance.ending.is_some() {
            return Poll::Pending;
        }
        self.poll_frames(context, glance.logged_in)
    }

    /// Ready when everything that waits is out.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.out == self.outbox.len() {
                (self.outbox, self.out) = (self.link.take(), 0);
                if self.outbox.is_empty() {
                    return Pin::new(&mut *self.tls).poll_flush(context);
                }
            }
            let written = ready!(Pin::new(&mut *self.tls).poll_write(context, &self.outbox[self.out..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out += written;
            self.stuck = None;
        }
    }

    /// Reads until at least one frame is whole.
    fn poll_frames(&mut self, context: &mut Context<'_>, logged_in: bool) -> Poll<Turn> {
        let mut space = [const { MaybeUninit::uninit() }; READ_BYTES];
        loop {
            let mut buffer = ReadBuf::uninit(&mut space);
            let read = ready!(Pin::new(&mut *self.tls).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(Turn::Gone);
            }
            let limit = if logged_in { FRAME_MAX_BYTES } else { FRAME_LOGIN_MAX_BYTES };
            let frames = self.cut(buffer.filled(), limit);
            if !frames.is_empty() {
                return Poll::Ready(Turn::Frames(frames));
            }
        }
    }

    /// The whole frames in what was left over and `bytes`; keeps what is left over now.
    fn cut(&mut self, bytes: &[u8], limit: usize) -> Vec<Incoming> {
        let joined;
        let bytes = if self.inbox.is_empty() {
            bytes
        } else {
            self.inbox.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.inbox);
            &joined
        };
        let (frames, used) = decode(bytes, limit);
        self.deaf = matches!(frames.last(), Some(Incoming::Bad));
        if !self.deaf {
            self.inbox = bytes[used..].to_vec();
        }
        frames
    }

    /// Says goodbye and reads what still comes, so that the last frames are not lost in a reset connection.
    async fn linger(&mut self) {
        let goodbye = async {
            if poll_fn(|context| Pin::new(&mut *self.tls).poll_shutdown(context)).await.is_err() {
                return;
            }
            loop {
                let read = poll_fn(|context| {
                    let mut space = [0; 1024];
                    let mut buffer = ReadBuf::new(&mut space);
                    let read = ready!(Pin::new(&mut *self.tls).poll_read(context, &mut buffer));
                    Poll::Ready(read.is_ok() && !buffer.filled().is_empty())
                });
                if !read.await {
                    return;
                }
            }
        };
        let _ = timeout(LINGER, goodbye).await;
    }
}

/// The frames at the head of `bytes`, and how many bytes they take. [`Incoming::Bad`] is the last if it comes.
fn decode(bytes: &[u8], limit: usize) -> (Vec<Incoming>, usize) {
    let (mut frames, mut used) = (Vec::new(), 0);
    loop {
        let rest = &bytes[used..];
        let head = match wire::peek(rest, limit) {
            Ok(Some(head)) => head,
            Ok(None) => return (frames, used),
            Err(_) => {
                frames.push(Incoming::Bad);
                return (frames, used);
            }
        };
        used += head.frame_bytes;
        frames.push(match ToDirectory::decode(head.kind, &rest[PAYLOAD_AT..head.frame_bytes]) {
            Ok(frame) => Incoming::Frame(frame),
            Err(FrameError::Unsupported(kind)) => Incoming::Unknown(kind),
            Err(_) => {
                frames.push(Incoming::Bad);
                return (frames, used);
            }
        });
    }
}

/// Whether a timer has run out, with a wake-up when it does.
trait Due {
    fn poll_(self, context: &mut Context<'_>) -> bool;
}

impl Due for Pin<&mut Sleep> {
    fn poll_(self, context: &mut Context<'_>) -> bool {
        Future::poll(self, context).is_ready()
    }
}

#[cfg(test)]
mod tests {
    use common::wire::directory::Ping;

    use super::*;

    fn bytes(kinds: &[u16]) -> Vec<u8> {
        kinds.iter().flat_map(|kind| [&[0, 0, 0, 2][..], &kind.to_be_bytes()].concat()).collect()
    }

    #[test]
    fn frames_are_cut_wherever_the_bytes_break() {
        let mut whole = Vec::new();
        ToDirectory::from(Ping {}).encode_into(&mut whole);
        assert!(matches!(decode(&whole, 100), (frames, 6) if matches!(frames[..], [Incoming::Frame(_)])));
        for end in 0..whole.len() {
            assert!(matches!(decode(&whole[..end], 100), (frames, 0) if frames.is_empty()));
        }
    }

    #[test]
    fn an_unknown_kind_is_reported_and_what_follows_is_still_read() {
        let (frames, used) = decode(&bytes(&[0x7777, 0x0112]), 100);
        assert!(matches!(frames[..], [Incoming::Unknown(0x7777), Incoming::Frame(ToDirectory::Ping(_))]));
        assert_eq!(used, 12);
    }

    #[test]
    fn nothing_is_read_after_bytes_that_are_no_frame() {
        let long = [&bytes(&[0x0112])[..], &[0, 0, 1, 0]].concat();
        assert!(matches!(decode(&long, 100).0[..], [Incoming::Frame(_), Incoming::Bad]));
        let mut hello = bytes(&[0x0101]);
        hello.extend(bytes(&[0x0112]));
        assert!(matches!(decode(&hello, 100).0[..], [Incoming::Bad]));
    }
}

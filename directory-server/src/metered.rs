//! A TCP socket that may be read only so far until somebody says otherwise. It knows nothing of what the bytes mean.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The socket.
pub struct Metered {
    socket: TcpStream,
    /// Bytes that may still be read; none: any number.
    left: Option<usize>,
}

impl Metered {
    /// A socket from which at most `bytes` may be read.
    #[must_use]
    pub fn new(socket: TcpStream, bytes: usize) -> Self {
        Self { socket, left: Some(bytes) }
    }

    /// Lifts the bound.
    pub fn unlimited(&mut self) {
        self.left = None;
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(context, buffer))?;
        let read = buffer.filled().len() - before;
        match self.left {
            None => Poll::Ready(Ok(())),
            Some(left) if read <= left => {
                self.left = Some(left - read);
                Poll::Ready(Ok(()))
            }
            Some(_) => Poll::Ready(Err(io::Error::other("more bytes than a login may take"))),
        }
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    /// All that waits at once: who is refused is sent the alert together with what comes before it, or not at all.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

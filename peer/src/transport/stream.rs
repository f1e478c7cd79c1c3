//! Frames on a byte stream, whichever it is: reading in batches, writing all that waits in one go, and how the two end
//! together. Not here: what a frame means, and how the stream came to be.

use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use common::limits::FRAME_MAX_BYTES;
use common::wire::{Frame, FrameError, PAYLOAD_AT, peek};
use peer_core::event::Input;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::batch::{Batch, BatchSender};
use super::outgoing::{Ending, Outgoing};

/// A closed connection may flush so long.
pub(super) const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);
/// Bytes read at once from a busy stream, and from a quiet one: many links are idle, and none keeps a large buffer.
const READ_MAX_BYTES: usize = 32 * 1024;
const READ_MIN_BYTES: usize = 2 * 1024;

/// How an exchange of frames ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// As asked for from here.
    Closed,
    /// By the other side, by the network, or because the other side did not keep up.
    Lost,
    /// The other side sent this.
    Garbage(FrameError),
    /// The loop has left: nobody takes what is read.
    Orphaned,
}

/// Reads frames until the stream ends; `input` says what each is to the messenger (an unknown kind comes as its
/// number), `batch` wraps what came together. Waits while the loop does not take them, and does not read then.
pub(super) async fn read_frames<R, F>(
    mut reader: R,
    input: impl Fn(Result<F, u16>) -> Option<Input>,
    batch: impl Fn(Vec<Input>) -> Batch,
    inputs: &BatchSender,
) -> End
where
    R: AsyncRead + Unpin,
    F: Frame,
{
    let (mut buffer, mut room) = (BytesMut::new(), READ_MIN_BYTES);
    loop {
        if buffer.is_empty() && room == READ_MIN_BYTES && buffer.capacity() > READ_MAX_BYTES / 2 {
            buffer = BytesMut::new();
        }
        buffer.reserve(room);
        match reader.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return End::Lost,
            Ok(read) if read >= room => room = (room * 4).min(READ_MAX_BYTES),
            Ok(_) => room = READ_MIN_BYTES,
        }
        let mut found = Vec::new();
        let decoded = decode_all(&mut buffer, &input, &mut found);
        if !found.is_empty() && inputs.send(batch(found)).await.is_err() {
            return End::Orphaned;
        }
        if let Err(error) = decoded {
            return End::Garbage(error);
        }
    }
}

/// Moves every whole frame from `buffer` to `found`.
fn decode_all<F: Frame>(
    buffer: &mut BytesMut,
    input: &impl Fn(Result<F, u16>) -> Option<Input>,
    found: &mut Vec<Input>,
) -> Result<(), FrameError> {
    while let Some(head) = peek(buffer, FRAME_MAX_BYTES)? {
        let frame = match F::decode(head.kind, &buffer[PAYLOAD_AT..head.frame_bytes]) {
            Ok(frame) => Ok(frame),
            Err(FrameError::Unsupported(kind)) => Err(kind),
            Err(error) => return Err(error),
        };
        buffer.advance(head.frame_bytes);
        found.extend(input(frame));
    }
    Ok(())
}

/// Writes what is put into `outgoing`, everything that waits in one go, until an end is asked for; then ends the stream.
/// `before` is called before each write.
///
/// # Errors
/// Those of the stream.
pub(super) async fn write_frames<W: AsyncWrite + Unpin>(
    writer: &mut W,
    outgoing: &Outgoing,
    before: impl Fn(),
) -> io::Result<()> {
    let mut bytes = Vec::new();
    while outgoing.take(&mut bytes).await.is_some() {
        before();
        writer.write_all(&bytes).await?;
        writer.flush().await?;
    }
    writer.shutdown().await
}

/// Runs both directions until one of them or the loop ends them. A flush takes [`FLUSH_TIMEOUT`] at most.
pub(super) async fn exchange(
    read: impl Future<Output = End>,
    write: impl Future<Output = ()>,
    outgoing: &Outgoing,
) -> End {
    let time_is_up = async {
        if outgoing.ended().await == Ending::Flush {
            tokio::time::sleep(FLUSH_TIMEOUT).await;
        }
    };
    let end = tokio::select! {
        end = read => end,
        () = write => End::Lost,
        () = time_is_up => End::Lost,
    };
    match (outgoing.ending(), end) {
        (Some(Ending::Flush), _) => End::Closed,
        (_, end) => end,
    }
}

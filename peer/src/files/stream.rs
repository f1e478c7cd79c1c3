//! One frame on a stream of a file, within bounds, and why a stream is broken off. Not here: what follows a frame.

use common::wire::file::FileFrame;
use common::wire::{Frame, PAYLOAD_AT, peek};
use quinn::{RecvStream, SendStream, VarInt};

/// Most bytes of a frame on these streams.
pub(super) const FRAME_BYTES: usize = 4 * 1024;
/// Read at once where a frame is expected.
const READ_BYTES: usize = 512;

/// Why a stream is broken off, in QUIC's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reset {
    /// No reason that concerns the other end, which may ask again.
    Stopped,
    /// The file is not what was offered any more.
    Changed,
}

impl Reset {
    pub(super) fn code(self) -> VarInt {
        VarInt::from_u32(match self {
            Self::Stopped => 1,
            Self::Changed => 2,
        })
    }
}

/// Writes a frame. None: nobody takes it.
pub(super) async fn write(send: &mut SendStream, frame: &FileFrame) -> Option<()> {
    let mut bytes = Vec::new();
    frame.encode_into(&mut bytes);
    send.write_all(&bytes).await.ok()
}

/// Reads one frame, and what has come behind it. None: the stream has ended, or this is none.
pub(super) async fn read(receive: &mut RecvStream) -> Option<(FileFrame, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(head) = peek(&bytes, FRAME_BYTES).ok()? {
            let frame = FileFrame::decode(head.kind, &bytes[PAYLOAD_AT..head.frame_bytes]).ok()?;
            return Some((frame, bytes.split_off(head.frame_bytes)));
        }
        let chunk = receive.read_chunk(READ_BYTES, true).await.ok()??;
        bytes.extend_from_slice(&chunk.bytes);
    }
}

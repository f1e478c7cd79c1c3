//! Frames: `length: u32 BE ‖ kind: u16 BE ‖ payload`, where length counts kind and payload, and the
//! one list of kind numbers. The payload is the kind's value as [`codec`] encodes it.

use thiserror::Error;

pub mod codec;
pub mod directory;
pub mod file;
pub mod peer;

use codec::DecodeError;

/// Bytes of the length field.
pub const LENGTH_BYTES: usize = 4;
/// Bytes of the kind field.
pub const KIND_BYTES: usize = 2;
/// The protocol versions this build speaks, lowest and highest.
pub const VERSIONS: (u16, u16) = (1, 1);

/// Every kind number there is. A number is never reused.
pub mod kind {
    /// From a peer to its directory.
    pub mod to_directory {
        #![allow(missing_docs)]
        pub const HELLO: u16 = 0x0101;
        pub const CONFIRM_TOKEN: u16 = 0x0102;
        pub const REGISTER: u16 = 0x0103;
        pub const DEREGISTER: u16 = 0x0104;
        pub const ONLINE: u16 = 0x0105;
        pub const OFFLINE: u16 = 0x0106;
        pub const LOOK_UP: u16 = 0x0107;
        pub const WHO: u16 = 0x0108;
        pub const WATCH: u16 = 0x0109;
        pub const DEPOSIT: u16 = 0x010a;
        pub const WITHDRAW: u16 = 0x010b;
        pub const HAVE: u16 = 0x010c;
        pub const TAKE: u16 = 0x010d;
        pub const PUT_SLOT: u16 = 0x010e;
        pub const TAKE_SLOT: u16 = 0x010f;
        pub const ACCEPT: u16 = 0x0110;
        pub const PUBLISH_PREKEY: u16 = 0x0111;
        pub const PING: u16 = 0x0112;
        pub const SET_STANDING: u16 = 0x0113;
        pub const BROADCAST: u16 = 0x0114;
        pub const CHANGE_GROUP: u16 = 0x0115;
        pub const LOOK_UP_GROUP: u16 = 0x0116;
        pub const FOLLOW_GROUPS: u16 = 0x0117;
        pub const LIST_GROUPS: u16 = 0x0118;
        pub const BEGIN_FILE: u16 = 0x0119;
        pub const PUT_PIECE: u16 = 0x011a;
        pub const GET_PIECE: u16 = 0x011b;
        pub const DROP_FILE: u16 = 0x011c;
        pub const RESTORE_GROUP: u16 = 0x011d;
    }
    /// From a directory to a peer.
    pub mod from_directory {
        #![allow(missing_docs)]
        pub const WELCOME: u16 = 0x0201;
        pub const BEHIND: u16 = 0x0202;
        pub const REJECTED: u16 = 0x0203;
        pub const TOKEN_KEPT: u16 = 0x0204;
        pub const TAKEN_OVER: u16 = 0x0205;
        pub const DONE: u16 = 0x0206;
        pub const REFUSED: u16 = 0x0207;
        pub const REGISTERED: u16 = 0x0208;
        pub const PERSON: u16 = 0x0209;
        pub const PEOPLE: u16 = 0x020a;
        pub const PRESENCE: u16 = 0x020b;
        pub const DEPOSITED: u16 = 0x020c;
        pub const HAD: u16 = 0x020d;
        pub const ITEM: u16 = 0x020e;
        pub const DRAIN_BEGIN: u16 = 0x020f;
        pub const DRAIN_END: u16 = 0x0210;
        pub const SLOT: u16 = 0x0211;
        pub const NOT_OPENED: u16 = 0x0212;
        pub const PONG: u16 = 0x0213;
        pub const UNSUPPORTED: u16 = 0x0214;
        pub const BROADCAST_SENT: u16 = 0x0215;
        pub const SHOUTED: u16 = 0x0216;
        pub const GROUP_STEPS: u16 = 0x0217;
        pub const GROUP_NEWS: u16 = 0x0218;
        pub const GROUPS: u16 = 0x0219;
        pub const NOTICES: u16 = 0x021a;
        pub const FILE_ROOM: u16 = 0x021b;
        pub const PIECE: u16 = 0x021c;
    }
    /// Between peers.
    pub mod peer {
        #![allow(missing_docs)]
        pub const HELLO: u16 = 0x0301;
        pub const WELCOME: u16 = 0x0302;
        pub const ENVELOPE: u16 = 0x0303;
        pub const STATE: u16 = 0x0304;
        pub const CLOSE: u16 = 0x0305;
        pub const UNSUPPORTED: u16 = 0x0306;
    }
    /// Between peers, on a stream of its own for each file.
    pub mod file {
        #![allow(missing_docs)]
        pub const ASK: u16 = 0x0401;
        pub const ANSWER: u16 = 0x0402;
    }
}

/// Why bytes on a stream are not a frame.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The length field is over the limit of this stage of the connection, or under two.
    #[error("a frame of {length} bytes where 2 to {limit} are allowed")]
    Length {
        /// What the field says.
        length: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A kind this build does not know in this direction; to be answered, not fatal.
    #[error("frame kind {0:#06x} is not supported")]
    Unsupported(u16),
    /// The payload does not decode.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// A set of frames that travel in one direction.
pub trait Frame: Sized {
    /// The number of this frame's kind.
    fn kind(&self) -> u16;

    /// Appends the payload.
    fn payload(&self) -> Vec<u8>;

    /// The frame of `kind` that `payload` holds.
    ///
    /// # Errors
    /// [`FrameError::Unsupported`] or [`FrameError::Decode`].
    fn decode(kind: u16, payload: &[u8]) -> Result<Self, FrameError>;

    /// Appends the whole frame, length and kind included.
    fn encode_into(&self, out: &mut Vec<u8>) {
        let payload = self.payload();
        let length = (payload.len() + KIND_BYTES) as u32;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&self.kind().to_be_bytes());
        out.extend_from_slice(&payload);
    }
}

/// A frame's place at the head of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Kind number.
    pub kind: u16,
    /// Bytes of the whole frame, length field included.
    pub frame_bytes: usize,
}

/// Where the payload begins in a frame.
pub const PAYLOAD_AT: usize = LENGTH_BYTES + KIND_BYTES;

/// Looks at the head of `buffer`: none while the frame is not whole. The length is checked before anything is awaited
/// or allocated.
///
/// # Errors
/// [`FrameError::Length`] when the length field is out of `2..=limit`.
pub fn peek(buffer: &[u8], limit: usize) -> Result<Option<Head>, FrameError> {
    let Some(field) = buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = u32::from_be_bytes(*field) as usize;
    if length < KIND_BYTES || length > limit {
        return Err(FrameError::Length { length, limit });
    }
    let frame_bytes = LENGTH_BYTES + length;
    if buffer.len() < frame_bytes {
        return Ok(None);
    }
    let kind = u16::from_be_bytes([buffer[LENGTH_BYTES], buffer[LENGTH_BYTES + 1]]);
    Ok(Some(Head { kind, frame_bytes }))
}

/// Declares an enum of frames, one payload type a kind.
macro_rules! frames {
    ($(#[$meta:meta])* $set:ident in $kinds:ident { $($(#[$doc:meta])* $variant:ident($payload:ty) = $number:ident,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $set {
            $($(#[$doc])* $variant($payload),)*
        }

        impl $crate::wire::Frame for $set {
            fn kind(&self) -> u16 {
                match self {
                    $(Self::$variant(_) => $crate::wire::kind::$kinds::$number,)*
                }
            }

            fn payload(&self) -> Vec<u8> {
                match self {
                    $(Self::$variant(payload) => $crate::wire::codec::encode(payload),)*
                }
            }

            fn decode(kind: u16, payload: &[u8]) -> Result<Self, $crate::wire::FrameError> {
                match kind {
                    $($crate::wire::kind::$kinds::$number => Ok(Self::$variant($crate::wire::codec::decode(payload)?)),)*
                    other => Err($crate::wire::FrameError::Unsupported(other)),
                }
            }
        }

        $(impl From<$payload> for $set {
            fn from(payload: $payload) -> Self {
                Self::$variant(payload)
            }
        })*
    };
}
pub(crate) use frames;

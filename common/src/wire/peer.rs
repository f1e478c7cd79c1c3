//! Frames between two peers, on the one bidirectional stream of their QUIC connection, and the
//! parcels that carry the same content sealed through a directory.

use serde::{Deserialize, Serialize};

use super::frames;
use crate::message::{Envelope, Epoch, PairState};
use crate::record::Binding;

/// Opens a link: sent first by the dialler as `Hello`, answered by the same content as `Welcome`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// Lowest and highest protocol version spoken (in `Welcome`: the chosen one, twice).
    pub versions: (u16, u16),
    /// Feature bits both may use when both set them.
    pub features: u64,
    /// Random at each start of the program: another one means that the old link is dead.
    pub instance: [u8; 16],
    /// The sender's epoch.
    pub epoch: Epoch,
    /// The directory's word for the sender's name; none while unregistered.
    pub binding: Option<Binding>,
    /// The state of the pair, prekey included.
    pub state: PairState,
}

/// Payload of `Hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello(pub Greeting);

/// Payload of `Welcome`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome(pub Greeting);

/// Why a link is closed on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CloseReason {
    /// No common protocol version.
    Version,
    /// Two links between the same keys: the other one stays.
    Duplicate,
    /// Going offline.
    Leaving,
    /// The recipient takes nothing from this key.
    Blocked,
    /// The name shown could not be believed.
    Unnamed,
    /// Something no correct peer sends.
    Protocol,
    /// The store cannot take more now.
    Busy,
}

/// Payload of `Close`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    /// Why.
    pub reason: CloseReason,
}

/// The answer to a frame of an unknown kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsupported {
    /// The kind number that was not understood.
    pub kind: u16,
}

frames! {
    /// A frame between peers.
    PeerFrame in peer {
        /// First frame of the dialler.
        Hello(Hello) = HELLO,
        /// First frame of the listener.
        Welcome(Welcome) = WELCOME,
        /// One envelope.
        Envelope(Envelope) = ENVELOPE,
        /// What I hold, after each committed batch.
        State(PairState) = STATE,
        /// Last frame.
        Close(Close) = CLOSE,
        /// Answer to an unknown kind.
        Unsupported(Unsupported) = UNSUPPORTED,
    }
}

/// What is signed and sealed into a mailbox item: an envelope, and the directory's word for its sender's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// The envelope.
    pub envelope: Envelope,
    /// The sender's name, as the directory bound it.
    pub binding: Option<Binding>,
}

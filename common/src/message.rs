//! Envelopes and their acknowledgement: identifiers, epochs, lanes, [`PairState`]. What is inside stands in [`body`](crate::body).
//!
//! `docs/protocol.md` gives the meaning of every field. Nothing here decides; these are the words.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::identity::PublicKey;
use crate::record::PrekeyRecord;

/// A message's identifier: UUIDv7 (RFC 9562), growing within one store. One for every copy, path and retry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId(pub [u8; 16]);

impl MessageId {
    /// A UUIDv7 from milliseconds since 1970 (lower 48 bits used) and 74 random bits.
    #[must_use]
    pub fn new(unix_ms: u64, random: [u8; 10]) -> Self {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&random);
        bytes[6] = (bytes[6] & 0x0f) | 0x70;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// The milliseconds since 1970 it was made from.
    #[must_use]
    pub fn unix_ms(&self) -> u64 {
        let mut wide = [0; 8];
        wide[2..].copy_from_slice(&self.0[..6]);
        u64::from_be_bytes(wide)
    }

    /// What the directory may see of it: 8 bytes of a hash, enough to tell two apart.
    #[must_use]
    pub fn tag(&self) -> [u8; 8] {
        let mut tag = [0; 8];
        tag.copy_from_slice(&blake3::derive_key("homing/1 message tag", &self.0)[..8]);
        tag
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A store's epoch: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EpochId(pub [u8; 16]);

impl fmt::Debug for EpochId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0[..4]))
    }
}

/// An epoch with its generation: 1 + the highest heard from anyone when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// Grows with every new epoch of a key.
    pub generation: u64,
    /// Tells two epochs of one generation apart.
    pub id: EpochId,
}

/// Which conversation an envelope belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Conversation {
    /// The two people of the lane.
    Pair,
    /// A group: its random id and the membership version the sender knew.
    Group {
        /// Random, never reused.
        id: [u8; 16],
        /// Membership version at the time of sending.
        membership: u64,
    },
}

impl Conversation {
    /// The same conversation, whatever version of a group's membership was named.
    #[must_use]
    pub fn stable(self) -> Self {
        match self {
            Self::Pair => Self::Pair,
            Self::Group { id, .. } => Self::Group { id, membership: 0 },
        }
    }
}

/// An envelope's header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Who wrote it.
    pub sender: PublicKey,
    /// Whom it is for.
    pub recipient: PublicKey,
    /// The sender's epoch.
    pub epoch: Epoch,
    /// Place in the lane, from 1 in each epoch.
    pub seq: u64,
    /// Lowest seq of the lane that is not settled in the sender's committed store.
    pub floor: u64,
    /// The message's identity: dedupe, order, replies, status.
    pub id: MessageId,
    /// The sender's previous visible, not urgent message to this recipient in this conversation; none: unordered or first.
    pub after: Option<MessageId>,
    /// False for control and urgent messages: they are shown at once and order nothing.
    pub ordered: bool,
    /// Rings, is delivered first.
    pub urgent: bool,
    /// The conversation it enters.
    pub conversation: Conversation,
    /// The sender's clock, milliseconds since 1970. Shown, never used for order.
    pub sent_at_ms: i64,
    /// What the body is; see [`Body`](crate::body::Body).
    pub kind: u16,
}

/// A header and the bytes it describes. The body is opaque to what moves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The header.
    pub header: Header,
    /// The body, encoded as [`Body`](crate::body::Body) of `header.kind`.
    pub body: Vec<u8>,
}

/// The only acknowledgement, and everything one peer tells another about their two lanes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairState {
    /// Whose state this is.
    pub from: PublicKey,
    /// For whom.
    pub to: PublicKey,
    /// My epoch.
    pub epoch: Epoch,
    /// Grows with every state sent in this epoch; the newest by (generation, version) wins.
    pub version: u64,
    /// My lane's floor towards you.
    pub floor: u64,
    /// The last state of yours that I applied: (epoch, version).
    pub applied: Option<(Epoch, u64)>,
    /// What I hold of your lane; none when I hold no epoch of yours.
    pub held: Option<Held>,
    /// The last message of yours that was read, if I tell.
    pub read: Option<MessageId>,
    /// I take nothing from you.
    pub blocked: bool,
    /// My current prekey; on a direct link only when it changed since the hello.
    pub prekey: Option<PrekeyRecord>,
}

/// What a recipient holds of a sender's lane, from `floor` up to `top`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The epoch of yours that I follow.
    pub epoch: Epoch,
    /// The floor of yours that I applied. Nothing is said about seqs below it.
    pub floor: u64,
    /// Everything from `floor` up to here is held, except `missing`. `floor - 1` when nothing is.
    pub top: u64,
    /// Inclusive ranges of seqs in `floor..=top` that are not held, ascending, not touching.
    pub missing: Vec<(u64, u64)>,
    /// XOR of [`digest_of`] over all (seq, message id) held in `floor..=top`.
    pub digest: [u8; 8],
}

impl Held {
    /// Whether `seq` is said to be held.
    #[must_use]
    pub fn covers(&self, seq: u64) -> bool {
        seq >= self.floor
            && seq <= self.top
            && !self.missing.iter().any(|(first, last)| (*first..=*last).contains(&seq))
    }
}

/// The digest's share of one held envelope.
#[must_use]
pub fn digest_of(seq: u64, id: &MessageId) -> [u8; 8] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&seq.to_be_bytes());
    bytes[8..].copy_from_slice(&id.0);
    let mut digest = [0; 8];
    digest.copy_from_slice(&blake3::hash(&bytes).as_bytes()[..8]);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_7_and_sorts_by_time() {
        let early = MessageId::new(1_700_000_000_000, [0xff; 10]);
        let late = MessageId::new(1_700_000_000_001, [0; 10]);
        assert!(early < late);
        assert_eq!(early.unix_ms(), 1_700_000_000_000);
        assert_eq!((early.0[6] >> 4, early.0[8] >> 6), (7, 2));
        assert_ne!(early.tag(), late.tag());
    }

    #[test]
    fn held_covers_what_is_neither_missing_nor_outside() {
        let epoch = Epoch { generation: 1, id: EpochId([0; 16]) };
        let held = Held { epoch, floor: 3, top: 9, missing: vec![(5, 6)], digest: [0; 8] };
        let covered: Vec<u64> = (1..12).filter(|seq| held.covers(*seq)).collect();
        assert_eq!(covered, [3, 4, 7, 8, 9]);
    }
}

//! Without room on the disk: nothing new is stored, so nothing new is promised or acknowledged. What comes from others
//! waits in memory as far as that goes, and at its sender and the directory in any case. What makes room or only notes
//! what is known goes on.

use std::collections::{BTreeSet, VecDeque};

use common::identity::PublicKey;
use common::message::{Envelope, MessageId};

use super::Messenger;
use crate::command::{CommandError, ErrorCode};
use crate::event::{CommandId, Event, Output};
use crate::limits::{PARKED_DIRECT_MAX, PARKED_DIRECT_MAX_BYTES, PARKED_ITEMS_MAX};
use crate::stored::Via;

/// An envelope that came while there was no room.
#[derive(Debug)]
struct Parked {
    sender: PublicKey,
    envelope: Envelope,
    via: Via,
    waited: bool,
    item: Option<u64>,
}

/// All of them, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Lot {
    waiting: VecDeque<Parked>,
    known: BTreeSet<(PublicKey, MessageId, Option<u64>)>,
    /// Of those that came on links.
    direct_bytes: usize,
    direct: usize,
    /// Mail was let go that this session with the directory does not hand out again.
    missed: bool,
}

impl Lot {
    fn park(&mut self, parked: Parked) {
        let bytes = parked.envelope.body.len();
        let full = match parked.item {
            Some(_) => self.waiting.len() - self.direct >= PARKED_ITEMS_MAX,
            None => self.direct >= PARKED_DIRECT_MAX || self.direct_bytes + bytes > PARKED_DIRECT_MAX_BYTES,
        };
        if full {
            self.missed |= parked.item.is_some();
            return;
        }
        if self.known.insert((parked.sender, parked.envelope.header.id, parked.item)) {
            if parked.item.is_none() {
                self.direct += 1;
                self.direct_bytes += bytes;
            }
            self.waiting.push_back(parked);
        }
    }

    /// What the next session with the directory hands out again.
    pub(super) fn forget_items(&mut self) {
        self.missed = false;
        self.waiting.retain(|parked| parked.item.is_none());
        self.known.retain(|(_, _, item)| item.is_none());
    }
}

impl Messenger {
    pub(super) fn on_disk_free(&mut self, free_bytes: u64, total_bytes: u64) {
        if !self.room.tell(free_bytes, total_bytes) {
            return;
        }
        if self.room.is_full() {
            self.tell(Event::Error(no_room()));
            return;
        }
        let lot = std::mem::take(&mut self.lot);
        for Parked { sender, envelope, via, waited, item } in lot.waiting {
            self.arrive(sender, envelope, via, waited, item);
        }
        if lot.missed {
            self.out.push_back(Output::DirectoryClose);
            self.directory_lost();
        }
    }

    /// Whether a message must not be queued now; then the command is answered.
    pub(super) fn lacks_room(&mut self, id: CommandId) -> bool {
        if self.room.is_full() {
            self.reply(id, Err(no_room()));
        }
        self.room.is_full()
    }

    /// Keeps an envelope until there is room, unacknowledged.
    pub(super) fn park(&mut self, sender: PublicKey, envelope: Envelope, via: Via, waited: bool, item: Option<u64>) {
        self.lot.park(Parked { sender, envelope, via, waited, item });
    }
}

fn no_room() -> CommandError {
    let message =
        "the disk is nearly full, so no message can be sent or received; it goes on by itself when there is room";
    CommandError::new(ErrorCode::StoreFull, message)
}

#[cfg(test)]
mod tests {
    use common::message::{Conversation, Epoch, EpochId, Header};

    use super::*;

    fn parked(seq: u64, bytes: usize, item: Option<u64>) -> Parked {
        let (sender, mut id) = (PublicKey([1; 32]), [0; 16]);
        id[..8].copy_from_slice(&seq.to_be_bytes());
        let header = Header {
            sender,
            recipient: PublicKey([2; 32]),
            epoch: Epoch { generation: 1, id: EpochId([3; 16]) },
            seq,
            floor: 1,
            id: MessageId(id),
            after: None,
            ordered: true,
            urgent: false,
            conversation: Conversation::Pair,
            sent_at_ms: 0,
            kind: 1,
        };
        let envelope = Envelope { header, body: vec![0; bytes] };
        Parked { sender, envelope, via: Via::Direct, waited: false, item }
    }

    #[test]
    fn what_waits_for_room_is_bounded_and_waits_once() {
        let mut lot = Lot::default();
        for seq in 0..PARKED_DIRECT_MAX as u64 + 10 {
            lot.park(parked(seq, 1, None));
            lot.park(parked(seq, 1, None));
        }
        assert_eq!(lot.waiting.len(), PARKED_DIRECT_MAX);
        for item in 0..PARKED_ITEMS_MAX as u64 {
            lot.park(parked(item, 1, Some(item)));
        }
        assert!(!lot.missed);
        lot.park(parked(0, 1, Some(u64::MAX)));
        assert!(lot.missed);
        assert_eq!(lot.waiting.len(), PARKED_DIRECT_MAX + PARKED_ITEMS_MAX);
        lot.forget_items();
        assert_eq!((lot.waiting.len(), lot.missed), (PARKED_DIRECT_MAX, false));
    }

    #[test]
    fn what_waits_for_room_is_bounded_in_bytes() {
        let mut lot = Lot::default();
        for seq in 0..1_000 {
            lot.park(parked(seq, 16 * 1024, None));
        }
        assert_eq!(lot.waiting.len(), PARKED_DIRECT_MAX_BYTES / (16 * 1024));
    }
}

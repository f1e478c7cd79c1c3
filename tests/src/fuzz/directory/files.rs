//! What the sessions of the directory's target do with files in pieces, and what they may be answered.

use std::collections::{BTreeMap, BTreeSet};

use common::identity::PublicKey;
use common::message::MessageId;
use common::piece::{OVERHEAD_BYTES, count, sealed_bytes};
use common::wire::directory::{self as wire, FromDirectory, ToDirectory};
use directory_core::SessionId;

use super::PEOPLE;
use crate::fuzz::Input;

/// A file: who hands it over, for whom, which offer.
type File = (PublicKey, PublicKey, MessageId);

/// What was asked about files and handed over.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Answers that a session may still get, about how far a file is and with pieces.
    open: BTreeMap<SessionId, (usize, usize)>,
    /// Everything ever handed over as a piece.
    handed: BTreeMap<(File, u32), BTreeSet<Vec<u8>>>,
    /// The pieces of each file that may ever have been wanted, by the numbers it was begun with.
    begun: BTreeMap<File, u32>,
}

impl Files {
    /// `key` says something in its session.
    pub(super) fn asked(&mut self, session: SessionId, key: PublicKey, frame: &ToDirectory) {
        let (rooms, pieces) = self.open.entry(session).or_default();
        match frame {
            ToDirectory::BeginFile(frame) => {
                *rooms += 1;
                let most = self.begun.entry((key, frame.recipient, frame.offer)).or_default();
                *most = frame.pieces.max(*most);
            }
            ToDirectory::PutPiece(frame) => {
                *rooms += 1;
                let piece = ((key, frame.recipient, frame.offer), frame.index);
                self.handed.entry(piece).or_default().insert(frame.sealed.clone());
            }
            ToDirectory::GetPiece(_) => *pieces += 1,
            _ => {}
        }
    }

    /// `key` is told something in its session.
    pub(super) fn answered(&mut self, session: SessionId, key: PublicKey, frame: &FromDirectory) {
        match frame {
            FromDirectory::FileRoom(frame) => {
                let (rooms, _) = self.open.entry(session).or_default();
                *rooms = rooms.checked_sub(1).expect("an answer for each question about a file, no more");
                let most = self.begun.get(&(key, frame.recipient, frame.offer)).copied().unwrap_or(0);
                assert!(frame.refusal.is_some() || frame.next <= most, "{frame:?} of {most}");
            }
            FromDirectory::Piece(frame) => {
                let (_, pieces) = self.open.entry(session).or_default();
                *pieces = pieces.checked_sub(1).expect("a piece for each that was asked for, no more");
                let piece = ((frame.submitter, key, frame.offer), frame.index);
                if let Some(sealed) = &frame.sealed {
                    let handed = self.handed.get(&piece).is_some_and(|handed| handed.contains(sealed));
                    assert!(handed, "a piece that nobody handed over for this key");
                }
            }
            _ => {}
        }
    }
}

/// A frame about files of one who may be logged in.
pub(super) fn some_file(input: &mut Input<'_>) -> ToDirectory {
    let (one, other) = (PEOPLE[input.below(PEOPLE.len())].0, PEOPLE[input.below(PEOPLE.len())].0);
    let offer = MessageId([input.byte() % 2; 16]);
    match input.below(8) {
        0 => wire::Accept { keys: vec![one, other] }.into(),
        1 | 2 => {
            let size = input.pick(&[0, 10, 33_000, 100_000, 10 << 20, (10 << 20) + 1]);
            let (mut bytes, mut pieces) = (sealed_bytes(size), count(size).expect("few"));
            if input.below(8) == 0 {
                (bytes, pieces) = (input.number(), u32::try_from(input.number()).unwrap_or(u32::MAX));
            }
            wire::BeginFile { recipient: one, offer, bytes, pieces }.into()
        }
        3..=5 => {
            let length = input.pick(&[OVERHEAD_BYTES + 5, OVERHEAD_BYTES, 32_808, 39, 32_833]);
            let (index, sealed) = (u32::from(input.byte() % 5), vec![input.byte(); length]);
            wire::PutPiece { recipient: one, offer, index, sealed }.into()
        }
        6 => {
            let index = u32::try_from(input.number()).unwrap_or(u32::MAX);
            wire::GetPiece { submitter: one, offer, index: if input.flag() { index % 5 } else { index } }.into()
        }
        _ => wire::DropFile { submitter: one, recipient: other, offer }.into(),
    }
}

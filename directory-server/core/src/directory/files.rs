//! Files in sealed pieces, as sessions hand them over and ask for them. What there is room for is checked by the store in the
//! transaction that keeps it; here it is checked what no file and no piece can be.

use common::identity::PublicKey;
use common::limits::PIECE_SEALED_MAX_BYTES;
use common::message::MessageId;
use common::piece;
use common::wire::directory::{BeginFile, DropFile, FileRoom, GetPiece, Piece, PutPiece, Refusal};

use super::requests::Request;
use super::{Asked, Directory};
use crate::event::{BeginFileOp, FileOp, PutPieceOp, SessionId, StoreOp};
use crate::quota::Room;

/// The file that an answer is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    recipient: PublicKey,
    offer: MessageId,
    /// What its submitter takes for the next piece: all that is known when the store does not even look.
    pub next: u32,
}

/// The piece that somebody waits for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    submitter: PublicKey,
    offer: MessageId,
    index: u32,
}

impl Request {
    pub(super) fn begin_file(self, to: &mut Directory, begin: BeginFile) {
        let file = Named { recipient: begin.recipient, offer: begin.offer, next: 0 };
        if !is_a_file(&begin) {
            return to.file_room(self.session, &file, 0, Some(Refusal::Invalid));
        }
        let (may_grow, limits) = (to.room == Room::Ample, to.limits.files);
        let op = BeginFileOp { submitter: self.key, begin, may_grow, now_ms: self.now.wall_ms, limits };
        self.ask(to, Asked::Room(file), StoreOp::File(FileOp::Begin(Box::new(op))));
    }

    pub(super) fn put_piece(self, to: &mut Directory, put: PutPiece) {
        let file = Named { recipient: put.recipient, offer: put.offer, next: put.index };
        let refusal = if put.sealed.len() > PIECE_SEALED_MAX_BYTES {
            Some(Refusal::TooLarge { limit: PIECE_SEALED_MAX_BYTES as u64 })
        } else {
            (put.sealed.len() < piece::OVERHEAD_BYTES).then_some(Refusal::Invalid)
        };
        if refusal.is_some() {
            return to.file_room(self.session, &file, file.next, refusal);
        }
        let op = PutPieceOp { submitter: self.key, put, may_grow: to.room == Room::Ample };
        self.ask(to, Asked::Room(file), StoreOp::File(FileOp::Put(Box::new(op))));
    }

    pub(super) fn get_piece(self, to: &mut Directory, frame: &GetPiece) {
        let GetPiece { submitter, offer, index } = *frame;
        let op = FileOp::Get { recipient: self.key, submitter, offer, index };
        self.ask(to, Asked::Piece(Wanted { submitter, offer, index }), StoreOp::File(op));
    }

    /// Who is neither its submitter nor its recipient has no such file, and the store is not even asked.
    pub(super) fn drop_file(self, to: &mut Directory, frame: &DropFile) {
        let DropFile { submitter, recipient, offer } = *frame;
        if [submitter, recipient].contains(&self.key) {
            let op = FileOp::Drop { key: self.key, submitter, recipient, offer };
            self.ask(to, Asked::Quiet, StoreOp::File(op));
        }
    }
}

/// Whether a file can have so many pieces of so many sealed bytes in all: the one follows from the other.
fn is_a_file(begin: &BeginFile) -> bool {
    let overhead = u64::from(begin.pieces) * piece::OVERHEAD_BYTES as u64;
    let plain = begin.bytes.checked_sub(overhead);
    plain.is_some_and(|bytes| piece::count(bytes) == Some(begin.pieces))
}

impl Directory {
    pub(super) fn file_room(&mut self, session: SessionId, file: &Named, next: u32, refusal: Option<Refusal>) {
        let Named { recipient, offer, next: _ } = *file;
        self.send(session, FileRoom { recipient, offer, next, refusal });
    }

    pub(super) fn piece(&mut self, session: SessionId, wanted: &Wanted, sealed: Option<Vec<u8>>) {
        let Wanted { submitter, offer, index } = *wanted;
        self.send(session, Piece { submitter, offer, index, sealed });
    }
}

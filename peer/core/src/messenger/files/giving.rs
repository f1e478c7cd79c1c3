//! An own file goes: to who asks for it on a link, and to the directory for who does not come for it.

use common::body::{FileFault, FileSaying};
use common::identity::PublicKey;
use common::message::MessageId;
use common::piece;
use common::wire::directory::{BeginFile, FileRoom, PutPiece, Refusal, ToDirectory};

use super::{FileKey, Flow, Open, RETRY_MAX_MS, key_of};
use crate::event::{FileJob, FileSource, FileStop, LinkId, Output, Serving, Ticket};
use crate::messenger::{Messenger, Then};
use crate::stored::{FileRow, FileState, State, StoreOp, Via};
use crate::timers::Timer;

/// Files that are given at once on links.
const GIVING_MAX: usize = 8;
/// Files that go to the directory at once; more wait.
const LEAVING_MAX: usize = 2;

fn source(row: &FileRow) -> Option<FileSource> {
    let path = row.path.clone()?;
    Some(FileSource { path, size: row.file.size, blake3: row.file.blake3, stamp: row.stamp })
}

impl Messenger {
    /// Somebody asks for a file on a link: whoever it was offered to gets it.
    pub(super) fn on_file_asked(&mut self, serving: Serving, link: LinkId, offer: MessageId) {
        let other = self.links.of(link).map(|state| state.key);
        let key = other.map(|other| FileKey { author: self.config.me, offer, other });
        let known = key.filter(|key| self.may_talk() && !self.is_blocked(&key.other));
        let found = known.and_then(|key| self.files.open.get(&key).map(|open| (key, open.flow, source(&open.row))));
        let Some((key, flow, Some(source))) = found else {
            self.out.push_back(Output::File(FileJob::Refuse { serving, later: false }));
            return;
        };
        let giving = self.files.count(|flow| matches!(flow, Flow::Serving(_)));
        match flow {
            // Whoever asks again has lost the stream before.
            Flow::Serving(before) => self.out.push_back(Output::File(FileJob::StopServing { serving: before })),
            _ if giving >= GIVING_MAX => {
                self.out.push_back(Output::File(FileJob::Refuse { serving, later: true }));
                return;
            }
            _ => {}
        }
        if let Some(open) = self.files.open.get_mut(&key) {
            open.flow = Flow::Serving(serving);
            open.via = Some(Via::Direct);
            (open.told, open.rate) = (None, None);
        }
        self.out.push_back(Output::File(FileJob::Serve { serving, source }));
    }

    /// A stream has ended. That the file arrived is the recipient's to say.
    pub(super) fn on_served(&mut self, serving: Serving, result: Result<(), FileStop>) {
        let Some(key) = self.files.by_serving(serving) else { return };
        if let Some(open) = self.files.open.get_mut(&key) {
            open.flow = Flow::Idle;
            // They ask again, or say that they have it.
            open.retry_at_ms = self.now.mono_ms + RETRY_MAX_MS;
        }
        self.timers.set_by(Timer::Files, self.now.mono_ms + RETRY_MAX_MS);
        if let Err(FileStop::Fault(fault)) = result {
            self.give_up_file(key, fault);
        }
    }

    /// The message that offers an own file has come to its end. Without having arrived, it offers nothing any more.
    pub(in crate::messenger) fn offer_settled(&mut self, other: PublicKey, offer: MessageId, state: State) {
        let key = FileKey { author: self.config.me, offer, other };
        match state {
            State::Refused => self.ended_there(key, FileState::Declined),
            State::Expired => self.ended_there(key, FileState::Cancelled),
            State::Queued | State::Kept | State::Held | State::Delivered | State::Read | State::Cancelled => {}
        }
    }

    /// The user has put another key in the place of the one that a file was offered to, and the offer goes there.
    pub(in crate::messenger) fn offer_moves(&mut self, offer: MessageId, from: PublicKey, to: PublicKey) {
        let key = FileKey { author: self.config.me, offer, other: from };
        let Some(row) = self.files.open.get(&key).map(|open| open.row.clone()) else { return };
        self.ended_there(key, FileState::Cancelled);
        let row = FileRow { other: to, state: FileState::Offered, reason: None, kept: false, ..row };
        self.store(StoreOp::PutFile(Box::new(row.clone())), Then::Nothing);
        self.files.open.insert(key_of(&row), Open::new(row));
    }

    /// An own file is not what was offered any more, or cannot be read.
    fn give_up_file(&mut self, key: FileKey, fault: FileFault) {
        self.say_of_file(key, FileSaying::Failed(fault));
        self.settle_file(key, FileState::Failed, Some(fault));
    }

    /// The next step of an own file on its way to the directory.
    pub(super) fn leave_at_directory(&mut self, key: FileKey) {
        let Some(open) = self.files.open.get(&key) else { return };
        let row = &open.row;
        // What one directory kept may be lost there, or was kept by another one: each session asks once.
        let known = row.kept && open.shelved.is_some();
        if row.n == 0 || known || !row.state.is_open() || !self.session.is_logged_in() {
            return;
        }
        let Some(pieces) = piece::count(row.file.size) else { return };
        let leaving = self.files.count(|flow| matches!(flow, Flow::Putting | Flow::Reading(..)));
        if leaving >= LEAVING_MAX {
            self.timers.set_by(Timer::Files, self.now.mono_ms + super::RETRY_MIN_MS);
            return;
        }
        let (bytes, recipient, offer) = (piece::sealed_bytes(row.file.size), key.other, key.offer);
        self.puts(key);
        self.send_directory(ToDirectory::BeginFile(BeginFile { recipient, offer, bytes, pieces }));
    }

    fn puts(&mut self, key: FileKey) {
        if let Some(open) = self.files.open.get_mut(&key) {
            open.flow = Flow::Putting;
        }
    }

    pub(in crate::messenger) fn on_file_room(&mut self, room: &FileRoom) {
        let key = FileKey { author: self.config.me, offer: room.offer, other: room.recipient };
        let Some(open) = self.files.open.get_mut(&key).filter(|open| open.flow == Flow::Putting) else { return };
        open.flow = Flow::Idle;
        let pieces = piece::count(open.row.file.size);
        if let Some(refusal) = &room.refusal {
            return self.not_kept(key, refusal);
        }
        let further = open.shelved.is_none_or(|before| room.next > before);
        open.shelved = Some(room.next);
        if !open.row.state.is_open() {
            return;
        }
        if pieces == Some(room.next) {
            return self.file_is_kept(key, true);
        }
        if open.row.kept {
            // It was, and is not any more.
            self.file_is_kept(key, false);
        }
        let Some(open) = self.files.open.get_mut(&key) else { return };
        let Some(source) = source(&open.row) else { return };
        if !further {
            // It says the same again: a directory that goes nowhere is not asked without a pause.
            return self.file_pauses(key);
        }
        let (file_key, index) = (open.row.file.key, room.next);
        let ticket = self.ticket();
        if let Some(open) = self.files.open.get_mut(&key) {
            open.flow = Flow::Reading(ticket, index);
        }
        let job = FileJob::Read { ticket, source, offer: key.offer, key: file_key, index };
        self.out.push_back(Output::File(job));
    }

    pub(super) fn on_piece_read(&mut self, ticket: Ticket, piece: Result<Vec<u8>, FileFault>) {
        let Some(key) = self.files.by_ticket(ticket) else { return };
        let Some(open) = self.files.open.get_mut(&key) else { return };
        let Flow::Reading(_, index) = open.flow else { return };
        open.flow = Flow::Idle;
        match piece {
            Err(fault) => self.give_up_file(key, fault),
            Ok(_) if !open.row.state.is_open() => {}
            Ok(_) if !self.session.is_logged_in() => {}
            Ok(sealed) => {
                self.puts(key);
                let put = PutPiece { recipient: key.other, offer: key.offer, index, sealed };
                self.send_directory(ToDirectory::PutPiece(put));
            }
        }
    }

    /// All of it is on the directory's disk: the recipient can have it without this program. Or that is not so any more.
    fn file_is_kept(&mut self, key: FileKey, kept: bool) {
        let Some(open) = self.files.open.get_mut(&key).filter(|open| open.row.kept != kept) else { return };
        (open.row.kept, open.row.reason) = (kept, None);
        let row = open.row.clone();
        let view = self.file_view(&row, row.state);
        self.store(StoreOp::PutFile(Box::new(row)), Then::File(key, Box::new(view)));
    }

    /// The directory's word ends nothing: the file flows when both are there.
    fn not_kept(&mut self, key: FileKey, refusal: &Refusal) {
        let now_ms = self.now.mono_ms;
        let Some(open) = self.files.open.get_mut(&key) else { return };
        let fault = match refusal {
            Refusal::TooLarge { .. } => Some(FileFault::TooLarge),
            Refusal::DiskFull | Refusal::MailboxFull | Refusal::QuotaExceeded | Refusal::StrangersFull => {
                Some(FileFault::DiskFull)
            }
            _ => None,
        };
        let news = fault.is_some() && open.row.reason != fault;
        open.row.reason = fault.or(open.row.reason);
        open.tries = open.tries.max(6);
        open.pause(now_ms);
        let (at_ms, state) = (open.retry_at_ms, open.row.state);
        if matches!(refusal, Refusal::TooLarge { .. } | Refusal::NotAllowed) {
            // Not before another session.
            open.retry_at_ms = u64::MAX;
        } else {
            self.timers.set_by(Timer::Files, at_ms);
        }
        if news {
            // How it stands may be about to be committed: nothing is told before that.
            let Some(row) = self.files.open.get(&key).map(|open| open.row.clone()) else { return };
            let view = self.file_view(&row, state);
            self.store(StoreOp::PutFile(Box::new(row)), Then::File(key, Box::new(view)));
        }
    }
}

//! A file that was accepted comes: on a link where there is one, else piece by piece from the directory. Both fill the same
//! partial file from its beginning, so either may be left for the other.

use std::path::PathBuf;

use common::body::{FileFault, FileSaying};
use common::limits::PIECE_BYTES;
use common::piece;
use common::wire::directory::{GetPiece, Piece, ToDirectory};

use super::{FileKey, Flow};
use crate::event::{FileJob, FileStep, FileStop, FileTarget, Output, Ticket};
use crate::messenger::Messenger;
use crate::stored::{FileState, Via};

/// Files that come at once; more wait.
const COMING_MAX: usize = 4;

impl Messenger {
    /// The next step of an accepted file that nothing is under way with.
    pub(super) fn get_file(&mut self, key: FileKey) {
        let Some(open) = self.files.open.get(&key).filter(|open| open.row.state == FileState::Accepted) else { return };
        let (n, target) =
            (open.row.n, FileTarget { file: open.row.file.clone(), offer: key.offer, place: open.row.path.clone() });
        let coming = self.files.count(|flow| matches!(flow, Flow::Fetching(_) | Flow::Writing(_) | Flow::Asked(_)));
        if n == 0 || coming >= COMING_MAX {
            return;
        }
        let target = Box::new(target);
        if let Some(link) = self.links.open_to(&key.author) {
            let ticket = self.begin_flow(key, Flow::Fetching, Via::Direct);
            self.out.push_back(Output::File(FileJob::Fetch { ticket, link, target }));
            return;
        }
        let dials = self.dial(key.author);
        if self.session.is_logged_in() {
            let ticket = self.begin_flow(key, Flow::Writing, Via::Directory);
            self.out.push_back(Output::File(FileJob::Write { ticket, target, piece: None }));
        } else if !dials {
            self.file_pauses(key);
        } else if let Some(open) = self.files.open.get_mut(&key) {
            // A link that comes up ends the pause.
            open.pause(self.now.mono_ms);
        }
    }

    fn begin_flow(&mut self, key: FileKey, flow: impl Fn(Ticket) -> Flow, via: Via) -> Ticket {
        let ticket = self.ticket();
        if let Some(open) = self.files.open.get_mut(&key) {
            open.flow = flow(ticket);
            open.via = Some(via);
        }
        ticket
    }

    pub(super) fn on_fetched(&mut self, ticket: Ticket, result: Result<PathBuf, FileStop>) {
        let Some(key) = self.files.by_ticket(ticket) else { return };
        match result {
            Ok(path) => self.file_is_whole(key, path),
            Err(FileStop::Broken | FileStop::Later) => self.file_pauses(key),
            Err(FileStop::Stopped) => self.file_rests(key),
            Err(FileStop::Fault(fault)) => self.file_fails(key, fault),
        }
    }

    fn file_rests(&mut self, key: FileKey) {
        if let Some(open) = self.files.open.get_mut(&key) {
            open.flow = Flow::Idle;
        }
    }

    /// It lies there, compared and flushed. First that is committed, with what is said to its sender.
    fn file_is_whole(&mut self, key: FileKey, path: PathBuf) {
        let Some(open) = self.files.open.get_mut(&key) else { return };
        open.flow = Flow::Idle;
        open.bytes = open.row.file.size;
        open.row.path = Some(path);
        let pieces = piece::count(open.row.file.size);
        self.say_of_file(key, FileSaying::Done);
        if let Some(index) = pieces.filter(|_| self.session.is_logged_in()) {
            // What the directory has of it is not needed any more.
            self.ask_for_piece(key, index);
        }
        self.settle_file(key, FileState::Done, None);
    }

    /// It does not go on by itself; both keep what they have.
    pub(super) fn file_fails(&mut self, key: FileKey, fault: FileFault) {
        if let Some(open) = self.files.open.get_mut(&key) {
            open.flow = Flow::Idle;
            self.say_of_file(key, FileSaying::Failed(fault));
            self.settle_file(key, FileState::Failed, Some(fault));
        }
    }

    /// A piece is on the disk, or it was looked how far the file is.
    pub(super) fn on_piece_written(&mut self, ticket: Ticket, step: Result<FileStep, FileFault>) {
        let Some(key) = self.files.by_ticket(ticket) else { return };
        match step {
            Ok(FileStep::Whole(path)) => self.file_is_whole(key, path),
            Ok(FileStep::Next(index)) => {
                self.file_rests(key);
                self.file_flows(key, u64::from(index) * PIECE_BYTES);
                let accepted = self.files.open.get(&key).is_some_and(|open| open.row.state == FileState::Accepted);
                if !accepted {
                    return;
                }
                if self.links.open_to(&key.author).is_some() {
                    self.get_file(key);
                } else if self.session.is_logged_in() {
                    self.ask_for_piece(key, index);
                } else {
                    self.file_pauses(key);
                }
            }
            Err(fault) => self.file_fails(key, fault),
        }
    }

    fn ask_for_piece(&mut self, key: FileKey, index: u32) {
        if let Some(open) = self.files.open.get_mut(&key) {
            open.flow = Flow::Asked(index);
        }
        let get = GetPiece { submitter: key.author, offer: key.offer, index };
        self.send_directory(ToDirectory::GetPiece(get));
    }

    pub(in crate::messenger) fn on_piece(&mut self, piece: Piece) {
        let key = FileKey { author: piece.submitter, offer: piece.offer, other: piece.submitter };
        let Some(open) = self.files.open.get(&key).filter(|open| open.flow == Flow::Asked(piece.index)) else { return };
        if open.row.state != FileState::Accepted {
            return self.file_rests(key);
        }
        let Some(sealed) = piece.sealed else { return self.file_pauses(key) };
        let target =
            Box::new(FileTarget { file: open.row.file.clone(), offer: key.offer, place: open.row.path.clone() });
        let ticket = self.begin_flow(key, Flow::Writing, Via::Directory);
        let piece = Some((piece.index, sealed));
        self.out.push_back(Output::File(FileJob::Write { ticket, target, piece }));
    }
}

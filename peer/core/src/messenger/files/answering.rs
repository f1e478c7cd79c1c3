//! What the user says to a file, what the other side says, and what is offered to this user.

use std::path::PathBuf;

use common::body::{Body, FileSaying, FileWord};
use common::identity::PublicKey;
use common::message::Conversation;
use common::wire::directory::{DropFile, ToDirectory};

use super::{FileKey, Flow, Open, key_of};
use crate::command::ErrorCode;
use crate::event::{AcceptFrom, Answer, CommandId, FileJob, FileView, Output};
use crate::messenger::Messenger;
use crate::messenger::commands::Asked;
use crate::messenger::posting::{Post, Waiting};
use crate::stored::{FileRow, FileState, Query, StoreOp, StoredMessage};

/// Files of one person that may wait for an answer; what is offered beyond that cannot be accepted.
pub(super) const OFFERED_MAX: usize = 100;
/// While so many messages wait for somebody, their words about files are answered with none: they could fill the outbox.
const ANSWERS_WAITING_MAX: usize = 100;
/// Files that `!files` lists.
const LISTED_MAX: u32 = 100;

impl Messenger {
    pub(super) fn list_files(&mut self, id: CommandId) {
        self.query(Query::Files { count: LISTED_MAX }, Asked::Files { id });
    }

    pub(in crate::messenger) fn on_files_listed(&mut self, id: CommandId, rows: &[FileRow]) {
        let views = rows.iter().map(|row| self.file_view(row, self.present_state(row))).collect();
        self.done(id, Answer::Files(views));
    }

    fn present_state(&self, row: &FileRow) -> FileState {
        let flows = |open: &Open| matches!(open.flow, Flow::Fetching(_) | Flow::Serving(_) | Flow::Writing(_));
        let flows = self.files.open.get(&key_of(row)).is_some_and(flows);
        if flows && row.state.is_open() { FileState::Progress } else { row.state }
    }

    /// The row of a file that is offered by an arriving message, to be stored with it.
    pub(in crate::messenger) fn file_arrives(&mut self, message: &StoredMessage) -> Option<StoreOp> {
        let row = self.row_of(message)?;
        let waiting = self.files.open.keys().filter(|key| key.author == message.sender).count();
        (waiting < OFFERED_MAX).then(|| StoreOp::NewFile(Box::new(row)))
    }

    fn row_of(&self, message: &StoredMessage) -> Option<FileRow> {
        let Body::File(file) = Body::decode(message.kind, &message.body) else { return None };
        Some(FileRow {
            n: message.n,
            author: message.sender,
            offer: message.id,
            other: message.sender,
            conversation: message.conversation,
            file,
            path: None,
            stamp: 0,
            state: FileState::Offered,
            reason: None,
            via: None,
            kept: false,
            heard: None,
        })
    }

    /// A message that offers a file is committed, with its number.
    pub(in crate::messenger) fn file_arrived(&mut self, message: &StoredMessage) {
        let waiting = self.files.open.keys().filter(|key| key.author == message.sender).count();
        if let Some(row) = self.row_of(message).filter(|_| waiting < OFFERED_MAX) {
            self.files.open.insert(key_of(&row), Open::new(row));
        }
    }

    /// A message that offers a file was told: the rule of `--accept-from` may accept it.
    pub(in crate::messenger) fn file_told(&mut self, message: &StoredMessage) {
        let key = FileKey { author: message.sender, offer: message.id, other: message.sender };
        let offered = self.files.open.get(&key).is_some_and(|open| open.row.state == FileState::Offered);
        if offered && self.is_accepted_from(&message.sender) {
            self.accept(key, None);
        }
    }

    fn is_accepted_from(&self, sender: &PublicKey) -> bool {
        let Some(contact) = self.book.of(sender).filter(|_| !self.book.is_contested(sender)) else { return false };
        match &self.config.accept_from {
            AcceptFrom::Nobody => false,
            AcceptFrom::Contacts => contact.accepted,
            AcceptFrom::Verified => contact.verified,
            AcceptFrom::Names(names) => contact.name.as_ref().is_some_and(|name| names.contains(name)),
        }
    }

    /// The file of somebody else that message `n` offers; otherwise the command is answered.
    fn offered_by(&mut self, id: CommandId, n: u64) -> Option<FileKey> {
        let found = self.files.open.iter().find(|(_, open)| open.row.n == n).map(|(key, _)| *key);
        match found {
            Some(key) if key.author == self.config.me => {
                self.fail(id, ErrorCode::NotAllowed, format!("file {n} is yours: '!cancel {n}' takes it back"));
                None
            }
            Some(key) => Some(key),
            None => {
                let message = format!("message {n} offers no file that waits for you; '!files' lists them");
                self.fail(id, ErrorCode::NoSuchMessage, message);
                None
            }
        }
    }

    pub(super) fn accept_file(&mut self, id: CommandId, n: u64, place: Option<String>) {
        let Some(key) = self.offered_by(id, n).filter(|_| self.may_write(id, None)) else { return };
        if self.lacks_room(id) {
            return;
        }
        if self.files.open.get(&key).is_some_and(|open| open.row.state == FileState::Accepted) {
            self.fail(id, ErrorCode::NotAllowed, format!("file {n} is accepted already"));
            return;
        }
        let view = self.accept(key, place.map(PathBuf::from));
        self.answer_with_file(id, view);
    }

    fn accept(&mut self, key: FileKey, place: Option<PathBuf>) -> Option<FileView> {
        let open = self.files.open.get_mut(&key)?;
        let pair = open.row.conversation == Conversation::Pair;
        open.row.path = place;
        (open.retry_at_ms, open.tries) = (0, 0);
        if pair {
            // As an answer does.
            self.talked_with(key.author, true);
        }
        self.settle_file(key, FileState::Accepted, None);
        self.say_of_file(key, FileSaying::Accepted);
        self.view_of_open(key)
    }

    fn view_of_open(&self, key: FileKey) -> Option<FileView> {
        let row = &self.files.open.get(&key)?.row;
        Some(self.file_view(row, row.state))
    }

    /// Answers when what was said is committed.
    fn answer_with_file(&mut self, id: CommandId, view: Option<FileView>) {
        if let Some(view) = view {
            self.done_when_written(id, Answer::File(Box::new(view)));
        }
    }

    pub(super) fn decline_file(&mut self, id: CommandId, n: u64) {
        let Some(key) = self.offered_by(id, n).filter(|_| self.may_write(id, None)) else { return };
        match self.files.open.get(&key).map(|open| open.row.state) {
            Some(FileState::Accepted) => {
                self.fail(id, ErrorCode::NotAllowed, format!("file {n} is accepted: '!cancel {n}' stops it"));
            }
            _ => self.end_from_here(id, key, FileState::Declined, FileSaying::Declined),
        }
    }

    /// `!cancel N` of a file, either side's. False: `n` is no file that is open.
    pub(in crate::messenger) fn cancel_file(&mut self, id: CommandId, n: u64) -> bool {
        let of = |(key, open): (&FileKey, &Open)| (open.row.n == n && n > 0).then_some(*key);
        let keys: Vec<FileKey> = self.files.open.iter().filter_map(of).collect();
        let Some(first) = keys.first().copied() else { return false };
        for key in keys.into_iter().skip(1) {
            self.end_file(key, FileState::Cancelled, FileSaying::Cancelled);
        }
        self.end_from_here(id, first, FileState::Cancelled, FileSaying::Cancelled);
        true
    }

    /// An own message was taken back: nobody gets the file any more.
    pub(in crate::messenger) fn take_back_files(&mut self, n: u64) {
        let of = |(key, open): (&FileKey, &Open)| (open.row.n == n && n > 0).then_some(*key);
        let keys: Vec<FileKey> = self.files.open.iter().filter_map(of).collect();
        for key in keys {
            self.end_file(key, FileState::Cancelled, FileSaying::Cancelled);
        }
    }

    fn end_from_here(&mut self, id: CommandId, key: FileKey, state: FileState, saying: FileSaying) {
        let view = self.files.open.get(&key).map(|open| self.file_view(&open.row, state));
        self.end_file(key, state, saying);
        self.answer_with_file(id, view);
    }

    /// This user wants a file no more: the other side is told.
    fn end_file(&mut self, key: FileKey, state: FileState, saying: FileSaying) {
        self.stop_file(key);
        self.say_of_file(key, saying);
        self.settle_file(key, state, None);
    }

    /// Breaks off what flows. What is on the disk stays.
    fn stop_file(&mut self, key: FileKey) {
        match self.files.open.get(&key).map(|open| open.flow) {
            Some(Flow::Fetching(ticket)) => self.out.push_back(Output::File(FileJob::Stop { ticket })),
            Some(Flow::Serving(serving)) => self.out.push_back(Output::File(FileJob::StopServing { serving })),
            _ => {}
        }
    }

    pub(super) fn drop_at_directory(&mut self, key: FileKey) {
        if self.session.is_logged_in() {
            let recipient = if key.author == self.config.me { key.other } else { self.config.me };
            let drop = DropFile { submitter: key.author, recipient, offer: key.offer };
            self.send_directory(ToDirectory::DropFile(drop));
        }
    }

    /// The other side says what becomes of a file. Whose word counts for what is decided by who offered it.
    pub(in crate::messenger) fn file_word_arrived(&mut self, message: &StoredMessage, word: &FileWord) {
        self.store(StoreOp::Dismiss(vec![message.n]), crate::messenger::Then::Nothing);
        let key = FileKey { author: word.author, offer: word.offer, other: message.sender };
        let Some(open) = self.files.open.get_mut(&key) else {
            if word.author == self.config.me && word.saying == FileSaying::Accepted && self.may_answer(&message.sender)
            {
                self.say_it_is_over(message, word);
            }
            return;
        };
        if open.row.heard.is_some_and(|heard| heard > message.id) {
            // Words overtake each other: the last that was said counts.
            return;
        }
        open.row.heard = Some(message.id);
        let (state, reason) = (open.row.state, open.row.reason);
        let mine = key.author == self.config.me;
        match (word.saying, mine) {
            (FileSaying::Accepted, true) if state != FileState::Accepted => {
                self.settle_file(key, FileState::Accepted, None);
            }
            (FileSaying::Declined, true) => self.ended_there(key, FileState::Declined),
            (FileSaying::Done, true) => self.ended_there(key, FileState::Done),
            (FileSaying::Cancelled, _) => self.ended_there(key, FileState::Cancelled),
            // Both ends may have found it out by themselves: it is told once.
            (FileSaying::Failed(fault), _) if (state, reason) == (FileState::Failed, Some(fault)) => {}
            (FileSaying::Failed(fault), _) => {
                self.stop_file(key);
                if !mine && self.may_answer(&key.other) {
                    // An acceptance that was on its way would have the last word there.
                    self.say_of_file(key, FileSaying::Failed(fault));
                }
                self.settle_file(key, FileState::Failed, Some(fault));
            }
            // Nobody accepts, declines or has their own file.
            (FileSaying::Accepted | FileSaying::Declined | FileSaying::Done, _) => {}
        }
    }

    /// Whether a word is answered with a word: not without a bound.
    fn may_answer(&self, other: &PublicKey) -> bool {
        self.outbox.waiting_for(other) < ANSWERS_WAITING_MAX
    }

    /// Somebody wants an own file that is not offered any more: what was said of it may have come before the offer.
    fn say_it_is_over(&mut self, message: &StoredMessage, word: &FileWord) {
        let body = Body::FileWord(FileWord { saying: FileSaying::Cancelled, ..word.clone() });
        let (conversation, recipients) = (message.conversation, vec![message.sender]);
        self.post(Waiting::Nobody, Post { conversation, recipients, body, urgent: false, key: None, amends: None });
    }

    pub(super) fn ended_there(&mut self, key: FileKey, state: FileState) {
        self.stop_file(key);
        self.settle_file(key, state, None);
    }
}

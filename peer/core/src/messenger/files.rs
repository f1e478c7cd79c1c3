//! Files: offered, accepted, fetched, served, and left at the directory for who is away (decision 0020).

use common::body::FileWord;
use common::wire::directory::{FileRoom, Piece};

use super::Messenger;
use crate::command::{Command, ErrorCode};
use crate::event::{CommandId, FileNews};
use crate::stored::StoredMessage;

impl Messenger {
    pub(super) fn run_on_files(&mut self, id: CommandId, _command: Command) {
        self.fail(id, ErrorCode::Unsupported, "not yet");
    }

    pub(super) fn on_file(&mut self, _news: FileNews) {}

    pub(super) fn file_word_arrived(&mut self, _message: &StoredMessage, _word: &FileWord) {}

    pub(super) fn on_file_room(&mut self, _room: &FileRoom) {}

    pub(super) fn on_piece(&mut self, _piece: Piece) {}
}

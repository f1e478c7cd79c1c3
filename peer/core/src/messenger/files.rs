//! Files: which there are, how each stands, and what people are told of it (decision 0020). How they are offered, answered,
//! fetched and given stands in the parts; the bytes never come here.

mod answering;
mod fetching;
mod giving;
mod offering;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use common::body::{Body, FileFault, FileSaying, FileWord};
use common::identity::PublicKey;
use common::message::MessageId;

use self::offering::Measuring;
use super::posting::{Post, Waiting};
use super::view::offered;
use super::{Messenger, Then};
use crate::command::Command;
use crate::event::{CommandId, Event, FileNews, FileView, Serving, Ticket};
use crate::stored::{FileRow, FileState, StoreOp, Via};
use crate::timers::Timer;

/// Progress of one file is told at most once in so long, milliseconds.
const PROGRESS_EVERY_MS: u64 = 1_000;
/// A file that did not get further is tried again after so long, and more seldom with each time, milliseconds.
const RETRY_MIN_MS: u64 = 1_000;
/// And at the latest after so long.
const RETRY_MAX_MS: u64 = 60_000;

/// A file with one person: whose, the message that offers it, the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileKey {
    author: PublicKey,
    offer: MessageId,
    other: PublicKey,
}

/// What is under way with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// Nothing.
    Idle,
    /// It comes on a link.
    Fetching(Ticket),
    /// A piece is being written, or what is on the disk is looked at.
    Writing(Ticket),
    /// The directory was asked for this piece.
    Asked(u32),
    /// It goes to who asked for it on a link.
    Serving(Serving),
    /// The directory was asked for room, or how far it is, or has been given a piece.
    Putting,
    /// A piece is being read.
    Reading(Ticket, u32),
}

/// A file that can still come to something.
#[derive(Debug)]
struct Open {
    row: FileRow,
    flow: Flow,
    /// Bytes from its beginning that are there.
    bytes: u64,
    via: Option<Via>,
    /// When its progress was told, and how many bytes there were then.
    told: Option<(u64, u64)>,
    rate: Option<u64>,
    /// Not tried again before, milliseconds of the monotonic clock.
    retry_at_ms: u64,
    tries: u32,
    /// What the directory wants next of it; none: not asked in this session.
    shelved: Option<u32>,
}

impl Open {
    fn new(row: FileRow) -> Self {
        Self {
            row,
            flow: Flow::Idle,
            bytes: 0,
            via: None,
            told: None,
            rate: None,
            retry_at_ms: 0,
            tries: 0,
            shelved: None,
        }
    }

    /// Not now: again in a while, later each time.
    fn pause(&mut self, now_ms: u64) {
        self.flow = Flow::Idle;
        let pause_ms = RETRY_MIN_MS.saturating_mul(1 << self.tries.min(6)).min(RETRY_MAX_MS);
        self.tries += 1;
        self.retry_at_ms = now_ms + pause_ms;
    }
}

/// All files that can still come to something.
#[derive(Debug, Default)]
pub(super) struct Files {
    open: BTreeMap<FileKey, Open>,
    measuring: BTreeMap<Ticket, Measuring>,
}

impl Files {
    /// What was committed.
    pub(super) fn new(rows: Vec<FileRow>) -> Self {
        let open = rows.into_iter().map(|row| (key_of(&row), Open::new(row))).collect();
        Self { open, measuring: BTreeMap::new() }
    }

    fn by_ticket(&self, ticket: Ticket) -> Option<FileKey> {
        let has = |flow: Flow| match flow {
            Flow::Fetching(t) | Flow::Writing(t) | Flow::Reading(t, _) => t == ticket,
            Flow::Idle | Flow::Asked(_) | Flow::Serving(_) | Flow::Putting => false,
        };
        self.open.iter().find(|(_, open)| has(open.flow)).map(|(key, _)| *key)
    }

    fn by_serving(&self, serving: Serving) -> Option<FileKey> {
        self.open.iter().find(|(_, open)| open.flow == Flow::Serving(serving)).map(|(key, _)| *key)
    }

    fn count(&self, is: impl Fn(&Flow) -> bool) -> usize {
        self.open.values().filter(|open| is(&open.flow)).count()
    }
}

fn key_of(row: &FileRow) -> FileKey {
    FileKey { author: row.author, offer: row.offer, other: row.other }
}

impl Messenger {
    pub(super) fn run_on_files(&mut self, id: CommandId, command: Command) {
        match command {
            Command::File { ref to, .. } => {
                let to = to.clone();
                self.offer_file(id, &to, command);
            }
            Command::Files => self.list_files(id),
            Command::Accept { n, place } => self.accept_file(id, n, place),
            Command::Decline(n) => self.decline_file(id, n),
            _ => {}
        }
    }

    pub(super) fn on_file(&mut self, news: FileNews) {
        match news {
            FileNews::Measured { ticket, facts } => self.on_measured(ticket, facts),
            FileNews::Got { ticket, bytes } => {
                if let Some(key) = self.files.by_ticket(ticket) {
                    self.file_flows(key, bytes);
                }
            }
            FileNews::Fetched { ticket, result } => self.on_fetched(ticket, result),
            FileNews::Asked { serving, link, offer } => self.on_file_asked(serving, link, offer),
            FileNews::Sent { serving, bytes } => {
                if let Some(key) = self.files.by_serving(serving) {
                    self.file_flows(key, bytes);
                }
            }
            FileNews::Served { serving, result } => self.on_served(serving, result),
            FileNews::Piece { ticket, piece } => self.on_piece_read(ticket, piece),
            FileNews::Written { ticket, step } => self.on_piece_written(ticket, step),
        }
    }

    /// Looks after all files that are due, and plans the next look.
    pub(super) fn tend_files(&mut self) {
        let keys: Vec<FileKey> = self.files.open.keys().copied().collect();
        for key in keys {
            self.tend_file(key);
        }
    }

    /// There is a link to somebody.
    pub(super) fn files_linked(&mut self, other: &PublicKey) {
        let logged_in = self.session.is_logged_in();
        let rests = |flow| match flow {
            // A link is better than the piece that was asked for.
            Flow::Asked(_) => true,
            // The session that was asked is gone.
            Flow::Putting => !logged_in,
            flow => flow == Flow::Idle,
        };
        let theirs = self.files.open.iter_mut().filter(|(key, open)| key.other == *other && rests(open.flow));
        let keys: Vec<FileKey> = theirs
            .map(|(key, open)| {
                open.flow = Flow::Idle;
                if open.row.author == *other {
                    // At once, but as patiently as before: the link may be closed again by somebody who has blocked this user.
                    open.retry_at_ms = 0;
                }
                *key
            })
            .collect();
        for key in keys {
            self.tend_file(key);
        }
    }

    /// A session with the directory has begun: what was asked in the one before has no answer.
    pub(super) fn files_online(&mut self) {
        for open in self.files.open.values_mut() {
            if matches!(open.flow, Flow::Asked(_) | Flow::Putting) {
                open.flow = Flow::Idle;
            }
            open.shelved = None;
            if open.flow == Flow::Idle {
                (open.retry_at_ms, open.tries) = (0, 0);
            }
        }
        self.tend_files();
    }

    fn tend_file(&mut self, key: FileKey) {
        let now_ms = self.now.mono_ms;
        let Some(open) = self.files.open.get(&key).filter(|open| open.flow == Flow::Idle) else { return };
        if open.retry_at_ms > now_ms {
            let at_ms = open.retry_at_ms;
            self.timers.set_by(Timer::Files, at_ms);
        } else if self.may_talk() && !self.is_blocked(&key.other) {
            if key.author == self.config.me { self.leave_at_directory(key) } else { self.get_file(key) }
        }
    }

    /// Not now: tries again in a while.
    fn file_pauses(&mut self, key: FileKey) {
        let now_ms = self.now.mono_ms;
        let Some(open) = self.files.open.get_mut(&key) else { return };
        open.pause(now_ms);
        let at_ms = open.retry_at_ms;
        self.timers.set_by(Timer::Files, at_ms);
        // What waited for its place may take it.
        self.timers.set_by(Timer::Files, now_ms + 1);
    }

    /// So many bytes are there: told now and then.
    fn file_flows(&mut self, key: FileKey, bytes: u64) {
        let now_ms = self.now.mono_ms;
        let Some(open) = self.files.open.get_mut(&key) else { return };
        if bytes > open.bytes {
            open.tries = 0;
        }
        open.bytes = bytes.min(open.row.file.size);
        let Some((told_ms, told_bytes)) = open.told else {
            // A file that is there in no time has no progress.
            open.told = Some((now_ms, bytes));
            return;
        };
        let since_ms = now_ms.saturating_sub(told_ms);
        if since_ms >= PROGRESS_EVERY_MS {
            open.rate = Some(bytes.saturating_sub(told_bytes).saturating_mul(1_000) / since_ms);
            open.told = Some((now_ms, bytes));
            self.tell_file(key, FileState::Progress);
        }
    }

    /// How a file stands is written; people are told once that is committed. One that is over is forgotten here.
    fn settle_file(&mut self, key: FileKey, state: FileState, reason: Option<FileFault>) {
        let Some(open) = self.files.open.get_mut(&key) else { return };
        (open.row.state, open.row.reason) = (state, reason);
        open.row.via = open.via.or(open.row.via);
        (open.told, open.rate) = (None, None);
        let row = open.row.clone();
        let view = self.file_view(&row, state);
        self.store(StoreOp::PutFile(Box::new(row)), Then::File(key, Box::new(view)));
        if !state.is_open() && state != FileState::Failed {
            self.files.open.remove(&key);
        }
        self.timers.set_by(Timer::Files, self.now.mono_ms + 1);
    }

    /// That is committed: people are told, and what was accepted begins to come.
    pub(super) fn on_file_settled(&mut self, key: FileKey, view: Box<FileView>) {
        self.tell(Event::File(view));
        self.tend_file(key);
    }

    /// Says to the other side what becomes of a file.
    fn say_of_file(&mut self, key: FileKey, saying: FileSaying) {
        let Some(open) = self.files.open.get(&key) else { return };
        let body = Body::FileWord(FileWord { author: key.author, offer: key.offer, saying });
        let (conversation, recipients) = (open.row.conversation, vec![key.other]);
        self.post(Waiting::Nobody, Post { conversation, recipients, body, urgent: false, key: None, amends: None });
    }

    fn tell_file(&mut self, key: FileKey, state: FileState) {
        let Some(open) = self.files.open.get(&key) else { return };
        let row = open.row.clone();
        let view = self.file_view(&row, state);
        self.tell(Event::File(Box::new(view)));
    }

    /// A file as people see it.
    pub(super) fn file_view(&self, row: &FileRow, state: FileState) -> FileView {
        let open = self.files.open.get(&key_of(row));
        let mine = row.author == self.config.me;
        let bytes = match state {
            FileState::Done => row.file.size,
            _ => open.map_or(0, |open| open.bytes),
        };
        let to = if mine { self.called(&row.other) } else { self.called(&self.config.me) };
        FileView {
            n: row.n,
            id: row.offer,
            from: self.called(&row.author),
            to,
            mine,
            file: offered(&row.file),
            state,
            bytes,
            rate: open.and_then(|open| open.rate),
            via: open.and_then(|open| open.via).or(row.via),
            kept: row.kept,
            path: row.path.clone().filter(|_| mine || state == FileState::Done),
            reason: row.reason,
        }
    }
}

//! `!file`: the file is measured, then offered to one person or to each member of a group.

use std::path::PathBuf;

use common::body::{Body, File, FileFault};
use common::identity::{Fingerprint, PublicKey};
use common::message::MessageId;

use super::{FileKey, Open, key_of};
use crate::command::{Command, CommandError, ErrorCode, To};
use crate::event::{CommandId, FileFacts, FileJob, Output, Ticket};
use crate::limits::KEY_MAX_CHARS;
use crate::messenger::posting::{Post, Waiting};
use crate::messenger::{Messenger, Then};
use crate::stored::{FileRow, FileState, StoreOp, Talk};
use crate::timers::Timer;

/// What is not being fetched so long after it was offered is also left at the directory, milliseconds.
pub(super) const DIRECT_GRACE_MS: u64 = 5_000;

/// A file that is being read for the first time.
#[derive(Debug)]
pub(super) struct Measuring {
    id: CommandId,
    talk: Talk,
    key: Option<String>,
}

impl Messenger {
    pub(super) fn offer_file(&mut self, id: CommandId, to: &To, command: Command) {
        if !self.may_write(id, None) {
            return;
        }
        if let Command::File { key: Some(key), .. } = &command
            && !(1..=KEY_MAX_CHARS).contains(&key.chars().count())
        {
            self.fail(id, ErrorCode::BadArgument, format!("an idempotency key has 1 to {KEY_MAX_CHARS} characters"));
            return;
        }
        match to {
            To::Group(name) => {
                let name = name.clone();
                self.send_to_group(id, &name, command);
            }
            To::Person { name, fingerprint } => {
                if self.my_name().as_ref() == Some(name) {
                    self.fail(id, ErrorCode::ToYourself, "a file to yourself goes nowhere");
                } else if let Some(contact) = self.book.named(name).map(|contact| contact.key) {
                    if !self.is_given_away(id, name) {
                        self.file_to(id, contact, *fingerprint, command);
                    }
                } else if !self.lacks_room(id) {
                    let name = name.clone();
                    self.find(id, name, command);
                }
            }
        }
    }

    /// A file for somebody who is known now.
    pub(in crate::messenger) fn file_to(
        &mut self,
        id: CommandId,
        to: PublicKey,
        print: Option<Fingerprint>,
        command: Command,
    ) {
        if self.is_demanded(id, to, print) {
            self.measure_file(id, Talk::Pair(to), command);
        }
    }

    pub(in crate::messenger) fn measure_file(&mut self, id: CommandId, talk: Talk, command: Command) {
        let Command::File { path, key, .. } = command else { return };
        let ticket = self.ticket();
        self.files.measuring.insert(ticket, Measuring { id, talk, key });
        self.out.push_back(Output::File(FileJob::Measure { ticket, path: PathBuf::from(path) }));
    }

    pub(super) fn on_measured(&mut self, ticket: Ticket, facts: Result<Box<FileFacts>, FileFault>) {
        let Some(Measuring { id, talk, key }) = self.files.measuring.remove(&ticket) else { return };
        let facts = match facts {
            Ok(facts) => *facts,
            Err(fault) => return self.reply(id, Err(refusal(fault))),
        };
        let (sha256, blake3, size) = (facts.sha256, facts.source.blake3, facts.source.size);
        let file = File { name: facts.name, size, sha256, blake3, key: self.random() };
        let body = Body::File(file.clone());
        // A group may have changed, or somebody may have been blocked, while the file was read.
        let Some((conversation, recipients)) = self.audience(id, talk, &body) else { return };
        let post = Post { conversation, recipients: recipients.clone(), body, urgent: false, key, amends: None };
        let Some(offer) = self.post(Waiting::Sent(id), post) else { return };
        for other in recipients {
            let row = FileRow {
                n: 0,
                author: self.config.me,
                offer,
                other,
                conversation,
                file: file.clone(),
                path: Some(facts.source.path.clone()),
                stamp: facts.source.stamp,
                state: FileState::Offered,
                reason: None,
                via: None,
                kept: false,
            };
            let mut open = Open::new(row.clone());
            open.retry_at_ms = self.now.mono_ms + DIRECT_GRACE_MS;
            self.files.open.insert(key_of(&row), open);
            self.store(StoreOp::NewFile(Box::new(row)), Then::Nothing);
        }
        self.timers.set_by(Timer::Files, self.now.mono_ms + DIRECT_GRACE_MS);
    }

    /// An own offer has its number; or it was made before, under the same idempotency key, and this one never was.
    pub(in crate::messenger) fn file_numbered(&mut self, offer: MessageId, others: &[PublicKey], n: Option<u64>) {
        for other in others {
            let key = FileKey { author: self.config.me, offer, other: *other };
            match n {
                Some(n) => {
                    if let Some(open) = self.files.open.get_mut(&key) {
                        open.row.n = n;
                    }
                }
                None => drop(self.files.open.remove(&key)),
            }
        }
    }
}

/// Why a file is not offered, with what is accepted.
fn refusal(fault: FileFault) -> CommandError {
    let (code, message) = match fault {
        FileFault::Missing => (ErrorCode::FileMissing, "there is no such file"),
        FileFault::NoFile => {
            (ErrorCode::FileNoFile, "that is a folder or another thing that is no file; one file is accepted")
        }
        FileFault::Unreadable | FileFault::NoPlace | FileFault::DiskFull => {
            (ErrorCode::FileUnreadable, "that file cannot be read by this user")
        }
        FileFault::NoName => (ErrorCode::FileNoName, "a file needs a name: end the path with one"),
        FileFault::TooLarge => (ErrorCode::FileTooLarge, "that file is larger than what can be offered"),
        FileFault::Changed | FileFault::HashWrong => {
            (ErrorCode::FileChanged, "that file was written to while it was read; try again when that is done")
        }
        FileFault::Withdrawn | FileFault::TooMany => (ErrorCode::FileTooMany, "too many files are under way"),
    };
    CommandError::new(code, message)
}

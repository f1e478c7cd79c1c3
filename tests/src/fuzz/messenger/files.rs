//! What alice's shell does with files, and what mallory asks of it: the answers are those of a shell, with any result.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use common::body::FileFault;
use common::message::MessageId;
use peer_core::event::{FileFacts, FileJob, FileNews, FileSource, FileStep, FileStop, Input as Told, LinkId, Serving};
use peer_core::stored::{FileRow, NewMessage};

use super::World;

/// What alice offers to mallory.
const MALLORYS: &str = "for-mallory";
/// What her user types about files; what is for bobby alone is another file.
const LINES: [&str; 8] = [
    "!file mallory for-mallory",
    "!file bobby for-bobby",
    "!files",
    "!accept 2",
    "!accept 3",
    "!decline 3",
    "!cancel 2",
    "!cancel 3",
];

/// Alice's shell.
#[derive(Debug, Default)]
pub(super) struct Shell {
    jobs: VecDeque<FileJob>,
    servings: u64,
    /// Askings that have no answer.
    asked: BTreeSet<Serving>,
    /// What alice has offered.
    offers: Vec<MessageId>,
    /// Her user has accepted something.
    accepted: bool,
}

impl Shell {
    /// The program has died.
    pub(super) fn die(&mut self) {
        self.jobs.clear();
        self.asked.clear();
    }

    pub(super) fn queued(&mut self, message: &NewMessage) {
        if message.row.kind == common::body::Body::FILE {
            self.offers.push(message.row.id);
        }
    }

    /// A disk says how a file stands: nobody accepts for the user.
    pub(super) fn committed(&self, row: &FileRow) {
        use peer_core::stored::FileState::{Accepted, Done};
        let theirs = matches!(row.state, Accepted | Done) && row.author != super::ALICE.public();
        assert!(!theirs || self.accepted, "{row:?}, and the user has accepted nothing");
    }

    fn take(&mut self, is: impl Fn(&FileJob) -> bool) -> Option<FileJob> {
        let at = self.jobs.iter().position(is)?;
        self.jobs.remove(at)
    }
}

impl World<'_> {
    /// One of the files that alice has offered, the newest first.
    pub(super) fn offered(&self, back: usize) -> Option<MessageId> {
        self.shell.offers.iter().rev().nth(back).copied()
    }

    pub(super) fn file_line(&mut self) {
        let line = self.input.pick(&LINES);
        self.shell.accepted |= line.starts_with("!accept");
        self.line(line);
    }

    pub(super) fn file_job(&mut self, job: FileJob) {
        match &job {
            FileJob::Serve { serving, source } => {
                assert!(self.shell.asked.remove(serving), "a file is given to who has not asked");
                assert_eq!(source.path, Path::new(MALLORYS), "mallory is given a file of bobby's");
            }
            FileJob::Refuse { serving, .. } => {
                return assert!(self.shell.asked.remove(serving), "{serving:?} is answered twice");
            }
            FileJob::Fetch { .. } | FileJob::Write { .. } => {
                assert!(self.shell.accepted, "{job:?}, accepted by nobody")
            }
            FileJob::Stop { ticket } => {
                let ticket = *ticket;
                if self.shell.take(|job| matches!(job, FileJob::Fetch { ticket: of, .. } if *of == ticket)).is_some() {
                    self.file_told(FileNews::Fetched { ticket, result: Err(FileStop::Stopped) });
                }
                return;
            }
            FileJob::StopServing { serving } => {
                let serving = *serving;
                let is = |job: &FileJob| matches!(job, FileJob::Serve { serving: of, .. } if *of == serving);
                if self.shell.take(is).is_some() {
                    self.file_told(FileNews::Served { serving, result: Err(FileStop::Stopped) });
                }
                return;
            }
            FileJob::Measure { .. } | FileJob::Read { .. } => {}
        }
        self.shell.jobs.push_back(job);
    }

    fn file_told(&mut self, news: FileNews) {
        self.answers.push_back(Told::File(Box::new(news)));
    }

    /// Something comes of a job, or mallory asks for a file.
    pub(super) fn file_news(&mut self) {
        let job = if self.input.flag() { None } else { self.shell.jobs.pop_front() };
        let news = match job {
            None => self.asked_for_a_file(),
            Some(job) => self.came_of(job),
        };
        self.tell(Told::File(Box::new(news)));
    }

    fn asked_for_a_file(&mut self) -> FileNews {
        self.shell.servings += 1;
        let serving = Serving(self.shell.servings);
        self.shell.asked.insert(serving);
        let link = self.some_link().unwrap_or(LinkId(u64::from(self.input.byte())));
        let back = self.input.below(8);
        let offer = self.offered(back).unwrap_or_else(|| MessageId([self.input.byte(); 16]));
        FileNews::Asked { serving, link, offer }
    }

    fn some_stop(&mut self) -> FileStop {
        let fault = self.some_fault();
        self.input.pick(&[FileStop::Broken, FileStop::Later, FileStop::Fault(fault)])
    }

    fn some_fault(&mut self) -> FileFault {
        use FileFault::{Changed, DiskFull, HashWrong, Missing, NoPlace, Withdrawn};
        self.input.pick(&[Changed, DiskFull, HashWrong, Missing, NoPlace, Withdrawn])
    }

    fn came_of(&mut self, job: FileJob) -> FileNews {
        let right = self.input.flag();
        match job {
            FileJob::Measure { ticket, path } => {
                let name = path.to_string_lossy().into_owned();
                let source = FileSource { path, size: self.input.number(), blake3: [1; 32], stamp: 1 };
                let facts = Box::new(FileFacts { name, sha256: [2; 32], source });
                FileNews::Measured { ticket, facts: if right { Ok(facts) } else { Err(self.some_fault()) } }
            }
            FileJob::Fetch { ticket, link, target } => {
                if self.input.below(4) == 3 {
                    self.shell.jobs.push_front(FileJob::Fetch { ticket, link, target });
                    return FileNews::Got { ticket, bytes: self.input.number() };
                }
                let result = if right { Ok(PathBuf::from("downloads/a")) } else { Err(self.some_stop()) };
                FileNews::Fetched { ticket, result }
            }
            FileJob::Serve { serving, source } => {
                if self.input.below(4) == 3 {
                    self.shell.jobs.push_front(FileJob::Serve { serving, source });
                    return FileNews::Sent { serving, bytes: self.input.number() };
                }
                FileNews::Served { serving, result: if right { Ok(()) } else { Err(self.some_stop()) } }
            }
            FileJob::Read { ticket, .. } => {
                let piece = if right { Ok(self.input.blob(60).to_vec()) } else { Err(self.some_fault()) };
                FileNews::Piece { ticket, piece }
            }
            FileJob::Write { ticket, .. } => {
                let step = match self.input.below(3) {
                    0 => Ok(FileStep::Whole("downloads/a".into())),
                    1 if right => Err(self.some_fault()),
                    _ => Ok(FileStep::Next(u32::from(self.input.byte() % 8))),
                };
                FileNews::Written { ticket, step }
            }
            // Those have no answer, and are not kept.
            FileJob::Refuse { .. } | FileJob::Stop { .. } | FileJob::StopServing { .. } => self.asked_for_a_file(),
        }
    }
}

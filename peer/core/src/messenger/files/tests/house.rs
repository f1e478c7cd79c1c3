//! A town whose people have files: what a shell and a directory do with them, without bytes. A file is how much of it is there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use common::body::FileFault;
use common::identity::PublicKey;
use common::limits::PIECE_BYTES;
use common::message::MessageId;
use common::piece;
use common::wire::directory::{FileRoom, FromDirectory, Piece, Refusal, ToDirectory};

use crate::command::{Command, To};
use crate::event::{
    Answer, Event, FileFacts, FileJob, FileNews, FileSource, FileStep, FileStop, FileView, Input, LinkId, Serving,
    Ticket,
};
use crate::messenger::membership::tests::town::{Town, name};
use crate::stored::FileState;

/// Who waits for the answer to an `Asked`.
struct Waiting {
    asker: usize,
    ticket: Ticket,
    size: u64,
    path: PathBuf,
}

/// A file at the directory.
#[derive(Default)]
pub struct Kept {
    pub next: u32,
    pub taken: u32,
    pub pieces: u32,
    pub dropped: bool,
}

pub struct House {
    pub town: Town,
    /// What lies on each one's disk, by the name it is offered under.
    pub own: BTreeMap<(usize, PathBuf), Result<u64, FileFault>>,
    /// Pieces of what came, by person and offer.
    pub came: BTreeMap<(usize, MessageId), u32>,
    pub kept: BTreeMap<(PublicKey, PublicKey, MessageId), Kept>,
    /// Why the directory keeps no file.
    pub refuses: Option<Refusal>,
    /// How fetches end that are served.
    pub ends: Option<FileStop>,
    /// Jobs are left lying.
    pub idle: bool,
    waiting: BTreeMap<(usize, Serving), Waiting>,
    servings: u64,
}

impl House {
    pub fn new(names: &[&str]) -> Self {
        Self {
            town: Town::new(names),
            own: BTreeMap::new(),
            came: BTreeMap::new(),
            kept: BTreeMap::new(),
            refuses: None,
            ends: None,
            idle: false,
            waiting: BTreeMap::new(),
            servings: 0,
        }
    }

    /// Everything that follows at once happens.
    pub fn settle(&mut self) {
        loop {
            self.town.settle();
            let frames = std::mem::take(&mut self.town.registry.files);
            let mut busy = !frames.is_empty();
            for (from, frame) in frames {
                self.keep(from, frame);
            }
            for who in 0..self.town.people.len() {
                if self.idle {
                    break;
                }
                for job in std::mem::take(&mut self.town.people[who].jobs) {
                    busy = true;
                    self.work(who, job);
                }
            }
            if !busy {
                return;
            }
        }
    }

    pub fn wait(&mut self, for_ms: u64) {
        for _ in 0..for_ms.div_ceil(250) {
            self.town.wait(250);
            self.settle();
        }
    }

    pub fn does(&mut self, who: usize, command: Command) -> Result<Answer, crate::command::CommandError> {
        let id = self.town.ask(who, command);
        self.settle();
        if self.town.answer(who, id).is_none() {
            self.wait(5_000);
        }
        self.town.answer(who, id).expect("every command is answered")
    }

    /// Offers a file of this size, and says its number.
    pub fn offers(&mut self, who: usize, to: &str, path: &str, size: u64) -> u64 {
        self.own.insert((who, path.into()), Ok(size));
        match self.does(who, file(to, path)) {
            Ok(Answer::Sent { n, .. }) => n,
            other => panic!("not offered: {other:?}"),
        }
    }

    /// The number under which somebody sees the newest file that is offered.
    pub fn offered(&self, who: usize) -> u64 {
        self.town.seen(who).iter().rev().find(|view| view.file.is_some()).expect("a file is offered").n
    }

    pub fn accepts(&mut self, who: usize) -> u64 {
        let n = self.offered(who);
        self.does(who, Command::Accept { n, place: None }).expect("accepted");
        n
    }

    /// The states told of a file, progress left out, as somebody sees them.
    pub fn told(&self, who: usize, n: u64) -> Vec<FileState> {
        let all = self.views(who, n).into_iter().map(|view| view.state);
        all.filter(|state| *state != FileState::Progress).collect()
    }

    pub fn views(&self, who: usize, n: u64) -> Vec<&FileView> {
        let views = self.town.people[who].events.iter().filter_map(|event| match event {
            Event::File(view) if view.n == n => Some(&**view),
            _ => None,
        });
        views.collect()
    }

    fn tell(&mut self, who: usize, news: FileNews) {
        self.town.inputs.push_back((who, Input::File(Box::new(news))));
    }

    /// Somebody asks for a file on a link, whoever they are.
    pub fn asks(&mut self, who: usize, link: LinkId, offer: MessageId) -> Option<Serving> {
        let (other, at) = self.town.links.get(&(who, link)).copied()?;
        self.servings += 1;
        let serving = Serving(self.servings);
        self.tell(other, FileNews::Asked { serving, link: at, offer });
        Some(serving)
    }

    fn work(&mut self, who: usize, job: FileJob) {
        match job {
            FileJob::Measure { ticket, path } => {
                let facts = self.own.get(&(who, path.clone())).copied().unwrap_or(Err(FileFault::Missing));
                let facts = facts.map(|size| {
                    let source = FileSource { path: path.clone(), size, blake3: [1; 32], stamp: 1 };
                    Box::new(FileFacts { name: path.to_string_lossy().into_owned(), sha256: [2; 32], source })
                });
                self.tell(who, FileNews::Measured { ticket, facts });
            }
            FileJob::Fetch { ticket, link, target } => match self.asks(who, link, target.offer) {
                None => self.tell(who, FileNews::Fetched { ticket, result: Err(FileStop::Broken) }),
                Some(serving) => {
                    let (other, _) = self.town.links[&(who, link)];
                    let path = PathBuf::from("downloads").join(&target.file.name);
                    self.waiting.insert((other, serving), Waiting { asker: who, ticket, size: target.file.size, path });
                }
            },
            FileJob::Serve { serving, source } => {
                if let Some(Waiting { asker, ticket, size, path }) = self.waiting.remove(&(who, serving)) {
                    assert_eq!(source.size, size);
                    let result = self.ends.map_or(Ok(path), Err);
                    self.tell(asker, FileNews::Got { ticket, bytes: size });
                    self.tell(asker, FileNews::Fetched { ticket, result });
                }
                self.tell(who, FileNews::Served { serving, result: Ok(()) });
            }
            FileJob::Refuse { serving, later } => {
                if let Some(Waiting { asker, ticket, .. }) = self.waiting.remove(&(who, serving)) {
                    let stop = if later { FileStop::Later } else { FileStop::Fault(FileFault::Withdrawn) };
                    self.tell(asker, FileNews::Fetched { ticket, result: Err(stop) });
                }
            }
            FileJob::Stop { ticket } => self.tell(who, FileNews::Fetched { ticket, result: Err(FileStop::Stopped) }),
            FileJob::StopServing { serving } => {
                self.tell(who, FileNews::Served { serving, result: Err(FileStop::Stopped) });
            }
            FileJob::Read { ticket, source, index, .. } => {
                let piece = self.own.get(&(who, source.path)).copied().unwrap_or(Err(FileFault::Missing));
                self.tell(who, FileNews::Piece { ticket, piece: piece.map(|_| index.to_be_bytes().to_vec()) });
            }
            FileJob::Write { ticket, target, piece } => {
                let there = self.came.entry((who, target.offer)).or_insert(0);
                if let Some((index, sealed)) = piece {
                    assert_eq!((index, sealed), (*there, there.to_be_bytes().to_vec()), "in order, each once");
                    *there += 1;
                }
                let step = match *there {
                    there if piece::count(target.file.size) == Some(there) => {
                        FileStep::Whole(PathBuf::from("downloads").join(&target.file.name))
                    }
                    there => FileStep::Next(there),
                };
                self.tell(who, FileNews::Written { ticket, step: Ok(step) });
            }
        }
    }

    /// What the directory does.
    fn keep(&mut self, from: PublicKey, frame: ToDirectory) {
        let (key, refusal) = match &frame {
            ToDirectory::BeginFile(begin) => ((from, begin.recipient, begin.offer), self.refuses.clone()),
            ToDirectory::PutPiece(put) => ((from, put.recipient, put.offer), None),
            ToDirectory::GetPiece(get) => ((get.submitter, from, get.offer), None),
            ToDirectory::DropFile(drop) => ((drop.submitter, drop.recipient, drop.offer), None),
            _ => return,
        };
        if let Some(refusal) = refusal {
            let room = FileRoom { recipient: key.1, offer: key.2, next: 0, refusal: Some(refusal) };
            self.town.registry.outbox.push((from, FromDirectory::FileRoom(room)));
            return;
        }
        let kept = self.kept.entry(key).or_default();
        match frame {
            ToDirectory::BeginFile(begin) => kept.pieces = begin.pieces,
            ToDirectory::PutPiece(put) => {
                assert_eq!(put.index, kept.next, "in order, each once");
                kept.next += 1;
            }
            ToDirectory::GetPiece(get) => {
                kept.taken = kept.taken.max(get.index);
                let there = get.index < kept.next && !kept.dropped;
                let sealed = there.then(|| get.index.to_be_bytes().to_vec());
                let piece = Piece { submitter: key.0, offer: key.2, index: get.index, sealed };
                self.town.registry.outbox.push((from, FromDirectory::Piece(piece)));
                return;
            }
            _ => {
                kept.dropped = true;
                return;
            }
        }
        let room = FileRoom { recipient: key.1, offer: key.2, next: kept.next, refusal: None };
        self.town.registry.outbox.push((from, FromDirectory::FileRoom(room)));
    }
}

pub fn file(to: &str, path: &str) -> Command {
    let to = match to.strip_prefix('@') {
        Some(group) => To::Group(name(group)),
        None => To::Person { name: name(to), fingerprint: None },
    };
    Command::File { to, path: path.to_owned(), key: None }
}

/// So many bytes that they are so many pieces.
pub fn pieces(count: u64) -> u64 {
    count * PIECE_BYTES
}

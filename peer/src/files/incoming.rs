//! The partial file of one fetch: what is on the disk already, part after part from the link, and the end. Everything here
//! blocks, on a thread of its own. Not here: streams, and what is said on them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::body::{File as Offer, FileFault};
use common::limits::FILE_PART_BYTES;
use peer_core::event::{FileStop, FileTarget};
use rustix::fs::fdatasync;
use tokio::sync::mpsc;

use super::PARTS_MAX;
use super::fault::writing;
use super::hash::{self, PartHash, Sha256};
use super::place::{NotOpened, Place, Reserve};
use super::threads::Flag;

/// Parts after which what was written is flushed, beside the writing: the last flush is short, and a crash costs little.
const FLUSH_PARTS: usize = 32;
/// Parts after which the disk's room is looked at.
const ROOM_PARTS: usize = 16;
/// A partial file that something else has open is waited for so long: who was stopped is leaving.
const BUSY_PATIENCE: Duration = Duration::from_secs(2);

/// Bytes from the stream, as they came.
pub(super) type Feed = Vec<Bytes>;

/// How far the bytes of one stream have brought a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// Every part is there.
    Whole,
    /// This part was another one than it should be.
    Wrong(u64),
    /// The stream has ended too early, or is not read any more.
    Short,
    /// It cannot go on.
    Failed(FileFault),
}

/// What is on the disk of a file that is wanted.
#[derive(Debug)]
pub(super) enum Prepared {
    /// All of it: it lies there now.
    Whole(PathBuf),
    /// Not all.
    Partial(Box<Incoming>),
}

/// A file that comes on a link.
#[derive(Debug)]
pub(super) struct Incoming {
    place: Place,
    /// None until there is something to be written.
    file: Option<Arc<File>>,
    size: u64,
    root: [u8; 32],
    sha256: [u8; 32],
    /// Hashes of the parts that are on the disk, from the first one on.
    own: Vec<PartHash>,
    /// Of the same parts.
    running: Sha256,
    /// What all parts must be.
    expected: Arc<[PartHash]>,
    written: Arc<AtomicU64>,
    flusher: Option<Flusher>,
}

/// Finds what is on the disk already. `written` follows how many bytes that are.
pub(super) fn prepare(
    target: &FileTarget,
    downloads: &Path,
    reserve: Reserve,
    written: &Arc<AtomicU64>,
    stop: &Flag,
) -> Result<Prepared, FileStop> {
    let file = &target.file;
    if hash::parts(file.size) > PARTS_MAX {
        return Err(FileStop::Fault(FileFault::TooLarge));
    }
    let place = Place::of(target, downloads, reserve).map_err(FileStop::Fault)?;
    let found = patient(|| place.open(), stop)?;
    let mut incoming = Incoming::new(place, found, file, written.clone());
    incoming.read_back(u64::MAX, stop)?;
    if incoming.is_whole() && hash::root(&incoming.own) == Some(incoming.root) {
        return incoming.finish().map(Prepared::Whole).map_err(FileStop::Fault);
    }
    let missing = incoming.size.saturating_sub(incoming.bytes());
    if missing > incoming.place.room().map_err(FileStop::Fault)? {
        return Err(FileStop::Fault(FileFault::DiskFull));
    }
    Ok(Prepared::Partial(Box::new(incoming)))
}

/// What opens a partial file, again and again while something else has it.
fn patient<T>(mut open: impl FnMut() -> Result<T, NotOpened>, stop: &Flag) -> Result<T, FileStop> {
    let begun = Instant::now();
    loop {
        match open() {
            Ok(opened) => return Ok(opened),
            Err(NotOpened::Fault(fault)) => return Err(FileStop::Fault(fault)),
            Err(NotOpened::Busy) if stop.is_up() => return Err(FileStop::Stopped),
            Err(NotOpened::Busy) if begun.elapsed() > BUSY_PATIENCE => return Err(FileStop::Later),
            Err(NotOpened::Busy) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Compares and finishes a file of which all bytes should be there. One that is wrong is begun anew: which piece of it is wrong
/// nobody could say.
pub(super) fn finish(place: Place, found: Option<File>, offer: &Offer, stop: &Flag) -> Result<PathBuf, FileFault> {
    let mut incoming = Incoming::new(place, found, offer, Arc::default());
    incoming.read_back(u64::MAX, stop).map_err(|_| FileFault::NoPlace)?;
    let file = incoming.file()?;
    incoming.finish().inspect_err(|fault| {
        if *fault == FileFault::HashWrong
            && let Err(error) = file.set_len(0)
        {
            tracing::warn!(%error, "a wrong partial file stays");
        }
    })
}

impl Incoming {
    fn new(place: Place, found: Option<File>, offer: &Offer, written: Arc<AtomicU64>) -> Self {
        Self {
            place,
            file: found.map(Arc::new),
            size: offer.size,
            root: offer.blake3,
            sha256: offer.sha256,
            own: Vec::new(),
            running: Sha256::new(),
            expected: Arc::from([]),
            written,
            flusher: None,
        }
    }

    /// The first part that is missing.
    pub(super) fn next_part(&self) -> u64 {
        self.own.len() as u64
    }

    fn is_whole(&self) -> bool {
        self.next_part() == hash::parts(self.size)
    }

    /// Bytes of the parts that are there.
    fn bytes(&self) -> u64 {
        self.next_part().saturating_mul(FILE_PART_BYTES).min(self.size)
    }

    /// Reads parts from the disk, `most` of them and as many as there are, and takes their hashes for what is there.
    fn read_back(&mut self, most: u64, stop: &Flag) -> Result<(), FileStop> {
        (self.own, self.running) = (Vec::new(), Sha256::new());
        let there = match &self.file {
            Some(file) => file.metadata().map_err(|error| FileStop::Fault(writing(&error)))?.len(),
            None => 0,
        };
        let mut block = Vec::new();
        while !self.is_whole() && self.next_part() < most {
            let (index, length) = (self.next_part(), hash::part_bytes(self.size, self.next_part()));
            if index.saturating_mul(FILE_PART_BYTES).saturating_add(length) > there {
                break;
            }
            if stop.is_up() {
                return Err(FileStop::Stopped);
            }
            block.resize(length as usize, 0);
            if let Some(file) = &self.file {
                let read = file.read_exact_at(&mut block, index * FILE_PART_BYTES);
                read.map_err(|error| FileStop::Fault(writing(&error)))?;
            }
            self.count(hash::part(self.size, index, &block), &block);
        }
        self.written.store(self.bytes(), Ordering::Relaxed);
        Ok(())
    }

    fn count(&mut self, hash: PartHash, bytes: &[u8]) {
        self.running.update(bytes);
        self.own.push(hash);
    }

    /// Takes the list of what all parts must be, and cuts the file back to the parts that are right. What is no list of this
    /// file is refused, and nothing is written.
    pub(super) fn expect(&mut self, parts: Vec<PartHash>, stop: &Flag) -> Result<(), FileStop> {
        if parts.len() as u64 != hash::parts(self.size) || hash::root(&parts) != Some(self.root) {
            return Err(FileStop::Fault(FileFault::HashWrong));
        }
        let right = self.own.iter().zip(&parts).take_while(|(own, right)| own == right).count();
        self.expected = parts.into();
        if right < self.own.len() {
            self.read_back(right as u64, stop)?;
            if let Some(file) = &self.file {
                file.set_len(self.bytes()).map_err(|error| FileStop::Fault(writing(&error)))?;
            }
        }
        Ok(())
    }

    /// Writes what comes, each part when it is there and right.
    pub(super) fn take(&mut self, feed: &mut mpsc::Receiver<Feed>) -> Taken {
        let taken = self.take_all(feed);
        // Whatever came of it: a failed flush is told once.
        let flushed = self.flusher.take().map_or(Ok(()), Flusher::end);
        match (taken, flushed) {
            (Err(fault), _) | (Ok(_), Err(fault)) => Taken::Failed(fault),
            (Ok(taken), Ok(())) => taken,
        }
    }

    fn take_all(&mut self, feed: &mut mpsc::Receiver<Feed>) -> Result<Taken, FileFault> {
        let mut part = Vec::with_capacity(self.wanted());
        while let Some(chunks) = feed.blocking_recv() {
            for mut chunk in chunks {
                while !chunk.is_empty() {
                    if self.wanted() == 0 {
                        // More than was offered.
                        return Err(FileFault::HashWrong);
                    }
                    part.extend_from_slice(&chunk.split_to(chunk.len().min(self.wanted() - part.len())));
                    if part.len() == self.wanted() && !self.close_part(&mut part)? {
                        return Ok(Taken::Wrong(self.next_part()));
                    }
                }
            }
        }
        // Nothing comes of the one part of an empty file.
        if self.size == 0 && !self.is_whole() && !self.close_part(&mut part)? {
            return Ok(Taken::Wrong(self.next_part()));
        }
        Ok(if self.is_whole() { Taken::Whole } else { Taken::Short })
    }

    /// Bytes of the next part.
    fn wanted(&self) -> usize {
        hash::part_bytes(self.size, self.next_part()) as usize
    }

    /// Compares a part, and writes it if it is right. Whether it is.
    fn close_part(&mut self, part: &mut Vec<u8>) -> Result<bool, FileFault> {
        let index = self.next_part();
        let hash = hash::part(self.size, index, part);
        if self.expected.get(self.own.len()) != Some(&hash) {
            part.clear();
            return Ok(false);
        }
        if self.own.len().is_multiple_of(ROOM_PARTS) && self.place.room()? < part.len() as u64 {
            return Err(FileFault::DiskFull);
        }
        let file = self.file()?;
        file.write_all_at(part, index * FILE_PART_BYTES).map_err(|error| writing(&error))?;
        self.count(hash, part);
        self.written.store(self.bytes(), Ordering::Relaxed);
        part.clear();
        if self.own.len().is_multiple_of(FLUSH_PARTS) && !self.is_whole() {
            self.flush(file)?;
        }
        Ok(true)
    }

    fn flush(&mut self, file: Arc<File>) -> Result<(), FileFault> {
        let flusher = match self.flusher.take() {
            Some(flusher) => flusher,
            None => Flusher::start(file)?,
        };
        self.flusher.insert(flusher).ask();
        Ok(())
    }

    /// The partial file; made when there is something to be written.
    fn file(&mut self) -> Result<Arc<File>, FileFault> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let created = self.place.create().map_err(|error| match error {
            NotOpened::Busy => FileFault::NoPlace,
            NotOpened::Fault(fault) => fault,
        })?;
        Ok(self.file.insert(Arc::new(created)).clone())
    }

    /// Compares the whole, flushes it, and gives it its name.
    pub(super) fn finish(mut self) -> Result<PathBuf, FileFault> {
        let file = self.file()?;
        let length = file.metadata().map_err(|error| writing(&error))?.len();
        if length > self.size {
            file.set_len(self.size).map_err(|error| writing(&error))?;
        }
        let right = length >= self.size && hash::root(&self.own) == Some(self.root);
        if !right || self.running.finish() != self.sha256 {
            return Err(FileFault::HashWrong);
        }
        file.sync_all().map_err(|error| writing(&error))?;
        self.place.finish()
    }
}

/// Flushes a file while it is still being written.
#[derive(Debug)]
struct Flusher {
    wanted: SyncSender<()>,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Flusher {
    fn start(file: Arc<File>) -> Result<Self, FileFault> {
        let (wanted, waiting) = sync_channel::<()>(1);
        let thread = std::thread::Builder::new().name("flush".to_owned()).spawn(move || {
            while waiting.recv().is_ok() {
                fdatasync(&file)?;
            }
            Ok(())
        });
        match thread {
            Ok(thread) => Ok(Self { wanted, thread }),
            Err(error) => {
                tracing::error!(%error, "no thread to flush a file");
                Err(FileFault::NoPlace)
            }
        }
    }

    /// Asks for it. What is being flushed already is followed by one more flush; what has failed is told at the end.
    fn ask(&self) {
        let _ = self.wanted.try_send(());
    }

    /// The system tells of a failed flush once: it must not be missed here, to be missing at the last one.
    fn end(self) -> Result<(), FileFault> {
        drop(self.wanted);
        match self.thread.join() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(writing(&error)),
            Err(_) => Err(FileFault::NoPlace),
        }
    }
}

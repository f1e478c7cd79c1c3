//! Files, as far as they are disk and streams: own ones are measured and given to who may have them, those of others are fetched
//! and written. Carries out [`FileJob`]s and tells [`FileNews`]; decides nothing: not whether a file is wanted, nor who may
//! have it.
//!
//! The disk and the hashing are on threads of their own; tasks of the loop's thread move bytes between them and streams, in
//! bounded handfuls. Nothing here ever waits in the loop.

mod fault;
mod fetch;
pub mod hash;
mod incoming;
pub mod name;
mod own;
mod pace;
mod pieces;
mod place;
mod serve;
mod stream;
mod threads;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::body::FileFault;
use peer_core::event::{FileJob, FileNews, FileStop, FileTarget, LinkId, Serving, Ticket};
use tokio::sync::{Notify, Semaphore, SemaphorePermit, mpsc};
use tokio::task::{JoinHandle, JoinSet};

use crate::transport::{Accepted, Bulk};
use pace::SILENT;
pub use place::Reserve;
use serve::{Askings, Decision, Hashes};
use threads::{Flag, Threads};

/// Files that are fetched at once; more wait.
pub const FETCHING_MAX: usize = 4;
/// Files that one person is given at once; to more asking the answer is "later".
pub const SERVING_EACH_MAX: usize = 4;
/// Files that are given at once, to everybody.
pub const SERVING_MAX: usize = 8;
/// Own files that are read at once to be measured.
const MEASURING_MAX: usize = 2;
/// Pieces that are read or written at once: one after the other, since each is flushed.
const PIECES_MAX: usize = 1;
/// Parts of the largest file: 1 TiB.
const PARTS_MAX: u64 = 1024 * 1024;
/// Hashes of parts that are kept in memory: 8 MiB.
const PART_HASHES_MAX: usize = 256 * 1024;
/// News that wait for the loop.
const NEWS_MAX: usize = 256;
/// Jobs that are under way or wait, above which the loop takes nothing new.
const JOBS_MAX: usize = 1_024;
/// A partial file that something else writes is looked at again after this.
const BUSY_PAUSE: Duration = Duration::from_secs(1);
/// Threads get so long to leave the disk.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(700);

/// Everything that is done with files.
#[derive(Debug)]
pub struct Files {
    shared: Arc<Shared>,
    jobs: JoinSet<()>,
    accepting: JoinHandle<()>,
    stop: Flag,
}

#[derive(Debug)]
struct Shared {
    downloads: PathBuf,
    reserve: Reserve,
    /// Without a byte for so long, a file is broken off.
    patience: Duration,
    news: mpsc::Sender<FileNews>,
    threads: Threads,
    fetching: Semaphore,
    measuring: Semaphore,
    pieces: Semaphore,
    fetches: Mutex<BTreeMap<Ticket, Arc<Notify>>>,
    askings: Askings,
    hashes: Hashes,
}

impl Shared {
    /// Fails only when the loop has left: nobody is to be told.
    async fn tell(&self, news: FileNews) {
        let _ = self.news.send(news).await;
    }

    fn fetches(&self) -> MutexGuard<'_, BTreeMap<Ticket, Arc<Notify>>> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place among the fetches. None when there will be none: the semaphore is never closed.
    async fn fetch_turn(&self) -> Option<SemaphorePermit<'_>> {
        self.fetching.acquire().await.ok()
    }

    fn fetches_wait(&self) -> bool {
        self.fetches().len() > FETCHING_MAX
    }
}

impl Files {
    /// Starts; downloads go to `downloads`, streams of others come from `accepted`. Needs the runtime it will run on.
    #[must_use]
    pub fn start(
        downloads: PathBuf,
        reserve: Reserve,
        accepted: mpsc::Receiver<Accepted>,
    ) -> (Self, mpsc::Receiver<FileNews>) {
        Self::start_with(downloads, reserve, SILENT, accepted)
    }

    fn start_with(
        downloads: PathBuf,
        reserve: Reserve,
        patience: Duration,
        accepted: mpsc::Receiver<Accepted>,
    ) -> (Self, mpsc::Receiver<FileNews>) {
        let (news, told) = mpsc::channel(NEWS_MAX);
        let shared = Arc::new(Shared {
            downloads,
            reserve,
            patience,
            news,
            threads: Threads::default(),
            fetching: Semaphore::new(FETCHING_MAX),
            measuring: Semaphore::new(MEASURING_MAX),
            pieces: Semaphore::new(PIECES_MAX),
            fetches: Mutex::default(),
            askings: Askings::default(),
            hashes: Hashes::default(),
        });
        let accepting = tokio::spawn(accept(shared.clone(), accepted));
        (Self { shared, jobs: JoinSet::new(), accepting, stop: Flag::default() }, told)
    }

    /// Begins a job, without waiting for anything. `bulk` finds a link that stands.
    pub fn submit(&mut self, job: FileJob, bulk: impl FnOnce(LinkId) -> Option<Bulk>) {
        while self.jobs.try_join_next().is_some() {}
        let (shared, stop) = (self.shared.clone(), self.stop.clone());
        match job {
            FileJob::Fetch { ticket, link, target } => self.fetch(ticket, bulk(link), *target),
            FileJob::Stop { ticket } => {
                if let Some(stop) = self.shared.fetches().get(&ticket) {
                    stop.notify_one();
                }
            }
            FileJob::Serve { serving, source } => self.decide(serving, Decision::Serve(source)),
            FileJob::Refuse { serving, later } => self.decide(serving, Decision::Refuse { later }),
            FileJob::StopServing { serving } => self.shared.askings.stop(serving),
            FileJob::Measure { ticket, path } => {
                self.jobs.spawn(async move {
                    let _turn = shared.measuring.acquire().await;
                    let measured = shared.threads.run(move || own::measure(&path, &stop)).await;
                    let facts = measured.unwrap_or(Err(FileFault::Unreadable)).map(|(facts, parts)| {
                        shared.hashes.keep(facts.source.blake3, parts.into());
                        Box::new(facts)
                    });
                    shared.tell(FileNews::Measured { ticket, facts }).await;
                });
            }
            FileJob::Read { ticket, source, offer, key, index } => {
                self.jobs.spawn(async move {
                    let _turn = shared.pieces.acquire().await;
                    let read = shared.threads.run(move || own::read_piece(&source, offer, &key, index)).await;
                    let piece = read.unwrap_or(Err(FileFault::Unreadable));
                    shared.tell(FileNews::Piece { ticket, piece }).await;
                });
            }
            FileJob::Write { ticket, target, piece } => {
                self.jobs.spawn(write(shared, stop, ticket, target, piece));
            }
        }
    }

    /// Too many jobs are under way: nothing new is to be begun.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.jobs.len() > JOBS_MAX
    }

    fn fetch(&mut self, ticket: Ticket, bulk: Option<Bulk>, target: FileTarget) {
        let shared = self.shared.clone();
        let stop = Arc::new(Notify::new());
        shared.fetches().insert(ticket, stop.clone());
        self.jobs.spawn(async move {
            let result = tokio::select! {
                result = fetch::run(&shared, ticket, bulk, target) => result,
                () = stop.notified() => Err(FileStop::Stopped),
            };
            shared.fetches().remove(&ticket);
            shared.tell(FileNews::Fetched { ticket, result }).await;
        });
    }

    fn decide(&mut self, serving: Serving, decision: Decision) {
        if let Err(Decision::Serve(_)) = self.shared.askings.decide(serving, decision) {
            // Who asked has gone.
            let shared = self.shared.clone();
            self.jobs.spawn(async move {
                shared.tell(FileNews::Served { serving, result: Err(FileStop::Broken) }).await;
            });
        }
    }

    /// Breaks everything off; what is on the disk stays. Takes less than a second.
    pub async fn shutdown(mut self) {
        self.stop.raise();
        self.accepting.abort();
        self.jobs.shutdown().await;
        let _ = (&mut self.accepting).await;
        self.shared.threads.ended(LEAVE_TIMEOUT).await;
    }
}

/// Takes the streams of others; each has a task, as many as the links allow.
async fn accept(shared: Arc<Shared>, mut accepted: mpsc::Receiver<Accepted>) {
    let mut asked = JoinSet::new();
    loop {
        tokio::select! {
            stream = accepted.recv() => match stream {
                Some(stream) => { asked.spawn(serve::run(shared.clone(), stream)); }
                None => break,
            },
            Some(_) = asked.join_next() => {}
        }
    }
    while asked.join_next().await.is_some() {}
}

async fn write(
    shared: Arc<Shared>,
    stop: Flag,
    ticket: Ticket,
    target: Box<FileTarget>,
    piece: Option<(u32, Vec<u8>)>,
) {
    let turn = shared.pieces.acquire().await;
    let (downloads, reserve) = (shared.downloads.clone(), shared.reserve);
    let written = shared.threads.run(move || pieces::write(&target, piece, &downloads, reserve, &stop)).await;
    drop(turn);
    let step = match written.unwrap_or(Err(FileFault::NoPlace)) {
        Ok(written) => {
            if written.busy {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            Ok(written.step)
        }
        Err(fault) => Err(fault),
    };
    shared.tell(FileNews::Written { ticket, step }).await;
}

#[cfg(test)]
mod tests;

//! Fetching a file on a link: asking, the list of its parts, its bytes, and asking again for a part that was wrong. Not here: the
//! disk, and whether the file is wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::body::FileFault;
use common::wire::file::{Answer, Ask, Coming, FileFrame};
use peer_core::event::{FileNews, FileStop, FileTarget, Ticket};
use quinn::{ReadError, RecvStream, SendStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, timeout};

use super::Shared;
use super::hash::{self, PartHash};
use super::incoming::{Feed, Incoming, Prepared, Taken, prepare};
use super::pace::{Pace, Slow, TELL_EVERY};
use super::stream::{self, Reset};
use super::threads::{Flag, RaiseOnDrop};
use crate::transport::Bulk;

/// A wrong part is asked for so often.
const TRIES: u32 = 3;
/// Chunks taken from the stream in one go, and such handfuls that wait for the disk.
const CHUNKS: usize = 64;
const HANDFULS: usize = 16;

/// One fetch, up to its end.
pub(super) async fn run(
    shared: &Arc<Shared>,
    ticket: Ticket,
    bulk: Option<Bulk>,
    target: FileTarget,
) -> Result<std::path::PathBuf, FileStop> {
    let _turn = shared.fetch_turn().await;
    let bulk = bulk.ok_or(FileStop::Broken)?;
    let (written, slow) = (Arc::new(AtomicU64::new(0)), Slow::default());
    let fetch = Fetch { shared, bulk, target, written: written.clone() };
    let telling = async {
        let (mut pace, mut tick) = (Pace::new(slow.clone()), interval(TELL_EVERY));
        loop {
            tick.tick().await;
            if let Some(bytes) = pace.at(written.load(Ordering::Relaxed), Instant::now()) {
                shared.tell(FileNews::Got { ticket, bytes }).await;
            }
            if slow.is() && shared.fetches_wait() {
                return;
            }
        }
    };
    tokio::select! {
        ended = fetch.run() => ended,
        // It makes room for one that waits.
        () = telling => Err(FileStop::Broken),
    }
}

struct Fetch<'a> {
    shared: &'a Arc<Shared>,
    bulk: Bulk,
    target: FileTarget,
    written: Arc<AtomicU64>,
}

impl Fetch<'_> {
    async fn run(self) -> Result<std::path::PathBuf, FileStop> {
        let stop = Flag::default();
        let _stops = RaiseOnDrop(stop.clone());
        let mut incoming = match self.prepare(&stop).await? {
            Prepared::Whole(path) => return Ok(path),
            Prepared::Partial(incoming) => incoming,
        };
        let _window = self.bulk.coming();
        let (mut wrong, mut tries) = (None, 0);
        loop {
            let from = incoming.next_part();
            let (stream, parts) = self.ask(from).await?;
            let flag = stop.clone();
            let expecting = move || incoming.expect(parts, &flag).map(|()| incoming);
            incoming = self.on_thread(expecting).await??;
            if incoming.next_part() != from {
                // What was on the disk is not right from there on.
                continue;
            }
            let (returned, taken) = self.take(incoming, stream).await?;
            incoming = returned;
            match taken {
                Taken::Whole => break,
                Taken::Short => return Err(FileStop::Broken),
                Taken::Failed(fault) => return Err(FileStop::Fault(fault)),
                Taken::Wrong(part) => {
                    tries = if wrong == Some(part) { tries + 1 } else { 1 };
                    wrong = Some(part);
                    if tries > TRIES {
                        return Err(FileStop::Fault(FileFault::HashWrong));
                    }
                }
            }
        }
        self.on_thread(|| incoming.finish()).await?.map_err(FileStop::Fault)
    }

    async fn on_thread<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, FileStop> {
        self.shared.threads.run(work).await.ok_or(FileStop::Fault(FileFault::NoPlace))
    }

    async fn prepare(&self, stop: &Flag) -> Result<Prepared, FileStop> {
        let (target, downloads, reserve) = (self.target.clone(), self.shared.downloads.clone(), self.shared.reserve);
        let (written, stop) = (self.written.clone(), stop.clone());
        self.on_thread(move || prepare(&target, &downloads, reserve, &written, &stop)).await?
    }

    /// Opens a stream and asks; returns it when the list of parts has come.
    async fn ask(&self, from_part: u64) -> Result<(Wire, Vec<PartHash>), FileStop> {
        let opened = timeout(self.shared.patience, self.bulk.open()).await.ok().flatten();
        let (mut send, receive) = opened.ok_or(FileStop::Broken)?;
        let ask = FileFrame::from(Ask { offer: self.target.offer, from_part });
        timeout(self.shared.patience, stream::write(&mut send, &ask)).await.ok().flatten().ok_or(FileStop::Broken)?;
        let mut wire = Wire { patience: self.shared.patience, _send: send, receive, ahead: Vec::new() };
        match wire.frame().await? {
            FileFrame::Answer(Answer { coming: Coming::Here }) => {}
            FileFrame::Answer(Answer { coming: Coming::NotOffered }) => {
                return Err(FileStop::Fault(FileFault::Withdrawn));
            }
            FileFrame::Answer(Answer { coming: Coming::Changed }) => return Err(FileStop::Fault(FileFault::Changed)),
            FileFrame::Answer(Answer { coming: Coming::Later }) => return Err(FileStop::Later),
            FileFrame::Ask(_) => return Err(FileStop::Broken),
        }
        let parts = wire.parts(hash::parts(self.target.file.size)).await?;
        Ok((wire, parts))
    }

    /// Hands the disk what comes, until either ends.
    async fn take(&self, mut incoming: Box<Incoming>, mut wire: Wire) -> Result<(Box<Incoming>, Taken), FileStop> {
        let (feed, mut fed) = mpsc::channel(HANDFULS);
        let writing = self.on_thread(move || {
            let taken = incoming.take(&mut fed);
            drop(fed);
            (incoming, taken)
        });
        let (read, written) = tokio::join!(wire.pour(feed), writing);
        let (incoming, taken) = written?;
        match (taken, read) {
            // What came was right, and there was not enough of it because of this.
            (Taken::Short, Err(stop)) => Err(stop),
            (taken, _) => Ok((incoming, taken)),
        }
    }
}

/// The stream of one asking. The sending half lives as long, since its end would be one of the asking.
struct Wire {
    patience: Duration,
    _send: SendStream,
    receive: RecvStream,
    /// Read, and not looked at.
    ahead: Vec<u8>,
}

impl Wire {
    async fn frame(&mut self) -> Result<FileFrame, FileStop> {
        let read = timeout(self.patience, stream::read(&mut self.receive)).await;
        let (frame, ahead) = read.ok().flatten().ok_or(FileStop::Broken)?;
        self.ahead = ahead;
        Ok(frame)
    }

    /// The hashes of `count` parts.
    async fn parts(&mut self, count: u64) -> Result<Vec<PartHash>, FileStop> {
        let wanted = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(size_of::<PartHash>());
        while self.ahead.len() < wanted {
            let read = timeout(self.patience, self.receive.read_chunk(wanted - self.ahead.len(), true)).await;
            match read {
                Ok(Ok(Some(chunk))) => self.ahead.extend_from_slice(&chunk.bytes),
                Ok(Err(error)) => return Err(why(&error)),
                Ok(Ok(None)) | Err(_) => return Err(FileStop::Broken),
            }
        }
        let further = self.ahead.split_off(wanted);
        let list = std::mem::replace(&mut self.ahead, further);
        Ok(list.as_chunks::<{ size_of::<PartHash>() }>().0.to_vec())
    }

    /// Reads to the end of the stream, or of who takes it.
    async fn pour(&mut self, feed: mpsc::Sender<Feed>) -> Result<(), FileStop> {
        let mut chunks = vec![Bytes::from(std::mem::take(&mut self.ahead))];
        loop {
            if feed.send(chunks).await.is_err() {
                return Ok(());
            }
            chunks = vec![Bytes::new(); CHUNKS];
            match timeout(self.patience, self.receive.read_chunks(&mut chunks)).await {
                Ok(Ok(Some(count))) => chunks.truncate(count),
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return Err(why(&error)),
                Err(_) => return Err(FileStop::Broken),
            }
        }
    }
}

fn why(error: &ReadError) -> FileStop {
    match error {
        ReadError::Reset(code) if *code == Reset::Changed.code() => FileStop::Fault(FileFault::Changed),
        _ => FileStop::Broken,
    }
}

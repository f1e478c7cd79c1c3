//! The store's own thread: takes what waits, commits it at once, then answers. It decides nothing and knows no driver.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{Builder, JoinHandle, Thread};
use std::time::{Duration, Instant};

use peer_core::event::Ticket;
use peer_core::stored::{Query, QueryResult, StoreOp, StoreResult};
use tokio::sync::{mpsc, oneshot};

use super::{Answered, Store, StoreError, Written};

/// Jobs that may wait; one more is given back.
pub const JOBS_MAX: usize = 1_024;
/// Jobs in one transaction.
const BATCH_MAX: usize = 512;
/// How often a disk without room is asked for some.
const ROOM_EVERY: Duration = Duration::from_millis(250);
/// When nothing came for so long, there is time for the index of search.
const IDLE: Duration = Duration::from_millis(100);

/// Something for the store to do.
#[derive(Debug)]
pub enum Job {
    /// Commit these ops together.
    Store {
        /// For the answer.
        ticket: Ticket,
        /// What to write.
        ops: Vec<StoreOp>,
    },
    /// Read.
    Query {
        /// For the answer.
        ticket: Ticket,
        /// What to read.
        query: Query,
    },
}

/// What the store says, in the order of the jobs.
#[derive(Debug)]
pub enum Reply {
    /// On stable storage.
    Stored {
        /// Which job.
        ticket: Ticket,
        /// One for each op.
        results: Vec<StoreResult>,
    },
    /// Read, after everything submitted before it.
    Answered {
        /// Which job.
        ticket: Ticket,
        /// The answer.
        result: QueryResult,
    },
    /// The disk has no room (true), or has again (false). What was to be written meanwhile waits and is written then;
    /// what is read is answered.
    Full(bool),
    /// It cannot write any more; says why. The last reply: jobs without an answer have none.
    Failed(String),
}

/// The handle of the running thread. Dropping it lets the thread finish what is queued, unwatched; [`Self::shutdown`]
/// waits for that.
#[derive(Debug)]
pub struct StorageThread {
    pub(super) jobs: mpsc::Sender<Job>,
    done: oneshot::Receiver<()>,
    thread: JoinHandle<()>,
    leaving: Arc<AtomicBool>,
}

impl StorageThread {
    /// Starts the thread with `store`. Replies wait for room in `replies`, and jobs behind them.
    ///
    /// # Errors
    /// The system's, when it gives no thread.
    pub fn start(store: Store, replies: mpsc::Sender<Reply>) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(JOBS_MAX);
        let (finished, done) = oneshot::channel();
        let leaving = Arc::new(AtomicBool::new(false));
        let patience = leaving.clone();
        let thread = Builder::new().name("storage".to_owned()).spawn(move || {
            Desk { store, jobs: waiting, taken: VecDeque::new(), replies, leaving: patience }.run();
            // Nobody waits for it unless it is being shut down.
            let _ = finished.send(());
        })?;
        Ok(Self { jobs, done, thread, leaving })
    }

    /// Submits a job without ever waiting.
    ///
    /// # Errors
    /// The job itself, when the queue is full, or the store has failed (then [`Reply::Failed`] was or will be said).
    // The job is what the caller keeps for later; a box would cost every caller for the rare case.
    #[allow(clippy::result_large_err)]
    pub fn try_submit(&self, job: Job) -> Result<(), Job> {
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(job) | mpsc::error::TrySendError::Closed(job) => job,
        })
    }

    /// From now on a disk without room is not waited for: what finds none is not written, and has not been promised.
    pub fn hurry(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Submits one of the last jobs, waiting for room; its answer is not wanted. Meanwhile replies must be taken, or
    /// their receiver dropped.
    pub async fn submit(&self, job: Job) {
        // A store that has failed has said so.
        let _ = self.jobs.send(job).await;
    }

    /// Finishes what is queued, closes the store and ends the thread. Meanwhile replies must be taken, or their
    /// receiver dropped.
    pub async fn shutdown(self) {
        self.hurry();
        drop(self.jobs);
        // An error means that the thread has ended without a word; joining tells.
        let _ = self.done.await;
        join(self.thread);
    }

    /// The same without a runtime. Not to be called inside one.
    pub fn shutdown_blocking(self) {
        self.hurry();
        drop(self.jobs);
        join(self.thread);
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("the storage thread has panicked");
    }
}

/// The thread, asleep until there is a job or it has slept enough.
struct Sleeper(Thread);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What the thread works on.
struct Desk {
    store: Store,
    jobs: mpsc::Receiver<Job>,
    /// Taken and not begun.
    taken: VecDeque<Job>,
    replies: mpsc::Sender<Reply>,
    leaving: Arc<AtomicBool>,
}

impl Desk {
    fn run(mut self) {
        let mut taken = Vec::with_capacity(BATCH_MAX);
        let failure = loop {
            match self.take(&mut taken) {
                Ok(0) => break None,
                Ok(_) => {}
                Err(error) => break Some(error),
            }
            self.taken.extend(taken.drain(..));
            let worked = self.work().and_then(|()| self.store.checkpoint_if_grown());
            if let Err(error) = worked {
                break Some(error);
            }
        };
        let Self { store, mut jobs, replies, .. } = self;
        let failure = match failure {
            // Gone without another write.
            Some(error) => Some(error),
            None => store.close().err(),
        };
        jobs.close();
        if let Some(error) = failure {
            tracing::error!(%error, "the store has failed");
            say(&replies, Reply::Failed(error.to_string()));
        }
    }

    /// Waits for jobs; how many came, none when nobody has any more. Nobody waits for search: what it does not know yet it learns
    /// while there is nothing else to do, and has been for a moment.
    fn take(&mut self, taken: &mut Vec<Job>) -> Result<usize, StoreError> {
        while self.store.lags_behind()? {
            if let Some(count) = self.jobs_within(taken, IDLE) {
                return Ok(count);
            }
            if !self.index_while_idle()? {
                break;
            }
        }
        Ok(self.jobs.blocking_recv_many(taken, BATCH_MAX))
    }

    /// False: there is no room on the disk for it.
    fn index_while_idle(&mut self) -> Result<bool, StoreError> {
        while self.jobs.is_empty() && !self.jobs.is_closed() && self.store.lags_behind()? {
            match self.store.index() {
                Err(StoreError::Full) => return Ok(false),
                other => other?,
            };
            self.store.checkpoint_if_grown()?;
        }
        Ok(true)
    }

    /// Jobs that come within `patience`.
    fn jobs_within(&mut self, taken: &mut Vec<Job>, patience: Duration) -> Option<usize> {
        let until = Instant::now() + patience;
        let waker = Waker::from(Arc::new(Sleeper(std::thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(count) = self.jobs.poll_recv_many(&mut context, taken, BATCH_MAX) {
                return Some(count);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            std::thread::park_timeout(left);
        }
    }

    /// One transaction for the writes up to each query, so that a query sees exactly what was submitted before it.
    fn work(&mut self) -> Result<(), StoreError> {
        let mut batch = Vec::with_capacity(self.taken.len());
        // More is taken while a commit waits for room.
        while !self.taken.is_empty() {
            while let Some(job) = self.taken.pop_front() {
                match job {
                    Job::Store { ticket, ops } => batch.push((ticket, ops)),
                    Job::Query { ticket, query } => {
                        self.commit(&mut batch)?;
                        self.answer(ticket, query);
                    }
                }
            }
            self.commit(&mut batch)?;
        }
        Ok(())
    }

    fn commit(&mut self, batch: &mut Vec<Written>) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let answers = match self.store.commit(batch) {
            Err(StoreError::Full) => self.commit_when_there_is_room(batch)?,
            other => other?,
        };
        batch.clear();
        for (ticket, results) in answers {
            say(&self.replies, Reply::Stored { ticket, results });
        }
        Ok(())
    }

    /// Nothing of the batch was said, and nothing behind it is written before it. Only what was committed before is read
    /// meanwhile.
    fn commit_when_there_is_room(&mut self, batch: &[Written]) -> Result<Vec<Answered>, StoreError> {
        let mut told = false;
        loop {
            self.store.make_room()?;
            match self.store.commit(batch) {
                Err(StoreError::Full) if self.leaving.load(Ordering::Relaxed) => return Err(StoreError::Full),
                Err(StoreError::Full) => {}
                other => {
                    if told {
                        say(&self.replies, Reply::Full(false));
                    }
                    return other;
                }
            }
            if !std::mem::replace(&mut told, true) {
                tracing::warn!("there is no room on the disk; what is to be written waits for it");
                say(&self.replies, Reply::Full(true));
            }
            self.answer_queries();
            std::thread::sleep(ROOM_EVERY);
        }
    }

    /// Answers what is to be read, though something to be written stands before it.
    fn answer_queries(&mut self) {
        while self.taken.len() < BATCH_MAX
            && let Ok(job) = self.jobs.try_recv()
        {
            self.taken.push_back(job);
        }
        for job in std::mem::take(&mut self.taken) {
            match job {
                Job::Query { ticket, query } => self.answer(ticket, query),
                job @ Job::Store { .. } => self.taken.push_back(job),
            }
        }
    }

    fn answer(&mut self, ticket: Ticket, query: Query) {
        let result = self.store.query(query);
        say(&self.replies, Reply::Answered { ticket, result });
    }
}

fn say(replies: &mpsc::Sender<Reply>, reply: Reply) {
    // When nobody listens any more, what is queued is still written.
    let _ = replies.blocking_send(reply);
}

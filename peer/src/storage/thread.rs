//! The store's own thread: takes what waits, commits it at once, then answers. It decides nothing and knows no driver.

use std::io;
use std::thread::{Builder, JoinHandle};

use peer_core::event::{Input, Ticket};
use peer_core::stored::{Query, QueryResult, StoreOp, StoreResult};
use tokio::sync::{mpsc, oneshot};

use super::{Store, StoreError};

/// Jobs that may wait; one more is given back.
pub const JOBS_MAX: usize = 1_024;
/// Jobs in one transaction.
const BATCH_MAX: usize = 512;

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
    /// It cannot write any more; says why. The last reply: jobs without an answer have none.
    Failed(String),
}

impl From<Reply> for Input {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Stored { ticket, results } => Self::Stored { ticket, results },
            Reply::Answered { ticket, result } => Self::Answered { ticket, result },
            Reply::Failed(why) => Self::StoreFailed(why),
        }
    }
}

/// The handle of the running thread. Dropping it lets the thread finish what is queued, unwatched; [`Self::shutdown`]
/// waits for that.
#[derive(Debug)]
pub struct StorageThread {
    pub(super) jobs: mpsc::Sender<Job>,
    done: oneshot::Receiver<()>,
    thread: JoinHandle<()>,
}

impl StorageThread {
    /// Starts the thread with `store`. Replies wait for room in `replies`, and jobs behind them.
    ///
    /// # Errors
    /// The system's, when it gives no thread.
    pub fn start(store: Store, replies: mpsc::Sender<Reply>) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(JOBS_MAX);
        let (finished, done) = oneshot::channel();
        let thread = Builder::new().name("storage".to_owned()).spawn(move || {
            run(store, waiting, &replies);
            // Nobody waits for it unless it is being shut down.
            let _ = finished.send(());
        })?;
        Ok(Self { jobs, done, thread })
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

    /// Submits one of the last jobs, waiting for room; its answer is not wanted. Meanwhile replies must be taken, or
    /// their receiver dropped.
    pub async fn submit(&self, job: Job) {
        // A store that has failed has said so.
        let _ = self.jobs.send(job).await;
    }

    /// Finishes what is queued, closes the store and ends the thread. Meanwhile replies must be taken, or their
    /// receiver dropped.
    pub async fn shutdown(self) {
        drop(self.jobs);
        // An error means that the thread has ended without a word; joining tells.
        let _ = self.done.await;
        join(self.thread);
    }

    /// The same without a runtime. Not to be called inside one.
    pub fn shutdown_blocking(self) {
        drop(self.jobs);
        join(self.thread);
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("the storage thread has panicked");
    }
}

fn run(mut store: Store, mut jobs: mpsc::Receiver<Job>, replies: &mpsc::Sender<Reply>) {
    let mut taken = Vec::with_capacity(BATCH_MAX);
    let failure = loop {
        if jobs.blocking_recv_many(&mut taken, BATCH_MAX) == 0 {
            break store.close().err();
        }
        let worked = work(&mut store, &mut taken, replies).and_then(|()| store.checkpoint_if_grown());
        if let Err(error) = worked {
            break Some(error);
        }
    };
    jobs.close();
    if let Some(error) = failure {
        tracing::error!(%error, "the store has failed");
        say(replies, Reply::Failed(error.to_string()));
    }
}

/// One transaction for the writes up to each query, so that a query sees exactly what was submitted before it.
fn work(store: &mut Store, taken: &mut Vec<Job>, replies: &mpsc::Sender<Reply>) -> Result<(), StoreError> {
    let mut batch = Vec::with_capacity(taken.len());
    for job in taken.drain(..) {
        match job {
            Job::Store { ticket, ops } => batch.push((ticket, ops)),
            Job::Query { ticket, query } => {
                commit(store, &mut batch, replies)?;
                let result = store.query(query);
                say(replies, Reply::Answered { ticket, result });
            }
        }
    }
    commit(store, &mut batch, replies)
}

fn commit(
    store: &mut Store,
    batch: &mut Vec<(Ticket, Vec<StoreOp>)>,
    replies: &mpsc::Sender<Reply>,
) -> Result<(), StoreError> {
    if batch.is_empty() {
        return Ok(());
    }
    for (ticket, results) in store.apply(std::mem::take(batch))? {
        say(replies, Reply::Stored { ticket, results });
    }
    Ok(())
}

fn say(replies: &mpsc::Sender<Reply>, reply: Reply) {
    // When nobody listens any more, what is queued is still written.
    let _ = replies.blocking_send(reply);
}

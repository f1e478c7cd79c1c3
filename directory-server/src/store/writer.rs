//! The store's own thread: takes what waits, commits it in one transaction, gives the answers. An error ends it, but for
//! a disk without room: then what needs room is refused, and the rest waits for some.
//!
//! Both ways are bounded channels. The loop never waits for them: it holds back what does not fit.

use std::collections::VecDeque;
use std::thread::JoinHandle;
use std::time::Duration;

use common::wire::directory::Refusal;
use directory_core::weight::{Need, need, rows};
use directory_core::{StoreOp, StoreResult, Ticket};
use tokio::sync::mpsc;

use super::{Applied, Store, StoreError};

/// Most operations of one batch, and about as many in one transaction.
pub const BATCH_MAX: usize = 512;
/// Most rows that the operations of one batch may touch, but for a single operation. Whoever asks for many rows holds
/// up all others no longer than this takes.
pub const BATCH_ROWS_MAX: usize = 2_048;
/// Batches that wait for the thread; it takes all of them into one transaction, up to [`BATCH_MAX`] operations and
/// about [`BATCH_ROWS_MAX`] rows, of each twice as many at most.
const BATCHES: usize = 64;
/// The log is moved into the database file after so many commits ...
const CHECKPOINT_COMMITS: usize = 256;
/// ... or so many operations.
const CHECKPOINT_OPS: usize = 4_096;
/// How often a disk without room is asked for some.
const ROOM_EVERY: Duration = Duration::from_millis(250);

/// Operations that share a transaction.
pub type Batch = Vec<(Ticket, StoreOp)>;

/// What the thread says of a transaction.
pub type Answer = Result<Applied, StoreError>;

/// The thread and the ways to it.
pub struct Writer {
    /// Batches to commit, each of at most [`BATCH_MAX`].
    pub batches: mpsc::Sender<Batch>,
    /// One answer for each transaction, in order; an error is the last.
    pub answers: mpsc::Receiver<Answer>,
    /// [`Store::spare_bytes`] at the start.
    pub spare_bytes: u64,
    thread: JoinHandle<Result<(), StoreError>>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// What the store or the operating system says.
    pub fn start(store: Store) -> std::io::Result<Self> {
        let spare_bytes = store.spare_bytes().map_err(std::io::Error::other)?;
        let (batches, inbox) = mpsc::channel(BATCHES);
        let (outbox, answers) = mpsc::channel(2);
        let thread =
            std::thread::Builder::new().name("store".to_owned()).spawn(move || serve(store, inbox, &outbox))?;
        Ok(Self { batches, answers, spare_bytes, thread })
    }

    /// Lets the thread commit what it was given, and closes the store. Blocks until the disk is done.
    ///
    /// # Errors
    /// [`StoreError`] when the last writing failed; what was answered is kept in any case.
    pub fn close(self) -> Result<(), StoreError> {
        let Self { batches, mut answers, thread, .. } = self;
        drop(batches);
        // What was given is still committed; the last error, if any, is the one to tell.
        let mut last = Ok(());
        while let Some(answer) = answers.blocking_recv() {
            last = answer.map(drop);
        }
        last?;
        thread.join().unwrap_or(Err(StoreError::Damaged("the store's thread ended unexpectedly")))
    }
}

/// The head of `backlog` that makes a batch: one operation at least, if there is one.
pub fn batch(backlog: &mut VecDeque<(Ticket, StoreOp)>) -> Batch {
    let mut sum = 0;
    let fits = |(_, op): &&(Ticket, StoreOp)| {
        sum += rows(op);
        sum <= BATCH_ROWS_MAX
    };
    let count = backlog.iter().take(BATCH_MAX).take_while(fits).count();
    backlog.drain(..count.max(1).min(backlog.len())).collect()
}

fn serve(mut store: Store, mut inbox: mpsc::Receiver<Batch>, outbox: &mpsc::Sender<Answer>) -> Result<(), StoreError> {
    let (mut commits, mut ops) = (0, 0);
    while let Some(mut batch) = inbox.blocking_recv() {
        while batch.len() < BATCH_MAX
            && batch.iter().map(|(_, op)| rows(op)).sum::<usize>() < BATCH_ROWS_MAX
            && let Ok(more) = inbox.try_recv()
        {
            batch.extend(more);
        }
        commits += 1;
        ops += batch.len();
        let answer = commit_or_refuse(&mut store, &batch, || {
            let waits = !inbox.is_closed();
            if waits {
                std::thread::sleep(ROOM_EVERY);
            }
            waits
        });
        let failed = answer.is_err();
        if outbox.blocking_send(answer).is_err() || failed {
            // A failed store is dropped without another write; the answer has told it.
            return Ok(());
        }
        if commits >= CHECKPOINT_COMMITS || ops >= CHECKPOINT_OPS {
            (commits, ops) = (0, 0);
            if let Err(error) = store.checkpoint() {
                let _ = outbox.blocking_send(Err(error));
                return Ok(());
            }
        }
    }
    store.close()
}

/// Commits a batch. Where the disk has no room for it even after the log was brought in, what needs room is refused, and
/// slots are dropped if that does not help; what is left is tried until it succeeds or `wait` says that nobody waits for it
/// any more.
///
/// # Errors
/// As [`Store::apply`]; for want of room only when nobody waits.
pub fn commit_or_refuse(store: &mut Store, batch: &Batch, mut wait: impl FnMut() -> bool) -> Answer {
    let answer = store.apply(batch.clone());
    if !is_full(&answer) {
        return answer;
    }
    store.make_room()?;
    let answer = store.apply(batch.clone());
    if !is_full(&answer) {
        return answer;
    }
    tracing::warn!("there is no room on the disk; what needs some is refused until there is");
    let mut refused = Need::Much;
    loop {
        let rest = batch.iter().filter(|(_, op)| need(op) < refused).cloned().collect();
        let answer = store.apply(rest);
        if !is_full(&answer) {
            return answer.map(|applied| with_refused(batch, refused, applied));
        }
        if refused == Need::Little {
            if !wait() {
                return answer;
            }
            store.make_room()?;
        }
        refused = Need::Little;
    }
}

fn is_full(answer: &Answer) -> bool {
    answer.as_ref().is_err_and(StoreError::is_full)
}

/// Puts refusals between the results of the rest, so that each operation of `batch` has its answer in its place.
fn with_refused(batch: &Batch, refused: Need, applied: Applied) -> Applied {
    let mut rest = applied.results.into_iter();
    let result = |(ticket, op): &(Ticket, StoreOp)| match need(op) >= refused {
        true => Some((*ticket, StoreResult::Refused(Refusal::DiskFull))),
        false => rest.next(),
    };
    Applied { results: batch.iter().filter_map(result).collect(), full: true, ..applied }
}

#[cfg(test)]
mod tests {
    use common::identity::PublicKey;

    use super::*;

    #[test]
    fn a_batch_is_bounded_by_rows_and_has_one_operation_at_least() {
        let seen = |keys| (Ticket(1), StoreOp::LastSeen { keys: vec![PublicKey([1; 32]); keys] });
        let mut backlog = VecDeque::from([seen(1_000), seen(1_000), seen(48), seen(1), seen(5_000), seen(0)]);
        let sizes = std::iter::from_fn(|| Some(batch(&mut backlog).len()).filter(|size| *size > 0));
        assert_eq!(sizes.collect::<Vec<_>>(), [3, 1, 1, 1]);
        backlog.extend((0..BATCH_MAX + 1).map(|_| seen(1)));
        assert_eq!(batch(&mut backlog).len(), BATCH_MAX);
    }
}

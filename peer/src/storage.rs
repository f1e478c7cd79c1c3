//! The peer's store: SQLite on its own thread. Carries out [`StoreOp`]s, each batch in one durable transaction, and
//! answers [`Query`]s. It decides nothing: what is written, and when, is the messenger's matter.
//!
//! [`Store`] is the synchronous heart, the same in the program and in a simulation; [`StorageThread`] gives it a thread.

mod amend;
mod arrival;
mod chains;
mod codes;
mod error;
mod facts;
mod files;
mod filing;
mod lanes;
mod migrate;
mod open;
mod read;
mod rows;
mod search;
mod snapshot;
mod talks;
#[cfg(test)]
pub(crate) mod tests;
mod texts;
mod thread;
mod upgrade;
mod write;

use std::path::{Path, PathBuf};

use common::identity::PublicKey;
use common::planted::{self, Bug};
use peer_core::event::Ticket;
use peer_core::stored::{Query, QueryResult, Snapshot, StoreOp, StoreResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

pub use error::StoreError;
pub use thread::{JOBS_MAX, Job, Reply, StorageThread};

/// Ops that belong together, and the ticket for their answer.
pub type Written = (Ticket, Vec<StoreOp>);
/// One result for each of these ops.
pub type Answered = (Ticket, Vec<StoreResult>);

/// After about so many pages written since the last checkpoint, the log is brought into the database.
const CHECKPOINT_PAGES: usize = 4_096;
/// Pages that one step of indexing writes, about.
const INDEX_PAGES: usize = 64;

/// An open store.
#[derive(Debug)]
pub struct Store {
    conn: Connection,
    me: PublicKey,
    /// None: in memory.
    path: Option<PathBuf>,
    failed: bool,
    /// Estimate of the pages in the log.
    grown: usize,
    /// The log could not be emptied, and what was to be destroyed may still be in it.
    unclean: bool,
    /// Texts were overwritten since the log was last emptied.
    erased: bool,
}

impl Store {
    /// Opens the store at `path`, or creates it (mode 0600) as the store of the key `me`.
    ///
    /// # Errors
    /// [`StoreError`] when it is damaged, newer than this program, another key's, or on a network file system.
    pub fn open(path: &Path, me: PublicKey) -> Result<Self, StoreError> {
        let conn = open::on_disk(path, &me)?;
        Ok(Self { conn, me, path: Some(path.to_owned()), failed: false, grown: 0, unclean: false, erased: false })
    }

    /// The same on a file system that SQLite knows as `vfs`, for tests that let it fail.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on(vfs: &str, path: &Path, me: PublicKey) -> Result<Self, StoreError> {
        let conn = open::on_vfs(vfs, path, &me)?;
        Ok(Self { conn, me, path: Some(path.to_owned()), failed: false, grown: 0, unclean: false, erased: false })
    }

    /// A new store of the key `me` that is gone when it is dropped.
    ///
    /// # Errors
    /// [`StoreError`] when SQLite cannot make it.
    pub fn open_in_memory(me: PublicKey) -> Result<Self, StoreError> {
        let conn = open::in_memory(&me)?;
        Ok(Self { conn, me, path: None, failed: false, grown: 0, unclean: false, erased: false })
    }

    /// The folder it lies in; none in memory.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        let folder = self.path.as_deref()?.parent()?;
        Some(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
    }

    /// Everything committed, as bytes for [`Self::from_image`]. For a store in memory.
    ///
    /// # Errors
    /// [`StoreError`] when SQLite cannot give it.
    pub fn image(&mut self) -> Result<Vec<u8>, StoreError> {
        Ok(self.conn.serialize("main")?.to_vec())
    }

    /// A store in memory, as it was when [`Self::image`] was taken.
    ///
    /// # Errors
    /// [`StoreError`] when the bytes are no image of a store of `me`.
    pub fn from_image(image: &[u8], me: PublicKey) -> Result<Self, StoreError> {
        let conn = open::from_image(image, &me)?;
        Ok(Self { conn, me, path: None, failed: false, grown: 0, unclean: false, erased: false })
    }

    /// Writes a batch in one transaction and returns when it is on stable storage, with one result for each op.
    ///
    /// # Errors
    /// [`StoreError`]: nothing of the batch may be told as written. After [`StoreError::Full`] the same batch may be tried
    /// again; after any other nothing is written any more. (After a failed flush nobody knows what the disk holds, so
    /// it is never tried again in place.)
    pub fn apply(&mut self, batch: Vec<Written>) -> Result<Vec<Answered>, StoreError> {
        self.commit(&batch)
    }

    /// The same for a batch that is still needed when the disk has no room for it.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn commit(&mut self, batch: &[Written]) -> Result<Vec<Answered>, StoreError> {
        self.unless_failed(|store| store.transact(batch))
    }

    /// Does something that writes. Whatever it fails with but a lack of room is the end of all writing.
    fn unless_failed<T>(&mut self, write: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.failed {
            return Err(StoreError::Failed);
        }
        let result = write(self);
        self.failed = !matches!(result, Ok(_) | Err(StoreError::Full));
        if self.failed {
            // Closing must not write either. Where this is refused, it does what it did before: bring in the log.
            let _ = self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
        result
    }

    fn transact(&mut self, batch: &[Written]) -> Result<Vec<Answered>, StoreError> {
        let ops = || batch.iter().flat_map(|(_, ops)| ops);
        let destroys = ops().any(|op| matches!(op, StoreOp::DropPrekeys(_)));
        let pages = ops().map(pages_of).sum::<usize>();
        if planted::is(Bug::WaterMarkApart) {
            self.mark_held(ops())?;
        }
        let transaction = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut writer = write::Writer::new(&transaction, self.me)?;
        let mut answers = Vec::with_capacity(batch.len());
        for (ticket, ops) in batch {
            let results = ops.iter().map(|op| writer.carry_out(op)).collect::<rusqlite::Result<Vec<_>>>()?;
            answers.push((*ticket, results));
        }
        let erased = writer.erased;
        let committed = transaction.commit();
        if !planted::is(Bug::CommitErrorIgnored) {
            committed?;
        }
        self.grown += pages;
        self.erased |= erased;
        if destroys {
            self.truncate_log()?;
        }
        Ok(answers)
    }

    /// Gives the disk what the log takes, as far as that is possible without more room.
    ///
    /// # Errors
    /// [`StoreError`]: a flush failed, nothing is written any more.
    pub fn make_room(&mut self) -> Result<(), StoreError> {
        self.unless_failed(Self::truncate_log)
    }

    /// The planted [`Bug::WaterMarkApart`]: what is held, before the messages themselves.
    fn mark_held<'a>(&mut self, ops: impl Iterator<Item = &'a StoreOp>) -> Result<(), StoreError> {
        let transaction = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let writer = write::Writer::new(&transaction, self.me)?;
        for op in ops {
            match op {
                StoreOp::Receive(arrival) => writer.note_held(arrival)?,
                StoreOp::Follow { sender, epoch, floor } => writer.follow(sender, epoch, *floor)?,
                _ => {}
            }
        }
        Ok(transaction.commit()?)
    }

    /// Reads. A failure is an answer too.
    pub fn query(&mut self, query: Query) -> QueryResult {
        if matches!(query, Query::Search { .. })
            && let Err(error) = self.index_before_search()
        {
            return QueryResult::Failed(error.to_string());
        }
        read::answer(&self.conn, &query)
            .unwrap_or_else(|error| QueryResult::Failed(StoreError::from(error).to_string()))
    }

    /// Takes some of the newest lines that search does not know into its index, in a transaction of its own. Whether more are
    /// left. To be called when nobody waits for an answer.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn index(&mut self) -> Result<bool, StoreError> {
        self.unless_failed(|store| {
            let transaction = store.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let more = search::index(&transaction)?;
            transaction.commit()?;
            store.grown += INDEX_PAGES;
            Ok(more)
        })
    }

    /// Whether so much is missing in the index of search that taking it in is worth a transaction.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn lags_behind(&self) -> Result<bool, StoreError> {
        Ok(!self.failed && search::backlog(&self.conn)? >= search::BATCH)
    }

    /// Where there is no room for the index, what is in it is searched.
    fn index_before_search(&mut self) -> Result<(), StoreError> {
        if self.failed {
            return Ok(());
        }
        for _ in 0..search::BATCHES_BEFORE_SEARCH {
            if search::backlog(&self.conn)? == 0 {
                break;
            }
            match self.index() {
                Ok(true) => {}
                Ok(false) | Err(StoreError::Full) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What was committed, for a messenger that uses the directory given as `directory_address` (`HOST:PORT`).
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn load(&mut self, directory_address: &str) -> Result<Snapshot, StoreError> {
        Ok(snapshot::load(&self.conn, &self.me, directory_address)?)
    }

    /// Brings the log into the database when it has grown, and empties it when it holds texts that are to be gone. To be called when nobody waits for an answer.
    ///
    /// # Errors
    /// [`StoreError`]: a flush failed, nothing is written any more.
    pub fn checkpoint_if_grown(&mut self) -> Result<(), StoreError> {
        self.unless_failed(|store| {
            if store.path.is_none() || (store.grown < CHECKPOINT_PAGES && !store.erased) {
                return Ok(());
            }
            if store.unclean || store.erased { store.truncate_log() } else { store.checkpoint("PASSIVE").map(|_| ()) }
        })
    }

    /// Brings the log into the database, empties it and closes.
    ///
    /// # Errors
    /// [`StoreError`]: a flush failed. What was answered before is in the log.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.unless_failed(Self::truncate_log)?;
        self.conn.close().map_err(|(_, error)| error.into())
    }

    /// So that nothing overwritten stays readable in the log.
    fn truncate_log(&mut self) -> Result<(), StoreError> {
        if self.path.is_none() {
            return Ok(());
        }
        // Where a reader keeps it from being emptied, the next one that is due anyway makes up for it.
        self.erased = false;
        self.unclean = !self.checkpoint("TRUNCATE")?;
        Ok(())
    }

    /// Whether all of it was done: somebody reading the file beside us, or a disk without room for the database to grow,
    /// makes it incomplete, and a later one makes up for it.
    fn checkpoint(&mut self, mode: &str) -> Result<bool, StoreError> {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let busy: bool = match self.conn.query_row(&sql, [], |row| row.get(0)).map_err(StoreError::from) {
            Err(StoreError::Full) => return Ok(false),
            other => other?,
        };
        self.grown = 0;
        Ok(!busy)
    }
}

fn pages_of(op: &StoreOp) -> usize {
    let bytes = match op {
        StoreOp::Queue(message) => message.row.body.len(),
        StoreOp::Receive(arrival) => arrival.body.len(),
        StoreOp::NewEpoch { moves, .. } | StoreOp::Readdress(moves) => moves.len() * 256,
        StoreOp::Shown(numbers) => numbers.len() * 256,
        StoreOp::State { .. }
        | StoreOp::Aged { .. }
        | StoreOp::Step { .. }
        | StoreOp::Forget { .. }
        | StoreOp::Follow { .. }
        | StoreOp::PutPin(_)
        | StoreOp::PutContact(_)
        | StoreOp::PutMeta(_)
        | StoreOp::PutDirectory(_)
        | StoreOp::PutPrekey(_)
        | StoreOp::DropPrekeys(_)
        | StoreOp::Countdown { .. }
        | StoreOp::Vanish { .. }
        | StoreOp::Dismiss(_)
        | StoreOp::Amend(_)
        | StoreOp::Read { .. }
        | StoreOp::ForgetTexts(_)
        | StoreOp::PutDuration { .. }
        | StoreOp::PutGroupHome { .. }
        | StoreOp::PutSteps { .. }
        | StoreOp::NewFile(_)
        | StoreOp::PutFile(_) => 0,
    };
    1 + bytes / 1_024
}

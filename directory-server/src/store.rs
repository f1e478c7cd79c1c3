//! The store: SQLite behind the core's questions. [`Store::apply`] is its synchronous heart, one committed transaction
//! for many operations; [`writer::Writer`] runs it on a thread of its own. What the answers mean is the core's business.
//!
//! Nothing is held in memory between two transactions but prepared statements and SQLite's page cache, so the store
//! serves any number of users and mailboxes. An error leaves the store unusable: it is dropped, never retried; but for a
//! disk without room, which leaves it as it was.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::planted::{self, Bug};
use common::wire::codec::DecodeError;
use directory_core::{StoreHead, StoreOp, StoreResult, Ticket};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};
use thiserror::Error;

mod accounts;
mod expiry;
mod group_answers;
pub mod group_list;
mod group_room;
mod groups;
mod lanes;
mod ledger;
mod mail;
mod pages;
pub mod people;
mod pieces;
mod restore;
mod slots;
#[cfg(test)]
mod tests;
pub mod writer;

use ledger::{Head, Ledger};

/// The layout that this build reads and writes.
pub const SCHEMA_VERSION: i32 = LAYOUTS.len() as i32;
/// What each version of it adds to the one before.
const LAYOUTS: [&str; 4] = [
    include_str!("store/schema.sql"),
    include_str!("store/groups.sql"),
    include_str!("store/group_bounds.sql"),
    include_str!("store/pieces.sql"),
];
/// Says that a SQLite file is a directory's store ("HOMD").
const APPLICATION_ID: i32 = 0x484f_4d44;
/// Bytes of a page: three sealed items of the smallest size.
const PAGE_BYTES: i32 = 8192;
/// SQLite's page cache, KiB.
const CACHE_KIB: i32 = 8 * 1024;
/// What is left of a log that has grown larger.
const LOG_MAX_BYTES: i64 = 64 * 1024 * 1024;
/// Prepared statements kept; there are fewer.
const STATEMENTS_MAX: usize = 128;
/// How long a transaction waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Why the store cannot go on.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The disk or the database says no.
    #[error("the store failed: {0}")]
    Sql(rusqlite::Error),
    /// The disk has no room for the transaction, which was rolled back; it may be tried again. (`docs/decisions/0015`)
    #[error("there is no room on the disk: {0}")]
    Full(rusqlite::Error),
    /// The file cannot be made.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// A newer program made it.
    #[error(
        "the store has layout {found}, this program knows layouts up to {SCHEMA_VERSION}; use a newer directory-server"
    )]
    Newer {
        /// Its version.
        found: i32,
    },
    /// It is a SQLite file, but not a directory's.
    #[error("the database file does not belong to a directory-server")]
    Foreign,
    /// A guarantee of the database does not hold on this disk.
    #[error("the database cannot be kept safely here: {setting} is {found:?} where {wanted:?} was set")]
    Setting {
        /// Which setting.
        setting: &'static str,
        /// What was asked for.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// What is kept contradicts itself.
    #[error("the store is damaged: {0}")]
    Damaged(&'static str),
    /// A kept record does not decode.
    #[error("the store is damaged: a record does not decode: {0}")]
    Record(#[from] DecodeError),
    /// No randomness for a new store's number.
    #[error("the operating system gives no random numbers: {0}")]
    Entropy(String),
}

impl StoreError {
    /// Whether it says that the disk has no room, before anything was promised.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if is_full(&error) { Self::Full(error) } else { Self::Sql(error) }
    }
}

/// A write that found no room or went over a quota, or shared memory that could not grow.
///
/// To be asked as soon as SQLite has answered: a quota is told from a broken disk by the error that the system call left
/// behind in this thread.
fn is_full(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_WRITE};
    let over_quota = || io::Error::last_os_error().kind() == io::ErrorKind::QuotaExceeded;
    error.sqlite_error().is_some_and(|error| match (error.code, error.extended_code) {
        (ErrorCode::DiskFull, _) | (_, SQLITE_IOERR_SHMSIZE) => true,
        (_, SQLITE_IOERR_WRITE) => over_quota(),
        _ => false,
    })
}

/// An open store.
pub struct Store {
    db: Connection,
    on_disk: bool,
}

impl Store {
    /// Opens the store at `path`, made if there is none (mode 0600).
    ///
    /// # Errors
    /// [`StoreError`] when it is newer than this program, foreign, damaged, or the disk refuses.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let io = |error| StoreError::Io { path: path.to_owned(), error };
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map_err(io)?;
        let mut store_id = [0; 16];
        getrandom::fill(&mut store_id).map_err(|error| StoreError::Entropy(error.to_string()))?;
        wal::renew(path).map_err(io)?;
        Self::prepare(Connection::open(path)?, true, store_id)
    }

    /// The same on a file system that SQLite knows as `vfs`, for tests that let it fail; a new store is to have the number
    /// `store_id`.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_on(vfs: &str, path: &Path, store_id: [u8; 16]) -> Result<Self, StoreError> {
        Self::prepare(Connection::open_with_flags_and_vfs(path, OpenFlags::default(), vfs)?, true, store_id)
    }

    /// A new store in memory; `store_id` is the number it is to have.
    ///
    /// # Errors
    /// [`StoreError`] when there is no memory.
    pub fn open_in_memory(store_id: [u8; 16]) -> Result<Self, StoreError> {
        Self::prepare(Connection::open_in_memory()?, false, store_id)
    }

    /// A store in memory with the content that [`Store::snapshot`] gave.
    ///
    /// # Errors
    /// [`StoreError`] when the bytes are no store.
    pub fn from_snapshot(snapshot: &[u8]) -> Result<Self, StoreError> {
        let mut db = Connection::open_in_memory()?;
        db.deserialize_read_exact(MAIN_DB, snapshot, snapshot.len(), false)?;
        Self::prepare(db, false, [0; 16])
    }

    /// The whole content of a store in memory, as of the last commit.
    ///
    /// # Errors
    /// [`StoreError`] when there is no memory.
    pub fn snapshot(&mut self) -> Result<Vec<u8>, StoreError> {
        Ok(self.db.serialize(MAIN_DB)?.to_vec())
    }

    /// Gives the store another number, as one does after restoring it from a copy.
    ///
    /// # Errors
    /// [`StoreError`] when the disk refuses.
    pub fn renumber(&mut self, store_id: [u8; 16]) -> Result<(), StoreError> {
        self.db.execute("UPDATE head SET store_id = ?1", [store_id])?;
        Ok(())
    }

    /// What the store says of itself.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn head(&self) -> Result<StoreHead, StoreError> {
        let Head { store_id, commits, binding_serial, .. } = Head::load(&self.db)?;
        Ok(StoreHead { store_id, commits, binding_serial })
    }

    /// Carries out `ops` in order, in one transaction that is on stable storage when this returns: the results, and
    /// the commits of the store so far. A transaction that writes nothing is no commit and costs no write.
    ///
    /// # Errors
    /// [`StoreError`]: none of `ops` happened, or it is unknown whether they did. Drop the store, unless the error
    /// [is a lack of room](StoreError::is_full): then none happened, and they may be tried again.
    pub fn apply(&mut self, ops: Vec<(Ticket, StoreOp)>) -> Result<Applied, StoreError> {
        let result = self.transact(ops);
        if result.is_err() {
            // The transaction is given up either way; the first error is the one to tell.
            let _ = self.db.execute_batch("ROLLBACK");
        }
        self.trusted(result)
    }

    fn transact(&mut self, ops: Vec<(Ticket, StoreOp)>) -> Result<Applied, StoreError> {
        self.db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let applied = Self::carry_out(&self.db, ops)?;
        let committed = self.db.prepare_cached("COMMIT")?.execute([]);
        if !planted::is(Bug::CommitErrorIgnored) {
            committed?;
        }
        Ok(applied)
    }

    /// After anything but a lack of room nobody knows what the disk holds: dropping the store must not write either.
    fn trusted<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if result.as_ref().is_err_and(|error| !error.is_full()) {
            // Where this is refused, dropping does what it did before: it brings in the log.
            let _ = self.db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
        result
    }

    fn carry_out(db: &Connection, ops: Vec<(Ticket, StoreOp)>) -> Result<Applied, StoreError> {
        let before = db.total_changes();
        let mut ledger = Ledger::open(db)?;
        let mut results = Vec::with_capacity(ops.len());
        for (ticket, op) in ops {
            results.push((ticket, answer(&mut ledger, op)?));
        }
        if db.total_changes() != before || ledger.is_changed() {
            ledger.change_head().commits += 1;
        }
        let commits = ledger.head().commits;
        ledger.close()?;
        Ok(Applied { results, commits, spare_bytes: spare_bytes(db)?, full: false })
    }

    /// Bytes of the database file that hold nothing and are used again before the file grows.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be counted.
    pub fn spare_bytes(&self) -> Result<u64, StoreError> {
        spare_bytes(&self.db)
    }

    /// Moves committed pages from the log into the database file, as far as nobody reads older ones and the disk has room.
    ///
    /// # Errors
    /// [`StoreError`] when the disk refuses.
    pub fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.bring_in("PASSIVE")
    }

    /// Gives the disk what the log takes, as far as that is possible without more room.
    ///
    /// # Errors
    /// [`StoreError`] when the disk refuses.
    pub fn make_room(&mut self) -> Result<(), StoreError> {
        self.bring_in("TRUNCATE")
    }

    /// Closes the store and leaves no log behind, unless there is no room for what is in it.
    ///
    /// # Errors
    /// [`StoreError`] when the disk refuses; what was committed stays committed.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.bring_in("TRUNCATE")?;
        self.db.close().map_err(|(_, error)| error.into())
    }

    fn bring_in(&mut self, mode: &str) -> Result<(), StoreError> {
        if !self.on_disk {
            return Ok(());
        }
        let result = self.db.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()));
        match self.trusted(result.map_err(StoreError::from)) {
            Err(error) if error.is_full() => Ok(()),
            other => other,
        }
    }

    fn prepare(mut db: Connection, on_disk: bool, store_id: [u8; 16]) -> Result<Self, StoreError> {
        db.busy_timeout(BUSY_TIMEOUT)?;
        db.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        // Otherwise SQLite plans a statement anew for each value bound to it, in the hope of a better plan.
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        db.pragma_update(None, "page_size", PAGE_BYTES)?;
        if on_disk {
            require(&db, "journal_mode", "WAL", "wal")?;
            require(&db, "synchronous", "FULL", "2")?;
            // The writer checkpoints when nobody waits for it.
            db.pragma_update(None, "wal_autocheckpoint", 0)?;
        }
        db.pragma_update(None, "journal_size_limit", LOG_MAX_BYTES)?;
        db.pragma_update(None, "cache_size", -CACHE_KIB)?;
        db.pragma_update(None, "temp_store", "MEMORY")?;
        if planted::is(Bug::SynchronousOff) {
            db.pragma_update(None, "synchronous", "OFF")?;
        }
        let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let found = layout(&transaction)?;
        let missing = usize::try_from(found).ok().and_then(|found| LAYOUTS.get(found..));
        for sql in missing.ok_or(StoreError::Newer { found })? {
            transaction.execute_batch(sql)?;
        }
        if found == 0 {
            transaction.execute("INSERT INTO head VALUES (1, ?1, 0, 0, 0, 0, 0, 0, 0)", [store_id])?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        }
        if found != SCHEMA_VERSION {
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        transaction.commit()?;
        Ok(Self { db, on_disk })
    }
}

/// What one transaction gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// A result for each operation, in their order.
    pub results: Vec<(Ticket, StoreResult)>,
    /// Commits of the store so far.
    pub commits: u64,
    /// See [`Store::spare_bytes`].
    pub spare_bytes: u64,
    /// The disk had no room for some of it, which is refused.
    pub full: bool,
}

fn spare_bytes(db: &Connection) -> Result<u64, StoreError> {
    let pages: i64 = db.prepare_cached("PRAGMA freelist_count")?.query_row([], |row| row.get(0))?;
    Ok(u64::try_from(pages).unwrap_or(0) * PAGE_BYTES as u64)
}

/// The version of the layout; 0 for an empty file.
fn layout(db: &Connection) -> Result<i32, StoreError> {
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let application: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    match (tables, application) {
        (0, 0) => Ok(0),
        (_, APPLICATION_ID) => Ok(db.pragma_query_value(None, "user_version", |row| row.get(0))?),
        _ => Err(StoreError::Foreign),
    }
}

/// Sets a pragma and reads it back.
fn require(
    db: &Connection,
    setting: &'static str,
    wanted: &'static str,
    expected: &'static str,
) -> Result<(), StoreError> {
    db.pragma_update(None, setting, wanted)?;
    let found: rusqlite::types::Value = db.pragma_query_value(None, setting, |row| row.get(0))?;
    let found = match found {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text.to_lowercase(),
        other => format!("{other:?}"),
    };
    if found == expected { Ok(()) } else { Err(StoreError::Setting { setting, wanted, found }) }
}

/// Carries out one operation.
fn answer(ledger: &mut Ledger<'_>, op: StoreOp) -> Result<StoreResult, StoreError> {
    match op {
        StoreOp::LoadAccount { key } => accounts::load(ledger, &key),
        StoreOp::OfferToken { key, token, proven, now_ms } => {
            accounts::offer_token(ledger, &key, token, proven, now_ms)
        }
        StoreOp::ConfirmToken { key, token, epoch, now_ms } => {
            accounts::confirm_token(ledger, &key, token, epoch, now_ms)
        }
        StoreOp::Register { key, name, binding, serial, prekey, now_ms } => {
            let wanted = accounts::Wanted { name, binding, serial };
            accounts::register(ledger, &key, wanted, &prekey, now_ms)
        }
        StoreOp::Deregister { key } => accounts::deregister(ledger, &key),
        StoreOp::Online { key, prekey, candidates, now_ms } => {
            accounts::online(ledger, &key, &prekey, &candidates, now_ms)
        }
        StoreOp::WentOffline { key, now_ms } => accounts::went_offline(ledger, &key, now_ms),
        StoreOp::PutPrekey { key, prekey } => accounts::put_prekey(ledger, &key, &prekey),
        StoreOp::LookUp { whom } => people::look_up(ledger.db(), &whom),
        StoreOp::Who { after, text, limit } => people::who(ledger.db(), after.as_ref(), text.as_deref(), limit),
        StoreOp::LastSeen { keys } => people::last_seen(ledger.db(), &keys),
        StoreOp::Deposit(op) => mail::deposit(ledger, op),
        StoreOp::Withdraw { submitter, places } => mail::withdraw(ledger, &submitter, &places),
        StoreOp::Have { submitter, places } => mail::have(ledger, &submitter, &places),
        StoreOp::Take { recipient, items, now_ms } => mail::take(ledger, &recipient, &items, now_ms),
        StoreOp::Page { recipient, from, limit_items, limit_bytes, urgent_only } => {
            pages::page(ledger, &recipient, from, (limit_items, limit_bytes), urgent_only)
        }
        StoreOp::Waiting { recipient } => Ok(StoreResult::Waiting(accounts::waiting(ledger, &recipient)?)),
        StoreOp::PutSlot(op) => slots::put(ledger, op),
        StoreOp::TakeSlot { recipient, from, serial } => slots::take(ledger, &recipient, &from, serial),
        StoreOp::SlotPage { recipient, after_serial, limit_slots, limit_bytes } => {
            slots::page(ledger, &recipient, after_serial, limit_slots, limit_bytes)
        }
        StoreOp::Accept { key, keys, limit } => slots::accept(ledger, &key, &keys, limit),
        StoreOp::Expire(op) => expiry::expire(ledger, &op),
        StoreOp::Group(op) => group_answers::answer(ledger, op),
        StoreOp::File(op) => pieces::answer(ledger, op),
    }
}

//! Questions about registered people that change nothing, for the core and for the operator; and the operator's
//! releasing of a name, which a second process may do while the server runs.

use std::path::Path;

use common::identity::PublicKey;
use common::name::Name;
use common::wire::codec;
use common::wire::directory::Whom;
use directory_core::StoreResult;
use directory_core::event::{StoredListed, StoredProfile};
use directory_core::weight::WHO_ROWS_MAX;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use super::ledger::{Tally, count};
use super::{BUSY_TIMEOUT, SCHEMA_VERSION, StoreError, layout, pieces};

type Answer = Result<StoreResult, StoreError>;

pub(super) fn look_up(db: &Connection, whom: &Whom) -> Answer {
    type Columns = ([u8; 32], Vec<u8>, Option<Vec<u8>>, Option<i64>);
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let select = "SELECT a.key, a.binding, p.record, a.seen_ms FROM accounts a LEFT JOIN prekeys p USING (account)";
    let found: Option<Columns> = match whom {
        Whom::Name(name) => {
            db.prepare_cached(&format!("{select} WHERE a.folded = ?1"))?.query_row([name.folded()], read)
        }
        Whom::Key(key) => db
            .prepare_cached(&format!("{select} WHERE a.key = ?1 AND a.folded IS NOT NULL"))?
            .query_row([&key.0[..]], read),
    }
    .optional()?;
    let Some((key, binding, prekey, seen_ms)) = found else { return Ok(StoreResult::Profile(None)) };
    Ok(StoreResult::Profile(Some(Box::new(StoredProfile {
        key: PublicKey(key),
        binding: codec::decode(&binding)?,
        prekey: prekey.map(|bytes| codec::decode(&bytes)).transpose()?,
        last_seen_ms: seen_ms.unwrap_or_default(),
    }))))
}

pub(super) fn who(db: &Connection, after: Option<&Name>, text: Option<&str>, limit: usize) -> Answer {
    let sql = "SELECT name, key, seen_ms, folded FROM accounts WHERE folded > ?1 ORDER BY folded";
    let after = after.map(Name::folded).unwrap_or_default();
    let text = text.map(str::to_ascii_lowercase).unwrap_or_default();
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([after])?;
    let mut people = Vec::new();
    let mut looked_at = 0;
    while let Some(row) = rows.next()? {
        if looked_at == WHO_ROWS_MAX {
            // Whoever asks goes on after the last name given. Where there is none, going on would look at the same
            // names again: then this is all.
            let more = !people.is_empty();
            return Ok(StoreResult::People { people, more });
        }
        looked_at += 1;
        if !row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?.contains(&text) {
            continue;
        }
        if people.len() >= limit {
            return Ok(StoreResult::People { people, more: true });
        }
        let last_seen_ms = row.get::<_, Option<i64>>(2)?.unwrap_or_default();
        people.push(StoredListed { name: name(row, 0)?, key: PublicKey(row.get(1)?), last_seen_ms });
    }
    Ok(StoreResult::People { people, more: false })
}

pub(super) fn last_seen(db: &Connection, keys: &[PublicKey]) -> Answer {
    let mut statement = db.prepare_cached("SELECT seen_ms FROM accounts WHERE key = ?1")?;
    let mut seen = Vec::with_capacity(keys.len());
    for key in keys {
        let one: Option<Option<i64>> = statement.query_row([&key.0[..]], |row| row.get(0)).optional()?;
        seen.push(one.flatten());
    }
    Ok(StoreResult::LastSeen(seen))
}

pub(super) fn name(row: &Row<'_>, at: usize) -> Result<Name, StoreError> {
    row.get::<_, String>(at)?.parse().map_err(|_| StoreError::Damaged("a name is none"))
}

/// The store as an operator sees it, beside a server that may be running.
pub struct People {
    pub(super) db: Connection,
    /// Files are kept since the fourth layout.
    keeps_files: bool,
}

/// What an operator is told about one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name as registered.
    pub name: Name,
    /// Whose it is.
    pub key: PublicKey,
    /// When its owner came or went last, milliseconds since 1970.
    pub seen_ms: Option<i64>,
    /// When its owner logged in last, milliseconds since 1970.
    pub login_ms: Option<i64>,
    /// Items that wait.
    pub items: u64,
    /// Their sealed bytes.
    pub bytes: u64,
    /// Files that wait, those included that are still being handed over.
    pub files: u64,
    /// Their sealed bytes, as declared.
    pub file_bytes: u64,
    /// Deposited by its owner and still waiting, for anybody.
    pub sent_items: u64,
    /// Senders its owner has accepted.
    pub accepted: u64,
}

impl People {
    /// Opens an existing store; makes none.
    ///
    /// # Errors
    /// [`StoreError`] when there is none, or it is another program's or a newer one's.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(BUSY_TIMEOUT)?;
        db.pragma_update(None, "synchronous", "FULL")?;
        match layout(&db)? {
            0 => Err(StoreError::Foreign),
            // What is asked here is kept in the same way since the first layout.
            found @ 1..=SCHEMA_VERSION => Ok(Self { db, keeps_files: found >= 4 }),
            found => Err(StoreError::Newer { found }),
        }
    }

    /// Up to `limit` entries in folded order of names, after `after`.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn list(&self, after: Option<&Name>, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let StoreResult::People { people, .. } = who(&self.db, after, None, limit)? else { return Ok(Vec::new()) };
        let entries = people.into_iter().map(|listed| self.show(&listed.name));
        entries.filter_map(Result::transpose).collect()
    }

    /// What is known of `wanted`: none if it is not registered.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn show(&self, wanted: &Name) -> Result<Option<Entry>, StoreError> {
        let sql = "SELECT account, name, key, seen_ms, login_ms FROM accounts WHERE folded = ?1";
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query([wanted.folded()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let (files, file_bytes, _) = if self.keeps_files { pieces::tally(&self.db, row.get(0)?)? } else { (0, 0, 0) };
        let Tally { items, bytes, sent_items, accepted, .. } = Tally::load(&self.db, row.get(0)?)?;
        let (name, key) = (name(row, 1)?, PublicKey(row.get(2)?));
        let (seen_ms, login_ms) = (row.get(3)?, row.get(4)?);
        Ok(Some(Entry { name, key, seen_ms, login_ms, items, bytes, files, file_bytes, sent_items, accepted }))
    }

    /// Frees a name; what waits for its key stays. False: it was not registered.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be written.
    pub fn release(&self, name: &Name) -> Result<bool, StoreError> {
        let sql = "UPDATE accounts SET folded = NULL, name = NULL, binding = NULL, candidates = NULL,
                   touched_ms = (SELECT newest_ms FROM head) WHERE folded = ?1";
        Ok(self.db.execute(sql, [name.folded()])? > 0)
    }

    /// How many names are registered.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub fn registered(&self) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM accounts WHERE folded IS NOT NULL";
        Ok(self.db.query_row(sql, [], |row| count(row, 0))?)
    }
}

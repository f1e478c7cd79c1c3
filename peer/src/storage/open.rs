//! Opening: settings that the promises rest on, the schema and its version, checks for damage. No messages here.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use common::identity::PublicKey;
use common::planted::{self, Bug};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use rustix::fs::statfs;

use super::error::StoreError;
use super::migrate::SCHEMA_VERSION;
use super::{files, migrate, search};

/// Marks the file as a store of this program, for `file` and for ourselves: "Homg".
const APPLICATION_ID: i64 = 0x486f_6d67;
/// Up to this size a store is checked as a whole at the start (about 0.2 s); damage in a larger one is found where it is
/// read, so that years of messages do not make the start slow.
const CHECKED_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Somebody inspecting or copying the file may hold us up so long, milliseconds.
const BUSY_TIMEOUT_MS: u64 = 5_000;
/// Without `SQLITE_OPEN_URI`: a path is a path, whatever it begins with.
const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);
/// Statements kept prepared.
const STATEMENTS: usize = 64;

/// Opens or creates the store at `path`.
pub fn on_disk(path: &Path, me: &PublicKey) -> Result<Connection, StoreError> {
    let file = |error| StoreError::File { path: path.to_owned(), error };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    refuse_network(folder)?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => File::open(folder).and_then(|folder| folder.sync_all()).map_err(file)?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(file(error)),
    }
    wal::renew(path).map_err(file)?;
    let bytes = std::fs::metadata(path).map_err(file)?.len();
    set_up(Connection::open_with_flags(path, FLAGS)?, path, bytes, me)
}

/// Opens or creates the store at `path` of a file system that SQLite knows as `vfs`.
pub fn on_vfs(vfs: &str, path: &Path, me: &PublicKey) -> Result<Connection, StoreError> {
    let flags = FLAGS | OpenFlags::SQLITE_OPEN_CREATE;
    set_up(Connection::open_with_flags_and_vfs(path, flags, vfs)?, path, 0, me)
}

fn set_up(conn: Connection, path: &Path, bytes: u64, me: &PublicKey) -> Result<Connection, StoreError> {
    conn.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS))?;
    recognise(&conn, path)?;
    set_durable(&conn)?;
    set_common(&conn)?;
    if bytes <= CHECKED_MAX_BYTES {
        check(&conn)?;
    }
    prepare(&conn, me)?;
    match conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(StoreError::from) {
        // What is in the log stays there until there is room for it.
        Ok(()) | Err(StoreError::Full) => Ok(conn),
        Err(error) => Err(error),
    }
}

/// A new store in memory.
pub fn in_memory(me: &PublicKey) -> Result<Connection, StoreError> {
    let conn = Connection::open_in_memory()?;
    set_common(&conn)?;
    prepare(&conn, me)?;
    Ok(conn)
}

/// A store in memory from its bytes.
pub fn from_image(image: &[u8], me: &PublicKey) -> Result<Connection, StoreError> {
    let mut conn = Connection::open_in_memory()?;
    conn.deserialize_read_exact("main", image, image.len(), false)?;
    set_common(&conn)?;
    prepare(&conn, me)?;
    Ok(conn)
}

/// Before anything is written: is it ours, and of a version we know?
fn recognise(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    let (application, version) = (pragma(conn, "application_id")?, pragma(conn, "user_version")?);
    if is_empty(conn)? && application == 0 && version == 0 {
        return Ok(());
    }
    if application != APPLICATION_ID || version < 1 {
        return Err(StoreError::NotAStore(path.to_owned()));
    }
    if version > SCHEMA_VERSION {
        return Err(StoreError::Newer { found: version, known: SCHEMA_VERSION });
    }
    Ok(())
}

fn is_empty(conn: &Connection) -> rusqlite::Result<bool> {
    conn.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))
}

fn pragma(conn: &Connection, name: &str) -> rusqlite::Result<i64> {
    conn.pragma_query_value(None, name, |row| row.get(0))
}

fn set_durable(conn: &Connection) -> Result<(), StoreError> {
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Setting("journal_mode = WAL"));
    }
    conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON")?;
    if pragma(conn, "synchronous")? != 2 {
        return Err(StoreError::Setting("synchronous = FULL"));
    }
    conn.query_row("PRAGMA wal_autocheckpoint = 0", [], |_| Ok(()))?;
    Ok(())
}

fn set_common(conn: &Connection) -> Result<(), StoreError> {
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    // Otherwise SQLite plans a statement anew for each value bound to it, in the hope of a better plan.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.query_row("PRAGMA secure_delete = ON", [], |_| Ok(()))?;
    // No message text in temporary files; nothing from the file is trusted as code.
    conn.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON")?;
    conn.execute_batch("PRAGMA cache_size = -16000")?;
    if planted::is(Bug::SynchronousOff) {
        conn.execute_batch("PRAGMA synchronous = OFF")?;
    }
    if pragma(conn, "secure_delete")? != 1 {
        return Err(StoreError::Setting("secure_delete = ON"));
    }
    Ok(())
}

fn check(conn: &Connection) -> Result<(), StoreError> {
    let verdict: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(StoreError::Damaged(verdict)) }
}

/// The schema in a new store; in an old one, whose it is.
fn prepare(conn: &Connection, me: &PublicKey) -> Result<(), StoreError> {
    if is_empty(conn)? {
        let transaction = conn.unchecked_transaction()?;
        let schema = include_str!("schema.sql");
        if planted::is(Bug::DedupeWindow) {
            transaction.execute_batch(&schema.replace("UNIQUE (sender, id)", "CHECK (1)"))?;
        } else {
            transaction.execute_batch(schema)?;
        }
        transaction.execute_batch(include_str!("talk.sql"))?;
        transaction.execute_batch(include_str!("homes.sql"))?;
        transaction.execute_batch(search::SCHEMA)?;
        transaction.execute_batch(files::SCHEMA)?;
        transaction.execute("INSERT INTO store (one, me) VALUES (1, ?1)", [me.0])?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        transaction.commit()?;
        return Ok(());
    }
    let owner: Option<[u8; 32]> = conn.query_row("SELECT me FROM store", [], |row| row.get(0)).optional()?;
    match owner {
        Some(owner) if owner == me.0 => migrate::to_current(conn, me),
        Some(_) => Err(StoreError::OtherKey),
        None => Err(StoreError::Damaged("it does not say whose it is".to_owned())),
    }
}

fn refuse_network(folder: &Path) -> Result<(), StoreError> {
    let found = statfs(folder).map_err(|error| StoreError::File { path: folder.to_owned(), error: error.into() })?;
    // The width and sign of the field differ between systems; the low 32 bits are the magic number.
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation, clippy::unnecessary_cast)]
    match network_kind(found.f_type as u32) {
        Some(kind) => Err(StoreError::NetworkFileSystem { path: folder.to_owned(), kind }),
        None => Ok(()),
    }
}

/// Magic numbers as in Linux' `statfs(2)`.
fn network_kind(magic: u32) -> Option<&'static str> {
    match magic {
        0x6969 => Some("NFS"),
        0x517b => Some("SMB"),
        0xff53_4d42 => Some("CIFS"),
        0xfe53_4d42 => Some("SMB2"),
        0x564c => Some("NCP"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x7375_7245 => Some("Coda"),
        0x0102_1997 => Some("9P"),
        0x00c3_6400 => Some("Ceph"),
        0x0bd0_0bd0 => Some("Lustre"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_refused_and_local_ones_are_not() {
        // NFS, SMB, CIFS, SMB2.
        for magic in [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42] {
            assert!(network_kind(magic).is_some(), "{magic:x}");
        }
        // ext4, btrfs, xfs, tmpfs, overlay.
        for magic in [0xef53, 0x9123_683e, 0x5846_5342, 0x0102_1994, 0x794c_7630] {
            assert_eq!(network_kind(magic), None, "{magic:x}");
        }
        refuse_network(tempfile::tempdir().unwrap().path()).unwrap();
    }
}

//! Why a store cannot be opened, read or written. Nothing here decides what the program does then.

use std::path::PathBuf;

use rusqlite::ErrorCode;
use thiserror::Error;

/// Why a store does not do what it is asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file is no store, or parts of it are not what was written.
    #[error("the message store is damaged: {0}")]
    Damaged(String),
    /// A database of some other program.
    #[error("{} is a database of another program", .0.display())]
    NotAStore(PathBuf),
    /// Written by a newer version of this program.
    #[error(
        "the message store has format {found}, this version of the program knows up to {known}: a newer one is needed"
    )]
    Newer {
        /// Format of the file.
        found: i64,
        /// Newest format known here.
        known: i64,
    },
    /// The messages of another key.
    #[error("the message store belongs to another identity key than the one beside it")]
    OtherKey,
    /// On a file system where neither locks nor flushes can be relied on.
    #[error("{} lies on a network file system ({kind}): keep the data directory on a local disk", path.display())]
    NetworkFileSystem {
        /// Where.
        path: PathBuf,
        /// Which file system.
        kind: &'static str,
    },
    /// SQLite did not take a setting that the promises rest on.
    #[error("the message store does not take the setting {0}")]
    Setting(&'static str),
    /// The disk has no room for the transaction, which was rolled back; it may be tried again.
    #[error("there is no room left on the disk of the message store")]
    Full,
    /// It failed before: nothing is written any more.
    #[error("the message store has failed before")]
    Failed,
    /// The file cannot be made or examined.
    #[error("{}: {error}", path.display())]
    File {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// Anything else that SQLite says: read, write or flush errors, locked.
    #[error("the message store cannot be read or written: {0}")]
    Sqlite(rusqlite::Error),
}

impl StoreError {
    /// Whether the data directory is to blame, and not the moment: another start will meet the same.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) | Self::NotAStore(_) | Self::OtherKey => true,
            Self::Newer { .. }
            | Self::NetworkFileSystem { .. }
            | Self::Setting(_)
            | Self::Full
            | Self::Failed
            | Self::File { .. }
            | Self::Sqlite(_) => false,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as Sql;
        let code = error.sqlite_error_code();
        let unreadable = matches!(
            error,
            Sql::FromSqlConversionFailure(..) | Sql::IntegralValueOutOfRange(..) | Sql::InvalidColumnType(..)
        );
        if is_full(&error) {
            Self::Full
        } else if unreadable || matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) {
            Self::Damaged(error.to_string())
        } else {
            Self::Sqlite(error)
        }
    }
}

/// The errors that say "no room" before anything was promised: a write that found none or went over a quota, and shared
/// memory that could not grow. They leave the transaction rolled back and the store as it was. (`docs/decisions/0015`)
///
/// To be asked as soon as SQLite has answered: a quota is told from a broken disk by the error that the system call left
/// behind in this thread.
fn is_full(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_WRITE};
    let over_quota = || std::io::Error::last_os_error().kind() == std::io::ErrorKind::QuotaExceeded;
    error.sqlite_error().is_some_and(|error| match (error.code, error.extended_code) {
        (ErrorCode::DiskFull, _) | (_, SQLITE_IOERR_SHMSIZE) => true,
        (_, SQLITE_IOERR_WRITE) => over_quota(),
        _ => false,
    })
}

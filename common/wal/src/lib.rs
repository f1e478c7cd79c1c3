//! What both stores do about a write-ahead log that a run before left behind. Apart from `common`, because a file is nothing
//! pure.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Puts a copy of the log of `database` in its place, before anybody reads it. What a run before could not flush is read from
/// the system's memory and never reaches the disk by itself; what is committed behind it would be lost with the power, and the
/// database, once the log is brought in, be older in parts. The copy is on the disk as a whole. (`docs/decisions/0013`)
///
/// Without room for a copy the log stays as it is: nobody is kept out by a full disk.
///
/// # Errors
/// Whatever else the file system answers.
pub fn renew(database: &Path) -> io::Result<()> {
    let beside = |end: &str| {
        let mut name = database.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let (log, copy) = (beside("-wal"), beside("-wal-new"));
    match std::fs::metadata(&log) {
        Ok(found) if found.len() > 0 => {}
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    if let Err(error) = std::fs::copy(&log, &copy).and_then(|_| File::open(&copy)?.sync_all()) {
        // What there is of it would only take room. It may not be there at all.
        let _ = std::fs::remove_file(&copy);
        return if is_without_room(&error) { Ok(()) } else { Err(error) };
    }
    std::fs::rename(&copy, &log)?;
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// A quota that is used up is a full disk too (`docs/decisions/0015`).
fn is_without_room(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_has_the_place_of_the_log_and_its_content() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let (database, log) = (folder.path().join("a.db"), folder.path().join("a.db-wal"));
        renew(&database).unwrap();
        std::fs::write(&log, []).unwrap();
        renew(&database).unwrap();
        assert_eq!(std::fs::metadata(&log).unwrap().len(), 0);
        std::fs::write(&log, b"frames").unwrap();
        // Kept open, so that its number is not given again.
        let before = File::open(&log).unwrap();
        renew(&database).unwrap();
        assert_ne!(std::fs::metadata(&log).unwrap().ino(), before.metadata().unwrap().ino());
        assert_eq!(std::fs::read(&log).unwrap(), b"frames");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_full_disk_and_a_quota_that_is_used_up_are_no_room_and_a_broken_disk_is_not() {
        let [full, quota, broken] = [28, 122, 5].map(io::Error::from_raw_os_error);
        assert_eq!([full, quota, broken].each_ref().map(is_without_room), [true, true, false]);
    }
}

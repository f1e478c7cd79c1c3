//! The file of an event log: appended to, one `write` for a turn, so that what was written survives a kill at any moment.
//! What is written is not its matter.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use thiserror::Error;

/// Said in the log where something could not be written.
const HOLE: &[u8] = b"{\"event\":\"hole\"}\n";

/// Why there is no event log.
#[derive(Debug, Error)]
pub enum EventLogError {
    /// Another process writes it; the records of two in one file would tell nothing of either.
    #[error("the event log {} is in use by another process; every program needs its own", .0.display())]
    InUse(PathBuf),
    /// The system says no.
    #[error("the event log {}: {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
}

/// An event log that this process writes.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: File,
    /// It ends within a line: of a run that was killed, or of a write that failed.
    torn: bool,
    /// Something is missing.
    hole: bool,
}

impl EventFile {
    /// Opens it to append, or creates it (mode 0600).
    ///
    /// # Errors
    /// [`EventLogError`].
    pub fn open(path: &Path) -> Result<Self, EventLogError> {
        let failed = |error| EventLogError::File { path: path.to_owned(), error };
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        let mut last = [b'\n'];
        // Of a device or a pipe there is only one for all, and no end to look at.
        if about.is_file() {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(EventLogError::InUse(path.to_owned())),
                Err(error) => return Err(failed(error.into())),
            }
            // Asked again now that nobody else writes.
            let bytes = file.metadata().map_err(failed)?.len();
            if bytes > 0 {
                file.read_exact_at(&mut last, bytes - 1).map_err(failed)?;
            }
        }
        Ok(Self { path: path.to_owned(), file, torn: last != *b"\n", hole: false })
    }

    /// Appends whole lines. A failure is logged once, leaves a mark where something is missing, and holds nothing up.
    pub fn append(&mut self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        let before: &[u8] = if self.torn { b"\n" } else { b"" };
        let bytes = [before, if self.hole { HOLE } else { b"" }, lines].concat();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return self.failed(&ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.torn = true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.failed(&error),
            }
        }
        (self.torn, self.hole) = (false, false);
    }

    fn failed(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.hole, true) {
            let path = self.path.display();
            tracing::warn!(%path, %error, "the event log cannot be written and will have a hole; messages are not affected");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_was_cut_off_is_left_behind_and_the_next_line_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        let mut file = EventFile::open(&path).unwrap();
        assert!(matches!(EventFile::open(&path), Err(EventLogError::InUse(_))));
        file.append(b"{\"a\":1}\n");
        drop(file);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"torn").unwrap();
        EventFile::open(&path).unwrap().append(b"{\"b\":2}\n");
        assert_eq!(std::fs::read(&path).unwrap(), b"{\"a\":1}\n{\"torn\n{\"b\":2}\n");
    }

    #[test]
    fn what_cannot_be_written_leaves_a_mark_and_holds_nothing_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        let mut file = EventFile::open(&path).unwrap();
        let good = std::mem::replace(&mut file.file, File::open("/dev/null").unwrap());
        file.append(b"{\"a\":1}\n");
        assert!(file.hole);
        file.file = good;
        file.append(b"{\"b\":2}\n");
        file.append(b"{\"c\":3}\n");
        assert_eq!(std::fs::read(&path).unwrap(), b"{\"event\":\"hole\"}\n{\"b\":2}\n{\"c\":3}\n");
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_said_with_its_path() {
        let error = EventFile::open(Path::new("/nonexistent/events")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/events"), "{error}");
    }
}

//! What the system says about files, in the words that people are told. Not here: who is told.

use std::io::{Error, ErrorKind};

use common::body::FileFault;
use rustix::io::Errno;

/// Why an own file cannot be given.
pub(super) fn reading(error: &Error) -> FileFault {
    if Errno::from_io_error(error) == Some(Errno::LOOP) {
        return FileFault::Missing;
    }
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidInput => FileFault::Missing,
        ErrorKind::IsADirectory => FileFault::NoFile,
        _ => FileFault::Unreadable,
    }
}

/// Why a file cannot be written.
pub(super) fn writing(error: &Error) -> FileFault {
    match Errno::from_io_error(error) {
        Some(Errno::NOSPC | Errno::DQUOT) => FileFault::DiskFull,
        Some(Errno::FBIG) => FileFault::TooLarge,
        _ => FileFault::NoPlace,
    }
}

/// As [`writing`].
pub(super) fn refused(errno: Errno) -> FileFault {
    writing(&errno.into())
}

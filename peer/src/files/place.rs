//! Where a file from somebody is to lie: the folder, what it is called while it is not whole, and the name it gets then. Nothing
//! that lies there is ever replaced or followed. Not here: what is written.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use common::body::FileFault;
use peer_core::event::FileTarget;
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::fault::{refused, writing};
use super::{name, own};

/// Names that are tried before a folder counts as no place.
const NUMBERS_MAX: u32 = 10_000;
/// Digits of the hash in the name of a partial file.
const DIGITS: usize = 32;

/// How much of a disk stays free, whatever comes.
#[derive(Debug, Clone, Copy)]
pub struct Reserve {
    /// At least so many bytes.
    pub bytes: u64,
    /// At least so many hundredths of the disk.
    pub percent: u64,
}

impl Default for Reserve {
    fn default() -> Self {
        Self { bytes: 1024 * 1024 * 1024, percent: 5 }
    }
}

/// Why a partial file is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotOpened {
    /// Something else writes it.
    Busy,
    /// It cannot be.
    Fault(FileFault),
}

impl From<FileFault> for NotOpened {
    fn from(fault: FileFault) -> Self {
        Self::Fault(fault)
    }
}

/// A folder that is open, and the names in it.
#[derive(Debug)]
pub(super) struct Place {
    folder: OwnedFd,
    path: PathBuf,
    /// What it is to be called.
    wanted: OsString,
    /// What it is called until it is whole.
    partial: String,
    reserve: Reserve,
}

impl Place {
    /// Finds the place; the folder for downloads is made if need be.
    pub(super) fn of(target: &FileTarget, downloads: &Path, reserve: Reserve) -> Result<Self, FileFault> {
        let cleaned = || OsString::from(name::clean(&target.file.name));
        let (path, wanted) = match &target.place {
            None => {
                let path = std::path::absolute(downloads).map_err(|error| writing(&error))?;
                DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(|error| writing(&error))?;
                (path, cleaned())
            }
            Some(chosen) => {
                let path = own::absolute(chosen).map_err(|_| FileFault::NoPlace)?;
                if path.is_dir() { (path, cleaned()) } else { split(chosen, &path)? }
            }
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(&path, flags, Mode::empty()).map_err(refused)?;
        let mut partial = ".homing-".to_owned();
        target.file.blake3.iter().for_each(|byte| partial.push_str(&format!("{byte:02x}")));
        partial.truncate(".homing-".len() + DIGITS);
        partial.push_str(".part");
        Ok(Self { folder, path, wanted, partial, reserve })
    }

    /// Bytes that may still be written here.
    pub(super) fn room(&self) -> Result<u64, FileFault> {
        let disk = rustix::fs::fstatvfs(&self.folder).map_err(refused)?;
        let total = disk.f_blocks.saturating_mul(disk.f_frsize);
        let kept = self.reserve.bytes.max((total / 100).saturating_mul(self.reserve.percent));
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize).saturating_sub(kept))
    }

    /// The partial file, locked, if there is one that is ours.
    pub(super) fn open(&self) -> Result<Option<File>, NotOpened> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = match rustix::fs::openat(&self.folder, &self.partial, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(refused(errno).into()),
        };
        self.lock(opened)
    }

    /// A new partial file, locked.
    pub(super) fn create(&self) -> Result<File, NotOpened> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let created = match rustix::fs::openat(&self.folder, &self.partial, flags, Mode::RUSR | Mode::WUSR) {
            // Made by somebody else since it was looked for.
            Err(Errno::EXIST) => return Err(NotOpened::Busy),
            created => created.map_err(refused)?,
        };
        // What is written into it can be promised only if the system finds it again.
        rustix::fs::fsync(&self.folder).map_err(refused)?;
        self.lock(created)?.ok_or(NotOpened::Busy)
    }

    /// Bytes of a partial file that something else writes, all of them on the disk now.
    pub(super) fn flushed_bytes(&self) -> Result<u64, FileFault> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = match rustix::fs::openat(&self.folder, &self.partial, flags, Mode::empty()) {
            Ok(opened) => opened,
            Err(Errno::NOENT) => return Ok(0),
            Err(errno) => return Err(refused(errno)),
        };
        let length = rustix::fs::fstat(&opened).map_err(refused)?.st_size;
        rustix::fs::fdatasync(&opened).map_err(refused)?;
        Ok(u64::try_from(length).unwrap_or(0))
    }

    fn lock(&self, opened: OwnedFd) -> Result<Option<File>, NotOpened> {
        match rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(NotOpened::Busy),
            Err(errno) => return Err(refused(errno).into()),
        }
        let found = rustix::fs::fstat(&opened).map_err(refused)?;
        let ours = found.st_uid == rustix::process::geteuid().as_raw();
        if !ours || FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return Err(FileFault::NoPlace.into());
        }
        if found.st_nlink > 1 {
            // It is somewhere else too: finished when the power went, or laid here to be written to. That other name keeps it.
            rustix::fs::unlinkat(&self.folder, &self.partial, AtFlags::empty()).map_err(refused)?;
            return Ok(None);
        }
        // Between opening and locking, whoever had the lock may have finished and renamed it.
        match rustix::fs::statat(&self.folder, &self.partial, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(named) if (named.st_ino, named.st_dev) == (found.st_ino, found.st_dev) => Ok(Some(File::from(opened))),
            Ok(_) => Err(NotOpened::Busy),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(refused(errno).into()),
        }
    }

    /// Gives the partial file, which is whole and flushed, the first free name, and flushes the folder.
    pub(super) fn finish(&self) -> Result<PathBuf, FileFault> {
        for number in 0..NUMBERS_MAX {
            let name = self.numbered(number);
            match self.rename(&name) {
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(refused(errno)),
                Ok(()) => {
                    rustix::fs::fsync(&self.folder).map_err(refused)?;
                    return Ok(self.path.join(name));
                }
            }
        }
        Err(FileFault::NoPlace)
    }

    fn numbered(&self, number: u32) -> OsString {
        match self.wanted.to_str() {
            Some(text) => name::numbered(text, number).into(),
            None if number == 0 => self.wanted.clone(),
            // The user's own path, and no text.
            None => {
                let mut name = self.wanted.clone();
                name.push(format!("_{number}"));
                name
            }
        }
    }

    /// Without replacing anything.
    fn rename(&self, name: &OsStr) -> Result<(), Errno> {
        let folder = &self.folder;
        match rustix::fs::renameat_with(folder, &self.partial, folder, name, RenameFlags::NOREPLACE) {
            // Some file systems cannot: a second name, then the first one goes.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                rustix::fs::linkat(folder, &self.partial, folder, name, AtFlags::empty())?;
                rustix::fs::unlinkat(folder, &self.partial, AtFlags::empty())
            }
            renamed => renamed,
        }
    }
}

/// A file's own path, as the user gave it: its folder, which is there, and its name.
fn split(chosen: &Path, path: &Path) -> Result<(PathBuf, OsString), FileFault> {
    let is_folder = chosen.as_os_str().as_bytes().ends_with(b"/");
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if !is_folder => Ok((folder.to_owned(), name.to_owned())),
        _ => Err(FileFault::NoPlace),
    }
}

//! Own files: found, measured, and read as long as they are what they were. Not here: who gets what is read.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use common::body::FileFault;
use common::limits::{FILE_PART_BYTES, PIECE_BYTES};
use common::message::MessageId;
use common::piece;
use peer_core::event::{FileFacts, FileSource};
use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::PARTS_MAX;
use super::fault;
use super::hash::{self, PartHash, Sha256};
use super::threads::Flag;

/// An own file that is open, and still what it was when it was measured.
#[derive(Debug)]
pub(super) struct Own {
    file: File,
    size: u64,
    stamp: u64,
}

impl Own {
    fn open(path: &Path) -> Result<Self, FileFault> {
        // Looked at before it is opened: opening a device can do something.
        let found = std::fs::metadata(path).map_err(|error| fault::reading(&error))?;
        if !found.is_file() {
            return Err(FileFault::NoFile);
        }
        // Non-blocking, should it have become a pipe meanwhile.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened: OwnedFd =
            rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| fault::reading(&errno.into()))?;
        let file = File::from(opened);
        let metadata = file.metadata().map_err(|error| fault::reading(&error))?;
        if !metadata.is_file() {
            return Err(FileFault::NoFile);
        }
        Ok(Self { size: metadata.len(), stamp: hash::stamp(&metadata), file })
    }

    /// Opens what was measured, if it is still that.
    pub(super) fn again(source: &FileSource) -> Result<Self, FileFault> {
        let own = Self::open(&source.path)?;
        if own.size == source.size && own.stamp == source.stamp { Ok(own) } else { Err(FileFault::Changed) }
    }

    /// Bytes from `offset` on, `length` of them, if nobody has written to the file up to now.
    pub(super) fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, FileFault> {
        let wanted = usize::try_from(length).map_err(|_| FileFault::TooLarge)?;
        let mut bytes = Vec::with_capacity(wanted);
        while bytes.len() < wanted {
            let at = offset.saturating_add(bytes.len() as u64);
            match rustix::io::pread(&self.file, spare_capacity(&mut bytes), at) {
                Ok(0) => return Err(FileFault::Changed),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(fault::reading(&errno.into())),
            }
        }
        bytes.truncate(wanted);
        self.check()?;
        Ok(bytes)
    }

    /// Whether it is still what it was.
    fn check(&self) -> Result<(), FileFault> {
        let metadata = self.file.metadata().map_err(|error| fault::reading(&error))?;
        if hash::stamp(&metadata) == self.stamp { Ok(()) } else { Err(FileFault::Changed) }
    }

    /// Reads the file once, whole; `each` gets every part with its hash.
    pub(super) fn walk<E: From<FileFault>>(
        &self,
        stop: &Flag,
        mut each: impl FnMut(&[u8], PartHash) -> Result<(), E>,
    ) -> Result<(), E> {
        for index in 0..hash::parts(self.size) {
            if stop.is_up() {
                return Err(FileFault::Unreadable.into());
            }
            let bytes = self.read(index * FILE_PART_BYTES, hash::part_bytes(self.size, index))?;
            each(&bytes, hash::part(self.size, index, &bytes))?;
        }
        Ok(())
    }

    /// Its size.
    pub(super) fn size(&self) -> u64 {
        self.size
    }
}

/// What the user has typed, as an absolute path: `~/` is the home folder, everything else begins where the program was started.
pub(super) fn absolute(typed: &Path) -> Result<PathBuf, FileFault> {
    if typed.as_os_str().is_empty() {
        return Err(FileFault::NoName);
    }
    let found = match typed.strip_prefix("~") {
        Ok(rest) => etcetera::home_dir().map_err(|_| FileFault::Missing)?.join(rest),
        Err(_) => typed.to_owned(),
    };
    std::path::absolute(found).map_err(|error| fault::reading(&error))
}

/// Reads an own file once: what can be offered of it, and the hashes of its parts.
pub(super) fn measure(typed: &Path, stop: &Flag) -> Result<(FileFacts, Vec<PartHash>), FileFault> {
    let path = absolute(typed)?;
    let own = Own::open(&path)?;
    if hash::parts(own.size) > PARTS_MAX {
        return Err(FileFault::TooLarge);
    }
    // A name that is no text is offered as what can be read of it.
    let name = path.file_name().ok_or(FileFault::NoName)?.to_string_lossy().into_owned();
    let (mut sha256, mut parts) = (Sha256::new(), Vec::new());
    own.walk::<FileFault>(stop, |bytes, hash| {
        sha256.update(bytes);
        parts.push(hash);
        Ok(())
    })?;
    let blake3 = hash::root(&parts).ok_or(FileFault::Unreadable)?;
    let source = FileSource { path, size: own.size, blake3, stamp: own.stamp };
    Ok((FileFacts { name, sha256: sha256.finish(), source }, parts))
}

/// Piece `index` of an own file, sealed.
pub(super) fn read_piece(
    source: &FileSource,
    offer: MessageId,
    key: &[u8; 32],
    index: u32,
) -> Result<Vec<u8>, FileFault> {
    let own = Own::again(source)?;
    let offset = u64::from(index) * PIECE_BYTES;
    if piece::count(own.size).is_none_or(|count| index >= count) {
        return Err(FileFault::Changed);
    }
    let bytes = own.read(offset, own.size.saturating_sub(offset).min(PIECE_BYTES))?;
    let mut nonce = [0; 24];
    getrandom::fill(&mut nonce).map_err(|error| {
        tracing::error!(%error, "the system gives no entropy");
        FileFault::Unreadable
    })?;
    piece::seal(key, offer, index, nonce, &bytes).ok_or(FileFault::Unreadable)
}

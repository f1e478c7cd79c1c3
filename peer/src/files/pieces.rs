//! Pieces of a file from somebody, as the directory gives them: opened, appended in order, flushed before anybody is told. Not
//! here: which piece is asked for, and own files.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use common::body::FileFault;
use common::limits::PIECE_BYTES;
use common::piece;
use peer_core::event::{FileStep, FileTarget};
use rustix::fs::fdatasync;

use super::fault::{refused, writing};
use super::incoming;
use super::place::{NotOpened, Place, Reserve};
use super::threads::Flag;

/// How far the file is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) step: FileStep,
    /// Nothing was written, since something else writes the file.
    pub(super) busy: bool,
}

/// Writes a piece if it is the next one; looks how far the file is.
pub(super) fn write(
    target: &FileTarget,
    sealed: Option<(u32, Vec<u8>)>,
    downloads: &Path,
    reserve: Reserve,
    stop: &Flag,
) -> Result<Written, FileFault> {
    let (offer, size) = (&target.file, target.file.size);
    let count = piece::count(size).ok_or(FileFault::TooLarge)?;
    let place = Place::of(target, downloads, reserve)?;
    let file = match place.open() {
        Ok(file) => file,
        Err(NotOpened::Fault(fault)) => return Err(fault),
        Err(NotOpened::Busy) => {
            let step = FileStep::Next(next(place.flushed_bytes()?, size, count.saturating_sub(1)));
            return Ok(Written { step, busy: true });
        }
    };
    let length = match &file {
        Some(file) => file.metadata().map_err(|error| writing(&error))?.len(),
        None => 0,
    };
    let at = next(length, size, count);
    let (file, at) = match sealed {
        Some((index, sealed)) if index == at && at < count => {
            let plain = piece::open(&offer.key, target.offer, index, &sealed).map_err(|_| FileFault::HashWrong)?;
            (Some(append(&place, file, size, index, &plain)?), at + 1)
        }
        _ => (file, at),
    };
    if let Some(file) = &file {
        fdatasync(file).map_err(refused)?;
    }
    let step =
        if at < count { FileStep::Next(at) } else { FileStep::Whole(incoming::finish(place, file, offer, stop)?) };
    Ok(Written { step, busy: false })
}

/// The first piece that is missing when `length` bytes are there.
fn next(length: u64, size: u64, count: u32) -> u32 {
    if length >= size { count } else { u32::try_from(length / PIECE_BYTES).unwrap_or(count).min(count) }
}

fn append(place: &Place, file: Option<File>, size: u64, index: u32, plain: &[u8]) -> Result<File, FileFault> {
    let offset = u64::from(index) * PIECE_BYTES;
    if plain.len() as u64 != size.saturating_sub(offset).min(PIECE_BYTES) {
        return Err(FileFault::HashWrong);
    }
    if place.room()? < plain.len() as u64 {
        return Err(FileFault::DiskFull);
    }
    let file = match file {
        Some(file) => file,
        None => place.create().map_err(|error| match error {
            NotOpened::Busy => FileFault::NoPlace,
            NotOpened::Fault(fault) => fault,
        })?,
    };
    // What lies behind it is the beginning of something that was never whole.
    file.set_len(offset).map_err(|error| writing(&error))?;
    file.write_all_at(plain, offset).map_err(|error| writing(&error))?;
    Ok(file)
}

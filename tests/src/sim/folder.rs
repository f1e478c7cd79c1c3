//! What lies on a machine's disk beside its store: its user's files, and those that come. A file is a size and what its path
//! makes of it; of one that comes it is known which piece stands at which place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::body::FileFault;
use common::limits::PIECE_BYTES;
use common::piece;
use peer_core::event::{FileFacts, FileSource, FileTarget};

use super::dice::Dice;

/// What a file holds, in the place of its bytes.
pub(crate) type Content = [u8; 32];
/// A piece: of which content, which one.
type Mark = (Content, u32);

/// What lies on a machine's disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Folder {
    own: BTreeMap<PathBuf, FileSource>,
    pub(crate) downloads: Downloads,
}

/// What came, and what is coming.
#[derive(Debug, Clone, Default)]
pub(crate) struct Downloads {
    partial: BTreeMap<(Option<PathBuf>, Content), Partial>,
    whole: BTreeMap<PathBuf, Vec<Mark>>,
}

#[derive(Debug, Clone, Default)]
struct Partial {
    pieces: Vec<Mark>,
    /// So many survive the power.
    flushed: usize,
}

/// What a file of this path holds after so many times of writing.
fn content(path: &Path, stamp: u64) -> Content {
    let hash = format!("{} {stamp}", path.display())
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    Dice::new(hash).bytes()
}

/// The other hash of such a file.
pub(crate) fn other_hash(content: &Content) -> Content {
    content.map(|byte| !byte)
}

pub(crate) fn count(size: u64) -> u32 {
    piece::count(size).expect("a small file")
}

/// What stands for the bytes of a piece: as much of its content's name and of its number as it has bytes.
pub(crate) fn plain(content: &Content, size: u64, index: u32) -> Vec<u8> {
    let bytes = size.saturating_sub(u64::from(index) * PIECE_BYTES).min(PIECE_BYTES);
    let mut plain = [content.as_slice(), &index.to_be_bytes()].concat();
    plain.truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
    plain
}

impl Folder {
    /// The user writes a file, or writes to it again. What it held before.
    pub(crate) fn write_own(&mut self, path: &Path, size: u64) -> Option<Content> {
        let before = self.own.get(path).cloned();
        let stamp = before.as_ref().map_or(1, |before| before.stamp + 1);
        let source = FileSource { path: path.to_owned(), size, blake3: content(path, stamp), stamp };
        self.own.insert(path.to_owned(), source);
        before.map(|before| before.blake3)
    }

    pub(crate) fn measured(&self, path: &Path) -> Result<FileFacts, FileFault> {
        let source = self.own.get(path).cloned().ok_or(FileFault::Missing)?;
        let name = path.file_name().ok_or(FileFault::NoName)?.to_string_lossy().into_owned();
        Ok(FileFacts { name, sha256: other_hash(&source.blake3), source })
    }

    /// Whether an own file is what it was.
    pub(crate) fn is_as_offered(&self, source: &FileSource) -> Result<(), FileFault> {
        match self.own.get(&source.path) {
            None => Err(FileFault::Missing),
            Some(now) if now == source => Ok(()),
            Some(_) => Err(FileFault::Changed),
        }
    }
}

fn key(target: &FileTarget) -> (Option<PathBuf>, Content) {
    (target.place.clone(), target.file.blake3)
}

impl Downloads {
    /// The next piece that is missing.
    pub(crate) fn next(&self, target: &FileTarget) -> u32 {
        let pieces = self.partial.get(&key(target)).map_or(0, |partial| partial.pieces.len());
        u32::try_from(pieces).expect("few pieces")
    }

    pub(crate) fn put(&mut self, target: &FileTarget, content: Content, index: u32) {
        self.partial.entry(key(target)).or_default().pieces.push((content, index));
    }

    pub(crate) fn flush(&mut self, target: &FileTarget) {
        if let Some(partial) = self.partial.get_mut(&key(target)) {
            partial.flushed = partial.pieces.len();
        }
    }

    pub(crate) fn is_whole(&self, target: &FileTarget) -> bool {
        self.next(target) == count(target.file.size)
    }

    /// Flushes a file and gives it its name: another one where that is taken.
    pub(crate) fn finish(&mut self, target: &FileTarget) -> PathBuf {
        let pieces = self.partial.remove(&key(target)).map(|partial| partial.pieces).unwrap_or_default();
        let folder = target.place.clone().unwrap_or_else(|| "downloads".into());
        let names = (0..).map(|n| if n == 0 { target.file.name.clone() } else { format!("{n}_{}", target.file.name) });
        let path = names.map(|name| folder.join(name)).find(|path| !self.whole.contains_key(path));
        let path = path.expect("one of all names is free");
        self.whole.insert(path.clone(), pieces);
        path
    }

    /// Whether exactly this lies there.
    pub(crate) fn holds(&self, path: &Path, content: &Content, size: u64) -> bool {
        let right = (0..count(size)).map(|index| (*content, index));
        self.whole.get(path).is_some_and(|pieces| pieces.iter().copied().eq(right))
    }

    /// What was not flushed may be lost from its end on.
    pub(crate) fn lose_power(&mut self, dice: &mut Dice) {
        for partial in self.partial.values_mut() {
            let unflushed = partial.pieces.len() - partial.flushed;
            if unflushed > 0 {
                let left = usize::try_from(dice.below(unflushed as u64 + 1)).unwrap_or(0);
                partial.pieces.truncate(partial.flushed + left);
            }
            // What is found at the next start is on the disk.
            partial.flushed = partial.pieces.len();
        }
    }
}

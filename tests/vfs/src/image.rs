//! What lies on a disk: for each file what a reader sees, what is stable, and what was done since its last flush. A value,
//! cheap to copy. Not here: chance, faults, locks.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::content::Content;

/// A file, whatever name it has.
pub type FileId = u32;

/// Something that was done to a disk, in the order in which it was done.
#[derive(Debug, Clone)]
pub enum Op {
    /// A new empty file.
    Create {
        /// Its number.
        file: FileId,
        /// Its name.
        name: String,
    },
    /// Bytes written.
    Write {
        /// Where to.
        file: FileId,
        /// From which byte on.
        offset: usize,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// A file made shorter or longer.
    Resize {
        /// Which.
        file: FileId,
        /// Its new length.
        len: usize,
    },
    /// A file flushed.
    Sync {
        /// Which.
        file: FileId,
        /// The folder too.
        folder: bool,
    },
    /// A flush that failed: what it was to write will never be written.
    SyncFailed {
        /// Which file.
        file: FileId,
    },
    /// A name removed.
    Delete {
        /// Which.
        name: String,
        /// And the folder flushed.
        folder: bool,
    },
}

/// Done since a file's last flush.
#[derive(Debug, Clone)]
pub enum Pending {
    Write { offset: usize, bytes: Arc<[u8]> },
    Resize(usize),
}

/// One file.
#[derive(Debug, Clone, Default)]
pub struct File {
    /// What a reader sees.
    pub cached: Content,
    /// What is stable.
    pub stable: Content,
    /// What makes the one of the other, unless a flush failed.
    pub pending: Vec<Pending>,
}

/// The content of a disk at one moment.
#[derive(Debug, Clone, Default)]
pub struct Image {
    pub(crate) files: BTreeMap<FileId, File>,
    pub(crate) names: BTreeMap<String, FileId>,
    pub(crate) stable_names: BTreeMap<String, FileId>,
    /// Changes of names since the folder's last flush.
    pub(crate) pending_names: Vec<(String, Option<FileId>)>,
    pub(crate) next: FileId,
}

impl Image {
    /// Does to this disk what was done to another.
    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Create { file, name } => {
                self.next = self.next.max(file + 1);
                self.files.insert(*file, File::default());
                self.rename(name, Some(*file));
            }
            Op::Write { file, offset, bytes } => {
                if let Some(file) = self.files.get_mut(file) {
                    file.cached.write(*offset, bytes);
                    file.pending.push(Pending::Write { offset: *offset, bytes: bytes.clone() });
                }
            }
            Op::Resize { file, len } => {
                if let Some(file) = self.files.get_mut(file) {
                    file.cached.resize(*len);
                    file.pending.push(Pending::Resize(*len));
                }
            }
            Op::Sync { file, folder } => {
                if let Some(file) = self.files.get_mut(file) {
                    file.flush();
                }
                if *folder {
                    self.flush_folder();
                }
            }
            Op::SyncFailed { file } => {
                if let Some(file) = self.files.get_mut(file) {
                    file.pending.clear();
                }
            }
            Op::Delete { name, folder } => {
                self.rename(name, None);
                if *folder {
                    self.flush_folder();
                }
            }
        }
    }

    /// Names and lengths of the files that a reader sees.
    pub fn files(&self) -> impl Iterator<Item = (&str, usize)> {
        self.names.iter().filter_map(|(name, file)| Some((name.as_str(), self.files.get(file)?.cached.len())))
    }

    /// Bytes of all files that a reader sees.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.files().map(|(_, len)| len).sum()
    }

    /// The bytes of a file as a reader sees them.
    #[must_use]
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        let file = self.files.get(self.names.get(name)?)?;
        let mut bytes = vec![0; file.cached.len()];
        file.cached.read(0, &mut bytes);
        Some(bytes)
    }

    /// The same content, all of it flushed: as a copy of the files is.
    #[must_use]
    pub fn flushed(&self) -> Self {
        let mut copy = self.clone();
        for file in copy.files.values_mut() {
            *file = File { stable: file.cached.clone(), cached: file.cached.clone(), pending: Vec::new() };
        }
        copy.flush_folder();
        copy
    }

    /// A flushed copy of a file takes its place and its name.
    pub fn renew(&mut self, name: &str) {
        let Some(before) = self.names.get(name).and_then(|file| self.files.get(file)) else { return };
        let content = before.cached.clone();
        let file = File { cached: content.clone(), stable: content, pending: Vec::new() };
        let number = self.next;
        self.next += 1;
        self.files.insert(number, file);
        self.rename(name, Some(number));
        self.flush_folder();
    }

    fn rename(&mut self, name: &str, file: Option<FileId>) {
        match file {
            Some(file) => self.names.insert(name.to_owned(), file),
            None => self.names.remove(name),
        };
        self.pending_names.push((name.to_owned(), file));
    }

    fn flush_folder(&mut self) {
        self.stable_names = self.names.clone();
        self.pending_names.clear();
    }
}

impl File {
    fn flush(&mut self) {
        for pending in self.pending.drain(..) {
            match pending {
                Pending::Write { offset, bytes } => self.stable.write(offset, &bytes),
                Pending::Resize(len) => self.stable.resize(len),
            }
        }
    }
}

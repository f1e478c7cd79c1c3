//! A disk: an image that connections work on, with its locks, its shared memory, what is to fail, and a record of all that
//! was done to it. Not here: SQLite's interface, and chance.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use rand_core::Rng;

use crate::faults::{Fault, Faults};
use crate::glue;
use crate::image::{FileId, Image, Op};
use crate::locks::Locks;
use crate::shared::Shared;

/// A disk in memory. A copy of this value is the same disk; it lasts as long as one of them or an open file does.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    state: Mutex<State>,
}

/// What is behind the lock.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub image: Image,
    pub faults: Faults,
    pub locks: HashMap<FileId, Locks>,
    pub shared: HashMap<FileId, Shared>,
    /// The power has gone.
    pub dead: bool,
    record: Option<History>,
    done: u64,
}

/// Everything that was done to a disk since it was recorded.
#[derive(Debug, Clone, Default)]
pub struct History {
    start: Image,
    ops: Vec<Op>,
}

static MOUNTED: LazyLock<Mutex<HashMap<String, Weak<Inner>>>> = LazyLock::new(Mutex::default);
static NUMBER: AtomicU64 = AtomicU64::new(1);

impl Disk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::from_image(Image::default())
    }

    /// A disk with this content.
    #[must_use]
    pub fn from_image(image: Image) -> Self {
        glue::register();
        let name = format!("disk-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let inner = Arc::new(Inner { name: name.clone(), state: Mutex::new(State { image, ..State::default() }) });
        mounted().insert(name, Arc::downgrade(&inner));
        Self(inner)
    }

    /// The disk that a path of [`Self::path`] lies on, and the file's name there.
    pub(crate) fn find(path: &str) -> Option<(Self, &str)> {
        let (disk, file) = path.strip_prefix('/')?.split_once('/')?;
        Some((Self(mounted().get(disk)?.upgrade()?), file))
    }

    /// The path by which SQLite finds a file of this disk, with the VFS [`crate::NAME`].
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/{}/{file}", self.0.name))
    }

    /// The content now, what is not flushed included.
    #[must_use]
    pub fn image(&self) -> Image {
        self.state().image.clone()
    }

    /// A flushed copy of a file takes its place, as with `rename`. While nobody has it open; it is not recorded.
    pub fn renew(&self, file: &str) {
        self.state().image.renew(file);
    }

    /// The power goes: nothing can be done with this disk any more. What is left of it.
    pub fn crash(&self, rng: &mut impl Rng) -> Image {
        self.power_off();
        self.image().crash(rng)
    }

    /// The power goes.
    pub fn power_off(&self) {
        self.state().dead = true;
    }

    /// Operations done so far: makings, writes, changes of length, flushes, removals.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.state().done
    }

    /// Records from now on.
    pub fn record(&self) {
        let mut state = self.state();
        state.record = Some(History { start: state.image.clone(), ops: Vec::new() });
    }

    /// How many operations were recorded so far.
    #[must_use]
    pub fn recorded(&self) -> usize {
        self.state().record.as_ref().map_or(0, |history| history.ops.len())
    }

    /// What was recorded; ends the recording.
    #[must_use]
    pub fn history(&self) -> History {
        self.state().record.take().unwrap_or_default()
    }

    /// The `nth` operation from now that can fail in this way does, once; 1 for the next one.
    pub fn fail_at(&self, fault: Fault, nth: u64) {
        self.state().faults.at(fault, nth);
    }

    /// All operations that can fail in this way do; none: no more.
    pub fn fail_while(&self, fault: Option<Fault>) {
        self.state().faults.hold(fault);
    }

    /// Bytes that all files together may have; none: any number. What goes beyond it finds no room.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.state().faults.room = bytes;
    }

    /// The disk lies: flushes are answered at once and do nothing.
    pub fn ignore_flushes(&self, ignored: bool) {
        self.state().faults.flushes_ignored = ignored;
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        mounted().remove(&self.name);
    }
}

fn mounted() -> MutexGuard<'static, HashMap<String, Weak<Inner>>> {
    MOUNTED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Does it and notes it.
    pub fn carry_out(&mut self, op: Op) {
        self.image.apply(&op);
        self.done += 1;
        if let Some(history) = &mut self.record {
            history.ops.push(op);
        }
    }

    /// Bytes that may still be added.
    pub fn room(&self) -> u64 {
        self.faults.room.map_or(u64::MAX, |room| room.saturating_sub(self.image.bytes() as u64))
    }
}

impl History {
    /// Operations in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Nothing was done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// The operations.
    #[must_use]
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The disk before the first operation, after it, after the second, and so on to the last.
    pub fn cuts(&self) -> impl Iterator<Item = Image> {
        let mut image = self.start.clone();
        let after = self.ops.iter().map(move |op| {
            image.apply(op);
            image.clone()
        });
        std::iter::once(self.start.clone()).chain(after)
    }
}

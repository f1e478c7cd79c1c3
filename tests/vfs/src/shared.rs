//! The memory that the connections to one database share in WAL mode, and the locks on it. It lies in the heap and goes
//! with the power.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use rusqlite::ffi;

use crate::locks::Holder;

const SLOTS: usize = ffi::SQLITE_SHM_NLOCK as usize;

/// Shared memory of one database.
#[derive(Debug, Default)]
pub struct Shared {
    regions: Vec<Region>,
    users: Vec<Holder>,
    slots: [Slot; SLOTS],
}

#[derive(Debug, Default)]
struct Slot {
    sharing: Vec<Holder>,
    exclusive: Option<Holder>,
}

/// A piece whose address never changes.
#[derive(Debug)]
struct Region {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the memory is owned by the region; SQLite orders accesses to it from several threads by its own locks.
unsafe impl Send for Region {}

impl Region {
    fn new(bytes: usize) -> Option<Self> {
        let layout = Layout::from_size_align(bytes.max(1), 64).ok()?;
        // SAFETY: the layout has a size above zero.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Self { start, layout })
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout, and dropped once; no connection uses it any more.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

impl Shared {
    /// The address of a region of `bytes`; made if it is not there and `extend` says so, and if `room` says so.
    pub fn map(&mut self, holder: Holder, at: usize, bytes: usize, extend: bool, room: bool) -> Mapped {
        if !self.users.contains(&holder) {
            self.users.push(holder);
        }
        while self.regions.len() <= at && extend {
            match Region::new(bytes).filter(|_| room) {
                Some(region) => self.regions.push(region),
                None => return Mapped::NoRoom,
            }
        }
        self.regions.get(at).map_or(Mapped::Absent, |region| Mapped::At(region.start))
    }

    /// Locks or unlocks `count` slots; whether that is possible now.
    pub fn lock(&mut self, holder: Holder, first: usize, count: usize, flags: i32) -> bool {
        let Some(slots) = self.slots.get_mut(first..first + count) else { return false };
        let unlock = flags & ffi::SQLITE_SHM_UNLOCK != 0;
        let share = flags & ffi::SQLITE_SHM_SHARED != 0;
        let free = |slot: &Slot| {
            let taken = slot.exclusive.is_some_and(|other| other != holder);
            let shared = slot.sharing.iter().any(|other| *other != holder);
            !taken && (share || !shared)
        };
        if !unlock && !slots.iter().all(free) {
            return false;
        }
        for slot in slots {
            match (unlock, share) {
                (true, true) => slot.sharing.retain(|other| *other != holder),
                (true, false) => slot.exclusive = slot.exclusive.filter(|other| *other != holder),
                (false, true) if !slot.sharing.contains(&holder) => slot.sharing.push(holder),
                (false, true) => {}
                (false, false) => slot.exclusive = Some(holder),
            }
        }
        true
    }

    /// `holder` uses it no more; whether nobody does.
    pub fn leave(&mut self, holder: Holder) -> bool {
        self.users.retain(|other| *other != holder);
        for slot in &mut self.slots {
            slot.sharing.retain(|other| *other != holder);
            slot.exclusive = slot.exclusive.filter(|other| *other != holder);
        }
        self.users.is_empty()
    }
}

/// What asking for a region gives.
pub enum Mapped {
    At(NonNull<u8>),
    Absent,
    NoRoom,
}

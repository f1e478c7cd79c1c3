//! Who may do what with a file: SQLite's five states of a lock, between the connections of one disk.

use rusqlite::ffi;

/// Whoever has a file open.
pub type Holder = u64;

/// The locks on one file.
#[derive(Debug, Default)]
pub struct Locks {
    sharing: Vec<Holder>,
    reserved: Option<Holder>,
    pending: Option<Holder>,
    exclusive: Option<Holder>,
}

impl Locks {
    /// Raises `holder`'s lock to `level`; whether that is possible now.
    pub fn lock(&mut self, holder: Holder, level: i32) -> bool {
        let others = |slot: Option<Holder>| slot.is_some_and(|other| other != holder);
        let shares = self.sharing.contains(&holder);
        if !shares && (others(self.pending) || others(self.exclusive)) {
            return false;
        }
        if !shares {
            self.sharing.push(holder);
        }
        if level >= ffi::SQLITE_LOCK_RESERVED {
            if others(self.reserved) || others(self.pending) {
                return false;
            }
            self.reserved = Some(holder);
        }
        if level >= ffi::SQLITE_LOCK_EXCLUSIVE {
            self.pending = Some(holder);
            if self.sharing.len() > 1 {
                return false;
            }
            self.exclusive = Some(holder);
        }
        true
    }

    /// Lowers `holder`'s lock to `level`.
    pub fn unlock(&mut self, holder: Holder, level: i32) {
        for slot in [&mut self.reserved, &mut self.pending, &mut self.exclusive] {
            if *slot == Some(holder) {
                *slot = None;
            }
        }
        if level < ffi::SQLITE_LOCK_SHARED {
            self.sharing.retain(|other| *other != holder);
        }
    }

    /// Somebody is about to write.
    pub fn is_reserved(&self) -> bool {
        self.reserved.is_some()
    }
}

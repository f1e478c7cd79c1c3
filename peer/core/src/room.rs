//! Whether the disk has room for messages, as last told. How it is measured, and what is done without, is not here.

use crate::limits::{DISK_FLOOR_MAX_BYTES, DISK_FLOOR_SHARE};

/// The room on the disk of the store.
#[derive(Debug, Clone, Copy, Default)]
pub struct Room {
    full: bool,
}

impl Room {
    /// There are so many bytes free of so many. True if that changes what may be done.
    pub fn tell(&mut self, free_bytes: u64, total_bytes: u64) -> bool {
        let floor = floor_bytes(total_bytes);
        // A little more than the floor is room again, so that a log that comes and goes does not change it every time.
        let full = free_bytes < if self.full { floor + floor / 16 } else { floor };
        std::mem::replace(&mut self.full, full) != full
    }

    /// Nothing that takes room may be begun.
    #[must_use]
    pub fn is_full(self) -> bool {
        self.full
    }
}

/// Free bytes of a disk of `total_bytes` below which no message is stored.
#[must_use]
pub fn floor_bytes(total_bytes: u64) -> u64 {
    (total_bytes / DISK_FLOOR_SHARE).min(DISK_FLOOR_MAX_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn the_floor_follows_the_size_of_the_disk_up_to_its_bound() {
        assert_eq!(floor_bytes(32 * MIB), 2 * MIB);
        assert_eq!(floor_bytes(1024 * MIB), 64 * MIB);
        assert_eq!(floor_bytes(1024 * 1024 * MIB), 64 * MIB);
    }

    #[test]
    fn a_disk_at_the_floor_does_not_change_its_mind_all_the_time() {
        let (mut room, total) = (Room::default(), 1024 * MIB);
        assert!(!room.tell(64 * MIB, total) && !room.is_full());
        assert!(room.tell(64 * MIB - 1, total) && room.is_full());
        assert!(!room.tell(66 * MIB, total) && room.is_full());
        assert!(room.tell(68 * MIB, total) && !room.is_full());
        assert!(!room.tell(66 * MIB, total) && !room.is_full());
    }
}

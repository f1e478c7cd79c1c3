//! The limits that the directory alone decides by, with their units and defaults for a 2-core machine with a small
//! disk. Not here: what both roles share (`common::limits`), and sockets, handshakes and queues, which are the program's.

use common::limits::{
    BROADCAST_MAX_BYTES, CANDIDATES_MAX, DAY_MS, FRAME_MAX_BYTES, GROUPS_PAGE, ITEM_LIFETIME_MS, KEPT_FILE_MIB_MAX,
    MAILBOX_FILES_MIB_MAX, MAILBOX_ITEMS_MAX, MAILBOX_MIB_MAX, NAME_MAX_CHARS, NOTE_MAX_BYTES, PAIR_FILES_MAX,
    PAIR_ITEMS_MAX, PIECE_SEALED_MAX_BYTES, PIECES_ASKED_MAX, SEALED_MAX_BYTES, STRANGER_FILES_MAX, STRANGER_ITEMS_MAX,
    SUBMITTER_FILES_MIB_MAX, SUBMITTER_ITEMS_MAX, SUBMITTER_MIB_MAX, WATCH_MAX,
};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// Items handed out in one session and not taken yet, by default.
pub const WINDOW_ITEMS: usize = 128;
/// Sealed bytes of these.
pub const WINDOW_BYTES: usize = 72 * 1024;
/// Slots handed out in one session and not taken yet, by default.
pub const WINDOW_SLOTS: usize = 32;
/// Sealed bytes of these.
pub const WINDOW_SLOT_BYTES: usize = 24 * 1024;
/// People who hear a broadcast for it to count as one more of [`Limits::shares`].
pub const LISTENERS_PER_SHARE: usize = 50;
/// Rows of store operations of one session in flight, by default; a deposit is one.
pub const IN_FLIGHT: usize = 256;

/// Most bytes of an item's frame beside what is sealed.
const ITEM_HEAD_MAX_BYTES: usize = 96;
/// Most bytes of a slot's frame beside what is sealed.
const SLOT_HEAD_MAX_BYTES: usize = 64;
/// Most bytes of a note as it travels: none or one, length, text.
const NOTE_HELD_BYTES: usize = 1 + 1 + NOTE_MAX_BYTES;
/// Most bytes of a presence frame: head, key, standing, time, addresses, note.
const PRESENCE_MAX_BYTES: usize = 6 + 32 + 1 + 9 + 1 + CANDIDATES_MAX * 20 + NOTE_HELD_BYTES;
/// Most bytes of a step as it travels: length, group, version, hash, maker, time, change, signature.
const STEP_MAX_BYTES: usize = 1 + 16 + 9 + 32 + 32 + 9 + (1 + 32) + 64;
/// Most bytes of news of a group, but for its steps: head, group, count.
const NEWS_HEAD_MAX_BYTES: usize = 6 + 16 + 1;
/// Most bytes of somebody in a notice: name, key, standing, time, note.
const LISTED_MAX_BYTES: usize = (1 + NAME_MAX_CHARS) + 32 + 1 + 9 + NOTE_HELD_BYTES;
/// People in one frame of notices; the rest follows in the next.
pub const NOTICES_PAGE: usize = 100;
/// Steps that the answer to one `FollowGroups` gives in all, beyond the newest of each group.
pub const NEWS_STEPS: usize = 20;
/// Bytes that may wait for a session for it to be given what is shared with many and may be missed.
pub const SHARED_BEHIND_BYTES: usize = 32 * 1024;
/// Most bytes of a frame that is shared with many.
const SHARED_MAX_BYTES: usize = 6 + 2 + NOTICES_PAGE * LISTED_MAX_BYTES;
/// Most bytes of a piece's frame beside what is sealed.
const PIECE_HEAD_MAX_BYTES: usize = 6 + 32 + 16 + 5 + 1 + 5;
/// Most bytes of the answer to one deposit.
const ANSWER_MAX_BYTES: usize = 68;

/// Most bytes that one session may be given before it reads anything, all at once: what waits for its owner, the
/// presence of everybody watched, the news of its groups, the answers to its deposits, the pieces of files it asked for, what is
/// shared with many, a few small frames. A send queue that holds them never
/// cuts off a peer for being slow to read what it needs.
pub const HANDED_OUT_MAX_BYTES: usize = WINDOW_ITEMS * ITEM_HEAD_MAX_BYTES
    + WINDOW_BYTES
    + WINDOW_SLOTS * SLOT_HEAD_MAX_BYTES
    + WINDOW_SLOT_BYTES
    + WATCH_MAX * PRESENCE_MAX_BYTES
    + GROUPS_PAGE * (NEWS_HEAD_MAX_BYTES + STEP_MAX_BYTES)
    + NEWS_STEPS * STEP_MAX_BYTES
    + SHARED_BEHIND_BYTES
    + SHARED_MAX_BYTES
    + (IN_FLIGHT + 1) * ANSWER_MAX_BYTES
    + PIECES_ASKED_MAX * (PIECE_HEAD_MAX_BYTES + PIECE_SEALED_MAX_BYTES)
    + 1024;

const _: () = {
    // A page is read when half of a window is free, and holds one item whatever its size.
    assert!(WINDOW_BYTES / 2 >= SEALED_MAX_BYTES);
    assert!(WINDOW_SLOT_BYTES >= SEALED_MAX_BYTES);
    // A broadcast goes with its speaker's binding.
    assert!(SHARED_MAX_BYTES <= FRAME_MAX_BYTES && SHARED_MAX_BYTES >= BROADCAST_MAX_BYTES + 1024);
};

/// What one deposit may take, checked by the store in the transaction that keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxLimits {
    /// Items in one mailbox; more is `MailboxFull`.
    pub mailbox_items: u64,
    /// Sealed bytes in one mailbox; more is `MailboxFull`.
    pub mailbox_bytes: u64,
    /// Items from one submitter to one recipient; more is `QuotaExceeded`.
    pub pair_items: u64,
    /// Items from one submitter to everybody; more is `QuotaExceeded`.
    pub submitter_items: u64,
    /// Sealed bytes from one submitter to everybody; more is `QuotaExceeded`.
    pub submitter_bytes: u64,
    /// Items in one mailbox from submitters its owner has not accepted, together; more is `StrangersFull`.
    pub stranger_items: u64,
    /// Sealed bytes in the whole store from submitters not accepted by their recipients; more is `StrangersFull`.
    pub stranger_bytes_all: u64,
}

impl Default for MailboxLimits {
    fn default() -> Self {
        Self {
            mailbox_items: MAILBOX_ITEMS_MAX,
            mailbox_bytes: MAILBOX_MIB_MAX * MIB,
            pair_items: PAIR_ITEMS_MAX,
            submitter_items: SUBMITTER_ITEMS_MAX,
            submitter_bytes: SUBMITTER_MIB_MAX * MIB,
            stranger_items: STRANGER_ITEMS_MAX,
            stranger_bytes_all: 8 * GIB / 10,
        }
    }
}

/// What the slots for one recipient may take, checked by the store in the transaction that keeps one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotLimits {
    /// Slots for one recipient.
    pub slots: u64,
    /// Of these, from submitters the recipient has not accepted.
    pub stranger_slots: u64,
    /// Sealed bytes of all slots in the store.
    pub slot_bytes_all: u64,
}

impl Default for SlotLimits {
    fn default() -> Self {
        Self { slots: 10_000, stranger_slots: 1_000, slot_bytes_all: GIB }
    }
}

/// What groups may take, checked by the store in the transaction that keeps a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupLimits {
    /// Groups that one key may own before it may found no more.
    pub owned: u64,
    /// Groups that one key may be a member of before it may found or join no more.
    pub joined: u64,
    /// Groups that one key may have founded, or brought back after the directory lost them, and that still exist, whoever
    /// owns them by now.
    pub founded: u64,
    /// Groups in the store, those of everybody. One that is over is still kept for a while, and gives way.
    pub all: u64,
    /// Bytes of the chains of all groups; leaving and taking out go on above it. A group that is over gives way.
    pub bytes_all: u64,
}

impl Default for GroupLimits {
    fn default() -> Self {
        Self { owned: 50, joined: GROUPS_PAGE as u64, founded: 100, all: 100_000, bytes_all: 256 * MIB }
    }
}

/// What files in pieces may take, checked by the store in the transaction that begins one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLimits {
    /// Bytes of one file as its sender knows it; more is `TooLarge`. 0: none is kept.
    pub file_bytes: u64,
    /// Sealed bytes of the files for one recipient; more is `MailboxFull`.
    pub mailbox_bytes: u64,
    /// Sealed bytes of the files from one submitter to everybody; more is `QuotaExceeded`.
    pub submitter_bytes: u64,
    /// Files from one submitter to one recipient; more is `QuotaExceeded`.
    pub pair_files: u64,
    /// Files for one recipient from submitters it has not accepted, together; more is `StrangersFull`.
    pub stranger_files: u64,
    /// Sealed bytes of these; more is `StrangersFull`.
    pub stranger_bytes: u64,
    /// Sealed bytes of files in the whole store from submitters not accepted by their recipients; more is `StrangersFull`.
    pub stranger_bytes_all: u64,
}

impl Default for FileLimits {
    fn default() -> Self {
        Self {
            file_bytes: KEPT_FILE_MIB_MAX * MIB,
            mailbox_bytes: MAILBOX_FILES_MIB_MAX * MIB,
            submitter_bytes: SUBMITTER_FILES_MIB_MAX * MIB,
            pair_files: PAIR_FILES_MAX,
            stranger_files: STRANGER_FILES_MAX,
            stranger_bytes: MAILBOX_FILES_MIB_MAX * MIB / 10,
            stranger_bytes_all: 8 * GIB / 10,
        }
    }
}

/// A rate: so many at once, then one every so often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// At once.
    pub burst: u32,
    /// Milliseconds for one more.
    pub every_ms: u64,
}

/// Every limit of the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Sessions, all.
    pub sessions: usize,
    /// Sessions from one IPv4 address or IPv6 network of 64 bits; loopback is exempt.
    pub sessions_per_address: usize,
    /// What a session refused for want of room is told to wait, milliseconds.
    pub full_retry_ms: u32,
    /// Hellos in one session, those answered `Behind` included.
    pub hello_tries: u32,
    /// Frames that may wait in one session for the login or for its request rate.
    pub backlog_frames: usize,
    /// Requests of one session, not deposits, takes and acknowledgements.
    pub requests: Rate,
    /// A session whose requests were delayed for so many milliseconds without a pause is closed.
    pub abuse_ms: u64,
    /// Rows of store operations of one session in flight; above it, reading is paused until half of them are answered.
    pub in_flight: usize,
    /// New names from one IPv4 address or IPv6 network of 64 bits; loopback is exempt.
    pub registrations: Rate,
    /// Addresses whose registrations are remembered; above it the one longest quiet is forgotten.
    pub registration_addresses: usize,
    /// Keys one session may watch.
    pub watches: usize,
    /// Notices about one person.
    pub notices: Rate,
    /// Notices go to everybody while no more than so many are online.
    pub notices_online: usize,
    /// Changes of presence are gathered for so many milliseconds before notices of them go to everybody.
    pub notices_gather_ms: u64,
    /// People whose changes may wait to be told to everybody; what is over is not told.
    pub notices_people: usize,
    /// Broadcasts of one key.
    pub broadcasts: Rate,
    /// Broadcasts of all, one for every [`LISTENERS_PER_SHARE`] people who hear it.
    pub shares: Rate,
    /// Keys whose last broadcast is remembered; above it the one longest quiet is forgotten.
    pub speakers: usize,
    /// Items handed out in one session and not taken yet.
    pub window_items: usize,
    /// Sealed bytes of these; one item is always allowed.
    pub window_bytes: usize,
    /// Slots handed out in one session and not taken yet.
    pub window_slots: usize,
    /// Sealed bytes of these; one slot is always allowed.
    pub window_slot_bytes: usize,
    /// Keys one user may have accepted.
    pub accepted: u64,
    /// For deposits.
    pub mailbox: MailboxLimits,
    /// For slots.
    pub slots: SlotLimits,
    /// For groups.
    pub groups: GroupLimits,
    /// For files in pieces.
    pub files: FileLimits,
    /// Items and files live so many milliseconds.
    pub item_lifetime_ms: u64,
    /// A key without a name that has nothing here is forgotten so many milliseconds after its last login.
    pub nameless_lifetime_ms: u64,
    /// What became of an item is remembered for so many milliseconds after it went unread, an empty lane after its
    /// last deposit, and a group after its last member left.
    pub tombstone_lifetime_ms: u64,
    /// Milliseconds between two looks for what has expired.
    pub expire_every_ms: u64,
    /// Rows that one expiry transaction removes.
    pub expire_page: u32,
    /// Below so many free bytes of disk nothing but acknowledging and deleting is done.
    pub disk_floor_bytes: u64,
    /// Below so many free bytes of disk no new mail is kept, however small the disk.
    pub disk_mail_min_bytes: u64,
    /// The share of the disk, one in so many, below which no new mail is kept ...
    pub disk_mail_share: u64,
    /// ... as long as it is no more than so many bytes.
    pub disk_mail_max_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 20_000,
            sessions_per_address: 256,
            full_retry_ms: 30_000,
            hello_tries: 4,
            backlog_frames: 4_096,
            requests: Rate { burst: 500, every_ms: 20 },
            abuse_ms: 30_000,
            in_flight: IN_FLIGHT,
            registrations: Rate { burst: 30, every_ms: 20_000 },
            registration_addresses: 10_000,
            watches: WATCH_MAX,
            notices: Rate { burst: 3, every_ms: 5_000 },
            notices_online: 200,
            notices_gather_ms: 1_000,
            notices_people: 1_000,
            broadcasts: Rate { burst: 1, every_ms: 1_000 },
            shares: Rate { burst: 400, every_ms: 10 },
            speakers: 10_000,
            window_items: WINDOW_ITEMS,
            window_bytes: WINDOW_BYTES,
            window_slots: WINDOW_SLOTS,
            window_slot_bytes: WINDOW_SLOT_BYTES,
            accepted: 10_000,
            mailbox: MailboxLimits::default(),
            slots: SlotLimits::default(),
            groups: GroupLimits::default(),
            files: FileLimits::default(),
            item_lifetime_ms: ITEM_LIFETIME_MS,
            nameless_lifetime_ms: ITEM_LIFETIME_MS,
            tombstone_lifetime_ms: 70 * DAY_MS,
            expire_every_ms: 60_000,
            expire_page: 400,
            disk_floor_bytes: 128 * MIB,
            disk_mail_min_bytes: 512 * MIB,
            disk_mail_share: 20,
            disk_mail_max_bytes: 2 * GIB,
        }
    }
}

impl Limits {
    /// Free bytes of a disk of `total_bytes` below which no new mail is kept.
    #[must_use]
    pub fn disk_mail_bytes(&self, total_bytes: u64) -> u64 {
        let share = total_bytes / self.disk_mail_share.max(1);
        self.disk_mail_min_bytes.max(share.min(self.disk_mail_max_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_kept_free_follows_the_size_of_the_disk_within_its_bounds() {
        let limits = Limits::default();
        assert_eq!(limits.disk_mail_bytes(GIB), 512 * MIB);
        assert_eq!(limits.disk_mail_bytes(20 * GIB), GIB);
        assert_eq!(limits.disk_mail_bytes(1000 * GIB), 2 * GIB);
    }
}
